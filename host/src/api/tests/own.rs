//! What users do with what is their own: contact, password, personal tokens.

use serde_json::{Value, json};

use super::principals::{PASSWORD, text, world};
use super::rooms::World;
use crate::access::{LoginType, Policy};
use crate::config::Public;

#[tokio::test]
async fn users_manage_what_is_their_own() {
    let world = world().await;
    for (login, profile) in [("ada", "Integration User"), ("bob", "Integration User"), ("eve", "Auditor")] {
        let user = json!({"login": login, "profiles": [profile, "REST Services User"], "password": PASSWORD});
        world.make("/v1/users", &user).await;
    }
    let mine = json!({"application": "nightly", "scopes": ["REST/JSON"], "expiration_date": "2999-01-01"});
    let refused = world.call_basic("ada", PASSWORD, "POST", "/v1/me/personal-tokens", &mine).await;
    assert!(refused.status == 422 && refused.text.contains("max_lifetime"), "{}", refused.text);
    let mine = json!({"application": "nightly", "scopes": ["REST/JSON"]});
    let made = world.call_basic("ada", PASSWORD, "POST", "/v1/me/personal-tokens", &mine).await;
    let (id, value) = (text(&made.json(), "id").to_owned(), text(&made.json(), "token").to_owned());
    assert_eq!(made.header("location"), format!("/v1/me/personal-tokens/{id}"));
    let path = format!("/v1/me/personal-tokens/{id}");
    for (method, path) in [("GET", path.clone()), ("DELETE", path.clone()), ("POST", format!("{path}/rebuild"))] {
        let of_another = world.call_basic("bob", PASSWORD, method, &path, &Value::Null).await;
        assert_eq!(of_another.status, 404, "{method}: {}", of_another.text);
        let not_allowed = world.call_basic("eve", PASSWORD, method, &path, &Value::Null).await;
        assert!(
            not_allowed.status == 403 && not_allowed.text.contains("none of your profiles"),
            "{}",
            not_allowed.text
        );
    }
    let listed = world.call_as(&value, "GET", "/v1/me/personal-tokens", &Value::Null).await;
    assert_eq!(listed.json()["items"].as_array().map(Vec::len), Some(1));
    assert!(!listed.text.contains("thp_"));
    // No longer life than the policy allows, counted from when the value was made.
    for (body, status) in [(json!({"expiration_date": "2999-01-01"}), 422), (json!({"application": "weekly"}), 200)] {
        assert_eq!(world.call_as(&value, "PATCH", &path, &body).await.status, status, "{body}");
    }
    let rebuilt = world.call_as(&value, "POST", &format!("{path}/rebuild"), &Value::Null).await.json();
    assert_eq!(world.call_as(&value, "GET", "/v1/me", &Value::Null).await.status, 401);
    assert_eq!(world.call_as(text(&rebuilt, "token"), "DELETE", &path, &Value::Null).await.status, 204);

    // Contact, language and password, the present one verified.
    let change = json!({"contact": {"first_name": "Ada", "email": "ada@example.com"}, "language": "fr"});
    let me = world.call_basic("ada", PASSWORD, "PATCH", "/v1/me", &change).await.json();
    assert_eq!(
        (&me["contact"]["first_name"], &me["language"], &me["login_type"]),
        (&json!("Ada"), &json!("fr"), &json!("basic")),
        "{me}"
    );
    let new = "another horse battery";
    for (password, field) in [
        (json!({"current": "hunter2hunter2", "new": new}), "password.current"),
        (json!({"current": PASSWORD, "new": "hunter2"}), "password.new"),
    ] {
        let refused = world.call_basic("ada", PASSWORD, "PATCH", "/v1/me", &json!({"password": password})).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["errors"][0]["field"]), (422, &json!(field)));
        assert!(!refused.text.contains("hunter2"));
    }
    for more in [
        json!({"profiles": ["Administrator"]}),
        json!({"allowed_organizations": []}),
        json!({"contact": {"organization": "default"}}),
    ] {
        assert_eq!(world.call_basic("ada", PASSWORD, "PATCH", "/v1/me", &more).await.status, 400, "{more}");
    }
    let changed = json!({"password": {"current": PASSWORD, "new": new}});
    assert_eq!(world.call_basic("ada", PASSWORD, "PATCH", "/v1/me", &changed).await.status, 200);
    assert_eq!(world.call_basic("ada", PASSWORD, "GET", "/v1/me", &Value::Null).await.status, 401);
    assert_eq!(world.call_basic("ada", new, "GET", "/v1/me", &Value::Null).await.status, 200);
    // Guessing the present one is slowed like a login.
    let guess = json!({"password": {"current": "not the password", "new": PASSWORD}});
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(world.call_basic("bob", PASSWORD, "PATCH", "/v1/me", &guess).await.status.as_u16());
    }
    assert!(statuses[..9].iter().all(|status| *status == 422) && statuses[11] != 422, "{statuses:?}");
}

#[tokio::test]
async fn without_the_menu_only_administrators_manage_tokens() {
    let policy = Policy {
        personal_tokens_allowed_profiles: vec!["Auditor".parse().unwrap()],
        enable_myaccount_menu: false,
        ..Policy::default()
    };
    let world = World::with_policy(Public::default(), policy).await;
    world.make("/v1/users", &json!({"login": "ada", "profiles": ["Auditor", "REST Services User"]})).await;
    let token =
        world.make("/v1/personal-tokens", &json!({"user": "ada", "application": "x", "scopes": ["REST/JSON"]})).await;
    let refused = world.call_as(text(&token, "token"), "GET", "/v1/me/personal-tokens", &Value::Null).await;
    assert!(refused.status == 403 && refused.text.contains("enable_myaccount_menu"), "{}", refused.text);
    let me = world.call_as(text(&token, "token"), "GET", "/v1/me", &Value::Null).await.json();
    assert_eq!((&me["account_menu"], &me["personal_tokens"]["allowed"]), (&json!(false), &json!(false)), "{me}");
    let mine = json!({"language": "fr"});
    let refused = world.call_as(text(&token, "token"), "PATCH", "/v1/me", &mine).await;
    assert!(refused.status == 403 && refused.text.contains("enable_myaccount_menu"), "{}", refused.text);
}

#[tokio::test]
async fn everybody_is_told_what_is_open_to_them_and_why_the_rest_isnt() {
    let policy = Policy { allowed_login_types: LoginType::ALL.into(), ..Policy::default() };
    let world = World::with_policy(Public::default(), policy).await;
    let grants = json!([{"rights": ["read_models", "read_integrations"], "organizations": ["default"]}]);
    world
        .make("/v1/profiles", &json!({"name": "In Default", "rights": ["read_flows", "read_models"], "grants": grants}))
        .await;
    for (login, profiles) in [("nora", json!([])), ("rita", json!(["In Default", "REST Services User"]))] {
        world.make("/v1/users", &json!({"login": login, "profiles": profiles, "password": PASSWORD})).await;
    }
    let me = async |login| world.call_basic(login, PASSWORD, "GET", "/v1/me", &Value::Null).await.json();
    let nora = me("nora").await;
    assert_eq!((&nora["account_menu"], &nora["services"]["allowed"]), (&json!(true), &json!(false)), "{nora}");
    assert!(text(&nora["services"], "reason").contains("REST Services User"), "{nora}");
    // As long as no profile is named, nobody has personal tokens, and contact and password are everybody's all the same.
    assert_eq!(nora["personal_tokens"]["allowed"], false);
    assert!(text(&nora["personal_tokens"], "reason").contains("names no profile"), "{nora}");
    let change = json!({"language": "fr"});
    assert_eq!(world.call_basic("nora", PASSWORD, "PATCH", "/v1/me", &change).await.json()["language"], "fr");
    assert_eq!(world.call_basic("nora", PASSWORD, "GET", "/v1/me/personal-tokens", &Value::Null).await.status, 403);
    let rita = me("rita").await;
    assert_eq!(rita["services"], json!({"allowed": true}));
    assert_eq!(
        (&rita["rights"], &rita["rights_on_some"]),
        (&json!(["read_models", "read_flows"]), &json!(["read_integrations"]))
    );
}
