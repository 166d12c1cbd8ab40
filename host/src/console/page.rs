//! Pages as they are answered: their headers, and what is shown where a page can't be made.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use minijinja::{Value, context};
use serde_json::json;

use super::Console;
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
