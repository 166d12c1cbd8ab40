//! What a request of one operation looks like: its parameters, its body, and what their values may be.
//!
//! Read when it is asked for, from the document's bytes, so that no document is kept in memory for it. Only what the
//! operation and the references from there lead to is kept. It writes no request and knows no HTTP client; a mistake in
//! this part of a document makes it say less, never fail.

mod read;
mod schema;
mod swagger2;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

pub use self::schema::{Schema, SchemaFault, Wrong};
use super::error::DocumentError;
use super::outline::{METHODS, Outline};
use super::references;
use super::text::Source;

/// Most rounds of following references; schemas refer to schemas, and what lies deeper isn't checked.
const MAX_ROUNDS: usize = 16;
/// Most bytes that all rounds together read, at about a gigabyte in three seconds.
const MAX_READ: usize = 256 << 20;
/// What a value takes in memory, about.
const VALUE: usize = 64;

/// What a request of one operation looks like, in the terms of OpenAPI 3.
#[derive(Clone, Debug)]
pub struct OperationDetail {
    /// Its parameters and those of its path; no two of the same name in the same place.
    pub parameters: Vec<Parameter>,
    /// Its body; `None`: it takes none.
    pub body: Option<RequestBody>,
    /// The part of the document that schemas refer to.
    definitions: Value,
}

impl OperationDetail {
    /// What is wrong with a value by a schema of this operation; nothing where that can't be judged. At most a hundred
    /// faults, in bounded time.
    pub fn check(&self, schema: &Schema, value: &Value) -> Vec<SchemaFault> {
        schema::check(&self.definitions, schema, value)
    }

    /// A value with its text read as what the schema wants: a number or truth value, in a list or an object too. For
    /// values that travel as text anyway.
    pub fn read_text(&self, schema: &Schema, value: &Value) -> Value {
        schema::read_text(&self.definitions, schema.value(), value)
    }

    /// What it takes in memory, in bytes, about.
    pub fn size(&self) -> usize {
        let contents = self.body.iter().flat_map(|body| &body.contents).map(|content| weight(content.schema.value()));
        let parameters = self.parameters.iter().map(|parameter| 128 + weight(parameter.schema.value()));
        weight(&self.definitions) + parameters.chain(contents).sum::<usize>()
    }
}

/// A value that a request has besides its body.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name; of headers, upper and lower case are the same.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// Whether every request has it.
    pub required: bool,
    /// How lists and objects are written.
    pub style: Style,
    /// Whether each item of a list or object is written by itself.
    pub explode: bool,
    /// Whether reserved characters stay as they are, in a query.
    pub allow_reserved: bool,
    /// The media type that its value is written in, instead of a style.
    pub media_type: Option<String>,
    /// What its value may be.
    pub schema: Schema,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In the path, in place of `{name}`.
    Path,
    /// In the query.
    Query,
    /// A header.
    Header,
    /// A cookie.
    Cookie,
}

impl Place {
    /// Its name in a document.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
        }
    }

    /// The place of this name.
    fn of(name: &str) -> Option<Self> {
        [Self::Path, Self::Query, Self::Header, Self::Cookie].into_iter().find(|place| place.as_str() == name)
    }
}

/// How lists and objects are written (OpenAPI 3.1.1 section 4.8.12.2, "Style Values").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `;name=a`, of paths.
    Matrix,
    /// `.a`, of paths.
    Label,
    /// `a,b`, of paths and headers.
    Simple,
    /// `name=a`, of queries and cookies.
    Form,
    /// `name=a%20b`, of queries.
    SpaceDelimited,
    /// `name=a%7Cb`, of queries.
    PipeDelimited,
    /// `name=a%09b`: Swagger 2.0's `tsv`, which OpenAPI 3 has no word for.
    TabDelimited,
    /// `name[member]=a`, of queries.
    DeepObject,
}

/// The body of a request.
#[derive(Clone, Debug)]
pub struct RequestBody {
    /// Whether every request has one.
    pub required: bool,
    /// In which media types, in the document's order.
    pub contents: Vec<Content>,
}

/// A body in one media type.
#[derive(Clone, Debug)]
pub struct Content {
    /// The media type or a range of them (`image/*`), without parameters, in lower case.
    pub media_type: String,
    /// What its value may be.
    pub schema: Schema,
    /// How members of a form are written, by name.
    pub encoding: BTreeMap<String, Encoding>,
}

/// How a member of a form is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// The media type of its part.
    pub content_type: Option<String>,
    /// As for parameters of a query; `None`: by its content type.
    pub style: Option<Style>,
    /// As for parameters.
    pub explode: Option<bool>,
    /// As for parameters.
    pub allow_reserved: bool,
}

/// What a request of this operation looks like. `None`: the document has no such operation.
///
/// Takes as long as parsing the bytes a few times does; call it where blocking for seconds is allowed.
///
/// # Errors
/// As for [`read`](super::read).
pub fn operation_detail(bytes: &[u8], method: &str, path: &str) -> Result<Option<OperationDetail>, DocumentError> {
    let source = Source::new(bytes)?;
    let lower = method.to_ascii_lowercase();
    let method = if METHODS.contains(&lower.as_str()) { lower.as_str() } else { method };
    let item = Outline::request(method);
    let mut outline = Outline::request_in(path, item.clone());
    let mut tree = source.parse(&outline)?;
    let rounds = (MAX_READ / bytes.len().max(1)).clamp(3, MAX_ROUNDS);
    for _ in 1..rounds {
        if !references::want(&tree.root, &mut outline, &item) {
            break;
        }
        match source.parse(&outline) {
            Ok(larger) => tree = larger,
            // What was read so far says less, but nothing wrong.
            Err(DocumentError::TooMuch { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(read::detail(tree.root, method, path))
}

/// What a value takes in memory, in bytes, about.
fn weight(value: &Value) -> usize {
    VALUE
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(weight).sum(),
            Value::Object(members) => members.iter().map(|(name, value)| name.len() + weight(value)).sum(),
            _ => 0,
        }
}
