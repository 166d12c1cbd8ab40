//! Integration models: imported OpenAPI documents.

use std::io::{Read, Write};
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, Utc};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::belonging::{self, Belongs, Visible};
use super::error::ModelError;
use crate::clock::SharedClock;
use crate::name::Name;
use crate::openapi::{self, Document, OperationDetail};
use crate::organizations::{OrganizationError, Organizations, default_name};
use crate::store::table::{Page, Table};
use crate::store::{Batch, Store, StoreError};

/// The records of models, by name.
const MODELS: Table<Model> = Table::new("model");
/// What lists show of them, by name: a model's record may be large.
const SUMMARIES: Table<ModelSummary> = Table::new("model-summary");
/// The documents of models as they were imported, by name: what a request of an operation looks like is read from them.
/// Their values are no JSON (see [`packed`]). Models that were imported before this was kept have none.
const DOCUMENTS: Table<()> = Table::new("model-document");
/// Which integrations were made from which model, by model and integration.
pub(super) const USES: Table<()> = Table::new("model-use");

/// What an organization's uses call a model.
const MODEL: &str = "model";

/// Documents read at once.
const PARSED_AT_ONCE: usize = 2;
/// What details of operations may take in memory, in bytes, about.
const DETAILS: u64 = 64 << 20;
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
    /// Details of operations, by the document's digest, method and path. They never change; those not used go.
    details: Cache<(String, String, String), Arc<OperationDetail>>,
    /// Who keeps something of models in memory.
    listeners: RwLock<Vec<Listener>>,
}

/// Which documents whoever replaces a model has seen, each by its lower-case hexadecimal SHA-256; none: any.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The model's present document.
    pub present: Option<String>,
    /// The one that takes its place.
    pub newer: Option<String>,
}

/// Is told the name of each model that is replaced.
type Listener = Box<dyn Fn(&Name) + Send + Sync>;

impl Models {
    /// The models in this store.
    pub fn new(store: Arc<dyn Store>, clock: SharedClock, organizations: Arc<Organizations>) -> Self {
        let weight = |key: &(String, String, String), detail: &Arc<OperationDetail>| {
            u32::try_from(key.0.len() + key.1.len() + key.2.len() + detail.size()).unwrap_or(u32::MAX)
        };
        let details = Cache::builder().max_capacity(DETAILS).weigher(weight).build();
        Self {
            store,
            clock,
            organizations,
            parsing: Semaphore::new(PARSED_AT_ONCE),
            details,
            listeners: RwLock::default(),
        }
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
        self.import_seen(name, organization, bytes, replace, &Seen::default()).await
    }

    /// The same, if these are the documents that were seen.
    ///
    /// # Errors
    /// As for [`Models::import`]; and the model has another document by now, or another one was given.
    pub async fn import_seen(
        &self,
        name: Name,
        organization: Option<Name>,
        bytes: &[u8],
        replace: bool,
        seen: &Seen,
    ) -> Result<Model, ModelError> {
        let digest = hex::encode(Sha256::digest(bytes));
        if seen.newer.as_ref().is_some_and(|newer| *newer != digest) {
            return Err(ModelError::OtherDocument(digest));
        }
        let (document, packed) = self.parse(bytes).await?;
        let mut model = Model {
            document,
            imported_at: self.clock.now(),
            bytes: bytes.len() as u64,
            digest,
            organization: default_name(),
            name,
        };
        loop {
            let parts = [model.name.as_str()];
            let replaced = SUMMARIES.get(&*self.store, &parts).await?;
            if replaced.is_some() && !replace {
                return Err(ModelError::Exists(model.name));
            }
            // The summary was read before, and is written with each document: so this is no other one when it is committed.
            if let Some(present) = &seen.present {
                let found = MODELS.get(&*self.store, &parts).await?;
                if found.is_none_or(|found| found.value.digest != *present) {
                    return Err(ModelError::Changed(model.name));
                }
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
            batch.put(DOCUMENTS.key(&parts), packed.clone());
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
    /// Beside what was read, what is stored of it.
    pub(super) async fn parse(&self, bytes: &[u8]) -> Result<(Document, Vec<u8>), ModelError> {
        let bytes = bytes.to_vec();
        self.beside(move || {
            let document = openapi::read(&bytes)?;
            Ok((document, packed(&bytes).map_err(|error| unreadable(&error))?))
        })
        .await
    }

    /// What a request of an operation of a model looks like; from memory where it was asked for before.
    ///
    /// # Errors
    /// The model has no such operation, is another one by now, was imported before documents were kept, or the storage
    /// failed.
    pub async fn detail(
        &self,
        model: &Name,
        digest: &str,
        method: &str,
        path: &str,
    ) -> Result<Arc<OperationDetail>, ModelError> {
        let key = (digest.to_owned(), method.to_owned(), path.to_owned());
        if let Some(detail) = self.details.get(&key) {
            return Ok(detail);
        }
        let kept = self.store.get(&DOCUMENTS.key(&[model.as_str()])).await?;
        let kept = kept.ok_or_else(|| ModelError::NoDocument(model.clone()))?;
        let (digest, name) = (digest.to_owned(), model.clone());
        let (method, path) = (method.to_owned(), path.to_owned());
        let detail = self
            .beside(move || {
                let bytes = unpacked(&kept.value).map_err(|error| unreadable(&error))?;
                if hex::encode(Sha256::digest(&bytes)) != digest {
                    return Err(ModelError::Replaced(name));
                }
                openapi::operation_detail(&bytes, &method, &path)?.ok_or(ModelError::NoOperation(name))
            })
            .await?;
        let detail = Arc::new(detail);
        self.details.insert(key, Arc::clone(&detail));
        Ok(detail)
    }

    /// Does something with a document beside the async workers, when it is its turn.
    async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ModelError> + Send + 'static,
    ) -> Result<T, ModelError> {
        let _turn = self.parsing.acquire().await.map_err(|error| unreadable(&error))?;
        tokio::task::spawn_blocking(work).await.map_err(|error| unreadable(&error))?
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

    /// Some integrations that were made from a model, at most so many.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn uses(&self, name: &Name, most: usize) -> Result<Vec<Name>, StoreError> {
        let page = Page { limit: most, ..Page::default() };
        let uses = USES.list(&*self.store, &[name.as_str()], page).await?;
        Ok(uses.iter().filter_map(|found| found.key.get(1)?.parse().ok()).collect())
    }

    /// Deletes a model that no integration was made from.
    ///
    /// # Errors
    /// There is none of this name, integrations were made from it, or the storage failed.
    pub async fn delete(&self, name: &Name) -> Result<(), ModelError> {
        loop {
            let parts = [name.as_str()];
            let found = SUMMARIES.get(&*self.store, &parts).await?.ok_or_else(|| ModelError::NotFound(name.clone()))?;
            let names = self.uses(name, NAMED_USES).await?;
            if !names.is_empty() {
                return Err(ModelError::InUse(names));
            }
            let mut batch = Batch::synced();
            // Making an integration writes the summary anew, so that it can't come in between.
            SUMMARIES.expect(&mut batch, &parts, Some(found.revision));
            MODELS.remove(&mut batch, &parts);
            SUMMARIES.remove(&mut batch, &parts);
            DOCUMENTS.remove(&mut batch, &parts);
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

/// A document as it is stored.
fn packed(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// A document from what was stored of it; never more than one that could be imported.
fn unpacked(packed: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    flate2::read::DeflateDecoder::new(packed).take(openapi::MAX_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A document couldn't be stored or read, for a reason that isn't in it.
fn unreadable(error: &dyn std::fmt::Display) -> ModelError {
    ModelError::Store(StoreError::Storage(format!("the document wasn't read: {error}")))
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
