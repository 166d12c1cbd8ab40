//! Providers that misbehave: each kind ends in the problem that is documented for it, in bounded time, and the daemon goes
//! on. And those that only have quirks, from which a token is got all the same.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokenhost_tests::mock::{answer, json as ok};
use tokenhost_tests::{Act, Client, Daemon, Mock, eventually};
use tokio::task::JoinSet;

/// An integration of the client-credentials flow with this token URL, by a name of its own.
async fn integrate(client: &Client, name: &str, token_url: &str, transport: Value) {
    client.import_oauth(name, token_url).await;
    let fields = json!({"client_id": "me", "client_secret": "secret-of-mine"});
    let new =
        json!({"name": name, "model": name, "flow": "client-credentials", "fields": fields, "transport": transport});
    client.integrate(new).await;
}

/// What a caller is told, and then everybody who asks how the token is: code, message, field.
async fn failure(client: &Client, name: &str) -> (Value, String, Option<String>) {
    let problem = client.token(name).await;
    let told = problem.expect(503);
    assert_eq!(problem.header("content-type"), "application/problem+json");
    assert!(problem.header("retry-after").parse::<u64>().unwrap() >= 1, "{told}");
    assert!(told["code"] == "token_failed" || told["code"] == "token_pending", "{told}");
    // Who asks a moment before the limit is told that the attempt still goes on.
    let failure = eventually("the failure", async || client.status(name).await.get("failure").cloned()).await;
    if told["code"] == "token_failed" {
        assert_eq!((&told["reason"], told.get("field")), (&failure["code"], failure.get("field")), "{told} {failure}");
    }
    let field = failure.get("field").map(|field| field.as_str().unwrap().to_owned());
    (failure["code"].clone(), failure["message"].as_str().unwrap().to_owned(), field)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_misbehaviour_has_its_problem_and_harms_nobody_else() {
    let token = json!({"access_token": "a-token", "expires_in": 3600});
    let cases: Vec<(&str, Vec<Act>, &str, &str, Option<&str>)> = vec![
        ("hang", vec![Act::Hang], "no_answer", "was silent for 15s", Some("token_url")),
        (
            "trickling-head",
            vec![Act::Trickle(b"HTTP/1.1 200 OK\r\nx-y: z\r\n".repeat(100), Duration::from_millis(100))],
            "no_answer",
            "15s",
            Some("token_url"),
        ),
        (
            "trickling-body",
            vec![
                Act::Write(b"HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\n".to_vec()),
                Act::Trickle(vec![b' '; 9000], Duration::from_millis(100)),
            ],
            "no_answer",
            "no complete answer within 30s",
            Some("token_url"),
        ),
        ("reset", vec![Act::Reset], "no_answer", "broke off", Some("token_url")),
        (
            "reset-half-way",
            vec![
                Act::Write(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"access_token\":\"half".to_vec()),
                Act::Reset,
            ],
            "no_answer",
            "broke off",
            Some("token_url"),
        ),
        (
            "truncated",
            vec![Act::Write(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"access_token\":\"half".to_vec())],
            "no_answer",
            "broke off",
            Some("token_url"),
        ),
        (
            "no-http",
            vec![Act::Write(b"220 mail.example ESMTP\r\n".to_vec())],
            "no_answer",
            "no proper HTTP",
            Some("token_url"),
        ),
        ("error-500", answer(500, &[], "oops"), "http_500", "HTTP 500", None),
        ("error-503", answer(503, &[("retry-after", "33")], ""), "http_503", "HTTP 503", None),
        ("error-429", answer(429, &[("retry-after", "77")], ""), "http_429", "HTTP 429", None),
        (
            "html",
            answer(200, &[("content-type", "text/html")], "<html>Sign in</html>"),
            "invalid_response",
            "a web page",
            Some("token_url"),
        ),
        ("html-403", answer(403, &[("content-type", "text/html")], "<html>WAF</html>"), "http_403", "HTTP 403", None),
        ("empty", answer(200, &[], ""), "invalid_response", "an empty body", Some("token_url")),
        ("too-large", answer(200, &[], vec![b' '; 2 << 20]), "no_answer", "more than 1572864 bytes", Some("token_url")),
        (
            "many-headers",
            answer(200, &[("x-long", &"x".repeat(80_000))], token.to_string()),
            "no_answer",
            "",
            Some("token_url"),
        ),
        (
            "bad-gzip",
            answer(200, &[("content-encoding", "gzip")], "no gzip"),
            "no_answer",
            "can't be decompressed",
            Some("token_url"),
        ),
        (
            "redirect",
            answer(302, &[("location", "/elsewhere")], ""),
            "redirected",
            "redirects are not followed",
            Some("token_url"),
        ),
        (
            "refused",
            ok(401, &json!({"error": "invalid_client", "error_description": "who?"})),
            "invalid_client",
            "who?",
            Some("client_secret"),
        ),
        (
            "no-token",
            ok(200, &json!({"hello": "world"})),
            "invalid_response",
            "no access_token; it has hello",
            Some("token_url"),
        ),
    ];
    let script = cases.clone();
    let good = token.clone();
    let mock = Mock::start(move |seen| match script.iter().find(|case| seen.target == format!("/{}", case.0)) {
        Some((_, acts, ..)) => acts.clone(),
        None => ok(200, &good),
    })
    .await;
    let mut daemon = Daemon::start().await;
    let client = daemon.client();
    let mut running = JoinSet::new();
    for (name, _, code, part, field) in cases {
        integrate(&client, name, &format!("{}/{name}", mock.url), json!({})).await;
        let client = client.clone();
        running.spawn(async move {
            let (told, message, at) = failure(&client, name).await;
            let right = told == code && message.contains(part) && at.as_deref() == field;
            (!right).then(|| format!("{name}: {told} {message:?} {at:?}, not {code} {part:?} {field:?}"))
        });
    }
    // While some of them still hang, another integration gets its token.
    integrate(&client, "good", &format!("{}/good", mock.url), json!({})).await;
    client.token("good").await.expect(200);
    assert!(!running.is_empty());
    let mut wrong = Vec::new();
    while let Some(outcome) = running.join_next().await {
        wrong.extend(outcome.unwrap());
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let asked: u64 = client.token("error-429").await.header("retry-after").parse().unwrap();
    assert!((30..=77).contains(&asked), "{asked}");
    assert!(mock.seen().iter().all(|seen| seen.target != "/elsewhere"));
    client.token("good").await.expect(200);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_certificate_is_refused_and_a_trusted_one_works() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (pem, der) = (made.cert.pem(), made.cert.der().clone());
    let key = tokio_rustls::rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    drop(tokio_rustls::rustls::crypto::ring::default_provider().install_default());
    let config = tokio_rustls::rustls::ServerConfig::builder().with_no_client_auth();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config.with_single_cert(vec![der], key).unwrap()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            if tokenhost_tests::mock::read(&mut stream).await.is_some() {
                for act in ok(200, &json!({"access_token": "over-tls"})) {
                    drop(tokenhost_tests::mock::perform(&mut stream, act).await);
                }
            }
            drop(tokio::io::AsyncWriteExt::shutdown(&mut stream).await);
        }
    });
    let daemon = Daemon::start().await;
    let client = daemon.client();
    let url = format!("https://localhost:{port}/token");
    integrate(&client, "wrong", &url, json!({})).await;
    let (code, message, field) = failure(&client, "wrong").await;
    assert_eq!((code, field.as_deref()), (json!("no_answer"), Some("transport.ca")), "{message}");
    assert!(message.contains("TLS") && message.contains("certificate"), "{message}");
    integrate(&client, "trusted", &url, json!({"ca": pem})).await;
    assert_eq!(client.token("trusted").await.expect(200)["access_token"], "over-tls");
    // The right authority, and another name than the certificate's.
    integrate(&client, "other-name", &format!("https://127.0.0.1:{port}/token"), json!({"ca": pem})).await;
    let (_, message, field) = failure(&client, "other-name").await;
    assert!(message.contains("TLS") && field.as_deref() == Some("transport.ca"), "{message}");
    server.abort();
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// An answer, and what is to be seen of its token: type, life in seconds, scope.
type Quirk = (&'static str, Vec<Act>, &'static str, Option<u64>, Option<&'static str>);

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_got_in_spite_of_every_quirk() {
    let with = |more: Value| {
        let mut body = json!({"access_token": "t", "token_type": "Bearer"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ok(200, &body)
    };
    let text = |kind: &str, body: &str| answer(200, &[("content-type", kind)], body);
    let soon = now_in_seconds() + 1000;
    let quirks: Vec<Quirk> = vec![
        ("number-as-string", with(json!({"expires_in": "1000"})), "Bearer", Some(1000), None),
        ("fraction", with(json!({"expires_in": 1000.9})), "Bearer", Some(1000), None),
        ("no-expiry", with(json!({})), "Bearer", None, None),
        ("null-expiry", with(json!({"expires_in": null})), "Bearer", None, None),
        ("zero-expiry", with(json!({"expires_in": 0})), "Bearer", None, None),
        ("negative-expiry", with(json!({"expires_in": -5})), "Bearer", None, None),
        ("expires-at", with(json!({"expires_at": soon})), "Bearer", Some(1000), None),
        ("expires-at-ms", with(json!({"expires_at": soon * 1000})), "Bearer", Some(1000), None),
        ("empty-error", with(json!({"error": "", "expires_in": 1000})), "Bearer", Some(1000), None),
        (
            "form",
            text("application/x-www-form-urlencoded", "access_token=t&token_type=bearer&expires_in=1000&scope=a%20b"),
            "Bearer",
            Some(1000),
            Some("a b"),
        ),
        ("plain-text", text("text/plain", r#"{"access_token":"t","expires_in":1000}"#), "Bearer", Some(1000), None),
        ("byte-order-mark", text("application/json", "\u{feff}{\"access_token\":\"t\"}"), "Bearer", None, None),
        (
            "gzip",
            answer(200, &[("content-encoding", "gzip")], gzip(r#"{"access_token":"t","scope":"z"}"#)),
            "Bearer",
            None,
            Some("z"),
        ),
        (
            "nested",
            ok(200, &json!({"data": {"token": {"access_token": "t", "expires_in": 1000}}})),
            "Bearer",
            Some(1000),
            None,
        ),
        ("lower-case", with(json!({"token_type": "bearer"})), "Bearer", None, None),
        ("other-type", with(json!({"token_type": "MAC"})), "MAC", None, None),
        ("scope-array", with(json!({"scope": ["a", "b"]})), "Bearer", None, Some("a b")),
        ("scope-commas", with(json!({"scope": "a,b"})), "Bearer", None, Some("a b")),
        ("unknown-fields", with(json!({"ext": {"a": [1, 2, {"b": null}]}, "id_token": 7})), "Bearer", None, None),
        ("one-mebibyte", with(json!({"padding": "x".repeat(1 << 20)})), "Bearer", None, None),
        ("created-201", answer(201, &[], r#"{"access_token":"t"}"#), "Bearer", None, None),
    ];
    let script: Vec<Quirk> = quirks.clone();
    let mock = Mock::start(move |seen| {
        let found = script.iter().find(|quirk| seen.target == format!("/token?tenant={}&x=%2F", quirk.0));
        found.map_or_else(|| answer(404, &[], ""), |quirk| quirk.1.clone())
    })
    .await;
    let daemon = Daemon::start().await;
    let client = daemon.client();
    let mut wrong = Vec::new();
    for (name, _, kind, life, scope) in quirks {
        // A token URL with a query is a quirk too.
        integrate(&client, name, &format!("{}/token?tenant={name}&x=%2F", mock.url), json!({})).await;
        let answer = client.token(name).await;
        let token = answer.json();
        let left = token.get("expires_in").and_then(Value::as_u64);
        let lives = match (life, left) {
            (None, None) => true,
            (Some(life), Some(left)) => (life - 60..=life).contains(&left),
            _ => false,
        };
        let seen = (&token["access_token"], &token["token_type"], token.get("scope").and_then(Value::as_str));
        if answer.status != 200 || seen != (&json!("t"), &json!(kind), scope) || !lives {
            wrong.push(format!("{name}: {token}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Seconds since the Unix epoch, as the file system says: tests have no clock.
fn now_in_seconds() -> u64 {
    let file = tempfile::NamedTempFile::new().unwrap();
    let modified = file.as_file().metadata().unwrap().modified().unwrap();
    modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_is_not_sent_again_is_kept_and_an_error_with_status_200_is_one() {
    let mock = Mock::start(|seen| match seen.form.get("grant_type").map(String::as_str) {
        Some("password") => ok(200, &json!({"access_token": "a-0", "refresh_token": "stays", "expires_in": 3600})),
        _ if seen.number == 3 => ok(200, &json!({"error": "invalid_grant", "error_description": "gone"})),
        _ => ok(200, &json!({"access_token": format!("a-{}", seen.number), "expires_in": 3600})),
    })
    .await;
    let daemon = Daemon::start().await;
    let client = daemon.client();
    client.import_oauth("mock", &format!("{}/token", mock.url)).await;
    let fields =
        json!({"client_id": "me", "client_secret": "secret-of-mine", "username": "ada", "password": "engine-of-mine"});
    client.integrate(json!({"name": "one", "model": "mock", "flow": "password", "fields": fields})).await;
    for number in 0..3 {
        let token = client.token("one").await.expect(200);
        assert_eq!((&token["access_token"], &token["generation"]), (&json!(format!("a-{number}")), &json!(number + 1)));
        client.post("/v1/integrations/one/token/refresh", &Value::Null).await.expect(200);
    }
    // The last refresh was refused with status 200: the password was used in the same attempt.
    let grants: Vec<(String, Option<String>)> = mock
        .seen()
        .iter()
        .map(|seen| (seen.form["grant_type"].clone(), seen.form.get("refresh_token").cloned()))
        .collect();
    let refresh = || ("refresh_token".to_owned(), Some("stays".to_owned()));
    let password = || ("password".to_owned(), None);
    assert_eq!(grants, [password(), refresh(), refresh(), refresh(), password()]);
    assert_eq!(client.token("one").await.expect(200)["generation"], 4);
    let attempt = &client.attempts("one").await[0];
    assert!(attempt["notes"].to_string().contains("acquired anew"), "{attempt}");
}
