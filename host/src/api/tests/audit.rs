//! The audit log over HTTP: lists and filters, what is found of a token, explanations, proofs; and who may not read it.

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::rooms::World;
use crate::access::application::ApplicationChange;
use crate::access::{Policy, StandingChange, Visit};
use crate::config::Public;

async fn world() -> World {
    let world = World::new(Public::default()).await;
    for name in ["acme", "north"] {
        let new = json!({"name": name}).to_string();
        assert_eq!(world.call("POST", "/v1/organizations", &new).await.status, 201);
    }
    assert_eq!(world.call("PATCH", "/v1/organizations/north", r#"{"parent":"acme"}"#).await.status, 200);
    assert_eq!(world.call("DELETE", "/v1/organizations/acme", "").await.status, 409);
    world
}

/// `action outcome object` of each record.
fn lines(page: &Value) -> Vec<String> {
    let text = |record: &Value, name: &str| record[name].as_str().unwrap_or_default().to_owned();
    let records = page["items"].as_array().unwrap().iter();
    records.map(|one| format!("{} {} {}", text(one, "action"), text(one, "outcome"), text(one, "object"))).collect()
}

#[tokio::test]
async fn records_are_listed_filtered_and_shown() {
    let world = world().await;
    let list = async |query: &str| world.call("GET", &format!("/v1/audit{query}"), "").await.json();
    assert_eq!(
        lines(&list("").await),
        [
            "organization.delete failed organizations/acme",
            "organization.delete begun organizations/acme",
            "organization.change done organizations/north",
            "organization.change begun organizations/north",
            "organization.create done organizations/north",
            "organization.create begun organizations",
            "organization.create done organizations/acme",
            "organization.create begun organizations",
        ]
    );
    assert_eq!(list("?object=organizations/north").await["items"].as_array().unwrap().len(), 3);
    assert_eq!(list("?object=organizations/").await["items"].as_array().unwrap().len(), 6);
    assert_eq!(list("?action=organization.change&actor=administrator").await["items"].as_array().unwrap().len(), 2);
    assert_eq!(list("?actor=nobody").await, json!({"items": []}));
    assert_eq!(list("?since=2999-01-01").await, json!({"items": []}));
    assert_eq!(list("?until=2999-01-01&action=organization.").await["items"].as_array().unwrap().len(), 8);

    let (mut seen, mut query) = (Vec::new(), "?limit=3".to_owned());
    loop {
        let page = list(&query).await;
        seen.extend(page["items"].as_array().unwrap().iter().map(|record| record["seq"].as_u64().unwrap()));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=3&cursor={next}");
    }
    let last = seen[0];
    assert_eq!(seen, (1..=last).rev().collect::<Vec<_>>());
    let record = world.call("GET", &format!("/v1/audit/{last}"), "").await.json();
    let token_id = &world.token.expose_secret()[4..16];
    assert_eq!(record["actor"], json!({"kind": "application", "name": "administrator", "token_id": token_id}));
    assert_eq!(list(&format!("?token={token_id}")).await["items"].as_array().unwrap().len(), 8);
    for (path, status) in [
        ("0".to_owned(), 404),
        ((last + 1).to_string(), 404),
        ("x".to_owned(), 404),
        (u64::MAX.to_string(), 404),
        ("?since=soon&until=x&token=tha_hunter2&cursor=!&nope=1".to_owned(), 422),
    ] {
        let path = format!("/v1/audit{}{path}", if path.starts_with('?') { "" } else { "/" });
        let answer = world.call("GET", &path, "").await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        assert!(!answer.text.contains("hunter2"), "{}", answer.text);
        if status == 422 {
            assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 5, "{}", answer.text);
        }
    }
}

#[tokio::test]
async fn a_leaked_token_is_found_with_its_uses_and_changes() {
    let world = world().await;
    let by = world.api.access.enter(world.token.expose_secret(), &Visit { scope: None, address: None }).await;
    let by = by.map_err(|_| "").unwrap();
    let change = ApplicationChange {
        standing: StandingChange { profiles: Some(vec!["Administrator".into()]), ..StandingChange::default() },
        ..ApplicationChange::default()
    };
    let (token, secret) = world.api.access.create_application(&by.principal, "sync", change, false).await.unwrap();
    let secret = secret.unwrap();
    let id = secret.expose_secret()[4..16].to_owned();
    for address in ["192.0.2.1", "192.0.2.1", "198.51.100.7"] {
        let visit = Visit { scope: None, address: address.parse().ok() };
        world.api.access.enter(secret.expose_secret(), &visit).await.map_err(|_| "").unwrap();
    }
    let auth = format!("Bearer {}", secret.expose_secret());
    let made = world.call_with("POST", "/v1/organizations", r#"{"name":"made"}"#, &[("authorization", &auth)]).await;
    assert_eq!(made.status, 201);
    let find = async |text: &str| {
        let answer = world.call("POST", "/v1/audit/find", &json!({"token": text}).to_string()).await;
        assert!(!answer.text.contains(&secret.expose_secret()[17..]), "{}", answer.text);
        answer.json()
    };
    let found = find(secret.expose_secret()).await;
    for (member, expected) in [
        ("token_id", json!(id)),
        ("known", json!(true)),
        ("kind", json!("application")),
        ("owner", json!("application/sync")),
        ("state", json!("valid")),
        ("value", json!("current")),
        ("use_count", json!(4)),
        ("more", json!(false)),
    ] {
        assert_eq!(found[member], expected, "{member}: {found}");
    }
    let uses: u64 = found["uses"].as_array().unwrap().iter().map(|uses| uses["count"].as_u64().unwrap()).sum();
    let addresses: Vec<_> = found["uses"].as_array().unwrap().iter().map(|uses| uses["address"].clone()).collect();
    assert_eq!(uses, 4, "{found}");
    assert!(addresses.contains(&json!("192.0.2.1")) && addresses.contains(&json!("198.51.100.7")), "{found}");
    assert_eq!(found["changes"][0]["object"], "organizations/made");
    assert_eq!(find(&id).await["value"], "not_given");
    assert_eq!(find(&format!(" {}\n", &secret.expose_secret()[..40])).await["value"], "mistyped");
    assert_eq!(find("000000000000").await["known"], false);
    assert_eq!(find("nothing at all").await["errors"][0]["field"], "token");
    assert_eq!(find(secret.expose_secret()).await["use_count"], 4, "looking counts no use");

    world.api.access.rebuild_application(&by.principal, &token.id, std::time::Duration::ZERO).await.unwrap();
    let refused = world.call_with("GET", "/v1/models", "", &[("authorization", &auth)]).await;
    assert_eq!(refused.status, 401);
    let found = find(secret.expose_secret()).await;
    assert_eq!((&found["value"], &found["state"]), (&json!("earlier"), &json!("valid")));
    assert!(found["uses"].as_array().unwrap().iter().any(|uses| uses["reason"] == "rebuilt"), "{found}");
    world.api.access.delete_application(&by.principal, &token.id).await.unwrap();
    let found = find(&id).await;
    assert_eq!((&found["state"], &found["owner"]), (&json!("deleted"), &json!("application/sync")));

    // Neither the log nor the store has it.
    let log = world.call("GET", "/v1/audit", "").await;
    assert!(!log.text.contains(&secret.expose_secret()[17..]), "{}", log.text);
}

#[tokio::test]
async fn refusals_are_explained_to_those_who_may_know() {
    let world = world().await;
    let wrong = world.call_with("GET", "/v1/models", "", &[("authorization", "Bearer tha_x")]).await.json();
    let explain =
        async |id: &str| world.call("POST", "/v1/audit/explain", &json!({"support_id": id}).to_string()).await.json();
    let found = explain(wrong["support_id"].as_str().unwrap()).await;
    assert_eq!(
        (&found["reason"], &found["door"], &found["scope"]),
        (&json!("malformed"), &json!("/v1/models"), &json!("REST/JSON"))
    );
    assert!(found["remedy"].as_str().unwrap().contains("cut, extended"), "{found}");
    for (id, part) in
        [("x", "copy it whole"), ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "daemon's log"), (&"A".repeat(150), "altered")]
    {
        let refused = explain(id).await;
        assert!(refused["errors"][0]["message"].as_str().unwrap().contains(part), "{refused}");
    }
}

#[tokio::test]
async fn the_log_is_proved() {
    let world = world().await;
    let verify = async |body: &str| world.call("POST", "/v1/audit/verify", body).await.json();
    let proof = verify("").await;
    assert_eq!((&proof["ok"], &proof["first"], &proof["noted"]), (&json!(true), &json!(1), &json!(false)), "{proof}");
    assert_eq!(proof["records"], proof["last"]);
    let head = proof["head"].as_str().unwrap();
    world.call("POST", "/v1/organizations", r#"{"name":"more"}"#).await;
    let again = verify(&json!({"noted": head}).to_string()).await;
    assert_eq!((&again["ok"], &again["noted"]), (&json!(true), &json!(true)), "{again}");
    let other = format!("{}:{}", head.split(':').next().unwrap(), "0".repeat(64));
    let broken = verify(&json!({"noted": other}).to_string()).await;
    assert_eq!((&broken["ok"], &broken["broken"]["fault"]), (&json!(false), &json!("not_as_noted")), "{broken}");
    assert_eq!(verify(r#"{"noted":"x"}"#).await["errors"][0]["field"], "noted");
    assert_eq!(verify(r#"{"nted":"x"}"#).await["errors"][0]["field"], "nted");
}

#[tokio::test]
async fn who_sees_some_organizations_does_not_read_about_all() {
    let world = world().await;
    let by = world.api.access.enter(world.token.expose_secret(), &Visit { scope: None, address: None }).await;
    let change = ApplicationChange {
        standing: StandingChange {
            profiles: Some(vec!["Administrator".into()]),
            allowed_organizations: Some(vec!["acme".into()]),
            ..StandingChange::default()
        },
        ..ApplicationChange::default()
    };
    let by = by.map_err(|_| "").unwrap();
    let (_, limited) = world.api.access.create_application(&by.principal, "limited", change, false).await.unwrap();
    let auth = format!("Bearer {}", limited.unwrap().expose_secret());
    for (method, path, body) in [
        ("GET", "/v1/audit", ""),
        ("GET", "/v1/audit/1", ""),
        ("POST", "/v1/audit/find", r#"{"token":"000000000000"}"#),
        ("POST", "/v1/audit/explain", r#"{"support_id":"x"}"#),
        ("POST", "/v1/audit/verify", ""),
        ("POST", "/v1/pepper/rotate", r#"{"accept_until":null}"#),
    ] {
        let answer = world.call_with(method, path, body, &[("authorization", &auth)]).await;
        let id = answer.json()["support_id"].as_str().unwrap().to_owned();
        let reason = world.api.support.explain(&id).unwrap().code;
        assert_eq!((answer.status.as_u16(), reason.as_str()), (403, "organization_not_allowed"), "{path}");
    }
}

#[tokio::test]
async fn a_rotated_pepper_ends_tokens_when_it_says() {
    let world = World::new(Public::default()).await;
    let refused = world.call("POST", "/v1/pepper/rotate", r#"{"accept_until":"2999-01-01"}"#).await.json();
    assert!(refused["errors"][0]["message"].as_str().unwrap().contains("allow_fallback_token"), "{refused}");
    assert_eq!(world.call("POST", "/v1/pepper/rotate", "{}").await.json()["errors"][0]["code"], "missing");
    assert_eq!(world.call("GET", "/v1/models", "").await.status, 200);
    assert_eq!(world.call("POST", "/v1/pepper/rotate", r#"{"accept_until":null}"#).await.status, 200);
    assert_eq!(world.call("GET", "/v1/models", "").await.status, 401);

    let policy = Policy { allow_fallback_token: true, ..Policy::default() };
    let world = World::with_policy(Public::default(), policy).await;
    let until = (world.api.clock.now() + chrono::TimeDelta::days(30)).to_rfc3339();
    let rotated = world.call("POST", "/v1/pepper/rotate", &json!({"accept_until": until}).to_string()).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    assert_eq!(world.call("GET", "/v1/models", "").await.status, 200);
    let log = world.call("GET", "/v1/audit?action=pepper.rotate", "").await.json();
    assert!(log["items"][0]["details"]["accept_until"].is_string(), "{log}");
}

#[tokio::test]
async fn what_was_only_tried_is_told_apart_from_changes() {
    let world = World::new(Public::default()).await;
    let users = json!([{"login": "ada", "profiles": []}]).to_string();
    let check = async |method: &str, path: &str, body: &str, status: u16, expected: &[(&str, bool)]| {
        let answer = world.call(method, path, body).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        let page = world.call("GET", &format!("/v1/audit?limit={}", expected.len()), "").await.json();
        let records = page["items"].as_array().unwrap().iter();
        let told: Vec<_> =
            records.map(|one| (one["outcome"].as_str().unwrap().to_owned(), one["dry_run"] == json!(true))).collect();
        let expected: Vec<_> = expected.iter().map(|(outcome, tried)| ((*outcome).to_owned(), *tried)).collect();
        assert_eq!(told, expected, "{path}: {page}");
    };
    check("POST", "/v1/import?what=users&dry_run=true", &users, 200, &[("done", true), ("begun", true)]).await;
    check("POST", "/v1/import?what=nothing&dry_run=true", &users, 422, &[("failed", true), ("begun", true)]).await;
    check("PATCH", "/v1/integrations/nope?dry_run=true", "{}", 404, &[("failed", true), ("begun", true)]).await;
    // A parameter that a route doesn't know can't make a change look like none.
    let organization = json!({"name": "acme"}).to_string();
    check("POST", "/v1/organizations", &organization, 201, &[("done", false), ("begun", false)]).await;
    check("DELETE", "/v1/organizations/acme?dry_run=true", "", 204, &[("done", false), ("begun", false)]).await;
    let inventory = json!({"users": [{"login": "eve"}]}).to_string();
    check("PUT", "/v1/synchro/hr?dry_run=true", &inventory, 200, &[("done", true), ("begun", true)]).await;
    check("PUT", "/v1/synchro/hr", &inventory, 200, &[("done", false), ("done", false), ("begun", false)]).await;
    let changed = json!({"users": [{"login": "eve", "profiles": ["Auditor"]}]}).to_string();
    check("PUT", "/v1/synchro/hr", &changed, 200, &[("done", false), ("done", false), ("begun", false)]).await;
    let records = world.call("GET", "/v1/audit?action=user.change", "").await.json();
    assert_eq!(records["items"][0]["details"]["changed"], "profiles", "{records}");
}

#[tokio::test]
async fn a_change_is_told_by_the_names_of_what_was_changed() {
    let world = World::new(Public::default()).await;
    let last = async || world.call("GET", "/v1/audit?limit=1", "").await.json()["items"][0].clone();
    let user = json!({"login": "ada", "password": "hunter2-hunter2", "contact": {"email": "a@example.com"}});
    assert_eq!(world.call("POST", "/v1/users", &user.to_string()).await.status, 201);
    let change = json!({"contact": {"email": "b@example.com"}, "profiles": ["Auditor"], "password": "hunter3-hunter3"});
    let changed = world.call("PATCH", "/v1/users/ada", &change.to_string()).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let record = last().await;
    assert_eq!(record["details"]["changed"], "contact.email, profiles", "{record}");
    assert!(record["details"]["password"].is_string() && !record.to_string().contains("hunter"), "{record}");
    assert_eq!(world.call("PATCH", "/v1/users/ada", "{}").await.status, 200);
    assert_eq!(last().await["details"]["changed"], "nothing");

    let profile = json!({"name": "Helpdesk", "rights": ["read_models"]});
    assert_eq!(world.call("POST", "/v1/profiles", &profile.to_string()).await.status, 201);
    assert_eq!(world.call("PATCH", "/v1/profiles/Helpdesk", r#"{"rights":[]}"#).await.status, 200);
    assert_eq!(last().await["details"]["changed"], "rights");

    let webhook = json!({"name": "ops", "url": "https://hooks.example/a"});
    assert_eq!(world.call("POST", "/v1/webhooks", &webhook.to_string()).await.status, 201);
    let change = json!({"url": "https://hooks.example/hunter2", "enabled": false});
    assert_eq!(world.call("PATCH", "/v1/webhooks/ops", &change.to_string()).await.status, 200);
    let record = last().await;
    assert_eq!(record["details"]["changed"], "enabled, url", "{record}");
    assert!(!record.to_string().contains("hunter"), "{record}");

    let organization = json!({"name": "acme"}).to_string();
    assert_eq!(world.call("POST", "/v1/organizations", &organization).await.status, 201);
    assert_eq!(world.call("PATCH", "/v1/organizations/acme", r#"{"title":"Acme"}"#).await.status, 200);
    assert_eq!(last().await["details"]["changed"], "title");
}

#[tokio::test]
async fn all_actions_are_listed() {
    let world = world().await;
    let list = world.call("GET", "/v1/audit/actions", "").await.json();
    let names: Vec<&str> = list["items"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert!(names.is_sorted() && names.contains(&"organization.create") && names.contains(&"refusals"), "{names:?}");
    // Nothing that is written into the log anywhere is missing.
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![folder];
    let mut written = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.to_string_lossy().contains("tests") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for after in code.split("Entry::new(").skip(1) {
                let until = after.split(';').next().unwrap_or_default();
                let Some(action) = until.split(", \"").nth(1).and_then(|rest| rest.split('"').next()) else { continue };
                assert!(names.contains(&action), "{action} of {} isn't listed", path.display());
                written += 1;
            }
        }
    }
    assert!(written >= 10, "{written}");
}
