//! How long records are kept: the oldest go, and an anchor takes their place in the chain, in the same batch.
//!
//! Nothing goes that doesn't prove itself first: pruning must not be a way to get rid of evidence.

use chrono::TimeDelta;

use super::chain::{ANCHOR, ENDS, RECORDS};
use super::record::{Actor, Entry};
use super::verify::{Broken, Walk};
use super::writer::remove;
use super::{Audit, AuditError};
use crate::store::Batch;

/// What is kept. The last record always is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Older records go, in days; `None`: age doesn't matter.
    pub days: Option<u32>,
    /// Of more records the oldest go; `None`: number doesn't matter.
    pub records: Option<u64>,
}

impl Default for Retention {
    /// 400 days, so that a whole year can be compared with the one before, and ten million records, some 5 GB.
    fn default() -> Self {
        Self { days: Some(400), records: Some(10_000_000) }
    }
}

/// What was pruned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// How many records.
    pub records: u64,
    /// The first record that is kept.
    pub first: u64,
    /// Where pruning stopped because the log is broken; that record and all after it are kept.
    pub broken: Option<Broken>,
}

impl Audit {
    /// What the keys of records begin with in the store.
    pub fn records() -> Vec<u8> {
        RECORDS.key(&[])
    }

    /// Removes the records that [`Retention`] doesn't keep, and records that it did.
    ///
    /// # Errors
    /// [`AuditError::Broken`] where an end of the log was altered; the store failed.
    pub async fn prune(&self) -> Result<Pruned, AuditError> {
        let walking = self.walking.lock().await;
        let retention = self.retention();
        let days = retention.days.and_then(|days| TimeDelta::try_days(i64::from(days)));
        let oldest = days.and_then(|days| self.clock.now().checked_sub_signed(days));
        let mut walk = Walk::begin(&*self.store, &self.chain).await?;
        let begin = walk.anchor.seq;
        // Records up to this number are too many. The last one always stays.
        let last = walk.head.seq.saturating_sub(1);
        let too_many = retention.records.map_or(0, |records| walk.head.seq.saturating_sub(records)).min(last);
        let mut broken = None;
        let mut done = false;
        while !done {
            let page = walk.page().await?;
            done = page.is_empty();
            let mut batch = Batch::synced();
            let mut kept = walk.link;
            for entry in &page {
                let record = match walk.step(entry).await {
                    Ok(record) => record,
                    Err(AuditError::Broken(fault)) => {
                        broken = Some(fault);
                        done = true;
                        break;
                    }
                    Err(error) => return Err(error),
                };
                let old = oldest.is_some_and(|oldest| record.at < oldest) && record.seq <= last;
                if !old && record.seq > too_many {
                    done = true;
                    break;
                }
                kept = walk.link;
                remove(&mut batch, &record);
            }
            walk.link = kept;
            if !batch.writes.is_empty() {
                ENDS.expect(&mut batch, &[ANCHOR], walk.revision);
                ENDS.put(&mut batch, &[ANCHOR], &self.chain.end(ANCHOR, &kept))?;
                walk.revision = Some(self.store.commit(batch).await?);
            }
        }
        drop(walking);
        let pruned = Pruned { records: walk.link.seq - begin, first: walk.link.seq + 1, broken };
        if let Some(broken) = &pruned.broken {
            tracing::error!(%broken, "the audit log isn't pruned further");
        }
        if pruned.records > 0 {
            let entry = Entry::new(Actor::system(), "audit.prune").detail("from", (begin + 1).to_string());
            self.append(vec![entry.detail("to", walk.link.seq.to_string())]).await?;
        }
        Ok(pruned)
    }
}
