//! Why a model or an integration can't be had, made or changed.

use std::fmt;

use crate::name::Name;
use crate::openapi::DocumentError;
use crate::seal::SealError;
use crate::store::StoreError;

/// What is wrong with one input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFault {
    /// Which input: `fields.client_id`, `scheme`, `transport.proxy`, …
    pub field: String,
    /// In what way.
    pub code: FaultCode,
    /// What was wrong and what is wanted; holds no value of a secret.
    pub message: String,
}

impl FieldFault {
    /// A fault.
    pub(super) fn new(field: impl Into<String>, code: FaultCode, message: impl Into<String>) -> Self {
        Self { field: field.into(), code, message: message.into() }
    }
}

impl fmt::Display for FieldFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// In what way an input is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultCode {
    /// It must be given.
    Missing,
    /// There is no such thing.
    Unknown,
    /// It isn't of the wanted form.
    Malformed,
    /// A policy or the model forbids it.
    NotAllowed,
    /// There are several; one must be chosen.
    Ambiguous,
}

impl FaultCode {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Malformed => "malformed",
            Self::NotAllowed => "not_allowed",
            Self::Ambiguous => "ambiguous",
        }
    }
}

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
    /// The name is taken.
    #[error("there is an integration {0} already; give this one another name, or change that one")]
    Exists(Name),
    /// There is no such model.
    #[error("there is no model {0}; import its document first")]
    ModelNotFound(Name),
    /// Inputs are wrong: all that are, at once.
    #[error("{}", join(.0))]
    Invalid(Vec<FieldFault>),
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

fn join<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join("; ")
}
