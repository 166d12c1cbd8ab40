//! Administration: profiles, which are named sets of rights, everywhere or on some things only.

use axum::Router;
use axum::extract::Path;
use axum::http::Method;
use axum::routing::{get, post};
use minijinja::context;
use serde_json::{Value, json};

use super::change::{boxes, names, typed};
use super::fields::Fields;
use super::page::{Failure, Page};
use super::standing;
use super::visit::Visit;
use super::{Console, address};

/// The list.
const HERE: &str = "/console/profiles";
/// The API's.
const PROFILES: &str = "/v1/profiles";
/// Grants that a form may have; the API has a bound of its own.
const MOST_GRANTS: usize = 200;

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/profiles", get(list).post(create))
        .route("/console/profiles/~new", get(new))
        .route("/console/profiles/{profile}", get(show).post(change))
        .route("/console/profiles/{profile}/delete", post(delete))
}

/// A profile's page.
fn page(name: &str) -> String {
    HERE.to_owned() + &address::path(&[name])
}

/// A profile in the API.
fn path(name: &str) -> String {
    PROFILES.to_owned() + &address::path(&[name])
}

async fn rights(visit: &Visit) -> Result<Value, Failure> {
    Ok(visit.get("/v1/rights").await?["items"].clone())
}

async fn list(visit: Visit) -> Page {
    let list = standing::list(&visit, PROFILES, &[]).await?;
    let rights = rights(&visit).await?;
    visit.show("profiles.html", context! { list, rights })
}

async fn new(visit: Visit) -> Page {
    standing::peek(&visit, PROFILES).await?;
    let rights = rights(&visit).await?;
    visit.show("profile.html", context! { rights, typed => json!({"grants": [{}]}) })
}

/// The grants of a form: `grant.0.rights`, `grant.0.organizations`, and so on. One without anything is none.
fn grants(fields: &Fields) -> Vec<Value> {
    let mut grants = Vec::new();
    for index in 0..MOST_GRANTS {
        let name = |member: &str| format!("grant.{index}.{member}");
        if fields.text(&name("is")).is_none() {
            break;
        }
        let operations = fields.text(&name("operations")).unwrap_or_default().lines().map(str::trim);
        let operations: Vec<&str> = operations.filter(|operation| !operation.is_empty()).collect();
        let mut grant = json!({"rights": boxes(fields, &name("rights"))});
        let Value::Object(members) = &mut grant else { continue };
        for (member, value) in [
            ("organizations", names(fields, &name("organizations"))),
            ("integrations", names(fields, &name("integrations"))),
            ("operations", operations.into()),
        ] {
            if value.as_array().is_some_and(|list| !list.is_empty()) {
                members.insert(member.to_owned(), value);
            }
        }
        if members.len() > 1 || members.values().any(|rights| rights.as_array().is_some_and(|list| !list.is_empty())) {
            grants.push(grant);
        }
    }
    grants
}

/// What the form holds.
fn wanted(fields: &Fields) -> Value {
    json!({"description": fields.text("description").unwrap_or_default(), "rights": boxes(fields, "rights"),
        "grants": grants(fields)})
}

/// What was typed, with its grants as the API would show them, and one more to fill in.
fn typed_again(fields: &Fields) -> Value {
    let mut typed = typed(fields, &["rights"]);
    if let Value::Object(members) = &mut typed {
        members.insert("grants".to_owned(), with_one_more(grants(fields)));
    }
    typed
}

fn with_one_more(mut grants: Vec<Value>) -> Value {
    grants.push(json!({}));
    grants.into()
}

async fn create(visit: Visit, fields: Fields) -> Page {
    let mut body = wanted(&fields);
    if let Value::Object(members) = &mut body {
        members.insert("name".to_owned(), fields.text("name").unwrap_or_default().into());
    }
    let answer = visit.ask(Method::POST, PROFILES, &body).await;
    if answer.status.is_success() {
        return visit.done(&page(answer.value["name"].as_str().unwrap_or_default()), "made");
    }
    let rights = rights(&visit).await?;
    visit.again("profile.html", &fields, &answer, context! { rights, typed => typed_again(&fields) })
}

async fn show(visit: Visit, Path(profile): Path<String>) -> Page {
    let item = visit.get(&path(&profile)).await?;
    let mut typed = item.clone();
    if let Value::Object(members) = &mut typed {
        let grants = item["grants"].as_array().cloned().unwrap_or_default();
        members.insert("grants".to_owned(), with_one_more(grants));
    }
    let rights = rights(&visit).await?;
    visit.show("profile.html", context! { rights, item, typed })
}

async fn change(visit: Visit, Path(profile): Path<String>, fields: Fields) -> Page {
    let item = visit.get(&path(&profile)).await?;
    let answer = visit.change_to(&path(&profile), &wanted(&fields), &item, &fields).await;
    if answer.status.is_success() {
        return visit.done(&page(&profile), "saved");
    }
    let rights = rights(&visit).await?;
    visit.again("profile.html", &fields, &answer, context! { rights, item, typed => typed_again(&fields) })
}

async fn delete(visit: Visit, Path(profile): Path<String>) -> Page {
    visit.tell(Method::DELETE, &path(&profile), &Value::Null).await?;
    visit.done(HERE, "deleted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_read_out_of_numbered_inputs() {
        let fields = Fields::parsed(
            "grant.0.is=on&grant.0.rights=use_tokens&grant.0.rights=read_models&grant.0.organizations=a,+b\
             &grant.1.is=on&grant.1.operations=+\
             &grant.2.is=on&grant.2.rights=use_tokens&grant.2.integrations=crm&grant.2.operations=GET+/contacts/*%0D%0Awhoami\
             &grant.4.is=on&grant.4.rights=operate",
        );
        assert_eq!(
            grants(&fields),
            [
                json!({"rights": ["use_tokens", "read_models"], "organizations": ["a", "b"]}),
                json!({"rights": ["use_tokens"], "integrations": ["crm"], "operations": ["GET /contacts/*", "whoami"]}),
            ]
        );
    }
}
