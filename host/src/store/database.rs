//! The open RocksDB: its options, its reads, and one write at a time.
//!
//! A value is stored as the revision of the batch that wrote it (8 bytes, big-endian) and the bytes. Keys that begin with
//! a zero byte are the store's own. It knows no record.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, DB, DBCompressionType, DBRecoveryMode, ErrorKind, LogLevel,
    LruCacheOptions, Options, ReadOptions, WriteBatch, WriteOptions,
};

use super::room::make_sure_of_room;
use super::{Entry, FORMAT, FORMAT_KEY, Revision, Scan, StoreError, prefix_end};

/// Where the last batch's revision stands; each group of commits writes it.
const REVISION_KEY: &[u8] = b"\0meta/revision";
/// The first key that a caller may have.
const FIRST_KEY: &[u8] = &[1];
/// Bytes of a revision before each value.
const REVISION_BYTES: usize = 8;

/// What RocksDB says where it would have waited.
const HELD_BACK: &str = "Write stall";
/// The first pause before a write that was held back is tried again; each is twice the one before. Growing, since
/// RocksDB, where it slows writes down, counts each try against the rate.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// The last, and all that follow.
const LONGEST_PAUSE: Duration = Duration::from_millis(1024);

/// Blocks of tables kept decompressed, with their indexes and filters: the bulk of the store's memory. Hot tokens are
/// served from `tokens`' own memory, so this needs to hold only what attempts and listings touch.
const BLOCK_CACHE_BYTES: usize = 32 << 20;
/// The cache's parts, as a power of two. Few, so that each holds many of the largest blocks.
const CACHE_SHARD_BITS: i32 = 2;
/// A part of a table's index or filter.
const METADATA_BLOCK_BYTES: usize = 4 << 10;
/// A write buffer. Small, since the log of it is replayed at the start after a crash, which is to be quick.
pub(super) const WRITE_BUFFER_BYTES: usize = 8 << 20;
/// One buffer fills while the other is written to a table.
const WRITE_BUFFERS: i32 = 2;
/// Bits per key in the filters: about 1 % of look-ups of absent keys read a block in vain.
const FILTER_BITS: f64 = 10.0;
/// Tables held open. Bounded, so that the start doesn't open every table of a large store.
const MAX_OPEN_FILES: i32 = 256;
/// One flush and one compaction at a time: the daemon's own work comes first on small machines.
const BACKGROUND_JOBS: i32 = 2;
/// RocksDB's own log of warnings, bounded: files of this size, so many of them.
const LOG_FILE_BYTES: usize = 1 << 20;
/// See [`LOG_FILE_BYTES`].
const LOG_FILES: usize = 2;

/// The open database.
pub(super) struct Database {
    /// Its folder.
    pub(super) folder: PathBuf,
    /// RocksDB. Readers hold the lock for one read; only a reopening takes it for writing. `None` once closed.
    handle: RwLock<Option<DB>>,
    /// Whether the last write failed and RocksDB has to be reopened before the next.
    pub(super) failed: AtomicBool,
    /// Synced writes so far.
    pub(super) syncs: AtomicU64,
    /// The last revision that readers see.
    pub(super) committed: AtomicU64,
}

impl Database {
    /// Opens it, and checks nothing yet.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        make_private(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            handle: RwLock::new(Some(open_handle(folder)?)),
            failed: AtomicBool::new(false),
            syncs: AtomicU64::new(0),
            committed: AtomicU64::new(0),
        })
    }

    /// Does something with the open database.
    pub(super) fn with<T>(&self, work: impl FnOnce(&DB) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let handle = self.handle.read().unwrap_or_else(PoisonError::into_inner);
        work(handle.as_ref().ok_or_else(closed)?)
    }

    /// The format. A database that was opened has one.
    pub(super) fn format(&self) -> Result<u64, StoreError> {
        self.with(|db| number(db, FORMAT_KEY)?.ok_or_else(|| StoreError::Storage("its format is missing".into())))
    }

    /// The entry of a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.with(|db| db.get(key).map_err(classify)?.map(|stored| entry(key, stored)).transpose())
    }

    /// The revision of a key.
    pub(super) fn revision(&self, key: &[u8]) -> Result<Option<Revision>, StoreError> {
        self.with(|db| db.get_pinned(key).map_err(classify)?.map(|stored| read_revision(&stored)).transpose())
    }

    /// What is stored under a key, revision and all.
    pub(super) fn stored(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.with(|db| db.get(key).map_err(classify))
    }

    /// Writes all of it, and the last batch's revision with it.
    pub(super) fn write(&self, mut writes: WriteBatch, last: Revision, sync: bool) -> Result<(), StoreError> {
        writes.put(REVISION_KEY, last.to_be_bytes());
        let mut pause = SHORTEST_PAUSE;
        while !self.with(|db| try_write(db, &writes, sync))? {
            // RocksDB waits until the table that is in the way can be written: on a full disk for ever.
            if pause == LONGEST_PAUSE {
                make_sure_of_room(&self.folder)?;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        if sync {
            self.syncs.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Entries in order.
    pub(super) fn scan(&self, scan: &Scan) -> Result<Vec<Entry>, StoreError> {
        let low = if scan.prefix.is_empty() { FIRST_KEY } else { &scan.prefix };
        let high = prefix_end(&scan.prefix);
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(low);
        if let Some(high) = &high {
            options.set_iterate_upper_bound(high.clone());
        }
        self.with(|db| {
            let mut entries = Vec::new();
            let mut cursor = db.raw_iterator_opt(options);
            // An `after` outside the prefix leaves all of it or nothing.
            match &scan.after {
                Some(after) if scan.reverse && high.as_ref().is_none_or(|high| after < high) => {
                    cursor.seek_for_prev(after);
                    if cursor.key() == Some(after) {
                        cursor.prev();
                    }
                }
                Some(after) if !scan.reverse && after.as_slice() >= low => {
                    cursor.seek(after);
                    if cursor.key() == Some(after) {
                        cursor.next();
                    }
                }
                _ if scan.reverse => cursor.seek_to_last(),
                _ => cursor.seek_to_first(),
            }
            while entries.len() < scan.limit {
                let Some((key, stored)) = cursor.item() else { break };
                entries.push(entry(key, stored.to_vec())?);
                if scan.reverse { cursor.prev() } else { cursor.next() }
            }
            cursor.status().map_err(classify)?;
            Ok(entries)
        })
    }

    /// Closes RocksDB and opens it again, as after a failed write, with readers waiting. `settle` gets the new handle and
    /// the last revision in it, before any reader does. Where it can't be opened for writing, readers get a read-only
    /// handle until the next attempt.
    pub(super) fn reopen(
        &self,
        settle: impl FnOnce(&DB, Revision) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut handle = self.handle.write().unwrap_or_else(PoisonError::into_inner);
        // Before the next one opens: a folder has one owner, this process included.
        drop(handle.take());
        let reopened = open_handle(&self.folder).and_then(|db| {
            let last = check_format(&db, FORMAT)?;
            settle(&db, last).map(|()| db)
        });
        match reopened {
            Ok(db) => {
                *handle = Some(db);
                Ok(())
            }
            Err(error) => {
                *handle = DB::open_for_read_only(&options(), &self.folder, false).ok();
                Err(error)
            }
        }
    }

    /// Writes the log out to tables and closes the folder.
    pub(super) fn close(&self) -> Result<(), StoreError> {
        let handle = self.handle.write().unwrap_or_else(PoisonError::into_inner).take();
        handle.map_or(Ok(()), |db| db.flush().map_err(classify))
    }
}

/// Writes, unless RocksDB holds writes back until it has written out a table or compacted some. False: it does.
fn try_write(db: &DB, writes: &WriteBatch, sync: bool) -> Result<bool, StoreError> {
    let mut options = WriteOptions::default();
    options.set_sync(sync);
    options.set_no_slowdown(true);
    // A copy, since a write takes what it writes.
    match db.write_opt(WriteBatch::from_data(writes.data()), &options) {
        Err(error) if error.kind() == ErrorKind::Incomplete && error.to_string().ends_with(HELD_BACK) => Ok(false),
        written => written.map(|()| true).map_err(classify),
    }
}

/// One write into a database that nothing else is written to.
pub(super) fn write(db: &DB, writes: WriteBatch, sync: bool) -> Result<(), StoreError> {
    let mut options = WriteOptions::default();
    options.set_sync(sync);
    db.write_opt(writes, &options).map_err(classify)
}

/// The key of the last batch's revision, for whoever has to put it back.
pub(super) fn revision_key() -> &'static [u8] {
    REVISION_KEY
}

/// A value with its revision, as it is stored.
pub(super) fn with_revision(revision: Revision, value: &[u8]) -> Vec<u8> {
    [&revision.to_be_bytes()[..], value].concat()
}

/// What is answered after the end.
pub(super) fn closed() -> StoreError {
    StoreError::Storage("the store is closed".into())
}

/// An entry out of what is stored.
fn entry(key: &[u8], stored: Vec<u8>) -> Result<Entry, StoreError> {
    let revision = read_revision(&stored)?;
    Ok(Entry { key: key.to_vec(), value: Bytes::from(stored).slice(REVISION_BYTES..), revision })
}

/// The revision before a stored value.
fn read_revision(stored: &[u8]) -> Result<Revision, StoreError> {
    split_revision(stored).map(|(revision, _)| revision)
}

/// The revision before a stored value, and the value.
pub(super) fn split_revision(stored: &[u8]) -> Result<(Revision, &[u8]), StoreError> {
    let (revision, value) = stored
        .split_first_chunk::<REVISION_BYTES>()
        .ok_or_else(|| StoreError::Storage("a stored value is cut short; restore the folder from a backup".into()))?;
    Ok((Revision::from_be_bytes(*revision), value))
}

/// Makes the folder, or takes the rights of others on it away.
pub(super) fn make_private(folder: &Path) -> Result<(), StoreError> {
    let fault = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::Full(error.to_string()),
        _ => StoreError::Storage(format!("{}: {error}", folder.display())),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fault)?;
    let mode = folder.metadata().map_err(fault)?.permissions().mode();
    if mode & 0o077 != 0
        && let Err(error) = std::fs::set_permissions(folder, Permissions::from_mode(0o700))
    {
        // Some network file systems know no modes; sealed values stay sealed there too.
        tracing::warn!(folder = %folder.display(), %error, "others than the owner have rights on the data folder");
    }
    Ok(())
}

/// RocksDB's options.
pub(super) fn options() -> Options {
    let mut tables = BlockBasedOptions::default();
    let mut cache = LruCacheOptions::default();
    cache.set_capacity(BLOCK_CACHE_BYTES);
    cache.set_num_shard_bits(CACHE_SHARD_BITS);
    tables.set_block_cache(&Cache::new_lru_cache_opts(&cache));
    tables.set_bloom_filter(FILTER_BITS, false);
    // Indexes and filters count towards the cache's size, so that memory doesn't grow with the store.
    tables.set_cache_index_and_filter_blocks(true);
    tables.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // In parts of a block's size: whole, those of a table of 64 MiB are so large that no shard of the cache holds them, and
    // each look-up in a store of a million records read and unpacked half a megabyte.
    tables.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    tables.set_partition_filters(true);
    tables.set_metadata_block_size(METADATA_BLOCK_BYTES);
    tables.set_pin_top_level_index_and_filter(true);

    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&tables);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_write_buffer_size(WRITE_BUFFER_BYTES);
    options.set_max_write_buffer_number(WRITE_BUFFERS);
    options.set_max_background_jobs(BACKGROUND_JOBS);
    options.set_max_open_files(MAX_OPEN_FILES);
    options.set_skip_stats_update_on_db_open(true);
    // A power cut may leave the unsynced end of the log in any state, with holes too. The log is taken up to the first
    // fault; all that was acknowledged as synced lies before it. (`TolerateCorruptedTailRecords` would refuse to open
    // after a hole among buffered writes.) That no synced log is missing or cut short is checked by the next option.
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_log_level(LogLevel::Warn);
    options.set_max_log_file_size(LOG_FILE_BYTES);
    options.set_keep_log_file_num(LOG_FILES);
    // No statistics: an idle daemon writes nothing.
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options
}

/// The other process that holds a lock on a file, where the system tells (proc_locks(5)).
fn holder(lock: &Path) -> Option<u32> {
    let inode = std::os::unix::fs::MetadataExt::ino(&lock.metadata().ok()?).to_string();
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let process = locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (process, file) = (words.get(4)?, words.get(5)?);
        (words.get(1) == Some(&"POSIX") && file.rsplit(':').next() == Some(&inode)).then(|| process.parse().ok())?
    });
    // Another namespace's processes have no number here.
    process.filter(|process| *process != 0 && *process != std::process::id())
}

/// Opens RocksDB.
fn open_handle(folder: &Path) -> Result<DB, StoreError> {
    DB::open(&options(), folder).map_err(|error| {
        let message = error.to_string();
        // "While lock file": another process has it; "lock hold by current process": this one.
        if message.contains("While lock file") || message.contains("lock hold by current process") {
            let process = holder(&folder.join("LOCK"));
            return StoreError::InUse { folder: folder.display().to_string(), process };
        }
        classify(error)
    })
}

/// A number that the store keeps for itself.
pub(super) fn number(db: &DB, key: &[u8]) -> Result<Option<u64>, StoreError> {
    let Some(stored) = db.get_pinned(key).map_err(classify)? else { return Ok(None) };
    let bytes = <[u8; 8]>::try_from(&*stored);
    bytes.map(|bytes| Some(u64::from_be_bytes(bytes))).map_err(|_| StoreError::Storage("its format is damaged".into()))
}

/// Checks whose database this is, and of no later format than `known`; marks a new one, and returns its last revision.
pub(super) fn check_format(db: &DB, known: u64) -> Result<Revision, StoreError> {
    match number(db, FORMAT_KEY)? {
        Some(found) if found > known => return Err(StoreError::TooNew { found, known }),
        Some(_) => {}
        None => {
            let mut cursor = db.raw_iterator();
            cursor.seek_to_first();
            if cursor.valid() {
                return Err(StoreError::Storage("it holds a database that isn't tokenhost's".into()));
            }
            let mut writes = WriteBatch::default();
            writes.put(FORMAT_KEY, known.to_be_bytes());
            write(db, writes, true)?;
        }
    }
    Ok(number(db, REVISION_KEY)?.unwrap_or(0))
}

/// What RocksDB's error means. It tells kinds of input and output errors apart only in its text.
pub(super) fn classify(error: rocksdb::Error) -> StoreError {
    const FULL: [&str; 3] = ["No space left on device", "Disk quota exceeded", "File too large"];
    let message = error.into_string();
    if FULL.iter().any(|full| message.contains(full)) {
        StoreError::Full(message)
    } else {
        StoreError::Storage(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a program that knew format 1 alone does with a folder of this one's.
    #[test]
    fn an_older_program_refuses_a_newer_format() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(folder.path()).unwrap();
        database.with(|db| check_format(db, 1)).unwrap();
        assert_eq!(database.format().unwrap(), 1, "as that program marks a new one");
        database.with(|db| check_format(db, 1)).unwrap();
        let mut writes = WriteBatch::default();
        writes.put(FORMAT_KEY, FORMAT.to_be_bytes());
        database.write(writes, 7, true).unwrap();
        let refused = database.with(|db| check_format(db, 1)).unwrap_err();
        assert!(matches!(refused, StoreError::TooNew { found: FORMAT, known: 1 }), "{refused}");
        assert_eq!(database.with(|db| check_format(db, FORMAT)).unwrap(), 7);
    }
}
