//! Keeps events: takes them without waiting, writes them in groups, gives them out in order, and forgets the oldest.
//!
//! Groups in which nothing is wrong aren't synced: healthy renewals must not cost a sync each. They survive the end of the
//! process all the same, and the next synced batch of anybody makes them durable.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use super::event::{Event, Severity};
use super::notice::{Notice, Once};
use crate::clock::SharedClock;
use crate::store::table::{Page, Table};
use crate::store::{Batch, Store, StoreError};
use crate::telemetry;

/// Events by their id.
const EVENTS: Table<Event> = Table::new("event");
/// What was told last of something that is told once.
const TOLD: Table<Told> = Table::new("event-told");

/// Notices that wait to be written at most: some seconds' worth of everything renewing at once.
const MOST_WAITING: usize = 65_536;
/// Events written together at most.
const GROUP: usize = 512;
/// Old events removed with a group at most, beside as many as were added.
const REMOVED: usize = 512;
/// The newest events, in memory for those who follow.
const RECENT: usize = 4_096;
/// Records read at once.
const AT_ONCE: usize = 1_000;
/// How long to wait before a failed write is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// How many events are kept, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Older events go, in days.
    pub days: u32,
    /// Of more events the oldest go. Routine ones, as renewals that went well, and all others are counted apart.
    pub records: usize,
}

impl Default for Retention {
    /// A month, and twice 50,000 events, some 40 MB.
    fn default() -> Self {
        Self { days: 30, records: 50_000 }
    }
}

/// What was told last.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Told {
    /// What of it.
    mark: String,
    /// When it may be forgotten.
    until: DateTime<Utc>,
}

/// The events.
pub struct Notices {
    store: Arc<dyn Store>,
    clock: SharedClock,
    retention: Mutex<Retention>,
    /// What was told and isn't written yet.
    waiting: Mutex<VecDeque<Notice>>,
    /// Wakes the writer.
    wake: Arc<Notify>,
    /// How many were told, and how many of those were dealt with.
    told: AtomicU64,
    done: watch::Sender<u64>,
    /// The newest events, the oldest of them first.
    recent: RwLock<VecDeque<Arc<Event>>>,
    /// The id of the last event.
    last: watch::Sender<Ulid>,
    /// The ids of all that are kept.
    kept: Mutex<Kept>,
    /// Ends the writer, and those who follow.
    stop: CancellationToken,
}

/// The ids of what is kept, in order.
#[derive(Default)]
struct Kept {
    routine: VecDeque<Ulid>,
    others: VecDeque<Ulid>,
    /// The last one that was removed, or may have been.
    removed: Ulid,
}

impl Kept {
    fn add(&mut self, event: &Event) {
        if event.kind.is_routine() { &mut self.routine } else { &mut self.others }.push_back(event.id);
    }

    /// Takes out what is too old or too much.
    fn take_old(&mut self, retention: Retention, now: DateTime<Utc>, most: usize) -> Vec<Ulid> {
        let oldest = TimeDelta::try_days(retention.days.into()).and_then(|days| now.checked_sub_signed(days));
        let oldest = oldest.and_then(|oldest| u64::try_from(oldest.timestamp_millis()).ok()).unwrap_or(0);
        let mut taken = Vec::new();
        for ids in [&mut self.routine, &mut self.others] {
            while taken.len() < most
                && let Some(id) = ids.front().copied()
                && (ids.len() > retention.records || id.timestamp_ms() < oldest)
            {
                ids.pop_front();
                taken.push(id);
                self.removed = self.removed.max(id);
            }
        }
        taken
    }
}

impl Notices {
    /// What the keys of events begin with in the store.
    pub fn records() -> Vec<u8> {
        EVENTS.key(&[])
    }

    /// The events in this store. They are written by a task of the current runtime.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn open(
        store: Arc<dyn Store>,
        clock: SharedClock,
        retention: Retention,
    ) -> Result<Arc<Self>, StoreError> {
        let mut kept = Kept::default();
        let mut recent = VecDeque::new();
        let mut walk = EVENTS.walk(&*store, &[], AT_ONCE);
        while let Some(found) = walk.next().await? {
            for event in found {
                kept.add(&event.value);
                recent.push_back(Arc::new(event.value));
            }
            let over = recent.len().saturating_sub(RECENT);
            recent.drain(..over);
        }
        for ids in [&kept.routine, &kept.others] {
            if let Some(first) = ids.front().filter(|_| ids.len() >= retention.records) {
                kept.removed = kept.removed.max(*first);
            }
        }
        let last = recent.back().map_or(Ulid::nil(), |event| event.id);
        let notices = Arc::new(Self {
            store,
            clock,
            retention: Mutex::new(retention),
            waiting: Mutex::default(),
            wake: Arc::default(),
            told: AtomicU64::new(0),
            done: watch::Sender::new(0),
            recent: RwLock::new(recent),
            last: watch::Sender::new(last),
            kept: Mutex::new(kept),
            stop: CancellationToken::new(),
        });
        tokio::spawn(write(Arc::downgrade(&notices), Arc::clone(&notices.wake), notices.stop.clone()));
        Ok(notices)
    }

    /// Tells of something. Never waits, and never fails: where more comes than can be written, the rest is counted and left out.
    pub fn tell(&self, notice: Notice) {
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.len() >= MOST_WAITING {
                metrics::counter!(telemetry::EVENTS_LOST).increment(1);
                return;
            }
            self.told.fetch_add(1, Ordering::AcqRel);
            waiting.push_back(notice);
        }
        self.wake.notify_one();
    }

    /// Returns once all that was told before is written.
    pub async fn settled(&self) {
        let told = self.told.load(Ordering::Acquire);
        // Ends only with the writer, and then there is nothing to wait for.
        drop(self.done.subscribe().wait_for(|done| *done >= told).await);
    }

    /// Ends those who follow. What is told from now on is still written; [`Notices::settled`] waits for it.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Ends when nobody is to follow any more, since the daemon stops.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// The id of the last event, and how it changes.
    pub fn last(&self) -> watch::Receiver<Ulid> {
        self.last.subscribe()
    }

    /// Whether events after this one may have been removed already.
    pub fn has_gap_after(&self, id: Ulid) -> bool {
        id < self.kept.lock().unwrap_or_else(PoisonError::into_inner).removed
    }

    /// Events after this one, the oldest first. From memory where it can be.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn after(&self, id: Ulid, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        {
            let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
            let is_whole = recent.front().is_none_or(|first| first.id <= id);
            if is_whole {
                let from = recent.partition_point(|event| event.id <= id);
                return Ok(recent.iter().skip(from).take(limit).cloned().collect());
            }
        }
        let text = id.to_string();
        let page = Page { after: Some(&[&text]), limit, reverse: false };
        let found = EVENTS.list(&*self.store, &[], page).await?;
        Ok(found.into_iter().map(|found| Arc::new(found.value)).collect())
    }

    /// Events before this one, the newest first; none: from the last one on.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn before(&self, id: Option<Ulid>, limit: usize) -> Result<Vec<Event>, StoreError> {
        let text = id.map(|id| id.to_string());
        let after = text.as_deref().map(|id| [id]);
        let page = Page { after: after.as_ref().map(<[&str; 1]>::as_slice), limit, reverse: true };
        let found = EVENTS.list(&*self.store, &[], page).await?;
        Ok(found.into_iter().map(|found| found.value).collect())
    }

    /// One event, if it is still kept.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn get(&self, id: Ulid) -> Result<Option<Event>, StoreError> {
        Ok(EVENTS.get(&*self.store, &[&id.to_string()]).await?.map(|found| found.value))
    }

    fn retention(&self) -> Retention {
        *self.retention.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps so much from now on.
    pub fn keep(&self, retention: Retention) {
        *self.retention.lock().unwrap_or_else(PoisonError::into_inner) = retention;
    }

    /// Removes what is no longer kept. To be called now and then: each group of new events removes some, too.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn prune(&self) -> Result<usize, StoreError> {
        let (now, mut removed) = (self.clock.now(), 0);
        loop {
            let old = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take_old(self.retention(), now, AT_ONCE);
            if old.is_empty() {
                break;
            }
            let mut batch = Batch::buffered();
            old.iter().for_each(|id| EVENTS.remove(&mut batch, &[&id.to_string()]));
            self.store.commit(batch).await?;
            removed += old.len();
        }
        let mut walk = TOLD.walk(&*self.store, &[], AT_ONCE);
        while let Some(found) = walk.next().await? {
            let mut batch = Batch::buffered();
            for told in found.iter().filter(|told| told.value.until < now) {
                if let Some(about) = told.key.first() {
                    TOLD.expect(&mut batch, &[about], Some(told.revision));
                    TOLD.remove(&mut batch, &[about]);
                }
            }
            match self.store.commit(batch).await {
                // One was told anew meanwhile; the next time will do.
                Ok(_) | Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(removed)
    }

    /// Takes what waits, up to a group.
    fn take(&self) -> Vec<Notice> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let size = waiting.len().min(GROUP);
        waiting.drain(..size).collect()
    }

    /// Writes a group, and then shows it to those who follow.
    async fn write(&self, group: &[Notice]) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut marks: BTreeMap<&str, &Once> = BTreeMap::new();
        let mut events = Vec::with_capacity(group.len());
        let mut id = *self.last.borrow();
        for notice in group {
            if let Some(once) = &notice.once {
                let is_known = match marks.get(once.about.as_str()) {
                    Some(before) => before.mark == once.mark,
                    None => {
                        TOLD.get(&*self.store, &[&once.about]).await?.is_some_and(|told| told.value.mark == once.mark)
                    }
                };
                if is_known {
                    continue;
                }
                marks.insert(&once.about, once);
            }
            id = next_id(id, now);
            events.push(Arc::new(notice.clone().into_event(id, now)));
        }
        if events.is_empty() {
            return Ok(());
        }
        let is_bad = events.iter().any(|event| event.severity > Severity::Info);
        let mut batch = if is_bad { Batch::synced() } else { Batch::buffered() };
        for event in &events {
            EVENTS.put(&mut batch, &[&event.id.to_string()], event)?;
        }
        for (about, once) in marks {
            TOLD.put(&mut batch, &[about], &Told { mark: once.mark.clone(), until: once.until })?;
        }
        let most = events.len() + REMOVED;
        let old = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take_old(self.retention(), now, most);
        old.iter().for_each(|id| EVENTS.remove(&mut batch, &[&id.to_string()]));
        self.store.commit(batch).await?;
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            events.iter().for_each(|event| kept.add(event));
        }
        {
            let mut recent = self.recent.write().unwrap_or_else(PoisonError::into_inner);
            for event in &events {
                metrics::counter!(telemetry::EVENTS, "kind" => event.kind.as_str()).increment(1);
                recent.push_back(Arc::clone(event));
            }
            let over = recent.len().saturating_sub(RECENT);
            recent.drain(..over);
        }
        self.last.send_replace(id);
        Ok(())
    }
}

/// The id after this one: of this time, or, where the clock didn't move on or stepped back, the very next one.
fn next_id(last: Ulid, now: DateTime<Utc>) -> Ulid {
    let now = u64::try_from(now.timestamp_millis()).unwrap_or_default();
    if now > last.timestamp_ms() {
        // The upper half only: there is room above for those of the same millisecond.
        return Ulid::from_parts(now, rand::random::<u128>() >> 49);
    }
    last.increment().unwrap_or_else(|| Ulid::from_parts(last.timestamp_ms() + 1, 0))
}

/// Writes what is told, until nobody can tell anything any more.
async fn write(notices: Weak<Notices>, wake: Arc<Notify>, stop: CancellationToken) {
    loop {
        let Some(keeper) = notices.upgrade() else { return };
        let group = keeper.take();
        if group.is_empty() {
            drop(keeper);
            wake.notified().await;
            continue;
        }
        while let Err(error) = keeper.write(&group).await {
            tracing::error!("events can't be written, which is tried again: {error}");
            if stop.is_cancelled() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        keeper.done.send_modify(|done| *done += group.len() as u64);
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        self.stop.cancel();
        self.wake.notify_one();
    }
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notices").field("retention", &self.retention()).finish_non_exhaustive()
    }
}
