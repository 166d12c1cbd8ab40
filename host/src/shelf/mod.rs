//! The shelf: what an operator has installed and decided about flows. Each component is a file in the data folder, pinned by its
//! SHA-256; what is decided is a record in the store: versions, limits, secrets revealed, quarantine, publishers trusted.
//!
//! A change is on disk before it is served, and attempts under way end with the component that they began with. What a component
//! is, and whether it is any good, is `flows`' business; what an integration is, nobody's here.

mod conduct;
mod difference;
mod error;
mod files;
mod install;
mod publishers;
mod record;
mod rules;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use tokio::sync::Mutex;

use self::conduct::Conduct;
pub use self::difference::{Difference, FieldNote, Side};
pub use self::error::ShelfError;
use self::files::{Files, Unread};
pub use self::install::{Terms, Upgrade};
use self::record::FLOWS;
pub use self::record::{FlowRecord, Grant, KEPT, LimitChanges, Publisher, Quarantine, Signer, Version};
use crate::audit::Audit;
use crate::clock::SharedClock;
use crate::flows::registry::Flows;
use crate::flows::{Flow as _, Limits, Plugin};
use crate::name::Name;
use crate::notices::Notices;
use crate::store::{Batch, Revision, Store, StoreError};
use crate::telemetry;

/// How many records are read at once.
const AT_ONCE: usize = 1000;

/// What a shelf is made from.
pub struct Parts {
    /// Where records are.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: SharedClock,
    /// The flows that are served; until now those that ship.
    pub flows: Arc<Flows>,
    /// Where a quarantine is written down.
    pub audit: Arc<Audit>,
    /// Where installed components are.
    pub folder: PathBuf,
}

/// What an operator has installed and decided.
pub struct Shelf {
    store: Arc<dyn Store>,
    clock: SharedClock,
    flows: Arc<Flows>,
    audit: Arc<Audit>,
    files: Files,
    /// The flows that ship, which an installed one of the same name stands in for.
    shipped: BTreeMap<String, Arc<Plugin>>,
    /// All records, as attempts ask for them.
    known: ArcSwap<BTreeMap<String, Arc<FlowRecord>>>,
    /// Installed flows that aren't served, and why.
    problems: DashMap<String, String>,
    /// How flows behave, by name.
    conduct: DashMap<String, Conduct>,
    /// Held while something is changed, so that disk, store and memory change together.
    changing: Mutex<()>,
    /// Where a quarantine is told, too.
    notices: OnceLock<Arc<Notices>>,
    /// Itself, for what outlives a call.
    me: Weak<Self>,
}

/// What is known of one flow.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its name.
    pub name: String,
    /// The component that is served.
    pub plugin: Option<Arc<Plugin>>,
    /// What an operator has installed and decided.
    pub record: Option<Arc<FlowRecord>>,
    /// Why it isn't served.
    pub problem: Option<String>,
    /// The engine's limits, with the operator's over them.
    pub limits: Limits,
}

impl Standing {
    /// Whether the component ships with the program.
    pub fn is_shipped(&self) -> bool {
        self.record.as_ref().is_none_or(|record| record.present.is_none())
    }
}

impl Shelf {
    /// The shelf in this folder and store. Serves what was installed before; what can't be served is told in the log, and by
    /// [`Shelf::problems`].
    ///
    /// # Errors
    /// The storage failed.
    pub async fn open(parts: Parts) -> Result<Arc<Self>, StoreError> {
        let Parts { store, clock, flows, audit, folder } = parts;
        let shipped = flows.list().into_iter().map(|flow| (flow.description().name.clone(), flow)).collect();
        let shelf = Arc::new_cyclic(|me| Self {
            store,
            clock,
            flows,
            audit,
            files: Files::new(folder),
            shipped,
            known: ArcSwap::default(),
            problems: DashMap::new(),
            conduct: DashMap::new(),
            changing: Mutex::new(()),
            notices: OnceLock::new(),
            me: me.clone(),
        });
        shelf.load().await?;
        Ok(shelf)
    }

    /// Has events of flows told there from now on.
    pub fn tell_to(&self, notices: Arc<Notices>) {
        // Told twice, it stays with the first.
        drop(self.notices.set(notices));
    }

    /// Serves what the records say.
    async fn load(&self) -> Result<(), StoreError> {
        let mut known = BTreeMap::new();
        let mut walk = FLOWS.walk(&*self.store, &[], AT_ONCE);
        while let Some(found) = walk.next().await? {
            known.extend(found.into_iter().map(|found| (found.value.name.to_string(), Arc::new(found.value))));
        }
        let records: Vec<Arc<FlowRecord>> = known.values().cloned().collect();
        self.known.store(Arc::new(known));
        let mut pinned = Vec::new();
        for record in records {
            pinned.extend(record.versions.iter().map(|version| self.files.path(&record.name, &version.sha256)));
            if let Some(present) = &record.present {
                // Not the one that ships: who installed another had a reason.
                self.flows.remove(record.name.as_str());
                match self.component(&record.name, present).await {
                    Ok(plugin) => drop(self.flows.serve(plugin)),
                    Err(error) => self.fail(&record.name, error.to_string()),
                }
            }
            self.apply(&record);
        }
        self.gauge();
        match self.files.list() {
            Ok(files) => files.iter().filter(|file| !pinned.contains(file)).for_each(|file| {
                tracing::warn!(
                    file = %file.display(),
                    "a component that nobody installed isn't loaded; `tokenhost flow install` takes one, and pins it"
                );
            }),
            Err(error) => {
                tracing::error!(folder = %self.files.folder().display(), "installed flows can't be listed: {error}")
            }
        }
        Ok(())
    }

    /// Notes why a flow isn't served.
    fn fail(&self, name: &Name, reason: String) {
        tracing::error!("flow {name} isn't served: {reason}");
        self.problems.insert(name.to_string(), reason);
    }

    /// Loads a component of a flow, if its file is what was installed.
    async fn component(&self, name: &Name, sha256: &str) -> Result<Arc<Plugin>, ShelfError> {
        let bytes = self.files.read(name, sha256).await.map_err(|error| match error {
            Unread::Changed { .. } | Unread::Disk { .. } => ShelfError::Changed(error.to_string()),
        })?;
        let engine = self.flows.engine();
        if engine.has_cache() && !engine.has_compiled(sha256) {
            tracing::info!(flow = %name, "compiling an installed flow, which takes seconds; later starts needn't");
        }
        Ok(Arc::new(Plugin::load(engine, bytes).await?))
    }

    /// Has what was decided about a flow hold from now on.
    fn apply(&self, record: &FlowRecord) {
        let limits = record.limits.over(self.flows.engine().limits());
        if let Some(plugin) = self.flows.plugin(record.name.as_str()) {
            plugin.set_limits(limits);
        }
        let quarantined = if record.quarantine.is_some() { 1.0 } else { 0.0 };
        metrics::gauge!(telemetry::FLOW_QUARANTINED, "flow" => telemetry::labels::flow(record.name.as_str()))
            .set(quarantined);
    }

    /// Tells how many flows aren't served.
    fn gauge(&self) {
        metrics::gauge!(telemetry::FLOWS_NOT_SERVED).set(self.problems.len() as f64);
    }

    /// What was decided about a flow.
    fn record(&self, name: &str) -> Option<Arc<FlowRecord>> {
        self.known.load().get(name).cloned()
    }

    /// What is known of a flow; none where there is no such flow.
    pub fn standing(&self, name: &str) -> Option<Standing> {
        let (plugin, record) = (self.flows.plugin(name), self.record(name));
        let problem = self.problems.get(name).map(|problem| problem.clone());
        if plugin.is_none() && problem.is_none() {
            return None;
        }
        let engine = self.flows.engine().limits();
        let limits = record.as_ref().map_or(engine, |record| record.limits.over(engine));
        Some(Standing { name: name.to_owned(), plugin, record, problem, limits })
    }

    /// All flows, by name: those that are served, and those that should be.
    pub fn list(&self) -> Vec<Standing> {
        let mut names: Vec<String> = self.flows.list().iter().map(|flow| flow.description().name.clone()).collect();
        names.extend(self.problems.iter().map(|problem| problem.key().clone()));
        names.sort();
        names.dedup();
        names.iter().filter_map(|name| self.standing(name)).collect()
    }

    /// How many installed flows aren't served.
    pub fn problems(&self) -> usize {
        self.problems.len()
    }

    /// The flow of this name that ships, if an installed one stands in for it or not.
    pub fn shipped(&self, name: &str) -> Option<&Arc<Plugin>> {
        self.shipped.get(name)
    }

    /// Reads a record to change it, and its revision.
    async fn read(&self, name: &Name) -> Result<(FlowRecord, Option<Revision>), StoreError> {
        Ok(match FLOWS.get(&*self.store, &[name.as_str()]).await? {
            Some(found) => (found.value, Some(found.revision)),
            None => (FlowRecord::new(name.clone(), self.clock.now()), None),
        })
    }

    /// Writes a record over the revision that was read, and has it hold from then on.
    async fn write(&self, mut record: FlowRecord, read: Option<Revision>) -> Result<Arc<FlowRecord>, StoreError> {
        record.decided_at = self.clock.now();
        let mut batch = Batch::synced();
        FLOWS.expect(&mut batch, &[record.name.as_str()], read);
        FLOWS.put(&mut batch, &[record.name.as_str()], &record)?;
        self.store.commit(batch).await?;
        Ok(self.remember(record))
    }

    /// Puts a record where attempts ask for it.
    fn remember(&self, record: FlowRecord) -> Arc<FlowRecord> {
        let record = Arc::new(record);
        self.known.rcu(|known| {
            let mut known = BTreeMap::clone(known);
            known.insert(record.name.to_string(), Arc::clone(&record));
            known
        });
        self.apply(&record);
        record
    }

    /// Forgets a record.
    fn forget(&self, name: &Name) {
        self.known.rcu(|known| {
            let mut known = BTreeMap::clone(known);
            known.remove(name.as_str());
            known
        });
        self.conduct.remove(name.as_str());
        metrics::gauge!(telemetry::FLOW_QUARANTINED, "flow" => telemetry::labels::flow(name.as_str())).set(0.0);
    }
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf").field("files", &self.files).finish_non_exhaustive()
    }
}
