//! Which event goes to a webhook next, and when: decided from what became of those before, without sending anything.
//!
//! A webhook has a place in the row of events. What fails is put aside and tried again later, while the row goes on; where
//! nothing works any more, only the oldest one is tried, until something does. So all that is kept of a webhook is bounded,
//! however long it is down: the events themselves wait where they are.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::notices::Kind;

/// Seconds between tries, before jitter: nine waits, together about a day.
const WAITS: [u64; 9] = [5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600, 43_200];
/// Failures in a row after which only the oldest event is tried.
const DOWN_AFTER: u32 = 3;
/// Events put aside at most; more wait in the row.
const MOST_ASIDE: usize = 100;
/// Deliveries remembered for people.
const REMEMBERED: usize = 20;
/// How long nothing may work before a webhook is disabled.
const LONG: TimeDelta = TimeDelta::hours(48);

/// How far a webhook is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Progress {
    /// The last event that was tried, or that it doesn't want.
    pub(super) place: Ulid,
    /// What failed and is tried again, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) aside: Vec<Aside>,
    /// Since when nothing has worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<DateTime<Utc>>,
    /// Failures since something last worked.
    #[serde(default)]
    pub(super) in_a_row: u32,
    /// When something last worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeded_at: Option<DateTime<Utc>>,
    /// Events delivered since it was made.
    #[serde(default)]
    pub delivered: u64,
    /// Events given up since it was made.
    #[serde(default)]
    pub given_up: u64,
    /// The last tries, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last: Vec<Delivery>,
}

/// An event that is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Aside {
    /// Which.
    pub(super) event: Ulid,
    /// How often it was tried.
    pub(super) tries: u32,
    /// When it is tried again.
    pub(super) due: DateTime<Utc>,
}

/// One try, for people. What the receiver answered beside the status is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The event.
    pub event: Ulid,
    /// Its kind.
    pub kind: Kind,
    /// When.
    pub at: DateTime<Utc>,
    /// The try's number, from 1.
    pub tries: u32,
    /// Milliseconds from the start to the end of the answer.
    pub milliseconds: u64,
    /// The HTTP status, where there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Delivery {
    /// Whether the receiver has taken it.
    pub fn is_done(&self) -> bool {
        matches!(self.status, Some(200..=299))
    }

    /// Whether the receiver says that nothing is ever to be sent there again (410 Gone).
    pub(super) fn is_gone(&self) -> bool {
        self.status == Some(410)
    }

    /// What became of it, in a few words.
    pub fn outcome(&self) -> String {
        match (self.status, &self.error) {
            (Some(status), _) => format!("status {status}"),
            (None, Some(error)) => error.clone(),
            (None, None) => "no answer".to_owned(),
        }
    }
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Try this one again; it was tried so often.
    Again(Ulid, u32),
    /// Take the next event of the row, if there is one; if not, wait that long at most.
    Row(Option<Duration>),
    /// Wait.
    Wait(Duration),
}

impl Progress {
    /// Begins after this event.
    pub(super) fn new(place: Ulid) -> Self {
        Self {
            place,
            aside: Vec::new(),
            failing_since: None,
            in_a_row: 0,
            succeeded_at: None,
            delivered: 0,
            given_up: 0,
            last: Vec::new(),
        }
    }

    /// Events that are tried again.
    pub fn waiting(&self) -> usize {
        self.aside.len()
    }

    /// When the next of them is due.
    pub fn next_try_at(&self) -> Option<DateTime<Utc>> {
        if self.is_down() { self.aside.first().map(|one| one.due) } else { self.aside.iter().map(|one| one.due).min() }
    }

    /// Whether nothing works any more.
    pub fn is_down(&self) -> bool {
        self.in_a_row >= DOWN_AFTER
    }

    /// Whether nothing has worked for so long that it is to be disabled.
    pub(super) fn is_hopeless(&self, now: DateTime<Utc>) -> bool {
        self.is_down() && self.failing_since.is_some_and(|since| now - since >= LONG)
    }

    /// What to do now.
    pub(super) fn next(&self, now: DateTime<Utc>) -> Next {
        let looked_at = if self.is_down() { self.aside.get(..1) } else { self.aside.get(..) }.unwrap_or_default();
        let Some(first) = looked_at.iter().min_by_key(|one| one.due) else { return Next::Row(None) };
        // A clock that stepped back must not make anything wait for longer than ever.
        let longest = Duration::from_secs(WAITS.iter().copied().max().unwrap_or(0) * 2);
        let wait = (first.due - now).to_std().unwrap_or_default();
        if wait.is_zero() || wait > longest {
            return Next::Again(first.event, first.tries);
        }
        if self.is_down() || self.aside.len() >= MOST_ASIDE { Next::Wait(wait) } else { Next::Row(Some(wait)) }
    }

    /// Goes on in the row without trying this one, which isn't wanted.
    pub(super) fn skip(&mut self, event: Ulid) {
        self.place = self.place.max(event);
    }

    /// Forgets one that is no longer kept.
    pub(super) fn drop_aside(&mut self, event: Ulid) {
        let before = self.aside.len();
        self.aside.retain(|one| one.event != event);
        self.given_up += (before - self.aside.len()) as u64;
    }

    /// Notes what became of a try. `asked`: how long the receiver wants to be left alone; `jitter`: 0 to 1.
    pub(super) fn note(&mut self, delivery: Delivery, asked: Option<Duration>, jitter: f64) {
        let (now, event, tries) = (delivery.at, delivery.event, delivery.tries);
        self.skip(event);
        self.aside.retain(|one| one.event != event);
        if delivery.is_done() {
            self.delivered += 1;
            self.worked(now);
        } else {
            self.failed(now);
            match wait(tries, asked, jitter) {
                Some(wait) => {
                    let due = now.checked_add_signed(wait).unwrap_or(now);
                    let place = self.aside.partition_point(|one| one.event < event);
                    self.aside.insert(place, Aside { event, tries, due });
                }
                None => self.given_up += 1,
            }
        }
        self.remember(delivery);
    }

    /// Notes what became of a test, which is no event and isn't tried again.
    pub(super) fn note_test(&mut self, delivery: Delivery) {
        if delivery.is_done() {
            self.worked(delivery.at);
        }
        self.remember(delivery);
    }

    /// Has everything tried at once that was put aside, as after a change.
    pub(super) fn hurry(&mut self, now: DateTime<Utc>) {
        self.in_a_row = 0;
        self.failing_since = None;
        self.aside.iter_mut().for_each(|one| one.due = now);
    }

    fn worked(&mut self, now: DateTime<Utc>) {
        self.succeeded_at = Some(now);
        // It is back: nothing has to wait for its turn.
        if self.failing_since.is_some() {
            self.hurry(now);
        }
        self.in_a_row = 0;
    }

    fn failed(&mut self, now: DateTime<Utc>) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.failing_since.get_or_insert(now);
    }

    fn remember(&mut self, delivery: Delivery) {
        self.last.insert(0, delivery);
        self.last.truncate(REMEMBERED);
    }
}

/// How long to wait after so many tries; none: it is given up.
fn wait(tries: u32, asked: Option<Duration>, jitter: f64) -> Option<TimeDelta> {
    let index = usize::try_from(tries).ok()?.checked_sub(1)?;
    let wait = Duration::from_secs(*WAITS.get(index)?);
    let longest = Duration::from_secs(*WAITS.last()?);
    let wait = wait.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0)).max(asked.unwrap_or_default().min(longest));
    TimeDelta::from_std(wait).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn id(number: u64) -> Ulid {
        Ulid::from_parts(number, 0)
    }

    fn tried(number: u64, tries: u32, seconds: i64, status: Option<u16>) -> Delivery {
        let error = status.is_none().then(|| "no connection".to_owned());
        Delivery { event: id(number), kind: Kind::PersonNeeded, at: at(seconds), tries, milliseconds: 1, status, error }
    }

    #[test]
    fn tries_take_about_a_day_and_then_end() {
        let mut total = TimeDelta::zero();
        for tries in 1..=WAITS.len() as u32 {
            let [low, middle, high] = [0.0, 0.5, 1.0].map(|jitter| wait(tries, None, jitter).unwrap());
            assert!(low < middle && middle < high, "{tries}");
            total += middle;
        }
        assert!((20..=26).contains(&total.num_hours()), "{total}");
        assert_eq!(wait(10, None, 0.5), None);
        let asked = |seconds| wait(1, Some(Duration::from_secs(seconds)), 0.5).unwrap().num_seconds();
        assert_eq!([asked(1), asked(60), asked(1_000_000)], [5, 60, 43_200]);
    }

    #[test]
    fn one_that_fails_is_put_aside_and_the_row_goes_on() {
        let mut progress = Progress::new(id(0));
        assert_eq!(progress.next(at(0)), Next::Row(None));
        progress.note(tried(1, 1, 0, Some(500)), None, 0.5);
        assert_eq!(progress.next(at(0)), Next::Row(Some(Duration::from_secs(5))));
        progress.note(tried(2, 1, 1, Some(204)), None, 0.5);
        assert_eq!((progress.delivered, progress.place, progress.failing_since), (1, id(2), None));
        // Something worked: the other is tried at once.
        assert_eq!(progress.next(at(1)), Next::Again(id(1), 1));
        progress.note(tried(1, 2, 2, Some(200)), None, 0.5);
        assert_eq!((progress.next(at(2)), progress.delivered, progress.waiting()), (Next::Row(None), 2, 0));
        assert_eq!(progress.place, id(2), "the row doesn't go back");
    }

    #[test]
    fn where_nothing_works_only_the_oldest_is_tried() {
        let mut progress = Progress::new(id(0));
        for number in 1..=3 {
            progress.note(tried(number, 1, 0, None), None, 0.5);
        }
        assert!(progress.is_down());
        assert_eq!(progress.next(at(0)), Next::Wait(Duration::from_secs(5)));
        assert_eq!(progress.next(at(5)), Next::Again(id(1), 1));
        progress.note(tried(1, 2, 5, Some(503)), None, 0.5);
        assert_eq!(progress.next(at(5)), Next::Wait(Duration::from_secs(30)));
        assert_eq!((progress.failing_since, progress.waiting()), (Some(at(0)), 3));
        progress.note(tried(1, 3, 35, Some(200)), None, 0.5);
        assert_eq!(progress.next(at(35)), Next::Again(id(2), 1));
        assert!(!progress.is_down());
    }

    #[test]
    fn long_failing_is_hopeless_and_what_is_given_up_is_counted() {
        let mut progress = Progress::new(id(0));
        for tries in 1..=10 {
            progress.note(tried(1, tries, i64::from(tries), None), None, 0.5);
        }
        assert_eq!((progress.given_up, progress.waiting()), (1, 0));
        assert_eq!(progress.next(at(10)), Next::Row(None), "the next one of the row is tried then");
        assert!(!progress.is_hopeless(at(47 * 3_600)) && progress.is_hopeless(at(49 * 3_600)));
        progress.note_test(tried(9, 1, 20, Some(200)));
        assert!(!progress.is_hopeless(at(49 * 3_600)));
    }

    #[test]
    fn what_is_put_aside_and_remembered_is_bounded() {
        let mut progress = Progress::new(id(0));
        for number in 1..=MOST_ASIDE as u64 {
            // Never three in a row.
            progress.note(tried(number, 1, 0, Some(400)), None, 0.5);
            progress.in_a_row = 0;
        }
        assert!(matches!(progress.next(at(0)), Next::Wait(_)));
        assert_eq!(progress.last.len(), REMEMBERED);
        // A clock that stepped back by a year doesn't make it wait for a year.
        assert!(matches!(progress.next(at(-31_536_000)), Next::Again(..)));
        progress.drop_aside(id(1));
        assert_eq!(progress.given_up, 1);
    }
}
