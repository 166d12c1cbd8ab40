//! What two states of an integration differ in, by name: what the audit log tells of a change. Values come out of it nowhere.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::integration::Integration;

/// What became of things, by their names as callers give them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// What isn't secret and is another now, or is or was not there: `fields.scope`, `settings.uncertain`, `server`.
    pub changed: Vec<String>,
    /// Secrets, each with `set`, `replaced` or `removed`.
    pub secrets: Vec<(String, &'static str)>,
}

/// One part of an integration.
enum Part<'a> {
    Plain(Value),
    Secret(&'a SecretString),
}

/// All parts of an integration that can be changed.
fn parts(of: &Integration) -> BTreeMap<String, Part<'_>> {
    let mut parts = BTreeMap::new();
    let mut plain = |name: String, value: Value| {
        if !value.is_null() {
            parts.insert(name, Part::Plain(value));
        }
    };
    plain("organization".into(), json!(of.organization.as_str()));
    plain("server".into(), json!(of.server));
    plain("transport.ca".into(), json!(of.transport.ca));
    plain("transport.proxy".into(), json!(of.transport.proxy));
    plain("transport.client_certificate".into(), json!(of.transport.client_certificate));
    plain("settings.default_lifetime".into(), json!(of.settings.default_lifetime));
    plain("settings.uncertain".into(), json!(of.settings.uncertain));
    plain("settings.calls".into(), json!(of.settings.calls));
    plain("parameters".into(), json!(of.settings.parameters));
    for (name, value) in &of.values {
        plain(field("", name), json!(value));
    }
    for (scheme, binding) in &of.further {
        plain(format!("schemes.{scheme}"), json!(binding.flow));
        for (name, value) in &binding.values {
            plain(field(&format!("schemes.{scheme}."), name), json!(value));
        }
    }
    let further = of.further.iter().map(|(scheme, binding)| (format!("schemes.{scheme}."), &binding.secrets));
    for (prefix, secrets) in std::iter::once((String::new(), &of.secrets)).chain(further) {
        parts.extend(secrets.iter().map(|(name, value)| (field(&prefix, name), Part::Secret(value))));
    }
    if let Some(key) = &of.transport.client_key {
        parts.insert("transport.client_key".into(), Part::Secret(key));
    }
    parts
}

/// What a value is called from outside.
fn field(prefix: &str, name: &str) -> String {
    if name.starts_with("parameters.") { format!("{prefix}{name}") } else { format!("{prefix}fields.{name}") }
}

impl Integration {
    /// What another state of it differs in; of nothing: what it was made with.
    pub fn difference(before: Option<&Self>, after: &Self) -> Difference {
        let (mut before, mut found) = (before.map(parts).unwrap_or_default(), Difference::default());
        for (name, now) in parts(after) {
            match (before.remove(&name), now) {
                (Some(Part::Plain(old)), Part::Plain(now)) if old == now => {}
                (Some(Part::Secret(old)), Part::Secret(now)) if old.expose_secret() == now.expose_secret() => {}
                (_, Part::Plain(_)) => found.changed.push(name),
                (Some(Part::Secret(_)), Part::Secret(_)) => found.secrets.push((name, "replaced")),
                (_, Part::Secret(_)) => found.secrets.push((name, "set")),
            }
        }
        for (name, old) in before {
            match old {
                Part::Plain(_) => found.changed.push(name),
                Part::Secret(_) => found.secrets.push((name, "removed")),
            }
        }
        found.changed.sort_unstable();
        found.secrets.sort_unstable();
        found
    }
}
