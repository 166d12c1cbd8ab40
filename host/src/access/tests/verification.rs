//! Who is let in, and for what exact reason others aren't.

use super::*;
use crate::clock::Clock as _;
use crate::store::memory::Fate;
use crate::store::{Batch, StoreError};

#[tokio::test]
async fn the_administrator_is_known_and_may_everything() {
    let world = World::new().await;
    let principal = Arc::clone(&world.access.peek(&world.token, Some(Scopes::REST)).unwrap().principal);
    assert_eq!((principal.name.as_str(), principal.kind), ("administrator", PrincipalKind::Application));
    assert_eq!(principal.token_id(), &world.token[4..16]);
    assert!(Right::ALL.into_iter().all(|right| principal.may_everywhere(right)));
    let both = tokio::join!(world.access.create_first_administrator(), world.access.create_first_administrator());
    for outcome in [both.0, both.1] {
        assert!(matches!(outcome, Err(AccessError::AlreadyInitialised)));
    }
}

#[tokio::test]
async fn each_reason_is_reached_in_its_order() {
    let world = World::new().await;
    let access = &world.access;
    let (id, token) = world.personal(&["REST/JSON"]).await;
    let ada: Login = "ada".parse().unwrap();
    assert_eq!(world.outcome(&token, Some(Scopes::REST)).await, "ok");
    assert_eq!(world.outcome(&token, Some(Scopes::EXPORT)).await, "scope_mismatch");

    // What is wrong further down the order doesn't show while something further up is.
    let change = |standing| UserChange { standing, ..UserChange::default() };
    access.change_user(&world.admin, &ada, change(profiles_of(&["Auditor"])), false).await.unwrap();
    assert_eq!(world.outcome(&token, Some(Scopes::EXPORT)).await, "profile_not_allowed");
    let disabled = StandingChange { status: Some(Status::Disabled), ..StandingChange::default() };
    access.change_user(&world.admin, &ada, change(disabled), false).await.unwrap();
    assert_eq!(world.outcome(&token, Some(Scopes::EXPORT)).await, "principal_disabled");
    world.clock.advance(91 * DAY);
    assert_eq!(world.outcome(&token, Some(Scopes::EXPORT)).await, "expired");
    access.rebuild_personal(&world.admin, &id, Duration::ZERO).await.unwrap();
    assert_eq!(world.outcome(&token, Some(Scopes::EXPORT)).await, "rebuilt");
    access.delete_personal(&world.admin, &id).await.unwrap();
    assert_eq!(world.outcome(&token, Some(Scopes::EXPORT)).await, "deleted");
    let forged = token::with_id(TokenKind::Personal, &id);
    assert_eq!(world.outcome(forged.expose_secret(), None).await, "unknown");
    assert_eq!(world.outcome(&token[..65], None).await, "malformed");
}

#[tokio::test]
async fn rest_services_need_their_profile_where_they_are_secured() {
    let check = async |change: fn(&mut Policy), expected: [&str; 4]| {
        let mut policy = policy();
        policy.personal_tokens_allowed_profiles.push("Auditor".parse().unwrap());
        change(&mut policy);
        let world = World::with(policy).await;
        world.user("ada", &["Auditor"]).await;
        let all = ["REST/JSON", "Export", "Synchro"];
        let (_, personal) = world.personal(&all).await;
        let (_, application) = world.application("crm-sync", &["Auditor"], &[]).await;
        let found = [
            world.outcome(&personal, Some(Scopes::REST)).await,
            world.outcome(&personal, Some(Scopes::SYNCHRO)).await,
            world.outcome(&application, Some(Scopes::REST)).await,
            world.outcome(&application, Some(Scopes::EXPORT)).await,
        ];
        assert_eq!(found, expected);
        let (_, opened) = world.application("other", &["Auditor", REST_SERVICES_USER], &[]).await;
        assert_eq!(world.outcome(&opened, Some(Scopes::SYNCHRO)).await, "ok");
    };
    let missing = "rest_profile_missing";
    check(|_| {}, [missing, missing, missing, "ok"]).await;
    check(|policy| policy.allow_rest_services_via_tokens = true, ["ok", "ok", missing, "ok"]).await;
    check(|policy| policy.secure_rest_services = false, ["ok"; 4]).await;
}

#[tokio::test]
async fn tokens_are_refused_where_that_login_type_is() {
    let world = World::new().await;
    let access = world.again(Policy { allowed_login_types: [LoginType::Form].into(), ..policy() }).await;
    assert_eq!(outcome(&access, &world.token, None).await, "login_type_not_allowed");
}

#[tokio::test]
async fn a_known_token_costs_no_read() {
    let world = World::new().await;
    world.store.kill();
    assert_eq!(world.outcome(&world.token, Some(Scopes::REST)).await, "ok");
    world.access.forget_cached();
    assert_eq!(world.outcome(&world.token, Some(Scopes::REST)).await, "unavailable");
}

#[tokio::test]
async fn a_rebuild_kills_the_old_value_at_once_or_after_its_grace() {
    let world = World::new().await;
    let (id, first) = world.application("crm-sync", &["Administrator"], &[]).await;
    let rebuild = async |grace| {
        let (_, secret) = world.access.rebuild_application(&world.admin, &id, grace).await.unwrap();
        secret.expose_secret().to_owned()
    };
    let second = rebuild(Duration::from_secs(60)).await;
    for _ in 0..2 {
        assert_eq!([world.outcome(&first, None).await, world.outcome(&second, None).await], ["ok", "ok"]);
    }
    world.clock.advance(Duration::from_secs(60));
    assert_eq!([world.outcome(&first, None).await, world.outcome(&second, None).await], ["rebuilt", "ok"]);
    // A rebuild without grace ends what an earlier one left.
    let third = rebuild(DAY).await;
    let fourth = rebuild(Duration::ZERO).await;
    for (token, expected) in [(&second, "rebuilt"), (&third, "rebuilt"), (&fourth, "ok")] {
        assert_eq!(world.outcome(token, None).await, expected);
    }
    let too_long = world.access.rebuild_application(&world.admin, &id, 8 * DAY).await.unwrap_err();
    assert_eq!(faults(&too_long), ["grace_seconds not_allowed"]);

    world.store.plan_nth(1, Fate::Fail(StoreError::Full("no room".into())));
    let failed = world.access.rebuild_application(&world.admin, &id, Duration::ZERO).await;
    assert!(matches!(failed, Err(AccessError::Store(StoreError::Full(_)))));
    assert_eq!(world.outcome(&fourth, None).await, "ok", "a rebuild that failed changes nothing");
    let named = world.access.rebuild_named(&"administrator".parse().unwrap()).await.unwrap();
    assert_eq!(world.outcome(&world.token, None).await, "rebuilt");
    assert_eq!(world.outcome(named.expose_secret(), None).await, "ok");
}

/// Each rebuild either replaces what the other made, or is told that the other came first: one value works, never two.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_rebuilds_at_once_one_value_works() {
    let world = Arc::new(World::new().await);
    let (id, old) = world.personal(&["REST/JSON"]).await;
    for _ in 0..50 {
        let rebuild = || {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.access.rebuild_personal(&world.admin, &id, Duration::ZERO).await })
        };
        let both = tokio::join!(rebuild(), rebuild());
        let mut working = 0;
        for outcome in [both.0.unwrap(), both.1.unwrap()] {
            match outcome {
                Ok((_, secret)) => {
                    let found = world.outcome(secret.expose_secret(), None).await;
                    assert!(["ok", "rebuilt"].contains(&found));
                    working += usize::from(found == "ok");
                }
                Err(error) => assert!(matches!(error, AccessError::Changed), "{error}"),
            }
        }
        assert_eq!(working, 1);
    }
    assert!(["rebuilt", "unknown"].contains(&world.outcome(&old, None).await), "only the last eight are told apart");
}

#[tokio::test]
async fn a_retired_pepper_is_accepted_until_its_date_and_only_where_that_is_set() {
    let world = World::with(Policy { allow_fallback_token: true, ..policy() }).await;
    let (id, old) = world.personal(&["REST/JSON"]).await;
    let until = world.clock.now() + DAY;
    world.access.rotate_pepper(until).await.unwrap();
    let (_, new) = world.personal(&["REST/JSON"]).await;
    for token in [&old, &new, &world.token] {
        assert_eq!(world.outcome(token, None).await, "ok");
        assert_eq!(world.outcome(token, None).await, "ok");
    }
    let strict = world.again(policy()).await;
    assert_eq!([outcome(&strict, &old, None).await, outcome(&strict, &new, None).await], ["rebuilt", "ok"]);
    world.clock.advance(DAY);
    assert_eq!([world.outcome(&old, None).await, world.outcome(&new, None).await], ["rebuilt", "ok"]);
    let (_, again) = world.access.rebuild_personal(&world.admin, &id, Duration::ZERO).await.unwrap();
    assert_eq!(world.outcome(again.expose_secret(), None).await, "ok");
}

#[tokio::test]
async fn another_installation_knows_no_token_of_this_one() {
    let world = World::new().await;
    let other = World::new().await;
    // Even with the record copied: the digest's key is another.
    let mut batch = Batch::synced();
    for (key, value) in world.store.dump() {
        if key.starts_with(b"application-token") {
            batch.put(key, value);
        }
    }
    other.store.commit(batch).await.unwrap();
    assert_eq!(other.outcome(&world.token, None).await, "unknown");
}

#[tokio::test]
async fn no_record_holds_a_token_or_a_password() {
    let world = World::new().await;
    let (_, personal) = world.personal(&["REST/JSON"]).await;
    let change = UserChange { password: Some(Some("correct horse battery".into())), ..UserChange::default() };
    world.access.change_user(&world.admin, &"ada".parse().unwrap(), change, false).await.unwrap();
    for (key, value) in world.store.dump() {
        let text = format!("{} {}", String::from_utf8_lossy(&key), String::from_utf8_lossy(&value));
        for secret in [&world.token[17..60], &personal[17..60], "correct horse"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
