//! The pages to sign in and out with: plain HTML without scripts, and the headers that keep them so.

use std::sync::LazyLock;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::super::docs::Text;

/// The pages' style.
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:22rem;margin:4rem auto;padding:0 1rem;color:#1b1f24}\
    label{display:block;margin:1rem 0}input{display:block;width:100%;box-sizing:border-box;font:inherit;padding:.4rem}\
    button{font:inherit;padding:.4rem 1rem}p[role=alert]{background:#fdecea;padding:.75rem;border-radius:4px}\
    code{font:13px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}";

/// The pages' `Content-Security-Policy`: this one style, and forms that go nowhere else (CSP level 3).
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
});

/// The form to sign in with. After a refusal it says so, and never why.
pub(super) fn form(status: StatusCode, next: &str, refused: Option<&str>) -> Response {
    let message = refused.map_or_else(String::new, |support_id| {
        format!(
            "<p role=alert>You weren't signed in. Check login and password; where they are right, the operator finds the \
             reason by this support id:<br><code>{}</code></p>",
            Text(support_id)
        )
    });
    let mut response = page(
        status,
        &format!(
            "{message}<form method=post action=\"/login\"><input type=hidden name=next value=\"{}\">\
             <label>Login<input name=login autocomplete=username autocapitalize=none spellcheck=false maxlength=128 required \
             autofocus></label>\
             <label>Password<input name=password type=password autocomplete=current-password maxlength=256 required></label>\
             <button>Sign in</button></form>",
            Text(next)
        ),
    );
    if status == StatusCode::UNAUTHORIZED {
        // A 401 has a challenge (RFC 9110 section 15.5.2); this one opens no window in a browser.
        let challenge = HeaderValue::from_static("Bearer realm=\"tokenhost\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// The page of who is signed in.
pub(super) fn signed_in(login: &str, next: &str) -> Response {
    page(
        StatusCode::OK,
        &format!(
            "<p>You are signed in as <b>{}</b>. <a href=\"{}\">Go on</a></p>\
             <form method=post action=\"/logout\"><button>Sign out</button></form>",
            Text(login),
            Text(next)
        ),
    )
}

/// A page.
fn page(status: StatusCode, content: &str) -> Response {
    // Not `no-referrer`: browsers that name no site would call the form's own origin null, as if it came from elsewhere.
    const HEADERS: [(HeaderName, HeaderValue); 3] = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ];
    let text = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>tokenhost: sign in</title><style>{STYLE}</style><h1>tokenhost</h1>{content}"
    );
    let mut response = (status, HEADERS, text).into_response();
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}
