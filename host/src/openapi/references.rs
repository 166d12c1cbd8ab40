//! References (`$ref`) within a document. Those into other files are not followed: a document is read by itself.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::outline::Outline;
use super::text::MAX_DEPTH;
use super::warnings::{Warnings, member};

/// How often a document is read anew because references lead into parts that were skipped. Real documents need one;
/// each takes as long as the first.
pub(super) const MAX_ROUNDS: usize = 3;
/// Most that all references together may expand to, in bytes, each value counting [`VALUE`] besides its text.
const MAX_EXPANDED: usize = 32 << 20;
/// What a value takes in memory, about.
const VALUE: usize = 64;

/// Why a reference can't be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReferenceProblem {
    /// It isn't a string that begins with `#/`.
    External,
    /// There is nothing there.
    Missing,
    /// It leads back to itself.
    Endless,
    /// It expands to too much.
    TooMuch,
}

impl fmt::Display for ReferenceProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::External => {
                "its `$ref` leads out of the document, where nothing is read; put what it names into the document"
            }
            Self::Missing => "its `$ref` leads to nothing; correct it",
            Self::Endless => "its `$ref` leads back to itself; break the circle",
            Self::TooMuch => "its `$ref`s expand to too much; write out what is needed",
        })
    }
}

/// The names on the way that a reference describes (RFC 6901 section 6).
pub(super) fn way(reference: &Value) -> Result<Vec<String>, ReferenceProblem> {
    let reference =
        reference.as_str().and_then(|reference| reference.strip_prefix("#/")).ok_or(ReferenceProblem::External)?;
    let reference = percent_decode_str(reference).decode_utf8().map_err(|_| ReferenceProblem::Missing)?;
    Ok(reference.split('/').map(|name| name.replace("~1", "/").replace("~0", "~")).collect())
}

/// What is at the end of the way.
pub(super) fn find<'a>(root: &'a Value, way: &[String]) -> Option<&'a Value> {
    way.iter().try_fold(root, |value, name| match value {
        Value::Object(members) => members.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Adds to the outline what the references in the tree lead to, of path items only what is said. Says whether that is more
/// than before.
pub(super) fn want(root: &Value, outline: &mut Outline, path_item: &Outline) -> bool {
    let mut more = false;
    // Nesting is bounded by the parser, so the stack of values is the tree at most.
    let mut values: Vec<(&Value, Place)> = vec![(root, Place::Root)];
    while let Some((value, place)) = values.pop() {
        match value {
            Value::Object(members) => {
                if let Some(Ok(way)) = members.get("$ref").map(way) {
                    let all = Outline::all();
                    let what = if place == Place::PathItem { path_item } else { &all };
                    // What may be an item of a list is kept with the whole list: outlines know members only.
                    more |= match way.iter().position(|name| name.bytes().all(|byte| byte.is_ascii_digit())) {
                        Some(index) => outline.add(way.get(..index).unwrap_or_default(), &all),
                        None => outline.add(&way, what),
                    };
                }
                values.extend(members.iter().map(|(name, value)| (value, place.member(name))));
            }
            Value::Array(items) => values.extend(items.iter().map(|item| (item, Place::Other))),
            _ => {}
        }
    }
    more
}

/// Where a value stands, as far as it matters for what its reference is expected to lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Root,
    Components,
    PathItems,
    PathItem,
    Other,
}

impl Place {
    /// Where a member of a value that stands here stands.
    fn member(self, name: &str) -> Self {
        match (self, name) {
            (Self::Root, "components") => Self::Components,
            (Self::Root, "paths") | (Self::Components, "pathItems") => Self::PathItems,
            (Self::PathItems, _) => Self::PathItem,
            _ => Self::Other,
        }
    }
}

/// Replaces references by what they lead to.
#[derive(Debug)]
pub(super) struct Expander<'a> {
    /// The document.
    root: &'a Value,
    /// How many bytes more it may expand to.
    left: usize,
}

impl<'a> Expander<'a> {
    /// An expander for one document.
    pub(super) fn new(root: &'a Value) -> Self {
        Self { root, left: MAX_EXPANDED }
    }

    /// The value with its references replaced, those of its members as well; members beside a `$ref` stand above those
    /// that it leads to. Members whose reference can't be followed are left out, with a warning.
    ///
    /// # Errors
    /// The value's own reference can't be followed.
    pub(super) fn expand(
        &mut self,
        value: &'a Value,
        pointer: &str,
        warnings: &mut Warnings,
    ) -> Result<Cow<'a, Value>, ReferenceProblem> {
        if !has_reference(value) {
            return Ok(Cow::Borrowed(value));
        }
        self.expanded(value, pointer, &mut Vec::new(), 0, warnings).map(Cow::Owned)
    }

    fn expanded(
        &mut self,
        value: &'a Value,
        pointer: &str,
        followed: &mut Vec<&'a Value>,
        depth: usize,
        warnings: &mut Warnings,
    ) -> Result<Value, ReferenceProblem> {
        self.spend(VALUE + value.as_str().map_or(0, str::len))?;
        // Also the end of a chain of references that is too long.
        if depth > MAX_DEPTH {
            return Err(ReferenceProblem::TooMuch);
        }
        match value {
            Value::Object(members) => {
                let mut expanded = match members.get("$ref") {
                    Some(reference) => {
                        if followed.contains(&reference) {
                            return Err(ReferenceProblem::Endless);
                        }
                        let target = find(self.root, &way(reference)?).ok_or(ReferenceProblem::Missing)?;
                        followed.push(reference);
                        let target = self.expanded(target, pointer, followed, depth + 1, warnings);
                        followed.pop();
                        match target? {
                            Value::Object(target) => target,
                            // Nothing that is referred to here can be anything else; the caller says so.
                            other => return Ok(other),
                        }
                    }
                    None => Map::new(),
                };
                for (name, value) in members.iter().filter(|(name, _)| *name != "$ref") {
                    let pointer = member(pointer, name);
                    let value = self
                        .spend(name.len())
                        .and_then(|()| self.expanded(value, &pointer, followed, depth + 1, warnings));
                    match value {
                        Ok(value) => drop(expanded.insert(name.clone(), value)),
                        Err(problem) => warnings.add(pointer, problem.to_string()),
                    }
                }
                Ok(Value::Object(expanded))
            }
            Value::Array(items) => {
                let mut expanded = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    let pointer = member(pointer, &index.to_string());
                    match self.expanded(item, &pointer, followed, depth + 1, warnings) {
                        Ok(item) => expanded.push(item),
                        Err(problem) => warnings.add(pointer, problem.to_string()),
                    }
                }
                Ok(Value::Array(expanded))
            }
            plain => Ok(plain.clone()),
        }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), ReferenceProblem> {
        self.left = self.left.checked_sub(bytes).ok_or(ReferenceProblem::TooMuch)?;
        Ok(())
    }
}

/// Whether the value or one of its members is a reference.
fn has_reference(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.contains_key("$ref") || members.values().any(has_reference),
        Value::Array(items) => items.iter().any(has_reference),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(root: &Value, expected: Result<Value, ReferenceProblem>, faults: &[(&str, ReferenceProblem)]) {
        let mut warnings = Warnings::default();
        let expanded = Expander::new(root).expand(&root["x"], "/x", &mut warnings).map(Cow::into_owned);
        assert_eq!(expanded, expected);
        let found: Vec<_> = warnings.finish().into_iter().map(|warning| (warning.pointer, warning.message)).collect();
        let faults: Vec<_> =
            faults.iter().map(|(pointer, problem)| ((*pointer).to_owned(), problem.to_string())).collect();
        assert_eq!(found, faults);
    }

    #[test]
    fn references_are_replaced() {
        use ReferenceProblem::{Endless, External, Missing};

        check(&json!({"x": {"a": [1, "b"]}}), Ok(json!({"a": [1, "b"]})), &[]);
        check(
            &json!({"x": {"$ref": "#/a"}, "a": {"$ref": "#/b/c~1d%20e"}, "b": {"c/d e": {"f": 1}}}),
            Ok(json!({"f": 1})),
            &[],
        );
        check(&json!({"x": {"$ref": "#/a", "f": 2}, "a": {"f": 1, "g": 1}}), Ok(json!({"f": 2, "g": 1})), &[]);
        check(&json!({"x": {"a": [{"$ref": "#/b/1"}]}, "b": [1, 2]}), Ok(json!({"a": [2]})), &[]);
        check(&json!({"x": {"$ref": "other.yaml#/a"}}), Err(External), &[]);
        check(&json!({"x": {"$ref": 5}}), Err(External), &[]);
        check(&json!({"x": {"$ref": "#"}}), Err(External), &[]);
        check(&json!({"x": {"$ref": "#/y/0/z"}, "y": "text"}), Err(Missing), &[]);
        check(&json!({"x": {"$ref": "#/x"}}), Err(Endless), &[]);
        check(&json!({"x": {"$ref": "#/y"}, "y": {"$ref": "#/x"}}), Err(Endless), &[]);
        check(&json!({"x": {"a": {"$ref": "#/x"}}}), Ok(json!({"a": {}})), &[("/x/a/a", Endless)]);
        check(
            &json!({"x": {"a": {"$ref": "#/no"}, "b": [{"$ref": "y"}, 1]}}),
            Ok(json!({"b": [1]})),
            &[("/x/a", Missing), ("/x/b/0", External)],
        );
    }

    #[test]
    fn what_doubles_without_end_is_cut_off() {
        let mut root = Map::new();
        for level in 0..20 {
            let next = format!("#/{}", level + 1);
            root.insert(level.to_string(), json!({"a": {"$ref": next}, "b": {"$ref": next}}));
        }
        root.insert("20".to_owned(), json!({}));
        let root = Value::Object(root);
        let mut warnings = Warnings::default();
        let mut expander = Expander::new(&root);
        assert!(expander.expand(&root["0"], "/0", &mut warnings).is_ok());
        assert!(expander.left < MAX_EXPANDED);
        assert!(warnings.finish().iter().any(|warning| warning.message == ReferenceProblem::TooMuch.to_string()));
    }

    #[test]
    fn a_chain_that_is_too_long_is_no_stack_overflow() {
        let mut root: Map<_, _> =
            (0..10_000).map(|link| (link.to_string(), json!({"$ref": format!("#/{}", link + 1)}))).collect();
        root.insert("x".to_owned(), json!({"$ref": "#/0"}));
        check(&Value::Object(root), Err(ReferenceProblem::TooMuch), &[]);
    }
}
