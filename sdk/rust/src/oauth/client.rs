//! How a client authenticates itself at an endpoint (RFC 6749 section 2.3, RFC 7523, RFC 8705).
//!
//! Reads the fields of [`super::fields::client`] and [`super::fields::client_auth`]. Which method a provider wants is
//! the operator's to say; nothing is tried in turn here.

use crate::request::{Form, json};
use crate::types::{BasicEncoding, Context, Derivation, Failure, Jwt, Part, Request};

/// The name of the derived value that holds the client's Basic credentials.
const CLIENT_BASIC: &str = "client_basic";

/// The name of the derived value that holds the client's assertion.
const CLIENT_ASSERTION: &str = "client_assertion";

/// What says that a client's assertion is a JWT (RFC 7523 section 2.2).
const JWT_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion is good, in seconds. Long enough for clocks that differ by minutes, short enough for the
/// providers that allow five minutes at most.
const ASSERTION_LIFETIME: u64 = 240;

/// How a client authenticates itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// By the `Authorization` header, name and secret encoded in this way.
    Basic(BasicEncoding),
    /// By `client_id` and `client_secret` among the parameters.
    Post,
    /// By an assertion that the client's secret signs (OpenID Connect Core section 9).
    SecretJwt,
    /// By an assertion that the client's private key signs (RFC 7523 section 2.2).
    KeyJwt,
    /// By the certificate of the connection (RFC 8705), which is a setting of the integration's transport; the
    /// parameters only say the `client_id`.
    Tls,
    /// Not at all: a public client only says its `client_id` (RFC 6749 section 3.2.1).
    None,
}

/// The methods, as the fields name them.
pub(super) const METHODS: [(&str, ClientAuth); 8] = [
    ("basic", ClientAuth::Basic(BasicEncoding::Form)),
    ("basic-raw", ClientAuth::Basic(BasicEncoding::None)),
    ("basic-percent", ClientAuth::Basic(BasicEncoding::Percent)),
    ("post", ClientAuth::Post),
    ("client_secret_jwt", ClientAuth::SecretJwt),
    ("private_key_jwt", ClientAuth::KeyJwt),
    ("tls_client_auth", ClientAuth::Tls),
    ("none", ClientAuth::None),
];

impl ClientAuth {
    /// The method that a field names; RFC 6749's own where none is named.
    ///
    /// # Errors
    /// The field has a value that it can't have.
    pub fn of(context: &Context, field: &str) -> Result<Self, Failure> {
        let Some(wanted) = context.value(field) else { return Ok(Self::Basic(BasicEncoding::Form)) };
        let known = METHODS.iter().find(|(name, _)| *name == wanted);
        known.map(|(_, method)| *method).ok_or_else(|| super::impossible(field, wanted))
    }

    /// The secret that it needs.
    fn secret(self) -> Option<&'static str> {
        match self {
            Self::Basic(_) | Self::Post | Self::SecretJwt => Some("client_secret"),
            Self::KeyJwt => Some("private_key"),
            Self::Tls | Self::None => None,
        }
    }
}

/// A `POST` of these parameters to `url` by the authenticated client.
///
/// # Errors
/// A field that the method needs is not set, or has a value that it can't have.
pub fn authenticated(context: &Context, url: &str, parameters: Form, method: ClientAuth) -> Result<Request, Failure> {
    let client_id = match method {
        // Grants that say by themselves who is asking need no client.
        ClientAuth::None => context.value("client_id").unwrap_or_default(),
        _ => context.required("client_id")?,
    };
    method.secret().map_or(Ok(()), |secret| context.required_secret(secret))?;
    let request = Request::post(url).header("accept", Part::text("application/json"));
    Ok(match method {
        ClientAuth::Basic(encoding) => {
            let credentials = Derivation::basic(Part::text(client_id), Part::secret("client_secret"), encoding);
            let request = request
                .header("authorization", [Part::text("Basic "), Part::secret(CLIENT_BASIC)])
                .derive(CLIENT_BASIC, credentials);
            with(context, request, parameters)?
        }
        ClientAuth::Post => {
            let parameters = parameters.text("client_id", client_id).secret("client_secret", "client_secret");
            with(context, request, parameters)?
        }
        ClientAuth::SecretJwt => asserted(context, request, parameters, client_id, "client_secret", "HS256")?,
        ClientAuth::KeyJwt => asserted(context, request, parameters, client_id, "private_key", "RS256")?,
        ClientAuth::None if client_id.is_empty() => with(context, request, parameters)?,
        ClientAuth::Tls | ClientAuth::None => with(context, request, parameters.text("client_id", client_id))?,
    })
}

/// The request with these parameters, written as the field `request_body` says.
fn with(context: &Context, request: Request, parameters: Form) -> Result<Request, Failure> {
    match context.value("request_body") {
        None | Some("form") => Ok(request.form(parameters)),
        Some("json") => Ok(request.json(parameters.into_json())),
        Some(other) => Err(super::impossible("request_body", other)),
    }
}

/// The same with an assertion that `key` signs, by `default` where no algorithm is set.
///
/// `client_id` is sent too, though the assertion holds it: RFC 7521 section 4.2 allows that, and many providers find the
/// client by it.
fn asserted(
    context: &Context,
    request: Request,
    parameters: Form,
    client_id: &str,
    key: &str,
    default: &str,
) -> Result<Request, Failure> {
    let audience = audience(context)?;
    let algorithm = context.value("signing_algorithm").unwrap_or(default);
    let symmetric = algorithm.starts_with("HS");
    if symmetric != (key == "client_secret") {
        let message = format!("the field signing_algorithm is {algorithm}, which doesn't go with {key}");
        return Err(Failure::reconfigure("invalid_field", message));
    }
    let assertion = Assertion { key, algorithm, issuer: client_id, subject: Some(client_id), audience, scope: None };
    let parameters = parameters
        .text("client_id", client_id)
        .text("client_assertion_type", JWT_ASSERTION)
        .secret("client_assertion", CLIENT_ASSERTION);
    with(context, request.derive(CLIENT_ASSERTION, assertion.derivation(context)), parameters)
}

/// A JWT that asserts who its issuer is, or for whom it acts (RFC 7523 section 3).
#[derive(Clone, Copy, Debug)]
pub struct Assertion<'a> {
    /// The secret that signs it: PEM, JWK, or for `HS*` the bytes themselves.
    pub key: &'a str,
    /// The algorithm of RFC 7518, e.g. `RS256`.
    pub algorithm: &'a str,
    /// `iss`.
    pub issuer: &'a str,
    /// `sub`; without one, the assertion has none.
    pub subject: Option<&'a str>,
    /// `aud`.
    pub audience: &'a str,
    /// `scope`, where a provider wants it within the JWT.
    pub scope: Option<&'a str>,
}

impl Assertion<'_> {
    /// The derived value: `iat` now, `exp` four minutes later, a fresh `jti`, and `kid` from the field `key_id`.
    ///
    /// The `jti` is made of the last 16 bytes of the step's entropy. A flow that needs something unguessable in the same
    /// step takes the first 16.
    pub fn derivation(&self, context: &Context) -> Derivation {
        let mut claims = json().text("/iss", self.issuer);
        if let Some(subject) = self.subject {
            claims = claims.text("/sub", subject);
        }
        claims = claims.text("/aud", self.audience);
        if let Some(scope) = self.scope {
            claims = claims.text("/scope", scope);
        }
        let fresh = context.entropy.iter().rev().take(16).map(|byte| format!("{byte:02x}")).collect::<String>();
        let claims = claims
            .text("/jti", fresh)
            .literal("/iat", &context.now.to_string())
            .literal("/exp", &context.now.saturating_add(ASSERTION_LIFETIME).to_string());
        let header = context.value("key_id").map_or_else(json, |key_id| json().text("/kid", key_id));
        Derivation::Jwt(Jwt {
            algorithm: self.algorithm.into(),
            key: self.key.into(),
            header: header.into_members(),
            claims: claims.into_members(),
        })
    }
}

/// The `aud` of assertions: the field `assertion_audience`, else the token URL without its query, for all endpoints alike.
///
/// # Errors
/// Neither is set.
pub fn audience(context: &Context) -> Result<&str, Failure> {
    match context.value("assertion_audience") {
        Some(audience) => Ok(audience),
        None => context.required("token_url").map(|url| url.split(['?', '#']).next().unwrap_or(url)),
    }
}
