//! What needs attention, and which events are told of a token's life.

use std::sync::Arc;

use secrecy::SecretString;
use ulid::Ulid;

use super::provider::Mood;
use super::world::{World, key, name};
use crate::integrations::Change;
use crate::notices::{Kind, Notices, Retention, Severity};
use crate::tokens::{Attention, ConcernKind, ManualToken};

/// Watches over a world's integrations, and has looked at all of them.
async fn watch(world: &World) -> Arc<Notices> {
    let notices = Notices::open(world.store.clone(), world.clock.clone(), Retention::default()).await.unwrap();
    world.tokens.watch_over(Arc::clone(&notices));
    while !attention(world).await.is_complete {
        tokio::task::yield_now().await;
    }
    notices
}

async fn attention(world: &World) -> Attention {
    world.tokens.touch_what_is_due();
    world.tokens.attention(|_, _| true, 10).await.unwrap()
}

/// The kinds of what needs attention.
async fn kinds(world: &World) -> Vec<ConcernKind> {
    attention(world).await.concerns.iter().map(|concern| concern.kind).collect()
}

async fn told(notices: &Notices) -> Vec<Kind> {
    notices.settled().await;
    notices.after(Ulid::nil(), 100).await.unwrap().iter().map(|event| event.kind).collect()
}

fn entered(expires_in: u64) -> ManualToken {
    ManualToken {
        access_token: SecretString::from("by-hand"),
        refresh_token: None,
        token_type: None,
        scope: None,
        created_at: None,
        expires_at: None,
        expires_in: Some(expires_in),
    }
}

#[tokio::test]
async fn failures_are_shown_with_cause_and_next_try_and_are_over_with_the_next_token() {
    let world = World::new().await;
    let notices = watch(&world).await;
    let all = attention(&world).await;
    assert_eq!((all.integrations, all.healthy, all.concerns.len()), (1, 1, 0));

    world.provider.next(Mood::Say(400, r#"{"error":"invalid_client"}"#));
    world.token().await.unwrap_err();
    let all = attention(&world).await;
    let concern = &all.concerns[0];
    assert_eq!((all.healthy, concern.kind, &concern.integration), (0, ConcernKind::Failing, &name()));
    assert!(concern.retry_at.is_some() && concern.works_until.is_none(), "{concern:?}");
    assert!(concern.message.contains("invalid") && concern.remedy.contains("tokenhost integration"), "{concern:?}");

    world.pass(3600);
    world.token().await.unwrap();
    world.pass(100);
    world.token().await.unwrap();
    assert_eq!(kinds(&world).await, []);
    assert_eq!(told(&notices).await, [Kind::RenewalFailing, Kind::TokenRecovered, Kind::TokenRenewed]);
    let event = notices.after(Ulid::nil(), 1).await.unwrap().remove(0);
    assert_eq!((event.severity, &event.integration), (Severity::Error, &Some(name())));
    assert!(!event.message.contains("the-client-secret"), "{event:?}");
}

#[tokio::test]
async fn not_every_failure_is_told() {
    let world = World::new().await;
    let notices = watch(&world).await;
    for _ in 0..6 {
        world.provider.next(Mood::Say(400, "{}"));
        world.tokens.renew(&key()).await.unwrap_err();
    }
    assert_eq!(told(&notices).await, [Kind::RenewalFailing; 2]);
    let messages: Vec<String> =
        notices.after(Ulid::nil(), 9).await.unwrap().iter().map(|event| event.message.clone()).collect();
    assert!(messages[1].contains("5 times in a row"), "{messages:?}");
}

#[tokio::test]
async fn a_token_that_only_a_person_can_replace_is_told_before_its_end_and_at_it_once_each() {
    let world = World::with(false, None).await;
    let notices = watch(&world).await;
    let concern = attention(&world).await.concerns.remove(0);
    assert_eq!((concern.kind, concern.message.as_str()), (ConcernKind::PersonNeeded, "nobody has connected it yet"));
    assert_eq!(concern.remedy, "tokenhost integration connect crm");

    world.tokens.put(&key(), entered(1000)).await.unwrap();
    assert_eq!(kinds(&world).await, []);
    assert_eq!(told(&notices).await, []);
    world.pass(801);
    assert_eq!(kinds(&world).await, [ConcernKind::Expiring]);
    world.pass(200);
    assert_eq!(kinds(&world).await, [ConcernKind::PersonNeeded]);
    // A change, and a restart, tell nothing twice.
    world.integrations.change(&name(), Change::default()).await.unwrap();
    assert_eq!(kinds(&world).await, [ConcernKind::PersonNeeded]);
    assert_eq!(told(&notices).await, [Kind::TokenExpiring, Kind::PersonNeeded]);
    let world = world.after_kill().await;
    let notices = watch(&world).await;
    assert_eq!(kinds(&world).await, [ConcernKind::PersonNeeded]);
    assert_eq!(told(&notices).await, [Kind::TokenExpiring, Kind::PersonNeeded]);
}

#[tokio::test]
async fn what_is_deleted_needs_no_attention_and_what_isnt_seen_isnt_counted() {
    let world = World::with(false, None).await;
    watch(&world).await;
    let none = world.tokens.attention(|_, _| false, 10).await.unwrap();
    assert_eq!((none.integrations, none.healthy, none.concerns.len(), none.more), (0, 0, 0, 0));
    let few = world.tokens.attention(|_, _| true, 0).await.unwrap();
    assert_eq!((few.integrations, few.healthy, few.concerns.len(), few.more), (1, 0, 0, 1));
    world.integrations.delete(&name()).await.unwrap();
    assert_eq!(attention(&world).await.integrations, 0);
    assert_eq!(kinds(&world).await, []);
}
