//! What verification survives: rubbish, clocks that step, deleted users, a million tokens, a store that dies.

use std::net::IpAddr;

use rand::RngExt as _;

use super::*;
use crate::clock::Clock as _;

#[tokio::test]
async fn rubbish_is_refused_whatever_it_looks_like() {
    let world = World::new().await;
    let (_, personal) = world.personal(&["REST/JSON"]).await;
    for token in [&world.token, &personal] {
        for round in ["not cached", "cached"] {
            let check = async |presented: &str, allowed: &[&str]| {
                let found = world.outcome(presented, None).await;
                assert!(allowed.contains(&found), "{round}: {found} for {presented:?}");
            };
            for cut in 0..token.len() {
                check(&token[..cut], &["malformed"]).await;
            }
            for extended in [format!("{token}\n"), format!("{token}0"), format!(" {token}"), token.repeat(2)] {
                check(&extended, &["malformed"]).await;
            }
            for (index, bit) in (0..token.len()).flat_map(|index| (0..8).map(move |bit| (index, bit))) {
                let mut flipped = token.clone().into_bytes();
                flipped[index] ^= 1 << bit;
                if let Ok(flipped) = String::from_utf8(flipped) {
                    check(&flipped, &["malformed"]).await;
                }
            }
            let other =
                if token.starts_with("thp") { token.replace("thp_", "tha_") } else { token.replace("tha_", "thp_") };
            check(&other, &["malformed"]).await;
            check(&"ü".repeat(1 << 19), &["malformed"]).await;
            check("", &["malformed"]).await;
            // Right in form, made up: with an id that is there, and with one that isn't.
            let id = *token::parse(token).unwrap().id;
            for kind in [TokenKind::Application, TokenKind::Personal] {
                for id in [id, token::new_id()] {
                    check(token::with_id(kind, &id).expose_secret(), &["unknown"]).await;
                }
            }
            assert_eq!(world.outcome(token, None).await, "ok");
        }
    }
    let mut random = vec![0_u8; 66];
    for _ in 0..1000 {
        random.fill_with(|| rand::rng().random());
        assert_eq!(world.outcome(&String::from_utf8_lossy(&random), None).await, "malformed");
    }
}

#[tokio::test]
async fn a_clock_that_steps_back_makes_no_token_live_longer() {
    let world = World::new().await;
    let (_, token) = world.personal(&["REST/JSON"]).await;
    assert_eq!(world.outcome(&token, None).await, "ok");
    let start = world.clock.now();
    world.clock.advance(89 * DAY);
    world.clock.step_to(start);
    assert_eq!(world.outcome(&token, None).await, "ok", "it has a day left on the other clock");
    world.clock.advance(DAY);
    world.clock.step_to(start);
    assert!(world.access.peek(&token, None).is_none(), "memory knows that its time is over");
}

#[tokio::test]
async fn tokens_of_a_deleted_user_are_void_and_stay_visible() {
    let world = World::new().await;
    let ada: Login = "ada".parse().unwrap();
    let (id, token) = world.personal(&["REST/JSON"]).await;
    assert_eq!(world.outcome(&token, None).await, "ok");
    world.access.delete_user(&world.admin, &ada).await.unwrap();
    assert_eq!(world.outcome(&token, None).await, "deleted");
    // Another user of the same login gets nothing from them.
    world.user("ada", &[ALLOWED]).await;
    assert_eq!(world.outcome(&token, None).await, "deleted");
    let seen = world.access.personal(&id).await.unwrap();
    assert_eq!((seen.state, seen.deleted.unwrap().by), (TokenState::Deleted, "application/administrator".to_owned()));
    let listed = world.access.personals_of(&ada, None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|token| token.state).collect::<Vec<_>>(), [TokenState::Deleted]);
    let rebuilt = world.access.rebuild_personal(&world.admin, &id, Duration::ZERO).await;
    assert!(matches!(rebuilt, Err(AccessError::InUse(_))));
}

#[tokio::test]
async fn dead_tokens_go_after_long_and_others_stay() {
    let world = World::new().await;
    let (expired, _) = world.personal(&["REST/JSON"]).await;
    let (deleted, value) = world.application("old", &[], &[]).await;
    let (kept, _) = world.application("kept", &[], &[]).await;
    world.access.delete_application(&world.admin, &deleted).await.unwrap();
    let counts = async || world.access.census().await.unwrap().tokens.iter().map(|found| found.2).collect::<Vec<_>>();
    assert_eq!(counts().await, [2, 0, 1, 1, 0, 0], "valid, expired, deleted; of applications first");
    world.clock.advance(200 * DAY);
    assert_eq!(counts().await, [2, 0, 1, 0, 1, 0]);
    assert_eq!(world.access.purge(Access::DEAD_FOR).await.unwrap(), 0);
    assert_eq!(world.access.personal(&expired).await.unwrap().state, TokenState::Expired);
    world.clock.advance(400 * DAY);
    assert_eq!(world.access.purge(Access::DEAD_FOR).await.unwrap(), 2);
    assert!(world.access.personal(&expired).await.is_err() && world.access.application(&kept).await.is_ok());
    assert!(world.access.personals_of(&"ada".parse().unwrap(), None, 9).await.unwrap().is_empty());
    assert_eq!(world.outcome(&value, None).await, "unknown");
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_power_cut() {
    let world = World::new().await;
    let (id, token) = world.personal(&["REST/JSON"]).await;
    let (_, rebuilt) = world.access.rebuild_personal(&world.admin, &id, Duration::ZERO).await.unwrap();
    let store = Arc::new(world.store.crash());
    let access = open(&store, &world.master, &world.clock, policy()).await;
    assert_eq!(outcome(&access, &token, None).await, "rebuilt");
    assert_eq!(outcome(&access, rebuilt.expose_secret(), None).await, "ok");
    assert_eq!(outcome(&access, &world.token, None).await, "ok");
}

#[tokio::test]
async fn uses_are_counted_once_each_and_refusals_never() {
    let world = World::new().await;
    let (id, token) = world.personal(&["REST/JSON"]).await;
    let address: IpAddr = "192.0.2.7".parse().unwrap();
    let visit = Visit { scope: Some(Scopes::REST), address: Some(address) };
    for _ in 0..5 {
        world.access.enter(&token, &visit).await.unwrap();
    }
    let refused = Visit { scope: Some(Scopes::EXPORT), ..visit };
    assert!(world.access.enter(&token, &refused).await.is_err());
    let known = world.access.peek(&token, Some(Scopes::REST)).unwrap();
    world.access.count(&known, visit.address);
    let usage = world.access.usage(&id).await.unwrap();
    assert_eq!((usage.count, usage.last_use, usage.address), (6, Some(world.clock.now()), Some(address)));
    world.access.fold_usage().await.unwrap();
    assert_eq!(world.again(policy()).await.usage(&id).await.unwrap(), usage, "another process finds the same");
}

/// A change must never be overtaken by what was read before it: many readers, and a token that is rebuilt all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_counts_for_the_very_next_call() {
    let world = Arc::new(World::new().await);
    let (id, first) = world.application("busy", &["Administrator"], &[]).await;
    let ada: Login = "ada".parse().unwrap();
    let (_, of_ada) = world.personal(&["REST/JSON"]).await;
    let now = Arc::new(std::sync::RwLock::new(first));
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (world, now, stop, of_ada) = (Arc::clone(&world), Arc::clone(&now), Arc::clone(&stop), of_ada.clone());
            tokio::spawn(async move {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let token = now.read().unwrap().clone();
                    let _ = world.access.enter(&token, &ANYWHERE).await;
                    let _ = world.access.enter(&of_ada, &ANYWHERE).await;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for round in 0..300 {
        let (_, secret) = world.access.rebuild_application(&world.admin, &id, Duration::ZERO).await.unwrap();
        let old = std::mem::replace(&mut *now.write().unwrap(), secret.expose_secret().to_owned());
        assert!(world.access.peek(&old, None).is_none(), "round {round}");
        assert_eq!(world.outcome(&old, None).await, "rebuilt", "round {round}");
        let status = if round % 2 == 0 { Status::Disabled } else { Status::Enabled };
        let standing = StandingChange { status: Some(status), ..StandingChange::default() };
        let change = UserChange { standing, ..UserChange::default() };
        world.access.change_user(&world.admin, &ada, change, false).await.unwrap();
        let expected = if status == Status::Disabled { "principal_disabled" } else { "ok" };
        assert_eq!(world.outcome(&of_ada, None).await, expected, "round {round}");
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
}
