//! Answers and their absence, over plain http: what comes back, and whether the request had left.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::AsyncWriteExt as _;
use url::Url;

use super::super::testing::{Server, egress, post, send};
use super::super::{Answer, Destinations, Fault, FetchError, Limits, Transport, Unsent};
use crate::clock::{Clock as _, TestClock};
use crate::secrets::Secrets;

/// Limits that a silent provider meets soon.
fn soon() -> Limits {
    Limits { idle: Duration::from_millis(200), ..Limits::default() }
}

/// The outcome of a request to a server that answers these bytes.
async fn answered(answer: impl Into<Vec<u8>>) -> Result<Answer, Unsent> {
    let server = Server::answering(None, answer).await;
    let outcome = send(&egress(soon()), &server.url("http://127.0.0.1", "/token"), &Transport::default()).await;
    assert_eq!(server.connections(), 1, "never tried twice");
    outcome
}

/// An answer with this body and further headers.
fn with_body(headers: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// What gzip makes of bytes.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[track_caller]
fn check_unsent(outcome: Result<Answer, Unsent>, left: bool, fault: Fault, piece: &str) {
    let unsent = outcome.unwrap_err();
    assert_eq!((unsent.left, unsent.fault), (left, fault), "{unsent}");
    assert!(unsent.reason.contains(piece), "{unsent}");
    assert!(!unsent.reason.contains("hunter2") && !unsent.reason.contains("/token"), "{unsent}");
}

#[tokio::test]
async fn a_request_arrives_as_it_was_written_and_its_answer_comes_back() {
    let server = Server::answering(
        None,
        "HTTP/1.1 401 Nope\r\nWWW-Authenticate: Basic\r\nX-Twice: 1\r\nx-twice: \u{e9}\r\nContent-Length: 2\r\n\r\n{}",
    )
    .await;
    let answer =
        send(&egress(soon()), &server.url("http://127.0.0.1", "/token?v=1"), &Transport::default()).await.unwrap();
    assert_eq!(answer.response.status, 401);
    assert_eq!(answer.response.body.as_ref(), b"{}");
    let headers: Vec<(&str, &str)> =
        answer.response.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(headers, [("www-authenticate", "Basic"), ("x-twice", "1"), ("x-twice", "é"), ("content-length", "2")]);

    let request = server.requests().pop().unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<String> = head.lines().map(str::to_ascii_lowercase).collect();
    assert_eq!(lines.remove(0), "post /token?v=1 http/1.1");
    lines.sort();
    let port = server.port;
    assert_eq!(
        lines,
        [
            "accept-encoding: gzip",
            "accept: application/json",
            "content-length: 11",
            "content-type: application/x-www-form-urlencoded",
            &format!("host: 127.0.0.1:{port}"),
            concat!("user-agent: tokenhost/", env!("CARGO_PKG_VERSION")),
        ]
    );
    assert_eq!(body, "key=hunter2");
}

#[tokio::test]
async fn the_moment_of_leaving_is_told_by_both_clocks() {
    let server = Server::answering(None, with_body("", b"{}")).await;
    let clock = TestClock::at("2026-01-01T00:00:00Z".parse().unwrap());
    clock.advance(Duration::from_secs(7));
    let policy = super::super::Policy {
        allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
        allow_http: true,
        limits: Limits::default(),
    };
    let egress = super::super::Egress::new(policy, clock.clone());
    let answer = send(&egress, &server.url("http://127.0.0.1", "/"), &Transport::default()).await.unwrap();
    assert_eq!((answer.left_at, answer.left_elapsed), (clock.now(), Duration::from_secs(7)));
    assert_eq!(answer.taken, Duration::ZERO);
}

#[tokio::test]
async fn any_status_is_an_answer_and_a_redirect_is_not_followed() {
    for status in [204, 302, 307, 400, 429, 500, 503] {
        let answer = format!(
            "HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:1/elsewhere\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
        );
        let response = answered(answer).await.unwrap().response;
        assert_eq!(response.status, status);
        assert!(response.headers.contains(&("retry-after".to_owned(), "7".to_owned())));
    }
}

#[tokio::test]
async fn answers_come_in_every_framing() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\n\r\nhello",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ] {
        assert_eq!(answered(answer).await.unwrap().response.body.as_ref(), b"hello", "{answer}");
    }
}

#[tokio::test]
async fn gzip_is_decompressed() {
    let response = answered(with_body("Content-Encoding: gzip\r\n", &gzip(b"{\"a\":1}"))).await.unwrap().response;
    assert_eq!(response.body.as_ref(), b"{\"a\":1}");
    assert!(response.headers.iter().all(|(name, _)| name != "content-encoding" && name != "content-length"));
    let outcome = answered(with_body("Content-Encoding: gzip\r\n", b"{\"a\":1}")).await;
    check_unsent(outcome, true, Fault::Malformed, "can't be decompressed");
}

#[tokio::test]
async fn an_answer_of_one_mebibyte_is_read_and_one_of_two_is_not() {
    let body = vec![b'x'; 1 << 20];
    assert_eq!(answered(with_body("", &body)).await.unwrap().response.body.len(), body.len());
    let body = vec![b'x'; 2 << 20];
    check_unsent(answered(with_body("", &body)).await, true, Fault::TooLarge, "more than 1572864 bytes");
    let mut chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n".to_vec();
    chunked.extend_from_slice(&body);
    check_unsent(answered(chunked).await, true, Fault::TooLarge, "more than 1572864 bytes");
}

#[tokio::test]
async fn a_small_answer_that_becomes_large_is_refused() {
    let bomb = gzip(&vec![0; 64 << 20]);
    assert!(bomb.len() < 100_000);
    let outcome = answered(with_body("Content-Encoding: gzip\r\n", &bomb)).await;
    check_unsent(outcome, true, Fault::TooLarge, "more than 1572864 bytes");
}

#[tokio::test]
async fn headers_are_bounded() {
    let large = format!("HTTP/1.1 200 OK\r\nX-Large: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(70 << 10));
    check_unsent(answered(large).await, true, Fault::TooLarge, "headers of more than 65536 bytes");
    let endless = format!("HTTP/1.1 200 OK\r\n{}", "X-Many: 1\r\n".repeat(200_000));
    check_unsent(answered(endless).await, true, Fault::Malformed, "no proper HTTP");
}

#[tokio::test]
async fn an_answer_that_ends_too_early_is_none() {
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"access_token\":",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc",
    ] {
        check_unsent(answered(answer).await, true, Fault::Broken, "broke off");
    }
}

#[tokio::test]
async fn what_is_no_http_is_told() {
    check_unsent(answered("SSH-2.0-OpenSSH_9.6\r\n").await, true, Fault::Malformed, "no proper HTTP");
    let twice = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab";
    check_unsent(answered(twice).await, true, Fault::Malformed, "no proper HTTP");
}

#[tokio::test]
async fn a_reset_half_way_has_left() {
    let server = Server::raw(Default::default(), |mut tcp| async move {
        let _ = super::super::testing::read_request(&mut tcp).await;
        let _ = tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"acc").await;
        tcp.set_zero_linger().unwrap();
    })
    .await;
    let outcome = send(&egress(soon()), &server.url("http://127.0.0.1", "/token"), &Transport::default()).await;
    check_unsent(outcome, true, Fault::Broken, "broke off");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_provider_that_hangs_has_been_asked() {
    let server = Server::start(None, |mut stream| async move {
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    })
    .await;
    let outcome = send(&egress(soon()), &server.url("http://127.0.0.1", "/token"), &Transport::default()).await;
    check_unsent(outcome, true, Fault::Timeout, "was silent for 200ms");
}

#[tokio::test]
async fn a_provider_that_trickles_is_left_after_the_total_time() {
    let server = Server::start(None, |mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").await;
        let mut drops = tokio::time::interval(Duration::from_millis(10));
        while stream.write_all(b"x").await.is_ok() {
            drops.tick().await;
        }
    })
    .await;
    let limits = Limits { total: Duration::from_millis(400), ..Limits::default() };
    let outcome = send(&egress(limits), &server.url("http://127.0.0.1", "/token"), &Transport::default()).await;
    check_unsent(outcome, true, Fault::Timeout, "gave no complete answer within 400ms");
}

#[tokio::test]
async fn without_a_connection_nothing_has_left() {
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let closed = format!("http://127.0.0.1:{port}/token");
    let outcome = send(&egress(soon()), &closed, &Transport::default()).await;
    check_unsent(outcome, false, Fault::Connect, "could not be reached: Connection refused");

    let outcome = send(&egress(soon()), "http://nowhere.invalid/token", &Transport::default()).await;
    check_unsent(outcome, false, Fault::Dns, "`nowhere.invalid` can't be resolved");
}

#[tokio::test]
async fn a_name_that_resolves_to_loopback_is_refused() {
    let server = Server::answering(None, with_body("", b"{}")).await;
    let policy = super::super::Policy { allow_http: true, ..Default::default() };
    let egress = super::super::Egress::new(policy, crate::clock::SystemClock::shared());
    let outcome = send(&egress, &server.url("http://localhost", "/token"), &Transport::default()).await;
    check_unsent(outcome, false, Fault::Refused, "TOKENHOST_EGRESS_ALLOW");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_of_an_allowed_network_is_dialled() {
    let server = Server::answering(None, with_body("", b"{}")).await;
    let answer = send(&egress(soon()), &server.url("http://localhost", "/token"), &Transport::default()).await.unwrap();
    assert_eq!(answer.response.status, 200);
}

#[tokio::test]
async fn requests_beyond_the_number_wait_for_their_turn() {
    let server = Server::start(None, |mut stream| async move {
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    })
    .await;
    let url = server.url("http://127.0.0.1", "/token");
    let limits = Limits { at_once: 1, total: Duration::from_millis(300), ..Limits::default() };
    let (egress, transport) = (egress(limits), Transport::default());
    let outcomes = futures_util::future::join(send(&egress, &url, &transport), send(&egress, &url, &transport)).await;
    check_unsent(outcomes.0, true, Fault::Timeout, "gave no complete answer");
    // The second one has its turn when the first is over, or its time is over too.
    assert_eq!(outcomes.1.unwrap_err().fault, Fault::Timeout);
    assert!(server.connections() <= 2);
}

#[tokio::test]
async fn documents_are_fetched_under_the_same_policy() {
    let server = Server::answering(None, with_body("", b"openapi: 3.0.0")).await;
    let egress = egress(soon());
    let url = Url::parse(&server.url("http://127.0.0.1", "/openapi.yaml#part")).unwrap();
    assert_eq!(egress.fetch(&url, 100).await.unwrap().as_ref(), b"openapi: 3.0.0");
    assert!(server.requests()[0].starts_with("GET /openapi.yaml HTTP/1.1\r\n"), "{:?}", server.requests());
    let outcome = egress.fetch(&url, 5).await;
    assert!(matches!(&outcome, Err(FetchError::Unsent(unsent)) if unsent.fault == Fault::TooLarge), "{outcome:?}");

    let moved = Server::answering(None, "HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n").await;
    let url = Url::parse(&moved.url("http://127.0.0.1", "/")).unwrap();
    assert_eq!(egress.fetch(&url, 100).await, Err(FetchError::Status(301)));
    assert_eq!(moved.connections(), 1);

    for (text, piece) in [
        ("http://169.254.169.254/latest/meta-data/", "metadata"),
        ("http://10.0.0.1/", "TOKENHOST_EGRESS_ALLOW"),
        ("file:///etc/passwd", "scheme `file`"),
        ("http://u:p@127.0.0.1/", "user or password"),
    ] {
        let refusal = egress.fetch(&Url::parse(text).unwrap(), 100).await.unwrap_err();
        assert!(matches!(refusal, FetchError::Refused(_)) && refusal.to_string().contains(piece), "{refusal}");
    }
}

/// Runs only as a child of the next test, with proxies in its environment.
#[tokio::test]
#[ignore = "run by `proxies_of_the_environment_are_not_used`"]
async fn with_proxies_in_the_environment() {
    let server = Server::answering(None, with_body("", b"{}")).await;
    let outcome = send(&egress(soon()), &server.url("http://127.0.0.1", "/"), &Transport::default()).await;
    assert!(outcome.is_ok() && server.requests()[0].starts_with("POST / "), "{outcome:?}");
}

#[tokio::test]
async fn proxies_of_the_environment_are_not_used() {
    let name = format!("{}::with_proxies_in_the_environment", module_path!().split_once("::").unwrap().1);
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", &name, "--ignored"]).env_remove("NO_PROXY").env_remove("no_proxy");
    for variable in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(variable, "http://127.0.0.1:1");
    }
    let output = child.output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
async fn a_prepared_request_goes_nowhere_else() {
    let server = Server::answering(None, "").await;
    let url = server.url("http://127.0.0.1", "/token");
    let mut secrets = Secrets::default();
    secrets.insert("key", "hunter2".into());
    let to = Destinations::of(["http://127.0.0.1:1/token", "https://idp.example"]);
    let refusal = egress(soon()).prepare(&post(&url), &secrets, &[], &to, &Transport::default()).unwrap_err();
    assert!(refusal.to_string().contains("is none of this integration's own origins"), "{refusal}");
    assert_eq!(server.connections(), 0);
}
