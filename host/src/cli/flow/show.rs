//! Flows as people see them: a table of all, and one with all that is known of it.

use serde_json::Value;

use super::super::output::{Pairs, cell, items, member, scalar, table};
use super::values::{size, time};

/// Flows as a table.
pub(super) fn list(flows: &Value) -> String {
    let rows: Vec<_> = flows
        .as_array()
        .into_iter()
        .flatten()
        .map(|flow| {
            [
                cell(flow, "name"),
                cell(flow, "version"),
                cell(flow, "title"),
                digest(flow),
                from(flow),
                state(flow).to_owned(),
            ]
        })
        .collect();
    if rows.is_empty() {
        return "no flows; is TOKENHOST_FLOWS of the daemon right?".to_owned();
    }
    let mut text = table(["NAME", "VERSION", "TITLE", "SHA-256", "FROM", "STATE"], &rows);
    for flow in flows.as_array().into_iter().flatten() {
        for line in trouble(flow) {
            text += &format!("\n{}: {line}", cell(flow, "name"));
        }
    }
    text
}

/// Who a flow is from.
fn from(flow: &Value) -> String {
    match (member(flow, "origin").as_deref(), member(flow, "publisher")) {
        (Some("shipped"), _) => "shipped".to_owned(),
        (_, Some(publisher)) => publisher,
        _ => "unsigned".to_owned(),
    }
}

/// Whether it can be used.
fn state(flow: &Value) -> &'static str {
    let is_served = flow.get("served").and_then(Value::as_bool).unwrap_or(true);
    match flow.get("quarantine").filter(|quarantine| quarantine.is_object()) {
        _ if !is_served => "not served",
        Some(_) => "quarantined",
        None => "served",
    }
}

/// Why it can't be used, and what to do.
fn trouble(flow: &Value) -> Vec<String> {
    let mut lines: Vec<String> =
        member(flow, "problem").map(|problem| format!("not served: {problem}")).into_iter().collect();
    if let Some(quarantine) = flow.get("quarantine").filter(|quarantine| quarantine.is_object()) {
        lines.push(format!(
            "under quarantine since {}: {}; `tokenhost flow release {}` lets it run again",
            cell(quarantine, "since"),
            cell(quarantine, "reason"),
            cell(flow, "name")
        ));
    }
    lines
}

/// A flow's name, version and abbreviated digest.
pub(super) fn identity(flow: &Value) -> String {
    format!("flow {} {} (sha256:{})", cell(flow, "name"), cell(flow, "version"), digest(flow))
}

/// The first characters of a component's digest.
fn digest(flow: &Value) -> String {
    member(flow, "sha256").map_or_else(|| "-".to_owned(), |digest| digest.chars().take(12).collect())
}

/// One flow: what it says of itself.
pub(in super::super) fn show(flow: &Value) -> String {
    let mut pairs = Pairs::default();
    pairs.add("flow", member(flow, "name"));
    pairs.add("version", member(flow, "version"));
    pairs.add("title", member(flow, "title"));
    pairs.add("sha256", member(flow, "sha256"));
    pairs.add("contract", member(flow, "contract"));
    pairs.add("from", Some(from(flow)).filter(|_| flow.get("origin").is_some()));
    pairs.add("state", Some(state(flow).to_owned()).filter(|_| flow.get("served").is_some()));
    let schemes: Vec<String> = items(flow, "handles").iter().map(scheme).collect();
    pairs.add("serves", Some(schemes.join(", ")).filter(|text| !text.is_empty()));
    let person = flow.get("unattended").and_then(Value::as_bool).map(|unattended| !unattended);
    pairs.add("a person", person.map(|needed| if needed { "is needed" } else { "is not needed" }.to_owned()));
    let mut text = pairs.to_text("");
    for line in trouble(flow) {
        text += &format!("\n{line}\n");
    }
    if let Some(summary) = member(flow, "summary").filter(|summary| !summary.is_empty()) {
        text += &format!("\n{summary}\n");
    }
    let rows: Vec<_> = items(flow, "fields")
        .iter()
        .map(|field| [cell(field, "name"), kind(field), required(field), default(field), cell(field, "title")])
        .collect();
    if !rows.is_empty() {
        text += "\n";
        text += &table(["FIELD", "KIND", "REQUIRED", "DEFAULT", "TITLE"], &rows);
    }
    if let Some(limits) = flow.get("limits").filter(|limits| limits.is_object()) {
        text += &format!("\n{}", self::limits(limits));
    }
    let versions: Vec<_> = items(flow, "versions")
        .iter()
        .map(|version| {
            let present = version.get("present") == Some(&Value::Bool(true));
            let publisher = member(version, "publisher").unwrap_or_else(|| "unsigned".to_owned());
            let at = format!("{} by {}", cell(version, "installed_at"), cell(version, "installed_by"));
            [if present { "*" } else { "" }.to_owned(), cell(version, "version"), digest(version), publisher, at]
        })
        .collect();
    if !versions.is_empty() {
        text += &format!("\n{}", table(["", "VERSION", "SHA-256", "FROM", "INSTALLED"], &versions));
    }
    for grant in items(flow, "revealed") {
        let holds = grant.get("holds") == Some(&Value::Bool(true));
        text += &format!(
            "\n{} {} of {} (granted to sha256:{} at {} by {})",
            if holds { "may read" } else { "void, for another component:" },
            cell(grant, "secret"),
            cell(grant, "integration"),
            digest(grant),
            cell(grant, "granted_at"),
            cell(grant, "granted_by"),
        );
    }
    text
}

/// What a flow may use; what was set is marked.
pub(super) fn limits(limits: &Value) -> String {
    let changed: Vec<String> = items(limits, "changed").iter().filter_map(scalar).collect();
    let number = |name: &str| limits.get(name).and_then(Value::as_u64);
    let mut pairs = Pairs::default();
    for (label, name) in [
        ("time per step", "step_time"),
        ("memory per step", "memory"),
        ("output per step", "output"),
        ("steps per attempt", "steps"),
        ("requests per attempt", "requests"),
        ("attempts per minute", "attempts_per_minute"),
    ] {
        let value = match (name, number(name)) {
            (_, None) => "any number".to_owned(),
            ("step_time", Some(value)) => time(value),
            ("memory" | "output", Some(value)) => size(value),
            (_, Some(value)) => value.to_string(),
        };
        let set = if changed.iter().any(|changed| changed == name) { " (set)" } else { "" };
        pairs.add(label, format!("{value}{set}"));
    }
    format!("Limits:\n{}", pairs.to_text("  "))
}

/// `oauth2 clientCredentials`.
fn scheme(scheme: &Value) -> String {
    match scheme {
        Value::Object(_) => {
            [member(scheme, "kind"), member(scheme, "detail")].into_iter().flatten().collect::<Vec<_>>().join(" ")
        }
        other => scalar(other).unwrap_or_default(),
    }
}

/// What values a field takes: `secret`, or `basic | post | none`.
fn kind(field: &Value) -> String {
    let choices: Vec<String> = items(field, "choices").iter().filter_map(scalar).collect();
    if choices.is_empty() { cell(field, "kind") } else { choices.join(" | ") }
}

/// `always`, `never`, or the condition.
fn required(field: &Value) -> String {
    match field.get("required") {
        Some(Value::Object(condition)) => {
            let condition = condition.get("when").unwrap_or(&Value::Null);
            format!("if {} is {}", cell(condition, "field"), cell(condition, "one_of").replace(", ", " or "))
        }
        Some(Value::String(text)) if text == "never" => "no".to_owned(),
        _ => cell(field, "required"),
    }
}

/// The default, or where in the document the first value is.
fn default(field: &Value) -> String {
    match (member(field, "default"), member(field, "source")) {
        (Some(default), _) => default,
        (None, Some(source)) => format!("the document's {source}"),
        (None, None) => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_flow_shows_its_fields() {
        let flow = json!({
            "name": "client-credentials", "version": "0.1.0", "title": "Client credentials", "sha256": "abcdef0123456789",
            "unattended": true, "summary": "For machines.",
            "handles": [{"kind": "oauth2", "detail": "clientCredentials"}, {"kind": "named", "detail": null}],
            "fields": [
                {"name": "client_id", "title": "Client ID", "kind": "text", "required": "always"},
                {"name": "client_secret", "title": "Client secret", "kind": "secret",
                 "required": {"when": {"field": "client_auth", "one_of": ["basic", "post"]}}},
                {"name": "client_auth", "title": "How", "kind": "choice", "choices": ["basic", "none"], "required": "never", "default": "basic"},
                {"name": "token_url", "title": "Token URL", "kind": "url", "required": "always", "source": "tokenUrl"},
            ],
        });
        let text = show(&flow);
        for line in [
            "serves    oauth2 clientCredentials, named",
            "a person  is not needed",
            "FIELD          KIND          REQUIRED                         DEFAULT                  TITLE",
            "client_id      text          always                           -                        Client ID",
            "client_secret  secret        if client_auth is basic or post  -                        Client secret",
            "client_auth    basic | none  no                               basic                    How",
            "token_url      url           always                           the document's tokenUrl  Token URL",
        ] {
            assert!(text.lines().any(|got| got == line), "{line}\nis not in\n{text}");
        }
        assert_eq!(digest(&flow), "abcdef012345");
    }
}
