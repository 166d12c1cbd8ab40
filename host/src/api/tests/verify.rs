//! The doors through which services ask who presents a token: every reason, each change from the next call on, rubbish, and
//! what is told outside.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, Request};
use chrono::DateTime;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::rooms::{Answer, World};
use crate::access::application::ApplicationChange;
use crate::access::personal::PersonalChange;
use crate::access::user::UserChange;
use crate::access::{
    ADMINISTRATOR, LoginType, Policy, Principal, REST_SERVICES_USER, StandingChange, Status, TokenId, Visit,
};
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
    let mut policy = Policy::default();
    policy.personal_tokens_allowed_profiles = vec![REST_SERVICES_USER.parse().unwrap()];
    policy.scopes = vec!["Grafana".parse().unwrap()];
    policy
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
async fn a_change_is_seen_by_the_very_next_call_whether_the_token_is_in_memory_or_not() {
    let stage = Stage::new().await;
    let by = &stage.administrator;
    let access = &stage.world.api.access;
    // Each: what happens, and the reason from then on.
    for (number, (what, expected)) in [
        ("rebuilt", "rebuilt"),
        ("deleted", "deleted"),
        ("user deleted", "deleted"),
        ("disabled", "principal_disabled"),
        ("profiles taken", "profile_not_allowed"),
        ("scopes taken", "scope_mismatch"),
        ("expired", "expired"),
        ("clock stepped back", "expired"),
    ]
    .into_iter()
    .enumerate()
    {
        for in_memory in [true, false] {
            let login = format!("user-{number}-{in_memory}");
            stage.user(&login, &[REST_SERVICES_USER]).await;
            let made = stage.personal(&login).await;
            if in_memory {
                stage.check(made.value(), None, what).await;
            }
            match what {
                "rebuilt" => drop(access.rebuild_personal(by, &made.id, Duration::ZERO).await.unwrap()),
                "deleted" => access.delete_personal(by, &made.id).await.unwrap(),
                "user deleted" => access.delete_user(by, &login.parse().unwrap()).await.unwrap(),
                "disabled" => {
                    let standing = StandingChange { status: Some(Status::Disabled), ..StandingChange::default() };
                    stage.change_user(&login, standing).await;
                }
                "profiles taken" => {
                    let standing = StandingChange { profiles: Some(words(&["Auditor"])), ..StandingChange::default() };
                    stage.change_user(&login, standing).await;
                }
                "scopes taken" => {
                    let change = PersonalChange { scopes: Some(words(&["Export"])), ..PersonalChange::default() };
                    access.change_personal(by, &made.id, change, false).await.unwrap();
                    let told = stage.ask(Door::Forward, made.value()).await;
                    assert_eq!(stage.reason(Door::Forward, &told).as_deref(), Some(expected));
                    let told = stage.verify(json!({"token": made.value(), "scope": "Grafana"})).await;
                    assert_eq!(stage.reason(Door::Verify, &told).as_deref(), Some(expected));
                    continue;
                }
                "expired" => stage.clock.advance(Duration::from_secs(90 * 86_400)),
                // The time that has passed counts, whatever the wall clock says now, as long as the token is in memory.
                _ if in_memory => {
                    let before = crate::clock::Clock::now(&*stage.clock);
                    stage.clock.advance(Duration::from_secs(90 * 86_400));
                    stage.clock.step_to(before);
                    assert!(access.peek(made.value(), None).is_none());
                    continue;
                }
                _ => continue,
            }
            stage.check(made.value(), Some(expected), what).await;
        }
    }
}

#[tokio::test]
async fn an_application_is_refused_from_the_very_next_call_on_too() {
    let stage = Stage::new().await;
    let (by, access) = (&stage.administrator, &stage.world.api.access);
    for (number, (what, expected)) in
        [("rebuilt", "rebuilt"), ("deleted", "deleted"), ("disabled", "principal_disabled"), ("expired", "expired")]
            .into_iter()
            .enumerate()
    {
        for in_memory in [true, false] {
            let made = stage.application(&format!("app-{number}-{in_memory}"), &["Auditor"], &[], &[]).await;
            if in_memory {
                stage.check(made.value(), None, what).await;
            }
            let change =
                |standing, expires_at| ApplicationChange { standing, expires_at, ..ApplicationChange::default() };
            match what {
                "rebuilt" => {
                    let (_, new) = access.rebuild_application(by, &made.id, Duration::from_secs(60)).await.unwrap();
                    stage.check(made.value(), None, "in grace").await;
                    stage.check(new.expose_secret(), None, "anew").await;
                    stage.clock.advance(Duration::from_secs(60));
                    stage.check(new.expose_secret(), None, "anew").await;
                }
                "deleted" => access.delete_application(by, &made.id).await.unwrap(),
                "disabled" => {
                    let standing = StandingChange { status: Some(Status::Disabled), ..StandingChange::default() };
                    access.change_application(by, &made.id, change(standing, None), false).await.unwrap();
                }
                _ => {
                    let end = crate::clock::Clock::now(&*stage.clock) + Duration::from_secs(60);
                    let change = change(StandingChange::default(), Some(Some(end)));
                    access.change_application(by, &made.id, change, false).await.unwrap();
                    stage.check(made.value(), None, "not yet").await;
                    stage.clock.advance(Duration::from_secs(60));
                }
            }
            stage.check(made.value(), Some(expected), what).await;
        }
    }
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

#[tokio::test]
async fn rubbish_is_refused_and_looks_the_same_outside() {
    let stage = Stage::new().await;
    let made = stage.application("good", &[REST_SERVICES_USER], &[], &[]).await;
    let good = made.value().to_owned();
    let foreign = Stage::new().await.application("good", &[REST_SERVICES_USER], &[], &[]).await;
    stage.check(&good, None, "good").await;
    let mut rubbish = vec![
        String::new(),
        " ".to_owned(),
        "tha_".to_owned(),
        "é".repeat(33),
        "\u{0}".repeat(66),
        "tha_\u{ff21}".to_owned(),
        "a".repeat(1_000_000),
        foreign.value().to_owned(),
        good.replacen("tha_", "thp_", 1),
        good.to_uppercase(),
        format!("{good}{good}"),
        format!("{good}="),
        format!("{good}\u{200b}"),
    ];
    for at in 0..good.len() {
        rubbish.push(good[..at].to_owned());
        rubbish.push(format!("{}0{}", &good[..at], &good[at..]));
        for bit in 0..7 {
            let mut bytes = good.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            rubbish.push(String::from_utf8(bytes).unwrap());
        }
    }
    for length in [1, 12, 65, 66, 67, 500] {
        let mut random = vec![0_u8; length];
        rand::fill(random.as_mut_slice());
        rubbish.push(random.iter().map(|byte| char::from(byte & 0x7f)).collect());
    }
    let mut outside = BTreeSet::new();
    for (number, token) in rubbish.iter().enumerate() {
        let told = stage.ask(Door::Verify, token).await;
        let reason = stage.reason(Door::Verify, &told).unwrap_or_else(|| panic!("{number} is accepted"));
        assert!(matches!(reason.as_str(), "malformed" | "unknown"), "{number}: {reason}");
        assert_eq!(stage.ask(Door::Introspect, token).await.text, r#"{"active":false}"#, "{number}");
        if token.trim().is_empty() || token.bytes().any(|byte| byte.is_ascii_control()) {
            continue;
        }
        let told = stage.ask(Door::Forward, token).await;
        assert!(matches!(stage.explain(told.header("x-support-id")).as_str(), "malformed" | "unknown"), "{number}");
        let mut headers = told.headers.clone();
        headers.remove("x-support-id");
        outside.insert(format!("{} {headers:?} {}", told.status, told.text));
    }
    assert_eq!(outside.len(), 1, "{outside:#?}");
    let outside = outside.first().unwrap();
    assert!(outside.starts_with("401") && outside.contains(r#"error=\"invalid_token\""#), "{outside}");
    // Nothing of it was counted, and what is good still is.
    assert_eq!(stage.count(&made).await, 3);
    stage.check(&good, None, "good").await;
}

#[tokio::test]
async fn at_the_door_for_proxies_credentials_are_tokens_and_single() {
    let stage = Stage::new().await;
    let (one, other) = (
        stage.application("one", &[REST_SERVICES_USER], &[], &[]).await,
        stage.application("other", &[REST_SERVICES_USER], &[], &[]).await,
    );
    let (one, other) = (one.value(), other.value());
    let (bearer, other_bearer) = (format!("Bearer {one}"), format!("Bearer {other}"));
    let huge = format!("Bearer {}", "a".repeat(1 << 20));
    for (headers, expected) in [
        (vec![], Some("no_credentials")),
        (vec![("authorization", bearer.as_str())], None),
        (vec![("auth-token", one)], None),
        (vec![("authorization", bearer.as_str()), ("auth-token", one)], None),
        (vec![("authorization", bearer.as_str()), ("auth-token", other)], Some("malformed")),
        (vec![("authorization", bearer.as_str()), ("authorization", other_bearer.as_str())], Some("malformed")),
        (vec![("authorization", bearer.as_str()), ("authorization", bearer.as_str())], Some("malformed")),
        (vec![("auth-token", one), ("auth-token", other)], Some("malformed")),
        (vec![("authorization", huge.as_str())], Some("malformed")),
        (vec![("auth-token", &huge)], Some("malformed")),
        (vec![("authorization", "Basic YWRhOnB3")], Some("no_credentials")),
        (vec![("authorization", "Basic YWRhOnB3"), ("auth-token", one)], None),
        (vec![("cookie", "tokenhost_session=x")], Some("no_credentials")),
        (vec![("x-remote-user", "ada"), ("x-proxy-secret", "x")], Some("no_credentials")),
        (vec![("x-auth-principal", "root"), ("x-original-uri", "/?auth_token=x")], Some("no_credentials")),
    ] {
        let told = stage.forward("rest-json?auth_token=x&login_mode=form", &headers).await;
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        assert_eq!(stage.reason(Door::Forward, &told).as_deref(), expected, "{names:?}");
        assert_eq!(
            (told.status.as_u16(), told.text.as_str()),
            (if expected.is_some() { 401 } else { 200 }, ""),
            "{names:?}"
        );
        if expected == Some("no_credentials") {
            assert_eq!(told.header("www-authenticate"), "Bearer realm=\"tokenhost\"");
        }
    }
    for method in ["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
        let request = Request::builder().method(method).uri("/v1/forward-auth/rest-json/any/path?x=y");
        let request = request.header("auth-token", one).body(Body::from("the client's")).unwrap();
        let told = stage.world.send(request).await;
        assert_eq!((told.status.as_u16(), told.header("x-auth-principal")), (200, "one"), "{method}");
        assert_eq!(told.header("content-length"), "0", "{method}");
    }
}

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
