//! The client to services: kept connections, what is sent again, streams, upgrades, and what never shares a connection.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use url::Url;

use super::super::testing::{Authority, Server, egress, read_request, tls};
use super::super::{Egress, Fault, Limits, Patience, ServiceBody, Transport, Unsent, Way, read_whole};

/// A small answer.
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A service that answers each request of each connection with this; after `most` requests it closes.
async fn service(answer: &'static [u8], most: usize) -> Server {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    Server::raw(seen, move |mut tcp| {
        let kept = Arc::clone(&kept);
        async move {
            for _ in 0..most {
                let Some(request) = read_request(&mut tcp).await else { return };
                kept.lock().unwrap().push(request);
                let _ = tcp.write_all(answer).await;
            }
        }
    })
    .await
}

fn ours() -> Egress {
    egress(Limits::default())
}

fn to(egress: &Egress, url: &str, transport: &Transport) -> Arc<Way> {
    egress.way(&Url::parse(url).unwrap(), transport).unwrap()
}

fn request(method: Method, target: &str, body: ServiceBody) -> Request<ServiceBody> {
    Request::builder().method(method).uri(target).body(body).unwrap()
}

async fn text(egress: &Egress, way: &Arc<Way>, request: Request<ServiceBody>) -> Result<String, Unsent> {
    let response = egress.services().send(way, request, Patience::default()).await?;
    let body = read_whole(response.into_body(), 1 << 20).await?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

async fn get(egress: &Egress, way: &Arc<Way>) -> Result<String, Unsent> {
    text(egress, way, request(Method::GET, "/a?b=c", ServiceBody::empty())).await
}

#[tokio::test]
async fn connections_are_kept_and_requests_are_as_they_were_given() {
    let server = service(OK, 100).await;
    let (egress, url) = (ours(), server.url("http://127.0.0.1", ""));
    let way = to(&egress, &url, &Transport::default());
    for _ in 0..5 {
        assert_eq!(get(&egress, &way).await.unwrap(), "ok");
    }
    assert_eq!(server.connections(), 1);
    let expected = format!("GET /a?b=c HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n\r\n", server.port);
    assert_eq!(server.requests()[4], expected);
    assert!(Arc::ptr_eq(&way, &to(&egress, &url, &Transport::default())));
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_no_failure() {
    // One request for each connection, and no word of it in the answer.
    let server = service(OK, 1).await;
    let egress = ours();
    let way = to(&egress, &server.url("http://127.0.0.1", ""), &Transport::default());
    for number in 1..=5 {
        assert_eq!(get(&egress, &way).await.unwrap(), "ok");
        assert_eq!(server.connections(), number);
        // The close has to arrive before the next request is written; else it may rightly be taken for a failure.
        tokio::task::yield_now().await;
        while way.holds_open() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn what_the_service_may_have_seen_is_not_sent_again() {
    let server = service(b"", 1).await;
    let egress = ours();
    let way = to(&egress, &server.url("http://127.0.0.1", ""), &Transport::default());
    let body = || ServiceBody::bytes(Bytes::from_static(b"x=1"));
    let failed = text(&egress, &way, request(Method::POST, "/pay", body())).await.unwrap_err();
    assert_eq!((failed.left, failed.fault), (true, Fault::Broken), "{failed}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn other_transports_and_origins_have_other_connections() {
    let ours_ = Authority::new();
    let theirs = Authority::new();
    let identity = ours_.issue_server("localhost", false);
    let server = Server::answering(Some(tls(&identity, None)), OK).await;
    let egress = ours();
    let url = server.url("https://localhost", "");
    let trusting = Transport { ca: Some(ours_.pem()), ..Transport::default() };
    let other = Transport { ca: Some(theirs.pem()), ..Transport::default() };
    let good = to(&egress, &url, &trusting);
    assert_eq!(get(&egress, &good).await.unwrap(), "ok");
    let bad = to(&egress, &url, &other);
    assert!(!Arc::ptr_eq(&good, &bad));
    let failed = get(&egress, &bad).await.unwrap_err();
    assert_eq!((failed.left, failed.fault), (false, Fault::Tls), "{failed}");
    assert!(failed.reason.contains("transport.ca"), "{failed}");
    let proxied = Transport { proxy: Some(Url::parse("http://127.0.0.1:1").unwrap()), ..trusting };
    assert!(!Arc::ptr_eq(&good, &to(&egress, &url, &proxied)));
    assert!(!Arc::ptr_eq(&good, &to(&egress, "https://localhost:1", &proxied)));
}

#[tokio::test]
async fn the_policy_holds_for_names_and_addresses() {
    let closed = Egress::new(
        super::super::Policy { allow_http: true, ..Default::default() },
        crate::clock::SystemClock::shared(),
    );
    let refused = closed.way(&Url::parse("http://127.0.0.1:1/").unwrap(), &Transport::default()).err().unwrap();
    assert!(refused.to_string().contains("TOKENHOST_EGRESS_ALLOW"), "{refused}");
    let named = to(&closed, "http://localhost:1/", &Transport::default());
    let failed = get(&closed, &named).await.unwrap_err();
    assert_eq!((failed.left, failed.fault), (false, Fault::Refused), "{failed}");
    let strict = Egress::new(super::super::Policy::default(), crate::clock::SystemClock::shared());
    let refused = strict.way(&Url::parse("http://service.example/").unwrap(), &Transport::default()).err().unwrap();
    assert!(refused.to_string().contains("TOKENHOST_EGRESS_HTTP"), "{refused}");
}

#[tokio::test]
async fn nothing_has_left_where_there_is_no_connection() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    drop(listener);
    let egress = ours();
    let failed = get(&egress, &to(&egress, &url, &Transport::default())).await.unwrap_err();
    assert_eq!((failed.left, failed.fault), (false, Fault::Connect), "{failed}");
    assert!(failed.reason.starts_with(url.trim_end_matches('/')), "{failed}");
}

#[tokio::test]
async fn a_proxy_gets_the_absolute_form_or_opens_a_tunnel() {
    let proxy = service(OK, 9).await;
    let egress = ours();
    let through =
        Transport { proxy: Some(Url::parse(&proxy.url("http://127.0.0.1", "")).unwrap()), ..Default::default() };
    let plain = to(&egress, "http://service.invalid/base", &through);
    assert_eq!(get(&egress, &plain).await.unwrap(), "ok");
    assert!(
        proxy.requests()[0].starts_with("GET http://service.invalid/a?b=c HTTP/1.1\r\nhost: service.invalid\r\n"),
        "{:?}",
        proxy.requests()
    );

    let ours_ = Authority::new();
    let server = Server::answering(Some(tls(&ours_.issue_server("service.invalid", false), None)), OK).await;
    let port = server.port;
    let tunnel = Server::raw(Arc::default(), move |mut tcp| async move {
        let Some(request) = read_request(&mut tcp).await else { return };
        assert_eq!(request, "CONNECT service.invalid:443 HTTP/1.1\r\nHost: service.invalid:443\r\n\r\n");
        let mut upstream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        tcp.write_all(b"HTTP/1.1 200 Connected\r\nX: y\r\n\r\n").await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut tcp, &mut upstream).await;
    })
    .await;
    let proxy = Some(Url::parse(&tunnel.url("http://127.0.0.1", "")).unwrap());
    let through = Transport { proxy, ca: Some(ours_.pem()), ..Default::default() };
    assert_eq!(get(&egress, &to(&egress, "https://service.invalid/", &through)).await.unwrap(), "ok");

    let refusing = service(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n", 1).await;
    let proxy = Some(Url::parse(&refusing.url("http://127.0.0.1", "")).unwrap());
    let through = Transport { proxy, ..Default::default() };
    let failed = get(&egress, &to(&egress, "https://service.invalid/", &through)).await.unwrap_err();
    assert_eq!((failed.left, failed.fault), (false, Fault::Connect));
    assert!(failed.reason.contains("refuses the tunnel with status 407"), "{failed}");
}

#[tokio::test]
async fn bodies_are_streamed_with_their_framing() {
    let pieces = || {
        let pieces = [
            Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"one"))),
            Ok(Frame::data(Bytes::from_static(b"two"))),
        ];
        ServiceBody::stream(StreamBody::new(stream::iter(pieces)))
    };
    let server = Server::raw(Arc::default(), |mut tcp| async move {
        let mut seen = Vec::new();
        while !seen.ends_with(b"0\r\n\r\n") {
            seen.push(tcp.read_u8().await.unwrap());
        }
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", seen.len());
        tcp.write_all(answer.as_bytes()).await.unwrap();
        tcp.write_all(&seen).await.unwrap();
    })
    .await;
    let egress = ours();
    let way = to(&egress, &server.url("http://127.0.0.1", ""), &Transport::default());
    for method in [Method::POST, Method::GET] {
        let seen = text(&egress, &way, request(method.clone(), "/", pieces())).await.unwrap();
        assert!(seen.contains("transfer-encoding: chunked\r\n"), "{method}: {seen}");
        assert!(seen.ends_with("3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"), "{method}: {seen}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    let egress = ours();
    for (answer, fault, piece) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"[..], Fault::Broken, "broke off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", Fault::Broken, "broke off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Fault::Broken, "broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", Fault::Malformed, "no proper HTTP"),
        (b"SSH-2.0-x\r\n\r\n", Fault::Malformed, "no proper HTTP"),
    ] {
        let server = service(answer, 1).await;
        let way = to(&egress, &server.url("http://127.0.0.1", ""), &Transport::default());
        let failed = get(&egress, &way).await.unwrap_err();
        assert_eq!((failed.left, failed.fault), (true, fault), "{failed}");
        assert!(failed.reason.contains(piece), "{failed}");
    }
    let server = service(OK, 1).await;
    let way = to(&egress, &server.url("http://127.0.0.1", ""), &Transport::default());
    let response =
        egress.services().send(&way, request(Method::GET, "/", ServiceBody::empty()), Patience::default()).await;
    let failed = read_whole(response.unwrap().into_body(), 1).await.unwrap_err();
    assert_eq!(failed.fault, Fault::TooLarge);
}

#[tokio::test]
async fn silence_ends_a_request() {
    let egress = ours();
    let patience = Patience { head: Duration::from_millis(50), idle: Duration::from_millis(50) };
    let silent = Server::raw(Arc::default(), |mut tcp| async move {
        let _ = read_request(&mut tcp).await;
        std::future::pending::<()>().await;
    })
    .await;
    let quiet = to(&egress, &silent.url("http://127.0.0.1", ""), &Transport::default());
    let answer = egress.services().send(&quiet, request(Method::GET, "/", ServiceBody::empty()), patience).await;
    let failed = answer.err().unwrap();
    assert_eq!((failed.left, failed.fault), (true, Fault::Timeout), "{failed}");

    // Where the request's own body stands still, the service isn't to blame.
    let body = ServiceBody::stream(StreamBody::new(stream::pending::<std::io::Result<Frame<Bytes>>>()));
    let answer = egress.services().send(&quiet, request(Method::POST, "/", body), patience).await;
    assert_eq!(answer.err().unwrap().fault, Fault::Body);

    let halting = Server::raw(Arc::default(), |mut tcp| async move {
        let _ = read_request(&mut tcp).await;
        let _ = tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await;
        std::future::pending::<()>().await;
    })
    .await;
    let way = to(&egress, &halting.url("http://127.0.0.1", ""), &Transport::default());
    let patience = Patience { head: Duration::from_secs(60), ..patience };
    let answer = egress.services().send(&way, request(Method::GET, "/", ServiceBody::empty()), patience).await;
    let failed = read_whole(answer.unwrap().into_body(), 99).await.unwrap_err();
    assert_eq!(failed.fault, Fault::Timeout, "{failed}");
}

#[tokio::test]
async fn a_caller_who_goes_away_closes_the_connection() {
    let (closed, mut is_closed) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::raw(Arc::default(), move |mut tcp| {
        let closed = closed.clone();
        async move {
            let _ = read_request(&mut tcp).await;
            let _ = tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await;
            let _ = tcp.read_u8().await;
            let _ = closed.send(());
        }
    })
    .await;
    let egress = ours();
    let way = to(&egress, &server.url("http://127.0.0.1", ""), &Transport::default());
    let sent = request(Method::GET, "/", ServiceBody::empty());
    let mut body = egress.services().send(&way, sent, Patience::default()).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
    drop(body);
    is_closed.recv().await.unwrap();
}

#[tokio::test]
async fn an_upgrade_hands_the_stream_over() {
    let server = Server::raw(Arc::default(), |mut tcp| async move {
        let _ = read_request(&mut tcp).await;
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello ";
        tcp.write_all(answer).await.unwrap();
        let mut word = [0; 5];
        tcp.read_exact(&mut word).await.unwrap();
        tcp.write_all(&word).await.unwrap();
    })
    .await;
    let egress = ours();
    let way = to(&egress, &server.url("http://127.0.0.1", ""), &Transport::default());
    let mut sent = request(Method::GET, "/", ServiceBody::empty());
    sent.headers_mut().insert("connection", "upgrade".parse().unwrap());
    sent.headers_mut().insert("upgrade", "echo".parse().unwrap());
    let mut response = egress.services().send(&way, sent, Patience::default()).await.unwrap();
    assert_eq!(response.status(), 101);
    let mut stream = TokioIo::new(hyper::upgrade::on(&mut response).await.unwrap());
    stream.write_all(b"world").await.unwrap();
    let mut seen = String::new();
    stream.read_to_string(&mut seen).await.unwrap();
    assert_eq!(seen, "hello world");
}

#[tokio::test]
async fn many_at_once_share_what_is_free() {
    let counted = Arc::new(AtomicUsize::new(0));
    let server = service(OK, 1000).await;
    let egress = Arc::new(ours());
    let way = to(&egress, &server.url("http://127.0.0.1", ""), &Transport::default());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (egress, way, counted) = (Arc::clone(&egress), Arc::clone(&way), Arc::clone(&counted));
        tasks.spawn(async move {
            for _ in 0..20 {
                assert_eq!(get(&egress, &way).await.unwrap(), "ok");
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert_eq!(counted.load(Ordering::SeqCst), 400);
    assert!(server.connections() <= 20, "{}", server.connections());
}
