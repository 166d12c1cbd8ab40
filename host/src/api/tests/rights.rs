//! Each route × each shipped profile, and two with grants on some things only × each kind of credential × inside and outside
//! the allowed organizations: what isn't granted is refused, what is granted isn't. And each scope × each door.
//!
//! What is expected stands in `expected`.

mod expected;

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use self::expected::{Case, EXPECTED, OPEN, PROFILES, is_granted, scope_of};
use super::super::auth;
use super::rooms::{DOCUMENT, World};
use crate::access::{LoginType, Policy};
use crate::config::Public;

const PASSWORD: &str = "correct horse battery";

/// What a caller presents: the name and value of a header.
type Credential = (&'static str, String);

/// A world with something of each noun in `north` and in `south`.
struct Divided {
    world: World,
    /// The public ids of the application token and the personal token of each, to be replaced where one is deleted.
    ids: Vec<(&'static str, String, String)>,
}

impl Divided {
    async fn new() -> Self {
        let policy = Policy {
            allowed_login_types: LoginType::ALL.into(),
            personal_tokens_allowed_profiles: PROFILES.iter().map(|(_, name)| name.parse().unwrap()).collect(),
            scopes: vec!["Grafana".parse().unwrap()],
            ..Policy::default()
        };
        let world = World::with_policy(Public::default(), policy).await;
        let mut divided = Self { world, ids: Vec::new() };
        for target in ["north", "south"] {
            divided.world.make("/v1/organizations", &json!({"name": target})).await;
            let path = format!("/v1/models?name=crm-{target}&organization={target}");
            assert_eq!(divided.world.call("POST", &path, DOCUMENT).await.status, 201);
            divided.ids.push((target, String::new(), String::new()));
            divided.complete(target).await;
        }
        let one =
            json!([{"rights": ["read_integrations", "use_tokens", "read_token_values"], "integrations": ["in-north"]}]);
        divided.world.make("/v1/profiles", &json!({"name": "On One", "grants": one})).await;
        let rights = ["read_models", "write_models", "read_integrations", "write_integrations"];
        let within = json!([{"rights": rights, "organizations": ["north"]}]);
        divided.world.make("/v1/profiles", &json!({"name": "In North", "grants": within})).await;
        divided
    }

    /// Makes again what was deleted of an organization.
    async fn complete(&mut self, target: &'static str) {
        let world = &self.world;
        let standing = json!({"contact": {"organization": target}, "allowed_organizations": [target]});
        let with = |mut more: Value| {
            more.as_object_mut().unwrap().extend(standing.as_object().unwrap().clone());
            more
        };
        let fields = json!({"client_id": "me", "client_secret": "hunter2"});
        let integration = json!({"name": format!("in-{target}"), "model": format!("crm-{target}"), "fields": fields});
        let user = format!("user-{target}");
        let token = json!({"user": user, "application": "x", "scopes": ["REST/JSON"]});
        let application = with(json!({"name": format!("app-{target}")}));
        world.call("POST", "/v1/integrations", &integration.to_string()).await;
        world.call("POST", "/v1/users", &with(json!({"login": user})).to_string()).await;
        let application = world.call("POST", "/v1/application-tokens", &application.to_string()).await;
        let personal = world.call("POST", "/v1/personal-tokens", &token.to_string()).await;
        let ids = self.ids.iter_mut().find(|(name, ..)| *name == target).unwrap();
        if application.status == 201 {
            ids.1 = application.json()["id"].as_str().unwrap().to_owned();
        }
        ids.2 = personal.json()["id"].as_str().unwrap_or_else(|| panic!("{}", personal.text)).to_owned();
    }

    /// A caller's credential of this kind; `scopes`: empty for as many as there are.
    async fn credential(&self, case: Case, kind: char, scopes: &[&str]) -> Credential {
        let (_, profile) = PROFILES.iter().find(|(letter, _)| *letter == case.profile).unwrap();
        let profiles: Vec<&str> = [*profile].into_iter().chain(case.rest.then_some("REST Services User")).collect();
        let organization = case.allowed.unwrap_or("default");
        let allowed: Vec<&str> = case.allowed.into_iter().collect();
        let tag = format!("{}-{}-{}-{}", case.profile, case.rest, organization, scopes.join("-").replace('/', "-"));
        let name = format!("caller-{}", tag.to_lowercase().replace("a-", "adm-"));
        let standing =
            json!({"profiles": profiles, "allowed_organizations": allowed, "contact": {"organization": organization}});
        let mut principal = standing.as_object().unwrap().clone();
        if kind == 't' {
            principal.extend([("name".to_owned(), json!(name)), ("scopes".to_owned(), json!(scopes))]);
            let made = self.world.make("/v1/application-tokens", &Value::Object(principal)).await;
            return ("auth-token", made["token"].as_str().unwrap().to_owned());
        }
        principal.insert("login".to_owned(), json!(name));
        if kind == 's' {
            principal.insert("password".to_owned(), json!(PASSWORD));
        }
        self.world.make("/v1/users", &Value::Object(principal)).await;
        if kind == 's' {
            let session = self.world.api.access.begin_session(&name, SecretString::from(PASSWORD), None).await;
            let session = session.unwrap_or_else(|denial| panic!("{denial:?}")).0;
            return ("cookie", format!("tokenhost_session={}", session.expose_secret()));
        }
        let all = ["REST/JSON", "Export", "Import", "Synchro"];
        let scopes = if scopes.is_empty() { &all } else { scopes };
        let token = json!({"user": name, "application": "x", "scopes": scopes});
        let made = self.world.make("/v1/personal-tokens", &token).await;
        ("auth-token", made["token"].as_str().unwrap().to_owned())
    }

    /// A call that a granted caller gets some other answer to than 401 and 403, with things of this organization: the path
    /// and the body.
    fn request(&self, route: &str, target: &str) -> (String, String) {
        let (_, application, personal) = self.ids.iter().find(|(name, ..)| *name == target).unwrap();
        let (_, path) = route.split_once(' ').unwrap();
        let id = match path {
            path if path.contains("/application-tokens") => application,
            path if path.contains("/me/") => "abcdefghijkl",
            _ => personal,
        };
        let (model, integration, user) = (format!("crm-{target}"), format!("in-{target}"), format!("user-{target}"));
        let mut path = path.to_owned();
        for (name, value) in [
            ("{model}", model.as_str()),
            ("{integration}", &integration),
            ("{organization}", target),
            ("{user}", &user),
            ("{id}", id),
            ("{profile}", "Auditor"),
            ("{flow}", "none"),
            ("{secret}", "client_secret"),
            ("{publisher}", "none"),
            ("{attempt}", "01JD0000000000000000000000"),
            ("{source}", "hr"),
            ("{seq}", "1"),
            ("{webhook}", "none"),
        ] {
            path = path.replace(name, value);
        }
        let standing = json!({"contact": {"organization": target}, "allowed_organizations": [target]});
        let body = match route {
            "POST /v1/models" => {
                path += &format!("?name=x&organization={target}");
                "{}".to_owned()
            }
            "POST /v1/integrations" => json!({"name": "x", "model": model, "fields": {"nope": "x"}}).to_string(),
            "PUT /v1/integrations/{integration}/token" => r#"{"access_token":"x"}"#.to_owned(),
            "POST /v1/integrations/{integration}/token/reject" => r#"{"generation":99}"#.to_owned(),
            // The names are taken, so that nothing is made.
            "POST /v1/organizations" => json!({"name": "default", "parent": target}).to_string(),
            "POST /v1/users" => {
                let mut body = standing;
                body["login"] = json!(user);
                body.to_string()
            }
            "POST /v1/application-tokens" => {
                let mut body = standing;
                body["name"] = json!(format!("app-{target}"));
                // Who is limited to scopes gives no others.
                body["scopes"] = json!(["REST/JSON"]);
                body.to_string()
            }
            "POST /v1/profiles" => r#"{"name":"Auditor"}"#.to_owned(),
            "POST /v1/personal-tokens" => json!({"user": user, "application": "x", "scopes": ["Nope"]}).to_string(),
            "GET /v1/export" | "POST /v1/export" => {
                path += "?what=integrations&format=json";
                String::new()
            }
            "POST /v1/import" => {
                path += "?what=users&dry_run=true";
                "[]".to_owned()
            }
            "PUT /v1/synchro/{source}" => r#"{"on_missing":"keep","users":[]}"#.to_owned(),
            "POST /v1/verify" | "POST /v1/audit/find" => r#"{"token":"x"}"#.to_owned(),
            // Let in, it would never end.
            "GET /v1/events/stream" => {
                path += "?after=never";
                String::new()
            }
            "POST /v1/webhooks" => r#"{"name":"x","url":"nowhere"}"#.to_owned(),
            "POST /v1/publishers" => r#"{"name":"x","key":"x"}"#.to_owned(),
            "POST /oauth2/introspect" => "token=x".to_owned(),
            "POST /v1/audit/explain" => r#"{"support_id":"x"}"#.to_owned(),
            "POST /v1/pepper/rotate" => r#"{"accept_until":"2999-01-01"}"#.to_owned(),
            route if route.ends_with("/rebuild") => r#"{"grace_seconds":99999999}"#.to_owned(),
            route if route.starts_with("GET") || route.starts_with("DELETE") => String::new(),
            _ => "{}".to_owned(),
        };
        (path, body)
    }

    /// Calls a route; whether the caller was let in, and the answer for a message.
    async fn call(&mut self, route: &str, credential: Option<&Credential>, target: &'static str) -> (u16, String) {
        let (path, body) = self.request(route, target);
        let (method, _) = route.split_once(' ').unwrap();
        let media_type =
            if route.contains("/oauth2/") { "application/x-www-form-urlencoded" } else { "application/json" };
        let mut request = Request::builder().method(method).uri(path);
        if !body.is_empty() {
            request = request.header("content-type", media_type);
        }
        if let Some((name, value)) = credential {
            request = request.header(*name, value);
        }
        let answer = self.world.send(request.body(Body::from(body)).unwrap()).await;
        if method == "DELETE" && answer.status == 204 {
            self.complete(target).await;
        }
        (answer.status.as_u16(), answer.text)
    }
}

fn is_open(route: &str) -> bool {
    OPEN.contains(&route) || route.contains("/v1/forward-auth/")
}

#[test]
fn the_expectations_are_for_exactly_the_routes() {
    let routes = auth::routes().map(|(method, path, _)| format!("{method} {path}"));
    let routes: BTreeSet<String> = routes.filter(|route| !is_open(route)).collect();
    let expected: BTreeSet<String> = EXPECTED.iter().map(|(route, ..)| (*route).to_owned()).collect();
    assert_eq!(routes, expected);
}

/// Tries every route with every profile, inside and outside.
async fn check(kind: char) {
    let mut divided = Divided::new().await;
    let mut wrong = Vec::new();
    let mut tried = 0;
    let profiles = PROFILES.iter().map(|(letter, _)| *letter);
    let unlimited = profiles.clone().map(|profile| Case { profile, rest: true, allowed: None });
    let limited = profiles.map(|profile| Case { profile, rest: true, allowed: Some("north") });
    let bare = ['C', 'I', 'U'].map(|profile| Case { profile, rest: false, allowed: None });
    // A grant in `north` is worth nothing to who sees only `south`.
    let elsewhere = ['o', 'g'].map(|profile| Case { profile, rest: true, allowed: Some("south") });
    for case in unlimited.chain(limited).chain(bare).chain(elsewhere) {
        let credential = divided.credential(case, kind, &[]).await;
        for rule in EXPECTED {
            for target in ["north", "south"] {
                let (status, answer) = divided.call(rule.0, Some(&credential), target).await;
                tried += 1;
                let (is_let_in, expected) = (!matches!(status, 401 | 403), is_granted(rule, case, kind, target));
                if is_let_in != expected {
                    wrong.push(format!(
                        "{} {case:?} {kind} {target}: expected {expected}, {status} {answer:.200}",
                        rule.0
                    ));
                }
                // Who is known and lacks a right isn't told that they aren't known.
                if status == 401 {
                    wrong.push(format!("{} {case:?} {kind} {target}: 401", rule.0));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn application_tokens_may_what_their_profiles_grant() {
    check('t').await;
}

#[tokio::test]
async fn personal_tokens_may_what_their_users_profiles_grant() {
    check('p').await;
}

#[tokio::test]
async fn people_may_what_their_profiles_grant() {
    check('s').await;
}

#[tokio::test]
async fn each_scope_opens_its_own_doors_only() {
    let mut divided = Divided::new().await;
    let case = Case { profile: 'A', rest: false, allowed: None };
    let mut wrong = Vec::new();
    for kind in ['t', 'p'] {
        for scope in ["REST/JSON", "Export", "Import", "Synchro", "Grafana"] {
            let credential = divided.credential(case, kind, &[scope]).await;
            for rule in EXPECTED {
                let is_open = scope == scope_of(rule.0);
                // What opens was tried with every profile; here it would only delete things.
                if is_open && rule.0.starts_with("DELETE") {
                    continue;
                }
                let (status, answer) = divided.call(rule.0, Some(&credential), "north").await;
                let expected = is_open && is_granted(rule, case, kind, "north");
                if expected != (!matches!(status, 401 | 403)) {
                    wrong.push(format!("{} {kind} {scope}: expected {expected}, {status} {answer:.200}", rule.0));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn without_a_credential_nothing_is_granted() {
    let mut divided = Divided::new().await;
    for (route, ..) in EXPECTED {
        assert_eq!(divided.call(route, None, "north").await.0, 401, "{route}");
    }
}
