//! What the audit log tells of a change: the names of what is another now. Values, secret or not, stay out of it.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::integrations::{Difference, Integration};

/// The detail that names what was changed.
pub(super) const CHANGED: &str = "changed";
/// The detail that names secrets, with what became of each.
const SECRETS: &str = "secrets";
/// Members that the daemon writes by itself.
const OWN: [&str; 7] =
    ["revision", "updated_at", "state", "use_count", "last_use", "last_use_address", "old_value_valid_until"];

/// The names of the members in which two states of a thing differ, as callers see them: `contact.email`, `profiles`.
pub(super) fn between(before: &impl Serialize, after: &impl Serialize) -> Vec<String> {
    let value = |state: Result<Value, _>| state.unwrap_or(Value::Null);
    let mut names = Vec::new();
    walk("", &value(serde_json::to_value(before)), &value(serde_json::to_value(after)), &mut names);
    names
}

/// Names as the detail has them.
pub(super) fn listed(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

fn walk(path: &str, before: &Value, after: &Value, names: &mut Vec<String>) {
    match (before, after) {
        (before, after) if before == after => {}
        (Value::Object(one), Value::Object(other)) => {
            let members: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for name in members.into_iter().filter(|name| !path.is_empty() || !OWN.contains(&name.as_str())) {
                let of = |members: &serde_json::Map<String, Value>| members.get(name).cloned().unwrap_or_default();
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                walk(&path, &of(one), &of(other), names);
            }
        }
        _ => names.push(path.to_owned()),
    }
}

/// The details of a change of an integration.
pub(super) fn of_integration(difference: &Difference) -> Vec<(&'static str, String)> {
    let changed = (CHANGED, listed(&difference.changed));
    // Where secrets alone are others, nothing else is said.
    let is_told = !difference.changed.is_empty() || difference.secrets.is_empty();
    Some(changed).filter(|_| is_told).into_iter().chain(secrets(difference)).collect()
}

/// The details of an integration that was made.
pub(super) fn of_new(made: &Integration) -> Vec<(&'static str, String)> {
    let base = [("model", made.model.to_string()), ("flow", made.flow.clone())];
    base.into_iter().chain(secrets(&Integration::difference(None, made))).collect()
}

/// What became of secrets, where there are any.
fn secrets(difference: &Difference) -> Option<(&'static str, String)> {
    let told: Vec<String> = difference.secrets.iter().map(|(name, what)| format!("{name} {what}")).collect();
    (!told.is_empty()).then(|| (SECRETS, told.join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_is_named_without_values() {
        let check = |before: Value, after: Value, expected: &[&str]| assert_eq!(between(&before, &after), expected);
        check(json!({"a": 1, "revision": 1}), json!({"a": 1, "revision": 2}), &[]);
        check(
            json!({"contact": {"email": "a@b", "name": "A"}, "profiles": ["x"], "gone": 1}),
            json!({"contact": {"email": "c@d", "name": "A"}, "profiles": ["x", "y"], "new": 2}),
            &["contact.email", "gone", "new", "profiles"],
        );
        check(json!({"a": null}), json!({}), &[]);
        check(json!({"a": {"state": 1}}), json!({"a": {"state": 2}}), &["a.state"]);
    }
}
