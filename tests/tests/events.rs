//! Events reach who is to act on them: a webhook's receiver after `kill -9` of the daemon, verified by a library that nobody here
//! wrote; a reader of the stream who comes back; and a person at `tokenhost status`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokenhost_tests::{Client, Daemon, Mock, client, eventually, mock};

/// A provider that knows the client, or doesn't.
async fn provider(refuses: Arc<AtomicUsize>) -> Mock {
    Mock::start(move |seen| {
        let left = refuses.load(Ordering::SeqCst);
        if left > 0 {
            return mock::json(401, &json!({"error": "invalid_client", "error_description": "no such client"}));
        }
        let token =
            json!({"access_token": format!("token-{}", seen.number), "token_type": "Bearer", "expires_in": 3600});
        mock::json(200, &token)
    })
    .await
}

/// An integration `crm` at this provider.
async fn integrate(client: &Client, provider: &Mock) {
    client.import_oauth("crm", &format!("{}/token", provider.url)).await;
    let fields = json!({"client_id": "me", "client_secret": "hunter2-secret"});
    client.integrate(json!({"name": "crm", "model": "crm", "flow": "client-credentials", "fields": fields})).await;
}

/// A receiver of webhooks.
#[derive(Clone)]
struct Receiver {
    url: String,
    status: Arc<AtomicU16>,
    got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

impl Receiver {
    async fn start(status: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let receiver = Self { url, status: Arc::new(AtomicU16::new(status)), got: Arc::default() };
        let router = Router::new().route("/hook", post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    /// The first delivery after so many that this says yes to.
    async fn next(&self, after: usize, is: impl Fn(&Value) -> bool) -> (HeaderMap, Bytes, Value) {
        eventually("a delivery", async || {
            let got = self.got.lock().unwrap().clone();
            got.into_iter().skip(after).find_map(|(headers, body)| {
                let event: Value = serde_json::from_slice(&body).unwrap();
                is(&event).then_some((headers, body, event))
            })
        })
        .await
    }

    fn count(&self) -> usize {
        self.got.lock().unwrap().len()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    receiver.got.lock().unwrap().push((headers, body));
    StatusCode::from_u16(receiver.status.load(Ordering::SeqCst)).unwrap()
}

fn is_failing(event: &Value) -> bool {
    event["type"] == "token.renewal_failing"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_each_event_signed_though_its_receiver_was_down_and_the_daemon_killed() {
    let mut daemon = Daemon::start().await;
    let receiver = Receiver::start(503).await;
    let refuses = Arc::new(AtomicUsize::new(1));
    let provider = provider(Arc::clone(&refuses)).await;
    let client = daemon.client();
    let made = client.post("/v1/webhooks", &json!({"name": "ops", "url": receiver.url})).await.expect(201);
    let verifier = Webhook::new(made["secret"].as_str().unwrap()).unwrap();
    integrate(&client, &provider).await;
    client.token("crm").await.expect(503);

    let (headers, body, event) = receiver.next(0, is_failing).await;
    verifier.verify(&body, &headers).unwrap();
    assert_eq!(
        (&event["data"]["integration"], &event["data"]["id"]),
        (&json!("crm"), &json!(headers["webhook-id"].to_str().unwrap()))
    );
    assert!(!body.windows(14).any(|window| window == b"hunter2-secret"));
    let mut altered = body.to_vec();
    altered[10] ^= 1;
    verifier.verify(&altered, &headers).unwrap_err();

    // Between the event and its delivery: what was noted of the failed try survives, and so does the event.
    daemon.kill9().await;
    let before = receiver.count();
    receiver.status.store(204, Ordering::SeqCst);
    refuses.store(0, Ordering::SeqCst);
    daemon.restart().await;
    let client = daemon.client();
    let (again, body, same) = receiver.next(before, is_failing).await;
    verifier.verify(&body, &again).unwrap();
    assert_eq!((&again["webhook-id"], &same["data"]), (&headers["webhook-id"], &event["data"]));

    eventually("a token", async || Some(client.token("crm").await).filter(|answer| answer.status == 200)).await;
    let (headers, body, _) = receiver.next(before, |event| event["type"] == "token.recovered").await;
    verifier.verify(&body, &headers).unwrap();
    let shown = eventually("delivered", async || {
        Some(client.get("/v1/webhooks/ops").await.expect(200)).filter(|shown| shown["delivered"] == 2)
    });
    let shown = shown.await;
    assert_eq!((&shown["state"], &shown["waiting"]), (&json!("working"), &json!(0)), "{shown}");
    // What was acknowledged isn't delivered again.
    let after = receiver.count();
    daemon.kill9().await;
    daemon.restart().await;
    let tested = daemon.command(&["webhook", "test", "ops"]).output().await.unwrap();
    let said = String::from_utf8_lossy(&tested.stdout).into_owned();
    assert!(tested.status.success() && said.starts_with("ops: delivered, status 204"), "{said}");
    let (.., event) = receiver.next(after, |_| true).await;
    assert_eq!((&event["type"], receiver.count()), (&json!("webhook.test"), after + 1));
    daemon.stop().await;
}

/// A reader of the stream.
struct Reader(reqwest::Response, String);

impl Reader {
    async fn open(daemon: &Daemon, last: Option<&str>) -> Self {
        let mut request = client::http().get(format!("{}/v1/events/stream", daemon.url())).bearer_auth(daemon.token());
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
        Self(answer, String::new())
    }

    /// The next event of this kind.
    async fn next(&mut self, kind: &str) -> Value {
        loop {
            while let Some((frame, rest)) =
                self.1.split_once("\n\n").map(|(frame, rest)| (frame.to_owned(), rest.to_owned()))
            {
                self.1 = rest;
                if frame.lines().any(|line| line == format!("event: {kind}")) {
                    return serde_json::from_str(frame.lines().find_map(|line| line.strip_prefix("data: ")).unwrap())
                        .unwrap();
                }
            }
            let chunk =
                tokio::time::timeout(tokenhost_tests::PATIENCE, self.0.chunk()).await.unwrap().unwrap().unwrap();
            self.1 += &String::from_utf8_lossy(&chunk);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_taken_up_where_it_was_left() {
    let mut daemon = Daemon::start().await;
    let refuses = Arc::new(AtomicUsize::new(0));
    let provider = provider(Arc::clone(&refuses)).await;
    let client = daemon.client();
    integrate(&client, &provider).await;
    let mut reader = Reader::open(&daemon, None).await;
    client.token("crm").await.expect(200);
    let first = reader.next("token.renewed").await;
    assert_eq!((&first["integration"], &first["generation"]), (&json!("crm"), &json!(1)));

    daemon.kill9().await;
    daemon.restart().await;
    let client = daemon.client();
    client.post("/v1/integrations/crm/token/refresh", &json!({})).await.expect(200);
    let mut reader = Reader::open(&daemon, first["id"].as_str()).await;
    assert_eq!(reader.next("token.renewed").await["generation"], 2);
    // A daemon that stops doesn't wait for those who follow.
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_what_is_wrong_what_helps_and_when_all_is_well() {
    let daemon = Daemon::start().await;
    let refuses = Arc::new(AtomicUsize::new(0));
    let provider = provider(Arc::clone(&refuses)).await;
    let client = daemon.client();
    integrate(&client, &provider).await;
    let status = async || {
        let output = daemon.command(&["status"]).output().await.unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    client.token("crm").await.expect(200);
    let (code, screen) = status().await;
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.contains("all is well: 1 integration,"), "{screen}");

    refuses.store(1, Ordering::SeqCst);
    assert_ne!(client.post("/v1/integrations/crm/token/refresh", &json!({})).await.status, 200);
    let (code, screen) = status().await;
    assert_eq!(code, Some(1), "{screen}");
    for part in [
        " ! integration/crm: failing",
        "no such client",
        "next try ",
        "works until ",
        "$ tokenhost integration set crm --secret client_secret=@FILE",
    ] {
        assert!(screen.contains(part), "{part}:\n{screen}");
    }
    let events = daemon.command(&["event", "list", "--kind", "token.renewal_failing"]).output().await.unwrap();
    assert!(String::from_utf8_lossy(&events.stdout).contains("crm gets no new token: invalid_client"));

    refuses.store(0, Ordering::SeqCst);
    client.post("/v1/integrations/crm/token/refresh", &json!({})).await.expect(200);
    let (code, screen) = status().await;
    assert_eq!(code, Some(0), "{screen}");
}
