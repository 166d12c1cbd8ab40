//! Operation: the keys, how much is sealed with which, and a new data key, with how far the sealing anew is.
//!
//! A new master key isn't made here: that takes the daemon's settings, and so whoever has its machine.

use axum::Router;
use axum::http::Method;
use axum::response::Redirect;
use axum::routing::get;
use minijinja::context;
use serde_json::Value;

use super::Console;
use super::page::Page;
use super::visit::Visit;

/// The page.
const HERE: &str = "/console/keys";

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/keys", get(show))
        .route("/console/keys/rotate-data", get(|| async { Redirect::to(HERE) }).post(rotate_data))
}

async fn show(visit: Visit) -> Page {
    let keys = visit.get("/v1/keys").await?;
    visit.show("keys.html", context! { keys })
}

async fn rotate_data(visit: Visit) -> Page {
    let answer = visit.ask(Method::POST, "/v1/keys/data/rotate", &Value::Null).await;
    if answer.status.is_success() {
        return visit.done(HERE, "rotated");
    }
    let keys = visit.get("/v1/keys").await?;
    visit.show("keys.html", context! { keys, problem => answer.value })
}
