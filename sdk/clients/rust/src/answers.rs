//! What the daemon answers, typed. Reads loosely: a later daemon may add members. What is secret doesn't show in `Debug`.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Error;

/// A valid token.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Token {
    /// The token itself.
    #[serde(deserialize_with = "secret")]
    access_token: SecretString,
    /// How it is used; mostly `Bearer`.
    #[serde(default = "bearer")]
    pub token_type: String,
    /// Its number within the integration; name it in a rejection.
    pub generation: u64,
    /// The scopes that the provider granted, space-separated.
    pub scope: Option<String>,
    /// Seconds left, where that is known.
    pub expires_in: Option<u64>,
    /// When it ends (RFC 3339), where that is known.
    pub expires_at: Option<String>,
    /// When the request for it left (RFC 3339).
    pub created_at: Option<String>,
}

/// A text that doesn't show.
fn secret<'de, D: serde::Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
    String::deserialize(from).map(SecretString::from)
}

/// The type where nobody says one.
fn bearer() -> String {
    "Bearer".to_owned()
}

impl Token {
    /// The token itself.
    pub fn access_token(&self) -> &str {
        self.access_token.expose_secret()
    }

    /// The value of the header `Authorization` (RFC 6750 section 2.1, which writes `Bearer` so), marked as sensitive.
    ///
    /// # Errors
    /// The token has characters that no header holds.
    pub fn authorization(&self) -> Result<HeaderValue, Error> {
        let kind = if self.token_type.eq_ignore_ascii_case("bearer") { "Bearer" } else { &self.token_type };
        let mut value = HeaderValue::try_from(format!("{kind} {}", self.access_token()))
            .map_err(|_| Error::BadAnswer("the token has characters that no header holds".to_owned()))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// What a rejection led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RejectionResult {
    /// The token is out of use, and another one is being got.
    Renewing,
    /// There is a newer one already.
    NotCurrent,
}

/// What became of a rejection.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Rejection {
    /// What it led to.
    pub result: RejectionResult,
    /// The number of the newer token.
    pub generation: Option<u64>,
}

/// What to add to a request so that the service lets it in.
#[derive(Clone, Deserialize)]
#[non_exhaustive]
pub struct Authorization {
    /// The request's URL at the service.
    pub url: String,
    /// Headers to set.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Parameters to add to the query.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Cookies to send.
    #[serde(default)]
    pub cookies: BTreeMap<String, String>,
    /// The tokens that it came from, each with `scheme` and `generation`.
    #[serde(default)]
    pub tokens: Vec<Value>,
    /// Of the first token: its number.
    pub generation: Option<u64>,
    /// Of the first token: seconds left.
    pub expires_in: Option<u64>,
}

impl Debug for Authorization {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // Names only: the values are credentials.
        f.debug_struct("Authorization")
            .field("url", &self.url)
            .field("headers", &self.headers.keys())
            .field("query", &self.query.keys())
            .field("cookies", &self.cookies.keys())
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

/// What a service's answer holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// JSON, or text as a JSON string.
    Json(Value),
    /// Anything else.
    Bytes(Vec<u8>),
}

/// What the service answered to a call, whatever its status.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The service's status.
    pub status: u16,
    /// Its headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// What it holds.
    pub body: Body,
    /// The URL that was called.
    pub url: Option<String>,
    /// What the daemon did: `tokens`, `renewed`, `retried`, `attempts`.
    pub done: Map<String, Value>,
}

/// An [`Answer`] as it comes.
#[derive(Deserialize)]
struct Answered {
    /// As in [`Answer`].
    status: u16,
    /// As in [`Answer`].
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// JSON, or text.
    #[serde(default)]
    body: Value,
    /// In its place where it is neither.
    body_base64: Option<String>,
    /// As in [`Answer`].
    url: Option<String>,
    /// As in [`Answer`].
    #[serde(default)]
    done: Map<String, Value>,
}

impl Answer {
    /// Whether the status is one of success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Out of an answer of the daemon.
    pub(crate) fn read(document: Value) -> Result<Self, Error> {
        let answered: Answered = read(document)?;
        let body = match answered.body_base64 {
            None => Body::Json(answered.body),
            Some(encoded) => Body::Bytes(
                STANDARD
                    .decode(encoded)
                    .map_err(|_| Error::BadAnswer("the daemon's answer has a body_base64 that is none".to_owned()))?,
            ),
        };
        let Answered { status, headers, url, done, .. } = answered;
        Ok(Self { status, headers, body, url, done })
    }
}

/// Reads an answer of the daemon.
pub(crate) fn read<T: serde::de::DeserializeOwned>(document: Value) -> Result<T, Error> {
    // serde's message names members and types; of values it would repeat those of a wrong type, so it isn't passed on.
    serde_json::from_value(document)
        .map_err(|_| Error::BadAnswer("the answer isn't what a tokenhost daemon says here".to_owned()))
}
