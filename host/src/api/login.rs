//! Signing in with a password, for people's browsers: a form, a session cookie, and the end of the session.
//!
//! The only pages that answer with HTML, beside the documentation. No scripts, nothing fetched from elsewhere; which password
//! is right is decided in `access`, and every refusal looks the same.

mod page;

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use cookie::{Cookie, SameSite};
use secrecy::{ExposeSecret as _, SecretString};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::inside::HOME;
use super::problem::{Code, Problem};
use super::refusal::{self, Place};
use super::state::Api;
use super::table::Route;
use super::{body, credentials, peer};
use crate::access::{Denial, LoginType, Reason, Refused};
use crate::audit::{Actor, ActorKind, Entry};

/// The largest form.
const FORM_BYTES: usize = 16 << 10;
/// The longest path to go on to.
const LONGEST_NEXT: usize = 512;
/// A page that browsers without a credential are led away from.
const DOCS: &str = "/docs";

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(form, begin)).routes(routes!(end))
}

/// What the form sends.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used; `Given` reads it")]
struct SignIn {
    /// The user's login.
    login: String,
    /// The password.
    password: String,
    /// Where to go on to: a path of this daemon. Default: `/console/`
    next: Option<String>,
}

/// What was sent.
struct Given {
    login: String,
    password: SecretString,
    next: String,
}

impl Given {
    /// Reads a form. `None`: a field is missing, or there twice.
    fn read(text: &[u8]) -> Option<Self> {
        let (mut login, mut password, mut next) = (None, None, None);
        for (name, value) in form_urlencoded::parse(text) {
            let is_new = match &*name {
                "login" => login.replace(value.into_owned()).is_none(),
                "password" => password.replace(SecretString::from(value.into_owned())).is_none(),
                "next" => next.replace(local(&value).to_owned()).is_none(),
                _ => true,
            };
            if !is_new {
                return None;
            }
        }
        Some(Self { login: login?, password: password?, next: next.unwrap_or_else(|| HOME.to_owned()) })
    }
}

/// The path to go on to, if it is one of this daemon: nobody is led elsewhere from here.
fn local(next: &str) -> &str {
    // Browsers take `//host`, and `/\host`, for another host, and skip control characters.
    let is_path = next.starts_with('/') && !next.starts_with("//") && next.len() <= LONGEST_NEXT;
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_path && is_plain { next } else { HOME }
}

/// The path to go on to that stands in the query.
fn wanted(uri: &Uri) -> String {
    let query = uri.query().unwrap_or_default();
    let found = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "next");
    found.map_or_else(|| HOME.to_owned(), |(_, next)| local(&next).to_owned())
}

/// Whether people may sign in this way.
fn is_allowed(api: &Api) -> bool {
    api.access.policy().allowed_login_types.contains(&LoginType::Form)
}

/// Where a browser that asks for a page without a valid credential is led: to the form, if there is one.
pub(super) fn way_in(api: &Api, route: &Route, headers: &HeaderMap) -> Option<Response> {
    let has_token = headers.contains_key(header::AUTHORIZATION) || headers.contains_key(&credentials::AUTH_TOKEN);
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if route.path != DOCS || has_token || !accepts.contains("text/html") || !is_allowed(api) {
        return None;
    }
    Some(redirect("/login?next=/docs"))
}

/// Leads on, by `GET`.
fn redirect(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Paths are visible ASCII, see `local`.
    if let Ok(location) = HeaderValue::from_str(path) {
        headers.insert(header::LOCATION, location);
    }
    response
}

/// The cookie, with what keeps it from scripts, other sites and, where it came so, from plain http.
fn cookie(api: &Api, parts: &Parts, id: &str) -> Cookie<'static> {
    let is_secure = peer::is_https(&parts.extensions, &parts.headers, &api.access.policy().trusted_proxies);
    Cookie::build((credentials::COOKIE, id.to_owned()))
        .http_only(true)
        .same_site(SameSite::Strict)
        .path("/")
        .secure(is_secure)
        .build()
}

/// With a cookie.
fn with_cookie(mut response: Response, cookie: &Cookie<'_>) -> Response {
    if let Ok(mut value) = HeaderValue::try_from(cookie.to_string()) {
        value.set_sensitive(true);
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

/// A request to one of these pages.
struct Visit {
    api: Api,
    parts: Parts,
    place: Place<'static>,
}

impl Visit {
    /// Refuses where nobody signs in this way.
    async fn new(api: Api, parts: Parts, door: &'static str) -> Result<Self, Response> {
        let place = Place { door, scope: "", address: api.address(&parts) };
        if is_allowed(&api) {
            return Ok(Self { api, parts, place });
        }
        let refused = Refused::unknown(Reason::LoginTypeNotAllowed);
        let support_id = refusal::note(&api, &refused, place, None).await;
        let accepts = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if parts.method.is_safe() && accepts.contains("text/html") {
            let allowed = |one| api.access.policy().allowed_login_types.contains(&one);
            return Err(page::elsewhere(allowed, &wanted(&parts.uri), &support_id));
        }
        let problem = Problem::new(Code::NotFound, "nobody signs in here with a password form");
        Err(problem.with_support(support_id).into_response())
    }

    /// Refuses a request from another site's page.
    async fn check_site(&self) -> Result<(), Response> {
        if !credentials::is_cross_site(&self.parts.headers) {
            return Ok(());
        }
        let refused = Refused::unknown(Reason::CrossSite);
        Err(refusal::problem(&self.api, &refused, self.place, None).await.into_response())
    }

    fn address(&self) -> Option<IpAddr> {
        self.place.address
    }

    /// The session that the browser presents.
    fn session(&self) -> Option<String> {
        credentials::session(&self.parts.headers).ok().flatten()
    }
}

/// The form to sign in with; for whoever is signed in, the one to sign out with
#[utoipa::path(get, path = "/login", tag = "login", security(()),
    params(("next" = Option<String>, Query, description = "Where to go on to: a path of this daemon")),
    responses((status = 200, description = "The page", body = String, content_type = "text/html")))]
async fn form(State(api): State<Api>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let visit = match Visit::new(api, parts, "/login").await {
        Ok(visit) => visit,
        Err(response) => return response,
    };
    let next = wanted(&visit.parts.uri);
    if let Some(session) = visit.session()
        && let Ok(principal) = visit.api.access.resume_session(&session).await
    {
        return page::signed_in(&principal.name, &next);
    }
    page::form(StatusCode::OK, &next, None)
}

/// Signs in: begins a session, and leads on with its cookie
#[utoipa::path(post, path = "/login", tag = "login", security(()),
    request_body(content = SignIn, content_type = "application/x-www-form-urlencoded"),
    responses((status = 303, description = "Signed in", headers(("Set-Cookie" = String), ("Location" = String))),
        (status = 401, description = "The form again, with a support id", body = String, content_type = "text/html")))]
async fn begin(State(api): State<Api>, request: Request) -> Response {
    let (parts, content) = request.into_parts();
    let visit = match Visit::new(api, parts, "/login").await {
        Ok(visit) => visit,
        Err(response) => return response,
    };
    if let Err(refused) = visit.check_site().await {
        return refused;
    }
    if body::media_type(&visit.parts.headers) != "application/x-www-form-urlencoded" {
        let detail = "send login and password as application/x-www-form-urlencoded";
        return Problem::new(Code::UnsupportedMediaType, detail).into_response();
    }
    let given = match body::read(content, FORM_BYTES).await {
        Ok(text) => Given::read(&text),
        Err(problem) => return problem.into_response(),
    };
    let Some(given) = given else {
        return Problem::new(Code::Malformed, "send login and password, each once").into_response();
    };
    // A browser that goes away leaves no session that the audit log doesn't know of.
    let signing_in = tokio::spawn(sign_in(visit, given));
    signing_in.await.unwrap_or_else(|_| Problem::internal("signing in panicked").into_response())
}

async fn sign_in(visit: Visit, given: Given) -> Response {
    let (api, address) = (&visit.api, visit.address());
    let Given { login, password, next } = given;
    let (id, principal) = match api.access.begin_session(&login, password, address).await {
        Ok(begun) => begun,
        Err(Denial::Unavailable(error)) => return Problem::from(error).into_response(),
        Err(Denial::Refused(refused)) => {
            let support_id = refusal::note(api, &refused, visit.place, None).await;
            let refused = page::NotSignedIn { support_id: &support_id, login: &login };
            return page::form(StatusCode::UNAUTHORIZED, &next, Some(&refused));
        }
    };
    let sessions = &api.access.sessions;
    // The session that this one takes the place of.
    if let Some(former) = visit.session()
        && let Err(error) = sessions.end(&former).await
    {
        return Problem::from(error).into_response();
    }
    let actor = Actor { kind: ActorKind::User, name: principal.name.clone(), token_id: None };
    let entry = Entry::new(actor, "session.begin").on(format!("users/{}", principal.name)).coming_from(address);
    if let Err(error) = api.audit.append(vec![entry]).await {
        // What isn't recorded isn't begun.
        if let Err(error) = sessions.end(id.expose_secret()).await {
            tracing::error!("a session that isn't in the audit log can't be ended: {error}");
        }
        return Problem::from(error).into_response();
    }
    if api.access.policy().login_debug {
        tracing::info!(principal = principal.label(), login_type = "form", door = "/login", ?address, "let in");
    }
    with_cookie(redirect(&next), &cookie(api, &visit.parts, id.expose_secret()))
}

/// Signs out: ends the session
#[utoipa::path(post, path = "/logout", tag = "login", security(()),
    responses((status = 303, description = "Signed out, or it was already", headers(("Set-Cookie" = String), ("Location" = String)))))]
async fn end(State(api): State<Api>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let visit = match Visit::new(api, parts, "/logout").await {
        Ok(visit) => visit,
        Err(response) => return response,
    };
    if let Err(refused) = visit.check_site().await {
        return refused;
    }
    let signing_out = tokio::spawn(sign_out(visit));
    signing_out.await.unwrap_or_else(|_| Problem::internal("signing out panicked").into_response())
}

async fn sign_out(visit: Visit) -> Response {
    let api = &visit.api;
    if let Some(id) = visit.session()
        && let Err(error) = end_session(api, &id, visit.address()).await
    {
        return Problem::from(error).into_response();
    }
    let mut gone = cookie(api, &visit.parts, "");
    gone.set_max_age(cookie::time::Duration::ZERO);
    with_cookie(redirect("/login"), &gone)
}

async fn end_session(api: &Api, id: &str, address: Option<IpAddr>) -> Result<(), crate::store::StoreError> {
    let Some(session) = api.access.sessions.find(id).await? else { return Ok(()) };
    if api.access.sessions.end(id).await? {
        let actor = Actor { kind: ActorKind::User, name: session.login.clone(), token_id: None };
        let entry = Entry::new(actor, "session.end").on(format!("users/{}", session.login)).coming_from(address);
        api.audit.append(vec![entry]).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for (next, expected) in [
            ("/docs", "/docs"),
            ("/docs?x=1#Model", "/docs?x=1#Model"),
            ("/", "/"),
            ("", HOME),
            ("docs", HOME),
            ("//evil.example", HOME),
            ("/\\evil.example", HOME),
            ("/\t/evil.example", HOME),
            ("https://evil.example", HOME),
            ("javascript:alert(1)", HOME),
            ("/a\r\nset-cookie: x", HOME),
            ("/é", HOME),
        ] {
            assert_eq!(local(next), expected, "{next:?}");
        }
        assert_eq!(wanted(&"/login?next=%2Fv1%2Fme&next=x".parse().unwrap()), "/v1/me");
        assert_eq!(wanted(&"/login?next=%2F%2Fevil".parse().unwrap()), HOME);
        assert_eq!(local(&format!("/{}", "x".repeat(LONGEST_NEXT))), HOME);
    }

    #[test]
    fn fields_come_once() {
        let check = |text: &str, expected: Option<(&str, &str, &str)>| {
            let given = Given::read(text.as_bytes());
            let found = given.as_ref().map(|given| (&*given.login, given.password.expose_secret(), &*given.next));
            assert_eq!(found, expected, "{text}");
        };
        check("login=ada&password=a+b%26&other=x", Some(("ada", "a b&", "/console/")));
        check("login=ada&password=x&next=%2Fv1", Some(("ada", "x", "/v1")));
        check("login=ada&login=eve&password=x", None);
        check("login=ada&password=x&password=y", None);
        check("login=ada", None);
        check("", None);
    }
}
