//! What models, integrations and principals are called. A name is its thing's id, in URLs, keys and on the command line.
//!
//! It knows nothing of what is named, nor whether the name is taken.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A name: 1 to 64 of `a-z`, `0-9`, `-`, `_` and `.`, of which the first is a letter or a digit.
///
/// It needs no escaping in a URL, a file name or a shell, and sorts by its bytes. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

impl Name {
    /// The longest name, in characters (which are bytes too).
    pub const MAX_LENGTH: usize = 64;

    /// A name that is written in this program, which a test there holds against the rule.
    pub(crate) fn known(text: &'static str) -> Self {
        debug_assert!(check(text).is_ok(), "{text:?} is no name");
        Self(text.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is nothing.
    #[error("a name is 1 to 64 of a-z, 0-9, '-', '_' and '.'; this one is empty")]
    Empty,
    /// There is too much.
    #[error("a name has at most 64 characters; this one has {length}")]
    TooLong {
        /// Characters found.
        length: usize,
    },
    /// Another character than allowed.
    #[error("a name is made of a-z, 0-9, '-', '_' and '.'; found {found:?} at character {position}{}", lower_case_hint(*.found))]
    Character {
        /// The character.
        found: char,
        /// Where it stands, from 1.
        position: usize,
    },
    /// It starts with punctuation, which a command line or a path would misread.
    #[error("a name starts with a letter or a digit; this one starts with {found:?}")]
    Start {
        /// The first character.
        found: char,
    },
}

/// What to do where the only fault is the case.
fn lower_case_hint(found: char) -> &'static str {
    if found.is_ascii_uppercase() { " (names are in lower case)" } else { "" }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        // The length in characters, so that a few characters of many bytes are told which one is wrong.
        let length = text.chars().count();
        if length > Self::MAX_LENGTH {
            return Err(NameError::TooLong { length });
        }
        check(text)
    }
}

/// Checks the characters.
fn check(text: &str) -> Result<Name, NameError> {
    let first = text.chars().next().ok_or(NameError::Empty)?;
    for (index, found) in text.chars().enumerate() {
        if !matches!(found, 'a'..='z' | '0'..='9' | '-' | '_' | '.') {
            return Err(NameError::Character { found, position: index + 1 });
        }
    }
    if !first.is_ascii_alphanumeric() {
        return Err(NameError::Start { found: first });
    }
    Ok(Name(text.into()))
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl TryFrom<&str> for Name {
    type Error = NameError;

    fn try_from(text: &str) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.as_str().to_owned()
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(), &str>) {
        match (text.parse::<Name>(), expected) {
            (Ok(name), Ok(())) => assert_eq!(name.as_str(), text),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{text:?}: {error}"),
            (outcome, expected) => panic!("{text:?}: {outcome:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn what_is_a_name() {
        let (longest, long) = ("a".repeat(64), "a".repeat(65));
        for (text, expected) in [
            ("crm", Ok(())),
            ("crm-prod_2.eu", Ok(())),
            ("0", Ok(())),
            (longest.as_str(), Ok(())),
            (long.as_str(), Err("this one has 65")),
            ("", Err("is empty")),
            ("Crm", Err("found 'C' at character 1 (names are in lower case)")),
            ("c rm", Err("found ' ' at character 2")),
            ("crm/prod", Err("found '/' at character 4")),
            ("crm\0", Err("found '\\0' at character 4")),
            ("größe", Err("found 'ö' at character 3")),
            ("сrm", Err("at character 1")), // a Cyrillic letter that looks like a Latin one
            (&"é".repeat(40), Err("found 'é' at character 1")),
            (".hidden", Err("starts with '.'")),
            ("-flag", Err("starts with '-'")),
            ("..", Err("starts with '.'")),
        ] {
            check(text, expected);
        }
    }

    #[test]
    fn json_is_checked_too() {
        let name: Name = serde_json::from_str("\"crm\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"crm\"");
        assert!(serde_json::from_str::<Name>("\"CRM\"").unwrap_err().to_string().contains("lower case"));
    }
}
