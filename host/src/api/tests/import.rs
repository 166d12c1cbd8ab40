//! Imports: made, changed and left as they are; each row on its own; what is refused as a whole.

use axum::body::Body;
use axum::http::Request;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::rooms::{Answer, DOCUMENT, World};
use crate::access::personal::PersonalChange;
use crate::access::{Policy, id_text};
use crate::audit::{Filter, Window};
use crate::config::Public;

/// Imports JSON, and returns the report.
async fn import(world: &World, what: &str, rows: &Value) -> Value {
    let answer = world.call("POST", &format!("/v1/import?what={what}"), &rows.to_string()).await;
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, "no-store"), "{}", answer.text);
    answer.json()
}

async fn csv(world: &World, query: &str, text: &str) -> Answer {
    world.call_with("POST", &format!("/v1/import?{query}"), text, &[("content-type", "text/csv")]).await
}

/// The statuses of a report's rows.
fn statuses(report: &Value) -> String {
    let rows = report["rows"].as_array().unwrap_or_else(|| panic!("{report}"));
    rows.iter().map(|row| row["status"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

/// What the first failed row says: fields and codes.
fn faults(report: &Value) -> Vec<(String, String)> {
    let failed = report["rows"].as_array().unwrap().iter().find(|row| row["status"] == "failed").unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let errors = failed["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|fault| (text(&fault["field"]), text(&fault["code"]))).collect()
}

/// The actions in the audit log, but for those of the gate.
async fn actions(world: &World) -> Vec<String> {
    let page = world.api.audit.list(&Filter::default(), Window { after: None, limit: 1000, newest_first: false }).await;
    let records = page.unwrap().records.into_iter().filter(|record| record.entry.details.contains_key("via"));
    records.map(|record| format!("{} {}", record.entry.action, record.entry.object)).collect()
}

#[tokio::test]
async fn users_are_made_changed_and_left_as_they_are() {
    let world = World::new(Public::default()).await;
    let rows = json!([
        {"login": "Ada", "contact": {"name": "Lovelace"}, "profiles": ["REST Services User"]},
        {"login": "bob", "external": true},
        {"login": "cléo", "contact": {"email": "nowhere", "organization": "none"}, "profiles": ["Nobody"]},
        {"login": "dan", "colour": "red"},
        {"name": "eve"},
        {"login": "ada", "language": "de"},
        {"login": "fay", "password": "short"},
        7,
    ]);
    let report = import(&world, "users", &rows).await;
    assert_eq!(statuses(&report), "created created failed failed failed failed failed failed");
    assert_eq!((&report["created"], &report["failed"], &report["dry_run"]), (&json!(2), &json!(6), &json!(false)));
    let row = |number: usize| report["rows"][number - 1].clone();
    let field = |number: usize| row(number)["errors"][0]["field"].clone();
    let all: Vec<_> = row(3)["errors"].as_array().unwrap().iter().map(|fault| fault["field"].clone()).collect();
    assert_eq!(all, ["login", "contact.email", "contact.organization", "profiles"], "{}", row(3));
    assert_eq!(
        (field(4), field(5), field(6), field(7)),
        (json!("colour"), json!("name"), json!("login"), json!("password"))
    );
    assert!(row(6)["errors"][0]["message"].as_str().unwrap().contains("row 1"));
    assert_eq!(
        (row(1)["key"].clone(), row(1)["row"].clone(), row(1)["kind"].clone()),
        (json!("Ada"), json!(1), json!("users"))
    );
    assert!(!report.to_string().contains("short"), "{report}");

    let again = import(&world, "users", &json!([rows[0], {"login": "bob", "language": "de"}])).await;
    assert_eq!(statuses(&again), "unchanged updated");
    assert_eq!(actions(&world).await, ["user.create users/ada", "user.create users/bob", "user.change users/bob"]);
    let bob = world.api.access.user(&"bob".parse().unwrap()).await.unwrap();
    assert!(bob.external && bob.language == "de");

    // What was exported is imported without a change, in both formats.
    for format in ["csv", "json"] {
        let exported = world.call("GET", &format!("/v1/export?what=users&format={format}"), "").await;
        let kind = [("content-type", if format == "csv" { "text/csv" } else { "application/json" })];
        let report = world.call_with("POST", "/v1/import?what=users", &exported.text, &kind).await.json();
        assert_eq!(statuses(&report), "unchanged unchanged", "{report}");
    }
}

#[tokio::test]
async fn a_dry_run_tells_the_same_and_changes_nothing() {
    let world = World::new(Public::default()).await;
    assert_eq!(
        statuses(&import(&world, "users", &json!([{"login": "ada"}, {"login": "bob"}])).await),
        "created created"
    );
    let rows = json!([{"login": "ada", "language": "de"}, {"login": "bob"}, {"login": "cleo"}, {"login": "!"}]);
    let expected = "updated unchanged created failed";
    for _ in 0..2 {
        let report = world.call("POST", "/v1/import?what=users&dry_run=true", &rows.to_string()).await.json();
        assert_eq!((statuses(&report).as_str(), &report["dry_run"]), (expected, &json!(true)));
    }
    assert_eq!(actions(&world).await.len(), 2);
    let path = "/v1/import?what=application-tokens&dry_run=true";
    let tokens = world.call("POST", path, r#"[{"name":"crm"}]"#).await.json();
    assert_eq!((statuses(&tokens).as_str(), tokens["rows"][0].get("token")), ("created", None));
    let path = "/v1/import?what=organizations&dry_run=true";
    let rows = r#"[{"name":"south","parent":"acme"},{"name":"acme"},{"name":"west","parent":"none"}]"#;
    assert_eq!(statuses(&world.call("POST", path, rows).await.json()), "created created failed");
    assert_eq!(
        statuses(
            &import(
                &world,
                "users",
                &json!([{"login": "ada", "language": "de"}, {"login": "bob"}, {"login": "cleo"}, {"login": "!"}])
            )
            .await
        ),
        expected
    );
    assert_eq!(world.api.access.applications(None, 9).await.unwrap().len(), 1);
    assert_eq!(world.api.organizations.tree().len(), 1);
}

#[tokio::test]
async fn application_tokens_show_their_value_once() {
    let world = World::new(Public::default()).await;
    let rows = json!([{"name": "crm", "profiles": ["Auditor"], "scopes": ["Export"], "expiration_date": "2099-12-31"}]);
    let report = import(&world, "application-tokens", &rows).await;
    let made = &report["rows"][0];
    let token = SecretString::from(made["token"].as_str().unwrap());
    let bearer = format!("Bearer {}", token.expose_secret());
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(world.call_with("GET", "/v1/export?what=audit", "", &headers).await.status, 200);
    let id = made["id"].as_str().unwrap();
    assert_eq!(actions(&world).await, [format!("application_token.create application-tokens/{id}")]);
    let digest = world.api.audit.digest(token.expose_secret().as_bytes());
    let filter = Filter { digest: Some(digest), ..Filter::default() };
    let page = world.api.audit.list(&filter, Window { limit: 9, ..Window::default() }).await.unwrap();
    assert_eq!(page.records.len(), 1);

    let again = import(&world, "application-tokens", &rows).await;
    assert_eq!((statuses(&again).as_str(), again["rows"][0].get("token")), ("unchanged", None));
    let changed = import(&world, "application-tokens", &json!([{"name": "crm", "status": "disabled"}])).await;
    assert_eq!(statuses(&changed), "updated");
    assert_eq!(world.call_with("GET", "/v1/export?what=audit", "", &headers).await.status, 401);
    let bad = json!([{"name": "x", "scopes": ["Nowhere"], "expiration_date": "yesterday"}]);
    let expected = [("expiration_date", "malformed"), ("scopes[0]", "unknown")];
    let expected = expected.map(|(field, code)| (field.to_owned(), code.to_owned()));
    assert_eq!(faults(&import(&world, "application-tokens", &bad).await), expected);

    // Exported after its deletion, a token doesn't come back to life.
    world
        .api
        .access
        .delete_application(&*world.principal().await, &crate::access::parse_id(id).unwrap())
        .await
        .unwrap();
    let exported = world.call("GET", "/v1/export?what=application-tokens", "").await.json();
    let report = import(&world, "application-tokens", &exported).await;
    assert_eq!((statuses(&report).as_str(), exported.as_array().unwrap().len()), ("unchanged", 2), "{report}");
}

#[tokio::test]
async fn personal_tokens_are_changed_and_never_made() {
    let profile = "REST Services User".parse().unwrap();
    let policy = Policy { personal_tokens_allowed_profiles: vec![profile], ..Policy::default() };
    let world = World::with_policy(Public::default(), policy).await;
    let rows = json!([{"login": "ada", "profiles": ["REST Services User"]}]);
    assert_eq!(statuses(&import(&world, "users", &rows).await), "created");
    let new = PersonalChange {
        application: Some("nightly".to_owned()),
        scopes: Some(vec!["Export".to_owned()]),
        ..PersonalChange::default()
    };
    let (token, _) = world.api.access.create_personal(&*world.principal().await, "ada", new, false).await.unwrap();
    let id = id_text(&token.id);
    let exported = world.call("GET", "/v1/export?what=personal-tokens&format=csv", "").await.text;
    assert_eq!(statuses(&csv(&world, "what=personal-tokens", &exported).await.json()), "unchanged");
    let check = async |row: Value, expected: Result<(), (&str, &str)>| {
        let report = import(&world, "personal-tokens", &json!([row])).await;
        match expected {
            Ok(()) => assert_eq!(statuses(&report), "updated", "{report}"),
            Err((field, code)) => assert_eq!(faults(&report), [(field.to_owned(), code.to_owned())], "{report}"),
        }
    };
    check(json!({"id": id, "application": "weekly", "scopes": ["Export", "Import"]}), Ok(())).await;
    check(json!({"id": id, "user": "bob"}), Err(("user", "not_allowed"))).await;
    check(json!({"id": "000000000000"}), Err(("id", "unknown"))).await;
    check(json!({"id": "x"}), Err(("id", "unknown"))).await;
    check(json!({"user": "ada", "application": "new", "scopes": ["Export"]}), Err(("id", "missing"))).await;
    check(json!({"id": id, "expiration_date": "2999-01-01"}), Err(("expiration_date", "not_allowed"))).await;
    let now = world.api.access.personal(&token.id).await.unwrap();
    assert_eq!((now.application.as_str(), now.scopes.len()), ("weekly", 2));
}

#[tokio::test]
async fn organizations_come_in_any_order() {
    let world = World::new(Public::default()).await;
    let text = "name,parent,title\nc,b,The C\nb,a,\na,,\nx,y,\ny,x,\nz,none,\n";
    let report = csv(&world, "what=organizations", text).await.json();
    assert_eq!(statuses(&report), "created created created failed failed failed", "{report}");
    assert_eq!(
        statuses(&csv(&world, "what=organizations", text).await.json()),
        "unchanged unchanged unchanged failed failed failed"
    );
    let moved = csv(&world, "what=organizations", "name,parent,title\nc,a,C\n").await.json();
    assert_eq!(statuses(&moved), "updated");
    let c = world.api.organizations.read(&"c".parse().unwrap()).await.unwrap();
    assert_eq!((c.parent.map(String::from).as_deref(), c.title.as_deref()), (Some("a"), Some("C")));
}

#[tokio::test]
async fn integrations_are_made_and_changed_with_their_secrets() {
    let world = World::new(Public::default()).await;
    assert_eq!(world.call("POST", "/v1/models?name=crm", DOCUMENT).await.status, 201);
    let rows = "name,model,fields.client_id,fields.client_secret\na,crm,me,hunter2\nb,crm,me,\nc,none,me,hunter2\n";
    for (query, statuses_now) in [("&dry_run=true", "created failed failed"), ("", "created failed failed")] {
        let report = csv(&world, &format!("what=integrations{query}"), rows).await;
        assert_eq!(statuses(&report.json()), statuses_now, "{}", report.text);
        assert_eq!(faults(&report.json()), [("fields.client_secret".to_owned(), "missing".to_owned())]);
        assert!(!report.text.contains("hunter2"));
    }
    assert_eq!(actions(&world).await, ["integration.create integrations/a"]);
    // The same again, as it was given and as it is exported: in both, a secret that is left out stays.
    assert_eq!(
        statuses(&csv(&world, "what=integrations", &rows[..rows.find("b,").unwrap()]).await.json()),
        "unchanged"
    );
    let exported = world.call("GET", "/v1/export?format=csv", "").await.text;
    assert_eq!(statuses(&csv(&world, "what=integrations", &exported).await.json()), "unchanged", "{exported}");
    let check = async |row: Value, expected: Result<&str, &str>| {
        let report = import(&world, "integrations", &json!([row])).await;
        match expected {
            Ok(status) => assert_eq!(statuses(&report), status, "{report}"),
            Err(field) => assert_eq!(faults(&report)[0].0, field, "{report}"),
        }
    };
    check(json!({"name": "a", "fields": {"client_secret": "hunter3"}}), Ok("updated")).await;
    check(json!({"name": "a", "fields": {"client_secret": "hunter3"}}), Ok("unchanged")).await;
    check(json!({"name": "a", "settings": {"default_lifetime": 60}}), Ok("updated")).await;
    check(json!({"name": "a", "model": "other"}), Err("model")).await;
    check(json!({"name": "a", "fields": {"nope": "x"}}), Err("fields.nope")).await;
    check(json!({"model": "crm"}), Err("name")).await;
    let user = world.application("user", &["Integration User"], &[], &[]).await;
    let bearer = format!("Bearer {}", user.expose_secret());
    let refused = world.call_with("POST", "/v1/import?what=integrations", "[]", &[("authorization", &bearer)]).await;
    assert_eq!(refused.status, 403);
}

#[tokio::test]
async fn nobody_imports_more_than_they_may() {
    let world = World::new(Public::default()).await;
    let organizations = json!([{"name": "north"}, {"name": "south"}]);
    assert_eq!(statuses(&import(&world, "organizations", &organizations).await), "created created");
    let users = json!([{"login": "n", "contact": {"organization": "north"}, "allowed_organizations": ["north"]}, {"login": "s", "contact": {"organization": "south"}}]);
    assert_eq!(statuses(&import(&world, "users", &users).await), "created created");

    let call = async |token: &SecretString, what: &str, rows: Value| {
        let bearer = format!("Bearer {}", token.expose_secret());
        let path = format!("/v1/import?what={what}");
        world.call_with("POST", &path, &rows.to_string(), &[("authorization", &bearer)]).await
    };
    let auditor = world.application("auditor", &["Auditor"], &[], &[]).await;
    for what in ["users", "organizations", "application-tokens", "personal-tokens", "integrations"] {
        let refused = call(&auditor, what, json!([])).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (403, &json!("forbidden")), "{what}");
    }
    let exporter = world.application("exporter", &["Administrator"], &[], &["Export"]).await;
    assert_eq!(call(&exporter, "users", json!([])).await.status, 403);

    let north = world.application("north", &["Administrator"], &["north"], &[]).await;
    let mine = json!({"allowed_organizations": ["north"], "contact": {"organization": "north"}});
    let with = |login: &str, more: Value| {
        let mut row = mine.clone();
        row["login"] = json!(login);
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    let rows = json!([
        with("new", json!({})),
        with("wide", json!({"allowed_organizations": []})),
        with("else", json!({"contact": {"organization": "south"}})),
        {"login": "s", "language": "de"},
        with("n", json!({"language": "de"})),
    ]);
    let report = call(&north, "users", rows).await.json();
    assert_eq!(statuses(&report), "created failed failed failed updated", "{report}");
    assert_eq!(report["rows"][3]["code"], "forbidden", "{report}");
    let rows = json!([{"name": "top"}, {"name": "part", "parent": "north"}, {"name": "south", "parent": "north"}, {"name": "north", "parent": "south"}]);
    let report = call(&north, "organizations", rows).await.json();
    assert_eq!(statuses(&report), "failed created failed failed", "{report}");
    let north_now = world.api.organizations.read(&"north".parse().unwrap()).await.unwrap();
    assert_eq!(north_now.parent, None);
}

#[tokio::test]
async fn ten_thousand_rows_and_no_more() {
    let world = World::new(Public::default()).await;
    let rows = |count: usize| (0..count).map(|number| format!("user-{number},Ada {number}\n")).collect::<String>();
    let report = csv(&world, "what=users", &format!("login,contact.name\n{}", rows(10_000))).await.json();
    assert_eq!((&report["created"], &report["failed"]), (&json!(10_000), &json!(0)));
    assert_eq!(report["rows"][9_999]["key"], "user-9999");
    let found = world.api.access.user(&"user-9999".parse().unwrap()).await.unwrap();
    assert_eq!(found.standing.contact.name.as_deref(), Some("Ada 9999"));
    let more = csv(&world, "what=users", &format!("login,contact.name\n{}", rows(10_001))).await;
    assert_eq!((more.status.as_u16(), &more.json()["code"]), (413, &json!("too_large")), "{}", more.text);
}

/// A multipart form of these parts: name, file name or nothing, content.
fn form(parts: &[(&str, &str, &str)]) -> String {
    let part = |(name, file, content): &(&str, &str, &str)| {
        let file = if file.is_empty() { String::new() } else { format!("; filename=\"{file}\"") };
        format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n{content}\r\n")
    };
    parts.iter().map(part).collect::<String>() + "--x--\r\n"
}

#[tokio::test]
async fn files_come_in_forms_with_the_token_beside() {
    let world = World::new(Public::default()).await;
    let token = world.token.expose_secret();
    let send = async |parts: &[(&str, &str, &str)]| {
        let request = Request::post("/v1/import").header("content-type", "multipart/form-data; boundary=x");
        world.send(request.body(Body::from(form(parts))).unwrap()).await
    };
    let (auth, what) = (("auth_token", "", token), ("what", "", "users"));
    let file = ("file", "users.csv", "login\nada\n");
    let made = send(&[auth, what, file]).await;
    assert_eq!((made.status.as_u16(), statuses(&made.json()).as_str()), (200, "created"), "{}", made.text);
    let json = ("file", "users.json", r#"[{"login":"bob"}]"#);
    assert_eq!(statuses(&send(&[auth, what, json, ("dry_run", "", "true")]).await.json()), "created");
    for (parts, status) in [
        (&[auth, what][..], 400),
        (&[auth, what, file, file], 400),
        (&[auth, file], 422),
        (&[auth, what, what, file], 422),
        (&[auth, what, ("format", "", "json"), file], 400),
        (&[what, file], 401),
        (&[auth, auth, what, file], 401),
    ] {
        let answer = send(parts).await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
}

#[tokio::test]
async fn what_can_not_be_read_is_refused_as_a_whole() {
    let world = World::new(Public::default()).await;
    let check = async |query: &str, content_type: &str, body: &str, status: u16, part: &str| {
        let path = format!("/v1/import{query}");
        let answer = world.call_with("POST", &path, body, &[("content-type", content_type)]).await;
        assert_eq!(answer.status, status, "{query} {body:.50}: {}", answer.text);
        assert!(answer.text.contains(part) && !answer.text.contains("hunter2"), "{query} {body:.50}: {}", answer.text);
    };
    check("", "text/csv", "login\n", 422, "\"field\":\"what\"").await;
    check("?what=models", "text/csv", "login\n", 422, "users, organizations").await;
    check("?what=users&dry_run=maybe", "text/csv", "login\n", 422, "true, false").await;
    check("?what=users&colour=red", "text/csv", "login\n", 422, "colour").await;
    check("?what=users", "image/png", "login\n", 415, "text/csv").await;
    check("?what=users", "text/csv", "", 422, "\"field\":\"login\"").await;
    check("?what=users", "text/csv", "hunter\nhunter2\n", 422, "no such column").await;
    check("?what=users", "text/csv", "login\n\"hunter2\n", 400, "isn't closed").await;
    check("?what=users", "application/json", "{\"hunter2\":1}", 400, "JSON array").await;
    check("?what=users&format=json", "text/csv", "login\nhunter2\n", 400, "JSON array").await;
    let large = "x".repeat((16 << 20) + 1);
    check("?what=users", "text/csv", &large, 413, "16777216 bytes").await;
    let in_form = form(&[("what", "", "users"), ("file", "users.csv", &large)]);
    check("", "multipart/form-data; boundary=x", &in_form, 413, "16777216 bytes").await;
    let in_form = form(&[("what", "", "users"), ("file", "users.csv", &large), ("more", "", &"y".repeat(1 << 20))]);
    check("", "multipart/form-data; boundary=x", &in_form, 413, "bytes are read here").await;
    // As large as is allowed.
    let mut file = "login\nada\n".to_owned();
    file.push_str(&"\n".repeat((16 << 20) - file.len()));
    check("?what=users", "text/csv", &file, 200, "\"created\":1").await;
}
