//! Where master keys come from: the one in use, and the one that is to take its place. Reads none of them.

use std::path::PathBuf;

use secrecy::SecretString;

use super::layers::Layers;

/// What the next master key's file is called where nothing is said: as that of the one in use, with this behind its name.
const NEXT: &str = ".next";

/// Where a master key comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// A file; `init` makes it.
    File(PathBuf),
    /// The setting itself. Child processes don't get it.
    Given(SecretString),
    /// What a command prints: its name and its arguments.
    Command(Vec<String>),
}

impl KeySource {
    /// The source of the key in use.
    pub(super) fn read(layers: &mut Layers, default: impl FnOnce() -> Result<PathBuf, &'static str>) -> Self {
        if let Some(text) = layers.take("key") {
            return Self::Given(text.into());
        }
        match layers.read("key_command", None, |text| words(text).map(Some)) {
            Some(command) => Self::Command(command),
            None => Self::File(layers.path("key_file", default)),
        }
    }

    /// The source of the next key. Beside a key's file, a file of its own needs no saying.
    pub(super) fn read_next(layers: &mut Layers, present: &Self) -> Option<Self> {
        if let Some(text) = layers.take("key_next") {
            return Some(Self::Given(text.into()));
        }
        if let Some(command) = layers.read("key_next_command", None, |text| words(text).map(Some)) {
            return Some(Self::Command(command));
        }
        match (layers.take("key_next_file"), present) {
            (Some(path), _) => Some(Self::File(path.into())),
            (None, Self::File(path)) => {
                let mut beside = path.clone().into_os_string();
                beside.push(NEXT);
                Some(Self::File(beside.into()))
            }
            (None, Self::Given(_) | Self::Command(_)) => None,
        }
    }
}

/// A command's words, split as a shell does, without its expansions.
fn words(text: &str) -> Result<Vec<String>, String> {
    let words = shlex::split(text).ok_or("a quotation mark in it has no end")?;
    if words.first().is_some_and(|name| !name.is_empty()) { Ok(words) } else { Err("must name a program".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Overrides};
    use super::*;

    /// A source as text.
    fn told(source: Option<&KeySource>) -> String {
        match source {
            None => "none".to_owned(),
            Some(KeySource::File(path)) => format!("file {}", path.display()),
            Some(KeySource::Given(_)) => "given".to_owned(),
            Some(KeySource::Command(words)) => words.join("|"),
        }
    }

    #[test]
    fn one_source_of_each_key() {
        let folder = tempfile::tempdir().unwrap();
        let check =
            |file: &str, key_command: Option<&str>, variables: &[(&str, &str)], expected: Result<[&str; 2], &str>| {
                let path = folder.path().join("c.toml");
                std::fs::write(&path, file).unwrap();
                let command = key_command.map(str::to_owned);
                let overrides = Overrides { config: Some(path), key_command: command, ..Overrides::default() };
                let environment = |name: &str| match variables.iter().find(|(variable, _)| *variable == name) {
                    Some((_, value)) => Some((*value).into()),
                    None => (name == "HOME").then(|| "/h".into()),
                };
                match (Config::resolve(&overrides, &environment), expected) {
                    (Ok(config), Ok(expected)) => {
                        assert_eq!([told(Some(&config.key)), told(config.key_next.as_ref())], expected, "{file}");
                    }
                    (Err(error), Err(expected)) => {
                        assert!(error.to_string().contains(expected), "{error}");
                        assert!(!error.to_string().contains("hunter2"), "{error}");
                    }
                    (outcome, expected) => panic!("{file}: {outcome:?}, expected {expected:?}"),
                }
            };
        let default = "file /h/.config/tokenhost/master.key";
        let default_next = "file /h/.config/tokenhost/master.key.next";
        check("", None, &[], Ok([default, default_next]));
        check("key_file = '/k'", None, &[], Ok(["file /k", "file /k.next"]));
        check("key_command = ['kms', 'get key', \"it's\"]", None, &[], Ok(["kms|get key|it's", "none"]));
        check("key_command = ['a']\nkey_next_command = ['b', '']", None, &[], Ok(["a", "b|"]));
        check("key_file = '/k'", Some("kms 'a b' $HOME"), &[], Ok(["kms|a b|$HOME", "none"]));
        check("key_next_file = '/n'", None, &[("TOKENHOST_KEY", "hunter2")], Ok(["given", "file /n"]));
        check("key_next_file = '/n'", None, &[("TOKENHOST_KEY_NEXT", "hunter2")], Ok([default, "given"]));
        check("key_file = '/k'\nkey_command = ['a']", None, &[], Err("key_file and key_command in "));
        check(
            "key = 'hunter2'\nkey_file = '/k'\nkey_command = ['a']",
            None,
            &[],
            Err("key and key_file and key_command in "),
        );
        check("key_next = 'hunter2'\nkey_next_command = ['a']", None, &[], Err("key_next and key_next_command in "));
        let both = &[("TOKENHOST_KEY", "hunter2")];
        check("", Some("a"), both, Err("key and key_command in the environment and the flags"));
        check("key_command = 'kms get'", None, &[], Err("must be an array of strings: a program and its arguments"));
        check("key_command = []", None, &[], Err("must name a program"));
        check("", Some("kms 'open"), &[], Err("key_command (--key-command): a quotation mark"));
        check("", Some("''"), &[], Err("must name a program"));
    }
}
