//! The store on disk: one queue for commits, which go through the `committer`, and reads of the open `database`. It knows no
//! record.

use std::fmt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use super::committer::{Committer, Request};
use super::database::{Database, check_format, classify, closed, make_private};
use super::figures::Figures;
use super::{Batch, Entry, FORMAT, Revision, Scan, Store, StoreError};

/// Commits that wait for the committer. Beyond it callers wait to be let in, which bounds the memory.
const QUEUE: usize = 4096;
/// A scan of at most so many entries runs where it is called; a longer one would keep the async worker from others.
const INLINE_SCAN: usize = 256;

/// The store on disk. One per folder; dropping it closes it.
pub struct RocksStore {
    /// The open database, shared with the committer.
    database: Arc<Database>,
    /// Where commits go. `None` once dropped.
    queue: Option<mpsc::Sender<Request>>,
    /// The committer's thread.
    committer: Mutex<Option<JoinHandle<()>>>,
}

impl RocksStore {
    /// Opens the store in this folder, which is made, readable by its owner only, where there is none.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::TooNew`], [`StoreError::TooOld`], [`StoreError::Full`]; else the folder can't
    /// be read or written, or what it holds is damaged or not tokenhost's.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let store = Self::open_any(folder)?;
        match store.database.format()? {
            FORMAT => Ok(store),
            found => Err(StoreError::TooOld { found, wanted: FORMAT }),
        }
    }

    /// The same, of an earlier format too. For who upgrades it.
    ///
    /// # Errors
    /// As for [`RocksStore::open`], but for [`StoreError::TooOld`].
    pub fn open_any(folder: &Path) -> Result<Self, StoreError> {
        let database = Arc::new(Database::open(folder)?);
        let revision = database.with(|db| check_format(db, FORMAT))?;
        database.committed.store(revision, Ordering::Release);
        let (queue, requests) = mpsc::channel(QUEUE);
        let committer = Committer::new(Arc::clone(&database), requests, revision);
        let thread = std::thread::Builder::new()
            .name("store-committer".into())
            .spawn(move || committer.run())
            .map_err(|error| StoreError::Storage(format!("no thread for the store: {error}")))?;
        Ok(Self { database, queue: Some(queue), committer: Mutex::new(Some(thread)) })
    }

    /// Commits what is queued, writes the log out to tables so that the next start has nothing to replay, and closes the
    /// folder. Later calls fail. Dropping the store does the same, but blocks.
    ///
    /// # Errors
    /// The disk refused; nothing acknowledged is lost by it.
    pub async fn close(&self) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(Request::Close(answer)).await?;
        answered.await.map_err(|_| closed())?
    }

    /// Whether commits go through. Where the last one failed, tries another, which recovers the store if it can.
    ///
    /// # Errors
    /// Why they don't.
    pub async fn health(&self) -> Result<(), StoreError> {
        if self.database.failed.load(Ordering::Relaxed) {
            self.commit(Batch::synced()).await?;
        }
        Ok(())
    }

    /// How many times a group of commits was synced to disk since the store was opened.
    pub fn syncs(&self) -> u64 {
        self.database.syncs.load(Ordering::Relaxed)
    }

    /// Makes a copy of the database as it is now in a folder that doesn't exist yet. It takes hardly any room on the disk,
    /// since its tables are links to those of the database, which never change; and grows as far as the two differ later.
    ///
    /// # Errors
    /// The folder can't be made, or lies on another file system.
    pub fn copy_to(&self, folder: &Path) -> Result<(), StoreError> {
        self.database.with(|db| {
            let checkpoint = rocksdb::checkpoint::Checkpoint::new(db).map_err(classify)?;
            // Made under another name first, and synced: it is there in full or not at all.
            checkpoint.create_checkpoint(folder).map_err(classify)
        })?;
        make_private(folder)
    }

    /// How large the store is, and how it fares. `kinds` are counted apart: the beginning of the keys of each.
    pub fn figures(&self, kinds: &[&[u8]]) -> Figures {
        Figures::of(&self.database, kinds)
    }

    /// What readers and the committer share.
    pub(super) fn database(&self) -> &Arc<Database> {
        &self.database
    }

    /// Queues a request.
    async fn send(&self, request: Request) -> Result<(), StoreError> {
        self.queue.as_ref().ok_or_else(closed)?.send(request).await.map_err(|_| closed())
    }
}

impl Drop for RocksStore {
    fn drop(&mut self) {
        self.queue = None;
        let thread = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the store's committer panicked");
        }
    }
}

#[async_trait]
impl Store for RocksStore {
    /// Inline: most reads are answered from memory within microseconds.
    async fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.database.get(key)
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Entry>, StoreError> {
        if scan.limit <= INLINE_SCAN {
            return self.database.scan(&scan);
        }
        let database = Arc::clone(&self.database);
        tokio::task::spawn_blocking(move || database.scan(&scan))
            .await
            .map_err(|error| StoreError::Storage(format!("a scan was broken off: {error}")))?
    }

    /// A caller that goes away before the answer cancels nothing: what was queued is committed.
    async fn commit(&self, batch: Batch) -> Result<Revision, StoreError> {
        batch.check_keys()?;
        let (answer, answered) = oneshot::channel();
        self.send(Request::Commit(batch, answer)).await?;
        answered.await.map_err(|_| closed())?
    }

    async fn format(&self) -> Result<u64, StoreError> {
        self.database.format()
    }

    fn revision(&self) -> Revision {
        self.database.committed.load(Ordering::Acquire)
    }
}

impl fmt::Debug for RocksStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RocksStore").field("folder", &self.database.folder).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn a_copy_is_the_database_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (one, copy) = (folder.path().join("one"), folder.path().join("copy"));
        let store = RocksStore::open(&one).unwrap();
        let put = async |value: &'static str| {
            let mut batch = Batch::buffered();
            batch.put("key", value);
            store.commit(batch).await.unwrap()
        };
        let before = put("before").await;
        store.copy_to(&copy).unwrap();
        put("after").await;
        assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let entry = RocksStore::open(&copy).unwrap().get(b"key").await.unwrap().unwrap();
        assert_eq!((&*entry.value, entry.revision), (&b"before"[..], before));
        assert!(store.copy_to(&copy).is_err(), "nothing is overwritten");
    }

    #[tokio::test]
    async fn what_each_kind_takes_on_the_disk_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let store = RocksStore::open(folder.path()).unwrap();
        let mut batch = Batch::buffered();
        for number in 0..64_u8 {
            let mut noise = vec![0; 16 << 10];
            getrandom::fill(&mut noise).unwrap();
            batch.put([&b"large\0"[..], &[number]].concat(), noise);
        }
        batch.put("small\0", "x");
        store.commit(batch).await.unwrap();
        store.close().await.unwrap();
        assert!(store.figures(&[b"large\0"]).kinds.is_empty(), "closed");
        let store = RocksStore::open(folder.path()).unwrap();
        let sizes = store.figures(&[b"large\0", b"small\0", b"none\0"]).kinds;
        assert!(sizes[0] > 900 << 10 && sizes[1] < 64 << 10 && sizes[2] < 64 << 10, "{sizes:?}");
    }
}
