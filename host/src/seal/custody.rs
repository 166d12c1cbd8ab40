//! The keys while the daemon runs: a new data key, another master key, and what there is of both.
//!
//! While the master key is being replaced, each key is wrapped under both, so that a daemon starts with either: neither a crash
//! nor a forgotten setting locks anybody out. That ends when the operator has made the new one the setting. Where the keys come
//! from is said by [`MasterKeys`] alone, out of the settings: no caller names a file or a command.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::Mutex;

use super::wrapped::{self, ROOT, WrappedKey, Wrapping};
use super::{KeyId, Keyring, MasterKey, SealError, random_key};
use crate::clock::SharedClock;
use crate::store::table::Versioned;
use crate::store::{Batch, Store, StoreError};

/// Data keys at once. More means that what old ones sealed can't be sealed anew, and another one would help nobody.
const MOST_DATA_KEYS: usize = 100;

/// Where master keys come from: the settings as they are now.
#[async_trait]
pub trait MasterKeys: Send + Sync {
    /// The one in use.
    async fn present(&self) -> Result<MasterKey, SealError>;

    /// The one that is to take its place.
    async fn next(&self) -> Result<MasterKey, SealError>;
}

/// The keys of a running daemon.
pub struct Custody {
    store: Arc<dyn Store>,
    keyring: Arc<Keyring>,
    clock: SharedClock,
    sources: Box<dyn MasterKeys>,
    /// Master keys at hand; held while keys are changed.
    masters: Mutex<Vec<MasterKey>>,
}

/// What there is of the master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterStatus {
    /// The id of the one in use.
    pub id: String,
    /// Where it was found, if it is at hand.
    pub origin: Option<String>,
    /// Since when it is in use, where that is known.
    pub since: Option<DateTime<Utc>>,
    /// The one that takes its place, while both open the data.
    pub next: Option<NextMaster>,
}

/// A master key that takes another's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextMaster {
    /// Its id.
    pub id: String,
    /// Since when it opens the data, too.
    pub since: Option<DateTime<Utc>>,
}

/// What there is of a data key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKeyStatus {
    /// Its number.
    pub id: KeyId,
    /// When it was made, where that is known.
    pub made_at: Option<DateTime<Utc>>,
    /// Whether it seals now.
    pub current: bool,
}

/// Which master key stays where two open the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The new one: the rotation is over.
    New,
    /// The old one: the rotation is taken back.
    Old,
}

/// Why keys aren't changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The next key is the present one.
    #[error(
        "the next master key, in {origin}, is key {id}, which is in use already; move that away, and make a new one in its place: \
         `tokenhost key generate FILE`"
    )]
    Same {
        /// Where it was found.
        origin: String,
        /// Its id.
        id: String,
    },
    /// A rotation of the master key isn't over.
    #[error(
        "a rotation of the master key to key {next} isn't over; make that key the setting and run `tokenhost key finish`, \
         or take it back by `tokenhost key finish --keep-old`"
    )]
    Pending {
        /// The id of the new key.
        next: String,
    },
    /// A key that is needed isn't at hand.
    #[error(
        "master key {id}, which opens the data as well, isn't at hand; end the rotation first (`tokenhost key finish`), \
         or have it read anew (`tokenhost key rotate --master`)"
    )]
    NotAtHand {
        /// Its id.
        id: String,
    },
    /// No rotation of the master key is under way.
    #[error("no rotation of the master key is under way")]
    NothingPending,
    /// The settings name another key than the one that is to stay.
    #[error(
        "the settings don't name the master key that is to stay: {origin} has key {found}, and key {needed} is needed. Change \
         that first, or the daemon couldn't start any more; `tokenhost status` shows how"
    )]
    NotNamed {
        /// Where a key was found.
        origin: String,
        /// Its id.
        found: String,
        /// The id of the one that stays.
        needed: String,
    },
    /// There are too many data keys.
    #[error(
        "there are {MOST_DATA_KEYS} data keys already, since what they sealed can't be sealed anew; `tokenhost key status` says why"
    )]
    TooMany,
    /// Some values can't be opened, so that the keys that sealed them have to stay.
    #[error("{0}")]
    Unreadable(String),
    /// Another process changed the keys.
    #[error("the keys were changed meanwhile; look at them again")]
    Changed,
    /// A key can't be had, opened or written.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl From<StoreError> for KeyError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Changed,
            error => Self::Seal(error.into()),
        }
    }
}

/// All keys as they were read.
type Records = BTreeMap<String, Versioned<WrappedKey>>;

impl Custody {
    /// The keys of a daemon that was started with this master key. Where that is one that was to take another's place, it has.
    ///
    /// # Errors
    /// The keys can't be read or written.
    pub async fn open(
        store: Arc<dyn Store>,
        keyring: Arc<Keyring>,
        master: MasterKey,
        sources: Box<dyn MasterKeys>,
        clock: SharedClock,
    ) -> Result<Self, KeyError> {
        let records = wrapped::read(&*store).await?;
        let root = root(&records)?;
        let (present, next) = (root.present.master.clone(), root.next.as_ref().map(|next| next.master.clone()));
        match next {
            Some(next) if next == master.id() => {
                settle(&*store, records, &master, Keep::New).await?;
                tracing::info!(
                    old = present,
                    new = next,
                    "started with the new master key: the old one opens nothing here any more"
                );
            }
            Some(next) => tracing::warn!(
                old = present,
                new = next,
                "started with the OLD master key, {}: a rotation to the new one isn't over. Both open the data. Make the new one \
                 the setting, then restart or run `tokenhost key finish`",
                master.origin()
            ),
            None => {}
        }
        Ok(Self { store, keyring, clock, sources, masters: Mutex::new(vec![master]) })
    }

    /// The data keys, opened.
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// Makes a new data key, which seals from now on, and returns its number.
    ///
    /// # Errors
    /// A master key isn't at hand, or the store failed.
    pub async fn rotate_data(&self) -> Result<KeyId, KeyError> {
        let masters = self.masters.lock().await;
        let records = wrapped::read(&*self.store).await?;
        if records.len() > MOST_DATA_KEYS {
            return Err(KeyError::TooMany);
        }
        let root = root(&records)?;
        let (now, key) = (self.clock.now(), random_key()?);
        let id = self.keyring.current() + 1;
        let name = id.to_string();
        let mut record = WrappedKey::new(&name, &key, at_hand(&masters, &root.present.master)?, now)?;
        record.present.since = root.present.since;
        if let Some(next) = &root.next {
            record.next = Some(Wrapping::wrap(&name, &key, at_hand(&masters, &next.master)?, next.since)?);
        }
        let mut batch = Batch::synced();
        wrapped::add(&mut batch, &name, &record)?;
        self.store.commit(batch).await?;
        self.keyring.add(id, &key);
        Ok(id)
    }

    /// Wraps every key under the next master key that the settings name, too, in one batch. Both open the data from then on.
    /// Where that was done before, nothing changes. Returns the id of the next key.
    ///
    /// # Errors
    /// There is no next key, it is the present one, another rotation isn't over, or the store failed.
    pub async fn rotate_master(&self) -> Result<String, KeyError> {
        // Before anything is held: a command may take its time.
        let next = self.sources.next().await?;
        let mut masters = self.masters.lock().await;
        let id = next.id();
        let records = wrapped::read(&*self.store).await?;
        let present = root(&records)?;
        if present.present.master == id {
            return Err(KeyError::Same { origin: next.origin().to_owned(), id });
        }
        match &present.next {
            Some(pending) if pending.master == id => {
                present.open(ROOT, &next)?;
                if !masters.iter().any(|master| master.id() == id) {
                    masters.push(next);
                }
                return Ok(id);
            }
            Some(pending) => return Err(KeyError::Pending { next: pending.master.clone() }),
            None => {}
        }
        let master = at_hand(&masters, &present.present.master)?;
        let (now, mut batch) = (self.clock.now(), Batch::synced());
        for (name, mut record) in records {
            let key = record.value.open(&name, master)?;
            record.value.next = Some(Wrapping::wrap(&name, &key, &next, Some(now))?);
            wrapped::replace(&mut batch, &name, &record)?;
        }
        self.store.commit(batch).await?;
        masters.push(next);
        Ok(id)
    }

    /// Ends the rotation of the master key: the other one opens nothing any more. The settings must name the one that stays.
    /// Returns its id.
    ///
    /// # Errors
    /// No rotation is under way, the settings name another key, or the store failed.
    pub async fn finish(&self, keep: Keep) -> Result<String, KeyError> {
        if root(&wrapped::read(&*self.store).await?)?.next.is_none() {
            return Err(KeyError::NothingPending);
        }
        // Before anything is held: a command may take its time.
        let named = self.sources.present().await?;
        let mut masters = self.masters.lock().await;
        let records = wrapped::read(&*self.store).await?;
        let present = root(&records)?;
        let Some(next) = &present.next else { return Err(KeyError::NothingPending) };
        let needed = match keep {
            Keep::New => next.master.clone(),
            Keep::Old => present.present.master.clone(),
        };
        if named.id() != needed {
            let (origin, found) = (named.origin().to_owned(), named.id());
            return Err(KeyError::NotNamed { origin, found, needed });
        }
        settle(&*self.store, records, &named, keep).await?;
        *masters = vec![named];
        Ok(needed)
    }

    /// Removes data keys that nothing is sealed under any more, with what else the batch holds.
    pub(super) async fn remove(&self, ids: &[KeyId], mut batch: Batch) -> Result<(), KeyError> {
        let _masters = self.masters.lock().await;
        let records = wrapped::read(&*self.store).await?;
        for id in ids.iter().filter(|id| **id != self.keyring.current()) {
            let name = id.to_string();
            if let Some(record) = records.get(&name) {
                wrapped::remove(&mut batch, &name, record);
            }
        }
        self.store.commit(batch).await?;
        self.keyring.forget(ids);
        Ok(())
    }

    /// When this data key was made, where that is known.
    pub(super) async fn made_at(&self, id: KeyId) -> Result<Option<DateTime<Utc>>, KeyError> {
        let records = wrapped::read(&*self.store).await?;
        Ok(records.get(&id.to_string()).and_then(|record| record.value.made_at))
    }

    /// What keys there are.
    ///
    /// # Errors
    /// The store failed.
    pub async fn status(&self) -> Result<(MasterStatus, Vec<DataKeyStatus>), KeyError> {
        let masters = self.masters.lock().await;
        let records = wrapped::read(&*self.store).await?;
        let root = root(&records)?;
        let id = root.present.master.clone();
        let origin = masters.iter().find(|master| master.id() == id).map(|master| master.origin().to_owned());
        let next = root.next.as_ref().map(|next| NextMaster { id: next.master.clone(), since: next.since });
        let current = self.keyring.current();
        let mut data = Vec::with_capacity(records.len());
        for (name, record) in &records {
            if let Some(id) = wrapped::number(name)? {
                data.push(DataKeyStatus { id, made_at: record.value.made_at, current: id == current });
            }
        }
        data.sort_by_key(|key| key.id);
        Ok((MasterStatus { id, origin, since: root.present.since, next }, data))
    }
}

/// The root key's record, by which all are known: one batch always wraps all of them.
fn root(records: &Records) -> Result<&WrappedKey, SealError> {
    records.get(ROOT).map(|record| &record.value).ok_or(SealError::Malformed("the root key is missing"))
}

/// The master key of this id.
fn at_hand<'a>(masters: &'a [MasterKey], id: &str) -> Result<&'a MasterKey, KeyError> {
    masters.iter().find(|master| master.id() == id).ok_or_else(|| KeyError::NotAtHand { id: id.to_owned() })
}

/// Leaves one wrapping of each key, after proof that the key that stays opens it.
async fn settle(store: &dyn Store, records: Records, master: &MasterKey, keep: Keep) -> Result<(), KeyError> {
    let mut batch = Batch::synced();
    for (name, mut record) in records {
        let next = record.value.next.take();
        if let (Keep::New, Some(next)) = (keep, next) {
            record.value.present = next;
        }
        record.value.open(&name, master)?;
        wrapped::replace(&mut batch, &name, &record)?;
    }
    store.commit(batch).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
