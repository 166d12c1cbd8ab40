//! What an operation requires, solved with several schemes of one integration: alternatives, all of one, preferred ones, scopes.
//! And the further schemes themselves: bound, changed, unbound, kept over a restart.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use serde_json::{Value, json};
use tokenhost_tests::{Client, Daemon, Provider};

/// A document with operations of every kind of requirement; the provider gives the tokens.
fn document(provider: &Provider) -> String {
    let operation = |id: &str, security: Value| {
        let mut operation = json!({"operationId": id, "responses": {"200": {"description": "d"}}});
        if !security.is_null() {
            operation["security"] = security;
        }
        json!({"get": operation})
    };
    let flow = json!({"tokenUrl": provider.text("/token_url"), "scopes": {"crm.read": "r", "crm.write": "w"}});
    json!({
        "openapi": "3.1.0", "info": {"title": "Several", "version": "1"}, "servers": [{"url": "http://127.0.0.1:9/api"}],
        "security": [{"oauth": ["crm.read"]}],
        "paths": {
            "/default": operation("default", Value::Null),
            "/either": operation("either", json!([{"other": []}, {"key": []}, {"oauth": ["crm.read"]}])),
            "/both": operation("both", json!([{"oauth": ["crm.write"], "key": []}])),
            "/open": operation("open", json!([])),
            "/optional": operation("optional", json!([{}, {"key": []}])),
            "/closed": operation("closed", json!([{"other": []}, {"other": [], "key": []}])),
            "/elsewhere": {"servers": [{"url": "https://elsewhere.example"}], "get": {"operationId": "elsewhere", "responses": {}}},
            "/things/{id}": operation("thing", json!([{"sign": []}])),
        },
        "components": {"securitySchemes": {
            "oauth": {"type": "oauth2", "flows": {"clientCredentials": flow}},
            "key": {"type": "apiKey", "in": "query", "name": "api_key"},
            "sign": {"type": "http", "scheme": "basic"},
            "other": {"type": "apiKey", "in": "cookie", "name": "session"},
        }},
    })
    .to_string()
}

/// An integration of it that is bound to three of the four schemes.
async fn integrate(client: &Client, provider: &Provider) -> Value {
    client.import("several", &document(provider)).await;
    let text = |member: &str| provider.text(&format!("/clients/client_credentials/{member}"));
    client
        .integrate(json!({
            "name": "crm", "model": "several", "scheme": "oauth",
            "fields": {"client_id": text("client_id"), "client_secret": text("client_secret"), "scope": "crm.read crm.write"},
            "schemes": {
                "key": {"fields": {"api_key": "k 1"}},
                "sign": {"flow": "http-basic", "fields": {"username": "ada", "password": "pa:ss"}},
            },
        }))
        .await
}

/// What is to be added to a request, without what differs from run to run.
async fn added(client: &Client, what: &Value) -> Value {
    let mut answer = client.post("/v1/integrations/crm/authorize", what).await.expect(200);
    if let Some(value) =
        answer.pointer_mut("/headers/authorization").filter(|value| value.as_str().unwrap().starts_with("Bearer "))
    {
        *value = "Bearer …".into();
    }
    let schemes = |token: &Value| token["scheme"].as_str().unwrap().to_owned();
    let tokens: Vec<String> = answer["tokens"].as_array().unwrap().iter().map(schemes).collect();
    json!([answer["headers"], answer["query"], answer["cookies"], tokens.join(" ")])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_alternative_that_can_be_served_is_used_or_the_preferred_one() {
    let (mut daemon, provider) = (Daemon::start().await, Provider::django(&[]).await);
    let client = daemon.client();
    let made = integrate(&client, &provider).await;
    assert_eq!(made["schemes"]["key"]["fields"]["api_key"], json!({"set": true}), "{made}");
    assert_eq!(made["schemes"]["sign"]["flow"], "http-basic", "{made}");

    let id = |id: &str| json!({"operation_id": id});
    let bearer = json!({"authorization": "Bearer …"});
    let key = json!([{}, {"api_key": "k 1"}, {}, "key"]);
    assert_eq!(added(&client, &id("default")).await, json!([bearer, {}, {}, "oauth"]));
    assert_eq!(added(&client, &id("either")).await, key);
    assert_eq!(added(&client, &id("both")).await, json!([bearer, {"api_key": "k 1"}, {}, "key oauth"]));
    assert_eq!(added(&client, &id("open")).await, json!([{}, {}, {}, ""]));
    assert_eq!(added(&client, &id("optional")).await, json!([{}, {}, {}, ""]));
    let basic = json!([{"authorization": "Basic YWRhOnBhOnNz"}, {}, {}, "sign"]);
    assert_eq!(added(&client, &json!({"method": "GET", "path": "/things/7"})).await, basic);
    assert_eq!(added(&client, &json!({"method": "get", "path": "/things/{id}"})).await, basic);
    // No operation of the document: what the document asks of all.
    assert_eq!(added(&client, &json!({"method": "GET", "path": "/nowhere"})).await, json!([bearer, {}, {}, "oauth"]));

    let refused =
        async |what: Value, status: u16| client.post("/v1/integrations/crm/authorize", &what).await.expect(status);
    let closed = refused(id("closed"), 409).await;
    assert_eq!(closed["code"], "not_bound", "{closed}");
    let detail = closed["detail"].as_str().unwrap();
    assert!(
        detail.contains("needs other, or key and other") && detail.contains("bound to oauth, key, sign"),
        "{detail}"
    );
    assert_eq!(refused(id("elsewhere"), 409).await["code"], "other_server");
    assert_eq!(refused(id("nothing"), 422).await["errors"][0]["field"], "operation_id");
    let faults = refused(json!({"operation_id": "x", "path": "y", "body_sha256": "z", "challenge": "a\nb"}), 422).await;
    let fields: Vec<&str> =
        faults["errors"].as_array().unwrap().iter().map(|one| one["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["path", "challenge", "body_sha256", "operation_id"]);

    // The integration prefers another alternative.
    let prefer = json!({"settings": {"calls": {"prefer": [["oauth"], ["key"]]}}});
    client.call("PATCH", "/v1/integrations/crm", &prefer).await.expect(200);
    assert_eq!(added(&client, &id("either")).await, json!([bearer, {}, {}, "oauth"]));
    assert_eq!(added(&client, &id("optional")).await, key);

    daemon.kill9().await;
    daemon.restart().await;
    let client = daemon.client();
    assert_eq!(added(&client, &id("optional")).await, key);
    assert_eq!(added(&client, &json!({"method": "GET", "path": "/things/7"})).await, basic);
    assert_eq!(client.get("/v1/integrations/crm/token?scheme=key").await.expect(409)["code"], "no_token_value");
    assert_eq!(client.get("/v1/integrations/crm/token?scheme=none").await.expect(409)["code"], "not_bound");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_gets_the_least_scopes_where_that_is_set() {
    let (daemon, provider) = (Daemon::start().await, Provider::django(&[]).await);
    let client = daemon.client();
    integrate(&client, &provider).await;
    let token = async |operation: &str| {
        let what = json!({"operation_id": operation});
        let answer = client.post("/v1/integrations/crm/authorize", &what).await.expect(200);
        let value = answer["headers"]["authorization"].as_str().unwrap().to_owned();
        let scopes = provider.whoami(value.strip_prefix("Bearer ").unwrap()).await.1["scopes"].clone();
        (value, scopes)
    };
    let (shared, scopes) = token("default").await;
    assert_eq!(scopes, json!(["crm.read", "crm.write"]));
    assert_eq!(token("both").await.0, shared, "one token for all operations");

    let least = json!({"settings": {"calls": {"scopes": "operation"}}});
    client.call("PATCH", "/v1/integrations/crm", &least).await.expect(200);
    let (read, scopes) = token("default").await;
    assert_eq!(scopes, json!(["crm.read"]));
    let (write, scopes) = token("both").await;
    assert_eq!(scopes, json!(["crm.write"]));
    let requests = provider.log().await.len();
    assert_eq!((token("default").await.0, token("both").await.0), (read, write), "each is kept");
    assert_eq!(provider.log().await.len(), requests);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_further_scheme_is_changed_unbound_and_bound_again_without_its_past() {
    let (daemon, provider) = (Daemon::start().await, Provider::django(&[]).await);
    let client = daemon.client();
    integrate(&client, &provider).await;
    let change =
        async |schemes: Value| client.call("PATCH", "/v1/integrations/crm", &json!({"schemes": schemes})).await;
    let key = async || added(&client, &json!({"operation_id": "optional"})).await[1].clone();
    let prefer = json!({"settings": {"calls": {"prefer": [["key"]]}}});
    client.call("PATCH", "/v1/integrations/crm", &prefer).await.expect(200);
    assert_eq!(key().await, json!({"api_key": "k 1"}));
    let oauth = client.token("crm").await.expect(200);

    // Another value counts at once, and nothing else changes.
    change(json!({"key": {"fields": {"api_key": "k2"}}})).await.expect(200);
    assert_eq!(key().await, json!({"api_key": "k2"}));
    assert_eq!(client.token("crm").await.expect(200)["access_token"], oauth["access_token"]);

    // All that is wrong is told at once, with its place.
    let faults = change(json!({
        "key": {"fields": {"api_key": null, "nope": "x"}}, "none": {}, "oauth": {}, "other": null, "sign": {"flow": "nope"},
    }))
    .await
    .expect(422);
    let mut fields: Vec<&str> =
        faults["errors"].as_array().unwrap().iter().map(|one| one["field"].as_str().unwrap()).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "schemes.key.fields.api_key",
            "schemes.key.fields.nope",
            "schemes.none.scheme",
            "schemes.oauth",
            "schemes.other",
            "schemes.sign.flow"
        ],
        "{faults}"
    );
    assert_eq!(key().await, json!({"api_key": "k2"}), "and nothing was changed");

    change(json!({"key": null})).await.expect(200);
    assert_eq!(key().await, json!({}), "the optional requirement needs no key");
    let incomplete = change(json!({"key": {}})).await.expect(422);
    assert_eq!(incomplete["errors"][0]["field"], "schemes.key.fields.api_key", "{incomplete}");
    change(json!({"key": {"fields": {"api_key": "k3"}}})).await.expect(200);
    assert_eq!(key().await, json!({"api_key": "k3"}));
    assert_eq!(client.token("crm").await.expect(200)["access_token"], oauth["access_token"]);

    // Another server gets none of the secrets.
    let moved =
        client.call("PATCH", "/v1/integrations/crm", &json!({"server": "http://127.0.0.2:9/api"})).await.expect(200);
    assert_eq!(
        (&moved["dropped"], &moved["schemes"]["key"]["fields"]["api_key"]),
        (&json!(true), &json!({"set": false})),
        "{moved}"
    );
    let refused = client.post("/v1/integrations/crm/authorize", &json!({"operation_id": "optional"})).await.expect(409);
    assert_eq!(refused["code"], "incomplete", "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_shown_only_to_who_may_read_tokens() {
    let (daemon, provider) = (Daemon::start().await, Provider::django(&[]).await);
    let client = daemon.client();
    integrate(&client, &provider).await;
    client.post("/v1/profiles", &json!({"name": "Caller", "rights": ["use_tokens"]})).await.expect(201);
    let made = json!({"name": "engine", "profiles": ["Caller"], "scopes": ["REST/JSON"]});
    let made = client.post("/v1/application-tokens", &made).await.expect(201);
    let engine = Client::new(daemon.url(), made["token"].as_str());
    let refused = engine.post("/v1/integrations/crm/authorize", &json!({"operation_id": "either"})).await;
    assert_eq!((refused.status, refused.text.contains("k 1")), (403, false), "{}", refused.text);
}
