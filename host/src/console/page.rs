//! Pages as they are answered: their headers, and what is shown where a page can't be made.

use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use minijinja::{Value, context};
use serde_json::json;

use super::Console;
use super::visit::Visit;
use crate::api::Answer;

/// Everything comes from the daemon itself; no script or style stands in a page (CSP level 3).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Adds what every page of the console is protected by.
pub(super) async fn protect(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // Not `no-referrer`: browsers that name no site would call the forms' own origin null.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// What people are told where no page had a say: what is wrong, and what to do.
fn told(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::NOT_FOUND => {
            ("there is no such page", "Look whether the address is typed right, or start at the overview.")
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            ("this page isn't asked for in this way", "Open it by a link, or send a form of the console's.")
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            ("this is no form of the console's", "Send the form that stands on the page.")
        }
        StatusCode::PAYLOAD_TOO_LARGE => (
            "this is too much",
            "A form holds 1 MiB at most, one with a document or a flow 66 MiB. Nothing was changed.",
        ),
        StatusCode::REQUEST_TIMEOUT => {
            ("the upload took too long", "Nothing was changed. Try again over a faster connection.")
        }
        StatusCode::BAD_REQUEST => {
            ("this can't be read", "Address or form aren't in the form of one. Nothing was changed.")
        }
        _ => ("the request failed", "Try again; if it fails again, the daemon's log says why."),
    }
}

/// Makes a page of every refusal that is none yet: of what isn't there, of a form that can't be read, and so on. Whoever is
/// signed in sees it with the menu.
pub(super) async fn framed(State(console): State<Console>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let asked = Request::from_parts(parts.clone(), body);
    let response = next.run(asked).await;
    let status = response.status();
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_page = content_type.is_some_and(|value| value.starts_with("text/html"));
    if is_page || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (title, detail) = told(status);
    let answer = Answer { status, headers: HeaderMap::new(), value: json!({"title": title, "detail": detail}) };
    let visit = Visit::from_request_parts(&mut parts, &console).await.ok();
    let page = console.problem(&answer, visit.as_ref().map(|visit| &visit.me), parts.uri.path());
    let mut page = page.into_response();
    for name in [header::ALLOW, header::RETRY_AFTER] {
        if let Some(value) = response.headers().get(&name) {
            page.headers_mut().insert(name, value.clone());
        }
    }
    page
}

/// A page.
pub(super) type Page = Result<Response, Failure>;

/// Why a page isn't shown: another answer in its place.
pub(super) struct Failure(Box<Response>);

impl Failure {
    /// The same, where the browser asks for login and password (RFC 7617).
    pub(super) fn asking(mut self) -> Self {
        let challenge = HeaderValue::from_static("Basic realm=\"tokenhost\", charset=\"UTF-8\"");
        self.0.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        self
    }
}

impl From<Response> for Failure {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl Console {
    /// A template with these values, whatever it is of.
    pub(super) fn render(&self, status: StatusCode, template: &str, values: Value) -> Page {
        self.text(template, values).map(|text| (status, Html(text)).into_response())
    }

    /// The same as a text.
    pub(super) fn text(&self, template: &str, values: Value) -> Result<String, Failure> {
        self.templates.render(template, values).map_err(|error| {
            // The chain names the template's line, and no value.
            tracing::error!(template, "a page can't be made: {error}");
            let told = "This page can't be made: a bug in tokenhost. Its log names the template's line.";
            Failure::from((StatusCode::INTERNAL_SERVER_ERROR, told).into_response())
        })
    }

    /// The page of a problem that the API told.
    pub(super) fn problem(&self, answer: &Answer, me: Option<&serde_json::Value>, path: &str) -> Failure {
        let problem = match &answer.value {
            serde_json::Value::Object(_) => answer.value.clone(),
            _ => json!({"title": "the request failed"}),
        };
        let values =
            context! { problem, status => answer.status.as_u16(), me, path, now => self.inside.now().to_rfc3339() };
        self.render(answer.status, "problem.html", values).map_or_else(|failure| failure, Failure::from)
    }
}
