//! What users and application tokens have in common: whether they are let in, who stands behind them, their profiles and
//! organizations; and lists of the administration.

use minijinja::context;
use serde_json::{Value, json};

use super::address;
use super::change::{boxes, names, text};
use super::fields::Fields;
use super::page::Failure;
use super::visit::Visit;

/// Items on a page of a list.
const ON_PAGE: &str = "50";
/// Organizations, profiles and scopes that are offered; others are typed.
const OFFERED: &str = "200";

/// Inputs of these forms that may stand there several times.
pub(super) const LISTS: &[&str] = &["profiles", "allowed_organizations", "scopes"];

/// A page of a list, by the parameters of the page's address.
pub(super) async fn list(visit: &Visit, path: &str, parameters: &[&str]) -> Result<Value, Failure> {
    let given: Vec<_> = parameters.iter().chain(&["cursor"]).map(|name| (*name, visit.query(name))).collect();
    let mut wanted = vec![("limit", Some(ON_PAGE))];
    wanted.extend(given.iter().map(|(name, value)| (*name, value.as_deref())));
    visit.get(&address::with(path, &wanted)).await
}

/// Refuses whoever may not see a list, before they fill in a form for it.
pub(super) async fn peek(visit: &Visit, path: &str) -> Result<(), Failure> {
    visit.get(&address::with(path, &[("limit", Some("1"))])).await.map(drop)
}

/// What may be chosen, as far as the visitor sees it.
pub(super) async fn choices(visit: &Visit) -> Result<minijinja::Value, Failure> {
    let offered = |path| address::with(path, &[("limit", Some(OFFERED))]);
    let profiles = visit.get_if_allowed(&offered("/v1/profiles")).await?;
    let organizations = visit.get_if_allowed(&offered("/v1/organizations")).await?;
    let scopes = visit.get_if_allowed("/v1/scopes").await?;
    Ok(context! {
        profiles => profiles["items"].clone(),
        organizations => organizations["items"].clone(),
        has_more_organizations => organizations.get("next").is_some(),
        scopes => scopes["items"].clone(),
    })
}

/// What was typed, as the API takes it.
pub(super) fn wanted(fields: &Fields) -> Value {
    let mut contact = json!({"first_name": text(fields, "contact.first_name"), "name": text(fields, "contact.name"),
        "email": text(fields, "contact.email")});
    if let (Some(organization), Value::Object(contact)) = (fields.text("contact.organization"), &mut contact) {
        contact.insert("organization".to_owned(), organization.into());
    }
    json!({"status": if fields.is_on("enabled") { "enabled" } else { "disabled" }, "contact": contact,
        "profiles": boxes(fields, "profiles"), "allowed_organizations": names(fields, "allowed_organizations")})
}

/// What the API shows, as the form has it.
pub(super) fn shown(item: &Value) -> Value {
    let mut shown = item.clone();
    if let Value::Object(members) = &mut shown {
        for name in ["first_name", "name", "email", "organization"] {
            members.insert(format!("contact.{name}"), item["contact"][name].clone());
        }
        members.insert("enabled".to_owned(), (item["status"] == "enabled").into());
    }
    shown
}
