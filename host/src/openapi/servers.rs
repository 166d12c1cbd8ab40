//! `servers`: URLs with their variables replaced.

use serde_json::Value;

use super::Server;
use super::url::MAX_LENGTH;
use super::warnings::{Warnings, member};

/// The servers of a `servers` member; none where it is absent.
pub(super) fn read(value: Option<&Value>, pointer: &str, warnings: &mut Warnings) -> Vec<Server> {
    let Some(value) = value else { return Vec::new() };
    let Some(items) = value.as_array() else {
        warnings.add(pointer, "isn't a list of servers; taken as absent");
        return Vec::new();
    };
    let mut servers = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let pointer = member(pointer, &index.to_string());
        match url(item, &pointer, warnings) {
            Ok(url) => servers.push(Server { url, description: text(item, "description") }),
            Err(problem) => warnings.add(&pointer, format!("isn't a usable server: {problem}; left out")),
        }
    }
    servers
}

/// The server's URL with its variables replaced by their defaults, or else by the first value that they may have.
fn url(server: &Value, pointer: &str, warnings: &mut Warnings) -> Result<String, &'static str> {
    let template = server.get("url").and_then(Value::as_str).ok_or("it has no text `url`")?.trim();
    let mut url = String::new();
    let mut rest = template;
    while let Some((before, variable, after)) = next_variable(rest) {
        url.push_str(before);
        let declared = server.get("variables").and_then(|variables| variables.get(variable));
        let value = declared
            .and_then(|declared| declared.get("default").or_else(|| declared.get("enum")?.get(0)))
            .and_then(scalar);
        match value {
            Some(value) => url.push_str(&value),
            None => {
                warnings.add(pointer, "a variable of `url` has no default; choose the server's URL in the integration");
                url.extend(["{", variable, "}"]);
            }
        }
        if url.len() > MAX_LENGTH {
            break;
        }
        rest = after;
    }
    url.push_str(rest);
    if url.len() > MAX_LENGTH { Err("its URL is too long") } else { Ok(url) }
}

/// What stands before the first variable, its name, and what stands after it.
fn next_variable(template: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = template.split_once('{')?;
    let (variable, after) = rest.split_once('}')?;
    Some((before, variable, after))
}

/// The text of a member.
pub(super) fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// A value as text, where it has an obvious one; YAML reads unquoted text as a number.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(servers: Value, expected: &[&str], warned: &[&str]) {
        let mut warnings = Warnings::default();
        let found = read(Some(&servers), "/servers", &mut warnings);
        assert_eq!(found.iter().map(|server| server.url.as_str()).collect::<Vec<_>>(), expected);
        assert_eq!(warnings.finish().iter().map(|warning| warning.pointer.as_str()).collect::<Vec<_>>(), warned);
    }

    #[test]
    fn variables_are_replaced_by_their_defaults() {
        check(json!([{"url": "https://a.example/"}, {"url": "/v1"}]), &["https://a.example/", "/v1"], &[]);
        let variables =
            json!({"host": {"default": "h.example"}, "port": {"default": 8443}, "base": {"enum": ["v2", "v3"]}});
        check(
            json!([{"url": "https://{host}:{port}/{base}", "variables": variables}]),
            &["https://h.example:8443/v2"],
            &[],
        );
        check(
            json!([{"url": "https://{a}.example/{b", "variables": {"a": {"default": "{a}"}}}]),
            &["https://{a}.example/{b"],
            &[],
        );
    }

    #[test]
    fn faults_say_where() {
        check(json!([{"url": "https://{a}.example"}]), &["https://{a}.example"], &["/servers/0"]);
        check(json!([5, {"url": 5}, {}, {"url": "/"}]), &["/"], &["/servers/0", "/servers/1", "/servers/2"]);
        check(json!({"url": "/"}), &[], &["/servers"]);
        check(
            json!([{"url": "{a}".repeat(10_000), "variables": {"a": {"default": "b".repeat(100_000)}}}]),
            &[],
            &["/servers/0"],
        );
    }
}
