//! What is refused, and how: without a token, without a right, and everything malformed. No refusal repeats a value.

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;

use super::super::auth;
use super::rooms::{DOCUMENT, World};
use crate::config::Public;

/// A path of a route, with names of things that needn't exist.
fn path_of(route: &str) -> String {
    let parts = route.split('/').map(|part| if part.starts_with('{') { "some-name" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn without_a_valid_token_all_but_health_answers_one_401() {
    let world = World::new(Public::default()).await;
    let wrong = "tha_0000000000000000000000000000000000000000000000000000000000000000000000";
    let mut bodies = std::collections::BTreeSet::new();
    for (method, route, protected) in auth::routes() {
        let presented =
            [None, Some(("authorization", format!("Bearer {wrong}"))), Some(("auth-token", wrong.to_owned()))];
        for (number, header) in presented.into_iter().enumerate() {
            let mut request = Request::builder().method(method).uri(path_of(route)).body(Body::from("{")).unwrap();
            if let Some((name, value)) = header {
                request.headers_mut().insert(name, value.parse().unwrap());
            }
            let answer = world.send(request).await;
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{method} {route}");
            if route.contains("/forward-auth/") {
                // A door for proxies: the same refusal, in headers alone.
                assert_eq!((answer.status.as_u16(), answer.text.as_str()), (401, ""), "{route}");
                continue;
            }
            if !protected {
                // What signs in looks at the form that comes with it.
                assert_ne!(answer.status, 401, "{method} {route}");
                assert!(answer.status == 200 || !route.ends_with('z'), "{method} {route}");
                continue;
            }
            assert_eq!(answer.status, 401, "{method} {route} {number}");
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"tokenhost\"");
            if route == "/oauth2/introspect" {
                // In the shape of another standard.
                assert_eq!(answer.json()["error"], "invalid_client");
                continue;
            }
            assert_eq!(answer.header("content-type"), "application/problem+json");
            let mut problem = answer.json();
            assert!(problem.as_object_mut().unwrap().remove("support_id").is_some_and(|id| id.is_string()));
            bodies.insert(problem.to_string());
        }
    }
    assert_eq!(bodies.len(), 1, "{bodies:#?}");
}

#[tokio::test]
async fn what_is_public_needs_no_token() {
    let world = World::new(Public { docs: true, metrics: true }).await;
    for (path, part) in
        [("/openapi.json", "\"3.1.0\""), ("/docs", "<!doctype html>"), ("/metrics", "tokenhost_build_info")]
    {
        let answer = world.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.text.contains(part), "{path}: {}", answer.text);
    }
    assert_eq!(world.send(Request::get("/v1/models").body(Body::empty()).unwrap()).await.status, 401);
}

/// Each: method, path, body, then the status, the code, and what the answer's text has.
const REFUSED: &[(&str, &str, &str, u16, &str, &str)] = &[
    ("GET", "/", "", 404, "not_found", "there is no /"),
    ("GET", "/v1/nothing", "", 404, "not_found", "/openapi.json lists"),
    ("GET", "/v1/models/", "", 404, "not_found", ""),
    ("PUT", "/v1/models", "", 405, "method_not_allowed", "PUT isn't possible"),
    ("BREW", "/v1/models", "", 405, "method_not_allowed", "BREW"),
    ("DELETE", "/v1/integrations/crm/token/refresh", "", 405, "method_not_allowed", ""),
    ("GET", "/v1/models?limit=0&nope=hunter2", "", 422, "invalid", r#""field":"nope""#),
    ("GET", "/v1/models?limit=0", "", 422, "invalid", "from 1 to 1000"),
    ("GET", "/v1/models?cursor=hunter2", "", 422, "invalid", "none that this list gave"),
    ("GET", "/v1/models/none", "", 404, "not_found", "no model none"),
    ("GET", "/v1/models/No%20Name", "", 404, "not_found", "that is no name"),
    ("DELETE", "/v1/models/none", "", 404, "not_found", ""),
    ("POST", "/v1/models", DOCUMENT, 422, "invalid", "give the model a name"),
    ("POST", "/v1/models?name=No", DOCUMENT, 422, "invalid", "lower case"),
    ("POST", "/v1/models?name=crm", DOCUMENT, 409, "exists", "crm"),
    ("POST", "/v1/models?name=x", "{}", 422, "document_invalid", "no OpenAPI document"),
    ("POST", "/v1/models?name=x", "", 422, "document_invalid", ""),
    ("POST", "/v1/models?name=x", r#"{"openapi":"hunter2"}"#, 422, "document_invalid", ""),
    ("POST", "/v1/models?name=x", r#"{"url":"hunter2"}"#, 422, "invalid", "no absolute URL"),
    ("POST", "/v1/models?name=x", r#"{"url":"http://127.0.0.1:1/hunter2"}"#, 422, "invalid", r#""field":"url""#),
    ("POST", "/v1/models?name=x", r#"{"url":"https://a.example","nmae":"y"}"#, 400, "malformed", r#""field":"nmae""#),
    ("POST", "/v1/integrations", "", 415, "unsupported_media_type", "application/json"),
    ("POST", "/v1/integrations", "hunter2", 400, "malformed", "no JSON, line 1, column 1"),
    ("POST", "/v1/integrations", "{}", 400, "malformed", r#""field":"name""#),
    (
        "POST",
        "/v1/integrations",
        r#"{"name":"a","model":"crm","secret":"hunter2"}"#,
        400,
        "malformed",
        r#""field":"secret""#,
    ),
    ("POST", "/v1/integrations", r#"{"name":"A b","model":"crm/"}"#, 422, "invalid", "'A'"),
    ("POST", "/v1/integrations", r#"{"name":"a","model":"none"}"#, 422, "invalid", r#""field":"model""#),
    (
        "POST",
        "/v1/integrations",
        r#"{"name":"a","model":"crm","fields":{"cleint_id":"hunter2","token_url":"hunter2"}}"#,
        422,
        "invalid",
        r#""field":"fields.client_secret""#,
    ),
    (
        "POST",
        "/v1/integrations",
        r#"{"name":"a","model":"crm","organization":"No"}"#,
        422,
        "invalid",
        r#""field":"organization""#,
    ),
    (
        "POST",
        "/v1/integrations",
        r#"{"name":"a","model":"crm","organization":"none","fields":{"cleint_id":"hunter2"}}"#,
        422,
        "invalid",
        "there is no organization none",
    ),
    ("PATCH", "/v1/integrations/none", r#"{"organization":"No"}"#, 422, "invalid", r#""field":"organization""#),
    ("POST", "/v1/models?name=x&organization=No", DOCUMENT, 422, "invalid", r#""field":"organization""#),
    ("POST", "/v1/models?name=x&organization=none", DOCUMENT, 422, "invalid", r#""code":"unknown""#),
    ("POST", "/v1/organizations", "{}", 400, "malformed", r#""field":"name""#),
    ("POST", "/v1/organizations", r#"{"name":"default"}"#, 409, "exists", "default"),
    ("POST", "/v1/organizations", r#"{"name":"A","parent":"B"}"#, 422, "invalid", r#""field":"parent""#),
    ("POST", "/v1/organizations", r#"{"name":"a","parent":"none"}"#, 422, "invalid", r#""code":"unknown""#),
    ("POST", "/v1/organizations", r#"{"name":"a","title":"hunter2\n"}"#, 422, "invalid", r#""field":"title""#),
    ("GET", "/v1/organizations/none", "", 404, "not_found", "no organization none"),
    ("PATCH", "/v1/organizations/none", "{}", 404, "not_found", ""),
    ("PATCH", "/v1/organizations/default", r#"{"parent":"default"}"#, 422, "invalid", r#""code":"not_allowed""#),
    ("DELETE", "/v1/organizations/none", "", 404, "not_found", ""),
    ("DELETE", "/v1/organizations/default", "", 409, "in_use", "can't be deleted"),
    ("GET", "/v1/integrations/none", "", 404, "not_found", "no integration none"),
    ("PATCH", "/v1/integrations/none", "{}", 404, "not_found", ""),
    ("DELETE", "/v1/integrations/none", "", 404, "not_found", ""),
    ("POST", "/v1/integrations/none/test", "", 404, "not_found", ""),
    ("GET", "/v1/integrations/none/token", "", 404, "not_found", "no integration none"),
    ("GET", "/v1/integrations/none/token?min_ttl=-1", "", 422, "invalid", "min_ttl"),
    ("GET", "/v1/integrations/%2e%2e/token", "", 404, "not_found", "that is no name"),
    ("PUT", "/v1/integrations/none/token", r#"{"access_token":"x"}"#, 404, "not_found", ""),
    ("PUT", "/v1/integrations/none/token", r#"{"access_token":"hunter2 hunter2"}"#, 422, "invalid", "visible ASCII"),
    ("PUT", "/v1/integrations/none/token", r#"{"access_token":"x","generation":1}"#, 400, "malformed", "generation"),
    (
        "PUT",
        "/v1/integrations/none/token",
        r#"{"access_token":"x","expires_at":"hunter2"}"#,
        400,
        "malformed",
        "expires_at",
    ),
    ("DELETE", "/v1/integrations/none/token", "", 404, "not_found", ""),
    ("GET", "/v1/integrations/none/token/status", "", 404, "not_found", ""),
    ("POST", "/v1/integrations/none/token/refresh", "", 404, "not_found", ""),
    (
        "POST",
        "/v1/integrations/none/token/reject",
        r#"{"generation":"hunter2"}"#,
        400,
        "malformed",
        "must be a whole number",
    ),
    ("POST", "/v1/integrations/none/token/reject", r#"{"generation":1}"#, 404, "not_found", ""),
    ("GET", "/v1/integrations/none/attempts", "", 404, "not_found", ""),
    ("GET", "/v1/integrations/none/attempts/nope", "", 404, "not_found", "no id"),
    ("GET", "/v1/flows/none", "", 404, "not_found", "no flow none"),
    ("POST", "/v1/flows", r#"{"hunter2":1}"#, 415, "unsupported_media_type", "application/wasm"),
    ("DELETE", "/v1/flows/none", "", 404, "not_found", ""),
    ("POST", "/v1/flows/none/rollback", "", 404, "not_found", "wasn't installed"),
    ("POST", "/v1/flows/none/rollback?to=hunter2", "", 422, "invalid", "8 hexadecimal digits"),
    ("POST", "/v1/flows/none/upgrade", r#"{"hunter2":1}"#, 415, "unsupported_media_type", "application/wasm"),
    ("POST", "/v1/flows/none/release", "", 404, "not_found", "no flow none"),
    ("PATCH", "/v1/flows/none", r#"{"limits":{"steps":5}}"#, 404, "not_found", "no flow none"),
    ("PATCH", "/v1/flows/none", r#"{"limits":{"nope":5}}"#, 400, "malformed", "step_time"),
    ("PUT", "/v1/flows/none/revealed/none/client_secret", "", 404, "not_found", "no integration none"),
    ("DELETE", "/v1/flows/none/revealed/none/client_secret", "", 404, "not_found", ""),
    ("POST", "/v1/publishers", r#"{"name":"acme","key":"hunter2"}"#, 422, "invalid", "plugin key show"),
    ("DELETE", "/v1/publishers/none", "", 404, "not_found", "no publisher none"),
    ("POST", "/v1/integrations/none/token/reparse", "", 404, "not_found", ""),
];

#[tokio::test]
async fn what_is_wrong_is_told_by_name_and_never_repeated() {
    let world = World::new(Public::default()).await;
    assert_eq!(world.call("POST", "/v1/models?name=crm", DOCUMENT).await.status, 201);
    for (method, path, body, status, code, part) in REFUSED {
        let answer = world.call(method, path, body).await;
        let text = &answer.text;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (*status, "application/problem+json"),
            "{method} {path} {body}: {text}"
        );
        assert_eq!(answer.json()["code"], *code, "{method} {path} {body}: {text}");
        assert!(text.contains(part), "{method} {path} {body}: {text}");
        assert!(!text.contains("hunter2"), "{method} {path} {body}: {text}");
        assert_eq!(*status == 405, !answer.header("allow").is_empty(), "{method} {path}");
    }
}

#[tokio::test]
async fn all_faults_of_an_integration_are_told_at_once() {
    let world = World::new(Public::default()).await;
    world.call("POST", "/v1/models?name=crm", DOCUMENT).await;
    let body = r#"{"name":"a","model":"crm","fields":{"cleint_id":"x","token_url":"nowhere"}}"#;
    let problem = world.call("POST", "/v1/integrations", body).await.json();
    let faults: Vec<(&str, &str)> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| (fault["field"].as_str().unwrap(), fault["code"].as_str().unwrap()))
        .collect();
    for expected in [
        ("fields.cleint_id", "unknown"),
        ("fields.client_id", "missing"),
        ("fields.client_secret", "missing"),
        ("fields.token_url", "malformed"),
    ] {
        assert!(faults.contains(&expected), "{expected:?} in {faults:?}");
    }
    // A name that is none, and one that is taken, are faults among the others.
    for (name, code) in [("", "malformed"), ("No Name", "malformed"), ("taken", "not_allowed")] {
        let fields = serde_json::json!({"client_id": "x", "client_secret": "y"});
        let made = serde_json::json!({"name": "taken", "model": "crm", "fields": fields});
        world.call("POST", "/v1/integrations", &made.to_string()).await;
        let body = serde_json::json!({"name": name, "model": "crm", "organization": "No Name", "fields": {}});
        let told = world.call("POST", "/v1/integrations", &body.to_string()).await.json();
        let found = |field: &str| told["errors"].as_array().unwrap().iter().any(|fault| fault["field"] == field);
        assert!(found("organization") && found("fields.client_id"), "{name}: {told}");
        let body = serde_json::json!({"name": name, "model": "crm", "fields": {}});
        let told = world.call("POST", "/v1/integrations", &body.to_string()).await.json();
        let first = &told["errors"][0];
        assert_eq!((&first["field"], &first["code"]), (&Value::from("name"), &Value::from(code)), "{name}: {told}");
        assert_eq!(told["errors"].as_array().unwrap().len(), 3, "{told}");
    }
    let taken = r#"{"name":"taken","model":"crm","fields":{"client_id":"x","client_secret":"y"}}"#;
    let told = world.call("POST", "/v1/integrations", taken).await.json();
    assert_eq!((&told["code"], &told["errors"][0]["field"]), (&Value::from("exists"), &Value::from("name")));
}

#[tokio::test]
async fn large_bodies_are_refused() {
    let world = World::new(Public::default()).await;
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(1 << 20));
    let answer = world.call("POST", "/v1/integrations", &large).await;
    assert_eq!((answer.status.as_u16(), answer.json()["code"].clone()), (413, Value::from("too_large")));
    let answer = world.call_with("POST", "/v1/models?name=x", "x", &[("content-type", "image/png")]).await;
    assert_eq!(answer.status, 415);
}
