//! What is done about an integration's token: tried out, renewed, brought by a person, entered by hand, forgotten.
//!
//! No call that is made here shows a token.

use axum::Router;
use axum::extract::Path;
use axum::http::Method;
use axum::routing::post;
use minijinja::context;
use serde_json::{Map, Value};

use super::change::number;
use super::fields::Fields;
use super::integrations::{at, in_api, values, with};
use super::page::Page;
use super::visit::Visit;
use super::{Console, address};

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/integrations/{integration}/test", post(test))
        .route("/console/integrations/{integration}/renew", post(renew))
        .route("/console/integrations/{integration}/connect", post(connect))
        .route("/console/integrations/{integration}/token", post(enter))
        .route("/console/integrations/{integration}/token/delete", post(forget))
}

/// Where the API has a token: of the scheme that the form names, else of the integration's own.
fn path_of(integration: &str, rest: &[&str], fields: &Fields) -> String {
    address::with(&in_api(integration, rest), &[("scheme", fields.text("scheme"))])
}

async fn test(visit: Visit, Path(integration): Path<String>) -> Page {
    try_out(&visit, &integration, false).await
}

/// The page of an integration with what came of a test; after its settings were saved, where that is so.
pub(super) async fn try_out(visit: &Visit, integration: &str, saved: bool) -> Page {
    let answer = visit.ask(Method::POST, &in_api(integration, &["test"]), &Value::Null).await;
    let more = match answer.status.is_success() {
        true => context! { verdict => answer.value, saved },
        false => context! { problem => answer.value, saved },
    };
    with(visit, integration, more).await
}

async fn renew(visit: Visit, Path(integration): Path<String>, fields: Fields) -> Page {
    let path = path_of(&integration, &["token", "refresh"], &fields);
    let answer = visit.ask(Method::POST, &path, &Value::Null).await;
    match answer.status.is_success() {
        true => visit.done(&at(&integration), "renewed"),
        false => with(&visit, &integration, context! { problem => answer.value }).await,
    }
}

async fn connect(visit: Visit, Path(integration): Path<String>, fields: Fields) -> Page {
    let answer = visit.ask(Method::POST, &path_of(&integration, &["connect"], &fields), &Value::Null).await;
    if !answer.status.is_success() {
        return with(&visit, &integration, context! { problem => answer.value }).await;
    }
    if answer.value["connected"] == true {
        return visit.done(&at(&integration), "renewed");
    }
    with(&visit, &integration, context! { connection => answer.value }).await
}

async fn enter(visit: Visit, Path(integration): Path<String>, fields: Fields) -> Page {
    let mut token = Map::new();
    for (name, input) in [
        ("access_token", "secret.access_token"),
        ("refresh_token", "secret.refresh_token"),
        ("token_type", "kind"),
        ("scope", "scopes"),
    ] {
        if let Some(value) = fields.text(input) {
            token.insert(name.to_owned(), value.into());
        }
    }
    if let Some(seconds) = fields.text("expires_in") {
        token.insert("expires_in".to_owned(), number(seconds));
    }
    token.entry("access_token").or_insert_with(|| "".into());
    let path = path_of(&integration, &["token"], &fields);
    let answer = visit.ask(Method::PUT, &path, &Value::Object(token)).await;
    if answer.status.is_success() {
        return visit.done(&at(&integration), "entered");
    }
    let values = values(&visit, &integration).await?;
    visit.again("integration.html", &fields, &answer, context! { place => "token", ..values })
}

async fn forget(visit: Visit, Path(integration): Path<String>, fields: Fields) -> Page {
    let path = path_of(&integration, &["token"], &fields);
    let answer = visit.ask(Method::DELETE, &path, &Value::Null).await;
    match answer.status.is_success() {
        true => visit.done(&at(&integration), "forgotten"),
        false => with(&visit, &integration, context! { problem => answer.value }).await,
    }
}
