//! What a record holds: who did what, on what, from where, with what outcome. It knows neither the chain nor the store.
//!
//! Texts may come from outside, so each is cut to a length here; secrets never come here, only their keyed digests.

use std::collections::BTreeMap;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The longest text in a record, in characters. Longer ones are cut and end in `…`.
pub const MAX_TEXT: usize = 256;
/// The longest token id, in bytes; longer texts are no ids and are left out of the index.
pub(super) const MAX_TOKEN_ID: usize = 64;
/// The most details, digests and tokens of one record.
pub(super) const MAX_PARTS: usize = 32;
/// The most items of one record.
pub const MAX_ITEMS: usize = 500;

/// What kind of thing acted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A person.
    User,
    /// A program that is a principal of its own.
    Application,
    /// The daemon itself.
    #[default]
    System,
    /// Nobody that is known.
    Anonymous,
}

impl ActorKind {
    /// Its name in records and filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Application => "application",
            Self::System => "system",
            Self::Anonymous => "anonymous",
        }
    }
}

/// Who acted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// What kind of thing.
    pub kind: ActorKind,
    /// Its login or name; empty where it has none.
    pub name: String,
    /// The public id of the token that it presented.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
}

impl Actor {
    /// The daemon itself.
    pub fn system() -> Self {
        Self::default()
    }

    /// Nobody that is known.
    pub fn anonymous() -> Self {
        Self { kind: ActorKind::Anonymous, ..Self::default() }
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is about to be done; another record says how it ended.
    Begun,
    /// It was done.
    #[default]
    Done,
    /// It wasn't allowed.
    Refused,
    /// It was allowed and didn't succeed.
    Failed,
}

impl Outcome {
    /// Its name in records and filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// A secret that was involved: what it is called, and its keyed digest, never its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretDigest {
    /// What the secret is called, such as `token` or `client_secret`.
    pub name: String,
    /// [`super::Audit::digest`] of its value.
    pub digest: String,
}

/// Authentications or refusals that were counted together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The public id of the token that was presented.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// Where it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Which door it came to; `others` where several are summed up.
    pub door: String,
    /// Why it was refused; none where it was let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many times.
    pub count: u64,
    /// The first time.
    pub first: DateTime<Utc>,
    /// The last time.
    pub last: DateTime<Utc>,
}

/// What a caller wants recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Who.
    pub actor: Actor,
    /// What, such as `personal_token.rebuild`.
    pub action: String,
    /// On what, such as `integration/crm`; empty where on nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// From where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it was refused or failed: a stable code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it was only asked what it would come to: nothing was changed, whatever the outcome.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Secrets involved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub digests: Vec<SecretDigest>,
    /// Public ids of tokens that it was done to. The actor's own and those of items needn't be named here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<String>,
    /// What else is worth knowing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
    /// What was counted together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
}

impl Entry {
    /// That this actor did this.
    pub fn new(actor: Actor, action: impl Into<String>) -> Self {
        Self { actor, action: action.into(), ..Self::default() }
    }

    /// The same, on this object.
    #[must_use]
    pub fn on(mut self, object: impl Into<String>) -> Self {
        self.object = object.into();
        self
    }

    /// The same, from this address.
    #[must_use]
    pub fn coming_from(mut self, address: Option<IpAddr>) -> Self {
        self.address = address;
        self
    }

    /// The same, with this outcome.
    #[must_use]
    pub fn ended(mut self, outcome: Outcome, reason: Option<&str>) -> Self {
        self.outcome = outcome;
        self.reason = reason.map(str::to_owned);
        self
    }

    /// The same, where `dry_run` is set only tried, so that nothing was changed.
    #[must_use]
    pub fn only_tried(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// The same, done to the token with this public id.
    #[must_use]
    pub fn about_token(mut self, id: impl Into<String>) -> Self {
        self.tokens.push(id.into());
        self
    }

    /// The same, with more details.
    #[must_use]
    pub fn details(self, details: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        details.into_iter().fold(self, |entry, (name, value)| entry.detail(name, value))
    }

    /// The same, with one more detail.
    #[must_use]
    pub fn detail(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.details.insert(name.into(), value.into());
        self
    }

    /// The same, with the digest of a secret; see [`super::Audit::digest`].
    #[must_use]
    pub fn with_digest(mut self, name: impl Into<String>, digest: impl Into<String>) -> Self {
        self.digests.push(SecretDigest { name: name.into(), digest: digest.into() });
        self
    }

    /// Public ids of all tokens that it concerns, each once, in order. Texts too long for an id are none.
    pub fn token_ids(&self) -> Vec<&str> {
        let items = self.items.iter().filter_map(|item| item.token_id.as_deref());
        let named = self.tokens.iter().map(String::as_str);
        let mut ids: Vec<&str> = self.actor.token_id.as_deref().into_iter().chain(named).chain(items).collect();
        ids.retain(|id| !id.is_empty() && id.len() <= MAX_TOKEN_ID);
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Cuts everything to its bounds.
    pub(super) fn bound(&mut self) {
        let texts = [&mut self.actor.name, &mut self.action, &mut self.object].into_iter();
        let texts = texts.chain(&mut self.actor.token_id).chain(&mut self.reason).chain(&mut self.tokens);
        let digests = self.digests.iter_mut().flat_map(|digest| [&mut digest.name, &mut digest.digest]);
        let items = self.items.iter_mut();
        let items = items.flat_map(|item| item.token_id.iter_mut().chain([&mut item.door]).chain(&mut item.reason));
        texts.chain(digests).chain(items).for_each(cut);
        self.digests.truncate(MAX_PARTS);
        self.tokens.truncate(MAX_PARTS);
        self.items.truncate(MAX_ITEMS);
        let details = std::mem::take(&mut self.details).into_iter().take(MAX_PARTS);
        self.details = details
            .map(|(mut name, mut value)| {
                cut(&mut name);
                cut(&mut value);
                (name, value)
            })
            .collect();
    }
}

/// Cuts a text to [`MAX_TEXT`] characters.
fn cut(text: &mut String) {
    if let Some((at, _)) = text.char_indices().nth(MAX_TEXT) {
        let keep = text.char_indices().nth(MAX_TEXT - 1).map_or(at, |(keep, _)| keep);
        text.truncate(keep);
        text.push('…');
    }
}

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Its number: the first is 1, each next is one more.
    pub seq: u64,
    /// When it was written, by the wall clock, which may have stepped back since the record before.
    pub at: DateTime<Utc>,
    /// What happened.
    pub entry: Entry,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_is_bounded() {
        let long = "é".repeat(10_000);
        let mut entry = Entry::new(Actor { name: long.clone(), ..Actor::anonymous() }, long.clone()).on(long.clone());
        entry.actor.token_id = Some(long.clone());
        entry = entry.ended(Outcome::Refused, Some(&long));
        for index in 0..1000 {
            entry = entry.detail(format!("{index}{long}"), long.clone()).about_token(long.clone());
            entry = entry.with_digest(long.clone(), long.clone());
            entry.items.push(Item {
                token_id: Some(long.clone()),
                address: None,
                door: long.clone(),
                reason: Some(long.clone()),
                count: 1,
                first: DateTime::UNIX_EPOCH,
                last: DateTime::UNIX_EPOCH,
            });
        }
        assert!(entry.token_ids().is_empty());
        entry.bound();
        let size = serde_json::to_vec(&entry).unwrap().len();
        assert!(size < 1 << 20, "{size}");
        assert_eq!(entry.object.chars().count(), MAX_TEXT);
        assert!(entry.object.ends_with("é…"));
        assert_eq!((entry.items.len(), entry.details.len(), entry.tokens.len()), (MAX_ITEMS, MAX_PARTS, MAX_PARTS));
    }

    #[test]
    fn what_is_short_stays() {
        let mut entry = Entry::new(Actor::system(), "a").on("é".repeat(MAX_TEXT)).about_token("t2").about_token("t1");
        entry.actor.token_id = Some("t2".into());
        let before = entry.clone();
        entry.bound();
        assert_eq!(entry, before);
        assert_eq!(entry.token_ids(), ["t1", "t2"]);
    }
}
