//! The pages that a person sees who connects an integration: in the console's look, and without a referrer, since the link
//! and the return are secrets.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::super::docs::Text;
use super::super::frame::{self, Referrer};
use crate::tokens::TokenError;

/// Headers of every answer to a person's browser.
const HEADERS: [(HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// The integration has a token.
pub(super) fn connected(integration: &str, attempt: &str) -> Response {
    page(
        StatusCode::OK,
        "Connected",
        &format!("<p><b>{}</b> is connected. You can close this page.</p>{}", Text(integration), foot(attempt)),
    )
}

/// It has none, and why.
pub(super) fn failed(integration: &str, attempt: &str, error: &TokenError) -> Response {
    let (what, remedy) = match error {
        TokenError::Failed { code, message, .. } => (format!("{code}: {message}"), remedy(code)),
        TokenError::Pending { .. } => (
            "the provider hasn't answered yet".to_owned(),
            "It may still succeed: see the attempt before you start again.",
        ),
        TokenError::Changed => (
            "the integration or its token was changed meanwhile, or another connection took its place".to_owned(),
            "What you brought was thrown away, and not used.",
        ),
        error => (error.to_string(), "See the attempt for what happened."),
    };
    let name = Text(integration);
    page(
        StatusCode::BAD_GATEWAY,
        "Not connected",
        &format!(
            "<p><b>{name}</b> is not connected.</p><p>{}</p><p>{} To start again: \
             <code>tokenhost integration connect {name}</code></p>{}",
            Text(&what),
            Text(remedy),
            foot(attempt)
        ),
    )
}

/// What a person can do about an error of RFC 6749 section 4.1.2.1 or 5.2.
fn remedy(code: &str) -> &'static str {
    match code {
        "access_denied" => "Access was denied at the provider: start again, and consent there.",
        "expired" => "It took too long: start again.",
        "temporarily_unavailable" | "server_error" => "The provider has trouble: start again later.",
        "invalid_client" | "unauthorized_client" => {
            "The operator has to correct client_id, client_secret or client_auth."
        }
        "invalid_scope" => "The operator has to correct the scope.",
        _ => "The operator finds more in the attempt.",
    }
}

/// There is something else to do.
pub(super) fn prompt(message: &str, url: Option<&str>, code: Option<&str>) -> Response {
    let code = code.map(|code| format!("<p class=once>{}</p>", Text(code))).unwrap_or_default();
    let link = url.map(|url| format!("<p><a href=\"{0}\" rel=noreferrer>{0}</a></p>", Text(url))).unwrap_or_default();
    page(StatusCode::OK, "One more step", &format!("<p>{}</p>{link}{code}", Text(message)))
}

/// The link, or the return, doesn't count. Says the same for every reason.
pub(super) fn refused(support_id: &str) -> Response {
    page(
        StatusCode::FORBIDDEN,
        "Not accepted",
        &format!(
            "<p>This link, or this return from a provider, doesn't count: it is unknown, was used already, came too late, or \
             came in another browser than the one that opened the link. Nothing was changed.</p>\
             <p>Start again with <kbd>tokenhost integration connect NAME</kbd>, and finish in the same browser, with \
             cookies allowed.</p><p><small>The operator finds the reason by this support id:<br><code>{}</code></small></p>",
            Text(support_id)
        ),
    )
}

/// For programs that look at a link before a person opens it.
pub(super) fn looked_at() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, HEADERS).into_response()
}

/// On to another page.
pub(super) fn elsewhere(location: HeaderValue) -> Response {
    let mut response = (StatusCode::SEE_OTHER, HEADERS).into_response();
    response.headers_mut().insert(header::LOCATION, location);
    response
}

fn foot(attempt: &str) -> String {
    format!("<p><small>Attempt <code>{}</code></small></p>", Text(attempt))
}

/// A page.
fn page(status: StatusCode, title: &str, content: &str) -> Response {
    frame::page(status, title, &format!("<div class=panel>{content}</div>"), Referrer::Nobody)
}
