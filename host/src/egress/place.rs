//! How a token goes into a request to the service: its placements rendered, with the values that the host computes for them.
//!
//! It sends nothing, and doesn't know what the request is; signers, who do, are in `sign`.

use std::fmt;

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::derive;
use super::policy::Policy;
use super::prepare::header_name;
use super::refusal::{Problem, Problems, Refusal};
use super::template::{Scope, Value};
use crate::flows::request::Escape;
use crate::flows::step::{Location, Placing};
use crate::secrets::Secrets;

/// What a token adds to a request. Its `Debug` shows names.
#[derive(Clone, Default)]
pub struct Placed {
    /// Headers; their values are marked as sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Query parameters, not yet encoded.
    pub query: Vec<(String, SecretString)>,
    /// Cookies.
    pub cookies: Vec<(String, SecretString)>,
    /// A signer of the whole request.
    pub signing: Option<Signing>,
}

/// A signer and what it signs with. Its `Debug` shows names.
#[derive(Clone)]
pub struct Signing {
    /// E.g. `aws-sigv4`.
    pub name: String,
    /// Its parameters; those that are unset are left out.
    pub parameters: Secrets,
}

impl fmt::Debug for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |pairs: &[(String, SecretString)]| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        f.debug_struct("Placed")
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("query", &names(&self.query))
            .field("cookies", &names(&self.cookies))
            .field("signing", &self.signing)
            .finish()
    }
}

impl fmt::Debug for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {:?}", self.name, self.parameters.names().collect::<Vec<_>>())
    }
}

/// What is placed.
pub struct Carried<'a> {
    /// How.
    pub placing: &'a Placing,
    /// RFC 6749 section 7.1.
    pub token_type: &'a str,
    /// The token itself, where there is one.
    pub access_token: Option<&'a SecretString>,
    /// The integration's secrets, and the token's own as `token.NAME`.
    pub secrets: &'a Secrets,
    /// The request's body, where it is known, for values that are computed from it.
    pub body: Option<&'a [u8]>,
}

/// Renders what a token adds to a request.
pub(super) fn place(policy: &Policy, carried: &Carried<'_>) -> Result<Placed, Refusal> {
    if carried.placing.is_default() {
        let Some(token) = carried.access_token else { return Ok(Placed::default()) };
        return Ok(Placed { headers: vec![authorization(carried.token_type, token)?], ..Placed::default() });
    }
    let mut problems = Problems::default();
    let mut scope = Scope::new(carried.secrets, policy.limits.request_bytes);
    if let Some(body) = carried.body {
        let (bytes, shown) = (Zeroizing::new(body.to_vec()), "[body]".to_owned());
        scope.set_body(Value { bytes, shown, ..Value::default() });
    }
    for derived in &carried.placing.derived {
        if carried.body.is_none() && derive::uses_body(&derived.value) {
            let message = "is computed from the request's body, which isn't known here";
            return Err(Problem::integration(format!("derived `{}`", derived.name), message).into());
        }
        derive::compute(&scope, derived).and_then(|value| scope.define(&derived.name, value))?;
    }
    let mut placed = Placed::default();
    for placement in &carried.placing.placements {
        let kind = match placement.location {
            Location::Header => "header",
            Location::Query => "query",
            Location::Cookie => "cookie",
        };
        let part = format!("{kind} `{}`", placement.name);
        let Some(value) = problems.take(scope.render(&part, &placement.value, Escape::None)) else { continue };
        match placement.location {
            Location::Header => {
                let pair = header_name(&part, &placement.name).and_then(|name| Ok((name, sent(&part, &value.bytes)?)));
                placed.headers.extend(problems.take(pair));
            }
            Location::Query | Location::Cookie => {
                let Some(text) = problems.take(value.text(&part)) else { continue };
                let pair = (placement.name.clone(), SecretString::from(text));
                if placement.location == Location::Query {
                    placed.query.push(pair);
                } else if text.bytes().all(is_cookie_octet) {
                    placed.cookies.push(pair);
                } else {
                    let message = "has a character that no cookie can hold, such as a space, a comma or a semicolon";
                    problems.push(Problem::integration(part, message));
                }
            }
        }
    }
    if let Some(signer) = &carried.placing.signer {
        let mut parameters = Secrets::default();
        for (name, template) in &signer.parameters {
            let part = format!("signer parameter `{name}`");
            let Some(value) = problems.take(scope.render(&part, template, Escape::None)) else { continue };
            let Some(text) = problems.take(value.text(&part)) else { continue };
            if !text.is_empty() {
                parameters.insert(name, SecretString::from(text));
            }
        }
        placed.signing = Some(Signing { name: signer.name.clone(), parameters });
    }
    problems.outcome()?;
    Ok(placed)
}

/// `Authorization: Bearer …` (RFC 6750 section 2.1). Many services know the word only with a capital.
fn authorization(token_type: &str, token: &SecretString) -> Result<(HeaderName, HeaderValue), Problem> {
    use secrecy::ExposeSecret as _;
    let scheme = if token_type.eq_ignore_ascii_case("bearer") { "Bearer" } else { token_type };
    let text = Zeroizing::new(format!("{scheme} {}", token.expose_secret()));
    Ok((AUTHORIZATION, sent("header `authorization`", text.as_bytes())?))
}

/// A header's value.
fn sent(part: &str, bytes: &[u8]) -> Result<HeaderValue, Problem> {
    let mut value = HeaderValue::from_bytes(bytes).map_err(|_| {
        let message = "has a line break or another control character in its value; has one come along with a secret?";
        Problem::integration(part, message)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// RFC 6265 section 4.1.1.
fn is_cookie_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::request::{BasicEncoding, Derivation, Derived, Part};
    use crate::flows::step::{Placement, Signer};

    fn secret(name: &str) -> Part {
        Part::Secret(name.to_owned())
    }

    fn placement(location: Location, name: &str, value: Vec<Part>) -> Placement {
        Placement { location, name: name.to_owned(), value }
    }

    /// Places what is given with the secret `key`, and tells what was added.
    #[track_caller]
    fn check(placing: Placing, key: &str, body: Option<&[u8]>, expected: Result<&str, &str>) {
        use secrecy::ExposeSecret as _;
        let mut secrets = Secrets::default();
        secrets.insert("key", key.into());
        let token = SecretString::from("abc");
        let access_token = Some(&token);
        let carried = Carried { placing: &placing, token_type: "bearer", access_token, secrets: &secrets, body };
        let outcome = place(&Policy::default(), &carried);
        match (outcome, expected) {
            (Ok(placed), Ok(expected)) => {
                let mut found: Vec<String> = (placed.headers.iter())
                    .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                    .collect();
                assert!(placed.headers.iter().all(|(_, value)| value.is_sensitive()));
                let pairs = |kind: &str, pairs: &[(String, SecretString)]| {
                    let pairs = pairs.iter().map(|(name, value)| format!("{kind} {name}={}", value.expose_secret()));
                    pairs.collect::<Vec<_>>()
                };
                found.extend(pairs("query", &placed.query));
                found.extend(pairs("cookie", &placed.cookies));
                found.extend(placed.signing.as_ref().map(|signing| format!("{signing:?}")));
                assert_eq!(found.join("; "), expected);
                assert!(!format!("{placed:?}").contains(key));
            }
            (Err(refusal), Err(expected)) => {
                assert!(refusal.to_string().contains(expected), "{refusal}");
                assert!(!refusal.to_string().contains(key), "{refusal}");
            }
            (outcome, expected) => panic!("{outcome:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_token_goes_where_its_flow_says() {
        let placed = |placements| Placing { placements, ..Placing::default() };
        check(Placing::default(), "k3y", None, Ok("authorization: Bearer abc"));
        let all = vec![
            placement(Location::Header, "X-Key", vec![secret("key")]),
            placement(Location::Query, "api_key", vec![secret("key")]),
            placement(Location::Cookie, "session", vec![secret("key")]),
        ];
        check(placed(all), "k3y", None, Ok("x-key: k3y; query api_key=k3y; cookie session=k3y"));
        let header = || placed(vec![placement(Location::Header, "x-key", vec![secret("key")])]);
        check(header(), "k3\ny", None, Err("a line break"));
        let cookie = placed(vec![placement(Location::Cookie, "session", vec![secret("key")])]);
        check(cookie, "k3;y", None, Err("no cookie can hold"));
        check(placed(vec![placement(Location::Header, "host", vec![])]), "k3y", None, Err("is set by the host"));
        check(placed(vec![placement(Location::Header, "x", vec![secret("none")])]), "k3y", None, Err("`none`"));
    }

    #[test]
    fn values_are_computed_for_it() {
        let basic = Derivation::Basic {
            user: vec![Part::Text("u".into())],
            password: vec![secret("key")],
            encoding: BasicEncoding::None,
        };
        let mut placing = Placing {
            placements: vec![placement(
                Location::Header,
                "authorization",
                vec![Part::Text("Basic ".into()), secret("login")],
            )],
            derived: vec![Derived { name: "login".into(), value: basic }],
            signer: None,
        };
        check(placing.clone(), "k3y", None, Ok("authorization: Basic dTprM3k="));
        let value = Derivation::Transform { value: vec![Part::Body], how: Vec::new() };
        placing.derived = vec![Derived { name: "login".into(), value }];
        check(placing.clone(), "k3y", None, Err("which isn't known here"));
        check(placing, "k3y", Some(b"x"), Ok("authorization: Basic x"));
    }

    #[test]
    fn a_signer_gets_its_parameters() {
        let parameters = vec![("region".into(), vec![Part::Text("eu".into())]), ("none".into(), vec![])];
        let signer = Some(Signer { name: "aws-sigv4".into(), parameters });
        check(Placing { signer, ..Placing::default() }, "k3y", None, Ok("aws-sigv4 with [\"region\"]"));
    }
}
