//! The members of an answer, whatever it is written in. Knows nothing of what they mean.

use serde_json::{Map, Value};

use super::ALIASES;
use crate::types::Response;

/// How many objects deep the token's members may lie: `{"a":{"b":{…}}}` is two deep.
const DEEPEST: usize = 3;

/// What an answer says, by member name.
#[derive(Debug)]
pub struct Answer {
    /// The whole answer; a form is an object of strings.
    root: Map<String, Value>,
    /// The keys that lead from the root to the object that holds the token or the error.
    path: Vec<Key>,
    /// Whether it was a form, whose keys may be anything that was sent.
    form: bool,
}

/// One step down: into a member of this name that is an object, or an array of one object.
type Key = String;

/// Why an answer has no members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// There is no body.
    Empty,
    /// It is a page for people.
    Html,
    /// It is something else; in which way it fails.
    Other(String),
    /// Several objects could be the token.
    Ambiguous,
}

impl Answer {
    /// Reads the body as JSON or as a form, whatever its content type says: providers say the wrong one.
    ///
    /// # Errors
    /// It is neither, or it holds several tokens side by side.
    pub fn read(response: &Response) -> Result<Self, Unreadable> {
        let text = decode(&response.body);
        let text = text.trim();
        let (root, form) = match text.chars().next() {
            None => return Err(Unreadable::Empty),
            Some('<') => return Err(Unreadable::Html),
            Some('{' | '[') => (json(text)?, false),
            Some(_) => (form(text)?, true),
        };
        let path = match find(&root, has_token)? {
            Some(path) => path,
            None => find(&root, has_error).ok().flatten().unwrap_or_default(),
        };
        Ok(Self { root, path, form })
    }

    /// A member's text: a string that isn't empty, or a number. Looked for beside the token, then in the objects
    /// around it.
    pub fn text(&self, name: &str) -> Option<String> {
        self.find(name, scalar)
    }

    /// A member's number, if it is above zero: an integer, a fraction (rounded down), or a string of one.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.find(name, number)
    }

    /// A member's words, separated by one space: of an array, of a string, or of a string with commas and no spaces.
    pub fn words(&self, name: &str) -> Option<String> {
        self.find(name, words)
    }

    /// The names of the members, if they are known to hold nothing that was sent: at most so many.
    pub(super) fn names(&self, most: usize) -> Vec<&str> {
        if self.form {
            return Vec::new();
        }
        // Sorted: the order in which serde_json keeps them depends on features that another crate may turn on.
        let mut names: Vec<&str> = self.root.keys().map(String::as_str).collect();
        names.sort_unstable();
        names.truncate(most);
        names
    }

    /// A member as it is.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.objects().into_iter().find_map(|object| object.get(name))
    }

    /// What `read` makes of the first member of this name, or of another name for it, of which it makes anything.
    fn find<T>(&self, name: &str, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        let aliases = ALIASES.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, aliases)| aliases);
        self.objects()
            .into_iter()
            .find_map(|object| [name].iter().chain(aliases).find_map(|name| object.get(*name).and_then(&read)))
    }

    /// The object that holds the token, then those around it.
    fn objects(&self) -> Vec<&Map<String, Value>> {
        let mut objects = vec![&self.root];
        let mut object = &self.root;
        for key in &self.path {
            let Some(inner) = object.get(key).and_then(inner) else { break };
            objects.push(inner);
            object = inner;
        }
        objects.reverse();
        objects
    }
}

/// The text of a body. A byte order mark says which Unicode it is; without one it is UTF-8.
fn decode(body: &[u8]) -> String {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match body {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        body => String::from_utf8_lossy(body).into_owned(),
    }
}

/// The members of a JSON object, or of the only object of an array.
fn json(text: &str) -> Result<Map<String, Value>, Unreadable> {
    // Not the parser's own words, which may quote what was sent; and the same ones in every language of the SDK.
    let value: Value = serde_json::from_str(text).map_err(|_| Unreadable::Other("broken JSON".into()))?;
    match value {
        Value::Object(members) => Ok(members),
        Value::Array(mut items) if items.len() == 1 => match items.swap_remove(0) {
            Value::Object(members) => Ok(members),
            _ => Err(Unreadable::Other("JSON, but no object".into())),
        },
        _ => Err(Unreadable::Other("JSON, but no object".into())),
    }
}

/// The members of a form. Any text could be one, so it must have a member that matters.
fn form(text: &str) -> Result<Map<String, Value>, Unreadable> {
    let members: Map<String, Value> = form_urlencoded::parse(text.as_bytes())
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect();
    if has_token(&members) || has_error(&members) {
        Ok(members)
    } else {
        Err(Unreadable::Other("neither JSON nor a form".into()))
    }
}

/// Whether this object holds a token.
fn has_token(object: &Map<String, Value>) -> bool {
    ["access_token", "accessToken"].iter().any(|name| object.get(*name).and_then(scalar).is_some())
}

/// Whether this object holds an error.
fn has_error(object: &Map<String, Value>) -> bool {
    object.get("error").is_some_and(|error| match error {
        Value::String(text) => !text.trim().is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => false,
    })
}

/// The object that a member is, or that is the only item of the array that it is.
fn inner(value: &Value) -> Option<&Map<String, Value>> {
    match value {
        Value::Object(inner) => Some(inner),
        Value::Array(items) => match items.as_slice() {
            [Value::Object(inner)] => Some(inner),
            _ => None,
        },
        _ => None,
    }
}

/// The way to the one object that `wanted` holds for, the least deep first. `None`: there is none.
fn find(root: &Map<String, Value>, wanted: fn(&Map<String, Value>) -> bool) -> Result<Option<Vec<Key>>, Unreadable> {
    // Names are borrowed until one way is chosen: a long one may lead to very many objects.
    let mut level: Vec<(Vec<&str>, &Map<String, Value>)> = vec![(Vec::new(), root)];
    for _ in 0..=DEEPEST {
        let mut hits = level.iter().filter(|(_, object)| wanted(object));
        match (hits.next(), hits.next()) {
            (Some((path, _)), None) => return Ok(Some(path.iter().map(|&name| name.to_owned()).collect())),
            (Some(_), Some(_)) => return Err(Unreadable::Ambiguous),
            (None, _) => {}
        }
        let mut below = Vec::new();
        for (path, object) in level {
            for (name, value) in object {
                if let Some(inner) = inner(value) {
                    below.push((path.iter().copied().chain([name.as_str()]).collect(), inner));
                }
            }
        }
        level = below;
    }
    Ok(None)
}

/// A string that isn't empty, or a number as it is written.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A number above zero, rounded down.
fn number(value: &Value) -> Option<u64> {
    let text = scalar(value)?;
    let whole = match text.parse::<u64>() {
        Ok(whole) => whole,
        // A cast from a float saturates, and makes 0 of what is no number.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "meant")]
        Err(_) => text.parse::<f64>().ok()? as u64,
    };
    (whole > 0).then_some(whole)
}

/// Words separated by one space.
fn words(value: &Value) -> Option<String> {
    let joined = match value {
        Value::Array(items) => items.iter().filter_map(scalar).collect::<Vec<_>>().join(" "),
        Value::String(text) if !text.trim().contains(char::is_whitespace) => text.trim().replace(',', " "),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let words: Vec<&str> = joined.split_whitespace().collect();
    (!words.is_empty()).then(|| words.join(" "))
}
