//! The token requests of RFC 6749 that most flows share: client authentication, scope, refresh.
//!
//! [`acquire`] takes what is special to a grant and adds the rest; [`refresh`] and [`revoke`] need nothing from the flow.
//! All read the fields that [`fields`] declares, so a flow that uses them lists those.
//!
//! The pieces of the grants in which a person takes part are in [`authorize`] (with [`pkce`]) and [`device`]; [`discovery`]
//! stands in front of any of them.

pub mod authorize;
pub mod client;
pub mod device;
pub mod discovery;
pub mod fields;
pub mod grants;
pub mod pkce;

use client::{ClientAuth, authenticated};

use crate::request::{Form, form};
use crate::types::{Context, Failure, Purpose, Request};

/// The request that acquires a token (RFC 6749 sections 4.3.2 and 4.4.2): `grant` and, where they are set, `scope`,
/// `audience` and `resource`, sent to `token_url` by the authenticated client.
///
/// # Errors
/// A field that the request needs is not set, or has a value that it can't have.
pub fn acquire(context: &Context, grant: Form) -> Result<Request, Failure> {
    let mut parameters =
        grant.optional("scope", scope(context).as_deref()).optional("audience", context.value("audience"));
    for resource in context.words("resource") {
        parameters = parameters.text("resource", resource);
    }
    ask(context, parameters)
}

/// A request of exactly these parameters, sent to `token_url` by the authenticated client: for grants that write scope and
/// audience in their own way.
///
/// # Errors
/// As for [`acquire`].
pub fn ask(context: &Context, parameters: Form) -> Result<Request, Failure> {
    authenticated(context, context.required("token_url")?, parameters, ClientAuth::of(context, "client_auth")?)
}

/// The request that refreshes the token (RFC 6749 section 6), sent to `refresh_url`, else to `token_url`.
///
/// It repeats `resource` (RFC 8707 section 2.2), `scope` only where `scope_on_refresh` is `send`, and no `audience`,
/// to which no standard gives a meaning there.
///
/// # Errors
/// `refresh` is `never`, there is no refresh token, or a field is not set or has a value that it can't have.
pub fn refresh(context: &Context) -> Result<Request, Failure> {
    if context.value("refresh") == Some("never") {
        return Err(Failure::reacquire("refresh_disabled", "the field refresh is never"));
    }
    if !context.has_secret("token.refresh_token") {
        return Err(Failure::reacquire("no_refresh_token", "the present token has no refresh token"));
    }
    let method = match context.value("refresh_client_auth") {
        None | Some("same") => ClientAuth::of(context, "client_auth")?,
        Some(_) => ClientAuth::of(context, "refresh_client_auth")?,
    };
    let url = match context.value("refresh_url") {
        Some(url) => url,
        None => context.required("token_url")?,
    };
    let mut parameters = form().text("grant_type", "refresh_token").secret("refresh_token", "token.refresh_token");
    if context.value("scope_on_refresh") == Some("send") {
        parameters = parameters.optional("scope", scope(context).as_deref());
    }
    for resource in context.words("resource") {
        parameters = parameters.text("resource", resource);
    }
    authenticated(context, url, parameters, method)
}

/// The request that revokes the token (RFC 7009 section 2.1), sent to `revocation_url`: the refresh token where there is
/// one, since its end is the end of the access tokens got with it, else the access token.
///
/// # Errors
/// `unsupported` where `revocation_url` is not set; there is no token, or a field is not set or has a value that it can't
/// have.
pub fn revoke(context: &Context) -> Result<Request, Failure> {
    let Some(url) = context.value("revocation_url") else {
        return Err(Failure::unsupported("the field revocation_url is not set, so that no token can be revoked"));
    };
    let (hint, secret) = match context.has_secret("token.refresh_token") {
        true => ("refresh_token", "token.refresh_token"),
        false => ("access_token", "token.access_token"),
    };
    context.required_secret(secret)?;
    let parameters = form().secret("token", secret).text("token_type_hint", hint);
    authenticated(context, url, parameters, ClientAuth::of(context, "client_auth")?)
}

/// A standard flow's request: [`acquire`] with this grant, [`refresh`], or [`revoke`].
///
/// # Errors
/// Those of the three.
pub fn request(context: &Context, purpose: Purpose, grant: Form) -> Result<Request, Failure> {
    match purpose {
        Purpose::Acquire => acquire(context, grant),
        Purpose::Refresh => refresh(context),
        Purpose::Revoke => revoke(context),
    }
}

/// The failure of a field that has a value which it can't have.
fn impossible(field: &str, value: &str) -> Failure {
    Failure::reconfigure("invalid_field", format!("the field {field} can't be {value}"))
}

/// The wanted scope, its words separated as the field `scope_separator` says, if there is any.
pub fn scope(context: &Context) -> Option<String> {
    let words: Vec<&str> = context.words("scope").collect();
    let separator = match context.value("scope_separator") {
        Some("comma") => ",",
        Some("plus") => "+",
        _ => " ",
    };
    (!words.is_empty()).then(|| words.join(separator))
}
