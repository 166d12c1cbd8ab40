//! Operation: the daemon's settings, each with its value and where that was given, and read again without a restart.

use axum::Router;
use axum::http::Method;
use axum::routing::get;
use minijinja::context;
use serde_json::Value;

use super::Console;
use super::page::Page;
use super::visit::Visit;

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/settings", get(show).post(reload))
}

async fn show(visit: Visit) -> Page {
    let config = visit.get("/v1/config").await?;
    visit.show("settings.html", context! { config })
}

/// Reads them again, and shows what is different by that, or what is wrong.
async fn reload(visit: Visit) -> Page {
    let answer = visit.ask(Method::POST, "/v1/config/reload", &Value::Null).await;
    let config = visit.get("/v1/config").await?;
    match answer.status.is_success() {
        true => visit.show("settings.html", context! { config, reloaded => answer.value }),
        false => visit.show("settings.html", context! { config, problem => answer.value }),
    }
}
