//! The whole store at one moment, read while the store goes on; and a new store, filled from such entries.
//!
//! The moment is held by a checkpoint of RocksDB: hard links to its tables, which are never changed. So a reader may take as
//! long as it likes, and the store can be closed or opened anew meanwhile. It knows no record.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rocksdb::checkpoint::Checkpoint;
use rocksdb::{DB, ReadOptions, WriteBatch, WriteOptions};

use super::database::{Database, classify, make_private, number, options, revision_key, split_revision, with_revision};
use super::rocks::RocksStore;
use super::{FORMAT_KEY, Revision, StoreError, is_reserved, prefix_end};

/// Bytes that are read ahead while all entries are read.
const READ_AHEAD: usize = 2 << 20;
/// Bytes of entries that are written together.
const WRITTEN_AT_ONCE: usize = 4 << 20;

/// A store as it was at one moment. Dropping it removes its folder.
pub struct Frozen {
    /// The database; `None` only while it is dropped.
    db: Option<DB>,
    /// Where it is.
    folder: PathBuf,
    /// The format of the database.
    format: u64,
    /// The last batch's revision.
    revision: Revision,
}

impl RocksStore {
    /// The store as it is now: all that was acknowledged before is in it, and of every batch all or nothing. `folder` is
    /// made for it, on the same file system, and must not exist.
    ///
    /// # Errors
    /// The storage failed, or is to be put right after a failed write.
    pub async fn freeze(&self, folder: &Path) -> Result<Frozen, StoreError> {
        let (database, folder) = (Arc::clone(self.database()), folder.to_owned());
        tokio::task::spawn_blocking(move || Frozen::of(&database, folder))
            .await
            .map_err(|error| StoreError::Storage(format!("a copy was broken off: {error}")))?
    }
}

impl Frozen {
    fn of(database: &Database, folder: PathBuf) -> Result<Self, StoreError> {
        if database.failed.load(std::sync::atomic::Ordering::Relaxed) {
            let fault = "the last write failed, and the store isn't put right yet; free some space on its disk";
            return Err(StoreError::Storage(fault.into()));
        }
        // From here on the folder goes whatever happens.
        let mut frozen = Self { db: None, folder, format: 0, revision: 0 };
        database
            .with(|db| Checkpoint::new(db).and_then(|made| made.create_checkpoint(&frozen.folder)).map_err(classify))?;
        let db = DB::open_for_read_only(&options(), &frozen.folder, false).map_err(classify)?;
        let missing = || StoreError::Storage("a copy of the store names no format".into());
        frozen.format = number(&db, FORMAT_KEY)?.ok_or_else(missing)?;
        frozen.revision = number(&db, revision_key())?.unwrap_or(0);
        frozen.db = Some(db);
        Ok(frozen)
    }

    /// The format of the database.
    pub fn format(&self) -> u64 {
        self.format
    }

    /// The last batch's revision.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Gives all entries whose keys begin with the prefix, in order: key, revision, value. It blocks.
    ///
    /// # Errors
    /// The storage failed, or whoever gets the entries.
    pub fn each<E: From<StoreError>>(
        &self,
        prefix: &[u8],
        mut take: impl FnMut(&[u8], Revision, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(db) = &self.db else { return Ok(()) };
        let mut options = ReadOptions::default();
        // Each block is read once: it would only drive out what others need.
        options.fill_cache(false);
        options.set_readahead_size(READ_AHEAD);
        options.set_iterate_lower_bound(if prefix.is_empty() { &[1] } else { prefix });
        if let Some(high) = prefix_end(prefix) {
            options.set_iterate_upper_bound(high);
        }
        let mut cursor = db.raw_iterator_opt(options);
        cursor.seek_to_first();
        while let Some((key, stored)) = cursor.item() {
            let (revision, value) = split_revision(stored)?;
            take(key, revision, value)?;
            cursor.next();
        }
        Ok(cursor.status().map_err(classify)?)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        drop(self.db.take());
        match std::fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(folder = %self.folder.display(), %error, "a copy of the store can't be removed");
            }
            _ => {}
        }
    }
}

impl std::fmt::Debug for Frozen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frozen").field("folder", &self.folder).field("revision", &self.revision).finish_non_exhaustive()
    }
}

/// A new store that is being filled. Until [`Filling::finish`] it is none that could be opened.
pub struct Filling {
    db: DB,
    /// What isn't written yet.
    waiting: WriteBatch,
}

impl Filling {
    /// A store in this folder, which must be empty or not exist.
    ///
    /// # Errors
    /// There is something, or the storage failed.
    pub fn begin(folder: &Path) -> Result<Self, StoreError> {
        let fault = |error: std::io::Error| StoreError::Storage(format!("{}: {error}", folder.display()));
        make_private(folder)?;
        if folder.read_dir().map_err(fault)?.next().is_some() {
            return Err(StoreError::Storage(format!("{} isn't empty", folder.display())));
        }
        Ok(Self { db: DB::open(&options(), folder).map_err(classify)?, waiting: WriteBatch::default() })
    }

    /// Adds an entry as it was.
    ///
    /// # Errors
    /// The key is one that no caller may use, or the storage failed.
    pub fn put(&mut self, key: &[u8], revision: Revision, value: &[u8]) -> Result<(), StoreError> {
        if is_reserved(key) {
            return Err(StoreError::Storage("an entry has a key that the store keeps for itself".into()));
        }
        self.waiting.put(key, with_revision(revision, value));
        if self.waiting.size_in_bytes() >= WRITTEN_AT_ONCE { self.write() } else { Ok(()) }
    }

    /// Makes a store of it: of this format, and going on from this revision. All of it is on disk then.
    ///
    /// # Errors
    /// The storage failed.
    pub fn finish(mut self, format: u64, revision: Revision) -> Result<(), StoreError> {
        self.waiting.put(FORMAT_KEY, format.to_be_bytes());
        self.waiting.put(revision_key(), revision.to_be_bytes());
        self.write()?;
        self.db.flush().map_err(classify)
    }

    fn write(&mut self) -> Result<(), StoreError> {
        let mut options = WriteOptions::default();
        // Nobody relies on a part of it: at the end all is flushed to tables.
        options.disable_wal(true);
        self.db.write_opt(std::mem::take(&mut self.waiting), &options).map_err(classify)
    }
}

impl std::fmt::Debug for Filling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filling").field("folder", &self.db.path()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Batch, Store};
    use super::*;

    #[tokio::test]
    async fn a_frozen_store_stays_as_it_was_and_fills_another() {
        let folder = tempfile::tempdir().unwrap();
        let (copy, filled) = (folder.path().join("copy"), folder.path().join("filled"));
        let store = RocksStore::open(&folder.path().join("store")).unwrap();
        let put = async |key: &str, value: &str| {
            let mut batch = Batch::buffered();
            batch.put(key.as_bytes(), value.to_owned());
            store.commit(batch).await.unwrap()
        };
        let first = put("a\0x", "1").await;
        put("b\0y", "2").await;
        let frozen = store.freeze(&copy).await.unwrap();
        put("a\0x", "3").await;
        put("c\0z", "4").await;
        store.close().await.unwrap();

        let read = |prefix: &[u8]| {
            let mut found = Vec::new();
            let took: Result<(), StoreError> = frozen.each(prefix, |key, revision, value| {
                found.push((String::from_utf8(key.to_vec()).unwrap(), revision, value.to_vec()));
                Ok(())
            });
            took.map(|()| found).unwrap()
        };
        let expected = vec![("a\0x".to_owned(), first, b"1".to_vec()), ("b\0y".to_owned(), first + 1, b"2".to_vec())];
        assert_eq!(read(b""), expected);
        assert_eq!(read(b"b\0"), expected[1..]);

        let mut filling = Filling::begin(&filled).unwrap();
        for (key, revision, value) in &expected {
            filling.put(key.as_bytes(), *revision, value).unwrap();
        }
        assert!(filling.put(b"\0meta/format", 1, b"x").is_err());
        filling.finish(frozen.format(), frozen.revision()).unwrap();
        assert!(Filling::begin(&filled).is_err(), "what is there is not written over");
        drop(frozen);
        assert!(!copy.exists());

        let store = RocksStore::open(&filled).unwrap();
        assert_eq!(store.get(b"a\0x").await.unwrap().unwrap().revision, first);
        assert_eq!(store.commit(Batch::synced()).await.unwrap(), first + 2, "revisions go on");
    }

    #[tokio::test]
    async fn what_was_acknowledged_before_is_in_it_and_of_a_batch_all_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(RocksStore::open(&folder.path().join("store")).unwrap());
        let acknowledged = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let (writing, told) = (Arc::clone(&store), Arc::clone(&acknowledged));
        let writer = tokio::spawn(async move {
            for number in 1_u64.. {
                let mut batch = Batch::buffered();
                // Both or none.
                batch.put(format!("a/{number:010}").into_bytes(), vec![b'x'; 1000]);
                batch.put(format!("b/{number:010}").into_bytes(), vec![b'y'; 1000]);
                if writing.commit(batch).await.is_err() {
                    return;
                }
                told.store(number, std::sync::atomic::Ordering::Release);
            }
        });
        for round in 0..5 {
            while acknowledged.load(std::sync::atomic::Ordering::Acquire) < 200 * (round + 1) {
                tokio::task::yield_now().await;
            }
            let before = acknowledged.load(std::sync::atomic::Ordering::Acquire);
            let frozen = store.freeze(&folder.path().join(format!("copy{round}"))).await.unwrap();
            let mut counts = [0_u64; 2];
            let counted: Result<(), StoreError> = frozen.each(b"", |key, _, _| {
                counts[usize::from(key[0] == b'b')] += 1;
                Ok(())
            });
            counted.unwrap();
            assert_eq!(counts[0], counts[1]);
            assert!(counts[0] >= before, "{counts:?}, {before} were acknowledged");
            assert_eq!(frozen.revision(), counts[0]);
        }
        store.close().await.unwrap();
        writer.await.unwrap();
    }
}
