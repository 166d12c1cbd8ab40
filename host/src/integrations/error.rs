//! Why a model or an integration can't be had, made or changed.

use crate::fault::join;
pub use crate::fault::{FaultCode, FieldFault};
use crate::name::Name;
use crate::openapi::DocumentError;
use crate::seal::SealError;
use crate::store::StoreError;

/// Why a model can't be had or imported.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ModelError {
    /// There is no such model.
    #[error("there is no model {0}")]
    NotFound(Name),
    /// The name is taken.
    #[error("there is a model {0} already; give this one another name, or replace that one")]
    Exists(Name),
    /// There is no such organization.
    #[error("there is no organization {0}; make it first")]
    OrganizationNotFound(Name),
    /// Integrations were made from it.
    #[error("integrations were made from this model: {}", join(.0))]
    InUse(Vec<Name>),
    /// It was imported before documents were kept.
    #[error("the document of the model {0} wasn't kept when it was imported; import it again, in the model's place")]
    NoDocument(Name),
    /// Another document took its place since it was read.
    #[error("the model {0} was replaced meanwhile; try again")]
    Replaced(Name),
    /// It has another document than the one that was seen.
    #[error("the model {0} has another document by now; compare with that one, then replace it")]
    Changed(Name),
    /// Another document was given than the one that was seen; this is its SHA-256.
    #[error("this is another document than the one that was compared (its SHA-256 is {0}); compare it first")]
    OtherDocument(String),
    /// Its document has no such operation.
    #[error("the document of the model {0} has no such operation")]
    NoOperation(Name),
    /// The document can't be used.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an integration can't be had, made or changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IntegrationError {
    /// There is no such integration.
    #[error("there is no integration {0}")]
    NotFound(Name),
    /// It isn't bound to this scheme.
    #[error("the integration {0} isn't bound to the scheme {1}")]
    NotBound(Name, String),
    /// The name is taken.
    #[error("there is an integration {0} already; give this one another name, or change that one")]
    Exists(Name),
    /// There is no such model.
    #[error("there is no model {0}; import its document first")]
    ModelNotFound(Name),
    /// Inputs are wrong: all that are, at once.
    #[error("{}", join(.0))]
    Invalid(Vec<FieldFault>),
    /// Its secrets would go elsewhere, and whoever changes it doesn't want them dropped: those that would be.
    #[error(
        "the secrets would go elsewhere than now, so that those that aren't given anew would be dropped, and the token"
    )]
    Retargets(Vec<FieldFault>),
    /// Somebody else changed it since it was read.
    #[error("the integration was changed meanwhile; read it again and repeat the change")]
    Changed,
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A secret can't be sealed or opened.
    #[error(transparent)]
    Seal(#[from] SealError),
}
