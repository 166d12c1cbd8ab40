//! Keys, bytes and atomic batches with expected revisions, over a small ordered key-value trait.
//!
//! The only room that knows RocksDB. It knows nothing of what the bytes mean: each room defines its own records.

use async_trait::async_trait;
use bytes::Bytes;

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
}

/// When a commit is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Once it is on disk.
    #[default]
    Synced,
    /// Once it is in order; a power cut may undo it.
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

/// An ordered key-value store.
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
    #[error("the data folder {0} is in use by another daemon; stop that one, or give this one a folder of its own")]
    InUse(String),
    /// A later version wrote it.
    #[error("the data folder was written by a later tokenhost (format {found}, this one knows up to {known}); install that version")]
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
