//! What means a refusal, and what callers see of an answer.

use serde_json::json;

use super::*;
use crate::integrations::RefusalSigns;

fn answered(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> Answered {
    let headers = headers.iter().map(|(name, value)| {
        (name.parse::<http::HeaderName>().unwrap(), HeaderValue::from_static(value))
    });
    let mut map = HeaderMap::new();
    headers.for_each(|(name, value)| drop(map.append(name, value)));
    Answered { status: StatusCode::from_u16(status).unwrap(), headers: map, body: Bytes::from_static(body.as_bytes()) }
}

#[test]
fn signs_of_refusal_are_seen() {
    let json_type = ("content-type", "application/problem+json; charset=utf-8");
    let check = |signs: Value, answer: &Answered, expected: bool| {
        let signs: RefusalSigns = serde_json::from_value(signs.clone()).unwrap();
        assert_eq!(signs::is_refusal(&signs, answer), expected, "{signs:?}");
    };
    check(json!({}), &answered(401, &[], ""), true);
    check(json!({}), &answered(403, &[], ""), false);
    check(json!({"statuses": [403, 419]}), &answered(419, &[], ""), true);
    check(json!({"statuses": [403]}), &answered(401, &[], ""), false);
    let header = json!({"header": {"name": "X-Error", "contains": "expired"}});
    check(header.clone(), &answered(200, &[("x-error", "no"), ("x-error", "token expired")], ""), true);
    check(header, &answered(200, &[("x-error", "no")], ""), false);
    check(json!({"header": {"name": "x-error"}}), &answered(200, &[("x-error", "")], ""), true);
    let pointer = json!({"pointer": {"pointer": "/error/code", "value": 190}});
    check(pointer.clone(), &answered(200, &[json_type], r#"{"error":{"code":190}}"#), true);
    check(pointer.clone(), &answered(200, &[json_type], r#"{"error":{"code":1}}"#), false);
    check(pointer.clone(), &answered(200, &[("content-type", "text/html")], r#"{"error":{"code":190}}"#), false);
    check(pointer, &answered(200, &[json_type], "{"), false);
    let any = json!({"pointer": {"pointer": "/error"}});
    check(any.clone(), &answered(200, &[json_type], r#"{"error":"x"}"#), true);
    check(any, &answered(200, &[json_type], r#"{"error":null}"#), false);
}

#[test]
fn a_challenge_for_a_digest_is_found() {
    let answer = answered(401, &[("www-authenticate", "Basic realm=a"), ("www-authenticate", "DIGEST nonce=\"b\"")], "");
    assert_eq!(signs::digest_challenge(&answer).unwrap(), "DIGEST nonce=\"b\"");
    assert!(signs::digest_challenge(&answered(403, &[("www-authenticate", "Digest nonce=\"b\"")], "")).is_none());
    assert!(signs::digest_challenge(&answered(401, &[("www-authenticate", "Bearer")], "")).is_none());
}

#[test]
fn callers_see_neither_cookies_nor_the_connection() {
    let answer = answered(
        200,
        &[("set-cookie", "a=b"), ("connection", "close, X-Hop"), ("x-hop", "1"), ("location", "/a"), ("etag", "x")],
        "",
    );
    let headers = shown(answer.headers);
    let names: Vec<_> = headers.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["location", "etag"]);
}
