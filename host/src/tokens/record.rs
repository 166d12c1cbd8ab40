//! What is kept of a key on disk: its token, sealed, and what is known of its refresh token and its failures.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::attempt::Proven;
use super::backoff;
use super::expiry::ExpirySource;
use super::key::TokenKey;
use super::token::Token;
use crate::flows::Description;
use crate::flows::step::{Placing, Remedy};
use crate::integrations::Integration;
use crate::seal::{self, Keyring, SealError, Sealed, Sealing, Visit};
use crate::store::table::Table;

/// The records of keys, by integration and slot.
pub(super) const TOKENS: Table<TokenRecord> = Table::new("token");

/// The record of a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TokenRecord {
    /// What it is the record of.
    pub(super) key: TokenKey,
    /// The integration's target when this was got. Another target makes all of it void (rule 4).
    pub(super) target: Ulid,
    /// The number of the latest token, kept even where that token is gone.
    pub(super) generation: u64,
    /// The latest token.
    pub(super) token: Option<StoredToken>,
    /// What is known of its refresh token.
    #[serde(default)]
    pub(super) refresh: RefreshState,
    /// Whether the provider has ever given another refresh token for the one it was sent; unknown until one was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rotates: Option<bool>,
    /// When the backup was made that this came from, until there is a newer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) restored: Option<DateTime<Utc>>,
    /// Failures since the last success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<FailureRecord>,
    /// When a service refused the latest token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rejected_at: Option<DateTime<Utc>>,
    /// When a rejection last caused an attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_rejection_at: Option<DateTime<Utc>>,
    /// The age in seconds at which a token without a known end was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) learned_lifetime: Option<u64>,
    /// Which of several values of its secrets worked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) proven: Option<Proven>,
    /// An attempt that holds an answer which the plugin couldn't handle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stalled: Option<Ulid>,
    /// The attempt by which a person connects this, until it ends or another one takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) connecting: Option<Ulid>,
    /// When the integration was last changed, where a flow that may need nobody wanted a person since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) attended: Option<DateTime<Utc>>,
}

/// What is known of a refresh token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RefreshState {
    /// Never sent, or sent and answered.
    #[default]
    Ready,
    /// Sent, and no complete answer came; or from a backup, and perhaps replaced since.
    Uncertain,
    /// Refused by the provider, or sent twice without an answer: the end of it.
    Spent,
}

/// A token at rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredToken {
    /// Sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access_token: Option<Sealed>,
    /// Sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<Sealed>,
    pub(super) token_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) scope: Option<String>,
    pub(super) created_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expiry_source: Option<ExpirySource>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_expires_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    values: Vec<(String, String)>,
    /// Sealed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    secrets: Vec<(String, Sealed)>,
    /// How it goes into a request, as JSON, sealed: a flow may have written anything into it. None: as tokens do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    placing: Option<Sealed>,
    /// Whether it was made without a request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) local: bool,
}

/// Why there is no newer token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct FailureRecord {
    /// E.g. `invalid_client`.
    pub(super) code: String,
    /// For people, cleaned of secrets.
    pub(super) message: String,
    /// The field to look at, if one is to blame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) field: Option<String>,
    /// How many failures in a row.
    pub(super) count: u32,
    /// When the last one was.
    pub(super) at: DateTime<Utc>,
    /// Milliseconds to wait from then.
    wait_ms: u64,
}

impl FailureRecord {
    /// The record after one more failure.
    pub(super) fn after(before: Option<&Self>, code: &str, message: &str, at: DateTime<Utc>, wait: TimeDelta) -> Self {
        Self {
            code: code.to_owned(),
            message: message.to_owned(),
            field: None,
            count: before.map_or(1, |before| before.count.saturating_add(1)),
            at,
            wait_ms: u64::try_from(wait.num_milliseconds()).unwrap_or_default(),
        }
    }

    /// The same, with a wait by the rules of [`backoff`].
    pub(super) fn backed_off(
        before: Option<&Self>,
        code: &str,
        message: &str,
        at: DateTime<Utc>,
        remedy: Remedy,
    ) -> Self {
        let count = before.map_or(1, |before| before.count.saturating_add(1));
        let asked = match remedy {
            Remedy::Retry(seconds) => seconds.map(|seconds| Duration::from_secs(seconds.into())),
            Remedy::Reacquire | Remedy::Reconfigure => None,
        };
        let wait = TimeDelta::from_std(backoff::wait(count, asked)).unwrap_or(TimeDelta::MAX);
        Self::after(before, code, message, at, wait)
    }

    /// When the next attempt may be made.
    pub(super) fn retry_at(&self) -> DateTime<Utc> {
        let wait =
            TimeDelta::try_milliseconds(i64::try_from(self.wait_ms).unwrap_or(i64::MAX)).unwrap_or(TimeDelta::MAX);
        self.at.checked_add_signed(wait).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// How long to wait still. A clock that stepped back before the failure ends the wait, or it might last for ever.
    pub(super) fn wait(&self, now: DateTime<Utc>) -> Option<TimeDelta> {
        let left = self.retry_at() - now;
        (now >= self.at && left > TimeDelta::zero()).then_some(left)
    }
}

impl TokenRecord {
    /// The record of a key that never had a token.
    pub(super) fn new(key: TokenKey, target: Ulid) -> Self {
        Self {
            key,
            target,
            generation: 0,
            token: None,
            refresh: RefreshState::Ready,
            rotates: None,
            restored: None,
            failure: None,
            rejected_at: None,
            last_rejection_at: None,
            learned_lifetime: None,
            proven: None,
            stalled: None,
            connecting: None,
            attended: None,
        }
    }

    /// This record as it stands for an integration's target: what was got for another one is void.
    pub(super) fn for_target(self, target: Ulid) -> Self {
        if self.target == target {
            return self;
        }
        Self { generation: self.generation, ..Self::new(self.key, target) }
    }

    /// Lets go of a token that was made from the integration's settings alone, and these have changed since.
    pub(super) fn hold_against(&mut self, integration: &Integration) {
        let is_outdated = |token: &StoredToken| token.local && token.created_at < integration.updated_at;
        if self.token.as_ref().is_some_and(is_outdated) {
            self.token = None;
        }
    }

    /// Whether only a person can bring a token from nothing: the flow always needs one, or it wanted one since the integration
    /// was last changed.
    pub(super) fn is_attended(&self, flow: &Description, integration: &Integration) -> bool {
        !flow.unattended || self.attended == Some(integration.updated_at)
    }

    /// Whether there is a refresh token that hasn't ended.
    pub(super) fn has_refresh_token(&self, now: DateTime<Utc>) -> bool {
        self.token
            .as_ref()
            .is_some_and(|token| token.refresh_token.is_some() && token.refresh_expires_at.is_none_or(|end| end > now))
    }

    /// Takes down whether the provider gave another refresh token for the one it was sent. Once is enough.
    pub(super) fn learn_rotation(&mut self, seen: Option<bool>) {
        if self.rotates != Some(true) {
            self.rotates = seen.or(self.rotates);
        }
    }

    /// Puts the next generation in, which ends all that was known of the last one.
    pub(super) fn succeed(&mut self, generation: u64, token: StoredToken) {
        self.generation = generation;
        self.token = Some(token);
        self.refresh = RefreshState::Ready;
        self.restored = None;
        self.failure = None;
        self.rejected_at = None;
        self.stalled = None;
    }

    /// The token, unsealed.
    pub(super) fn open(&self, keyring: &Keyring) -> Result<Option<Token>, SealError> {
        self.token.as_ref().map(|token| token.open(self.generation, &self.key, keyring)).transpose()
    }
}

impl Sealing for TokenRecord {
    fn each_sealed(&mut self, _: &[String], visit: &mut Visit<'_>) -> Result<(), SealError> {
        match &mut self.token {
            Some(token) => token.each_sealed(self.generation, &self.key, visit),
            None => Ok(()),
        }
    }
}

/// What a sealed value is bound to: its record, its generation, and its name.
fn bound_to(key: &TokenKey, generation: u64, name: &str) -> Vec<u8> {
    let record = TOKENS.key(&[key.integration(), &key.slot()]);
    seal::bound_to(&record, &format!("{generation}.{name}"))
}

/// How a token goes into a request, as text.
fn written(placing: &Placing) -> Result<SecretString, SealError> {
    serde_json::to_string(placing)
        .map(SecretString::from)
        .map_err(|_| SealError::Malformed("it isn't how a token is placed"))
}

/// The same, from its text.
fn read(text: &SecretString) -> Result<Placing, SealError> {
    serde_json::from_str(text.expose_secret()).map_err(|_| SealError::Malformed("it isn't how a token is placed"))
}

impl StoredToken {
    /// A token, sealed for the record of a key.
    pub(super) fn seal(token: &Token, key: &TokenKey, keyring: &Keyring) -> Result<Self, SealError> {
        let seal = |name: &str, value: &SecretString| keyring.seal_text(&bound_to(key, token.generation, name), value);
        Ok(Self {
            access_token: token.access_token.as_ref().map(|value| seal("access_token", value)).transpose()?,
            refresh_token: token.refresh_token.as_ref().map(|value| seal("refresh_token", value)).transpose()?,
            token_type: token.token_type.clone(),
            scope: token.scope.clone(),
            created_at: token.created_at,
            expires_at: token.expires_at,
            expiry_source: token.expiry_source,
            refresh_expires_at: token.refresh_expires_at,
            values: token.values.clone(),
            secrets: (token.secrets.iter())
                .map(|(name, value)| Ok((name.clone(), seal(&format!("secrets.{name}"), value)?)))
                .collect::<Result<_, SealError>>()?,
            placing: match token.placing.is_default() {
                true => None,
                false => Some(seal("placing", &written(&token.placing)?)?),
            },
            local: token.local,
        })
    }

    fn open(&self, generation: u64, key: &TokenKey, keyring: &Keyring) -> Result<Token, SealError> {
        let open = |name: &str, value: &Sealed| keyring.open_text(&bound_to(key, generation, name), value);
        Ok(Token {
            access_token: self.access_token.as_ref().map(|value| open("access_token", value)).transpose()?,
            refresh_token: self.refresh_token.as_ref().map(|value| open("refresh_token", value)).transpose()?,
            token_type: self.token_type.clone(),
            scope: self.scope.clone(),
            created_at: self.created_at,
            expires_at: self.expires_at,
            expiry_source: self.expiry_source,
            refresh_expires_at: self.refresh_expires_at,
            values: self.values.clone(),
            secrets: (self.secrets.iter())
                .map(|(name, value)| Ok((name.clone(), open(&format!("secrets.{name}"), value)?)))
                .collect::<Result<_, SealError>>()?,
            placing: match &self.placing {
                None => Placing::default(),
                Some(sealed) => read(&open("placing", sealed)?)?,
            },
            local: self.local,
            generation,
        })
    }

    /// Shows each sealed value.
    fn each_sealed(&mut self, generation: u64, key: &TokenKey, visit: &mut Visit<'_>) -> Result<(), SealError> {
        let named = [
            ("access_token", &mut self.access_token),
            ("refresh_token", &mut self.refresh_token),
            ("placing", &mut self.placing),
        ];
        for (name, sealed) in named {
            if let Some(sealed) = sealed {
                visit(&bound_to(key, generation, name), sealed)?;
            }
        }
        for (name, sealed) in &mut self.secrets {
            visit(&bound_to(key, generation, &format!("secrets.{name}")), sealed)?;
        }
        Ok(())
    }

    /// When its refresh token ends.
    pub(super) fn refresh_expires_at(&self) -> Option<DateTime<Utc>> {
        self.refresh_expires_at
    }

    /// Whether a refresh token came with it.
    pub(super) fn has_refresh_token(&self) -> bool {
        self.refresh_token.is_some()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::flows::step::Signer;
    use crate::seal::MasterKey;
    use crate::store::memory::MemoryStore;

    pub(in super::super) fn key() -> TokenKey {
        TokenKey::of(&"crm".parse().unwrap())
    }

    pub(in super::super) fn token(refresh: bool) -> Token {
        Token {
            access_token: Some("secret-a".into()),
            refresh_token: refresh.then(|| "secret-r".into()),
            token_type: "Bearer".into(),
            scope: Some("read".into()),
            created_at: DateTime::UNIX_EPOCH,
            expires_at: None,
            expiry_source: None,
            refresh_expires_at: None,
            values: vec![("instance_url".into(), "https://eu".into())],
            secrets: vec![("cookie".into(), "secret-c".into())],
            placing: Placing {
                signer: Some(Signer { name: "s".into(), parameters: Vec::new() }),
                ..Placing::default()
            },
            local: false,
            generation: 3,
        }
    }

    fn keyring() -> Keyring {
        let master = MasterKey::generate("a test").unwrap();
        let made = tokio::runtime::Builder::new_current_thread().build().unwrap();
        made.block_on(Keyring::load_or_create(&MemoryStore::new(), &master)).unwrap()
    }

    /// A token at rest, for tests that don't open it.
    pub(in super::super) fn stored_token(refresh: bool) -> StoredToken {
        StoredToken::seal(&token(refresh), &key(), &keyring()).unwrap()
    }

    #[test]
    fn another_target_voids_all_but_the_generation() {
        let mut record = TokenRecord::new(key(), Ulid::from_parts(1, 1));
        record.succeed(7, stored_token(true));
        record.refresh = RefreshState::Uncertain;
        let same = record.clone().for_target(Ulid::from_parts(1, 1));
        assert!(same.token.is_some());
        let other = record.for_target(Ulid::from_parts(2, 2));
        assert!(other.token.is_none() && other.refresh == RefreshState::Ready);
        assert_eq!(other.generation, 7);
    }

    #[test]
    fn a_sealed_token_opens_only_as_its_own_generation_and_record() {
        let keyring = keyring();
        let mut record = TokenRecord::new(key(), Ulid::nil());
        record.succeed(3, StoredToken::seal(&token(true), &key(), &keyring).unwrap());
        let json = serde_json::to_string(&record).unwrap();
        assert!(!json.contains("secret-"), "{json}");
        let mut read: TokenRecord = serde_json::from_str(&json).unwrap();
        let opened = read.open(&keyring).unwrap().unwrap();
        assert_eq!(opened.refresh_token.unwrap().expose_secret(), "secret-r");
        assert_eq!(opened.secrets[0].1.expose_secret(), "secret-c");
        assert_eq!(opened.placing.signer.unwrap().name, "s");
        read.generation = 4;
        read.open(&keyring).unwrap_err();
        read.generation = 3;
        read.key = TokenKey::of(&"other".parse().unwrap());
        read.open(&keyring).unwrap_err();
    }
}
