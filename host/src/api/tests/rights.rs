//! Each route × each shipped profile, and two with grants on some things only × each kind of credential × inside and outside
//! the allowed organizations: what isn't granted is refused, what is granted isn't. And each scope × each door.
//!
//! What is expected is written down here by hand, and computed from nothing that the gate uses.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::super::auth;
use super::rooms::{DOCUMENT, World};
use crate::access::{LoginType, Policy};
use crate::config::Public;

/// Where a caller who has the right is let in.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Anywhere: the answer holds only what the caller sees, or it is about nothing of an organization.
    Any,
    /// Where the thing belongs to what the caller sees, and the right is on that.
    Within,
    /// Only where the caller isn't limited to organizations.
    Everywhere,
}
use Place::{Any, Everywhere, Within};

/// Routes that look at credentials themselves, or need none.
const OPEN: &[&str] = &["GET /healthz", "GET /readyz", "GET /login", "POST /login", "POST /logout"];

/// Each: route; the profiles that let in: `A`dministrator, `C`onfiguration Manager, `I`ntegration User, `R`EST Services User,
/// a`U`ditor, rights on `o`ne integration, rights in an or`g`anization; where; and for which credentials: application
/// `t`oken, `p`ersonal token, `s`ession.
const EXPECTED: &[(&str, &str, Place, &str)] = &[
    ("GET /metrics", "A", Any, "tps"),
    ("GET /openapi.json", "ACIRUog", Any, "tps"),
    ("GET /docs", "ACIRUog", Any, "ts"),
    ("GET /v1/models", "ACIUg", Any, "tps"),
    ("POST /v1/models", "ACg", Within, "tps"),
    ("GET /v1/models/{model}", "ACIUg", Within, "tps"),
    ("PUT /v1/models/{model}", "ACg", Within, "tps"),
    ("DELETE /v1/models/{model}", "ACg", Within, "tps"),
    ("GET /v1/integrations", "ACIUog", Any, "tps"),
    ("POST /v1/integrations", "ACg", Within, "tps"),
    ("GET /v1/integrations/{integration}", "ACIUog", Within, "tps"),
    ("PATCH /v1/integrations/{integration}", "ACg", Within, "tps"),
    ("DELETE /v1/integrations/{integration}", "ACg", Within, "tps"),
    ("POST /v1/integrations/{integration}/test", "ACIo", Within, "tps"),
    ("GET /v1/integrations/{integration}/token", "AIo", Within, "tps"),
    ("PUT /v1/integrations/{integration}/token", "ACg", Within, "tps"),
    ("DELETE /v1/integrations/{integration}/token", "ACg", Within, "tps"),
    ("GET /v1/integrations/{integration}/token/status", "ACIUog", Within, "tps"),
    ("POST /v1/integrations/{integration}/token/refresh", "ACIo", Within, "tps"),
    ("POST /v1/integrations/{integration}/token/reject", "ACIo", Within, "tps"),
    ("GET /v1/integrations/{integration}/attempts", "ACIUog", Within, "tps"),
    ("GET /v1/integrations/{integration}/attempts/{attempt}", "ACIUog", Within, "tps"),
    ("GET /v1/flows", "ACIU", Any, "tps"),
    ("POST /v1/flows", "A", Everywhere, "tps"),
    ("GET /v1/flows/{flow}", "ACIU", Any, "tps"),
    ("DELETE /v1/flows/{flow}", "A", Everywhere, "tps"),
    ("POST /v1/flows/{flow}/rollback", "A", Everywhere, "tps"),
    ("GET /v1/organizations", "AU", Any, "tps"),
    ("POST /v1/organizations", "A", Within, "tps"),
    ("GET /v1/organizations/{organization}", "AU", Within, "tps"),
    ("PATCH /v1/organizations/{organization}", "A", Within, "tps"),
    ("DELETE /v1/organizations/{organization}", "A", Within, "tps"),
    ("GET /v1/users", "AU", Any, "tps"),
    ("POST /v1/users", "A", Within, "tps"),
    ("GET /v1/users/{user}", "AU", Within, "tps"),
    ("PATCH /v1/users/{user}", "A", Within, "tps"),
    ("DELETE /v1/users/{user}", "A", Within, "tps"),
    ("GET /v1/profiles", "AU", Any, "tps"),
    ("POST /v1/profiles", "A", Everywhere, "tps"),
    ("GET /v1/profiles/{profile}", "AU", Any, "tps"),
    ("PATCH /v1/profiles/{profile}", "A", Everywhere, "tps"),
    ("DELETE /v1/profiles/{profile}", "A", Everywhere, "tps"),
    ("GET /v1/scopes", "AU", Any, "tps"),
    ("GET /v1/application-tokens", "AU", Any, "tps"),
    ("POST /v1/application-tokens", "A", Within, "tps"),
    ("GET /v1/application-tokens/{id}", "AU", Within, "tps"),
    ("PATCH /v1/application-tokens/{id}", "A", Within, "tps"),
    ("DELETE /v1/application-tokens/{id}", "A", Within, "tps"),
    ("POST /v1/application-tokens/{id}/rebuild", "A", Within, "tps"),
    ("GET /v1/personal-tokens", "AU", Any, "tps"),
    ("POST /v1/personal-tokens", "A", Within, "tps"),
    ("GET /v1/personal-tokens/{id}", "AU", Within, "tps"),
    ("PATCH /v1/personal-tokens/{id}", "A", Within, "tps"),
    ("DELETE /v1/personal-tokens/{id}", "A", Within, "tps"),
    ("POST /v1/personal-tokens/{id}/rebuild", "A", Within, "tps"),
    ("GET /v1/me", "ACIRUog", Any, "tps"),
    ("PATCH /v1/me", "ACIRUog", Any, "ps"),
    ("GET /v1/me/personal-tokens", "ACIRUog", Any, "ps"),
    ("POST /v1/me/personal-tokens", "ACIRUog", Any, "ps"),
    ("GET /v1/me/personal-tokens/{id}", "ACIRUog", Any, "ps"),
    ("PATCH /v1/me/personal-tokens/{id}", "ACIRUog", Any, "ps"),
    ("DELETE /v1/me/personal-tokens/{id}", "ACIRUog", Any, "ps"),
    ("POST /v1/me/personal-tokens/{id}/rebuild", "ACIRUog", Any, "ps"),
    ("GET /v1/export", "ACIUog", Any, "tps"),
    ("POST /v1/export", "ACIUog", Any, "tps"),
    ("POST /v1/import", "A", Any, "tps"),
    ("PUT /v1/synchro/{source}", "A", Any, "tps"),
    ("POST /v1/verify", "A", Any, "tps"),
    ("POST /oauth2/introspect", "A", Any, "t"),
    ("POST /v1/pepper/rotate", "A", Everywhere, "tps"),
    ("GET /v1/audit", "AU", Everywhere, "tps"),
    ("GET /v1/audit/{seq}", "AU", Everywhere, "tps"),
    ("POST /v1/audit/find", "AU", Everywhere, "tps"),
    ("POST /v1/audit/explain", "AU", Everywhere, "tps"),
    ("POST /v1/audit/verify", "AU", Everywhere, "tps"),
];

/// The profiles by their letters.
const PROFILES: [(char, &str); 7] = [
    ('A', "Administrator"),
    ('C', "Configuration Manager"),
    ('I', "Integration User"),
    ('R', "REST Services User"),
    ('U', "Auditor"),
    ('o', "On One"),
    ('g', "In North"),
];

const PASSWORD: &str = "correct horse battery";

/// Who calls.
#[derive(Clone, Copy, Debug)]
struct Case {
    /// The letter of the profile.
    profile: char,
    /// Whether the profile REST Services User comes with it.
    rest: bool,
    /// The allowed organization; none: all.
    allowed: Option<&'static str>,
}

/// What a caller presents: the name and value of a header.
type Credential = (&'static str, String);

/// The scope that a route is in.
fn scope_of(route: &str) -> &'static str {
    match route.split(' ').nth(1).unwrap() {
        "/v1/export" => "Export",
        "/v1/import" => "Import",
        "/v1/synchro/{source}" => "Synchro",
        _ => "REST/JSON",
    }
}

/// Whether a caller is let in, with a thing of the organization `target`.
fn is_granted(rule: &(&str, &str, Place, &str), case: Case, kind: char, target: &str) -> bool {
    let (route, profiles, place, kinds) = *rule;
    let is_own = route.contains("/v1/me") || matches!(route, "GET /docs" | "GET /openapi.json");
    // REST services are secured. Who signed in with a password reaches what is their own nevertheless.
    let opens = case.rest
        || matches!(case.profile, 'A' | 'R')
        || matches!(scope_of(route), "Export" | "Import")
        || (kind == 's' && is_own);
    let is_placed = match place {
        Any => true,
        Everywhere => case.allowed.is_none(),
        Within => {
            let is_seen = case.allowed.is_none_or(|allowed| allowed == target);
            is_seen && (!matches!(case.profile, 'o' | 'g') || target == "north")
        }
    };
    opens && is_placed && profiles.contains(case.profile) && kinds.contains(kind)
}

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
            ("{attempt}", "01JD0000000000000000000000"),
            ("{source}", "hr"),
            ("{seq}", "1"),
        ] {
            path = path.replace(name, value);
        }
        let standing = json!({"contact": {"organization": target}, "allowed_organizations": [target]});
        let named = |member: &str, name: &str| {
            let mut body = standing.clone();
            body[member] = json!(name);
            body.to_string()
        };
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
            "POST /v1/users" => named("login", &user),
            "POST /v1/application-tokens" => named("name", &format!("app-{target}")),
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
