//! One request to a service: its credentials put in, sent when the guard lets it through, and once more with new credentials
//! where the service refuses the first ones and the request can be repeated.
//!
//! It looks at heads and passes bodies by; what the request is, and who may make it, was decided before.

use std::time::Duration;

use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use url::{Position, Url};

use super::authorization::{Authorization, Used, Wanted};
use super::error::CallError;
use super::guard::Held;
use super::keeper::Calls;
use super::payload::{Inflow, Inward, KEPT, Payload};
use super::service::Service;
use crate::egress::{AnswerBody, Fault, Patience, Refusal, Unsent, read_whole};
use crate::integrations::RefusalSigns;
use crate::openapi::Operation;
use crate::telemetry;
use crate::telemetry::trace::{self, SpanKind};

/// How long the rest of a refusal is waited for, so that its connection can be kept.
const REST: Duration = Duration::from_millis(500);

/// A request without credentials.
pub struct Outbound {
    /// Its method.
    pub method: Method,
    /// Where it goes: at the origin of the integration's server.
    pub url: Url,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Payload,
    /// For how long tokens must be good.
    pub min_ttl: Duration,
    /// How long the service may take for the answer's head, where it isn't the integration's `settings.calls.timeout`.
    pub timeout: Option<Duration>,
}

/// An answer, and what was done to get it.
pub struct Inbound {
    /// The answer, as the service gave it.
    pub response: Response<Inflow>,
    /// The tokens that the request carried.
    pub tokens: Vec<Used>,
    /// Whether credentials were refused and others were had.
    pub renewed: bool,
    /// How often the request was sent.
    pub attempts: u32,
    /// What it took to get credentials.
    pub credentials: Duration,
    /// From the request's leaving to the answer's head, all attempts together.
    pub service: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DispatchError {
    /// It isn't authorized.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The guard holds it back.
    #[error(transparent)]
    Held(#[from] Held),
    /// The policy forbids the server or the transport.
    #[error("the service isn't called: {0}")]
    Refused(#[from] Refusal),
    /// The service gave no answer.
    #[error("{0}")]
    Unsent(Unsent),
}

impl Calls {
    /// Sends a request and waits for the answer's head.
    ///
    /// Cancel safe in that nothing goes on after it is dropped, but for tokens that are being renewed.
    ///
    /// # Errors
    /// It isn't sent, or there is no answer.
    pub async fn dispatch(
        &self,
        service: &Service,
        operation: Option<&Operation>,
        outbound: Outbound,
    ) -> Result<Inbound, DispatchError> {
        let own = &service.integration;
        let settings = &own.settings.calls;
        let way = service.way(&self.egress)?;
        let mut pass = self.guards.enter(&own.name, settings).await?;
        let head = outbound.timeout.unwrap_or_else(|| Duration::from_secs(settings.timeout));
        let patience = Patience { head, ..Patience::default() };
        let Outbound { method, url, headers, mut body, min_ttl, .. } = outbound;
        let (mut credentials, mut taken) = (Duration::ZERO, Duration::ZERO);
        let (mut renewed, mut attempts) = (false, 0);
        loop {
            let started = self.clock.elapsed();
            let wanted = Wanted {
                method: method.clone(),
                url: url.clone(),
                headers: headers.clone(),
                body: body.digest(),
                min_ttl,
                challenge: None,
            };
            let authorization = self.authorize(service, operation, &wanted).await?;
            let authorized = self.clock.elapsed();
            credentials += authorized.saturating_sub(started);

            let (sent, again) = body.split();
            let mut request = request(wanted, &authorization, sent)?;
            attempts += 1;
            let span = trace::child("service request", SpanKind::Client);
            let answered = match trace::is_on() {
                false => self.egress.services().send(&way, request, patience).await,
                true => {
                    span.set("tokenhost.integration", own.name.to_string());
                    span.set("http.request.method", telemetry::labels::method(method.as_str()));
                    span.within(async { trace::propagate(request.headers_mut()) }).await;
                    Box::pin(span.within(self.egress.services().send(&way, request, patience))).await
                }
            };
            match &answered {
                Ok(response) => span.set("http.response.status_code", i64::from(response.status().as_u16())),
                Err(unsent) => span.failed(|| unsent.fault.as_str().to_owned()),
            }
            drop(span);
            taken += self.clock.elapsed().saturating_sub(authorized);
            let response = match answered {
                Ok(response) => response,
                Err(unsent) => {
                    // What callers send is no fault of the service.
                    if unsent.fault != Fault::Body {
                        pass.failed();
                    }
                    return Err(DispatchError::Unsent(unsent));
                }
            };
            pass.answered(response.status(), response.headers());
            let (is_refused, response) = judge(&settings.refused, response).await?;
            // What is asked for is kept also where this request can't be repeated: the next one answers at once.
            let asked = self.challenged(&authorization, &url, response.status(), response.headers());
            if (is_refused || asked) && attempts == 1 {
                renewed = is_refused && self.refused(&authorization).await;
                if (renewed || asked)
                    && may_repeat(&method, &headers, response.status())
                    && let Some(repeated) = again.take()
                {
                    drop(tokio::time::timeout(REST, rest(response)).await);
                    body = repeated;
                    continue;
                }
            }
            let response = response.map(|content| Inflow::new(content, pass));
            let tokens = authorization.tokens;
            return Ok(Inbound { response, tokens, renewed, attempts, credentials, service: taken });
        }
    }
}

/// Whether a refused request may be sent again: the service did nothing (401), its method is idempotent (RFC 9110 section
/// 9.2.2), or it has an idempotency key. What an integration calls a refusal may come after something was done.
fn may_repeat(method: &Method, headers: &HeaderMap, status: StatusCode) -> bool {
    method.is_idempotent() || status == StatusCode::UNAUTHORIZED || headers.contains_key("idempotency-key")
}

/// The request with its credentials.
fn request(
    wanted: Wanted,
    authorization: &Authorization,
    body: crate::egress::ServiceBody,
) -> Result<Request<crate::egress::ServiceBody>, DispatchError> {
    let Wanted { method, mut url, mut headers, .. } = wanted;
    authorization.apply(&mut url, &mut headers);
    let target = url[Position::BeforePath..Position::AfterQuery].parse().map_err(|_| {
        let reason = format!("the path for {} can't be written in a request", url.origin().ascii_serialization());
        DispatchError::Unsent(Unsent { left: false, fault: Fault::Refused, reason })
    })?;
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = target;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Whether an answer means that the service refused the credentials, by the integration's signs. Where its body has to be
/// looked at, it is read, if it is short.
async fn judge(
    signs: &RefusalSigns,
    response: Response<AnswerBody>,
) -> Result<(bool, Response<Inward>), DispatchError> {
    let mut is_refused = signs.statuses.contains(&response.status().as_u16());
    if let Some(sign) = &signs.header {
        is_refused |= response.headers().get_all(sign.name.as_str()).iter().any(|value| match &sign.contains {
            None => true,
            Some(part) => String::from_utf8_lossy(value.as_bytes()).contains(part.as_str()),
        });
    }
    let Some(sign) = signs.pointer.as_ref().filter(|_| !is_refused && is_short_json(&response)) else {
        return Ok((is_refused, response.map(Inward::Stream)));
    };
    let (parts, body) = response.into_parts();
    let body = read_whole(body, KEPT).await.map_err(DispatchError::Unsent)?;
    let document: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
    let found = document.as_ref().and_then(|document| document.pointer(&sign.pointer));
    is_refused = match (&sign.value, found) {
        (_, None) => false,
        (Some(value), Some(found)) => value == found,
        (None, Some(found)) => !found.is_null() && found != &serde_json::Value::Bool(false),
    };
    Ok((is_refused, Response::from_parts(parts, Inward::Bytes(body))))
}

/// Whether an answer is JSON of an announced, small size.
fn is_short_json(response: &Response<AnswerBody>) -> bool {
    let is_plain = !response.headers().contains_key(header::CONTENT_ENCODING);
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_json = content_type.is_some_and(|value| {
        let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        essence == "application/json" || essence.ends_with("+json")
    });
    let size = http_body::Body::size_hint(response.body()).exact();
    is_plain && is_json && size.is_some_and(|size| (1..=KEPT as u64).contains(&size))
}

/// Reads the rest of an answer that nobody wants, if it is short.
async fn rest(response: Response<Inward>) {
    if let Inward::Stream(body) = response.into_body() {
        drop(read_whole(body, KEPT).await);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_may_have_been_done_is_not_repeated() {
        let check = |method: Method, key: bool, status: StatusCode, expected: bool| {
            let mut headers = HeaderMap::new();
            if key {
                headers.insert("idempotency-key", HeaderValue::from_static("1"));
            }
            assert_eq!(may_repeat(&method, &headers, status), expected, "{method} {key} {status}");
        };
        check(Method::GET, false, StatusCode::OK, true);
        check(Method::DELETE, false, StatusCode::FORBIDDEN, true);
        check(Method::POST, false, StatusCode::UNAUTHORIZED, true);
        check(Method::POST, false, StatusCode::FORBIDDEN, false);
        check(Method::PATCH, false, StatusCode::OK, false);
        check(Method::POST, true, StatusCode::OK, true);
    }
}
