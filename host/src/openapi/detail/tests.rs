//! Documents in, details and faults out.

use serde_json::json;

use super::*;

/// The detail of an operation.
#[track_caller]
fn detail(document: &Value, method: &str, path: &str) -> OperationDetail {
    operation_detail(document.to_string().as_bytes(), method, path).unwrap().unwrap()
}

/// `place name style explode required`.
fn lines(detail: &OperationDetail) -> Vec<String> {
    let line = |parameter: &Parameter| {
        let style = match &parameter.media_type {
            Some(media_type) => media_type.clone(),
            None => format!("{:?} {}", parameter.style, parameter.explode),
        };
        let required = if parameter.required { " required" } else { "" };
        format!("{} {} {style}{required}", parameter.place.as_str(), parameter.name)
    };
    detail.parameters.iter().map(line).collect()
}

/// What is wrong with a value: `pointer: message`.
fn faults(detail: &OperationDetail, schema: &Schema, value: &Value) -> Vec<String> {
    detail.check(schema, value).into_iter().map(|fault| format!("{}: {}", fault.pointer, fault.message)).collect()
}

#[test]
fn parameters_of_path_and_operation_are_merged() {
    let document = json!({
        "openapi": "3.0.0",
        "paths": {
            "/a/{id}": {
                "parameters": [
                    {"name": "id", "in": "path", "schema": {"type": "integer"}},
                    {"name": "q", "in": "query", "required": true},
                    {"$ref": "#/components/parameters/h"},
                    {"name": "Accept", "in": "header"},
                    {"$ref": "#/nowhere"},
                    5
                ],
                "get": {
                    "parameters": [
                        {"name": "q", "in": "query", "style": "pipeDelimited"},
                        {"name": "f", "in": "query", "content": {"application/json; charset=utf-8": {"schema": {"type": "object"}}}},
                        {"name": "d", "in": "query", "style": "deepObject", "explode": true},
                        {"$ref": "#/paths/~1b/get/parameters/0"}
                    ]
                },
                "additionalOperations": {"COPY": {"parameters": [{"name": "to", "in": "cookie"}]}}
            },
            "/b": {"get": {"parameters": [{"name": "b", "in": "query"}]}},
            "/c": {"$ref": "#/components/pathItems/c"}
        },
        "components": {
            "parameters": {"h": {"$ref": "#/components/parameters/i"}, "i": {"name": "X-H", "in": "header", "explode": "true"}},
            "pathItems": {"c": {"put": {"parameters": [{"name": "c", "in": "query", "schema": {"$ref": "#/components/schemas/S"}}]}}},
            "schemas": {"S": {"type": "integer"}}
        }
    });
    let got = detail(&document, "GET", "/a/{id}");
    let expected = [
        "path id Simple false required",
        "query q PipeDelimited false",
        "header X-H Simple true",
        "query f application/json",
        "query d DeepObject true",
        "query b Form true",
    ];
    assert_eq!(lines(&got), expected);
    assert_eq!(faults(&got, &got.parameters[0].schema, &json!("x")), [": is text; an integer is wanted"]);
    let copy = detail(&document, "COPY", "/a/{id}");
    assert_eq!(lines(&copy).last().unwrap(), "cookie to Form true");
    let moved = detail(&document, "PUT", "/c");
    assert_eq!(faults(&moved, &moved.parameters[0].schema, &json!("x")), [": is text; an integer is wanted"]);
    assert!(operation_detail(document.to_string().as_bytes(), "POST", "/b").unwrap().is_none());
    assert!(operation_detail(document.to_string().as_bytes(), "GET", "/no").unwrap().is_none());
    assert!(operation_detail(b"{", "GET", "/no").is_err());
}

#[test]
fn swagger_is_told_in_terms_of_openapi_3() {
    let document = json!({
        "swagger": "2.0",
        "consumes": ["application/json", "text/xml"],
        "paths": {
            "/a/{ids}": {
                "post": {"parameters": [
                    {"name": "ids", "in": "path", "required": true, "type": "array", "items": {"type": "integer"}, "collectionFormat": "pipes"},
                    {"name": "m", "in": "query", "type": "array", "collectionFormat": "multi"},
                    {"name": "t", "in": "query", "type": "array", "collectionFormat": "tsv"},
                    {"name": "n", "in": "query", "type": "integer", "maximum": 5, "required": true},
                    {"$ref": "#/parameters/h"},
                    {"name": "b", "in": "body", "required": true, "schema": {"$ref": "#/definitions/B"}}
                ]},
                "put": {"consumes": [], "parameters": [
                    {"name": "ids", "in": "path", "required": true, "type": "string"},
                    {"name": "f", "in": "formData", "type": "array", "items": {"type": "string"}, "collectionFormat": "ssv"},
                    {"name": "g", "in": "formData", "type": "integer", "required": true}
                ]},
                "patch": {"parameters": [{"name": "u", "in": "formData", "type": "file"}]}
            }
        },
        "parameters": {"h": {"name": "X-H", "in": "header", "type": "array", "items": {"type": "string"}}},
        "definitions": {"B": {"type": "object", "required": ["x"], "properties": {"x": {"type": "string"}}}}
    });
    let post = detail(&document, "POST", "/a/{ids}");
    let expected = [
        "path ids PipeDelimited false required",
        "query m Form true",
        "query t TabDelimited false",
        "query n Form false required",
        "header X-H Simple false",
    ];
    assert_eq!(lines(&post), expected);
    assert_eq!(faults(&post, &post.parameters[3].schema, &json!(6)), [": at most 5 is wanted"]);
    let body = post.body.as_ref().unwrap();
    let types: Vec<_> = body.contents.iter().map(|content| content.media_type.as_str()).collect();
    assert_eq!((body.required, types), (true, vec!["application/json", "text/xml"]));
    assert_eq!(faults(&post, &body.contents[0].schema, &json!({})), ["/x: must be given"]);

    let put = detail(&document, "PUT", "/a/{ids}");
    let body = put.body.as_ref().unwrap();
    assert_eq!((body.required, body.contents[0].media_type.as_str()), (true, "application/x-www-form-urlencoded"));
    assert_eq!(body.contents[0].encoding["f"].style, Some(Style::SpaceDelimited));
    assert_eq!(
        faults(&put, &body.contents[0].schema, &json!({"f": [1]})),
        ["/g: must be given", "/f/0: is an integer; text is wanted"]
    );
    let patch = detail(&document, "PATCH", "/a/{ids}");
    assert_eq!(patch.body.unwrap().contents[0].media_type, "multipart/form-data");
}

/// Holds a value against a schema that has `#/components/schemas/{Tree,Self}` to refer to.
#[track_caller]
fn check(schema: Value, value: Value, expected: &[&str]) {
    let document = json!({
        "openapi": "3.1.0",
        "paths": {"/a": {"post": {"requestBody": {"content": {"application/json": {"schema": schema}}}}}},
        "components": {"schemas": {
            "Tree": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}}},
            "Self": {"allOf": [{"$ref": "#/components/schemas/Self"}, {"type": "object"}]}
        }}
    });
    let detail = detail(&document, "POST", "/a");
    let body = detail.body.as_ref().unwrap();
    assert_eq!(faults(&detail, &body.contents[0].schema, &value), expected, "{schema} {value}");
}

#[test]
fn values_are_held_against_schemas() {
    check(json!({}), json!([1, {"a": null}]), &[]);
    check(json!(true), json!(1), &[]);
    check(json!({"type": "integer"}), json!(1.0), &[]);
    check(json!({"type": "integer"}), json!(1.5), &[": is a number; an integer is wanted"]);
    check(json!({"type": ["string", "null"]}), json!(null), &[]);
    check(json!({"type": ["string", "null"]}), json!(5), &[": is an integer; text or null is wanted"]);
    check(json!({"type": "string", "nullable": true}), json!(null), &[]);
    check(json!({"type": "string"}), json!(null), &[": is null; text is wanted"]);
    check(json!({"type": "String"}), json!(5), &[]);
    check(json!({"enum": ["a", 1]}), json!(1.0), &[]);
    check(json!({"enum": ["a", 1]}), json!("b"), &[": isn't one of the values that are allowed: \"a\", 1"]);
    check(json!({"const": "a"}), json!("b"), &[": isn't one of the values that are allowed: \"a\""]);
    check(json!({"minimum": 1, "exclusiveMinimum": true}), json!(1), &[": more than 1 is wanted"]);
    check(
        json!({"exclusiveMaximum": 2, "multipleOf": 2}),
        json!(3),
        &[": less than 2 is wanted", ": a multiple of 2 is wanted"],
    );
    check(json!({"type": "integer", "format": "int32"}), json!(3_000_000_000_u64), &[": doesn't fit into 32 bits"]);
    check(json!({"minLength": 2, "maxLength": 1}), json!("é"), &[": has 1 characters; at least 2 are wanted"]);
    check(json!({"pattern": "^[a-z]+$"}), json!("A"), &[": doesn't match the pattern ^[a-z]+$"]);
    check(json!({"pattern": "^(?!a)b$"}), json!("A"), &[]);
    check(json!({"pattern": "/^a$/"}), json!("A"), &[]);
    check(json!({"pattern": "(((a{999}){999}){999})"}), json!("A"), &[]);
    check(json!({"format": "date"}), json!("2026-02-30"), &[": a date is wanted, e.g. 2026-01-31"]);
    check(json!({"format": "date-time"}), json!("2026-02-20T10:00:00.5+01:00"), &[]);
    check(json!({"format": "uuid"}), json!("é".repeat(18)), &[": a UUID is wanted"]);
    check(json!({"format": "email"}), json!("x"), &[]);
    check(
        json!({"items": {"type": "integer"}, "minItems": 3, "uniqueItems": true}),
        json!(["a", "a"]),
        &[
            ": has 2 items; at least 3 are wanted",
            ": has an item twice; each only once is wanted",
            "/0: is text; an integer is wanted",
            "/1: is text; an integer is wanted",
        ],
    );
}

#[test]
fn objects_are_held_against_schemas() {
    let closed = json!({"properties": {"a": {"type": "integer"}, "b": {"readOnly": true}}, "required": ["a", "b", "c/d"], "additionalProperties": false});
    check(
        closed.clone(),
        json!({"x": 1}),
        &["/a: must be given", "/c~1d: must be given", "/x: there is no such member; it has a, b"],
    );
    check(json!({"properties": {"a": {"type": "integer"}}, "required": true}), json!({"x": 1}), &[]);
    check(
        json!({"additionalProperties": {"type": "integer"}}),
        json!({"x": "a"}),
        &["/x: is text; an integer is wanted"],
    );
    // Parts of a whole don't know all its members.
    check(
        json!({"allOf": [{"properties": {"a": {"type": "integer"}}, "additionalProperties": false}, {"required": ["b"]}]}),
        json!({"c": 1}),
        &["/b: must be given"],
    );
    let either = json!({"oneOf": [{"type": "integer"}, {"type": "object", "required": ["a"]}]});
    check(either.clone(), json!(5), &[]);
    check(either.clone(), json!({}), &["/a: must be given"]);
    check(either, json!("a"), &[": fits none of the 2 alternatives that are allowed"]);
    check(json!({"anyOf": [{"type": "object"}, {"type": "object", "required": ["a"]}]}), json!({}), &[]);
}

#[test]
fn references_are_followed_within_bounds() {
    let tree = json!({"$ref": "#/components/schemas/Tree"});
    check(
        tree.clone(),
        json!({"name": "a", "children": [{"name": 5}, {}]}),
        &["/children/0/name: is an integer; text is wanted", "/children/1/name: must be given"],
    );
    check(json!({"$ref": "#/components/schemas/Self"}), json!(5), &[": is an integer; an object is wanted"]);
    check(json!({"$ref": "#/nowhere"}), json!(5), &[]);
    check(json!({"$ref": "other.json"}), json!(5), &[]);
    let mut deep = json!({});
    for _ in 0..100 {
        deep = json!({"name": "a", "children": [deep]});
    }
    check(tree, deep, &[]);
}

#[test]
fn alternatives_that_double_end() {
    let alternatives: Vec<Value> = (0..8).map(|_| json!({"$ref": "#/components/schemas/N"})).collect();
    let document = json!({
        "openapi": "3.0.0",
        "paths": {"/a": {"get": {"parameters": [{"name": "n", "in": "query", "schema": {"$ref": "#/components/schemas/N"}}]}}},
        "components": {"schemas": {"N": {"properties": {"n": {"anyOf": alternatives}, "x": {"type": "string"}}}}}
    });
    let detail = detail(&document, "GET", "/a");
    let mut value = json!({"x": 5});
    for _ in 0..30 {
        value = json!({"n": value});
    }
    assert!(detail.check(&detail.parameters[0].schema, &value).len() <= 1);
}

#[test]
fn what_is_written_wrongly_says_less() {
    for item in [
        json!({"get": {"parameters": 5, "requestBody": 5}}),
        json!({"get": {"parameters": [{"name": 5, "in": "query"}, {"name": "a", "in": 5}, null], "requestBody": {"content": {}}}}),
        json!({"parameters": {}, "get": {"requestBody": {"$ref": "#/paths/~1a/get/requestBody"}}}),
    ] {
        let detail = detail(&json!({"openapi": "3.0.0", "paths": {"/a": item}}), "GET", "/a");
        assert!(detail.parameters.is_empty() && detail.body.is_none());
    }
}
