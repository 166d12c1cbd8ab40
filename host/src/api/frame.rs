//! Pages that the API itself answers browsers with, to sign in and to connect, in the console's look: plain HTML, no scripts,
//! stored nowhere.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::inside::STYLESHEET;

/// The `Content-Security-Policy`: the console's style, and forms that go nowhere else (CSP level 3).
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; \
    base-uri 'none'";

/// Whether a page's address may be named to others.
#[derive(Clone, Copy)]
pub(super) enum Referrer {
    /// To this daemon alone. Browsers that name no site would call a form's own origin null, as if it came from elsewhere.
    Own,
    /// To nobody: the address is a secret.
    Nobody,
}

/// A page of this content, which is HTML.
pub(super) fn page(status: StatusCode, title: &str, content: &str, referrer: Referrer) -> Response {
    let referrer = match referrer {
        Referrer::Own => "same-origin",
        Referrer::Nobody => "no-referrer",
    };
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static(referrer)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    let text = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <title>{title} · tokenhost</title><link rel=icon href=\"/console/assets/icon.svg\">\
         <link rel=stylesheet href=\"{STYLESHEET}\"><header class=top><a class=brand href=\"/\">\
         <img src=\"/console/assets/icon.svg\" alt=\"\"> tokenhost</a></header>\
         <main class=narrow><h1>{title}</h1>{content}</main></html>"
    );
    (status, headers, text).into_response()
}
