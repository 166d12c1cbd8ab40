//! Whom a connection trusts, and whether a request has left when the handshake fails.

use std::time::Duration;

use super::super::testing::{Authority, Server, egress, send, tls};
use super::super::{Answer, Fault, Limits, Transport, Unsent};

/// An answer without a body.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A transport that trusts one authority.
fn trusting(authority: &Authority) -> Transport {
    Transport { ca: Some(authority.pem()), ..Transport::default() }
}

/// The outcome of a request to a server with this certificate, by the name `localhost`, and what the server has read.
async fn outcome(
    identity: &(String, String),
    clients: Option<&Authority>,
    transport: &Transport,
) -> Result<Answer, Unsent> {
    let server = Server::answering(Some(tls(identity, clients)), OK).await;
    let outcome = send(&egress(Limits::default()), &server.url("https://localhost", "/token"), transport).await;
    assert_eq!(server.requests().len(), usize::from(outcome.is_ok()), "read by the server");
    outcome
}

#[track_caller]
fn check(outcome: Result<Answer, Unsent>, piece: &str) {
    match outcome {
        Ok(answer) => {
            assert_eq!(piece, "");
            assert_eq!(answer.response.status, 200);
        }
        Err(unsent) => {
            assert_eq!((unsent.left, unsent.fault), (false, Fault::Tls), "{unsent}");
            assert!(!piece.is_empty() && unsent.reason.contains(piece), "{unsent}");
        }
    }
}

#[tokio::test]
async fn a_server_needs_a_certificate_of_a_trusted_authority_for_its_name_and_time() {
    let (ours, other) = (Authority::new(), Authority::new());
    let good = ours.issue_server("localhost", false);
    check(outcome(&good, None, &trusting(&ours)).await, "");
    check(outcome(&good, None, &Transport::default()).await, "set transport.ca");
    check(outcome(&good, None, &trusting(&other)).await, "set transport.ca");
    check(outcome(&ours.issue_server("elsewhere.example", false), None, &trusting(&ours)).await, "not valid for name");
    check(outcome(&ours.issue_server("localhost", true), None, &trusting(&ours)).await, "expired");
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_set() {
    let (ours, clients) = (Authority::new(), Authority::new());
    let server = ours.issue_server("localhost", false);
    let with = |authority: &Authority| {
        let (certificate, key) = authority.issue_client("robot");
        Transport { client_certificate: Some(certificate), client_key: Some(key.into()), ..trusting(&ours) }
    };
    check(outcome(&server, Some(&clients), &with(&clients)).await, "");
    check(outcome(&server, Some(&clients), &trusting(&ours)).await, "transport.client_certificate");
    check(outcome(&server, Some(&clients), &with(&ours)).await, "transport.client_certificate");
}

#[tokio::test]
async fn a_port_that_speaks_no_tls_has_got_nothing() {
    let server = Server::answering(None, "HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let url = server.url("https://127.0.0.1", "/token");
    let limits = Limits { connect: Duration::from_millis(300), total: Duration::from_secs(5), ..Limits::default() };
    let unsent = send(&egress(limits.clone()), &url, &Transport::default()).await.unwrap_err();
    assert!(!unsent.left, "{unsent}");

    let silent = Server::raw(Default::default(), |mut tcp| async move {
        let _ = tokio::io::copy(&mut tcp, &mut tokio::io::sink()).await;
    })
    .await;
    let url = silent.url("https://127.0.0.1", "/token");
    let unsent = send(&egress(limits), &url, &Transport::default()).await.unwrap_err();
    assert_eq!((unsent.left, unsent.fault), (false, Fault::Timeout), "{unsent}");
    assert!(unsent.reason.contains("could not be reached within 300ms"), "{unsent}");

    let reset = Server::raw(Default::default(), |tcp| async move { tcp.set_zero_linger().unwrap() }).await;
    let url = reset.url("https://127.0.0.1", "/token");
    let unsent = send(&egress(Limits::default()), &url, &Transport::default()).await.unwrap_err();
    assert_eq!((unsent.left, unsent.fault), (false, Fault::Connect), "{unsent}");
}

#[tokio::test]
async fn an_answer_cut_off_below_http_is_none() {
    let ours = Authority::new();
    let config = tls(&ours.issue_server("localhost", false), None);
    let server = Server::start(Some(config), |mut stream| async move {
        use tokio::io::AsyncWriteExt as _;
        // Without a length, only TLS tells the end of the answer from its truncation (RFC 8446 section 6.1).
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"acc").await;
        let _ = stream.flush().await;
    })
    .await;
    let url = server.url("https://localhost", "/token");
    let unsent = send(&egress(Limits::default()), &url, &trusting(&ours)).await.unwrap_err();
    assert_eq!((unsent.left, unsent.fault), (true, Fault::Broken), "{unsent}");
}
