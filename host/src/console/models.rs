//! Models: imported documents, what they hold, and what a newer version would change.

use axum::Router;
use axum::extract::Path;
use axum::http::Method;
use axum::routing::{get, post};
use minijinja::{Value as Context, context};
use serde_json::Value;

use super::page::{Failure, Page};
use super::upload::Upload;
use super::visit::Visit;
use super::{Console, address};

/// Models, operations or integrations on a page.
const ON_PAGE: &str = "50";

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/models", get(list))
        // No name begins so: a model of any name has its own page.
        .route("/console/models/~new", get(ask).post(import))
        .route("/console/models/{model}", get(show))
        .route("/console/models/{model}/compare", post(compare))
        .route("/console/models/{model}/replace", post(replace))
        .route("/console/models/{model}/delete", post(delete))
}

/// The path of a model, or of something of it, in the API.
fn in_api(model: &str, rest: &[&str]) -> String {
    address::in_api("models", model, rest)
}

/// The path of a model's page.
fn at(model: &str) -> String {
    address::path(&["console", "models", model])
}

async fn list(visit: Visit) -> Page {
    let cursor = visit.query("cursor");
    let wanted = [("limit", Some(ON_PAGE)), ("cursor", cursor.as_deref())];
    let models = visit.get(&address::with("/v1/models", &wanted)).await?;
    visit.show("models.html", context! { models })
}

async fn ask(visit: Visit) -> Page {
    let organizations = organizations(&visit).await?;
    visit.show("model_new.html", context! { organizations })
}

/// The organizations that a model could belong to, for who may see them.
async fn organizations(visit: &Visit) -> Result<Value, Failure> {
    visit.get_if_allowed("/v1/organizations?limit=200").await
}

async fn import(visit: Visit, upload: Upload) -> Page {
    let (name, organization) = (upload.fields.text("name"), upload.fields.text("organization"));
    let path = address::with("/v1/models", &[("name", name), ("organization", organization)]);
    let (content_type, document) = upload.document();
    let answer = visit.upload(Method::POST, &path, content_type, document).await;
    if answer.status.is_success() {
        return visit.done(&at(answer.value["name"].as_str().unwrap_or_default()), "imported");
    }
    let organizations = organizations(&visit).await?;
    let nothing = !upload.has_document();
    visit.again("model_new.html", &upload.fields, &answer, context! { organizations, nothing })
}

async fn show(visit: Visit, Path(model): Path<String>) -> Page {
    let values = values(&visit, &model).await?;
    visit.show("model.html", values)
}

/// What the page shows, whatever else it shows.
async fn values(visit: &Visit, model: &str) -> Result<Context, Failure> {
    let found = visit.get(&in_api(model, &[])).await?;
    let (q, cursor) = (visit.query("q"), visit.query("cursor"));
    let wanted = [("limit", Some(ON_PAGE)), ("q", q.as_deref()), ("cursor", cursor.as_deref())];
    let operations = visit.get(&address::with(&in_api(model, &["operations"]), &wanted)).await?;
    let made = address::with("/v1/integrations", &[("limit", Some(ON_PAGE)), ("model", Some(model))]);
    let integrations = visit.get_if_allowed(&made).await?;
    Ok(context! { model => found, at => at(model), operations, integrations, q })
}

async fn compare(visit: Visit, Path(model): Path<String>, upload: Upload) -> Page {
    let (content_type, document) = upload.document();
    let answer = visit.upload(Method::POST, &in_api(&model, &["compare"]), content_type, document).await;
    let values = values(&visit, &model).await?;
    if !answer.status.is_success() {
        return visit.again(
            "model.html",
            &upload.fields,
            &answer,
            context! { place => "newer", nothing => !upload.has_document(), ..values },
        );
    }
    let more = context! { form => upload.fields.shown(), comparison => answer.value };
    visit.show("model.html", context! { ..more, ..values })
}

async fn replace(visit: Visit, Path(model): Path<String>, upload: Upload) -> Page {
    let (content_type, document) = upload.document();
    // Both documents are those that were compared, or nothing is replaced.
    let (present, newer) = (upload.fields.text("present"), upload.fields.text("newer"));
    let path = address::with(&in_api(&model, &[]), &[("digest", newer)]);
    let answer = visit.replace(&path, content_type, document, present).await;
    if answer.status.is_success() {
        return visit.done(&at(&model), "replaced");
    }
    let values = values(&visit, &model).await?;
    let nothing = !upload.has_document();
    visit.again("model.html", &upload.fields, &answer, context! { place => "newer", nothing, ..values })
}

async fn delete(visit: Visit, Path(model): Path<String>) -> Page {
    let answer = visit.ask(Method::DELETE, &in_api(&model, &[]), &Value::Null).await;
    if answer.status.is_success() {
        return visit.done("/console/models", "deleted");
    }
    let values = values(&visit, &model).await?;
    visit.show("model.html", context! { problem => answer.value, ..values })
}
