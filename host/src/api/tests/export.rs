//! Exports: each kind in each format, all pages, narrowed to what the caller sees, refused where nothing may be seen; and the
//! places that a token and parameters may stand in.

use axum::body::Body;
use axum::http::Request;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::super::server;
use super::rooms::{Answer, DOCUMENT, World};
use crate::access::user::UserChange;
use crate::access::{ContactChange, Policy, StandingChange};
use crate::config::Public;
use crate::store::Batch;

/// A user of an organization.
async fn user(world: &World, login: &str, name: &str, organization: &str) {
    let contact = ContactChange {
        name: Some(Some(name.to_owned())),
        organization: Some(organization.to_owned()),
        ..ContactChange::default()
    };
    let profiles = Some(vec!["REST Services User".to_owned(), "Auditor".to_owned()]);
    let standing = StandingChange { contact, profiles, ..StandingChange::default() };
    let new = UserChange { standing, ..UserChange::default() };
    world.api.access.create_user(&*world.principal().await, login, new, false).await.unwrap();
}

/// A world with a thing of each kind, in two organizations.
async fn filled(policy: Policy) -> World {
    let world = World::with_policy(Public::default(), policy).await;
    for name in ["north", "south"] {
        let made = world.call("POST", "/v1/organizations", &json!({"name": name}).to_string()).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let path = format!("/v1/models?name=crm-{name}&organization={name}");
        assert_eq!(world.call("POST", &path, DOCUMENT).await.status, 201);
        let fields = json!({"client_id": "me", "client_secret": "hunter2"});
        let new = json!({"name": format!("int-{name}"), "model": format!("crm-{name}"), "fields": fields});
        let made = world.call("POST", "/v1/integrations", &new.to_string()).await;
        assert_eq!(made.status, 201, "{}", made.text);
        user(&world, &format!("user-{name}"), "Ada", name).await;
    }
    let path = "/v1/integrations/int-north/token";
    assert_eq!(world.call("PUT", path, r#"{"access_token":"hunter2"}"#).await.status, 200);
    world
}

/// Exports with this token in the header.
async fn export(world: &World, token: &SecretString, query: &str) -> Answer {
    let bearer = format!("Bearer {}", token.expose_secret());
    world.call_with("GET", &format!("/v1/export{query}"), "", &[("authorization", &bearer)]).await
}

/// The first column of an export in CSV.
async fn firsts(world: &World, token: &SecretString, what: &str) -> String {
    let answer = export(world, token, &format!("?format=csv&what={what}")).await;
    assert_eq!(answer.status, 200, "{what}: {}", answer.text);
    let mut reader = csv::Reader::from_reader(answer.text.as_bytes());
    let firsts: Vec<String> = reader.records().map(|row| row.unwrap()[0].to_owned()).collect();
    firsts.join(" ")
}

#[tokio::test]
async fn each_kind_comes_in_each_format_without_secrets() {
    let world = filled(Policy::default()).await;
    let secret = world.application("other", &["Auditor"], &[], &[]).await;
    for (what, rows, first) in [
        ("integrations", 2, "name"),
        ("models", 2, "name"),
        ("users", 2, "login"),
        ("organizations", 3, "name"),
        ("application-tokens", 2, "id"),
        ("personal-tokens", 0, "id"),
        ("audit", 10, "seq"),
    ] {
        let json = export(&world, &world.token, &format!("?what={what}")).await;
        assert_eq!((json.status.as_u16(), json.header("content-type")), (200, "application/json"), "{}", json.text);
        assert_eq!(json.header("cache-control"), "no-store");
        assert!(json.header("content-disposition").contains(&format!("{what}.json")));
        let csv = export(&world, &world.token, &format!("?what={what}&format=csv")).await;
        assert!(csv.header("content-type").starts_with("text/csv") && csv.text.starts_with(first), "{}", csv.text);
        let lines = csv::Reader::from_reader(csv.text.as_bytes()).records().map(Result::unwrap).count();
        let json_rows = json.json().as_array().unwrap().len();
        assert_eq!(json_rows, lines, "{what}");
        if what == "audit" {
            assert!(lines >= rows)
        } else {
            assert_eq!(lines, rows, "{what}: {}", csv.text)
        }
        for hidden in ["hunter2", secret.expose_secret(), world.token.expose_secret()] {
            assert!(!json.text.contains(hidden) && !csv.text.contains(hidden), "{what}");
        }
    }
    let integration = &export(&world, &world.token, "").await.json()[0];
    assert_eq!(integration["fields"]["client_id"], "me", "{integration}");
    assert_eq!((&integration["secrets"], &integration["token"]["state"]), (&json!(["client_secret"]), &json!("valid")));
    let user = export(&world, &world.token, "?what=users&fields=login,contact.name,profiles").await.json()[0].clone();
    let expected =
        json!({"login": "user-north", "contact": {"name": "Ada"}, "profiles": ["REST Services User", "Auditor"]});
    assert_eq!(user, expected);
    let head = world.call("HEAD", "/v1/export", "").await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
}

#[tokio::test]
async fn all_pages_come_in_order_and_formulas_are_guarded() {
    let world = World::new(Public::default()).await;
    for number in 0..450 {
        user(&world, &format!("u{number:03}"), "=HYPERLINK(\"x\")", "default").await;
    }
    let expected: Vec<String> = (0..450).map(|number| format!("u{number:03}")).collect();
    assert_eq!(firsts(&world, &world.token, "users").await, expected.join(" "));
    let json = export(&world, &world.token, "?what=users").await.json();
    assert_eq!(json.as_array().unwrap().len(), 450);
    assert_eq!(json[449]["contact"]["name"], "=HYPERLINK(\"x\")");
    let csv = export(&world, &world.token, "?what=users&format=csv&fields=contact.name,login").await.text;
    assert!(csv.starts_with("contact.name,login\r\n\"'=HYPERLINK(\"\"x\"\")\",u000\r\n"), "{}", &csv[..80]);
    // Each call of these is two records in the log.
    for number in 0..120 {
        let made = world.call("POST", "/v1/organizations", &format!("{{\"name\":\"o{number}\"}}")).await;
        assert_eq!(made.status, 201, "{}", made.text);
    }
    let expected: Vec<String> = (1..=240).map(|number| number.to_string()).collect();
    assert_eq!(firsts(&world, &world.token, "audit").await, expected.join(" "));
}

#[tokio::test]
async fn an_export_that_can_not_be_read_on_breaks_off() {
    let world = World::new(Public::default()).await;
    for number in 0..250 {
        user(&world, &format!("u{number:03}"), "Ada", "default").await;
    }
    let mut batch = Batch::synced();
    batch.put(b"user\0zzz\0".to_vec(), b"no record".to_vec());
    world.api.store.commit(batch).await.unwrap();
    let bearer = format!("Bearer {}", world.token.expose_secret());
    for query in ["what=users", "what=users&format=csv"] {
        let request = Request::get(format!("/v1/export?{query}")).header("authorization", &bearer);
        let response = server::answer(world.router.clone(), request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(axum::body::to_bytes(response.into_body(), usize::MAX).await.is_err(), "{query}");
    }
}

#[tokio::test]
async fn callers_see_what_is_theirs() {
    let world = filled(Policy::default()).await;
    let north = world.application("north-admin", &["Administrator"], &["north"], &[]).await;
    for (what, expected) in [
        ("integrations", "int-north"),
        ("models", "crm-north"),
        ("users", "user-north"),
        ("organizations", "north"),
        ("personal-tokens", ""),
    ] {
        assert_eq!(firsts(&world, &north, what).await, expected, "{what}");
    }
    assert_eq!(export(&world, &north, "?what=audit").await.status, 403, "the log is about everybody");
    let names = export(&world, &north, "?what=application-tokens&fields=name").await.json();
    assert_eq!(names, json!([{"name": "north-admin"}]));

    let integration = world.application("integrator", &["Integration User", "REST Services User"], &[], &[]).await;
    for (what, status) in
        [("integrations", 200), ("users", 403), ("application-tokens", 403), ("personal-tokens", 403), ("audit", 403)]
    {
        let answer = export(&world, &integration, &format!("?what={what}")).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text);
        assert_eq!(status == 403, answer.text.contains("support_id"), "{what}");
    }
    // The scope is asked for beside the right, and no profile for REST services is needed.
    let rest = world.application("rest", &["Administrator"], &[], &["REST/JSON"]).await;
    assert_eq!(export(&world, &rest, "").await.status, 403);
    let auditor = world.application("exporter", &["Auditor"], &[], &["Export"]).await;
    assert_eq!(export(&world, &auditor, "?what=audit").await.status, 200);
}

/// Calls without the administrator's header.
async fn bare(world: &World, method: &str, path: &str, content_type: &str, body: String) -> Answer {
    let request = Request::builder().method(method).uri(path).header("content-type", content_type);
    world.send(request.body(Body::from(body)).unwrap()).await
}

#[tokio::test]
async fn tokens_and_parameters_stand_in_forms_too() {
    let world = filled(Policy::default()).await;
    let token = world.token.expose_secret();
    const FORM: &str = "application/x-www-form-urlencoded";
    let csv = |answer: &Answer| answer.text.lines().next().is_some_and(|line| line.starts_with("name,organization"));
    let check = async |path: &str, content_type: &str, body: String, status: u16| {
        let answer = bare(&world, "POST", path, content_type, body.clone()).await;
        assert_eq!(answer.status, status, "{path} {content_type}: {}", answer.text);
        assert_eq!(csv(&answer), status == 200, "{path} {content_type}: {}", answer.text);
        assert!(!answer.text.contains(token));
        answer
    };
    check("/v1/export?format=csv", FORM, format!("auth_token={token}"), 200).await;
    check("/v1/export?format=csv&login_mode=token", FORM, format!("auth_token={token}"), 200).await;
    check("/v1/export", FORM, format!("auth_token={token}&format=csv&login_mode=token"), 200).await;
    let part =
        |name: &str, value: &str| format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let multipart = "multipart/form-data; boundary=x";
    check("/v1/export?format=csv", multipart, part("auth_token", token) + "--x--\r\n", 200).await;
    check("/v1/export", multipart, part("auth_token", token) + &part("format", "csv") + "--x--\r\n", 200).await;

    // What is there twice counts as nothing.
    check("/v1/export?format=csv", FORM, format!("auth_token={token}&auth_token={token}"), 401).await;
    check("/v1/export?format=csv", FORM, format!("auth_token={token}&format=csv"), 422).await;
    check("/v1/export?format=csv&format=json", FORM, format!("auth_token={token}"), 422).await;
    // In the query only where the operator allows it, and then not beside another.
    check(&format!("/v1/export?format=csv&auth_token={token}"), FORM, String::new(), 401).await;
    let policy = Policy { token_in_query: true, ..Policy::default() };
    let open = filled(policy).await;
    let token = open.token.expose_secret();
    let query = format!("/v1/export?format=csv&auth_token={token}");
    assert!(csv(&bare(&open, "GET", &query, "text/plain", String::new()).await));
    for path in [format!("{query}&auth_token={token}"), format!("{query}&auth_token=")] {
        assert_eq!(bare(&open, "GET", &path, "text/plain", String::new()).await.status, 401);
    }
    assert_eq!(bare(&open, "POST", &query, FORM, format!("auth_token={token}")).await.status, 401);
    // The header wins, right or wrong.
    let with = |header: &str| [("authorization", format!("Bearer {header}"))];
    for (header, status) in [(token, 200), ("tha_wrong", 401)] {
        let [(name, value)] = with(header);
        let path = if status == 200 { "/v1/export?auth_token=tha_wrong" } else { &query };
        assert_eq!(open.call_with("GET", path, "", &[(name, &value)]).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn login_mode_token_says_that_a_token_is_missing() {
    let world = filled(Policy::default()).await;
    for (method, path, body, says) in [
        ("GET", "/v1/export?login_mode=token", "", true),
        ("GET", "/v1/export?login_mode=rest-token", "", true),
        ("GET", "/v1/models?login_mode=token", "", true),
        ("POST", "/v1/export", "login_mode=token", true),
        ("GET", "/v1/export?login_mode=token&auth_token=tha_x", "", true),
        ("POST", "/v1/export?login_mode=token", "auth_token=tha_x", false),
        ("GET", "/v1/export?login_mode=basic", "", false),
        ("GET", "/v1/export", "", false),
    ] {
        let answer = bare(&world, method, path, "application/x-www-form-urlencoded", body.to_owned()).await;
        assert_eq!(answer.status, 401, "{method} {path}");
        let detail = answer.json()["detail"].clone();
        assert_eq!(detail.as_str().unwrap().contains("login_mode=token asks for a token"), says, "{path}: {detail}");
    }
    // Login and password don't count then.
    let basic = [("authorization", "Basic YWRhOnB3")];
    let answer = world.call_with("GET", "/v1/export?login_mode=token", "", &basic).await;
    assert!(answer.text.contains("login_mode=token"), "{}", answer.text);
}

#[tokio::test]
async fn what_is_asked_for_must_be_there() {
    let world = World::new(Public::default()).await;
    for (query, field, part) in [
        ("?what=secrets", "what", "integrations, models, users"),
        ("?format=xml", "format", "json, csv"),
        ("?what=users&fields=login,password", "fields", "login,status"),
        ("?fields=name,name", "fields", "twice"),
        ("?fields=", "fields", "must be of"),
        ("?colour=red", "colour", "no such parameter"),
    ] {
        let answer = world.call("GET", &format!("/v1/export{query}"), "").await;
        assert_eq!(answer.status, 422, "{query}: {}", answer.text);
        let fault: &Value = &answer.json()["errors"][0];
        assert_eq!(fault["field"], field, "{query}: {fault}");
        assert!(fault["message"].as_str().unwrap().contains(part), "{query}: {fault}");
    }
}
