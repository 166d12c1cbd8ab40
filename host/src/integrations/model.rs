//! Integration models: imported OpenAPI documents.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::error::ModelError;
use crate::clock::SharedClock;
use crate::name::Name;
use crate::openapi::{self, Document};
use crate::store::table::{Page, Table};
use crate::store::{Batch, Store, StoreError};

/// The records of models, by name.
const MODELS: Table<Model> = Table::new("model");
/// What lists show of them, by name: a model's record may be large.
const SUMMARIES: Table<ModelSummary> = Table::new("model-summary");
/// Which integrations were made from which model, by model and integration.
pub(super) const USES: Table<()> = Table::new("model-use");

/// Documents read at once.
const PARSED_AT_ONCE: usize = 2;
/// Integrations named where a model can't be deleted because of them.
const NAMED_USES: usize = 10;

/// An imported document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Model {
    /// Its name.
    pub name: Name,
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
    /// The API's title.
    pub title: String,
    /// The API's version.
    pub version: String,
    /// When it was imported.
    pub imported_at: DateTime<Utc>,
}

/// The models there are.
pub struct Models {
    store: Arc<dyn Store>,
    clock: SharedClock,
    /// Turns to read a document.
    parsing: Semaphore,
}

impl Models {
    /// The models in this store.
    pub fn new(store: Arc<dyn Store>, clock: SharedClock) -> Self {
        Self { store, clock, parsing: Semaphore::new(PARSED_AT_ONCE) }
    }

    /// Imports a document, as a new model or in the place of the one of this name.
    ///
    /// # Errors
    /// The document can't be used, the name is taken (unless `replace`), or the storage failed.
    pub async fn import(&self, name: Name, bytes: &[u8], replace: bool) -> Result<Model, ModelError> {
        let document = self.parse(bytes).await?;
        let model = Model {
            document,
            imported_at: self.clock.now(),
            bytes: bytes.len() as u64,
            digest: hex::encode(Sha256::digest(bytes)),
            name,
        };
        let parts = [model.name.as_str()];
        let mut batch = Batch::synced();
        if !replace {
            MODELS.expect(&mut batch, &parts, None);
        }
        MODELS.put(&mut batch, &parts, &model)?;
        SUMMARIES.put(&mut batch, &parts, &model.summary())?;
        match self.store.commit(batch).await {
            Ok(_) => Ok(model),
            Err(StoreError::Conflict) => Err(ModelError::Exists(model.name)),
            Err(error) => Err(error.into()),
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

    /// A model.
    ///
    /// # Errors
    /// There is none of this name, or the storage failed.
    pub async fn get(&self, name: &Name) -> Result<Model, ModelError> {
        let found = MODELS.get(&*self.store, &[name.as_str()]).await?;
        found.map(|found| found.value).ok_or_else(|| ModelError::NotFound(name.clone()))
    }

    /// Models in the order of their names, from the first after the given one.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn list(&self, after: Option<&Name>, limit: usize) -> Result<Vec<ModelSummary>, ModelError> {
        let after = after.map(|name| [name.as_str()]);
        let page = Page { after: after.as_ref().map(<[&str; 1]>::as_slice), limit, reverse: false };
        let found = SUMMARIES.list(&*self.store, &[], page).await?;
        Ok(found.into_iter().map(|found| found.value).collect())
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
