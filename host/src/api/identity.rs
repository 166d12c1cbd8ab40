//! Who presents a token, in the forms in which services are told: JSON, the members of RFC 7662, headers. Each is made once
//! for a token and kept beside it for as long as nothing about it changes.

use axum::http::{HeaderName, HeaderValue};
use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use super::time::Time;
use crate::access::{Access, Known, Principal, PrincipalKind};

/// The headers that tell a service who is calling, in the order of their values. A proxy takes all of them from its own
/// client's request before it adds these.
pub(super) const HEADERS: [HeaderName; 8] = [
    HeaderName::from_static("x-auth-principal"),
    HeaderName::from_static("x-auth-kind"),
    HeaderName::from_static("x-auth-profiles"),
    HeaderName::from_static("x-auth-organization"),
    HeaderName::from_static("x-auth-organizations"),
    HeaderName::from_static("x-auth-scopes"),
    HeaderName::from_static("x-auth-token-id"),
    HeaderName::from_static("remote-user"),
];

/// What the header of allowed organizations has where nothing limits what the principal sees.
const EVERYTHING: &str = "*";

/// A token that is good.
#[derive(Serialize, ToSchema)]
pub(super) struct Verified<'a> {
    /// `true`.
    active: bool,
    /// Who presents it.
    principal: Identity<'a>,
    /// Its public id.
    token_id: &'a str,
    /// The scopes in which it works.
    scopes: Vec<&'a str>,
    /// When it ends; left out where it doesn't.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
}

/// A principal.
#[derive(Serialize, ToSchema)]
struct Identity<'a> {
    /// `user` or `application`.
    kind: &'static str,
    /// The user's login or the application's name.
    name: &'a str,
    /// Its profiles.
    profiles: Vec<&'a str>,
    /// The organization that it belongs to.
    organization: &'a str,
    /// What limits what it sees; empty: nothing does.
    allowed_organizations: Vec<&'a str>,
}

/// A token that is good, as RFC 7662 section 2.2 tells it.
#[derive(Serialize, ToSchema)]
pub(super) struct Introspected<'a> {
    /// `true`.
    active: bool,
    /// The scopes in which it works, space-separated.
    scope: String,
    /// What uses it: the name of the application, or of the personal token.
    client_id: &'a str,
    /// The login, where it acts for a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    /// `Bearer`.
    token_type: &'static str,
    /// When it ends, in seconds since 1970; left out where it doesn't.
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    /// When its value was made.
    iat: i64,
    /// Whom it stands for: `user/LOGIN` or `application/NAME`.
    sub: String,
    /// Its public id.
    jti: &'a str,
    /// Its profiles.
    profiles: Vec<&'a str>,
    /// The organization that it belongs to.
    organization: &'a str,
    /// What limits what it sees; empty: nothing does.
    allowed_organizations: Vec<&'a str>,
}

/// The scopes in which a principal's token works: all of them where it isn't limited to any.
fn scopes<'a>(principal: &'a Principal, access: &'a Access) -> Vec<&'a str> {
    match &principal.scopes {
        Some(scopes) => scopes.iter().map(|scope| scope.as_str()).collect(),
        None => access.scopes.iter().map(|(_, scope)| scope.as_str()).collect(),
    }
}

fn profiles(principal: &Principal) -> Vec<&str> {
    principal.profiles.iter().map(|profile| profile.as_str()).collect()
}

fn allowed(principal: &Principal) -> Vec<&str> {
    principal.allowed_organizations.iter().map(|organization| organization.as_str()).collect()
}

/// Structs of texts and numbers always serialise.
fn json(value: &impl Serialize) -> Box<[u8]> {
    serde_json::to_vec(value).unwrap_or_default().into()
}

/// Who presents this token, as JSON.
pub(super) fn verified(known: &Known, access: &Access) -> Bytes {
    let written = known.written.verified.get_or_init(|| {
        let principal = &*known.principal;
        json(&Verified {
            active: true,
            principal: Identity {
                kind: principal.kind.as_str(),
                name: &principal.name,
                profiles: profiles(principal),
                organization: principal.organization.as_str(),
                allowed_organizations: allowed(principal),
            },
            token_id: principal.token_id(),
            scopes: scopes(principal, access),
            expires_at: known.expires_at().map(Time::from),
        })
    });
    Bytes::copy_from_slice(written)
}

/// The same in the members of RFC 7662 section 2.2.
pub(super) fn introspected(known: &Known, access: &Access) -> Bytes {
    let written = known.written.introspected.get_or_init(|| {
        let principal = &*known.principal;
        json(&Introspected {
            active: true,
            scope: scopes(principal, access).join(" "),
            client_id: known.label.as_ref().map_or(&principal.name, |label| label.as_str()),
            username: (principal.kind == PrincipalKind::User).then_some(&principal.name),
            token_type: "Bearer",
            exp: known.expires_at().map(|end| end.timestamp()),
            iat: known.issued_at.timestamp(),
            sub: principal.label(),
            jti: principal.token_id(),
            profiles: profiles(principal),
            organization: principal.organization.as_str(),
            allowed_organizations: allowed(principal),
        })
    });
    Bytes::copy_from_slice(written)
}

/// The same as [`HEADERS`].
pub(super) fn headers(known: &Known, access: &Access) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let written = known.written.headers.get_or_init(|| values(&known.principal, access).join("\n").into_bytes().into());
    // In one piece of memory, of which the values are parts. All of it is visible ASCII and spaces: logins, names, profiles
    // and scopes are read with that in mind.
    let whole = Bytes::copy_from_slice(written);
    let mut at = 0;
    HEADERS.into_iter().map(move |name| {
        let rest = whole.get(at..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let part = whole.slice(at..at + length);
        at = (at + length + 1).min(whole.len());
        (name, HeaderValue::from_maybe_shared(part).unwrap_or(HeaderValue::from_static("")))
    })
}

fn values(principal: &Principal, access: &Access) -> [String; 8] {
    let organizations = match &*principal.allowed_organizations {
        [] => EVERYTHING.to_owned(),
        _ => allowed(principal).join(","),
    };
    let login = match principal.kind {
        PrincipalKind::User => principal.name.clone(),
        // No application can pass for a user: logins have no slash.
        PrincipalKind::Application => principal.label(),
    };
    [
        principal.name.clone(),
        principal.kind.as_str().to_owned(),
        profiles(principal).join(","),
        principal.organization.to_string(),
        organizations,
        scopes(principal, access).join(","),
        principal.token_id().to_owned(),
        login,
    ]
}
