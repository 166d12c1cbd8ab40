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
