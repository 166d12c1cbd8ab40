//! Why something can't be done with a webhook.

use crate::fault::{self, FieldFault};
use crate::name::Name;
use crate::seal::SealError;
use crate::store::StoreError;

/// Why something can't be done with a webhook.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WebhookError {
    /// There is none of this name.
    #[error("there is no webhook {0}; `tokenhost webhook list` lists them")]
    NotFound(Name),
    /// There is one of this name.
    #[error("there is a webhook {0} already; choose another name, or change that one")]
    Exists(Name),
    /// It was changed meanwhile.
    #[error("the webhook was changed meanwhile; look at it and try again")]
    Changed,
    /// Inputs are wrong.
    #[error("{}", fault::join(.0))]
    Invalid(Vec<FieldFault>),
    /// A sealed value can't be opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
