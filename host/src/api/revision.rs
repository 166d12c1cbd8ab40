//! Revisions over HTTP: every answer that shows a thing has its revision as `ETag`, and a change may ask for one by `If-Match`
//! (RFC 9110 sections 8.8.3 and 13.1.1).

use std::fmt::Display;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::problem::{Code, Problem};

/// The revision that the caller's `If-Match` asks for.
pub(super) fn expected(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(tag) = expected_tag(headers)? else { return Ok(None) };
    tag.parse().map(Some).map_err(|_| never_given())
}

/// The tag that the caller's `If-Match` asks for, whatever it is made of.
pub(super) fn expected_tag(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH).filter(|value| *value != "*") else { return Ok(None) };
    let tag = value.to_str().ok().and_then(|text| text.trim().strip_prefix('"')?.strip_suffix('"'));
    tag.map(|tag| Some(tag.to_owned())).ok_or_else(never_given)
}

/// A tag that was never given matches nothing.
fn never_given() -> Problem {
    Problem::new(Code::PreconditionFailed, "If-Match holds no ETag that this resource ever had")
}

/// What shows a thing, with its revision, or another mark of it, as the `ETag`.
pub(super) fn tagged(status: StatusCode, revision: impl Display, body: &impl Serialize) -> Response {
    let mut response = (status, axum::Json(body)).into_response();
    if let Ok(tag) = HeaderValue::try_from(format!("\"{revision}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_is_a_revision() {
        let check = |value: Option<&str>, outcome: Result<Option<u64>, Code>| {
            let headers = value.into_iter().map(|value| (header::IF_MATCH, value.parse().unwrap())).collect();
            assert_eq!(expected(&headers).map_err(|problem| problem.code()), outcome, "{value:?}");
        };
        check(None, Ok(None));
        check(Some("*"), Ok(None));
        check(Some("\"12\""), Ok(Some(12)));
        check(Some("W/\"12\""), Err(Code::PreconditionFailed));
        check(Some("12"), Err(Code::PreconditionFailed));
    }
}
