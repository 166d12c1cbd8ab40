//! One operation called: its request written from the caller's values, dispatched, and its answer held in memory.
//!
//! Both ways are bounded; what is larger goes through the proxy. Nothing is decided here about who may call what, no redirect
//! is followed, and of credentials it knows only that dispatching adds them.

mod failure;
mod request;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Map, Value};
use url::Url;

pub use self::failure::CallFailure;
use super::authorization::Used;
use super::dispatch::Inbound;
use super::keeper::Calls;
use super::service::Service;
use crate::openapi::Operation;

/// Largest answer that is held, in bytes.
pub(super) const MAX_ANSWER: usize = 16 << 20;

/// What a caller wants of an operation.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// Values of its parameters, by `name` or `place.name`.
    pub parameters: Map<String, Value>,
    /// Its body.
    pub body: Option<Value>,
    /// The body's media type, where not the first that fits.
    pub content_type: Option<String>,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
    /// For the service's answer, its head and again its body; none: what the integration says.
    pub timeout: Option<Duration>,
    /// For how long tokens must be good.
    pub min_ttl: Duration,
}

/// What came of a call.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The service's status.
    pub status: StatusCode,
    /// Its headers, without those of the connection and its cookies.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Where the request went, without credentials.
    pub url: Url,
    /// Time from the call's coming to its answer.
    pub total: Duration,
    /// Time for credentials.
    pub credentials: Duration,
    /// Time of the service, to the last byte of its answer.
    pub service: Duration,
    /// The tokens of the last request.
    pub tokens: Vec<Used>,
    /// Whether one of them was got during the call.
    pub renewed: bool,
    /// How often the request was sent: more than once where the service refused the first tokens.
    pub attempts: u32,
}

impl Calls {
    /// Calls an operation of a service.
    ///
    /// # Errors
    /// Values are wrong (all that are, at once), there are no credentials, the guard holds the request back, or there was no
    /// complete answer. An answer is one whatever its status.
    pub async fn call(&self, service: &Service, operation: &Operation, call: &Call) -> Result<Outcome, CallFailure> {
        let (now, begun) = (self.clock.now(), self.clock.elapsed());
        let model = &service.integration.model;
        let detail = self.models.detail(model, service.digest(), &operation.method, &operation.path).await?;
        let outbound = request::outbound(service, operation, &detail, call)?;
        let url = outbound.url.clone();
        let timeout = outbound.timeout.unwrap_or(Duration::from_secs(service.integration.settings.calls.timeout));
        let Inbound { response, tokens, renewed, attempts, credentials, service: to_head } =
            self.dispatch(service, Some(operation), outbound).await?;
        let (head, body) = response.into_parts();
        let reading = self.clock.elapsed();
        let body = match tokio::time::timeout(timeout, Limited::new(body, MAX_ANSWER).collect()).await {
            Err(_) => return Err(CallFailure::Slow(timeout)),
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(CallFailure::TooLarge),
            Ok(Err(error)) => return Err(CallFailure::BrokeOff(error.to_string())),
        };
        let end = self.clock.elapsed();
        Ok(Outcome {
            status: head.status,
            headers: shown(head.headers),
            body,
            url,
            total: end.saturating_sub(begun),
            credentials,
            service: to_head + end.saturating_sub(reading),
            renewed: renewed || tokens.iter().any(|used| !used.local && used.created_at >= now),
            tokens,
            attempts,
        })
    }
}

/// The headers that a caller sees: not those of the connection (RFC 9110 section 7.6.1), and no cookies, which are between the
/// service and whoever holds its session.
fn shown(mut headers: HeaderMap) -> HeaderMap {
    super::proxy::of_connection(&mut headers);
    for name in [header::SET_COOKIE.as_str(), "set-cookie2"] {
        headers.remove(name);
    }
    headers
}
