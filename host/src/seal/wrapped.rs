//! Keys as they are stored: each wrapped by the master key, and by two of them while that is being replaced.
//!
//! It knows the form of the records. When a wrapping comes and goes is the business of `custody`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{KEY_BYTES, KeyId, MasterKey, SealError, Sealed, bound_to};
use crate::store::table::{Page, Table, Versioned};
use crate::store::{Batch, Store, StoreError};

/// Wrapped keys, under [`ROOT`] or a data key's number in decimal.
pub(super) const KEYS: Table<WrappedKey> = Table::new("key");
/// The root that other keys are derived from; it never rotates.
pub(super) const ROOT: &str = "root";
/// The key id that wrapped keys name: the master key's.
const MASTER: KeyId = 0;
/// More keys than anyone rotates to; a bound for reading them.
const MAX_KEYS: usize = 10_000;

/// Bytes of a key, cleared when dropped.
pub(super) type Bare = Zeroizing<[u8; KEY_BYTES]>;

/// A key as it is stored.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct WrappedKey {
    /// Under the master key in use.
    #[serde(flatten)]
    pub(super) present: Wrapping,
    /// Under the one that takes its place, from the rotation until that is finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<Wrapping>,
    /// When the key itself was made, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) made_at: Option<DateTime<Utc>>,
}

/// A key under one master key.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Wrapping {
    /// The id of the master key.
    pub(super) master: String,
    /// The key, sealed with the master key.
    wrapped: Sealed,
    /// Since when this master key wraps keys here, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<DateTime<Utc>>,
}

impl Wrapping {
    /// Wraps the key of this name.
    pub(super) fn wrap(
        id: &str,
        key: &[u8; KEY_BYTES],
        master: &MasterKey,
        since: Option<DateTime<Utc>>,
    ) -> Result<Self, SealError> {
        let wrapped = Sealed::seal(&master.cipher(), MASTER, &place_of(id), key)?;
        Ok(Self { master: master.id(), wrapped, since })
    }

    /// Unwraps the key of this name.
    fn unwrap(&self, id: &str, master: &MasterKey) -> Result<Bare, SealError> {
        let opened = self.wrapped.open(&master.cipher(), &place_of(id))?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        if opened.len() != KEY_BYTES {
            return Err(SealError::Altered);
        }
        key.copy_from_slice(&opened);
        Ok(key)
    }
}

impl WrappedKey {
    /// A new key of this name under the master key in use.
    pub(super) fn new(
        id: &str,
        key: &[u8; KEY_BYTES],
        master: &MasterKey,
        now: DateTime<Utc>,
    ) -> Result<Self, SealError> {
        Ok(Self { present: Wrapping::wrap(id, key, master, Some(now))?, next: None, made_at: Some(now) })
    }

    /// Unwraps the key of this name, with either master key.
    pub(super) fn open(&self, id: &str, master: &MasterKey) -> Result<Bare, SealError> {
        let own = master.id();
        let fits = std::iter::once(&self.present).chain(&self.next).find(|wrapping| wrapping.master == own);
        match fits {
            Some(wrapping) => wrapping.unwrap(id, master),
            None => Err(SealError::WrongMasterKey {
                origin: master.origin().to_owned(),
                found: own,
                needed: match &self.next {
                    Some(next) => format!("{} or {}", self.present.master, next.master),
                    None => self.present.master.clone(),
                },
            }),
        }
    }
}

/// All wrapped keys as they were read, by name.
pub(super) async fn read(store: &dyn Store) -> Result<BTreeMap<String, Versioned<WrappedKey>>, StoreError> {
    let records = KEYS.list(store, &[], Page { limit: MAX_KEYS, ..Page::default() }).await?;
    Ok(records.into_iter().map(|record| (record.key.first().cloned().unwrap_or_default(), record)).collect())
}

/// The number of the data key of this name; none for the root.
pub(super) fn number(id: &str) -> Result<Option<KeyId>, SealError> {
    match id {
        ROOT => Ok(None),
        id => id.parse().map(Some).map_err(|_| SealError::Malformed("the number of a data key isn't one")),
    }
}

/// Adds a new key to a batch.
pub(super) fn add(batch: &mut Batch, id: &str, record: &WrappedKey) -> Result<(), SealError> {
    KEYS.expect(batch, &[id], None);
    KEYS.put(batch, &[id], record)?;
    Ok(())
}

/// Adds the writing of a key over what was read to a batch.
pub(super) fn replace(batch: &mut Batch, id: &str, read: &Versioned<WrappedKey>) -> Result<(), SealError> {
    KEYS.expect(batch, &[id], Some(read.revision));
    KEYS.put(batch, &[id], &read.value)?;
    Ok(())
}

/// Adds the removal of a key that was read to a batch.
pub(super) fn remove(batch: &mut Batch, id: &str, read: &Versioned<WrappedKey>) {
    KEYS.expect(batch, &[id], Some(read.revision));
    KEYS.remove(batch, &[id]);
}

/// The place that a wrapped key is bound to.
fn place_of(id: &str) -> Vec<u8> {
    bound_to(&KEYS.key(&[id]), "wrapped")
}
