//! Sessions of people who signed in with a password, for the cookie of their browser. Stored by digest, so that a stolen
//! database holds no session that could be used. It checks no password, knows no cookie syntax, and a login is just text.
//!
//! Both limits go by the wall clock, since sessions outlive a restart: a clock that steps back lengthens them by as much.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::clock::SharedClock;
use crate::store::table::{Page, Table};
use crate::store::{Batch, Store, StoreError};

/// How long a session lives without being used.
const IDLE: TimeDelta = TimeDelta::hours(1);
/// How long a session lives.
const ABSOLUTE: TimeDelta = TimeDelta::hours(12);
/// How old `last_seen` gets before it is written anew.
const SEEN: TimeDelta = TimeDelta::minutes(1);
/// Sessions of a login.
const PER_LOGIN: usize = 20;
/// Sessions ended together.
const AT_ONCE: usize = 500;
/// Bytes of an id: 256 bits.
const ID_BYTES: usize = 32;

/// Sessions, by the SHA-256 of their id, in hexadecimal.
const SESSIONS: Table<Session> = Table::new("session");
/// When each session began, by login and by the key of [`SESSIONS`].
const BY_LOGIN: Table<DateTime<Utc>> = Table::new("session-login");

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Who signed in.
    pub login: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When it was last used; up to a minute old.
    pub last_seen: DateTime<Utc>,
    /// When it ends, however much it is used.
    pub expires_at: DateTime<Utc>,
    /// What it stands and falls with, as whoever began it called it.
    #[serde(default)]
    pub stamp: String,
}

impl Session {
    fn is_over(&self, now: DateTime<Utc>) -> bool {
        now >= self.expires_at || now.signed_duration_since(self.last_seen) >= IDLE
    }
}

/// Why there is no new session.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SessionError {
    /// The operating system gave no random bytes.
    #[error("there are no random bytes for a session's id")]
    NoRandom,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Ends all sessions of everybody in a store that nobody serves, and returns how many.
///
/// # Errors
/// The store failed.
pub async fn end_sessions(store: &dyn Store) -> Result<u64, StoreError> {
    let mut ended = 0;
    loop {
        let page = Page { limit: AT_ONCE, ..Page::default() };
        let (sessions, logins) = (SESSIONS.list(store, &[], page).await?, BY_LOGIN.list(store, &[], page).await?);
        if sessions.is_empty() && logins.is_empty() {
            return Ok(ended);
        }
        let mut batch = Batch::synced();
        for session in &sessions {
            SESSIONS.remove(&mut batch, &session.key.iter().map(String::as_str).collect::<Vec<_>>());
        }
        for login in logins {
            BY_LOGIN.remove(&mut batch, &login.key.iter().map(String::as_str).collect::<Vec<_>>());
        }
        ended += sessions.len() as u64;
        store.commit(batch).await?;
    }
}

/// All sessions.
pub struct Sessions {
    /// Where they are.
    store: Arc<dyn Store>,
    /// What time it is.
    clock: SharedClock,
    /// Held while sessions begin and end, so that none escapes who ends them all.
    changes: Mutex<()>,
}

impl Sessions {
    /// The sessions in this store.
    pub fn new(store: Arc<dyn Store>, clock: SharedClock) -> Self {
        Self { store, clock, changes: Mutex::new(()) }
    }

    /// Begins a session, and ends those of this login that are too many, the oldest first. Returns the id for the cookie: 43
    /// characters of base64url (RFC 4648, section 5), shown once and kept nowhere. The stamp is kept, and says nothing to this
    /// room.
    ///
    /// # Errors
    /// [`SessionError`].
    pub async fn create(&self, login: &str, stamp: &str) -> Result<(SecretString, Session), SessionError> {
        let mut id = Zeroizing::new([0; ID_BYTES]);
        getrandom::fill(&mut *id).map_err(|_| SessionError::NoRandom)?;
        let now = self.clock.now();
        let session = Session {
            login: login.to_owned(),
            created_at: now,
            last_seen: now,
            expires_at: now + ABSOLUTE,
            stamp: stamp.to_owned(),
        };
        let _changing = self.changes.lock().await;
        let mut others = self.of(login).await?;
        others.sort_unstable();
        let surplus = (others.len() + 1).saturating_sub(PER_LOGIN);
        let mut batch = Batch::synced();
        for (_, key) in others
            .into_iter()
            .enumerate()
            .filter(|(index, (created_at, _))| *index < surplus || now.signed_duration_since(*created_at) >= ABSOLUTE)
        {
            remove(&mut batch, login, &key.1);
        }
        let key = digest(&id);
        SESSIONS.expect(&mut batch, &[&key], None);
        SESSIONS.put(&mut batch, &[&key], &session)?;
        BY_LOGIN.put(&mut batch, &[login, &key], &now)?;
        self.store.commit(batch).await?;
        Ok((SecretString::from(BASE64_URL_SAFE_NO_PAD.encode(*id)), session))
    }

    /// The session of this id, as a cookie presents it, where it isn't over. Notes that it was used, without a sync.
    ///
    /// # Errors
    /// The store failed.
    pub async fn find(&self, presented: &str) -> Result<Option<Session>, StoreError> {
        let Some(key) = key(presented) else { return Ok(None) };
        let Some(found) = SESSIONS.get(&*self.store, &[&key]).await? else { return Ok(None) };
        let (mut session, now) = (found.value, self.clock.now());
        let mut batch = Batch::buffered();
        // A session that ended meanwhile mustn't come back by being used.
        SESSIONS.expect(&mut batch, &[&key], Some(found.revision));
        if session.is_over(now) {
            remove(&mut batch, &session.login, &key);
            return self.commit_unless_changed(batch).await.map(|_| None);
        }
        // Where the clock stepped back, too.
        if now.signed_duration_since(session.last_seen).abs() < SEEN {
            return Ok(Some(session));
        }
        session.last_seen = now;
        SESSIONS.put(&mut batch, &[&key], &session)?;
        if self.commit_unless_changed(batch).await? {
            return Ok(Some(session));
        }
        // Another use was noted first, or the session was ended.
        let found = SESSIONS.get(&*self.store, &[&key]).await?;
        Ok(found.map(|found| found.value).filter(|session| !session.is_over(now)))
    }

    /// Ends the session of this id, as a cookie presents it. Returns whether there was one.
    ///
    /// # Errors
    /// The store failed.
    pub async fn end(&self, presented: &str) -> Result<bool, StoreError> {
        let Some(key) = key(presented) else { return Ok(false) };
        let _changing = self.changes.lock().await;
        let Some(found) = SESSIONS.get(&*self.store, &[&key]).await? else { return Ok(false) };
        let mut batch = Batch::synced();
        remove(&mut batch, &found.value.login, &key);
        self.store.commit(batch).await?;
        Ok(true)
    }

    /// Ends all sessions of this login, as where its password changes or it is disabled. Returns how many.
    ///
    /// # Errors
    /// The store failed.
    pub async fn end_all(&self, login: &str) -> Result<usize, StoreError> {
        let _changing = self.changes.lock().await;
        let all = self.of(login).await?;
        if all.is_empty() {
            return Ok(0);
        }
        let mut batch = Batch::synced();
        for (_, key) in &all {
            remove(&mut batch, login, key);
        }
        self.store.commit(batch).await?;
        Ok(all.len())
    }

    /// How many there are that aren't over.
    ///
    /// # Errors
    /// The store failed.
    pub async fn count(&self) -> Result<u64, StoreError> {
        let (now, mut count) = (self.clock.now(), 0);
        let mut walk = SESSIONS.walk(&*self.store, &[], AT_ONCE);
        while let Some(found) = walk.next().await? {
            count += found.iter().filter(|session| !session.value.is_over(now)).count() as u64;
        }
        Ok(count)
    }

    /// The sessions of this login: when they began, and their keys.
    async fn of(&self, login: &str) -> Result<Vec<(DateTime<Utc>, String)>, StoreError> {
        // No login ever has more: `create` sees to it.
        let page = Page { limit: PER_LOGIN + 1, ..Page::default() };
        let all = BY_LOGIN.list(&*self.store, &[login], page).await?;
        Ok(all.into_iter().filter_map(|mut found| Some((found.value, found.key.pop()?))).collect())
    }

    /// Whether it was written; not where the session changed meanwhile.
    async fn commit_unless_changed(&self, batch: Batch) -> Result<bool, StoreError> {
        match self.store.commit(batch).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

/// Removes a session and its place under the login.
fn remove(batch: &mut Batch, login: &str, key: &str) {
    SESSIONS.remove(batch, &[key]);
    BY_LOGIN.remove(batch, &[login, key]);
}

/// The key of a presented id; `None` where it is none.
fn key(presented: &str) -> Option<String> {
    let mut id = Zeroizing::new([0; ID_BYTES]);
    // Its length first, so that a longer one costs nothing.
    let is_whole = presented.len() == 43 && BASE64_URL_SAFE_NO_PAD.decode_slice(presented, &mut *id) == Ok(ID_BYTES);
    is_whole.then(|| digest(&id))
}

/// What an id is stored by. It needs no key: nobody guesses 256 random bits.
fn digest(id: &[u8; ID_BYTES]) -> String {
    hex::encode(Sha256::digest(id))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::clock::TestClock;
    use crate::store::memory::MemoryStore;

    const MINUTE: Duration = Duration::from_secs(60);

    fn sessions() -> (Sessions, Arc<TestClock>, Arc<MemoryStore>) {
        let clock = TestClock::at("2026-11-22T10:00:00Z".parse().unwrap());
        let store = Arc::new(MemoryStore::new());
        let sessions = Sessions::new(Arc::clone(&store) as Arc<dyn Store>, Arc::clone(&clock) as SharedClock);
        (sessions, clock, store)
    }

    async fn create(sessions: &Sessions, login: &str) -> String {
        sessions.create(login, "").await.unwrap().0.expose_secret().to_owned()
    }

    async fn login_of(sessions: &Sessions, id: &str) -> Option<String> {
        sessions.find(id).await.unwrap().map(|session| session.login)
    }

    #[tokio::test]
    async fn a_session_is_found_until_it_is_ended() {
        let (sessions, _, store) = sessions();
        let (alice, again, bob) =
            (create(&sessions, "alice").await, create(&sessions, "alice").await, create(&sessions, "bob").await);
        assert_eq!(login_of(&sessions, &alice).await.as_deref(), Some("alice"));
        assert_eq!(login_of(&sessions, &bob).await.as_deref(), Some("bob"));
        assert_eq!(sessions.count().await.unwrap(), 3);
        let dump = format!("{:?}", store.dump());
        assert!(!dump.contains(&alice) && !dump.contains(&bob), "an id is in the store");
        for none in ["", "x", &alice[1..], &format!("{alice}="), &alice.replace(&alice[..9], "%%%%%%%%%")] {
            assert_eq!(sessions.find(none).await.unwrap(), None, "{none}");
        }
        assert!(sessions.end(&alice).await.unwrap());
        assert!(!sessions.end(&alice).await.unwrap());
        assert_eq!(login_of(&sessions, &alice).await, None);
        assert_eq!(login_of(&sessions, &again).await.as_deref(), Some("alice"));
        assert_eq!(sessions.end_all("alice").await.unwrap(), 1);
        assert_eq!(sessions.end_all("alice").await.unwrap(), 0);
        assert_eq!(login_of(&sessions, &again).await, None);
        assert_eq!(login_of(&sessions, &bob).await.as_deref(), Some("bob"));
        sessions.end_all("bob").await.unwrap();
        assert!(store.dump().is_empty());
    }

    #[tokio::test]
    async fn an_idle_session_ends() {
        let (sessions, clock, store) = sessions();
        let id = create(&sessions, "alice").await;
        for _ in 0..5 {
            clock.advance(59 * MINUTE);
            assert!(login_of(&sessions, &id).await.is_some());
        }
        clock.advance(60 * MINUTE);
        assert_eq!(sessions.count().await.unwrap(), 0, "though it is still there");
        assert_eq!(login_of(&sessions, &id).await, None);
        assert!(store.dump().is_empty(), "what is over is removed");
    }

    #[tokio::test]
    async fn a_used_session_ends_too() {
        let (sessions, clock, _) = sessions();
        let id = create(&sessions, "alice").await;
        for _ in 0..23 {
            clock.advance(30 * MINUTE);
            assert!(login_of(&sessions, &id).await.is_some());
        }
        clock.advance(30 * MINUTE);
        assert_eq!(login_of(&sessions, &id).await, None);
    }

    #[tokio::test]
    async fn uses_are_noted_once_a_minute() {
        let (sessions, clock, store) = sessions();
        let id = create(&sessions, "alice").await;
        let (commits, syncs) = (store.commits(), store.syncs());
        for _ in 0..180 {
            clock.advance(Duration::from_secs(1));
            login_of(&sessions, &id).await.unwrap();
        }
        assert_eq!((store.commits() - commits, store.syncs() - syncs), (3, 0));
        // A clock that stepped back ends no session, and one that is right again counts from then.
        clock.step_to("2026-11-22T03:00:00Z".parse().unwrap());
        login_of(&sessions, &id).await.unwrap();
        clock.advance(60 * MINUTE);
        assert_eq!(login_of(&sessions, &id).await, None);
    }

    #[tokio::test]
    async fn the_oldest_of_too_many_ends() {
        let (sessions, clock, store) = sessions();
        let mut ids = Vec::new();
        for _ in 0..PER_LOGIN + 3 {
            clock.advance(Duration::from_secs(1));
            ids.push(create(&sessions, "alice").await);
        }
        for (index, id) in ids.iter().enumerate() {
            assert_eq!(login_of(&sessions, id).await.is_some(), index >= 3, "{index}");
        }
        // Those that nobody came back to are cleared away by the next.
        clock.advance(13 * 60 * MINUTE);
        create(&sessions, "alice").await;
        assert_eq!(store.dump().len(), 2);
    }
}
