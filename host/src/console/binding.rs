//! A further security scheme for an integration: which flow serves it, and with which fields.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use minijinja::{Value as Context, context};
use serde_json::json;

use super::fields::Fields;
use super::integration_new::form;
use super::integrations::{at, in_api};
use super::page::{Failure, Page};
use super::visit::Visit;
use super::{Console, authentication};

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/integrations/{integration}/bind", get(ask).post(bind))
}

/// What was chosen on the page before: the scheme and its flow.
fn chosen(visit: &Visit) -> (String, String) {
    (visit.query("scheme").unwrap_or_default(), visit.query("flow").unwrap_or_default())
}

async fn values(visit: &Visit, integration: &str) -> Result<Context, Failure> {
    let found = visit.get(&in_api(integration, &[])).await?;
    let (scheme, flow) = chosen(visit);
    let values = form(visit, found["model"].as_str().unwrap_or_default(), &scheme, &flow, None).await?;
    Ok(context! { name => integration, at => at(integration), ..values })
}

async fn ask(visit: Visit, Path(integration): Path<String>) -> Page {
    let values = values(&visit, &integration).await?;
    visit.show("integration_bind.html", values)
}

async fn bind(visit: Visit, Path(integration): Path<String>, fields: Fields) -> Page {
    let (scheme, flow) = chosen(&visit);
    let change = json!({"schemes": {scheme: {"flow": flow, "fields": authentication::values(&fields)}}});
    let answer = visit.change(&in_api(&integration, &[]), None, &change).await;
    if answer.status.is_success() {
        return visit.done(&at(&integration), "saved");
    }
    let values = values(&visit, &integration).await?;
    visit.again("integration_bind.html", &fields, &answer, values)
}
