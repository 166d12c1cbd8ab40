//! Sources: what they list is made and kept in step, what they list no longer ends, and what isn't theirs stays.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::rooms::{Answer, World};
use crate::access::user::UserChange;
use crate::access::{Status, TokenState};
use crate::config::Public;

async fn put(world: &World, token: &SecretString, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {}", token.expose_secret());
    world.call_with("PUT", &format!("/v1/synchro/{path}"), &body.to_string(), &[("authorization", &bearer)]).await
}

/// Synchronises the source `hr`, and returns the report.
async fn hr(world: &World, body: Value) -> Value {
    let answer = put(world, &world.token, "hr", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

/// Kind, key and status of what isn't unchanged.
fn told(report: &Value) -> String {
    let rows = report["rows"].as_array().unwrap_or_else(|| panic!("{report}")).iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let changed = rows.filter(|row| row["status"] != "unchanged");
    changed.map(|row| format!("{}={}", text(&row["key"]), text(&row["status"]))).collect::<Vec<_>>().join(" ")
}

/// Every user's login, status and revision.
async fn users(world: &World) -> Vec<(String, Status, u64)> {
    let users = world.api.access.users(None, 100).await.unwrap();
    users.into_iter().map(|user| (user.login.to_string(), user.standing.status, user.revision)).collect()
}

fn first() -> Value {
    json!({
        "organizations": [{"name": "lab", "parent": "acme"}, {"name": "acme", "title": "ACME"}],
        "users": [
            {"login": "ada", "contact": {"name": "Lovelace", "organization": "lab"}, "external": true},
            {"login": "Bob", "profiles": ["Auditor"]},
        ],
        "application_tokens": [{"name": "crm", "profiles": ["Auditor"], "scopes": ["Export"]}],
    })
}

#[tokio::test]
async fn what_is_listed_is_made_once_and_kept_in_step() {
    let world = World::new(Public::default()).await;
    let made = hr(&world, first()).await;
    assert_eq!(told(&made), "lab=created acme=created ada=created Bob=created crm=created");
    assert!(made["rows"][4]["token"].as_str().unwrap().starts_with("tha_"));
    let before = users(&world).await;
    for _ in 0..2 {
        let again = hr(&world, first()).await;
        assert_eq!((told(&again).as_str(), &again["unchanged"]), ("", &json!(5)), "{again}");
    }
    assert_eq!(users(&world).await, before);
    let ada = world.api.access.user(&"ada".parse().unwrap()).await.unwrap();
    assert_eq!(ada.source.map(String::from).as_deref(), Some("hr"));

    let mut other = first();
    other["users"][0]["contact"]["name"] = json!("King");
    other["users"][1]["status"] = json!("disabled");
    assert_eq!(told(&hr(&world, other).await), "ada=updated Bob=updated");
    // Listed without a status, it is enabled.
    assert_eq!(told(&hr(&world, first()).await), "ada=updated Bob=updated");
}

#[tokio::test]
async fn what_is_missing_ends_as_the_policy_says() {
    let world = World::new(Public::default()).await;
    hr(&world, first()).await;
    let less = |policy: &str| {
        json!({"on_missing": policy, "users": [{"login": "ada"}], "application_tokens": [], "organizations": [{"name": "acme"}],
            "allow_empty": true})
    };
    assert_eq!(told(&hr(&world, less("keep")).await), "");
    let dry = put(&world, &world.token, "hr?dry_run=true", &less("disable")).await.json();
    assert_eq!(told(&dry), "crm=disabled bob=disabled");
    assert_eq!(told(&hr(&world, less("disable")).await), "crm=disabled bob=disabled");
    assert_eq!(told(&hr(&world, less("disable")).await), "");
    assert_eq!(users(&world).await[1].1, Status::Disabled);
    // What comes back is enabled again, by default what goes is disabled, and what isn't named isn't touched.
    assert_eq!(told(&hr(&world, first()).await), "Bob=updated crm=updated");
    assert_eq!(told(&hr(&world, json!({"users": [{"login": "ada"}]})).await), "bob=disabled");

    let deleted = hr(&world, less("delete")).await;
    assert_eq!(told(&deleted), "crm=deleted bob=deleted lab=failed", "ada belongs to lab: {deleted}");
    assert!(deleted.to_string().contains("user ada"), "{deleted}");
    let none = json!({"on_missing": "delete", "users": [], "organizations": [], "allow_empty": true});
    assert_eq!(told(&hr(&world, none.clone()).await), "ada=deleted lab=deleted acme=deleted");
    assert_eq!(told(&hr(&world, none).await), "");
    let tokens = world.api.access.applications(None, 9).await.unwrap();
    assert_eq!(tokens.iter().filter(|token| token.state == TokenState::Deleted).count(), 1);
    assert_eq!((users(&world).await.len(), world.api.organizations.tree().len()), (0, 1));
}

#[tokio::test]
async fn a_source_touches_only_what_it_made() {
    let world = World::new(Public::default()).await;
    let by = world.principal().await;
    world.api.access.create_user(&by, "person", UserChange::default(), false).await.unwrap();
    world.application("tool", &["Auditor"], &[], &[]).await;
    assert_eq!(world.call("POST", "/v1/organizations", r#"{"name":"town"}"#).await.status, 201);
    let crm = put(&world, &world.token, "crm", &json!({"users": [{"login": "theirs"}]})).await;
    assert_eq!(crm.status, 200);
    let before = users(&world).await;
    let report = hr(
        &world,
        json!({
            "on_missing": "delete",
            "users": [{"login": "person", "language": "de"}, {"login": "theirs", "language": "de"}, {"login": "mine"}],
            "application_tokens": [{"name": "tool", "status": "disabled"}],
            "organizations": [{"name": "town", "title": "Town"}, {"name": "default", "title": "x"}],
        }),
    )
    .await;
    assert_eq!(told(&report), "town=failed default=failed person=failed theirs=failed mine=created tool=failed");
    for (row, part) in [(2, "no source made it"), (3, "the source crm made it")] {
        let row = &report["rows"][row];
        assert_eq!(row["code"], "exists", "{row}");
        assert!(row["detail"].as_str().unwrap().contains(part), "{row}");
    }
    let empty = json!({"on_missing": "delete", "users": [], "application_tokens": [], "organizations": [], "allow_empty": true});
    assert_eq!(told(&hr(&world, empty).await), "mine=deleted");
    assert_eq!(users(&world).await, before);
}

#[tokio::test]
async fn a_source_that_looks_broken_changes_nothing() {
    let world = World::new(Public::default()).await;
    hr(&world, first()).await;
    let before = users(&world).await;
    for (body, status, part) in [
        (json!({"users": []}), 422, "allow_empty"),
        (json!({"users": [{"login": "ada"}], "application_tokens": []}), 422, "\"field\":\"application_tokens\""),
        (json!({"users": [{"login": "ada"}, {"contact": {}}]}), 422, "users[1].login"),
        (json!({"users": [{"login": "ada"}, {"login": "b!"}]}), 422, "users[1].login"),
        (json!({"users": ["ada"]}), 400, "users[0]"),
        (json!({"on_missing": "explode", "users": [{"login": "ada"}]}), 400, "on_missing"),
        (json!({"usres": [{"login": "ada"}]}), 400, "usres"),
        (json!([{"login": "ada"}]), 400, "object"),
    ] {
        let answer = put(&world, &world.token, "hr", &body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
        assert!(answer.text.contains(part), "{body}: {}", answer.text);
    }
    assert_eq!(put(&world, &world.token, "H%20R", &first()).await.status, 404);
    assert_eq!(users(&world).await, before);
    // A row that is wrong is still listed, and so isn't missing.
    let wrong = json!({"on_missing": "delete", "users": [{"login": "ada", "language": "!"}, {"login": "bob", "password": "hunter2 hunter2"}]});
    let report = hr(&world, wrong).await;
    assert_eq!(told(&report), "ada=failed bob=failed");
    assert!(!report.to_string().contains("hunter2"));
    assert_eq!(users(&world).await, before);
    assert_eq!(told(&hr(&world, json!({})).await), "");
}

#[tokio::test]
async fn it_takes_the_scope_the_right_and_the_organizations() {
    let world = World::new(Public::default()).await;
    let mut all = first();
    all["users"][0]["allowed_organizations"] = json!(["lab"]);
    hr(&world, all).await;
    let body = json!({"users": [{"login": "cleo"}]});
    for (name, profiles, scopes, status) in [
        ("a", &["Auditor", "REST Services User"][..], &[][..], 403),
        ("b", &["Administrator"], &["REST/JSON"], 403),
        ("c", &["Integration User"], &["Synchro"], 403),
    ] {
        let token = world.application(name, profiles, &[], scopes).await;
        assert_eq!(put(&world, &token, "hr", &body).await.status, status, "{name}");
    }
    // Who sees only a part ends only what is in it.
    let lab = world.application("lab-admin", &["Administrator"], &["lab"], &["Synchro"]).await;
    let row = json!({"login": "dora", "contact": {"organization": "lab"}, "allowed_organizations": ["lab"]});
    let answer = put(&world, &lab, "hr", &json!({"on_missing": "delete", "users": [row]})).await.json();
    assert_eq!(told(&answer), "dora=created ada=deleted", "{answer}");
    assert!(users(&world).await.iter().any(|(login, ..)| login == "bob"));
}

#[tokio::test]
async fn runs_of_one_source_do_not_mix() {
    let world = World::new(Public::default()).await;
    let many: Vec<Value> = (0..500).map(|number| json!({"login": format!("u{number}")})).collect();
    let body = json!({"users": many});
    let runs = (0..8).map(|_| put(&world, &world.token, "hr", &body));
    let answers = futures_util::future::join_all(runs).await;
    let mut done = 0;
    for answer in &answers {
        match answer.status.as_u16() {
            200 => done += 1,
            409 => assert_eq!((&answer.json()["code"], answer.header("retry-after")), (&json!("in_use"), "5")),
            other => panic!("{other}: {}", answer.text),
        }
        if answer.status == 200 {
            assert_eq!(answer.json()["failed"], 0, "{}", answer.text);
        }
    }
    assert!(done >= 1);
    // Another source is not held up, and after the end of a run the next one may begin.
    assert_eq!(hr(&world, body).await["unchanged"], 500);
}
