//! How a flow behaves: faults counted until it is put under quarantine, and attempts within a minute. In memory; what comes of it
//! is kept by others.

use std::collections::VecDeque;
use std::time::Duration;

/// Faults in a row, with no attempt between them that the flow brought to an end, that put a flow under quarantine.
const IN_A_ROW: u32 = 5;

/// Faults within [`LATELY`] that do so, whatever went well between them. One integration that fails again and again comes to
/// half of that, since each failure makes its callers wait longer: others shall not suffer for it.
const WITHIN: usize = 20;

/// How long a fault counts.
const LATELY: Duration = Duration::from_secs(600);

/// The time over which attempts are counted.
const MINUTE: Duration = Duration::from_secs(60);

/// What is known of one component's behaviour. Times are of the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    /// The component that it is known of: another one begins anew.
    sha256: String,
    /// Faults in a row.
    row: u32,
    /// When its faults were, the oldest first.
    faults: VecDeque<Duration>,
    /// When attempts began, the oldest first.
    attempts: VecDeque<Duration>,
}

impl Conduct {
    /// The conduct of this component.
    pub(super) fn of(&mut self, sha256: &str) -> &mut Self {
        if self.sha256 != sha256 {
            *self = Self { sha256: sha256.to_owned(), attempts: std::mem::take(&mut self.attempts), ..Self::default() };
        }
        self
    }

    /// An attempt ended as the flow wished.
    pub(super) fn behaved(&mut self) {
        self.row = 0;
    }

    /// It did something that no flow may. Says so where that is enough.
    pub(super) fn misbehaved(&mut self, now: Duration) -> Option<String> {
        self.row = self.row.saturating_add(1);
        forget(&mut self.faults, now, LATELY);
        self.faults.push_back(now);
        if self.row >= IN_A_ROW {
            return Some(format!("{} attempts in a row ended with a fault of the flow", self.row));
        }
        (self.faults.len() >= WITHIN)
            .then(|| format!("{} attempts within ten minutes ended with a fault of the flow", self.faults.len()))
    }

    /// Forgets what was done wrong.
    pub(super) fn forgive(&mut self) {
        self.row = 0;
        self.faults.clear();
    }

    /// Counts an attempt, of so many that may begin within a minute; or says after what time one may.
    pub(super) fn begin(&mut self, most: u32, now: Duration) -> Result<(), Duration> {
        forget(&mut self.attempts, now, MINUTE);
        let over = self.attempts.len().saturating_sub(most.max(1) as usize - 1);
        if let Some(earlier) = over.checked_sub(1).and_then(|index| self.attempts.get(index)) {
            return Err((*earlier + MINUTE).saturating_sub(now));
        }
        self.attempts.push_back(now);
        Ok(())
    }
}

/// Forgets what is older than that.
fn forget(times: &mut VecDeque<Duration>, now: Duration, age: Duration) {
    while times.front().is_some_and(|time| now.saturating_sub(*time) >= age) {
        times.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn five_faults_in_a_row_are_enough() {
        let mut conduct = Conduct::default();
        for round in 0..3 {
            for _ in 1..IN_A_ROW {
                assert!(conduct.misbehaved(at(round * 700)).is_none());
            }
            conduct.behaved();
        }
        let faults = (0..IN_A_ROW).map(|_| conduct.misbehaved(at(10_000))).collect::<Vec<_>>();
        assert!(faults[3].is_none() && faults[4].as_ref().is_some_and(|said| said.starts_with("5 attempts in a row")));
        conduct.forgive();
        assert!(conduct.misbehaved(at(10_001)).is_none());
    }

    #[test]
    fn twenty_within_ten_minutes_are_enough_whatever_goes_well_between() {
        let mut conduct = Conduct::default();
        let mut fault = |seconds| {
            conduct.behaved();
            conduct.misbehaved(at(seconds))
        };
        // One every 31 s are never twenty within ten minutes, one every 30 s are.
        assert!((0..100).all(|index| fault(index * 32).is_none()));
        let said = (0..20).map(|index| fault(10_000 + index * 30)).collect::<Vec<_>>();
        assert!(said[..19].iter().all(Option::is_none) && said[19].is_some(), "{said:?}");
    }

    #[test]
    fn another_component_begins_anew_but_for_the_rate() {
        let mut conduct = Conduct::default();
        for _ in 0..4 {
            assert!(conduct.of("a").misbehaved(at(0)).is_none());
        }
        conduct.of("a").begin(1, at(0)).unwrap();
        assert!(conduct.of("b").misbehaved(at(1)).is_none());
        assert_eq!(conduct.of("b").begin(1, at(1)), Err(at(59)));
    }

    #[test]
    fn attempts_within_a_minute_are_counted() {
        let mut conduct = Conduct::default();
        conduct.begin(2, at(0)).unwrap();
        conduct.begin(2, at(30)).unwrap();
        assert_eq!(conduct.begin(2, at(40)), Err(at(20)));
        conduct.begin(2, at(60)).unwrap();
        assert_eq!(conduct.begin(2, at(60)), Err(at(30)));
        // The limit was lowered.
        assert_eq!(conduct.begin(1, at(61)), Err(at(59)));
        conduct.begin(3, at(61)).unwrap();
    }
}
