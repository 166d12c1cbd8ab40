//! Operation: backups, how they are made by themselves, and that the data came from one. One that is made now goes to whoever
//! asks for it, as the API's answer, and not through a page.

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
const HERE: &str = "/console/backups";

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/backups", get(show))
        .route("/console/backups/acknowledge", get(|| async { Redirect::to(HERE) }).post(acknowledge))
}

async fn show(visit: Visit) -> Page {
    let backups = visit.get("/v1/backups").await?;
    let status = visit.get_if_allowed("/v1/status?limit=1").await?;
    visit.show("backups.html", context! { backups, restored => status["restored"].clone() })
}

async fn acknowledge(visit: Visit) -> Page {
    visit.tell(Method::POST, "/v1/restore/acknowledge", &Value::Null).await?;
    visit.done(HERE, "saved")
}
