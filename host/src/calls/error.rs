//! Why a request to a service isn't made, or isn't authorized.

use crate::egress::Refusal;
use crate::integrations::{IntegrationError, ModelError};
use crate::name::Name;
use crate::store::StoreError;
use crate::tokens::TokenError;

/// Why there are no credentials for a request. Holds no secret.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// There is no such integration.
    #[error("there is no integration {0}")]
    NotFound(Name),
    /// The integration has no server.
    #[error(
        "the integration {0} has no server, and its document names none; set one: `tokenhost integration set {0} --server URL`"
    )]
    NoServer(Name),
    /// The operation is served elsewhere.
    #[error(
        "this operation is served at {operation}, and the integration's credentials go to {integration} only; make an \
         integration whose server is that one"
    )]
    OtherServer {
        /// Where the document says that it is served.
        operation: String,
        /// The integration's own server.
        integration: String,
    },
    /// The document has no such operation.
    #[error("the model {model} has no operation {operation}")]
    NoOperation {
        /// The integration's model.
        model: Name,
        /// What was asked for.
        operation: String,
    },
    /// None of the alternatives of the document's `security` can be served.
    #[error(
        "the operation needs {needs}, and the integration is bound to {bound} only; bind what is missing: \
         `tokenhost integration set {integration} --bind SCHEME …`, or PATCH it with `schemes`"
    )]
    NotServed {
        /// The integration.
        integration: Name,
        /// The alternatives, as `a and b, or c`.
        needs: String,
        /// The schemes that the integration is bound to.
        bound: String,
    },
    /// What the token adds can't be put into a request.
    #[error("the credentials of the scheme {scheme} can't be put into a request: {refusal}")]
    Unplaced {
        /// The scheme.
        scheme: String,
        /// All that is wrong.
        refusal: Box<Refusal>,
    },
    /// The signer doesn't exist, or can't sign this.
    #[error("the request can't be signed for the scheme {scheme}: {reason}")]
    Unsigned {
        /// The scheme.
        scheme: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// There is no token.
    #[error(transparent)]
    Token(Box<TokenError>),
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<TokenError> for CallError {
    fn from(error: TokenError) -> Self {
        Self::Token(Box::new(error))
    }
}

impl From<IntegrationError> for CallError {
    fn from(error: IntegrationError) -> Self {
        match error {
            IntegrationError::NotFound(name) => Self::NotFound(name),
            IntegrationError::Store(error) => Self::Store(error),
            error => TokenError::from(error).into(),
        }
    }
}

impl From<ModelError> for CallError {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Store(error) => Self::Store(error),
            // An integration's model can't be deleted.
            error => Self::Store(StoreError::Storage(error.to_string())),
        }
    }
}
