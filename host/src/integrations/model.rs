//! Integration models: imported OpenAPI documents.

use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::belonging::{self, Belongs, Visible};
use super::error::ModelError;
use crate::clock::SharedClock;
use crate::name::Name;
use crate::openapi::{self, Document};
use crate::organizations::{OrganizationError, Organizations, default_name};
use crate::store::table::{Page, Table};
use crate::store::{Batch, Store, StoreError};

/// The records of models, by name.
const MODELS: Table<Model> = Table::new("model");
/// What lists show of them, by name: a model's record may be large.
const SUMMARIES: Table<ModelSummary> = Table::new("model-summary");
/// Which integrations were made from which model, by model and integration.
pub(super) const USES: Table<()> = Table::new("model-use");

/// What an organization's uses call a model.
const MODEL: &str = "model";

/// Documents read at once.
const PARSED_AT_ONCE: usize = 2;
/// Integrations named where a model can't be deleted because of them.
const NAMED_USES: usize = 10;

/// An imported document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Model {
    /// Its name.
    pub name: Name,
    /// The organization that it belongs to.
    #[serde(default = "default_name")]
    pub organization: Name,
    /// What was read of the document.
    pub document: Document,
    /// When it was imported.
    pub imported_at: DateTime<Utc>,
    /// The size of the document.
    pub bytes: u64,
    /// Lower-case hexadecimal SHA-256 of the document.
    pub digest: String,
}

impl Model {
    fn summary(&self) -> ModelSummary {
        ModelSummary {
            name: self.name.clone(),
            organization: self.organization.clone(),
            title: self.document.title.clone(),
            version: self.document.version.clone(),
            imported_at: self.imported_at,
        }
    }
}

/// What lists show of a model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelSummary {
    /// Its name.
    pub name: Name,
    /// The organization that it belongs to.
    #[serde(default = "default_name")]
    pub organization: Name,
    /// The API's title.
    pub title: String,
    /// The API's version.
    pub version: String,
    /// When it was imported.
    pub imported_at: DateTime<Utc>,
}

impl Belongs for ModelSummary {
    fn name(&self) -> &Name {
        &self.name
    }

    fn organization(&self) -> &Name {
        &self.organization
    }
}

/// The models there are.
pub struct Models {
    store: Arc<dyn Store>,
    clock: SharedClock,
    organizations: Arc<Organizations>,
    /// Turns to read a document.
    parsing: Semaphore,
    /// Who keeps something of models in memory.
    listeners: RwLock<Vec<Listener>>,
}

/// Is told the name of each model that is replaced.
type Listener = Box<dyn Fn(&Name) + Send + Sync>;

impl Models {
    /// The models in this store.
    pub fn new(store: Arc<dyn Store>, clock: SharedClock, organizations: Arc<Organizations>) -> Self {
        Self { store, clock, organizations, parsing: Semaphore::new(PARSED_AT_ONCE), listeners: RwLock::default() }
    }

    /// Has the name of each model that is replaced told to someone who keeps something of it in memory.
    pub fn subscribe(&self, listener: Listener) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Imports a document, as a new model or in the place of the one of this name. Where no organization is given, a new
    /// model belongs to `default`, and another stays where it is.
    ///
    /// # Errors
    /// The document can't be used, the name is taken (unless `replace`), there is no such organization, or the storage
    /// failed.
    pub async fn import(
        &self,
        name: Name,
        organization: Option<Name>,
        bytes: &[u8],
        replace: bool,
    ) -> Result<Model, ModelError> {
        let document = self.parse(bytes).await?;
        let mut model = Model {
            document,
            imported_at: self.clock.now(),
            bytes: bytes.len() as u64,
            digest: hex::encode(Sha256::digest(bytes)),
            organization: default_name(),
            name,
        };
        loop {
            let parts = [model.name.as_str()];
            let replaced = SUMMARIES.get(&*self.store, &parts).await?;
            if replaced.is_some() && !replace {
                return Err(ModelError::Exists(model.name));
            }
            let mut batch = Batch::synced();
            SUMMARIES.expect(&mut batch, &parts, replaced.as_ref().map(|found| found.revision));
            let former = replaced.map(|found| found.value.organization);
            model.organization = organization.clone().or_else(|| former.clone()).unwrap_or_else(default_name);
            if former.as_ref() != Some(&model.organization) {
                self.organizations.use_in(&mut batch, &model.organization, MODEL, model.name.as_str()).await?;
                if let Some(former) = &former {
                    self.organizations.release(&mut batch, former, MODEL, model.name.as_str());
                }
            }
            MODELS.put(&mut batch, &parts, &model)?;
            SUMMARIES.put(&mut batch, &parts, &model.summary())?;
            match self.store.commit(batch).await {
                Ok(_) => {
                    for listener in &*self.listeners.read().unwrap_or_else(PoisonError::into_inner) {
                        listener(&model.name);
                    }
                    return Ok(model);
                }
                // An integration was made from it, or its organization changed, meanwhile.
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads a document beside the async workers, a few at a time: a large one takes seconds and hundreds of megabytes.
    async fn parse(&self, bytes: &[u8]) -> Result<Document, ModelError> {
        let failed = |error: &dyn std::fmt::Display| StoreError::Storage(format!("the document wasn't read: {error}"));
        let _turn = self.parsing.acquire().await.map_err(|error| failed(&error))?;
        let bytes = bytes.to_vec();
        let parsed =
            tokio::task::spawn_blocking(move || openapi::read(&bytes)).await.map_err(|error| failed(&error))?;
        Ok(parsed?)
    }

    /// The organization that a model belongs to, if there is such a model. Its document isn't read for that.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn organization_of(&self, name: &Name) -> Result<Option<Name>, StoreError> {
        Ok(SUMMARIES.get(&*self.store, &[name.as_str()]).await?.map(|found| found.value.organization))
    }

    /// A model.
    ///
    /// # Errors
    /// There is none of this name, or the storage failed.
    pub async fn get(&self, name: &Name) -> Result<Model, ModelError> {
        let found = MODELS.get(&*self.store, &[name.as_str()]).await?;
        found.map(|found| found.value).ok_or_else(|| ModelError::NotFound(name.clone()))
    }

    /// Models in the order of their names, from the first after the given one; only those that are to be shown, where
    /// that is said.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn list(
        &self,
        after: Option<&Name>,
        limit: usize,
        shown: Option<Visible<'_>>,
    ) -> Result<Vec<ModelSummary>, ModelError> {
        Ok(belonging::list(&SUMMARIES, &*self.store, after, limit, shown, |summary| summary).await?)
    }

    /// Deletes a model that no integration was made from.
    ///
    /// # Errors
    /// There is none of this name, integrations were made from it, or the storage failed.
    pub async fn delete(&self, name: &Name) -> Result<(), ModelError> {
        loop {
            let parts = [name.as_str()];
            let found = SUMMARIES.get(&*self.store, &parts).await?.ok_or_else(|| ModelError::NotFound(name.clone()))?;
            let page = Page { limit: NAMED_USES, ..Page::default() };
            let uses = USES.list(&*self.store, &parts, page).await?;
            let names: Vec<Name> = uses.iter().filter_map(|found| found.key.get(1)?.parse().ok()).collect();
            if !names.is_empty() {
                return Err(ModelError::InUse(names));
            }
            let mut batch = Batch::synced();
            // Making an integration writes the summary anew, so that it can't come in between.
            SUMMARIES.expect(&mut batch, &parts, Some(found.revision));
            MODELS.remove(&mut batch, &parts);
            SUMMARIES.remove(&mut batch, &parts);
            self.organizations.release(&mut batch, &found.value.organization, MODEL, name.as_str());
            match self.store.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Writes in a batch that an integration is made from a model; the batch holds only while the model is as it was read.
    pub(super) async fn use_in(
        &self,
        batch: &mut Batch,
        model: &Name,
        integration: &Name,
    ) -> Result<Model, ModelError> {
        let parts = [model.as_str()];
        let found = MODELS.get(&*self.store, &parts).await?.ok_or_else(|| ModelError::NotFound(model.clone()))?;
        MODELS.expect(batch, &parts, Some(found.revision));
        SUMMARIES.put(batch, &parts, &found.value.summary())?;
        USES.put(batch, &[model.as_str(), integration.as_str()], &())?;
        Ok(found.value)
    }
}

impl From<OrganizationError> for ModelError {
    fn from(error: OrganizationError) -> Self {
        match error {
            OrganizationError::NotFound(name) => Self::OrganizationNotFound(name),
            OrganizationError::Store(error) => Self::Store(error),
            // No use of an organization fails otherwise.
            error => Self::Store(StoreError::Storage(error.to_string())),
        }
    }
}
