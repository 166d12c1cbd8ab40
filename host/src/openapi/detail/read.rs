//! From the kept part of a document to an [`OperationDetail`].

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::outline::METHODS;
use super::super::references;
use super::super::servers::text;
use super::{Content, Encoding, OperationDetail, Parameter, Place, RequestBody, Schema, Style, swagger2};

/// Longest chain of references between objects that aren't schemas.
const MAX_CHAIN: usize = 8;
/// Most parameters of one operation; real ones have up to some hundreds.
const MAX_PARAMETERS: usize = 2000;

/// The detail of an operation. `None`: there is no such operation.
pub(super) fn detail(root: Value, method: &str, path: &str) -> Option<OperationDetail> {
    let item = resolve(&root, root.get("paths")?.get(path)?)?;
    let at = if METHODS.contains(&method) { item } else { item.get("additionalOperations")? };
    let operation = at.get(method).filter(|operation| operation.is_object())?;
    let merged = merged(&root, item, operation);
    let (parameters, body) = if root.get("swagger").is_some() {
        swagger2::request(&root, operation, merged)
    } else {
        (merged, operation.get("requestBody").and_then(|body| resolve(&root, body)).cloned())
    };
    let parameters = parameters.iter().filter_map(|value| parameter(&root, value)).collect();
    let body = body.as_ref().and_then(|value| request_body(&root, value));
    Some(OperationDetail { parameters, body, definitions: root })
}

/// What an object's references lead to; `None` where they lead nowhere.
pub(super) fn resolve<'a>(root: &'a Value, value: &'a Value) -> Option<&'a Value> {
    let mut value = value;
    for _ in 0..MAX_CHAIN {
        match value.get("$ref") {
            Some(reference) => value = references::find(root, &references::way(reference).ok()?)?,
            None => return value.is_object().then_some(value),
        }
    }
    None
}

/// The parameters of the path and the operation as they are written; those of the operation stand in for those of the
/// path with the same name and place.
fn merged(root: &Value, item: &Value, operation: &Value) -> Vec<Value> {
    let mut merged: Vec<Value> = Vec::new();
    for holder in [item, operation] {
        let parameters = holder.get("parameters").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for parameter in parameters.iter().filter_map(|parameter| resolve(root, parameter)) {
            let same = |other: &Value| ["name", "in"].iter().all(|member| other.get(*member) == parameter.get(*member));
            let room = merged.len() < MAX_PARAMETERS;
            match merged.iter().position(same).and_then(|index| merged.get_mut(index)) {
                Some(other) => other.clone_from(parameter),
                None if room => merged.push(parameter.clone()),
                None => {}
            }
        }
    }
    merged
}

/// A parameter; `None` where it has no name or place, or is one of those that don't count.
fn parameter(root: &Value, value: &Value) -> Option<Parameter> {
    let name = text(value, "name")?;
    let place = Place::of(value.get("in")?.as_str()?)?;
    // OpenAPI 3.1.1 section 4.8.12.2: definitions of these are ignored.
    let ignored = ["accept", "content-type", "authorization"];
    if place == Place::Header && ignored.iter().any(|ignored| name.eq_ignore_ascii_case(ignored)) {
        return None;
    }
    let content = value.get("content").and_then(Value::as_object).and_then(|content| content.iter().next());
    let (media_type, schema) = match content {
        Some((media_type, content)) => {
            let content = resolve(root, content);
            (Some(essence(media_type)), content.and_then(|content| content.get("schema")))
        }
        None => (None, value.get("schema")),
    };
    let style = value.get("style").and_then(Value::as_str).and_then(style).unwrap_or(match place {
        Place::Path | Place::Header => Style::Simple,
        Place::Query | Place::Cookie => Style::Form,
    });
    Some(Parameter {
        name,
        place,
        required: place == Place::Path || flag(value, "required") == Some(true),
        style,
        explode: flag(value, "explode").unwrap_or(style == Style::Form),
        allow_reserved: flag(value, "allowReserved") == Some(true),
        media_type,
        schema: Schema::new(schema),
    })
}

/// A request body; `None` where it names no media type.
fn request_body(root: &Value, value: &Value) -> Option<RequestBody> {
    let contents: Vec<_> = value
        .get("content")?
        .as_object()?
        .iter()
        .filter_map(|(media_type, content)| {
            let content = if content.is_object() { resolve(root, content)? } else { content };
            let encoding = content.get("encoding").and_then(Value::as_object).map(encodings).unwrap_or_default();
            Some(Content { media_type: essence(media_type), schema: Schema::new(content.get("schema")), encoding })
        })
        .collect();
    (!contents.is_empty()).then(|| RequestBody { required: flag(value, "required") == Some(true), contents })
}

/// How members of a form are written.
fn encodings(members: &Map<String, Value>) -> BTreeMap<String, Encoding> {
    let encoding = |value: &Value| Encoding {
        content_type: text(value, "contentType"),
        style: value.get("style").and_then(Value::as_str).and_then(style),
        explode: flag(value, "explode"),
        allow_reserved: flag(value, "allowReserved") == Some(true),
    };
    members.iter().map(|(name, value)| (name.clone(), encoding(value))).collect()
}

/// A media type without its parameters, in lower case.
fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A truth value; YAML and careless tools write it as text.
fn flag(value: &Value, name: &str) -> Option<bool> {
    match value.get(name)? {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// The style of this name.
fn style(name: &str) -> Option<Style> {
    Some(match name {
        "matrix" => Style::Matrix,
        "label" => Style::Label,
        "simple" => Style::Simple,
        "form" => Style::Form,
        "spaceDelimited" => Style::SpaceDelimited,
        "pipeDelimited" => Style::PipeDelimited,
        swagger2::TAB_DELIMITED => Style::TabDelimited,
        "deepObject" => Style::DeepObject,
        _ => return None,
    })
}
