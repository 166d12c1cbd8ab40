//! JSON documents from members set by pointer (RFC 6901).

use serde_json::{Map, Value as Json};

use super::record::Pair;
use super::refusal::Problem;
use super::template::{Scope, Value};
use crate::flows::request::{Escape, JsonValue, Member};

/// The deepest document. What reads JSON rarely accepts more than 128 levels.
const DEPTH: usize = 64;

/// A document and what is known of it.
pub(super) struct Document {
    /// The document.
    pub(super) json: Json,
    /// The secrets that are in it; has no bytes.
    pub(super) about: Value,
    /// What a record shows of each member.
    pub(super) record: Vec<Pair>,
}

/// Builds a document. Members are set in order, a later one over an earlier one; the document starts as an object.
///
/// A container that is missing on the way is made: an array where the next token is `0` or `-`, else an object. An array grows
/// by its next index or `-`. Where `0` is meant as the name of a member, set `{}` first.
///
/// `start` is what the document is before the first member is set.
pub(super) fn document(scope: &Scope<'_>, part: &str, start: Json, members: &[Member]) -> Result<Document, Problem> {
    let mut document = Document { json: start, about: Value::default(), record: Vec::with_capacity(members.len()) };
    for member in members {
        let place = format!("{part} member `{}`", member.pointer);
        let (json, shown) = match &member.value {
            JsonValue::Text(template) => {
                let value = scope.render(&place, template, Escape::None)?;
                document.about.inherit(&value);
                (Json::String(value.text(&place)?.to_owned()), value.shown)
            }
            JsonValue::Literal(text) => {
                let json = serde_json::from_str(text)
                    .map_err(|error| Problem::flow(&place, format!("is no JSON value (column {})", error.column())))?;
                (json, text.clone())
            }
        };
        set(&mut document.json, &member.pointer, json).map_err(|fault| Problem::flow(&place, fault))?;
        document.record.push(Pair::new(&member.pointer, &shown));
    }
    Ok(document)
}

/// Sets one member.
fn set(document: &mut Json, pointer: &str, value: Json) -> Result<(), String> {
    let tokens = tokens(pointer)?;
    let mut at = document;
    for token in &tokens {
        if at.is_null() {
            *at = if token == "0" || token == "-" { Json::Array(Vec::new()) } else { Json::Object(Map::new()) };
        }
        at = match at {
            Json::Object(members) => members.entry(token.clone()).or_insert(Json::Null),
            Json::Array(items) => {
                let index = if token == "-" { items.len() } else { index(token)? };
                if index > items.len() {
                    return Err(format!("has the index {index} where the array has {} items", items.len()));
                }
                if index == items.len() {
                    items.push(Json::Null);
                }
                items.get_mut(index).ok_or("has an index outside of the array")?
            }
            _ => return Err(format!("goes through a value that is neither object nor array, at `{token}`")),
        };
    }
    *at = value;
    Ok(())
}

/// The tokens of a pointer, unescaped.
fn tokens(pointer: &str) -> Result<Vec<String>, String> {
    if pointer.is_empty() {
        return Ok(Vec::new());
    }
    let Some(rest) = pointer.strip_prefix('/') else {
        return Err("is no JSON pointer: it has to begin with `/`".to_owned());
    };
    let tokens: Vec<&str> = rest.split('/').take(DEPTH + 1).collect();
    if tokens.len() > DEPTH {
        return Err(format!("is deeper than {DEPTH} levels"));
    }
    tokens.into_iter().map(unescaped).collect()
}

/// One token, `~1` as `/` and `~0` as `~`.
fn unescaped(token: &str) -> Result<String, String> {
    let mut pieces = token.split('~');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (character, rest) = match piece.as_bytes().first() {
            Some(b'0') => ('~', &piece[1..]),
            Some(b'1') => ('/', &piece[1..]),
            _ => return Err("is no JSON pointer: `~` has to be written `~0`".to_owned()),
        };
        text.push(character);
        text.push_str(rest);
    }
    Ok(text)
}

/// An array index, without leading zeros.
fn index(token: &str) -> Result<usize, String> {
    let plain = token == "0" || !token.starts_with('0');
    let digits = plain && token.bytes().all(|byte| byte.is_ascii_digit());
    token.parse().ok().filter(|_| digits).ok_or_else(|| format!("has `{token}` where an array's index is wanted"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::request::Part;
    use crate::secrets::Secrets;

    #[track_caller]
    fn check(members: &[(&str, &str)], expected: &str) {
        let mut secrets = Secrets::default();
        secrets.insert("pin", "1\"2".into());
        let members: Vec<Member> = members
            .iter()
            .map(|(pointer, value)| Member {
                pointer: (*pointer).to_owned(),
                value: match value.strip_prefix('$') {
                    Some(name) => JsonValue::Text(vec![Part::Secret(name.to_owned())]),
                    None => JsonValue::Literal((*value).to_owned()),
                },
            })
            .collect();
        match document(&Scope::new(&secrets, 1000), "body", Json::Object(Map::new()), &members) {
            Ok(document) => assert_eq!(document.json.to_string(), expected),
            Err(problem) => assert_eq!(problem.to_string(), expected),
        }
    }

    #[test]
    fn members_are_set_by_pointer() {
        check(&[], "{}");
        check(&[("/b", "1"), ("/a", "\"x\""), ("/b", "2")], r#"{"b":2,"a":"x"}"#);
        check(&[("/auth/user", "null"), ("/auth/pin", "$pin")], r#"{"auth":{"user":null,"pin":"1\"2"}}"#);
        check(&[("/list/-", "1"), ("/list/-", "2"), ("/list/0", "3")], r#"{"list":[3,2]}"#);
        check(&[("/list/0/name", "1"), ("/list/1/name", "2")], r#"{"list":[{"name":1},{"name":2}]}"#);
        check(&[("", "[]"), ("/-", "true")], "[true]");
        check(&[("/map", "{}"), ("/map/0", "1")], r#"{"map":{"0":1}}"#);
        check(&[("/a~1b~0c", "1"), ("/", "2")], r#"{"a/b~c":1,"":2}"#);
    }

    #[test]
    fn what_cannot_be_set_is_told_by_member() {
        check(
            &[("/a", "1"), ("/a/b", "2")],
            "body member `/a/b`: goes through a value that is neither object nor array, at `b`",
        );
        check(&[("/a/0", "1"), ("/a/2", "2")], "body member `/a/2`: has the index 2 where the array has 1 items");
        check(&[("/a/0", "1"), ("/a/01", "2")], "body member `/a/01`: has `01` where an array's index is wanted");
        check(&[("/a/0", "1"), ("/a/+1", "2")], "body member `/a/+1`: has `+1` where an array's index is wanted");
        check(&[("a", "1")], "body member `a`: is no JSON pointer: it has to begin with `/`");
        check(&[("/~2", "1")], "body member `/~2`: is no JSON pointer: `~` has to be written `~0`");
        check(&[("/a", "{")], "body member `/a`: is no JSON value (column 1)");
        check(&[("/a", "$none")], "body member `/a`: uses the secret `none`, which is not set, nor computed before it");
        let deep = "/a".repeat(DEPTH + 1);
        check(&[(&deep, "1")], &format!("body member `{deep}`: is deeper than 64 levels"));
    }
}
