//! Refusals: uniform outside, exact inside. Who isn't authenticated gets one 401, who lacks a scope or right one 403, each
//! with a support id that carries the exact reason sealed in itself.
//!
//! Nothing is stored for a refusal, so that nobody can fill the disk with them: they are counted, and held back where
//! there are many.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::problem::{Code, Problem};
use super::state::Api;
use crate::access::throttle::Delay;
use crate::access::{LoginType, Reason, Refused, id_text};
use crate::audit;
use crate::telemetry;

/// Where a refusal happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// The route.
    pub(super) door: &'static str,
    /// The scope that was needed.
    pub(super) scope: &'a str,
    /// From where the call came.
    pub(super) address: Option<IpAddr>,
}

/// The support id of a refusal, which is counted and logged. It is held back where there are many from the same address,
/// or for the same token.
pub(super) async fn note(api: &Api, refused: &Refused, place: Place<'_>, detail: Option<String>) -> String {
    // Who is known isn't guessing.
    let Some(address) = place.address.filter(|_| !refused.reason.is_about_rights()) else {
        return tell(api, refused, place, detail);
    };
    let delay = api.access.throttle.refused(address, refused.token.as_ref().map(id_text));
    if matches!(delay, Delay::RateLimited) {
        return tell(api, &Refused { reason: Reason::RateLimited, ..refused.clone() }, place, detail);
    }
    let support_id = tell(api, refused, place, detail);
    delay.hold().await;
    support_id
}

/// The support id of a refusal, which is counted and logged, and not held back: what is asked by somebody known.
pub(super) fn tell(api: &Api, refused: &Refused, place: Place<'_>, detail: Option<String>) -> String {
    let reason = refused.reason;
    let token = refused.token.as_ref().map(id_text);
    api.tally.refused(reason.code(), token, place.address, place.door);
    metrics::counter!(telemetry::REFUSALS, "reason" => reason.code()).increment(1);
    let support_id = api.support.issue(&audit::Reason {
        code: reason.code().to_owned(),
        at: api.clock.now(),
        token_id: token.map(str::to_owned),
        address: place.address,
        scope: Some(place.scope.to_owned()),
        door: place.door.to_owned(),
        detail,
    });
    let principal = refused.principal.as_deref();
    if api.access.policy().login_debug {
        tracing::info!(
            reason = reason.code(), token, principal, door = place.door, address = ?place.address, support_id,
            "refused: {}", reason.meaning()
        );
    } else {
        tracing::debug!(reason = reason.code(), token, principal, door = place.door, address = ?place.address, "refused");
    }
    support_id
}

/// The one 401.
pub(super) fn unauthenticated(api: &Api, support_id: String) -> Problem {
    let mut ways = vec!["a valid token (`Authorization: Bearer …`, or the header `Auth-Token`)"];
    let allows = |login_type| api.access.policy().allowed_login_types.contains(&login_type);
    if allows(LoginType::Basic) {
        ways.push("login and password (`Authorization: Basic …`)");
    }
    if allows(LoginType::Form) {
        ways.push("a session (sign in at /login)");
    }
    let detail = format!("give {}", ways.join(", or "));
    Problem::new(Code::Unauthenticated, detail).with_support(support_id)
}

/// The one 403.
pub(super) fn forbidden(support_id: String) -> Problem {
    Problem::new(
        Code::Forbidden,
        "the credential is valid, and doesn't allow this; the support id tells the operator why",
    )
    .with_support(support_id)
}

/// The problem for a refusal.
pub(super) async fn problem(api: &Api, refused: &Refused, place: Place<'_>, detail: Option<String>) -> Problem {
    let support_id = note(api, refused, place, detail).await;
    if refused.reason.is_about_rights() { forbidden(support_id) } else { unauthenticated(api, support_id) }
}

/// The header that a support id stands in where there is no body.
const SUPPORT_ID: HeaderName = HeaderName::from_static("x-support-id");

/// What a refusal tells in headers alone (RFC 6750 section 3).
pub(super) fn challenge(headers: &mut HeaderMap, error: Option<&str>, scope: &str, support_id: &str) {
    let challenge = match error {
        None => "Bearer realm=\"tokenhost\"".to_owned(),
        Some(error @ "insufficient_scope") if !scope.is_empty() => {
            format!("Bearer realm=\"tokenhost\", error=\"{error}\", scope=\"{scope}\"")
        }
        Some(error) => format!("Bearer realm=\"tokenhost\", error=\"{error}\""),
    };
    // Made of visible ASCII: scopes are read with that in mind.
    if let Ok(challenge) = HeaderValue::try_from(challenge) {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    if let Ok(support_id) = HeaderValue::try_from(support_id) {
        headers.insert(SUPPORT_ID, support_id);
    }
}
