//! How often inbound tokens were used, and when and from where last: exact after `kill -9`, without a write per request.
//!
//! Uses are counted in memory that belongs to a file, so that the operating system has them when the process is gone. Every
//! minute, and at the stop, totals go into the store; they are absolute, so a total may be written twice. What a killed
//! process left in the file is written at the next start. A power cut may cost the uses since the totals last went into the
//! store.
//!
//! It doesn't decide what is a use, and knows of a token nothing but its id.

mod slot;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::RwLock;

use self::slot::{Chunk, Left, Place};
pub use self::slot::{Moved, Slot, UsageRecord};
use super::token::{self, TokenId};
use crate::store::table::Table;
use crate::store::{Batch, Store, StoreError};
use crate::trusted::{self, CHUNK_SLOTS, CounterFile};

/// Uses of tokens, by the public id.
const USAGE: Table<UsageRecord> = Table::new("usage");
/// How many tokens are counted at once; 64 bytes on disk and some 130 in memory each.
const SLOTS: usize = 4_000_000;
/// Records of a batch.
const BATCH: usize = 1000;

/// Counts the uses of tokens.
pub struct Usage {
    /// Where totals are.
    store: Arc<dyn Store>,
    /// Which token has which slot.
    slots: Mutex<Slots>,
    /// Held for writing while tokens lose their slots, and for reading where a total is read for a slot or written: else
    /// one that was read before could be taken for the latest after.
    changes: RwLock<()>,
    /// One fold at a time: the number of the chunk that is next.
    folding: tokio::sync::Mutex<usize>,
}

/// All slots.
struct Slots {
    /// The file; `None`: memory only.
    file: Option<CounterFile>,
    /// All chunks; slots are taken from the last one.
    chunks: Vec<Arc<Chunk>>,
    /// Slots made so far, of all chunks.
    made: usize,
    /// How many may be made.
    limit: usize,
    /// By token.
    by_id: HashMap<TokenId, Slot>,
    /// Slots that nobody has any more.
    free: Vec<Slot>,
    /// Whether it was said that the file can't grow.
    is_memory_told: bool,
    /// Whether it was said that there are no more slots.
    is_limit_told: bool,
}

impl Usage {
    /// Writes into the store what an earlier process left in this file, and starts the file anew. Without a file, counts
    /// are in memory only, for tests. Slots that no process can have written are skipped, and a file that can't be read or
    /// made is said in the log: neither keeps a daemon from starting.
    ///
    /// # Errors
    /// The store failed. The file is as it was.
    pub async fn open(file: Option<&Path>, store: Arc<dyn Store>) -> Result<Self, StoreError> {
        Self::with_limit(file, store, SLOTS).await
    }

    async fn with_limit(file: Option<&Path>, store: Arc<dyn Store>, limit: usize) -> Result<Self, StoreError> {
        let file = match file {
            Some(path) => {
                recover(path, &*store).await?;
                create(path)
            }
            None => None,
        };
        let slots = Slots {
            file,
            chunks: Vec::new(),
            made: 0,
            limit,
            by_id: HashMap::new(),
            free: Vec::new(),
            is_memory_told: false,
            is_limit_told: false,
        };
        Ok(Self { store, slots: Mutex::new(slots), changes: RwLock::new(()), folding: tokio::sync::Mutex::new(0) })
    }

    /// The slot that counts the uses of this token; keep it for as long as the token is known, since a slot that nobody
    /// keeps may go to another token once its total is in the store.
    ///
    /// # Errors
    /// The token's total couldn't be read.
    pub async fn open_slot(&self, id: &TokenId) -> Result<Slot, StoreError> {
        if let Some(slot) = self.slots().by_id.get(id) {
            return Ok(slot.clone());
        }
        let _reading = self.changes.read().await;
        let stored = self.stored(id).await?;
        Ok(self.slots().assign(id, &stored))
    }

    /// The total of this token, this moment's uses included.
    ///
    /// # Errors
    /// The store failed.
    pub async fn read(&self, id: &TokenId) -> Result<UsageRecord, StoreError> {
        let open = self.slots().by_id.get(id).cloned();
        match open {
            Some(slot) => Ok(slot.read()),
            None => self.stored(id).await,
        }
    }

    /// Tells the uses of this token from its present address that weren't told yet.
    pub fn settle(&self, id: &TokenId) -> Option<Moved> {
        let open = self.slots().by_id.get(id).cloned();
        open.and_then(|slot| slot.settle())
    }

    /// Writes all totals that changed into the store, in batches, each synced. Returns how many. Call it at the stop.
    ///
    /// # Errors
    /// The store failed; what wasn't written is written the next time.
    pub async fn fold(&self) -> Result<usize, StoreError> {
        self.fold_part(usize::MAX).await
    }

    /// Writes some of the totals that changed into the store: so many, and up to a chunk's more. The next call goes on where
    /// this one ended. Call it every minute: where a million tokens are in use, writing all of them each time would cost
    /// more than verifying them. What isn't written yet is in the file.
    ///
    /// # Errors
    /// The store failed; what wasn't written is written the next time.
    pub async fn fold_part(&self, most: usize) -> Result<usize, StoreError> {
        let mut next = self.folding.lock().await;
        let chunks = self.slots().chunks.clone();
        let mut folded = 0;
        for _ in 0..chunks.len() {
            let Some(chunk) = chunks.get(*next % chunks.len()) else { break };
            let changed: Vec<TokenId> = chunk.changed().collect();
            for ids in changed.chunks(BATCH) {
                folded += self.fold_some(ids).await?;
            }
            *next = (*next + 1) % chunks.len();
            if folded >= most {
                break;
            }
            // A million slots take some milliseconds.
            tokio::task::yield_now().await;
        }
        // Alone, or a total that was read before would begin a slot after.
        let _changing = self.changes.write().await;
        self.slots().reclaim();
        Ok(folded)
    }

    /// Writes the totals of these tokens.
    async fn fold_some(&self, ids: &[TokenId]) -> Result<usize, StoreError> {
        let _writing = self.changes.read().await;
        let totals: Vec<_> = {
            let slots = self.slots();
            let open = ids.iter().filter_map(|id| slots.by_id.get(id).map(|slot| (*id, slot.clone())));
            open.map(|(id, slot)| (id, slot.read(), slot)).collect()
        };
        if totals.is_empty() {
            return Ok(0);
        }
        let mut batch = Batch::synced();
        for (id, total, _) in &totals {
            USAGE.put(&mut batch, &[token::id_text(id)], total)?;
        }
        self.store.commit(batch).await?;
        for (_, total, slot) in &totals {
            slot.0.folded(total.count);
        }
        Ok(totals.len())
    }

    /// Forgets the uses of a token that is deleted for good. What still counts into its slot counts for nobody.
    ///
    /// # Errors
    /// The store failed; the token is no longer counted, but its total is still there.
    pub async fn forget(&self, id: &TokenId) -> Result<(), StoreError> {
        let _changing = self.changes.write().await;
        self.slots().forget(id);
        let mut batch = Batch::synced();
        USAGE.remove(&mut batch, &[token::id_text(id)]);
        self.store.commit(batch).await?;
        Ok(())
    }

    /// What the store has.
    async fn stored(&self, id: &TokenId) -> Result<UsageRecord, StoreError> {
        let stored = USAGE.get(&*self.store, &[token::id_text(id)]).await?;
        Ok(stored.map_or_else(UsageRecord::default, |stored| stored.value))
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Usage").field("open", &self.slots().by_id.len()).finish_non_exhaustive()
    }
}

impl Slots {
    /// The token's slot, or one that begins with what the store has.
    fn assign(&mut self, id: &TokenId, stored: &UsageRecord) -> Slot {
        if let Some(slot) = self.by_id.get(id) {
            return slot.clone();
        }
        let Some(slot) = self.free.pop().or_else(|| self.make()) else {
            if !self.is_limit_told {
                self.is_limit_told = true;
                tracing::warn!(slots = self.limit, "too many tokens in use at once: the uses of some aren't counted");
            }
            return Slot::new(Place::nowhere());
        };
        slot.0.begin(id, stored);
        self.by_id.insert(*id, slot.clone());
        slot
    }

    /// A new slot; `None`: there are too many, or there is no memory.
    fn make(&mut self) -> Option<Slot> {
        if self.made >= self.limit {
            return None;
        }
        let index = self.made % CHUNK_SLOTS;
        if index == 0 {
            let chunk = Chunk::new(self.grow()?);
            self.chunks.push(Arc::new(chunk));
        }
        let chunk = self.chunks.last().cloned()?;
        self.made += 1;
        Some(Slot::new(Place::new(chunk, index)))
    }

    /// Another chunk. This writes to the file while others wait: 256 KiB, once for 4096 tokens.
    fn grow(&mut self) -> Option<trusted::Chunk> {
        if let Some(file) = &mut self.file {
            match file.grow() {
                Ok(chunk) => return Some(chunk),
                Err(error) if !self.is_memory_told => {
                    self.is_memory_told = true;
                    tracing::warn!(%error, "the file of use counts can't grow: a kill costs up to a minute's counts");
                }
                Err(_) => {}
            }
        }
        trusted::Chunk::in_memory().ok()
    }

    fn forget(&mut self, id: &TokenId) {
        if let Some(mut slot) = self.by_id.remove(id) {
            slot.0.end();
            // Else someone may count into it yet, and it is given to nobody.
            if Arc::get_mut(&mut slot.0).is_some() {
                self.free.push(slot);
            }
        }
    }

    /// Where half of the slots are taken, takes back those that nobody keeps and whose total is in the store.
    fn reclaim(&mut self) {
        self.is_limit_told = false;
        if self.by_id.len() <= self.limit / 2 {
            return;
        }
        // `get_mut` sees what those counted who had it before, as the number of owners alone wouldn't.
        let idle = |slot: &mut Slot| Arc::get_mut(&mut slot.0).is_some_and(|place| !place.is_changed());
        for (_, slot) in self.by_id.extract_if(|_, slot| idle(slot)) {
            slot.0.end();
            self.free.push(slot);
        }
    }
}

/// A new file; `None`, with a warning, where it can't be made.
fn create(path: &Path) -> Option<CounterFile> {
    CounterFile::create(path)
        .inspect_err(|error| {
            let path = path.display();
            tracing::warn!(%path, %error, "the file of use counts can't be made: a kill costs up to a minute's counts");
        })
        .ok()
}

/// Writes into the store what an earlier process left.
async fn recover(path: &Path, store: &dyn Store) -> Result<(), StoreError> {
    let (mut left, mut damaged) = (HashMap::<TokenId, UsageRecord>::new(), 0_usize);
    let read = trusted::read_slots(path, SLOTS, |slot| match slot::left(slot) {
        Left::Nothing => {}
        Left::Uses(id, record) => match left.entry(id) {
            // After a power cut a token's former slot may be there too.
            Entry::Occupied(mut other) if other.get().count < record.count => {
                other.insert(record);
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(entry) => {
                entry.insert(record);
            }
        },
        Left::Damaged => damaged += 1,
    });
    let is_whole = match read {
        Ok(None) => return Ok(()),
        Ok(Some(is_whole)) => is_whole,
        Err(error) => {
            // What was read before the fault counts nevertheless.
            tracing::warn!(path = %path.display(), %error, "the file of use counts can't be read");
            true
        }
    };
    if damaged > 0 || !is_whole {
        tracing::warn!(path = %path.display(), damaged, is_whole, "the file of use counts is damaged in part");
    }
    let (mut recovered, left) = (0_usize, Vec::from_iter(left));
    for records in left.chunks(BATCH) {
        let mut batch = Batch::synced();
        for (id, record) in records {
            let id = token::id_text(id);
            let stored = USAGE.get(store, &[id]).await?;
            if stored.is_none_or(|stored| stored.value.count < record.count) {
                USAGE.put(&mut batch, &[id], record)?;
                recovered += 1;
            }
        }
        if !batch.is_empty() {
            store.commit(batch).await?;
        }
    }
    if recovered > 0 {
        tracing::info!(tokens = recovered, "took over the use counts of a process that didn't stop in order");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
