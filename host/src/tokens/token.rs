//! A token as it is served: the values, and what is known of its life in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use super::expiry::{ExpirySource, Margin};
use crate::clock::Clock;
use crate::flows::step::Placing;

/// One generation of a token.
#[derive(Clone, Debug)]
pub struct Token {
    /// RFC 6749 section 1.4. None: what requests carry is made from the integration's own secrets.
    pub access_token: Option<SecretString>,
    /// RFC 6749 section 1.5.
    pub refresh_token: Option<SecretString>,
    /// RFC 6749 section 7.1; `Bearer` where the provider said nothing.
    pub token_type: String,
    /// Space-separated.
    pub scope: Option<String>,
    /// When the request for it left.
    pub created_at: DateTime<Utc>,
    /// When it ends, if that is known.
    pub expires_at: Option<DateTime<Utc>>,
    /// How that is known.
    pub expiry_source: Option<ExpirySource>,
    /// When the refresh token ends, if that is known.
    pub refresh_expires_at: Option<DateTime<Utc>>,
    /// What else the provider sent along and is no secret.
    pub values: Vec<(String, String)>,
    /// What else it sent along and is secret.
    pub secrets: Vec<(String, SecretString)>,
    /// How it goes into a request to the service.
    pub placing: Placing,
    /// Whether it was made here, without a request: then it is of the integration as it was at that time.
    pub local: bool,
    /// The number of this token within its key.
    pub generation: u64,
}

impl Token {
    /// The secrets that it brings along, by the names under which a flow may place them: `token.NAME`. The refresh token is
    /// not among them: no service gets that.
    pub fn secrets(&self) -> impl Iterator<Item = (String, &SecretString)> {
        let access = self.access_token.iter().map(|token| ("token.access_token".to_owned(), token));
        access.chain(self.secrets.iter().map(|(name, value)| (format!("token.{name}"), value)))
    }
}

/// A token that a person enters.
#[derive(Clone, Debug)]
pub struct ManualToken {
    /// The token itself.
    pub access_token: SecretString,
    /// What to renew it with.
    pub refresh_token: Option<SecretString>,
    /// `Bearer` where absent.
    pub token_type: Option<String>,
    /// Space-separated.
    pub scope: Option<String>,
    /// Seconds from `created_at` (or from now).
    pub expires_in: Option<u64>,
    /// Used where there is no `expires_in`.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was given; now where absent.
    pub created_at: Option<DateTime<Utc>>,
}

/// A token as a caller gets it.
#[derive(Clone, Debug)]
pub struct Served {
    /// The token.
    pub token: Arc<Token>,
    /// Whole seconds left, rounded down; none where the end isn't known.
    pub expires_in: Option<u64>,
}

/// A committed token in memory, with its times on the monotonic clock.
///
/// It counts as valid while both clocks say so: the monotonic one guards against a wall clock that steps back, the wall clock
/// against a machine that slept.
#[derive(Debug)]
pub(super) struct Live {
    /// The token.
    pub(super) token: Arc<Token>,
    /// Its whole lifetime less the margin: the most that a caller may ask for. None: it doesn't end.
    promise: Option<Duration>,
    /// When it ends, on the monotonic clock.
    ends: Option<Duration>,
    /// How long before its end it is renewed.
    margin: Duration,
    /// Whether it was served; only then is it renewed ahead of time.
    served: AtomicBool,
    /// No renewal behind a caller's back before this many milliseconds on the monotonic clock.
    quiet_until: AtomicU64,
}

impl Live {
    /// A token in memory.
    pub(super) fn new(token: Arc<Token>, clock: &dyn Clock, margin: Margin, jitter: f64) -> Self {
        let (now, elapsed) = (clock.now(), clock.elapsed());
        let lifetime = token.expires_at.map(|end| (end - token.created_at).to_std().unwrap_or_default());
        let margin = lifetime.map(|lifetime| margin.of(lifetime, jitter)).unwrap_or_default();
        // A wall clock that stepped back since the token was got can't lengthen its life.
        let left = |end: DateTime<Utc>| (end - now).to_std().unwrap_or_default().min(lifetime.unwrap_or_default());
        Self {
            ends: token.expires_at.map(|end| elapsed + left(end)),
            promise: lifetime.map(|lifetime| lifetime.saturating_sub(margin)),
            margin,
            token,
            served: AtomicBool::new(false),
            quiet_until: AtomicU64::new(0),
        }
    }

    /// The token's number.
    pub(super) fn generation(&self) -> u64 {
        self.token.generation
    }

    /// Time left; none where the end isn't known.
    pub(super) fn remaining(&self, clock: &dyn Clock) -> Option<Duration> {
        let ends = self.ends?;
        let wall = self.token.expires_at.map(|end| (end - clock.now()).to_std().unwrap_or_default());
        let monotonic = ends.saturating_sub(clock.elapsed());
        Some(wall.map_or(monotonic, |wall| wall.min(monotonic)))
    }

    /// How good the token is for a caller that needs it for `min_ttl`.
    pub(super) fn quality(&self, remaining: Option<Duration>, min_ttl: Duration) -> Quality {
        let Some(remaining) = remaining else { return Quality::Good };
        let needed = self.promise.map_or(min_ttl, |promise| min_ttl.min(promise));
        if remaining.is_zero() {
            Quality::Ended
        } else if remaining < needed {
            Quality::TooShort
        } else if remaining <= self.margin {
            Quality::Ageing
        } else {
            Quality::Good
        }
    }

    /// What a caller gets. Says whether it is the first to be served this token.
    pub(super) fn serve(&self, remaining: Option<Duration>) -> (Served, bool) {
        let first = !self.served.load(Ordering::Relaxed) && !self.served.swap(true, Ordering::Relaxed);
        (Served { token: Arc::clone(&self.token), expires_in: remaining.map(|left| left.as_secs()) }, first)
    }

    /// When it is due for renewal, from now; none where the end isn't known.
    pub(super) fn due_in(&self, clock: &dyn Clock) -> Option<Duration> {
        self.remaining(clock).map(|remaining| remaining.saturating_sub(self.margin))
    }

    /// Keeps callers from starting renewals behind their backs for a while, after one has failed.
    pub(super) fn hush(&self, clock: &dyn Clock, time: Duration) {
        let until = u64::try_from((clock.elapsed() + time).as_millis()).unwrap_or(u64::MAX);
        self.quiet_until.store(until, Ordering::Relaxed);
    }

    /// Whether a renewal may start behind a caller's back.
    pub(super) fn may_renew(&self, clock: &dyn Clock) -> bool {
        clock.elapsed().as_millis() >= u128::from(self.quiet_until.load(Ordering::Relaxed))
    }
}

/// How good a token is for one caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quality {
    /// Serve it.
    Good,
    /// Serve it, and renew behind.
    Ageing,
    /// Valid, but not for as long as the caller needs.
    TooShort,
    /// Over.
    Ended,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TestClock;

    fn token(created_at: DateTime<Utc>, lifetime: Option<i64>) -> Arc<Token> {
        Arc::new(Token {
            access_token: Some("t".into()),
            refresh_token: None,
            token_type: "Bearer".into(),
            scope: None,
            created_at,
            expires_at: lifetime.map(|seconds| created_at + chrono::TimeDelta::seconds(seconds)),
            expiry_source: None,
            refresh_expires_at: None,
            values: Vec::new(),
            secrets: Vec::new(),
            placing: Placing::default(),
            local: false,
            generation: 1,
        })
    }

    #[test]
    fn quality_follows_both_clocks() {
        let start = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let clock = TestClock::at(start);
        let live = Live::new(token(start, Some(100)), &*clock, Margin::default(), 0.0);
        let check = |min_ttl: u64, expected: Quality| {
            let remaining = live.remaining(&*clock);
            assert_eq!(live.quality(remaining, Duration::from_secs(min_ttl)), expected, "{remaining:?} for {min_ttl}");
        };
        check(0, Quality::Good);
        check(1_000, Quality::Good); // capped at what a fresh token can promise: 80 s
        clock.advance(Duration::from_secs(30));
        check(70, Quality::Good);
        check(71, Quality::TooShort);
        check(1_000, Quality::TooShort);
        clock.step_to(start - chrono::TimeDelta::hours(1)); // back: the monotonic clock still counts
        clock.advance(Duration::from_secs(55));
        check(10, Quality::Ageing);
        clock.advance(Duration::from_secs(15));
        check(0, Quality::Ended);
        let clock = TestClock::at(start);
        let live = Live::new(token(start, Some(100)), &*clock, Margin::default(), 0.0);
        clock.step_to(start + chrono::TimeDelta::seconds(99)); // forward: the machine may have slept
        assert_eq!(live.remaining(&*clock), Some(Duration::from_secs(1)));
    }

    #[test]
    fn a_token_without_an_end_is_good_until_rejected() {
        let start = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let clock = TestClock::at(start);
        let live = Live::new(token(start, None), &*clock, Margin::default(), 0.0);
        clock.advance(Duration::from_secs(1 << 30));
        assert_eq!(live.quality(live.remaining(&*clock), Duration::from_secs(60)), Quality::Good);
        assert_eq!(live.due_in(&*clock), None);
    }

    #[test]
    fn only_the_first_caller_is_the_first() {
        let start = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let live = Live::new(token(start, Some(100)), &*TestClock::at(start), Margin::default(), 0.0);
        assert!(live.serve(None).1);
        assert!(!live.serve(None).1);
    }
}
