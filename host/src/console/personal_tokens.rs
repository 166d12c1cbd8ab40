//! Administration: everyone's personal tokens.

use axum::Router;
use axum::extract::Path;
use axum::http::Method;
use axum::response::Redirect;
use axum::routing::{get, post};
use minijinja::context;
use serde_json::{Value, json};

use super::account::grace;
use super::change::{boxes, text, typed};
use super::fields::Fields;
use super::once::{Forms, Minted};
use super::page::{Failure, Page};
use super::standing;
use super::visit::Visit;
use super::{Console, address};

/// The list.
const HERE: &str = "/console/personal-tokens";
/// The API's.
const TOKENS: &str = "/v1/personal-tokens";

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/personal-tokens", get(list).post(create))
        .route("/console/personal-tokens/new", get(new))
        .route("/console/personal-tokens/{id}", get(show).post(change))
        .route("/console/personal-tokens/{id}/rebuild", get(of_token).post(rebuild))
        .route("/console/personal-tokens/{id}/delete", post(delete))
}

/// A token's page.
fn page(id: &str) -> String {
    HERE.to_owned() + &address::path(&[id])
}

/// A token in the API.
fn path(id: &str) -> String {
    TOKENS.to_owned() + &address::path(&[id])
}

async fn of_token(Path(id): Path<String>) -> Redirect {
    Redirect::to(&page(&id))
}

async fn choices(visit: &Visit) -> Result<minijinja::Value, Failure> {
    let scopes = visit.get("/v1/scopes").await?;
    Ok(context! { scopes => scopes["items"].clone(), form_id => Forms::id() })
}

async fn list(visit: Visit) -> Page {
    let list = standing::list(&visit, TOKENS, &["user", "state"]).await?;
    visit.show("personal-tokens.html", context! { list, user => visit.query("user"), state => visit.query("state") })
}

async fn new(visit: Visit) -> Page {
    standing::peek(&visit, TOKENS).await?;
    let typed = json!({"user": visit.query("user"), "scopes": ["REST/JSON"]});
    let choices = choices(&visit).await?;
    visit.show("personal-token.html", context! { typed, ..choices })
}

async fn create(visit: Visit, fields: Fields) -> Page {
    let mut body = json!({"user": fields.text("user").unwrap_or_default(),
        "application": fields.text("application").unwrap_or_default(), "scopes": boxes(&fields, "scopes")});
    if let (Some(end), Value::Object(body)) = (fields.text("expiration_date"), &mut body) {
        body.insert("expiration_date".to_owned(), end.into());
    }
    match visit.mint(&fields, TOKENS, &body, HERE).await {
        Minted::Shown(page) => page,
        Minted::Refused(answer) => {
            let values = context! { typed => typed(&fields, &["scopes"]), ..choices(&visit).await? };
            visit.again("personal-token.html", &fields, &answer, values)
        }
    }
}

async fn show(visit: Visit, Path(id): Path<String>) -> Page {
    let item = visit.get(&path(&id)).await?;
    let choices = choices(&visit).await?;
    visit.show("personal-token.html", context! { typed => item.clone(), item, ..choices })
}

async fn change(visit: Visit, Path(id): Path<String>, fields: Fields) -> Page {
    let item = visit.get(&path(&id)).await?;
    let wanted = json!({"application": text(&fields, "application"), "scopes": boxes(&fields, "scopes"),
        "expiration_date": fields.text("expiration_date").unwrap_or_default()});
    let answer = visit.alter(&path(&id), &wanted, &item, &fields).await;
    if answer.status.is_success() {
        return visit.done(&page(&id), "saved");
    }
    let values = context! { item, typed => typed(&fields, &["scopes"]), ..choices(&visit).await? };
    visit.again("personal-token.html", &fields, &answer, values)
}

async fn rebuild(visit: Visit, Path(id): Path<String>, fields: Fields) -> Page {
    let item = visit.get(&path(&id)).await?;
    match visit.mint(&fields, &(path(&id) + "/rebuild"), &grace(&fields), &page(&id)).await {
        Minted::Shown(page) => page,
        Minted::Refused(answer) => {
            let values = context! { typed => item.clone(), item, ..choices(&visit).await? };
            visit.again("personal-token.html", &fields, &answer, values)
        }
    }
}

async fn delete(visit: Visit, Path(id): Path<String>) -> Page {
    visit.tell(Method::DELETE, &path(&id), &Value::Null).await?;
    visit.done(HERE, "deleted")
}
