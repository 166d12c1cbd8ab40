//! What was perhaps meant by a name that there isn't: asked of the daemon, which tells of what the caller may see.

use serde_json::Value;

use super::super::output::{items, member};
use super::Client;
use crate::text::nearest;

/// Pages that are looked through: who has more names than that gets no such help.
const PAGES: usize = 5;

/// The nearest of the names that there are to the one in a path, or to the model that a new integration names.
pub(super) async fn of(client: &Client, path: &[&str], body: Option<&Value>) -> Option<String> {
    let model = body.and_then(|body| body.get("model")).and_then(Value::as_str);
    let (noun, wrong) = match (path, model) {
        (["integrations"], Some(model)) => ("models", model),
        (
            [
                noun @ ("models" | "integrations" | "flows" | "users" | "profiles" | "organizations" | "webhooks"),
                name,
                ..,
            ],
            _,
        ) => (*noun, *name),
        _ => return None,
    };
    let mut names = Vec::new();
    let mut cursor = None;
    for _ in 0..PAGES {
        let page = client.page(&[noun], cursor.as_deref()).await.ok()?;
        names.extend(
            items(&page, "items").iter().filter_map(|item| member(item, "name").or_else(|| member(item, "login"))),
        );
        cursor = member(&page, "next");
        if cursor.is_none() {
            break;
        }
    }
    nearest(wrong, names.iter().map(String::as_str)).filter(|meant| *meant != wrong).map(str::to_owned)
}
