//! Each change of a token or its principal counts from the very next call on, through every door, whether the token is in
//! memory or not.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{Door, Stage, words};
use crate::access::application::ApplicationChange;
use crate::access::personal::PersonalChange;
use crate::access::{REST_SERVICES_USER, StandingChange, Status};

#[tokio::test]
async fn a_change_is_seen_by_the_very_next_call_whether_the_token_is_in_memory_or_not() {
    let stage = Stage::new().await;
    let by = &stage.administrator;
    let access = &stage.world.api.access;
    // Each: what happens, and the reason from then on.
    for (number, (what, expected)) in [
        ("rebuilt", "rebuilt"),
        ("deleted", "deleted"),
        ("user deleted", "deleted"),
        ("disabled", "principal_disabled"),
        ("profiles taken", "profile_not_allowed"),
        ("scopes taken", "scope_mismatch"),
        ("expired", "expired"),
        ("clock stepped back", "expired"),
    ]
    .into_iter()
    .enumerate()
    {
        for in_memory in [true, false] {
            let login = format!("user-{number}-{in_memory}");
            stage.user(&login, &[REST_SERVICES_USER]).await;
            let made = stage.personal(&login).await;
            if in_memory {
                stage.check(made.value(), None, what).await;
            }
            match what {
                "rebuilt" => drop(access.rebuild_personal(by, &made.id, Duration::ZERO).await.unwrap()),
                "deleted" => access.delete_personal(by, &made.id).await.unwrap(),
                "user deleted" => access.delete_user(by, &login.parse().unwrap()).await.unwrap(),
                "disabled" => {
                    let standing = StandingChange { status: Some(Status::Disabled), ..StandingChange::default() };
                    stage.change_user(&login, standing).await;
                }
                "profiles taken" => {
                    let standing = StandingChange { profiles: Some(words(&["Auditor"])), ..StandingChange::default() };
                    stage.change_user(&login, standing).await;
                }
                "scopes taken" => {
                    let change = PersonalChange { scopes: Some(words(&["Export"])), ..PersonalChange::default() };
                    access.change_personal(by, &made.id, change, false).await.unwrap();
                    let told = stage.ask(Door::Forward, made.value()).await;
                    assert_eq!(stage.reason(Door::Forward, &told).as_deref(), Some(expected));
                    let told = stage.verify(json!({"token": made.value(), "scope": "Grafana"})).await;
                    assert_eq!(stage.reason(Door::Verify, &told).as_deref(), Some(expected));
                    continue;
                }
                "expired" => stage.clock.advance(Duration::from_secs(90 * 86_400)),
                // The time that has passed counts, whatever the wall clock says now, as long as the token is in memory.
                _ if in_memory => {
                    let before = crate::clock::Clock::now(&*stage.clock);
                    stage.clock.advance(Duration::from_secs(90 * 86_400));
                    stage.clock.step_to(before);
                    assert!(access.peek(made.value(), None).is_none());
                    continue;
                }
                _ => continue,
            }
            stage.check(made.value(), Some(expected), what).await;
        }
    }
}

#[tokio::test]
async fn an_application_is_refused_from_the_very_next_call_on_too() {
    let stage = Stage::new().await;
    let (by, access) = (&stage.administrator, &stage.world.api.access);
    for (number, (what, expected)) in
        [("rebuilt", "rebuilt"), ("deleted", "deleted"), ("disabled", "principal_disabled"), ("expired", "expired")]
            .into_iter()
            .enumerate()
    {
        for in_memory in [true, false] {
            let made = stage.application(&format!("app-{number}-{in_memory}"), &["Auditor"], &[], &[]).await;
            if in_memory {
                stage.check(made.value(), None, what).await;
            }
            let change =
                |standing, expires_at| ApplicationChange { standing, expires_at, ..ApplicationChange::default() };
            match what {
                "rebuilt" => {
                    let (_, new) = access.rebuild_application(by, &made.id, Duration::from_secs(60)).await.unwrap();
                    stage.check(made.value(), None, "in grace").await;
                    stage.check(new.expose_secret(), None, "anew").await;
                    stage.clock.advance(Duration::from_secs(60));
                    stage.check(new.expose_secret(), None, "anew").await;
                }
                "deleted" => access.delete_application(by, &made.id).await.unwrap(),
                "disabled" => {
                    let standing = StandingChange { status: Some(Status::Disabled), ..StandingChange::default() };
                    access.change_application(by, &made.id, change(standing, None), false).await.unwrap();
                }
                _ => {
                    let end = crate::clock::Clock::now(&*stage.clock) + Duration::from_secs(60);
                    let change = change(StandingChange::default(), Some(Some(end)));
                    access.change_application(by, &made.id, change, false).await.unwrap();
                    stage.check(made.value(), None, "not yet").await;
                    stage.clock.advance(Duration::from_secs(60));
                }
            }
            stage.check(made.value(), Some(expected), what).await;
        }
    }
}
