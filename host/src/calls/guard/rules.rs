//! Whether a service may be asked now: decided from its settings, what became of the last requests, and the time.
//!
//! Pure: it counts no requests under way, waits for nothing and asks no clock.

use std::time::Duration;

use crate::integrations::{Breaker, Rate};

/// The longest rest that a service's `Retry-After` can cause: a typo of theirs shall not stop an integration for ever.
const LONGEST_REST: Duration = Duration::from_secs(3600);

/// How long one request tries a service alone. A caller that neither gets an answer nor goes away holds nobody up for longer.
const PROBE_TIME: Duration = Duration::from_secs(120);

/// What is known of a service. Times are those of [`Clock::elapsed`](crate::clock::Clock::elapsed).
#[derive(Clone, Debug, Default)]
pub(super) struct Condition {
    /// Failures in a row.
    failures: u32,
    /// Whether the breaker is closed.
    breaker: State,
    /// Until when the service wants to be left alone, and whether it said that there were too many requests.
    rest: Option<(Duration, bool)>,
    /// When the bucket of the rate would be full, if nothing came (the theoretical arrival time of GCRA).
    full_at: Duration,
}

/// The state of a breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Requests go to the service.
    #[default]
    Closed,
    /// None do, until then.
    Open(Duration),
    /// One does, since then.
    Probing(Duration),
}

/// Leave to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// Like any other request.
    Plain,
    /// As the one that tries whether the service is back.
    Probe,
}

/// Why a service isn't asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It failed too often, and has a rest.
    Failing(Duration),
    /// It said when to come again, since it can't serve now.
    Resting(Duration),
    /// It said when to come again, since there were too many requests.
    Pressed(Duration),
    /// The integration's rate is used up.
    TooFast(Duration),
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was answered, with whatever but the following.
    Answered,
    /// It couldn't be reached, took too long, broke off or answered 5xx.
    Failed,
    /// It answered 503 or 429 (`true`), and says when to come again.
    Sent(Duration, bool),
    /// Nobody waited for its end.
    Abandoned,
}

impl Condition {
    /// Whether the service may be asked now. A leave is to be given back by [`end`](Self::end).
    pub(super) fn ask(&mut self, breaker: Breaker, rate: Option<Rate>, now: Duration) -> Result<Leave, Refused> {
        if let Some((until, pressed)) = self.rest {
            match until.checked_sub(now).filter(|left| !left.is_zero()) {
                Some(left) if pressed => return Err(Refused::Pressed(left)),
                Some(left) => return Err(Refused::Resting(left)),
                None => self.rest = None,
            }
        }
        let leave = match self.breaker {
            _ if breaker.failures == 0 => Leave::Plain,
            State::Closed => Leave::Plain,
            State::Open(until) if now < until => return Err(Refused::Failing(until.saturating_sub(now))),
            State::Probing(since) if now < since + PROBE_TIME => {
                return Err(Refused::Failing(Duration::from_secs(1)));
            }
            State::Open(_) | State::Probing(_) => Leave::Probe,
        };
        if let Some(rate) = rate {
            self.spend(rate, now)?;
        }
        if leave == Leave::Probe {
            self.breaker = State::Probing(now);
        }
        Ok(leave)
    }

    /// Takes one request out of the bucket, which holds as many as are allowed in a period.
    fn spend(&mut self, rate: Rate, now: Duration) -> Result<(), Refused> {
        let period = Duration::from_secs(rate.seconds);
        let each = period / rate.requests.max(1);
        let full_at = self.full_at.max(now) + each;
        // A whole period's worth may come at once.
        match full_at.checked_sub(now + period).filter(|wait| !wait.is_zero()) {
            Some(wait) => Err(Refused::TooFast(wait)),
            None => {
                self.full_at = full_at;
                Ok(())
            }
        }
    }

    /// Takes in what became of a request.
    pub(super) fn end(&mut self, leave: Leave, ended: Ended, breaker: Breaker, now: Duration) {
        match ended {
            Ended::Answered => {
                self.failures = 0;
                self.breaker = State::Closed;
            }
            Ended::Sent(after, pressed) => {
                // It is there and says what it wants, which is no failure.
                self.failures = 0;
                self.breaker = State::Closed;
                let until = now + after.min(LONGEST_REST);
                if self.rest.is_none_or(|(earlier, _)| earlier < until) {
                    self.rest = Some((until, pressed));
                }
            }
            Ended::Failed => {
                self.failures = self.failures.saturating_add(1);
                let is_open = matches!(self.breaker, State::Open(_));
                if breaker.failures > 0 && !is_open && (leave == Leave::Probe || self.failures >= breaker.failures) {
                    self.breaker = State::Open(now + Duration::from_secs(breaker.seconds));
                }
            }
            // The next one may try at once.
            Ended::Abandoned if leave == Leave::Probe && matches!(self.breaker, State::Probing(_)) => {
                self.breaker = State::Open(now);
            }
            Ended::Abandoned => {}
        }
    }

    /// The breaker's state: an open one whose time is over lets the next request try.
    pub(super) fn state(&self) -> State {
        self.breaker
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// How long the service is still left alone.
    pub(super) fn rests_for(&self, now: Duration) -> Option<Duration> {
        let rest = self.rest.map(|(until, _)| until);
        let open = match self.breaker {
            State::Open(until) => Some(until),
            _ => None,
        };
        rest.max(open).and_then(|until| until.checked_sub(now)).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens at a second: a question and its outcome, or an end.
    enum Event {
        Ask(Result<Leave, Refused>),
        End(Leave, Ended),
    }

    use Ended::{Abandoned, Answered, Failed, Sent};
    use Event::{Ask, End};
    use Leave::{Plain, Probe};
    use Refused::{Failing, Pressed, Resting, TooFast};

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[track_caller]
    fn check(name: &str, breaker: Breaker, rate: Option<Rate>, events: &[(u64, Event)]) {
        let mut condition = Condition::default();
        for (number, (second, event)) in events.iter().enumerate() {
            match event {
                Ask(expected) => {
                    assert_eq!(condition.ask(breaker, rate, s(*second)), *expected, "{name}, event {number}");
                }
                End(leave, ended) => condition.end(*leave, *ended, breaker, s(*second)),
            }
        }
    }

    #[test]
    fn a_breaker_opens_tries_and_closes() {
        let breaker = Breaker { failures: 3, seconds: 30 };
        let failed = || (0, End(Plain, Failed));
        check(
            "opens after three",
            breaker,
            None,
            &[
                (0, Ask(Ok(Plain))),
                failed(),
                failed(),
                (0, Ask(Ok(Plain))),
                failed(),
                (1, Ask(Err(Failing(s(29))))),
                (29, Ask(Err(Failing(s(1))))),
            ],
        );
        check(
            "an answer between starts anew",
            breaker,
            None,
            &[failed(), failed(), (0, End(Plain, Answered)), failed(), failed(), (0, Ask(Ok(Plain)))],
        );
        check(
            "one tries, and closes it",
            breaker,
            None,
            &[
                failed(),
                failed(),
                failed(),
                (30, Ask(Ok(Probe))),
                (31, Ask(Err(Failing(s(1))))),
                (32, End(Probe, Answered)),
                (32, Ask(Ok(Plain))),
                (33, End(Plain, Failed)),
                (33, Ask(Ok(Plain))),
            ],
        );
        check(
            "one tries, and opens it again",
            breaker,
            None,
            &[
                failed(),
                failed(),
                failed(),
                (30, Ask(Ok(Probe))),
                (32, End(Probe, Failed)),
                (33, Ask(Err(Failing(s(29))))),
                (62, Ask(Ok(Probe))),
            ],
        );
        check(
            "who tries and goes away leaves it to the next",
            breaker,
            None,
            &[failed(), failed(), failed(), (30, Ask(Ok(Probe))), (31, End(Probe, Abandoned)), (31, Ask(Ok(Probe)))],
        );
        check(
            "who tries for ever holds nobody up",
            breaker,
            None,
            &[
                failed(),
                failed(),
                failed(),
                (30, Ask(Ok(Probe))),
                (149, Ask(Err(Failing(s(1))))),
                (150, Ask(Ok(Probe))),
            ],
        );
        check(
            "late failures don't prolong it",
            breaker,
            None,
            &[failed(), failed(), failed(), (20, End(Plain, Failed)), (30, Ask(Ok(Probe)))],
        );
        check(
            "a late answer closes it",
            breaker,
            None,
            &[failed(), failed(), failed(), (20, End(Plain, Answered)), (20, Ask(Ok(Plain)))],
        );
        let never = Breaker { failures: 0, seconds: 30 };
        check("never", never, None, &[failed(), failed(), failed(), failed(), (0, Ask(Ok(Plain)))]);
    }

    #[test]
    fn what_a_service_says_is_respected() {
        let breaker = Breaker { failures: 1, seconds: 30 };
        check(
            "429",
            breaker,
            None,
            &[(0, End(Plain, Sent(s(10), true))), (1, Ask(Err(Pressed(s(9))))), (10, Ask(Ok(Plain)))],
        );
        check(
            "503, and the later time counts",
            breaker,
            None,
            &[(0, End(Plain, Sent(s(10), false))), (0, End(Plain, Sent(s(5), true))), (1, Ask(Err(Resting(s(9)))))],
        );
        check(
            "not for ever",
            breaker,
            None,
            &[(0, End(Plain, Sent(s(1 << 40), false))), (1, Ask(Err(Resting(s(3599))))), (3600, Ask(Ok(Plain)))],
        );
    }

    #[test]
    fn a_rate_allows_so_many_at_once_and_then_one_by_one() {
        let rate = Some(Rate { requests: 2, seconds: 10 });
        check(
            "rate",
            Breaker::default(),
            rate,
            &[
                (0, Ask(Ok(Plain))),
                (0, Ask(Ok(Plain))),
                (0, Ask(Err(TooFast(s(5))))),
                (4, Ask(Err(TooFast(s(1))))),
                (5, Ask(Ok(Plain))),
                (5, Ask(Err(TooFast(s(5))))),
                (100, Ask(Ok(Plain))),
                (100, Ask(Ok(Plain))),
                (100, Ask(Err(TooFast(s(5))))),
            ],
        );
        let breaker = Breaker { failures: 1, seconds: 1 };
        let rate = Some(Rate { requests: 1, seconds: 100 });
        check(
            "a probe that the rate refuses is none",
            breaker,
            rate,
            &[(0, Ask(Ok(Plain))), (0, End(Plain, Failed)), (50, Ask(Err(TooFast(s(50))))), (100, Ask(Ok(Probe)))],
        );
    }

    #[test]
    fn how_long_a_service_rests_is_told() {
        let mut condition = Condition::default();
        assert_eq!(condition.rests_for(s(0)), None);
        condition.end(Plain, Failed, Breaker { failures: 1, seconds: 30 }, s(0));
        assert_eq!((condition.rests_for(s(10)), condition.failures()), (Some(s(20)), 1));
        assert_eq!(condition.state(), State::Open(s(30)));
        assert_eq!(condition.rests_for(s(30)), None);
    }
}
