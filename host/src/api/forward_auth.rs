//! `ANY /v1/forward-auth/{scope}`: a reverse proxy asks whether to let a request through, and gets the headers that tell the
//! service who is calling.
//!
//! It reads headers only. Path below the scope, query and body are the client's own and mean nothing here. Answers have
//! no body, so that proxies keep their connections. Only tokens are taken: a browser sends none by itself.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::any;
use secrecy::ExposeSecret as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::credentials::{self, Credential};
use super::identity::{self, HEADERS};
use super::peer;
use super::refusal::{self, Place};
use super::state::Api;
use crate::access::{Denial, Known, Reason, Refused, ScopeId, Visit};
use crate::telemetry;

/// The route.
pub(super) const ROUTE: &str = "/v1/forward-auth/{scope}";
/// Proxies that append the client's path.
const BELOW: &str = "/v1/forward-auth/{scope}/{*rest}";
/// What paths begin with.
const PREFIX: &str = "/v1/forward-auth/";

/// The routes, which go around the gate.
pub(super) fn hot_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(forward_auth))
        .route(ROUTE, any(forward_auth))
        .route(BELOW, any(forward_auth))
        .route("/v1/forward-auth/{scope}/", any(forward_auth))
}

/// Tells a reverse proxy whether to let a request through
///
/// For every method, here and on every path below. It reads the headers `Authorization` and `Auth-Token` only, and counts as
/// a use of the token. Whoever has a token without this scope, or asks for a scope that there isn't, gets 403.
#[utoipa::path(get, path = "/v1/forward-auth/{scope}", tag = "verification",
    params(("scope" = String, Path, description = "The scope that the token must have, in lower case with `-` for `/`: `rest-json`")),
    responses(
        (status = 200, description = "Let it through", headers(
            ("X-Auth-Principal" = String, description = "The user's login or the application's name"),
            ("X-Auth-Kind" = String, description = "`user` or `application`"),
            ("X-Auth-Profiles" = String, description = "Its profiles, comma-separated"),
            ("X-Auth-Organization" = String, description = "The organization that it belongs to"),
            ("X-Auth-Organizations" = String, description = "The organizations that limit what it sees, comma-separated; `*`: nothing does"),
            ("X-Auth-Scopes" = String, description = "The scopes in which its token works, comma-separated"),
            ("X-Auth-Token-Id" = String, description = "The token's public id"),
            ("Remote-User" = String, description = "The user's login, or `application/NAME`"))),
        (status = 401, description = "There is no token, or none that is good; `WWW-Authenticate` says which (RFC 6750)"),
        (status = 403, description = "The token lacks the scope")))]
async fn forward_auth(State(api): State<Api>, request: Request) -> Response {
    match from_memory(&api, &request) {
        Some(response) => response,
        // Boxed, so that the hot path's future stays small.
        None => Box::pin(slowly(&api, request)).await,
    }
}

/// The scope that the path asks for. Paths were routed here: what follows the prefix is there.
fn scope_of(api: &Api, request: &Request) -> Option<ScopeId> {
    let rest = request.uri().path().strip_prefix(PREFIX)?;
    api.access.scopes.in_url(rest.split('/').next().unwrap_or(rest))
}

/// The answer, where the token is known in memory and good. `None` says nothing.
fn from_memory(api: &Api, request: &Request) -> Option<Response> {
    let scope = scope_of(api, request)?;
    let known = api.access.peek(credentials::token(request.headers())?, Some(scope))?;
    let policy = api.access.policy();
    let trusted = &policy.trusted_proxies;
    api.access.count(&known, peer::client(request.extensions(), request.headers(), trusted));
    api.hot_forwarded.increment(1);
    tracing::debug!(principal = %known.principal.name, "let through from memory");
    Some(let_through(api, &known))
}

/// No body, and nothing to be kept.
fn empty(status: StatusCode, capacity: usize) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let mut headers = HeaderMap::with_capacity(capacity);
    // Said to HEAD too: proxies ask with the client's method.
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    *response.headers_mut() = headers;
    response
}

/// The answer that tells who it is.
fn let_through(api: &Api, known: &Known) -> Response {
    // With those that every answer gets.
    let mut response = empty(StatusCode::OK, HEADERS.len() + 4);
    for (name, value) in identity::headers(known, &api.access) {
        response.headers_mut().insert(name, value);
    }
    response
}

/// The answer, with all that may have to be read first.
async fn slowly(api: &Api, request: Request) -> Response {
    let scope = scope_of(api, &request);
    let policy = api.access.policy();
    let trusted = &policy.trusted_proxies;
    let address = peer::client(request.extensions(), request.headers(), trusted);
    let response = match identify(api, request.headers(), scope, address).await {
        Ok(known) => let_through(api, &known),
        Err(Denial::Refused(refused)) => refuse(api, &refused, scope, address).await,
        Err(Denial::Unavailable(error)) => {
            tracing::error!("a token can't be looked up: {error}");
            empty(StatusCode::SERVICE_UNAVAILABLE, 4)
        }
    };
    let status = response.status();
    let class = telemetry::labels::class(status.as_u16());
    metrics::counter!(telemetry::HTTP_REQUESTS, "route" => ROUTE, "method" => "ANY", "status" => class).increment(1);
    tracing::info!(method = %request.method(), path = ROUTE, status = status.as_u16(), "request");
    response
}

/// Who presents the token in these headers.
async fn identify(
    api: &Api,
    headers: &HeaderMap,
    scope: Option<ScopeId>,
    address: Option<std::net::IpAddr>,
) -> Result<std::sync::Arc<Known>, Denial> {
    let refuse = |reason| Denial::from(Refused::unknown(reason));
    let credential = credentials::in_headers(headers, None, &api.access.policy(), true).map_err(refuse)?;
    let Some(Credential::Token(token)) = credential else { return Err(refuse(Reason::NoCredentials)) };
    let known = api.access.enter(token.expose_secret(), &Visit { scope, address }).await?;
    match scope {
        Some(_) => Ok(known),
        None => Err(Refused::of(&known.principal, Reason::ScopeMismatch).into()),
    }
}

/// The refusal, in headers alone (RFC 6750 section 3): whoever sent no token is told no error, whoever sent one that isn't
/// good is told no more than that.
async fn refuse(api: &Api, refused: &Refused, scope: Option<ScopeId>, address: Option<std::net::IpAddr>) -> Response {
    let name = scope.map_or("", |scope| api.access.scopes.name(scope));
    let detail = match scope {
        Some(_) => None,
        None => {
            tracing::warn!("a proxy asks for a scope that there isn't; there are {}", api.access.scopes.names());
            Some("there is no scope of the path's name".to_owned())
        }
    };
    let support_id = refusal::note(api, refused, Place { door: ROUTE, scope: name, address }, detail).await;
    let (status, error) = match refused.reason {
        Reason::NoCredentials => (StatusCode::UNAUTHORIZED, None),
        reason if reason.is_about_rights() => (StatusCode::FORBIDDEN, Some("insufficient_scope")),
        _ => (StatusCode::UNAUTHORIZED, Some("invalid_token")),
    };
    let mut response = empty(status, 6);
    refusal::challenge(response.headers_mut(), error, name, &support_id);
    response
}
