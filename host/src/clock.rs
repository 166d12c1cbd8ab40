//! What time it is. The only place that asks the operating system, so that tests can set it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// A wall clock, which may step, and a monotonic one, which may not.
pub trait Clock: Send + Sync {
    /// The wall clock's time.
    fn now(&self) -> DateTime<Utc>;

    /// Time since some fixed moment of this process. Never steps back.
    fn elapsed(&self) -> Duration;
}

/// A clock that rooms share.
pub type SharedClock = Arc<dyn Clock>;

/// The operating system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    /// The fixed moment that [`Clock::elapsed`] counts from.
    origin: Instant,
}

impl SystemClock {
    /// A clock whose `elapsed` starts now.
    pub fn shared() -> SharedClock {
        Arc::new(Self { origin: Instant::now() })
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that may")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct TestClock {
    /// Wall time and monotonic time.
    times: std::sync::Mutex<(DateTime<Utc>, Duration)>,
}

impl TestClock {
    /// A clock at this wall time.
    pub fn at(now: DateTime<Utc>) -> Arc<Self> {
        Arc::new(Self { times: std::sync::Mutex::new((now, Duration::ZERO)) })
    }

    /// Lets time pass on both clocks.
    pub fn advance(&self, by: Duration) {
        let mut times = self.times.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        times.0 += by;
        times.1 += by;
    }

    /// Steps the wall clock alone, as an operator or a time server does.
    pub fn step_to(&self, now: DateTime<Utc>) {
        self.times.lock().unwrap_or_else(std::sync::PoisonError::into_inner).0 = now;
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        self.times.lock().unwrap_or_else(std::sync::PoisonError::into_inner).0
    }

    fn elapsed(&self) -> Duration {
        self.times.lock().unwrap_or_else(std::sync::PoisonError::into_inner).1
    }
}
