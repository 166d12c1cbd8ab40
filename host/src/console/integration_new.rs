//! A new integration: of which model, which of its schemes by which flow, and with which fields. Three plain pages, each with
//! an address that says what was chosen.

use axum::Router;
use axum::http::Method;
use axum::routing::get;
use minijinja::{Value as Context, context};
use serde_json::{Value, json};

use super::fields::Fields;
use super::integrations::at;
use super::page::{Failure, Page};
use super::visit::Visit;
use super::{Console, address, authentication};

/// Models on a page.
const ON_PAGE: &str = "50";

pub(super) fn routes() -> Router<Console> {
    // No name begins so: an integration of any name has its own page.
    Router::new().route("/console/integrations/~new", get(show).post(make))
}

async fn show(visit: Visit) -> Page {
    match (visit.query("model"), visit.query("scheme")) {
        (None, _) => {
            let cursor = visit.query("cursor");
            let wanted = [("limit", Some(ON_PAGE)), ("cursor", cursor.as_deref())];
            let models = visit.get(&address::with("/v1/models", &wanted)).await?;
            visit.show("integration_new.html", context! { models })
        }
        (Some(model), None) => {
            let model = visit.get(&address::path(&["v1", "models", &model])).await?;
            visit.show("integration_new.html", context! { model })
        }
        (Some(model), Some(scheme)) => {
            let flow = visit.query("flow").unwrap_or_default();
            let detail = visit.query("detail");
            let values = form(&visit, &model, &scheme, &flow, detail.as_deref()).await?;
            visit.show("integration_new.html", values)
        }
    }
}

/// What the form with the fields needs.
pub(super) async fn form(
    visit: &Visit,
    model: &str,
    scheme: &str,
    flow: &str,
    detail: Option<&str>,
) -> Result<Context, Failure> {
    let found = visit.get(&address::path(&["v1", "models", model])).await?;
    let offers = visit.get(&address::path(&["v1", "models", model, "schemes", scheme])).await?;
    let fits = |offer: &&Value| offer["flow"] == flow && (detail.is_none() || offer["detail"].as_str() == detail);
    let all = offers["offers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let offer = all.iter().find(fits).or_else(|| all.first().filter(|_| flow.is_empty()));
    let offer = offer.cloned().unwrap_or_else(|| json!({"flow": flow, "fields": {}}));
    let described = visit.get(&address::path(&["v1", "flows", offer["flow"].as_str().unwrap_or_default()])).await?;
    Ok(context! { model => found, scheme, offer, flow => described })
}

async fn make(visit: Visit, fields: Fields) -> Page {
    let text = |name: &str| fields.text(name).unwrap_or_default().to_owned();
    let (name, model, scheme, flow) = (text("name"), text("model"), text("scheme"), text("flow"));
    let mut new = authentication::settings(&fields);
    for (member, value) in [("name", &name), ("model", &model), ("scheme", &scheme), ("flow", &flow)] {
        new.insert(member.to_owned(), value.as_str().into());
    }
    new.insert("fields".to_owned(), authentication::values(&fields));
    let answer = visit.ask(Method::POST, "/v1/integrations", &Value::Object(new)).await;
    if answer.status.is_success() {
        return visit.done(&at(&name), "made");
    }
    let values = form(&visit, &model, &scheme, &flow, fields.text("detail")).await?;
    visit.again("integration_new.html", &fields, &answer, values)
}
