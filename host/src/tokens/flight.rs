//! One attempt at a time for each key, whose outcome all callers share.
//!
//! A flight belongs to the daemon: callers that go away cancel nothing.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::error::TokenError;
use super::key::TokenKey;
use super::token::Live;

/// How a flight ends.
pub(super) type Outcome = Result<Arc<Live>, TokenError>;

/// A seat in a flight.
pub(super) struct Seat(watch::Receiver<Option<Outcome>>);

/// The flights under way.
pub(super) struct Flights {
    /// By key.
    under_way: Arc<DashMap<TokenKey, watch::Receiver<Option<Outcome>>>>,
    /// What waits for them when the daemon stops.
    tracker: TaskTracker,
}

impl Flights {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { under_way: Arc::default(), tracker: TaskTracker::new() }
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
            Entry::Occupied(flight) => (Seat(flight.get().clone()), true),
            Entry::Vacant(vacant) => {
                if let Some(live) = arrived() {
                    return (Seat(watch::channel(Some(Ok(live))).1), false);
                }
                let (sender, receiver) = watch::channel(None);
                vacant.insert(receiver.clone());
                // Dropped with the task, however that ends, so that a panic can't leave a flight that never lands.
                let landing = Landing { under_way: Arc::clone(&self.under_way), key: key.clone() };
                let flight = start();
                self.tracker.spawn(async move {
                    let outcome = flight.await;
                    drop(landing);
                    sender.send_replace(Some(outcome));
                });
                (Seat(receiver), false)
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

    /// Waits until all have landed, at most so long.
    pub(super) async fn land(&self, at_most: Duration) {
        self.tracker.close();
        if tokio::time::timeout(at_most, self.tracker.wait()).await.is_err() {
            tracing::warn!(attempts = self.under_way.len(), "attempts are cut short; the journal holds them");
        }
    }
}

/// Takes a flight off the list.
struct Landing {
    under_way: Arc<DashMap<TokenKey, watch::Receiver<Option<Outcome>>>>,
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
        match tokio::time::timeout(at_most, self.0.wait_for(Option::is_some)).await {
            Ok(Ok(outcome)) => outcome.clone(),
            Ok(Err(_)) => Some(Err(TokenError::Stopping)),
            Err(_) => None,
        }
    }
}
