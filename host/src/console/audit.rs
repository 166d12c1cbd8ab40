//! The audit log: searched, a record with its details, a support id explained, a leaked token's uses found, the chain verified.
//!
//! A token that somebody looks for comes by `POST` only, and is on no page.

use axum::Router;
use axum::extract::Path;
use axum::http::Method;
use axum::response::Redirect;
use axum::routing::get;
use minijinja::context;
use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::page::Page;
use super::visit::Visit;
use super::{Console, address};

/// Records on a page.
const ON_PAGE: &str = "50";
/// What the log is searched by.
const FILTERS: [&str; 6] = ["action", "actor", "object", "token", "since", "until"];

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/audit", get(list))
        .route("/console/audit/records/{seq}", get(record))
        .route("/console/audit/explain", get(explain).post(explain_typed))
        .route("/console/audit/find", get(find).post(found))
        .route("/console/audit/verify", get(verify).post(verified))
}

async fn list(visit: Visit) -> Page {
    let given: Vec<_> = FILTERS.iter().chain(&["cursor"]).map(|name| (*name, visit.query(name))).collect();
    let wanted = |given: &'_ [(&'static str, Option<String>)]| {
        let mut parameters = vec![("limit", Some(ON_PAGE))];
        parameters.extend(given.iter().map(|(name, value)| (*name, value.as_deref())));
        address::with("/v1/audit", &parameters)
    };
    let answer = visit.ask(Method::GET, &wanted(&given), &Value::Null).await;
    let actions = visit.get_if_allowed("/v1/audit/actions").await?;
    let typed: Map<String, Value> =
        given.iter().filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?.into()))).collect();
    let filters: Vec<_> = given.iter().filter(|(name, _)| *name != "cursor").collect();
    let filters: Vec<_> = filters.iter().map(|(name, value)| (*name, value.as_deref())).collect();
    let next = address::with("/console/audit", &filters);
    match answer.status.is_success() {
        true => visit.show("audit.html", context! { list => answer.value, typed, next, actions }),
        // What can't be searched for is said beside the form; other problems have a page.
        false if !answer.value["errors"].is_null() => {
            visit.again("audit.html", &Fields::default(), &answer, context! { typed, next, actions })
        }
        false => Err(visit.problem(&answer)),
    }
}

async fn record(visit: Visit, Path(seq): Path<String>) -> Page {
    let item = visit.get(&("/v1/audit".to_owned() + &address::path(&[&seq]))).await?;
    visit.show("audit-record.html", context! { item })
}

async fn explain(visit: Visit) -> Page {
    let Some(id) = visit.query("support_id") else {
        // Whoever may not see the reasons isn't asked for one.
        visit.get("/v1/audit?limit=1").await?;
        return visit.show("audit-explain.html", context! {});
    };
    let answer = visit.ask(Method::POST, "/v1/audit/explain", &json!({"support_id": id})).await;
    match answer.status.is_success() {
        true => visit.show("audit-explain.html", context! { id, found => answer.value }),
        false if !answer.value["errors"].is_null() => {
            visit.again("audit-explain.html", &Fields::default(), &answer, context! { id })
        }
        false => Err(visit.problem(&answer)),
    }
}

/// What was typed becomes an address, which can be sent to a colleague.
async fn explain_typed(fields: Fields) -> Redirect {
    Redirect::to(&address::with("/console/audit/explain", &[("support_id", fields.text("support_id"))]))
}

async fn find(visit: Visit) -> Page {
    visit.get("/v1/audit?limit=1").await?;
    visit.show("audit-find.html", context! {})
}

async fn found(visit: Visit, fields: Fields) -> Page {
    let wanted = json!({"token": fields.text("secret.token").unwrap_or_default()});
    let answer = visit.ask(Method::POST, "/v1/audit/find", &wanted).await;
    match answer.status.is_success() {
        true => visit.show("audit-find.html", context! { found => answer.value }),
        false if !answer.value["errors"].is_null() => visit.again("audit-find.html", &fields, &answer, context! {}),
        false => Err(visit.problem(&answer)),
    }
}

async fn verify(visit: Visit) -> Page {
    visit.get("/v1/audit?limit=1").await?;
    visit.show("audit-verify.html", context! {})
}

async fn verified(visit: Visit, fields: Fields) -> Page {
    let mut against = Map::new();
    if let Some(noted) = fields.text("noted") {
        against.insert("noted".to_owned(), noted.into());
    }
    let answer = visit.ask(Method::POST, "/v1/audit/verify", &Value::Object(against)).await;
    match answer.status.is_success() {
        true => visit.show("audit-verify.html", context! { proof => answer.value, form => fields.shown() }),
        false if !answer.value["errors"].is_null() => visit.again("audit-verify.html", &fields, &answer, context! {}),
        false => Err(visit.problem(&answer)),
    }
}
