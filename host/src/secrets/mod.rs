//! The secrets of one integration, by name, and text cleaned of them. Knows nothing of where they are kept.

mod cleaner;
mod encodings;

use std::collections::BTreeMap;

use secrecy::SecretString;

pub use self::cleaner::Cleaner;

/// What is a further value of a secret, by its name: `client_secret.2` is the second value of `client_secret`. There are 2
/// to 9.
pub fn further(name: &str) -> Option<(&str, u8)> {
    let (first, number) = name.rsplit_once('.')?;
    match number.as_bytes() {
        [digit @ b'2'..=b'9'] => Some((first, digit - b'0')),
        _ => None,
    }
}

/// Secret values by name: fields (`client_secret`) and parts of the present token (`token.refresh_token`).
#[derive(Clone, Debug, Default)]
pub struct Secrets(BTreeMap<String, SecretString>);

impl Secrets {
    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&SecretString> {
        self.0.get(name)
    }

    /// Sets a value.
    pub fn insert(&mut self, name: impl Into<String>, value: SecretString) {
        self.0.insert(name.into(), value);
    }

    /// Takes a value out.
    pub fn remove(&mut self, name: &str) -> Option<SecretString> {
        self.0.remove(name)
    }

    /// The names that are set, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Names and values, in order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SecretString)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
