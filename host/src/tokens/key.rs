//! What a token is kept under: an integration and, where a caller asked for others than its own, a set of scopes.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::name::{Name, NameError};

/// An integration and a set of scopes, as one text: `crm`, or `crm read write`. Cheap to clone.
///
/// A plain integration name is the key of its default token, so that the hot path looks it up as it stands in the URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenKey(Arc<str>);

impl TokenKey {
    /// The integration's default token.
    pub fn of(integration: &Name) -> Self {
        Self(integration.as_ref().into())
    }

    /// The token with these space-separated scopes. Their order and repetition don't matter; none means the default token.
    pub fn with_scopes(integration: &Name, scopes: &str) -> Self {
        let mut words: Vec<&str> = scopes.split_ascii_whitespace().collect();
        words.sort_unstable();
        words.dedup();
        words.insert(0, integration.as_ref());
        Self(words.join(" ").into())
    }

    /// The key as one text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The integration's name.
    pub fn integration(&self) -> &str {
        self.0.split_once(' ').map_or(&*self.0, |(name, _)| name)
    }

    /// The scopes asked for, if they aren't the integration's own.
    pub fn scopes(&self) -> Option<&str> {
        self.0.split_once(' ').map(|(_, scopes)| scopes)
    }

    /// A short text for the scopes that fits into a record's key.
    pub(super) fn slot(&self) -> String {
        self.scopes().map_or_else(
            || "default".to_owned(),
            |scopes| hex::encode(Sha256::digest(scopes.as_bytes()).get(..16).unwrap_or_default()),
        )
    }
}

impl FromStr for TokenKey {
    type Err = NameError;

    /// From its text.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (name, scopes) = text.split_once(' ').unwrap_or((text, ""));
        Ok(Self::with_scopes(&name.parse()?, scopes))
    }
}

impl Borrow<str> for TokenKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_a_set() {
        let name: Name = "crm".parse().unwrap();
        let key = TokenKey::with_scopes(&name, " write read  write ");
        assert_eq!(key.to_string(), "crm read write");
        assert_eq!((key.integration(), key.scopes()), ("crm", Some("read write")));
        assert_eq!(TokenKey::with_scopes(&name, " "), TokenKey::of(&name));
        assert_eq!(TokenKey::of(&name).slot(), "default");
        assert_ne!(key.slot(), TokenKey::with_scopes(&name, "read").slot());
    }
}
