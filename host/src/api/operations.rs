//! What operates the daemon: is it alive, is it ready, its metrics, and the description of its API.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::docs;
use super::problem::{Code, Problem};
use super::state::Api;

/// The media type of Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
        .routes(routes!(openapi))
        .routes(routes!(page))
}

/// Whether the daemon is alive
#[utoipa::path(get, path = "/healthz", tag = "operations", security(()), responses((status = 200, description = "It is", body = String)))]
async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the daemon takes calls: its store answers, and it isn't stopping
#[utoipa::path(get, path = "/readyz", tag = "operations", security(()), responses((status = 200, description = "It does", body = String)))]
async fn readyz(State(api): State<Api>) -> Result<String, Problem> {
    let not_ready = |detail: &str| Problem::new(Code::Unavailable, detail).retry_after(Duration::from_secs(1));
    if api.stopping.load(Ordering::Relaxed) {
        return Err(not_ready("the daemon is stopping"));
    }
    // Any key will do: what counts is that the store answers.
    match api.store.get(b"readyz").await {
        Ok(_) => Ok(match api.shelf.problems() {
            0 => "ready\n".to_owned(),
            // Anybody may ask this: which flows they are, is for those who may read flows.
            count => format!("ready\ninstalled flows that aren't served: {count}; `tokenhost flow list` says why\n"),
        }),
        Err(error) => {
            tracing::error!("not ready: {error}");
            Err(not_ready("the store doesn't answer"))
        }
    }
}

/// The daemon's metrics, in Prometheus' text format
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, description = "The metrics", body = String)))]
async fn metrics(State(api): State<Api>) -> Response {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], api.metrics.render()).into_response()
}

/// The description of this API (OpenAPI 3.1)
#[utoipa::path(get, path = "/openapi.json", tag = "operations", responses((status = 200, description = "The description", body = serde_json::Value)))]
async fn openapi(State(api): State<Api>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], api.document.clone()).into_response()
}

/// The same as a page
#[utoipa::path(get, path = "/docs", tag = "operations", responses((status = 200, description = "The page", body = String, content_type = "text/html")))]
async fn page(State(api): State<Api>) -> Response {
    const HEADERS: [(HeaderName, HeaderValue); 3] = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(docs::POLICY)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (HEADERS, api.page.clone()).into_response()
}
