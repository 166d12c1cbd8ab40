//! One attempt at a time for each key, whose outcome all callers share.
//!
//! A flight belongs to the daemon: callers that go away cancel nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::error::TokenError;
use super::key::TokenKey;
use super::token::Live;
use crate::telemetry::trace::{self, Beacon};

/// Attempts under way, by their keys: where their outcomes come, and what links traces with theirs.
type UnderWay = Arc<DashMap<TokenKey, (watch::Receiver<Option<Outcome>>, Beacon)>>;

/// How a flight ends.
pub(super) type Outcome = Result<Arc<Live>, TokenError>;

/// A seat in a flight.
pub(super) struct Seat {
    outcome: watch::Receiver<Option<Outcome>>,
    /// Where the span of the attempt is told.
    beacon: Beacon,
}

/// The flights under way.
pub(super) struct Flights {
    /// By key.
    under_way: UnderWay,
    /// Callers that wait.
    waiting: AtomicUsize,
    /// What waits for them when the daemon stops.
    tracker: TaskTracker,
}

impl Flights {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { under_way: Arc::default(), waiting: AtomicUsize::new(0), tracker: TaskTracker::new() }
    }

    /// Joins the flight for this key. If there is none, `arrived` may say that it isn't needed any more, else `start` makes one.
    /// Both run while no other flight for the key can start. The second value says whether a flight was under way.
    pub(super) fn join<F>(
        &self,
        key: &TokenKey,
        arrived: impl FnOnce() -> Option<Arc<Live>>,
        start: impl FnOnce() -> F,
    ) -> (Seat, bool)
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        match self.under_way.entry(key.clone()) {
            Entry::Occupied(flight) => {
                let (outcome, beacon) = flight.get().clone();
                (Seat { outcome, beacon }, true)
            }
            Entry::Vacant(vacant) => {
                if let Some(live) = arrived() {
                    let outcome = watch::channel(Some(Ok(live))).1;
                    return (Seat { outcome, beacon: Beacon::default() }, false);
                }
                let (sender, receiver) = watch::channel(None);
                let beacon = Beacon::default();
                vacant.insert((receiver.clone(), beacon.clone()));
                // Dropped with the task, however that ends, so that a panic can't leave a flight that never lands.
                let landing = Landing { under_way: Arc::clone(&self.under_way), key: key.clone() };
                let flight = trace::flight(beacon.clone(), start(), trace::caller());
                self.tracker.spawn(async move {
                    let outcome = flight.await;
                    drop(landing);
                    sender.send_replace(Some(outcome));
                });
                (Seat { outcome: receiver, beacon }, false)
            }
        }
    }

    /// Runs something that belongs to the daemon and is no flight: nobody joins it, and it is waited for when the daemon stops.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(task);
    }

    /// Whether a flight for this key is under way.
    pub(super) fn is_under_way(&self, key: &TokenKey) -> bool {
        self.under_way.contains_key(key)
    }

    /// How many are under way, and how many callers wait for them.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.under_way.len(), self.waiting.load(Ordering::Relaxed))
    }

    /// Counts a caller that waits, until it is dropped.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(&self.waiting)
    }

    /// Waits until all have landed, at most so long.
    pub(super) async fn land(&self, at_most: Duration) {
        self.tracker.close();
        if tokio::time::timeout(at_most, self.tracker.wait()).await.is_err() {
            tracing::warn!(attempts = self.under_way.len(), "attempts are cut short; the journal holds them");
        }
    }
}

/// A caller that waits.
pub(super) struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes a flight off the list.
struct Landing {
    under_way: UnderWay,
    key: TokenKey,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.under_way.remove(&self.key);
    }
}

impl Seat {
    /// Waits for the outcome, at most so long. None: it isn't there yet.
    pub(super) async fn outcome(mut self, at_most: Duration) -> Option<Outcome> {
        let waited = tokio::time::timeout(at_most, self.outcome.wait_for(Option::is_some)).await;
        self.beacon.link();
        match waited {
            Ok(Ok(outcome)) => outcome.clone(),
            Ok(Err(_)) => Some(Err(TokenError::Stopping)),
            Err(_) => None,
        }
    }
}
