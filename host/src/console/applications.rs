//! Administration: application tokens, by which programs call as themselves.

use axum::Router;
use axum::extract::Path;
use axum::http::Method;
use axum::response::Redirect;
use axum::routing::{get, post};
use minijinja::context;
use serde_json::{Value, json};

use super::change::{boxes, text, typed};
use super::fields::Fields;
use super::once::{Forms, Minted};
use super::page::Page;
use super::personal_token::grace;
use super::standing::{self, LISTS};
use super::visit::Visit;
use super::{Console, address};

/// The list.
const HERE: &str = "/console/application-tokens";
/// The API's.
const TOKENS: &str = "/v1/application-tokens";

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/application-tokens", get(list).post(create))
        .route("/console/application-tokens/~new", get(new))
        .route("/console/application-tokens/{id}", get(show).post(change))
        .route("/console/application-tokens/{id}/rebuild", get(of_token).post(rebuild))
        .route("/console/application-tokens/{id}/delete", post(delete))
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

async fn list(visit: Visit) -> Page {
    let list = standing::list(&visit, TOKENS, &["state"]).await?;
    visit.show("application-tokens.html", context! { list, state => visit.query("state") })
}

async fn new(visit: Visit) -> Page {
    standing::peek(&visit, TOKENS).await?;
    let choices = standing::choices(&visit).await?;
    let typed = json!({"enabled": "on", "contact.organization": "default"});
    visit.show("application-token.html", context! { typed, form_id => Forms::id(), ..choices })
}

/// What of a token the form has.
fn wanted(fields: &Fields) -> Value {
    let mut wanted = standing::wanted(fields);
    if let Value::Object(members) = &mut wanted {
        members.insert("scopes".to_owned(), boxes(fields, "scopes"));
        members.insert("expiration_date".to_owned(), text(fields, "expiration_date"));
        members.insert("console".to_owned(), fields.is_on("console").into());
    }
    wanted
}

async fn create(visit: Visit, fields: Fields) -> Page {
    let mut body = wanted(&fields);
    if let Value::Object(members) = &mut body {
        members.insert("name".to_owned(), fields.text("name").unwrap_or_default().into());
    }
    match visit.mint(&fields, TOKENS, &body, HERE).await {
        Minted::Shown(page) => page,
        Minted::Refused(answer) => {
            let choices = standing::choices(&visit).await?;
            let values = context! { typed => typed(&fields, LISTS), form_id => Forms::id(), ..choices };
            visit.again("application-token.html", &fields, &answer, values)
        }
    }
}

async fn show(visit: Visit, Path(id): Path<String>) -> Page {
    let item = visit.get(&path(&id)).await?;
    let choices = standing::choices(&visit).await?;
    let values = context! { typed => standing::shown(&item), item, form_id => Forms::id(), ..choices };
    visit.show("application-token.html", values)
}

async fn change(visit: Visit, Path(id): Path<String>, fields: Fields) -> Page {
    let item = visit.get(&path(&id)).await?;
    let answer = visit.change_to(&path(&id), &wanted(&fields), &item, &fields).await;
    if answer.status.is_success() {
        return visit.done(&page(&id), "saved");
    }
    let choices = standing::choices(&visit).await?;
    let values = context! { item, typed => typed(&fields, LISTS), form_id => Forms::id(), ..choices };
    visit.again("application-token.html", &fields, &answer, values)
}

async fn rebuild(visit: Visit, Path(id): Path<String>, fields: Fields) -> Page {
    let item = visit.get(&path(&id)).await?;
    match visit.mint(&fields, &(path(&id) + "/rebuild"), &grace(&fields), &page(&id)).await {
        Minted::Shown(page) => page,
        Minted::Refused(answer) => {
            let choices = standing::choices(&visit).await?;
            let values = context! { typed => standing::shown(&item), item, form_id => Forms::id(), ..choices };
            visit.again("application-token.html", &fields, &answer, values)
        }
    }
}

async fn delete(visit: Visit, Path(id): Path<String>) -> Page {
    visit.tell(Method::DELETE, &path(&id), &Value::Null).await?;
    visit.done(HERE, "deleted")
}
