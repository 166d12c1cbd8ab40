//! How long to wait after failures: per token, and per provider host. Pure but for the buckets.

use std::time::Duration;

use dashmap::DashMap;
use rand::RngExt as _;

use crate::clock::SharedClock;

/// The wait after the first failure; it doubles with each further one.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait of our own making.
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// The longest wait that a provider's `Retry-After` can cause: a typo of theirs shall not stop an integration for ever.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 60 * 60);

/// The wait after so many failures in a row (1 or more). A quarter of it is random, so that integrations don't return in step.
pub(super) fn wait(failures: u32, asked: Option<Duration>) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST);
    let jittered = doubled.mul_f64(rand::rng().random_range(0.75..=1.0));
    asked.map_or(jittered, |asked| asked.min(LONGEST_ASKED).max(jittered))
}

/// Repeats after failures that one provider host gets at once, over all integrations.
const BURST: f64 = 20.0;
/// And how many more each second.
const PER_SECOND: f64 = 2.0;
/// Buckets kept; beyond that, full ones are forgotten.
const HOSTS: usize = 10_000;

/// A bucket per provider host. It limits repeats after failures, never an integration's first attempt.
pub(super) struct Budget {
    /// The clock that refills the buckets.
    clock: SharedClock,
    /// By host: what is left, and when that was.
    buckets: DashMap<String, (f64, Duration)>,
}

impl Budget {
    /// Full buckets for everyone.
    pub(super) fn new(clock: SharedClock) -> Self {
        Self { clock, buckets: DashMap::new() }
    }

    /// Takes one repeat for this host, or says how long to wait for one.
    pub(super) fn take(&self, host: &str) -> Result<(), Duration> {
        let now = self.clock.elapsed();
        let level = |(left, at): (f64, Duration)| (left + now.saturating_sub(at).as_secs_f64() * PER_SECOND).min(BURST);
        if self.buckets.len() >= HOSTS {
            self.buckets.retain(|_, bucket| level(*bucket) < BURST);
        }
        let mut bucket = self.buckets.entry(host.to_owned()).or_insert((BURST, now));
        let left = level(*bucket);
        let taken = left >= 1.0;
        *bucket = (if taken { left - 1.0 } else { left }, now);
        if taken { Ok(()) } else { Err(Duration::from_secs_f64((1.0 - left) / PER_SECOND)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TestClock;

    #[test]
    fn waits_double_up_to_five_minutes_and_honour_the_provider() {
        for (failures, most) in [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (4_000_000_000, 300)] {
            let (wait, most) = (wait(failures, None), Duration::from_secs(most));
            assert!(wait <= most && wait >= most.mul_f64(0.75), "{failures}: {wait:?}");
        }
        assert_eq!(wait(1, Some(Duration::from_secs(90))), Duration::from_secs(90));
        assert!(wait(10, Some(Duration::from_secs(1))) >= Duration::from_secs(225));
        assert_eq!(wait(1, Some(Duration::MAX)), LONGEST_ASKED);
    }

    #[test]
    fn a_host_gets_a_burst_and_then_a_rate() {
        let clock = TestClock::at(chrono::DateTime::UNIX_EPOCH);
        let budget = Budget::new(clock.clone());
        for _ in 0..20 {
            budget.take("idp").unwrap();
        }
        assert_eq!(budget.take("idp"), Err(Duration::from_millis(500)));
        budget.take("other").unwrap();
        clock.advance(Duration::from_millis(500));
        budget.take("idp").unwrap();
        budget.take("idp").unwrap_err();
    }
}
