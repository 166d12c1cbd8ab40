//! The room as a whole: documents in, [`Document`]s, warnings and errors out.

use serde_json::{Value, json};

use super::*;

/// A document with everything in it.
const FULL: &str = r##"{
  "openapi": "3.1.0",
  "info": {"title": "Orders", "version": "1.2"},
  "servers": [{"url": "https://{region}.example.com/v1", "variables": {"region": {"default": "eu"}}, "description": "d"}],
  "security": [{"oauth": ["read"], "key": []}, {}],
  "paths": {
    "/orders": {
      "servers": [{"url": "https://orders.example.com"}],
      "get": {"operationId": "listOrders", "security": [{"oauth": ["read", "list"]}], "responses": {"200": {"description": "x"}}},
      "post": {"operationId": "addOrder", "security": [], "servers": [{"url": "/write"}]},
      "additionalOperations": {"COPY": {"operationId": "copyOrder"}}
    },
    "/health": {"$ref": "#/components/pathItems/health"},
    "/users": {"$ref": "#/x-paths/users"},
    "x-internal": 5
  },
  "components": {
    "schemas": {"Order": {"$ref": "elsewhere.json"}},
    "pathItems": {"health": {"get": {"summary": "x"}}},
    "securitySchemes": {
      "oauth": {
        "type": "oauth2",
        "flows": {
          "clientCredentials": {"tokenUrl": "/oauth/token", "refreshUrl": "", "scopes": {"read": "d"},
            "x-itential-parameters": [{"name": "audience", "in": "body", "x-itential-use-in": ["token"]}]},
          "password": {"tokenUrl": "https://id.example.com/token", "scopes": {}},
          "x-more": {}
        },
        "x-itential-parameters": [{"name": "tenant", "in": "header", "x-itential-variable": "tenant"}]
      },
      "basic": {"type": "http", "scheme": "Basic"},
      "key": {"$ref": "#/x-schemes/key"},
      "tls": {"type": "mutualTLS", "x-tokenhost-flow": "tls-token"},
      "oidc": {"type": "openIdConnect", "openIdConnectUrl": "https://id.example.com/.well-known/openid-configuration"}
    }
  },
  "x-schemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
  "x-paths": {"users": {"delete": {"operationId": "dropUsers"}}}
}"##;

fn read_json(document: &Value) -> Document {
    read(document.to_string().as_bytes()).unwrap()
}

/// `METHOD path id`, what is required, servers.
fn operations(document: &Document) -> Vec<String> {
    let line = |operation: &Operation| {
        let id = operation.operation_id.as_deref().unwrap_or("-");
        let security =
            document.security_of(operation).map_or("?".to_owned(), |requirements| json!(requirements).to_string());
        let servers: Vec<_> = document.servers_of(operation).iter().map(|server| server.url.as_str()).collect();
        format!("{} {} {id} {security} {}", operation.method, operation.path, servers.join(" "))
    };
    document.operations.iter().map(line).collect()
}

/// Warned pointers.
fn pointers(document: &Document) -> Vec<&str> {
    document.warnings.iter().map(|warning| warning.pointer.as_str()).collect()
}

#[test]
fn a_full_document_is_read() {
    let document = read(FULL.as_bytes()).unwrap();
    assert_eq!((&*document.title, &*document.version, &*document.openapi), ("Orders", "1.2", "3.1.0"));
    assert_eq!(document.servers, [Server { url: "https://eu.example.com/v1".into(), description: Some("d".into()) }]);
    let global = r#"[{"key":[],"oauth":["read"]},{}]"#;
    let expected = [
        r#"GET /orders listOrders [{"oauth":["read","list"]}] https://orders.example.com"#.to_owned(),
        "POST /orders addOrder [] /write".to_owned(),
        format!("COPY /orders copyOrder {global} https://orders.example.com"),
        format!("GET /health - {global} https://eu.example.com/v1"),
        format!("DELETE /users dropUsers {global} https://eu.example.com/v1"),
    ];
    assert_eq!(operations(&document), expected);
    let schemes: Vec<_> =
        document.schemes.iter().map(|scheme| (&*scheme.name, &*scheme.kind, scheme.details.join(" "))).collect();
    let expected = [
        ("oauth", "oauth2", "clientCredentials password".to_owned()),
        ("basic", "http", "basic".to_owned()),
        ("key", "apiKey", String::new()),
        ("tls", "mutualTLS", String::new()),
        ("oidc", "openIdConnect", String::new()),
    ];
    assert_eq!(schemes, expected);
    assert!(document.schemes.iter().all(|scheme| scheme.problem.is_none()));
    assert_eq!(document.scheme("tls").unwrap().flow.as_deref(), Some("tls-token"));
    assert_eq!(document.scheme("key").unwrap().document["name"], "X-Key");
    assert_eq!(pointers(&document), ["/components/securitySchemes/oauth/flows/clientCredentials/refreshUrl"]);
}

#[test]
fn first_values_come_from_the_flow_object_or_else_the_scheme() {
    let document = read(FULL.as_bytes()).unwrap();
    let scheme = document.scheme("oauth").unwrap();
    assert_eq!(scheme.source(Some("clientCredentials"), "tokenUrl"), Some("/oauth/token"));
    assert_eq!(scheme.source(Some("password"), "tokenUrl"), Some("https://id.example.com/token"));
    assert_eq!(scheme.source(Some("clientCredentials"), "refreshUrl"), None);
    assert_eq!(scheme.source(Some("implicit"), "tokenUrl"), None);
    assert_eq!(scheme.source(Some("clientCredentials"), "scopes"), None);
    assert_eq!(scheme.scopes(Some("clientCredentials")).find(|(name, _)| *name == "read"), Some(("read", "d")));
    assert_eq!((scheme.scopes(Some("password")).count(), scheme.scopes(None).count()), (0, 0));
    assert_eq!(document.scheme("basic").unwrap().source(Some("basic"), "scheme"), Some("Basic"));
    let oidc = document.scheme("oidc").unwrap().source(None, "openIdConnectUrl");
    assert_eq!(oidc, Some("https://id.example.com/.well-known/openid-configuration"));
    let parameters: Vec<_> =
        scheme.parameters.iter().map(|parameter| (&*parameter.name, parameter.detail.as_deref())).collect();
    assert_eq!(parameters, [("tenant", None), ("audience", Some("clientCredentials"))]);
}

#[test]
fn yaml_is_read_as_json_is() {
    let yaml = "
openapi: 3.0
info: {title: T, version: 1.0}
servers:
  - url: https://a.example
paths:
  /a:
    get: &get
      responses:
        200: {description: ok}
        default: {description: no}
      operationId: one
    put: *get
  /b:
    <<: {get: {operationId: two}}
components:
  securitySchemes:
    1: {type: http, scheme: bearer}
";
    let document = read(yaml.as_bytes()).unwrap();
    assert_eq!((&*document.title, &*document.version, &*document.openapi), ("T", "1.0", "3.0"));
    let expected =
        ["GET /a one ? https://a.example", "PUT /a one ? https://a.example", "GET /b two ? https://a.example"];
    assert_eq!(operations(&document), expected);
    assert_eq!(document.schemes[0].name, "1");
    assert_eq!(pointers(&document), ["/info/version", "/paths/~1a/put/operationId"]);
    // JSON is YAML: the same document by the other parser.
    let as_yaml = format!("# comment\n{FULL}");
    assert_eq!(read(as_yaml.as_bytes()), read(FULL.as_bytes()));
}

#[test]
fn swagger_2_is_read_in_openapi_3_terms() {
    let document = read_json(&json!({
        "swagger": "2.0", "info": {"title": "T", "version": "1"}, "host": "a.example", "basePath": "/v1", "schemes": ["https"],
        "security": [{"app": ["s"]}],
        "securityDefinitions": {
            "app": {"type": "oauth2", "flow": "application", "tokenUrl": "/token", "scopes": {"s": "d"}},
            "code": {"type": "oauth2", "flow": "accessCode", "authorizationUrl": "https://a.example/a", "tokenUrl": "", "scopes": {}},
            "user": {"type": "basic"},
            "none": {"type": "oauth2"},
        },
        "paths": {"/a": {"get": {"operationId": "a"}, "put": {"schemes": ["http"]}}},
    }));
    assert_eq!(document.openapi, "2.0");
    let expected =
        [r#"GET /a a [{"app":["s"]}] https://a.example/v1"#, r#"PUT /a - [{"app":["s"]}] http://a.example/v1"#];
    assert_eq!(operations(&document), expected);
    let scheme = document.scheme("app").unwrap();
    assert_eq!(
        scheme.document,
        json!({"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "/token", "scopes": {"s": "d"}}}})
    );
    assert_eq!(document.scheme("code").unwrap().details, ["authorizationCode"]);
    assert_eq!(document.scheme("user").unwrap().details, ["basic"]);
    assert_eq!(document.scheme("none").unwrap().problem.as_deref(), Some("its `flows` has no flow"));
    assert_eq!(pointers(&document), ["/securityDefinitions/code/tokenUrl", "/securityDefinitions/none"]);
}

/// A scheme, what it is found to be, and where a warning points (below the scheme).
#[track_caller]
fn check_scheme(scheme: Value, kind: &str, details: &[&str], problem: Option<&str>, warned: &[&str]) {
    let document = read_json(&json!({
        "openapi": "3.0.0", "info": {"title": "", "version": ""}, "components": {"securitySchemes": {"s": scheme}},
    }));
    let found = &document.schemes[0];
    assert_eq!((&*found.name, &*found.kind), ("s", kind));
    assert_eq!(found.details, details);
    match problem {
        None => assert_eq!(found.problem, None),
        Some(words) => {
            assert!(found.problem.as_ref().is_some_and(|problem| problem.contains(words)), "{:?}", found.problem)
        }
    }
    let pointers = pointers(&document);
    let below: Vec<_> =
        pointers.iter().map(|pointer| pointer.strip_prefix("/components/securitySchemes/s").unwrap()).collect();
    assert_eq!(below, warned, "{:?}", document.warnings);
}

#[test]
fn a_scheme_of_api_gateway_names_the_flow_that_signs() {
    let check = |more: Value, expected: Option<&str>| {
        let mut scheme = json!({"type": "apiKey", "in": "header", "name": "Authorization"});
        scheme.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let document = json!({"openapi": "3.0.0", "info": {"title": "t", "version": "1"}, "paths": {},
            "components": {"securitySchemes": {"s": scheme}}});
        assert_eq!(read_json(&document).schemes[0].flow.as_deref(), expected);
    };
    check(json!({"x-amazon-apigateway-authtype": "awsSigv4"}), Some("aws-sigv4"));
    check(json!({"x-amazon-apigateway-authtype": "oauth2"}), None);
    check(json!({"x-amazon-apigateway-authtype": "awsSigv4", "x-tokenhost-flow": "mine"}), Some("mine"));
    check(json!({"x-amazon-apigateway-authtype": 5}), None);
}

#[test]
fn what_is_wrong_with_a_scheme_is_said() {
    let token = "https://a.example/t";
    check_scheme(json!({"type": "http", "scheme": "OAuth"}), "http", &["oauth"], None, &[]);
    check_scheme(json!({"type": "http", "scheme": 5}), "http", &[], Some("expected a string"), &[""]);
    check_scheme(json!({"type": "http"}), "http", &[], Some("missing field `scheme`"), &[""]);
    check_scheme(json!({"type": "http", "scheme": ""}), "http", &[""], Some("`scheme` is empty"), &[""]);
    check_scheme(json!({"type": "http", "scheme": "basic", "description": 5}), "http", &["basic"], None, &[""]);
    check_scheme(json!({"type": "apiKey", "name": "k"}), "apiKey", &[], Some("missing field `in`"), &[""]);
    check_scheme(
        json!({"type": "apiKey", "name": "k", "in": "body"}),
        "apiKey",
        &[],
        Some("unknown variant `body`"),
        &[""],
    );
    check_scheme(json!({"type": "apiKey", "name": "k", "in": "cookie"}), "apiKey", &[], None, &[]);
    check_scheme(json!({"type": "openIdConnect"}), "openIdConnect", &[], None, &[""]);
    check_scheme(json!({"type": "mutualTLS"}), "mutualTLS", &[], None, &[]);
    check_scheme(json!({"type": "magic"}), "magic", &[], Some("is none of"), &[""]);
    check_scheme(json!({"type": "magic", "x-tokenhost-flow": "m"}), "magic", &[], None, &[""]);
    check_scheme(json!({"type": 5}), "", &[], Some("no text `type`"), &[""]);
    check_scheme(json!("text"), "", &[], Some("isn't an object"), &[""]);
    check_scheme(json!({"$ref": "other.json"}), "", &[], Some("out of the document"), &[""]);
    check_scheme(json!({"$ref": "#/components/securitySchemes/s"}), "", &[], Some("back to itself"), &[""]);
    check_scheme(json!({"$ref": "#/nothing"}), "", &[], Some("leads to nothing"), &[""]);
    check_scheme(json!({"$ref": "#/info/title"}), "", &[], Some("isn't an object"), &[""]);
    check_scheme(json!({"type": "mutualTLS", "x-tokenhost-flow": 5}), "mutualTLS", &[], None, &["/x-tokenhost-flow"]);
    check_scheme(json!({"type": "oauth2"}), "oauth2", &[], Some("no `flows`"), &[""]);
    check_scheme(
        json!({"type": "oauth2", "flows": {"x-a": {}, "password": 5}}),
        "oauth2",
        &[],
        Some("no flow"),
        &["/flows/password", ""],
    );
    let flow = |flow: Value| json!({"type": "oauth2", "flows": {"password": flow}});
    check_scheme(flow(json!({"tokenUrl": token, "scopes": {}})), "oauth2", &["password"], None, &[]);
    check_scheme(flow(json!({"tokenUrl": token})), "oauth2", &["password"], None, &["/flows/password"]);
    check_scheme(flow(json!({"scopes": {}})), "oauth2", &["password"], None, &["/flows/password"]);
    check_scheme(flow(json!({"tokenUrl": 5, "scopes": {}})), "oauth2", &["password"], None, &["/flows/password"]);
    for url in ["", "/t", "https://{tenant}.example", "ftp://a.example"] {
        check_scheme(
            flow(json!({"tokenUrl": url, "scopes": {}})),
            "oauth2",
            &["password"],
            None,
            &["/flows/password/tokenUrl"],
        );
    }
    let device = json!({"type": "oauth2", "flows": {"deviceAuthorization": {"tokenUrl": token}, "token": {}}});
    check_scheme(device, "oauth2", &["deviceAuthorization", "token"], None, &["/flows/token"]);
}

/// A change of a small document, and where a warning points then.
#[track_caller]
fn check_fault(changes: Value, warned: &[&str], kept: &[&str]) {
    let mut document = json!({
        "openapi": "3.0.3", "info": {"title": "T", "version": "1"}, "servers": [{"url": "https://a.example"}],
        "paths": {"/a": {"get": {"operationId": "a"}}},
        "components": {"securitySchemes": {"s": {"type": "mutualTLS"}}},
    });
    document.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let document = read_json(&document);
    assert_eq!(pointers(&document), warned, "{:?}", document.warnings);
    assert_eq!(operations(&document), kept);
}

#[test]
fn a_document_with_mistakes_is_imported_with_warnings() {
    let kept: &[&str] = &["GET /a a ? https://a.example"];
    check_fault(json!({}), &[], kept);
    check_fault(json!({"openapi": "3.7.0"}), &["/openapi"], kept);
    check_fault(json!({"info": 5}), &["/info/title", "/info/version"], kept);
    check_fault(json!({"info": {"title": [], "version": 1.0}}), &["/info/title", "/info/version"], kept);
    check_fault(json!({"components": {"schemas": [], "securitySchemes": []}}), &["/components/securitySchemes"], kept);
    check_fault(json!({"components": {"schemas": {"a": 5}}, "tags": 7, "webhooks": null}), &[], kept);
    check_fault(json!({"servers": 5}), &["/servers"], &["GET /a a ? "]);
    check_fault(json!({"paths": []}), &["/paths"], &[]);
    check_fault(json!({"paths": {"/a": 5, "/b": {"get": []}}}), &["/paths/~1a", "/paths/~1b/get"], &[]);
    check_fault(json!({"paths": {"a": {"get": {}}}}), &["/paths/a"], &["GET a - ? https://a.example"]);
    check_fault(json!({"paths": {"/a": {"$ref": "paths.yaml#/a"}}}), &["/paths/~1a"], &[]);
    check_fault(
        json!({"paths": {"/a": {"$ref": "#/paths/~1b"}, "/b": {"$ref": "#/paths/~1a"}}}),
        &["/paths/~1a", "/paths/~1b"],
        &[],
    );
    check_fault(
        json!({"paths": {"/a": {"get": {"operationId": 5}}}}),
        &["/paths/~1a/get/operationId"],
        &["GET /a - ? https://a.example"],
    );
    let security = |security: Value| json!({"paths": {"/a": {"get": {"security": security}}}});
    let at = "/paths/~1a/get/security";
    check_fault(security(json!([{"s": []}])), &[], &[r#"GET /a - [{"s":[]}] https://a.example"#]);
    check_fault(security(json!({"s": []})), &[at], &["GET /a - ? https://a.example"]);
    check_fault(security(json!(["s"])), &[&format!("{at}/0")], &["GET /a - [] https://a.example"]);
    check_fault(security(json!([{"t": []}])), &[&format!("{at}/0/t")], &[r#"GET /a - [{"t":[]}] https://a.example"#]);
    check_fault(
        security(json!([{"s": ["a", 5]}])),
        &[&format!("{at}/0/s")],
        &[r#"GET /a - [{"s":["a"]}] https://a.example"#],
    );
}

#[test]
fn what_is_no_openapi_says_so_and_repeats_nothing() {
    let secret = "sesame-5c2e";
    let cases = [
        (secret.to_owned(), "its root isn't an object"),
        (format!("[\"{secret}\"]"), "its root isn't an object"),
        (format!("{{\"a\": \"{secret}\"}}"), "neither `openapi` nor `swagger`"),
        (format!("openapi: {secret}"), "its `openapi` is no version"),
        (format!("swagger: [{secret}]"), "its `swagger` is no version"),
        ("openapi: 4.0.0".to_owned(), "its `openapi` is `4.0.0`"),
        ("swagger: '1.2'".to_owned(), "its `swagger` is `1.2`"),
        ("openapi:".to_owned(), "its `openapi` is no version"),
        (format!("{{\"{secret}\" {secret}}}"), "isn't valid JSON"),
        (format!("a: [{secret}"), "isn't valid YAML"),
        (format!("a: \"{secret}"), "isn't valid YAML"),
        (format!("a: *{secret}"), "aliases"),
        (format!("a: !{secret}!x y"), "isn't valid YAML"),
        (format!("a: &{secret} [*{secret}]"), "aliases contain themselves"),
        (format!("{secret}: a\n {secret}: b\n- {secret}"), "isn't valid YAML"),
        (format!("<html>{secret}"), "HTML"),
    ];
    for (document, expected) in cases {
        let error = read(document.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{document}: {error}");
        assert!(!error.contains(secret), "{error}");
    }
}

#[test]
fn no_document_is_too_broken_to_be_refused() {
    for cut in 0..FULL.len() {
        assert!(read(&FULL.as_bytes()[..cut]).is_err(), "{cut}");
        let _ = read(format!("# yaml\n{}", &FULL[..cut]).as_bytes());
    }
    let yaml = "openapi: 3.0.0\ninfo:\n  title: é\n  version: '1'\nservers:\n- url: |\n    https://a.example\npaths: &a\n  ? /b\n  : {get: !!str x}\nx: *a\n";
    for cut in 0..yaml.len() {
        let _ = read(&yaml.as_bytes()[..cut]);
        for byte in [b'\0', b'\t', b'"', b'*', b'&', b'[', b'{', b':', b'\n', 0xff] {
            let mut bytes = yaml.as_bytes().to_vec();
            bytes[cut] = byte;
            let _ = read(&bytes);
        }
    }
}

/// Calls back with the document in which each value in turn is replaced, as JSON and as YAML.
fn for_each_replaced(document: &Value, with: &Value, path: &mut Vec<String>, check: &mut dyn FnMut(&[String], Value)) {
    let members: Vec<String> = match path.iter().try_fold(document, |value, name| match value {
        Value::Array(items) => items.get(name.parse::<usize>().unwrap()),
        value => value.get(name),
    }) {
        Some(Value::Object(members)) => members.keys().cloned().collect(),
        Some(Value::Array(items)) => (0..items.len()).map(|index| index.to_string()).collect(),
        _ => Vec::new(),
    };
    for name in members {
        path.push(name);
        let mut changed = document.clone();
        let pointer = path.iter().fold(String::new(), |pointer, name| super::warnings::member(&pointer, name));
        *changed.pointer_mut(&pointer).unwrap() = with.clone();
        check(path, changed);
        for_each_replaced(document, with, path, check);
        path.pop();
    }
}

#[test]
fn wrong_types_anywhere_are_no_more_than_warnings() {
    let documents = [
        serde_json::from_str::<Value>(FULL).unwrap(),
        json!({
            "swagger": "2.0", "info": {"title": "T", "version": "1"}, "host": "a.example", "basePath": "/v1", "schemes": ["https"],
            "securityDefinitions": {"app": {"type": "oauth2", "flow": "application", "tokenUrl": "/token", "scopes": {"s": "d"}}},
            "paths": {"/a": {"get": {"operationId": "a", "schemes": ["http"]}}},
        }),
    ];
    let mut tried = 0;
    for document in &documents {
        let values = [
            json!(null),
            json!(true),
            json!(-1.5),
            json!("text"),
            json!([]),
            json!([[]]),
            json!({}),
            json!({"$ref": "#/paths"}),
        ];
        for with in values {
            for_each_replaced(document, &with, &mut Vec::new(), &mut |path, changed| {
                tried += 1;
                let found = read(changed.to_string().as_bytes());
                // Only the version decides whether it is a document.
                let version = matches!(path, [name] if name == "openapi" || name == "swagger");
                assert_eq!(found.is_err(), version, "{path:?} = {with}: {found:?}");
            });
        }
    }
    assert!(tried > 800, "{tried}");
}

#[test]
fn bombs_are_refused() {
    // On the stack of a thread of the daemon.
    let checks = std::thread::Builder::new().stack_size(2 << 20).spawn(|| {
        #[track_caller]
        fn check(document: &str, expected: &str) {
            let found = read(document.as_bytes()).map(|document| document.warnings);
            let error = found.as_ref().err().map(ToString::to_string).unwrap_or_default();
            assert!(error.contains(expected), "{}…: {found:?}", &document[..document.floor_char_boundary(40)]);
        }
        let many = 10_000_000;
        let deep = "nests more than 50 levels deep";
        check(&"[".repeat(many), deep);
        check(&format!("{}{}", "[".repeat(many), "]".repeat(many)), deep);
        check(&r#"{"a":"#.repeat(many / 10), deep);
        check(&format!(r#"{{"openapi":"3.0.0","x":{}{}}}"#, "[".repeat(50), "]".repeat(50)), deep);
        check(&format!("a: {}", "[".repeat(many)), deep);
        check(&"- ".repeat(many / 10), deep);
        check(&"? ".repeat(many / 10), "a name is a list or an object");
        check(&(0..200).map(|level| format!("{}a:\n", " ".repeat(level))).collect::<String>(), deep);
        let mut laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..30 {
            let alias = format!("*a{}", level - 1);
            laughs.push_str(&format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(",")));
        }
        check(&laughs, "aliases stand for too much");
        let merges = laughs.replace('[', "{<<: [").replace(']', "]}").replace("x,x,x,x,x,x,x,x,x,x", "{k: 1}");
        check(&merges, "aliases");
        check(&format!("{}{}", " ".repeat(MAX_BYTES), "{}"), "at most 67108864 are read");
        let values = format!(r#"{{"openapi":"3.0.0","servers":[{}0]}}"#, "0,".repeat(1_000_000));
        check(&values, "more than 500000 values");
        let text = format!(r#"{{"openapi":"3.0.0","servers":["{}"]}}"#, "x".repeat(20 << 20));
        check(&text, "bytes of text");
        let methods: String = (0..10_000).map(|method| format!(r#""M{method}":{{}},"#)).collect();
        let path = "p".repeat(1 << 20);
        let copies =
            format!(r#"{{"openapi":"3.2.0","paths":{{"/{path}":{{"additionalOperations":{{{methods}"X":{{}}}}}}}}}}"#);
        check(&copies, "bytes in operations");
    });
    checks.unwrap().join().unwrap();
}

#[test]
fn what_nests_as_deep_as_allowed_is_read() {
    let checks = std::thread::Builder::new().stack_size(2 << 20).spawn(|| {
        let (open, close) = ("[".repeat(44), "]".repeat(44));
        let scheme = format!(r##"{{"type": "apiKey", "in": "header", "name": "k", "x-deep": {{"a": {open}{{"$ref": "#/x-deep"}}{close}}}}}"##);
        let json = format!(r#"{{"openapi": "3.0.0", "components": {{"securitySchemes": {{"s": {scheme}}}}}, "x-deep": {open}1{close}}}"#);
        for document in [json.clone(), format!("# yaml\n{json}")] {
            let document = read(document.as_bytes()).unwrap();
            assert_eq!(document.schemes.len(), 1);
            assert!(document.warnings.iter().any(|warning| warning.message.contains("expand to too much")));
            drop(document.clone());
        }
    });
    checks.unwrap().join().unwrap();
}

#[test]
fn a_document_survives_being_stored() {
    let document = read(FULL.as_bytes()).unwrap();
    let stored = serde_json::to_vec(&document).unwrap();
    assert_eq!(serde_json::from_slice::<Document>(&stored).unwrap(), document);
}
