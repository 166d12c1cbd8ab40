//! From format 1 to format 2: records of the audit log are found by their object. Format 1 read the whole log for that.

use async_trait::async_trait;

use super::{Migration, Step};
use crate::audit;
use crate::store::{Batch, Store, StoreError};

/// The migration.
pub(super) const MIGRATION: Migration = Migration { to: 2, steps: &[&AuditObjects] };

/// An index of the audit log by object.
struct AuditObjects;

#[async_trait]
impl Step for AuditObjects {
    fn name(&self) -> &'static str {
        "audit-objects"
    }

    fn what(&self) -> &'static str {
        "audit records become searchable by object"
    }

    async fn total(&self, store: &dyn Store) -> Result<u64, StoreError> {
        audit::count_about(store).await
    }

    async fn part(
        &self,
        store: &dyn Store,
        after: Option<Vec<u8>>,
        limit: usize,
        batch: &mut Batch,
    ) -> Result<(Option<Vec<u8>>, u64), StoreError> {
        audit::index_objects(store, after, limit, batch).await
    }
}
