//! Inbound tokens: who is calling. So far application tokens, of which the first one is the administrator's.
//!
//! It answers who presents a token and with what rights; which call needs which right, and what a refusal looks like
//! from outside, is said in `api`.

mod application;
pub mod password;
mod rights;
pub mod session;
pub mod throttle;
mod token;
pub mod usage;

use std::fmt;
use std::sync::Arc;

use moka::sync::Cache;
use secrecy::SecretString;
use tokio::sync::RwLock;

use self::application::{ApplicationToken, Digest, Digester, NAMES, TOKENS};
pub use self::rights::{Right, Rights};
use self::token::Presented;
pub use self::token::{TokenId, TokenKind};
use crate::clock::SharedClock;
use crate::name::{Name, NameError};
use crate::seal::Keyring;
use crate::store::{Batch, Store, StoreError};

/// What the first administrator is called.
const FIRST_ADMINISTRATOR: &str = "administrator";
/// Principals kept in memory after their token was seen to be right. Some 300 bytes each; others cost a read.
const CACHED: u64 = 100_000;

/// Who is calling.
#[derive(Clone, Debug)]
pub struct Principal {
    /// What it is.
    pub kind: PrincipalKind,
    /// Its name.
    pub name: Name,
    /// The kind of the token that it presented.
    pub token_kind: TokenKind,
    /// The public id of the token that it presented.
    token_id: TokenId,
    /// What it may do.
    pub rights: Rights,
}

impl Principal {
    /// The public id of the token that it presented, for logs and lists.
    pub fn token_id(&self) -> &str {
        token::id_text(&self.token_id)
    }

    /// Whether it has the right.
    pub fn may(&self, right: Right) -> bool {
        self.rights.contains(right)
    }
}

/// What a principal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalKind {
    /// A program that is a principal of its own.
    Application,
}

/// Why a token wasn't accepted. From outside, the first two look the same.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refusal {
    /// It isn't in the form of a token, or mistyped.
    #[error("the token is malformed")]
    Malformed,
    /// No such token, or not any more.
    #[error("the token is unknown")]
    Unknown,
    /// Whether there is such a token couldn't be found out.
    #[error(transparent)]
    Unavailable(#[from] StoreError),
}

impl Refusal {
    /// The reason's stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

/// Why an inbound token couldn't be made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AccessError {
    /// There is an administrator.
    #[error("this data folder has an administrator already; if its token is lost, have it rebuilt")]
    AlreadyInitialised,
    /// There is no application of this name.
    #[error("there is no application called {0}")]
    NoSuchApplication(Name),
    /// A name was refused.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The installation's keys can't be used for digests.
    #[error("the key for token digests can't be used")]
    Key,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A token that was seen to be right.
struct Known {
    /// Its digest.
    digest: Digest,
    /// Who presents it.
    principal: Arc<Principal>,
}

/// The life of inbound tokens.
pub struct Access {
    /// Where records are.
    store: Arc<dyn Store>,
    /// Makes digests.
    digester: Digester,
    /// What time it is.
    clock: SharedClock,
    /// Tokens that were seen to be right, by id.
    known: Cache<TokenId, Arc<Known>>,
    /// Held for writing while a token changes, and for reading while one is read and cached: else a read from before
    /// the change could be cached after it.
    changes: RwLock<()>,
}

impl Access {
    /// Verifies and makes the tokens in this store.
    ///
    /// # Errors
    /// [`AccessError::Key`].
    pub fn open(store: Arc<dyn Store>, keyring: &Keyring, clock: SharedClock) -> Result<Self, AccessError> {
        let digester = Digester::new(keyring).ok_or(AccessError::Key)?;
        Ok(Self { store, digester, clock, known: Cache::new(CACHED), changes: RwLock::new(()) })
    }

    /// Makes the first administrator, an application, and returns its token, which is shown once and kept nowhere.
    ///
    /// # Errors
    /// [`AccessError::AlreadyInitialised`], or the store failed.
    pub async fn create_first_administrator(&self) -> Result<SecretString, AccessError> {
        let (id, secret) = token::generate(TokenKind::Application);
        let id = token::id_text(&id);
        let name = Name::try_from(FIRST_ADMINISTRATOR)?;
        let record = ApplicationToken {
            name: name.clone(),
            digest: self.digest_of(&secret).ok_or(AccessError::Key)?,
            profiles: vec![rights::ADMINISTRATOR.to_owned()],
            created_at: self.clock.now(),
            rebuilt_at: None,
        };
        let mut batch = Batch::synced();
        NAMES.expect(&mut batch, &[name.as_str()], None);
        NAMES.put(&mut batch, &[name.as_str()], &id.to_owned())?;
        TOKENS.expect(&mut batch, &[id], None);
        TOKENS.put(&mut batch, &[id], &record)?;
        match self.store.commit(batch).await {
            Ok(_) => Ok(secret),
            Err(StoreError::Conflict) => Err(AccessError::AlreadyInitialised),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces the value of an application's token. The old value is refused from the next request on; the new one is
    /// shown once.
    ///
    /// # Errors
    /// [`AccessError::NoSuchApplication`], or the store failed; [`StoreError::Conflict`] where another change came
    /// first.
    pub async fn rebuild(&self, application: &Name) -> Result<SecretString, AccessError> {
        let missing = || AccessError::NoSuchApplication(application.clone());
        let _changing = self.changes.write().await;
        let named = NAMES.get(&*self.store, &[application.as_str()]).await?.ok_or_else(missing)?;
        let id = token::parse_id(&named.value).ok_or_else(missing)?;
        let mut stored = TOKENS.get(&*self.store, &[&named.value]).await?.ok_or_else(missing)?;
        let secret = token::with_id(TokenKind::Application, &id);
        stored.value.digest = self.digest_of(&secret).ok_or(AccessError::Key)?;
        stored.value.rebuilt_at = Some(self.clock.now());
        let mut batch = Batch::synced();
        TOKENS.expect(&mut batch, &[&named.value], Some(stored.revision));
        TOKENS.put(&mut batch, &[&named.value], &stored.value)?;
        self.store.commit(batch).await?;
        self.known.invalidate(&id);
        Ok(secret)
    }

    /// Who presents this token, where it was seen before: a hash and one look-up in memory, no waiting. `None` says
    /// nothing; ask [`Access::authenticate`].
    pub fn authenticate_cached(&self, presented: &str) -> Option<Arc<Principal>> {
        let presented = token::parse(presented)?;
        self.among_known(&presented, &self.digester.digest(presented.body))
    }

    /// Who presents this token.
    ///
    /// # Errors
    /// Why it isn't accepted.
    pub async fn authenticate(&self, presented: &str) -> Result<Arc<Principal>, Refusal> {
        let presented = token::parse(presented).ok_or(Refusal::Malformed)?;
        let digest = self.digester.digest(presented.body);
        if let Some(principal) = self.among_known(&presented, &digest) {
            return Ok(principal);
        }
        // An unknown id and a wrong secret both come here, and both cost one read and one comparison.
        let _reading = self.changes.read().await;
        let stored = match presented.kind {
            TokenKind::Application => TOKENS.get(&*self.store, &[token::id_text(presented.id)]).await?,
            TokenKind::Personal => None,
        };
        let right = stored.as_ref().map_or(Digest::DECOY, |stored| stored.value.digest);
        let matches = right.matches(&digest);
        let stored = stored.filter(|_| matches).ok_or(Refusal::Unknown)?;
        let principal = Arc::new(stored.value.principal(presented.id));
        self.known.insert(*presented.id, Arc::new(Known { digest, principal: Arc::clone(&principal) }));
        Ok(principal)
    }

    /// Forgets what is cached, as after a change that another daemon made.
    pub fn forget_cached(&self) {
        self.known.invalidate_all();
    }

    /// The principal, where its token is cached with this digest.
    fn among_known(&self, presented: &Presented<'_>, digest: &Digest) -> Option<Arc<Principal>> {
        let known = self.known.get(presented.id)?;
        // An id is that of one token, whatever the prefix claims.
        let matches = known.digest.matches(digest) & (known.principal.token_kind == presented.kind);
        matches.then(|| Arc::clone(&known.principal))
    }

    /// The digest of a token that was just made.
    fn digest_of(&self, secret: &SecretString) -> Option<Digest> {
        let presented = token::parse(secrecy::ExposeSecret::expose_secret(secret))?;
        Some(self.digester.digest(presented.body))
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("cached", &self.known.entry_count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
