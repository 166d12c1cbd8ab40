//! Attempts in which a person takes part: sent away and back, in the right browser, once, across crashes; asked for again
//! and again; and what callers meet meanwhile.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use ulid::Ulid;

use super::flow::PlainFlow;
use super::provider::{Mood, until};
use super::world::{World, key, name};
use crate::integrations::Change;
use crate::store::memory::Fate;
use crate::tokens::{Back, Next, Outcome, State, Status, TokenError, Unwelcome};

/// A world whose flow needs a person; tokens live 100 s.
async fn attended() -> World {
    World::with(false, Some(100)).await
}

/// A person who was sent away, in a browser of their own.
struct Person {
    attempt: Ulid,
    ticket: String,
    state: String,
    browser: Vec<String>,
}

impl Person {
    /// What they come back with.
    fn query(&self, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let all = [("state", self.state.as_str())].into_iter().chain(more.iter().copied());
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// They come back with a code.
    async fn returns(&self, world: &World) -> Result<Back, Unwelcome> {
        world.tokens.come_back(self.query(&[("code", "the-secret-code")]), &self.browser).await
    }
}

/// Starts to connect, and opens the link.
async fn sent_away(world: &World) -> Person {
    let connecting = world.tokens.connect(&key()).await.unwrap();
    let Next::Open(ticket, _) = connecting.next else { panic!("{connecting:?}") };
    let ticket = ticket.expose_secret().to_owned();
    let onward = world.tokens.visit(&ticket, &[]).await.unwrap();
    let state = onward.url.expose_secret().split_once("?state=").unwrap().1.to_owned();
    let browser = vec!["another".to_owned(), onward.browser.expose_secret().to_owned()];
    Person { attempt: connecting.attempt, ticket, state, browser }
}

#[track_caller]
fn connected(back: Result<Back, Unwelcome>) -> u64 {
    match back.unwrap().outcome {
        Ok(Next::Nothing(generation)) => generation,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused<T>(outcome: Result<T, Unwelcome>) -> &'static str {
    match outcome {
        Err(Unwelcome::Refused(why)) => why,
        Err(Unwelcome::Token(error)) => panic!("{error}"),
        Ok(_) => panic!("it was let in"),
    }
}

async fn status(world: &World) -> Status {
    world.tokens.status(&key()).await.unwrap()
}

async fn outcome_of(world: &World, attempt: Ulid) -> Option<Outcome> {
    world.tokens.attempt_story(&name(), attempt).await.unwrap().outcome
}

/// How often a code was redeemed.
fn codes(world: &World) -> usize {
    world.provider.requests().iter().filter(|form| form.starts_with("code=")).count()
}

#[track_caller]
fn person_needed(outcome: Result<String, TokenError>) -> String {
    match outcome {
        Err(TokenError::PersonNeeded(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_person_goes_and_comes_back_once() {
    let world = attended().await;
    assert_eq!(status(&world).await.state, State::PersonNeeded);
    let why = person_needed(world.token().await);
    assert!(why.contains("tokenhost integration connect crm"), "{why}");
    let person = sent_away(&world).await;
    let why = person_needed(world.token().await);
    assert!(why.contains("connecting is under way") && why.contains(&person.attempt.to_string()), "{why}");
    assert_eq!(status(&world).await.connecting.unwrap().attempt, person.attempt);
    assert_eq!(connected(person.returns(&world).await), 1);
    assert_eq!(world.provider.requests(), ["code=the-secret-code&secret=the-client-secret"]);
    assert_eq!(world.token().await.unwrap(), "access-1");
    let after = status(&world).await;
    assert_eq!((after.state, after.connecting.is_none()), (State::Valid, true));
    for _ in 0..2 {
        refused(person.returns(&world).await);
        refused(world.tokens.visit(&person.ticket, &person.browser).await);
    }
    // It is renewed like any other.
    world.pass(100);
    assert_eq!(world.token().await.unwrap(), "access-2");
    let story = world.tokens.attempt_story(&name(), person.attempt).await.unwrap();
    let text = serde_json::to_string(&story).unwrap();
    let shown = "[sensitive, 15 bytes, sha256 ";
    assert!(text.matches(shown).count() == 2, "the code, as it came and as it went: {text}");
    for secret in ["the-secret-code", &person.state, &person.ticket, "verifier", "access-1"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    for (record, value) in world.store.dump() {
        let text = format!("{} {}", String::from_utf8_lossy(&record), String::from_utf8_lossy(&value));
        for secret in ["the-secret-code", &person.state, &person.ticket, &person.browser[1], "access-1"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(!text.contains("awaited-attempt"), "nobody is awaited any more: {text}");
    }
}

#[tokio::test]
async fn only_the_browser_that_opened_the_link_comes_back_and_only_in_time() {
    let world = attended().await;
    let person = sent_away(&world).await;
    let come =
        async |query: Vec<(String, String)>, browser: &[String]| refused(world.tokens.come_back(query, browser).await);
    come(person.query(&[("code", "c")]), &[]).await;
    come(person.query(&[("code", "c")]), &["another".to_owned()]).await;
    come(vec![("state".to_owned(), "unknown".to_owned())], &person.browser).await;
    come(vec![("code".to_owned(), "c".to_owned())], &person.browser).await;
    come(person.query(&[("state", "x")]), &person.browser).await;
    // What opens the link is no return, and the other way round.
    come(vec![("state".to_owned(), person.ticket.clone())], &person.browser).await;
    refused(world.tokens.visit(&person.state, &[]).await);
    refused(world.tokens.visit("unknown", &[]).await);
    // Another browser can't have the link once it was opened; the same one can.
    refused(world.tokens.visit(&person.ticket, &[]).await);
    refused(world.tokens.visit(&person.ticket, &["another".to_owned()]).await);
    let again = world.tokens.visit(&person.ticket, &person.browser).await.unwrap();
    assert_eq!(again.browser.expose_secret(), person.browser[1]);
    assert_eq!(world.provider.requests().len(), 0);

    world.pass(10 * 60);
    come(person.query(&[("code", "c")]), &person.browser).await;
    world.tokens.expire(&key(), person.attempt).await.unwrap();
    let Some(Outcome::Failed { code, .. }) = outcome_of(&world, person.attempt).await else { panic!() };
    assert_eq!(code, "expired");
    assert!(status(&world).await.connecting.is_none());
    assert!(status(&world).await.failure.is_none(), "nobody's absence makes others wait");
    // A link that nobody opened can't be come back from.
    let connecting = world.tokens.connect(&key()).await.unwrap();
    assert!(matches!(connecting.next, Next::Open(..)));
    let person = sent_away(&world).await;
    assert_eq!(connected(person.returns(&world).await), 1);
}

#[tokio::test]
async fn what_takes_its_place_ends_an_attempt_and_no_code_is_sent() {
    let world = attended().await;
    let first = sent_away(&world).await;
    let second = sent_away(&world).await;
    assert_eq!(outcome_of(&world, first.attempt).await, Some(Outcome::Void));
    refused(first.returns(&world).await);
    world.tokens.delete(&key()).await.unwrap();
    refused(second.returns(&world).await);
    assert_eq!(outcome_of(&world, second.attempt).await, Some(Outcome::Void));
    // What was for somewhere else isn't brought there.
    let third = sent_away(&world).await;
    let fields = BTreeMap::from([
        ("token_url".to_owned(), Some("http://127.0.0.1:9/token".to_owned())),
        ("client_secret".to_owned(), Some("another".to_owned())),
    ]);
    world.integrations.change(&name(), Change { fields, ..Change::default() }).await.unwrap();
    let back = third.returns(&world).await.unwrap();
    assert!(matches!(back.outcome, Err(TokenError::Changed)), "{back:?}");
    assert_eq!(outcome_of(&world, third.attempt).await, Some(Outcome::Void));
    assert_eq!(codes(&world), 0);
    person_needed(world.token().await);
}

#[tokio::test]
async fn the_present_token_is_served_and_renewed_while_a_person_is_away() {
    let world = attended().await;
    assert_eq!(connected(sent_away(&world).await.returns(&world).await), 1);
    let person = sent_away(&world).await;
    assert_eq!(world.token().await.unwrap(), "access-1");
    world.pass(100);
    assert_eq!(world.token().await.unwrap(), "access-2");
    assert_eq!(connected(person.returns(&world).await), 3, "what the person brought comes after it");
    assert_eq!(world.token().await.unwrap(), "access-3");
    world.pass(100);
    assert_eq!(world.token().await.unwrap(), "access-4");
    assert_eq!(world.provider.requests()[3], "refresh=refresh-3");
}

#[tokio::test]
async fn a_refusal_ends_the_attempt_and_leaves_the_present_token_alone() {
    let world = attended().await;
    assert_eq!(connected(sent_away(&world).await.returns(&world).await), 1);
    let person = sent_away(&world).await;
    let query = person.query(&[("error", "access_denied")]);
    let back = world.tokens.come_back(query, &person.browser).await.unwrap();
    let Err(TokenError::Failed { code, attempt, .. }) = back.outcome else { panic!("{back:?}") };
    assert_eq!((code.as_str(), attempt), ("access_denied", Some(person.attempt)));
    world.pass(100);
    assert_eq!(world.token().await.unwrap(), "access-2");
}

#[tokio::test]
async fn a_rotated_secret_sends_nobody_away_twice() {
    let world = attended().await;
    let fields = BTreeMap::from([("client_secret.2".to_owned(), Some("the-next-secret".to_owned()))]);
    world.integrations.change(&name(), Change { fields, ..Change::default() }).await.unwrap();
    let person = sent_away(&world).await;
    world.provider.next(Mood::Say(401, r#"{"error":"invalid_client"}"#));
    assert_eq!(connected(person.returns(&world).await), 1);
    let sent = ["the-client-secret", "the-next-secret"].map(|secret| format!("code=the-secret-code&secret={secret}"));
    assert_eq!(world.provider.requests(), sent);
}

#[tokio::test]
async fn nobody_is_sent_elsewhere() {
    let world = attended().await;
    world.flows.0.lock().unwrap().strays.store(true, Ordering::SeqCst);
    let error = world.tokens.connect(&key()).await.unwrap_err();
    let TokenError::Failed { code, message, .. } = error else { panic!("{error:?}") };
    assert_eq!(code, "request_refused");
    assert!(message.contains("http://elsewhere.example is none of this integration's own origins"), "{message}");
}

#[tokio::test]
async fn a_revoked_consent_is_told_at_once_and_a_clients_own_fault_costs_none() {
    for (said, is_revoked) in [(r#"{"error":"invalid_grant"}"#, true), (r#"{"error":"invalid_client"}"#, false)] {
        let world = attended().await;
        assert_eq!(connected(sent_away(&world).await.returns(&world).await), 1);
        world.pass(100);
        world.provider.next(Mood::Say(400, said));
        let outcome = world.token().await;
        if is_revoked {
            let why = person_needed(outcome);
            assert!(why.contains("invalid_grant") && why.contains("tokenhost integration connect crm"), "{why}");
            person_needed(world.token().await);
            assert_eq!(status(&world).await.state, State::PersonNeeded);
            assert_eq!(world.provider.requests().len(), 2, "it isn't asked again");
            assert_eq!(connected(sent_away(&world).await.returns(&world).await), 2);
        } else {
            assert!(matches!(outcome, Err(TokenError::Failed { .. })), "{outcome:?}");
            assert_eq!(status(&world).await.state, State::Expired);
            world.pass(300);
        }
        assert_eq!(world.token().await.unwrap(), "access-2");
    }
}

#[tokio::test]
async fn a_person_may_come_back_after_a_restart() {
    for power_cut in [true, false] {
        let world = attended().await;
        let person = sent_away(&world).await;
        world.tokens.shutdown().await;
        let after = if power_cut { world.after_power_cut().await } else { world.after_kill().await };
        person_needed(after.token().await);
        assert_eq!(connected(person.returns(&after).await), 1);
        refused(person.returns(&after).await);
        assert_eq!(codes(&after), 1);
    }
}

#[tokio::test]
async fn a_crash_at_any_write_sends_no_code_twice() {
    for fate in [Fate::CrashBefore, Fate::CrashAfter] {
        for power_cut in [true, false] {
            let mut crash = 1;
            loop {
                let world = attended().await;
                let person = sent_away(&world).await;
                world.store.plan_nth(crash, fate.clone());
                let what = format!("{fate:?} at commit {crash}, power cut: {power_cut}");
                let back = tokio::select! {
                    back = person.returns(&world) => back.ok(),
                    () = until(|| world.store.is_dead()) => None,
                };
                if !world.store.is_dead() {
                    assert!(crash > 4, "the return has several writes, not {crash}");
                    assert_eq!(connected(Ok(back.unwrap())), 1);
                    break;
                }
                world.tokens.shutdown().await;
                let after = if power_cut { world.after_power_cut().await } else { world.after_kill().await };
                // The person's browser tries once more, as browsers do.
                let again = person.returns(&after).await;
                if again.is_err() {
                    until_over(&after, person.attempt).await;
                }
                match outcome_of(&after, person.attempt).await {
                    Some(Outcome::Token { .. }) => assert_eq!(after.token().await.unwrap(), "access-1", "{what}"),
                    Some(Outcome::Interrupted) => drop(person_needed(after.token().await)),
                    other => panic!("{what}: {other:?}"),
                }
                assert!(codes(&after) <= 1, "{what}: {:?}", after.provider.requests());
                assert!(status(&after).await.connecting.is_none(), "{what}");
                // Whatever it was, connecting anew works.
                connected(sent_away(&after).await.returns(&after).await);
                after.token().await.unwrap();
                crash += 1;
            }
        }
    }
}

/// Waits until an attempt has ended.
async fn until_over(world: &World, attempt: Ulid) {
    let wait = async {
        while outcome_of(world, attempt).await.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it never ended");
}

/// A world whose flow asks again and again.
async fn polling() -> World {
    let world = attended().await;
    world.flows.0.lock().unwrap().polls.store(true, Ordering::SeqCst);
    world
}

/// Starts to connect; the person is told a code.
async fn prompted(world: &World) -> Ulid {
    let connecting = world.tokens.connect(&key()).await.unwrap();
    let Next::Prompt(prompt, _) = connecting.next else { panic!("{connecting:?}") };
    assert_eq!((prompt.message.as_str(), prompt.code.as_deref()), ("enter it", Some("WDJB")));
    connecting.attempt
}

#[tokio::test]
async fn a_provider_is_asked_as_long_as_it_takes_and_the_story_stays_short() {
    let world = polling().await;
    for _ in 0..300 {
        world.provider.next(Mood::Say(418, ""));
    }
    let attempt = prompted(&world).await;
    person_needed(world.token().await);
    until_over(&world, attempt).await;
    assert_eq!(outcome_of(&world, attempt).await, Some(Outcome::Token { generation: 1 }));
    assert_eq!(world.provider.requests().len(), 301);
    let story = world.tokens.attempt_story(&name(), attempt).await.unwrap();
    assert!(story.steps.len() < 10, "{:#?}", story.steps);
    let taken: u32 = story.steps.iter().map(|step| step.repeats + 1).sum();
    assert_eq!(taken, 1 + 301 * 2);
    assert!(!serde_json::to_string(&story).unwrap().contains("WDJB"), "the code is for the person");
    assert_eq!(world.token().await.unwrap(), "access-1");
}

#[tokio::test]
async fn asking_ends_when_it_is_superseded_or_its_time_is_over() {
    let world = polling().await;
    world.provider.next(Mood::Hold);
    let first = prompted(&world).await;
    until(|| world.provider.requests().len() == 1).await;
    world.tokens.delete(&key()).await.unwrap();
    world.provider.release();
    until_over(&world, first).await;
    assert_eq!(outcome_of(&world, first).await, Some(Outcome::Void));
    assert_eq!(status(&world).await.generation, 1, "only the deletion counted");

    world.provider.next(Mood::Hold);
    world.provider.next(Mood::Say(418, ""));
    let second = prompted(&world).await;
    until(|| world.provider.requests().len() == 2).await;
    world.pass(30 * 60);
    world.flows.0.lock().unwrap().broken.store(false, Ordering::SeqCst);
    world.provider.release();
    until_over(&world, second).await;
    assert!(outcome_of(&world, second).await.is_some());
}

#[tokio::test]
async fn asking_goes_on_after_a_crash_at_any_write() {
    for power_cut in [true, false] {
        for crash in 1..=8 {
            let world = polling().await;
            for _ in 0..2 {
                world.provider.next(Mood::Say(418, ""));
            }
            // The start and the first wait are written before the person is told.
            world.store.plan_nth(2 + crash, Fate::CrashBefore);
            let attempt = prompted(&world).await;
            until(|| world.store.is_dead()).await;
            world.tokens.shutdown().await;
            let after = if power_cut { world.after_power_cut().await } else { world.after_kill().await };
            until_over(&after, attempt).await;
            let what = format!("commit {crash}, power cut: {power_cut}");
            let outcome = outcome_of(&after, attempt).await;
            assert_eq!(outcome, Some(Outcome::Token { generation: 1 }), "{what}");
            assert!(after.token().await.is_ok(), "{what}");
        }
    }
}

#[tokio::test]
async fn a_flow_that_needs_nobody_connects_by_itself() {
    let world = World::new().await;
    let connecting = world.tokens.connect(&key()).await.unwrap();
    assert!(matches!(connecting.next, Next::Nothing(1)), "{connecting:?}");
    assert_eq!(world.token().await.unwrap(), "access-1");
    // And one that needs a person from now on says so where nobody is there.
    *world.flows.0.lock().unwrap() = PlainFlow::new(false, "2.0.0");
    world.tokens.delete(&key()).await.unwrap();
    person_needed(world.token().await);
}

#[tokio::test]
async fn a_flow_that_only_sometimes_needs_a_person_is_treated_as_one_that_does() {
    for polls in [false, true] {
        let world = World::new().await;
        {
            let flow = world.flows.0.lock().unwrap();
            flow.wants_a_person.store(true, Ordering::SeqCst);
            flow.polls.store(polls, Ordering::SeqCst);
        }
        for _ in 0..3 {
            let why = person_needed(world.token().await);
            assert!(why.contains("tokenhost integration connect crm"), "{why}");
        }
        assert_eq!(status(&world).await.state, State::PersonNeeded);
        assert_eq!(world.tokens.attempts(&name(), None, 9).await.unwrap().len(), 1, "the flow is asked once");
        if polls {
            let attempt = prompted(&world).await;
            until_over(&world, attempt).await;
        } else {
            assert_eq!(connected(sent_away(&world).await.returns(&world).await), 1);
        }
        world.pass(100);
        world.provider.next(Mood::Say(400, r#"{"error":"invalid_grant"}"#));
        person_needed(world.token().await);
        assert_eq!(status(&world).await.state, State::PersonNeeded);
        // Once the integration is changed, it is asked again.
        world.flows.0.lock().unwrap().wants_a_person.store(false, Ordering::SeqCst);
        let fields = BTreeMap::from([("client_secret".to_owned(), Some("another".to_owned()))]);
        world.pass(1);
        world.integrations.change(&name(), Change { fields, ..Change::default() }).await.unwrap();
        assert_eq!(world.token().await.unwrap(), "access-2");
    }
}
