//! The pages to sign in and out with: plain HTML without scripts, in the console's look.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::super::docs::Text;
use super::super::frame::{self, Referrer};
use crate::access::LoginType;

/// That somebody wasn't signed in.
pub(super) struct NotSignedIn<'a> {
    /// What stands for the reason.
    pub(super) support_id: &'a str,
    /// The login as they typed it.
    pub(super) login: &'a str,
}

/// The form to sign in with. After a refusal it says so, and never why; whoever may see the reason finds it behind the link,
/// after signing in. The login stays as it was typed, and whoever tries again goes on with the password.
pub(super) fn form(status: StatusCode, next: &str, refused: Option<&NotSignedIn<'_>>) -> Response {
    let message = refused.map_or_else(String::new, |NotSignedIn { support_id, .. }| {
        let reason: String = form_urlencoded::byte_serialize(support_id.as_bytes()).collect();
        format!(
            "<div class=\"note bad\" role=alert><p><strong>You weren't signed in.</strong> Check login and password; where they \
             are right, the operator finds the reason by this support id:</p>\
             <p><a href=\"/console/audit/explain?support_id={reason}\"><code>{}</code></a></p></div>",
            Text(support_id)
        )
    });
    let login = refused.map_or("", |refused| refused.login);
    let (at_login, at_password) = if login.is_empty() { (" autofocus", "") } else { ("", " autofocus") };
    let mut response = page(
        status,
        "Sign in",
        &format!(
            "{message}<form class=panel method=post action=\"/login\"><input type=hidden name=next value=\"{}\">\
             <div class=field><label for=login>Login</label><input id=login name=login value=\"{}\" autocomplete=username \
             autocapitalize=none spellcheck=false maxlength=128 required{at_login}></div>\
             <div class=field><label for=password>Password</label><input id=password name=password type=password \
             autocomplete=current-password maxlength=256 required{at_password}></div>\
             <button class=main>Sign in</button></form>",
            Text(next),
            Text(login)
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
        "Signed in",
        &format!(
            "<div class=panel><p>You are signed in as <b>{}</b>.</p><div class=actions>\
             <a class=\"button main\" href=\"{}\">Go on</a>\
             <form method=post action=\"/logout\"><button>Sign out</button></form></div></div>",
            Text(login),
            Text(next)
        ),
    )
}

/// The page where nobody signs in with a form: how they do instead.
pub(super) fn elsewhere(allowed: impl Fn(LoginType) -> bool, next: &str, support_id: &str) -> Response {
    let next = Text(next);
    let mut ways = String::new();
    if allowed(LoginType::External) {
        ways += "<li>Your organization's own sign-in, at the proxy in front of this daemon: open the page through that.</li>";
    }
    if allowed(LoginType::Basic) {
        ways += &format!(
            "<li>Login and password, which your browser asks for: <a href=\"{next}\">go on to the page</a>, or tell them to \
             the program that you use.</li>"
        );
    }
    if allowed(LoginType::Token) {
        ways += "<li>A token, which programs send in the header <code>Authorization</code>.</li>";
    }
    page(
        StatusCode::NOT_FOUND,
        "No form to sign in with",
        &format!(
            "<div class=panel><p>This daemon lets people in without a form (<code>access.allowed_login_types</code>):</p>\
             <ul>{ways}</ul><p><small>Support id: <code>{}</code></small></p></div>",
            Text(support_id)
        ),
    )
}

/// A page.
fn page(status: StatusCode, title: &str, content: &str) -> Response {
    frame::page(status, title, content, Referrer::Own)
}
