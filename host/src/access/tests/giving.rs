//! Nobody gives more than they have, and nothing that there isn't.

use super::*;

/// Someone who may manage principals within `south` only.
async fn manager(world: &World) -> Arc<Principal> {
    let organizations = &world.access.organizations;
    for (name, parent) in [("acme", None), ("south", Some("acme")), ("deep", Some("south")), ("north", Some("acme"))] {
        let new = crate::organizations::NewOrganization {
            name: name.parse().unwrap(),
            title: None,
            parent: parent.map(|parent: &str| parent.parse().unwrap()),
            source: None,
        };
        organizations.create(new).await.unwrap();
    }
    let profile = ProfileChange {
        rights: Some(texts(&["manage_principals", "read_principals", "read_models"])),
        ..ProfileChange::default()
    };
    world.access.create_profile(&world.admin, "Manager", profile).await.unwrap();
    let standing = StandingChange {
        contact: ContactChange { organization: Some("south".to_owned()), ..ContactChange::default() },
        allowed_organizations: Some(texts(&["south"])),
        ..profiles_of(&["Manager", ALLOWED])
    };
    let change = UserChange { standing, ..UserChange::default() };
    world.access.create_user(&world.admin, "mona", change, false).await.unwrap();
    let (_, secret) =
        world.access.create_personal(&world.admin, "mona", personal(&["REST/JSON"]), false).await.unwrap();
    let known = world.access.enter(secret.unwrap().expose_secret(), &ANYWHERE).await.unwrap();
    Arc::clone(&known.principal)
}

fn within(organization: &str, allowed: &[&str], profiles: &[&str]) -> UserChange {
    let standing = StandingChange {
        contact: ContactChange { organization: Some(organization.to_owned()), ..ContactChange::default() },
        allowed_organizations: Some(texts(allowed)),
        ..profiles_of(profiles)
    };
    UserChange { standing, ..UserChange::default() }
}

#[tokio::test]
async fn nobody_gives_more_than_they_have() {
    let world = World::new().await;
    let mona = manager(&world).await;
    assert!(mona.sees(&"deep".parse().unwrap()) && !mona.sees(&"north".parse().unwrap()));
    assert!(mona.may(Right::ManagePrincipals) && !mona.may_everywhere(Right::ManagePrincipals));
    let make = async |login: &str, change: UserChange| {
        let made = world.access.create_user(&mona, login, change, false).await;
        made.map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(make("ok", within("deep", &["deep"], &[ALLOWED])).await, Ok(()));
    for (change, part) in [
        (within("deep", &["deep"], &["Administrator"]), "rights that you don't have"),
        (within("deep", &["deep"], &["Auditor"]), "read_audit"),
        (within("deep", &[], &[]), "among your own"),
        (within("deep", &["south", "north"], &[]), "among your own"),
        (within("north", &["south"], &[]), "among your own"),
    ] {
        let error = make("more", change).await.unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    // Nor does she touch what she doesn't see, or who has more.
    world.access.create_user(&world.admin, "nora", within("north", &["north"], &[]), false).await.unwrap();
    world.access.create_user(&world.admin, "boss", within("south", &["south"], &["Auditor"]), false).await.unwrap();
    for login in ["nora", "boss"] {
        let login: Login = login.parse().unwrap();
        let change = UserChange { language: Some("de".to_owned()), ..UserChange::default() };
        let changed = world.access.change_user(&mona, &login, change, false).await;
        assert!(matches!(changed, Err(AccessError::Forbidden(_))), "{login}");
        assert!(matches!(world.access.delete_user(&mona, &login).await, Err(AccessError::Forbidden(_))), "{login}");
        let given = world.access.create_personal(&mona, login.as_str(), personal(&["REST/JSON"]), false).await;
        assert!(matches!(given, Err(AccessError::Forbidden(_))), "{login}");
    }
    let profile = ProfileChange { rights: Some(texts(&["operate"])), ..ProfileChange::default() };
    let made = world.access.create_profile(&mona, "Root", profile).await;
    assert!(matches!(made, Err(AccessError::Forbidden(_))));
}

#[tokio::test]
async fn grants_give_rights_on_some_things_only() {
    let world = World::new().await;
    manager(&world).await;
    let grants = vec![
        GrantInput {
            rights: texts(&["use_tokens"]),
            organizations: texts(&["south"]),
            integrations: vec![],
            operations: vec![],
        },
        GrantInput {
            rights: texts(&["read_token_values"]),
            organizations: vec![],
            integrations: texts(&["crm"]),
            operations: vec![],
        },
    ];
    let profile = ProfileChange { grants: Some(grants), ..ProfileChange::default() };
    world.access.create_profile(&world.admin, "Caller", profile).await.unwrap();
    let (_, token) = world.application("caller", &["Caller", ALLOWED], &[]).await;
    let caller = Arc::clone(&world.access.enter(&token, &ANYWHERE).await.unwrap().principal);
    let name = |text: &str| text.parse::<Name>().unwrap();
    assert!(caller.may_on(Right::UseTokens, &name("any"), &name("deep")));
    assert!(!caller.may_on(Right::UseTokens, &name("crm"), &name("north")));
    assert!(caller.may_on(Right::ReadTokenValues, &name("crm"), &name("north")));
    assert!(!caller.may_on(Right::ReadTokenValues, &name("erp"), &name("south")));
    assert!(!caller.may(Right::UseTokens) && caller.may_somewhere(Right::UseTokens));
    // What is above an organization moves what is below it, from the next call on.
    let change = crate::organizations::Change { parent: Some(Some(name("north"))), ..Default::default() };
    world.access.organizations.change(&name("deep"), change).await.unwrap();
    assert!(world.access.peek(&token, None).is_none());
    let caller = Arc::clone(&world.access.enter(&token, &ANYWHERE).await.unwrap().principal);
    assert!(!caller.may_on(Right::UseTokens, &name("any"), &name("deep")));
}

#[tokio::test]
async fn shipped_profiles_never_change() {
    let world = World::new().await;
    let name: ProfileName = "Auditor".parse().unwrap();
    let changed = world.access.change_profile(&world.admin, &name, ProfileChange::default()).await;
    assert!(matches!(changed, Err(AccessError::InUse(_))));
    assert!(matches!(world.access.delete_profile(&world.admin, &name).await, Err(AccessError::InUse(_))));
    let again = world.access.create_profile(&world.admin, "auditor", ProfileChange::default()).await;
    assert!(matches!(again, Err(AccessError::Exists { .. })));
    assert_eq!(world.access.profiles().await.unwrap().len(), 5);
}
