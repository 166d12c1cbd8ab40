//! The walk of an automation engineer: import, integrate, enter a token, get it, change, delete. Secrets go in and never
//! come out, but for the token where it is asked for.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::rooms::{DOCUMENT, World};
use crate::config::Public;

/// A world with one integration, `crm-prod`.
async fn integrated() -> World {
    let world = World::new(Public::default()).await;
    let model = world.call("POST", "/v1/models?name=crm", DOCUMENT).await;
    assert_eq!((model.status.as_u16(), model.header("location")), (201, "/v1/models/crm"));
    let new =
        json!({"name": "crm-prod", "model": "crm", "fields": {"client_id": "me", "client_secret": "hunter2-secret"}});
    let made = world.call("POST", "/v1/integrations", &new.to_string()).await;
    assert_eq!((made.status.as_u16(), made.header("location")), (201, "/v1/integrations/crm-prod"), "{}", made.text);
    assert!(!made.text.contains("hunter2"), "{}", made.text);
    world
}

#[tokio::test]
async fn a_model_is_imported_shown_replaced_and_deleted() {
    let world = World::new(Public::default()).await;
    let yaml = "openapi: 3.0.3\ninfo: {title: CRM, version: '1'}\npaths: {}\n";
    let made = world.call_with("POST", "/v1/models?name=crm", yaml, &[("content-type", "application/yaml")]).await;
    assert_eq!((made.status.as_u16(), &made.json()["openapi"]), (201, &json!("3.0.3")));
    let replaced = world.call("PUT", "/v1/models/crm", DOCUMENT).await.json();
    assert_eq!(
        (&replaced["title"], &replaced["version"], &replaced["servers"]),
        (&json!("CRM"), &json!("2"), &json!([{"url": "https://crm.example"}]))
    );
    let scheme = json!({"name": "oauth2", "type": "oauth2", "flows": ["clientCredentials"], "served_by": []});
    assert_eq!(replaced["schemes"], json!([scheme]));
    assert_eq!(world.call("GET", "/v1/models/crm", "").await.json(), replaced);

    for name in ["a", "b"] {
        world.call("POST", &format!("/v1/models?name={name}"), DOCUMENT).await;
    }
    let first = world.call("GET", "/v1/models?limit=2", "").await.json();
    let rest = world.call("GET", &format!("/v1/models?cursor={}", first["next"].as_str().unwrap()), "").await.json();
    let names =
        |page: &Value| page["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect::<Vec<_>>();
    assert_eq!(
        (names(&first), names(&rest), rest.get("next")),
        (vec![json!("a"), json!("b")], vec![json!("crm")], None)
    );

    assert_eq!(world.call("DELETE", "/v1/models/crm", "").await.status, 204);
    assert_eq!(world.call("GET", "/v1/models/crm", "").await.status, 404);
}

#[tokio::test]
async fn a_token_entered_by_hand_is_served_from_memory() {
    let world = integrated().await;
    let token = "/v1/integrations/crm-prod/token";
    let entered = world
        .call("PUT", token, r#"{"access_token":"at-1","refresh_token":"rt-1","scope":"r","expires_in":3600}"#)
        .await;
    assert_eq!((entered.status.as_u16(), &entered.json()["state"]), (200, &json!("valid")), "{}", entered.text);
    assert!(!entered.text.contains("at-1") && !entered.text.contains("rt-1"), "{}", entered.text);

    // The first call reads the store, the others don't; the answers are the same.
    for path in [
        token,
        token,
        "/v1/integrations/crm-prod/token?min_ttl=60",
        "/v1/integrations/crm-prod/token?min_ttl=60&scope=",
    ] {
        let served = world.call("GET", path, "").await;
        let body = served.json();
        assert_eq!(
            (served.status.as_u16(), served.header("cache-control")),
            (200, "no-store"),
            "{path}: {}",
            served.text
        );
        assert_eq!(served.header("content-type"), "application/json");
        assert_eq!(served.header("x-content-type-options"), "nosniff");
        assert_eq!(
            (&body["access_token"], &body["token_type"], &body["scope"]),
            (&json!("at-1"), &json!("Bearer"), &json!("r"))
        );
        assert!((3590..=3600).contains(&body["expires_in"].as_u64().unwrap()), "{body}");
        assert_eq!(body["generation"], 1);
        assert!(
            body["refresh_token"].is_null() && body["expires_at"].is_string() && body["created_at"].is_string(),
            "{body}"
        );
    }

    let status = world.call("GET", "/v1/integrations/crm-prod/token/status", "").await.json();
    assert_eq!(
        (&status["state"], &status["has_refresh_token"], &status["generation"]),
        (&json!("valid"), &json!(true), &json!(1))
    );
    let stale = world.call("POST", "/v1/integrations/crm-prod/token/reject", r#"{"generation":7}"#).await;
    assert_eq!((stale.status.as_u16(), stale.json()), (200, json!({"result": "not_current", "generation": 1})));
    assert_eq!(world.call("DELETE", token, "").await.status, 204);
    assert_eq!(world.call("GET", "/v1/integrations/crm-prod/token/status", "").await.json()["state"], "absent");
}

#[tokio::test]
async fn a_failed_attempt_is_told_with_what_to_look_at() {
    let world = integrated().await;
    let refused = world.call("GET", "/v1/integrations/crm-prod/token", "").await;
    let problem = refused.json();
    assert_eq!((refused.status.as_u16(), &problem["code"]), (503, &json!("token_failed")), "{problem}");
    assert_eq!(
        (&problem["reason"], &problem["field"]),
        (&json!("invalid_client"), &json!("client_secret")),
        "{problem}"
    );
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);

    let tested = world.call("POST", "/v1/integrations/crm-prod/test", "").await.json();
    assert_eq!(tested["ok"], false);
    assert!(tested["line"].as_str().unwrap().contains("the provider doesn't know it"), "{tested}");

    let attempts = world.call("GET", "/v1/integrations/crm-prod/attempts", "").await.json();
    let last = &attempts["items"][0];
    assert_eq!((&last["purpose"], &last["outcome"]["result"]), (&json!("acquire"), &json!("failed")), "{attempts}");
    let one = format!("/v1/integrations/crm-prod/attempts/{}", last["id"].as_str().unwrap());
    assert_eq!(&world.call("GET", &one, "").await.json(), last);
    assert!(!attempts.to_string().contains("hunter2"));
}

#[tokio::test]
async fn secrets_are_replaced_and_dropped_but_never_shown() {
    let world = integrated().await;
    let path = "/v1/integrations/crm-prod";
    let seen = world.call("GET", path, "").await;
    let body = seen.json();
    assert_eq!(
        body["fields"],
        json!({"client_id": "me", "client_secret": {"set": true}, "token_url": "https://idp.example/token"})
    );
    assert_eq!((&body["flow"], &body["token"]["state"]), (&json!("unwilling"), &json!("absent")));

    let tag = seen.header("etag").to_owned();
    assert_eq!(tag, format!("\"{}\"", body["revision"]));
    let change = r#"{"fields":{"client_secret":"hunter2-again","scope":"r w"}}"#;
    let changed = world.call_with("PATCH", path, change, &[("if-match", &tag)]).await;
    assert_eq!((changed.status.as_u16(), &changed.json()["dropped"]), (200, &json!(false)), "{}", changed.text);
    assert_ne!(changed.header("etag"), tag);
    let late = world.call_with("PATCH", path, change, &[("if-match", &tag)]).await;
    assert_eq!((late.status.as_u16(), &late.json()["code"]), (412, &json!("precondition_failed")));

    let retargeted = world.call("PATCH", path, r#"{"fields":{"token_url":"https://elsewhere.example/token"}}"#).await;
    let body = retargeted.json();
    assert_eq!((&body["dropped"], &body["fields"]["client_secret"]), (&json!(true), &json!({"set": false})), "{body}");
    assert_eq!(body["missing"][0]["field"], "fields.client_secret", "{body}");
    let refused = world.call("GET", "/v1/integrations/crm-prod/token", "").await;
    assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (409, &json!("incomplete")), "{}", refused.text);

    assert_eq!(world.call("DELETE", "/v1/models/crm", "").await.json()["code"], "in_use");
    assert_eq!(world.call("DELETE", path, "").await.status, 204);
    assert_eq!(world.call("GET", path, "").await.status, 404);
    assert_eq!(world.call("DELETE", "/v1/models/crm", "").await.status, 204);
    for text in [seen.text, changed.text, late.text, retargeted.text] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn operations_answer_and_a_stopping_daemon_is_not_ready() {
    let world = World::new(Public::default()).await;
    assert_eq!(world.call("GET", "/readyz", "").await.text, "ready\n");
    let described: Value = world.call("GET", "/openapi.json", "").await.json();
    assert_eq!(described["info"]["title"], "tokenhost");
    let page = world.call("GET", "/docs", "").await;
    assert!(page.header("content-security-policy").starts_with("default-src 'none'") && !page.text.contains("<script"));
    let metrics = world.call("GET", "/metrics", "").await.text;
    assert!(
        metrics.contains("tokenhost_http_requests_total{route=\"/readyz\",method=\"GET\",status=\"2xx\"}"),
        "{metrics}"
    );
    assert_eq!(world.call("HEAD", "/v1/models", "").await.status, 200);
    world.api.stop();
    assert!(world.api.stopping.load(Ordering::Relaxed));
    assert_eq!(world.call("GET", "/readyz", "").await.status, 503);
    assert_eq!(world.call("GET", "/healthz", "").await.status, 200);
}
