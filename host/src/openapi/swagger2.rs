//! Swagger 2.0 in OpenAPI 3 terms: security definitions and where the API is served.

use serde_json::{Map, Value, json};

use super::Server;
use super::servers::text;
use super::warnings::Warnings;

/// A security definition as OpenAPI 3 writes it. What isn't known stays as it is.
pub(super) fn scheme(definition: &Value) -> Value {
    let Value::Object(members) = definition else { return definition.clone() };
    let mut scheme = members.clone();
    match members.get("type").and_then(Value::as_str) {
        Some("basic") => {
            scheme.insert("type".to_owned(), "http".into());
            scheme.insert("scheme".to_owned(), "basic".into());
        }
        Some("oauth2") => {
            let flow: Map<_, _> = ["authorizationUrl", "tokenUrl", "refreshUrl", "scopes"]
                .into_iter()
                .filter_map(|name| Some((name.to_owned(), scheme.shift_remove(name)?)))
                .collect();
            let mut flows = Map::new();
            // Without a usable `flow` the scheme has no flows, which is then what is wrong with it.
            if let Some(Value::String(name)) = scheme.shift_remove("flow") {
                let name = match name.as_str() {
                    "accessCode" => "authorizationCode",
                    "application" => "clientCredentials",
                    other => other,
                };
                flows.insert(name.to_owned(), Value::Object(flow));
            }
            scheme.insert("flows".to_owned(), Value::Object(flows));
        }
        _ => {}
    }
    Value::Object(scheme)
}

/// Servers from `host`, `basePath` and `schemes`; https before http. None where neither host nor path is given.
///
/// Without `schemes` the rule is "as the document was fetched", which isn't known here: https.
pub(super) fn servers(root: &Value, schemes: &Value, pointer: &str, warnings: &mut Warnings) -> Vec<Server> {
    let base = text(root, "basePath").unwrap_or_default();
    let base = base.trim().trim_end_matches('/');
    let slash = if base.is_empty() || base.starts_with('/') { "" } else { "/" };
    let server = |url: String| Server { url, description: None };
    let Some(host) = text(root, "host").filter(|host| !host.trim().is_empty()) else {
        let relative = root.get("basePath").is_some_and(Value::is_string);
        return relative
            .then(|| server(if base.is_empty() { "/".to_owned() } else { format!("{slash}{base}") }))
            .into_iter()
            .collect();
    };
    let has = |scheme: &str| schemes.as_array().is_some_and(|schemes| schemes.contains(&json!(scheme)));
    let mut known: Vec<&str> = ["https", "http"].into_iter().filter(|scheme| has(scheme)).collect();
    if known.is_empty() {
        if !schemes.is_null() {
            warnings.add(pointer, "has neither `https` nor `http`; https is assumed");
        }
        known.push("https");
    }
    known.into_iter().map(|scheme| server(format!("{scheme}://{}{slash}{base}", host.trim()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_become_schemes() {
        let cases = [
            (
                json!({"type": "basic", "description": "d"}),
                json!({"type": "http", "description": "d", "scheme": "basic"}),
            ),
            (
                json!({"type": "apiKey", "in": "header", "name": "k"}),
                json!({"type": "apiKey", "in": "header", "name": "k"}),
            ),
            (
                json!({"type": "oauth2", "flow": "accessCode", "authorizationUrl": "a", "tokenUrl": "t", "scopes": {"s": "d"}, "x-y": 1}),
                json!({"type": "oauth2", "x-y": 1, "flows": {"authorizationCode": {"authorizationUrl": "a", "tokenUrl": "t", "scopes": {"s": "d"}}}}),
            ),
            (
                json!({"type": "oauth2", "flow": "application"}),
                json!({"type": "oauth2", "flows": {"clientCredentials": {}}}),
            ),
            (
                json!({"type": "oauth2", "flow": "password", "tokenUrl": "t"}),
                json!({"type": "oauth2", "flows": {"password": {"tokenUrl": "t"}}}),
            ),
            (json!({"type": "oauth2", "flow": 5}), json!({"type": "oauth2", "flows": {}})),
            (json!("text"), json!("text")),
        ];
        for (definition, expected) in cases {
            assert_eq!(scheme(&definition), expected);
        }
    }

    #[test]
    fn host_path_and_schemes_become_servers() {
        let cases: [(Value, &[&str], usize); 9] = [
            (
                json!({"host": "a.example", "basePath": "/v1", "schemes": ["http", "https"]}),
                &["https://a.example/v1", "http://a.example/v1"],
                0,
            ),
            (json!({"host": "a.example:8443", "basePath": "v1/"}), &["https://a.example:8443/v1"], 0),
            (json!({"host": "a.example", "basePath": "/"}), &["https://a.example"], 0),
            (json!({"host": "a.example", "schemes": ["http"]}), &["http://a.example"], 0),
            (json!({"host": "a.example", "schemes": ["wss"]}), &["https://a.example"], 1),
            (json!({"host": "a.example", "schemes": "http"}), &["https://a.example"], 1),
            (json!({"basePath": "/v1"}), &["/v1"], 0),
            (json!({"basePath": "/"}), &["/"], 0),
            (json!({"host": 5}), &[], 0),
        ];
        for (root, expected, warned) in cases {
            let mut warnings = Warnings::default();
            let found = servers(&root, &root["schemes"], "/schemes", &mut warnings);
            assert_eq!(found.iter().map(|server| server.url.as_str()).collect::<Vec<_>>(), expected, "{root}");
            assert_eq!(warnings.finish().len(), warned, "{root}");
        }
    }
}
