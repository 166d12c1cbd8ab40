//! Flows: what is installed and by whom it is signed, what it may use and who uses it; installed, upgraded, rolled back, removed.

use axum::Router;
use axum::extract::Path;
use axum::http::Method;
use axum::routing::{get, post};
use bytes::Bytes;
use minijinja::{Value as Context, context};
use serde_json::{Map, Value, json};

use super::change::number;
use super::fields::Fields;
use super::page::{Failure, Page};
use super::upload::Upload;
use super::visit::Visit;
use super::{Console, address};

/// Flows or integrations on a page.
const ON_PAGE: &str = "50";
/// Which it is, a package or a component, its bytes say.
const CONTENT_TYPE: &str = "application/octet-stream";

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/flows", get(list).post(install))
        .route("/console/flows/{flow}", get(show))
        .route("/console/flows/{flow}/compare", post(compare))
        .route("/console/flows/{flow}/upgrade", post(upgrade))
        .route("/console/flows/{flow}/rollback", post(roll_back))
        .route("/console/flows/{flow}/release", post(release))
        .route("/console/flows/{flow}/limits", post(limit))
        .route("/console/flows/{flow}/delete", post(remove))
}

/// The path of a flow, or of something of it, in the API.
fn in_api(flow: &str, rest: &[&str]) -> String {
    address::in_api("flows", flow, rest)
}

/// The path of a flow's page.
fn at(flow: &str) -> String {
    address::path(&["console", "flows", flow])
}

/// A path with what a form allows.
fn on_terms(path: &str, fields: &Fields, dry_run: bool) -> String {
    let allowed = |name: &str| fields.is_on(name).then_some("true");
    let terms = [
        ("dry_run", dry_run.then_some("true")),
        ("allow_unsigned", allowed("allow_unsigned")),
        ("allow_publisher_change", allowed("allow_publisher_change")),
    ];
    address::with(path, &terms)
}

/// The package or component of a form; empty, where none was chosen, for the API to refuse.
fn component(upload: &Upload) -> Bytes {
    upload.file.clone().unwrap_or_default()
}

async fn overview(visit: &Visit) -> Result<Context, Failure> {
    let cursor = visit.query("cursor");
    let wanted = [("limit", Some(ON_PAGE)), ("cursor", cursor.as_deref())];
    let flows = visit.get(&address::with("/v1/flows", &wanted)).await?;
    let publishers = visit.get_if_allowed("/v1/publishers").await?;
    Ok(context! { flows, publishers })
}

async fn list(visit: Visit) -> Page {
    let values = overview(&visit).await?;
    visit.show("flows.html", values)
}

async fn install(visit: Visit, upload: Upload) -> Page {
    let path = on_terms("/v1/flows", &upload.fields, false);
    let answer = visit.upload(Method::POST, &path, CONTENT_TYPE, component(&upload)).await;
    if answer.status.is_success() {
        return visit.done(&at(answer.value["name"].as_str().unwrap_or_default()), "installed");
    }
    let values = overview(&visit).await?;
    visit.again("flows.html", &upload.fields, &answer, values)
}

async fn values(visit: &Visit, flow: &str) -> Result<Context, Failure> {
    let found = visit.get(&in_api(flow, &[])).await?;
    let used = address::with("/v1/integrations", &[("limit", Some(ON_PAGE)), ("flow", Some(flow))]);
    let integrations = visit.get_if_allowed(&used).await?;
    Ok(context! { flow => found, at => at(flow), integrations })
}

async fn show(visit: Visit, Path(flow): Path<String>) -> Page {
    let values = values(&visit, &flow).await?;
    visit.show("flow.html", values)
}

/// The flow's page with why something wasn't done.
async fn refused(visit: &Visit, flow: &str, problem: Value) -> Page {
    let values = values(visit, flow).await?;
    visit.show("flow.html", context! { problem, ..values })
}

async fn compare(visit: Visit, Path(flow): Path<String>, upload: Upload) -> Page {
    let path = on_terms(&in_api(&flow, &["upgrade"]), &upload.fields, true);
    let answer = visit.upload(Method::POST, &path, CONTENT_TYPE, component(&upload)).await;
    let values = values(&visit, &flow).await?;
    if !answer.status.is_success() {
        return visit.again("flow.html", &upload.fields, &answer, context! { place => "newer", ..values });
    }
    let more = context! { form => upload.fields.shown(), difference => answer.value };
    visit.show("flow.html", context! { ..more, ..values })
}

async fn upgrade(visit: Visit, Path(flow): Path<String>, upload: Upload) -> Page {
    let path = on_terms(&in_api(&flow, &["upgrade"]), &upload.fields, false);
    let answer = visit.upload(Method::POST, &path, CONTENT_TYPE, component(&upload)).await;
    if answer.status.is_success() {
        return visit.done(&at(&flow), "upgraded");
    }
    let values = values(&visit, &flow).await?;
    visit.again("flow.html", &upload.fields, &answer, context! { place => "newer", ..values })
}

async fn roll_back(visit: Visit, Path(flow): Path<String>, fields: Fields) -> Page {
    let path = address::with(&in_api(&flow, &["rollback"]), &[("to", fields.text("to"))]);
    let answer = visit.ask(Method::POST, &path, &Value::Null).await;
    match answer.status.is_success() {
        true => visit.done(&at(&flow), "rolled_back"),
        false => refused(&visit, &flow, answer.value).await,
    }
}

async fn release(visit: Visit, Path(flow): Path<String>) -> Page {
    let answer = visit.ask(Method::POST, &in_api(&flow, &["release"]), &Value::Null).await;
    match answer.status.is_success() {
        true => visit.done(&at(&flow), "released"),
        false => refused(&visit, &flow, answer.value).await,
    }
}

async fn limit(visit: Visit, Path(flow): Path<String>, fields: Fields) -> Page {
    let limits: Map<String, Value> = (fields.under("limit."))
        .map(|(name, text)| {
            let text = text.trim();
            (name.to_owned(), if text.is_empty() { Value::Null } else { number(text) })
        })
        .collect();
    let answer = visit.ask(Method::PATCH, &in_api(&flow, &[]), &json!({"limits": limits})).await;
    if answer.status.is_success() {
        return visit.done(&at(&flow), "saved");
    }
    let values = values(&visit, &flow).await?;
    visit.again("flow.html", &fields, &answer, context! { place => "limits", ..values })
}

async fn remove(visit: Visit, Path(flow): Path<String>) -> Page {
    let answer = visit.ask(Method::DELETE, &in_api(&flow, &[]), &Value::Null).await;
    match answer.status.is_success() {
        true => visit.done("/console/flows", "deleted"),
        false => refused(&visit, &flow, answer.value).await,
    }
}
