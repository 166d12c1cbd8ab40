//! Signs a request to a service, where one of its tokens asks for that: the last thing that is done to it.
//!
//! How is `egress::sign`'s. Here stands which challenge is answered, and what is signed: the request with all credentials in it.

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use url::Url;

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
            authorization.answers_challenges = Some(asked.key.clone());
            let given = Challenge::read(&wanted.challenge).map_err(|error| unsigned(error.to_string()))?;
            challenge = match given {
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

    /// Whether a service's 401 asks for what these credentials can answer: the same request is authorized once more then, and sent
    /// again. The service has done nothing, so that it is safe whatever the method. What it asks for is kept for later requests, too.
    ///
    /// No where user or password are wrong: the service asks for what was answered.
    pub fn challenged(
        &self,
        authorization: &Authorization,
        url: &Url,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> bool {
        let Some(key) = authorization.answers_challenges.as_ref().filter(|_| status == StatusCode::UNAUTHORIZED) else {
            return false;
        };
        let Ok(Some(challenge)) = Challenge::read(headers.get_all(WWW_AUTHENTICATE)) else { return false };
        let has_answered = authorization.headers.iter().any(|(name, _)| name == AUTHORIZATION);
        let whose = key.to_string();
        let is_known = self.challenges.last(&whose, url).is_some_and(|last| last.is_same(&challenge));
        let is_stale = self.challenges.keep(&whose, url, challenge).is_stale();
        !has_answered || !is_known || is_stale
    }
}
