//! What happened that somebody may have to act on, the newest first.

use axum::Router;
use axum::http::Method;
use axum::routing::get;
use minijinja::context;
use serde_json::{Value, json};

use super::fields::Fields;
use super::page::Page;
use super::visit::Visit;
use super::{Console, address};

/// Events on a page.
const ON_PAGE: &str = "50";

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/events", get(list))
}

async fn list(visit: Visit) -> Page {
    let (kind, integration) = (visit.query("kind"), visit.query("integration"));
    let filter = [("kind", kind.as_deref()), ("integration", integration.as_deref())];
    let cursor = visit.query("cursor");
    let wanted = [&filter[..], &[("cursor", cursor.as_deref()), ("limit", Some(ON_PAGE))]].concat();
    let answer = visit.ask(Method::GET, &address::with("/v1/events", &wanted), &Value::Null).await;
    let kinds = visit.get("/v1/events/kinds").await?["items"].clone();
    let typed = json!({"kind": kind, "integration": integration});
    let values = context! { kinds, typed, next => address::with("/console/events", &filter) };
    match answer.status.is_success() {
        true => visit.show("events.html", context! { list => answer.value, ..values }),
        // What can't be searched for is said beside the form; other problems have a page.
        false if !answer.value["errors"].is_null() => visit.again("events.html", &Fields::default(), &answer, values),
        false => Err(visit.problem(&answer)),
    }
}
