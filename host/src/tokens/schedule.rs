//! Renewal ahead of time, of tokens that are used. Holds one timer for each token that was served since it was got.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::time::DelayQueue;

use super::key::TokenKey;

/// A token that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// Its key.
    pub(super) key: TokenKey,
    /// Its generation; a later one has a timer of its own.
    pub(super) generation: u64,
}

/// Takes tokens to be renewed later.
pub(super) struct Schedule(mpsc::UnboundedSender<(Due, Duration)>);

impl Schedule {
    /// A schedule, and what gives out its tokens when they are due.
    pub(super) fn new() -> (Self, Timers) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), Timers { incoming: receiver, queue: DelayQueue::new() })
    }

    /// Gives this token out after so long.
    pub(super) fn add(&self, due: Due, after: Duration) {
        // Nobody listens any more once the daemon stops.
        let _ = self.0.send((due, after));
    }
}

/// The timers of a schedule.
pub(super) struct Timers {
    incoming: mpsc::UnboundedReceiver<(Due, Duration)>,
    queue: DelayQueue<Due>,
}

/// The longest timer; a token that lives longer is looked at again then.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Timers {
    /// The next token that is due; none once the schedule is gone.
    pub(super) async fn next(&mut self) -> Option<Due> {
        loop {
            tokio::select! {
                added = self.incoming.recv() => match added {
                    Some((due, after)) => { self.queue.insert(due, after.min(LONGEST)); }
                    None => return None,
                },
                Some(due) = std::future::poll_fn(|context| self.queue.poll_expired(context)), if !self.queue.is_empty() => {
                    return Some(due.into_inner());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tokens_come_out_when_they_are_due() {
        let (schedule, mut timers) = Schedule::new();
        let due = |name: &str| Due { key: TokenKey::of(&name.parse().unwrap()), generation: 1 };
        schedule.add(due("later"), Duration::from_millis(20));
        schedule.add(due("sooner"), Duration::from_millis(1));
        schedule.add(due("never"), Duration::MAX);
        assert_eq!(timers.next().await, Some(due("sooner")));
        assert_eq!(timers.next().await, Some(due("later")));
        drop(schedule);
        assert_eq!(timers.next().await, None);
    }
}
