//! Forms in parts (RFC 7578), in memory.

use bytes::Bytes;
use serde_json::{Map, Value};
use ulid::Ulid;

use super::body::binary;
use super::style::scalar;
use crate::fault::{FaultCode, FieldFault};
use crate::openapi::Content;

/// The members as parts, and the content type that says where they end. Each item of a list is a part by itself; bytes are
/// files; nested values are JSON (OpenAPI 3.1.1 section 4.8.15.1).
pub(super) fn write(
    content: &Content,
    members: &Map<String, Value>,
    faults: &mut Vec<FieldFault>,
) -> Option<(String, Bytes)> {
    // 80 random bits: it stands in no part by accident, and no part that anybody gives can know it.
    let boundary = format!("tokenhost-{}", Ulid::new());
    let mut bytes = Vec::new();
    for (name, value) in members {
        let declared = content.encoding.get(name).and_then(|encoding| encoding.content_type.as_deref());
        // Several types may be declared, from which the first that is no range is taken.
        let declared = declared.and_then(|types| types.split(',').map(str::trim).find(|one| !one.contains('*')));
        let items = match value {
            Value::Array(items) => items.as_slice(),
            Value::Null => &[],
            one => std::slice::from_ref(one),
        };
        for item in items {
            if let Err(message) = part(&mut bytes, &boundary, name, item, declared) {
                faults.push(FieldFault::new(format!("body./{name}"), FaultCode::Malformed, message));
                return None;
            }
        }
    }
    bytes.extend(format!("--{boundary}--\r\n").into_bytes());
    Some((format!("multipart/form-data; boundary={boundary}"), bytes.into()))
}

/// Writes one part.
fn part(
    bytes: &mut Vec<u8>,
    boundary: &str,
    name: &str,
    value: &Value,
    declared: Option<&str>,
) -> Result<(), &'static str> {
    let mut head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(name));
    let (content_type, body) = match (binary(value), scalar(value)) {
        (Some(binary), _) => {
            let binary = binary?;
            head.push_str(&format!("; filename=\"{}\"", quoted(binary.filename.unwrap_or("file"))));
            let content_type = binary.content_type.or(declared).unwrap_or("application/octet-stream");
            (Some(content_type), binary.bytes)
        }
        (None, Some(text)) => (declared, text.into_bytes()),
        (None, None) => (declared.or(Some("application/json")), value.to_string().into_bytes()),
    };
    if let Some(content_type) = content_type {
        if content_type.chars().any(char::is_control) {
            return Err("its content type has a line break or another character that a header can't hold");
        }
        head.push_str("\r\nContent-Type: ");
        head.push_str(content_type);
    }
    bytes.extend(head.into_bytes());
    bytes.extend(b"\r\n\r\n");
    bytes.extend(body);
    bytes.extend(b"\r\n");
    Ok(())
}

/// A name between quotes, as browsers write it (RFC 7578 section 2 and the HTML standard).
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
