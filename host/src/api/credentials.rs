//! Where a request's credential stands: headers, cookie, form or query. It says what was presented, not whether it is right.
//!
//! A header wins over a parameter. What is there twice, or contradicts itself, is no credential at all.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

use crate::access::{LoginType, Policy, Reason};

/// The header beside `Authorization` that a token may stand in.
pub(super) const AUTH_TOKEN: HeaderName = HeaderName::from_static("auth-token");
/// The parameter that a token may stand in.
pub(super) const PARAMETER: &str = "auth_token";
/// The cookie of a session.
pub(super) const COOKIE: &str = "tokenhost_session";

/// What a request presents.
pub(super) enum Credential {
    /// A token.
    Token(SecretString),
    /// A login and its password.
    Password(String, SecretString),
    /// The login that a trusted proxy names.
    Named(String),
    /// A session.
    Session(String),
}

impl Credential {
    /// Whether a browser may have sent it by itself, without the page that asked for it knowing it.
    pub(super) fn is_ambient(&self) -> bool {
        !matches!(self, Self::Token(_))
    }
}

/// The token in a request's headers, where there is exactly one: for the hot paths.
pub(super) fn token(headers: &HeaderMap) -> Option<&str> {
    match (headers.get(header::AUTHORIZATION), headers.get(&AUTH_TOKEN)) {
        (Some(value), None) => bearer(value.to_str().ok()?).filter(|_| is_single(headers, &header::AUTHORIZATION)),
        (None, Some(value)) => Some(value.to_str().ok()?.trim()).filter(|_| is_single(headers, &AUTH_TOKEN)),
        _ => None,
    }
}

fn is_single(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get_all(name).iter().nth(1).is_none()
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// What the headers present. `token_only`: as with `login_mode=token`, anything else is overlooked.
pub(super) fn in_headers(
    headers: &HeaderMap,
    peer: Option<IpAddr>,
    policy: &Policy,
    token_only: bool,
) -> Result<Option<Credential>, Reason> {
    if let Some(found) = token_in_headers(headers)? {
        return Ok(Some(found));
    }
    if token_only {
        return Ok(None);
    }
    if let Some((login, password)) = basic(headers) {
        return Ok(Some(Credential::Password(login, password)));
    }
    let allows = |login_type| policy.allowed_login_types.contains(&login_type);
    if allows(LoginType::External)
        && let Some(login) = named(headers, peer, policy)?
    {
        return Ok(Some(Credential::Named(login)));
    }
    Ok(session(headers)?.map(Credential::Session))
}

/// The token in the headers: the same one may stand in both, others contradict each other.
fn token_in_headers(headers: &HeaderMap) -> Result<Option<Credential>, Reason> {
    let single = |name: &HeaderName| match headers.get(name) {
        Some(_) if !is_single(headers, name) => Err(Reason::Malformed),
        Some(value) => value.to_str().map(Some).map_err(|_| Reason::Malformed),
        None => Ok(None),
    };
    let authorization = single(&header::AUTHORIZATION)?;
    let in_authorization = match authorization {
        Some(value) => match bearer(value) {
            Some(token) => Some(token.to_owned()),
            // Clients that know only Basic give the token as the password.
            None => basic(headers).map(|(_, password)| password.expose_secret().to_owned()).filter(|it| is_token(it)),
        },
        None => None,
    };
    let in_header = single(&AUTH_TOKEN)?.map(str::trim);
    match (in_authorization, in_header) {
        (Some(one), Some(other)) if !bool::from(one.as_bytes().ct_eq(other.as_bytes())) => Err(Reason::Malformed),
        (Some(token), _) => Ok(Some(Credential::Token(token.into()))),
        (None, Some(token)) => Ok(Some(Credential::Token(token.into()))),
        (None, None) => Ok(None),
    }
}

fn is_token(text: &str) -> bool {
    text.starts_with("tha_") || text.starts_with("thp_")
}

/// Login and password (RFC 7617 section 2).
fn basic(headers: &HeaderMap) -> Option<(String, SecretString)> {
    let (scheme, value) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    let (login, password) = decoded.split_once(':')?;
    Some((login.to_owned(), password.into()))
}

/// The login that a proxy names, if it proves itself by its address and its secret. Whoever sends the header and isn't that
/// proxy is refused, rather than taken for someone without a credential.
fn named(headers: &HeaderMap, peer: Option<IpAddr>, policy: &Policy) -> Result<Option<String>, Reason> {
    let external = &policy.external;
    let mut names = headers.get_all(external.header.as_str()).iter();
    let Some(name) = names.next() else { return Ok(None) };
    let mut secrets = headers.get_all(external.secret_header.as_str()).iter();
    let (Some(expected), Some(given), Some(peer)) = (&external.secret, secrets.next(), peer) else {
        return Err(Reason::ProxyNotTrusted);
    };
    let proves = given.as_bytes().ct_eq(expected.expose_secret().as_bytes());
    let is_there = external.proxies.iter().any(|network| network.contains(&peer.to_canonical()));
    let is_single = names.next().is_none() && secrets.next().is_none();
    match name.to_str() {
        Ok(name) if bool::from(proves) && is_there && is_single => Ok(Some(name.to_owned())),
        _ => Err(Reason::ProxyNotTrusted),
    }
}

/// The session in the cookies. Two of the name may come from two hosts: which one is ours can't be known.
pub(super) fn session(headers: &HeaderMap) -> Result<Option<String>, Reason> {
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut found = texts
        .flat_map(|text| cookie::Cookie::split_parse(text).filter_map(Result::ok))
        .filter(|cookie| cookie.name() == COOKIE)
        .map(|cookie| cookie.value().to_owned());
    match (found.next(), found.next()) {
        (Some(_), Some(_)) => Err(Reason::Malformed),
        (found, _) => Ok(found),
    }
}

/// Whether a browser sent the request from a page of another site, or can't say from where. Programs that are no browsers
/// send neither header and pass (as the Fetch standard's `Sec-Fetch-Site` allows to tell apart).
pub(super) fn is_cross_site(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match (text("sec-fetch-site"), text("origin")) {
        (Some("same-origin" | "none"), _) => false,
        (Some(_), _) => true,
        (None, Some(origin)) => {
            let host = text("host").unwrap_or_default();
            origin.split_once("://").is_none_or(|(_, origin)| !origin.eq_ignore_ascii_case(host))
        }
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn policy() -> Policy {
        let mut policy = Policy { allowed_login_types: LoginType::ALL.into(), ..Policy::default() };
        policy.external.secret = Some("a secret of the proxy".into());
        policy.external.proxies = vec!["10.0.0.0/8".parse().unwrap()];
        policy
    }

    #[test]
    fn credentials_are_found_and_contradictions_refused() {
        let check = |list: &[(&'static str, &str)], peer: &str, expected: Result<&str, Reason>| {
            let found = in_headers(&headers(list), peer.parse().ok(), &policy(), false);
            let found = found.map(|found| match found {
                None => "nothing".to_owned(),
                Some(Credential::Token(token)) => format!("token {}", token.expose_secret()),
                Some(Credential::Password(login, password)) => format!("{login}:{}", password.expose_secret()),
                Some(Credential::Named(login)) => format!("named {login}"),
                Some(Credential::Session(id)) => format!("session {id}"),
            });
            assert_eq!(found.as_ref().map(String::as_str), expected.as_ref().copied(), "{list:?}");
            if let Some(token) = token(&headers(list)) {
                assert_eq!(expected, Ok(format!("token {token}").as_str()));
            }
        };
        let check_here = |list: &[(&'static str, &str)], expected| check(list, "192.0.2.1", expected);
        check_here(&[], Ok("nothing"));
        check_here(&[("authorization", "Bearer tha_1")], Ok("token tha_1"));
        check_here(&[("authorization", "bearer  tha_1 ")], Ok("token tha_1"));
        check_here(&[("authorization", "Bearer")], Ok("nothing"));
        check_here(&[("auth-token", "tha_2")], Ok("token tha_2"));
        check_here(&[("authorization", "Bearer tha_1"), ("auth-token", "tha_1")], Ok("token tha_1"));
        check_here(&[("authorization", "Bearer tha_1"), ("auth-token", "tha_2")], Err(Reason::Malformed));
        check_here(&[("auth-token", "tha_1"), ("auth-token", "tha_1")], Err(Reason::Malformed));
        check_here(&[("authorization", "Bearer a"), ("authorization", "Bearer b")], Err(Reason::Malformed));
        check_here(&[("authorization", "Basic YWRhOnB3OjE=")], Ok("ada:pw:1"));
        check_here(&[("authorization", "Basic YWRhOnB3OjE="), ("auth-token", "tha_2")], Ok("token tha_2"));
        check_here(&[("authorization", "Basic OnRoYV8x")], Ok("token tha_1"));
        check_here(&[("authorization", "Basic %%%")], Ok("nothing"));
        check_here(&[("cookie", "a=b; tokenhost_session=xyz")], Ok("session xyz"));
        check_here(&[("cookie", "tokenhost_session=x; tokenhost_session=y")], Err(Reason::Malformed));
        check_here(&[("cookie", "tokenhost_session=x"), ("auth-token", "tha_1")], Ok("token tha_1"));
        let secret = ("x-proxy-secret", "a secret of the proxy");
        check(&[("x-remote-user", "ada"), secret], "10.1.2.3", Ok("named ada"));
        check(&[("x-remote-user", "ada"), secret], "192.0.2.1", Err(Reason::ProxyNotTrusted));
        check(&[("x-remote-user", "ada")], "10.1.2.3", Err(Reason::ProxyNotTrusted));
        check(&[("x-remote-user", "ada"), ("x-proxy-secret", "wrong")], "10.1.2.3", Err(Reason::ProxyNotTrusted));
        check(&[("x-remote-user", "ada"), ("x-remote-user", "root"), secret], "10.1.2.3", Err(Reason::ProxyNotTrusted));
    }

    #[test]
    fn pages_of_other_sites_are_told_apart() {
        let check =
            |list: &[(&'static str, &str)], expected| assert_eq!(is_cross_site(&headers(list)), expected, "{list:?}");
        check(&[], false);
        check(&[("sec-fetch-site", "same-origin"), ("origin", "https://elsewhere")], false);
        check(&[("sec-fetch-site", "none")], false);
        check(&[("sec-fetch-site", "same-site")], true);
        check(&[("sec-fetch-site", "cross-site")], true);
        check(&[("origin", "http://127.0.0.1:8420"), ("host", "127.0.0.1:8420")], false);
        check(&[("origin", "http://evil.example"), ("host", "127.0.0.1:8420")], true);
        check(&[("origin", "null"), ("host", "127.0.0.1:8420")], true);
    }
}
