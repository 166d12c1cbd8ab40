//! One operation called: its request written from the caller's values, authorized, sent, and tried once more where the
//! service refused the token.
//!
//! Bodies are held in memory, so both ways are bounded; what is larger goes through the proxy. Nothing is decided here about
//! who may call what, and no redirect is followed.

mod request;
mod signs;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Map, Value};
use url::Url;

use self::request::Prepared;
use super::authorization::{Authorization, Used, Wanted};
use super::error::CallError;
use super::guard::{Guards, Pass};
use super::keeper::Calls;
use super::service::Service;
use crate::clock::SharedClock;
use crate::egress::{Outgoing, Patience, Unsent, read_whole};
use crate::openapi::Operation;

/// Largest answer that is held, in bytes.
pub const MAX_ANSWER: usize = 16 << 20;
/// Most times that one call's request is sent.
const MAX_ATTEMPTS: u32 = 2;

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
    /// For the service's whole answer; none: what the integration says.
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
    /// Time for credentials.
    pub credentials: Duration,
    /// Time of the service, the connection included.
    pub service: Duration,
    /// The tokens of the last request.
    pub tokens: Vec<Used>,
    /// Whether one of them was got during the call.
    pub renewed: bool,
    /// Whether the request was sent once more with other credentials.
    pub retried: bool,
    /// How often it was sent.
    pub attempts: u32,
}

/// What the service answered to one request.
struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Calls {
    /// Calls an operation of a service.
    ///
    /// # Errors
    /// Values are wrong (all that are, at once), there are no credentials, the guard holds the request back, or there was no
    /// complete answer. An answer is one whatever its status.
    pub async fn call(
        &self,
        service: &Service,
        operation: &Operation,
        call: &Call,
        guards: &Guards,
        clock: &SharedClock,
    ) -> Result<Outcome, CallError> {
        let started = clock.now();
        let model = &service.integration.model;
        let detail = self.models.detail(model, service.digest(), &operation.method, &operation.path).await?;
        let prepared = Prepared::new(service, operation, &detail, call)?;
        let settings = &service.integration.settings.calls;
        let timeout = call.timeout.unwrap_or(Duration::from_secs(settings.timeout));
        let mut wanted = prepared.wanted(call.min_ttl);
        let (mut credentials, mut in_service) = (Duration::ZERO, Duration::ZERO);
        let mut authorization = self.timed(&mut credentials, clock, service, operation, &wanted).await?;
        let mut attempts = 0;
        let mut retried = false;
        loop {
            attempts += 1;
            let mut pass = guards.enter(&service.integration.name, settings).await?;
            let before = clock.elapsed();
            let answered = self.send(service, &prepared, &authorization, &mut pass, timeout).await?;
            drop(pass);
            in_service += clock.elapsed().saturating_sub(before);
            if attempts < MAX_ATTEMPTS && signs::is_refusal(&settings.refused, &answered) {
                let challenge = signs::digest_challenge(&answered).filter(|_| wanted.challenge.is_none());
                let others = self.refused(&authorization).await || challenge.is_some();
                if others && prepared.may_repeat(answered.status) {
                    wanted.challenge = challenge;
                    match self.timed(&mut credentials, clock, service, operation, &wanted).await {
                        Ok(other) => {
                            authorization = other;
                            retried = true;
                            continue;
                        }
                        // What the service said tells the caller more.
                        Err(error) => tracing::warn!(
                            integration = %service.integration.name, %error, "no other credentials after a refusal"
                        ),
                    }
                }
            }
            let renewed = authorization.tokens.iter().any(|used| !used.local && used.created_at >= started);
            return Ok(Outcome {
                status: answered.status,
                headers: shown(answered.headers),
                body: answered.body,
                url: prepared.url,
                credentials,
                service: in_service,
                tokens: authorization.tokens,
                renewed,
                retried,
                attempts,
            });
        }
    }

    /// Authorizes, and counts the time for it.
    async fn timed(
        &self,
        spent: &mut Duration,
        clock: &SharedClock,
        service: &Service,
        operation: &Operation,
        wanted: &Wanted,
    ) -> Result<Authorization, CallError> {
        let before = clock.elapsed();
        let authorized = self.authorize(service, Some(operation), wanted).await;
        *spent += clock.elapsed().saturating_sub(before);
        authorized
    }

    /// Sends the request once.
    async fn send(
        &self,
        service: &Service,
        prepared: &Prepared,
        authorization: &Authorization,
        pass: &mut Pass,
        timeout: Duration,
    ) -> Result<Answered, CallError> {
        let (mut url, mut headers) = (prepared.url.clone(), prepared.headers.clone());
        authorization.apply(&mut url, &mut headers);
        let way = self.egress.way(&url, &service.integration.transport).map_err(CallError::Refused)?;
        let mut request = http::Request::new(prepared.body.clone().map_or_else(Outgoing::empty, Outgoing::bytes));
        *request.method_mut() = prepared.method.clone();
        *request.headers_mut() = headers;
        // A URL's path and query are a URI's, but for characters that only the latter refuses.
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        *request.uri_mut() = target.parse().map_err(|_| CallError::Unwritable)?;
        let patience = Patience { head: timeout, idle: timeout };
        let exchange = async {
            let response = self.egress.services().send(&way, request, patience).await?;
            pass.answered(response.status(), response.headers());
            let (head, body) = response.into_parts();
            let body = read_whole(body, MAX_ANSWER).await?;
            Ok::<_, Unsent>(Answered { status: head.status, headers: head.headers, body })
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(Ok(answered)) => Ok(answered),
            Ok(Err(unsent)) => {
                let error = CallError::from(unsent);
                if !matches!(error, CallError::TooLarge(_)) {
                    pass.failed();
                }
                Err(error)
            }
            Err(_) => {
                pass.failed();
                Err(CallError::TimedOut(format!("the service's answer wasn't complete after {} s", timeout.as_secs_f64())))
            }
        }
    }
}

/// The headers that a caller sees: not those of the connection (RFC 9110 section 7.6.1), and no cookies, which are between the
/// service and whoever holds its session.
fn shown(mut headers: HeaderMap) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .collect();
    let always = ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];
    let cookies = ["set-cookie", "set-cookie2"];
    for name in named.iter().map(String::as_str).chain(always).chain(cookies) {
        headers.remove(name);
    }
    headers
}

/// What the daemon calls itself.
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("tokenhost/", env!("CARGO_PKG_VERSION")));
/// What is wanted where the caller doesn't say.
const ACCEPT: HeaderValue = HeaderValue::from_static("application/json, */*;q=0.8");
