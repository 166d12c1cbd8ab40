//! Ten thousand callers at once, over sockets, for one token that has ended.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokenhost_tests::{Act, Daemon, Mock, eventually, mock};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

const CALLERS: usize = 10_000;

/// A provider whose first token lives a second, and which answers no further request before the gate is open.
async fn provider(gate: watch::Receiver<bool>) -> Mock {
    Mock::start(move |seen| {
        let life = if seen.number == 0 { 1 } else { 3600 };
        let token =
            json!({"access_token": format!("token-{}", seen.number), "token_type": "Bearer", "expires_in": life});
        let answer = mock::json(200, &token);
        if seen.number == 0 { answer } else { [vec![Act::Gate(gate.clone())], answer].concat() }
    })
    .await
}

/// A daemon with one integration, whose token has ended.
async fn with_ended_token(provider: &Mock) -> Daemon {
    let daemon = Daemon::start().await;
    let client = daemon.client();
    client.import_oauth("mock", &format!("{}/token", provider.url)).await;
    let fields = json!({"client_id": "me", "client_secret": "secret-of-mine"});
    client.integrate(json!({"name": "one", "model": "mock", "flow": "client-credentials", "fields": fields})).await;
    assert_eq!(client.token("one").await.expect(200)["generation"], 1);
    eventually("the token ends", async || (client.status("one").await["state"] == "expired").then_some(())).await;
    daemon
}

/// So many connections, each of which has sent its request.
async fn call(daemon: &Daemon) -> Vec<TcpStream> {
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    assert!(limit > CALLERS as u64 + 200, "only {limit} open files are allowed: raise the limit (ulimit -n)");
    let address = daemon.url().strip_prefix("http://").unwrap().to_owned();
    let request = format!(
        "GET /v1/integrations/one/token HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\r\n",
        daemon.token()
    );
    let connect = async |_| {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    };
    // So many at once that the listener's queue holds them.
    futures_util::stream::iter(0..CALLERS).map(connect).buffer_unordered(256).collect().await
}

/// The answer that comes on a connection.
async fn answer(stream: &mut TcpStream) -> Value {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 2048]);
    loop {
        let count = stream.read(&mut chunk).await.unwrap();
        assert!(count > 0, "the daemon closed the connection: {}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if let Ok(body) = serde_json::from_str(body) {
            assert!(head.starts_with("HTTP/1.1 200"), "{text}");
            return body;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_callers_cause_one_request() {
    let (open, gate) = watch::channel(false);
    let provider = provider(gate).await;
    let daemon = with_ended_token(&provider).await;
    let streams = call(&daemon).await;
    eventually("the request for the token", async || (provider.seen().len() == 2).then_some(())).await;
    open.send(true).unwrap();
    let mut answers: FuturesUnordered<_> =
        streams.into_iter().map(|mut stream| async move { answer(&mut stream).await }).collect();
    let mut count = 0;
    while let Some(token) = answers.next().await {
        assert_eq!((&token["access_token"], &token["generation"]), (&json!("token-1"), &json!(2)));
        count += 1;
    }
    assert_eq!((count, provider.seen().len()), (CALLERS, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_hang_up_cancel_nothing() {
    let (open, gate) = watch::channel(false);
    let provider = provider(gate).await;
    let daemon = with_ended_token(&provider).await;
    let mut streams = call(&daemon).await;
    eventually("the request for the token", async || (provider.seen().len() == 2).then_some(())).await;
    // All but the last: the attempt isn't theirs.
    let mut last = streams.pop().unwrap();
    drop(streams);
    // Somebody new comes, and is told how it is while the provider still thinks.
    assert_eq!(daemon.client().status("one").await["renewing"], true);
    open.send(true).unwrap();
    assert_eq!(answer(&mut last).await["access_token"], "token-1");
    let token = daemon.client().token("one").await.expect(200);
    assert_eq!((&token["access_token"], &token["generation"]), (&json!("token-1"), &json!(2)));
    assert_eq!(provider.seen().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_nobody_waits_for_any_more_is_kept() {
    let (open, gate) = watch::channel(false);
    let provider = provider(gate).await;
    let mut daemon = with_ended_token(&provider).await;
    let gone = Arc::new(AtomicUsize::new(0));
    for _ in 0..100 {
        let (client, gone) = (daemon.client(), Arc::clone(&gone));
        tokio::spawn(async move {
            // Gone as soon as the request is on its way to the provider.
            drop(tokio::time::timeout(std::time::Duration::from_millis(500), client.token("one")).await);
            gone.fetch_add(1, Ordering::SeqCst);
        });
    }
    eventually("all have hung up", async || (gone.load(Ordering::SeqCst) == 100).then_some(())).await;
    assert_eq!(provider.seen().len(), 2);
    open.send(true).unwrap();
    let client = daemon.client();
    eventually("the token", async || (client.status("one").await["generation"] == 2).then_some(())).await;
    daemon.kill9().await;
    daemon.restart().await;
    let token = daemon.client().token("one").await.expect(200);
    assert_eq!((&token["access_token"], provider.seen().len()), (&json!("token-1"), 2));
}
