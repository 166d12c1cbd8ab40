//! Extra parameters of token requests: declared by a document as Itential's documentation has it, or added to an integration.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use serde_json::{Value, json};
use tokenhost_tests::{Client, Daemon, Mock, Seen, mock};

/// A provider that gives tokens that can be refreshed.
async fn provider() -> Mock {
    Mock::start(|seen| {
        let access = format!("token-{}", seen.number);
        mock::json(
            200,
            &json!({"access_token": access, "refresh_token": format!("r{}", seen.number), "expires_in": 3600}),
        )
    })
    .await
}

/// A document with these extra parameters.
fn document(token_url: &str, parameters: Value) -> String {
    let flow = json!({"tokenUrl": token_url, "refreshUrl": "", "scopes": {}});
    let mut scheme = json!({"type": "oauth2", "flows": {"clientCredentials": flow}});
    if !parameters.is_null() {
        scheme["x-itential-parameters"] = parameters;
    }
    json!({"openapi": "3.0.0", "info": {"title": "Orders", "version": "1.0.0"}, "paths": {},
        "security": [{"oauth2": []}], "components": {"securitySchemes": {"oauth2": scheme}}})
    .to_string()
}

async fn integrate(client: &Client, more: Value) -> Value {
    let mut new =
        json!({"name": "it", "model": "it", "fields": {"client_id": "me", "client_secret": "secret-of-mine"}});
    for (name, value) in more.as_object().unwrap() {
        match (new[name].as_object_mut(), value.as_object()) {
            (Some(members), Some(more)) => members.extend(more.clone()),
            _ => new[name] = value.clone(),
        }
    }
    client.integrate(new).await
}

/// A token, and the same refreshed: both requests.
async fn both(client: &Client, provider: &Mock) -> [Seen; 2] {
    client.call("DELETE", "/v1/integrations/it/token", &Value::Null).await;
    let before = provider.seen().len();
    client.post("/v1/integrations/it/token/refresh", &json!({})).await.expect(200);
    client.post("/v1/integrations/it/token/refresh", &json!({})).await.expect(200);
    let mut seen = provider.seen().split_off(before);
    assert_eq!(seen.len(), 2, "{seen:?}");
    let kinds: Vec<&str> = seen.iter().map(|seen| seen.form["grant_type"].as_str()).collect();
    assert_eq!(kinds, ["client_credentials", "refresh_token"]);
    let refresh = seen.pop().unwrap();
    [seen.pop().unwrap(), refresh]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_declares_them_and_they_go_where_it_says() {
    let (daemon, provider) = (Daemon::start().await, provider().await);
    let client = daemon.client();
    let declared = json!([
        {"name": "client_assertion", "in": "header", "description": "d", "x-itential-use-in": ["refresh", "token"], "x-itential-variable": "assertion"},
        {"name": "kind", "in": "body", "description": "d", "x-itential-use-in": ["refresh", "token"], "schema": {"type": "string"}},
        {"name": "again", "in": "query", "description": "d", "x-itential-use-in": ["refresh"], "x-itential-variable": "assertion", "schema": {"type": "number"}},
        {"name": "never_set", "in": "header", "x-itential-use-in": ["token"]}
    ]);
    client.import("it", &document(&format!("{}/token", provider.url), declared)).await;
    let made = integrate(&client, json!({"fields": {"parameters.assertion": "a 1", "parameters.kind": "k"}})).await;
    assert_eq!(made["fields"]["parameters.assertion"], json!({"set": true}), "{made}");
    assert_eq!(made["fields"]["parameters.never_set"], json!({"set": false}), "{made}");
    let [token, refresh] = both(&client, &provider).await;
    for seen in [&token, &refresh] {
        assert_eq!((seen.headers["client_assertion"].as_str(), seen.form["kind"].as_str()), ("a 1", "k"), "{seen:?}");
        assert!(!seen.headers.contains_key("never_set"), "{seen:?}");
    }
    assert_eq!((token.target.as_str(), refresh.target.as_str()), ("/token", "/token?again=a%201"));
    // Values are kept like secrets: a record shows names.
    let attempts = client.get("/v1/integrations/it/attempts").await.text;
    assert!(!attempts.contains("a 1"), "{attempts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_integration_adds_some_and_a_change_replaces_them() {
    let (daemon, provider) = (Daemon::start().await, provider().await);
    let client = daemon.client();
    let declared = json!([{"name": "audience", "in": "body", "value": "of the document"}]);
    client.import("it", &document(&format!("{}/token", provider.url), declared)).await;
    let added = json!([
        {"name": "audience", "in": "body", "value": "of the integration"},
        {"name": "X-Tenant", "in": "header", "use_in": ["token"], "variable": "tenant"},
        {"name": "v", "in": "query", "use_in": ["refresh"], "value": "2"},
    ]);
    let made = integrate(&client, json!({"parameters": added, "fields": {"parameters.tenant": "t1"}})).await;
    let mut expected = added.clone();
    expected[0]["use_in"] = json!(["token", "refresh"]);
    assert_eq!(made["parameters"], expected, "{made}");
    let [token, refresh] = both(&client, &provider).await;
    assert_eq!((token.target.as_str(), token.headers["x-tenant"].as_str()), ("/token", "t1"));
    assert_eq!((refresh.target.as_str(), refresh.headers.get("x-tenant")), ("/token?v=2", None));
    assert_eq!([&token.form["audience"], &refresh.form["audience"]], ["of the integration"; 2]);

    // What the document declares is there still when the integration's own go.
    let path = "/v1/integrations/it";
    let changed = client.call("PATCH", path, &json!({"parameters": []})).await.expect(200);
    assert_eq!(
        (&changed["parameters"], &changed["fields"]["parameters.tenant"]),
        (&Value::Null, &Value::Null),
        "{changed}"
    );
    let [token, _] = both(&client, &provider).await;
    assert_eq!(token.form["audience"], "of the document", "{token:?}");
    assert!(!token.headers.contains_key("x-tenant"), "{token:?}");

    let wrong = json!({"parameters": [{"name": "Host", "in": "header"}, {"name": "", "in": "body"}], "fields": {"parameters.no": "x"}});
    let problem = client.call("PATCH", path, &wrong).await.expect(422);
    let places: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|fault| fault["field"].as_str().unwrap()).collect();
    assert_eq!(places, ["parameters[0].name", "parameters[1].name", "fields.parameters.no"], "{problem}");

    let ran = daemon
        .command(&["integration", "set", "it", "--parameter", "token:header:X-Tenant=t2", "--parameter", "body:kind=k"])
        .output()
        .await
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let [token, refresh] = both(&client, &provider).await;
    assert_eq!((token.headers["x-tenant"].as_str(), token.form["kind"].as_str()), ("t2", "k"));
    assert_eq!((refresh.headers.get("x-tenant"), refresh.form["kind"].as_str()), (None, "k"));
}
