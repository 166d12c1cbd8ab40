//! Forms that make and change things: what was typed as the API's bodies, and what of it is another than before.
//!
//! Only what differs is sent, so that nobody needs the right to give what was there already; and for the revision that the
//! form was made from, so that nobody overwrites what they haven't seen.

use serde_json::{Map, Value};

use super::fields::Fields;
use super::visit::Visit;
use crate::api::Answer;

/// What of `wanted` differs from `current`, where what is absent is null or an empty list.
pub(super) fn difference(wanted: &Value, current: &Value) -> Value {
    let (Value::Object(wanted), Value::Object(current)) = (wanted, current) else { return wanted.clone() };
    let mut changed = Map::new();
    for (name, value) in wanted {
        let before = current.get(name).unwrap_or(&Value::Null);
        if is_same(value, before) {
            continue;
        }
        let value = if before.is_object() { difference(value, before) } else { value.clone() };
        if value.as_object().is_none_or(|members| !members.is_empty()) {
            changed.insert(name.clone(), value);
        }
    }
    Value::Object(changed)
}

/// Whether two values mean the same; lists of names are sets.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(list), Value::Null) | (Value::Null, Value::Array(list)) => list.is_empty(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().all(|value| other.contains(value))
        }
        _ => one == other,
    }
}

/// A value that may be unset: null where nothing was typed.
pub(super) fn text(fields: &Fields, name: &str) -> Value {
    fields.text(name).map_or(Value::Null, Value::from)
}

/// The names that were chosen, in boxes or as words.
pub(super) fn names(fields: &Fields, name: &str) -> Value {
    let words = fields.all(name).flat_map(|text| text.split([',', ' ', '\n', '\r', '\t']));
    words.filter(|word| !word.is_empty()).map(Value::from).collect()
}

/// The choices of boxes, whose names may have spaces.
pub(super) fn boxes(fields: &Fields, name: &str) -> Value {
    fields.all(name).map(Value::from).collect()
}

/// A number that was typed; what is none goes on as text, for the API to refuse.
pub(super) fn number(text: &str) -> Value {
    text.parse::<u64>().map_or_else(|_| text.into(), Value::from)
}

/// What was typed as a template takes it: lists are lists, whatever their length.
pub(super) fn typed(fields: &Fields, lists: &[&str]) -> Value {
    let mut typed = fields.shown();
    if let Value::Object(members) = &mut typed {
        for list in lists {
            members.insert((*list).to_owned(), boxes(fields, list));
        }
    }
    typed
}

impl Visit {
    /// Changes what the API shows as `current` to what is wanted, if it still has the revision that the form was made from.
    pub(super) async fn change_to(&self, path: &str, wanted: &Value, current: &Value, fields: &Fields) -> Answer {
        self.change(path, fields.text("revision"), &difference(wanted, current)).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_sent() {
        let current =
            json!({"status": "enabled", "profiles": ["a", "b"], "contact": {"name": "Ada", "organization": "x"}});
        let check = |wanted: Value, expected: Value| assert_eq!(difference(&wanted, &current), expected, "{wanted}");
        check(json!({"status": "enabled", "profiles": ["b", "a"]}), json!({}));
        check(json!({"contact": {"name": "Ada", "email": null}}), json!({}));
        check(json!({"contact": {"name": null, "email": "a@b"}}), json!({"contact": {"name": null, "email": "a@b"}}));
        check(json!({"profiles": ["a"], "scopes": []}), json!({"profiles": ["a"]}));
        check(json!({"profiles": []}), json!({"profiles": []}));
        check(json!({"expiration_date": null, "console": false}), json!({"console": false}));
    }

    #[test]
    fn lists_are_lists() {
        let fields = Fields::parsed("profiles=REST+Services+User&organizations=a,b&organizations=c&name=x");
        assert_eq!(names(&fields, "organizations"), json!(["a", "b", "c"]));
        assert_eq!(typed(&fields, &["profiles", "scopes"])["profiles"], json!(["REST Services User"]));
        assert_eq!(typed(&fields, &["profiles", "scopes"])["scopes"], json!([]));
        assert_eq!((text(&fields, "name"), text(&fields, "none")), (json!("x"), Value::Null));
    }
}
