//! Making and changing: all that is wrong is told at once, and policy holds.

use super::*;
use crate::clock::Clock as _;
use crate::store::Batch;

#[tokio::test]
async fn all_faults_are_told_at_once() {
    let world = World::new().await;
    let standing = StandingChange {
        contact: ContactChange {
            first_name: Some(Some("\u{7}".to_owned())),
            email: Some(Some("ada".to_owned())),
            organization: Some("nowhere".to_owned()),
            ..ContactChange::default()
        },
        profiles: Some(texts(&["Nobody", "a\tb"])),
        allowed_organizations: Some(texts(&["Bad Name", "gone"])),
        ..StandingChange::default()
    };
    let user = UserChange {
        standing,
        language: Some("english please".to_owned()),
        password: Some(Some("short".into())),
        ..UserChange::default()
    };
    let error = world.access.create_user(&world.admin, "аda", user, false).await.unwrap_err();
    let expected = [
        "login malformed",
        "contact.first_name malformed",
        "contact.email malformed",
        "contact.organization unknown",
        "profiles[1] malformed",
        "allowed_organizations[0] malformed",
        "allowed_organizations unknown",
        "profiles unknown",
        "language malformed",
        "password malformed",
    ];
    assert_eq!(faults(&error), expected);

    let token = PersonalChange {
        application: Some(String::new()),
        scopes: Some(texts(&["REST/JSON", "Grafana", "grafana", "Nope"])),
        expires_at: Some(world.clock.now()),
        faults: Vec::new(),
        expected: None,
    };
    let error = world.access.create_personal(&world.admin, "nobody", token, false).await.unwrap_err();
    let expected = [
        "user unknown",
        "application malformed",
        "scopes[2] unknown",
        "scopes[3] unknown",
        "expiration_date not_allowed",
    ];
    assert_eq!(faults(&error), expected);
    let nothing = world.access.create_personal(&world.admin, "nobody", PersonalChange::default(), false).await;
    assert_eq!(faults(&nothing.unwrap_err()), ["user unknown", "application missing", "scopes missing"]);
}

#[tokio::test]
async fn lifetimes_and_numbers_are_limited() {
    let world = World::with(Policy { tokens_per_user: 2, ..policy() }).await;
    let (id, _) = world.personal(&["REST/JSON"]).await;
    let made = world.access.personal(&id).await.unwrap();
    assert_eq!(made.expires_at, world.clock.now() + 90 * DAY);
    let until = |end| PersonalChange { expires_at: Some(end), ..PersonalChange::default() };
    let latest = world.clock.now() + 366 * DAY;
    assert!(world.access.change_personal(&world.admin, &id, until(latest), false).await.is_ok());
    let later = latest + Duration::from_secs(1);
    let error = world.access.change_personal(&world.admin, &id, until(later), false).await.unwrap_err();
    assert_eq!(faults(&error), ["expiration_date not_allowed"]);

    let (second, _) = world.personal(&["REST/JSON"]).await;
    let third = world.access.create_personal(&world.admin, "ada", personal(&["REST/JSON"]), false).await;
    assert_eq!(faults(&third.unwrap_err()), ["user not_allowed"]);
    world.access.delete_personal(&world.admin, &second).await.unwrap();
    world.personal(&["REST/JSON"]).await;
    assert_eq!(world.access.personals_of(&"ada".parse().unwrap(), None, 9).await.unwrap().len(), 3);
}

#[tokio::test]
async fn dry_runs_say_the_same_and_change_nothing() {
    let world = World::new().await;
    let before = world.store.dump();
    let user = UserChange { standing: profiles_of(&[ALLOWED]), ..UserChange::default() };
    assert_eq!(world.access.create_user(&world.admin, "Ada", user, true).await.unwrap().login.as_str(), "ada");
    let application = ApplicationChange::default();
    let (_, secret) = world.access.create_application(&world.admin, "crm-sync", application, true).await.unwrap();
    assert!(secret.is_none());
    let taken =
        world.access.create_application(&world.admin, "administrator", ApplicationChange::default(), true).await;
    assert!(matches!(taken, Err(AccessError::Exists { .. })));
    assert_eq!(world.store.dump(), before);
}

#[tokio::test]
async fn names_of_deleted_applications_are_free_again() {
    let world = World::new().await;
    let (id, old) = world.application("crm-sync", &[], &[]).await;
    world.access.delete_application(&world.admin, &id).await.unwrap();
    let (_, new) = world.application("crm-sync", &[], &[]).await;
    assert_eq!([world.outcome(&old, None).await, world.outcome(&new, None).await], ["deleted", "ok"]);
    let named = world.access.application_named(&"crm-sync".parse().unwrap()).await.unwrap();
    assert_eq!(id_text(&named), &new[4..16]);
    assert!(matches!(world.access.delete_application(&world.admin, &id).await, Err(AccessError::InUse(_))));
}

/// What the version before this one wrote, which had no users, no scopes and no organizations.
#[tokio::test]
async fn tokens_of_the_version_before_go_on_working() {
    let world = World::new().await;
    let (id, token) = world.application("old", &["Administrator"], &[]).await;
    let key = application::TOKENS.key(&[id_text(&id)]);
    let stored = world.store.get(&key).await.unwrap().unwrap();
    let record: serde_json::Value = serde_json::from_slice(&stored.value).unwrap();
    let old = serde_json::json!({
        "name": "old", "digest": record["digest"], "profiles": ["Administrator"], "created_at": record["created_at"]
    });
    let mut batch = Batch::synced();
    batch.put(key, serde_json::to_vec(&old).unwrap());
    world.store.commit(batch).await.unwrap();
    world.access.forget_cached();
    assert_eq!(world.outcome(&token, Some(Scopes::REST)).await, "ok");
    let known = world.access.application(&id).await.unwrap();
    assert_eq!((known.state, known.console, known.scopes.len()), (TokenState::Valid, true, 0));
}
