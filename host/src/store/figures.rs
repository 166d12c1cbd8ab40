//! How large the store is on the disk and in memory, and whether it keeps up.

use std::path::Path;
use std::sync::atomic::Ordering;

use rocksdb::Range;

use super::database::{Database, classify};
use super::prefix_end;

/// How large a store is, and how it fares.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Bytes by kind: tables and log on the disk, live data as estimated, write buffers and cache in memory.
    pub bytes: [(&'static str, u64); 5],
    /// Bytes of the entries of each kind that was asked for, in its tables on the disk, compressed, as estimated.
    pub kinds: Vec<u64>,
    /// Whether writes are held back until compaction catches up.
    pub stalled: bool,
    /// Whether the last write failed.
    pub failed: bool,
}

impl Figures {
    /// Looks. A database that is closed has nothing.
    pub(super) fn of(database: &Database, kinds: &[&[u8]]) -> Self {
        let property = |name: &str| {
            let read = database.with(|db| db.property_int_value(name).map_err(classify));
            read.ok().flatten().unwrap_or(0)
        };
        let is_log = |path: &Path| path.extension().is_some_and(|extension| extension == "log");
        let entries = std::fs::read_dir(&database.folder).into_iter().flatten().flatten();
        let logs = entries.filter(|entry| is_log(&entry.path())).filter_map(|entry| entry.metadata().ok());
        let ends: Vec<_> = kinds.iter().map(|kind| prefix_end(kind).unwrap_or_default()).collect();
        let ranges: Vec<_> = kinds.iter().zip(&ends).map(|(kind, end)| Range::new(kind, end)).collect();
        Self {
            bytes: [
                ("tables", property("rocksdb.total-sst-files-size")),
                ("log", logs.map(|log| log.len()).sum()),
                ("live", property("rocksdb.estimate-live-data-size")),
                ("memory", property("rocksdb.cur-size-all-mem-tables")),
                ("cache", property("rocksdb.block-cache-usage")),
            ],
            kinds: database.with(|db| Ok(db.get_approximate_sizes(&ranges))).unwrap_or_default(),
            stalled: property("rocksdb.is-write-stopped") != 0 || property("rocksdb.actual-delayed-write-rate") != 0,
            failed: database.failed.load(Ordering::Relaxed),
        }
    }
}
