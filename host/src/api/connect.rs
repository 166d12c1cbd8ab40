//! Connecting over HTTP: an attempt that a person takes part in is started, the person's browser sent on to the provider and
//! taken back.
//!
//! The start is a call of the API. The two pages need no credential: the ticket in the link lets a browser in once, and its
//! cookie and the return key let the same browser come back. Refusals look alike and are held back where there are many;
//! the exact reason is under the support id. Query and ticket stand in no log.

mod page;

use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use cookie::{Cookie, SameSite};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use url::Url;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::models::name;
use super::peer;
use super::problem::Problem;
use super::query::Query;
use super::refusal::{self, Place};
use super::state::Api;
use super::time::Time;
use super::tokens::key;
use crate::access::{Reason, Refused};
use crate::audit::{Actor, Entry, Outcome};
use crate::tokens::{Back, Next, Onward, Unwelcome};

/// Where providers send people back to.
pub const CALLBACK: &str = "/v1/callback";
/// Where a person's browser begins.
const START: &str = "/v1/connect";
/// What the names of the cookies begin with; the attempt's id follows.
const COOKIE: &str = "tokenhost_connect_";
/// Cookies of connections that are looked at.
const COOKIES: usize = 32;
/// The longest query of a return, in bytes.
const QUERY_BYTES: usize = 16 << 10;
/// The most parameters of a return.
const PARAMETERS: usize = 64;

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(connect)).routes(routes!(open)).routes(routes!(come_back))
}

/// Has the audit log know how connections end of which nobody comes back: a code entered on another device.
pub(super) fn audit_ends(api: &Api) {
    let audit = std::sync::Arc::clone(&api.audit);
    api.tokens.on_connected(Box::new(move |key, attempt, connected| {
        let outcome = if connected { Outcome::Done } else { Outcome::Failed };
        let entry = Entry::new(Actor::system(), "integration.connect.end")
            .on(format!("integrations/{}", key.integration()))
            .detail("attempt", attempt.to_string())
            .ended(outcome, None);
        let audit = std::sync::Arc::clone(&audit);
        tokio::spawn(async move {
            if let Err(error) = audit.append(vec![entry]).await {
                // The attempt's own record says so.
                tracing::error!(%attempt, "the end of a connection isn't in the audit log: {error}");
            }
        });
    }));
}

/// A connection that was started, and what a person has to do now.
#[derive(Serialize, ToSchema)]
struct Connection {
    /// Its attempt, where the outcome will stand.
    attempt: String,
    /// The page that the person is to open. It works in one browser.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// What the person is to do elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<Prompt>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
    /// Whether there is a token already, and nobody has to do anything.
    connected: bool,
}

/// What a person is to do elsewhere.
#[derive(Serialize, ToSchema)]
struct Prompt {
    /// In words.
    message: String,
    /// The page to open.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// What to enter there.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

/// Starts to connect: answers as soon as a person has something to do
///
/// The attempt goes on by itself and ends with a token, or a reason why there is none. It takes the place of one that is
/// under way; until it ends, the present token is served as before.
#[utoipa::path(post, path = "/v1/integrations/{integration}/connect", tag = "tokens",
    params(("integration" = String, Path, description = "The integration"),
        ("scheme" = Option<String>, Query, description = "One of its further security schemes"),
        ("scope" = Option<String>, Query, description = "Scopes, space-separated, instead of the integration's own")),
    responses((status = 200, description = "What a person has to do now", body = Connection)))]
async fn connect(State(api): State<Api>, Path(integration): Path<String>, uri: Uri) -> Result<Response, Problem> {
    let key = key(&api, &name(&integration, "integration")?, Query::of(&uri)).await?;
    let connecting = api.tokens.connect(&key).await?;
    let mut answer = Connection {
        attempt: connecting.attempt.to_string(),
        url: None,
        prompt: None,
        expires_at: None,
        connected: false,
    };
    match connecting.next {
        Next::Open(ticket, until) => {
            answer.url = Some(format!("{}{START}/{}", api.public_url, ticket.expose_secret()));
            answer.expires_at = Some(until.into());
        }
        Next::Prompt(prompt, until) => {
            answer.prompt = Some(Prompt { message: prompt.message, url: prompt.url, code: prompt.code });
            answer.expires_at = Some(until.into());
        }
        Next::Nothing(_) => answer.connected = true,
    }
    let mut response = axum::Json(answer).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Sends a person's browser on to the provider, and binds the return to it
#[utoipa::path(get, path = "/v1/connect/{ticket}", tag = "login", security(()),
    params(("ticket" = String, Path, description = "The last part of the link that the start answered with")),
    responses((status = 303, description = "On to the provider", headers(("Set-Cookie" = String), ("Location" = String))),
        (status = 403, description = "A page: the link doesn't count", body = String, content_type = "text/html")))]
async fn open(State(api): State<Api>, Path(ticket): Path<String>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    if !is_visit(&parts) {
        // Who only looks, as programs do that show a link before it is opened, doesn't use it up.
        return page::looked_at();
    }
    // A browser that goes away leaves nothing half done.
    let opening = tokio::spawn(async move {
        match api.tokens.visit(&ticket, &browsers(&parts.headers)).await {
            Ok(onward) => lead_on(&api, &parts, &onward),
            Err(unwelcome) => refuse(&api, &parts, START, unwelcome).await,
        }
    });
    opening.await.unwrap_or_else(|_| Problem::internal("opening a link panicked").into_response())
}

/// Takes a person back whom a provider sends here, and tells what came of it
#[utoipa::path(get, path = "/v1/callback", tag = "login", security(()),
    params(("state" = String, Query, description = "What the provider was given to echo"),
        ("code" = Option<String>, Query, description = "And what else the flow reads, e.g. `error` and `iss`")),
    responses((status = 200, description = "A page: it is connected", body = String, content_type = "text/html"),
        (status = 502, description = "A page: it isn't, and why", body = String, content_type = "text/html"),
        (status = 403, description = "A page: the return doesn't count", body = String, content_type = "text/html")))]
async fn come_back(State(api): State<Api>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    if parts.method == Method::HEAD {
        return page::looked_at();
    }
    let Some(query) = parameters(&parts.uri) else {
        return refuse(&api, &parts, CALLBACK, Unwelcome::Refused("its query is too long, or says something twice"))
            .await;
    };
    let coming = tokio::spawn(async move {
        match api.tokens.come_back(query, &browsers(&parts.headers)).await {
            Ok(back) => welcome(&api, &parts, back).await,
            Err(unwelcome) => refuse(&api, &parts, CALLBACK, unwelcome).await,
        }
    });
    coming.await.unwrap_or_else(|_| Problem::internal("a return panicked").into_response())
}

/// Whether a person opens the page, and no program looks at it beforehand.
fn is_visit(parts: &Parts) -> bool {
    let says_prefetch = |name: &str| {
        let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.to_ascii_lowercase().contains("prefetch"))
    };
    parts.method == Method::GET && !says_prefetch("sec-purpose") && !says_prefetch("purpose")
}

/// The parameters of a return. None: too many, too long, or one of them twice (RFC 6749 section 3.1).
fn parameters(uri: &Uri) -> Option<Vec<(String, String)>> {
    let text = uri.query().unwrap_or_default();
    if text.len() > QUERY_BYTES {
        return None;
    }
    let mut found: Vec<(String, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        if found.len() == PARAMETERS || found.iter().any(|(known, _)| *known == name) {
            return None;
        }
        found.push((name.into_owned(), value.into_owned()));
    }
    Some(found)
}

/// What a browser presents of the connections that it began.
fn browsers(headers: &HeaderMap) -> Vec<String> {
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    texts
        .flat_map(|text| Cookie::split_parse(text).filter_map(Result::ok))
        .filter(|cookie| cookie.name().starts_with(COOKIE))
        .map(|cookie| cookie.value().to_owned())
        .take(COOKIES)
        .collect()
}

/// Sets, or with no time left removes, the cookies by which a browser is known again: where it comes back, and where it
/// opens the link once more.
fn set_cookies(api: &Api, parts: &Parts, response: &mut Response, attempt: &str, value: &str, seconds: u64) {
    let public = Url::parse(&api.public_url).ok();
    let is_https = public.as_ref().is_some_and(|url| url.scheme() == "https")
        || peer::is_https(&parts.extensions, &parts.headers, &api.access.policy().trusted_proxies);
    let base = public.map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default();
    for path in [CALLBACK, START] {
        let cookie = Cookie::build((format!("{COOKIE}{}", attempt.to_ascii_lowercase()), value.to_owned()))
            .http_only(true)
            // The return is a navigation that begins at the provider.
            .same_site(SameSite::Lax)
            .path(format!("{base}{path}"))
            .max_age(cookie::time::Duration::seconds(i64::try_from(seconds).unwrap_or_default()))
            .secure(is_https)
            .build();
        if let Ok(mut value) = HeaderValue::try_from(cookie.to_string()) {
            value.set_sensitive(true);
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
}

/// On to the provider.
fn lead_on(api: &Api, parts: &Parts, onward: &Onward) -> Response {
    let Ok(mut location) = HeaderValue::try_from(onward.url.expose_secret()) else {
        return Problem::internal("the provider's URL can't stand in a header").into_response();
    };
    location.set_sensitive(true);
    let mut response = page::elsewhere(location);
    set_cookies(api, parts, &mut response, &onward.attempt.to_string(), onward.browser.expose_secret(), onward.seconds);
    response
}

/// Tells a person what came of their return.
async fn welcome(api: &Api, parts: &Parts, back: Back) -> Response {
    let (integration, attempt) = (back.integration.as_str(), back.attempt.to_string());
    let entry = Entry::new(Actor::system(), "integration.connect.return")
        .on(format!("integrations/{integration}"))
        .coming_from(api.address(parts))
        .detail("attempt", attempt.clone());
    let entry = match &back.outcome {
        Ok(_) => entry.ended(Outcome::Done, None),
        Err(_) => entry.ended(Outcome::Failed, None),
    };
    if let Err(error) = api.audit.append(vec![entry]).await {
        // The person has consented, and the attempt's own record says so.
        tracing::error!(integration, attempt, "a person's return isn't in the audit log: {error}");
    }
    let mut response = match back.outcome {
        Ok(Next::Nothing(_)) => page::connected(integration, &attempt),
        Ok(Next::Open(ticket, _)) => {
            let location = format!("{}{START}/{}", api.public_url, ticket.expose_secret());
            return match HeaderValue::try_from(location) {
                Ok(location) => page::elsewhere(location),
                Err(_) => Problem::internal("the public URL can't stand in a header").into_response(),
            };
        }
        Ok(Next::Prompt(prompt, _)) => page::prompt(&prompt.message, prompt.url.as_deref(), prompt.code.as_deref()),
        Err(error) => page::failed(integration, &attempt, &error),
    };
    set_cookies(api, parts, &mut response, &attempt, "", 0);
    response
}

/// The one refusal of links and returns.
async fn refuse(api: &Api, parts: &Parts, door: &'static str, unwelcome: Unwelcome) -> Response {
    match unwelcome {
        Unwelcome::Refused(why) => {
            let place = Place { door, scope: "", address: api.address(parts) };
            let refused = Refused::unknown(Reason::ReturnRefused);
            let support_id = refusal::note(api, &refused, place, Some(why.to_owned())).await;
            page::refused(&support_id)
        }
        Unwelcome::Token(error) => {
            let mut response = Problem::from(*error).retry_after(Duration::from_secs(1)).into_response();
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_return_is_read_once_and_bounded() {
        let check = |query: &str, expected: Option<&[(&str, &str)]>| {
            let found = parameters(&format!("/v1/callback?{query}").parse().unwrap());
            let found: Option<Vec<(&str, &str)>> =
                found.as_ref().map(|found| found.iter().map(|(name, value)| (&**name, &**value)).collect());
            assert_eq!(found.as_deref(), expected, "{query:.100}");
        };
        check("", Some(&[]));
        check("state=a%20b&code=c", Some(&[("state", "a b"), ("code", "c")]));
        check("state=a&code=c&code=d", None);
        check(&format!("state={}", "x".repeat(QUERY_BYTES)), None);
        let many: Vec<String> = (0..=PARAMETERS).map(|number| format!("p{number}=1")).collect();
        check(&many.join("&"), None);
    }

    #[test]
    fn only_cookies_of_connections_count() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "tokenhost_session=x; tokenhost_connect_01a=one".parse().unwrap());
        headers.append(header::COOKIE, "tokenhost_connect_01b=two".parse().unwrap());
        assert_eq!(browsers(&headers), ["one", "two"]);
    }
}
