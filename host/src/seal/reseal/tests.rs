use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use tokio::sync::MutexGuard as Held;

use super::super::kind::{Keeper, SealedTable, Sealing, Visit};
use super::super::{Keyring, MasterKey, MasterKeys, Sealed, bound_to};
use super::*;
use crate::clock::TestClock;
use crate::store::memory::{Fate, MemoryStore};
use crate::store::{Revision, StoreError};

/// A record with two sealed values, one of which there need not be.
#[derive(Clone, Serialize, Deserialize)]
struct Thing {
    note: String,
    one: Sealed,
    other: Option<Sealed>,
}

const THINGS: Table<Thing> = Table::new("thing");
const OTHERS: Table<Thing> = Table::new("other-thing");
const COUNT: usize = 100;

impl Sealing for Thing {
    fn each_sealed(&mut self, key: &[String], visit: &mut Visit<'_>) -> Result<(), SealError> {
        visit(&place(key, "one"), &mut self.one)?;
        self.other.as_mut().map_or(Ok(()), |other| visit(&place(key, "other"), other))
    }
}

fn place(key: &[String], field: &str) -> Vec<u8> {
    bound_to(key.join("/").as_bytes(), field)
}

/// Settings that always name the same master key.
struct Always;

#[async_trait]
impl MasterKeys for Always {
    async fn present(&self) -> Result<MasterKey, SealError> {
        let text: String = (0..32).map(|byte| format!("{byte:02x}")).collect();
        MasterKey::from_text("a test", &text.into())
    }

    async fn next(&self) -> Result<MasterKey, SealError> {
        Err(SealError::Settings("there is none".into()))
    }
}

/// What a daemon has, at a start over this store.
async fn start(store: Arc<dyn Store>) -> Resealer {
    start_kept(store, None).await
}

async fn start_kept(store: Arc<dyn Store>, keeper: Option<Arc<dyn Keeper>>) -> Resealer {
    let master = Always.present().await.unwrap();
    let keyring = Arc::new(Keyring::load_or_create(&*store, &master).await.unwrap());
    let clock = TestClock::at("2026-11-22T10:00:00Z".parse().unwrap());
    let custody = Custody::open(store.clone(), keyring, master, Box::new(Always), clock.clone()).await.unwrap();
    let things: Arc<dyn Kind> = match keeper {
        Some(keeper) => Arc::new(SealedTable::kept("things", THINGS, keeper)),
        None => Arc::new(SealedTable::new("things", THINGS)),
    };
    let kinds = vec![things, Arc::new(SealedTable::new("others", OTHERS)) as Arc<dyn Kind>];
    Resealer::new(Arc::new(custody), store, clock, kinds, Duration::ZERO)
}

/// Writes records of both kinds, 3 values for each 2 records.
async fn fill(resealer: &Resealer) {
    let keyring = resealer.custody().keyring();
    for number in 0..COUNT {
        let name = format!("{number:03}");
        let key = [name.clone()];
        let seal = |field: &str| keyring.seal(&place(&key, field), format!("{field} {name}").as_bytes()).unwrap();
        let other = (number % 2 == 0).then(|| seal("other"));
        let thing = Thing { note: name.clone(), one: seal("one"), other };
        let mut batch = Batch::synced();
        THINGS.put(&mut batch, &[&name], &thing).unwrap();
        OTHERS.put(&mut batch, &[&name], &thing).unwrap();
        resealer.store.commit(batch).await.unwrap();
    }
}

/// All values open, whatever seals them; the notes.
async fn check_all(resealer: &Resealer) -> Vec<String> {
    let keyring = resealer.custody().keyring();
    let mut notes = Vec::new();
    for table in [THINGS, OTHERS] {
        let mut walk = table.walk(&*resealer.store, &[], 1000);
        for found in walk.next().await.unwrap().unwrap() {
            let name = found.key[0].clone();
            let open = |field: &str, sealed: &Sealed| {
                let value = keyring.open(&place(&found.key, field), sealed).unwrap();
                assert_eq!(String::from_utf8(value.to_vec()).unwrap(), format!("{field} {name}"));
            };
            open("one", &found.value.one);
            assert_eq!(found.value.other.is_some(), name.parse::<usize>().unwrap() % 2 == 0);
            found.value.other.iter().for_each(|other| open("other", other));
            notes.push(found.value.note);
        }
    }
    assert_eq!(notes.len(), 2 * COUNT);
    notes
}

const VALUES: u64 = 3 * COUNT as u64;

#[tokio::test]
async fn everything_is_sealed_anew_and_then_the_old_key_goes() {
    let store = Arc::new(MemoryStore::new());
    let resealer = start(store.clone()).await;
    fill(&resealer).await;
    resealer.work_off().await.unwrap();
    assert_eq!(resealer.counts().await.unwrap().of(1), VALUES, "without a rotation nothing is to be done");
    assert_eq!(resealer.rotate_data().await.unwrap(), 2);
    let syncs = store.syncs();
    resealer.work_off().await.unwrap();
    // The last one, and the removal.
    assert_eq!(store.syncs() - syncs, 2);
    let counts = resealer.counts().await.unwrap();
    assert_eq!((counts.of(1), counts.of(2), counts.before(2)), (0, VALUES, 0));
    assert_eq!(counts.values["others"][&2], VALUES / 2);
    assert_eq!((resealer.custody().keyring().ids(), resealer.work()), (vec![2], (None, None)));
    check_all(&resealer).await;
    let store = Arc::new(store.crash());
    assert_eq!(PROGRESS.get(&*store, &[]).await.unwrap(), None);
    let again = start(store).await;
    assert_eq!(again.custody().keyring().ids(), [2]);
    check_all(&again).await;
}

#[tokio::test]
async fn a_rotation_during_the_work_is_worked_off_too() {
    let resealer = start(Arc::new(MemoryStore::new())).await;
    fill(&resealer).await;
    for _ in 0..3 {
        resealer.rotate_data().await.unwrap();
    }
    resealer.work_off().await.unwrap();
    assert_eq!(resealer.custody().keyring().ids(), [4]);
    check_all(&resealer).await;
}

#[tokio::test]
async fn the_end_at_any_commit_costs_nothing() {
    for fate in [Fate::CrashBefore, Fate::CrashAfter] {
        for power_cut in [false, true] {
            let mut nth = 1;
            loop {
                let store = Arc::new(MemoryStore::new());
                let resealer = start(store.clone()).await;
                fill(&resealer).await;
                resealer.rotate_data().await.unwrap();
                store.plan_nth(nth, fate.clone());
                let ended = resealer.work_off().await;
                if !store.is_dead() {
                    ended.unwrap();
                    assert!(nth > 8, "there are more batches than {nth}");
                    break;
                }
                let store = Arc::new(if power_cut { store.crash() } else { store.kill() });
                let again = start(store.clone()).await;
                check_all(&again).await;
                again.work_off().await.unwrap();
                assert_eq!(again.custody().keyring().ids(), [2], "commit {nth}");
                assert_eq!(again.counts().await.unwrap().of(2), VALUES);
                check_all(&again).await;
                nth += 1;
            }
        }
    }
}

#[tokio::test]
async fn it_goes_on_where_it_was() {
    let store = Arc::new(MemoryStore::new());
    let resealer = start(store.clone()).await;
    fill(&resealer).await;
    resealer.rotate_data().await.unwrap();
    store.plan_nth(4, Fate::CrashBefore);
    resealer.work_off().await.unwrap_err();
    let store = Arc::new(store.kill());
    let again = start(store.clone()).await;
    let told = resealer.told().counts.clone().unwrap();
    let progress = PROGRESS.get(&*store, &[]).await.unwrap().unwrap().value;
    assert_eq!((told.of(1), told.of(2)), (VALUES - progress.done, progress.done), "counts follow without a scan");
    assert_eq!((progress.to, progress.done, progress.total), (2, 3 * AT_ONCE as u64 / 2 * 3, VALUES));
    let commits = store.commits();
    again.work_off().await.unwrap();
    // One batch of this kind and four of the other, and the end: a sync, and the removal.
    assert_eq!(store.commits() - commits, 1 + 4 + 2);
}

/// A store in which somebody else writes a record between the reading and the writing of it.
struct Meddled {
    store: Arc<MemoryStore>,
    /// Records of this name are written until this often.
    left: AtomicU64,
    keyring: std::sync::OnceLock<Arc<Keyring>>,
}

#[async_trait]
impl Store for Meddled {
    async fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.store.get(key).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Entry>, StoreError> {
        self.store.scan(scan).await
    }

    async fn format(&self) -> Result<u64, StoreError> {
        self.store.format().await
    }

    fn revision(&self) -> Revision {
        self.store.revision()
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, StoreError> {
        let meddles = batch.writes.iter().any(|(key, _)| *key == THINGS.key(&["007"]));
        let less = |left: u64| left.checked_sub(u64::from(meddles));
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        if let (true, Ok(left), Some(keyring)) = (meddles, left, self.keyring.get()) {
            let mut thing = THINGS.get(&*self.store, &["007"]).await?.unwrap().value;
            thing.note = format!("changed {left}");
            // As somebody does who sealed it before the rotation.
            thing.one = keyring.seal(&place(&["007".into()], "one"), b"one 007").unwrap();
            let mut other = Batch::synced();
            THINGS.put(&mut other, &["007"], &thing)?;
            self.store.commit(other).await?;
        }
        self.store.commit(batch).await
    }
}

#[tokio::test]
async fn what_changes_meanwhile_is_read_again() {
    for times in [1, 3, 20] {
        let inner = Arc::new(MemoryStore::new());
        let store = Arc::new(Meddled { store: inner, left: AtomicU64::new(0), keyring: std::sync::OnceLock::new() });
        let resealer = start(store.clone()).await;
        fill(&resealer).await;
        let old = Keyring::load(&*store, &Always.present().await.unwrap()).await.unwrap().unwrap();
        drop(store.keyring.set(Arc::new(old)));
        store.left.store(times, Ordering::Relaxed);
        resealer.rotate_data().await.unwrap();
        resealer.work_off().await.unwrap();
        assert_eq!(resealer.custody().keyring().ids(), [2]);
        let notes = check_all(&resealer).await;
        assert!(notes.contains(&"changed 1".to_owned()), "{notes:?}");
        assert_eq!(resealer.counts().await.unwrap().of(2), VALUES);
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_opened_keeps_its_key() {
    let store = Arc::new(MemoryStore::new());
    let resealer = start(store.clone()).await;
    fill(&resealer).await;
    let mut batch = Batch::synced();
    let moved = THINGS.get(&*store, &["001"]).await.unwrap().unwrap().value;
    THINGS.put(&mut batch, &["moved"], &moved).unwrap();
    store.commit(batch).await.unwrap();
    resealer.rotate_data().await.unwrap();
    let error = resealer.work_off().await.unwrap_err().to_string();
    assert!(error.contains("thing/moved") && error.contains("1 records"), "{error}");
    assert_eq!(resealer.custody().keyring().ids(), [1, 2]);
    let counts = resealer.count(0).await.unwrap();
    assert_eq!((counts.of(1), counts.of(2)), (1, VALUES));
    // Once it is gone, the work ends.
    let mut batch = Batch::synced();
    THINGS.remove(&mut batch, &["moved"]);
    store.commit(batch).await.unwrap();
    resealer.work_off().await.unwrap();
    assert_eq!(resealer.custody().keyring().ids(), [2]);
}

/// Keeps nothing, and counts what it is told.
#[derive(Default)]
struct Told {
    lock: tokio::sync::Mutex<()>,
    told: Mutex<Vec<String>>,
    free: AtomicBool,
}

#[async_trait]
impl Keeper for Told {
    async fn hold(&self) -> Held<'_, ()> {
        self.lock.lock().await
    }

    fn rewritten(&self, key: &[String], from: Revision, to: Revision) {
        assert!(from < to);
        self.free.fetch_or(self.lock.try_lock().is_ok(), Ordering::Relaxed);
        self.told.lock().unwrap().push(key.join("/"));
    }
}

#[tokio::test]
async fn who_keeps_records_in_memory_is_told_while_nobody_changes_them() {
    let keeper = Arc::new(Told::default());
    let resealer = start_kept(Arc::new(MemoryStore::new()), Some(keeper.clone())).await;
    fill(&resealer).await;
    resealer.rotate_data().await.unwrap();
    resealer.work_off().await.unwrap();
    let told = keeper.told.lock().unwrap();
    assert_eq!((told.len(), told.first().map(String::as_str)), (COUNT, Some("000")));
    assert!(!keeper.free.load(Ordering::Relaxed), "it was told outside of the lock");
}
