//! The sources of settings, one over the other: every value as text, with where it was given. What a value means is said in
//! `config` itself.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{ConfigFault, Overrides};

/// Every key of the TOML file, and of what TOML type its value is.
const KEYS: &[(&str, Shape)] = &[
    ("data", Shape::Text),
    ("listen", Shape::Text),
    ("public_url", Shape::Text),
    ("key", Shape::Text),
    ("key_file", Shape::Text),
    ("flows", Shape::Text),
    ("public", Shape::List),
    ("connections", Shape::Number),
    ("egress.allow", Shape::List),
    ("egress.http", Shape::Flag),
    ("access.allowed_login_types", Shape::Choices),
    ("access.allow_rest_services_via_tokens", Shape::Flag),
    ("access.secure_rest_services", Shape::Flag),
    ("access.personal_tokens_allowed_profiles", Shape::List),
    ("access.enable_myaccount_menu", Shape::Flag),
    ("access.application_token.allow_fallback_token", Shape::Flag),
    ("access.login_debug", Shape::Flag),
    ("access.scopes", Shape::List),
    ("access.token_in_query", Shape::Flag),
    ("access.personal_token.max_lifetime", Shape::Number),
    ("access.personal_token.default_lifetime", Shape::Number),
    ("access.personal_token.per_user", Shape::Number),
    ("access.trusted_proxies", Shape::List),
    ("access.external.header", Shape::Text),
    ("access.external.secret_header", Shape::Text),
    ("access.external.secret", Shape::Text),
    ("access.external.proxies", Shape::List),
    ("audit.retention_days", Shape::Number),
    ("audit.retention_records", Shape::Number),
    ("events.retention_days", Shape::Number),
    ("events.retention_records", Shape::Number),
    ("events.personal_token_days", Shape::Numbers),
    ("backup.folder", Shape::Text),
    ("backup.every", Shape::Text),
    ("backup.keep", Shape::Number),
    ("backup.keep_days", Shape::Number),
    ("log.level", Shape::Text),
    ("log.format", Shape::Text),
];

/// Of what TOML type a value is.
#[derive(Clone, Copy)]
enum Shape {
    /// A string.
    Text,
    /// An array of strings; elsewhere a comma-separated text.
    List,
    /// An array of strings, or a text with `|` between its words.
    Choices,
    /// A boolean.
    Flag,
    /// An integer.
    Number,
    /// An array of integers; elsewhere a comma-separated text.
    Numbers,
}

/// A value and where it was given.
struct Given {
    /// As text, whatever it was.
    text: String,
    /// The key with its source, for faults.
    source: String,
}

/// The sources, merged, and what was wrong with them.
#[derive(Default)]
pub(super) struct Layers {
    /// By key, the value that won.
    texts: BTreeMap<&'static str, Given>,
    /// What was wrong so far.
    pub(super) faults: Vec<ConfigFault>,
}

impl Layers {
    /// Sets a value over an earlier source's. The master key and its file are one choice: a later source's wins over both.
    fn set(&mut self, key: &'static str, text: String, source: String) {
        self.texts.insert(key, Given { text, source });
    }

    /// Notes a fault.
    pub(super) fn fault(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.faults.push(ConfigFault { key: key.into(), message: message.into() });
    }

    /// Reads the TOML file. A syntax error is told by its line alone, since that line may hold the key.
    pub(super) fn read_file(&mut self, path: &Path) {
        let file = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return self.fault(file, format!("can't be read: {error}")),
        };
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
                return self.fault(file, format!("line {}: no valid TOML", before.matches('\n').count() + 1));
            }
        };
        self.read_table("", &table, &file);
        self.one_key(&file);
    }

    /// Reads a table and those in it. `access.x.y` is the same key whether it is written with dots or as a table.
    fn read_table(&mut self, prefix: &str, table: &toml::Table, file: &str) {
        for (leaf, value) in table {
            let key = format!("{prefix}{leaf}");
            let inner = format!("{key}.");
            match value {
                toml::Value::Table(table) if KEYS.iter().any(|(known, _)| known.starts_with(&inner)) => {
                    self.read_table(&inner, table, file);
                }
                _ => self.read_value(&key, value, file),
            }
        }
    }

    fn read_value(&mut self, key: &str, value: &toml::Value, file: &str) {
        let source = format!("{key} in {file}");
        let Some((known, shape)) = KEYS.iter().find(|(known, _)| *known == key) else {
            let known: Vec<&str> = KEYS.iter().map(|(known, _)| *known).collect();
            return self.fault(source, format!("no such setting; there are {}", known.join(", ")));
        };
        let (text, wanted) = match (shape, value) {
            (Shape::Text, toml::Value::String(text)) => (Some(text.clone()), ""),
            (Shape::Text, _) => (None, "must be a string"),
            (Shape::Choices, toml::Value::String(text)) => (Some(text.replace('|', ",")), ""),
            (Shape::List | Shape::Choices, toml::Value::Array(items)) => {
                let items: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
                (items.map(|items| items.join(",")), "must be an array of strings")
            }
            (Shape::List, _) => (None, "must be an array of strings"),
            (Shape::Choices, _) => (None, "must be an array of strings, or a string with | between words"),
            (Shape::Flag, toml::Value::Boolean(flag)) => (Some(flag.to_string()), ""),
            (Shape::Flag, _) => (None, "must be true or false"),
            (Shape::Number, toml::Value::Integer(number)) => (Some(number.to_string()), ""),
            (Shape::Number, _) => (None, "must be a number"),
            (Shape::Numbers, toml::Value::Array(items)) => {
                let items: Option<Vec<String>> =
                    items.iter().map(|item| item.as_integer().map(|number| number.to_string())).collect();
                (items.map(|items| items.join(",")), "must be an array of numbers")
            }
            (Shape::Numbers, _) => (None, "must be an array of numbers"),
        };
        match text {
            Some(text) => self.set(known, text, source),
            None => self.fault(source, wanted),
        }
    }

    /// Reads flags and environment, which clap has merged; an empty variable is an unset one.
    pub(super) fn read_overrides(&mut self, overrides: &Overrides, environment: &dyn Fn(&str) -> Option<OsString>) {
        let given = [
            ("data", &overrides.data, "TOKENHOST_DATA"),
            ("listen", &overrides.listen, "TOKENHOST_LISTEN"),
            ("public_url", &overrides.public_url, "TOKENHOST_PUBLIC_URL"),
            ("flows", &overrides.flows, "TOKENHOST_FLOWS"),
            ("egress.allow", &overrides.egress_allow, "TOKENHOST_EGRESS_ALLOW"),
            ("egress.http", &overrides.egress_http, "TOKENHOST_EGRESS_HTTP"),
            ("public", &overrides.public, "TOKENHOST_PUBLIC"),
            ("connections", &overrides.connections, "TOKENHOST_CONNECTIONS"),
            ("log.level", &overrides.log_level, "TOKENHOST_LOG_LEVEL"),
            ("log.format", &overrides.log_format, "TOKENHOST_LOG_FORMAT"),
        ];
        for (key, text, variable) in given {
            if let Some(text) = text.as_ref().filter(|text| !text.is_empty()) {
                let flag = key.replace(['.', '_'], "-");
                self.set(key, text.clone(), format!("{key} ({variable} or --{flag})"));
            }
        }

        let key = environment("TOKENHOST_KEY").map(|key| key.to_string_lossy().into_owned());
        let key_file = overrides.key_file.clone().filter(|path| !path.is_empty());
        if key.is_some() || key_file.is_some() {
            self.texts.remove("key");
            self.texts.remove("key_file");
        }
        if let Some(key) = key {
            self.set("key", key, "TOKENHOST_KEY".to_owned());
        }
        if let Some(path) = key_file {
            self.set("key_file", path, "key_file (TOKENHOST_KEY_FILE or --key-file)".to_owned());
        }
        self.one_key("the environment and the flags");
    }

    /// Refuses a source that has both the key and a file of it.
    fn one_key(&mut self, source: &str) {
        if self.texts.contains_key("key") && self.texts.contains_key("key_file") {
            self.texts.remove("key");
            self.fault(format!("key and key_file in {source}"), "give one of them");
        }
    }

    /// The value of this key, or the default. A fault is noted, and the default stands in for the rest of the reading.
    pub(super) fn read<T>(&mut self, key: &str, default: T, parse: impl FnOnce(&str) -> Result<T, String>) -> T {
        let Some(given) = self.texts.remove(key) else { return default };
        match parse(&given.text) {
            Ok(value) => value,
            Err(message) => {
                self.fault(given.source, message);
                default
            }
        }
    }

    /// The path of this key, or the default, where there is one.
    pub(super) fn path(&mut self, key: &str, default: impl FnOnce() -> Result<PathBuf, &'static str>) -> PathBuf {
        match self.texts.remove(key).map_or_else(default, |given| Ok(given.text.into())) {
            Ok(path) => path,
            Err(message) => {
                self.fault(key, message);
                PathBuf::new()
            }
        }
    }

    /// The text of this key, which needs no parsing.
    pub(super) fn take(&mut self, key: &str) -> Option<String> {
        self.texts.remove(key).map(|given| given.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_of_inbound_access_is_in_its_guide() {
        let guide = include_str!("../../../docs/access.md");
        for (key, _) in KEYS {
            if let Some(name) = key.strip_prefix("access.").or_else(|| key.strip_prefix("audit.")) {
                assert!(guide.contains(&format!("\n| `{name}` |")), "docs/access.md doesn't tell of {key}");
            }
        }
    }
}
