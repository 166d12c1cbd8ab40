//! When a request is sent once more, and after how long.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use rand::RngExt as _;

use crate::Error;

/// The first wait of our own making; it doubles.
const FIRST: Duration = Duration::from_millis(250);
/// The longest.
const LONGEST: Duration = Duration::from_secs(5);

/// What the daemon answers where it has sent nothing to the service.
const NOTHING_SENT: [&str; 5] =
    ["too_many_calls", "service_unavailable", "token_failed", "token_pending", "unavailable"];

/// A wait under way.
pub type Pause<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Time as the client sees it, so that tests can set it.
pub trait Time: Send + Sync {
    /// Time since some fixed moment. Never steps back.
    fn elapsed(&self) -> Duration;

    /// Waits.
    fn sleep(&self, duration: Duration) -> Pause<'_>;
}

/// The operating system's clock and tokio's timer.
pub(crate) struct SystemTime(pub(crate) Instant);

impl Time for SystemTime {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Pause<'_> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Whether the same request may be sent once more after this failure.
pub(crate) fn may_repeat(error: &Error, repeatable: bool) -> bool {
    match error {
        Error::Problem(problem) => {
            let code = problem.code.as_deref();
            matches!(problem.status, 429 | 502 | 503)
                && code != Some("too_soon")
                && (repeatable || code.is_some_and(|code| NOTHING_SENT.contains(&code)))
        }
        Error::Unreachable(unreachable) => repeatable || !unreachable.sent,
        Error::BadAnswer(_) | Error::Unusable(_) => false,
    }
}

/// How long to wait after so many attempts (1 or more). Part of it is random, so that callers don't return in step.
pub(crate) fn wait(attempt: u32, error: &Error) -> Duration {
    let asked = error.problem().and_then(|problem| problem.retry_after).filter(|asked| !asked.is_zero());
    match asked {
        Some(asked) => asked.mul_f64(rand::rng().random_range(1.0..=1.1)),
        None => FIRST
            .saturating_mul(1 << attempt.saturating_sub(1).min(16))
            .min(LONGEST)
            .mul_f64(rand::rng().random_range(0.5..=1.0)),
    }
}
