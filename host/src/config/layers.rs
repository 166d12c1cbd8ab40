//! The sources of settings, one over the other: every value as text, with where it was given. What a value means is said in
//! `config` itself.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::catalog::{self, SETTINGS, Shape};
use super::origin::{Origin, Resolved};
use super::{ConfigFault, Overrides};

/// The ways to give the master key in use: itself, a file, a command.
const KEY: [&str; 3] = ["key", "key_file", "key_command"];
/// The ways to give the one that is to take its place.
const KEY_NEXT: [&str; 3] = ["key_next", "key_next_file", "key_next_command"];

/// A value and where it was given.
struct Given {
    /// As text, whatever it was.
    text: String,
    /// Where.
    origin: Origin,
}

/// The sources, merged, and what was wrong with them.
#[derive(Default)]
pub(super) struct Layers {
    /// By key, the value that won.
    texts: BTreeMap<&'static str, Given>,
    /// What was wrong so far.
    pub(super) faults: Vec<ConfigFault>,
}

/// A file that is read.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    /// The place of a byte in it.
    fn place(&self, at: usize) -> Origin {
        let before = self.text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
        Origin::File { path: self.path.to_owned(), line, column }
    }
}

impl Layers {
    /// Sets a value over an earlier source's. The master key and its file are one choice: a later source's wins over both.
    fn set(&mut self, key: &'static str, text: String, origin: Origin) {
        self.texts.insert(key, Given { text, origin });
    }

    /// Notes a fault.
    pub(super) fn fault(&mut self, key: impl Into<String>, origin: Option<Origin>, message: impl Into<String>) {
        self.faults.push(ConfigFault { key: key.into(), origin, message: message.into() });
    }

    /// Reads the TOML file. Of syntax errors the place and the rule are told, not what stands there: it may be the key.
    pub(super) fn read_file(&mut self, path: &Path) {
        let file = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return self.fault(file, None, format!("can't be read: {error}")),
        };
        let source = Source { path, text: &text };
        let (table, errors) = DeTable::parse_recoverable(&text);
        let mut lines = Vec::new();
        for error in &errors {
            let place = source.place(error.span().map_or(0, |span| span.start));
            // What follows from the first one on a line says nothing more.
            if let Origin::File { line, .. } = &place
                && !lines.contains(line)
            {
                lines.push(*line);
                self.fault(format!("line {line}"), Some(place), format!("no valid TOML: {}", error.message()));
            }
        }
        if errors.is_empty() {
            self.read_table("", table.get_ref(), &source);
            self.one_key(&file);
        }
    }

    /// Reads a table and those in it. `access.x.y` is the same key whether it is written with dots or as a table.
    fn read_table(&mut self, prefix: &str, table: &DeTable<'_>, source: &Source<'_>) {
        for (leaf, value) in table {
            let key = format!("{prefix}{}", leaf.get_ref());
            let inner = format!("{key}.");
            match value.get_ref() {
                DeValue::Table(table) if SETTINGS.iter().any(|setting| setting.key.starts_with(&inner)) => {
                    self.read_table(&inner, table, source);
                }
                _ => self.read_value(&key, leaf.span().start, value, source),
            }
        }
    }

    fn read_value(&mut self, key: &str, at: usize, value: &Spanned<DeValue<'_>>, source: &Source<'_>) {
        let Some(setting) = catalog::setting(key) else {
            return self.fault(key, Some(source.place(at)), unknown(key));
        };
        let place = source.place(value.span().start);
        let (text, wanted) = match (setting.shape, value.get_ref()) {
            (Shape::Text, DeValue::String(text)) => (Some(text.to_string()), ""),
            (Shape::Text, _) => (None, "must be a string"),
            (Shape::Choices, DeValue::String(text)) => (Some(text.replace('|', ",")), ""),
            (Shape::List | Shape::Choices, DeValue::Array(items)) => {
                let items: Option<Vec<&str>> = items.iter().map(|item| item.get_ref().as_str()).collect();
                (items.map(|items| items.join(",")), "must be an array of strings")
            }
            (Shape::List, _) => (None, "must be an array of strings"),
            (Shape::Command, DeValue::Array(items)) => {
                let items: Option<Vec<&str>> = items.iter().map(|item| item.get_ref().as_str()).collect();
                let joined = items.and_then(|items| shlex::try_join(items).ok());
                (joined, "must be an array of strings: a program and its arguments")
            }
            (Shape::Command, _) => (None, "must be an array of strings: a program and its arguments"),
            (Shape::Choices, _) => (None, "must be an array of strings, or a string with | between words"),
            (Shape::Flag, DeValue::Boolean(flag)) => (Some(flag.to_string()), ""),
            (Shape::Flag, _) => (None, "must be true or false"),
            (Shape::Number, value) => (integer(value), "must be a number"),
            (Shape::Ratio, DeValue::Float(number)) => (Some(number.as_str().to_owned()), ""),
            (Shape::Ratio, value) => (integer(value), "must be a number"),
            (Shape::Numbers, DeValue::Array(items)) => {
                let items: Option<Vec<String>> = items.iter().map(|item| integer(item.get_ref())).collect();
                (items.map(|items| items.join(",")), "must be an array of numbers")
            }
            (Shape::Numbers, _) => (None, "must be an array of numbers"),
        };
        match text {
            Some(text) => self.set(setting.key, text, place),
            None => self.fault(key, Some(place), wanted),
        }
    }

    /// Reads flags and environment, which clap has merged; an empty variable is an unset one.
    pub(super) fn read_overrides(&mut self, overrides: &Overrides, environment: &dyn Fn(&str) -> Option<OsString>) {
        let given = [
            ("data", &overrides.data),
            ("listen", &overrides.listen),
            ("public_url", &overrides.public_url),
            ("flows", &overrides.flows),
            ("egress.allow", &overrides.egress_allow),
            ("egress.http", &overrides.egress_http),
            ("public", &overrides.public),
            ("connections", &overrides.connections),
            ("log.level", &overrides.log_level),
            ("log.format", &overrides.log_format),
        ];
        for (key, text) in given {
            if let Some(text) = text.as_ref().filter(|text| !text.is_empty()) {
                self.set(key, text.clone(), overridden(key, text, environment));
            }
        }
        // The standard variable of OpenTelemetry, under which whole machines are told where their collector is.
        const OTLP: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        if let Some(endpoint) = environment(OTLP) {
            let endpoint = endpoint.to_string_lossy().into_owned();
            self.set("telemetry.otlp_endpoint", endpoint, Origin::Environment(OTLP));
        }

        let given = [&overrides.key_file, &overrides.key_command];
        self.read_key(&KEY, given, "TOKENHOST_KEY", environment);
        let given = [&overrides.key_next_file, &overrides.key_next_command];
        self.read_key(&KEY_NEXT, given, "TOKENHOST_KEY_NEXT", environment);
        self.one_key("the environment and the flags");
    }

    /// Reads the ways in which the environment and the flags give one master key. Any of them overrides all of the file's.
    fn read_key(
        &mut self,
        ways: &[&'static str; 3],
        [file, command]: [&Option<String>; 2],
        variable: &'static str,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) {
        let itself = environment(variable).map(|key| key.to_string_lossy().into_owned());
        let given = [itself, file.clone(), command.clone()].map(|text| text.filter(|text| !text.is_empty()));
        if given.iter().any(Option::is_some) {
            ways.iter().for_each(|way| drop(self.texts.remove(way)));
        }
        for (way, text) in ways.iter().zip(given) {
            let Some(text) = text else { continue };
            let origin = match *way == ways[0] {
                true => Origin::Environment(variable),
                false => overridden(way, &text, environment),
            };
            self.set(way, text, origin);
        }
    }

    /// Refuses a source that gives a master key in several ways.
    fn one_key(&mut self, source: &str) {
        for ways in [&KEY, &KEY_NEXT] {
            let given: Vec<&str> = ways.iter().copied().filter(|way| self.texts.contains_key(way)).collect();
            if given.len() > 1 {
                given.iter().skip(1).for_each(|way| drop(self.texts.remove(way)));
                self.fault(format!("{} in {source}", given.join(" and ")), None, "give one of them");
            }
        }
    }

    /// All settings as they were given, before any of them is read. What depends on the machine is empty.
    pub(super) fn resolved(&self) -> Vec<Resolved> {
        let resolved = SETTINGS.iter().map(|setting| match self.texts.get(setting.key) {
            Some(given) => Resolved::new(setting, &given.text, given.origin.clone()),
            None => Resolved::new(setting, setting.fixed_default().unwrap_or_default(), Origin::Default),
        });
        resolved.collect()
    }

    /// The value of this key, or the default. A fault is noted, and the default stands in for the rest of the reading.
    pub(super) fn read<T>(&mut self, key: &str, default: T, parse: impl FnOnce(&str) -> Result<T, String>) -> T {
        let Some(given) = self.texts.remove(key) else { return default };
        match parse(&given.text) {
            Ok(value) => value,
            Err(message) => {
                self.fault(key, Some(given.origin), message);
                default
            }
        }
    }

    /// The path of this key, or the default, where there is one.
    pub(super) fn path(&mut self, key: &str, default: impl FnOnce() -> Result<PathBuf, &'static str>) -> PathBuf {
        let given = self.texts.remove(key);
        let origin = given.as_ref().map(|given| given.origin.clone());
        match given.map(|given| given.text) {
            Some(text) if text.is_empty() => {
                self.fault(key, origin, "is empty; give a path, or leave it out");
                PathBuf::new()
            }
            Some(text) => text.into(),
            None => default().unwrap_or_else(|message| {
                self.fault(key, None, message);
                PathBuf::new()
            }),
        }
    }

    /// The text of this key, which needs no parsing.
    pub(super) fn take(&mut self, key: &str) -> Option<String> {
        self.texts.remove(key).map(|given| given.text)
    }
}

/// Whether a value that clap merged comes from the environment or a flag. Where both say the same, the environment is named.
fn overridden(key: &str, text: &str, environment: &dyn Fn(&str) -> Option<OsString>) -> Origin {
    let setting = catalog::setting(key);
    let variable = setting.and_then(|setting| setting.variable);
    match variable.filter(|variable| environment(variable).is_some_and(|value| value == text)) {
        Some(variable) => Origin::Environment(variable),
        None => Origin::Flag(setting.and_then(catalog::Setting::flag).unwrap_or_default()),
    }
}

/// An integer as it is written in decimal.
fn integer(value: &DeValue<'_>) -> Option<String> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
}

/// What is said of a key that there isn't: the one that was perhaps meant, or all.
fn unknown(key: &str) -> String {
    let distance = |known: &str| {
        let leaf = known.rsplit('.').next().unwrap_or(known);
        strsim::damerau_levenshtein(key, known).min(strsim::damerau_levenshtein(key, leaf) + 1)
    };
    let nearest = SETTINGS.iter().map(|setting| (distance(setting.key), setting.key)).min();
    match nearest.filter(|(distance, known)| *distance <= 1 + known.len() / 4) {
        Some((_, known)) => format!("no such setting; `{known}` is one"),
        None => {
            let known: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
            format!("no such setting; there are {}", known.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_names_the_one_that_was_meant() {
        let check = |key: &str, expected: &str| assert!(unknown(key).contains(expected), "{key}: {}", unknown(key));
        check("listn", "`listen` is one");
        check("egres.allow", "`egress.allow`");
        check("login_debug", "`access.login_debug`");
        check("log.levle", "`log.level`");
        check("something_else", "there are data, listen");
    }

    #[test]
    fn every_setting_of_inbound_access_is_in_its_guide() {
        let guide = include_str!("../../../docs/access.md");
        for key in SETTINGS.iter().map(|setting| setting.key) {
            if let Some(name) = key.strip_prefix("access.").or_else(|| key.strip_prefix("audit.")) {
                assert!(guide.contains(&format!("\n| `{name}` |")), "docs/access.md doesn't tell of {key}");
            }
        }
    }
}
