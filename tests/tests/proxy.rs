//! Requests passed on to real services: nginx, a service in Node, and Django's protected resource. What the service sees, what
//! comes back, and what happens where one end misbehaves.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use std::path::PathBuf;
use std::process::Stdio;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokenhost_tests::client::http;
use tokenhost_tests::{Client, Daemon, Options, PATIENCE, Provider, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

/// A daemon with one integration `svc`.
struct Place {
    daemon: Daemon,
    client: Client,
    http: reqwest::Client,
}

impl Place {
    /// With an integration of this server, which gets its tokens here.
    async fn new(server: &str, token_url: &str, settings: Value) -> Self {
        let daemon = Daemon::start_with(Options::default()).await;
        let client = daemon.client();
        let flow = json!({"tokenUrl": token_url, "scopes": {}});
        let document = json!({"openapi": "3.1.0", "info": {"title": "A service", "version": "1"},
            "servers": [{"url": server}], "security": [{"oauth2": []}],
            "paths": {"/echo": {"get": {"operationId": "echo", "responses": {}}}},
            "components": {"securitySchemes": {"oauth2": {"type": "oauth2", "flows": {"clientCredentials": flow}}}}});
        client.import("svc", &document.to_string()).await;
        let fields = json!({"client_id": "me", "client_secret": "hunter2"});
        client.integrate(json!({"name": "svc", "model": "svc", "fields": fields, "settings": settings})).await;
        // Redirects are handed back: this client doesn't follow them either.
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        drop(self::http()); // sets up the cryptography
        Self { daemon, client, http: http.timeout(PATIENCE).build().unwrap() }
    }

    /// With the service in Node, below `/base`.
    async fn with(service: &Provider, settings: Value) -> Self {
        let url = service.text("/url");
        Self::new(&format!("{url}/base"), &format!("{url}/token"), settings).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}/v1/integrations/svc/proxy{path}", self.daemon.url())
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, self.url(path)).bearer_auth(self.daemon.token())
    }

    async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    /// The state of the Node service.
    async fn state(&self, service: &Provider) -> Value {
        let text =
            self.http.get(format!("{}/_state", service.text("/url"))).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Sends these bytes and reads all that comes until the daemon closes.
    async fn raw(&self, head: &str, body: &[u8]) -> String {
        let address = self.daemon.url().trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = head.replace('\n', "\r\n").replace("TOKEN", self.daemon.token());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut text = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut text)).await;
        read.unwrap_or_else(|_| panic!("not closed: {}", String::from_utf8_lossy(&text))).ok();
        String::from_utf8_lossy(&text).into_owned()
    }
}

async fn seen(response: Response) -> Value {
    let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The values of a header as the service got it.
fn header<'a>(seen: &'a Value, name: &str) -> Vec<&'a str> {
    let raw: Vec<&str> = seen["rawHeaders"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    raw.chunks(2).filter(|pair| pair[0].eq_ignore_ascii_case(name)).map(|pair| pair[1]).collect()
}

#[tokio::test]
async fn a_request_arrives_with_the_services_credentials_and_without_the_callers() {
    let service = Provider::service().await;
    let place = Place::with(&service, json!({})).await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
        let sent = place
            .request(method.parse().unwrap(), "/echo/a%2Fb/c%20d?x=%2f&y=1&y=2")
            .header("cookie", "tokenhost_session=mine")
            .header("x-forwarded-for", "1.2.3.4")
            .header("forwarded", "for=1.2.3.4")
            .header("proxy-authorization", "Basic bWU6bWU=")
            .header("connection", "x-hop")
            .header("x-hop", "one")
            .header("idempotency-key", "k-1")
            .body("hello");
        let seen = seen(sent.send().await.unwrap()).await;
        assert_eq!((&seen["method"], &seen["url"]), (&json!(method), &json!("/base/echo/a%2Fb/c%20d?x=%2f&y=1&y=2")));
        assert_eq!(seen["length"], 5, "{seen}");
        assert_eq!(header(&seen, "authorization"), ["Bearer first"]);
        assert_eq!(header(&seen, "idempotency-key"), ["k-1"]);
        assert_eq!(header(&seen, "host"), [service.text("/url").trim_start_matches("http://")]);
        assert_eq!(header(&seen, "via"), ["1.1 tokenhost"]);
        for name in
            ["cookie", "x-forwarded-for", "forwarded", "proxy-authorization", "x-hop", "auth-token", "connection"]
        {
            assert_eq!(header(&seen, name), [""; 0], "{name}: {seen}");
        }
        assert!(!seen.to_string().contains(place.daemon.token()), "{seen}");
    }
    // Node doesn't tell the length then, and no other is made up.
    let head = place.request(Method::HEAD, "/hello").send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.headers().get("content-length")), (200, None));
    let root = place.get("").await;
    assert_eq!(seen(root).await["url"], "/base/");
    // The header `Auth-Token` is as good, and no more passed on.
    let other = place.http.get(place.url("/echo")).header("auth-token", place.daemon.token()).send().await.unwrap();
    assert_eq!(header(&seen(other).await, "auth-token"), [""; 0]);
}

#[tokio::test]
async fn an_answer_comes_back_without_what_would_take_hold_of_the_daemons_origin() {
    let service = Provider::service().await;
    let place = Place::with(&service, json!({})).await;
    let answer = place.get("/cookies").await;
    for name in ["set-cookie", "strict-transport-security", "clear-site-data", "x-hop", "connection", "keep-alive"] {
        assert!(!answer.headers().contains_key(name), "{name}: {answer:?}");
    }
    for (name, value) in [
        ("content-security-policy", "sandbox"),
        ("x-content-type-options", "nosniff"),
        ("x-end", "to-end"),
        ("via", "1.1 tokenhost"),
        ("content-type", "text/html"),
    ] {
        assert_eq!(answer.headers()[name], value, "{name}");
    }
    let origin = service.text("/url");
    for (to, expected) in [
        ("/base/next?a=b", "/v1/integrations/svc/proxy/next?a=b".to_owned()),
        ("next", "/v1/integrations/svc/proxy/next".to_owned()),
        ("/login", format!("{origin}/login")),
        ("https://elsewhere.example/x", "https://elsewhere.example/x".to_owned()),
    ] {
        let answer = place.get(&format!("/redirect?to={}", to.replace('?', "%3F").replace('=', "%3D"))).await;
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["location"].to_str().unwrap()),
            (302, expected.as_str())
        );
    }
}

#[tokio::test]
async fn a_path_does_not_lead_out_of_the_base() {
    let service = Provider::service().await;
    let place = Place::with(&service, json!({})).await;
    for path in [
        "/../x",
        "/a/../../x",
        "/%2e%2e/x",
        "/a/..%2f..%2fx",
        "//evil.example/x",
        "/a\\b",
        "/%5c..",
        "/%252e%252e/x",
        "/..;/x",
    ] {
        // As it is: a client's library would resolve it first.
        let head =
            format!("GET /v1/integrations/svc/proxy{path} HTTP/1.1\nHost: x\nConnection: close\nAuth-Token: TOKEN\n\n");
        let answer = place.raw(&head, b"").await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
    }
    let head =
        "GET /v1/integrations/svc/proxy/a?auth_token=TOKEN HTTP/1.1\nHost: x\nConnection: close\nAuth-Token: TOKEN\n\n";
    assert!(place.raw(head, b"").await.starts_with("HTTP/1.1 400"));
    assert_eq!(place.state(&service).await["requests"], 0);
}

#[tokio::test]
async fn only_a_token_in_a_header_is_taken() {
    let service = Provider::service().await;
    let place = Place::with(&service, json!({})).await;
    let token = place.daemon.token().to_owned();
    let url = place.url("/echo");
    let ask = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status().as_u16();
    assert_eq!(ask(place.http.get(&url)).await, 401);
    assert!(matches!(ask(place.http.get(format!("{url}?auth_token={token}"))).await, 401 | 403));
    assert_eq!(ask(place.http.get(&url).basic_auth("x", Some(&token))).await, 403);
    let form = place.http.post(&url).header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(ask(form.body(format!("auth_token={token}"))).await, 401);
    // No token of the integration was needed for that.
    assert_eq!(place.state(&service).await["requests"], 0);
    for method in ["TRACE", "CONNECT"] {
        let head = format!(
            "{method} /v1/integrations/svc/proxy/x HTTP/1.1\nHost: x\nConnection: close\nAuth-Token: TOKEN\n\n"
        );
        let answer = place.raw(&head, b"").await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{method}: {answer}");
    }
    assert_eq!(place.state(&service).await["requests"], 0);
}

#[tokio::test]
async fn a_right_on_an_operation_lets_its_path_pass_and_no_other() {
    let service = Provider::service().await;
    let place = Place::with(&service, json!({})).await;
    let grant = json!({"rights": ["use_tokens"], "integrations": ["svc"], "operations": ["echo"]});
    place.client.post("/v1/profiles", &json!({"name": "Echo", "grants": [grant]})).await.expect(201);
    let profiles = ["Echo", "REST Services User"];
    let new = json!({"name": "caller", "profiles": profiles, "scopes": ["REST/JSON"]});
    let made = place.client.post("/v1/application-tokens", &new).await.expect(201);
    let token = made["token"].as_str().unwrap();
    for (method, path, expected) in [
        (Method::GET, "/echo", 200),
        (Method::HEAD, "/echo", 200),
        (Method::POST, "/echo", 403),
        (Method::GET, "/echo/more", 403),
        (Method::GET, "/hello", 403),
        (Method::GET, "/%65cho?x=y", 200),
    ] {
        let sent = place.http.request(method.clone(), place.url(path)).bearer_auth(token).send().await.unwrap();
        assert_eq!(sent.status().as_u16(), expected, "{method} {path}");
    }
}

#[tokio::test]
async fn framing_that_can_be_read_in_two_ways_smuggles_nothing() {
    let service = Provider::service().await;
    let place = Place::with(&service, json!({})).await;
    place.get("/echo").await; // the token is there
    let before = place.state(&service).await["requests"].as_u64().unwrap();
    let line = "POST /v1/integrations/svc/proxy/echo HTTP/1.1\nHost: x\nAuth-Token: TOKEN\n";
    let smuggled = b"0\r\n\r\nGET /v1/integrations/svc/proxy/smuggled HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let length = smuggled.len();
    for (name, head, refused) in [
        ("two lengths", format!("{line}Content-Length: 5\nContent-Length: {length}\n\n"), true),
        ("a list of lengths", format!("{line}Content-Length: 5, {length}\n\n"), true),
        ("a signed length", format!("{line}Content-Length: +{length}\n\n"), true),
        ("a folded line", format!("{line}X-A: b\n Transfer-Encoding: chunked\nContent-Length: 5\n\n"), true),
        ("a space before the colon", format!("{line}Transfer-Encoding : chunked\nContent-Length: 5\n\n"), true),
        ("a line without a name", format!("{line}: x\n\n"), true),
        ("another last coding", format!("{line}Transfer-Encoding: chunked, gzip\n\n"), true),
        ("an unknown coding", format!("{line}Transfer-Encoding: xchunked\n\n"), true),
        ("length, then chunks", format!("{line}Content-Length: {length}\nTransfer-Encoding: chunked\n\n"), false),
        ("chunks, then length", format!("{line}Transfer-Encoding: chunked\nContent-Length: {length}\n\n"), false),
    ] {
        let address = place.daemon.url().trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = head.replace('\n', "\r\n").replace("TOKEN", place.daemon.token());
        stream.write_all(head.as_bytes()).await.unwrap();
        drop(stream.write_all(smuggled).await);
        // What the daemon takes for a request of its own has no token, and isn't the service's.
        let mut text = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut text)).await.unwrap().ok();
        let text = String::from_utf8_lossy(&text).into_owned();
        match refused {
            true => assert!(text.starts_with("HTTP/1.1 400"), "{name}: {text}"),
            // Chunks count; the body is empty, and goes on as such.
            false => assert!(text.starts_with("HTTP/1.1 200") && text.contains("\"length\":0"), "{name}: {text}"),
        }
        assert!(!text.contains("/smuggled\""), "{name}: {text}");
    }
    assert_eq!(place.state(&service).await["requests"].as_u64().unwrap(), before + 2);
}

#[tokio::test]
async fn a_refused_token_is_renewed_and_the_request_sent_once_more() {
    let service = Provider::service().await;
    let place = Place::with(&service, json!({})).await;
    // Of announced length, in pieces of unknown length, and none: each is sent again.
    let answer = seen(place.request(Method::POST, "/guarded").body("hello").send().await.unwrap()).await;
    assert_eq!((&answer["length"], header(&answer, "authorization")), (&json!(5), vec!["Bearer second"]));
    assert_eq!(place.state(&service).await["requests"], 4, "two for tokens, two for it");
    let status = place.client.status("svc").await;
    assert_eq!(status["generation"], 2, "{status}");

    let service = Provider::service().await;
    let place = Place::with(&service, json!({})).await;
    let pieces = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"hel")), Ok(Bytes::from_static(b"lo"))]);
    let sent = place.request(Method::POST, "/guarded").body(reqwest::Body::wrap_stream(pieces));
    let answer = seen(sent.send().await.unwrap()).await;
    assert_eq!((&answer["length"], header(&answer, "authorization")), (&json!(5), vec!["Bearer second"]));

    // What is too long to be kept goes out once; the next request has the new token.
    let service = Provider::service().await;
    let place = Place::with(&service, json!({})).await;
    let long = vec![b'x'; 100_000];
    let refused = place.request(Method::POST, "/guarded").body(long.clone()).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.text().await.unwrap().as_str()), (401, "{\"error\":\"expired\"}"));
    assert_eq!(seen(place.get("/guarded").await).await["method"], "GET");
    let sent = place.request(Method::POST, "/guarded").body(long).send().await.unwrap();
    assert_eq!(seen(sent).await["length"], 100_000);
}

#[tokio::test]
async fn djangos_resource_is_had_with_a_token_that_was_revoked() {
    let provider = Provider::django(&[]).await;
    let daemon = Daemon::start().await;
    let client = daemon.client();
    client.import("crm", &provider.document().await).await;
    let fields = json!({
        "client_id": provider.text("/clients/client_credentials/client_id"),
        "client_secret": provider.text("/clients/client_credentials/client_secret"),
        "scope": "crm.read",
    });
    client.integrate(json!({"name": "crm", "model": "crm", "scheme": "machine", "fields": fields})).await;
    let contacts = client.get("/v1/integrations/crm/proxy/contacts").await.expect(200);
    assert!(contacts.as_array().is_some_and(|list| !list.is_empty()), "{contacts}");

    let token = client.token("crm").await.expect(200);
    let form = format!(
        "token={}&client_id={}&client_secret={}",
        token["access_token"].as_str().unwrap(),
        fields["client_id"].as_str().unwrap(),
        fields["client_secret"].as_str().unwrap()
    );
    let revoked =
        http().post(provider.text("/revocation_url")).header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(revoked.body(form).send().await.unwrap().status(), 200);
    assert_eq!(provider.whoami(token["access_token"].as_str().unwrap()).await.0, 401);

    assert_eq!(client.get("/v1/integrations/crm/proxy/contacts").await.expect(200), contacts);
    assert_eq!(client.token("crm").await.expect(200)["generation"], 2);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_seen_to_break_off() {
    let service = Provider::service().await;
    let place = Place::with(&service, json!({})).await;
    for path in ["/dies", "/dies/chunked"] {
        // Where the service is quick to die, not even the head may have gone out.
        let Ok(answer) = place.request(Method::GET, path).send().await else { continue };
        assert_eq!(answer.status(), 200);
        let text = answer.text().await;
        assert!(text.is_err(), "{path}: {text:?}");
    }
    let answer = place.get("/dies/at-once").await;
    assert_eq!(answer.status(), 502);
    assert!(!answer.headers().contains_key("via"));
    let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(problem["code"], "service_unreachable");
    assert!(problem["detail"].as_str().unwrap().starts_with(service.text("/url")), "{problem}");
}

#[tokio::test]
async fn a_caller_who_goes_away_ends_the_services_work() {
    let service = Provider::service().await;
    let place = Place::with(&service, json!({})).await;
    let mut events = place.get("/events").await.bytes_stream();
    // Events come while the answer goes on.
    let mut text = String::new();
    while !text.contains("data: 2\n\n") {
        text += std::str::from_utf8(&events.next().await.unwrap().unwrap()).unwrap();
    }
    assert!(text.starts_with("data: 0\n\n"), "{text}");
    drop(events);
    let gone = async || (place.state(&service).await["aborted"] == 1).then_some(());
    eventually("the service sees that the caller is gone", gone).await;
}

#[tokio::test]
async fn a_websocket_passes() {
    let service = Provider::service().await;
    let place = Place::with(&service, json!({})).await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/providers/service/websocket.mjs");
    let connect = async |path: &str, token: &str| {
        let url = place.url(path).replace("http://", "ws://");
        let output = Command::new("node").args([script, &url, token]).kill_on_drop(true).output().await.unwrap();
        serde_json::from_slice::<Value>(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
    };
    let told = connect("/socket", place.daemon.token()).await;
    assert_eq!(told, json!({"seen": ["ping", "binary 1000000 true"], "code": 1000}));
    assert_eq!(connect("/socket", "tha_wrong").await, json!({"status": 401}));
}

#[tokio::test]
async fn a_failing_service_is_given_a_rest_and_says_when_to_come_again() {
    let service = Provider::service().await;
    let place = Place::with(&service, json!({"calls": {"breaker": {"failures": 2, "seconds": 60}}})).await;
    let state = async || place.client.get("/v1/integrations/svc").await.expect(200)["service"].clone();
    assert_eq!(state().await, json!({"state": "closed", "failures": 0, "in_flight": 0}));
    for _ in 0..2 {
        assert_eq!(place.get("/fails").await.status(), 500);
    }
    let answer = place.get("/hello").await;
    assert_eq!(answer.status(), 503);
    let after: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((50..=60).contains(&after), "{after}");
    let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(problem["code"], "service_unavailable");
    let shown = state().await;
    assert_eq!((&shown["state"], &shown["failures"]), (&json!("open"), &json!(2)), "{shown}");
    assert!(shown["retry_at"].is_string(), "{shown}");
    let status = place.client.get("/v1/status").await.expect(200);
    assert_eq!(status["attention"][0]["kind"], "service_unavailable", "{status}");
    let told = eventually("an event", async || {
        let page = place.client.get("/v1/events?kind=service.unavailable").await.expect(200);
        Some(page["items"][0].clone()).filter(Value::is_object)
    });
    assert_eq!(told.await["integration"], "svc");

    let place = Place::with(&service, json!({})).await;
    assert_eq!(place.get("/busy").await.status(), 503);
    let asked = place.state(&service).await["requests"].clone();
    let held = place.get("/hello").await;
    assert_eq!(held.status(), 503);
    assert!(!held.headers().contains_key("via"), "the daemon's own");
    assert_eq!(place.state(&service).await["requests"], asked, "the service isn't asked");
}

#[tokio::test]
async fn limits_of_an_integration_hold() {
    let service = Provider::service().await;
    let place = Place::with(&service, json!({"calls": {"rate": {"requests": 2, "seconds": 60}}})).await;
    for expected in [200, 200, 429] {
        assert_eq!(place.get("/hello").await.status(), expected);
    }
    let settings = json!({"calls": {"rate": null}});
    let changed = place.client.call("PATCH", "/v1/integrations/svc", &json!({"settings": settings})).await;
    changed.expect(200);
    assert_eq!(place.get("/hello").await.status(), 200);
}

/// The resident memory of a process, in bytes.
fn resident(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn bodies_of_any_size_take_no_memory() {
    const SIZE: u64 = 1 << 30;
    let service = Provider::service().await;
    let place = Place::with(&service, json!({})).await;
    place.get("/hello").await;
    let before = resident(place.daemon.pid());
    let mut most = before;

    // Down, read slowly at first: what isn't read isn't fetched.
    let mut answer = place.get(&format!("/zeros?bytes={SIZE}")).await.bytes_stream();
    let mut got = 0;
    while let Some(piece) = answer.next().await {
        got += piece.unwrap().len() as u64;
        if got % (64 << 20) < 65_536 {
            most = most.max(resident(place.daemon.pid()));
        }
    }
    assert_eq!(got, SIZE);

    // Up.
    let piece = Bytes::from(vec![7; 1 << 20]);
    let mut digest = Sha256::new();
    for _ in 0..SIZE >> 20 {
        digest.update(&piece);
    }
    let pid = place.daemon.pid();
    let sampled = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let sampling = std::sync::Arc::clone(&sampled);
    let pieces = stream::iter(0..SIZE >> 20).map(move |_| {
        sampling.fetch_max(resident(pid), std::sync::atomic::Ordering::Relaxed);
        Ok::<_, std::io::Error>(piece.clone())
    });
    let sent = place.request(Method::POST, "/echo").body(reqwest::Body::wrap_stream(pieces)).send().await.unwrap();
    let seen = seen(sent).await;
    let expected: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((&seen["length"], &seen["sha256"]), (&json!(SIZE), &json!(expected)));
    most = most.max(sampled.load(std::sync::atomic::Ordering::Relaxed));
    assert!(most < before + (48 << 20), "{} MiB more", (most - before) >> 20);
}

/// nginx, from the path or from where Debian puts it.
fn nginx() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.map(|folder| folder.join("nginx")).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("there is no nginx: run `make tools`"))
}

#[tokio::test]
async fn nginx_serves_files_and_ranges_through_it() {
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let file: Vec<u8> = (0..10 << 20).map(|number: u32| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::create_dir(folder.path().join("files")).unwrap();
    std::fs::write(folder.path().join("files/big"), &file).unwrap();
    let names = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = names.map(|name| format!("{name}_temp_path {name};\n")).concat();
    let root = folder.path().display();
    let settings = format!(
        "daemon off;\nmaster_process off;\npid pid;\nevents {{}}\nhttp {{\naccess_log off;\ngzip on;\n{temporary}\
         server {{ listen 127.0.0.1:{port}; root {root}; keepalive_requests 3; }}\n}}\n"
    );
    std::fs::write(folder.path().join("nginx.conf"), settings).unwrap();
    let mut command = Command::new(nginx());
    command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "error.log"]).stdin(Stdio::null());
    let _nginx = command.stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    eventually("nginx", async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;

    let service = Provider::service().await;
    let place =
        Place::new(&format!("http://127.0.0.1:{port}"), &format!("{}/token", service.text("/url")), json!({})).await;
    // More often than nginx keeps a connection.
    for _ in 0..5 {
        let answer = place.get("/files/big").await;
        assert_eq!((answer.status().as_u16(), answer.content_length()), (200, Some(10 << 20)));
        assert_eq!(Sha256::digest(answer.bytes().await.unwrap()), Sha256::digest(&file));
    }
    let range = place.request(Method::GET, "/files/big").header("range", "bytes=1000-1999").send().await.unwrap();
    assert_eq!(
        (range.status().as_u16(), &range.headers()["content-range"]),
        (206, &"bytes 1000-1999/10485760".parse().unwrap())
    );
    assert_eq!(range.bytes().await.unwrap(), &file[1000..2000]);
    let etag = place.get("/files/big").await.headers()["etag"].clone();
    let known = place.request(Method::GET, "/files/big").header("if-none-match", etag).send().await.unwrap();
    assert_eq!((known.status().as_u16(), known.text().await.unwrap().as_str()), (304, ""));
    let head = place.request(Method::HEAD, "/files/big").send().await.unwrap();
    assert_eq!(head.headers()["content-length"], "10485760");
    assert_eq!(place.get("/files/none").await.status(), 404);
    // A folder leads to itself with a slash, through the proxy.
    let moved = place.get("/files").await;
    assert_eq!(moved.headers()["location"], "/v1/integrations/svc/proxy/files/");
}
