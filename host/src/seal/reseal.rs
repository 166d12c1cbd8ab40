//! After a rotation of the data key: everything that older keys sealed is sealed anew, and then those keys are removed.
//!
//! It works behind everything else: small batches, each with the revisions it read, with rests between them. How far it is
//! stands in the store, in the batches themselves, so that the end of the process at any point costs nothing. A key is removed
//! only after a scan of everything that began when no value sealed with it could still be on its way to the store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::custody::{Custody, KeyError};
use super::kind::Kind;
use super::{KeyId, SealError};
use crate::clock::SharedClock;
use crate::store::table::Table;
use crate::store::{Batch, Entry, Scan, Store, StoreError};
use crate::telemetry;

/// How far it is: one record.
const PROGRESS: Table<Progress> = Table::new("key-resealing");
/// Records of one batch.
const AT_ONCE: usize = 32;
/// Batches after which one is synced, so that a power cut undoes little.
const SYNC_EVERY: u32 = 64;
/// It rests so many times as long as it works.
const REST: u32 = 4;
/// How long a value may be on its way from its sealing into the store. Nothing waits between the two but the store itself.
pub const SETTLING: Duration = Duration::from_secs(60);
/// After a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(60);
/// For whoever asks, a count holds so many times as long as it took: asking again and again costs little, however much there is.
const HOLDS: u32 = 20;
/// How often one record is tried that others change meanwhile. Who changes it seals it anew.
const TRIES: u32 = 5;

/// How far the sealing anew is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The key that all is sealed with afterwards.
    pub to: KeyId,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Values sealed anew so far.
    pub done: u64,
    /// Values to be sealed anew, as counted at the start.
    pub total: u64,
    /// Which kind it is at.
    kind: String,
    /// The last key of that kind that was looked at, in hexadecimal.
    after: Option<String>,
}

/// How many values each key has sealed, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By kind and key.
    pub values: BTreeMap<&'static str, BTreeMap<KeyId, u64>>,
    /// When they were counted.
    pub at: DateTime<Utc>,
    /// Until when they hold for whoever asks, on the monotonic clock.
    hold_until: Duration,
}

impl Counts {
    /// How many values this key has sealed.
    pub fn of(&self, key: KeyId) -> u64 {
        self.values.values().filter_map(|kind| kind.get(&key)).sum()
    }

    /// Values of a kind that these keys had sealed are sealed with that one now.
    fn note(&mut self, kind: &'static str, older: &[KeyId], to: KeyId) {
        let of_kind = self.values.entry(kind).or_default();
        for id in older {
            let count = of_kind.entry(*id).or_default();
            *count = count.saturating_sub(1);
        }
        *of_kind.entry(to).or_default() += older.len() as u64;
    }

    /// How many values keys before this one have sealed.
    fn before(&self, key: KeyId) -> u64 {
        self.values.values().flat_map(|kind| kind.range(..key)).map(|(_, count)| count).sum()
    }
}

/// What there is to tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// How far it is.
    pub progress: Progress,
    /// About how long it takes still; none before that can be told.
    pub left: Option<Duration>,
    /// Whether all is sealed anew, and only the removal of older keys is to come.
    pub settling: bool,
}

/// Seals anew. One for a store.
pub struct Resealer {
    custody: Arc<Custody>,
    store: Arc<dyn Store>,
    clock: SharedClock,
    /// All kinds there are.
    kinds: Vec<Arc<dyn Kind>>,
    /// How long to wait before older keys are removed.
    settling: Duration,
    /// Says that there is something to do.
    wake: Notify,
    /// What is told.
    told: Mutex<Told>,
    /// Held while somebody counts.
    counting: tokio::sync::Mutex<()>,
}

/// What is told of it.
#[derive(Default)]
struct Told {
    work: Option<Work>,
    counts: Option<Counts>,
    problem: Option<String>,
    /// When this process began with it, on the monotonic clock, and what had been done before.
    began: (Duration, u64),
}

/// Why it didn't come to an end.
enum Stop {
    /// Another data key was made meanwhile.
    Overtaken,
    /// Something failed.
    Failed(KeyError),
}

impl<E: Into<KeyError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Resealer {
    /// Seals records of these kinds anew.
    pub fn new(
        custody: Arc<Custody>,
        store: Arc<dyn Store>,
        clock: SharedClock,
        kinds: Vec<Arc<dyn Kind>>,
        settling: Duration,
    ) -> Self {
        let (wake, told, counting) = (Notify::new(), Mutex::default(), tokio::sync::Mutex::default());
        Self { custody, store, clock, kinds, settling, wake, told, counting }
    }

    /// The keys.
    pub fn custody(&self) -> &Arc<Custody> {
        &self.custody
    }

    /// Makes a new data key, and has all that older ones sealed be sealed anew. Returns its number.
    ///
    /// # Errors
    /// As for [`Custody::rotate_data`].
    pub async fn rotate_data(&self) -> Result<KeyId, KeyError> {
        let key = self.custody.rotate_data().await?;
        let now = self.clock.now();
        let mut told = self.told();
        let progress = Progress { to: key, started_at: now, done: 0, total: 0, kind: String::new(), after: None };
        told.work = Some(Work { progress, left: None, settling: false });
        drop(told);
        self.wake.notify_one();
        Ok(key)
    }

    /// How far it is, where something is under way, and what is in its way.
    pub fn work(&self) -> (Option<Work>, Option<String>) {
        let told = self.told();
        (told.work.clone(), told.problem.clone())
    }

    /// How many values each key has sealed: as counted a moment ago, or now.
    ///
    /// # Errors
    /// The storage failed, or a record can't be read.
    pub async fn counts(&self) -> Result<Counts, SealError> {
        let _counting = self.counting.lock().await;
        let known = self.told().counts.clone();
        match known.filter(|known| self.clock.elapsed() < known.hold_until) {
            Some(known) => Ok(known),
            None => self.count(0).await,
        }
    }

    /// Does what there is to do, for as long as the daemon runs.
    pub async fn run(&self) {
        // What is told of it from the start on; where there is nothing to do, only the metric needs it.
        if let Err(error) = self.count(REST).await {
            tracing::error!("sealed values can't be counted: {error}");
        }
        loop {
            match self.work_off().await {
                Ok(()) => {
                    self.told().problem = None;
                    self.wake.notified().await;
                }
                Err(error) => {
                    tracing::error!("values can't be sealed anew; trying again: {error}");
                    self.told().problem = Some(error.to_string());
                    // Whichever is first; a rotation may come meanwhile.
                    drop(tokio::time::timeout(AGAIN, self.wake.notified()).await);
                }
            }
        }
    }

    /// Seals anew what older keys sealed, and removes them.
    ///
    /// # Errors
    /// The store failed, or values can't be opened.
    pub async fn work_off(&self) -> Result<(), KeyError> {
        loop {
            let keyring = self.custody.keyring();
            let to = keyring.current();
            let older: Vec<KeyId> = keyring.ids().into_iter().filter(|id| *id < to).collect();
            if older.is_empty() {
                self.told().work = None;
                return Ok(());
            }
            match self.towards(to, &older).await {
                Ok(()) => {}
                Err(Stop::Overtaken) => {}
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
    }

    /// Seals anew with this key until the older ones have sealed nothing, and removes those.
    async fn towards(&self, to: KeyId, older: &[KeyId]) -> Result<(), Stop> {
        let mut progress = self.resume(to).await?;
        loop {
            let unreadable = self.pass(&mut progress).await?;
            self.tell(&progress, true);
            self.settle(to).await?;
            // The proof: begun when nothing sealed with an older key could still be on its way.
            let counts = self.count(REST).await?;
            let left = counts.before(to);
            if left == 0 && unreadable.is_empty() {
                break;
            }
            if let Some(first) = unreadable.first() {
                let message = format!(
                    "{} records hold values that can't be opened, the first being {first}; the keys that they name stay",
                    unreadable.len()
                );
                return Err(Stop::Failed(KeyError::Unreadable(message)));
            }
            progress = self.begin(to, progress.done + left, progress.started_at, progress.done);
        }
        // Makes all that was sealed anew durable, too, before the keys go.
        self.store.commit(Batch::synced()).await?;
        let mut batch = Batch::synced();
        PROGRESS.remove(&mut batch, &[]);
        self.custody.remove(older, batch).await?;
        tracing::info!(
            key = to,
            values = progress.done,
            "everything is sealed with the present data key; older ones are removed"
        );
        self.told().work = None;
        self.count(0).await?;
        Ok(())
    }

    /// Where the work towards this key is.
    async fn resume(&self, to: KeyId) -> Result<Progress, Stop> {
        let known = PROGRESS.get(&*self.store, &[]).await?.map(|found| found.value).filter(|known| known.to == to);
        let progress = match known {
            Some(known) => known,
            None => {
                let total = self.count(REST).await?.before(to);
                self.begin(to, total, self.clock.now(), 0)
            }
        };
        self.told().began = (self.clock.elapsed(), progress.done);
        self.tell(&progress, false);
        Ok(progress)
    }

    fn begin(&self, to: KeyId, total: u64, started_at: DateTime<Utc>, done: u64) -> Progress {
        let kind = self.kinds.first().map_or("", |kind| kind.name()).to_owned();
        Progress { to, started_at, done, total, kind, after: None }
    }

    /// Waits until no value that was sealed with an older key can still be on its way to the store.
    async fn settle(&self, to: KeyId) -> Result<(), Stop> {
        let Some(made_at) = self.custody.made_at(to).await? else { return Ok(()) };
        let until = made_at + TimeDelta::from_std(self.settling).unwrap_or_default();
        if let Ok(left) = (until - self.clock.now()).to_std() {
            // At most all of it, should the clock have been set back.
            tokio::time::sleep(left.min(self.settling)).await;
        }
        self.is_current(to)
    }

    fn is_current(&self, to: KeyId) -> Result<(), Stop> {
        if self.custody.keyring().current() == to { Ok(()) } else { Err(Stop::Overtaken) }
    }

    /// Goes once through the records that weren't looked at yet. Returns the names of those that can't be opened.
    async fn pass(&self, progress: &mut Progress) -> Result<Vec<String>, Stop> {
        let first = self.kinds.iter().position(|kind| kind.name() == progress.kind).unwrap_or(0);
        let mut unreadable = Vec::new();
        let mut batches = 0_u32;
        for kind in self.kinds.iter().skip(first) {
            if progress.kind != kind.name() {
                progress.kind = kind.name().to_owned();
                progress.after = None;
            }
            loop {
                let began = self.clock.elapsed();
                self.is_current(progress.to)?;
                let scan = Scan {
                    after: progress.after.as_ref().and_then(|after| hex::decode(after).ok()),
                    ..Scan::prefix(kind.prefix(), AT_ONCE)
                };
                let entries = self.store.scan(scan).await?;
                let Some(last) = entries.last() else { break };
                batches += 1;
                let before = progress.clone();
                progress.after = Some(hex::encode(&last.key));
                let synced = batches.is_multiple_of(SYNC_EVERY);
                match self.write(kind, &entries, progress, synced, &mut unreadable).await {
                    Err(StoreError::Conflict) => {
                        progress.done = before.done;
                        self.one_by_one(kind, &entries, progress, &mut unreadable).await?;
                    }
                    outcome => outcome?,
                }
                self.tell(progress, false);
                let worked = self.clock.elapsed().saturating_sub(began);
                tokio::time::sleep(worked * REST).await;
            }
        }
        Ok(unreadable)
    }

    /// Seals the records of a batch anew, and writes how far that is with them.
    async fn write(
        &self,
        kind: &Arc<dyn Kind>,
        entries: &[Entry],
        progress: &mut Progress,
        synced: bool,
        unreadable: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        let _held = match kind.keeper() {
            Some(keeper) => Some(keeper.hold().await),
            None => None,
        };
        let mut batch = if synced { Batch::synced() } else { Batch::buffered() };
        let (mut written, mut older) = (Vec::new(), Vec::new());
        let unreadable_before = unreadable.len();
        for entry in entries {
            match kind.seal_anew(entry, self.custody.keyring()) {
                Ok(None) => {}
                Ok(Some((value, ids))) => {
                    batch.expect(entry.key.clone(), Some(entry.revision));
                    batch.put(entry.key.clone(), value);
                    progress.done += ids.len() as u64;
                    older.extend(ids);
                    written.push(entry);
                }
                Err(error) => {
                    let name = crate::store::table::key_parts(&entry.key).join("/");
                    tracing::error!(record = name, "a sealed value can't be sealed anew: {error}");
                    unreadable.push(name);
                }
            }
        }
        if written.is_empty() && !synced {
            return Ok(());
        }
        PROGRESS.put(&mut batch, &[], progress)?;
        match self.store.commit(batch).await {
            Ok(revision) => {
                if let Some(counts) = &mut self.told().counts {
                    counts.note(kind.name(), &older, progress.to);
                }
                if let Some(keeper) = kind.keeper() {
                    for entry in written {
                        let key = crate::store::table::key_parts(&entry.key);
                        keeper.rewritten(key.get(1..).unwrap_or_default(), entry.revision, revision);
                    }
                }
                Ok(())
            }
            Err(error) => {
                unreadable.truncate(unreadable_before);
                Err(error)
            }
        }
    }

    /// The same one record at a time, each as it is now: one of them was changed meanwhile.
    async fn one_by_one(
        &self,
        kind: &Arc<dyn Kind>,
        entries: &[Entry],
        progress: &mut Progress,
        unreadable: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        for entry in entries {
            for _ in 0..TRIES {
                let Some(entry) = self.store.get(&entry.key).await? else { break };
                let done = progress.done;
                match self.write(kind, &[entry], progress, false, unreadable).await {
                    Err(StoreError::Conflict) => progress.done = done,
                    outcome => {
                        outcome?;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Counts all sealed values by kind and key, resting so many times as long as it works.
    async fn count(&self, rest: u32) -> Result<Counts, SealError> {
        let mut values: BTreeMap<&'static str, BTreeMap<KeyId, u64>> = BTreeMap::new();
        let mut worked = Duration::ZERO;
        for kind in &self.kinds {
            let of_kind = values.entry(kind.name()).or_default();
            let mut after = None;
            loop {
                let began = self.clock.elapsed();
                let entries = self.store.scan(Scan { after, ..Scan::prefix(kind.prefix(), 8 * AT_ONCE) }).await?;
                for entry in &entries {
                    // One that can't be read names no key; whoever needs it says so.
                    for id in kind.key_ids(entry).unwrap_or_default() {
                        *of_kind.entry(id).or_default() += 1;
                    }
                }
                let Some(last) = entries.into_iter().next_back() else { break };
                after = Some(last.key);
                let taken = self.clock.elapsed().saturating_sub(began);
                worked += taken;
                if rest > 0 {
                    tokio::time::sleep(taken * rest).await;
                } else {
                    tokio::task::yield_now().await;
                }
            }
        }
        let counts = Counts { values, at: self.clock.now(), hold_until: self.clock.elapsed() + HOLDS * worked };
        let ids = self.custody.keyring().ids();
        // Two series, whatever was rotated how often.
        let present = ids.last().copied().unwrap_or_default();
        metrics::gauge!(telemetry::SEALED_VALUES, "key" => "present").set(counts.of(present) as f64);
        metrics::gauge!(telemetry::SEALED_VALUES, "key" => "older").set(counts.before(present) as f64);
        self.told().counts = Some(counts.clone());
        Ok(counts)
    }

    /// Lets it be known how far it is.
    fn tell(&self, progress: &Progress, settling: bool) {
        let mut told = self.told();
        let (began, before) = told.began;
        let (taken, done) = (self.clock.elapsed().saturating_sub(began), progress.done.saturating_sub(before));
        let to_do = progress.total.saturating_sub(progress.done);
        let left = match done {
            _ if settling => None,
            0 => None,
            done => Some(taken.mul_f64(to_do as f64 / done as f64)),
        };
        told.work = Some(Work { progress: progress.clone(), left, settling });
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
