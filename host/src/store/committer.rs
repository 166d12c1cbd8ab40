//! The one thread that writes: it takes the batches that wait, checks each, and writes them as one, with one sync.
//!
//! So integrations that renew together share syncs, and the check of an expectation needs no lock. After a failed write
//! it puts RocksDB back into order by itself before the next. It reads and writes through [`Database`] only.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rocksdb::WriteBatch;
use tokio::sync::{mpsc, oneshot};

use super::database::{Database, revision_key, with_revision, write};
use super::room::make_sure_of_room;
use super::{Batch, Durability, FORMAT_KEY, Revision, StoreError};
use crate::clock::{SharedClock, SystemClock};
use crate::telemetry;

/// Batches written together at most. Bounds the time that the first of them waits for the last.
const GROUP: usize = 512;

/// What the committer is asked for.
pub(super) enum Request {
    /// To commit a batch.
    Commit(Batch, oneshot::Sender<Result<Revision, StoreError>>),
    /// To commit what came before, and close the folder.
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// A batch and where its outcome goes.
type Waiting = (Batch, oneshot::Sender<Result<Revision, StoreError>>);

/// The thread's state.
pub(super) struct Committer {
    /// The database.
    database: Arc<Database>,
    /// What is asked for.
    requests: mpsc::Receiver<Request>,
    /// The last batch's revision.
    revision: Revision,
    /// What to put right before the next write.
    failed: Option<FailedWrite>,
    /// Measures writes.
    clock: SharedClock,
}

/// A write that RocksDB refused. Its log may hold all of it nevertheless (where the sync failed), and show it when it is
/// opened again, though its callers were told that nothing was written.
struct FailedWrite {
    /// The last revision in it.
    revision: Revision,
    /// What its keys held before.
    before: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// Several batches as one write.
#[derive(Default)]
struct Group {
    /// The write.
    writes: WriteBatch,
    /// The keys in it and their revisions (`None`: removed).
    written: HashMap<Vec<u8>, Option<Revision>>,
    /// Whether one of the batches is synced.
    sync: bool,
}

impl Committer {
    /// A committer that goes on from this revision.
    pub(super) fn new(database: Arc<Database>, requests: mpsc::Receiver<Request>, revision: Revision) -> Self {
        Self { database, requests, revision, failed: None, clock: SystemClock::shared() }
    }

    /// Works until the store is closed or dropped.
    pub(super) fn run(mut self) {
        let mut closing = None;
        while closing.is_none() {
            let Some(first) = self.requests.blocking_recv() else { break };
            let mut waiting = Vec::new();
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Commit(batch, answer) => waiting.push((batch, answer)),
                    Request::Close(answer) => {
                        closing = Some(answer);
                        break;
                    }
                }
                next = if waiting.len() < GROUP { self.requests.try_recv().ok() } else { None };
            }
            self.commit(waiting);
        }
        let closed = self.database.close();
        match closing {
            // Nobody may be waiting any more.
            Some(answer) => drop(answer.send(closed)),
            None => {
                if let Err(error) = closed {
                    tracing::warn!(%error, "the store was closed without writing its log out to tables");
                }
            }
        }
    }

    /// Commits batches together and answers each.
    fn commit(&mut self, waiting: Vec<Waiting>) {
        if waiting.is_empty() {
            return;
        }
        if let Err(error) = self.recover() {
            return answer_all(waiting, &error);
        }
        let mut group = Group::default();
        let mut last = self.revision;
        let outcomes: Vec<_> = waiting.iter().map(|(batch, _)| self.add(&mut group, batch, &mut last)).collect();
        let written = if last == self.revision {
            Ok(()) // Conflicts only.
        } else {
            let began = self.clock.elapsed();
            let written = self.database.write(group.writes, last, group.sync);
            metrics::histogram!(telemetry::STORE_COMMIT_SECONDS).record(self.clock.elapsed().saturating_sub(began));
            written
        };
        if let Err(error) = written {
            tracing::error!(%error, "the store can't write; reads go on, and each commit tries again");
            self.fail(last, group.written.into_keys());
            // All of them: a conflict, too, may have been with a batch that isn't written now.
            return answer_all(waiting, &error);
        }
        metrics::counter!(telemetry::STORE_COMMITS).increment(last - self.revision);
        self.revision = last;
        self.database.committed.store(last, Ordering::Release);
        for ((_, answer), outcome) in waiting.into_iter().zip(outcomes) {
            // A caller that went away needs no answer.
            drop(answer.send(outcome));
        }
    }

    /// Adds a batch to the group if its expectations hold, and counts it in `last`.
    fn add(&self, group: &mut Group, batch: &Batch, last: &mut Revision) -> Result<Revision, StoreError> {
        for (key, expected) in &batch.expected {
            let found = match group.written.get(key) {
                Some(revision) => *revision,
                None => self.database.revision(key)?,
            };
            if found != *expected {
                return Err(StoreError::Conflict);
            }
        }
        *last += 1;
        for (key, value) in &batch.writes {
            match value {
                Some(value) => group.writes.put(key, with_revision(*last, value)),
                None => group.writes.delete(key),
            }
            group.written.insert(key.clone(), value.is_some().then_some(*last));
        }
        if let Some(format) = batch.format {
            group.writes.put(FORMAT_KEY, format.to_be_bytes());
        }
        group.sync |= batch.durability == Durability::Synced;
        Ok(*last)
    }

    /// Remembers what a failed write must not have changed.
    fn fail(&mut self, revision: Revision, keys: impl Iterator<Item = Vec<u8>>) {
        self.database.failed.store(true, Ordering::Relaxed);
        let keys = keys.chain([revision_key().to_vec(), FORMAT_KEY.to_vec()]);
        // A handle that refuses writes still reads; what it can't read can't be put back, and no more be done about it.
        let before = keys.filter_map(|key| self.database.stored(&key).ok().map(|stored| (key, stored))).collect();
        self.failed = Some(FailedWrite { revision, before });
    }

    /// After a failed write: once there is room on the disk, opens the database again and takes back what the failed
    /// write left in its log.
    fn recover(&mut self) -> Result<(), StoreError> {
        let Some(failed) = &self.failed else { return Ok(()) };
        make_sure_of_room(&self.database.folder)?;
        let good = self.revision;
        self.database.reopen(|db, found| {
            if found == good {
                return Ok(());
            }
            if found != failed.revision {
                let fault = format!("after a failed write it is at revision {found}, not {good}; restart the daemon");
                return Err(StoreError::Storage(fault));
            }
            let mut writes = WriteBatch::default();
            for (key, stored) in &failed.before {
                match stored {
                    Some(stored) => writes.put(key, stored),
                    None => writes.delete(key),
                }
            }
            write(db, writes, true)
        })?;
        self.failed = None;
        self.database.failed.store(false, Ordering::Relaxed);
        tracing::info!("the store writes again");
        Ok(())
    }
}

/// Gives all the same answer.
fn answer_all(waiting: Vec<Waiting>, error: &StoreError) {
    for (_, answer) in waiting {
        drop(answer.send(Err(error.clone())));
    }
}

#[cfg(test)]
mod tests {
    use super::super::rocks::RocksStore;
    use super::super::{Scan, Store};
    use super::*;

    /// Where the log took a write and only its sync failed, the write is there when the database is opened again.
    #[tokio::test]
    async fn what_a_failed_write_left_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = RocksStore::open(folder.path()).unwrap();
        let mut batch = Batch::synced();
        batch.put("changed", "old");
        batch.put("removed", "old");
        let good = store.commit(batch).await.unwrap();
        store.close().await.unwrap();

        let database = Arc::new(Database::open(folder.path()).unwrap());
        let (_queue, requests) = mpsc::channel(1);
        let mut committer = Committer::new(Arc::clone(&database), requests, good);
        let (mut group, mut last) = (Group::default(), good);
        let mut refused = Batch::synced();
        refused.put("changed", "new");
        refused.put("made", "new");
        refused.remove("removed");
        committer.add(&mut group, &refused, &mut last).unwrap();
        committer.fail(last, group.written.into_keys());
        database.write(group.writes, last, true).unwrap();
        assert_eq!(database.revision(b"made").unwrap(), Some(last));
        committer.recover().unwrap();

        let found = database.scan(&Scan::prefix("", 9)).unwrap();
        let found: Vec<_> = found.iter().map(|entry| (&*entry.key, &*entry.value, entry.revision)).collect();
        assert_eq!(found, [(&b"changed"[..], &b"old"[..], good), (&b"removed"[..], &b"old"[..], good)]);
        let (answer, answered) = oneshot::channel();
        committer.commit(vec![(refused, answer)]);
        assert_eq!(answered.await.unwrap().unwrap(), good + 1, "the next write goes through");
    }
}
