//! Every way of signing in, allowed and not: by form and session, password, a proxy's word, tokens; from other sites; and what
//! of it the log tells.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{HeaderName, Request};
use secrecy::ExposeSecret as _;

use super::super::peer::Peer;
use super::rooms::{Answer, World};
use crate::access::application::ApplicationChange;
use crate::access::personal::PersonalChange;
use crate::access::user::UserChange;
use crate::access::{LoginType, Policy, Principal, StandingChange, Status};
use crate::config::Public;

const PASSWORD: &str = "correct horse battery";
const PROXY_SECRET: &str = "a secret of the proxy";

/// A policy that allows these login types, and a proxy at 10.0.0.0/8.
fn policy(allowed: &[LoginType]) -> Policy {
    let mut policy = Policy {
        allowed_login_types: allowed.iter().copied().collect(),
        personal_tokens_allowed_profiles: vec!["Auditor".parse().unwrap()],
        ..Policy::default()
    };
    policy.external.secret = Some(PROXY_SECRET.into());
    policy.external.proxies = vec!["10.0.0.0/8".parse().unwrap()];
    policy.trusted_proxies = policy.external.proxies.clone();
    policy
}

fn standing(profiles: &[&str]) -> StandingChange {
    let profiles = profiles.iter().map(|name| (*name).to_owned()).collect();
    StandingChange { profiles: Some(profiles), ..StandingChange::default() }
}

/// A world in which all is allowed, with the user `ada` of these profiles.
async fn world_with(policy: Policy, profiles: &[&str]) -> World {
    let world = World::with_policy(Public::default(), policy).await;
    let change =
        UserChange { standing: standing(profiles), password: Some(Some(PASSWORD.into())), ..UserChange::default() };
    world.api.access.create_user(&Principal::for_tests(), "ada", change, false).await.unwrap();
    world
}

async fn change_ada(world: &World, change: UserChange) {
    world.api.access.change_user(&Principal::for_tests(), &"ada".parse().unwrap(), change, false).await.unwrap();
}

/// Sends a request with these headers from this address.
pub(super) async fn send(
    world: &World,
    method: &str,
    path: &str,
    body: &str,
    headers: &[(&str, &str)],
    from: &str,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
    for (name, value) in headers {
        request.headers_mut().append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    let peer: SocketAddr = format!("{from}:1000").parse().unwrap();
    request.extensions_mut().insert(Peer(peer));
    world.send(request).await
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// Signs in by the form, and gives the answer.
async fn sign_in(world: &World, password: &str, headers: &[(&str, &str)]) -> Answer {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("login", "ada")
        .append_pair("password", password)
        .finish();
    send(world, "POST", "/login", &form, &[&[FORM], headers].concat(), "10.0.0.1").await
}

/// The cookie that signing in gave, as a browser sends it.
async fn session(world: &World) -> String {
    let answer = sign_in(world, PASSWORD, &[]).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/console/"), "{}", answer.text);
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

/// The status of a call with a cookie.
async fn with_cookie(world: &World, method: &str, path: &str, cookie: &str, headers: &[(&str, &str)]) -> u16 {
    let headers = [&[("cookie", cookie)], headers].concat();
    send(world, method, path, "", &headers, "192.0.2.1").await.status.as_u16()
}

/// The exact reason of a refusal.
pub(super) fn reason(world: &World, answer: &Answer) -> String {
    let id = match answer.header("content-type") {
        "application/problem+json" => answer.json()["support_id"].as_str().unwrap().to_owned(),
        _ => answer.text.split("<code>").nth(1).unwrap().split('<').next().unwrap().to_owned(),
    };
    world.api.support.explain(&id).unwrap().code
}

#[tokio::test]
async fn a_person_signs_in_reads_and_signs_out() {
    let world = world_with(policy(&LoginType::ALL), &["Auditor"]).await;
    // A browser is led to the form, a program isn't.
    let html = [("accept", "text/html,*/*;q=0.8")];
    let led = send(&world, "GET", "/docs", "", &html, "192.0.2.1").await;
    assert_eq!((led.status.as_u16(), led.header("location")), (303, "/login?next=/docs"));
    assert_eq!(send(&world, "GET", "/docs", "", &[], "192.0.2.1").await.status, 401);
    assert_eq!(send(&world, "GET", "/v1/organizations", "", &html, "192.0.2.1").await.status, 401);
    let wrong = [html[0], ("auth-token", "tha_x")];
    assert_eq!(send(&world, "GET", "/docs", "", &wrong, "192.0.2.1").await.status, 401);

    let form = send(&world, "GET", "/login?next=/docs%22%3E", "", &html, "192.0.2.1").await;
    assert_eq!((form.status.as_u16(), form.header("cache-control")), (200, "no-store"));
    let policy = form.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("form-action 'self'"), "{policy}");
    assert!(!form.text.contains("/docs\">") && !form.text.contains("<script"), "{}", form.text);

    let answer = sign_in(&world, PASSWORD, &[("sec-fetch-site", "same-origin")]).await;
    let cookie = answer.header("set-cookie").to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains("Domain") && !cookie.contains("Max-Age"), "{cookie}");
    assert_eq!(answer.header("cache-control"), "no-store");
    let secure = sign_in(&world, PASSWORD, &[("x-forwarded-proto", "https")]).await;
    assert!(secure.header("set-cookie").contains("; Secure"), "{}", secure.header("set-cookie"));

    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(with_cookie(&world, "GET", "/docs", cookie, &html).await, 200);
    let page = send(&world, "GET", "/login", "", &[("cookie", cookie)], "192.0.2.1").await;
    assert!(page.text.contains("signed in as <b>ada</b>"), "{}", page.text);
    // Signing in again ends the session before.
    let again = sign_in(&world, PASSWORD, &[("cookie", cookie)]).await;
    assert_eq!(with_cookie(&world, "GET", "/docs", cookie, &[]).await, 401);
    let cookie = again.header("set-cookie").split(';').next().unwrap();
    assert_eq!(with_cookie(&world, "POST", "/logout", cookie, &[("sec-fetch-site", "cross-site")]).await, 403);
    assert_eq!(with_cookie(&world, "GET", "/docs", cookie, &[]).await, 200);
    let out = send(&world, "POST", "/logout", "", &[("cookie", cookie)], "192.0.2.1").await;
    assert_eq!((out.status.as_u16(), out.header("location")), (303, "/login"));
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{}", out.header("set-cookie"));
    assert_eq!(with_cookie(&world, "GET", "/docs", cookie, &[]).await, 401);
    assert_eq!(with_cookie(&world, "POST", "/logout", cookie, &[]).await, 303, "twice does no harm");

    let log = world.call("GET", "/v1/audit?action=session.", "").await.json();
    let actions: Vec<_> =
        log["items"].as_array().unwrap().iter().map(|item| item["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["session.end", "session.begin", "session.begin", "session.begin"]);
    assert_eq!((&log["items"][0]["actor"]["name"], &log["items"][0]["object"]), (&"ada".into(), &"users/ada".into()));
}

#[tokio::test]
async fn refusals_of_the_form_look_the_same() {
    let world = world_with(policy(&LoginType::ALL), &[]).await;
    let mut pages = std::collections::BTreeSet::new();
    let mut check = |login: &str, answer: Answer, expected: &str| {
        assert_eq!((answer.status.as_u16(), answer.header("set-cookie")), (401, ""), "{expected}");
        assert_eq!(reason(&world, &answer), expected);
        let id = answer.text.split("<code>").nth(1).unwrap().split('<').next().unwrap();
        // What was typed stays, as text, but for the password.
        let kept = format!("name=login value=\"{login}\"");
        assert!(answer.text.contains(&kept) && answer.text.matches("autofocus").count() == 1, "{}", answer.text);
        assert!(answer.text.contains("maxlength=256 required autofocus"), "{}", answer.text);
        pages.insert(answer.text.replace(id, "").replace(&kept, ""));
    };
    check("ada", sign_in(&world, "wrong", &[]).await, "bad_password");
    let eve = send(&world, "POST", "/login", "login=eve&password=x", &[FORM], "192.0.2.1").await;
    check("eve", eve, "bad_password");
    let body = "login=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&password=x";
    let markup = send(&world, "POST", "/login", body, &[FORM], "192.0.2.1").await;
    check("&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;", markup, "bad_password");
    let odd = send(&world, "POST", "/login", "login=%D0%B0da&password=x", &[FORM], "192.0.2.1").await;
    check("\u{430}da", odd, "bad_password");
    let disabled = StandingChange { status: Some(Status::Disabled), ..StandingChange::default() };
    change_ada(&world, UserChange { standing: disabled, ..UserChange::default() }).await;
    check("ada", sign_in(&world, PASSWORD, &[]).await, "principal_disabled");
    assert_eq!(pages.len(), 1, "{pages:#?}");

    let cross = sign_in(&world, PASSWORD, &[("origin", "https://evil.example"), ("host", "here")]).await;
    assert_eq!((cross.status.as_u16(), reason(&world, &cross).as_str()), (403, "cross_site"));
    for (body, headers, expected) in [
        ("login=ada", &[FORM][..], 400),
        ("login=ada&login=eve&password=x", &[FORM], 400),
        ("{}", &[("content-type", "application/json")], 415),
        (&"x".repeat(20_000), &[FORM], 413),
    ] {
        assert_eq!(send(&world, "POST", "/login", body, headers, "192.0.2.1").await.status, expected, "{headers:?}");
    }
}

#[tokio::test]
async fn sessions_end_with_what_they_stand_on() {
    let world = world_with(policy(&LoginType::ALL), &["Auditor"]).await;
    let cookie = session(&world).await;
    let disabled = StandingChange { status: Some(Status::Disabled), ..StandingChange::default() };
    change_ada(&world, UserChange { standing: disabled, ..UserChange::default() }).await;
    assert_eq!(with_cookie(&world, "GET", "/docs", &cookie, &[]).await, 401);
    let enabled = StandingChange { status: Some(Status::Enabled), ..StandingChange::default() };
    change_ada(&world, UserChange { standing: enabled, ..UserChange::default() }).await;
    assert_eq!(with_cookie(&world, "GET", "/docs", &cookie, &[]).await, 401, "it doesn't come back");

    let cookie = session(&world).await;
    assert_eq!(with_cookie(&world, "GET", "/docs", &cookie, &[]).await, 200);
    let password = Some(Some("another horse battery".into()));
    change_ada(&world, UserChange { password, ..UserChange::default() }).await;
    assert_eq!(with_cookie(&world, "GET", "/docs", &cookie, &[]).await, 401);

    // Even one that was begun with the old password at the same moment.
    let late = world.api.access.sessions.create("ada", "what it was before").await.unwrap().0;
    let late = format!("tokenhost_session={}", late.expose_secret());
    assert_eq!(with_cookie(&world, "GET", "/docs", &late, &[]).await, 401);
    let two = format!("{cookie}; {late}");
    assert_eq!(with_cookie(&world, "GET", "/docs", &two, &[]).await, 401);
}

#[tokio::test]
async fn a_browser_is_not_used_by_other_sites() {
    let world = world_with(policy(&LoginType::ALL), &["Administrator"]).await;
    let cookie = session(&world).await;
    let path = "/v1/organizations";
    let body = r#"{"name":"acme"}"#;
    let json = ("content-type", "application/json");
    let basic = "Basic ".to_owned() + &base64_of(&format!("ada:{PASSWORD}"));
    let proxied = [("x-remote-user", "ada"), ("x-proxy-secret", PROXY_SECRET)];
    for ambient in [&[("cookie", cookie.as_str())][..], &[("authorization", basic.as_str())], &proxied] {
        for foreign in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "https://evil.example"), ("host", "here")],
            &[("origin", "null"), ("host", "here")],
        ] {
            let headers = [ambient, foreign, &[json]].concat();
            let answer = send(&world, "POST", path, body, &headers, "10.0.0.1").await;
            assert_eq!((answer.status.as_u16(), reason(&world, &answer).as_str()), (403, "cross_site"), "{headers:?}");
        }
        // Reading is no harm: the other site doesn't see the answer.
        let headers = [ambient, &[("sec-fetch-site", "cross-site")]].concat();
        assert_eq!(send(&world, "GET", path, "", &headers, "10.0.0.1").await.status, 200);
    }
    // A token isn't sent by itself, so it may come from anywhere.
    let token = world.token.expose_secret();
    let headers = [("auth-token", token), ("sec-fetch-site", "cross-site"), json, ("cookie", cookie.as_str())];
    assert_eq!(send(&world, "POST", path, body, &headers, "192.0.2.1").await.status, 201);
    let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin"), json];
    assert_eq!(send(&world, "POST", path, r#"{"name":"own"}"#, &headers, "192.0.2.1").await.status, 201);
}

fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test]
async fn basic_and_a_proxys_word_let_in_whom_they_should() {
    let world = world_with(policy(&LoginType::ALL), &["Administrator"]).await;
    let external = UserChange { standing: standing(&["Administrator"]), external: Some(true), ..UserChange::default() };
    world.api.access.create_user(&Principal::for_tests(), "carl", external, false).await.unwrap();
    let secret = ("x-proxy-secret", PROXY_SECRET);
    let check = async |headers: &[(&str, &str)], from: &str, expected: &str| {
        let answer = send(&world, "GET", "/v1/organizations", "", headers, from).await;
        let found = if answer.status == 200 { "ok".to_owned() } else { reason(&world, &answer) };
        assert_eq!(found, expected, "{headers:?} {from}");
    };
    let basic = |text: &str| format!("Basic {}", base64_of(text));
    check(&[("authorization", &basic(&format!("ada:{PASSWORD}")))], "192.0.2.1", "ok").await;
    check(&[("authorization", &basic(&format!("ADA:{PASSWORD}")))], "192.0.2.1", "ok").await;
    check(&[("authorization", &basic("ada:wrong"))], "192.0.2.1", "bad_password").await;
    check(&[("authorization", &basic("carl:"))], "192.0.2.1", "bad_password").await;
    check(&[("authorization", &basic(&format!("\u{430}da:{PASSWORD}")))], "192.0.2.1", "bad_password").await;

    for login in ["ada", "carl"] {
        check(&[("x-remote-user", login), secret], "10.0.0.1", "ok").await;
    }
    check(&[("x-remote-user", "eve"), secret], "10.0.0.1", "unknown").await;
    check(&[("x-remote-user", "not a login"), secret], "10.0.0.1", "unknown").await;
    check(&[("x-remote-user", "ada"), secret], "192.0.2.1", "proxy_not_trusted").await;
    check(&[("x-remote-user", "ada")], "10.0.0.1", "proxy_not_trusted").await;
    check(&[("x-remote-user", "ada"), ("x-proxy-secret", "another secret here")], "10.0.0.1", "proxy_not_trusted")
        .await;
    check(&[("x-remote-user", "ada"), ("x-remote-user", "carl"), secret], "10.0.0.1", "proxy_not_trusted").await;
    check(&[("x-remote-user", "ada"), secret, secret], "10.0.0.1", "proxy_not_trusted").await;
    // The address is that of the connection, whatever a header claims.
    let claimed = [("x-remote-user", "ada"), secret, ("x-forwarded-for", "10.0.0.1")];
    check(&claimed, "192.0.2.1", "proxy_not_trusted").await;
}

#[tokio::test]
async fn what_is_not_allowed_lets_nobody_in() {
    for off in LoginType::ALL {
        let allowed: Vec<LoginType> = LoginType::ALL.into_iter().filter(|one| *one != off).collect();
        let world = world_with(policy(&allowed), &["Administrator"]).await;
        let basic = format!("Basic {}", base64_of(&format!("ada:{PASSWORD}")));
        let token = world.token.expose_secret().to_owned();
        let id = match world.api.access.begin_session("ada", PASSWORD.into(), None).await {
            Ok((id, _)) => id,
            // A session from when it was allowed.
            Err(_) => world.api.access.sessions.create("ada", "").await.unwrap().0,
        };
        let cookie = format!("tokenhost_session={}", id.expose_secret());
        for (login_type, headers) in [
            (LoginType::Token, vec![("auth-token", token.as_str())]),
            (LoginType::Form, vec![("cookie", cookie.as_str())]),
            (LoginType::Basic, vec![("authorization", basic.as_str())]),
            (LoginType::External, vec![("x-remote-user", "ada"), ("x-proxy-secret", PROXY_SECRET)]),
        ] {
            let answer = send(&world, "GET", "/v1/organizations", "", &headers, "10.0.0.1").await;
            let expected = if login_type == off { 401 } else { 200 };
            assert_eq!(answer.status, expected, "{login_type:?} while {off:?} isn't allowed");
            if login_type == off {
                let expected = match off {
                    // Nobody looks at a header that means nothing here.
                    LoginType::External => "no_credentials",
                    _ => "login_type_not_allowed",
                };
                assert_eq!(reason(&world, &answer), expected);
            }
        }
        let form_status = if off == LoginType::Form { 404 } else { 200 };
        let form = send(&world, "GET", "/login", "", &[], "192.0.2.1").await;
        assert_eq!(form.status, form_status);
        if off == LoginType::Form {
            assert_eq!(reason(&world, &form), "login_type_not_allowed");
            assert_eq!(sign_in(&world, PASSWORD, &[]).await.status, 404);
            // A person is told how they sign in instead.
            let page = send(&world, "GET", "/login?next=/x%22", "", &[("accept", "text/html")], "192.0.2.1").await;
            assert_eq!((page.status.as_u16(), page.header("content-type")), (404, "text/html; charset=utf-8"));
            assert!(
                page.text.contains("which your browser asks for") && page.text.contains("at the proxy"),
                "{}",
                page.text
            );
            assert!(!page.text.contains("<form") && !page.text.contains("/x\""), "{}", page.text);
            let docs = send(&world, "GET", "/docs", "", &[("accept", "text/html")], "192.0.2.1").await;
            assert_eq!(docs.status, 401);
        }
    }
}

#[tokio::test]
async fn tokens_open_user_interfaces_only_where_they_may() {
    let world = world_with(policy(&LoginType::ALL), &["Auditor", "REST Services User"]).await;
    let admin = Principal::for_tests();
    let personal = PersonalChange {
        application: Some("nightly".into()),
        scopes: Some(vec!["REST/JSON".into()]),
        ..PersonalChange::default()
    };
    let (_, personal) = world.api.access.create_personal(&admin, "ada", personal, false).await.unwrap();
    let application = async |name: &str, console| {
        let change = ApplicationChange {
            standing: standing(&["Auditor", "REST Services User"]),
            console: Some(console),
            ..ApplicationChange::default()
        };
        world.api.access.create_application(&admin, name, change, false).await.unwrap().1.unwrap()
    };
    let (open, closed) = (application("open", true).await, application("closed", false).await);
    for (token, expected) in [(&personal.unwrap(), "not_for_this"), (&open, "ok"), (&closed, "not_for_this")] {
        let headers = [("auth-token", token.expose_secret()), ("accept", "text/html")];
        let answer = send(&world, "GET", "/docs", "", &headers, "192.0.2.1").await;
        let found = if answer.status == 200 { "ok".to_owned() } else { reason(&world, &answer) };
        assert_eq!(found, expected);
        assert_eq!(answer.status == 403, expected != "ok");
    }
}

#[tokio::test]
async fn rest_services_need_their_profile_unless_the_settings_say_otherwise() {
    // Secured, waived for personal tokens, has the profile; then whether a personal token, an application token and a
    // password are let in.
    for (secured, waived, has, expected) in [
        (true, false, false, [false, false, false]),
        (true, false, true, [true, true, true]),
        (true, true, false, [true, false, false]),
        (true, true, true, [true, true, true]),
        (false, false, false, [true, true, true]),
        (false, true, false, [true, true, true]),
    ] {
        let mut policy = policy(&LoginType::ALL);
        (policy.secure_rest_services, policy.allow_rest_services_via_tokens) = (secured, waived);
        let profiles: &[&str] = if has { &["Auditor", "REST Services User"] } else { &["Auditor"] };
        let world = world_with(policy, profiles).await;
        let by = Principal::for_tests();
        let personal = PersonalChange {
            application: Some("nightly".into()),
            scopes: Some(vec!["REST/JSON".into()]),
            ..PersonalChange::default()
        };
        let (_, personal) = world.api.access.create_personal(&by, "ada", personal, false).await.unwrap();
        let change = ApplicationChange { standing: standing(profiles), ..ApplicationChange::default() };
        let (_, application) = world.api.access.create_application(&by, "nightly", change, false).await.unwrap();
        let (personal, application) = (personal.unwrap(), application.unwrap());
        let basic = format!("Basic {}", base64_of(&format!("ada:{PASSWORD}")));
        let presented = [
            ("auth-token", personal.expose_secret()),
            ("auth-token", application.expose_secret()),
            ("authorization", basic.as_str()),
        ];
        for (header, expected) in presented.into_iter().zip(expected) {
            let answer = send(&world, "GET", "/v1/models", "", &[header], "192.0.2.1").await;
            let found = if answer.status == 200 { "ok".to_owned() } else { reason(&world, &answer) };
            let expected = if expected { "ok" } else { "rest_profile_missing" };
            assert_eq!(found, expected, "secured {secured}, waived {waived}, has {has}, {}", header.0);
        }
        assert_eq!(world.call("GET", "/v1/models", "").await.status, 200, "administrators always may");
    }
}

/// Takes what is logged.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// All of it.
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_tells_reasons_and_no_secrets() {
    for login_debug in [true, false] {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let _logging = tracing::subscriber::set_default(subscriber);
        let world = world_with(Policy { login_debug, ..policy(&LoginType::ALL) }, &["Auditor"]).await;
        let cookie = session(&world).await;
        with_cookie(&world, "GET", "/docs", &cookie, &[]).await;
        sign_in(&world, "a wrong password", &[]).await;
        let basic = format!("Basic {}", base64_of("ada:another wrong one"));
        send(&world, "GET", "/v1/organizations", "", &[("authorization", &basic)], "192.0.2.1").await;
        send(
            &world,
            "GET",
            "/v1/organizations",
            "",
            &[("x-remote-user", "ada"), ("x-proxy-secret", PROXY_SECRET)],
            "192.0.2.1",
        )
        .await;
        let text = lines.text();
        for told in ["bad_password", "proxy_not_trusted", "let in", "login_type=\"form\"", "user/ada"] {
            assert_eq!(text.contains(told), login_debug, "{told}: {text}");
        }
        let id = cookie.split_once('=').unwrap().1;
        for secret in [PASSWORD, "wrong password", "another wrong", PROXY_SECRET, id, &basic] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}
