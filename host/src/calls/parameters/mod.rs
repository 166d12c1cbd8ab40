//! Values that a caller gives for one operation, held against its detail and written as the request wants them.
//!
//! Everything that is wrong is told at once, by field. What comes out can't change where the request goes: a path value
//! is one part of the path, a header value one line. It sends nothing and knows no credentials.

mod body;
mod check;
mod multipart;
mod path;
mod style;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

use self::check::Table;
pub(in crate::calls) use self::check::is_reserved_header;
use self::style::Flat;
use crate::fault::{FaultCode, FieldFault};
use crate::openapi::{OperationDetail, Parameter, Place};

/// Longest path and query that are written, in bytes; hardly any server takes a tenth of it.
const MAX_TARGET: usize = 64 << 10;

/// What a caller gives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<'a> {
    /// Values by parameter: `name`, or `place.name` where a name stands in several places.
    pub(super) parameters: &'a Map<String, Value>,
    /// The body; text for text types, `{"base64": "…"}` for bytes.
    pub(super) body: Option<&'a Value>,
    /// The body's media type, where not the first that fits.
    pub(super) content_type: Option<&'a str>,
}

/// A request without its server and credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// Below the server's base, begins with `/`; percent-encoded, without segments that lead elsewhere.
    pub(super) path: String,
    /// Percent-encoded, without `?`; empty where there is none.
    pub(super) query: String,
    /// In the order of the document.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// `name=value`.
    pub(super) cookies: Vec<String>,
    /// Its content type and the bytes.
    pub(super) body: Option<(HeaderValue, Bytes)>,
}

/// Writes what a caller gives for an operation at this path template. `supplied`: whether the credentials will stand in
/// this place under this name, so that the caller needn't give it.
///
/// # Errors
/// Values are missing, unknown, of wrong types or can't be written: all that are, at once.
pub(super) fn write(
    detail: &OperationDetail,
    template: &str,
    given: Given<'_>,
    supplied: &dyn Fn(Place, &str) -> bool,
) -> Result<Written, Vec<FieldFault>> {
    let mut faults = Vec::new();
    let table = Table::new(detail, template);
    let values = table.values(given.parameters, supplied, &mut faults);
    let mut written = Written::default();
    let mut query = Vec::new();
    let mut in_path = Vec::new();
    for (parameter, value) in &values {
        let field = || format!("parameters.{}", parameter.name);
        match put(parameter, value) {
            Err(message) => faults.push(FieldFault::new(field(), FaultCode::Malformed, message)),
            Ok(Text::Path(text)) => in_path.push((parameter.name.as_str(), text)),
            Ok(Text::Query(pairs)) => query.extend(pairs),
            Ok(Text::Cookies(pairs)) => written.cookies.extend(pairs),
            Ok(Text::Header(text)) => match header(&parameter.name, &text) {
                Ok(header) => written.headers.push(header),
                Err(message) => faults.push(FieldFault::new(field(), FaultCode::Malformed, message)),
            },
        }
    }
    let (path, own_query) = path::fill(template, &in_path, &mut faults);
    written.path = path;
    query.splice(0..0, own_query);
    written.query = query.join("&");
    if written.path.len() + written.query.len() > MAX_TARGET {
        let message = format!("make a URL of more than {MAX_TARGET} bytes");
        faults.push(FieldFault::new("parameters", FaultCode::Malformed, message));
    }
    written.body = body::write(detail, given, &mut faults);
    if faults.is_empty() { Ok(written) } else { Err(faults) }
}

/// A parameter's value as its place wants it.
enum Text {
    /// In place of `{name}`.
    Path(String),
    /// `name=value`, percent-encoded.
    Query(Vec<String>),
    /// The value.
    Header(String),
    /// `name=value`.
    Cookies(Vec<String>),
}

/// Writes one value. Fails with what can't be written.
fn put(parameter: &Parameter, value: &Value) -> Result<Text, &'static str> {
    let Parameter { name, style, explode, .. } = parameter;
    if parameter.place == Place::Query && *style == crate::openapi::Style::DeepObject && parameter.media_type.is_none()
    {
        return Ok(Text::Query(style::deep(name, value, parameter.allow_reserved)));
    }
    let flat = match &parameter.media_type {
        Some(media_type) if body::is_json(media_type) => Flat::One(value.to_string()),
        Some(_) | None => Flat::of(value)?,
    };
    Ok(match parameter.place {
        Place::Path => {
            let text = style::path(*style, *explode, name, &flat);
            if text.is_empty() {
                return Err("is empty, and a path can't hold that");
            }
            Text::Path(text)
        }
        Place::Query => Text::Query(style::query(*style, *explode, name, &flat, parameter.allow_reserved)),
        Place::Header => Text::Header(style::header(*style, *explode, &flat)),
        Place::Cookie => Text::Cookies(style::cookies(*explode, name, &flat)),
    })
}

/// A header. Fails with what can't be written.
fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "is no name that a header can have")?;
    let value = HeaderValue::from_bytes(value.as_bytes())
        .map_err(|_| "has a line break or another character that a header can't hold")?;
    Ok((name, value))
}
