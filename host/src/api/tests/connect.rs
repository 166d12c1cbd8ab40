//! What a person's browser meets who connects an integration: the link, the way back, and what neither shows.

use axum::http::header;
use serde_json::json;

use super::login::{Lines, reason, send};
use super::rooms::{Answer, DOCUMENT, World};
use crate::access::Policy;
use crate::config::Public;

/// A world with the integration `crm`; a proxy at 10.0.0.0/8 is trusted.
async fn world() -> World {
    let policy = Policy { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..Policy::default() };
    let world = World::with_policy(Public::default(), policy).await;
    assert_eq!(world.call("POST", "/v1/models?name=crm", DOCUMENT).await.status, 201);
    let fields = json!({"client_id": "me", "client_secret": "hunter2", "scope": "person"});
    world.make("/v1/integrations", &json!({"name": "crm", "model": "crm", "fields": fields})).await;
    world
}

/// Starts to connect; the link's path.
async fn start(world: &World) -> String {
    let answer = world.call("POST", "/v1/integrations/crm/connect", "").await;
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, "no-store"), "{}", answer.text);
    let started = answer.json();
    assert!(started["expires_at"].is_string() && started["attempt"].is_string(), "{started}");
    started["url"].as_str().unwrap().strip_prefix("http://127.0.0.1:8420").unwrap().to_owned()
}

/// `GET` from a browser with these headers.
async fn get(world: &World, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(world, "GET", path, "", headers, "192.0.2.1").await
}

/// The cookies that an answer sets.
fn cookies(answer: &Answer) -> Vec<&str> {
    answer.headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect()
}

/// A browser that opened the link: its cookie, and the state that the provider echoes.
async fn opened(world: &World, link: &str) -> (String, String) {
    let answer = get(world, link, &[]).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let state = answer.header("location").strip_prefix("https://idp.example/authorize?state=").unwrap().to_owned();
    (cookies(&answer)[0].split(';').next().unwrap().to_owned(), state)
}

/// What must be so of every answer to a person's browser.
#[track_caller]
fn is_private(answer: &Answer) {
    assert_eq!((answer.header("cache-control"), answer.header("referrer-policy")), ("no-store", "no-referrer"));
    if !answer.text.is_empty() {
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"), "{:?}", answer.headers);
        assert!(!answer.text.contains("<script"), "{}", answer.text);
    }
}

/// The page that every link and return gets that doesn't count.
#[track_caller]
fn is_refused(world: &World, answer: &Answer) -> String {
    is_private(answer);
    assert_eq!((answer.status.as_u16(), reason(world, answer).as_str()), (403, "return_refused"), "{}", answer.text);
    assert!(answer.text.contains("tokenhost integration connect NAME"), "{}", answer.text);
    // Alike but for the support id.
    let (before, after) = answer.text.split_once("<code>").unwrap();
    format!("{before}{}", after.split_once("</code>").unwrap().1)
}

#[tokio::test]
async fn a_browser_is_led_on_and_known_again() {
    let world = world().await;
    let link = start(&world).await;
    // Programs that look at a link first don't use it up.
    assert_eq!(send(&world, "HEAD", &link, "", &[], "192.0.2.1").await.status, 503);
    assert_eq!(get(&world, &link, &[("sec-purpose", "prefetch;prerender")]).await.status, 503);

    let led = get(&world, &link, &[]).await;
    is_private(&led);
    let set = cookies(&led);
    assert_eq!(set.len(), 2, "{set:?}");
    for (cookie, path) in set.iter().zip(["/v1/callback", "/v1/connect"]) {
        let parts: Vec<&str> = cookie.split("; ").collect();
        assert!(parts.contains(&"HttpOnly") && parts.contains(&"SameSite=Lax"), "{cookie}");
        assert!(parts.contains(&format!("Path={path}").as_str()) && !parts.contains(&"Secure"), "{cookie}");
        assert!(parts.iter().any(|part| part.starts_with("Max-Age=")), "{cookie}");
    }
    let cookie = set[0].split(';').next().unwrap();
    is_refused(&world, &get(&world, &link, &[]).await);
    let again = get(&world, &link, &[("cookie", cookie)]).await;
    assert_eq!((again.status.as_u16(), again.header("location")), (303, led.header("location")));
    let state = led.header("location").split_once('=').unwrap().1;

    let back = format!("/v1/callback?code=the-code&state={state}");
    let foreign = is_refused(&world, &get(&world, &back, &[]).await);
    let unknown = is_refused(&world, &get(&world, "/v1/callback?code=x&state=y", &[("cookie", cookie)]).await);
    let twice = is_refused(&world, &get(&world, &format!("{back}&code=x"), &[("cookie", cookie)]).await);
    assert_eq!(send(&world, "HEAD", &back, "", &[("cookie", cookie)], "192.0.2.1").await.status, 503);
    let welcomed = get(&world, &back, &[("cookie", cookie)]).await;
    is_private(&welcomed);
    assert!(welcomed.status == 200 && welcomed.text.contains("<b>crm</b> is connected"), "{}", welcomed.text);
    assert!(cookies(&welcomed).iter().all(|cookie| cookie.contains("Max-Age=0")), "{:?}", cookies(&welcomed));
    let replayed = is_refused(&world, &get(&world, &back, &[("cookie", cookie)]).await);
    for page in [&unknown, &twice, &replayed] {
        assert_eq!(page, &foreign, "refused alike");
    }
    let token = world.call("GET", "/v1/integrations/crm/token", "").await.json();
    assert_eq!(token["access_token"], "the-code");
    let audit = world.call("GET", "/v1/audit?limit=1000", "").await.text;
    assert!(audit.contains("integration.connect.return") && audit.contains("\"integration.connect\""), "{audit}");
    assert!(!audit.contains("the-code") && !audit.contains(state), "{audit}");
}

#[tokio::test]
async fn a_refusal_at_the_provider_is_told_as_text() {
    let world = world().await;
    let link = start(&world).await;
    let (cookie, state) = opened(&world, &link).await;
    let back = format!("/v1/callback?error=access_denied&error_description=%3Cscript%3Eno&state={state}");
    let told = get(&world, &back, &[("cookie", &cookie)]).await;
    is_private(&told);
    assert_eq!(told.status, 502);
    for text in
        ["access_denied: &lt;script&gt;no", "consent there", "tokenhost integration connect crm", "Attempt <code>"]
    {
        assert!(told.text.contains(text), "{text}: {}", told.text);
    }
}

#[tokio::test]
async fn behind_https_cookies_are_secure() {
    let world = world().await;
    let link = start(&world).await;
    let led = send(&world, "GET", &link, "", &[("x-forwarded-proto", "https")], "10.0.0.1").await;
    assert_eq!(cookies(&led).len(), 2);
    assert!(cookies(&led).iter().all(|cookie| cookie.contains("Secure")), "{:?}", cookies(&led));
}

#[tokio::test]
async fn no_log_tells_link_code_or_cookie() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let world = world().await;
    let link = start(&world).await;
    let (cookie, state) = opened(&world, &link).await;
    for code in ["a-code-that-counts", "a-code-that-does-not"] {
        get(&world, &format!("/v1/callback?code={code}&state={state}"), &[("cookie", &cookie)]).await;
    }
    let text = lines.text();
    assert!(text.contains("/v1/callback"), "{text}");
    let ticket = link.rsplit_once('/').unwrap().1;
    let value = cookie.split_once('=').unwrap().1;
    for secret in [ticket, &state, value, "a-code-that"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[tokio::test]
async fn how_a_token_is_tells_of_a_connection_under_way() {
    let world = world().await;
    start(&world).await;
    let status = world.call("GET", "/v1/integrations/crm/token/status", "").await.json();
    assert!(status["connecting"]["attempt"].is_string() && status["connecting"]["expires_at"].is_string(), "{status}");
    let attempts = world.call("GET", "/v1/integrations/crm/attempts", "").await.json();
    let attempt = &attempts["items"][0];
    assert_eq!(
        (&attempt["cause"], &attempt["steps"][0]["sent_to"]),
        (&json!("connect"), &json!("https://idp.example/authorize"))
    );
    assert!(attempt.get("outcome").is_none(), "{attempt}");
}
