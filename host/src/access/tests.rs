//! Tests of [`Access`](super::Access) against the store for tests.

use secrecy::ExposeSecret;

use super::*;
use crate::clock::TestClock;
use crate::seal::MasterKey;
use crate::store::memory::{Fate, MemoryStore};

/// A store with an administrator, its access and its token.
struct Installation {
    store: Arc<MemoryStore>,
    master: MasterKey,
    access: Access,
    token: String,
}

async fn open(store: &Arc<MemoryStore>, master: &MasterKey) -> Access {
    let keyring = Keyring::load_or_create(&**store, master).await.unwrap();
    let clock = TestClock::at("2026-11-22T10:00:00Z".parse().unwrap());
    Access::open(Arc::clone(store) as Arc<dyn Store>, &keyring, clock).unwrap()
}

async fn installation() -> Installation {
    let (store, master) = (Arc::new(MemoryStore::new()), MasterKey::generate("a file").unwrap());
    let access = open(&store, &master).await;
    let token = access.create_first_administrator().await.unwrap().expose_secret().to_owned();
    Installation { store, master, access, token }
}

/// Replaces the secret by another, with a right checksum.
fn forge(token: &str) -> String {
    let id = token::parse(token).unwrap().id;
    token::with_id(TokenKind::Application, id).expose_secret().to_owned()
}

#[tokio::test]
async fn the_administrator_is_known_and_may_everything() {
    let Installation { access, token, .. } = installation().await;
    assert!(access.authenticate_cached(&token).is_none(), "nothing is cached before it was seen to be right");
    let principal = access.authenticate(&token).await.unwrap();
    assert_eq!((principal.name.as_str(), principal.kind), ("administrator", PrincipalKind::Application));
    assert_eq!(principal.token_id(), &token[4..16]);
    assert!(Right::ALL.into_iter().all(|right| principal.may(right)));
    assert!(Arc::ptr_eq(&access.authenticate_cached(&token).unwrap(), &principal));
}

#[tokio::test]
async fn a_known_token_costs_no_read() {
    let Installation { store, access, token, .. } = installation().await;
    access.authenticate(&token).await.unwrap();
    store.kill();
    assert!(access.authenticate(&token).await.is_ok());
    access.forget_cached();
    assert!(matches!(access.authenticate(&token).await, Err(Refusal::Unavailable(_))));
}

#[tokio::test]
async fn others_are_refused() {
    let Installation { access, token, .. } = installation().await;
    let (_, unknown) = token::generate(TokenKind::Application);
    let (_, personal) = token::generate(TokenKind::Personal);
    for cached in [false, true] {
        for (presented, code) in [
            (forge(&token), "unknown"),
            (unknown.expose_secret().to_owned(), "unknown"),
            (personal.expose_secret().to_owned(), "unknown"),
            (token[..65].to_owned(), "malformed"),
            (format!("{token}\n"), "malformed"),
            (String::new(), "malformed"),
            ("ü".repeat(1 << 19), "malformed"),
        ] {
            assert!(access.authenticate_cached(&presented).is_none(), "{presented}, cached: {cached}");
            let refusal = access.authenticate(&presented).await.unwrap_err();
            assert_eq!(refusal.code(), code, "{presented}, cached: {cached}");
            assert!(presented.is_empty() || !format!("{refusal} {refusal:?}").contains(&presented));
        }
        access.authenticate(&token).await.unwrap();
    }
}

#[tokio::test]
async fn there_is_one_first_administrator() {
    let Installation { store, master, access, token } = installation().await;
    let both = tokio::join!(access.create_first_administrator(), access.create_first_administrator());
    for outcome in [both.0, both.1] {
        assert!(matches!(outcome, Err(AccessError::AlreadyInitialised)));
    }
    let store = Arc::new(store.crash());
    let access = open(&store, &master).await;
    assert!(access.authenticate(&token).await.is_ok(), "it survives a power cut");
    assert!(matches!(access.create_first_administrator().await, Err(AccessError::AlreadyInitialised)));
}

#[tokio::test]
async fn a_rebuild_kills_the_old_value_at_once() {
    let Installation { store, access, token, .. } = installation().await;
    access.authenticate(&token).await.unwrap();
    let name = "administrator".parse().unwrap();
    let new = access.rebuild(&name).await.unwrap();
    assert!(access.authenticate_cached(&token).is_none());
    assert_eq!(access.authenticate(&token).await.unwrap_err().code(), "unknown");
    assert_eq!(access.authenticate(new.expose_secret()).await.unwrap().token_id(), &token[4..16]);

    store.plan_nth(1, Fate::Fail(StoreError::Full("no room".into())));
    assert!(matches!(access.rebuild(&name).await, Err(AccessError::Store(StoreError::Full(_)))));
    assert!(access.authenticate(new.expose_secret()).await.is_ok(), "a rebuild that failed changes nothing");
    let nobody = "nobody".parse().unwrap();
    assert!(matches!(access.rebuild(&nobody).await, Err(AccessError::NoSuchApplication(_))));
}

#[tokio::test]
async fn another_installation_knows_no_token_of_this_one() {
    let Installation { store, token, .. } = installation().await;
    let other = installation().await;
    // Even with the record copied: the digest's key is another.
    let mut batch = Batch::synced();
    for (key, value) in store.dump() {
        if key.starts_with(b"application-token") {
            batch.put(key, value);
        }
    }
    other.store.commit(batch).await.unwrap();
    assert_eq!(other.access.authenticate(&token).await.unwrap_err().code(), "unknown");
}

#[tokio::test]
async fn no_record_holds_the_token() {
    let Installation { store, token, .. } = installation().await;
    for (key, value) in store.dump() {
        let text = format!("{} {}", String::from_utf8_lossy(&key), String::from_utf8_lossy(&value));
        assert!(!text.contains(&token[17..60]), "{text}");
    }
}
