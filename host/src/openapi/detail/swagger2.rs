//! Swagger 2.0's parameters in OpenAPI 3 terms: what stands beside `type` becomes a schema, `collectionFormat` a style,
//! `in: body` and `in: formData` the body.

use serde_json::{Map, Value, json};

use super::super::servers::text;

/// A style that OpenAPI 3 has no word for: `collectionFormat: tsv`.
pub(super) const TAB_DELIMITED: &str = "tabDelimited";

/// Members of a parameter that say nothing of its value.
const NOT_OF_SCHEMA: [&str; 6] = ["name", "in", "required", "description", "collectionFormat", "allowEmptyValue"];

/// An operation's parameters and body, from its parameters.
pub(super) fn request(root: &Value, operation: &Value, parameters: Vec<Value>) -> (Vec<Value>, Option<Value>) {
    let consumes = operation.get("consumes").or_else(|| root.get("consumes"));
    let consumes: Vec<&str> =
        consumes.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let (mut others, mut form, mut body) = (Vec::new(), Vec::new(), None);
    for parameter in parameters {
        match parameter.get("in").and_then(Value::as_str) {
            Some("body") => body = Some(whole_body(&parameter, &consumes)),
            Some("formData") => form.push(parameter),
            _ => others.push(outside_body(&parameter)),
        }
    }
    if body.is_none() && !form.is_empty() {
        body = Some(form_body(&form, &consumes));
    }
    (others, body)
}

/// A body that one parameter describes.
fn whole_body(parameter: &Value, consumes: &[&str]) -> Value {
    let content = json!({"schema": parameter.get("schema").unwrap_or(&Value::Null)});
    let types = if consumes.is_empty() { &["application/json"][..] } else { consumes };
    let contents: Map<_, _> = types.iter().map(|name| ((*name).to_owned(), content.clone())).collect();
    json!({"required": parameter.get("required"), "content": contents})
}

/// A form, each of whose members a parameter describes.
fn form_body(members: &[Value], consumes: &[&str]) -> Value {
    let (mut properties, mut encoding, mut required) = (Map::new(), Map::new(), Vec::new());
    let mut has_file = false;
    for member in members {
        let Some(name) = text(member, "name") else { continue };
        has_file |= member.get("type").and_then(Value::as_str) == Some("file");
        if member.get("required").and_then(Value::as_bool) == Some(true) {
            required.push(Value::from(name.clone()));
        }
        if member.get("type").and_then(Value::as_str) == Some("array") {
            let (style, explode) = style(member, "form");
            encoding.insert(name.clone(), json!({"style": style, "explode": explode}));
        }
        properties.insert(name, schema(member));
    }
    let (urlencoded, multipart) = ("application/x-www-form-urlencoded", "multipart/form-data");
    let media_type = if has_file || consumes.contains(&multipart) && !consumes.contains(&urlencoded) {
        multipart
    } else {
        urlencoded
    };
    let mandatory = !required.is_empty();
    let schema = json!({"type": "object", "properties": properties, "required": required});
    json!({"required": mandatory, "content": {media_type: {"schema": schema, "encoding": encoding}}})
}

/// A parameter of path, query or header.
fn outside_body(parameter: &Value) -> Value {
    let mut converted = Map::new();
    for name in ["name", "in", "required"] {
        if let Some(value) = parameter.get(name) {
            converted.insert(name.to_owned(), value.clone());
        }
    }
    let query = parameter.get("in").and_then(Value::as_str) == Some("query");
    let (style, explode) = style(parameter, if query { "form" } else { "simple" });
    converted.insert("style".to_owned(), style.into());
    converted.insert("explode".to_owned(), explode.into());
    converted.insert("schema".to_owned(), schema(parameter));
    Value::Object(converted)
}

/// The style and `explode` that stand for a `collectionFormat`; `usual` is the place's own for commas.
fn style<'a>(parameter: &Value, usual: &'a str) -> (&'a str, bool) {
    match parameter.get("collectionFormat").and_then(Value::as_str) {
        Some("multi") => (usual, true),
        Some("ssv") => ("spaceDelimited", false),
        Some("tsv") => (TAB_DELIMITED, false),
        Some("pipes") => ("pipeDelimited", false),
        _ => (usual, false),
    }
}

/// What a parameter says of its value.
fn schema(parameter: &Value) -> Value {
    let members = parameter.as_object().into_iter().flatten();
    let kept = members.filter(|(name, _)| !NOT_OF_SCHEMA.contains(&name.as_str()));
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
}
