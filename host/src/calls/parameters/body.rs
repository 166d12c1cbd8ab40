//! The body of a request: which media type, the value held against its schema, and its bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderValue;
use serde_json::{Map, Value};

use super::check::fault_at;
use super::style::{self, Flat};
use super::{Given, multipart};
use crate::fault::{FaultCode, FieldFault};
use crate::openapi::{Content, Encoding, OperationDetail, Style};

/// The media type of HTML forms.
const FORM: &str = "application/x-www-form-urlencoded";
/// The media type of forms in parts.
const MULTIPART: &str = "multipart/form-data";

/// Whether a media type's values are JSON.
pub(super) fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json") || media_type == "text/json"
}

/// Bytes that a caller gives within JSON.
pub(super) struct Binary<'a> {
    pub(super) bytes: Vec<u8>,
    /// The name of the file that it is said to be.
    pub(super) filename: Option<&'a str>,
    /// Its media type.
    pub(super) content_type: Option<&'a str>,
}

/// The bytes that a value stands for, if it is `{"base64": "…"}`, with `filename` and `content_type` where it is a part.
pub(super) fn binary(value: &Value) -> Option<Result<Binary<'_>, &'static str>> {
    let members = value.as_object()?;
    let known = ["base64", "filename", "content_type"];
    let encoded = members.get("base64")?.as_str()?;
    if !members.keys().all(|name| known.contains(&name.as_str())) {
        return None;
    }
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    Some(match STANDARD.decode(encoded) {
        Ok(bytes) => Ok(Binary { bytes, filename: text("filename"), content_type: text("content_type") }),
        Err(_) => Err("isn't base64 with its padding (RFC 4648 section 4)"),
    })
}

/// Writes the body that a caller gives.
pub(super) fn write(
    detail: &OperationDetail,
    given: Given<'_>,
    faults: &mut Vec<FieldFault>,
) -> Option<(HeaderValue, Bytes)> {
    let Some(body) = &detail.body else {
        if given.body.is_some_and(|body| !body.is_null()) {
            faults.push(FieldFault::new("body", FaultCode::Unknown, "this operation takes no body"));
        }
        return None;
    };
    let Some(value) = given.body else {
        if body.required {
            let types: Vec<_> = body.contents.iter().map(|content| content.media_type.as_str()).collect();
            let message = format!("must be given, as {}", types.join(" or "));
            faults.push(FieldFault::new("body", FaultCode::Missing, message));
        }
        return None;
    };
    let (content, media_type) = match choose(&body.contents, given.content_type, value) {
        Ok(chosen) => chosen,
        Err(fault) => {
            faults.push(fault);
            return None;
        }
    };
    let before = faults.len();
    let written = bytes(detail, content, &media_type, value, faults);
    if faults.len() > before {
        return None;
    }
    let (media_type, bytes) = written?;
    match HeaderValue::from_str(&media_type) {
        Ok(media_type) => Some((media_type, bytes)),
        Err(_) => {
            let message = "has a character that a header can't hold";
            faults.push(FieldFault::new("content_type", FaultCode::Malformed, message));
            None
        }
    }
}

/// The content of the document that is used, and the media type to send.
fn choose<'a>(
    contents: &'a [Content],
    wanted: Option<&str>,
    value: &Value,
) -> Result<(&'a Content, String), FieldFault> {
    if let Some(wanted) = wanted {
        let essence = essence(wanted);
        let exact = contents.iter().find(|content| content.media_type == essence);
        let found = exact.or_else(|| contents.iter().find(|content| is_within(&essence, &content.media_type)));
        return found.map(|content| (content, wanted.to_owned())).ok_or_else(|| {
            let types: Vec<_> = contents.iter().map(|content| content.media_type.as_str()).collect();
            let message = format!("isn't a media type of this operation; it takes {}", types.join(" or "));
            FieldFault::new("content_type", FaultCode::NotAllowed, message)
        });
    }
    let is_plain = |content: &&Content| {
        !is_json(&content.media_type) && content.media_type != FORM && content.media_type != MULTIPART
    };
    let json = || contents.iter().find(|content| is_json(&content.media_type));
    let plain = || contents.iter().find(is_plain);
    let of_type = |name: &str| contents.iter().find(|content| content.media_type == name);
    let range = |substitute: &str| contents.iter().find(|content| is_within(substitute, &content.media_type));
    let (found, substitute) = match value {
        value if binary(value).is_some() => (plain().or_else(json), "application/octet-stream"),
        Value::String(_) => (json().or_else(plain), "text/plain"),
        _ => {
            let form = || of_type(FORM).or_else(|| of_type(MULTIPART));
            (json().or_else(|| range("application/json")).or_else(form), "application/json")
        }
    };
    let Some(content) = found.or_else(|| contents.first()) else {
        return Err(FieldFault::new("body", FaultCode::Unknown, "this operation takes no body"));
    };
    let media_type = if content.media_type.contains('*') { substitute.to_owned() } else { content.media_type.clone() };
    Ok((content, media_type))
}

/// A media type without its parameters, in lower case.
fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a media type is within a range (RFC 9110 section 12.5.1).
fn is_within(media_type: &str, range: &str) -> bool {
    range == "*/*"
        || range == media_type
        || range.strip_suffix("/*").is_some_and(|kind| media_type.split('/').next() == Some(kind))
}

/// The value held against its schema and as bytes, with the content type to say.
fn bytes(
    detail: &OperationDetail,
    content: &Content,
    media_type: &str,
    value: &Value,
    faults: &mut Vec<FieldFault>,
) -> Option<(String, Bytes)> {
    let essence = essence(media_type);
    let mut malformed = |message: &str| {
        faults.push(FieldFault::new("body", FaultCode::Malformed, message));
        None
    };
    if is_json(&essence) {
        let wrong = detail.check(&content.schema, value);
        faults.extend(wrong.into_iter().map(|fault| fault_at("body", fault)));
        return Some((media_type.to_owned(), value.to_string().into()));
    }
    match value {
        // Of any type: whoever gives text or bytes has written them as the type wants.
        Value::String(text) => return Some((media_type.to_owned(), text.clone().into())),
        value => match binary(value) {
            Some(Ok(binary)) => return Some((media_type.to_owned(), binary.bytes.into())),
            Some(Err(message)) => return malformed(message),
            None => {}
        },
    }
    match (essence.as_str(), value) {
        (FORM | MULTIPART, Value::Object(members)) => {
            let judged = detail.read_text(&content.schema, &without_bytes(members));
            let wrong = detail.check(&content.schema, &judged);
            faults.extend(wrong.into_iter().map(|fault| fault_at("body", fault)));
            if essence == FORM {
                Some((media_type.to_owned(), form(content, members).into()))
            } else {
                multipart::write(content, members, faults)
            }
        }
        (FORM | MULTIPART, _) => malformed("must be an object: this operation takes a form"),
        _ => malformed(&format!("must be text or {{\"base64\": \"…\"}}: this operation takes {essence}")),
    }
}

/// The members with text in the place of bytes, as schemas describe them.
fn without_bytes(members: &Map<String, Value>) -> Value {
    let plain = |value: &Value| match value {
        value if binary(value).is_some() => value.get("base64").cloned().unwrap_or_default(),
        value => value.clone(),
    };
    let member = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
            value => plain(value),
        };
        (name.clone(), value)
    };
    Value::Object(members.iter().map(member).collect())
}

/// A form, percent-encoded. What its encoding doesn't say: each item of a list by itself, and nested values as JSON
/// (OpenAPI 3.1.1 section 4.8.15.1).
fn form(content: &Content, members: &Map<String, Value>) -> String {
    let usual = Encoding::default();
    let mut pairs = Vec::new();
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        let encoding = content.encoding.get(name).unwrap_or(&usual);
        let style = encoding.style.unwrap_or(Style::Form);
        let explode = encoding.explode.unwrap_or(style == Style::Form);
        let as_json = encoding.content_type.as_deref().is_some_and(is_json);
        pairs.extend(match (Flat::of(value), value) {
            _ if style == Style::DeepObject => style::deep(name, value, encoding.allow_reserved),
            (Ok(flat), Value::Object(_)) if encoding.style.is_some() => {
                style::query(style, explode, name, &flat, encoding.allow_reserved)
            }
            (Ok(flat @ (Flat::One(_) | Flat::List(_))), _) if !as_json => {
                style::query(style, explode, name, &flat, encoding.allow_reserved)
            }
            _ => vec![format!("{}={}", style::encoded(name), style::encoded(&value.to_string()))],
        });
    }
    pairs.join("&")
}
