//! Request bodies, bounded in size and time, and JSON out of them.
//!
//! A refusal names the member and what was expected, never the value: it may be a secret. What the members mean is the
//! handlers' business.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::problem::{Code, Fault, Problem};

/// The largest JSON body.
pub(super) const JSON_BYTES: usize = 1 << 20;

/// A client that needs longer to send its body is cut off.
const BODY_TIME: Duration = Duration::from_secs(120);

/// The longest piece of a member's name that a refusal repeats.
const NAME_SHOWN: usize = 64;

/// The whole body, of at most `limit` bytes.
pub(super) async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(Code::TooLarge, format!("at most {limit} bytes are read here"));
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_TIME, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new(Code::Malformed, "the body broke off")),
        Err(_) => Err(Problem::new(Code::Timeout, format!("the body didn't arrive within {} s", BODY_TIME.as_secs()))),
    }
}

/// The media type of a request, in lower case and without parameters; empty where there is none.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a media type is JSON (RFC 6839 section 3.1).
pub(super) fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

/// A JSON body.
pub(super) struct Json<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let media_type = media_type(request.headers());
        if !is_json(&media_type) {
            return Err(Problem::new(Code::UnsupportedMediaType, "send the body as application/json"));
        }
        parse(&read(request.into_body(), JSON_BYTES).await?).map(Self)
    }
}

/// A JSON body, or the default where there is none.
pub(super) struct JsonOrNothing<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for JsonOrNothing<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let media_type = media_type(request.headers());
        let body = read(request.into_body(), JSON_BYTES).await?;
        match body.is_empty() {
            true => Ok(Self(T::default())),
            false if is_json(&media_type) => parse(&body).map(Self),
            false => Err(Problem::new(Code::UnsupportedMediaType, "send the body as application/json")),
        }
    }
}

/// A value out of JSON text.
pub(super) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    // serde would take an array for an object whose members come in order.
    if text.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::new(Code::Malformed, "the body must be a JSON object, and this is an array"));
    }
    let mut json = serde_json::Deserializer::from_slice(text);
    let parsed = serde_path_to_error::deserialize(&mut json);
    let (path, error) = match parsed {
        Ok(value) => match json.end() {
            Ok(()) => return Ok(value),
            Err(error) => (String::new(), error),
        },
        Err(error) => (error.path().to_string(), error.into_inner()),
    };
    let place = format!("line {}, column {}", error.line(), error.column());
    if !error.is_data() {
        let what = if text.is_empty() {
            "the body is empty; send JSON".to_owned()
        } else {
            format!("this is no JSON, {place}")
        };
        return Err(Problem::new(Code::Malformed, what));
    }
    let fault = fault(path.trim_matches('.'), &error.to_string());
    Err(Problem::new(Code::Malformed, format!("{}: {}, {place}", fault.field, fault.message)).with_errors(vec![fault]))
}

/// A value out of another, as in a row of many.
pub(super) fn of_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, Problem> {
    let parsed = serde_path_to_error::deserialize(value);
    parsed.map_err(|error| {
        let path = error.path().to_string();
        Problem::invalid(vec![fault(path.trim_matches('.'), &error.into_inner().to_string())])
    })
}

/// What is wrong, out of serde's words, which may repeat a value.
fn fault(path: &str, words: &str) -> Fault {
    let words = words.rsplit_once(" at line ").map_or(words, |(words, _)| words);
    let named = |prefix: &str| {
        let name = words.strip_prefix(prefix)?.split('`').next()?;
        let name: String = name.chars().take(NAME_SHOWN).collect();
        // The path of an unknown member ends with it, that of a missing one with what it is missing from.
        let ends_with_it = path == name || path.strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with('.'));
        Some(match path {
            "" => name,
            path if ends_with_it && prefix.starts_with("unknown") => path.to_owned(),
            path => format!("{path}.{name}"),
        })
    };
    if let Some(field) = named("unknown field `") {
        let known = words.split_once(", expected ").map_or("", |(_, known)| known);
        let known = known.trim_start_matches("one of ").replace('`', "");
        return Fault::new(field, "unknown", format!("there is no such member here; there are {known}"));
    }
    if let Some(field) = named("missing field `") {
        return Fault::new(field, "missing", "must be given");
    }
    if let Some(field) = named("duplicate field `") {
        return Fault::new(field, "malformed", "is given twice");
    }
    let path: String = path.chars().take(4 * NAME_SHOWN).collect();
    let field = if path.is_empty() || path == "?" { "the body".to_owned() } else { path };
    // After the last "expected": before it may stand what was found, and that may hold the word itself.
    let expected = words.rsplit_once("expected ").map(|(_, expected)| expected.replace('`', ""));
    Fault::new(
        field,
        "malformed",
        expected.map_or("isn't what it may be".to_owned(), |expected| format!("must be {}", plain(&expected))),
    )
}

/// What serde expected, in words for who knows JSON and not Rust.
fn plain(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or greater",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a map" => "an object",
        "a sequence" => "a list",
        other if other.starts_with("struct ") => "an object",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only their reading matters")]
    struct Example {
        name: String,
        #[serde(default)]
        inner: Option<Inner>,
        #[serde(default)]
        fields: BTreeMap<String, Option<String>>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only their reading matters")]
    struct Inner {
        count: u64,
        choice: Option<Choice>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Choice {
        One,
        Two,
    }

    #[test]
    fn refusals_name_the_member_and_never_the_value() {
        let check = |text: &str, code: &str, field: &str, message: &str| {
            let problem = parse::<Example>(text.as_bytes()).unwrap_err();
            let body = problem.document();
            assert_eq!(body["code"], "malformed");
            assert_eq!(body["errors"][0]["code"], code, "{body}");
            assert_eq!(body["errors"][0]["field"], field, "{body}");
            assert!(body["errors"][0]["message"].as_str().unwrap().contains(message), "{body}");
            assert!(!body.to_string().contains("hunter2"), "{body}");
        };
        check(r#"{"nme":"a"}"#, "unknown", "nme", "there are name, inner, fields");
        check(r#"{"name":"a","inner":{"count":1,"nope":1}}"#, "unknown", "inner.nope", "there are count");
        check("{}", "missing", "name", "must be given");
        check(r#"{"name":"a","inner":{}}"#, "missing", "inner.count", "must be given");
        check(r#"{"name":"a","name":"b"}"#, "malformed", "name", "twice");
        check(
            r#"{"name":"a","inner":{"count":"hunter2"}}"#,
            "malformed",
            "inner.count",
            "must be a whole number, 0 or greater",
        );
        check(
            r#"{"name":"a","inner":{"count":-1}}"#,
            "malformed",
            "inner.count",
            "must be a whole number, 0 or greater",
        );
        check(r#"{"name":"a","inner":"hunter2, expected hunter2"}"#, "malformed", "inner", "must be an object");
        check(
            r#"{"name":"a","inner":{"count":1,"choice":"hunter2"}}"#,
            "malformed",
            "inner.choice",
            "must be one or two",
        );
        check(
            r#"{"name":"a","fields":{"client_secret":{"hunter2":1}}}"#,
            "malformed",
            "fields.client_secret",
            "must be a string",
        );
        check(r#""hunter2""#, "malformed", "the body", "must be an object");
    }

    #[test]
    fn what_is_no_json_is_told_by_its_place() {
        let check = |text: &str, detail: &str| {
            let problem = parse::<Example>(text.as_bytes()).unwrap_err();
            let body = problem.document();
            assert!(body["detail"].as_str().unwrap().contains(detail), "{body}");
            assert!(!body.to_string().contains("hunter2"), "{body}");
        };
        check("", "the body is empty");
        check("{\n\"name\": hunter2}", "no JSON, line 2, column 9");
        check(r#"{"name":"a"} hunter2"#, "no JSON, line 1, column 14");
        check(&"[".repeat(100_000), "must be a JSON object");
        check(&format!("{{\"fields\":{}", "[".repeat(100_000)), "fields: must be an object");
        check(r#"{"name":"hunter2"#, "no JSON, line 1");
        assert!(parse::<Example>(br#"{"name":"a","fields":{"x":null}}"#).is_ok());
    }

    #[tokio::test]
    async fn bodies_are_bounded() {
        let check = |body: Body, expected: Result<usize, Code>| async move {
            assert_eq!(read(body, 10).await.map(|bytes| bytes.len()).map_err(|problem| problem.code()), expected);
        };
        check(Body::from(vec![0; 10]), Ok(10)).await;
        check(Body::from(vec![0; 11]), Err(Code::TooLarge)).await;
        let pieces = (0..3).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"12345")));
        check(Body::from_stream(futures_util::stream::iter(pieces)), Err(Code::TooLarge)).await;
        let broken = [Ok(Bytes::from_static(b"1")), Err(std::io::Error::other("gone"))];
        check(Body::from_stream(futures_util::stream::iter(broken)), Err(Code::Malformed)).await;
    }
}
