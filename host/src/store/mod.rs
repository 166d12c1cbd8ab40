//! Keys, bytes and atomic batches with expected revisions, over a small ordered key-value trait.
//!
//! The only room that knows RocksDB. It knows nothing of what the bytes mean: each room defines its own records,
//! most of them through [`table`].

mod committer;
mod copy;
mod database;
mod figures;
pub mod memory;
pub mod rocks;
mod room;
pub mod table;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod durability;

use async_trait::async_trait;
use bytes::Bytes;

pub use self::copy::{Filling, Frozen};
pub use self::figures::Figures;

/// Grows with every committed batch of a store; an entry has that of the batch that last wrote it.
pub type Revision = u64;

/// A stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: Vec<u8>,
    /// Its bytes.
    pub value: Bytes,
    /// The batch that wrote it.
    pub revision: Revision,
}

/// Writes that happen all or not at all, and what must be true for them to happen.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Keys, and the revision that each must have (`None`: must not exist).
    pub expected: Vec<(Vec<u8>, Option<Revision>)>,
    /// Keys, and the value that each gets (`None`: removed).
    pub writes: Vec<(Vec<u8>, Option<Bytes>)>,
    /// Whether a crash may undo it. A later synced batch makes all earlier ones durable.
    pub durability: Durability,
    /// The format that the database has from then on. For `upgrade`, and for what puts back a database of another format.
    pub format: Option<u64>,
}

impl Batch {
    /// An empty batch that is acknowledged once it is on disk.
    pub fn synced() -> Self {
        Self::default()
    }

    /// An empty batch that a power cut may undo.
    pub fn buffered() -> Self {
        Self { durability: Durability::Buffered, ..Self::default() }
    }

    /// Demands that the key has this revision when the batch is committed (`None`: that it doesn't exist).
    pub fn expect(&mut self, key: impl Into<Vec<u8>>, revision: Option<Revision>) {
        self.expected.push((key.into(), revision));
    }

    /// Sets a value. The last write to a key counts.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Bytes>) {
        self.writes.push((key.into(), Some(value.into())));
    }

    /// Removes a key; there need be none.
    pub fn remove(&mut self, key: impl Into<Vec<u8>>) {
        self.writes.push((key.into(), None));
    }

    /// Whether it asks for nothing. A synced empty batch still makes all earlier ones durable.
    pub fn is_empty(&self) -> bool {
        self.expected.is_empty() && self.writes.is_empty()
    }

    /// Refuses keys that no caller may use.
    fn check_keys(&self) -> Result<(), StoreError> {
        let written = self.writes.iter().map(|(key, _)| key);
        if self.expected.iter().map(|(key, _)| key).chain(written).any(|key| is_reserved(key)) {
            return Err(StoreError::Storage(
                "a key is empty or begins with a zero byte, which the store keeps for itself".into(),
            ));
        }
        Ok(())
    }
}

/// Whether the key is the store's own (its format, its revision counter), or empty.
fn is_reserved(key: &[u8]) -> bool {
    key.first().is_none_or(|first| *first == 0)
}

/// The first key after all that begin with the prefix, where there is one.
fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// When a commit is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Once it is on disk.
    #[default]
    Synced,
    /// Once it has its place in the order; a power cut may undo it, the end of the process (`kill -9` too) does not.
    Buffered,
}

/// Which entries to read.
#[derive(Clone, Debug)]
pub struct Scan {
    /// What their keys begin with.
    pub prefix: Vec<u8>,
    /// Only keys beyond this one, in the direction of the scan.
    pub after: Option<Vec<u8>>,
    /// At most so many.
    pub limit: usize,
    /// From the last key to the first.
    pub reverse: bool,
}

impl Scan {
    /// The first entries of this prefix.
    pub fn prefix(prefix: impl Into<Vec<u8>>, limit: usize) -> Self {
        Self { prefix: prefix.into(), after: None, limit, reverse: false }
    }
}

/// An ordered key-value store. Keys are neither empty nor begin with a zero byte.
///
/// A commit that failed, other than by [`StoreError::Conflict`], wasn't acknowledged: its batch isn't seen by anyone in
/// this process, but where the process then dies, the next one may find it in full. Never a part of it.
#[async_trait]
pub trait Store: Send + Sync {
    /// The entry of this key.
    ///
    /// # Errors
    /// The storage failed.
    async fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError>;

    /// Entries in the order of their keys.
    ///
    /// # Errors
    /// The storage failed.
    async fn scan(&self, scan: Scan) -> Result<Vec<Entry>, StoreError>;

    /// Commits a batch and returns its revision.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where an expectation doesn't hold; nothing was written then. Otherwise the storage failed.
    async fn commit(&self, batch: Batch) -> Result<Revision, StoreError>;

    /// The format of its records: what they mean and which there are.
    ///
    /// # Errors
    /// The storage failed.
    async fn format(&self) -> Result<u64, StoreError>;

    /// The revision of the last commit: what was read since it was this is still so while it is this.
    fn revision(&self) -> Revision;
}

/// The format that this program writes, and the newest that it understands. A change of what records mean, or of which there
/// are, raises it, and comes with a migration in `upgrade`.
pub const FORMAT: u64 = 2;
/// Where the format stands: 8 bytes, big-endian.
const FORMAT_KEY: &[u8] = b"\0meta/format";

/// The data folder that a database's folder lies in, for people.
fn of_database(folder: &str) -> &str {
    folder.strip_suffix("/store").unwrap_or(folder)
}

/// How a daemon is stopped that has a folder open.
fn stopping(process: Option<u32>) -> String {
    let (who, kill) = match process {
        Some(process) => (format!(" (process {process})"), format!("`kill {process}`")),
        None => (String::new(), "Ctrl-C where it runs in a terminal".to_owned()),
    };
    format!(
        "{who}. Stop that one first: `systemctl stop tokenhost` where it is the service, else {kill}. Or name another data folder \
         (--data, TOKENHOST_DATA)"
    )
}

/// Why the store couldn't do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// A key has another revision than expected.
    #[error("the record changed meanwhile")]
    Conflict,
    /// The disk or its quota is full; nothing was written.
    #[error("the data folder's disk is full: {0}; free some space, nothing acknowledged is lost")]
    Full(String),
    /// Another process has the folder open.
    #[error("the data folder {} is in use by another daemon{}", of_database(folder), stopping(*process))]
    InUse {
        /// The database's folder.
        folder: String,
        /// The process, where the system tells.
        process: Option<u32>,
    },
    /// An earlier version wrote it, and it wasn't upgraded yet.
    #[error("the data folder has the earlier format {found}; `tokenhost upgrade` brings it to format {wanted}")]
    TooOld {
        /// The format found.
        found: u64,
        /// The one that is needed.
        wanted: u64,
    },
    /// A later version wrote it.
    #[error(
        "the data folder was written by a later tokenhost (format {found}, this one knows up to {known}); install that version, or put back what was kept when it upgraded the folder"
    )]
    TooNew {
        /// The format found.
        found: u64,
        /// The newest format known here.
        known: u64,
    },
    /// The storage failed in another way.
    #[error("the data folder can't be read or written: {0}")]
    Storage(String),
}
