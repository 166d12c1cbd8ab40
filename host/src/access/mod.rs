//! The life of inbound tokens: principals, their tokens, who is calling and what they may do.
//!
//! It answers who presents a credential and with what rights. Which call needs which right, and what a refusal looks like
//! from outside, is said in `api`.

pub mod application;
mod census;
mod credential;
mod digest;
mod ending;
mod error;
mod inquiry;
mod known;
mod operations;
mod own;
pub mod password;
mod peppers;
pub mod personal;
mod powerless;
mod principal;
mod profile;
mod profiles;
mod purge;
mod reason;
mod rights;
pub mod scopes;
pub mod session;
mod signin;
mod standing;
pub mod throttle;
mod token;
mod tokens;
pub mod usage;
pub mod user;
mod verify;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use chrono::{DateTime, Utc};
use secrecy::SecretString;

use self::application::ApplicationChange;
pub use self::census::Census;
use self::digest::Peppers;
pub use self::ending::Ending;
pub use self::error::AccessError;
pub use self::inquiry::{AnyToken, FoundValue, Inquiry};
use self::known::Cache;
pub use self::known::Known;
pub use self::operations::OperationPattern;
pub use self::own::OwnChange;
use self::password::Passwords;
pub use self::peppers::PepperStatus;
pub use self::powerless::Lack;
pub use self::principal::{Callable, Principal, PrincipalKind, TokenRef};
pub use self::profile::{ADMINISTRATOR, Grant, Profile, REST_SERVICES_USER, is_shipped_profile};
pub use self::profiles::{GrantInput, ProfileChange};
pub use self::reason::Reason;
pub use self::rights::{Right, Rights};
pub use self::scopes::{ScopeId, Scopes};
use self::session::Sessions;
pub use self::standing::{Contact, ContactChange, Standing, StandingChange, Status};
use self::throttle::Throttle;
pub use self::token::{TokenId, TokenKind, id_of, id_text, parse_id};
pub use self::tokens::{Deletion, LONGEST_GRACE, TokenState};
pub use self::usage::UsageRecord;
use self::usage::{Moved, Usage};
pub use self::verify::{Denial, Refused, Visit};
use crate::audit::Tally;
use crate::clock::SharedClock;
pub use crate::config::{Access as Policy, External, LoginType};
use crate::name::Name;
use crate::organizations::Organizations;
use crate::seal::Keyring;
use crate::store::{Store, StoreError};
pub use crate::text::{Label, Login, ProfileName, Scope, TextError};

/// What the first administrator is called.
const FIRST_ADMINISTRATOR: &str = "administrator";
/// Counts that are written to the store each minute, some more at most: a fraction of a second's work.
const FOLDED_AT_ONCE: usize = 32_768;
/// The door that uses of tokens are told under: whichever it was, they count as one.
const TOKEN_DOOR: &str = "token";

/// What the room works with.
#[expect(missing_docs, reason = "each is named like its room")]
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub keyring: Arc<Keyring>,
    pub clock: SharedClock,
    pub organizations: Arc<Organizations>,
    /// Where uses from other addresses are told.
    pub tally: Arc<Tally>,
    pub policy: Policy,
    /// The file in which uses are counted; none: in memory, as where nothing is served.
    pub counts: Option<PathBuf>,
}

/// The life of inbound tokens.
pub struct Access {
    store: Arc<dyn Store>,
    keyring: Arc<Keyring>,
    clock: SharedClock,
    organizations: Arc<Organizations>,
    /// What operators set; a reload exchanges it.
    policy: ArcSwap<Policy>,
    /// The scopes there are.
    pub scopes: Scopes,
    /// Makes digests.
    peppers: Peppers,
    /// Tokens that were seen to be right.
    cache: Arc<Cache>,
    /// Counts uses.
    usage: Usage,
    /// Sessions of people.
    pub sessions: Sessions,
    /// Compares passwords.
    passwords: Passwords,
    /// Slows guessing.
    pub throttle: Throttle,
    /// Where uses from other addresses are told.
    tally: Arc<Tally>,
    /// Personal tokens that were found to end soon.
    ending: Mutex<Vec<Ending>>,
}

impl Access {
    /// Verifies and makes the tokens in this store.
    ///
    /// # Errors
    /// The keys can't be used, or the storage failed.
    pub async fn open(parts: Parts) -> Result<Self, AccessError> {
        let Parts { store, keyring, clock, organizations, tally, policy, counts } = parts;
        let cache = Arc::new(Cache::new());
        let told = Arc::downgrade(&cache);
        organizations.subscribe(Box::new(move |_| {
            if let Some(cache) = told.upgrade() {
                cache.forget_principals();
            }
        }));
        Ok(Self {
            peppers: Peppers::open(&*store, &keyring).await?,
            usage: Usage::open(counts.as_deref(), Arc::clone(&store)).await?,
            sessions: Sessions::new(Arc::clone(&store), Arc::clone(&clock)),
            passwords: Passwords::new().await.map_err(|_| AccessError::Key)?,
            throttle: Throttle::new(Arc::clone(&clock)),
            tally,
            ending: Mutex::default(),
            scopes: Scopes::new(&policy.scopes),
            cache,
            policy: ArcSwap::from_pointee(policy),
            store,
            keyring,
            clock,
            organizations,
        })
    }

    /// What operators set, at this moment: whoever asks twice may get two answers.
    pub fn policy(&self) -> Guard<Arc<Policy>> {
        self.policy.load()
    }

    /// Exchanges what operators set. What was found out under the old policy is forgotten. Scopes and the names of the
    /// proxies' headers stay as they were at the start.
    pub fn set_policy(&self, policy: Policy) {
        self.policy.store(Arc::new(policy));
        self.cache.forget_principals();
    }

    /// Makes the first administrator, an application, and returns its token, which is shown once and kept nowhere.
    ///
    /// # Errors
    /// [`AccessError::AlreadyInitialised`], or the store failed.
    pub async fn create_first_administrator(&self) -> Result<SecretString, AccessError> {
        let new = ApplicationChange {
            standing: StandingChange { profiles: Some(vec![ADMINISTRATOR.to_owned()]), ..StandingChange::default() },
            ..ApplicationChange::default()
        };
        match self.create_application(&Principal::system(), FIRST_ADMINISTRATOR, new, false).await {
            Ok((_, Some(secret))) => Ok(secret),
            Ok((_, None)) => Err(AccessError::Key),
            Err(AccessError::Exists { .. }) => Err(AccessError::AlreadyInitialised),
            Err(error) => Err(error),
        }
    }

    /// Replaces the value of an application's token, for whoever has the data folder and the master key. The old value is
    /// refused from the next request on; the new one is shown once.
    ///
    /// # Errors
    /// There is no application of this name, or the store failed.
    pub async fn rebuild_named(&self, application: &Name) -> Result<SecretString, AccessError> {
        let id = self.application_named(application).await?;
        Ok(self.rebuild_application(&Principal::system(), &id, Duration::ZERO).await?.1)
    }

    /// Retires the pepper that keys the digests of tokens. What was made under it is accepted until then, where
    /// `allow_fallback_token` is set; otherwise every token has to be rebuilt.
    ///
    /// # Errors
    /// The store failed; [`AccessError::Changed`] where another rotation came first.
    pub async fn rotate_pepper(&self, accept_until: DateTime<Utc>) -> Result<(), AccessError> {
        self.peppers.rotate(&*self.store, &self.keyring, self.clock.now(), accept_until).await?;
        self.cache.forget_principals();
        Ok(())
    }

    /// How often and when a token was last used, and from where.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn usage(&self, id: &TokenId) -> Result<UsageRecord, StoreError> {
        self.usage.read(id).await
    }

    /// Tells where tokens were used since it was last told. To be called before the audit log takes that down.
    pub fn settle_usage(&self) {
        self.cache.for_each(|id, known| {
            if let Some(Moved { previous, uses }) = known.slot.settle() {
                self.tally.used(id_text(id), previous, TOKEN_DOOR, uses);
            }
        });
    }

    /// Tells where one token was used since that was last told, though it isn't known any more.
    pub fn settle_usage_of(&self, id: &TokenId) {
        if let Some(Moved { previous, uses }) = self.usage.settle(id) {
            self.tally.used(id_text(id), previous, TOKEN_DOOR, uses);
        }
    }

    /// Writes what was counted to the store. To be called at the stop.
    ///
    /// # Errors
    /// The storage failed; nothing is lost by it.
    pub async fn fold_usage(&self) -> Result<(), StoreError> {
        self.usage.fold().await.map(drop)
    }

    /// Writes some of what was counted to the store, each time some more. To be called every minute.
    ///
    /// # Errors
    /// The storage failed; nothing is lost by it.
    pub async fn fold_some_usage(&self) -> Result<(), StoreError> {
        self.usage.fold_part(FOLDED_AT_ONCE).await.map(drop)
    }

    /// How long expired and deleted tokens stay visible.
    pub const DEAD_FOR: Duration = Duration::from_secs(400 * 86_400);

    /// Forgets what is cached, as after a change that another daemon made.
    pub fn forget_cached(&self) {
        self.cache.forget_principals();
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("cached", &self.cache.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
