//! Where a person comes back to after the provider's page, while `plugin try` waits: one path on loopback, for one attempt.
//!
//! It believes only a return with the attempt's own key, shows one small page, and repeats nothing that came in the query.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::get;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::super::exit::Failure;

/// The path.
const PATH: &str = "/callback";

/// How long a person may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// The query with which a person came back.
pub(super) type Query = Vec<(String, SecretString)>;

/// A listening callback. It ends when it is dropped.
pub(super) struct Callback {
    /// Where the provider sends the person.
    url: String,
    /// What comes back goes here, once.
    waiting: Arc<Waiting>,
    /// Serves until this is dropped.
    task: JoinHandle<()>,
}

/// What requests share.
struct Waiting {
    /// The attempt's key, which the provider echoes as `state`.
    key: String,
    /// Who waits.
    sender: Mutex<Option<oneshot::Sender<Query>>>,
}

impl Drop for Callback {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Callback {
    /// Listens on this port of loopback; 0: one that the system chooses.
    ///
    /// # Errors
    /// The port is taken.
    pub(super) async fn listen(port: u16, key: String) -> Result<Self, Failure> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await.map_err(|error| {
            Failure::failed(format!("port {port} can't be used for the provider's answer: {error}"))
                .hint("Choose another: --callback-port PORT (the provider must know the address).")
        })?;
        let address = listener.local_addr().map_err(|error| Failure::failed(error.to_string()))?;
        let waiting = Arc::new(Waiting { key, sender: Mutex::default() });
        let router = Router::new().route(PATH, get(returned)).with_state(Arc::clone(&waiting));
        let task = tokio::spawn(async move {
            // Ends with the task.
            drop(axum::serve(listener, router).await);
        });
        Ok(Self { url: format!("http://127.0.0.1:{}{PATH}", address.port()), waiting, task })
    }

    /// Where the provider sends the person.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Waits for the person.
    ///
    /// # Errors
    /// Nobody came.
    pub(super) async fn wait(&self) -> Result<Query, String> {
        let (sender, receiver) = oneshot::channel();
        *self.waiting.sender.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        match tokio::time::timeout(PATIENCE, receiver).await {
            Ok(Ok(query)) => Ok(query),
            _ => Err(format!("nobody came back to {} within {} minutes", self.url, PATIENCE.as_secs() / 60)),
        }
    }
}

/// Takes in a person, or somebody else.
async fn returned(State(waiting): State<Arc<Waiting>>, RawQuery(query): RawQuery) -> (StatusCode, Html<&'static str>) {
    let query: Vec<(String, String)> =
        form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
    let mut states = query.iter().filter(|(name, _)| name == "state");
    let known = states.next().is_some_and(|(_, state)| *state == waiting.key) && states.next().is_none();
    if !known {
        return (
            StatusCode::BAD_REQUEST,
            Html("<!doctype html><title>tokenhost</title><p>This is no answer to the attempt that waits here."),
        );
    }
    let sender = waiting.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
    let query = query.into_iter().map(|(name, value)| (name, SecretString::from(value))).collect();
    match sender.map(|sender| sender.send(query)) {
        Some(Ok(())) => (
            StatusCode::OK,
            Html("<!doctype html><title>tokenhost</title><p>Done: go back to the terminal. This page can be closed."),
        ),
        _ => (
            StatusCode::CONFLICT,
            Html(
                "<!doctype html><title>tokenhost</title><p>The attempt has its answer already, or doesn't wait for one.",
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[tokio::test]
    async fn only_the_attempts_own_return_counts_and_only_once() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let callback = Callback::listen(0, "key".to_owned()).await.unwrap();
        let visit = |query: &'static str| {
            let url = format!("{}{query}", callback.url());
            async move { reqwest::get(url).await.unwrap().status().as_u16() }
        };
        let mut waiting = std::pin::pin!(callback.wait());
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        assert_eq!(visit("?code=x").await, 400);
        assert_eq!(visit("?code=x&state=other").await, 400);
        assert_eq!(visit("?code=x&state=key&state=key").await, 400);
        assert_eq!(visit("?code=c+1&state=key").await, 200);
        assert_eq!(visit("?code=c2&state=key").await, 409);
        let query = waiting.await.unwrap();
        let query: Vec<(&str, &str)> =
            query.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
        assert_eq!(query, [("code", "c 1"), ("state", "key")]);
    }
}
