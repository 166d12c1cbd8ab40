//! What another document would change of what is read of documents: servers, security schemes, operations and what those
//! require. Parameters, bodies and answers of operations aren't compared: nothing is read of them here.

use std::collections::BTreeMap;

use serde_json::Value;

use super::warnings::shorten;
use super::{Document, Operation, SecurityScheme, Server};

/// Notes of one thing.
const NOTES: usize = 30;

/// What differs between two documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Of the URLs of the document's servers; what changes is their order.
    pub servers: Changes,
    /// Of security schemes, by name.
    pub schemes: Changes,
    /// Of operations, by method and path.
    pub operations: Changes,
}

/// What differs of one kind of thing, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Names that only the other document has.
    pub added: Vec<String>,
    /// Names that the other document has no longer.
    pub removed: Vec<String>,
    /// What both have, with what is another.
    pub changed: Vec<Change>,
}

/// A thing that both documents have, and that isn't the same in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// What is another, in words.
    pub notes: Vec<String>,
}

impl Difference {
    /// What `to` changes of `from`.
    pub fn between(from: &Document, to: &Document) -> Self {
        let scheme = |scheme: &SecurityScheme| scheme.name.clone();
        let operation = |operation: &Operation| format!("{} {}", operation.method, operation.path);
        let url = |server: &Server| server.url.clone();
        let mut servers = changes(&from.servers, &to.servers, url, |_, _| Vec::new());
        let first = |document: &Document| document.servers.first().map(url);
        if let (Some(before), Some(now)) = (first(from), first(to))
            && before != now
            && !servers.added.contains(&now)
            && !servers.removed.contains(&before)
        {
            servers.changed.push(Change { name: now, notes: vec![format!("is the first, in place of {before}")] });
        }
        Self {
            servers,
            schemes: changes(&from.schemes, &to.schemes, scheme, scheme_notes),
            operations: changes(&from.operations, &to.operations, operation, |before, now| {
                operation_notes((from, before), (to, now))
            }),
        }
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Changes {
    /// What is another about the thing of this name, if anything is.
    pub fn of(&self, name: &str) -> Option<&Change> {
        self.changed.iter().find(|change| change.name == name)
    }
}

/// What differs between two lists of things that have names.
fn changes<T>(from: &[T], to: &[T], name: impl Fn(&T) -> String, notes: impl Fn(&T, &T) -> Vec<String>) -> Changes {
    let named = |things: &'_ [T]| -> BTreeMap<String, usize> {
        // The first of several with one name counts.
        things.iter().enumerate().rev().map(|(place, thing)| (name(thing), place)).collect()
    };
    let (before, now) = (named(from), named(to));
    let only = |these: &BTreeMap<String, usize>, others: &BTreeMap<String, usize>| {
        these.keys().filter(|name| !others.contains_key(*name)).cloned().collect()
    };
    let changed = before.iter().filter_map(|(name, place)| {
        let notes = notes(from.get(*place)?, to.get(*now.get(name)?)?);
        (!notes.is_empty()).then(|| Change { name: name.clone(), notes })
    });
    Changes { added: only(&now, &before), removed: only(&before, &now), changed: changed.collect() }
}

/// What is another about a security scheme.
fn scheme_notes(before: &SecurityScheme, now: &SecurityScheme) -> Vec<String> {
    let mut notes = Vec::new();
    match (&before.problem, &now.problem) {
        (None, Some(problem)) => notes.push(format!("can't be used any more: {problem}")),
        (Some(_), None) => notes.push("can be used now".to_owned()),
        _ => {}
    }
    members("", &before.document, &now.document, &mut notes);
    if before.flow != now.flow {
        let named = |flow: &Option<String>| flow.clone().unwrap_or_else(|| "none".to_owned());
        notes.push(format!("the flow that it names: {} → {}", named(&before.flow), named(&now.flow)));
    }
    if before.parameters != now.parameters {
        notes.push("extra parameters of its token requests differ".to_owned());
    }
    notes.dedup();
    notes.truncate(NOTES);
    notes
}

/// The members of two JSON values that differ, each by its place.
fn members(place: &str, before: &Value, now: &Value, notes: &mut Vec<String>) {
    if before == now || notes.len() > NOTES {
        return;
    }
    if let (Value::Object(before), Value::Object(now)) = (before, now) {
        let names = before.keys().chain(now.keys().filter(|name| !before.contains_key(*name)));
        for name in names {
            let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
            let member = |of: &serde_json::Map<String, Value>| of.get(name).cloned().unwrap_or_default();
            members(&place, &member(before), &member(now), notes);
        }
        return;
    }
    let said = |value: &Value| match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => shorten(text),
        other => shorten(&other.to_string()),
    };
    notes.push(format!("{}: {} → {}", shorten(place), said(before), said(now)));
}

/// What is another about an operation.
fn operation_notes(before: (&Document, &Operation), now: (&Document, &Operation)) -> Vec<String> {
    let mut notes = Vec::new();
    let named = |operation: &Operation| operation.operation_id.clone().unwrap_or_else(|| "none".to_owned());
    if before.1.operation_id != now.1.operation_id {
        notes.push(format!("operationId: {} → {}", shorten(&named(before.1)), shorten(&named(now.1))));
    }
    let required = |(document, operation): (&Document, &Operation)| match document.security_of(operation) {
        None => "not said".to_owned(),
        Some([]) => "nothing".to_owned(),
        Some(alternatives) => {
            let one = |schemes: &BTreeMap<String, Vec<String>>| {
                let each = schemes.iter().map(|(scheme, scopes)| match scopes.as_slice() {
                    [] => scheme.clone(),
                    scopes => format!("{scheme} ({})", scopes.join(" ")),
                });
                let all = each.collect::<Vec<_>>().join(" and ");
                if all.is_empty() { "nothing".to_owned() } else { all }
            };
            alternatives.iter().map(|requirement| one(&requirement.0)).collect::<Vec<_>>().join(", or ")
        }
    };
    let (was, is) = (required(before), required(now));
    if was != is {
        notes.push(format!("requires: {} → {}", shorten(&was), shorten(&is)));
    }
    if before.1.servers != now.1.servers {
        let urls = |operation: &Operation| {
            let urls: Vec<&str> = operation.servers.iter().map(|server| server.url.as_str()).collect();
            if urls.is_empty() { "the document's".to_owned() } else { urls.join(", ") }
        };
        notes.push(format!("servers: {} → {}", shorten(&urls(before.1)), shorten(&urls(now.1))));
    }
    notes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::openapi;

    fn document(servers: &[&str], token_url: &str, paths: Value) -> Document {
        let servers: Vec<Value> = servers.iter().map(|url| json!({"url": url})).collect();
        let schemes = json!({"oauth2": {"type": "oauth2",
            "flows": {"clientCredentials": {"tokenUrl": token_url, "scopes": {}}}}});
        let document = json!({"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "servers": servers,
            "security": [{"oauth2": []}], "paths": paths, "components": {"securitySchemes": schemes}});
        openapi::read(document.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn every_kind_of_change_is_told() {
        let from = document(
            &["https://a", "https://b"],
            "https://idp/1",
            json!({
            "/x": {"get": {"operationId": "x"}, "put": {}}, "/y": {"get": {}}}),
        );
        let to = document(
            &["https://b", "https://a"],
            "https://idp/2",
            json!({
            "/x": {"get": {"operationId": "z", "security": []}, "post": {}}, "/y": {"get": {}}}),
        );
        let found = Difference::between(&from, &to);
        assert_eq!(
            (found.operations.added, found.operations.removed),
            (vec!["POST /x".to_owned()], vec!["PUT /x".to_owned()])
        );
        let notes = |changes: &[Change]| -> Vec<String> {
            changes.iter().map(|change| format!("{}: {}", change.name, change.notes.join("; "))).collect()
        };
        assert_eq!(notes(&found.operations.changed), ["GET /x: operationId: x → z; requires: oauth2 → nothing"]);
        assert_eq!(
            notes(&found.schemes.changed),
            ["oauth2: flows.clientCredentials.tokenUrl: https://idp/1 → https://idp/2"]
        );
        assert_eq!(notes(&found.servers.changed), ["https://b: is the first, in place of https://a"]);
        assert!(Difference::between(&from, &from).is_empty());
    }
}
