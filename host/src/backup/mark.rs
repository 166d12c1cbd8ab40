//! What a restored data folder knows of itself: from which archive it came, and what became of what was in it.
//!
//! What is in doubt is decided by the rooms whose records they are; here it is only asked for, and noted.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::BackupError;
use super::archive::Header;
use crate::access::session::end_sessions;
use crate::audit::{Actor, Audit, Entry, Retention};
use crate::clock::SharedClock;
use crate::seal::Keyring;
use crate::store::table::Table;
use crate::store::{Batch, Store, StoreError};
use crate::tokens;

/// The last restoration, under [`LAST`].
const RESTORATIONS: Table<Restoration> = Table::new("restoration");
/// The only one that is kept.
const LAST: &str = "last";
/// How long a restoration nobody acknowledged is told of.
const TOLD_FOR: TimeDelta = TimeDelta::days(7);

/// That a data folder was restored, and from what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restoration {
    /// The archive's id.
    pub archive: String,
    /// When the archive was made. What was changed after that isn't here; tokens that were deleted or rebuilt after it work
    /// again.
    pub made_at: DateTime<Utc>,
    /// The version of the tokenhost that made it.
    pub made_by: String,
    /// When it was restored.
    pub restored_at: DateTime<Utc>,
    /// Attempts that were under way, and have ended.
    pub interrupted: u64,
    /// Tokens whose refresh token is uncertain.
    pub uncertain: u64,
    /// Tokens whose refresh token is believed to work still.
    pub certain: u64,
    /// When somebody said that they know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_at: Option<DateTime<Utc>>,
}

impl Restoration {
    /// Whether it is still to be told: nobody has said that they know, and it isn't long ago.
    pub fn is_news(&self, now: DateTime<Utc>) -> bool {
        self.acknowledged_at.is_none() && now.signed_duration_since(self.restored_at) < TOLD_FOR
    }

    /// The one in this store, where it came from a backup.
    ///
    /// # Errors
    /// The store failed.
    pub async fn last(store: &dyn Store) -> Result<Option<Self>, StoreError> {
        Ok(RESTORATIONS.get(store, &[LAST]).await?.map(|found| found.value))
    }

    /// Notes that somebody knows, and gives what they know of. None: the store came from no backup.
    ///
    /// # Errors
    /// The store failed.
    pub async fn acknowledge(store: &dyn Store, now: DateTime<Utc>) -> Result<Option<Self>, StoreError> {
        let Some(found) = RESTORATIONS.get(store, &[LAST]).await? else { return Ok(None) };
        let mut restoration = found.value;
        if restoration.acknowledged_at.is_none() {
            restoration.acknowledged_at = Some(now);
            let mut batch = Batch::synced();
            RESTORATIONS.expect(&mut batch, &[LAST], Some(found.revision));
            RESTORATIONS.put(&mut batch, &[LAST], &restoration)?;
            store.commit(batch).await?;
        }
        Ok(Some(restoration))
    }
}

/// What was done.
pub(super) struct Marked {
    pub(super) restoration: Restoration,
    /// Sessions of browsers that have ended.
    pub(super) sessions: u64,
}

/// Marks a store that no daemon serves as restored from this archive.
pub(super) async fn mark(
    store: Arc<dyn Store>,
    keyring: &Keyring,
    clock: SharedClock,
    header: &Header,
) -> Result<Marked, BackupError> {
    let now = clock.now();
    let doubts = tokens::after_restore(&*store, header.made_at, now).await?;
    let sessions = end_sessions(&*store).await?;
    let restoration = Restoration {
        archive: header.id.clone(),
        made_at: header.made_at,
        made_by: header.tokenhost.clone(),
        restored_at: now,
        interrupted: doubts.interrupted,
        uncertain: doubts.uncertain,
        certain: doubts.certain,
        acknowledged_at: None,
    };
    let mut batch = Batch::synced();
    RESTORATIONS.put(&mut batch, &[LAST], &restoration)?;
    store.commit(batch).await?;
    let audit = Audit::open(store, keyring, clock, Retention::default()).await?;
    let entry = Entry::new(Actor::system(), "daemon.restored")
        .on("daemon")
        .detail("archive", &header.id)
        .detail("made_at", header.made_at.to_rfc3339())
        .detail("uncertain", doubts.uncertain.to_string())
        .detail("interrupted", doubts.interrupted.to_string());
    let appended = audit.append(vec![entry]).await;
    // It holds the store.
    audit.close().await;
    appended?;
    Ok(Marked { restoration, sessions })
}
