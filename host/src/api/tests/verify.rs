//! The doors through which services ask who presents a token: in which forms they are told, and every reason why not.

mod callers;
mod changes;
mod rubbish;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderName, Request};
use chrono::DateTime;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::rooms::{Answer, World};
use crate::access::application::ApplicationChange;
use crate::access::personal::PersonalChange;
use crate::access::user::UserChange;
use crate::access::{ADMINISTRATOR, Policy, Principal, REST_SERVICES_USER, StandingChange, TokenId, Visit};
use crate::clock::TestClock;
use crate::config::Public;

/// The doors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Verify,
    Introspect,
    Forward,
}

const DOORS: [Door; 3] = [Door::Verify, Door::Introspect, Door::Forward];

/// A world, its clock, and who manages it.
struct Stage {
    world: World,
    clock: Arc<TestClock>,
    administrator: Arc<Principal>,
}

/// A token that was made.
struct Made {
    id: TokenId,
    value: SecretString,
}

impl Made {
    fn value(&self) -> &str {
        self.value.expose_secret()
    }
}

fn policy() -> Policy {
    Policy {
        personal_tokens_allowed_profiles: vec![REST_SERVICES_USER.parse().unwrap()],
        scopes: vec!["Grafana".parse().unwrap()],
        ..Policy::default()
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl Stage {
    async fn new() -> Self {
        let clock = TestClock::at(DateTime::from_timestamp(1_795_000_000, 0).unwrap());
        let world = World::with_clock(Public::default(), policy(), Arc::clone(&clock) as _).await;
        let visit = Visit { scope: None, address: None };
        let administrator = world.api.access.enter(world.token.expose_secret(), &visit).await.unwrap();
        let administrator = Arc::clone(&administrator.principal);
        for name in ["north", "south"] {
            let body = json!({"name": name}).to_string();
            assert_eq!(world.call("POST", "/v1/organizations", &body).await.status, 201);
        }
        Self { world, clock, administrator }
    }

    async fn application(&self, name: &str, profiles: &[&str], scopes: &[&str], organizations: &[&str]) -> Made {
        let new = ApplicationChange {
            standing: StandingChange {
                profiles: Some(words(profiles)),
                allowed_organizations: Some(words(organizations)),
                ..StandingChange::default()
            },
            scopes: Some(words(scopes)),
            ..ApplicationChange::default()
        };
        let made = self.world.api.access.create_application(&self.administrator, name, new, false).await.unwrap();
        Made { id: made.0.id, value: made.1.unwrap() }
    }

    async fn user(&self, login: &str, profiles: &[&str]) {
        let new = UserChange {
            standing: StandingChange { profiles: Some(words(profiles)), ..StandingChange::default() },
            ..UserChange::default()
        };
        self.world.api.access.create_user(&self.administrator, login, new, false).await.unwrap();
    }

    async fn personal(&self, login: &str) -> Made {
        let new = PersonalChange {
            application: Some("nightly é".to_owned()),
            scopes: Some(words(&["REST/JSON", "Grafana"])),
            ..PersonalChange::default()
        };
        let made = self.world.api.access.create_personal(&self.administrator, login, new, false).await.unwrap();
        Made { id: made.0.id, value: made.1.unwrap() }
    }

    async fn change_user(&self, login: &str, standing: StandingChange) {
        let change = UserChange { standing, ..UserChange::default() };
        let login = login.parse().unwrap();
        self.world.api.access.change_user(&self.administrator, &login, change, false).await.unwrap();
    }

    /// Asks as a service: with the administrator's token where the door wants one.
    async fn ask(&self, door: Door, token: &str) -> Answer {
        match door {
            Door::Verify => self.verify(json!({"token": token})).await,
            Door::Introspect => {
                let body: String = form_urlencoded::Serializer::new(String::new()).append_pair("token", token).finish();
                self.form("/oauth2/introspect", &body).await
            }
            Door::Forward => self.forward("grafana", &[("auth-token", token)]).await,
        }
    }

    async fn verify(&self, question: Value) -> Answer {
        let answer = self.world.call("POST", "/v1/verify", &question.to_string()).await;
        assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, "no-store"), "{}", answer.text);
        answer
    }

    async fn form(&self, path: &str, body: &str) -> Answer {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        self.world.call_with("POST", path, body, &form).await
    }

    async fn forward(&self, scope: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::get(format!("/v1/forward-auth/{scope}")).body(Body::empty()).unwrap();
        for (name, value) in headers {
            // What can't stand in a header at all is as good as sent.
            let Ok(value) = axum::http::HeaderValue::from_bytes(value.as_bytes()) else { continue };
            request.headers_mut().append(HeaderName::try_from(*name).unwrap(), value);
        }
        self.world.send(request).await
    }

    /// The exact reason behind an answer of this door: `None` where the token is good, `?` where the door doesn't tell.
    fn reason(&self, door: Door, answer: &Answer) -> Option<String> {
        match door {
            Door::Verify => {
                let told = answer.json();
                let reason = told["reason"].as_str().map(str::to_owned);
                assert_eq!(told["active"], reason.is_none(), "{told}");
                if let Some(reason) = &reason {
                    assert_eq!(&self.explain(told["support_id"].as_str().unwrap()), reason);
                }
                reason
            }
            Door::Introspect if answer.text == r#"{"active":false}"# => Some("?".to_owned()),
            Door::Introspect => {
                assert_eq!(answer.json()["active"], true, "{}", answer.text);
                None
            }
            Door::Forward if answer.status == 200 => None,
            Door::Forward => Some(self.explain(answer.header("x-support-id"))),
        }
    }

    fn explain(&self, support_id: &str) -> String {
        self.world.api.support.explain(support_id).unwrap().code
    }

    /// Asks at all doors.
    async fn check(&self, token: &str, expected: Option<&str>, why: &str) {
        for door in DOORS {
            let answer = self.ask(door, token).await;
            let reason = self.reason(door, &answer);
            let expected = expected.map(|expected| if door == Door::Introspect { "?" } else { expected });
            assert_eq!(reason.as_deref(), expected, "{why} at {door:?}");
        }
    }

    async fn count(&self, made: &Made) -> u64 {
        self.world.api.access.usage(&made.id).await.unwrap().count
    }
}

#[tokio::test]
async fn who_it_is_is_told_in_three_forms_and_counted_once_each() {
    let stage = Stage::new().await;
    stage.user("ada", &[REST_SERVICES_USER, "Auditor"]).await;
    let ada = stage.personal("ada").await;
    let id = std::str::from_utf8(&ada.id).unwrap();
    // The second time out of memory.
    for round in 1..=2 {
        let told = stage.verify(json!({"token": ada.value(), "scope": "REST/JSON", "organization": "north"})).await;
        assert_eq!(
            told.json(),
            json!({
                "active": true, "token_id": id, "scopes": ["REST/JSON", "Grafana"], "expires_at": "2027-02-16T11:06:40Z",
                "principal": {"kind": "user", "name": "ada", "profiles": [REST_SERVICES_USER, "Auditor"],
                    "organization": "default", "allowed_organizations": []}
            })
        );
        let told = stage.ask(Door::Introspect, ada.value()).await;
        assert_eq!(
            told.json(),
            json!({
                "active": true, "scope": "REST/JSON Grafana", "client_id": "nightly é", "username": "ada",
                "token_type": "Bearer", "iat": 1_795_000_000, "exp": 1_795_000_000 + 90 * 86_400, "sub": "user/ada",
                "jti": id, "profiles": [REST_SERVICES_USER, "Auditor"], "organization": "default",
                "allowed_organizations": []
            })
        );
        let told = stage.ask(Door::Forward, ada.value()).await;
        for (name, value) in [
            ("x-auth-principal", "ada"),
            ("x-auth-kind", "user"),
            ("x-auth-profiles", "REST Services User,Auditor"),
            ("x-auth-organization", "default"),
            ("x-auth-organizations", "*"),
            ("x-auth-scopes", "REST/JSON,Grafana"),
            ("x-auth-token-id", id),
            ("remote-user", "ada"),
            ("content-length", "0"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(told.header(name), value, "{name}");
        }
        assert_eq!((told.status.as_u16(), told.text.as_str()), (200, ""));
        assert_eq!(stage.count(&ada).await, round * 3);
    }
    let crm = stage.application("crm", &["Auditor"], &[], &["north", "south"]).await;
    let told = stage.ask(Door::Forward, crm.value()).await;
    for (name, value) in [
        ("x-auth-principal", "crm"),
        ("x-auth-kind", "application"),
        ("x-auth-organizations", "north,south"),
        ("x-auth-scopes", "REST/JSON,Export,Import,Synchro,Grafana"),
        ("remote-user", "application/crm"),
    ] {
        assert_eq!(told.header(name), value, "{name}");
    }
    let told = stage.ask(Door::Introspect, crm.value()).await.json();
    assert_eq!((&told["client_id"], &told["sub"]), (&json!("crm"), &json!("application/crm")));
    assert!(told.get("username").is_none() && told.get("exp").is_none());
}

#[tokio::test]
async fn scopes_profiles_and_organizations_are_told_apart() {
    let stage = Stage::new().await;
    let export = stage.application("exporter", &[REST_SERVICES_USER], &["Export"], &[]).await;
    let bare = stage.application("bare", &["Auditor"], &[], &[]).await;
    let north = stage.application("northern", &[REST_SERVICES_USER], &[], &["north"]).await;
    for (made, question, expected) in [
        (&export, json!({"scope": "Export"}), None),
        (&export, json!({"scope": "REST/JSON"}), Some("scope_mismatch")),
        (&export, json!({"scope": "Export", "organization": "south"}), None),
        (&bare, json!({"scope": "REST/JSON"}), Some("rest_profile_missing")),
        (&bare, json!({"scope": "Synchro"}), Some("rest_profile_missing")),
        (&bare, json!({"scope": "Grafana"}), None),
        (&bare, json!({"scope": null, "organization": null}), None),
        (&north, json!({"organization": "north"}), None),
        (&north, json!({"organization": "south"}), Some("organization_not_allowed")),
        (&bare, json!({"organization": "nowhere"}), Some("organization_not_allowed")),
    ] {
        for round in 0..2 {
            let mut asked = question.clone();
            asked["token"] = made.value().into();
            let told = stage.verify(asked).await;
            assert_eq!(stage.reason(Door::Verify, &told).as_deref(), expected, "{question} {round}");
        }
    }
    // Refused for the scope, a token isn't used; refused for the organization, it was.
    assert_eq!((stage.count(&export).await, stage.count(&bare).await, stage.count(&north).await), (4, 6, 4));
    for (scope, made, status) in [
        ("export", &export, 200),
        ("export/a/b", &export, 200),
        ("export/", &export, 200),
        ("export?auth_token=x&scope=rest-json", &export, 200),
        ("rest-json", &export, 403),
        ("rest-json", &bare, 403),
        ("Export", &export, 403),
        ("nothing", &bare, 403),
        ("grafana", &bare, 200),
    ] {
        let told = stage.forward(scope, &[("authorization", &format!("Bearer {}", made.value()))]).await;
        assert_eq!((told.status.as_u16(), told.text.as_str()), (status, ""), "{scope}");
        if status == 403 {
            let challenge = told.header("www-authenticate");
            assert!(challenge.starts_with(r#"Bearer realm="tokenhost", error="insufficient_scope""#), "{challenge}");
            assert_eq!(challenge.contains(r#", scope="REST/JSON""#), scope == "rest-json", "{challenge}");
        }
    }
}

#[tokio::test]
async fn whoever_is_limited_to_organizations_verifies_only_tokens_from_there() {
    let stage = Stage::new().await;
    let here = stage.application("here", &[REST_SERVICES_USER], &[], &[]).await;
    // The verifier's own organization is the default one, and so is that of the other: out of its reach.
    let verifier = stage.application("verifier", &[ADMINISTRATOR], &[], &["north"]).await;
    let bearer = format!("Bearer {}", verifier.value());
    for round in 0..2 {
        let body = json!({"token": here.value()}).to_string();
        let told = stage.world.call_with("POST", "/v1/verify", &body, &[("authorization", &bearer)]).await;
        assert_eq!(told.json()["reason"], "organization_not_allowed", "{round}");
        let form = [("authorization", bearer.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        let body = format!("token={}", here.value());
        let told = stage.world.call_with("POST", "/oauth2/introspect", &body, &form).await;
        assert_eq!(told.text, r#"{"active":false}"#);
        stage.check(here.value(), None, "others see it").await;
    }
}
