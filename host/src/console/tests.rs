//! Who is let in to pages, and that the API holds visitors to what it holds everybody to.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use axum::routing::{get, post};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::page::Page;
use super::visit::Visit;
use super::*;
use crate::access::{LoginType, Policy};
use crate::api::tests::rooms::World;
use crate::config::Public;

/// The console over a new API, with a page besides that exports and one that makes an organization.
async fn place() -> (World, Router) {
    let world = World::new(Public::default()).await;
    let inside = Inside::new(world.api.clone(), world.router.clone());
    let shared = Shared::new(inside.clone());
    let more = Router::new()
        .route(
            "/console/test/export",
            get(async |visit: Visit| -> Page {
                status(&visit, Method::GET, "/v1/export?class=users", &Value::Null).await
            }),
        )
        .route(
            "/console/test/make",
            post(async |visit: Visit| -> Page {
                status(&visit, Method::POST, "/v1/organizations", &json!({"name": "acme"})).await
            }),
        )
        .with_state(Console(Arc::new(shared)));
    let more = more.layer(axum::middleware::map_response(page::protect));
    let router = router(inside).merge(more);
    (world, router)
}

/// The console over a new API with this policy.
async fn place_with(policy: Policy) -> (World, Router) {
    let world = World::with_policy(Public::default(), policy).await;
    let router = router(Inside::new(world.api.clone(), world.router.clone()));
    (world, router)
}

/// What the API answers a visitor.
async fn status(visit: &Visit, method: Method, path: &str, body: &Value) -> Page {
    let answer = visit.ask(method, path, body).await;
    Ok(axum::response::IntoResponse::into_response((answer.status, answer.value.to_string())))
}

/// The status of a page, where it leads to, and its text.
async fn ask(router: &Router, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String, String) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = tower::ServiceExt::oneshot(router.clone(), request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let header =
        |name| parts.headers.get(name).map(|value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned());
    assert!(header(header::CONTENT_SECURITY_POLICY).unwrap().contains("default-src 'none'"), "{path}");
    let led = header(header::LOCATION).or(header(header::HeaderName::from_static("hx-redirect"))).unwrap_or_default();
    (parts.status.as_u16(), led, String::from_utf8_lossy(&text).into_owned())
}

fn bearer(token: &SecretString) -> String {
    format!("Bearer {}", token.expose_secret())
}

#[tokio::test]
async fn whoever_isnt_let_in_is_led_to_the_form_and_back() {
    let (world, router) = place().await;
    let led = "/login?next=%2Fconsole%2F%3Fq%3Dcrm";
    assert_eq!(ask(&router, "GET", "/console/?q=crm", &[]).await.1, led);
    // What a form sent isn't sent again, and a part of a page isn't shown as one.
    let home = "/login?next=%2Fconsole%2F";
    assert_eq!(ask(&router, "POST", "/console/test/make", &[]).await.1, home);
    let (status, led, _) = ask(&router, "GET", "/console/?q=crm", &[("hx-request", "true")]).await;
    assert_eq!((status, led.as_str()), (204, home));
    assert_eq!(ask(&router, "GET", "/", &[]).await.1, "/console/");

    let admin = bearer(&world.token);
    let (status, _, text) = ask(&router, "GET", "/console/", &[("authorization", &admin)]).await;
    assert!(status == 200 && text.contains("Nothing needs attention"), "{status} {text}");
}

#[tokio::test]
async fn user_interfaces_are_for_whom_the_api_says() {
    let (world, router) = place().await;
    let plain = world.application("plain", &["Administrator"], &[], &["REST/JSON"]).await;
    let quiet = world.call("GET", "/v1/application-tokens", "").await.json();
    let id = quiet["items"].as_array().unwrap().iter().find(|item| item["name"] == "plain").unwrap()["id"].clone();
    world.call("PATCH", &format!("/v1/application-tokens/{}", id.as_str().unwrap()), r#"{"console":false}"#).await;
    let (status, _, text) = ask(&router, "GET", "/console/", &[("authorization", &bearer(&plain))]).await;
    assert!(status == 403 && text.contains("Support id"), "{status} {text}");
}

#[tokio::test]
async fn a_page_gives_no_more_than_the_api() {
    let (world, router) = place().await;
    // Let in for REST, and not for exports: a page doesn't change that.
    let token = world.application("crm", &["Administrator"], &[], &["REST/JSON"]).await;
    world.call("PATCH", "/v1/application-tokens/crm", r#"{"console":true}"#).await;
    let headers = [("authorization", bearer(&token))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let (status, _, text) = ask(&router, "GET", "/console/test/export", &headers).await;
    assert!(status == 403 && text.contains("support_id"), "{status} {text}");
    // What a page changes stands in the audit log as by whom it was.
    assert_eq!(ask(&router, "POST", "/console/test/make", &headers).await.0, 201);
    let log = world.call("GET", "/v1/audit?action=organization.create", "").await.json();
    assert_eq!(
        (&log["items"][0]["actor"]["name"], &log["items"][0]["object"]),
        (&json!("crm"), &json!("organizations/acme"))
    );
}

#[tokio::test]
async fn pages_are_for_whom_the_api_shows_what_they_hold() {
    let (world, router) = place().await;
    let reader = bearer(&world.application("reader", &["REST Services User"], &[], &["REST/JSON"]).await);
    let auditor = bearer(&world.application("auditor", &["Auditor", "REST Services User"], &[], &["REST/JSON"]).await);
    let admin = bearer(&world.token);
    world.call("POST", "/v1/organizations", r#"{"name":"acme"}"#).await;
    let record = world.call("GET", "/v1/audit", "").await.json()["items"][0]["seq"].clone();
    let record = format!("/console/audit/records/{record}");
    for path in [
        "/console/users",
        "/console/users/~new",
        "/console/application-tokens",
        "/console/application-tokens/~new",
        "/console/personal-tokens",
        "/console/personal-tokens/~new",
        "/console/profiles",
        "/console/profiles/~new",
        "/console/profiles/Administrator",
        "/console/organizations",
        "/console/organizations/~new",
        "/console/organizations/default",
        "/console/audit",
        record.as_str(),
        "/console/audit/explain",
        "/console/audit/find",
        "/console/audit/verify",
    ] {
        assert_eq!(ask(&router, "GET", path, &[]).await.0, 303, "{path}");
        for (who, expected) in [(&reader, 403), (&auditor, 200), (&admin, 200)] {
            let (status, _, text) = ask(&router, "GET", path, &[("authorization", who)]).await;
            assert_eq!(status, expected, "{path}: {text}");
        }
    }
    // For who operates the daemon, and isn't limited to organizations.
    let limited = world.application("limited", &["Administrator"], &["acme"], &["REST/JSON"]).await;
    let limited = bearer(&limited);
    for path in
        ["/console/webhooks", "/console/webhooks/~new", "/console/keys", "/console/backups", "/console/settings"]
    {
        assert_eq!(ask(&router, "GET", path, &[]).await.0, 303, "{path}");
        for (who, expected) in [(&reader, 403), (&auditor, 403), (&limited, 403), (&admin, 200)] {
            let (status, _, text) = ask(&router, "GET", path, &[("authorization", who)]).await;
            assert_eq!(status, expected, "{path}: {text}");
        }
    }
    for who in [&reader, &auditor, &limited, &admin] {
        assert_eq!(ask(&router, "GET", "/console/events", &[("authorization", who)]).await.0, 200);
    }
    // For users only.
    assert_eq!(ask(&router, "GET", "/console/account", &[("authorization", &admin)]).await.0, 403);
}

/// Where the menu of a page leads.
fn menu(text: &str) -> Vec<String> {
    let menu = text.split("<nav aria-label=\"Pages\">").nth(1).and_then(|rest| rest.split("</nav>").next());
    let links = menu.unwrap_or_default().split("href=\"").skip(1);
    let path = |rest: &str| rest.split('"').next().unwrap().replace("&#x2f;", "/");
    links.map(|rest| path(rest).trim_start_matches("/console/").to_owned()).collect()
}

#[tokio::test]
async fn the_menu_leads_nowhere_where_the_visitor_is_refused() {
    let (world, router) = place().await;
    world.call("POST", "/v1/organizations", r#"{"name":"acme"}"#).await;
    let grants = json!([{"rights": ["read_models"], "organizations": ["acme"]}]);
    let profile = json!({"name": "On Some", "rights": [], "grants": grants});
    assert_eq!(world.call("POST", "/v1/profiles", &profile.to_string()).await.status, 201);
    let all = ["", "models", "flows", "events", "administration", "webhooks", "audit"];
    for (profiles, organizations, expected) in [
        (&["Administrator"][..], &[][..], &all[..]),
        (&["Administrator"], &["acme"], &["", "models", "flows", "events", "administration"]),
        (&["Auditor", "REST Services User"], &[], &["", "models", "flows", "events", "administration", "audit"]),
        (&["On Some", "REST Services User"], &[], &["", "models", "events"]),
        (&["REST Services User"], &[], &["", "events"]),
    ] {
        let name = format!("app-{}-{}", profiles[0].to_lowercase().replace(' ', "-"), organizations.len());
        let who = bearer(&world.application(&name, profiles, organizations, &["REST/JSON"]).await);
        let (_, _, text) = ask(&router, "GET", "/console/", &[("authorization", &who)]).await;
        assert_eq!(menu(&text), expected, "{profiles:?}");
        for path in menu(&text) {
            let (status, led, _) = ask(&router, "GET", &format!("/console/{path}"), &[("authorization", &who)]).await;
            assert!(status == 200 || led == "/console/users", "{profiles:?} {path}: {status}");
        }
    }
}

#[tokio::test]
async fn who_lacks_a_profile_lands_where_they_may_be_and_is_told() {
    for enable_myaccount_menu in [true, false] {
        let types = [LoginType::Basic, LoginType::Token];
        let (world, router) =
            place_with(Policy { allowed_login_types: types.into(), enable_myaccount_menu, ..Policy::default() }).await;
        let nora = basic(&world, "nora", &[]).await;
        let headers = [("authorization", nora.as_str())];
        let (status, led, text) = ask(&router, "GET", "/console/", &headers).await;
        if !enable_myaccount_menu {
            assert!(status == 200 && text.contains("Nothing is open to you") && menu(&text).is_empty(), "{text}");
            assert!(text.contains("REST Services User"), "{text}");
            assert_eq!(ask(&router, "GET", "/console/account", &headers).await.0, 403);
            continue;
        }
        assert_eq!((status, led.as_str()), (303, "/console/account"));
        let (status, _, text) = ask(&router, "GET", "/console/account", &headers).await;
        assert_eq!((status, menu(&text)), (200, vec!["account".to_owned()]));
        for told in
            ["Only this page is open to you", "There are none: nobody may use personal tokens here", "My contact"]
        {
            assert!(text.contains(told), "{told}: {text}");
        }
    }
}

/// A new user's password, as a browser sends it.
async fn basic(world: &World, login: &str, profiles: &[&str]) -> String {
    use base64::Engine as _;
    let password = "correct horse battery staple";
    let user = json!({"login": login, "profiles": profiles, "password": password});
    assert_eq!(world.call("POST", "/v1/users", &user.to_string()).await.status, 201);
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{login}:{password}")))
}

#[tokio::test]
async fn browsers_are_asked_for_a_password_where_that_is_a_way_in() {
    use LoginType::{Basic, External, Form, Token};
    for (types, expected) in [
        (&[Basic, Token][..], (401, true)),
        (&[External, Token], (401, false)),
        (&[Token], (401, false)),
        // Where there is a form, browsers are led to it and open no window of their own.
        (&[Form, Basic], (303, false)),
    ] {
        let allowed_login_types = types.iter().copied().collect();
        let (_, router) = place_with(Policy { allowed_login_types, ..Policy::default() }).await;
        let response =
            tower::ServiceExt::oneshot(router.clone(), Request::get("/console/").body(Body::empty()).unwrap());
        let response = response.await.unwrap();
        let challenge = response.headers().get(header::WWW_AUTHENTICATE).map(|value| value.to_str().unwrap());
        let asks = challenge.is_some_and(|challenge| challenge.starts_with("Basic realm="));
        assert_eq!((response.status().as_u16(), asks), expected, "{types:?} {challenge:?}");
    }
}

#[tokio::test]
async fn who_signs_in_by_password_with_each_request_uses_the_console() {
    let policy = Policy { allowed_login_types: [LoginType::Basic, LoginType::Token].into(), ..Policy::default() };
    let (world, router) = place_with(policy).await;
    let ada = basic(&world, "ada", &["Administrator"]).await;
    let (status, _, text) = ask(&router, "GET", "/console/", &[("authorization", &ada)]).await;
    assert!(status == 200 && text.contains(">ada<") && !text.contains("Sign out"), "{text}");
    // A wrong one is asked for again, and a page in HTML says that it was refused.
    for wrong in ["Basic YWRhOndyb25n", "Basic !", "Basic"] {
        let (status, _, text) = ask(&router, "GET", "/console/", &[("authorization", wrong)]).await;
        assert!(status == 401 && text.contains("Support id") && text.contains("<title>"), "{wrong}: {text}");
    }
    // The browser sends it by itself: another site's page can't use that.
    for (site, expected) in [("cross-site", 403), ("same-origin", 303)] {
        let headers = [("authorization", ada.as_str()), ("sec-fetch-site", site)];
        let sent = [&headers[..], &[("content-type", "application/x-www-form-urlencoded")]].concat();
        assert_eq!(ask(&router, "POST", "/console/organizations/default", &sent).await.0, expected, "{site}");
    }
}

#[tokio::test]
async fn every_refusal_is_a_page() {
    let (world, router) = place().await;
    let admin = bearer(&world.token);
    let signed_in = [("authorization", admin.as_str())];
    let form = ("content-type", "application/x-www-form-urlencoded");
    let page = |text: &str| text.starts_with("<!doctype html>") && text.contains("tokenhost</title>");
    for path in ["/console/nope", "/console/users/", "/console/nope/nope?x=1"] {
        for method in ["GET", "POST", "DELETE"] {
            let (status, _, text) = ask(&router, method, path, &signed_in).await;
            assert!(status == 404 && page(&text) && text.contains("There is no such page"), "{method} {path}: {text}");
            assert_eq!(menu(&text).len(), 7, "whoever is signed in sees the menu");
            let (status, _, text) = ask(&router, method, path, &[]).await;
            assert!(status == 404 && page(&text) && menu(&text).is_empty(), "{method} {path}: {text}");
        }
    }
    for (method, path, headers, expected) in [
        ("DELETE", "/console/users", &[][..], 405),
        ("PUT", "/console/", &[], 405),
        ("GET", "/console/assets/nope.css", &[], 404),
        ("POST", "/console/assets/nope.css", &[], 405),
        ("POST", "/console/users", &[("content-type", "text/plain")], 415),
        ("POST", "/console/models/~new", &[form], 415),
        ("POST", "/console/models/~new", &[("content-type", "multipart/form-data; boundary=x")], 400),
        ("GET", "/console/users/nobody", &[], 404),
    ] {
        let headers = [&signed_in[..], headers].concat();
        let (status, _, text) = ask(&router, method, path, &headers).await;
        assert!(status == expected && page(&text) && menu(&text).len() == 7, "{method} {path}: {status} {text}");
    }
    let (status, _, text) = ask(&router, "GET", "/console/users/%FF", &signed_in).await;
    assert!(status == 404 && page(&text), "{status} {text}");
    let request = Request::post("/console/users").header("authorization", &admin).header(form.0, form.1);
    let large = request.body(Body::from(vec![b'x'; (1 << 20) + 1])).unwrap();
    let response = tower::ServiceExt::oneshot(router.clone(), large).await.unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
}

#[tokio::test]
async fn no_other_site_uses_a_visitors_browser() {
    let (world, router) = place().await;
    let user = r#"{"login":"ada","profiles":["Administrator"],"password":"correct horse battery staple"}"#;
    assert_eq!(world.call("POST", "/v1/users", user).await.status, 201);
    let form = "login=ada&password=correct+horse+battery+staple";
    let request = Request::post("/login").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let signed_in = world.send(request.body(Body::from(form)).unwrap()).await;
    let cookie = signed_in.header("set-cookie").split(';').next().unwrap().to_owned();
    for (site, expected) in [("cross-site", 403), ("same-site", 403), ("same-origin", 201)] {
        let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", site)];
        assert_eq!(ask(&router, "POST", "/console/test/make", &headers).await.0, expected, "{site}");
    }
    // With the session's end, so ends the console.
    let out = Request::post("/logout").header(header::COOKIE, &cookie);
    world.send(out.body(Body::empty()).unwrap()).await;
    assert_eq!(ask(&router, "GET", "/console/", &[("cookie", &cookie)]).await.0, 303);
}

#[test]
fn what_seldom_happens_is_shown_too() {
    let templates = templates::Templates::new();
    let (now, hostile) = ("2026-11-22T10:00:00Z", "<script>alert(1)</script>");
    let check = |template: &str, values: Value, expected: &[&str]| {
        let me = json!({"name": "ada", "rights": ["operate"], "rights_on_some": [], "services": {"allowed": true}});
        let values = minijinja::context! { me, now, path => "/console/", ..minijinja::Value::from_serialize(values) };
        let text = templates.render(template, values).unwrap();
        for part in expected {
            assert!(text.contains(part), "{template} lacks {part}: {text}");
        }
        assert!(!text.contains(hostile), "{template}");
    };
    let failure = json!({"message": hostile, "since": now, "count": 3});
    let schedule = json!({"folder": "/b", "every_seconds": 86_400, "keep": 7, "keep_days": 30, "last": null,
        "next": "2026-11-22T12:00:00Z", "failure": failure});
    let kept = json!([{"file": "/b/x", "bytes": 2_048, "id": "x", "made_at": now, "made_by": "0.1.0"}]);
    let restored = json!({"made_at": now, "restored_at": now, "uncertain": 1, "certain": 2, "interrupted": 0,
        "acknowledged_at": null});
    check(
        "backups.html",
        json!({"backups": {"schedule": schedule, "backups": kept}, "restored": restored}),
        &[
            "Backups fail",
            "3 in a row",
            "<dd>day</dd>",
            "2 h</span>",
            "2.0 KiB",
            "came from a backup",
            "1 token with",
            "I know",
        ],
    );
    let key = |id: u32, current: bool| json!({"id": id, "made_at": now, "current": current, "values": 4, "kinds": {"tokens": 4}});
    check(
        "keys.html",
        json!({"keys": {"master": {"id": "aa", "source": hostile, "since": null, "next": {"id": "bb", "since": now}},
            "data": [key(1, false), key(2, true)], "counted_at": now, "warnings": [hostile],
            "resealing": {"to": 2, "started_at": now, "done": 4, "total": 8, "seconds_left": 9, "settling": false, "problem": hostile},
            "pepper": {"id": 1, "rotated_at": now, "accept_until": now, "older_tokens": 5}}}),
        &["4 of 8 values, about 9 s left", "every 2s", "both open the data", "accepted until", "tokens: 4"],
    );
    let change = json!({"key": "listen", "from": "", "to": hostile});
    check(
        "settings.html",
        json!({"config": {"settings": [], "waiting": [change]}, "reloaded": {"changed": [change], "waiting": []}}),
        &["waiting for a restart", "Read again, and taken", "all is as it ships"],
    );
    check(
        "webhooks.html",
        json!({"list": {"items": [{"name": "ops", "url": "https://x/", "kinds": [], "delivered": 1, "waiting": 2,
            "given_up": 3, "state": "failing", "problem": hostile}]}}),
        &["2 waiting", "3 given up", "failing", "never"],
    );
    let scope = json!({"name": "scope", "kind": "words", "required": "never", "title": "Scopes", "help": "What for."});
    check(
        "integration_new.html",
        json!({"model": {"name": "crm"}, "scheme": "oauth2", "flow": {"name": "f", "fields": [scope]},
            "offer": {"fields": {"scope": "a b"}, "scopes": {"a": "About a", "c": hostile}}}),
        &["value=\"a b\" data-word=\"a\"", "value=\"a b c\" data-word=\"c\"", "label=\"a: About a\"", "<code>c</code>"],
    );
    let tried = json!({"seq": 1, "at": now, "actor": {"kind": "user", "name": "ada"}, "action": "import", "outcome": "done",
        "dry_run": true, "object": hostile, "address": "::1"});
    check("audit.html", json!({"list": {"items": [tried]}, "typed": {}, "next": "/"}), &["tried, not made", "::1"]);
    check("audit-record.html", json!({"item": tried}), &["tried, not made"]);
}
