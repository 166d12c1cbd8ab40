//! Digests of tokens, the only form in which they are kept, and the peppers that key them.
//!
//! A pepper comes out of the installation's root key and a number; only the number is stored. A retired pepper's digests
//! can go on being accepted until a stated date. Which one a digest was made under stands beside it, so that there is one
//! comparison and never a search.

use std::sync::Arc;

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::error::AccessError;
use crate::seal::Keyring;
use crate::store::table::{Page, Table};
use crate::store::{Batch, Store, StoreError};

/// Retired peppers, by number.
const PEPPERS: Table<RetiredPepper> = Table::new("pepper");
/// More peppers than anyone retires; a bound for reading them.
const MOST_PEPPERS: usize = 1000;

/// The number of a pepper; 0 is the first one.
pub(super) type PepperId = u32;

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

/// A pepper that makes no digests any more.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct RetiredPepper {
    /// When it was retired.
    retired_at: DateTime<Utc>,
    /// Until when its digests are accepted, where the settings allow that at all.
    accept_until: DateTime<Utc>,
}

/// One pepper: HMAC-SHA256 (RFC 2104) with a key that is not in the database, so that a stolen database can't even tell
/// whether a token found elsewhere is among its own.
#[derive(Clone)]
struct Pepper {
    /// Its number.
    id: PepperId,
    /// The keyed function.
    mac: Hmac<Sha256>,
    /// Until when its digests are accepted; none for the one in use.
    accept_until: Option<DateTime<Utc>>,
}

/// The peppers there are, the one in use last.
pub(super) struct Peppers {
    /// Never empty.
    all: ArcSwap<Vec<Pepper>>,
}

impl Peppers {
    /// Reads them.
    pub(super) async fn open(store: &dyn Store, keyring: &Keyring) -> Result<Self, AccessError> {
        let retired = PEPPERS.list(store, &[], Page { limit: MOST_PEPPERS, ..Page::default() }).await?;
        let mut all = Vec::with_capacity(retired.len() + 1);
        for record in retired {
            let id = all.len() as PepperId;
            all.push(pepper(keyring, id, Some(record.value.accept_until))?);
        }
        all.push(pepper(keyring, all.len() as PepperId, None)?);
        Ok(Self { all: ArcSwap::from_pointee(all) })
    }

    /// The number of the one in use.
    pub(super) fn current(&self) -> PepperId {
        self.all.load().last().map_or(0, |pepper| pepper.id)
    }

    /// The number of the one in use; and when the one before was retired, and until when its digests are accepted.
    pub(super) async fn newest(
        &self,
        store: &dyn Store,
    ) -> Result<(PepperId, Option<(DateTime<Utc>, DateTime<Utc>)>), StoreError> {
        let page = Page { limit: 1, reverse: true, ..Page::default() };
        let last = PEPPERS.list(store, &[], page).await?.pop();
        Ok((self.current(), last.map(|last| (last.value.retired_at, last.value.accept_until))))
    }

    /// The digest under the one in use, and its number.
    pub(super) fn digest(&self, body: &[u8]) -> (PepperId, Digest) {
        let all = self.all.load();
        // There is always one.
        all.last().map_or((0, Digest::DECOY), |pepper| (pepper.id, pepper.digest(body)))
    }

    /// The digest under this one, in use or retired.
    pub(super) fn digest_under(&self, id: PepperId, body: &[u8]) -> Option<Digest> {
        self.all.load().get(id as usize).map(|pepper| pepper.digest(body))
    }

    /// Whether digests under this pepper are accepted now.
    pub(super) fn accepts(&self, id: PepperId, now: DateTime<Utc>, allow_retired: bool) -> bool {
        let until = self.all.load().get(id as usize).map(|pepper| pepper.accept_until);
        until.is_some_and(|until| until.is_none_or(|until| allow_retired && now < until))
    }

    /// Retires the pepper in use. Its digests are accepted until then, where the settings allow it.
    pub(super) async fn rotate(
        &self,
        store: &dyn Store,
        keyring: &Keyring,
        now: DateTime<Utc>,
        accept_until: DateTime<Utc>,
    ) -> Result<PepperId, AccessError> {
        let mut all = Vec::clone(&self.all.load());
        let Some(last) = all.last_mut() else { return Err(AccessError::Key) };
        last.accept_until = Some(accept_until);
        let key = crate::store::table::number(last.id.into());
        let mut batch = Batch::synced();
        PEPPERS.expect(&mut batch, &[&key], None);
        PEPPERS.put(&mut batch, &[&key], &RetiredPepper { retired_at: now, accept_until })?;
        store.commit(batch).await.map_err(|error| match error {
            StoreError::Conflict => AccessError::Changed,
            error => error.into(),
        })?;
        let id = all.len() as PepperId;
        all.push(pepper(keyring, id, None)?);
        self.all.store(Arc::new(all));
        Ok(id)
    }
}

impl Pepper {
    fn digest(&self, body: &[u8]) -> Digest {
        Digest(self.mac.clone().chain_update(body).finalize().into_bytes().into())
    }
}

/// The pepper of this number.
fn pepper(keyring: &Keyring, id: PepperId, accept_until: Option<DateTime<Utc>>) -> Result<Pepper, AccessError> {
    let purpose = match id {
        0 => "inbound token digest".to_owned(),
        id => format!("inbound token digest {id}"),
    };
    // Fails never: HMAC takes keys of any length.
    let mac = Hmac::new_from_slice(&*keyring.subkey(&purpose)).map_err(|_| AccessError::Key)?;
    Ok(Pepper { id, mac, accept_until })
}
