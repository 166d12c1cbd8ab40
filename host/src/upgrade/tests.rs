//! Migrations on a store that dies at each batch, and the true one on a log of the format before.

use std::sync::{Arc, Mutex};

use super::*;
use crate::clock::{SystemClock, TestClock};
use crate::store::Scan;
use crate::store::memory::{Fate, MemoryStore};

/// Records whose values the first step doubles, and of which the second makes an index.
const NUMBERS: Table<u64> = Table::new("number");
const INDEX: Table<()> = Table::new("number-index");

/// A step over all numbers.
struct Each {
    name: &'static str,
    what: &'static str,
    /// What is written for one: its key, and what it is.
    write: fn(&mut Batch, Vec<u8>, u64) -> Result<(), StoreError>,
}

const DOUBLE: Each = Each {
    name: "double",
    what: "numbers are doubled",
    write: |batch, key, value| {
        batch.put(key, serde_json::to_vec(&(value * 2)).unwrap());
        Ok(())
    },
};

const BY_VALUE: Each = Each {
    name: "index",
    what: "numbers are found by their value",
    write: |batch, _, value| INDEX.put(batch, &[&number(value)], &()),
};

#[async_trait]
impl Step for Each {
    fn name(&self) -> &'static str {
        self.name
    }

    fn what(&self) -> &'static str {
        self.what
    }

    async fn total(&self, _: &dyn Store) -> Result<u64, StoreError> {
        Ok(COUNT)
    }

    async fn part(
        &self,
        store: &dyn Store,
        after: Option<Vec<u8>>,
        limit: usize,
        batch: &mut Batch,
    ) -> Result<(Option<Vec<u8>>, u64), StoreError> {
        let entries = store.scan(Scan { after, ..Scan::prefix(NUMBERS.key(&[]), limit) }).await?;
        for entry in &entries {
            let value: u64 = serde_json::from_slice(&entry.value).unwrap();
            (self.write)(batch, entry.key.clone(), value)?;
        }
        let last = entries.last().filter(|_| entries.len() == limit).map(|last| last.key.clone());
        Ok((last, entries.len() as u64))
    }
}

/// Three parts and a bit.
const COUNT: u64 = 3 * PART as u64 + 7;
const TWO: &[Migration] = &[Migration { to: 2, steps: &[&DOUBLE] }, Migration { to: 3, steps: &[&BY_VALUE, &DOUBLE] }];

/// A store of format 1 with numbers.
async fn old() -> MemoryStore {
    let store = MemoryStore::new();
    let mut batch = Batch::synced();
    for value in 0..COUNT {
        NUMBERS.put(&mut batch, &[&number(value)], &value).unwrap();
    }
    batch.format = Some(1);
    store.commit(batch).await.unwrap();
    store
}

/// Migrates; what was told, as text.
async fn run(store: &MemoryStore) -> Result<Vec<String>, StoreError> {
    let told = Mutex::new(Vec::new());
    let clock = TestClock::at("2026-11-22T10:00:00Z".parse().unwrap());
    migrate(store, TWO, &*clock, &mut |what| told.lock().unwrap().push(what.to_string())).await?;
    Ok(told.into_inner().unwrap())
}

#[tokio::test]
async fn every_step_is_taken_once_and_told_of() {
    let store = old().await;
    let steps: Vec<_> = pending(&store, TWO).await.unwrap().into_iter().map(|step| (step.to, step.name)).collect();
    assert_eq!(steps, [(2, "double"), (3, "index"), (3, "double")]);
    let told = run(&store).await.unwrap();
    assert_eq!(told.first().unwrap(), &format!("format 2: numbers are doubled: 0 of {COUNT} records"));
    assert!(told.contains(&format!("format 3: numbers are found by their value: {COUNT} of {COUNT} records")));
    assert_eq!(told.last().unwrap(), "the database has format 3");
    check(&store).await;
    assert_eq!(run(&store).await.unwrap(), Vec::<String>::new(), "nothing is left to do");
    check(&store).await;
}

/// All is as it is to be: each number doubled twice, and found by what it was after the first time.
async fn check(store: &MemoryStore) {
    assert_eq!(store.format().await.unwrap(), 3);
    assert!(pending(store, TWO).await.unwrap().is_empty());
    for value in [0, 1, PART as u64, COUNT - 1] {
        assert_eq!(NUMBERS.get(store, &[&number(value)]).await.unwrap().unwrap().value, value * 4);
    }
    let count = |prefix: Vec<u8>| store.dump().iter().filter(|(key, _)| key.starts_with(&prefix)).count() as u64;
    assert_eq!(count(INDEX.key(&[])), COUNT);
    assert!(INDEX.get(store, &[&number(2 * COUNT - 2)]).await.unwrap().is_some());
    assert_eq!(count(PROGRESS.key(&[])), 0, "nothing is left of the way there");
}

#[tokio::test]
async fn it_goes_on_wherever_it_died() {
    let whole = old().await;
    let before = whole.commits();
    run(&whole).await.unwrap();
    let batches = whole.commits() - before;
    assert!(batches > 10, "{batches}");
    for power_cut in [false, true] {
        for fate in [Fate::CrashBefore, Fate::CrashAfter] {
            for dies in 1..=batches {
                let store = old().await;
                store.plan_nth(dies, fate.clone());
                assert!(run(&store).await.is_err(), "{dies}");
                let store = if power_cut { store.crash() } else { store.kill() };
                run(&store).await.unwrap();
                check(&store).await;
            }
        }
    }
    // Again and again, one batch each time.
    let mut store = old().await;
    let mut deaths = 0;
    loop {
        store.plan_nth(2, Fate::CrashBefore);
        if run(&store).await.is_ok() {
            break;
        }
        store = store.kill();
        deaths += 1;
    }
    assert_eq!(deaths, batches - 1);
    check(&store).await;
}

#[tokio::test]
async fn a_copy_is_made_first_and_only_once() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    let clock = SystemClock::shared();
    let store = crate::store::rocks::RocksStore::open(&folder).unwrap();
    let mut batch = Batch::synced();
    batch.format = Some(1);
    batch.put("key", "value");
    store.commit(batch).await.unwrap();
    store.close().await.unwrap();
    drop(store);

    let plan = super::check(&folder).await.unwrap();
    assert_eq!((plan.format, plan.steps.len(), plan.copy), (1, 1, None));
    let copies = || {
        let names = home.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("store.before-format-2-")).collect::<Vec<_>>()
    };
    assert!(copies().is_empty(), "looking changes nothing");
    let refused = crate::store::rocks::RocksStore::open(&folder).unwrap_err();
    assert!(matches!(refused, StoreError::TooOld { found: 1, wanted: FORMAT }), "{refused}");

    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let upgraded = open(&folder, true, &*clock, &mut move |what| telling.lock().unwrap().push(what)).await.unwrap();
    assert_eq!(upgraded.format().await.unwrap(), FORMAT);
    upgraded.close().await.unwrap();
    drop(upgraded);
    let [copy] = <[String; 1]>::try_from(copies()).unwrap();
    assert!(matches!(&told.lock().unwrap()[0], Told::Copied(path) if *path == home.path().join(&copy)));
    let kept = crate::store::rocks::RocksStore::open_any(&home.path().join(&copy)).unwrap();
    assert_eq!(kept.format().await.unwrap(), 1, "the database as it was");
    assert_eq!(&*kept.get(b"key").await.unwrap().unwrap().value, b"value");

    drop(open(&folder, true, &*clock, &mut |what| panic!("nothing is to be done: {what}")).await.unwrap());
    assert_eq!(copies().len(), 1);
}
