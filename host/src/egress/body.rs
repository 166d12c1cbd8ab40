//! A request's body: form, JSON or raw content, as bytes, as a record, and with its content type.

use serde_json::{Map, Value as Json};
use zeroize::Zeroizing;

use super::json;
use super::record::{BodyRecord, Pair, cut};
use super::refusal::{Problem, Problems};
use super::template::{Scope, Value, form_encoded};
use crate::flows::request::{Body, Escape, Member, Template};

/// A rendered body.
#[derive(Default)]
pub(super) struct Rendered {
    /// The bytes and what is in them.
    pub(super) value: Value,
    /// The content type that belongs to it, if there is a body.
    pub(super) content_type: Option<String>,
    /// What a record shows.
    pub(super) record: BodyRecord,
}

/// Renders a body.
pub(super) fn render(scope: &Scope<'_>, body: &Body, problems: &mut Problems) -> Option<Rendered> {
    let rendered = match body {
        Body::Empty => Some(Rendered::default()),
        Body::Form(pairs) => form(scope, pairs, problems),
        Body::Json(members) => problems.take(json_body(scope, members)),
        Body::Raw(raw) => problems.take(scope.render("body", &raw.content, raw.escape)).map(|value| {
            let record = BodyRecord::Raw { content_type: cut(&raw.content_type), content: cut(&value.shown) };
            Rendered { value, content_type: Some(raw.content_type.clone()), record }
        }),
    }?;
    if rendered.value.bytes.len() > scope.limit() {
        problems.push(Problem::flow("body", format!("is longer than {} bytes", scope.limit())));
        return None;
    }
    Some(rendered)
}

/// `application/x-www-form-urlencoded`, in the flow's order.
fn form(scope: &Scope<'_>, pairs: &[(String, Template)], problems: &mut Problems) -> Option<Rendered> {
    let (mut value, mut shown) = (Value::default(), Vec::with_capacity(pairs.len()));
    for (name, template) in pairs {
        let part = format!("form parameter `{name}`");
        let Some((rendered, pair)) = problems.take(parameter(scope, &part, name, template, form_encoded)) else {
            continue;
        };
        if !value.bytes.is_empty() {
            value.bytes.push(b'&');
        }
        value.bytes.extend_from_slice(pair.as_bytes());
        value.inherit(&rendered);
        shown.push(Pair::new(name, &rendered.shown));
    }
    // A problem with one parameter is told together with those of the others.
    (shown.len() == pairs.len()).then(|| Rendered {
        value,
        content_type: Some("application/x-www-form-urlencoded".to_owned()),
        record: BodyRecord::Form(shown),
    })
}

/// A rendered parameter, and `name=value`, both encoded.
pub(super) fn parameter(
    scope: &Scope<'_>,
    part: &str,
    name: &str,
    template: &Template,
    encode: impl Fn(&[u8]) -> Result<String, &'static str>,
) -> Result<(Value, Zeroizing<String>), Problem> {
    let value = scope.render(part, template, Escape::None)?;
    let encoded_name = encode(name.as_bytes()).map_err(|fault| Problem::flow(part, format!("its name {fault}")))?;
    let encoded = encode(&value.bytes).map(Zeroizing::new).map_err(|fault| Problem::integration(part, fault))?;
    Ok((value, Zeroizing::new(format!("{encoded_name}={}", *encoded))))
}

/// `application/json`.
fn json_body(scope: &Scope<'_>, members: &[Member]) -> Result<Rendered, Problem> {
    let document = json::document(scope, "body", Json::Object(Map::new()), members)?;
    let mut value = document.about;
    value.bytes = Zeroizing::new(document.json.to_string().into_bytes());
    let record = BodyRecord::Json(document.record);
    Ok(Rendered { value, content_type: Some("application/json".to_owned()), record })
}
