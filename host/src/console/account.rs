//! My account: who I am, my contact and my password, and my personal tokens.

use axum::Router;
use axum::http::Method;
use axum::response::Redirect;
use axum::routing::get;
use minijinja::context;
use serde_json::{Value, json};

use super::change::{text, typed};
use super::fields::Fields;
use super::page::{Failure, Page};
use super::personal_token::OWN;
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
        .route("/console/account/tokens", get(back))
        .merge(OWN.routes())
}

/// What the page shows of the tokens, with their uses: none where `/v1/me` says that there are none, and why.
async fn tokens(visit: &Visit) -> Result<(Vec<Value>, Value), Failure> {
    if visit.me["account_menu"] == true && visit.me["personal_tokens"]["allowed"] == false {
        return Ok((Vec::new(), Value::Null));
    }
    let cursor = visit.query("cursor");
    let list = visit.get(&address::with(TOKENS, &[("limit", Some(ON_PAGE)), ("cursor", cursor.as_deref())])).await?;
    let mut items = Vec::new();
    for item in list["items"].as_array().into_iter().flatten() {
        items.push(visit.get(&OWN.path(item["id"].as_str().unwrap_or_default())).await?);
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
    let answer = visit.change_to("/v1/me", &wanted, &visit.me, &fields).await;
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
