//! Who may ask, and questions that are wrong.

use axum::body::Body;
use axum::http::Request;
use chrono::DateTime;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::super::rooms::World;
use super::{Stage, policy, words};
use crate::access::user::UserChange;
use crate::access::{ADMINISTRATOR, LoginType, Principal, REST_SERVICES_USER, StandingChange};
use crate::clock::TestClock;
use crate::config::Public;

#[tokio::test]
async fn questions_that_are_wrong_are_told_by_name() {
    let stage = Stage::new().await;
    let token = stage.world.token.expose_secret().to_owned();
    for (body, status, part) in [
        (json!({}).to_string(), 400, r#""field":"token""#),
        (json!({"token": 1}).to_string(), 400, "must be a string"),
        (json!({"token": token, "hunter2": 1}).to_string(), 400, r#""code":"unknown""#),
        (json!([token]).to_string(), 400, "must be a JSON object"),
        (json!({"token": token, "scope": "hunter2"}).to_string(), 422, "there are REST/JSON, Export"),
        (json!({"token": token, "scope": "rest-json"}).to_string(), 422, r#""field":"scope""#),
        (json!({"token": token, "organization": "No Name"}).to_string(), 422, r#""field":"organization""#),
        ("hunter2".to_owned(), 400, "no JSON"),
        (format!(r#"{{"token":"{}"}}"#, "x".repeat(1 << 20)), 413, "too_large"),
    ] {
        let told = stage.world.call("POST", "/v1/verify", &body).await;
        assert_eq!(told.status.as_u16(), status, "{}", told.text);
        assert!(told.text.contains(part) && !told.text.contains(&token), "{}", told.text);
    }
    for (path, body, status, part) in [
        ("/v1/verify", format!("token={token}&scope=REST%2FJSON"), 200, r#""active":true"#),
        ("/v1/verify", format!("token={token}&token={token}"), 422, "is given twice"),
        ("/v1/verify", "scope=Export".to_owned(), 422, r#""field":"token""#),
        ("/v1/verify", format!("token={token}&scopes=Export"), 422, r#""field":"scopes""#),
        ("/oauth2/introspect", format!("token_type_hint=refresh_token&token={token}"), 200, r#""active":true"#),
        ("/oauth2/introspect", format!("token={token}&token_type_hint=access_token"), 200, r#""active":true"#),
        ("/oauth2/introspect", String::new(), 400, r#""error":"invalid_request""#),
        ("/oauth2/introspect", format!("token={token}&token={token}"), 400, r#""error":"invalid_request""#),
    ] {
        let told = stage.form(path, &body).await;
        assert_eq!(told.status.as_u16(), status, "{path} {}", told.text);
        assert!(told.text.contains(part) && !told.text.contains(&token), "{path} {}", told.text);
    }
    // JSON with escapes is the same text.
    let escaped = format!(r#"{{"token":"{token}","scope":"REST\/JSON"}}"#);
    assert!(stage.world.call("POST", "/v1/verify", &escaped).await.text.contains(r#""active":true"#));
    let json = stage.world.call("POST", "/oauth2/introspect", &json!({"token": token}).to_string()).await;
    assert_eq!((json.status.as_u16(), json.json()["error"].clone()), (400, json!("invalid_request")));
}

#[tokio::test]
async fn only_those_with_the_right_verify_and_only_applications_introspect() {
    let stage = Stage::new().await;
    let good = stage.world.token.expose_secret().to_owned();
    let auditor = stage.application("auditor", &["Auditor", REST_SERVICES_USER], &[], &[]).await;
    stage.user("root", &[ADMINISTRATOR, REST_SERVICES_USER]).await;
    let root = stage.personal("root").await;
    for (caller, path, status) in [
        (auditor.value(), "/v1/verify", 403),
        (auditor.value(), "/oauth2/introspect", 403),
        (root.value(), "/v1/verify", 200),
        (root.value(), "/oauth2/introspect", 403),
        ("tha_wrong", "/v1/verify", 401),
        ("tha_wrong", "/oauth2/introspect", 401),
    ] {
        let headers =
            [("authorization", &*format!("Bearer {caller}")), ("content-type", "application/x-www-form-urlencoded")];
        let told = stage.world.call_with("POST", path, &format!("token={good}"), &headers).await;
        assert_eq!(told.status.as_u16(), status, "{path} {}", told.text);
        if path.starts_with("/oauth2") {
            let expected = if status == 401 { "invalid_client" } else { "insufficient_scope" };
            assert_eq!(told.json()["error"], expected);
            assert!(stage.world.api.support.explain(told.json()["support_id"].as_str().unwrap()).is_some());
            assert_eq!(told.header("www-authenticate").is_empty(), status == 403);
        }
    }
    // Basic, with the token as the password.
    use base64::Engine as _;
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("client:{good}")));
    let headers = [("authorization", basic.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let told = stage.world.call_with("POST", "/oauth2/introspect", &format!("token={good}"), &headers).await;
    assert_eq!(told.json()["active"], true, "{}", told.text);
}

#[tokio::test]
async fn where_tokens_are_no_way_in_none_is_good_and_passwords_are_limited() {
    use base64::Engine as _;
    let mut policy = policy();
    policy.allowed_login_types = [LoginType::Basic].into();
    let clock = TestClock::at(DateTime::from_timestamp(1_795_000_000, 0).unwrap());
    let world = World::with_clock(Public::default(), policy, clock).await;
    let good = world.token.expose_secret().to_owned();
    let root = UserChange {
        standing: StandingChange { profiles: Some(words(&[ADMINISTRATOR])), ..StandingChange::default() },
        password: Some(Some("correct horse battery".into())),
        ..UserChange::default()
    };
    world.api.access.create_user(&Principal::system(), "root", root, false).await.unwrap();
    let basic = |password: &str| {
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("root:{password}")))
    };
    let verify = async |password: &str| {
        let body = json!({"token": good}).to_string();
        world.call_with("POST", "/v1/verify", &body, &[("authorization", &basic(password))]).await
    };
    let told = verify("correct horse battery").await;
    assert_eq!(told.json()["reason"], "login_type_not_allowed", "{}", told.text);
    let told =
        world.send(Request::get("/v1/forward-auth/grafana").header("auth-token", &good).body(Body::empty()).unwrap());
    let told = told.await;
    let explain = |id: &str| world.api.support.explain(id).unwrap().code;
    assert_eq!((told.status.as_u16(), explain(told.header("x-support-id")).as_str()), (401, "login_type_not_allowed"));
    for round in 0..11 {
        let told = verify("wrong").await;
        let reason = explain(told.json()["support_id"].as_str().unwrap());
        assert_eq!(reason, if round < 10 { "bad_password" } else { "rate_limited" });
        assert_eq!(told.status, 401);
    }
}
