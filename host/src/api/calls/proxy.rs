//! `ANY /v1/integrations/{integration}/proxy` and below: the caller's request goes to the integration's service with the
//! credentials that it needs, and the service's answer comes back, streamed both ways.
//!
//! It goes around the gate, like the other hot routes, and asks the same. Only tokens in headers are taken: a service's pages
//! would otherwise run at the daemon's origin with what a browser sends by itself. Nothing is written to the disk, and it is
//! no change that the audit log tells of.

use std::sync::OnceLock;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use hyper::upgrade::OnUpgrade;
use metrics::{Counter, Histogram};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::auth::admit;
use super::super::caller::Caller;
use super::super::credentials;
use super::super::models::name;
use super::super::peer;
use super::super::problem::{Code, Problem};
use super::super::server::Slot;
use super::super::state::Api;
use super::super::table::{Route, any_route};
use super::super::tokens::MIN_TTL;
use super::tunnel::tunnel;
use crate::access::{Principal, Reason, Right, Scopes};
use crate::calls::{Inbound, Inflow, Outbound, Payload, proxy};
use crate::telemetry;

/// The route.
pub(in super::super) const ROUTE: &str = "/v1/integrations/{integration}/proxy";
/// Paths of the service.
const BELOW: &str = "/v1/integrations/{integration}/proxy/{*path}";
/// How long a short body may take, which is read before anything is sent.
const BODY_TIME: Duration = Duration::from_secs(60);
/// What paths begin with.
const PREFIX: &str = "/v1/integrations/";

/// The routes, which go around the gate.
pub(in super::super) fn hot_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(pass_on))
        .route(ROUTE, any(pass_on))
        .route(BELOW, any(pass_on))
        .route("/v1/integrations/{integration}/proxy/", any(pass_on))
}

/// Counts of proxied requests. Registered once: the hot path only increments.
#[derive(Default)]
pub(in super::super) struct Counts {
    /// By class of status.
    classes: [OnceLock<Counter>; 5],
    /// Seconds to the answer's head.
    seconds: OnceLock<Histogram>,
}

impl Counts {
    /// Counts one.
    fn count(&self, status: StatusCode, taken: Duration) {
        let class = telemetry::labels::class(status.as_u16());
        let at = class.bytes().next().map_or(0, |digit| usize::from(digit.saturating_sub(b'1')));
        if let Some(counter) = self.classes.get(at) {
            let register =
                || metrics::counter!(telemetry::HTTP_REQUESTS, "route" => ROUTE, "method" => "ANY", "status" => class);
            counter.get_or_init(register).increment(1);
        }
        let seconds = self.seconds.get_or_init(|| metrics::histogram!(telemetry::HTTP_SECONDS, "route" => ROUTE));
        seconds.record(taken);
    }
}

/// Passes a request on to the service, with the credentials that it needs
///
/// For every method but `CONNECT` and `TRACE`, here and on every path below, which is appended to the path of the
/// integration's server. Bodies of any size are streamed both ways; WebSockets and server-sent events pass. Only a token in a
/// header is taken, and it isn't passed on. An answer of the service has `Via: 1.1 tokenhost`; one without is the daemon's own.
#[utoipa::path(get, path = "/v1/integrations/{integration}/proxy", tag = "calls",
    params(("integration" = String, Path, description = "The integration")),
    responses((status = 200, description = "Whatever the service answers")))]
async fn pass_on(State(api): State<Api>, request: Request) -> Response {
    let started = api.clock.elapsed();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let mut who = None;
    let response = match passed(&api, request, &mut who).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    let taken = api.clock.elapsed().saturating_sub(started);
    api.proxied.count(response.status(), taken);
    let (path, status, ms) = (uri.path(), response.status(), taken.as_millis() as u64);
    let principal = who.as_ref().map(tracing::field::display);
    // As for tokens out of memory: what went well is counted, and told only to who looks closely. A line for each would
    // cost two thirds as much again as the rest.
    match status.is_client_error() || status.is_server_error() {
        true => tracing::info!(%method, path, status = status.as_u16(), ms, principal, "request"),
        false => tracing::debug!(%method, path, status = status.as_u16(), ms, principal, "request"),
    }
    response
}

/// The service's answer.
async fn passed(api: &Api, request: Request, who: &mut Option<String>) -> Result<Response, Problem> {
    let (caller, mut request) = enter(api, request).await?;
    *who = Some(caller.name().to_owned());
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        // TRACE would show the credentials that were put in (RFC 9110 section 9.3.8).
        return Err(Problem::new(Code::MethodNotAllowed, "CONNECT and TRACE aren't passed on"));
    }
    let uri = request.uri().clone();
    let (integration, rest) = split(uri.path())?;
    let fault = |fault: proxy::PathFault| Problem::new(Code::Malformed, format!("the path {fault}"));
    let below = proxy::below(rest).map_err(fault)?;
    if uri.query().is_some_and(|query| query.split('&').any(carries_token)) {
        let told = "the query holds a token for the daemon; send it as a header, so that the service doesn't see it";
        return Err(Problem::new(Code::Malformed, told));
    }

    let service = api.calls.service(&name(integration, "integration")?).await?;
    let operation = service.operation_at(request.method(), below);
    if let Entered::Caller(caller) = &caller {
        caller.require_operation(&service.integration, operation).await?;
    }
    let base = match operation {
        Some(operation) => service.base_of(operation)?,
        None => service.base()?.clone(),
    };
    let is_upgrade = proxy::to_service(request.headers_mut(), &api.private_headers)
        .map_err(|circle| Problem::new(Code::ServiceUnreachable, circle.to_string()))?;
    let ours = is_upgrade.then(|| (hyper::upgrade::on(&mut request), request.extensions_mut().remove::<Slot>()));
    let is_head = request.method() == Method::HEAD;
    let (mut parts, body) = request.into_parts();
    let body = match is_upgrade {
        true => Payload::Bytes(bytes::Bytes::new()),
        false => match tokio::time::timeout(BODY_TIME, Payload::of(body)).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => return Err(Problem::new(Code::Malformed, "the request's body broke off")),
            Err(_) => {
                let told = format!("the request's body didn't come within {} s", BODY_TIME.as_secs());
                return Err(Problem::new(Code::Timeout, told));
            }
        },
    };
    let asked = proxy::target(&base, below, uri.query());
    let outbound = Outbound {
        method: parts.method,
        url: asked.clone(),
        headers: std::mem::take(&mut parts.headers),
        body,
        min_ttl: Duration::from_secs(MIN_TTL),
        timeout: None,
    };
    let Inbound { mut response, .. } = api.calls.dispatch(&service, operation, outbound).await?;

    let protocol = response.headers().get(header::UPGRADE).cloned();
    let theirs = (response.status() == StatusCode::SWITCHING_PROTOCOLS).then(|| hyper::upgrade::on(&mut response));
    proxy::to_caller(response.headers_mut());
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        let Some(given) = response.headers().get(&name).and_then(|value| value.to_str().ok()) else { continue };
        let at = format!("{PREFIX}{integration}/proxy");
        match proxy::location(&base, &asked, given, &at).and_then(|to| HeaderValue::try_from(to).ok()) {
            Some(to) => drop(response.headers_mut().insert(name, to)),
            // Where it leads can't be told.
            None => drop(response.headers_mut().remove(name)),
        }
    }
    // Else the HTTP library would say that there are 0 bytes.
    if is_head && !response.headers().contains_key(header::CONTENT_LENGTH) {
        response = response.map(Inflow::without_length);
    }
    match (ours, theirs) {
        (_, None) => Ok(response.map(Body::new)),
        (Some((ours, slot)), Some(theirs)) => {
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            if let Some(protocol) = protocol {
                headers.insert(header::UPGRADE, protocol);
            }
            let (parts, pass) = response.into_parts();
            hand_over(ours, theirs, (pass, slot));
            Ok(Response::from_parts(parts, Body::empty()))
        }
        (None, Some(_)) => {
            Err(Problem::new(Code::ServiceUnreachable, "the service switches protocols without being asked to"))
        }
    }
}

/// Passes bytes both ways once both ends have switched protocols. `held` is given back at the end.
fn hand_over(ours: OnUpgrade, theirs: OnUpgrade, held: impl Send + 'static) {
    tokio::spawn(async move {
        if let (Ok(ours), Ok(theirs)) = tokio::join!(ours, theirs) {
            tunnel(ours, theirs).await;
        }
        drop(held);
    });
}

/// Who is let in.
enum Entered {
    /// Known in memory, with the right on everything.
    Known(std::sync::Arc<crate::access::Known>),
    /// Looked at by the gate.
    Caller(Caller),
}

impl Entered {
    /// Who it is.
    fn principal(&self) -> &Principal {
        match self {
            Self::Known(known) => &known.principal,
            Self::Caller(caller) => caller,
        }
    }

    /// What it is called.
    fn name(&self) -> &str {
        &self.principal().name
    }
}

/// Lets a caller in who has the right and presents a token in a header.
async fn enter(api: &Api, request: Request) -> Result<(Entered, Request), Problem> {
    let token = credentials::token(request.headers());
    if let Some(known) = token.and_then(|token| api.access.peek(token, Some(Scopes::REST)))
        && known.principal.may_everywhere(Right::UseTokens)
    {
        let policy = api.access.policy();
        let trusted = &policy.trusted_proxies;
        api.access.count(&known, peer::client(request.extensions(), request.headers(), trusted));
        return Ok((Entered::Known(known), request));
    }
    let has_token = token.is_some();
    let route: &'static Route =
        any_route(ROUTE).ok_or_else(|| Problem::internal("the proxy isn't in the table of routes"))?;
    match Box::pin(admit(api, route, request)).await? {
        (Some(caller), request) if has_token => Ok((Entered::Caller(caller), request)),
        (Some(caller), _) => Err(caller.refuse(Reason::NotForThis, "only a token in a header is taken").await),
        (None, _) => Err(Problem::internal("the proxy is public")),
    }
}

/// The integration in a path, and what follows `…/proxy`: as they stand in the request.
fn split(path: &str) -> Result<(&str, &str), Problem> {
    let found = path.strip_prefix(PREFIX).and_then(|path| path.split_once('/'));
    let found = found.and_then(|(integration, rest)| Some((integration, rest.strip_prefix("proxy")?)));
    found.ok_or_else(|| Problem::new(Code::NotFound, "the path isn't in the form of one"))
}

/// Whether a parameter of a query is a token for the daemon.
fn carries_token(pair: &str) -> bool {
    let value = pair.split_once('=').filter(|(name, _)| *name == credentials::PARAMETER).map(|(_, value)| value);
    value.is_some_and(|value| value.starts_with("tha_") || value.starts_with("thp_"))
}
