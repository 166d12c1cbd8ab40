//! Signs a request to a service, where one of its tokens asks for that: the last thing that is done to it.
//!
//! How is `egress::sign`'s. Here stands which challenge is answered, and what is signed: the request with all credentials in it.

use http::HeaderMap;
use http::HeaderValue;
use http::header::WWW_AUTHENTICATE;

use super::authorization::{Authorization, BodyDigest, Wanted};
use super::error::CallError;
use super::keeper::Calls;
use crate::egress::Signing;
use crate::egress::sign::{Body, Challenge, HTTP_DIGEST, Outline};
use crate::tokens::TokenKey;

/// A signer that a token asks for.
pub(super) struct Asked {
    /// The token's scheme.
    pub(super) scheme: String,
    /// What the token is kept under.
    pub(super) key: TokenKey,
    /// The signer.
    pub(super) signing: Signing,
}

impl Calls {
    /// Adds a signature over the request as it will be.
    pub(super) fn sign(
        &self,
        asked: &Asked,
        wanted: &Wanted,
        authorization: &mut Authorization,
    ) -> Result<(), CallError> {
        let unsigned = |reason: String| CallError::Unsigned { scheme: asked.scheme.clone(), reason };
        let (mut url, mut headers) = (wanted.url.clone(), wanted.headers.clone());
        authorization.apply(&mut url, &mut headers);
        let body = match &wanted.body {
            BodyDigest::Empty => Body::Empty,
            BodyDigest::Bytes(bytes) => Body::Bytes(bytes),
            BodyDigest::Sha256(digest) => Body::Sha256(*digest),
            BodyDigest::Unsigned => Body::Unknown,
        };
        let outline = Outline { method: &wanted.method, url: &url, headers: &headers, body };
        let whose = asked.key.to_string();
        let mut challenge = None;
        if asked.signing.name == HTTP_DIGEST {
            authorization.answers_challenges = true;
            let asked = Challenge::read(&wanted.challenge).map_err(|error| unsigned(error.to_string()))?;
            challenge = match asked {
                Some(challenge) => Some(self.challenges.keep(&whose, &url, challenge)),
                // Nothing, or a challenge that is for another of the request's credentials.
                None => self.challenges.last(&whose, &url),
            };
        }
        let signed = self.egress.sign(&asked.signing, &outline, challenge.as_deref());
        for (name, value) in signed.map_err(|error| unsigned(error.to_string()))? {
            authorization.headers.retain(|(other, _)| *other != name);
            authorization.headers.push((name, value));
        }
        Ok(())
    }

    /// The challenge in a service's 401 that these credentials can answer: the same request is authorized once more, with this
    /// as [`Wanted::challenge`], and sent again. Nothing was done by the service, so that it is safe whatever the method.
    ///
    /// None where the credentials aren't of that kind, or the service asks for something else. Who has answered a challenge that
    /// wasn't stale once should not try again: user or password are wrong.
    pub fn challenge(
        authorization: &Authorization,
        status: http::StatusCode,
        headers: &HeaderMap,
    ) -> Option<HeaderValue> {
        if status != http::StatusCode::UNAUTHORIZED || !authorization.answers_challenges {
            return None;
        }
        let all: Vec<&[u8]> = headers.get_all(WWW_AUTHENTICATE).iter().map(HeaderValue::as_bytes).collect();
        let joined = HeaderValue::from_bytes(&all.join(b", ".as_slice())).ok()?;
        matches!(Challenge::read([&joined]), Ok(Some(_))).then_some(joined)
    }
}
