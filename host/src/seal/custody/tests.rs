//! Keys rotate, and no crash at any point locks anybody out.

use std::sync::Mutex as Plain;

use super::*;
use crate::clock::TestClock;
use crate::seal::Sealed;
use crate::store::memory::{Fate, MemoryStore};

/// A key's text, whatever the key.
fn text(byte: u8) -> String {
    hex::encode((0..32).map(|index| byte ^ index).collect::<Vec<u8>>())
}

fn master(byte: u8) -> MasterKey {
    MasterKey::from_text(format!("key {byte}"), &text(byte).into()).unwrap()
}

/// The settings: the present key and the next.
#[derive(Clone, Default)]
struct Settings(Arc<Plain<(u8, Option<u8>)>>);

#[async_trait]
impl MasterKeys for Settings {
    async fn present(&self) -> Result<MasterKey, SealError> {
        Ok(master(self.0.lock().unwrap().0))
    }

    async fn next(&self) -> Result<MasterKey, SealError> {
        let next = self.0.lock().unwrap().1;
        next.map(master).ok_or(SealError::Malformed("no next key"))
    }
}

/// A daemon's keys, started with the master key that the settings name.
async fn start(store: &Arc<MemoryStore>, settings: &Settings) -> Result<Custody, KeyError> {
    let shared: Arc<dyn Store> = store.clone();
    let key = settings.present().await?;
    let keyring = Arc::new(Keyring::load_or_create(&*shared, &key).await?);
    let clock = TestClock::at("2026-11-22T10:00:00Z".parse().unwrap());
    Custody::open(shared, keyring, key, Box::new(settings.clone()), clock).await
}

/// Whether a daemon starts with this master key, and opens what was sealed.
async fn opens(store: &Arc<MemoryStore>, key: u8, sealed: &Sealed) -> bool {
    match Keyring::load(&**store, &master(key)).await {
        Ok(keyring) => *keyring.unwrap().open(b"place", sealed).unwrap() == b"value",
        Err(SealError::WrongMasterKey { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_new_data_key_seals_and_old_values_stay() {
    let (store, settings) = (Arc::new(MemoryStore::new()), Settings::default());
    let keys = start(&store, &settings).await.unwrap();
    let (old, subkey) = (keys.keyring.seal(b"place", b"value").unwrap(), keys.keyring.subkey("pepper"));
    assert_eq!(keys.rotate_data().await.unwrap(), 2);
    let new = keys.keyring.seal(b"place", b"value").unwrap();
    assert_eq!((old.key_id(), new.key_id()), (1, 2));
    let store = Arc::new(store.crash());
    let again = start(&store, &settings).await.unwrap();
    for keyring in [&keys.keyring, &again.keyring] {
        assert_eq!(*keyring.open(b"place", &old).unwrap(), b"value");
        assert_eq!(*keyring.open(b"place", &new).unwrap(), b"value");
        assert_eq!(keyring.subkey("pepper"), subkey);
    }
    let (_, data) = again.status().await.unwrap();
    assert_eq!(data.iter().map(|key| (key.id, key.current)).collect::<Vec<_>>(), [(1, false), (2, true)]);
    again.remove(&[1, 2], Batch::synced()).await.unwrap();
    assert!(matches!(again.keyring.open(b"place", &old), Err(SealError::UnknownKey(1))));
    let store = Arc::new(store.crash());
    assert_eq!(start(&store, &settings).await.unwrap().keyring.ids(), [2], "the current one stays");
}

#[tokio::test]
async fn both_master_keys_open_the_data_until_the_rotation_ends() {
    for keep in [Keep::New, Keep::Old] {
        let (store, settings) = (Arc::new(MemoryStore::new()), Settings::default());
        let keys = start(&store, &settings).await.unwrap();
        let sealed = keys.keyring.seal(b"place", b"value").unwrap();
        assert!(matches!(keys.finish(keep).await, Err(KeyError::NothingPending)));
        keys.rotate_master().await.unwrap_err();
        settings.0.lock().unwrap().1 = Some(0);
        assert!(matches!(keys.rotate_master().await, Err(KeyError::Same { .. })));
        settings.0.lock().unwrap().1 = Some(1);
        let next = keys.rotate_master().await.unwrap();
        assert_eq!(keys.rotate_master().await.unwrap(), next, "once more changes nothing");
        settings.0.lock().unwrap().1 = Some(2);
        assert!(matches!(keys.rotate_master().await, Err(KeyError::Pending { .. })));
        // A data key made meanwhile is under both, too.
        keys.rotate_data().await.unwrap();
        assert!(opens(&store, 0, &sealed).await && opens(&store, 1, &sealed).await && !opens(&store, 2, &sealed).await);
        assert_eq!(keys.status().await.unwrap().0.next.unwrap().id, next);

        // What is to stay must be what the settings name.
        let wrong = if keep == Keep::New { 0 } else { 1 };
        settings.0.lock().unwrap().0 = wrong;
        assert!(matches!(keys.finish(keep).await, Err(KeyError::NotNamed { .. })));
        settings.0.lock().unwrap().0 = 1 - wrong;
        keys.finish(keep).await.unwrap();
        let stays = u8::from(keep == Keep::New);
        assert!(opens(&store, stays, &sealed).await && !opens(&store, 1 - stays, &sealed).await);
        assert_eq!(keys.status().await.unwrap().0.next, None);
        keys.rotate_data().await.unwrap();
        let error = Keyring::load(&*store, &master(1 - stays)).await.unwrap_err().to_string();
        assert!(error.contains(&master(stays).id()), "{error}");
    }
}

#[tokio::test]
async fn a_start_with_the_new_key_ends_the_rotation_and_one_with_the_old_does_not() {
    let (store, settings) = (Arc::new(MemoryStore::new()), Settings::default());
    settings.0.lock().unwrap().1 = Some(1);
    let keys = start(&store, &settings).await.unwrap();
    let sealed = keys.keyring.seal(b"place", b"value").unwrap();
    keys.rotate_master().await.unwrap();
    let store = Arc::new(store.kill());
    let keys = start(&store, &settings).await.unwrap();
    assert!(keys.status().await.unwrap().0.next.is_some());
    // The new key isn't at hand after that start, so that no data key can be wrapped under it.
    assert!(matches!(keys.rotate_data().await, Err(KeyError::NotAtHand { .. })));
    keys.rotate_master().await.unwrap();
    keys.rotate_data().await.unwrap();
    assert!(opens(&store, 0, &sealed).await && opens(&store, 1, &sealed).await);
    settings.0.lock().unwrap().0 = 1;
    let store = Arc::new(store.kill());
    let keys = start(&store, &settings).await.unwrap();
    assert_eq!(keys.status().await.unwrap().0.next, None);
    assert!(!opens(&store, 0, &sealed).await && opens(&store, 1, &sealed).await);
}

#[tokio::test]
async fn a_crash_at_any_commit_locks_nobody_out() {
    for after in [false, true] {
        for nth in 1..=4 {
            let (store, settings) = (Arc::new(MemoryStore::new()), Settings::default());
            settings.0.lock().unwrap().1 = Some(1);
            let keys = start(&store, &settings).await.unwrap();
            let sealed = keys.keyring.seal(b"place", b"value").unwrap();
            store.plan_nth(nth, if after { Fate::CrashAfter } else { Fate::CrashBefore });
            let walk = async {
                keys.rotate_data().await?;
                keys.rotate_master().await?;
                settings.0.lock().unwrap().0 = 1;
                keys.finish(Keep::New).await?;
                keys.rotate_data().await
            };
            assert_eq!(walk.await.is_err(), nth <= 4, "commit {nth}");
            let store = Arc::new(store.crash());
            let named = settings.0.lock().unwrap().0;
            assert!(opens(&store, named, &sealed).await, "commit {nth}, after: {after}");
            start(&store, &settings).await.unwrap();
        }
    }
}
