//! A crash at every point of an attempt at which something is written, by power cut and by `kill -9`.

use super::provider::until;
use super::world::{World, key};
use crate::store::memory::Fate;
use crate::tokens::{State, TokenError};

/// Acquires, lets the token end, and refreshes; a crash comes at commit number `crash` from the start. Returns the tokens that callers
/// were given, and whether the crash came.
async fn scenario(world: &World, crash: u64, fate: Fate) -> (Vec<String>, bool) {
    let from = world.store.commits();
    world.store.plan(move |commit, _| if commit == from + crash { fate.clone() } else { Fate::Commit });
    let mut tokens = Vec::new();
    for _ in 0..3 {
        // An attempt that can't store what it was given holds it, and so do its callers; a crash ends them all.
        let outcome = tokio::select! {
            outcome = world.token() => outcome,
            () = until(|| world.store.is_dead()) => return (tokens, true),
        };
        match outcome {
            Ok(token) => tokens.push(token),
            Err(TokenError::Store(_)) if world.store.is_dead() => return (tokens, true),
            Err(error) => panic!("{error:?}"),
        }
        world.pass(100);
    }
    (tokens, false)
}

#[tokio::test]
async fn a_crash_at_any_write_loses_no_token_and_sends_no_refresh_token_twice() {
    for fate in [Fate::CrashBefore, Fate::CrashAfter] {
        for power_cut in [true, false] {
            let mut crash = 1;
            loop {
                let world = World::new().await;
                let (given, crashed) = scenario(&world, crash, fate.clone()).await;
                if !crashed {
                    assert!(crash > 6, "the scenario has several writes, not {crash}");
                    break;
                }
                let what = format!("{fate:?} at commit {crash}, power cut: {power_cut}");
                world.tokens.shutdown().await;
                let after = if power_cut { world.after_power_cut().await } else { world.after_kill().await };
                let status = after.tokens.status(&key()).await.unwrap();
                let generation = status.generation;
                assert!(generation >= given.len() as u64, "{what}: {given:?} were acknowledged, {generation} is known");
                let current = status.state == State::Valid && generation == given.len() as u64;
                if let Some(last) = given.last().filter(|_| current) {
                    // Acknowledged and not over: it is served after the crash without another request.
                    assert_eq!(&after.token().await.unwrap(), last, "{what}");
                }
                let token = after.token().await.unwrap_or_else(|error| panic!("{what}: {error}"));
                assert!(token.starts_with("access-"), "{what}");
                after.pass(100);
                after.token().await.unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(after.provider.reused(), 0, "{what}: {:?}", after.provider.requests());
                crash += 1;
            }
        }
    }
}

/// Asks for a token until the crash.
async fn crash(world: &World) {
    tokio::select! {
        _ = world.token() => {}
        () = until(|| world.store.is_dead()) => {}
    }
    assert!(world.store.is_dead(), "there was no crash");
}

#[tokio::test]
async fn an_answer_that_was_stored_before_the_crash_needs_no_further_request() {
    let world = World::new().await;
    world.token().await.unwrap();
    world.pass(100);
    // The refresh writes: sent, answered, done.
    world.store.plan_nth(3, Fate::CrashBefore);
    crash(&world).await;
    assert_eq!(world.provider.requests().len(), 2);
    let after = world.after_power_cut().await;
    assert_eq!(after.token().await.unwrap(), "access-2");
    assert_eq!(after.provider.requests().len(), 2);
}

#[tokio::test]
async fn a_refresh_token_that_left_before_the_crash_is_not_sent_again() {
    let world = World::new().await;
    world.token().await.unwrap();
    world.pass(100);
    world.store.plan_nth(2, Fate::CrashBefore);
    crash(&world).await;
    let after = world.after_power_cut().await;
    after.token().await.unwrap();
    let refreshes = after.provider.requests().iter().filter(|form| *form == "refresh=refresh-1").count();
    assert_eq!(refreshes, 1);
}
