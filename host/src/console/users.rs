//! Administration: users, with what they may do and see.

use axum::Router;
use axum::extract::Path;
use axum::http::Method;
use axum::response::Redirect;
use axum::routing::{get, post};
use minijinja::context;
use serde_json::{Value, json};

use super::change::typed;
use super::fields::Fields;
use super::page::Page;
use super::standing::{self, LISTS};
use super::visit::Visit;
use super::{Console, address};

/// The list.
const HERE: &str = "/console/users";
/// The API's.
const USERS: &str = "/v1/users";

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/administration", get(|| async { Redirect::to(HERE) }))
        .route("/console/users", get(list).post(create))
        .route("/console/users/~new", get(new))
        .route("/console/users/{user}", get(show).post(change))
        .route("/console/users/{user}/password", get(of_user).post(password))
        .route("/console/users/{user}/delete", post(delete))
}

/// A user's page.
fn page(login: &str) -> String {
    HERE.to_owned() + &address::path(&[login])
}

/// A user in the API.
fn path(login: &str) -> String {
    USERS.to_owned() + &address::path(&[login])
}

async fn of_user(Path(user): Path<String>) -> Redirect {
    Redirect::to(&page(&user))
}

async fn list(visit: Visit) -> Page {
    let list = standing::list(&visit, USERS, &["q"]).await?;
    visit.show("users.html", context! { list, q => visit.query("q") })
}

async fn new(visit: Visit) -> Page {
    standing::peek(&visit, USERS).await?;
    let choices = standing::choices(&visit).await?;
    let typed = json!({"enabled": "on", "contact.organization": "default", "language": "en"});
    visit.show("user.html", context! { typed, ..choices })
}

/// What of a user the form has, beside the password.
fn wanted(fields: &Fields) -> Value {
    let mut wanted = standing::wanted(fields);
    if let Value::Object(members) = &mut wanted {
        if let Some(language) = fields.text("language") {
            members.insert("language".to_owned(), language.into());
        }
        members.insert("external".to_owned(), fields.is_on("external").into());
    }
    wanted
}

async fn create(visit: Visit, fields: Fields) -> Page {
    let mut body = wanted(&fields);
    if let Value::Object(members) = &mut body {
        members.insert("login".to_owned(), fields.text("login").unwrap_or_default().into());
        if let Some(password) = fields.exact("secret.password") {
            members.insert("password".to_owned(), password.into());
        }
    }
    let answer = visit.ask(Method::POST, USERS, &body).await;
    if answer.status.is_success() {
        return visit.done(&page(answer.value["login"].as_str().unwrap_or_default()), "made");
    }
    let values = context! { typed => typed(&fields, LISTS), ..standing::choices(&visit).await? };
    visit.again("user.html", &fields, &answer, values)
}

async fn show(visit: Visit, Path(user): Path<String>) -> Page {
    let item = visit.get(&path(&user)).await?;
    let choices = standing::choices(&visit).await?;
    let tokens = address::with("/v1/personal-tokens", &[("user", Some(&user)), ("limit", Some("50"))]);
    let tokens = visit.get_if_allowed(&tokens).await?;
    let values = context! { typed => standing::shown(&item), item, tokens => tokens["items"].clone(), ..choices };
    visit.show("user.html", values)
}

async fn change(visit: Visit, Path(user): Path<String>, fields: Fields) -> Page {
    let item = visit.get(&path(&user)).await?;
    let answer = visit.change_to(&path(&user), &wanted(&fields), &item, &fields).await;
    if answer.status.is_success() {
        return visit.done(&page(&user), "saved");
    }
    let values = context! { item, typed => typed(&fields, LISTS), ..standing::choices(&visit).await? };
    visit.again("user.html", &fields, &answer, values)
}

async fn password(visit: Visit, Path(user): Path<String>, fields: Fields) -> Page {
    let item = visit.get(&path(&user)).await?;
    let password = match fields.is_on("unset") {
        true => Value::Null,
        false => fields.exact("secret.password").unwrap_or_default().into(),
    };
    let answer = visit.ask(Method::PATCH, &path(&user), &json!({"password": password})).await;
    if answer.status.is_success() {
        return visit.done(&page(&user), "saved");
    }
    let values = context! { typed => standing::shown(&item), item, ..standing::choices(&visit).await? };
    visit.again("user.html", &fields, &answer, values)
}

async fn delete(visit: Visit, Path(user): Path<String>) -> Page {
    visit.tell(Method::DELETE, &path(&user), &Value::Null).await?;
    visit.done(HERE, "deleted")
}
