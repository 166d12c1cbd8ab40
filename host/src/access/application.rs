//! The record of an application token. The token itself is in no record, only its digest.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::rights::{self, Rights};
use super::token::{TokenId, TokenKind};
use super::{Principal, PrincipalKind};
use crate::name::Name;
use crate::seal::Keyring;
use crate::store::table::Table;

/// Application tokens, by their public id: what one read finds.
pub(super) const TOKENS: Table<ApplicationToken> = Table::new("application-token");
/// The public id of an application's token, by the application's name, which is unique.
pub(super) const NAMES: Table<String> = Table::new("application");

/// An application token, as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ApplicationToken {
    /// The application's name.
    pub(super) name: Name,
    /// The token's digest.
    pub(super) digest: Digest,
    /// Named sets of rights.
    pub(super) profiles: Vec<String>,
    /// When it was made.
    pub(super) created_at: DateTime<Utc>,
    /// When its value was last replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rebuilt_at: Option<DateTime<Utc>>,
}

impl ApplicationToken {
    /// Who presents it.
    pub(super) fn principal(&self, id: &TokenId) -> Principal {
        let rights = self.profiles.iter().fold(Rights::NONE, |set, profile| set.union(rights::of_profile(profile)));
        Principal {
            kind: PrincipalKind::Application,
            name: self.name.clone(),
            token_kind: TokenKind::Application,
            token_id: *id,
            rights,
        }
    }
}

/// The keyed digest of a token. It compares in constant time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// A digest that no token has (but for one in 2^256), to compare with where there is no record.
    pub(super) const DECOY: Self = Self([0; 32]);

    /// Whether both are the same.
    pub(super) fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        hex::encode(digest.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest).map(|()| Self(digest))
    }
}

/// Digests tokens: HMAC-SHA256 (RFC 2104) with a key that is not in the database, so that a stolen database can't even
/// tell whether a token found elsewhere is among its own.
#[derive(Clone)]
pub(super) struct Digester(Hmac<Sha256>);

impl Digester {
    /// The digester of this installation. `None` can't happen: HMAC takes keys of any length.
    pub(super) fn new(keyring: &Keyring) -> Option<Self> {
        Hmac::new_from_slice(&*keyring.subkey("inbound token digest")).ok().map(Self)
    }

    /// The digest of a token without its checksum.
    pub(super) fn digest(&self, body: &[u8]) -> Digest {
        Digest(self.0.clone().chain_update(body).finalize().into_bytes().into())
    }
}
