//! What callers meet while all goes well.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::provider::{Mood, until};
use super::world::{World, key, name};
use crate::integrations::{Change, SettingsChange};
use crate::tokens::{ExpirySource, ManualToken, Rejection, State, TokenError, TokenKey};

#[tokio::test]
async fn a_token_is_got_once_served_from_memory_and_refreshed_when_it_has_ended() {
    let world = World::new().await;
    assert_eq!(world.tokens.status(&key()).await.unwrap().state, State::Absent);
    assert_eq!(world.token().await.unwrap(), "access-1");
    assert_eq!(world.token().await.unwrap(), "access-1");
    assert_eq!(world.provider.requests(), ["secret=the-client-secret"]);
    let commits = world.store.commits();
    let served = world.tokens.cached("crm", Duration::from_secs(60)).unwrap();
    assert_eq!((served.expires_in, served.token.generation), (Some(100), 1));
    assert_eq!(world.store.commits(), commits);
    world.pass(100);
    assert_eq!(world.tokens.status(&key()).await.unwrap().state, State::Expired);
    assert_eq!(world.token().await.unwrap(), "access-2");
    assert_eq!(world.provider.requests()[1], "refresh=refresh-1");
    assert_eq!(world.tokens.status(&key()).await.unwrap().generation, 2);
}

#[tokio::test]
async fn an_ageing_token_is_served_while_its_successor_is_fetched() {
    let world = World::new().await;
    world.token().await.unwrap();
    world.provider.next(Mood::Hold);
    world.pass(95); // the margin is at least 15 s of 100
    assert_eq!(world.token().await.unwrap(), "access-1");
    until(|| world.provider.requests().len() == 2).await;
    assert_eq!(world.token().await.unwrap(), "access-1");
    world.provider.release();
    let fresh = || world.tokens.cached("crm", Duration::ZERO).unwrap().token.generation == 2;
    until(fresh).await;
    assert_eq!(world.provider.requests().len(), 2);
}

#[tokio::test]
async fn a_caller_that_needs_longer_waits_for_a_new_token_but_never_asks_the_impossible() {
    let world = World::new().await;
    world.token().await.unwrap();
    world.pass(50);
    let served = world.tokens.get(&key(), Duration::from_secs(60)).await.unwrap();
    assert_eq!(served.token.generation, 2);
    let served = world.tokens.get(&key(), Duration::from_secs(100_000)).await.unwrap();
    assert_eq!(served.token.generation, 2);
}

#[tokio::test]
async fn ten_thousand_callers_cause_one_request_even_if_all_but_one_hang_up() {
    for staying in [10_000, 1] {
        let world = World::new().await;
        world.provider.next(Mood::Hold);
        let mut callers = tokio::task::JoinSet::new();
        let mut gone = tokio::task::JoinSet::new();
        for caller in 0..10_000 {
            let tokens = world.tokens.clone();
            let call = async move { tokens.get(&key(), Duration::ZERO).await.unwrap().token.generation };
            if caller < 10_000 - staying {
                gone.spawn(call)
            } else {
                callers.spawn(call)
            };
        }
        until(|| world.provider.requests().len() == 1).await;
        gone.shutdown().await;
        world.provider.release();
        assert!(callers.join_all().await.into_iter().all(|generation| generation == 1));
        assert_eq!(world.provider.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_token_outlives_all_its_callers() {
    let world = World::new().await;
    world.provider.next(Mood::Hold);
    let tokens = world.tokens.clone();
    let caller = tokio::spawn(async move { tokens.get(&key(), Duration::ZERO).await });
    until(|| world.provider.requests().len() == 1).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    world.provider.release();
    until(|| world.tokens.cached("crm", Duration::ZERO).is_some()).await;
    assert_eq!(world.provider.requests().len(), 1);
}

#[tokio::test]
async fn a_rejection_counts_once_for_the_current_generation_and_teaches_a_lifetime() {
    let world = World::with(true, None).await;
    world.token().await.unwrap();
    world.pass(1000);
    assert_eq!(world.token().await.unwrap(), "access-1");
    assert_eq!(world.tokens.reject(&key(), 7).await.unwrap(), Rejection::NotCurrent { generation: 1 });
    assert_eq!(world.tokens.reject(&key(), 1).await.unwrap(), Rejection::Renewing);
    assert_eq!(world.token().await.unwrap(), "access-2");
    assert_eq!(world.tokens.reject(&key(), 1).await.unwrap(), Rejection::NotCurrent { generation: 2 });
    assert!(matches!(world.tokens.reject(&key(), 2).await.unwrap(), Rejection::TooSoon { retry_after: 1..=11 }));
    let status = world.tokens.status(&key()).await.unwrap();
    assert_eq!((status.state, status.expiry_source), (State::Valid, Some(ExpirySource::Learned)));
    assert_eq!(world.provider.requests().len(), 2);
}

#[tokio::test]
async fn a_token_by_hand_is_used_until_it_ends_and_outranks_an_attempt_under_way() {
    let world = World::new().await;
    world.provider.next(Mood::Hold);
    let tokens = world.tokens.clone();
    let caller = tokio::spawn(async move { tokens.get(&key(), Duration::ZERO).await });
    until(|| world.provider.requests().len() == 1).await;
    let manual = ManualToken {
        access_token: "by-hand".into(),
        refresh_token: None,
        token_type: None,
        scope: None,
        expires_in: Some(50),
        expires_at: None,
        created_at: None,
    };
    world.tokens.put(&key(), manual).await.unwrap();
    world.provider.release();
    assert_eq!(caller.await.unwrap().unwrap().token.access_token.as_ref().unwrap().expose_secret(), "by-hand");
    assert_eq!(world.token().await.unwrap(), "by-hand");
    world.pass(51);
    assert_eq!(world.token().await.unwrap(), "access-2");
    world.tokens.delete(&key()).await.unwrap();
    assert_eq!(world.tokens.status(&key()).await.unwrap().state, State::Absent);
    assert_eq!(world.token().await.unwrap(), "access-3");
}

#[tokio::test]
async fn retargeting_voids_the_token_at_once_and_what_an_attempt_brings() {
    let world = World::new().await;
    world.token().await.unwrap();
    let url = world.provider.token_url.replace("127.0.0.1", "localhost");
    let fields = [("token_url".to_owned(), Some(url))];
    let change = Change { fields: fields.into(), ..Change::default() };
    let changed = world.integrations.change(&name(), change).await.unwrap();
    assert!(changed.dropped && changed.integration.secrets.is_empty());
    assert!(world.tokens.cached("crm", Duration::ZERO).is_none());
    assert_eq!(world.tokens.status(&key()).await.unwrap().state, State::Absent);
    match world.tokens.get(&key(), Duration::ZERO).await {
        Err(TokenError::Incomplete(faults)) => assert_eq!(faults[0].field, "fields.client_secret"),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.provider.requests().len(), 1);
}

#[tokio::test]
async fn other_changes_keep_the_token() {
    let world = World::new().await;
    world.token().await.unwrap();
    world.set(SettingsChange { default_lifetime: Some(Some(60)), ..SettingsChange::default() }).await;
    assert_eq!(world.token().await.unwrap(), "access-1");
    assert_eq!(world.provider.requests().len(), 1);
}

#[tokio::test]
async fn each_set_of_scopes_has_a_token_of_its_own() {
    let world = World::new().await;
    let read = TokenKey::with_scopes(&name(), "read");
    world.token().await.unwrap();
    assert_eq!(world.tokens.get(&read, Duration::ZERO).await.unwrap().token.generation, 1);
    assert_eq!(world.provider.requests().len(), 2);
    assert!(world.tokens.cached("crm read", Duration::ZERO).is_some());
    assert!(world.tokens.cached("crm write", Duration::ZERO).is_none());
}

#[tokio::test]
async fn a_wall_clock_that_steps_neither_lengthens_a_life_nor_stops_renewal() {
    let world = World::new().await;
    world.token().await.unwrap();
    let start = crate::clock::Clock::now(&*world.clock);
    world.clock.step_to(start - chrono::TimeDelta::days(30));
    world.pass(101);
    assert_eq!(world.token().await.unwrap(), "access-2");
    world.clock.step_to(start + chrono::TimeDelta::days(30));
    assert_eq!(world.token().await.unwrap(), "access-3");
    world.clock.step_to(start);
    assert_eq!(world.token().await.unwrap(), "access-3");
}

#[tokio::test]
async fn the_story_of_an_attempt_holds_no_secret() {
    let world = World::new().await;
    world.token().await.unwrap();
    world.pass(100);
    world.token().await.unwrap();
    let stories = world.tokens.attempts(&name(), None, 10).await.unwrap();
    let text = serde_json::to_string(&stories).unwrap();
    assert_eq!(stories.len(), 2);
    for secret in ["the-client-secret", "access-", "refresh-"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(text.contains("access_token"), "the answer's keys are told: {text}");
    for (_, value) in world.store.dump() {
        let value = String::from_utf8_lossy(&value);
        assert!(
            !value.contains("the-client-secret") && !value.contains("access-1") && !value.contains("refresh-1"),
            "{value}"
        );
    }
}

#[tokio::test]
async fn only_the_last_attempts_are_kept() {
    let world = World::new().await;
    for _ in 0..25 {
        world.tokens.renew(&key()).await.unwrap();
    }
    let stories = world.tokens.attempts(&name(), None, 100).await.unwrap();
    assert_eq!(stories.len(), 20);
    let older = world.tokens.attempts(&name(), Some(stories[4].id), 100).await.unwrap();
    assert_eq!(older.first().map(|story| story.id), Some(stories[5].id));
}

#[tokio::test]
async fn attempts_and_steps_are_counted() {
    let metrics = crate::telemetry::metrics().unwrap();
    let world = World::new().await;
    world.token().await.unwrap();
    world.pass(100);
    world.token().await.unwrap();
    let text = metrics.render();
    let count = |name: &str, label: &str| text.lines().any(|line| line.starts_with(name) && line.contains(label));
    for purpose in ["acquire", "refresh"] {
        let label = format!("purpose=\"{purpose}\",outcome=\"token\"");
        assert!(count("tokenhost_attempts_total{flow=", &label), "{text}");
    }
    assert!(count("tokenhost_attempt_seconds_count{flow=", ""), "{text}");
    assert!(count("tokenhost_plugin_step_seconds_count{flow=", ""), "{text}");
}
