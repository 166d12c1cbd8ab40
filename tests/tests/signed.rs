//! Requests that the daemon signs, held by services that nobody here wrote or that compute signatures their own way: HTTP Digest
//! by Apache httpd, AWS Signature Version 4 by a verifier that shares nothing with the daemon. And keys that just stand somewhere.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use std::collections::BTreeMap;
use std::net::TcpListener as StdListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokenhost_tests::client::http;
use tokenhost_tests::{Client, Daemon, PATIENCE, eventually};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// Where Debian has httpd's modules.
const MODULES: &str = "/usr/lib/apache2/modules";

/// A document of a service with one scheme, which every operation needs.
fn document(server: &str, scheme: &Value) -> String {
    let operation = |id: &str| json!({"operationId": id, "responses": {"200": {"description": "d"}}});
    let mut other = operation("other");
    other["parameters"] = json!([{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
        {"name": "q", "in": "query", "schema": {"type": "string"}}]);
    json!({
        "openapi": "3.1.0", "info": {"title": "A service", "version": "1"}, "servers": [{"url": server}],
        "security": [{"main": []}],
        "components": {"securitySchemes": {"main": scheme}},
        "paths": {"/a.txt": {"get": operation("read"), "post": operation("write")}, "/b/{id}": {"get": other}},
    })
    .to_string()
}

/// Makes the model and the integration `it`.
async fn integrate(client: &Client, server: &str, scheme: &Value, fields: Value) -> Value {
    client.import("it", &document(server, scheme)).await;
    client.integrate(json!({"name": "it", "model": "it", "fields": fields})).await
}

/// What the daemon adds to a request.
async fn authorize(client: &Client, ask: Value) -> (HeaderMap, Value) {
    let answer = client.post("/v1/integrations/it/authorize", &ask).await.expect(200);
    let headers = answer["headers"].as_object().unwrap().iter();
    let header = |(name, value): (&String, &Value)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value.as_str().unwrap()).unwrap())
    };
    (headers.map(header).collect(), answer)
}

/// A running httpd with a user `admin`. It ends when it is dropped.
struct Httpd {
    url: String,
    _child: Child,
    _folder: tempfile::TempDir,
}

impl Httpd {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // It gives up being root, where it is, and still has to read.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let port = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let modules: String = [
            ("mpm_event", "mpm_event"),
            ("authn_core", "authn_core"),
            ("authn_file", "authn_file"),
            ("authz_core", "authz_core"),
            ("authz_user", "authz_user"),
            ("auth_digest", "auth_digest"),
        ]
        .map(|(name, file)| format!("LoadModule {name}_module {MODULES}/mod_{file}.so\n"))
        .concat();
        let configuration = format!(
            "ServerName localhost\nListen 127.0.0.1:{port}\nPidFile pid\nErrorLog error.log\nUser www-data\nGroup www-data\n{modules}\
             DocumentRoot files\n<Location \"/\">\nAuthType Digest\nAuthName camera\nAuthDigestProvider file\n\
             AuthUserFile users\nRequire valid-user\n</Location>\n"
        );
        std::fs::create_dir(folder.path().join("files")).unwrap();
        std::fs::write(folder.path().join("files/a.txt"), "a picture").unwrap();
        std::fs::write(folder.path().join("httpd.conf"), configuration).unwrap();
        // MD5 of `admin:camera:open sesame`.
        std::fs::write(folder.path().join("users"), "admin:camera:011addda04e2fd086a43a35768f6d0db\n").unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
        let found: Option<PathBuf> = folders.map(|folder| folder.join("apache2")).find(|path| path.is_file());
        let mut command = Command::new(found.unwrap_or_else(|| panic!("there is no apache2: run `make tools`")));
        command.arg("-X").arg("-d").arg(folder.path()).args(["-f", "httpd.conf"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let listening = async || TcpStream::connect(("127.0.0.1", port)).await.ok();
        let waiting = tokio::time::timeout(PATIENCE / 2, eventually("httpd", listening)).await;
        let log = || std::fs::read_to_string(folder.path().join("error.log")).unwrap_or_default();
        assert!(waiting.is_ok(), "httpd doesn't listen: {}", log());
        Self { url: format!("http://127.0.0.1:{port}"), _child: child, _folder: folder }
    }

    /// Asks for the file: the status, and the challenge if there is one.
    async fn ask(&self, headers: HeaderMap) -> (u16, Option<String>) {
        let answer = http().get(format!("{}/a.txt", self.url)).headers(headers).send().await.unwrap();
        let challenge = answer.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), challenge)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn digest_is_answered_as_httpd_wants_it() {
    let (daemon, httpd) = (Daemon::start().await, Httpd::start().await);
    let client = daemon.client();
    let scheme = json!({"type": "http", "scheme": "digest"});
    let made = integrate(&client, &httpd.url, &scheme, json!({"username": "admin", "password": "open sesame"})).await;
    assert_eq!(made["flow"], "http-digest", "{made}");

    // Nothing is known before the service asks.
    let (headers, _) = authorize(&client, json!({"operation_id": "read"})).await;
    assert!(headers.is_empty(), "{headers:?}");
    let (status, challenge) = httpd.ask(headers).await;
    assert_eq!(status, 401);
    let (headers, _) = authorize(&client, json!({"operation_id": "read", "challenge": challenge})).await;
    assert_eq!(httpd.ask(headers.clone()).await.0, 200, "{headers:?}");
    // The challenge is kept, and its count grows.
    for count in ["nc=00000002", "nc=00000003"] {
        let (headers, _) = authorize(&client, json!({"operation_id": "read"})).await;
        assert!(headers["authorization"].to_str().unwrap().contains(count), "{headers:?}");
        assert_eq!(httpd.ask(headers).await.0, 200);
    }

    // Calls and the proxy answer by themselves; what is known needn't be asked again.
    let call = async || {
        let answer = client.post("/v1/integrations/it/call", &json!({"operation_id": "read"})).await.expect(200);
        (answer["status"].clone(), answer["body"].clone(), answer["done"]["attempts"].clone())
    };
    assert_eq!(call().await, (json!(200), json!("a picture"), json!(1)));
    let proxied = http().get(format!("{}/v1/integrations/it/proxy/a.txt", daemon.url())).bearer_auth(daemon.token());
    assert_eq!(proxied.send().await.unwrap().text().await.unwrap(), "a picture");
    let fields = json!({"username": "admin", "password": "open sesame"});
    client.integrate(json!({"name": "fresh", "model": "it", "fields": fields})).await;
    for attempts in [2, 1] {
        let ask = json!({"operation_id": "read"});
        let answer = client.post("/v1/integrations/fresh/call", &ask).await.expect(200);
        assert_eq!((&answer["status"], &answer["done"]["attempts"]), (&json!(200), &json!(attempts)), "{answer}");
    }

    // Another password counts at once, here a wrong one.
    let change = json!({"fields": {"password": "open barley"}});
    client.call("PATCH", "/v1/integrations/it", &change).await.expect(200);
    let (_, challenge) = httpd.ask(HeaderMap::new()).await;
    let (headers, _) = authorize(&client, json!({"operation_id": "read", "challenge": challenge})).await;
    assert_eq!(httpd.ask(headers).await.0, 401);
    let (status, _, attempts) = call().await;
    assert_eq!(status, 401);
    assert!(attempts.as_u64() <= Some(2), "{attempts}");
}

/// The made-up key of AWS's documentation.
const KEY: (&str, &str) = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");

/// What a request has to be signed with, computed as AWS's documentation tells it, step by step.
fn expected(method: &str, path: &str, query: &str, headers: &HeaderMap, body: &[u8]) -> Result<(), String> {
    let authorization = headers.get("authorization").ok_or("no authorization")?.to_str().unwrap();
    let rest = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("another scheme")?;
    let members: BTreeMap<&str, &str> = rest.split(", ").filter_map(|member| member.split_once('=')).collect();
    let credential: Vec<&str> = members["Credential"].split('/').collect();
    let [key, day, region, service, "aws4_request"] = credential[..] else { return Err("no scope".to_owned()) };
    if (key, region, service) != (KEY.0, "eu-central-1", "sqs") {
        return Err(format!("the scope {credential:?}"));
    }
    let mut canonical = String::new();
    for name in members["SignedHeaders"].split(';') {
        let value = headers.get(name).ok_or(format!("no header {name}"))?.to_str().unwrap();
        canonical += &format!("{name}:{}\n", value.trim());
    }
    let mut pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    pairs.sort_unstable();
    let request = format!(
        "{method}\n{}\n{}\n{canonical}\n{}\n{}",
        path.replace('%', "%25"),
        pairs.join("&"),
        members["SignedHeaders"],
        // A body that streams is signed as such.
        match headers.get("x-amz-content-sha256").map(|value| value.to_str().unwrap()) {
            Some("UNSIGNED-PAYLOAD") => "UNSIGNED-PAYLOAD".to_owned(),
            _ => hex(&Sha256::digest(body)),
        }
    );
    let moment = headers.get("x-amz-date").ok_or("no date")?.to_str().unwrap();
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{moment}\n{scope}\n{}", hex(&Sha256::digest(&request)));
    let mut secret = format!("AWS4{}", KEY.1).into_bytes();
    for part in [day, region, service, "aws4_request", &text] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
        mac.update(part.as_bytes());
        secret = mac.finalize().into_bytes().to_vec();
    }
    if hex(&secret) == members["Signature"] { Ok(()) } else { Err(format!("another signature; signed was\n{request}")) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What arrived at a service: method, path, query, and whether it is signed as AWS wants it.
type Arrived = Arc<Mutex<Vec<(String, Result<(), String>)>>>;

/// A service that verifies signatures, and its URL.
async fn verifier() -> (String, Arrived) {
    let arrived = Arrived::default();
    let keep = Arc::clone(&arrived);
    let app = axum::Router::new().fallback(move |request: axum::extract::Request| async move {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default().to_owned());
        let verdict = expected(parts.method.as_str(), &path, &query, &parts.headers, &body);
        let status = if verdict.is_ok() { axum::http::StatusCode::OK } else { axum::http::StatusCode::FORBIDDEN };
        keep.lock().unwrap().push((format!("{} {path}?{query}", parts.method), verdict));
        status
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, arrived)
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_signatures_hold_before_another_implementation() {
    let daemon = Daemon::start().await;
    let client = daemon.client();
    let (service, arrived) = verifier().await;
    // As API Gateway exports it.
    let scheme =
        json!({"type": "apiKey", "in": "header", "name": "Authorization", "x-amazon-apigateway-authtype": "awsSigv4"});
    let fields =
        json!({"access_key_id": KEY.0, "secret_access_key": KEY.1, "region": "eu-central-1", "service": "sqs"});
    let made = integrate(&client, &service, &scheme, fields).await;
    assert_eq!(made["flow"], "aws-sigv4", "{made}");

    let ask = json!({"method": "GET", "path": "/a.txt", "query": "b=x%20y&a=1"});
    let (headers, answer) = authorize(&client, ask).await;
    let url = format!("{}?b=x%20y&a=1", answer["url"].as_str().unwrap());
    assert_eq!(http().get(url).headers(headers).send().await.unwrap().status(), 200, "{:?}", arrived.lock().unwrap());

    let body = "Action=ListQueues";
    let content_type = "application/x-www-form-urlencoded";
    let ask = json!({"operation_id": "write", "body_sha256": hex(&Sha256::digest(body)),
        "headers": {"content-type": content_type, "x-amz-target": "t"}});
    let (headers, answer) = authorize(&client, ask).await;
    let send = async |body: &'static str| {
        let request = http().post(answer["url"].as_str().unwrap()).headers(headers.clone()).body(body);
        request.header("content-type", content_type).header("x-amz-target", "t").send().await.unwrap().status()
    };
    assert_eq!(send(body).await, 200, "{:?}", arrived.lock().unwrap());
    assert_eq!(send("Action=DeleteQueue").await, 403);

    // Calls and the proxy sign what they send.
    let ask = json!({"operation_id": "other", "parameters": {"id": "x y/ä", "q": "1+1=2&"}});
    let answer = client.post("/v1/integrations/it/call", &ask).await.expect(200);
    assert_eq!(answer["status"], 200, "{:?}", arrived.lock().unwrap().last());
    let url = format!("{}/v1/integrations/it/proxy/b/%7E%20?b=2&a=1%20x", daemon.url());
    let request = http().post(url).bearer_auth(daemon.token()).header("content-type", "text/plain").body("hello");
    assert_eq!(request.send().await.unwrap().status(), 200, "{:?}", arrived.lock().unwrap().last());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_stand_where_the_document_says_and_a_new_one_counts_at_once() {
    let daemon = Daemon::start().await;
    let client = daemon.client();
    let server = "http://127.0.0.1:9/base";
    let read = json!({"operation_id": "read"});
    let check = async |scheme: Value, fields: Value, expected: Value| {
        let made = integrate(&client, server, &scheme, fields).await;
        let (_, answer) = authorize(&client, read.clone()).await;
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&answer[name], value, "{} {answer}", made["flow"]);
        }
        let token = client.token("it").await;
        assert_eq!((token.status, &token.json()["code"]), (409, &json!("no_token_value")), "{}", token.text);
        client.call("DELETE", "/v1/integrations/it", &Value::Null).await.expect(204);
        client.call("DELETE", "/v1/models/it", &Value::Null).await.expect(204);
    };
    let key = |place: &str, name: &str| json!({"type": "apiKey", "in": place, "name": name});
    let secret = || json!({"api_key": "k 1"});
    check(key("header", "x-key"), secret(), json!({"headers": {"x-key": "k 1"}})).await;
    check(key("query", "key"), secret(), json!({"headers": {}, "query": {"key": "k 1"}})).await;
    check(key("cookie", "sid"), secret(), json!({"headers": {}, "cookies": {"sid": "k 1"}})).await;
    let basic = json!({"type": "http", "scheme": "Basic"});
    let ada = json!({"username": "Aladdin", "password": "open sesame"});
    let expected = json!({"headers": {"authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}});
    check(basic, ada, expected).await;
    let bearer = json!({"type": "http", "scheme": "bearer"});
    check(bearer, json!({"token": "t"}), json!({"headers": {"authorization": "Bearer t"}})).await;
    check(json!({"type": "mutualTLS"}), json!({}), json!({"headers": {}, "query": {}, "cookies": {}})).await;

    integrate(&client, server, &key("header", "x-key"), json!({"api_key": "old"})).await;
    let (before, _) = authorize(&client, read.clone()).await;
    client.call("PATCH", "/v1/integrations/it", &json!({"fields": {"api_key": "new"}})).await.expect(200);
    let (after, _) = authorize(&client, read).await;
    assert_eq!((before["x-key"].as_bytes(), after["x-key"].as_bytes()), (b"old".as_slice(), b"new".as_slice()));
}
