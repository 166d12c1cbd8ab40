//! Which organization a model or an integration belongs to: written with it, kept in memory, and lists narrowed by it.
//!
//! It decides nothing about who may see what: it is told what to show.

use std::sync::{Arc, Mutex, PoisonError};

use moka::sync::Cache;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{FaultCode, FieldFault};
use crate::name::Name;
use crate::organizations::{OrganizationError, Organizations};
use crate::store::table::{Page, Table};
use crate::store::{Batch, Store, StoreError};

/// What an organization's uses call an integration.
const INTEGRATION: &str = "integration";

/// Integrations whose organization is kept in memory.
const IN_MEMORY: u64 = 100_000;

/// Records read at once where only some are shown.
const READ_AT_ONCE: usize = 500;

/// Something that has a name and belongs to an organization.
pub(super) trait Belongs {
    /// Its name.
    fn name(&self) -> &Name;

    /// The organization that it belongs to.
    fn organization(&self) -> &Name;
}

/// The organizations that integrations belong to.
pub(super) struct Belonging {
    organizations: Arc<Organizations>,
    /// Organizations by integration.
    known: Cache<Name, Name>,
    /// How many changes there were. What was read before a change is not kept after it.
    changes: Mutex<u64>,
}

impl Belonging {
    /// Nothing in memory yet.
    pub(super) fn new(organizations: Arc<Organizations>) -> Self {
        Self { organizations, known: Cache::new(IN_MEMORY), changes: Mutex::default() }
    }

    /// Writes in a batch that an integration belongs to an organization. Where there is no such organization, that is a
    /// fault among the others.
    pub(super) async fn join(
        &self,
        batch: &mut Batch,
        organization: &Name,
        integration: &Name,
        faults: &mut Vec<FieldFault>,
    ) -> Result<(), StoreError> {
        match self.organizations.use_in(batch, organization, INTEGRATION, integration.as_str()).await {
            Ok(()) => Ok(()),
            Err(OrganizationError::Store(error)) => Err(error),
            Err(error) => {
                faults.push(FieldFault::new("organization", FaultCode::Unknown, error.to_string()));
                Ok(())
            }
        }
    }

    /// Writes in a batch that an integration belongs to an organization no longer.
    pub(super) fn leave(&self, batch: &mut Batch, organization: &Name, integration: &Name) {
        self.organizations.release(batch, organization, INTEGRATION, integration.as_str());
    }

    /// The organization of an integration, from memory or else by this read.
    pub(super) async fn of(
        &self,
        integration: &Name,
        read: impl AsyncFnOnce() -> Result<Option<Name>, StoreError>,
    ) -> Result<Option<Name>, StoreError> {
        if let Some(known) = self.known.get(integration) {
            return Ok(Some(known));
        }
        let before = *self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let found = read().await?;
        if let Some(organization) = &found {
            let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
            if *changes == before {
                self.known.insert(integration.clone(), organization.clone());
            }
        }
        Ok(found)
    }

    /// Forgets what is in memory of an integration that was changed.
    pub(super) fn forget(&self, integration: &Name) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        *changes = changes.wrapping_add(1);
        self.known.invalidate(integration);
    }
}

/// Says by name and organization whether something is to be shown.
pub type Visible<'a> = &'a (dyn Fn(&Name, &Name) -> bool + Send + Sync);

/// What lists show of a table's records, in the order of their names, from the first after the given one. It reads on until it has as many as are wanted, or all.
pub(super) async fn list<R, S>(
    table: &Table<R>,
    store: &dyn Store,
    after: Option<&Name>,
    limit: usize,
    shown: Option<Visible<'_>>,
    view: impl Fn(R) -> S,
) -> Result<Vec<S>, StoreError>
where
    R: Serialize + DeserializeOwned,
    S: Belongs,
{
    let mut listed = Vec::new();
    let at_once = if shown.is_some() { READ_AT_ONCE } else { limit };
    let mut after = after.cloned();
    loop {
        let parts = after.as_ref().map(|name| [name.as_str()]);
        let page = Page { after: parts.as_ref().map(<[&str; 1]>::as_slice), limit: at_once, reverse: false };
        let read: Vec<S> = table.list(store, &[], page).await?.into_iter().map(|found| view(found.value)).collect();
        let last = read.last().filter(|_| read.len() == at_once).map(|last| last.name().clone());
        let wanted = read.into_iter().filter(|one| shown.is_none_or(|shown| shown(one.name(), one.organization())));
        listed.extend(wanted.take(limit - listed.len()));
        match last {
            Some(last) if listed.len() < limit => after = Some(last),
            _ => return Ok(listed),
        }
    }
}
