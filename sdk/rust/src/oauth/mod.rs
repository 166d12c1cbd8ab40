//! The token requests of RFC 6749 that most flows share: client authentication, scope, refresh.
//!
//! [`acquire`] takes what is special to a grant and adds the rest; [`refresh`] needs nothing from the flow. Both read
//! the fields that [`fields`] declares, so a flow that uses them lists those.
//!
//! The pieces of the grants in which a person takes part are in [`authorize`] (with [`pkce`]) and [`device`].

pub mod authorize;
pub mod device;
pub mod fields;
pub mod pkce;

use crate::request::{Form, form};
use crate::types::{BasicEncoding, Context, Derivation, Failure, Part, Purpose, Request};

/// The name of the derived value that holds the client's Basic credentials.
const CLIENT_BASIC: &str = "client_basic";

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
    authenticated(context, context.required("token_url")?, parameters, Method::of(context, "client_auth")?)
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
        None | Some("same") => Method::of(context, "client_auth")?,
        Some(_) => Method::of(context, "refresh_client_auth")?,
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

/// A standard flow's request: [`acquire`] with this grant, [`refresh`], and no revocation.
///
/// # Errors
/// Those of the two, and `unsupported` for [`Purpose::Revoke`].
pub fn request(context: &Context, purpose: Purpose, grant: Form) -> Result<Request, Failure> {
    match purpose {
        Purpose::Acquire => acquire(context, grant),
        Purpose::Refresh => refresh(context),
        Purpose::Revoke => Err(Failure::unsupported("this flow knows no address at which a token is revoked")),
    }
}

/// How a client authenticates itself (RFC 6749 section 2.3).
#[derive(Clone, Copy)]
enum Method {
    /// By the `Authorization` header, name and secret encoded in this way.
    Basic(BasicEncoding),
    /// By `client_id` and `client_secret` among the parameters.
    Post,
    /// Not at all: a public client only says its `client_id` (section 3.2.1).
    None,
}

impl Method {
    /// The method that a field names; RFC 6749's own where none is named.
    fn of(context: &Context, field: &str) -> Result<Self, Failure> {
        match context.value(field) {
            None | Some("basic") => Ok(Self::Basic(BasicEncoding::Form)),
            Some("basic-raw") => Ok(Self::Basic(BasicEncoding::None)),
            Some("basic-percent") => Ok(Self::Basic(BasicEncoding::Percent)),
            Some("post") => Ok(Self::Post),
            Some("none") => Ok(Self::None),
            Some(other) => Err(Failure::reconfigure("invalid_field", format!("the field {field} can't be {other}"))),
        }
    }
}

/// A `POST` of these parameters by the client.
fn authenticated(context: &Context, url: &str, parameters: Form, method: Method) -> Result<Request, Failure> {
    let client_id = context.required("client_id")?;
    if !matches!(method, Method::None) {
        context.required_secret("client_secret")?;
    }
    let request = Request::post(url).header("accept", Part::text("application/json"));
    Ok(match method {
        Method::Basic(encoding) => request
            .header("authorization", [Part::text("Basic "), Part::secret(CLIENT_BASIC)])
            .derive(CLIENT_BASIC, Derivation::basic(Part::text(client_id), Part::secret("client_secret"), encoding))
            .form(parameters),
        Method::Post => request.form(parameters.text("client_id", client_id).secret("client_secret", "client_secret")),
        Method::None => request.form(parameters.text("client_id", client_id)),
    })
}

/// The wanted scope, its words separated by one space, if there is any.
fn scope(context: &Context) -> Option<String> {
    let words: Vec<&str> = context.words("scope").collect();
    (!words.is_empty()).then(|| words.join(" "))
}
