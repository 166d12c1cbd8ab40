//! Administration: the forest of organizations, which models, integrations and principals belong to.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::Path;
use axum::http::Method;
use axum::routing::{get, post};
use minijinja::context;
use serde_json::{Value, json};

use super::change::{text, typed};
use super::fields::Fields;
use super::page::{Failure, Page};
use super::visit::Visit;
use super::{Console, address};

/// The list.
const HERE: &str = "/console/organizations";
/// The API's.
const ORGANIZATIONS: &str = "/v1/organizations";
/// Organizations on the page: as many as the API gives at once.
const MOST: &str = "1000";
/// How deep the picture is; what is deeper stands beside that.
const DEPTH: usize = 32;

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/organizations", get(list).post(create))
        .route("/console/organizations/~new", get(new))
        .route("/console/organizations/{organization}", get(show).post(change))
        .route("/console/organizations/{organization}/delete", post(delete))
}

/// An organization's page.
fn page(name: &str) -> String {
    HERE.to_owned() + &address::path(&[name])
}

/// An organization in the API.
fn path(name: &str) -> String {
    ORGANIZATIONS.to_owned() + &address::path(&[name])
}

/// Organizations by what they are a part of; those whose whole isn't shown stand at the top.
struct Forest<'a>(BTreeMap<&'a str, Vec<&'a Value>>);

impl<'a> Forest<'a> {
    fn new(items: &'a [Value]) -> Self {
        let name = |item: &'a Value, member: &str| item[member].as_str().unwrap_or_default();
        let known: std::collections::BTreeSet<&str> = items.iter().map(|item| name(item, "name")).collect();
        let mut parts: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for item in items {
            let parent = known.get(name(item, "parent")).copied().unwrap_or_default();
            parts.entry(parent).or_default().push(item);
        }
        Self(parts)
    }

    /// What is part of this one, each with its depth, in the order of a tree that is read from above.
    fn below(&self, parent: &str, depth: usize, rows: &mut Vec<Value>) {
        for item in self.0.get(parent).into_iter().flatten() {
            let mut row = (*item).clone();
            row["depth"] = depth.min(DEPTH).into();
            rows.push(row);
            // The API refuses circles: the depth bounds what a mistake there would cost.
            if depth < DEPTH * 4 {
                self.below(item["name"].as_str().unwrap_or_default(), depth + 1, rows);
            }
        }
    }
}

async fn all(visit: &Visit) -> Result<(Vec<Value>, Value), Failure> {
    let cursor = visit.query("cursor");
    let parameters = [("limit", Some(MOST)), ("cursor", cursor.as_deref())];
    let list = visit.get(&address::with(ORGANIZATIONS, &parameters)).await?;
    Ok((list["items"].as_array().cloned().unwrap_or_default(), list["next"].clone()))
}

async fn list(visit: Visit) -> Page {
    let (items, next) = all(&visit).await?;
    let mut rows = Vec::with_capacity(items.len());
    Forest::new(&items).below("", 0, &mut rows);
    visit.show("organizations.html", context! { items => rows, next })
}

async fn new(visit: Visit) -> Page {
    let (organizations, _) = all(&visit).await?;
    visit.show("organization.html", context! { organizations, typed => json!({"parent": visit.query("parent")}) })
}

async fn create(visit: Visit, fields: Fields) -> Page {
    let body = json!({"name": fields.text("name").unwrap_or_default(), "title": text(&fields, "title"),
        "parent": text(&fields, "parent")});
    let answer = visit.ask(Method::POST, ORGANIZATIONS, &body).await;
    if answer.status.is_success() {
        return visit.done(HERE, "made");
    }
    let (organizations, _) = all(&visit).await?;
    visit.again("organization.html", &fields, &answer, context! { organizations, typed => typed(&fields, &[]) })
}

async fn show(visit: Visit, Path(organization): Path<String>) -> Page {
    let item = visit.get(&path(&organization)).await?;
    let (organizations, _) = all(&visit).await?;
    visit.show("organization.html", context! { organizations, typed => item.clone(), item })
}

async fn change(visit: Visit, Path(organization): Path<String>, fields: Fields) -> Page {
    let item = visit.get(&path(&organization)).await?;
    let wanted = json!({"title": text(&fields, "title"), "parent": text(&fields, "parent")});
    let answer = visit.change_to(&path(&organization), &wanted, &item, &fields).await;
    if answer.status.is_success() {
        return visit.done(&page(&organization), "saved");
    }
    let (organizations, _) = all(&visit).await?;
    visit.again("organization.html", &fields, &answer, context! { organizations, item, typed => typed(&fields, &[]) })
}

async fn delete(visit: Visit, Path(organization): Path<String>) -> Page {
    visit.tell(Method::DELETE, &path(&organization), &Value::Null).await?;
    visit.done(HERE, "deleted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_below_their_whole() {
        let items = [
            json!({"name": "a", "parent": "z"}),
            json!({"name": "b", "parent": "elsewhere"}),
            json!({"name": "c", "parent": "a"}),
            json!({"name": "z"}),
        ];
        let mut rows = Vec::new();
        Forest::new(&items).below("", 0, &mut rows);
        let found: Vec<_> =
            rows.iter().map(|row| (row["name"].as_str().unwrap(), row["depth"].as_u64().unwrap())).collect();
        assert_eq!(found, [("b", 0), ("z", 0), ("a", 1), ("c", 2)]);
    }
}
