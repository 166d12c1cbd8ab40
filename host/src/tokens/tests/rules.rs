//! What an operator decides about a flow, as attempts obey it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::flow::PlainFlow;
use super::world::{World, key, name};
use crate::flows::{Barred, Limits};
use crate::tokens::{Outcome, TokenError};

fn flow(world: &World) -> Arc<PlainFlow> {
    Arc::clone(&world.flows.0.lock().unwrap())
}

#[tokio::test]
async fn a_flow_reads_the_secrets_that_were_granted_and_no_record_shows_them() {
    let world = World::new().await;
    world.token().await.unwrap();
    assert!(flow(&world).rules.lock().unwrap().read.is_empty());
    flow(&world).rules.lock().unwrap().revealed = vec!["client_secret".to_owned(), "unset".to_owned()];
    world.tokens.renew(&key()).await.unwrap();
    let read = flow(&world).rules.lock().unwrap().read.clone();
    assert_eq!(read, ["client_secret=the-client-secret"; 2], "at each step, and only what is set");
    let stories = world.tokens.attempts(&name(), None, 10).await.unwrap();
    assert!(!format!("{stories:?}").contains("the-client-secret"));
}

#[tokio::test]
async fn a_flow_that_is_barred_makes_no_attempt_and_what_it_got_is_served_on() {
    let world = World::new().await;
    world.token().await.unwrap();
    flow(&world).rules.lock().unwrap().barred = Some(Barred {
        code: "flow_quarantined",
        message: "flow plain is under quarantine".to_owned(),
        retry_after: Duration::from_secs(60),
    });
    world.pass(50);
    assert_eq!(world.token().await.unwrap(), "access-1");
    world.pass(50);
    match world.token().await {
        Err(TokenError::Failed { code, retry_after, attempt, .. }) => {
            assert_eq!((code.as_str(), retry_after.as_secs(), attempt), ("flow_quarantined", 60, None));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.provider.requests().len(), 1);
    assert_eq!(world.tokens.attempts(&name(), None, 10).await.unwrap().len(), 1);
    // Once it may run, it does: nobody waits for anything.
    flow(&world).rules.lock().unwrap().barred = None;
    assert_eq!(world.token().await.unwrap(), "access-2");
}

#[tokio::test]
async fn an_attempt_takes_no_more_steps_and_requests_than_its_flow_may() {
    for (limits, part, requests) in [
        (
            Limits { steps: 1, ..Limits::default() },
            "more than 1 steps in one attempt; `tokenhost flow limit plain --steps`",
            1,
        ),
        (Limits { requests: 0, ..Limits::default() }, "more than 0 requests in one attempt", 0),
    ] {
        let world = World::new().await;
        flow(&world).rules.lock().unwrap().limits = limits;
        match world.token().await {
            Err(TokenError::Failed { code, message, .. }) => {
                assert_eq!(code, "limit_exceeded");
                assert!(message.contains(part), "{message}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(world.provider.requests().len(), requests);
        assert_eq!(flow(&world).rules.lock().unwrap().faults, [true]);
        let story = world.tokens.attempts(&name(), None, 1).await.unwrap().remove(0);
        assert!(matches!(story.outcome, Some(Outcome::Failed { .. })), "{story:?}");
    }
}

#[tokio::test]
async fn faults_of_a_flow_are_told_and_those_of_its_provider_are_not() {
    let world = World::new().await;
    world.provider.next(super::provider::Mood::Say(500, "no"));
    world.token().await.unwrap_err();
    world.pass(1);
    world.token().await.unwrap();
    world.pass(100);
    flow(&world).broken.store(true, Ordering::SeqCst);
    world.token().await.unwrap_err();
    assert_eq!(flow(&world).rules.lock().unwrap().faults, [false, false, true]);
}
