//! What stands between callers and a service: how many requests are under way, how fast they come, and whether the service is
//! to be left alone.
//!
//! Kept in memory alone: after a start everything is forgotten, and the service is asked. It knows no HTTP client; whoever
//! sends a request holds a [`Pass`] while it lasts, and says what became of it.

mod rules;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode, header};
use metrics::{Counter, Gauge};
use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::rules::{Condition, Ended, Leave, Refused, State};
use crate::clock::SharedClock;
use crate::integrations::{Breaker, CallSettings};
use crate::name::Name;
use crate::telemetry;

/// Integrations whose services are remembered.
const REMEMBERED: u64 = 100_000;

/// How long one is remembered that nobody calls.
const REMEMBERED_FOR: Duration = Duration::from_secs(2 * 86_400);

/// How long a request waits for others of its integration to end, where no more may be under way at once.
const TURN_TIME: Duration = Duration::from_secs(5);

/// What a caller is told to wait where nobody knows how long the others take.
const SOON: Duration = Duration::from_secs(1);

/// The services of all integrations, as far as they were called.
pub struct Guards {
    /// By the integration's name.
    guards: Cache<Name, Arc<Guard>>,
    /// What time it is.
    clock: SharedClock,
    /// Counts requests and what became of them.
    counts: Arc<Counts>,
    /// Who is told that a breaker opens (true) or closes.
    listener: Arc<OnceLock<Listener>>,
}

/// Called with an integration's name when its breaker opens (true) or closes.
type Listener = Box<dyn Fn(&Name, bool) + Send + Sync>;

/// Counters. Registered once: the hot path only increments.
struct Counts {
    /// Requests that were answered, whatever the status.
    answered: Counter,
    /// Requests that failed, or were answered 5xx.
    failed: Counter,
    /// Requests that weren't sent.
    held: Counter,
    /// Breakers that aren't closed.
    open: Gauge,
}

/// What is known of one service.
struct Guard {
    /// The integration's name.
    name: Name,
    /// Who is told that its breaker opens or closes.
    listener: Arc<OnceLock<Listener>>,
    /// What the rules look at.
    condition: Mutex<Condition>,
    /// Permits for requests under way, and of how many.
    turns: Mutex<Option<(u32, Arc<Semaphore>)>>,
    /// Requests under way.
    under_way: std::sync::atomic::AtomicU32,
    /// For the gauge.
    counts: Arc<Counts>,
}

/// Why a request isn't sent. Nothing of it has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Held {
    /// The service failed too often; in this time it is tried again.
    #[error("the service failed several times in a row and is given a rest; it is tried again in {} s", whole(.0))]
    Failing(Duration),
    /// The service asked to be left alone.
    #[error("the service answered 503 and asked to be left alone for another {} s", whole(.0))]
    Resting(Duration),
    /// The service asked for fewer requests.
    #[error("the service answered 429 and asked to be left alone for another {} s", whole(.0))]
    Pressed(Duration),
    /// The integration's rate (`settings.calls.rate`) is used up.
    #[error("the integration's rate (settings.calls.rate) is used up; the next call may be made in {} s", whole(.0))]
    TooFast(Duration),
    /// As many requests as may be (`settings.calls.concurrency`) were under way all the time.
    #[error(
        "{0} calls of this integration, as many as settings.calls.concurrency allows, were under way for {n} s; try again",
        n = TURN_TIME.as_secs()
    )]
    TooMany(u32),
}

/// Seconds, rounded up.
fn whole(time: &Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

impl Held {
    /// When to come again.
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Failing(after) | Self::Resting(after) | Self::Pressed(after) | Self::TooFast(after) => *after,
            Self::TooMany(_) => SOON,
        }
    }

    /// Whether the caller asks too much, rather than the service being unable.
    pub fn is_too_much(&self) -> bool {
        matches!(self, Self::Pressed(_) | Self::TooFast(_) | Self::TooMany(_))
    }
}

/// How a service is, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceState {
    /// `closed`, `open` or `half_open`.
    pub state: &'static str,
    /// Failures in a row.
    pub failures: u32,
    /// When it is asked again, where it isn't now.
    pub retry_at: Option<DateTime<Utc>>,
    /// Requests under way.
    pub in_flight: u32,
}

impl Guards {
    /// No service was called.
    pub fn new(clock: SharedClock) -> Self {
        let count = |outcome: &'static str| metrics::counter!(telemetry::SERVICE_CALLS, "outcome" => outcome);
        let counts = Counts {
            answered: count("answered"),
            failed: count("failed"),
            held: count("held"),
            open: metrics::gauge!(telemetry::SERVICES_OPEN),
        };
        let guards = Cache::builder().max_capacity(REMEMBERED).time_to_idle(REMEMBERED_FOR).build();
        Self { guards, clock, counts: Arc::new(counts), listener: Arc::default() }
    }

    /// Has it told from now on that breakers open and close. The first one who asks is told.
    pub(super) fn listen(&self, listener: Listener) {
        drop(self.listener.set(listener));
    }

    /// Lets a request to an integration's service through, waiting for its turn where need be.
    ///
    /// # Errors
    /// It isn't to be sent now.
    pub async fn enter(&self, integration: &Name, settings: &CallSettings) -> Result<Pass, Held> {
        let guard = match self.guards.get(integration) {
            Some(guard) => guard,
            None => self.guards.get_with(integration.clone(), || Arc::new(Guard::new(integration, self))),
        };
        let entered = guard.enter(settings, &self.clock).await;
        if entered.is_err() {
            self.counts.held.increment(1);
        }
        entered
    }

    /// How an integration's service is.
    pub fn state(&self, integration: &Name) -> ServiceState {
        let Some(guard) = self.guards.get(integration) else {
            return ServiceState { state: "closed", failures: 0, retry_at: None, in_flight: 0 };
        };
        let condition = guard.condition().clone();
        let rests_for = condition.rests_for(self.clock.elapsed());
        ServiceState {
            state: match condition.state() {
                State::Closed => "closed",
                State::Open(_) if rests_for.is_some() => "open",
                State::Open(_) | State::Probing(_) => "half_open",
            },
            failures: condition.failures(),
            retry_at: rests_for
                .and_then(|left| self.clock.now().checked_add_signed(chrono::Duration::from_std(left).ok()?)),
            in_flight: guard.under_way.load(std::sync::atomic::Ordering::Relaxed),
        }
    }

    /// Forgets what became of earlier requests: another service may be behind the name now.
    pub fn forget(&self, integration: &Name) {
        self.guards.invalidate(integration);
    }
}

impl Guard {
    /// Nothing is known.
    fn new(integration: &Name, guards: &Guards) -> Self {
        Self {
            name: integration.clone(),
            listener: Arc::clone(&guards.listener),
            condition: Mutex::default(),
            turns: Mutex::default(),
            under_way: 0.into(),
            counts: Arc::clone(&guards.counts),
        }
    }

    fn condition(&self) -> MutexGuard<'_, Condition> {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a request through.
    async fn enter(self: Arc<Self>, settings: &CallSettings, clock: &SharedClock) -> Result<Pass, Held> {
        let turn = match settings.concurrency {
            None => None,
            Some(at_once) => Some(self.turn(at_once).await?),
        };
        // After the turn has come: by then the service may have failed for those before.
        let leave = self.change(|condition| condition.ask(settings.breaker, settings.rate, clock.elapsed()));
        let leave = leave.map_err(|refused| match refused {
            Refused::Failing(after) => Held::Failing(after),
            Refused::Resting(after) => Held::Resting(after),
            Refused::Pressed(after) => Held::Pressed(after),
            Refused::TooFast(after) => Held::TooFast(after),
        })?;
        self.under_way.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(Pass { guard: self, leave, breaker: settings.breaker, clock: Arc::clone(clock), told: false, _turn: turn })
    }

    /// Waits until fewer are under way.
    async fn turn(&self, at_once: u32) -> Result<OwnedSemaphorePermit, Held> {
        let turns = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            // Another setting counts from now on, beside what is under way.
            let turns = match turns.take() {
                Some((permits, semaphore)) if permits == at_once => turns.insert((permits, semaphore)),
                _ => turns.insert((at_once, Arc::new(Semaphore::new(at_once as usize)))),
            };
            Arc::clone(&turns.1)
        };
        if let Ok(turn) = Arc::clone(&turns).try_acquire_owned() {
            return Ok(turn);
        }
        match tokio::time::timeout(TURN_TIME, turns.acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Held::TooMany(at_once)),
        }
    }

    /// Changes the condition, and counts whether the breaker is closed.
    fn change<T>(&self, change: impl FnOnce(&mut Condition) -> T) -> T {
        let mut condition = self.condition();
        let was_closed = condition.state() == State::Closed;
        let changed = change(&mut condition);
        let is_closed = condition.state() == State::Closed;
        drop(condition);
        if was_closed != is_closed {
            match is_closed {
                true => self.counts.open.decrement(1.0),
                false => self.counts.open.increment(1.0),
            }
            if let Some(listener) = self.listener.get() {
                listener(&self.name, !is_closed);
            }
        }
        changed
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.condition().state() != State::Closed {
            self.counts.open.decrement(1.0);
        }
    }
}

/// Leave to send a request, and a share of what may be under way: to be kept until the answer's end.
pub struct Pass {
    /// The service's.
    guard: Arc<Guard>,
    /// What kind of leave.
    leave: Leave,
    /// The settings at its beginning.
    breaker: Breaker,
    /// What time it is.
    clock: SharedClock,
    /// Whether it was said what became of it.
    told: bool,
    /// Its share, where they are limited.
    _turn: Option<OwnedSemaphorePermit>,
}

impl Pass {
    /// Says that the answer's head has come. A 429 or 503 that names a time holds others back for it; other 5xx are failures.
    pub fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        let is_pressed = status == StatusCode::TOO_MANY_REQUESTS;
        let after = match is_pressed || status == StatusCode::SERVICE_UNAVAILABLE {
            true => {
                headers.get(header::RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, self.clock.now()))
            }
            false => None,
        };
        self.tell(match after {
            Some(after) => Ended::Sent(after, is_pressed),
            None if status.is_server_error() => Ended::Failed,
            None => Ended::Answered,
        });
    }

    /// Says that there was no answer, by no fault of the caller.
    pub fn failed(&mut self) {
        self.tell(Ended::Failed);
    }

    /// Says what became of the request. It counts once for each time that it was sent.
    fn tell(&mut self, ended: Ended) {
        match ended {
            Ended::Answered | Ended::Sent(..) => self.guard.counts.answered.increment(1),
            Ended::Failed => self.guard.counts.failed.increment(1),
            Ended::Abandoned => {}
        }
        self.told = true;
        let (leave, breaker, now) = (self.leave, self.breaker, self.clock.elapsed());
        self.guard.change(|condition| condition.end(leave, ended, breaker, now));
        self.leave = Leave::Plain;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.told {
            self.tell(Ended::Abandoned);
        }
        self.guard.under_way.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}

/// When to come again, from `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date.
fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(value).ok()?;
    Some((date.with_timezone(&Utc) - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TestClock;
    use crate::integrations::Rate;

    fn guards() -> (Arc<TestClock>, Guards, Name) {
        let clock = TestClock::at("2026-11-22T10:00:00Z".parse().unwrap());
        let shared: SharedClock = Arc::<TestClock>::clone(&clock);
        (clock, Guards::new(shared), "crm".parse().unwrap())
    }

    fn answer(pass: &mut Pass, status: u16, retry_after: &str) {
        let mut headers = HeaderMap::new();
        if !retry_after.is_empty() {
            headers.insert(header::RETRY_AFTER, retry_after.parse().unwrap());
        }
        pass.answered(StatusCode::from_u16(status).unwrap(), &headers);
    }

    #[tokio::test]
    async fn a_failing_service_rests_and_is_tried_again() {
        let (clock, guards, crm) = guards();
        let settings = CallSettings { breaker: Breaker { failures: 2, seconds: 30 }, ..CallSettings::default() };
        let told = Arc::new(Mutex::new(Vec::new()));
        let teller = Arc::clone(&told);
        guards.listen(Box::new(move |name, is_out| teller.lock().unwrap().push((name.to_string(), is_out))));
        answer(&mut guards.enter(&crm, &settings).await.unwrap(), 500, "");
        guards.enter(&crm, &settings).await.unwrap().failed();
        let held = guards.enter(&crm, &settings).await.err().unwrap();
        assert_eq!(held, Held::Failing(Duration::from_secs(30)));
        assert!(!held.is_too_much() && held.to_string().contains("again in 30 s"), "{held}");
        let state = guards.state(&crm);
        assert_eq!((state.state, state.failures, state.in_flight), ("open", 2, 0));
        assert_eq!(state.retry_at, Some("2026-11-22T10:00:30Z".parse().unwrap()));

        clock.advance(Duration::from_secs(30));
        assert_eq!(guards.state(&crm).state, "half_open");
        let probe = guards.enter(&crm, &settings).await.unwrap();
        assert!(guards.enter(&crm, &settings).await.is_err());
        assert_eq!((guards.state(&crm).state, guards.state(&crm).in_flight), ("half_open", 1));
        drop(probe);
        answer(&mut guards.enter(&crm, &settings).await.unwrap(), 204, "");
        assert_eq!(guards.state(&crm), ServiceState { state: "closed", failures: 0, retry_at: None, in_flight: 0 });
        assert!(guards.enter(&"other".parse().unwrap(), &settings).await.is_ok());
        // Told when it begins and when it ends, and not at each try between.
        assert_eq!(*told.lock().unwrap(), [("crm".to_owned(), true), ("crm".to_owned(), false)]);
    }

    #[tokio::test]
    async fn a_service_says_when_to_come_again() {
        let settings = CallSettings::default();
        for (status, value, expected) in [
            (429, "7", Some(Held::Pressed(Duration::from_secs(7)))),
            (503, " 7 ", Some(Held::Resting(Duration::from_secs(7)))),
            (503, "Sun, 22 Nov 2026 10:00:09 GMT", Some(Held::Resting(Duration::from_secs(9)))),
            (503, "Sun, 22 Nov 2020 10:00:09 GMT", None),
            (429, "soon", None),
            (429, "", None),
            (200, "7", None),
            (301, "7", None),
        ] {
            let (_, guards, crm) = guards();
            answer(&mut guards.enter(&crm, &settings).await.unwrap(), status, value);
            assert_eq!(guards.enter(&crm, &settings).await.err(), expected, "{status} {value}");
        }
    }

    #[tokio::test]
    async fn no_more_are_under_way_than_may_be_and_come_than_are_allowed() {
        let (_, guards, crm) = guards();
        let settings = CallSettings { concurrency: Some(1), ..CallSettings::default() };
        let first = guards.enter(&crm, &settings).await.unwrap();
        let (guards, second) = (Arc::new(guards), settings.clone());
        let entering = {
            let (guards, crm) = (Arc::clone(&guards), crm.clone());
            tokio::spawn(async move { guards.enter(&crm, &second).await.map(drop) })
        };
        tokio::task::yield_now().await;
        assert!(!entering.is_finished());
        assert_eq!(guards.state(&crm).in_flight, 1);
        drop(first);
        entering.await.unwrap().unwrap();

        let slow = CallSettings { rate: Some(Rate { requests: 1, seconds: 60 }), ..CallSettings::default() };
        guards.enter(&crm, &slow).await.unwrap();
        let held = guards.enter(&crm, &slow).await.err().unwrap();
        assert_eq!((held, held.is_too_much()), (Held::TooFast(Duration::from_secs(60)), true));
        assert!(held.to_string().contains("settings.calls.rate"), "{held}");
    }
}
