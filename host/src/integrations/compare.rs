//! What another document would change of a model, and what the integrations that were made from it would notice.
//!
//! Integrations copy what they need of their scheme when they are made (rule 4): another document changes no URL of theirs.
//! What they'd notice is what calls read of the model each time, and that they differ from it. It changes nothing.

use sha2::{Digest as _, Sha256};
use url::Url;

use super::error::ModelError;
use super::integration::Integration;
use super::model::{Model, Models};
use crate::name::Name;
use crate::openapi::{Difference, Document};

/// A model beside a document that could take the place of its own.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The model as it is.
    pub model: Model,
    /// What was read of the other document.
    pub document: Document,
    /// The other document's SHA-256, in lower-case hexadecimal.
    pub digest: String,
    /// What differs.
    pub difference: Difference,
}

/// What an integration would notice of another document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noticed {
    /// The integration.
    pub integration: Name,
    /// What, in words.
    pub notes: Vec<String>,
}

impl Models {
    /// Holds a document against a model's.
    ///
    /// # Errors
    /// There is no such model, the document can't be used, or the storage failed.
    pub async fn compare(&self, name: &Name, bytes: &[u8]) -> Result<Comparison, ModelError> {
        let model = self.get(name).await?;
        let (document, _) = self.parse(bytes).await?;
        let difference = Difference::between(&model.document, &document);
        Ok(Comparison { model, document, digest: hex::encode(Sha256::digest(bytes)), difference })
    }
}

impl Comparison {
    /// What an integration that was made from the model would notice; none: nothing.
    pub fn noticed_by(&self, integration: &Integration) -> Option<Noticed> {
        let mut notes = Vec::new();
        let schemes = &self.difference.schemes;
        for scheme in integration.schemes() {
            if schemes.removed.iter().any(|removed| removed == scheme) {
                notes.push(format!(
                    "its scheme {scheme} is gone; calls of operations that required it have none to use"
                ));
            } else if let Some(change) = schemes.of(scheme) {
                let what = change.notes.join("; ");
                notes.push(format!("its scheme {scheme} differs, and it keeps what it has: {what}"));
            }
        }
        if let Some(server) = &integration.server {
            let is_it = |url: &String| Url::parse(url).is_ok_and(|url| url == *server);
            if self.difference.servers.removed.iter().any(is_it) {
                notes.push(format!("its server {server} isn't in the document any more, and it keeps it"));
            }
        }
        let (removed, changed) = (self.difference.operations.removed.len(), self.difference.operations.changed.len());
        if removed > 0 {
            notes.push(format!("{removed} operations can't be called by it any more"));
        }
        if changed > 0 {
            notes.push(format!("{changed} operations are called in another way"));
        }
        (!notes.is_empty()).then(|| Noticed { integration: integration.name.clone(), notes })
    }
}
