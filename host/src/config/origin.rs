//! Where the value of a setting comes from, and what all settings are with that: for people, and to compare two readings.
//!
//! Secrets are held as digests, which are compared and never shown.

use std::fmt;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use super::catalog::{Change, Setting};

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere.
    Default,
    /// In the file.
    File {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
    },
    /// In this variable.
    Environment(&'static str),
    /// In this flag.
    Flag(String),
}

impl Origin {
    /// What kind of place it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File { .. } => "file",
            Self::Environment(_) => "environment",
            Self::Flag(_) => "flag",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Environment(variable) => f.write_str(variable),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// What a setting is.
#[derive(Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Which.
    pub setting: &'static Setting,
    /// Where that was given.
    pub origin: Origin,
    value: Value,
}

#[derive(Clone, PartialEq, Eq)]
enum Value {
    /// As text.
    Text(String),
    /// The digest of a secret that is set.
    Secret([u8; 32]),
    /// A secret that isn't.
    NoSecret,
}

impl Resolved {
    /// A setting with its value as text.
    pub(super) fn new(setting: &'static Setting, text: &str, origin: Origin) -> Self {
        let value = match (setting.secret, text) {
            (false, text) => Value::Text(text.to_owned()),
            (true, "") => Value::NoSecret,
            (true, secret) => Value::Secret(Sha256::digest(secret).into()),
        };
        Self { setting, origin, value }
    }

    /// The value as it may be shown: of a secret, whether it is set.
    pub fn shown(&self) -> &str {
        match &self.value {
            Value::Text(text) => text,
            Value::Secret(_) => "(set)",
            Value::NoSecret => "(not set)",
        }
    }

    /// Whether it is the same value, wherever it was given.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl fmt::Debug for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={} ({})", self.setting.key, self.shown(), self.origin)
    }
}

/// A setting that two readings differ in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which.
    pub setting: &'static Setting,
    /// What it was, as it may be shown.
    pub from: String,
    /// What it is.
    pub to: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.from, self.to)
    }
}

impl Difference {
    /// Whether a reload takes it.
    pub fn is_live(&self) -> bool {
        self.setting.change == Change::Reload
    }
}

/// What differs between two readings of the settings.
pub fn differences(old: &[Resolved], new: &[Resolved]) -> Vec<Difference> {
    let pairs = new.iter().filter_map(|new| {
        let old = old.iter().find(|old| old.setting.key == new.setting.key)?;
        (!old.is_same_as(new)).then(|| Difference {
            setting: new.setting,
            from: old.shown().to_owned(),
            to: new.shown().to_owned(),
        })
    });
    pairs.collect()
}
