//! Principals and their tokens over HTTP: the walk through both kinds of token, what is refused by field, and what
//! becomes of tokens when their user goes.

use axum::body::Body;
use axum::http::Request;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::rooms::{Answer, World};
use crate::access::Policy;
use crate::config::Public;

/// A world in which Integration Users have personal tokens.
pub(super) async fn world() -> World {
    let policy = Policy {
        personal_tokens_allowed_profiles: vec!["Integration User".parse().unwrap()],
        scopes: vec!["Grafana".parse().unwrap()],
        allowed_login_types: crate::access::LoginType::ALL.into(),
        ..Policy::default()
    };
    World::with_policy(Public::default(), policy).await
}

impl World {
    /// Makes something, and returns the answer.
    pub(super) async fn make(&self, path: &str, body: &Value) -> Value {
        let answer = self.call("POST", path, &body.to_string()).await;
        assert!(answer.status.is_success(), "{path} {body}: {} {}", answer.status, answer.text);
        answer.json()
    }

    /// Calls with another token.
    pub(super) async fn call_as(&self, token: &str, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.call_with(method, path, &body, &[("authorization", &format!("Bearer {token}"))]).await
    }

    /// Calls with a login and a password.
    pub(super) async fn call_basic(
        &self,
        login: &str,
        password: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Answer {
        use base64::Engine as _;
        let value = base64::engine::general_purpose::STANDARD.encode(format!("{login}:{password}"));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.call_with(method, path, &body, &[("authorization", &format!("Basic {value}"))]).await
    }
}

pub(super) const PASSWORD: &str = "correct horse battery";

pub(super) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member}: {value}"))
}

#[tokio::test]
async fn a_personal_token_from_its_making_to_its_end() {
    let world = world().await;
    let ada = world
        .make(
            "/v1/users",
            &json!({"login": "Ada", "profiles": ["Integration User", "REST Services User"], "contact": {"email": "ada@example.com"}}),
        )
        .await;
    assert_eq!(
        (&ada["login"], &ada["status"], &ada["contact"]["organization"]),
        (&json!("ada"), &json!("enabled"), &json!("default"))
    );
    let new = json!({"user": "ADA", "application": "nightly", "scopes": ["REST/JSON", "Export"]});
    let made = world.call("POST", "/v1/personal-tokens", &new.to_string()).await;
    let token = made.json();
    let (id, value) = (text(&token, "id"), text(&token, "token"));
    assert_eq!((made.status.as_u16(), made.header("cache-control")), (201, "no-store"));
    assert_eq!(made.header("location"), format!("/v1/personal-tokens/{id}"));
    assert!(value.starts_with("thp_") && value.contains(id));
    assert_eq!(
        (&token["user"], &token["state"], &token["created_by"]),
        (&json!("ada"), &json!("valid"), &json!("application/administrator"))
    );

    let me = world.call_as(value, "GET", "/v1/me", &Value::Null).await.json();
    assert_eq!((&me["kind"], &me["name"], &me["token_id"]), (&json!("user"), &json!("ada"), &json!(id)), "{me}");
    assert_eq!((&me["scopes"], &me["account_menu"]), (&json!(["REST/JSON", "Export"]), &json!(true)));
    assert_eq!(world.call_as(value, "GET", "/v1/integrations", &Value::Null).await.status, 200);
    assert_eq!(world.call_as(value, "GET", "/v1/users", &Value::Null).await.status, 403);

    let path = format!("/v1/personal-tokens/{id}");
    let seen = world.call("GET", &path, "").await;
    // Each authentication counts, the refused operation's too.
    assert_eq!((&seen.json()["use_count"], seen.json().get("token")), (&json!(3), None), "{}", seen.text);
    assert!(seen.json()["last_use"].is_string());
    let change = r#"{"application":"weekly","scopes":["Export"]}"#;
    let tag = seen.header("etag").to_owned();
    let changed = world.call_with("PATCH", &path, change, &[("if-match", &tag)]).await;
    assert_eq!((&changed.json()["application"], changed.status.as_u16()), (&json!("weekly"), 200), "{}", changed.text);
    assert_eq!(world.call_with("PATCH", &path, change, &[("if-match", &tag)]).await.status, 412);
    assert_eq!(world.call_as(value, "GET", "/v1/integrations", &Value::Null).await.status, 403);
    world.call("PATCH", &path, r#"{"scopes":["REST/JSON"]}"#).await;

    let rebuilt = world.call("POST", &format!("{path}/rebuild"), "").await;
    let new_value = rebuilt.json();
    let new_value = text(&new_value, "token");
    assert_eq!((rebuilt.status.as_u16(), rebuilt.json().get("old_value_valid_until")), (200, None));
    assert_eq!(world.call_as(value, "GET", "/v1/me", &Value::Null).await.status, 401);
    assert_eq!(world.call_as(new_value, "GET", "/v1/me", &Value::Null).await.status, 200);
    let again = world.call("POST", &format!("{path}/rebuild"), r#"{"grace_seconds":60}"#).await.json();
    assert!(again["old_value_valid_until"].is_string(), "{again}");
    for value in [new_value, text(&again, "token")] {
        assert_eq!(world.call_as(value, "GET", "/v1/me", &Value::Null).await.status, 200);
    }

    // No later answer has any of the values.
    for shown in [seen.text, changed.text, world.call("GET", "/v1/personal-tokens", "").await.text] {
        assert!(!shown.contains("thp_"), "{shown}");
    }
    assert_eq!(world.call("DELETE", &path, "").await.status, 204);
    assert_eq!(world.call_as(text(&again, "token"), "GET", "/v1/me", &Value::Null).await.status, 401);
    let ended = world.call("GET", &path, "").await.json();
    assert_eq!((&ended["state"], &ended["deleted_by"]), (&json!("deleted"), &json!("application/administrator")));
    for call in [world.call("DELETE", &path, "").await, world.call("POST", &format!("{path}/rebuild"), "").await] {
        assert_eq!((call.status.as_u16(), &call.json()["code"]), (409, &json!("in_use")));
    }
    let listed = async |query: &str| {
        let page = world.call("GET", &format!("/v1/personal-tokens?{query}"), "").await.json();
        page["items"].as_array().unwrap_or_else(|| panic!("{page}")).len()
    };
    assert_eq!((listed("state=deleted").await, listed("state=valid").await), (1, 0));
    assert_eq!((listed("user=ada").await, listed("user=bob").await), (1, 0));
}

#[tokio::test]
async fn an_application_token_from_its_making_to_its_end() {
    let world = world().await;
    let new = json!({"name": "crm-sync", "profiles": ["Integration User", "REST Services User"], "scopes": ["REST/JSON"],
        "contact": {"name": "Team CRM", "email": "crm@example.com"}, "console": false, "expiration_date": "2090-12-31"});
    let token = world.make("/v1/application-tokens", &new).await;
    let (id, value) = (text(&token, "id"), text(&token, "token"));
    assert!(value.starts_with("tha_") && value.contains(id));
    assert_eq!((&token["expiration_date"], &token["console"]), (&json!("2091-01-01T00:00:00Z"), &json!(false)));
    let me = world.call_as(value, "GET", "/v1/me", &Value::Null).await.json();
    assert_eq!(
        (&me["kind"], &me["name"], &me["contact"]["name"]),
        (&json!("application"), &json!("crm-sync"), &json!("Team CRM"))
    );
    assert_eq!((me.get("organizations"), &me["account_menu"]), (None, &json!(false)));
    for (method, path) in [("PATCH", "/v1/me"), ("GET", "/v1/me/personal-tokens")] {
        assert_eq!(world.call_as(value, method, path, &json!({})).await.status, 403, "{path}");
    }

    let path = format!("/v1/application-tokens/{id}");
    for (change, status, state) in [
        (r#"{"status":"disabled"}"#, 401, "disabled"),
        (r#"{"status":"enabled","expiration_date":null,"contact":{"email":null}}"#, 200, "valid"),
        (r#"{"scopes":["Export"]}"#, 403, "valid"),
        (r#"{"scopes":[]}"#, 200, "valid"),
    ] {
        let changed = world.call("PATCH", &path, change).await;
        assert_eq!((changed.status.as_u16(), &changed.json()["state"]), (200, &json!(state)), "{}", changed.text);
        assert!(!changed.text.contains("tha_"));
        assert_eq!(world.call_as(value, "GET", "/v1/me", &Value::Null).await.status, status, "{change}");
    }
    let seen = world.call("GET", &path, "").await.json();
    assert_eq!((seen.get("expiration_date"), seen["contact"].get("email"), seen.get("token")), (None, None, None));

    let rebuilt = world.make(&format!("{path}/rebuild"), &json!({})).await;
    assert_eq!(world.call_as(value, "GET", "/v1/me", &Value::Null).await.status, 401);
    assert_eq!(world.call_as(text(&rebuilt, "token"), "GET", "/v1/me", &Value::Null).await.status, 200);
    assert_eq!(world.call("POST", "/v1/application-tokens", r#"{"name":"crm-sync"}"#).await.json()["code"], "exists");
    assert_eq!(world.call("DELETE", &path, "").await.status, 204);
    assert_eq!(world.call_as(text(&rebuilt, "token"), "GET", "/v1/me", &Value::Null).await.status, 401);
    // The name is free, and the deleted one stays to be seen.
    world.make("/v1/application-tokens", &json!({"name": "crm-sync"})).await;
    let deleted = world.call("GET", "/v1/application-tokens?state=deleted", "").await.json();
    assert_eq!((&deleted["items"][0]["id"], deleted["items"].as_array().map(Vec::len)), (&json!(id), Some(1)));
}

/// Each: path, body, then the faults that must be told, all in one answer.
const INVALID: &[(&str, &str, &str)] = &[
    (
        "/v1/users",
        r#"{"login":"аda","profiles":["No Such","bad|name"],"allowed_organizations":["none","No"],"language":"hunter2!","password":"hunter2",
            "contact":{"email":"hunter2","first_name":" ","organization":"none"}}"#,
        "login malformed, contact.first_name malformed, contact.email malformed, contact.organization unknown, profiles[1] malformed, \
         allowed_organizations[1] malformed, allowed_organizations unknown, profiles unknown, language malformed, password malformed",
    ),
    ("/v1/users", r#"{"login":"x","external":true,"password":"hunter2hunter2"}"#, "password not_allowed"),
    ("/v1/users", r#"{"login":"ada\u200b"}"#, "login malformed"),
    ("/v1/users", r#"{"login":"ａda"}"#, "login malformed"),
    ("/v1/users", r#"{"login":"ada lovelace"}"#, "login malformed"),
    ("/v1/users", r#"{"login":""}"#, "login malformed"),
    (
        "/v1/application-tokens",
        r#"{"name":"No Name","profiles":["No Such"],"scopes":["REST/JSON","hunter2"],"expiration_date":"hunter2"}"#,
        "name malformed, expiration_date malformed, profiles unknown, scopes[1] unknown",
    ),
    ("/v1/application-tokens", r#"{"name":"x","expiration_date":"2020-01-01"}"#, "expiration_date not_allowed"),
    (
        "/v1/personal-tokens",
        r#"{"user":"nobody","scopes":["rest/json"],"expiration_date":"tomorrow"}"#,
        "user unknown, application missing, expiration_date malformed, scopes[0] unknown",
    ),
    (
        "/v1/personal-tokens",
        r#"{"user":"bob","application":"a\u0007","scopes":[],"expiration_date":"2999-01-01"}"#,
        "application malformed, scopes missing, expiration_date not_allowed",
    ),
    ("/v1/personal-tokens", r#"{"user":"bob","application":"x"}"#, "scopes missing"),
    (
        "/v1/profiles",
        r#"{"name":"bad|name","description":"a\tb","rights":["read_models","hunter2"],
            "grants":[{"rights":["read"],"organizations":["none"]},{"rights":["use_tokens"]}]}"#,
        "name malformed, description malformed, rights[1] unknown, grants[0].organizations unknown, grants[0].rights[0] unknown, grants[1] missing",
    ),
];

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let world = world().await;
    world.make("/v1/users", &json!({"login": "bob"})).await;
    for (path, body, expected) in INVALID {
        let answer = world.call("POST", path, body).await;
        let problem = answer.json();
        assert_eq!((answer.status.as_u16(), &problem["code"]), (422, &json!("invalid")), "{body}: {problem}");
        let mut faults: Vec<String> = (problem["errors"].as_array().unwrap().iter())
            .map(|fault| format!("{} {}", text(fault, "field"), text(fault, "code")))
            .collect();
        let mut expected: Vec<&str> = expected.split(',').map(str::trim).collect();
        faults.sort();
        expected.sort_unstable();
        assert_eq!(faults, expected, "{body}: {problem}");
        assert!(!answer.text.contains("hunter2"), "{}", answer.text);
    }
    for (method, path, body, status, part) in [
        ("POST", "/v1/users", r#"{"login":"Bob"}"#, 409, "bob"),
        ("POST", "/v1/users", r#"{"login":"x","admin":true}"#, 400, "there is no such member"),
        ("POST", "/v1/users", r#"{"login":"x","status":"hunter2"}"#, 400, "enabled or disabled"),
        ("POST", "/v1/personal-tokens", "{}", 400, r#""field":"user""#),
        ("GET", "/v1/users/nobody", "", 404, "no user nobody"),
        ("GET", "/v1/users/%D0%B0da", "", 404, "it is none"),
        ("GET", "/v1/profiles/Nope", "", 404, "no profile"),
        ("GET", "/v1/profiles/a%7Cb", "", 404, "no profile"),
        ("PATCH", "/v1/profiles/Auditor", "{}", 409, "never changes"),
        ("DELETE", "/v1/profiles/Administrator", "", 409, "never changes"),
        ("POST", "/v1/profiles", r#"{"name":"auditor"}"#, 409, "auditor"),
        ("GET", "/v1/personal-tokens/short", "", 404, "no personal token"),
        ("GET", "/v1/application-tokens/abcdefghijkl", "", 404, "no application token"),
        ("POST", "/v1/application-tokens/abcdefghijkl/rebuild", r#"{"grace":1}"#, 400, "grace_seconds"),
        ("GET", "/v1/personal-tokens?state=old&user=%D0%B0", "", 422, r#""field":"user""#),
        ("GET", "/v1/application-tokens?user=ada", "", 422, "there are limit, cursor, state"),
    ] {
        let answer = world.call(method, path, body).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path} {body}: {}", answer.text);
        assert!(answer.text.contains(part) && !answer.text.contains("hunter2"), "{method} {path}: {}", answer.text);
    }
    let token = world.make("/v1/application-tokens", &json!({"name": "x"})).await;
    let path = format!("/v1/application-tokens/{}/rebuild", text(&token, "id"));
    for grace in ["604801", "18446744073709551615"] {
        let refused = world.call("POST", &path, &format!(r#"{{"grace_seconds":{grace}}}"#)).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["errors"][0]["field"]), (422, &json!("grace_seconds")));
    }
}

#[tokio::test]
async fn tokens_of_a_deleted_user_stay_dead() {
    let world = world().await;
    let user = json!({"login": "ada", "profiles": ["Integration User", "REST Services User"], "password": PASSWORD});
    world.make("/v1/users", &user).await;
    let token =
        world.make("/v1/personal-tokens", &json!({"user": "ada", "application": "x", "scopes": ["REST/JSON"]})).await;
    let (id, value) = (text(&token, "id"), text(&token, "token"));
    assert_eq!(world.call_as(value, "GET", "/v1/me", &Value::Null).await.status, 200);
    assert_eq!(world.call("DELETE", "/v1/users/ada", "").await.status, 204);
    assert_eq!(world.call_as(value, "GET", "/v1/me", &Value::Null).await.status, 401);
    // Another user of the same login gets nothing from them, and doesn't see them.
    world.make("/v1/users", &user).await;
    assert_eq!(world.call_as(value, "GET", "/v1/me", &Value::Null).await.status, 401);
    let path = format!("/v1/personal-tokens/{id}");
    let seen = world.call("GET", &path, "").await.json();
    assert_eq!((&seen["state"], &seen["use_count"]), (&json!("deleted"), &json!(1)), "{seen}");
    assert_eq!(world.call("POST", &format!("{path}/rebuild"), "").await.status, 409);
    let own = world.call_basic("ada", PASSWORD, "GET", "/v1/me/personal-tokens", &Value::Null).await.json();
    assert_eq!(own["items"], json!([]));
    assert_eq!(
        world.call_basic("ada", PASSWORD, "GET", &format!("/v1/me/personal-tokens/{id}"), &Value::Null).await.status,
        404
    );
}

#[tokio::test]
async fn lists_come_in_pages() {
    let world = world().await;
    for number in 0..7 {
        world.make("/v1/users", &json!({"login": format!("user-{number}"), "status": "disabled"})).await;
        world.make("/v1/application-tokens", &json!({"name": format!("app-{number}")})).await;
    }
    for (path, member, expected) in
        [("/v1/users", "login", 7), ("/v1/application-tokens", "id", 8), ("/v1/profiles", "name", 5)]
    {
        let mut seen = Vec::new();
        let mut next = Some(String::new());
        while let Some(cursor) = next {
            let query = if cursor.is_empty() { String::new() } else { format!("&cursor={cursor}") };
            let page = world.call("GET", &format!("{path}?limit=3{query}"), "").await.json();
            seen.extend(page["items"].as_array().unwrap().iter().map(|item| text(item, member).to_owned()));
            next = page.get("next").map(|next| next.as_str().unwrap().to_owned());
        }
        let sorted = {
            let mut sorted = seen.clone();
            sorted.sort();
            sorted.dedup();
            sorted
        };
        assert_eq!((seen.len(), &seen), (expected, &sorted), "{path}");
    }
    let scopes = world.call("GET", "/v1/scopes", "").await.json();
    assert_eq!(scopes["items"][0], json!({"name": "REST/JSON", "url": "rest-json", "shipped": true}));
    assert_eq!(scopes["items"][4], json!({"name": "Grafana", "url": "grafana", "shipped": false}));
}

#[tokio::test]
async fn the_audit_log_knows_tokens_by_digest_only() {
    let world = world().await;
    let token = world.make("/v1/application-tokens", &json!({"name": "crm-sync", "profiles": ["Auditor"]})).await;
    let user = json!({"login": "ada", "password": PASSWORD});
    world.make("/v1/users", &user).await;
    let window = crate::audit::Window { limit: 1000, ..Default::default() };
    let records = world.api.audit.list(&crate::audit::Filter::default(), window).await.unwrap();
    let log = format!("{records:?}");
    let value = SecretString::from(text(&token, "token"));
    let digest = world.api.audit.digest(secrecy::ExposeSecret::expose_secret(&value).as_bytes());
    assert!(
        log.contains(&digest) && log.contains(text(&token, "id")) && log.contains("application_token.create"),
        "{log}"
    );
    assert!(!log.contains(text(&token, "token")) && !log.contains(PASSWORD), "{log}");
    let request = Request::get("/v1/users").body(Body::empty()).unwrap();
    assert_eq!(world.send(request).await.status, 401);
}

#[tokio::test]
async fn users_are_found_by_a_part_of_who_they_are() {
    let world = world().await;
    for (login, name, email) in [("ada", "Lovelace", "ada@engine.example"), ("grace", "Hopper", "navy@cobol.example")] {
        world.make("/v1/users", &json!({"login": login, "contact": {"name": name, "email": email}})).await;
    }
    for (query, expected) in [
        ("q=LOVE", vec!["ada"]),
        ("q=example", vec!["ada", "grace"]),
        ("q=grace", vec!["grace"]),
        ("q=@cobol&limit=1", vec!["grace"]),
        ("q=nobody", vec![]),
    ] {
        let answer = world.call("GET", &format!("/v1/users?{query}"), "").await.json();
        let found: Vec<_> = answer["items"].as_array().unwrap().iter().map(|user| text(user, "login")).collect();
        assert_eq!(found, expected, "{query}");
    }
}

#[tokio::test]
async fn rights_say_what_they_mean() {
    let world = world().await;
    let answer = world.call("GET", "/v1/rights", "").await.json();
    let items = answer["items"].as_array().unwrap();
    assert_eq!(items.len(), crate::access::Right::ALL.len());
    for item in items {
        let (name, meaning) = (text(item, "name"), text(item, "meaning"));
        assert!(crate::access::Right::of_name(name).is_some() && meaning.ends_with('.'), "{name}: {meaning}");
    }
}

#[tokio::test]
async fn who_is_made_and_can_do_nothing_is_told_with_the_remedy() {
    let world = World::new(Public::default()).await;
    for (login, profiles, part) in [
        ("a", json!([]), Some("tokenhost user change a --profile 'REST Services User' --profile NAME")),
        ("b", json!(["REST Services User"]), Some("gives a right")),
        ("c", json!(["Auditor"]), Some("tokenhost user change c --profile Auditor --profile 'REST Services User'")),
        ("d", json!(["Auditor", "REST Services User"]), None),
        ("e", json!(["Administrator"]), None),
    ] {
        let made = world.call("POST", "/v1/users", &json!({"login": login, "profiles": profiles}).to_string()).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let warning = made.json()["warning"].clone();
        match part {
            Some(part) => assert!(warning.as_str().unwrap().contains(part), "{login}: {warning}"),
            None => assert!(warning.is_null(), "{login}: {warning}"),
        }
    }
    let wrong = world.call("POST", "/v1/users", &json!({"login": "f", "profiles": ["Auditr"]}).to_string()).await;
    assert!(wrong.text.contains("did you mean \\\"Auditor\\\"?"), "{}", wrong.text);
}
