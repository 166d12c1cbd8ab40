//! Attempts: what was done to get a token, step by step, with secrets as names.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use minijinja::context;

use super::integrations::{at, in_api};
use super::page::Page;
use super::visit::Visit;
use super::{Console, address};

/// Attempts on a page of the list.
const ON_PAGE: &str = "25";

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/integrations/{integration}/attempts", get(list))
        .route("/console/integrations/{integration}/attempts/{attempt}", get(show))
        .route("/console/integrations/{integration}/attempts/{attempt}/outcome", get(outcome))
}

async fn list(visit: Visit, Path(integration): Path<String>) -> Page {
    let cursor = visit.query("cursor");
    let wanted = [("limit", Some(ON_PAGE)), ("cursor", cursor.as_deref())];
    let attempts = visit.get(&address::with(&in_api(&integration, &["attempts"]), &wanted)).await?;
    visit.show("attempts.html", context! { name => integration, at => at(&integration), attempts })
}

async fn show(visit: Visit, Path((integration, attempt)): Path<(String, String)>) -> Page {
    let attempt = visit.get(&in_api(&integration, &["attempts", &attempt])).await?;
    visit.show("attempt.html", context! { name => integration, at => at(&integration), attempt })
}

/// The part of a page that waits for an attempt's end.
async fn outcome(visit: Visit, Path((integration, attempt)): Path<(String, String)>) -> Page {
    let attempt = visit.get(&in_api(&integration, &["attempts", &attempt])).await?;
    visit.show("outcome.html", context! { at => at(&integration), attempt })
}
