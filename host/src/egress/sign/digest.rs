//! HTTP Digest (RFC 7616): the answer to a service's challenge.
//!
//! The parsing and the digests are those of `http-auth`; here stands which challenge is answered, with which quality of
//! protection, and how often each was.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use http::header::AUTHORIZATION;
use http_auth::digest::{Algorithm, DigestClient, Qop};
use http_auth::{ChallengeParser, PasswordParams};
use sha2::Digest as _;
use url::{Position, Url};

use super::{Body, Outline, SignError, Signed, required, sensitive};
use crate::secrets::Secrets;

/// How long a `WWW-Authenticate` may be, in bytes. Real ones have some 200.
const LONGEST: usize = 8 << 10;

/// How many services' challenges are kept.
const KEPT: u64 = 10_000;

/// How long one is kept after its last use. Servers forget theirs within minutes, and then ask anew.
const IDLE: Duration = Duration::from_secs(600);

/// A challenge of a service, and how often it was answered.
pub struct Challenge {
    /// The challenge; its count of uses grows with each answer.
    client: Mutex<DigestClient>,
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenge").finish_non_exhaustive()
    }
}

impl Challenge {
    /// The strongest challenge that can be answered, among those of a 401's `WWW-Authenticate` headers; none where there is no
    /// Digest at all.
    ///
    /// # Errors
    /// There is Digest, and none of it can be answered: the algorithm or the quality of protection isn't known, or it can't be
    /// read.
    pub fn read<'a>(headers: impl IntoIterator<Item = &'a HeaderValue>) -> Result<Option<Self>, SignError> {
        let mut best: Option<DigestClient> = None;
        let mut problem = None;
        for header in headers {
            let Some(text) = header.to_str().ok().filter(|text| text.len() <= LONGEST) else {
                problem = Some("it is too long, or has characters that no header should".to_owned());
                continue;
            };
            for challenge in ChallengeParser::new(text) {
                let Ok(challenge) = challenge else {
                    problem = Some("its WWW-Authenticate can't be read (RFC 9110 section 11.6.1)".to_owned());
                    break;
                };
                if !challenge.scheme.eq_ignore_ascii_case("digest") {
                    continue;
                }
                match DigestClient::try_from(&challenge) {
                    Ok(client) if best.as_ref().is_none_or(|best| strength(&client) > strength(best)) => {
                        best = Some(client);
                    }
                    Ok(_) => {}
                    // What the crate says repeats the service's words.
                    Err(_) => problem = Some("its algorithm or qop isn't known, or a parameter is missing".to_owned()),
                }
            }
        }
        match (best, problem) {
            (Some(client), _) => Ok(Some(Self { client: Mutex::new(client) })),
            (None, Some(problem)) => Err(SignError::Challenge(problem)),
            (None, None) => Ok(None),
        }
    }

    /// Whether the service says that only the nonce was too old, not that user or password are wrong.
    pub fn is_stale(&self) -> bool {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).stale()
    }

    /// How often it was answered.
    pub fn uses(&self) -> u32 {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).nonce_count()
    }

    /// Whether it is the same challenge: the service asks again with the nonce that was answered.
    pub fn is_same(&self, other: &Self) -> bool {
        let nonce =
            |challenge: &Self| challenge.client.lock().unwrap_or_else(PoisonError::into_inner).nonce().to_owned();
        nonce(self) == nonce(other)
    }

    /// The answer, with a nonce of ours that is random unless a test gives it.
    fn answer(
        &self,
        parameters: &Secrets,
        outline: &Outline<'_>,
        own_nonce: Option<&str>,
    ) -> Result<HeaderValue, SignError> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        // The weaker `auth` first, since many services that offer both only ever tried that.
        let body = match client.qop() & Qop::Auth {
            true => None,
            false => Some(digest_of(client.algorithm(), outline.body)?),
        };
        let parameters = PasswordParams {
            username: required(parameters, "username")?,
            password: required(parameters, "password")?,
            uri: &outline.url[Position::BeforePath..Position::AfterQuery],
            method: outline.method.as_str(),
            // The crate puts the body itself where RFC 7616 section 3.4.3 has its digest.
            body: body.as_ref().map(String::as_bytes),
        };
        let answer = match own_nonce {
            Some(nonce) => client.respond_with_testing_cnonce(&parameters, nonce),
            None => client.respond(&parameters),
        };
        sensitive(&answer.map_err(|_| SignError::Challenge("it has text that no header can carry".to_owned()))?)
    }
}

/// The digest of a body, in hex.
fn digest_of(algorithm: Algorithm, body: Body<'_>) -> Result<String, SignError> {
    let bytes = match (body, algorithm) {
        (Body::Empty, _) => [].as_slice(),
        (Body::Bytes(bytes), _) => bytes,
        (Body::Sha256(digest), Algorithm::Sha256) => return Ok(hex::encode(digest)),
        (Body::Sha256(_) | Body::Unknown, _) => {
            return Err(SignError::NeedsBody("the service wants Digest with qop=auth-int, which covers the body"));
        }
    };
    match algorithm {
        Algorithm::Md5 => Ok(hex::encode(md5::Md5::digest(bytes))),
        Algorithm::Sha256 => Ok(hex::encode(sha2::Sha256::digest(bytes))),
        Algorithm::Sha512Trunc256 => Ok(hex::encode(sha2::Sha512_256::digest(bytes))),
        _ => Err(SignError::Challenge("its algorithm isn't known".to_owned())),
    }
}

/// The better a challenge, the more.
fn strength(client: &DigestClient) -> u8 {
    match client.algorithm() {
        Algorithm::Md5 => 1,
        Algorithm::Sha256 => 2,
        Algorithm::Sha512Trunc256 => 3,
        _ => 0,
    }
}

/// Answers a challenge.
pub(super) fn sign(parameters: &Secrets, outline: &Outline<'_>, challenge: &Challenge) -> Result<Signed, SignError> {
    Ok(vec![(AUTHORIZATION, challenge.answer(parameters, outline, None)?)])
}

/// The same with a nonce that is known.
#[cfg(test)]
pub(super) fn sign_with(
    parameters: &Secrets,
    outline: &Outline<'_>,
    challenge: &Challenge,
    own_nonce: &str,
) -> Result<HeaderValue, SignError> {
    challenge.answer(parameters, outline, Some(own_nonce))
}

/// The last challenge of each service, so that the next request needn't be refused first. Forgotten when the daemon ends.
pub struct Challenges(moka::sync::Cache<(String, String), Arc<Challenge>>);

impl fmt::Debug for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Challenges").field(&self.0.entry_count()).finish()
    }
}

impl Default for Challenges {
    fn default() -> Self {
        Self(moka::sync::Cache::builder().max_capacity(KEPT).time_to_idle(IDLE).build())
    }
}

impl Challenges {
    /// The challenge to answer in a request to this URL for someone: another user has other nonces.
    pub fn last(&self, whose: &str, url: &Url) -> Option<Arc<Challenge>> {
        self.0.get(&key(whose, url))
    }

    /// Keeps what a service asked for. The challenge in place of the one before; or the one before, where the service repeats
    /// it, since its count has to grow on.
    pub fn keep(&self, whose: &str, url: &Url, challenge: Challenge) -> Arc<Challenge> {
        let key = key(whose, url);
        if let Some(before) = self.0.get(&key)
            && before.is_same(&challenge)
        {
            return before;
        }
        let challenge = Arc::new(challenge);
        self.0.insert(key, Arc::clone(&challenge));
        challenge
    }
}

fn key(whose: &str, url: &Url) -> (String, String) {
    (whose.to_owned(), url.origin().ascii_serialization())
}
