//! Kinds of records that hold sealed values, as whoever seals them anew sees them. Each room offers its own.
//!
//! A record type says where its sealed values are and what each is bound to; everything else follows from that.

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::MutexGuard;

use super::{KeyId, Keyring, SealError, Sealed};
use crate::store::table::Table;
use crate::store::{Entry, Revision};

/// Gets what a value is bound to, and the value.
pub type Visit<'a> = dyn FnMut(&[u8], &mut Sealed) -> Result<(), SealError> + 'a;

/// A record with sealed values.
pub trait Sealing: Serialize + DeserializeOwned {
    /// Shows all of them. `key` are the parts of the record's key.
    ///
    /// # Errors
    /// What `visit` says.
    fn each_sealed(&mut self, key: &[String], visit: &mut Visit<'_>) -> Result<(), SealError>;

    /// Seals those anew that an older key sealed, and returns the key of each.
    ///
    /// # Errors
    /// A value can't be opened; then some are sealed anew and some aren't, which does no harm.
    fn seal_anew(&mut self, key: &[String], keyring: &Keyring) -> Result<Vec<KeyId>, SealError> {
        let mut older = Vec::new();
        self.each_sealed(key, &mut |bound, sealed| {
            if sealed.key_id() != keyring.current() {
                let anew = keyring.seal_anew(bound, sealed)?;
                older.push(std::mem::replace(sealed, anew).key_id());
            }
            Ok(())
        })?;
        Ok(older)
    }
}

/// What keeps records of a kind in memory.
#[async_trait]
pub trait Keeper: Send + Sync {
    /// Held while records are sealed anew: nobody changes one meanwhile.
    async fn hold(&self) -> MutexGuard<'_, ()>;

    /// A record has another revision now, and means what it meant.
    fn rewritten(&self, key: &[String], from: Revision, to: Revision);
}

/// One kind of record with sealed values.
#[async_trait]
pub trait Kind: Send + Sync {
    /// What people call it.
    fn name(&self) -> &'static str;

    /// What all keys of its records begin with.
    fn prefix(&self) -> Vec<u8>;

    /// The keys that a record's values are sealed with, one for each value.
    ///
    /// # Errors
    /// It isn't such a record.
    fn key_ids(&self, entry: &Entry) -> Result<Vec<KeyId>, SealError>;

    /// The record with all values sealed by the present key, and the keys that had sealed those that an older one had. None:
    /// none had.
    ///
    /// # Errors
    /// It isn't such a record, or a value can't be opened.
    fn seal_anew(&self, entry: &Entry, keyring: &Keyring) -> Result<Option<(Bytes, Vec<KeyId>)>, SealError>;

    /// What keeps its records in memory, if anything does that has to be told.
    fn keeper(&self) -> Option<&dyn Keeper> {
        None
    }
}

/// A table whose records hold sealed values.
pub struct SealedTable<T> {
    /// What people call it.
    name: &'static str,
    table: Table<T>,
    /// What keeps its records in memory.
    keeper: Option<std::sync::Arc<dyn Keeper>>,
}

impl<T: Sealing + 'static> SealedTable<T> {
    /// A kind whose records nothing keeps in memory by their revision.
    pub fn new(name: &'static str, table: Table<T>) -> Self {
        Self { name, table, keeper: None }
    }

    /// A kind whose records somebody keeps in memory.
    pub fn kept(name: &'static str, table: Table<T>, keeper: std::sync::Arc<dyn Keeper>) -> Self {
        Self { keeper: Some(keeper), ..Self::new(name, table) }
    }
}

#[async_trait]
impl<T: Sealing + 'static> Kind for SealedTable<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn prefix(&self) -> Vec<u8> {
        self.table.key(&[])
    }

    fn key_ids(&self, entry: &Entry) -> Result<Vec<KeyId>, SealError> {
        let mut record = self.table.decode(entry)?;
        let mut ids = Vec::new();
        record.value.each_sealed(&record.key, &mut |_, sealed| {
            ids.push(sealed.key_id());
            Ok(())
        })?;
        Ok(ids)
    }

    fn seal_anew(&self, entry: &Entry, keyring: &Keyring) -> Result<Option<(Bytes, Vec<KeyId>)>, SealError> {
        let mut record = self.table.decode(entry)?;
        let older = record.value.seal_anew(&record.key, keyring)?;
        if older.is_empty() {
            return Ok(None);
        }
        Ok(Some((self.table.encode(&record.key, &record.value)?, older)))
    }

    fn keeper(&self) -> Option<&dyn Keeper> {
        self.keeper.as_deref()
    }
}
