//! Keys over HTTP, over rooms that hold sealed values of every kind there is.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::rooms::{DOCUMENT, World};
use crate::config::Public;
use crate::seal::Sealed;
use crate::store::Scan;
use crate::store::table::key_parts;

/// A world with records of every kind that holds sealed values, and with every field that does.
async fn world() -> World {
    let world = World::new(Public::default()).await;
    let call = async |method: &str, path: &str, body: Value, expected: u16| {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = world.call(method, path, &body).await;
        assert_eq!(answer.status, expected, "{method} {path}: {}", answer.text);
        answer
    };
    let mut document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let schemes = &mut document["components"]["securitySchemes"];
    schemes["second"] = schemes["oauth2"].clone();
    call("POST", "/v1/models?name=crm", document, 201).await;
    let fields = json!({"client_id": "me", "client_secret": "s3cr3t-one"});
    let mut new = json!({"name": "crm", "model": "crm", "scheme": "oauth2", "fields": fields});
    new["schemes"] = json!({"second": {"fields": {"client_id": "me", "client_secret": "s3cr3t-two"}}});
    call("POST", "/v1/integrations", new, 201).await;
    let token = json!({"access_token": "s3cr3t-access", "refresh_token": "s3cr3t-refresh"});
    call("PUT", "/v1/integrations/crm/token", token, 200).await;
    call("POST", "/v1/integrations/crm/token/refresh", Value::Null, 503).await;
    let mut person = json!({"name": "person", "model": "crm", "scheme": "oauth2", "fields": fields});
    person["fields"]["scope"] = "person".into();
    call("POST", "/v1/integrations", person, 201).await;
    call("POST", "/v1/integrations/person/connect", Value::Null, 200).await;
    call("POST", "/v1/webhooks", json!({"name": "ops", "url": "https://ops.example/hook"}), 201).await;
    call("POST", "/v1/webhooks/ops/secret", json!({"grace_seconds": 3600}), 200).await;
    world
}

/// Every sealed value in a JSON value, known by its form.
fn sealed(value: &Value, found: &mut Vec<Sealed>) {
    match value {
        Value::String(text) => found.extend(serde_json::from_value::<Sealed>(text.as_str().into()).ok()),
        Value::Array(items) => items.iter().for_each(|item| sealed(item, found)),
        Value::Object(members) => members.values().for_each(|member| sealed(member, found)),
        _ => {}
    }
}

/// How many values each data key has sealed in each table, whatever the rooms say.
async fn found(world: &World) -> BTreeMap<(String, u32), u64> {
    let mut counts = BTreeMap::new();
    for entry in world.api.store.scan(Scan::prefix([], usize::MAX)).await.unwrap() {
        let mut values = Vec::new();
        match serde_json::from_slice(&entry.value) {
            Ok(value) => sealed(&value, &mut values),
            // Documents are kept compressed; nothing of theirs is sealed.
            Err(_) => assert_eq!(key_parts(&entry.key)[0], "model-document"),
        }
        for value in values.iter().filter(|value| (1..1000).contains(&value.key_id())) {
            *counts.entry((key_parts(&entry.key)[0].clone(), value.key_id())).or_default() += 1;
        }
    }
    counts
}

async fn status(world: &World) -> Value {
    let answer = world.call("GET", "/v1/keys", "").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

#[tokio::test]
async fn every_sealed_value_is_of_a_kind_that_is_sealed_anew() {
    let world = world().await;
    let before = found(&world).await;
    let expected: BTreeMap<(String, u32), u64> = [("attempt", 3), ("integration", 3), ("token", 2), ("webhook", 2)]
        .map(|(table, count)| ((table.to_owned(), 1), count))
        .into();
    assert_eq!(before, expected);
    let keys = status(&world).await;
    assert_eq!(keys["data"][0]["kinds"], json!({"attempts": 3, "integrations": 3, "tokens": 2, "webhooks": 2}));
    assert_eq!((&keys["data"][0]["values"], &keys["data"][0]["current"]), (&json!(10), &json!(true)));

    let answer = world.call("POST", "/v1/keys/data/rotate", "").await;
    assert_eq!((answer.status.as_u16(), answer.json()), (202, json!({"id": 2})));
    assert_eq!(status(&world).await["resealing"]["to"], 2);
    world.api.keys.work_off().await.unwrap();
    assert_eq!(found(&world).await, expected.into_iter().map(|((table, _), count)| ((table, 2), count)).collect());
    let keys = status(&world).await;
    assert_eq!((&keys["data"][0]["id"], &keys["data"][1], &keys["resealing"]), (&json!(2), &Value::Null, &Value::Null));
    // What rooms have in memory goes on working.
    for (method, path, body) in [
        ("GET", "/v1/integrations/crm/token", ""),
        ("PATCH", "/v1/webhooks/ops", r#"{"enabled":false}"#),
        ("PATCH", "/v1/integrations/crm", r#"{"fields":{"client_id":"other"}}"#),
    ] {
        let answer = world.call(method, path, body).await;
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text);
    }
}

#[tokio::test]
async fn no_call_has_the_daemon_read_a_key_from_where_the_caller_says() {
    let world = World::new(Public::default()).await;
    let check = async |path: &str, body: &str, status: u16, code: &str| {
        let answer = world.call("POST", path, body).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (status, &json!(code)), "{path} {body}");
    };
    check("/v1/keys/master/finish", "{}", 409, "key_unusable").await;
    let rotated = world.call("POST", "/v1/keys/master/rotate", "").await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    check("/v1/keys/master/finish", r#"{"keep":"old","file":"/etc/shadow"}"#, 400, "malformed").await;
    // These settings name another key each time.
    check("/v1/keys/master/finish", "{}", 409, "key_unusable").await;
    check("/v1/keys/master/rotate", "", 409, "key_unusable").await;
    let keys = status(&world).await;
    assert_eq!(keys["master"]["next"]["id"], rotated.json()["next"]);
    let attention = world.call("GET", "/v1/status", "").await.json();
    let item = &attention["attention"][0];
    assert_eq!(item["kind"], "key_rotation_pending");
    let remedy = item["remedy"].as_str().unwrap();
    assert!(remedy.starts_with("tokenhost key finish    # "), "{remedy}");
}

/// Whoever adds a record with a sealed value has it sealed anew, too.
#[test]
fn every_file_with_a_sealed_field_says_where_its_sealed_values_are() {
    fn walk(folder: &Path, files: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.display().to_string();
            if path.is_dir() && !name.ends_with("/tests") && !name.ends_with("/src/seal") {
                walk(&path, files);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                files.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut files = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let field =
        regex::Regex::new(r"(?m)^\s+(pub(\([a-z: ]+\))? )?[a-z_]+: [A-Za-z<>:(), ]*\bSealed\b[A-Za-z<>:(), ]*,$")
            .unwrap();
    let with_field: Vec<_> = files.iter().filter(|(_, text)| field.is_match(text)).collect();
    assert!(with_field.len() >= 5, "{:?}", with_field.iter().map(|(name, _)| name).collect::<Vec<_>>());
    for (name, text) in with_field {
        assert!(text.contains("fn each_sealed("), "{name} has a sealed field, and doesn't say where for sealing anew");
    }
}
