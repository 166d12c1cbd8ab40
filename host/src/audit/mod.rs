//! What happened: an append-only log in which nothing can be altered, left out or cut off without its showing.
//!
//! Changes are recorded one by one and synced; authentications and refusals are counted in a [`Tally`] and recorded in
//! sums, so that no caller can fill the disk. It decides neither what is worth recording nor who may read it, and holds
//! no secret: only keyed digests, with which the uses of a leaked one can be found.

mod chain;
mod index;
mod read;
mod record;
mod retention;
mod support;
mod tally;
mod verify;
mod writer;

use std::fmt;
use std::sync::{Arc, PoisonError};

use tokio::sync::{Mutex, mpsc, oneshot};

use self::chain::Chain;
pub use self::index::{count_about, index_objects};
pub use self::read::{Filter, Found, RecordPage, Window};
pub use self::record::{Actor, ActorKind, Entry, Item, MAX_ITEMS, MAX_TEXT, Outcome, Record, SecretDigest};
pub use self::retention::{Pruned, Retention};
pub use self::support::{Reason, SUPPORT_ID_LENGTH, SupportIds};
pub use self::tally::{REFUSALS, Tally, USES};
pub use self::verify::{Broken, Fault, Noted, Verified};
use self::writer::{Request, Writer};
use crate::clock::SharedClock;
use crate::seal::Keyring;
use crate::store::{Store, StoreError};

/// Why the audit log couldn't be opened, verified or pruned.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AuditError {
    /// The installation's keys can't be used for the chain.
    #[error("the key of the audit log can't be used")]
    Key,
    /// The log was tampered with.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The audit log.
pub struct Audit {
    /// Where records are.
    store: Arc<dyn Store>,
    /// Makes and checks hashes.
    chain: Chain,
    /// What time it is.
    clock: SharedClock,
    /// What is pruned.
    retention: std::sync::Mutex<Retention>,
    /// To the writer.
    writer: mpsc::Sender<Request>,
    /// The writer's task.
    writing: tokio::task::JoinHandle<()>,
    /// Held while the log is pruned or verified: neither stands the other.
    walking: Mutex<()>,
}

impl Audit {
    /// The log in this store. Its writer is a task of the current runtime, which ends with the log.
    ///
    /// A log whose end was tampered with is opened nevertheless, since changes must go on being recorded; the error log
    /// says so, the next record too, and [`Audit::verify`] from then on.
    ///
    /// # Errors
    /// [`AuditError::Key`], or the store failed.
    pub async fn open(
        store: Arc<dyn Store>,
        keyring: &Keyring,
        clock: SharedClock,
        retention: Retention,
    ) -> Result<Self, AuditError> {
        let chain = Chain::new(keyring)?;
        let writer = Writer::open(Arc::clone(&store), chain.clone(), Arc::clone(&clock)).await?;
        let (sender, requests) = mpsc::channel(writer::WAITING);
        let writing = tokio::spawn(writer.run(requests));
        let retention = std::sync::Mutex::new(retention);
        Ok(Self { store, chain, clock, retention, writer: sender, writing, walking: Mutex::new(()) })
    }

    /// What is kept.
    pub(super) fn retention(&self) -> Retention {
        *self.retention.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps so much from now on.
    pub fn keep(&self, retention: Retention) {
        *self.retention.lock().unwrap_or_else(PoisonError::into_inner) = retention;
    }

    /// Ends the log's writer, which holds the store, and returns when it has.
    pub async fn close(self) {
        drop(self.writer);
        if self.writing.await.is_err() {
            tracing::error!("the writer of the audit log panicked");
        }
    }

    /// Appends records, which stand together and in this order, and returns the number of the last one once all are on
    /// disk. Texts too long are cut. A caller that goes away while it waits doesn't undo it.
    ///
    /// # Errors
    /// The store failed: none of them is in the log.
    pub async fn append(&self, entries: Vec<Entry>) -> Result<u64, StoreError> {
        let gone = || StoreError::Storage("the writer of the audit log has ended".into());
        let (answer, outcome) = oneshot::channel();
        self.writer.send(Request { entries, answer }).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }

    /// The keyed digest of a secret (HMAC-SHA256 in hex): the same for the same secret, and worth nothing without the
    /// key, so that a leaked value can be looked for without being stored.
    pub fn digest(&self, secret: &[u8]) -> String {
        self.chain.digest(secret)
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit").field("retention", &self.retention()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
