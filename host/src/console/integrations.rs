//! An integration: how it authenticates, and how its token is.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::Path;
use axum::http::{Method, StatusCode};
use axum::routing::{get, post};
use minijinja::{Value as Context, context};
use serde_json::{Value, json};

use super::fields::Fields;
use super::page::{Failure, Page};
use super::tokens::try_out;
use super::visit::Visit;
use super::{Console, address, authentication};

/// Attempts on the page.
const ATTEMPTS: &str = "10";

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/integrations/{integration}", get(show).post(save))
        .route("/console/integrations/{integration}/unbind", post(unbind))
        .route("/console/integrations/{integration}/delete", post(delete))
}

/// The path of an integration, or of something of it, in the API.
pub(super) fn in_api(integration: &str, rest: &[&str]) -> String {
    address::in_api("integrations", integration, rest)
}

/// The path of an integration's page.
pub(super) fn at(integration: &str) -> String {
    address::path(&["console", "integrations", integration])
}

async fn show(visit: Visit, Path(integration): Path<String>) -> Page {
    let values = values(&visit, &integration).await?;
    visit.show("integration.html", values)
}

/// What the page shows, whatever else it shows.
pub(super) async fn values(visit: &Visit, integration: &str) -> Result<Context, Failure> {
    let found = visit.get(&in_api(integration, &[])).await?;
    let mut flows: BTreeMap<String, Value> = BTreeMap::new();
    let further = found["schemes"].as_object().into_iter().flat_map(|schemes| schemes.values());
    for name in further.chain([&found]).filter_map(|bound| bound["flow"].as_str()) {
        if !flows.contains_key(name) {
            let flow = visit.get_if_allowed(&address::path(&["v1", "flows", name])).await?;
            flows.insert(name.to_owned(), flow);
        }
    }
    let list = address::with(&in_api(integration, &["attempts"]), &[("limit", Some(ATTEMPTS))]);
    let attempts = visit.get_if_allowed(&list).await?;
    let model =
        visit.get_if_allowed(&address::path(&["v1", "models", found["model"].as_str().unwrap_or_default()])).await?;
    let scopes = scopes(visit, &found).await?;
    Ok(context! { integration => found, at => at(integration), flows, attempts, model, scopes })
}

/// The scopes that the document names for an integration's scheme, for who may see it.
async fn scopes(visit: &Visit, found: &Value) -> Result<Value, Failure> {
    let text = |name: &str| found[name].as_str().unwrap_or_default();
    let scheme = address::in_api("models", text("model"), &["schemes", text("scheme")]);
    let offers = visit.get_if_allowed(&scheme).await?;
    let mut offers = offers["offers"].as_array().into_iter().flatten();
    let its = offers.find(|offer| offer["flow"] == found["flow"] && offer["detail"] == found["detail"]);
    Ok(its.map(|offer| offer["scopes"].clone()).unwrap_or_default())
}

/// The page with something more on it: a problem, or what came of something.
pub(super) async fn with(visit: &Visit, integration: &str, more: Context) -> Page {
    let values = values(visit, integration).await?;
    visit.show("integration.html", context! { ..more, ..values })
}

async fn save(visit: Visit, Path(integration): Path<String>, fields: Fields) -> Page {
    let (path, change) = (in_api(&integration, &[]), authentication::change(&fields));
    // Before secrets are dropped, whoever saves is told, and can give them anew.
    let asked = if fields.is_on("confirmed") { None } else { Some("false") };
    let path = address::with(&path, &[("drop", asked)]);
    let answer = visit.change(&path, fields.text("revision"), &change).await;
    if answer.status.is_success() {
        return match fields.text("then") {
            Some("test") => try_out(&visit, &integration, true).await,
            _ => visit.done(&at(&integration), "saved"),
        };
    }
    let values = values(&visit, &integration).await?;
    if answer.value["code"] == "target_changed" {
        let more = context! { form => fields.shown(), place => "authentication", moved => answer.value };
        return visit.show("integration.html", context! { ..more, ..values });
    }
    visit.again("integration.html", &fields, &answer, context! { place => "authentication", ..values })
}

async fn unbind(visit: Visit, Path(integration): Path<String>, fields: Fields) -> Page {
    let scheme = fields.text("scheme").unwrap_or_default();
    let change = json!({"schemes": {scheme: null}});
    let answer = visit.change(&in_api(&integration, &[]), fields.text("revision"), &change).await;
    if answer.status.is_success() {
        return visit.done(&at(&integration), "saved");
    }
    with(&visit, &integration, context! { problem => answer.value }).await
}

async fn delete(visit: Visit, Path(integration): Path<String>) -> Page {
    let answer = visit.ask(Method::DELETE, &in_api(&integration, &[]), &Value::Null).await;
    match answer.status {
        StatusCode::OK if answer.value["not_revoked"].is_string() => visit.done("/console/", "deleted_not_revoked"),
        status if status.is_success() => visit.done("/console/", "deleted"),
        _ => with(&visit, &integration, context! { problem => answer.value }).await,
    }
}
