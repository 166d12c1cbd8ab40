//! Tests of [`Access`](super::Access) against the store for tests.

mod changes;
mod ending;
mod giving;
mod survival;
mod verification;

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::application::ApplicationChange;
use super::personal::PersonalChange;
use super::user::UserChange;
use super::*;
use crate::clock::TestClock;
use crate::seal::MasterKey;
use crate::store::memory::MemoryStore;

/// A store with its access and an administrator.
pub(super) struct World {
    pub(super) store: Arc<MemoryStore>,
    pub(super) master: MasterKey,
    pub(super) clock: Arc<TestClock>,
    pub(super) access: Access,
    /// The first administrator's token.
    pub(super) token: String,
    /// The first administrator.
    pub(super) admin: Arc<Principal>,
}

/// The profile whose users may use personal tokens in these tests.
pub(super) const ALLOWED: &str = "REST Services User";

/// Settings under which [`ALLOWED`] may use personal tokens.
pub(super) fn policy() -> Policy {
    Policy {
        personal_tokens_allowed_profiles: vec![ALLOWED.parse().unwrap()],
        scopes: vec!["Grafana".parse().unwrap()],
        ..Policy::default()
    }
}

pub(super) async fn open(
    store: &Arc<MemoryStore>,
    master: &MasterKey,
    clock: &Arc<TestClock>,
    policy: Policy,
) -> Access {
    let store = Arc::clone(store) as Arc<dyn Store>;
    let clock = Arc::clone(clock) as SharedClock;
    let keyring = Arc::new(Keyring::load_or_create(&*store, master).await.unwrap());
    let organizations = Arc::new(Organizations::open(Arc::clone(&store), Arc::clone(&clock)).await.unwrap());
    let tally = Arc::new(Tally::new(Arc::clone(&clock)));
    Access::open(Parts { store, keyring, clock, organizations, tally, policy, counts: None }).await.unwrap()
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(policy()).await
    }

    pub(super) async fn with(policy: Policy) -> Self {
        let (store, master) = (Arc::new(MemoryStore::new()), MasterKey::generate("a file").unwrap());
        let clock = TestClock::at("2026-11-22T10:00:00Z".parse().unwrap());
        let access = open(&store, &master, &clock, policy).await;
        let token = access.create_first_administrator().await.unwrap().expose_secret().to_owned();
        let admin = Arc::clone(&access.enter(&token, &ANYWHERE).await.unwrap().principal);
        Self { store, master, clock, access, token, admin }
    }

    /// The same installation after another start, with other settings.
    pub(super) async fn again(&self, policy: Policy) -> Access {
        open(&self.store, &self.master, &self.clock, policy).await
    }

    /// Makes a user with these profiles.
    pub(super) async fn user(&self, login: &str, profiles: &[&str]) -> user::User {
        let change = UserChange { standing: profiles_of(profiles), ..UserChange::default() };
        self.access.create_user(&self.admin, login, change, false).await.unwrap()
    }

    /// Makes a personal token for `ada`, who is made if need be.
    pub(super) async fn personal(&self, scopes: &[&str]) -> (TokenId, String) {
        if self.access.user(&"ada".parse().unwrap()).await.is_err() {
            self.user("ada", &[ALLOWED]).await;
        }
        let (token, secret) = self.access.create_personal(&self.admin, "ada", personal(scopes), false).await.unwrap();
        (token.id, secret.unwrap().expose_secret().to_owned())
    }

    /// Makes an application token.
    pub(super) async fn application(&self, name: &str, profiles: &[&str], scopes: &[&str]) -> (TokenId, String) {
        let change = ApplicationChange {
            standing: profiles_of(profiles),
            scopes: Some(texts(scopes)),
            ..ApplicationChange::default()
        };
        let (token, secret) = self.access.create_application(&self.admin, name, change, false).await.unwrap();
        (token.id, secret.unwrap().expose_secret().to_owned())
    }

    /// Why a token isn't let in, or `ok`; both ways, from memory and not.
    pub(super) async fn outcome(&self, token: &str, scope: Option<ScopeId>) -> &'static str {
        outcome(&self.access, token, scope).await
    }
}

pub(super) async fn outcome(access: &Access, token: &str, scope: Option<ScopeId>) -> &'static str {
    let peeked = access.peek(token, scope).is_some();
    match access.enter(token, &Visit { scope, address: None }).await {
        Ok(_) => "ok",
        Err(_) if peeked => panic!("memory lets in what isn't let in"),
        Err(Denial::Refused(refused)) => refused.reason.code(),
        Err(Denial::Unavailable(_)) => "unavailable",
    }
}

/// Any context, from nowhere in particular.
pub(super) const ANYWHERE: Visit = Visit { scope: None, address: None };

pub(super) fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

pub(super) fn profiles_of(profiles: &[&str]) -> StandingChange {
    StandingChange { profiles: Some(texts(profiles)), ..StandingChange::default() }
}

pub(super) fn personal(scopes: &[&str]) -> PersonalChange {
    PersonalChange { application: Some("nightly".to_owned()), scopes: Some(texts(scopes)), ..PersonalChange::default() }
}

/// What is wrong, as `field code` lines.
pub(super) fn faults(error: &AccessError) -> Vec<String> {
    match error {
        AccessError::Invalid(faults) => {
            faults.iter().map(|fault| format!("{} {}", fault.field, fault.code.as_str())).collect()
        }
        other => vec![other.to_string()],
    }
}

pub(super) const DAY: Duration = Duration::from_secs(86_400);
