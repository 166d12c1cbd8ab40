//! My account: who I am, my contact and my password, and my personal tokens.

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
use super::page::{Failure, Page};
use super::visit::Visit;
use super::{Console, address};

/// The page.
const HERE: &str = "/console/account";
/// The API's list behind it.
const TOKENS: &str = "/v1/me/personal-tokens";
/// Tokens on a page: each is asked for with its uses.
const ON_PAGE: &str = "25";

pub(super) fn routes() -> Router<Console> {
    // Whoever comes back to the address of a form that was refused finds the page.
    let back = || async { Redirect::to(HERE) };
    Router::new()
        .route("/console/account", get(show))
        .route("/console/account/contact", get(back).post(contact))
        .route("/console/account/password", get(back).post(password))
        .route("/console/account/tokens", get(back).post(create))
        .route("/console/account/tokens/new", get(new))
        .route("/console/account/tokens/{id}", get(token).post(change))
        .route("/console/account/tokens/{id}/rebuild", get(of_token).post(rebuild))
        .route("/console/account/tokens/{id}/delete", post(delete))
}

async fn of_token(Path(id): Path<String>) -> Redirect {
    Redirect::to(&(HERE.to_owned() + &address::path(&["tokens", &id])))
}

/// The path of one's own token in the API.
fn own(id: &str) -> String {
    TOKENS.to_owned() + &address::path(&[id])
}

/// What the page shows of the tokens, with their uses.
async fn tokens(visit: &Visit) -> Result<(Vec<Value>, Value), Failure> {
    let cursor = visit.query("cursor");
    let list = visit.get(&address::with(TOKENS, &[("limit", Some(ON_PAGE)), ("cursor", cursor.as_deref())])).await?;
    let mut items = Vec::new();
    for item in list["items"].as_array().into_iter().flatten() {
        items.push(visit.get(&own(item["id"].as_str().unwrap_or_default())).await?);
    }
    Ok((items, list["next"].clone()))
}

/// My contact as the form has it.
fn contact_of(me: &Value) -> Value {
    json!({"first_name": me["contact"]["first_name"], "name": me["contact"]["name"], "email": me["contact"]["email"],
        "language": me["language"]})
}

async fn show(visit: Visit) -> Page {
    let (items, next) = tokens(&visit).await?;
    let typed = contact_of(&visit.me);
    visit.show("account.html", context! { items, next, typed })
}

async fn contact(visit: Visit, fields: Fields) -> Page {
    let mut wanted = json!({"contact": {"first_name": text(&fields, "first_name"), "name": text(&fields, "name"),
        "email": text(&fields, "email")}});
    if let (Some(language), Value::Object(wanted)) = (fields.text("language"), &mut wanted) {
        wanted.insert("language".to_owned(), language.into());
    }
    let answer = visit.alter("/v1/me", &wanted, &visit.me, &fields).await;
    if answer.status.is_success() {
        return visit.done(HERE, "saved");
    }
    let (items, next) = tokens(&visit).await?;
    visit.again(
        "account.html",
        &fields,
        &answer,
        context! { items, next, typed => typed(&fields, &[]), of => "contact" },
    )
}

async fn password(visit: Visit, fields: Fields) -> Page {
    let (current, new) =
        (fields.exact("secret.current").unwrap_or_default(), fields.exact("secret.new").unwrap_or_default());
    let (items, next) = tokens(&visit).await?;
    let values = context! { items, next, typed => contact_of(&visit.me), of => "password" };
    if fields.exact("secret.again").unwrap_or_default() != new {
        return visit.show("account.html", context! { differ => true, ..values });
    }
    let answer = visit.ask(Method::PATCH, "/v1/me", &json!({"password": {"current": current, "new": new}})).await;
    match answer.status.is_success() {
        // All sessions have ended with the old one, this too.
        true => visit.done("/login?next=/console/account", ""),
        false => visit.again("account.html", &fields, &answer, values),
    }
}

/// What a form has beside the token: all scopes, and an id of its own.
async fn choices(visit: &Visit) -> Result<minijinja::Value, Failure> {
    let scopes = visit.get("/v1/scopes").await?;
    Ok(context! { scopes => scopes["items"].clone(), form_id => Forms::id() })
}

async fn new(visit: Visit) -> Page {
    // Whoever may not make one is told so before they fill in a form.
    visit.get(&address::with(TOKENS, &[("limit", Some("1"))])).await?;
    let choices = choices(&visit).await?;
    visit.show("account-token.html", context! { typed => json!({"scopes": ["REST/JSON"]}), ..choices })
}

async fn create(visit: Visit, fields: Fields) -> Page {
    let mut body =
        json!({"application": fields.text("application").unwrap_or_default(), "scopes": boxes(&fields, "scopes")});
    if let (Some(end), Value::Object(body)) = (fields.text("expiration_date"), &mut body) {
        body.insert("expiration_date".to_owned(), end.into());
    }
    match visit.mint(&fields, TOKENS, &body, HERE).await {
        Minted::Shown(page) => page,
        Minted::Refused(answer) => {
            let values = context! { typed => typed(&fields, &["scopes"]), ..choices(&visit).await? };
            visit.again("account-token.html", &fields, &answer, values)
        }
    }
}

async fn token(visit: Visit, Path(id): Path<String>) -> Page {
    let item = visit.get(&own(&id)).await?;
    let choices = choices(&visit).await?;
    visit.show("account-token.html", context! { typed => item.clone(), item, ..choices })
}

async fn change(visit: Visit, Path(id): Path<String>, fields: Fields) -> Page {
    let item = visit.get(&own(&id)).await?;
    let wanted = json!({"application": text(&fields, "application"), "scopes": boxes(&fields, "scopes"),
        "expiration_date": fields.text("expiration_date").unwrap_or_default()});
    let answer = visit.alter(&own(&id), &wanted, &item, &fields).await;
    if answer.status.is_success() {
        return visit.done(HERE, "saved");
    }
    let values = context! { item, typed => typed(&fields, &["scopes"]), ..choices(&visit).await? };
    visit.again("account-token.html", &fields, &answer, values)
}

async fn rebuild(visit: Visit, Path(id): Path<String>, fields: Fields) -> Page {
    let item = visit.get(&own(&id)).await?;
    match visit.mint(&fields, &(own(&id) + "/rebuild"), &grace(&fields), HERE).await {
        Minted::Shown(page) => page,
        Minted::Refused(answer) => {
            let values = context! { typed => item.clone(), item, ..choices(&visit).await? };
            visit.again("account-token.html", &fields, &answer, values)
        }
    }
}

/// How long the old value works beside a new one.
pub(super) fn grace(fields: &Fields) -> Value {
    json!({"grace_seconds": fields.text("grace_seconds").and_then(|seconds| seconds.parse::<u64>().ok()).unwrap_or(0)})
}

async fn delete(visit: Visit, Path(id): Path<String>) -> Page {
    visit.tell(Method::DELETE, &own(&id), &Value::Null).await?;
    visit.done(HERE, "deleted")
}
