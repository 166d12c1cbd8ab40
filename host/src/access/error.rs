//! Why a principal, a profile or a token can't be had, made or changed.

use std::time::Duration;

use crate::fault::{FaultCode, FieldFault, join};
use crate::name::NameError;
use crate::organizations::OrganizationError;
use crate::store::StoreError;

/// Why it can't be done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AccessError {
    /// There is an administrator.
    #[error("this data folder has an administrator already; if its token is lost, have it rebuilt")]
    AlreadyInitialised,
    /// There is no such thing.
    #[error("there is no {what} {name}")]
    NotFound {
        /// Of what kind.
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// The name is taken.
    #[error("there is a {what} {name} already; give this one another name, or change that one")]
    Exists {
        /// Of what kind.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Something still needs it.
    #[error("{0}")]
    InUse(String),
    /// Inputs are wrong: all that are, at once.
    #[error("{}", join(.0))]
    Invalid(Vec<FieldFault>),
    /// Whoever asks may not give away what they don't have themselves, nor touch what they don't see.
    #[error("{0}")]
    Forbidden(String),
    /// Somebody else changed it since it was read.
    #[error("it was changed meanwhile; read it again and repeat the change")]
    Changed,
    /// Too many passwords were wrong: when to try again.
    #[error("too many wrong passwords")]
    TooSoon(Duration),
    /// The installation's keys can't be used for digests.
    #[error("the key for token digests can't be used")]
    Key,
    /// The name was refused.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The storage failed.
    #[error(transparent)]
    Store(StoreError),
}

impl AccessError {
    /// There is no such thing.
    pub(super) fn not_found(what: &'static str, name: impl ToString) -> Self {
        Self::NotFound { what, name: name.to_string() }
    }

    /// One input is wrong.
    pub(super) fn fault(field: &str, code: FaultCode, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldFault::new(field, code, message)])
    }
}

impl From<StoreError> for AccessError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Changed,
            error => Self::Store(error),
        }
    }
}

impl From<OrganizationError> for AccessError {
    fn from(error: OrganizationError) -> Self {
        match error {
            OrganizationError::Store(error) => error.into(),
            error => Self::fault("organization", FaultCode::Unknown, error.to_string()),
        }
    }
}
