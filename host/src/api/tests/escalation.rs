//! Nobody gives or takes more than they have: rights, organizations, scopes. Who is limited to organizations learns of nothing
//! elsewhere whether it is there.

use serde_json::{Value, json};

use super::principals::{PASSWORD, text, world};
use super::rooms::World;

/// `acme` over `north` and `south`; a manager of `north`, and somebody in each.
async fn divided() -> (World, String) {
    let world = world().await;
    for (name, parent) in [("acme", Value::Null), ("north", json!("acme")), ("south", json!("acme"))] {
        world.make("/v1/organizations", &json!({"name": name, "parent": parent})).await;
    }
    world
        .make(
            "/v1/profiles",
            &json!({"name": "Local Manager", "rights": ["read_principals", "manage_principals", "read_integrations"]}),
        )
        .await;
    let manager = json!({"name": "manager", "profiles": ["Local Manager", "REST Services User"], "allowed_organizations": ["north"],
        "contact": {"organization": "north"}});
    let manager = world.make("/v1/application-tokens", &manager).await;
    for (organization, login) in [("north", "nora"), ("south", "sam"), ("north", "boss")] {
        let allowed = if login == "boss" { json!([]) } else { json!([organization]) };
        let user = json!({"login": login, "contact": {"organization": organization}, "allowed_organizations": allowed});
        world.make("/v1/users", &user).await;
        let token = json!({"user": login, "application": format!("of {login}"), "scopes": ["REST/JSON"]});
        world.make("/v1/personal-tokens", &token).await;
        let application = json!({"name": format!("app-{login}"), "contact": {"organization": organization}, "allowed_organizations": allowed});
        world.make("/v1/application-tokens", &application).await;
    }
    let value = text(&manager, "token").to_owned();
    (world, value)
}

#[tokio::test]
async fn principals_elsewhere_are_neither_listed_nor_shown() {
    let (world, manager) = divided().await;
    let names = async |token: &str, path: &str, member: &str| -> String {
        let page = world.call_as(token, "GET", path, &Value::Null).await.json();
        let items = page["items"].as_array().unwrap_or_else(|| panic!("{page}")).iter();
        let mut names: Vec<&str> = items.map(|item| text(item, member)).collect();
        names.sort_unstable();
        names.join(" ")
    };
    assert_eq!(names(&manager, "/v1/users", "login").await, "boss nora");
    assert_eq!(names(&manager, "/v1/personal-tokens", "user").await, "boss nora");
    assert_eq!(names(&manager, "/v1/personal-tokens?user=sam", "user").await, "");
    assert_eq!(names(&manager, "/v1/application-tokens", "name").await, "app-boss app-nora manager");
    assert_eq!(names(&manager, "/v1/organizations", "name").await, "north");

    let all = world.call("GET", "/v1/personal-tokens?user=sam", "").await.json();
    let theirs = text(&all["items"][0], "id").to_owned();
    let all = world.call("GET", "/v1/application-tokens", "").await.json();
    let app = all["items"].as_array().unwrap().iter().find(|one| one["name"] == "app-sam").unwrap().clone();
    let mut answers = std::collections::BTreeSet::new();
    for path in [
        "/v1/users/sam".to_owned(),
        "/v1/users/nobody".to_owned(),
        "/v1/users/%D0%B0".to_owned(),
        format!("/v1/personal-tokens/{theirs}"),
        "/v1/personal-tokens/abcdefghijkl".to_owned(),
        format!("/v1/application-tokens/{}", text(&app, "id")),
        "/v1/application-tokens/abcdefghijkl".to_owned(),
        "/v1/organizations/south".to_owned(),
        "/v1/organizations/none".to_owned(),
    ] {
        for (method, path) in [
            ("GET", path.clone()),
            ("PATCH", path.clone()),
            ("DELETE", path.clone()),
            ("POST", format!("{path}/rebuild")),
        ] {
            if method == "POST" && !path.contains("-tokens/") {
                continue;
            }
            let body = if method == "PATCH" { json!({}) } else { Value::Null };
            let answer = world.call_as(&manager, method, &path, &body).await;
            assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text);
            let mut problem = answer.json();
            assert!(problem.as_object_mut().unwrap().remove("support_id").is_some());
            answers.insert(problem.to_string());
        }
    }
    assert_eq!(answers.len(), 1, "what isn't there and what isn't to be seen look the same: {answers:#?}");
    for user in ["sam", "nobody"] {
        let token = json!({"user": user, "application": "x", "scopes": ["REST/JSON"]});
        assert_eq!(world.call_as(&manager, "POST", "/v1/personal-tokens", &token).await.status, 403);
    }
}

#[tokio::test]
async fn nobody_gives_or_takes_more_than_they_have() {
    let (world, manager) = divided().await;
    let north = json!({"organization": "north"});
    let token_of = async |path: &str, member: &str, name: &str| {
        let page = world.call("GET", path, "").await.json();
        let found = page["items"].as_array().unwrap().iter().find(|one| one[member] == name).cloned();
        text(&found.unwrap(), "id").to_owned()
    };
    let nora = token_of("/v1/application-tokens", "name", "app-nora").await;
    let own = token_of("/v1/application-tokens", "name", "manager").await;
    let boss = token_of("/v1/application-tokens", "name", "app-boss").await;
    let of_boss = token_of("/v1/personal-tokens", "user", "boss").await;
    let check = async |method: &str, path: &str, body: Value, status: u16, part: &str| {
        let answer = world.call_as(&manager, method, path, &body).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path} {body}: {}", answer.text);
        assert!(answer.text.contains(part), "{method} {path} {body}: {}", answer.text);
        assert!(status != 403 || answer.json()["support_id"].is_string());
    };
    let user = |login: &str, more: Value| {
        let mut user = json!({"login": login, "contact": north, "allowed_organizations": ["north"]});
        user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        user
    };
    // What is within their own is given.
    check("POST", "/v1/users", user("ok", json!({"profiles": ["Local Manager", "REST Services User"]})), 201, "ok")
        .await;
    check("PATCH", "/v1/users/nora", json!({"language": "de"}), 200, "de").await;
    check("POST", &format!("/v1/application-tokens/{nora}/rebuild"), Value::Null, 200, "tha_").await;
    check("POST", "/v1/organizations", json!({"name": "north-west", "parent": "north"}), 201, "north-west").await;
    // Profiles with other rights.
    for profile in ["Administrator", "Integration User", "Auditor"] {
        let more = json!({"profiles": [profile]});
        check("POST", "/v1/users", user("eve", more.clone()), 403, "rights that you don't have").await;
        check("PATCH", "/v1/users/nora", more.clone(), 403, "rights that you don't have").await;
        check("PATCH", &format!("/v1/application-tokens/{own}"), more, 403, "rights that you don't have").await;
    }
    // Organizations beyond their own; none means all.
    for more in [
        json!({"allowed_organizations": []}),
        json!({"allowed_organizations": ["acme"]}),
        json!({"allowed_organizations": ["north", "south"]}),
        json!({"contact": {"organization": "south"}}),
    ] {
        check("POST", "/v1/users", user("eve", more.clone()), 403, "among your own").await;
        check("PATCH", "/v1/users/nora", more.clone(), 403, "among your own").await;
        check("PATCH", &format!("/v1/application-tokens/{own}"), more, 403, "among your own").await;
    }
    check("POST", "/v1/application-tokens", json!({"name": "eve"}), 403, "among your own").await;
    // Principals that see more, and their tokens.
    check("PATCH", "/v1/users/boss", json!({"password": PASSWORD}), 403, "organizations that you don't see").await;
    check("DELETE", "/v1/users/boss", Value::Null, 403, "organizations that you don't see").await;
    check(
        "POST",
        &format!("/v1/application-tokens/{boss}/rebuild"),
        Value::Null,
        403,
        "organizations that you don't see",
    )
    .await;
    check(
        "POST",
        &format!("/v1/personal-tokens/{of_boss}/rebuild"),
        Value::Null,
        403,
        "organizations that you don't see",
    )
    .await;
    let of_boss = json!({"user": "boss", "application": "x", "scopes": ["REST/JSON"]});
    check("POST", "/v1/personal-tokens", of_boss, 403, "organizations that you don't see").await;
    // Profiles belong to all, and organizations have their place.
    check("POST", "/v1/profiles", json!({"name": "Eve"}), 403, "whole installation").await;
    check("PATCH", "/v1/profiles/Local%20Manager", json!({"rights": []}), 403, "whole installation").await;
    check("DELETE", "/v1/profiles/Local%20Manager", Value::Null, 403, "whole installation").await;
    for parent in [Value::Null, json!("acme"), json!("south")] {
        check("POST", "/v1/organizations", json!({"name": "east", "parent": parent}), 403, "support").await;
        check("PATCH", "/v1/organizations/north", json!({"parent": parent}), 403, "support").await;
    }
    // A profile that grants on something only counts as its rights, too.
    let grants = json!([{"rights": ["use_tokens"], "organizations": ["north", "south"], "integrations": ["crm"]}]);
    world.make("/v1/profiles", &json!({"name": "User of Some", "grants": grants})).await;
    check("POST", "/v1/users", user("eve", json!({"profiles": ["User of Some"]})), 403, "use_tokens").await;
    world.call("PATCH", "/v1/users/nora", r#"{"profiles":["User of Some"]}"#).await;
    check("PATCH", "/v1/users/nora", json!({"language": "en"}), 403, "rights that you don't have").await;
    let seen = world.call_as(&manager, "GET", "/v1/profiles/User%20of%20Some", &Value::Null).await.json();
    assert_eq!(seen["grants"], json!([{"rights": ["use_tokens"], "organizations": ["north"]}]), "only what is seen");
}

#[tokio::test]
async fn who_is_limited_to_scopes_gives_no_others() {
    let world = world().await;
    let limited = json!({"name": "limited", "profiles": ["Administrator"], "scopes": ["REST/JSON", "Grafana"]});
    let limited = world.make("/v1/application-tokens", &limited).await;
    let value = text(&limited, "token").to_owned();
    world
        .make(
            "/v1/users",
            &json!({"login": "ada", "profiles": ["Integration User", "REST Services User"], "password": PASSWORD}),
        )
        .await;
    let wide = world
        .make("/v1/personal-tokens", &json!({"user": "ada", "application": "x", "scopes": ["REST/JSON", "Export"]}))
        .await;
    let open = world.make("/v1/application-tokens", &json!({"name": "open"})).await;
    let (wide, open, own) = (text(&wide, "id"), text(&open, "id"), text(&limited, "id"));
    let personal = |scopes: Value| json!({"user": "ada", "application": "x", "scopes": scopes});
    for (method, path, body, is_allowed) in [
        ("POST", "/v1/application-tokens".to_owned(), json!({"name": "a", "scopes": ["Grafana"]}), true),
        ("POST", "/v1/application-tokens".to_owned(), json!({"name": "b", "scopes": ["Export"]}), false),
        ("POST", "/v1/application-tokens".to_owned(), json!({"name": "b"}), false),
        ("PATCH", format!("/v1/application-tokens/{own}"), json!({"scopes": []}), false),
        ("PATCH", format!("/v1/application-tokens/{own}"), json!({"scopes": ["REST/JSON", "Import"]}), false),
        ("PATCH", format!("/v1/application-tokens/{open}"), json!({"console": false}), true),
        ("POST", format!("/v1/application-tokens/{open}/rebuild"), Value::Null, false),
        ("POST", "/v1/personal-tokens".to_owned(), personal(json!(["REST/JSON"])), true),
        ("POST", "/v1/personal-tokens".to_owned(), personal(json!(["REST/JSON", "Export"])), false),
        ("PATCH", format!("/v1/personal-tokens/{wide}"), json!({"scopes": ["Synchro"]}), false),
        ("PATCH", format!("/v1/personal-tokens/{wide}"), json!({"application": "y"}), true),
        ("POST", format!("/v1/personal-tokens/{wide}/rebuild"), Value::Null, false),
    ] {
        let answer = world.call_as(&value, method, &path, &body).await;
        assert_eq!(answer.status.is_success(), is_allowed, "{method} {path} {body}: {}", answer.text);
        assert!(
            is_allowed || (answer.status == 403 && answer.text.contains("limited to the scopes REST/JSON, Grafana")),
            "{}",
            answer.text
        );
    }
    // A user's own token neither; with a password the user isn't limited.
    let small = world.make("/v1/personal-tokens", &personal(json!(["REST/JSON"]))).await;
    let mine = json!({"application": "mine", "scopes": ["Export"]});
    let small = text(&small, "token");
    assert_eq!(world.call_as(small, "POST", "/v1/me/personal-tokens", &mine).await.status, 403);
    let path = format!("/v1/me/personal-tokens/{wide}/rebuild");
    assert_eq!(world.call_as(small, "POST", &path, &Value::Null).await.status, 403);
    let made = world.call_basic("ada", PASSWORD, "POST", "/v1/me/personal-tokens", &mine).await;
    assert_eq!(made.status, 201, "{}", made.text);
}
