//! A store in memory for tests, which forgets on demand what a crash would forget.
//!
//! It tells a power cut ([`MemoryStore::crash`]: what no synced batch made durable is gone) from the end of the process
//! ([`MemoryStore::kill`]), and can die at any chosen commit, before or after it took effect. It keeps nothing on disk.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Batch, Durability, Entry, FORMAT, Revision, Scan, Store, StoreError, prefix_end};

/// What becomes of a commit.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It goes through.
    Commit,
    /// It is refused with this error, and nothing is written.
    Fail(StoreError),
    /// The machine dies before it took effect.
    CrashBefore,
    /// The machine dies after it took effect (a synced one is durable) and before anyone heard of it.
    CrashAfter,
}

/// Decides a commit's [`Fate`] from its number (the first is 1) and its batch.
type Plan = Box<dyn FnMut(u64, &Batch) -> Fate + Send>;

/// The store for tests.
#[derive(Default)]
pub struct MemoryStore {
    /// All of it.
    state: Mutex<State>,
}

/// A value and its revision.
type Held = (Revision, Bytes);

/// Records, and what a crash would undo.
#[derive(Default)]
struct State {
    /// What readers see.
    records: BTreeMap<Vec<u8>, Held>,
    /// Its format, where it isn't the present one.
    format: Option<u64>,
    /// The format that a crash would go back to.
    durable_format: Option<u64>,
    /// Keys written since the last sync and what they held before, oldest first.
    undo: Vec<(Vec<u8>, Option<Held>)>,
    /// The last batch's revision.
    revision: Revision,
    /// The revision that a crash would go back to.
    durable_revision: Revision,
    /// Commits asked for, whatever became of them.
    commits: u64,
    /// Commits that made everything before them durable.
    syncs: u64,
    /// Decides what becomes of each commit.
    plan: Option<Plan>,
    /// The machine has died: nothing works any more.
    dead: bool,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `plan` decide what becomes of each commit from now on. It gets the commit's number, which counts from the
    /// making of this store, and its batch.
    pub fn plan(&self, plan: impl FnMut(u64, &Batch) -> Fate + Send + 'static) {
        self.lock().plan = Some(Box::new(plan));
    }

    /// The `nth` commit from now (1: the next) has this fate, all others go through.
    pub fn plan_nth(&self, nth: u64, fate: Fate) {
        let chosen = self.commits() + nth;
        self.plan(move |number, _| if number == chosen { fate.clone() } else { Fate::Commit });
    }

    /// Cuts the power. What is left is a new store: all synced batches and all before them. This one is dead, so that
    /// tasks of the former process can't write into the next one's store.
    pub fn crash(&self) -> Self {
        let mut state = self.lock();
        let undo = std::mem::take(&mut state.undo);
        for (key, before) in undo.into_iter().rev() {
            match before {
                Some(before) => state.records.insert(key, before),
                None => state.records.remove(&key),
            };
        }
        state.revision = state.durable_revision;
        state.format = state.durable_format;
        state.end()
    }

    /// Ends the process as `kill -9` does. What is left is a new store with all committed batches. This one is dead.
    pub fn kill(&self) -> Self {
        self.lock().end()
    }

    /// Whether the machine died, by a plan or by hand.
    pub fn is_dead(&self) -> bool {
        self.lock().dead
    }

    /// How many commits were asked for.
    pub fn commits(&self) -> u64 {
        self.lock().commits
    }

    /// How many of them were synced.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// Every key and value, so that a test can look for what must not be there.
    pub fn dump(&self) -> Vec<(Vec<u8>, Bytes)> {
        self.lock().records.iter().map(|(key, (_, value))| (key.clone(), value.clone())).collect()
    }

    /// The state; a panic of a test's plan spoils nothing.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Moves what is left into a new store and stays dead.
    fn end(&mut self) -> MemoryStore {
        self.dead = true;
        self.plan = None;
        let survivor = State {
            records: std::mem::take(&mut self.records),
            undo: std::mem::take(&mut self.undo),
            revision: self.revision,
            durable_revision: self.durable_revision,
            format: self.format,
            durable_format: self.durable_format,
            ..State::default()
        };
        MemoryStore { state: Mutex::new(survivor) }
    }

    /// Refuses once dead.
    fn alive(&self) -> Result<(), StoreError> {
        if self.dead { Err(StoreError::Storage("the machine has crashed".into())) } else { Ok(()) }
    }

    /// Commits a batch under its fate.
    fn commit(&mut self, batch: Batch) -> Result<Revision, StoreError> {
        self.alive()?;
        batch.check_keys()?;
        self.commits += 1;
        let number = self.commits;
        let fate = self.plan.as_mut().map_or(Fate::Commit, |plan| plan(number, &batch));
        match fate {
            Fate::Fail(error) => return Err(error),
            Fate::CrashBefore => self.dead = true,
            Fate::Commit | Fate::CrashAfter => {}
        }
        self.alive()?;
        for (key, revision) in &batch.expected {
            if self.records.get(key).map(|(revision, _)| *revision) != *revision {
                return Err(StoreError::Conflict);
            }
        }
        self.apply(batch);
        self.dead = matches!(fate, Fate::CrashAfter);
        self.alive().map(|()| self.revision)
    }

    /// Writes what nothing speaks against.
    fn apply(&mut self, batch: Batch) {
        self.revision += 1;
        self.format = batch.format.or(self.format);
        for (key, value) in batch.writes {
            let before = match value {
                Some(value) => self.records.insert(key.clone(), (self.revision, value)),
                None => self.records.remove(&key),
            };
            self.undo.push((key, before));
        }
        if batch.durability == Durability::Synced {
            self.syncs += 1;
            self.undo.clear();
            self.durable_revision = self.revision;
            self.durable_format = self.format;
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        let state = self.lock();
        state.alive()?;
        Ok(state.records.get(key).map(|(revision, value)| entry(key, *revision, value)))
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Entry>, StoreError> {
        let state = self.lock();
        state.alive()?;
        let (mut low, mut high) = (Bound::Included(scan.prefix.clone()), Bound::Unbounded);
        if let Some(end) = prefix_end(&scan.prefix) {
            high = Bound::Excluded(end);
        }
        // An `after` outside the prefix leaves all of it or nothing.
        match scan.after {
            Some(after) if scan.reverse && !is_beyond(&high, &after) => high = Bound::Excluded(after),
            Some(after) if !scan.reverse && after >= scan.prefix => low = Bound::Excluded(after),
            _ => {}
        }
        if is_empty(&low, &high) {
            return Ok(Vec::new());
        }
        let range = state.records.range((low, high));
        let to_entry = |(key, (revision, value)): (&Vec<u8>, &Held)| entry(key, *revision, value);
        Ok(if scan.reverse {
            range.rev().take(scan.limit).map(to_entry).collect()
        } else {
            range.take(scan.limit).map(to_entry).collect()
        })
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, StoreError> {
        self.lock().commit(batch)
    }

    async fn format(&self) -> Result<u64, StoreError> {
        let state = self.lock();
        state.alive().map(|()| state.format.unwrap_or(FORMAT))
    }

    fn revision(&self) -> Revision {
        self.lock().revision
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("MemoryStore")
            .field("records", &state.records.len())
            .field("commits", &state.commits)
            .field("syncs", &state.syncs)
            .field("dead", &state.dead)
            .finish()
    }
}

/// An entry of these parts.
fn entry(key: &[u8], revision: Revision, value: &Bytes) -> Entry {
    Entry { key: key.to_vec(), value: value.clone(), revision }
}

/// Whether the key lies at or above the bound.
fn is_beyond(high: &Bound<Vec<u8>>, key: &[u8]) -> bool {
    matches!(high, Bound::Excluded(end) if key >= end.as_slice())
}

/// Whether no key lies between the two; `BTreeMap::range` panics on some such bounds.
fn is_empty(low: &Bound<Vec<u8>>, high: &Bound<Vec<u8>>) -> bool {
    match (low, high) {
        (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high)) => low >= high,
        _ => false,
    }
}
