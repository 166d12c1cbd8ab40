//! `POST /oauth2/introspect`: token introspection (RFC 7662), for services that speak OAuth 2.0 already.
//!
//! Callers are applications with the right to verify tokens; their own token is their client authentication. A token that
//! isn't good is told as inactive and no more, as the standard wants; the log has the reason.

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::guarded;
use super::body::{self, JSON_BYTES};
use super::caller::Caller;
use super::form;
use super::identity::{self, Introspected};
use super::peer;
use super::problem::{Code, Problem};
use super::refusal::{self, Place};
use super::state::Api;
use super::verify::{answer, caller_in_memory};
use crate::access::{Denial, Known, PrincipalKind, Reason, Refused, Visit};

/// The route.
pub(super) const ROUTE: &str = "/oauth2/introspect";

/// What is told of a token that isn't good (RFC 7662 section 2.2).
const INACTIVE: &[u8] = br#"{"active":false}"#;

/// The route, which goes around the gate and has one of its own.
pub(super) fn hot_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(introspect))
}

/// The form (RFC 7662 section 2.1).
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "only its description is used; the form is read by hand")]
struct Introspection {
    /// The token, as it was presented.
    token: String,
    /// Is ignored: a token tells its kind itself.
    token_type_hint: Option<String>,
}

/// An error (RFC 6749 section 5.2).
#[derive(Serialize, ToSchema)]
struct OAuthError {
    /// `invalid_request`, `invalid_client`, `insufficient_scope`, `temporarily_unavailable` or `server_error`.
    error: &'static str,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_description: Option<String>,
    /// What the operator can explain.
    #[serde(skip_serializing_if = "Option::is_none")]
    support_id: Option<String>,
}

/// Introspects a token (RFC 7662)
///
/// It counts as a use of the token.
#[utoipa::path(post, path = "/oauth2/introspect", tag = "verification",
    request_body(content = Introspection, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "Who presents it; or `active` is false", body = Introspected<'_>),
        (status = 400, description = "The request isn't in the form of one", body = OAuthError),
        (status = 401, description = "The caller isn't known", body = OAuthError),
        (status = 403, description = "The caller is no application that may verify tokens", body = OAuthError)))]
async fn introspect(State(api): State<Api>, request: Request) -> Response {
    let Some(caller) = caller_in_memory(&api, &request).filter(|caller| is_client(caller)) else {
        return slowly(&api, request).await;
    };
    if request.headers().get(header::CONTENT_TYPE).is_none_or(|value| value != "application/x-www-form-urlencoded") {
        return slowly(&api, request).await;
    }
    let (parts, body) = request.into_parts();
    let body = match body::read(body, JSON_BYTES).await {
        Ok(body) => body,
        Err(problem) => return told(problem.into_response()).await,
    };
    match from_memory(&api, &caller, &body) {
        Some(known) => {
            let address = peer::of_parts(&parts, &api.access.policy().trusted_proxies);
            api.access.count(&caller, address);
            api.access.count(&known, address);
            api.hot_introspected.increment(1);
            answer(identity::introspected(&known, &api.access))
        }
        None => slowly(&api, Request::from_parts(parts, Body::from(body))).await,
    }
}

fn is_client(caller: &Known) -> bool {
    caller.principal.kind == PrincipalKind::Application
}

/// The token, where it stands in the simplest of forms and is known in memory and good. `None` says nothing.
fn from_memory(api: &Api, caller: &Known, form: &[u8]) -> Option<std::sync::Arc<Known>> {
    let form = std::str::from_utf8(form).ok()?.strip_prefix("token=")?;
    let token = form.strip_suffix("&token_type_hint=access_token").unwrap_or(form);
    let known = api.access.peek(token, None)?;
    caller.principal.sees(&known.principal.organization).then_some(known)
}

/// Boxed, so that the hot path's future stays small.
async fn slowly(api: &Api, request: Request) -> Response {
    let handle = api.clone();
    let handle = move |request| async move {
        match introspect_slowly(&handle, request).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        }
    };
    told(Box::pin(guarded(api, ROUTE, request, handle)).await).await
}

/// The answer, with all that may have to be read first. The gate let the caller in.
async fn introspect_slowly(api: &Api, request: Request) -> Result<Response, Problem> {
    let Some(caller) = request.extensions().get::<Caller>().cloned() else {
        return Err(Problem::internal("a token is introspected for nobody"));
    };
    if caller.kind != PrincipalKind::Application || caller.token.is_none() {
        return Err(caller.refuse(Reason::NotForThis, "for applications only").await);
    }
    let token = presented(request).await?;
    let visit = Visit { scope: None, address: caller.address() };
    let refused = match api.access.enter(token.expose_secret(), &visit).await {
        Ok(known) if caller.sees(&known.principal.organization) => {
            return Ok(answer(identity::introspected(&known, &api.access)));
        }
        Ok(known) => Refused::of(&known.principal, Reason::OrganizationNotAllowed),
        Err(Denial::Refused(refused)) => refused,
        Err(Denial::Unavailable(error)) => return Err(error.into()),
    };
    let place = Place { door: ROUTE, scope: "", address: caller.address() };
    refusal::tell(api, &refused, place, None);
    Ok(answer(Bytes::from_static(INACTIVE)))
}

/// The token in the form, which is there once.
async fn presented(request: Request) -> Result<SecretString, Problem> {
    let (parts, body) = request.into_parts();
    if body::media_type(&parts.headers) != "application/x-www-form-urlencoded" {
        return Err(Problem::new(Code::Malformed, "send a form, as application/x-www-form-urlencoded"));
    }
    let form = form::read(&parts.headers, body, form::FORM_BYTES).await?;
    let mut tokens = form.fields.into_iter().filter(|(name, _)| name == "token").map(|(_, value)| value);
    match (tokens.next(), tokens.next()) {
        (Some(token), None) => Ok(token.into()),
        (None, _) => Err(Problem::new(Code::Malformed, "the form has no token")),
        (Some(_), Some(_)) => Err(Problem::new(Code::Malformed, "the form has several tokens")),
    }
}

/// A problem as an error of OAuth 2.0 (RFC 7662 section 2.3); any other answer as it is.
async fn told(response: Response) -> Response {
    let error = match response.status() {
        StatusCode::OK => return response,
        StatusCode::UNAUTHORIZED => "invalid_client",
        StatusCode::FORBIDDEN => "insufficient_scope",
        StatusCode::SERVICE_UNAVAILABLE => "temporarily_unavailable",
        status if status.is_client_error() => "invalid_request",
        _ => "server_error",
    };
    let (mut parts, body) = response.into_parts();
    // A problem is small; a body that can't be read tells nothing more.
    let problem = axum::body::to_bytes(body, JSON_BYTES).await.unwrap_or_default();
    let problem: serde_json::Value = serde_json::from_slice(&problem).unwrap_or_default();
    let text = |name: &str| problem.get(name).and_then(|text| text.as_str()).map(str::to_owned);
    let told = OAuthError { error, error_description: text("detail"), support_id: text("support_id") };
    if parts.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        parts.status = StatusCode::BAD_REQUEST;
    }
    as_json(&mut parts.headers);
    // A struct of texts always serialises.
    Response::from_parts(parts, Body::from(serde_json::to_vec(&told).unwrap_or_default()))
}

fn as_json(headers: &mut HeaderMap) {
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
}
