//! What a token could be served with at best by the same crates: a handler that digests the caller's token, reads one
//! concurrent map, and returns the bytes. It runs in a process of its own, on the daemon's own accept loop and settings.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use dashmap::DashMap;
use sha2::{Digest as _, Sha256};
use tokenhost::api;

use crate::process::{Server, built};

/// The hidden argument with which this program is the baseline.
pub(crate) const ARGUMENT: &str = "--serve-baseline";

/// The route, the same as tokenhost's.
const ROUTE: &str = "/v1/integrations/{integration}/token";

/// Connections at once, as the daemon's default.
const CONNECTIONS: usize = 16_384;

/// Answers by the digest of the token that gets them.
type Answers = Arc<DashMap<[u8; 32], Bytes>>;

/// Starts the baseline, which answers these bytes to who presents this token.
pub(crate) fn start(token: &str, body: &str) -> anyhow::Result<Server> {
    let nothing: [(&str, &str); 0] = [];
    Server::start(built()?.join("bench"), &[ARGUMENT], nothing, &format!("{token}\n{body}\n"))
}

/// Serves until standard input ends; its first two lines are the token and the answer.
pub(crate) fn serve() -> anyhow::Result<()> {
    let mut lines = std::io::stdin().lines();
    let mut line = || lines.next().transpose().map(Option::unwrap_or_default);
    let (token, body) = (line()?, line()?);
    drop(lines);
    let answers: Answers = Arc::default();
    answers.insert(Sha256::digest(token.as_bytes()).into(), body.into());
    let router = Router::new().route(ROUTE, get(answer)).with_state(answers);
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
    let Some(body) = answers.get(&digest).map(|body| body.clone()) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
