//! Calling an operation of an integration's service: parameters in, the service's answer out.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::{Path, Request as HttpRequest, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::body;
use super::super::caller::Caller;
use super::super::models::name;
use super::super::problem::{Code, Fault, Problem};
use super::super::query::Query;
use super::super::state::Api;
use super::super::tokens::{MAX_TTL, MIN_TTL};
use super::{Operation, UsedToken, is_named};
use crate::calls::{Call, CallError, CallFailure, Outcome, Service};
use crate::integrations::ModelError;
use crate::openapi;

/// The largest description of a call, in bytes: bodies are in it.
const CALL_BYTES: usize = 16 << 20;
/// The longest that a call may wait for its service, in seconds.
const MAX_TIMEOUT: u64 = 3600;

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(call))
}

/// A call of an operation, which is named by its id, or by its method and its path's template.
#[derive(Deserialize, ToSchema)]
#[schema(as = CallRequest)]
#[serde(deny_unknown_fields)]
struct Request {
    /// The operation's id.
    operation_id: Option<String>,
    /// The operation's method, where it isn't named by an id.
    method: Option<String>,
    /// The operation's path as the document writes it, e.g. `/users/{id}`.
    path: Option<String>,
    /// Values of its parameters, by name; where a name stands in several places, by `path.name`, `query.name`,
    /// `header.name` or `cookie.name`.
    #[serde(default)]
    parameters: Map<String, Value>,
    /// Its body: any JSON; text for text types; `{"base64": "…"}` for bytes.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Value>)]
    body: Option<Value>,
    /// The body's media type. Default: the first of the document's that fits
    content_type: Option<String>,
    /// Further headers, e.g. `Idempotency-Key`.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Seconds to wait for the service. Default: the integration's `settings.calls.timeout`
    timeout: Option<u64>,
    /// Seconds that tokens must still be good for. Default: 5
    min_ttl: Option<u64>,
}

/// A member that is there, null too.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// What the service answered, whatever its status, and what was done.
#[derive(Serialize, ToSchema)]
#[schema(as = CallAnswer)]
struct Answer {
    /// The service's status.
    status: u16,
    /// Its headers, without its cookies. Several of one name are joined by commas.
    headers: BTreeMap<String, String>,
    /// Its body: JSON where it is that, else text. Left out where it is empty or bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    body: Option<Value>,
    /// Its body where it is neither JSON nor text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    /// Where the request went, without credentials.
    url: String,
    /// The operation.
    operation: Operation,
    /// What took how long.
    timing: Timing,
    /// What was done to get it.
    done: Done,
}

/// What took how long, in milliseconds.
#[derive(Serialize, ToSchema)]
struct Timing {
    /// All of it.
    total_ms: f64,
    /// Getting credentials.
    credentials_ms: f64,
    /// The service, all attempts together.
    service_ms: f64,
}

/// What was done to get an answer.
#[derive(Serialize, ToSchema)]
struct Done {
    /// The tokens of the last request; none where the operation needs no credentials.
    tokens: Vec<UsedToken>,
    /// Whether one of them was got during the call.
    renewed: bool,
    /// Whether the request was sent once more, since the service refused the first tokens.
    retried: bool,
    /// How often it was sent.
    attempts: u32,
}

/// Calls an operation
///
/// The values are held against the document: all that are missing, unknown or of a wrong type are told at once, and nothing is
/// sent. They are written as the document says, the credentials that the operation needs are added, and the service's answer
/// comes back whatever its status, up to 16 MiB. Where the service refuses a token, it is renewed and the request sent once
/// more. Redirects aren't followed.
#[utoipa::path(post, path = "/v1/integrations/{integration}/call", tag = "calls", request_body = Request,
    params(("integration" = String, Path, description = "The integration")),
    responses((status = 200, description = "What the service answered", body = Answer)))]
async fn call(
    State(api): State<Api>,
    Path(integration): Path<String>,
    caller: Caller,
    request: HttpRequest,
) -> Result<Response, Problem> {
    Query::of(request.uri()).finish()?;
    if !body::is_json(&body::media_type(request.headers())) {
        return Err(Problem::new(Code::UnsupportedMediaType, "send the body as application/json"));
    }
    let request: Request = body::parse(&body::read(request.into_body(), CALL_BYTES).await?)?;
    let service = api.calls.service(&name(&integration, "integration")?).await?;
    let operation = request.operation(&service)?;
    caller.require_operation(&service.integration, Some(operation)).await?;
    let outcome = api.calls.call(&service, operation, &request.call()).await?;
    let answer = Answer::of(operation, outcome);
    Ok(([(header::CACHE_CONTROL, "no-store")], axum::Json(answer)).into_response())
}

impl Request {
    /// The operation that is meant.
    fn operation<'a>(&self, service: &'a Service) -> Result<&'a openapi::Operation, Problem> {
        let mut faults = Vec::new();
        let mut fault = |field: &str, code: &'static str, message: &str| faults.push(Fault::new(field, code, message));
        if self.timeout.is_some_and(|seconds| !(1..=MAX_TIMEOUT).contains(&seconds)) {
            fault("timeout", "malformed", "must be 1 to 3600 seconds");
        }
        if self.min_ttl.is_some_and(|seconds| seconds > MAX_TTL) {
            fault("min_ttl", "malformed", "must be at most ten years");
        }
        if let Err((field, code, message)) = is_named(&self.operation_id, &self.method, &self.path) {
            fault(field, code, message);
        }
        let found = match (&self.operation_id, &self.method, &self.path) {
            (Some(id), ..) => service.operation_by_id(id),
            (None, Some(method), Some(path)) => service.operation_of(method, path),
            _ => None,
        };
        match found {
            Some(operation) if faults.is_empty() => Ok(operation),
            None if faults.is_empty() => {
                let method = self.method.as_deref().map(|method| format!("{method} ")).unwrap_or_default();
                let what = self.operation_id.as_ref().or(self.path.as_ref()).map(String::as_str).unwrap_or_default();
                let operation = format!("{method}{what}").chars().take(100).collect();
                let field = if self.operation_id.is_some() { "operation_id" } else { "path" };
                let model = service.integration.model.clone();
                let text = CallError::NoOperation { model, operation }.to_string();
                Err(Problem::invalid(vec![Fault::new(field, "unknown", text)]))
            }
            _ => Err(Problem::invalid(faults)),
        }
    }

    /// What is wanted of it.
    fn call(self) -> Call {
        Call {
            parameters: self.parameters,
            body: self.body,
            content_type: self.content_type,
            headers: self.headers,
            timeout: self.timeout.map(Duration::from_secs),
            min_ttl: Duration::from_secs(self.min_ttl.unwrap_or(MIN_TTL)),
        }
    }
}

impl Answer {
    fn of(operation: &openapi::Operation, outcome: Outcome) -> Self {
        let milliseconds = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let mut headers = BTreeMap::<String, String>::new();
        for (name, value) in &outcome.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            let known = headers.entry(name.to_string()).or_default();
            if !known.is_empty() {
                known.push_str(", ");
            }
            known.push_str(&value);
        }
        let (body, body_base64) = shown(&outcome.headers, &outcome.body);
        Self {
            status: outcome.status.as_u16(),
            headers,
            body,
            body_base64,
            url: outcome.url.to_string(),
            operation: Operation::from(operation),
            timing: Timing {
                total_ms: milliseconds(outcome.total),
                credentials_ms: milliseconds(outcome.credentials),
                service_ms: milliseconds(outcome.service),
            },
            done: Done {
                tokens: outcome.tokens.iter().map(UsedToken::from).collect(),
                renewed: outcome.renewed,
                retried: outcome.attempts > 1,
                attempts: outcome.attempts,
            },
        }
    }
}

/// A body as JSON or text, or else as base64.
fn shown(headers: &HeaderMap, bytes: &Bytes) -> (Option<Value>, Option<String>) {
    if bytes.is_empty() {
        return (None, None);
    }
    let encoded = || (None, Some(STANDARD.encode(bytes)));
    // None was asked for, and what is compressed isn't text.
    if headers.contains_key(header::CONTENT_ENCODING) {
        return encoded();
    }
    let media_type = body::media_type(headers);
    if (body::is_json(&media_type) || media_type.is_empty())
        && let Ok(value) = serde_json::from_slice(bytes)
    {
        return (Some(value), None);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => (Some(text.into()), None),
        _ => encoded(),
    }
}

impl From<CallFailure> for Problem {
    fn from(failure: CallFailure) -> Self {
        let text = failure.to_string();
        match failure {
            CallFailure::Invalid(faults) => Self::invalid(faults.into_iter().map(Fault::from).collect()),
            CallFailure::Model(ModelError::Document(error)) => Self::internal(error),
            CallFailure::Model(error) => error.into(),
            CallFailure::Dispatch(error) => error.into(),
            CallFailure::Slow(_) => Self::new(Code::ServiceTimeout, text),
            CallFailure::BrokeOff(_) | CallFailure::TooLarge => Self::new(Code::ServiceUnreachable, text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_or_text_or_bytes() {
        let check = |content_type: &'static str, encoding: bool, bytes: &'static [u8], expected: Value| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
            if encoding {
                headers.insert(header::CONTENT_ENCODING, header::HeaderValue::from_static("gzip"));
            }
            let (body, encoded) = shown(&headers, &Bytes::from_static(bytes));
            assert_eq!(serde_json::json!([body, encoded]), expected);
        };
        check("application/hal+json", false, b"{\"a\":1}", serde_json::json!([{"a": 1}, null]));
        check("application/json", false, b"{", serde_json::json!(["{", null]));
        check("text/plain", false, b"5", serde_json::json!(["5", null]));
        check("image/png", false, b"\xff", serde_json::json!([null, "/w=="]));
        check("text/plain", true, b"a", serde_json::json!([null, "YQ=="]));
        check("text/plain", false, b"", serde_json::json!([null, null]));
    }
}
