//! Makes, changes, reads and deletes organizations, and keeps their tree in memory.
//!
//! All changes go through one turn, so that a check of the tree still holds when the change is written. What uses an
//! organization is written by others, in their own batches; the store holds that against a deletion.

use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use super::error::{OrganizationError, OrganizationFault};
use super::organization::{
    Change, GUARDS, MAX_TITLE, NewOrganization, ORGANIZATIONS, Organization, Record, USES, default_name, is_default,
};
use super::tree::{MAX_ORGANIZATIONS, Tree};
use crate::clock::SharedClock;
use crate::name::Name;
use crate::store::table::{Page, Versioned};
use crate::store::{Batch, Store, StoreError};

/// Children and uses named where an organization can't be deleted because of them.
const NAMED: usize = 10;

/// Organizations read at once when the daemon starts.
const READ_AT_ONCE: usize = 1000;

/// Called with the name of an organization that was made, changed or deleted, before the change is acknowledged.
type Listener = Box<dyn Fn(&Name) + Send + Sync>;

/// The organizations there are.
pub struct Organizations(Arc<Shared>);

/// What changes share, which go on where their caller goes away: the tree must never lag behind the store.
struct Shared {
    store: Arc<dyn Store>,
    clock: SharedClock,
    /// The tree as it is in the store.
    tree: ArcSwap<Tree>,
    /// The turn to change something.
    turn: Mutex<()>,
    /// Who keeps something of organizations in memory.
    listeners: RwLock<Vec<Listener>>,
}

impl Organizations {
    /// The organizations in this store. Makes `default` where there is none.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn open(store: Arc<dyn Store>, clock: SharedClock) -> Result<Self, StoreError> {
        let mut tree = read_tree(&*store).await?;
        let default = default_name();
        if !tree.contains(&default) {
            let now = clock.now();
            let organization = Organization {
                name: default.clone(),
                title: None,
                parent: None,
                source: None,
                created_at: now,
                updated_at: now,
                revision: 0,
            };
            let mut batch = Batch::synced();
            ORGANIZATIONS.expect(&mut batch, &[default.as_str()], None);
            ORGANIZATIONS.put(&mut batch, &[default.as_str()], &Record::of(&organization))?;
            store.commit(batch).await?;
            tree.put(default, None);
        }
        Ok(Self(Arc::new(Shared {
            store,
            clock,
            tree: ArcSwap::from_pointee(tree),
            turn: Mutex::default(),
            listeners: RwLock::default(),
        })))
    }

    /// The tree as it is now. A change is in it before it is acknowledged.
    pub fn tree(&self) -> Arc<Tree> {
        self.0.tree.load_full()
    }

    /// Has the name of each organization that is made, changed or deleted told to someone who keeps something of it in
    /// memory. The tree has the change by then.
    pub fn subscribe(&self, listener: Listener) {
        self.0.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Reads an organization.
    ///
    /// # Errors
    /// There is none of this name, or the storage failed.
    pub async fn read(&self, name: &Name) -> Result<Organization, OrganizationError> {
        self.0.read(name).await
    }

    /// Organizations in the order of their names, from the first after the given one.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn list(&self, after: Option<&Name>, limit: usize) -> Result<Vec<Organization>, OrganizationError> {
        let found = read_page(&*self.0.store, after, limit).await?;
        Ok(found.into_iter().map(|found| found.value.organization(found.revision)).collect())
    }

    /// Whether an organization could be made or changed so now, without doing it.
    ///
    /// # Errors
    /// Inputs are wrong: all that are, at once.
    pub fn check(&self, name: &Name, title: Option<&str>, parent: Option<&Name>) -> Result<(), OrganizationError> {
        check(&self.tree(), name, title, parent)
    }

    /// Makes an organization.
    ///
    /// # Errors
    /// Inputs are wrong (all that are, at once), the name is taken, there are too many, or the storage failed.
    pub async fn create(&self, new: NewOrganization) -> Result<Organization, OrganizationError> {
        let shared = Arc::clone(&self.0);
        to_the_end(async move { shared.create(new).await }).await
    }

    /// Changes an organization. Who had access through the parent that it had, has none any more from then on.
    ///
    /// # Errors
    /// Inputs are wrong (all that are, at once), somebody else changed it, or the storage failed.
    pub async fn change(&self, name: &Name, change: Change) -> Result<Organization, OrganizationError> {
        let (shared, name) = (Arc::clone(&self.0), name.clone());
        to_the_end(async move { shared.change(&name, change).await }).await
    }

    /// Deletes an organization that nothing belongs to and no other is a part of.
    ///
    /// # Errors
    /// It is `default`, it is needed (says by what), there is none of this name, or the storage failed.
    pub async fn delete(&self, name: &Name) -> Result<(), OrganizationError> {
        let (shared, name) = (Arc::clone(&self.0), name.clone());
        to_the_end(async move { shared.delete(&name).await }).await
    }

    /// Writes in a batch that something belongs to an organization: its kind, for people (`integration`), and its name.
    /// The batch holds only while the organization is as it is now. For `default` nothing is written: it always exists.
    ///
    /// # Errors
    /// There is no such organization, or the storage failed.
    pub async fn use_in(
        &self,
        batch: &mut Batch,
        organization: &Name,
        kind: &str,
        user: &str,
    ) -> Result<(), OrganizationError> {
        if is_default(organization) {
            return Ok(());
        }
        let parts = [organization.as_str()];
        let found = ORGANIZATIONS.get(&*self.0.store, &parts).await?;
        let found = found.ok_or_else(|| OrganizationError::NotFound(organization.clone()))?;
        ORGANIZATIONS.expect(batch, &parts, Some(found.revision));
        GUARDS.put(batch, &parts, &())?;
        USES.put(batch, &[organization.as_str(), kind, user], &())?;
        Ok(())
    }

    /// Writes in a batch that something belongs to an organization no longer.
    pub fn release(&self, batch: &mut Batch, organization: &Name, kind: &str, user: &str) {
        if !is_default(organization) {
            USES.remove(batch, &[organization.as_str(), kind, user]);
        }
    }
}

impl Shared {
    async fn read(&self, name: &Name) -> Result<Organization, OrganizationError> {
        let found = ORGANIZATIONS.get(&*self.store, &[name.as_str()]).await?;
        let found = found.ok_or_else(|| OrganizationError::NotFound(name.clone()))?;
        Ok(found.value.organization(found.revision))
    }

    async fn create(&self, new: NewOrganization) -> Result<Organization, OrganizationError> {
        let _turn = self.turn.lock().await;
        let tree = self.tree.load_full();
        if tree.contains(&new.name) {
            return Err(OrganizationError::Exists(new.name));
        }
        if tree.len() >= MAX_ORGANIZATIONS {
            return Err(OrganizationError::TooMany);
        }
        check(&tree, &new.name, new.title.as_deref(), new.parent.as_ref())?;
        let now = self.clock.now();
        let NewOrganization { name, title, parent, source } = new;
        let mut organization =
            Organization { name, title, parent, source, created_at: now, updated_at: now, revision: 0 };
        self.write(&tree, &mut organization, None).await?;
        Ok(organization)
    }

    async fn change(&self, name: &Name, change: Change) -> Result<Organization, OrganizationError> {
        let _turn = self.turn.lock().await;
        let tree = self.tree.load_full();
        let mut organization = self.read(name).await?;
        if change.expected.is_some_and(|expected| expected != organization.revision) {
            return Err(OrganizationError::Changed);
        }
        let new_title = change.title.as_ref().and_then(Option::as_deref);
        let new_parent = change.parent.as_ref().and_then(Option::as_ref);
        check(&tree, name, new_title, new_parent)?;
        if let Some(title) = change.title {
            organization.title = title;
        }
        if let Some(parent) = change.parent {
            organization.parent = parent;
        }
        organization.updated_at = self.clock.now();
        let expected = organization.revision;
        self.write(&tree, &mut organization, Some(expected)).await?;
        Ok(organization)
    }

    async fn delete(&self, name: &Name) -> Result<(), OrganizationError> {
        if is_default(name) {
            return Err(OrganizationError::Default);
        }
        let _turn = self.turn.lock().await;
        let mut tree = Tree::clone(&self.tree.load());
        loop {
            let organization = self.read(name).await?;
            let children: Vec<Name> = tree.children(name).take(NAMED).cloned().collect();
            if !children.is_empty() {
                return Err(OrganizationError::HasChildren(children));
            }
            let parts = [name.as_str()];
            let guard = GUARDS.get(&*self.store, &parts).await?;
            let uses = USES.list(&*self.store, &parts, Page { limit: NAMED, ..Page::default() }).await?;
            if !uses.is_empty() {
                return Err(OrganizationError::InUse(uses.into_iter().filter_map(kind_and_user).collect()));
            }
            let mut batch = Batch::synced();
            ORGANIZATIONS.expect(&mut batch, &parts, Some(organization.revision));
            // Each use writes the guard anew, so that none can come in between.
            GUARDS.expect(&mut batch, &parts, guard.map(|guard| guard.revision));
            ORGANIZATIONS.remove(&mut batch, &parts);
            GUARDS.remove(&mut batch, &parts);
            match self.store.commit(batch).await {
                Ok(_) => break,
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        tree.remove(name);
        self.publish(tree, name);
        Ok(())
    }

    /// Writes an organization, with the revision that its record must have, and publishes the tree.
    async fn write(
        &self,
        tree: &Tree,
        organization: &mut Organization,
        expected: Option<u64>,
    ) -> Result<(), OrganizationError> {
        let parts = [organization.name.as_str()];
        let mut batch = Batch::synced();
        ORGANIZATIONS.expect(&mut batch, &parts, expected);
        ORGANIZATIONS.put(&mut batch, &parts, &Record::of(organization))?;
        organization.revision = match self.store.commit(batch).await {
            Err(StoreError::Conflict) => return Err(OrganizationError::Changed),
            outcome => outcome?,
        };
        let mut tree = tree.clone();
        tree.put(organization.name.clone(), organization.parent.clone());
        self.publish(tree, &organization.name);
        Ok(())
    }

    /// Replaces the tree and tells the listeners.
    fn publish(&self, tree: Tree, changed: &Name) {
        self.tree.store(Arc::new(tree));
        for listener in &*self.listeners.read().unwrap_or_else(PoisonError::into_inner) {
            listener(changed);
        }
    }
}

/// Runs a change to its end, even where its caller goes away.
async fn to_the_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, OrganizationError>> + Send + 'static,
) -> Result<T, OrganizationError> {
    let ended = tokio::spawn(change).await;
    ended.map_err(|error| StoreError::Storage(format!("a change of an organization was cut short: {error}")))?
}

/// Checks inputs, those that are given.
fn check(tree: &Tree, name: &Name, title: Option<&str>, parent: Option<&Name>) -> Result<(), OrganizationError> {
    let mut faults = Vec::new();
    if let Some(title) = title {
        let length = title.chars().take(MAX_TITLE + 1).count();
        if !(1..=MAX_TITLE).contains(&length) || title.chars().any(char::is_control) {
            faults.push(OrganizationFault::Title);
        }
    }
    if parent.is_some() && is_default(name) {
        faults.push(OrganizationFault::DefaultParent);
    } else if let Err(fault) = tree.check_parent(name, parent) {
        faults.push(fault);
    }
    if faults.is_empty() { Ok(()) } else { Err(OrganizationError::Invalid(faults)) }
}

/// Kind and name out of a use's key, which begins with the organization.
fn kind_and_user(found: Versioned<()>) -> Option<(String, String)> {
    let mut parts = found.key.into_iter().skip(1);
    Some((parts.next()?, parts.next()?))
}

async fn read_page(
    store: &dyn Store,
    after: Option<&Name>,
    limit: usize,
) -> Result<Vec<Versioned<Record>>, StoreError> {
    let after = after.map(|name| [name.as_str()]);
    let page = Page { after: after.as_ref().map(<[&str; 1]>::as_slice), limit, reverse: false };
    ORGANIZATIONS.list(store, &[], page).await
}

/// The tree out of the store.
async fn read_tree(store: &dyn Store) -> Result<Tree, StoreError> {
    let mut tree = Tree::default();
    let mut walk = ORGANIZATIONS.walk(store, &[], READ_AT_ONCE);
    while let Some(read) = walk.next().await? {
        for found in read {
            let Organization { name, parent, .. } = found.value.organization(found.revision);
            tree.put(name, parent);
        }
    }
    Ok(tree)
}
