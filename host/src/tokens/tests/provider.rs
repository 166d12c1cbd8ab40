//! A provider on loopback that rotates refresh tokens, revokes the family on reuse, and fails on demand.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use axum::routing::post;
use tokio::sync::Notify;

/// What the next request meets.
#[derive(Clone, Debug)]
pub(super) enum Mood {
    /// This status and body, whatever is asked.
    Say(u16, &'static str),
    /// This status with a `Retry-After` of so many seconds.
    Later(u16, u64),
    /// It does what it is asked, and then breaks the connection before it has answered.
    Break,
    /// It waits until [`Provider::release`].
    Hold,
}

/// What happened.
#[derive(Default)]
struct Seen {
    /// The forms of all requests.
    requests: Vec<String>,
    /// Tokens given.
    given: u64,
    /// Refresh tokens that work.
    good: HashSet<String>,
    /// Refresh tokens that were used up.
    used: HashSet<String>,
    /// How often a used one came again.
    reused: usize,
    moods: VecDeque<Mood>,
}

/// The provider.
#[derive(Clone)]
pub(super) struct Provider {
    /// Where it takes token requests.
    pub(super) token_url: String,
    seen: Arc<Mutex<Seen>>,
    released: Arc<Notify>,
    expires_in: Option<u64>,
}

impl Provider {
    pub(super) async fn start(expires_in: Option<u64>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let token_url = format!("http://{}/token", listener.local_addr().unwrap());
        let provider = Self { token_url, seen: Arc::default(), released: Arc::default(), expires_in };
        let routes = Router::new().route("/token", post(answer)).with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        provider
    }

    pub(super) fn next(&self, mood: Mood) {
        self.seen.lock().unwrap().moods.push_back(mood);
    }

    pub(super) fn release(&self) {
        self.released.notify_one();
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().requests.clone()
    }

    pub(super) fn reused(&self) -> usize {
        self.seen.lock().unwrap().reused
    }
}

async fn answer(State(provider): State<Provider>, form: String) -> Response<Body> {
    let mood = {
        let mut seen = provider.seen.lock().unwrap();
        seen.requests.push(form.clone());
        seen.moods.pop_front()
    };
    match mood {
        Some(Mood::Say(status, body)) => return say(status, body.to_owned()),
        Some(Mood::Later(status, seconds)) => {
            let mut answer = say(status, String::new());
            answer.headers_mut().insert("retry-after", seconds.into());
            return answer;
        }
        Some(Mood::Hold) => provider.released.notified().await,
        Some(Mood::Break) => {
            provider.grant(&form);
            // A body shorter than announced, and then an end.
            let broken =
                futures_util::stream::iter([Ok(bytes::Bytes::from("{")), Err(std::io::Error::other("broken"))]);
            return Response::new(Body::from_stream(broken));
        }
        None => {}
    }
    provider.grant(&form)
}

impl Provider {
    fn grant(&self, form: &str) -> Response<Body> {
        let mut seen = self.seen.lock().unwrap();
        if let Some(token) = form.strip_prefix("refresh=") {
            if !seen.good.remove(token) {
                if seen.used.contains(token) {
                    seen.reused += 1;
                    seen.good.clear();
                }
                return say(400, r#"{"error":"invalid_grant"}"#.to_owned());
            }
            seen.used.insert(token.to_owned());
        }
        seen.given += 1;
        let (access, refresh) = (format!("access-{}", seen.given), format!("refresh-{}", seen.given));
        seen.good.insert(refresh.clone());
        let mut body = serde_json::json!({"access_token": access, "refresh_token": refresh});
        if let Some(expires_in) = self.expires_in {
            body["expires_in"] = expires_in.into();
        }
        say(200, body.to_string())
    }
}

fn say(status: u16, body: String) -> Response<Body> {
    Response::builder().status(StatusCode::from_u16(status).unwrap()).body(Body::from(body)).unwrap()
}

/// Waits until something is so.
pub(super) async fn until(what: impl Fn() -> bool) {
    let wait = async {
        while !what() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it never became so");
}
