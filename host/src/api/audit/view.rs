//! What the audit log looks like from outside.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::super::time::Time;
use crate::access::{AnyToken, Inquiry, Reason, UsageRecord, id_text};
use crate::audit::{self, Broken, Found, Item, Record, Verified};

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditPage {
    /// The records, the newest first.
    pub(super) items: Vec<AuditRecord>,
    /// Numbers of records that are none any more: somebody altered them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) unreadable: Vec<u64>,
    /// Give it as `cursor` to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

/// What the audit log calls what is done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditActions {
    /// All of them, in the order of the alphabet.
    pub(super) items: Vec<AuditAction>,
}

/// One of them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditAction {
    /// As records have it.
    pub(super) name: &'static str,
}

/// A record of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditRecord {
    /// Its number: each next is one more.
    seq: u64,
    /// When it was written.
    at: Time,
    /// Who.
    actor: Actor,
    /// What, e.g. `personal_token.rebuild`; `uses` and `refusals` are sums.
    action: String,
    /// On what, e.g. `integrations/crm`.
    #[serde(skip_serializing_if = "String::is_empty")]
    object: String,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// `begun`, `done`, `refused` or `failed`. What is begun has a second record that says how it ended.
    outcome: &'static str,
    /// Whether it was only asked what it would come to: nothing was changed, whatever the outcome. Absent: it wasn't.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    /// Why it was refused or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Public ids of tokens that it was done to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tokens: Vec<String>,
    /// What else is worth knowing, by name. Of a change: `changed` names what is another now (`contact.email, profiles`, or
    /// `nothing`), `secrets` says which were set, replaced or removed (`fields.client_secret replaced`). Never a value of either.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    details: BTreeMap<String, String>,
    /// Secrets involved, by keyed digests: the same secret has the same.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    digests: BTreeMap<String, String>,
    /// Of a sum: what was counted together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    items: Vec<Uses>,
}

/// Who acted.
#[derive(Debug, Serialize, ToSchema)]
struct Actor {
    /// `user`, `application`, `system` (the daemon itself) or `anonymous`.
    kind: &'static str,
    /// The login, or the application's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    /// The public id of the token that was presented.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_id: Option<String>,
}

/// Uses or refusals that were counted together.
#[derive(Debug, Serialize, ToSchema)]
struct Uses {
    /// The public id of the token that was presented.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_id: Option<String>,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// Where to: a route; `token` of uses, wherever they were; `others` of what there was no room for.
    door: String,
    /// Why it was refused; absent: it was let in.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// How many times.
    count: u64,
    /// The first time.
    first: Time,
    /// The last time.
    last: Time,
}

/// What is known of a token.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FoundToken {
    /// Its public id.
    token_id: String,
    /// Whether there is such a token, or was one.
    known: bool,
    /// `personal` or `application`.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    /// Whose it is: `user/ada`, `application/crm-sync`.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// Of a personal token: what uses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<String>,
    /// `valid`, `expired`, `disabled`, `deleted` or `profile_not_allowed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// Which value was found: `current` and `earlier_in_grace` are those that work where the state is `valid`; `earlier`
    /// was replaced; `retired` has to be rebuilt since the pepper was rotated; `wrong` is none of this token's; `mistyped`
    /// is cut or altered; `not_given`: only the id was given.
    value: &'static str,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_date: Option<Time>,
    /// When its value was last replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    rebuilt_at: Option<Time>,
    /// How often it was used.
    use_count: u64,
    /// When it was used last.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_use: Option<Time>,
    /// From where it was used last.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_use_address: Option<String>,
    /// Where it was used or refused, the latest first.
    uses: Vec<Uses>,
    /// What was done with it and to it, the latest first.
    changes: Vec<AuditRecord>,
    /// Whether there is more than is shown; `GET /v1/audit?token=ID` has it.
    more: bool,
}

/// Why somebody was refused.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Explanation {
    /// The reason's code.
    reason: String,
    /// What it means.
    meaning: &'static str,
    /// What to do about it.
    remedy: &'static str,
    /// When it was.
    at: Time,
    /// From where the call came.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// The public id of the token that was presented.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_id: Option<String>,
    /// The scope that was needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// The route, at most its first 24 characters.
    door: String,
    /// What else is known, e.g. the right that is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Whether the audit log is whole.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Proof {
    /// Whether it is.
    ok: bool,
    /// The first record's number; older ones were pruned.
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<u64>,
    /// The last record's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<u64>,
    /// How many records.
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<u64>,
    /// The last record's number and hash, to be noted elsewhere and given as `noted` later.
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<String>,
    /// Whether what was noted was given, and is in the log; false where its record was pruned.
    #[serde(skip_serializing_if = "Option::is_none")]
    noted: Option<bool>,
    /// Where it breaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<Breach>,
}

/// Where the audit log breaks.
#[derive(Debug, Serialize, ToSchema)]
struct Breach {
    /// The first record that is wrong, or can't be proved.
    seq: u64,
    /// `altered`, `missing`, `cut_off`, `unknown`, `anchor_altered`, `head_altered`, `not_indexed` or `not_as_noted`.
    fault: &'static str,
    /// The same for people.
    message: String,
}

impl From<Record> for AuditRecord {
    fn from(record: Record) -> Self {
        let entry = record.entry;
        Self {
            seq: record.seq,
            at: record.at.into(),
            actor: Actor { kind: entry.actor.kind.as_str(), name: entry.actor.name, token_id: entry.actor.token_id },
            action: entry.action,
            object: entry.object,
            address: entry.address.map(|address| address.to_string()),
            outcome: entry.outcome.as_str(),
            dry_run: entry.dry_run,
            reason: entry.reason,
            tokens: entry.tokens,
            details: entry.details,
            digests: entry.digests.into_iter().map(|digest| (digest.name, digest.digest)).collect(),
            items: entry.items.into_iter().map(Uses::from).collect(),
        }
    }
}

impl From<Item> for Uses {
    fn from(item: Item) -> Self {
        Self {
            token_id: item.token_id,
            address: item.address.map(|address| address.to_string()),
            door: item.door,
            reason: item.reason,
            count: item.count,
            first: item.first.into(),
            last: item.last.into(),
        }
    }
}

impl FoundToken {
    /// Of the parts that are known.
    pub(super) fn new(inquiry: Inquiry, usage: &UsageRecord, found: Found) -> Self {
        let mut token = Self {
            token_id: id_text(&inquiry.id).to_owned(),
            known: inquiry.token.is_some(),
            kind: None,
            owner: None,
            application: None,
            state: None,
            value: inquiry.value.as_str(),
            expiration_date: None,
            rebuilt_at: None,
            use_count: usage.count,
            last_use: usage.last_use.map(Time::from),
            last_use_address: usage.address.map(|address| address.to_string()),
            uses: found.uses.into_iter().map(Uses::from).collect(),
            changes: found.changes.into_iter().map(AuditRecord::from).collect(),
            more: found.more,
        };
        match inquiry.token {
            None => {}
            Some(AnyToken::Application(one)) => {
                token.kind = Some("application");
                token.owner = Some(format!("application/{}", one.name));
                token.state = Some(one.state.as_str());
                token.expiration_date = one.expires_at.map(Time::from);
                token.rebuilt_at = one.rebuilt_at.map(Time::from);
            }
            Some(AnyToken::Personal(one)) => {
                token.kind = Some("personal");
                token.owner = Some(format!("user/{}", one.user));
                token.application = Some(one.application.to_string());
                token.state = Some(one.state.as_str());
                token.expiration_date = Some(one.expires_at.into());
                token.rebuilt_at = one.rebuilt_at.map(Time::from);
            }
        }
        token
    }
}

impl From<audit::Reason> for Explanation {
    fn from(reason: audit::Reason) -> Self {
        let known = Reason::of_code(&reason.code);
        Self {
            meaning: known.map_or("Another version of this daemon gave it.", Reason::meaning),
            remedy: known.map_or("ask a daemon of that version", Reason::remedy),
            reason: reason.code,
            at: reason.at.into(),
            address: reason.address.map(|address| address.to_string()),
            token_id: reason.token_id,
            scope: reason.scope.filter(|scope| !scope.is_empty()),
            door: reason.door,
            detail: reason.detail.filter(|detail| !detail.is_empty()),
        }
    }
}

impl From<Verified> for Proof {
    fn from(verified: Verified) -> Self {
        Self {
            ok: true,
            first: Some(verified.first),
            last: Some(verified.last),
            records: Some(verified.records),
            head: Some(verified.head.to_string()),
            noted: Some(verified.noted),
            broken: None,
        }
    }
}

impl From<Broken> for Proof {
    fn from(broken: Broken) -> Self {
        let breach = Breach { seq: broken.seq, fault: broken.fault.code(), message: broken.fault.to_string() };
        Self { broken: Some(breach), ..Self::default() }
    }
}
