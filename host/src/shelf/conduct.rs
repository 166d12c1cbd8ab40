//! How a flow behaves: faults counted until it is put under quarantine, and attempts within a minute. In memory; what comes of it
//! is kept by others.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// Faults in a row, with no attempt between them that the flow brought to an end, that put a flow under quarantine.
const IN_A_ROW: usize = 5;

/// Faults within [`LATELY`] that do so, whatever went well between them.
const WITHIN: usize = 20;

/// How long a fault counts.
const LATELY: Duration = Duration::from_secs(600);

/// The time over which attempts are counted.
const MINUTE: Duration = Duration::from_secs(60);

/// Integrations that are remembered because a component served them well.
const REMEMBERED: usize = 16;

/// What is known of one component's behaviour. Times are of the monotonic clock.
///
/// Where a component serves other integrations well, the faults of one are none of a kind that quarantine is for: its provider may
/// have answered oddly, and each failure makes its callers wait longer anyway. The others shall not suffer for it.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    /// The component that it is known of: another one begins anew.
    sha256: String,
    /// Faults in a row.
    row: usize,
    /// Its last faults, at most [`WITHIN`], the oldest first: when, and with which integration.
    faults: VecDeque<(Duration, String)>,
    /// Some integrations that it served well.
    served: BTreeSet<String>,
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

    /// An attempt for an integration ended as the flow wished.
    pub(super) fn behaved(&mut self, integration: &str) {
        self.row = 0;
        if self.served.len() < REMEMBERED && !self.served.contains(integration) {
            self.served.insert(integration.to_owned());
        }
    }

    /// It did something that no flow may. Says so where that is enough.
    pub(super) fn misbehaved(&mut self, integration: &str, now: Duration) -> Option<String> {
        self.row += 1;
        while self.faults.len() >= WITHIN
            || self.faults.front().is_some_and(|(time, _)| now.saturating_sub(*time) >= LATELY)
        {
            self.faults.pop_front();
        }
        self.faults.push_back((now, integration.to_owned()));
        if self.row >= IN_A_ROW && !self.is_ones_own(IN_A_ROW) {
            return Some(format!("{} attempts in a row ended with a fault of the flow", self.row));
        }
        (self.faults.len() >= WITHIN && !self.is_ones_own(WITHIN))
            .then(|| format!("{WITHIN} attempts within ten minutes ended with a fault of the flow"))
    }

    /// Whether the last so many faults were with one integration, while others are served well.
    fn is_ones_own(&self, last: usize) -> bool {
        let Some((_, integration)) = self.faults.back() else { return false };
        let alone = self.faults.iter().rev().take(last).all(|(_, other)| other == integration);
        alone && self.served.iter().any(|served| served != integration)
    }

    /// Forgets what was done wrong.
    pub(super) fn forgive(&mut self) {
        self.row = 0;
        self.faults.clear();
    }

    /// Counts an attempt, of so many that may begin within a minute; or says after what time one may.
    pub(super) fn begin(&mut self, most: u32, now: Duration) -> Result<(), Duration> {
        while self.attempts.front().is_some_and(|time| now.saturating_sub(*time) >= MINUTE) {
            self.attempts.pop_front();
        }
        let over = self.attempts.len().saturating_sub(most.max(1) as usize - 1);
        if let Some(earlier) = over.checked_sub(1).and_then(|index| self.attempts.get(index)) {
            return Err((*earlier + MINUTE).saturating_sub(now));
        }
        self.attempts.push_back(now);
        Ok(())
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
                assert!(conduct.misbehaved("a", at(round * 700)).is_none());
            }
            conduct.behaved("a");
        }
        let faults = (0..IN_A_ROW).map(|_| conduct.misbehaved("a", at(10_000))).collect::<Vec<_>>();
        assert!(faults[3].is_none() && faults[4].as_ref().is_some_and(|said| said.starts_with("5 attempts in a row")));
        conduct.forgive();
        assert!(conduct.misbehaved("a", at(10_001)).is_none());
    }

    #[test]
    fn twenty_within_ten_minutes_are_enough_whatever_goes_well_between() {
        let mut conduct = Conduct::default();
        let mut fault = |index: u64, seconds| {
            conduct.behaved("c");
            conduct.misbehaved(if index.is_multiple_of(2) { "a" } else { "b" }, at(seconds))
        };
        // One every 31 s are never twenty within ten minutes, one every 30 s are.
        assert!((0..100).all(|index| fault(index, index * 32).is_none()));
        let said = (0..20).map(|index| fault(index, 10_000 + index * 30)).collect::<Vec<_>>();
        assert!(said[..19].iter().all(Option::is_none) && said[19].is_some(), "{said:?}");
    }

    #[test]
    fn one_integrations_faults_are_its_own_while_others_are_served_well() {
        let mut conduct = Conduct::default();
        conduct.behaved("good");
        assert!((0..50).all(|_| conduct.misbehaved("odd", at(0)).is_none()));
        assert!(conduct.misbehaved("good", at(1)).is_some());
        // Where it serves nobody else, there is nobody to suffer.
        let mut conduct = Conduct::default();
        conduct.behaved("odd");
        assert!((1..IN_A_ROW).all(|_| conduct.misbehaved("odd", at(0)).is_none()));
        assert!(conduct.misbehaved("odd", at(0)).is_some());
    }

    #[test]
    fn another_component_begins_anew_but_for_the_rate() {
        let mut conduct = Conduct::default();
        for _ in 0..4 {
            assert!(conduct.of("a").misbehaved("x", at(0)).is_none());
        }
        conduct.of("a").begin(1, at(0)).unwrap();
        assert!(conduct.of("b").misbehaved("x", at(1)).is_none());
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
