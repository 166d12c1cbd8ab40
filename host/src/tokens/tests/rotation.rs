//! Secrets with several values, and tokens that are revoked.

use std::collections::BTreeMap;

use super::provider::Mood;
use super::world::{World, key, name};
use crate::integrations::Change;
use crate::tokens::{Outcome, Revocation, State};

const REFUSED: Mood = Mood::Say(401, r#"{"error":"invalid_client"}"#);

/// A world whose client secret has these values.
async fn with_secrets(values: &[&str]) -> World {
    let world = World::new().await;
    set_secrets(&world, values).await;
    world
}

async fn set_secrets(world: &World, values: &[&str]) {
    let names = ["client_secret", "client_secret.2", "client_secret.3"];
    let fields: BTreeMap<String, Option<String>> =
        names.iter().zip(values).map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect();
    world.integrations.change(&name(), Change { fields, ..Change::default() }).await.unwrap();
}

#[tokio::test]
async fn a_refused_client_is_tried_with_the_next_value_in_the_same_attempt() {
    let world = with_secrets(&["one", "two", "three"]).await;
    world.provider.next(REFUSED);
    world.provider.next(REFUSED);
    assert_eq!(world.token().await.unwrap(), "access-1");
    assert_eq!(world.provider.requests(), ["secret=one", "secret=two", "secret=three"]);
    let story = world.tokens.attempts(&name(), None, 1).await.unwrap().remove(0);
    assert_eq!(
        story.notes,
        ["2", "3"].map(|n| format!("the provider refused the client; tried again with value {n} of client_secret"))
    );
    assert!(!serde_json::to_string(&story).unwrap().contains("two"));

    // The one that worked comes first from then on, and the others are still there.
    world.pass(100);
    world.provider.next(Mood::Say(400, r#"{"error":"invalid_grant"}"#));
    world.provider.next(REFUSED);
    world.token().await.unwrap();
    assert_eq!(world.provider.requests()[3..], ["refresh=refresh-1", "secret=three", "secret=one"]);

    // Whoever changes the integration says the order anew.
    set_secrets(&world, &["four"]).await;
    world.tokens.delete(&key()).await.unwrap();
    world.token().await.unwrap();
    assert_eq!(world.provider.requests()[6..], ["secret=four"]);
}

#[tokio::test]
async fn only_a_refused_client_is_tried_again() {
    for (mood, requests) in [
        (Mood::Say(400, r#"{"error":"invalid_scope"}"#), 1),
        (Mood::Say(503, r#"{"error":"invalid_client"}"#), 1),
        (REFUSED, 2),
    ] {
        let world = with_secrets(&["one", "two"]).await;
        world.provider.next(mood.clone());
        world.provider.next(mood.clone());
        world.token().await.unwrap_err();
        assert_eq!(world.provider.requests().len(), requests, "{mood:?}");
    }
}

#[tokio::test]
async fn a_token_is_revoked_once_at_its_provider() {
    let world = World::new().await;
    assert_eq!(world.tokens.revoke(&name()).await.unwrap(), Revocation::None);
    world.token().await.unwrap();
    world.pass(1);
    world.provider.next(Mood::Say(200, ""));
    assert_eq!(world.tokens.revoke(&name()).await.unwrap(), Revocation::Done(1));
    assert_eq!(world.provider.requests()[1..], ["revoke=refresh-1"]);
    assert_eq!(world.tokens.status(&key()).await.unwrap().state, State::Absent);
    assert_eq!(world.tokens.attempts(&name(), None, 1).await.unwrap()[0].outcome, Some(Outcome::Revoked));
    assert_eq!(world.tokens.revoke(&name()).await.unwrap(), Revocation::None);
    // The integration goes on as if it never had one.
    assert_eq!(world.token().await.unwrap(), "access-2");
}

#[tokio::test]
async fn what_the_provider_says_against_it_is_told() {
    let world = World::new().await;
    world.token().await.unwrap();
    world.provider.next(Mood::Say(400, r#"{"error":"unsupported_token_type"}"#));
    match world.tokens.revoke(&name()).await.unwrap() {
        Revocation::Failed(why) => assert_eq!(why, "unsupported_token_type: it said 400"),
        other => panic!("{other:?}"),
    }
    world.provider.next(Mood::Say(400, r#"{"error":"unsupported"}"#));
    assert_eq!(world.tokens.revoke(&name()).await.unwrap(), Revocation::None);
}
