//! What in an answer means that the service refused the credentials.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

use super::Answered;
use crate::integrations::RefusalSigns;

/// Whether the answer means a refusal.
pub(super) fn is_refusal(signs: &RefusalSigns, answered: &Answered) -> bool {
    let Answered { status, headers, body } = answered;
    if signs.statuses.contains(&status.as_u16()) {
        return true;
    }
    let in_header = |name: &str, contains: Option<&str>| {
        headers.get_all(name).iter().any(|value| {
            let value = String::from_utf8_lossy(value.as_bytes());
            contains.is_none_or(|contained| value.contains(contained))
        })
    };
    if signs.header.as_ref().is_some_and(|sign| in_header(&sign.name, sign.contains.as_deref())) {
        return true;
    }
    let Some(sign) = &signs.pointer else { return false };
    if !is_json(headers) {
        return false;
    }
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    parsed.as_ref().and_then(|answer| answer.pointer(&sign.pointer)).is_some_and(|found| match &sign.value {
        Some(value) => found == value,
        None => !found.is_null() && *found != Value::Bool(false),
    })
}

/// The challenge of a service that wants a digest (RFC 7616 section 3.3), which is answered by a second request.
pub(super) fn digest_challenge(answered: &Answered) -> Option<HeaderValue> {
    if answered.status != StatusCode::UNAUTHORIZED {
        return None;
    }
    let wants_digest = |value: &&HeaderValue| {
        value.as_bytes().get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"digest "))
    };
    answered.headers.get_all(header::WWW_AUTHENTICATE).iter().find(wants_digest).cloned()
}

/// Whether an answer says that it is JSON.
fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}
