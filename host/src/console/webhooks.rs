//! Operation: webhooks, which carry events elsewhere: where to, which ones, how it went, and a try. What signs them is shown once.

use axum::Router;
use axum::extract::Path;
use axum::http::Method;
use axum::response::Redirect;
use axum::routing::{get, post};
use minijinja::{Value as Context, context};
use serde_json::{Value, json};

use super::change::{boxes, names, number, typed};
use super::fields::Fields;
use super::once::{Forms, Minted};
use super::page::{Failure, Page};
use super::visit::Visit;
use super::{Console, address, standing};

/// The list.
const HERE: &str = "/console/webhooks";
/// The API's.
const WEBHOOKS: &str = "/v1/webhooks";
/// The page that shows a new secret.
const SECRET_PAGE: &str = "webhook-secret.html";

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/webhooks", get(list).post(create))
        .route("/console/webhooks/~new", get(new))
        .route("/console/webhooks/{webhook}", get(show).post(change))
        .route("/console/webhooks/{webhook}/secret", get(of_webhook).post(rotate))
        .route("/console/webhooks/{webhook}/test", get(of_webhook).post(test))
        .route("/console/webhooks/{webhook}/delete", post(delete))
}

/// A webhook's page.
fn page(name: &str) -> String {
    HERE.to_owned() + &address::path(&[name])
}

/// A webhook in the API.
fn path(name: &str) -> String {
    WEBHOOKS.to_owned() + &address::path(&[name])
}

/// Whoever comes back to the address of a form finds the page.
async fn of_webhook(Path(webhook): Path<String>) -> Redirect {
    Redirect::to(&page(&webhook))
}

/// What a form has beside the webhook: the kinds of events, and an id of its own.
async fn choices(visit: &Visit) -> Result<Context, Failure> {
    let kinds = visit.get("/v1/events/kinds").await?;
    Ok(context! { kinds => kinds["items"].clone(), form_id => Forms::id() })
}

/// A webhook as forms have it: whether it delivers is a box.
fn as_form(item: &Value) -> Value {
    let mut shown = item.clone();
    if let Value::Object(members) = &mut shown {
        members.insert("enabled".to_owned(), (item["state"] != "disabled").into());
    }
    shown
}

/// What a form wants a webhook to be.
fn wanted(fields: &Fields) -> Value {
    json!({"url": fields.text("url").unwrap_or_default(), "kinds": boxes(fields, "kinds"),
        "integrations": names(fields, "integrations"), "organizations": names(fields, "organizations"),
        "enabled": fields.is_on("enabled")})
}

/// The page of a webhook, with something more on it.
async fn with(visit: &Visit, item: Value, more: Context) -> Page {
    let choices = choices(visit).await?;
    visit.show("webhook.html", context! { ..more, ..context! { typed => as_form(&item), item, ..choices } })
}

async fn list(visit: Visit) -> Page {
    let list = standing::list(&visit, WEBHOOKS, &[]).await?;
    visit.show("webhooks.html", context! { list })
}

async fn new(visit: Visit) -> Page {
    standing::peek(&visit, WEBHOOKS).await?;
    let choices = choices(&visit).await?;
    visit.show("webhook.html", context! { typed => json!({"enabled": true}), ..choices })
}

async fn create(visit: Visit, fields: Fields) -> Page {
    let mut body = wanted(&fields);
    let name = fields.text("name").unwrap_or_default();
    if let Value::Object(members) = &mut body {
        members.insert("name".to_owned(), name.into());
    }
    match visit.mint_on(SECRET_PAGE, &fields, WEBHOOKS, &body, &page(name)).await {
        Minted::Shown(page) => page,
        Minted::Refused(answer) => {
            let values = context! { typed => typed(&fields, &["kinds"]), ..choices(&visit).await? };
            visit.again("webhook.html", &fields, &answer, values)
        }
    }
}

async fn show(visit: Visit, Path(webhook): Path<String>) -> Page {
    let item = visit.get(&path(&webhook)).await?;
    with(&visit, item, context! {}).await
}

async fn change(visit: Visit, Path(webhook): Path<String>, fields: Fields) -> Page {
    let item = visit.get(&path(&webhook)).await?;
    let answer = visit.change_to(&path(&webhook), &wanted(&fields), &as_form(&item), &fields).await;
    if answer.status.is_success() {
        return visit.done(&page(&webhook), "saved");
    }
    let values = context! { item, typed => typed(&fields, &["kinds"]), ..choices(&visit).await? };
    visit.again("webhook.html", &fields, &answer, values)
}

async fn rotate(visit: Visit, Path(webhook): Path<String>, fields: Fields) -> Page {
    let item = visit.get(&path(&webhook)).await?;
    let how = json!({"grace_seconds": number(fields.text("grace_seconds").unwrap_or("0"))});
    match visit.mint_on(SECRET_PAGE, &fields, &(path(&webhook) + "/secret"), &how, &page(&webhook)).await {
        Minted::Shown(page) => page,
        Minted::Refused(answer) => {
            let values = context! { typed => as_form(&item), item, ..choices(&visit).await? };
            visit.again("webhook.html", &fields, &answer, values)
        }
    }
}

async fn test(visit: Visit, Path(webhook): Path<String>) -> Page {
    let delivery = visit.tell(Method::POST, &(path(&webhook) + "/test"), &Value::Null).await?;
    // As it stands afterwards.
    let item = visit.get(&path(&webhook)).await?;
    with(&visit, item, context! { delivery }).await
}

async fn delete(visit: Visit, Path(webhook): Path<String>) -> Page {
    visit.tell(Method::DELETE, &path(&webhook), &Value::Null).await?;
    visit.done(HERE, "deleted")
}

#[cfg(test)]
mod tests {
    use super::super::change::difference;
    use super::*;

    #[test]
    fn a_form_is_held_against_what_there_is() {
        let item = json!({"url": "https://a/", "kinds": ["token.renewed"], "integrations": [], "organizations": ["x"],
            "state": "disabled"});
        let check = |text: &str, expected: Value| {
            assert_eq!(difference(&wanted(&Fields::parsed(text)), &as_form(&item)), expected, "{text}");
        };
        check("url=https://a/&kinds=token.renewed&organizations=x", json!({}));
        check("url=https://b/&kinds=token.renewed&organizations=x", json!({"url": "https://b/"}));
        check(
            "url=https://a/&integrations=crm,+erp&enabled=on",
            json!({"kinds": [], "integrations": ["crm", "erp"], "organizations": [], "enabled": true}),
        );
    }
}
