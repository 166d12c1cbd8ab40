//! How a request brings a document: as its body, or by saying where the daemon fetches it.

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::HeaderMap;
use serde::Deserialize;
use url::Url;

use super::super::body;
use super::super::caller::Caller;
use super::super::problem::{Code, Fault, Problem};
use super::super::state::Api;
use crate::access::Right;
use crate::egress::FetchError;
use crate::openapi::MAX_BYTES;

/// Longer JSON is a document, not a request for one.
const REQUEST_BYTES: usize = 16 << 10;

/// Where the daemon is to fetch a document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FromUrl {
    /// An absolute URL; the daemon's egress policy applies.
    url: String,
    /// The model's name, where the query doesn't say.
    name: Option<String>,
}

/// The document that a request brings or points to, and the name beside its URL.
pub(super) async fn document(api: &Api, caller: &Caller, request: Request) -> Result<(Bytes, Option<String>), Problem> {
    check_type(request.headers())?;
    let bytes = body::read(request.into_body(), MAX_BYTES).await?;
    let Some((url, named)) = from_url(&bytes)? else { return Ok((bytes, None)) };
    caller.require(Right::FetchModels).await?;
    let malformed = |message: String| Problem::invalid(vec![Fault::new("url", "malformed", message)]);
    let url = Url::parse(&url).map_err(|error| malformed(format!("is no absolute URL: {error}")))?;
    let document = api.egress.fetch(&url, MAX_BYTES).await.map_err(|error| match error {
        FetchError::Refused(refusal) => malformed(refusal.to_string()),
        error => Problem::new(Code::FetchFailed, error.to_string()),
    })?;
    Ok((document, named))
}

/// URL and name, where the body asks for a document instead of being one: a short JSON object with `url`, and neither of
/// the members that every OpenAPI document has one of.
fn from_url(bytes: &[u8]) -> Result<Option<(String, Option<String>)>, Problem> {
    if bytes.len() > REQUEST_BYTES || !bytes.trim_ascii_start().starts_with(b"{") {
        return Ok(None);
    }
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(bytes).unwrap_or_default();
    if !object.contains_key("url") || object.contains_key("openapi") || object.contains_key("swagger") {
        return Ok(None);
    }
    body::parse::<FromUrl>(bytes).map(|request| Some((request.url, request.name)))
}

/// Refuses what is certainly no document. Many clients send YAML as plain text or without saying what it is.
fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let media_type = body::media_type(headers);
    let known = matches!(
        media_type.as_str(),
        "" | "text/plain" | "application/octet-stream" | "application/x-www-form-urlencoded"
    );
    if known || body::is_json(&media_type) || media_type.ends_with("yaml") {
        return Ok(());
    }
    Err(Problem::new(Code::UnsupportedMediaType, "send the document as application/json or application/yaml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_told_from_a_document() {
        let check = |body: &str, expected: Option<Option<&str>>| {
            let found = from_url(body.as_bytes()).ok();
            let found = found.map(|found| found.map(|(url, _)| url));
            assert_eq!(found, expected.map(|url| url.map(str::to_owned)), "{body}");
        };
        check(r#"{"url":"https://a"}"#, Some(Some("https://a")));
        check(r#" {"url":"https://a","name":"n"}"#, Some(Some("https://a")));
        check(r#"{"url":"https://a","nme":"n"}"#, None);
        check(r#"{"url":1}"#, None);
        check(r#"{"openapi":"3.1.0","url":"https://a"}"#, Some(None));
        check(r#"{"openapi":"3.1.0""#, Some(None));
        check("url: https://a", Some(None));
        check("", Some(None));
    }
}
