//! Requests through an HTTP proxy: CONNECT for https, the absolute form for http.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use url::Url;

use super::super::testing::{Authority, Server, egress, read_request, send, tls};
use super::super::{Destinations, Fault, Limits, Transport};

/// An answer without a body.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A proxy that answers CONNECT with this, and goes on to this port, whatever name was asked for.
async fn proxy(answer: &'static str, to: Option<u16>) -> Server {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    Server::raw(seen, move |mut tcp| {
        let kept = Arc::clone(&kept);
        async move {
            let Some(request) = read_request(&mut tcp).await else { return };
            kept.lock().unwrap().push(request);
            let _ = tcp.write_all(answer.as_bytes()).await;
            if let Some(port) = to {
                let mut upstream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut tcp, &mut upstream).await;
            }
        }
    })
    .await
}

/// A transport through a proxy.
fn through(proxy: &Server, ca: Option<String>) -> Transport {
    let proxy = Some(Url::parse(&proxy.url("http://127.0.0.1", "")).unwrap());
    Transport { ca, proxy, ..Transport::default() }
}

#[tokio::test]
async fn https_goes_through_a_tunnel_and_the_proxy_resolves_the_name() {
    let ours = Authority::new();
    let provider = Server::answering(Some(tls(&ours.issue_server("idp.invalid", false), None)), OK).await;
    let proxy = proxy("HTTP/1.1 200 Connected\r\n\r\n", Some(provider.port)).await;
    let transport = through(&proxy, Some(ours.pem()));
    let answer = send(&egress(Limits::default()), "https://idp.invalid/token", &transport).await.unwrap();
    assert_eq!(answer.response.status, 200);
    let seen = proxy.requests();
    assert!(seen[0].starts_with("CONNECT idp.invalid:443 HTTP/1.1\r\n"), "{seen:?}");
    assert!(!seen[0].contains("hunter2"), "{seen:?}");
    assert!(provider.requests()[0].starts_with("POST /token HTTP/1.1\r\n"));
}

#[tokio::test]
async fn http_goes_in_absolute_form() {
    let proxy = proxy(OK, None).await;
    let answer = send(&egress(Limits::default()), "http://idp.invalid/token", &through(&proxy, None)).await.unwrap();
    assert_eq!(answer.response.status, 200);
    assert!(proxy.requests()[0].starts_with("POST http://idp.invalid/token HTTP/1.1\r\n"), "{:?}", proxy.requests());
}

#[tokio::test]
async fn a_proxy_that_refuses_has_let_nothing_out() {
    for answer in [
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        "nonsense\r\n\r\n",
        "",
    ] {
        let proxy = proxy(answer, None).await;
        let egress = egress(Limits::default());
        let unsent = send(&egress, "https://idp.invalid/token", &through(&proxy, None)).await.unwrap_err();
        assert_eq!((unsent.left, unsent.fault), (false, Fault::Connect), "{answer}: {unsent}");
        assert!(unsent.reason.contains("through the proxy"), "{unsent}");
    }
}

#[tokio::test]
async fn a_provider_behind_a_proxy_has_to_prove_itself_too() {
    let (ours, other) = (Authority::new(), Authority::new());
    let provider = Server::answering(Some(tls(&ours.issue_server("idp.invalid", false), None)), OK).await;
    let proxy = proxy("HTTP/1.1 200 Connected\r\n\r\n", Some(provider.port)).await;
    let transport = through(&proxy, Some(other.pem()));
    let unsent = send(&egress(Limits::default()), "https://idp.invalid/token", &transport).await.unwrap_err();
    assert_eq!((unsent.left, unsent.fault), (false, Fault::Tls), "{unsent}");
    assert!(provider.requests().is_empty());
}

#[tokio::test]
async fn a_proxy_that_hangs_is_left_in_time() {
    let proxy = Server::raw(Arc::default(), |mut tcp| async move {
        let _ = tokio::io::copy(&mut tcp, &mut tokio::io::sink()).await;
    })
    .await;
    let limits = Limits { connect: Duration::from_millis(200), total: Duration::from_secs(5), ..Limits::default() };
    let unsent = send(&egress(limits), "https://idp.invalid/token", &through(&proxy, None)).await.unwrap_err();
    assert_eq!((unsent.left, unsent.fault), (false, Fault::Timeout), "{unsent}");
    assert!(unsent.reason.contains("within 200ms"), "{unsent}");
}

#[tokio::test]
async fn the_proxys_address_is_held_against_the_policy() {
    let proxy = proxy(OK, None).await;
    let policy = super::super::Policy { allow_http: true, ..Default::default() };
    let egress = super::super::Egress::new(policy, crate::clock::SystemClock::shared());
    let by_name =
        Transport { proxy: Some(Url::parse(&proxy.url("http://localhost", "")).unwrap()), ..Transport::default() };
    let unsent = send(&egress, "http://idp.invalid/token", &by_name).await.unwrap_err();
    assert_eq!((unsent.left, unsent.fault), (false, Fault::Refused), "{unsent}");
    assert!(unsent.reason.contains("TOKENHOST_EGRESS_ALLOW"), "{unsent}");

    let (request, url) = (super::super::testing::post("http://idp.invalid/"), "http://idp.invalid/");
    let mut secrets = crate::secrets::Secrets::default();
    secrets.insert("key", "hunter2".into());
    let refusal =
        egress.prepare(&request, &secrets, &[], &Destinations::of([url]), &through(&proxy, None)).unwrap_err();
    assert!(refusal.to_string().contains("transport.proxy: 127.0.0.1 is in the loopback network"), "{refusal}");
    assert_eq!(proxy.connections(), 0);
}
