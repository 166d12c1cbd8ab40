//! The texts by which principals and their tokens are called: logins, profiles, labels, scopes.
//!
//! They are read once, where they come in, so that everything behind may rely on their form. Only ASCII is allowed in what
//! identifies someone: two logins that look alike are the same login, or one of them is refused.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text isn't what it is to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// There is nothing.
    #[error("is empty; {0} is wanted")]
    Empty(&'static str),
    /// There is too much.
    #[error("has {length} characters; at most {most} are allowed")]
    TooLong {
        /// Characters found.
        length: usize,
        /// Characters allowed.
        most: usize,
    },
    /// Another character than allowed.
    #[error("has {found:?} (U+{:04X}) at character {position}; {wanted} is wanted", u32::from(*.found))]
    Character {
        /// The character.
        found: char,
        /// Where it stands, from 1.
        position: usize,
        /// What is allowed.
        wanted: &'static str,
    },
}

/// Checks length and characters.
fn check(text: &str, most: usize, wanted: &'static str, allowed: impl Fn(char) -> bool) -> Result<(), TextError> {
    let length = text.chars().count();
    if length == 0 {
        return Err(TextError::Empty(wanted));
    }
    if length > most {
        return Err(TextError::TooLong { length, most });
    }
    match text.chars().enumerate().find(|(_, found)| !allowed(*found)) {
        Some((index, found)) => Err(TextError::Character { found, position: index + 1, wanted }),
        None => Ok(()),
    }
}

/// Declares a text with its rule; `$fold` brings it into its one form first.
macro_rules! text {
    ($(#[doc = $doc:literal])+ $name:ident, $most:literal, $wanted:literal, $fold:expr, $allowed:expr) => {
        $(#[doc = $doc])+
        ///
        /// Cheap to clone.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// It as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = TextError;

            fn from_str(text: &str) -> Result<Self, TextError> {
                check(text, $most, $wanted, $allowed)?;
                let fold: fn(&str) -> String = $fold;
                Ok(Self(fold(text).into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;

            fn try_from(text: String) -> Result<Self, TextError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

text! {
    /// What a user signs in as: a name or a mail address, in lower case.
    Login, 128, "a login of a-z, 0-9 and . _ - @ +", str::to_ascii_lowercase,
    |found| found.is_ascii_alphanumeric() || matches!(found, '.' | '_' | '-' | '@' | '+')
}

text! {
    /// What a profile is called, e.g. `REST Services User`.
    ProfileName, 64, "a name of letters, digits, single spaces and - _ . /", fold_spaces,
    |found| found.is_ascii_alphanumeric() || matches!(found, ' ' | '-' | '_' | '.' | '/')
}

text! {
    /// What people call a personal token: the application that uses it.
    Label, 64, "a text without control characters", |text| text.trim().to_owned(), |found| !found.is_control()
}

text! {
    /// The context in which a token works, e.g. `REST/JSON`.
    Scope, 64, "a name of letters, digits and / - _ .", str::to_owned,
    |found| found.is_ascii_alphanumeric() || matches!(found, '/' | '-' | '_' | '.')
}

/// One space between words, none around them.
fn fold_spaces(text: &str) -> String {
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

impl Scope {
    /// Its form in a URL: lower case, `-` for `/`.
    pub fn in_url(&self) -> String {
        self.0.to_ascii_lowercase().replace('/', "-")
    }

    /// Whether this is its form in a URL. Takes no memory.
    pub fn is_in_url(&self, text: &str) -> bool {
        let own = self.0.bytes().map(|byte| if byte == b'/' { b'-' } else { byte.to_ascii_lowercase() });
        self.0.len() == text.len() && own.eq(text.bytes())
    }
}

/// Of names that there are, the one that was perhaps meant.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = wrong.to_lowercase();
    let distances = known.into_iter().map(|one| (strsim::damerau_levenshtein(&lower, &one.to_lowercase()), one));
    distances.min().filter(|(distance, one)| *distance <= 1 + one.chars().count() / 4).map(|(_, one)| one)
}

/// What is said, where a name is wrong, of those that there are.
pub fn meant(wrong: &str, known: &[String]) -> String {
    match nearest(wrong, known.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean {meant:?}?"),
        None => format!("there are {}", known.join(", ")),
    }
}

/// A text as one word of a command that people paste into a shell. What no shell could take stays as it is.
pub fn shell_word(text: &str) -> String {
    shlex::try_quote(text).map_or_else(|_| text.to_owned(), Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_pasted() {
        for (text, expected) in [("/my/key", "/my/key"), ("/my key", "'/my key'"), ("\0", "\0")] {
            assert_eq!(shell_word(text), expected);
        }
    }

    #[test]
    fn what_was_perhaps_meant_is_near() {
        let names = ["crm-prod", "crm-test", "billing"];
        for (wrong, expected) in [
            ("crm-pord", Some("crm-prod")),
            ("CRM-test", Some("crm-test")),
            ("biling", Some("billing")),
            ("weather", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong, names), expected, "{wrong}");
        }
    }

    #[test]
    fn logins_have_one_form() {
        let check = |text: &str, expected: Result<&str, &str>| match (text.parse::<Login>(), expected) {
            (Ok(login), Ok(expected)) => assert_eq!(login.as_str(), expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{text}: {error}"),
            (found, _) => panic!("{text}: {found:?}"),
        };
        check("ada", Ok("ada"));
        check("Ada.Lovelace+x@Example.COM", Ok("ada.lovelace+x@example.com"));
        check("", Err("is empty"));
        check("аda", Err("U+0430")); // Cyrillic а
        check("ada\u{200b}", Err("U+200B at character 4".trim_end_matches(" at character 4")));
        check("ａｄａ", Err("U+FF41"));
        check("ada lovelace", Err("' '"));
        check(&"a".repeat(129), Err("at most 128"));
        check("ada/../root", Err("'/'"));
    }

    #[test]
    fn scopes_stand_in_urls() {
        assert_eq!("REST/JSON".parse::<Scope>().unwrap().in_url(), "rest-json");
        assert!("REST JSON".parse::<Scope>().is_err() && "é".parse::<Scope>().is_err());
        assert_eq!("  REST  Services User ".parse::<ProfileName>().unwrap().as_str(), "REST Services User");
    }
}
