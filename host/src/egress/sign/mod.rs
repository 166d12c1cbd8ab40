//! Signers: what has to be computed of each request to a service, because the credential never leaves.
//!
//! All here is computed from what the caller gives: the request's outline, the parameters, the time, the challenge. Nothing is
//! sent or kept, but for how often a challenge was answered. Which signer a token has, and what its parameters are, is said by
//! its flow.

mod digest;
mod sigv4;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use secrecy::ExposeSecret as _;
use url::Url;

pub use self::digest::{Challenge, Challenges};
use crate::secrets::Secrets;

/// The names of the signers that there are.
pub const SIGNERS: [&str; 2] = [AWS_SIGV4, HTTP_DIGEST];

/// AWS Signature Version 4. Parameters: `access_key_id`, `secret_access_key`, and optionally `session_token`, `region` and
/// `service`, of which the last two are read from the host name where they aren't set.
pub const AWS_SIGV4: &str = "aws-sigv4";

/// HTTP Digest (RFC 7616). Parameters: `username`, `password`.
pub const HTTP_DIGEST: &str = "http-digest";

/// What a signer needs to know of a request.
#[derive(Clone, Copy, Debug)]
pub struct Outline<'a> {
    /// The method.
    pub method: &'a Method,
    /// The whole URL, its query as it will be sent.
    pub url: &'a Url,
    /// The headers, placements included. Only those that a signer knows are signed: others may change on their way.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: Body<'a>,
}

/// What is known of a request's body.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// There is none.
    Empty,
    /// All of it.
    Bytes(&'a [u8]),
    /// Its SHA-256.
    Sha256([u8; 32]),
    /// Nothing: it is streamed.
    Unknown,
}

/// Why a request can't be signed. It names parameters, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The token names a signer that there isn't.
    #[error("there is no signer {0:?}; there are aws-sigv4 and http-digest")]
    Unknown(String),
    /// A parameter isn't set, or can't be used.
    #[error("the signer's parameter {name} {problem}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// The body has to be known beforehand.
    #[error("{0}: send the body with its length known, by POST …/call or with a digest of it, not as a stream")]
    NeedsBody(&'static str),
    /// The service's challenge can't be answered.
    #[error("the service's challenge can't be answered: {0}")]
    Challenge(String),
    /// The request itself can't be signed.
    #[error("the request can't be signed: {0}")]
    Request(String),
}

/// The headers that a signer adds to a request, all of them sensitive. They replace those of the same name.
pub type Signed = Vec<(HeaderName, HeaderValue)>;

/// Signs a request.
///
/// `challenge` is what the service asked for, of which `http-digest` alone knows; without one it adds nothing, and the service
/// will ask.
///
/// # Errors
/// The request can't be signed; says why.
pub fn sign(
    signer: &str,
    parameters: &Secrets,
    outline: &Outline<'_>,
    now: DateTime<Utc>,
    challenge: Option<&Challenge>,
) -> Result<Signed, SignError> {
    match signer {
        AWS_SIGV4 => sigv4::sign(parameters, outline, now),
        HTTP_DIGEST => challenge.map_or(Ok(Signed::new()), |challenge| digest::sign(parameters, outline, challenge)),
        other => Err(SignError::Unknown(other.to_owned())),
    }
}

/// A parameter that is set, and can stand in a header.
fn parameter<'a>(parameters: &'a Secrets, name: &'static str) -> Result<Option<&'a str>, SignError> {
    let Some(value) = parameters.get(name).map(|value| value.expose_secret()).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    if value.chars().any(char::is_control) {
        return Err(SignError::Parameter { name, problem: "has a control character, such as a line break at its end" });
    }
    Ok(Some(value))
}

/// A parameter without which nothing can be signed.
fn required<'a>(parameters: &'a Secrets, name: &'static str) -> Result<&'a str, SignError> {
    parameter(parameters, name)?.ok_or(SignError::Parameter { name, problem: "is not set" })
}

/// A header's value that no log shows.
fn sensitive(value: &str) -> Result<HeaderValue, SignError> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| SignError::Request("the signature has a character that no header can carry".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}
