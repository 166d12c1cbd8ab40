//! Using an integration's service over HTTP: what to add to a request, an operation called, a request passed on. Secrets leave
//! here only for callers with the right to read token values.

mod authorize;
mod call;
pub(super) mod proxy;
mod tunnel;

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::problem::{Code, Fault, Problem};
use super::state::Api;
use crate::calls::guard::Held;
use crate::calls::{CallError, DispatchError, Used};
use crate::egress::Fault as SendFault;
use crate::openapi;

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    authorize::routes().merge(call::routes())
}

/// Whether an operation is named in one way: by its id, or by method and path. Else the field, a code and what is wrong.
fn is_named(
    operation_id: &Option<String>,
    method: &Option<String>,
    path: &Option<String>,
) -> Result<(), (&'static str, &'static str, &'static str)> {
    match (operation_id, method, path) {
        (Some(_), None, None) | (None, Some(_), Some(_)) => Ok(()),
        (Some(_), ..) => {
            Err(("operation_id", "not_allowed", "stands beside method or path; give the one or the other"))
        }
        (None, Some(_), None) => Err(("path", "missing", "is needed beside method")),
        (None, None, Some(_)) => Err(("method", "missing", "is needed beside path")),
        (None, None, None) => Err(("operation_id", "missing", "is needed, or method and path")),
    }
}

/// An operation of the service.
#[derive(Debug, Serialize, ToSchema)]
struct Operation {
    /// Its id, where the document gives it one.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation_id: Option<String>,
    /// Its method.
    method: String,
    /// Its path's template.
    path: String,
}

/// A token that a request's credentials were made of.
#[derive(Debug, Serialize, ToSchema)]
struct UsedToken {
    /// Its security scheme.
    scheme: String,
    /// Its scopes, where they aren't the integration's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<String>,
    /// Its number; name it in a rejection.
    generation: u64,
    /// Whole seconds left, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
}

impl From<&openapi::Operation> for Operation {
    fn from(operation: &openapi::Operation) -> Self {
        let openapi::Operation { operation_id, method, path, .. } = operation.clone();
        Self { operation_id, method, path }
    }
}

impl From<&Used> for UsedToken {
    fn from(used: &Used) -> Self {
        Self {
            scheme: used.scheme.clone(),
            scopes: used.key.scopes().map(str::to_owned),
            generation: used.generation,
            expires_in: used.expires_in,
        }
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        let text = error.to_string();
        match error {
            CallError::NotFound(name) => Self::not_found("integration", name),
            CallError::NoServer(_) => Self::of_faults(Code::Incomplete, vec![Fault::new("server", "missing", text)]),
            CallError::NoOperation { .. } => Self::invalid(vec![Fault::new("operation_id", "unknown", text)]),
            CallError::OtherServer { .. } => Self::new(Code::OtherServer, text),
            CallError::NotServed { .. } => Self::new(Code::NotBound, text),
            CallError::Unplaced { .. } | CallError::Unsigned { .. } => Self::new(Code::CredentialsUnusable, text),
            CallError::Token(error) => (*error).into(),
            CallError::Store(error) => error.into(),
        }
    }
}

impl From<DispatchError> for Problem {
    fn from(error: DispatchError) -> Self {
        let text = error.to_string();
        match error {
            DispatchError::Call(error) => error.into(),
            DispatchError::Held(held) => Self::of_held(held),
            DispatchError::Refused(_) => Self::new(Code::ServiceUnreachable, text),
            DispatchError::Unsent(unsent) if unsent.fault == SendFault::Timeout => {
                Self::new(Code::ServiceTimeout, text)
            }
            DispatchError::Unsent(unsent) if unsent.fault == SendFault::Body => Self::new(Code::Malformed, text),
            DispatchError::Unsent(_) => Self::new(Code::ServiceUnreachable, text),
        }
    }
}

impl Problem {
    /// A request that isn't sent now.
    fn of_held(held: Held) -> Self {
        let code = if held.is_too_much() { Code::TooManyCalls } else { Code::ServiceUnavailable };
        Self::new(code, held.to_string()).retry_after(held.retry_after())
    }
}
