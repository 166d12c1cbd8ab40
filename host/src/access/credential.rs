//! The credential of a token: digests of its value and of earlier ones. What both kinds of token have in common.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::digest::{Digest, PepperId, Peppers};
use super::token::{self, Presented, TokenId, TokenKind};

/// Earlier values whose digests are kept, so that a refusal can say that a token was rebuilt.
const EARLIER_VALUES: usize = 8;

/// Digests of a token's value and of earlier ones.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Credential {
    /// The value's digest.
    pub(super) digest: Digest,
    /// The pepper that it was made under.
    #[serde(default)]
    pub(super) pepper: PepperId,
    /// When the value was last replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rebuilt_at: Option<DateTime<Utc>>,
    /// Earlier values, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<Earlier>,
}

/// A value that was replaced.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Earlier {
    /// Its digest.
    digest: Digest,
    /// The pepper that it was made under.
    #[serde(default)]
    pepper: PepperId,
    /// Until when it works nevertheless.
    valid_until: DateTime<Utc>,
}

/// Which value of a token was presented.
#[derive(Clone, Copy, Debug)]
pub(super) enum Presentation {
    /// Its value, with the digest it is known by and the pepper of that.
    Current(PepperId, Digest),
    /// An earlier one, good until then.
    InGrace(PepperId, Digest, DateTime<Utc>),
    /// An earlier one, no longer good.
    Rebuilt,
    /// None of them.
    Wrong,
}

impl Credential {
    /// The credential of a new token, and the token, which is shown once and kept nowhere.
    pub(super) fn generate(peppers: &Peppers, kind: TokenKind, id: &TokenId) -> (Self, SecretString) {
        let (pepper, digest, secret) = new_value(peppers, kind, id);
        (Self { digest, pepper, rebuilt_at: None, earlier: Vec::new() }, secret)
    }

    /// What no value matches, to compare with where there is no token.
    pub(super) fn decoy(peppers: &Peppers) -> Self {
        Self { digest: Digest::DECOY, pepper: peppers.current(), rebuilt_at: None, earlier: Vec::new() }
    }

    /// Replaces the value. The old one works until then, which may be now.
    pub(super) fn rebuild(
        &mut self,
        peppers: &Peppers,
        kind: TokenKind,
        id: &TokenId,
        now: DateTime<Utc>,
        valid_until: DateTime<Utc>,
    ) -> SecretString {
        let (pepper, digest, secret) = new_value(peppers, kind, id);
        // Whoever rebuilds because the value leaked ends every value before it, too.
        for earlier in &mut self.earlier {
            earlier.valid_until = earlier.valid_until.min(valid_until);
        }
        self.earlier.push(Earlier { digest: self.digest, pepper: self.pepper, valid_until });
        let surplus = self.earlier.len().saturating_sub(EARLIER_VALUES);
        self.earlier.drain(..surplus);
        (self.digest, self.pepper, self.rebuilt_at) = (digest, pepper, Some(now));
        secret
    }

    /// Which of the token's values was presented. All are compared, whatever the outcome of the first.
    pub(super) fn compare(&self, peppers: &Peppers, presented: &Presented<'_>, now: DateTime<Utc>) -> Presentation {
        let matches = |pepper: PepperId, digest: &Digest| {
            let found = peppers.digest_under(pepper, presented.body).unwrap_or(Digest::DECOY);
            found.matches(digest).then_some(found)
        };
        let current = matches(self.pepper, &self.digest);
        let earlier = self.earlier.iter().fold(None, |found, earlier| {
            let digest = matches(earlier.pepper, &earlier.digest);
            digest.map(|digest| (earlier, digest)).or(found)
        });
        match (current, earlier) {
            (Some(digest), _) => Presentation::Current(self.pepper, digest),
            (None, Some((earlier, digest))) if now < earlier.valid_until => {
                Presentation::InGrace(earlier.pepper, digest, earlier.valid_until)
            }
            (None, Some(_)) => Presentation::Rebuilt,
            (None, None) => Presentation::Wrong,
        }
    }
}

fn new_value(peppers: &Peppers, kind: TokenKind, id: &TokenId) -> (PepperId, Digest, SecretString) {
    let secret = token::with_id(kind, id);
    // What was just made is in the right form.
    let body = token::parse(secret.expose_secret()).map(|presented| presented.body).unwrap_or_default();
    let (pepper, digest) = peppers.digest(body);
    (pepper, digest, secret)
}
