//! Tokens over HTTP: get a valid one, see how it is, renew, reject, enter and forget it.
//!
//! Getting one is the daemon's hottest call: a token that is in memory is served without a lock, a disk or an await.

mod served;

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::served::Token;
use super::auth::guarded;
use super::body::Json;
use super::credentials;
use super::models::name;
use super::peer;
use super::problem::{Code, Fault, Problem};
use super::query::Query;
use super::state::Api;
use super::time::Time;
use crate::access::{Right, Scopes};
use crate::tokens::{ManualToken, Rejection, Reparsed, Served, State as TokenState, Status, TokenError, TokenKey};

/// The route of the hottest call.
pub(super) const ROUTE: &str = "/v1/integrations/{integration}/token";

/// Seconds that a token must still be good for where the caller doesn't say: time to use it.
pub(super) const MIN_TTL: u64 = 5;

/// The longest `min_ttl`, in seconds: ten years. Anyway at most what a fresh token promises.
pub(super) const MAX_TTL: u64 = 10 * 365 * 86_400;

/// All routes but the hottest.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(put, delete))
        .routes(routes!(status))
        .routes(routes!(refresh))
        .routes(routes!(reparse))
        .routes(routes!(reject))
}

/// The hottest route, which goes around the gate and has one of its own.
pub(super) fn hot_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(get))
}

/// How a token is, without the token.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenStatus {
    /// `absent`, `valid`, `expired`, `rejected` or `person_needed`.
    state: &'static str,
    /// Whether an attempt is under way.
    renewing: bool,
    /// The number of the latest token.
    generation: u64,
    /// How it is presented, as its provider wrote it: `Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<String>,
    /// Its scopes, separated by spaces, where the provider said or the integration asked for some.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// When the request for it left.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Time>,
    /// When it ends, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
    /// Whether it can be refreshed.
    has_refresh_token: bool,
    /// Why there is no newer one.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
    /// The connection under way, in which a person takes part.
    #[serde(skip_serializing_if = "Option::is_none")]
    connecting: Option<Awaiting>,
}

/// A connection under way.
#[derive(Debug, Serialize, ToSchema)]
struct Awaiting {
    /// Its attempt.
    attempt: String,
    /// When it ends, whatever the person does.
    expires_at: Time,
}

/// Why there is no newer token.
#[derive(Debug, Serialize, ToSchema)]
struct Failure {
    /// The provider's error code (RFC 6749 section 5.2) or the daemon's own.
    code: String,
    /// For people.
    message: String,
    /// The integration's field to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// Failures in a row.
    count: u32,
    /// When the last one was.
    at: Time,
    /// When the next attempt may be made.
    retry_at: Time,
}

/// A token entered by hand.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewToken {
    /// The token itself.
    access_token: String,
    /// What to renew it with.
    refresh_token: Option<String>,
    /// `Bearer` where absent.
    token_type: Option<String>,
    /// Space-separated.
    scope: Option<String>,
    /// Seconds from `created_at`.
    expires_in: Option<u64>,
    /// When it ends, where there is no `expires_in`.
    expires_at: Option<DateTime<Utc>>,
    /// When it was given; now where absent.
    created_at: Option<DateTime<Utc>>,
}

/// A token that a service refused.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rejected {
    /// Its number, as the token came with it.
    generation: u64,
}

/// What became of a rejection.
#[derive(Serialize, ToSchema)]
#[serde(tag = "result", rename_all = "snake_case")]
enum RejectionResult {
    /// The token is out of use, and another one is being got.
    Renewing,
    /// There is a newer one already.
    NotCurrent {
        /// Its number.
        generation: u64,
    },
}

impl From<Status> for TokenStatus {
    fn from(status: Status) -> Self {
        Self {
            state: match status.state {
                TokenState::Absent => "absent",
                TokenState::Valid => "valid",
                TokenState::Expired => "expired",
                TokenState::Rejected => "rejected",
                TokenState::PersonNeeded => "person_needed",
            },
            renewing: status.renewing,
            generation: status.generation,
            token_type: status.token_type,
            scope: status.scope,
            created_at: status.created_at.map(Time::from),
            expires_at: status.expires_at.map(Time::from),
            has_refresh_token: status.has_refresh_token,
            failure: status.failure.map(|failure| Failure {
                code: failure.code,
                message: failure.message,
                field: failure.field,
                count: failure.count,
                at: failure.at.into(),
                retry_at: failure.retry_at.into(),
            }),
            connecting: status.connecting.map(|connecting| Awaiting {
                attempt: connecting.attempt.to_string(),
                expires_at: connecting.until.into(),
            }),
        }
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        let text = error.to_string();
        match error {
            TokenError::NotFound(name) => Self::not_found("integration", name),
            TokenError::NotBound(..) => Self::new(Code::NotBound, error.to_string()),
            TokenError::NoSuchAttempt(_) => Self::new(Code::NotFound, text),
            TokenError::Incomplete(faults) => {
                Self::of_faults(Code::Incomplete, faults.into_iter().map(Fault::from).collect())
            }
            TokenError::PersonNeeded(_) => Self::new(Code::PersonNeeded, text),
            TokenError::Failed { code, message, field, retry_after, attempt } => {
                Self::new(Code::TokenFailed, message).retry_after(retry_after).of_attempt(code, field, attempt)
            }
            TokenError::Pending { retry_after } => Self::new(Code::TokenPending, text).retry_after(retry_after),
            TokenError::Changed => Self::new(Code::Changed, text),
            TokenError::FlowMissing(_) => Self::new(Code::FlowMissing, text),
            TokenError::Stopping => Self::new(Code::Unavailable, text).retry_after(Duration::from_secs(1)),
            TokenError::Store(error) => error.into(),
            TokenError::Seal(error) => Self::internal(error),
        }
    }
}

/// Gets a valid token, renewed or acquired if need be
///
/// Waits at most 30 seconds for it.
#[utoipa::path(get, path = "/v1/integrations/{integration}/token", tag = "tokens",
    params(("integration" = String, Path, description = "The integration"),
        ("min_ttl" = Option<u64>, Query, description = "Seconds that it must still be good for; at most what a fresh one promises. Default: 5"),
        ("scheme" = Option<String>, Query, description = "One of its further security schemes"),
        ("scope" = Option<String>, Query, description = "Scopes, space-separated, instead of the integration's own")),
    responses((status = 200, description = "The token", body = Token<'_>)))]
async fn get(State(api): State<Api>, request: Request) -> Response {
    match from_memory(&api, &request) {
        Some(response) => response,
        // Boxed, so that the hot path's future stays small.
        None => {
            let slowly = api.clone();
            let slowly = move |request| async move { get_slowly(&slowly, request).await.into_response() };
            Box::pin(guarded(&api, ROUTE, request, slowly)).await
        }
    }
}

/// The token, where caller and token are both known in memory and nothing needs to be said but the token. `None` says
/// nothing, not even that the call is allowed.
fn from_memory(api: &Api, request: &Request) -> Option<Response> {
    let integration = request.uri().path().strip_prefix("/v1/integrations/")?.strip_suffix("/token")?;
    let min_ttl = match request.uri().query() {
        None => MIN_TTL,
        Some(query) => query.strip_prefix("min_ttl=")?.parse().ok().filter(|seconds| *seconds <= MAX_TTL)?,
    };
    let known = api.access.peek(credentials::token(request.headers())?, Some(Scopes::REST))?;
    if !known.principal.may_everywhere(Right::ReadTokenValues) {
        return None;
    }
    let served = api.tokens.cached(integration, Duration::from_secs(min_ttl))?;
    let policy = api.access.policy();
    let trusted = &policy.trusted_proxies;
    api.access.count(&known, peer::client(request.extensions(), request.headers(), trusted));
    api.from_memory.increment(1);
    api.hot_requests.increment(1);
    tracing::debug!(integration, principal = %known.principal.name, "token served from memory");
    Some(answer(&served))
}

/// The token, with all that may have to happen first.
async fn get_slowly(api: &Api, request: Request) -> Result<Response, Problem> {
    let path = request.uri().path();
    let integration = path.strip_prefix("/v1/integrations/").and_then(|path| path.strip_suffix("/token"));
    let integration = name(integration.unwrap_or_default(), "integration")?;
    let mut query = Query::of(request.uri());
    let min_ttl = query.number("min_ttl", 0..=MAX_TTL).unwrap_or(MIN_TTL);
    let key = key(api, &integration, query).await?;
    Ok(answer(&api.tokens.get(&key, Duration::from_secs(min_ttl)).await?))
}

/// Which token of an integration a call means.
pub(super) async fn key(api: &Api, integration: &crate::name::Name, query: Query) -> Result<TokenKey, Problem> {
    let (scheme, scopes) = parameters(query)?;
    Ok(match scheme {
        None => TokenKey::with_scopes(integration, &scopes),
        Some(scheme) => TokenKey::for_scheme(&api.integrations.read(integration).await?, &scheme, &scopes),
    })
}

/// The scheme that a query names, and the scopes.
fn parameters(mut query: Query) -> Result<(Option<String>, String), Problem> {
    let scheme = query.text("scheme").filter(|scheme| !scheme.is_empty());
    let scopes = query.text("scope").unwrap_or_default();
    // RFC 6749 section 3.3.
    let allowed = |byte: u8| matches!(byte, b' ' | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    if scopes.len() > 2048 || !scopes.bytes().all(allowed) {
        query.fault("scope", "must be scopes of visible ASCII without \" and \\, space-separated, at most 2048 bytes");
    }
    query.finish()?;
    Ok((scheme, scopes))
}

/// A served token as an answer that nobody stores.
fn answer(served: &Served) -> Response {
    let Some(json) = served::render(served) else {
        let detail = "the scheme has no token to hand out: its requests carry the integration's own credentials; POST …/authorize \
                      says what to add to a request, and …/call and …/proxy/ make it";
        return Problem::new(Code::NoTokenValue, detail).into_response();
    };
    let mut response = Response::new(Body::from(json));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Shows how the token is, without the token
#[utoipa::path(get, path = "/v1/integrations/{integration}/token/status", tag = "tokens",
    params(("integration" = String, Path, description = "The integration"),
        ("scheme" = Option<String>, Query, description = "One of its further security schemes"),
        ("scope" = Option<String>, Query, description = "Scopes, space-separated, instead of the integration's own")),
    responses((status = 200, description = "How it is", body = TokenStatus)))]
async fn status(
    State(api): State<Api>,
    Path(integration): Path<String>,
    uri: Uri,
) -> Result<axum::Json<TokenStatus>, Problem> {
    let key = key(&api, &name(&integration, "integration")?, Query::of(&uri)).await?;
    Ok(axum::Json(api.tokens.status(&key).await?.into()))
}

/// Enters a token by hand; it is used as it is until it ends
#[utoipa::path(put, path = "/v1/integrations/{integration}/token", tag = "tokens", request_body = NewToken,
    params(("integration" = String, Path, description = "The integration"),
        ("scheme" = Option<String>, Query, description = "One of its further security schemes"),
        ("scope" = Option<String>, Query, description = "Scopes, space-separated, instead of the integration's own")),
    responses((status = 200, description = "How the token is now", body = TokenStatus)))]
async fn put(
    State(api): State<Api>,
    Path(integration): Path<String>,
    uri: Uri,
    Json(token): Json<NewToken>,
) -> Result<axum::Json<TokenStatus>, Problem> {
    let key = key(&api, &name(&integration, "integration")?, Query::of(&uri)).await?;
    let mut faults = Vec::new();
    // What can't stand in a header can't be used: RFC 6750 section 2.1 allows visible ASCII at most.
    let mut visible = |field: &str, text: Option<&str>| {
        if text.is_some_and(|text| text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic())) {
            faults.push(Fault::new(field, "malformed", "must be visible ASCII characters without spaces"));
        }
    };
    visible("access_token", Some(&token.access_token));
    visible("refresh_token", token.refresh_token.as_deref());
    visible("token_type", token.token_type.as_deref());
    if token.expires_in.is_some_and(|seconds| seconds > MAX_TTL) {
        faults.push(Fault::new("expires_in", "malformed", format!("must be at most {MAX_TTL} seconds")));
    }
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    let manual = ManualToken {
        access_token: token.access_token.into(),
        refresh_token: token.refresh_token.map(SecretString::from),
        token_type: token.token_type,
        scope: token.scope,
        expires_in: token.expires_in,
        expires_at: token.expires_at,
        created_at: token.created_at,
    };
    Ok(axum::Json(api.tokens.put(&key, manual).await?.into()))
}

/// Forgets the token; the integration's credentials stay
#[utoipa::path(delete, path = "/v1/integrations/{integration}/token", tag = "tokens",
    params(("integration" = String, Path, description = "The integration"),
        ("scheme" = Option<String>, Query, description = "One of its further security schemes"),
        ("scope" = Option<String>, Query, description = "Scopes, space-separated, instead of the integration's own")),
    responses((status = 204, description = "It is forgotten")))]
async fn delete(State(api): State<Api>, Path(integration): Path<String>, uri: Uri) -> Result<StatusCode, Problem> {
    let key = key(&api, &name(&integration, "integration")?, Query::of(&uri)).await?;
    api.tokens.delete(&key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Renews the token now, though it may still be valid
///
/// Answers how the token is then. To read it is another right: get it.
#[utoipa::path(post, path = "/v1/integrations/{integration}/token/refresh", tag = "tokens",
    params(("integration" = String, Path, description = "The integration"),
        ("scheme" = Option<String>, Query, description = "One of its further security schemes"),
        ("scope" = Option<String>, Query, description = "Scopes, space-separated, instead of the integration's own")),
    responses((status = 200, description = "How the token is now", body = TokenStatus)))]
async fn refresh(
    State(api): State<Api>,
    Path(integration): Path<String>,
    uri: Uri,
) -> Result<axum::Json<TokenStatus>, Problem> {
    let key = key(&api, &name(&integration, "integration")?, Query::of(&uri)).await?;
    api.tokens.renew(&key).await?;
    Ok(axum::Json(api.tokens.status(&key).await?.into()))
}

/// What became of an answer that couldn't be read.
#[derive(Debug, Serialize, ToSchema)]
struct ReparseResult {
    /// `token`: one came of it; `nothing`: no answer is kept; `same_component`: it couldn't be read by the very component that
    /// is served; `superseded`: it is of no use any more.
    outcome: &'static str,
    /// In words.
    message: String,
    /// The token's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
}

/// Has the flow's present component read an answer that an earlier one couldn't
///
/// Only while no newer token came. The next caller of the token would cause the same; this says what happened.
#[utoipa::path(post, path = "/v1/integrations/{integration}/token/reparse", tag = "tokens",
    params(("integration" = String, Path, description = "The integration"),
        ("scheme" = Option<String>, Query, description = "One of its further security schemes"),
        ("scope" = Option<String>, Query, description = "Scopes, space-separated, instead of the integration's own")),
    responses((status = 200, description = "What became of it", body = ReparseResult)))]
async fn reparse(
    State(api): State<Api>,
    Path(integration): Path<String>,
    uri: Uri,
) -> Result<axum::Json<ReparseResult>, Problem> {
    let key = key(&api, &name(&integration, "integration")?, Query::of(&uri)).await?;
    let (outcome, message, generation) = match api.tokens.reparse(&key).await? {
        Reparsed::Token { generation } => {
            ("token", format!("the stored answer held a token: generation {generation}"), Some(generation))
        }
        Reparsed::Nothing => ("nothing", "no answer is kept that couldn't be read".to_owned(), None),
        Reparsed::SameComponent { flow } => {
            let message = format!(
                "an answer is kept that flow {flow} couldn't read, and that is what is served; upgrade it first"
            );
            ("same_component", message, None)
        }
        Reparsed::Superseded => {
            let message =
                "an answer is kept, and is of no use: a newer token came, or the integration was pointed elsewhere";
            ("superseded", message.to_owned(), None)
        }
    };
    Ok(axum::Json(ReparseResult { outcome, message, generation }))
}

/// Reports that a service refused the token, so that another one is got
#[utoipa::path(post, path = "/v1/integrations/{integration}/token/reject", tag = "tokens", request_body = Rejected,
    params(("integration" = String, Path, description = "The integration"),
        ("scheme" = Option<String>, Query, description = "One of its further security schemes"),
        ("scope" = Option<String>, Query, description = "Scopes, space-separated, instead of the integration's own")),
    responses((status = 202, description = "Another one is being got", body = RejectionResult),
        (status = 200, description = "There is a newer one already", body = RejectionResult)))]
async fn reject(
    State(api): State<Api>,
    Path(integration): Path<String>,
    uri: Uri,
    Json(rejected): Json<Rejected>,
) -> Result<Response, Problem> {
    let key = key(&api, &name(&integration, "integration")?, Query::of(&uri)).await?;
    Ok(match api.tokens.reject(&key, rejected.generation).await? {
        Rejection::Renewing => (StatusCode::ACCEPTED, axum::Json(RejectionResult::Renewing)).into_response(),
        Rejection::NotCurrent { generation } => axum::Json(RejectionResult::NotCurrent { generation }).into_response(),
        Rejection::TooSoon { retry_after } => {
            let detail = "the last rejection was a moment ago; the token stays in use until it can be rejected again";
            return Err(Problem::new(Code::TooSoon, detail).retry_after(Duration::from_secs(retry_after)));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_make_a_key_of_their_own() {
        let check = |query: &str, expected: Option<&str>| {
            let name = "crm".parse().unwrap();
            let wanted = parameters(Query::of(&format!("/x?{query}").parse().unwrap())).ok();
            let key = wanted.map(|(_, scopes)| TokenKey::with_scopes(&name, &scopes));
            assert_eq!(key.map(|key| key.to_string()).as_deref(), expected, "{expected:?}");
        };
        check("", Some("crm"));
        check("scope=+", Some("crm"));
        check("scope=b+a", Some("crm a b"));
        check("scope=b%22", None);
        check("scope=%C3%A9", None);
        check("scopes=a", None);
        check(&format!("scope={}", "a".repeat(2049)), None);
    }
}
