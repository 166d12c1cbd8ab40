//! What callers meet while the provider, the plugin or the disk fails.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::flow::PlainFlow;
use super::provider::{Mood, until};
use super::world::{World, key, name};
use crate::integrations::{SettingsChange, Uncertain};
use crate::store::StoreError;
use crate::store::memory::Fate;
use crate::tokens::{ManualToken, Outcome, Reparsed, State, TokenError};

fn code(outcome: Result<String, TokenError>) -> (String, u64) {
    match outcome {
        Err(TokenError::Failed { code, retry_after, .. }) => (code, retry_after.as_secs()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn after_a_failure_callers_wait_and_the_provider_has_peace() {
    let world = World::new().await;
    world.provider.next(Mood::Say(500, "<html>"));
    assert_eq!(code(world.token().await).0, "invalid_grant");
    assert_eq!(code(world.token().await).0, "invalid_grant");
    assert_eq!(world.provider.requests().len(), 1);
    world.pass(1);
    assert_eq!(world.token().await.unwrap(), "access-1");
    assert!(world.tokens.status(&key()).await.unwrap().failure.is_none());
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let world = World::new().await;
    world.provider.next(Mood::Later(429, 120));
    assert_eq!(code(world.token().await), ("invalid_grant".to_owned(), 120));
    world.pass(119);
    assert_eq!(code(world.token().await), ("invalid_grant".to_owned(), 1));
    world.pass(1);
    world.token().await.unwrap();
}

#[tokio::test]
async fn a_refused_refresh_falls_back_to_an_acquisition_in_the_same_attempt() {
    let world = World::new().await;
    world.token().await.unwrap();
    world.pass(100);
    world.provider.next(Mood::Say(400, r#"{"error":"invalid_grant"}"#));
    assert_eq!(world.token().await.unwrap(), "access-2");
    assert_eq!(world.provider.requests()[1..], ["refresh=refresh-1", "secret=the-client-secret"]);
    let story = world.tokens.attempts(&name(), None, 1).await.unwrap().remove(0);
    assert_eq!(story.outcome, Some(Outcome::Token { generation: 2 }));
    assert_eq!(story.notes, ["the provider refused the refresh token; the token is acquired anew"]);
}

#[tokio::test]
async fn a_refresh_that_got_no_complete_answer_is_not_repeated() {
    for mood in [Mood::Break, Mood::Say(502, "")] {
        let world = World::new().await;
        world.token().await.unwrap();
        world.pass(100);
        world.provider.next(mood.clone());
        world.token().await.unwrap();
        assert_eq!(world.provider.requests()[1..], ["refresh=refresh-1", "secret=the-client-secret"], "{mood:?}");
    }
}

#[tokio::test]
async fn too_many_requests_keep_the_refresh_token() {
    let world = World::new().await;
    world.token().await.unwrap();
    world.pass(100);
    world.provider.next(Mood::Later(429, 5));
    code(world.token().await);
    world.pass(5);
    assert_eq!(world.token().await.unwrap(), "access-2");
    assert_eq!(world.provider.requests()[1..], ["refresh=refresh-1", "refresh=refresh-1"]);
}

/// A flow that needs a person, with a token that a person brought.
async fn attended() -> World {
    let world = World::with(true, Some(100)).await;
    world.token().await.unwrap();
    *world.flows.0.lock().unwrap() = PlainFlow::new(false, "1.0.0");
    world
}

#[tokio::test]
async fn where_only_a_person_could_an_uncertain_refresh_token_is_tried_once_more() {
    let world = attended().await;
    world.pass(95);
    world.provider.next(Mood::Say(500, ""));
    let served = world.tokens.get(&key(), Duration::from_secs(60)).await.unwrap();
    assert_eq!(served.token.generation, 1, "the old token still works");
    world.pass(4);
    assert_eq!(world.token().await.unwrap(), "access-1");
    assert_eq!(world.provider.requests().len(), 2, "not while the old token works");
    world.pass(1);
    assert_eq!(world.token().await.unwrap(), "access-2");
    let story = world.tokens.attempts(&name(), None, 1).await.unwrap().remove(0);
    assert!(story.notes[0].contains("tried once more"), "{:?}", story.notes);
}

#[tokio::test]
async fn twice_uncertain_or_set_so_only_a_person_helps() {
    let world = attended().await;
    world.pass(100);
    for _ in 0..2 {
        world.provider.next(Mood::Break);
        code(world.token().await);
        world.pass(300);
    }
    assert!(matches!(world.token().await, Err(TokenError::PersonNeeded(_))));
    assert_eq!(world.provider.requests().len(), 3);

    let world = attended().await;
    world.set(SettingsChange { uncertain: Some(Uncertain::Acquire), ..SettingsChange::default() }).await;
    world.pass(100);
    world.provider.next(Mood::Break);
    code(world.token().await);
    world.pass(300);
    assert!(matches!(world.token().await, Err(TokenError::PersonNeeded(_))));
    assert_eq!(world.provider.requests().len(), 2);
}

#[tokio::test]
async fn a_failing_renewal_serves_the_old_token_with_its_true_end() {
    let world = World::new().await;
    world.token().await.unwrap();
    world.pass(60);
    for _ in 0..2 {
        world.provider.next(Mood::Say(503, ""));
    }
    let served = world.tokens.get(&key(), Duration::from_secs(60)).await.unwrap();
    assert_eq!((served.token.generation, served.expires_in), (1, Some(40)));
}

#[tokio::test]
async fn an_answer_that_a_plugin_cannot_handle_waits_for_a_repaired_one() {
    let world = World::new().await;
    world.token().await.unwrap();
    world.pass(100);
    world.flows.0.lock().unwrap().broken.store(true, Ordering::SeqCst);
    let (code, _) = code(world.token().await);
    assert_eq!(code, "plugin_fault");
    *world.flows.0.lock().unwrap() = PlainFlow::new(true, "1.0.1");
    assert_eq!(world.token().await.unwrap(), "access-2");
    assert_eq!(world.provider.requests().len(), 2, "the stored answer was used");
    // The same over a restart.
    world.pass(100);
    world.flows.0.lock().unwrap().broken.store(true, Ordering::SeqCst);
    world.token().await.unwrap_err();
    *world.flows.0.lock().unwrap() = PlainFlow::new(true, "1.0.2");
    let world = world.after_power_cut().await;
    assert_eq!(world.token().await.unwrap(), "access-3");
    assert_eq!(world.provider.requests().len(), 3);
}

#[tokio::test]
async fn while_the_disk_is_full_nothing_is_spent_and_a_held_answer_is_kept() {
    let full = || Fate::Fail(StoreError::Full("no space".to_owned()));
    // Full before the request: it doesn't leave.
    let world = World::new().await;
    world.token().await.unwrap();
    world.pass(100);
    world.store.plan(move |_, _| full());
    assert!(matches!(world.token().await, Err(TokenError::Store(StoreError::Full(_)))));
    assert_eq!(world.provider.requests().len(), 1);
    world.store.plan(|_, _| Fate::Commit);
    assert_eq!(world.token().await.unwrap(), "access-2");
    // Full after it: the answer is held until there is room.
    world.pass(100);
    let from = world.store.commits() + 2;
    world.store.plan(move |commit, _| if (from..from + 2).contains(&commit) { full() } else { Fate::Commit });
    assert_eq!(world.token().await.unwrap(), "access-3");
    assert_eq!(world.provider.requests().len(), 3);
    assert_eq!(world.tokens.status(&key()).await.unwrap().state, State::Valid);
}

#[tokio::test]
async fn credentials_that_were_corrected_are_tried_at_once() {
    let world = World::new().await;
    world.provider.next(Mood::Later(401, 3600));
    code(world.token().await);
    code(world.token().await);
    world.pass(1);
    world.set(SettingsChange::default()).await;
    until(|| world.provider.requests().len() == 1).await;
    world.token().await.unwrap();
}

#[tokio::test]
async fn a_stored_answer_is_parsed_again_after_an_upgrade_and_only_while_it_is_of_use() {
    let world = World::new().await;
    assert_eq!(world.tokens.reparse(&key()).await.unwrap(), Reparsed::Nothing);
    let stall = async |version: &str| {
        world.pass(400);
        *world.flows.0.lock().unwrap() = PlainFlow::new(true, version);
        world.flows.0.lock().unwrap().broken.store(true, Ordering::SeqCst);
        assert_eq!(code(world.token().await).0, "plugin_fault");
    };
    world.token().await.unwrap();
    stall("1.0.0").await;
    assert!(matches!(world.tokens.reparse(&key()).await.unwrap(), Reparsed::SameComponent { .. }));
    // Another one that can't read it either: it is kept on, and waits for yet another.
    *world.flows.0.lock().unwrap() = PlainFlow::new(true, "1.0.1");
    world.flows.0.lock().unwrap().broken.store(true, Ordering::SeqCst);
    world.tokens.reparse(&key()).await.unwrap_err();
    assert!(matches!(world.tokens.reparse(&key()).await.unwrap(), Reparsed::SameComponent { .. }));
    *world.flows.0.lock().unwrap() = PlainFlow::new(true, "1.0.2");
    assert_eq!(world.tokens.reparse(&key()).await.unwrap(), Reparsed::Token { generation: 2 });
    assert_eq!(world.provider.requests().len(), 2, "nothing was sent for it");
    assert_eq!(world.token().await.unwrap(), "access-2");
    assert_eq!(world.tokens.reparse(&key()).await.unwrap(), Reparsed::Nothing);

    // A token entered by hand makes the answer void.
    stall("1.0.3").await;
    let manual = ManualToken {
        access_token: "by-hand".into(),
        refresh_token: None,
        token_type: None,
        scope: None,
        expires_in: None,
        expires_at: None,
        created_at: None,
    };
    world.tokens.put(&key(), manual).await.unwrap();
    *world.flows.0.lock().unwrap() = PlainFlow::new(true, "1.0.4");
    assert_eq!(world.tokens.reparse(&key()).await.unwrap(), Reparsed::Nothing);
    assert_eq!(world.token().await.unwrap(), "by-hand");
}

#[tokio::test]
async fn what_a_flow_could_not_read_though_the_provider_gave_it_is_kept_too() {
    let world = attended().await;
    world.pass(100);
    world.provider.next(Mood::Say(200, r#"{"token":{"access_token":"nested"}}"#));
    let refused = async |world: &World| {
        world.token().await.unwrap_err();
        world.tokens.status(&key()).await.unwrap().failure.unwrap().code
    };
    assert_eq!(refused(&world).await, "invalid_grant");
    // Such a failure says that the answer was understood.
    assert!(matches!(world.tokens.reparse(&key()).await.unwrap(), Reparsed::Nothing));

    let world = attended().await;
    world.pass(100);
    world.flows.0.lock().unwrap().illiterate.store(true, Ordering::SeqCst);
    assert_eq!(refused(&world).await, "invalid_response");
    *world.flows.0.lock().unwrap() = PlainFlow::new(false, "1.0.1");
    assert_eq!(world.tokens.reparse(&key()).await.unwrap(), Reparsed::Token { generation: 2 });
    assert_eq!(world.provider.requests().len(), 2);
}
