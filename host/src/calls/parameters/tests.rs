//! What a caller gives in, a request or all faults out.

use serde_json::json;

use super::*;
use crate::openapi::operation_detail;

/// What is written for an operation `POST` at a path, with these members of the operation and these of the given.
fn outcome(path: &str, operation: &Value, given: &Value) -> Result<Written, Vec<FieldFault>> {
    let document = json!({"openapi": "3.1.0", "paths": {path: {"post": operation}}});
    let detail = operation_detail(document.to_string().as_bytes(), "POST", path).unwrap().unwrap();
    let none = Map::new();
    let parameters = given.get("parameters").and_then(Value::as_object).unwrap_or(&none);
    let content_type = given.get("content_type").and_then(Value::as_str);
    let supplied = |place: Place, name: &str| place == Place::Query && name == "api_key";
    write(&detail, path, Given { parameters, body: given.get("body"), content_type }, &supplied)
}

/// An operation with parameters of every place.
fn busy() -> Value {
    json!({"parameters": [
        {"name": "id", "in": "path", "schema": {"type": "integer"}},
        {"name": "id", "in": "query", "schema": {"type": "integer"}},
        {"name": "tags", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
        {"name": "filter", "in": "query", "style": "deepObject", "explode": true, "schema": {"type": "object", "properties": {"min": {"type": "integer"}}}},
        {"name": "where", "in": "query", "content": {"application/json": {"schema": {"type": "object", "required": ["a"]}}}},
        {"name": "api_key", "in": "query", "required": true},
        {"name": "X-Count", "in": "header", "required": true, "schema": {"type": "integer"}},
        {"name": "Host", "in": "header", "required": true},
        {"name": "session", "in": "cookie", "schema": {"type": "string"}}
    ]})
}

#[test]
fn parameters_are_written_where_they_stand() {
    let given = json!({"parameters": {
        "cookie.session": "a;b", "x-count": "5", "query.id": 2, "path.id": 1, "tags": ["a", "b&c"],
        "filter": {"min": "3"}, "where": {"a": 1}
    }});
    let written = outcome("/a/{id}/{extra}", &busy(), &json!({"parameters": {"extra": "é"}})).unwrap_err();
    assert!(written.iter().all(|fault| fault.field != "parameters.extra"), "{written:?}");
    let written = outcome("/a/{id}", &busy(), &given).unwrap();
    assert_eq!(written.path, "/a/1");
    assert_eq!(written.query, "id=2&tags=a&tags=b%26c&filter%5Bmin%5D=3&where=%7B%22a%22%3A1%7D");
    assert_eq!(written.headers, [("x-count".parse().unwrap(), HeaderValue::from_static("5"))]);
    assert_eq!(written.cookies, ["session=a%3Bb"]);
    assert_eq!(written.body, None);
}

/// `field code` of each fault.
#[track_caller]
fn refused(path: &str, operation: &Value, given: Value, expected: &[&str]) {
    let faults = outcome(path, operation, &given).unwrap_err();
    let mut found: Vec<_> = faults.iter().map(|fault| format!("{} {}", fault.field, fault.code.as_str())).collect();
    found.sort();
    assert_eq!(found, expected, "{faults:?}");
}

#[test]
fn all_faults_are_told_at_once() {
    let given = json!({"parameters": {
        "id": 5, "tags": "a", "filter": {"min": "x"}, "where": {}, "sesion": "b", "Host": "evil", "X-Count": "a\r\nb"
    }, "body": {}});
    let expected = [
        "body unknown",
        "parameters.Host unknown",
        "parameters.X-Count malformed",
        "parameters.filter./min malformed",
        "parameters.id ambiguous",
        "parameters.path.id missing",
        "parameters.sesion unknown",
        "parameters.tags malformed",
        "parameters.where./a missing",
    ];
    refused("/a/{id}", &busy(), given, &expected);
    let plain = json!({"parameters": [{"name": "h", "in": "header"}, {"name": "l", "in": "query"}]});
    refused(
        "/a",
        &plain,
        json!({"parameters": {"h": "a\nb", "l": [[1]]}}),
        &["parameters.h malformed", "parameters.l malformed"],
    );
    refused("/a", &plain, json!({"parameters": {"h": "a", "header.h": "b"}}), &["parameters.header.h ambiguous"]);
    refused("/a", &plain, json!({"parameters": {"l": "x".repeat(70_000)}}), &["parameters malformed"]);
}

#[test]
fn no_path_value_changes_the_path() {
    let operation = json!({});
    for (value, expected) in [
        ("a/b", Ok("/x/a%2Fb")),
        ("a/../b", Err("not_allowed")),
        ("?q#f", Ok("/x/%3Fq%23f")),
        ("", Err("malformed")),
        ("..", Err("not_allowed")),
        (".", Err("not_allowed")),
    ] {
        let outcome = outcome("/x/{v}", &operation, &json!({"parameters": {"v": value}}));
        match expected {
            Ok(path) => assert_eq!(outcome.unwrap().path, path),
            Err(code) => assert_eq!(outcome.unwrap_err()[0].code.as_str(), code),
        }
    }
    refused("/x/{v}", &operation, json!({}), &["parameters.v missing"]);
    refused("/x/{v}.{w}", &operation, json!({}), &["parameters.v missing", "parameters.w missing"]);
    refused("/x/{v}", &operation, json!({"parameters": {"v": null}}), &["parameters.v missing"]);
}

/// The content type and the text of a body.
#[track_caller]
fn body(contents: &Value, given: Value, expected: (&str, &str)) {
    let written = outcome("/a", &json!({"requestBody": {"content": contents}}), &given).unwrap();
    let (content_type, bytes) = written.body.unwrap();
    assert_eq!((content_type.to_str().unwrap(), std::str::from_utf8(&bytes).unwrap()), expected);
}

#[test]
fn bodies_are_written_in_their_media_type() {
    let object = json!({"schema": {"type": "object"}});
    let (json_type, form_type) = ("application/json", "application/x-www-form-urlencoded");
    body(&json!({json_type: object}), json!({"body": {"a": 1}}), (json_type, r#"{"a":1}"#));
    body(
        &json!({"text/plain": {}, "application/vnd.x+json; v=1": {}}),
        json!({"body": [1]}),
        ("application/vnd.x+json", "[1]"),
    );
    body(&json!({"*/*": {}}), json!({"body": {"a": 1}}), (json_type, r#"{"a":1}"#));
    body(&json!({"text/*": {}}), json!({"body": "a b"}), ("text/plain", "a b"));
    body(
        &json!({"image/*": {}}),
        json!({"body": {"base64": "YWI="}, "content_type": "image/png"}),
        ("image/png", "ab"),
    );
    body(
        &json!({"application/xml": {"schema": {"type": "object"}}}),
        json!({"body": "<a/>"}),
        ("application/xml", "<a/>"),
    );
    body(
        &json!({form_type: object}),
        json!({"body": {"a": [1, "b c"], "d": {"e": 1}, "f": null, "g": "&="}}),
        (form_type, "a=1&a=b%20c&d=%7B%22e%22%3A1%7D&g=%26%3D"),
    );
    let encoding = json!({"a": {"style": "deepObject", "explode": true}, "b": {"style": "pipeDelimited"}, "c": {"contentType": "application/json"}, "d": {"style": "form", "explode": false}});
    body(
        &json!({form_type: {"schema": {}, "encoding": encoding}}),
        json!({"body": {"a": {"x": {"y": [1]}}, "b": [1, 2], "c": [1], "d": {"k": "v"}}}),
        (form_type, "a%5Bx%5D%5By%5D%5B0%5D=1&b=1%7C2&c=%5B1%5D&d=k,v"),
    );
}

#[test]
fn bodies_that_dont_fit_are_refused() {
    let operation = |required: bool| {
        json!({"requestBody": {"required": required, "content": {
            "application/json": {"schema": {"type": "object", "required": ["a"], "properties": {"b": {"type": "array", "items": {"type": "integer"}}}}},
            "application/x-www-form-urlencoded": {"schema": {"properties": {"n": {"type": "integer"}}}},
            "image/png": {}
        }}})
    };
    refused("/a", &operation(true), json!({}), &["body missing"]);
    assert_eq!(outcome("/a", &operation(false), &json!({})).unwrap().body, None);
    refused("/a", &operation(true), json!({"body": {"b": [1, "x"]}}), &["body./a missing", "body./b/1 malformed"]);
    refused("/a", &operation(true), json!({"body": {}, "content_type": "text/css"}), &["content_type not_allowed"]);
    let form = "application/x-www-form-urlencoded";
    refused("/a", &operation(true), json!({"body": {"n": "x"}, "content_type": form}), &["body./n malformed"]);
    assert!(outcome("/a", &operation(true), &json!({"body": {"n": "5"}, "content_type": form})).is_ok());
    refused("/a", &operation(true), json!({"body": [], "content_type": form}), &["body malformed"]);
    refused("/a", &operation(true), json!({"body": {"x": 1}, "content_type": "image/png"}), &["body malformed"]);
    refused("/a", &operation(true), json!({"body": {"base64": "%"}, "content_type": "image/png"}), &["body malformed"]);
    refused(
        "/a",
        &operation(true),
        json!({"body": {"a": 1}, "content_type": "application/json; x=\n"}),
        &["content_type malformed"],
    );
}

#[test]
fn forms_in_parts_are_written() {
    let operation = json!({"requestBody": {"content": {"multipart/form-data": {
        "schema": {"properties": {"file": {"type": "string", "format": "binary"}, "n": {"type": "integer"}}},
        "encoding": {"meta": {"contentType": "application/*, application/vnd.m+json"}}
    }}}});
    let given = json!({"body": {"file": {"base64": "YQ==", "filename": "a\"b.txt"}, "n": 5, "tags": ["x", "y"], "meta": {"k": 1}, "none": null}});
    let (content_type, bytes) = outcome("/a", &operation, &given).unwrap().body.unwrap();
    let boundary = content_type.to_str().unwrap().strip_prefix("multipart/form-data; boundary=").unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap().replace(boundary, "B").replace("\r\n", "\n");
    let head = |name: &str| format!("--B\nContent-Disposition: form-data; name=\"{name}\"");
    let expected = [
        format!("{}; filename=\"a%22b.txt\"\nContent-Type: application/octet-stream\n\na\n", head("file")),
        format!("{}\n\n5\n", head("n")),
        format!("{}\n\nx\n", head("tags")),
        format!("{}\n\ny\n", head("tags")),
        format!("{}\nContent-Type: application/vnd.m+json\n\n{{\"k\":1}}\n", head("meta")),
        "--B--\n".to_owned(),
    ];
    assert_eq!(text, expected.concat());
    refused("/a", &operation, json!({"body": {"n": "x"}}), &["body./n malformed"]);
    refused(
        "/a",
        &operation,
        json!({"body": {"file": {"base64": "YQ==", "content_type": "a\r\nb"}}}),
        &["body./file malformed"],
    );
}
