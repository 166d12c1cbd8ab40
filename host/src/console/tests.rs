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
        "/console/users/new",
        "/console/application-tokens",
        "/console/application-tokens/new",
        "/console/personal-tokens",
        "/console/personal-tokens/new",
        "/console/profiles",
        "/console/profiles/new",
        "/console/profiles/Administrator",
        "/console/organizations",
        "/console/organizations/new",
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
    // For users only.
    assert_eq!(ask(&router, "GET", "/console/account", &[("authorization", &admin)]).await.0, 403);
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
