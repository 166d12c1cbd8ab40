//! What a token is kept under: an integration and, where they aren't its own, a scheme and a set of scopes.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::integrations::Integration;
use crate::name::{Name, NameError};

/// What stands in a scheme's name as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// An integration, one of its schemes and a set of scopes, as one text: `crm`, `crm read write`, or `crm/api_key`. Cheap to
/// clone.
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
        Self::of_parts(integration.as_ref(), None, scopes)
    }

    /// The same for a scheme of this integration: its first one's token is the default token.
    pub fn for_scheme(integration: &Integration, scheme: &str, scopes: &str) -> Self {
        let further = Some(scheme).filter(|scheme| *scheme != integration.scheme);
        Self::of_parts(integration.name.as_ref(), further, scopes)
    }

    fn of_parts(integration: &str, scheme: Option<&str>, scopes: &str) -> Self {
        let mut text = integration.to_owned();
        if let Some(scheme) = scheme {
            text.push('/');
            text.extend(utf8_percent_encode(scheme, PLAIN));
        }
        let mut words: Vec<&str> = scopes.split_ascii_whitespace().collect();
        words.sort_unstable();
        words.dedup();
        words.insert(0, &text);
        Self(words.join(" ").into())
    }

    /// The key as one text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The integration and the scheme, as one text.
    fn owner(&self) -> &str {
        self.0.split_once(' ').map_or(&*self.0, |(owner, _)| owner)
    }

    /// The integration's name.
    pub fn integration(&self) -> &str {
        self.owner().split_once('/').map_or(self.owner(), |(name, _)| name)
    }

    /// The scheme, if it isn't the integration's first one.
    pub fn scheme(&self) -> Option<Cow<'_, str>> {
        let (_, scheme) = self.owner().split_once('/')?;
        Some(percent_decode_str(scheme).decode_utf8_lossy())
    }

    /// The scopes asked for, if they aren't the integration's own.
    pub fn scopes(&self) -> Option<&str> {
        self.0.split_once(' ').map(|(_, scopes)| scopes)
    }

    /// Whether it is the integration's default token.
    pub fn is_default(&self) -> bool {
        self.0.len() == self.integration().len()
    }

    /// A short text for scheme and scopes that fits into a record's key.
    pub(super) fn slot(&self) -> String {
        let of_first = self.scheme().is_none();
        match self.scopes() {
            None if of_first => "default".to_owned(),
            Some(scopes) if of_first => short(scopes),
            _ => short(self.0.get(self.integration().len()..).unwrap_or_default()),
        }
    }
}

/// A digest of a text, short enough for a record's key.
fn short(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()).get(..16).unwrap_or_default())
}

impl FromStr for TokenKey {
    type Err = NameError;

    /// From its text.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (owner, scopes) = text.split_once(' ').unwrap_or((text, ""));
        let (name, scheme) = owner.split_once('/').map_or((owner, None), |(name, scheme)| (name, Some(scheme)));
        let scheme = scheme.map(|scheme| percent_decode_str(scheme).decode_utf8_lossy());
        Ok(Self::of_parts(name.parse::<Name>()?.as_ref(), scheme.as_deref(), scopes))
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

    #[test]
    fn a_scheme_may_have_any_name() {
        let slots: std::collections::BTreeSet<String> = ["a b/c", "a", "b", "\u{e9}%20"]
            .map(|scheme| {
                let key = TokenKey::of_parts("crm", Some(scheme), "w r");
                assert_eq!((key.integration(), key.scheme().as_deref()), ("crm", Some(scheme)), "{key}");
                assert_eq!(key.scopes(), Some("r w"));
                assert_eq!(key.text().parse::<TokenKey>().unwrap(), key);
                assert!(!key.is_default());
                key.slot()
            })
            .into();
        assert_eq!(slots.len(), 4);
        let plain = TokenKey::of(&"crm".parse().unwrap());
        assert!(plain.is_default() && plain.scheme().is_none());
    }
}
