//! When a token ends, and how long before that it is renewed. Pure.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::flows::step::FlowToken;

/// Expiry times beyond this many seconds (about 31,700 years) are no times at all.
const LATEST_EPOCH_SECOND: u64 = 1_000_000_000_000;

/// How a token's end is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpirySource {
    /// The provider's `expires_in`, counted from the moment the request left.
    ExpiresIn,
    /// The provider's `expires_at`.
    ExpiresAt,
    /// The `exp` claim of the access token, a JWT (RFC 7519 section 4.1.4).
    Jwt,
    /// The integration's own setting.
    Default,
    /// A rejection of an earlier token of the same integration.
    Learned,
    /// A person entered it.
    Manual,
}

/// What stands in where the provider says nothing of a token's end, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fallback {
    /// The integration's setting.
    pub(super) default: Option<u64>,
    /// The age at which an earlier token was rejected.
    pub(super) learned: Option<u64>,
}

/// When the token ends, and how that is known. A time that isn't after `left_at` says nothing: the token has just been given.
pub(super) fn expiry(
    token: &FlowToken,
    left_at: DateTime<Utc>,
    fallback: Fallback,
) -> Option<(DateTime<Utc>, ExpirySource)> {
    let after = |seconds: u64| {
        let seconds = i64::try_from(seconds.min(LATEST_EPOCH_SECOND)).ok().filter(|seconds| *seconds > 0)?;
        left_at.checked_add_signed(TimeDelta::try_seconds(seconds)?)
    };
    let at = |epoch: u64| {
        let epoch = i64::try_from(epoch).ok().filter(|_| epoch <= LATEST_EPOCH_SECOND)?;
        DateTime::from_timestamp(epoch, 0).filter(|at| *at > left_at)
    };
    let jwt = || token.access_token.as_ref().and_then(|token| jwt_exp(token.expose_secret()));
    None.or_else(|| token.expires_in.and_then(after).map(|at| (at, ExpirySource::ExpiresIn)))
        .or_else(|| token.expires_at.and_then(at).map(|at| (at, ExpirySource::ExpiresAt)))
        .or_else(|| jwt().and_then(at).map(|at| (at, ExpirySource::Jwt)))
        .or_else(|| fallback.default.and_then(after).map(|at| (at, ExpirySource::Default)))
        .or_else(|| fallback.learned.and_then(after).map(|at| (at, ExpirySource::Learned)))
}

/// The `exp` claim of something that looks like a JWT. Its signature is the service's business, not ours.
fn jwt_exp(token: &str) -> Option<u64> {
    let mut parts = token.split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    let exp = claims.get("exp")?;
    exp.as_u64().or_else(|| exp.as_f64().filter(|exp| *exp >= 0.0).map(|exp| exp as u64))
}

/// How early a token is renewed: the smaller of a fixed time and a fraction of its lifetime.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margin {
    /// At most this long before the end.
    pub fixed: Duration,
    /// At most this part of the lifetime, 0 to 1.
    pub fraction: f64,
}

impl Default for Margin {
    /// Two minutes, or a fifth of a lifetime shorter than ten.
    fn default() -> Self {
        Self { fixed: Duration::from_secs(120), fraction: 0.2 }
    }
}

impl Margin {
    /// The margin of one token. `jitter`, 0 to 1, takes up to a quarter off, so that tokens got together aren't renewed together.
    pub fn of(self, lifetime: Duration, jitter: f64) -> Duration {
        let fraction = lifetime.mul_f64(self.fraction.clamp(0.0, 0.9));
        self.fixed.min(fraction).mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_at() -> DateTime<Utc> {
        DateTime::from_timestamp(1_000_000, 0).unwrap()
    }

    fn jwt(payload: &str) -> FlowToken {
        let token = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload));
        FlowToken { access_token: Some(token.into()), ..FlowToken::default() }
    }

    #[test]
    fn sources_are_tried_in_order_and_nonsense_is_passed_over() {
        let check = |token: FlowToken, fallback: Fallback, expected: Option<(i64, ExpirySource)>| {
            let found = expiry(&token, left_at(), fallback).map(|(at, source)| (at.timestamp() - 1_000_000, source));
            assert_eq!(found, expected, "{token:?} {fallback:?}");
        };
        let none = Fallback::default();
        let both = Fallback { default: Some(70), learned: Some(80) };
        let times = |expires_in, expires_at| FlowToken { expires_in, expires_at, ..jwt(r#"{"exp":1000300}"#) };
        check(times(Some(10), Some(1_000_020)), both, Some((10, ExpirySource::ExpiresIn)));
        check(times(None, Some(1_000_020)), both, Some((20, ExpirySource::ExpiresAt)));
        check(times(Some(0), Some(999_999)), both, Some((300, ExpirySource::Jwt)));
        check(times(None, Some(u64::MAX)), none, Some((300, ExpirySource::Jwt)));
        check(jwt(r#"{"exp":1000300.9}"#), none, Some((300, ExpirySource::Jwt)));
        check(jwt(r#"{"exp":5}"#), both, Some((70, ExpirySource::Default)));
        check(jwt(r#"{"exp":"soon"}"#), both, Some((70, ExpirySource::Default)));
        check(jwt("no json"), Fallback { default: None, learned: Some(80) }, Some((80, ExpirySource::Learned)));
        check(FlowToken::default(), none, None);
        check(FlowToken { access_token: Some("opaque.a".into()), ..FlowToken::default() }, none, None);
        assert!(expiry(&FlowToken { expires_in: Some(u64::MAX), ..FlowToken::default() }, left_at(), none).is_some());
    }

    #[test]
    fn the_margin_is_the_smaller_of_both_and_jitter_only_shortens_it() {
        let margin = Margin::default();
        assert_eq!(margin.of(Duration::from_secs(3600), 0.0), Duration::from_secs(120));
        assert_eq!(margin.of(Duration::from_secs(10), 0.0), Duration::from_secs(2));
        assert_eq!(margin.of(Duration::from_secs(3600), 1.0), Duration::from_secs(90));
        assert_eq!(margin.of(Duration::ZERO, 0.5), Duration::ZERO);
    }
}
