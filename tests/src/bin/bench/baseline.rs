//! What a call could be served with at best by the same crates: a handler that digests the caller's token, reads one
//! concurrent map, and returns the bytes, headers included. It runs in a process of its own, on the daemon's own accept loop and settings.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use bytes::Bytes;
use dashmap::DashMap;
use sha2::{Digest as _, Sha256};
use tokenhost::api;

use crate::process::{Server, Whole, built};

/// The hidden argument with which this program is the baseline.
pub(crate) const ARGUMENT: &str = "--serve-baseline";

/// The routes, the same as tokenhost's.
const TOKEN: &str = "/v1/integrations/{integration}/token";
const VERIFY: &str = "/v1/verify";
const FORWARD_AUTH: &str = "/v1/forward-auth/{scope}";
const OVERVIEW: &str = "/console/";

/// Headers that the server adds by itself.
const BY_ITSELF: [HeaderName; 3] = [header::DATE, header::X_CONTENT_TYPE_OPTIONS, header::CONTENT_LENGTH];

/// The largest question that it reads.
const QUESTION: usize = 1 << 20;

/// Connections at once, as the daemon's default.
const CONNECTIONS: usize = 16_384;

/// An answer.
struct Answer {
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

/// Answers by the digest of the token that gets them.
type Answers = Arc<DashMap<[u8; 32], Answer>>;

/// Starts the baseline, which answers this, head and body, to who presents this token.
pub(crate) fn start(token: &str, answer: &Whole) -> anyhow::Result<Server> {
    let nothing: [(&str, &str); 0] = [];
    let headers: String = answer.headers().map(|(name, value)| format!("{name}: {value}\n")).collect();
    Server::start(
        built()?.join("bench"),
        &[ARGUMENT],
        nothing,
        &format!("{token}\n{}\n{headers}\n", serde_json::to_string(&answer.body)?),
    )
}

/// Serves until standard input ends; its first lines are the token, the answer's body as JSON, and its headers up to an empty one.
pub(crate) fn serve() -> anyhow::Result<()> {
    let mut lines = std::io::stdin().lines();
    let mut line = || lines.next().transpose().map(Option::unwrap_or_default);
    let (token, body) = (line()?, serde_json::from_str::<String>(&line()?)?);
    let mut headers = Vec::new();
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(": ") else { break };
        let name: HeaderName = name.parse()?;
        if !BY_ITSELF.contains(&name) {
            headers.push((name, value.parse()?));
        }
    }
    drop(lines);
    let answers: Answers = Arc::default();
    answers.insert(Sha256::digest(token.as_bytes()).into(), Answer { headers, body: body.into() });
    let router = Router::new()
        .route(TOKEN, get(answer))
        .route(OVERVIEW, get(answer))
        .route(VERIFY, post(answer_to_question))
        .route(FORWARD_AUTH, any(answer))
        .with_state(answers);
    // As the daemon's.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = api::listen(([127, 0, 0, 1], 0).into())?;
        writeln!(std::io::stdout(), "listening on http://{}", listener.local_addr()?)?;
        let owner_ended = tokio::task::spawn_blocking(|| drop(std::io::stdin().read(&mut [0])));
        api::serve(listener, router, CONNECTIONS, async { drop(owner_ended.await) }).await;
        Ok(())
    })
}

async fn answer(State(answers): State<Answers>, request: Request) -> Response {
    let presented = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = presented.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
    let Some(answer) = answers.get(&digest) else { return StatusCode::UNAUTHORIZED.into_response() };
    let mut response = Response::new(Body::from(answer.body.clone()));
    let headers = response.headers_mut();
    for (name, value) in &answer.headers {
        headers.insert(name, value.clone());
    }
    response
}

/// The same with a body in the request, which is read as any handler of such a call would, and not looked at.
async fn answer_to_question(answers: State<Answers>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match axum::body::to_bytes(body, QUESTION).await {
        Ok(body) => answer(answers, Request::from_parts(parts, Body::from(body))).await,
        Err(_) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    }
}
