//! Why there is no token.

use std::time::Duration;

use ulid::Ulid;

use crate::flows::Barred;
use crate::integrations::{FieldFault, IntegrationError};
use crate::name::Name;
use crate::seal::SealError;
use crate::store::StoreError;

/// Why the token couldn't be had, or what was asked of it couldn't be done. Holds no secret.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TokenError {
    /// There is no such integration.
    #[error("there is no integration {0}")]
    NotFound(Name),
    /// The integration isn't bound to the scheme.
    #[error("the integration {0} isn't bound to the scheme {1}; bind it, or name another")]
    NotBound(Name, String),
    /// There is no such attempt, or it is too long ago.
    #[error("there is no attempt {0}; the last 20 of an integration are kept")]
    NoSuchAttempt(Ulid),
    /// The integration lacks values that its flow needs.
    #[error("the integration isn't complete: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Incomplete(Vec<FieldFault>),
    /// A person has to sign in or consent.
    #[error("a person is needed: {0}")]
    PersonNeeded(String),
    /// The last attempt failed.
    #[error("{message}")]
    Failed {
        /// Of RFC 6749 where one fits.
        code: String,
        /// What the provider said, or what went wrong; cleaned of secrets.
        message: String,
        /// The integration's field to look at.
        field: Option<String>,
        /// When to ask again.
        retry_after: Duration,
        /// The attempt, if one was made for this call.
        attempt: Option<Ulid>,
    },
    /// The attempt isn't over yet.
    #[error("the provider hasn't answered yet; ask again in {} s", .retry_after.as_secs())]
    Pending {
        /// When to ask again.
        retry_after: Duration,
    },
    /// The integration was changed while its token was being got.
    #[error("the integration was changed meanwhile; ask again")]
    Changed,
    /// The integration's flow isn't installed.
    #[error("the flow {0} isn't installed; install its component, or give the integration another flow")]
    FlowMissing(String),
    /// The daemon is stopping.
    #[error("the daemon is stopping; ask again after its restart")]
    Stopping,
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sealed value can't be opened.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl From<Barred> for TokenError {
    fn from(barred: Barred) -> Self {
        let Barred { code, message, retry_after } = barred;
        Self::Failed { code: code.to_owned(), message, field: None, retry_after, attempt: None }
    }
}

impl From<IntegrationError> for TokenError {
    fn from(error: IntegrationError) -> Self {
        match error {
            IntegrationError::NotFound(name) => Self::NotFound(name),
            IntegrationError::NotBound(name, scheme) => Self::NotBound(name, scheme),
            IntegrationError::Store(error) => Self::Store(error),
            IntegrationError::Seal(error) => Self::Seal(error),
            _ => Self::Changed,
        }
    }
}
