//! Events in order, once, bounded, and still there after a kill.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use ulid::Ulid;

use super::{Kind, Notice, Notices, Retention};
use crate::clock::TestClock;
use crate::store::memory::MemoryStore;

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

async fn keeper(store: &Arc<MemoryStore>, clock: &Arc<TestClock>, records: usize) -> Arc<Notices> {
    let retention = Retention { days: 30, records };
    Notices::open(store.clone(), clock.clone(), retention).await.unwrap()
}

fn renewed(text: &str) -> Notice {
    Notice::new(Kind::TokenRenewed, text)
}

async fn messages(notices: &Notices, after: Ulid) -> Vec<String> {
    notices.after(after, 100).await.unwrap().iter().map(|event| event.message.clone()).collect()
}

/// A store with the events `a` and `b`, `c`, which is bad, and `d`, written one after the other.
async fn told() -> (Arc<MemoryStore>, Arc<TestClock>, Arc<Notices>) {
    let (store, clock) = (Arc::new(MemoryStore::new()), TestClock::at(start()));
    let notices = keeper(&store, &clock, 100).await;
    for text in ["a", "b"] {
        notices.tell(renewed(text));
    }
    notices.settled().await;
    notices.tell(Notice::new(Kind::PersonNeeded, "c"));
    notices.settled().await;
    // The clock steps back: order stays.
    clock.step_to(start() - chrono::TimeDelta::hours(1));
    notices.tell(renewed("d"));
    notices.settled().await;
    (store, clock, notices)
}

#[tokio::test]
async fn events_come_in_order_and_survive_a_kill() {
    let (store, clock, notices) = told().await;
    assert_eq!(messages(&notices, Ulid::nil()).await, ["a", "b", "c", "d"]);
    let all = notices.after(Ulid::nil(), 2).await.unwrap();
    assert_eq!(messages(&notices, all[1].id).await, ["c", "d"]);
    let newest: Vec<String> = notices.before(None, 2).await.unwrap().into_iter().map(|event| event.message).collect();
    assert_eq!(newest, ["d", "c"]);

    let killed = keeper(&Arc::new(store.kill()), &clock, 100).await;
    assert_eq!(messages(&killed, Ulid::nil()).await, ["a", "b", "c", "d"]);
    killed.tell(renewed("e"));
    killed.settled().await;
    assert_eq!(messages(&killed, Ulid::nil()).await, ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn what_is_wrong_is_synced_and_what_came_before_it_with_it_and_nothing_else_is() {
    let (store, clock, _notices) = told().await;
    assert_eq!((store.commits(), store.syncs()), (3, 1));
    let cut = keeper(&Arc::new(store.crash()), &clock, 100).await;
    assert_eq!(messages(&cut, Ulid::nil()).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn what_is_told_once_is_told_once_for_each_mark() {
    let (store, clock) = (Arc::new(MemoryStore::new()), TestClock::at(start()));
    let notices = keeper(&store, &clock, 100).await;
    let end = start() + chrono::TimeDelta::days(8);
    for (text, mark) in [("seven", "7"), ("seven again", "7"), ("one", "1")] {
        notices.tell(Notice::new(Kind::PersonalTokenExpiring, text).once("personal-token/x", mark, end));
    }
    notices.settled().await;
    let again = keeper(&Arc::new(store.kill()), &clock, 100).await;
    again.tell(Notice::new(Kind::PersonalTokenExpiring, "one again").once("personal-token/x", "1", end));
    again.settled().await;
    assert_eq!(messages(&again, Ulid::nil()).await, ["seven", "one"]);
    // Once it is over, it is forgotten.
    clock.advance(Duration::from_secs(9 * 86_400));
    again.prune().await.unwrap();
    again.tell(Notice::new(Kind::PersonalTokenExpiring, "anew").once("personal-token/x", "1", end));
    again.settled().await;
    assert_eq!(messages(&again, Ulid::nil()).await, ["seven", "one", "anew"]);
}

#[tokio::test]
async fn the_oldest_go_and_routine_displaces_nothing_else() {
    let (store, clock) = (Arc::new(MemoryStore::new()), TestClock::at(start()));
    let notices = keeper(&store, &clock, 3).await;
    notices.tell(Notice::new(Kind::PersonNeeded, "bad"));
    notices.settled().await;
    let bad = notices.after(Ulid::nil(), 1).await.unwrap()[0].id;
    for index in 0..9 {
        notices.tell(renewed(&index.to_string()));
        notices.settled().await;
    }
    notices.prune().await.unwrap();
    assert!(notices.has_gap_after(bad) && !notices.has_gap_after(*notices.last().borrow()));
    let kept = |notices: Arc<Notices>| async move {
        let kept = notices.before(None, 100).await.unwrap();
        kept.into_iter().map(|event| event.message).collect::<Vec<_>>()
    };
    assert_eq!(kept(Arc::clone(&notices)).await, ["8", "7", "6", "bad"]);
    clock.advance(Duration::from_secs(31 * 86_400));
    assert_eq!(notices.prune().await.unwrap(), 4);
    assert!(kept(notices).await.is_empty());
}

#[tokio::test]
async fn texts_are_cut_and_on_one_line() {
    let event =
        Notice::new(Kind::PersonNeeded, format!("a\nb\u{1b}{}", "x".repeat(5000))).into_event(Ulid::nil(), start());
    assert!(event.message.starts_with("a b x") && event.message.chars().count() == 1001, "{}", event.message.len());
}
