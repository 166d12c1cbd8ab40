//! Where tokens and attempts are kept: reads and writes of their records. Decides nothing.

use std::borrow::Cow;
use std::sync::Arc;

use ulid::Ulid;

use super::journal::{ATTEMPTS, AWAITED, AttemptRecord, Awaited, KEPT, OPEN, Stage};
use super::key::TokenKey;
use super::record::{TOKENS, TokenRecord};
use crate::seal::{Keyring, Kind, SealedTable, Sealing};
use crate::store::table::{Page, Versioned};
use crate::store::{Batch, Revision, Store, StoreError};

/// The kinds of records here that hold sealed values.
pub fn sealed_kinds() -> Vec<Arc<dyn Kind>> {
    vec![Arc::new(SealedTable::new("tokens", TOKENS)), Arc::new(SealedTable::new("attempts", ATTEMPTS))]
}

/// The records of tokens and attempts.
pub(super) struct Ledger {
    /// Where they are.
    pub(super) store: Arc<dyn Store>,
    /// What they are sealed with.
    pub(super) keyring: Arc<Keyring>,
}

impl Ledger {
    /// The record of a key as it stands for an integration's target, and its revision.
    pub(super) async fn token(
        &self,
        key: &TokenKey,
        target: Ulid,
    ) -> Result<(TokenRecord, Option<Revision>), StoreError> {
        let found = TOKENS.get(&*self.store, &[key.integration(), &key.slot()]).await?;
        Ok(match found {
            Some(found) => (found.value.for_target(target), Some(found.revision)),
            None => (TokenRecord::new(key.clone(), target), None),
        })
    }

    /// The records of an integration's keys, whatever target they are for.
    pub(super) async fn tokens(&self, integration: &str) -> Result<Vec<TokenRecord>, StoreError> {
        let found = TOKENS.list(&*self.store, &[integration], Page { limit: 1000, ..Page::default() }).await?;
        Ok(found.into_iter().map(|found| found.value).collect())
    }

    /// Adds the writing of a token's record to a batch, over the revision that was read.
    pub(super) fn put_token(
        &self,
        batch: &mut Batch,
        record: &TokenRecord,
        read: Option<Revision>,
    ) -> Result<(), StoreError> {
        Self::write_token(batch, &self.fresh(record), read)
    }

    /// The same for a record that was just read: its values stay as they were sealed.
    pub(super) fn write_token(
        batch: &mut Batch,
        record: &TokenRecord,
        read: Option<Revision>,
    ) -> Result<(), StoreError> {
        let slot = record.key.slot();
        let parts = [record.key.integration(), slot.as_str()];
        TOKENS.expect(batch, &parts, read);
        TOKENS.put(batch, &parts, record)
    }

    /// The record with all values sealed by the present key: what was sealed a while ago, and is written only now, must not
    /// need a key that everybody else has done with. A value that can't be opened stays as it is.
    fn fresh<'a, T: Sealing + Clone>(&self, record: &'a T) -> Cow<'a, T> {
        if self.keyring.is_single() {
            return Cow::Borrowed(record);
        }
        let mut fresh = record.clone();
        if let Err(error) = fresh.seal_anew(&[], &self.keyring) {
            tracing::error!("a record holds what can't be sealed anew: {error}");
        }
        Cow::Owned(fresh)
    }

    /// Writes an attempt on its own.
    pub(super) async fn put(&self, attempt: &AttemptRecord, mut batch: Batch) -> Result<(), StoreError> {
        self.put_attempt(&mut batch, attempt)?;
        self.store.commit(batch).await.map(drop)
    }

    /// Adds the writing of an attempt to a batch. Until its last stage it is listed among the open ones.
    pub(super) fn put_attempt(&self, batch: &mut Batch, attempt: &AttemptRecord) -> Result<(), StoreError> {
        Self::write_attempt(batch, &self.fresh(attempt))
    }

    /// The same for a record that was just read: its values stay as they were sealed.
    pub(super) fn write_attempt(batch: &mut Batch, attempt: &AttemptRecord) -> Result<(), StoreError> {
        let (integration, id) = (attempt.story.key.integration(), attempt.story.id.to_string());
        ATTEMPTS.put(batch, &[integration, &id], attempt)?;
        match attempt.stage {
            Stage::Ended => OPEN.remove(batch, &[&id]),
            _ => OPEN.put(batch, &[&id], &integration.to_owned())?,
        }
        for digest in attempt.person.iter().flat_map(|person| &person.digests) {
            match attempt.stage {
                Stage::Away { .. } => {
                    let awaited = Awaited { integration: integration.to_owned(), attempt: attempt.story.id };
                    AWAITED.put(batch, &[digest], &awaited)?;
                }
                _ => AWAITED.remove(batch, &[digest]),
            }
        }
        Ok(())
    }

    /// The attempt that awaits a person who brings something of this digest, and its revision.
    pub(super) async fn awaited(&self, digest: &str) -> Result<Option<Versioned<AttemptRecord>>, StoreError> {
        let Some(found) = AWAITED.get(&*self.store, &[digest]).await? else { return Ok(None) };
        ATTEMPTS.get(&*self.store, &[&found.value.integration, &found.value.attempt.to_string()]).await
    }

    /// Adds the removal of all but the last attempts of an integration to a batch. One more is about to be written.
    pub(super) async fn prune(&self, batch: &mut Batch, integration: &str, keep: Ulid) -> Result<(), StoreError> {
        let page = Page { limit: 2 * KEPT, reverse: true, ..Page::default() };
        let attempts = ATTEMPTS.list(&*self.store, &[integration], page).await?;
        for attempt in attempts.iter().filter(|attempt| attempt.value.story.id != keep).skip(KEPT - 1) {
            // One that goes on, or that holds an answer, isn't over.
            if matches!(attempt.value.stage, Stage::Ended) {
                ATTEMPTS.remove(batch, &[integration, &attempt.value.story.id.to_string()]);
            }
        }
        Ok(())
    }

    /// An attempt.
    pub(super) async fn attempt(&self, integration: &str, id: Ulid) -> Result<Option<AttemptRecord>, StoreError> {
        let found = ATTEMPTS.get(&*self.store, &[integration, &id.to_string()]).await?;
        Ok(found.map(|found| found.value))
    }

    /// Attempts of an integration, the newest first, before the given one.
    pub(super) async fn attempts(
        &self,
        integration: &str,
        before: Option<Ulid>,
        limit: usize,
    ) -> Result<Vec<AttemptRecord>, StoreError> {
        let before = before.map(|id| id.to_string());
        let after = before.as_deref().map(|id| [integration, id]);
        let page = Page { after: after.as_ref().map(<[&str; 2]>::as_slice), limit, reverse: true };
        let found = ATTEMPTS.list(&*self.store, &[integration], page).await?;
        Ok(found.into_iter().map(|found| found.value).collect())
    }

    /// All attempts that haven't ended.
    pub(super) async fn open_attempts(&self) -> Result<Vec<AttemptRecord>, StoreError> {
        let mut attempts = Vec::new();
        let mut last: Option<String> = None;
        loop {
            let after = last.as_deref().map(|id| [id]);
            let page = Page { after: after.as_ref().map(<[&str; 1]>::as_slice), limit: 1000, reverse: false };
            let found: Vec<Versioned<String>> = OPEN.list(&*self.store, &[], page).await?;
            let Some(end) = found.last().and_then(|entry| entry.key.first().cloned()) else { return Ok(attempts) };
            for entry in found {
                let id = entry.key.first().and_then(|id| Ulid::from_string(id).ok()).unwrap_or_default();
                match self.attempt(&entry.value, id).await? {
                    Some(attempt) => attempts.push(attempt),
                    None => tracing::warn!(%id, integration = entry.value, "an open attempt has no record"),
                }
            }
            last = Some(end);
        }
    }

    /// Removes all that is kept of an integration's tokens.
    pub(super) async fn purge(&self, integration: &str) -> Result<(), StoreError> {
        loop {
            let page = Page { limit: 1000, ..Page::default() };
            let tokens = TOKENS.list(&*self.store, &[integration], page).await?;
            let attempts = ATTEMPTS.list(&*self.store, &[integration], page).await?;
            if tokens.is_empty() && attempts.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::synced();
            for token in tokens {
                TOKENS.remove(&mut batch, &[integration, &token.value.key.slot()]);
            }
            for attempt in attempts {
                let id = attempt.value.story.id.to_string();
                ATTEMPTS.remove(&mut batch, &[integration, &id]);
                OPEN.remove(&mut batch, &[&id]);
                for digest in attempt.value.person.iter().flat_map(|person| &person.digests) {
                    AWAITED.remove(&mut batch, &[digest]);
                }
            }
            self.store.commit(batch).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::super::record::StoredToken;
    use super::super::record::tests::{key, token};
    use super::*;
    use crate::clock::SystemClock;
    use crate::seal::{Custody, MasterKey, MasterKeys, Resealer, SealError};
    use crate::store::memory::MemoryStore;

    struct Nowhere;

    #[async_trait]
    impl MasterKeys for Nowhere {
        async fn present(&self) -> Result<MasterKey, SealError> {
            MasterKey::generate("nowhere")
        }

        async fn next(&self) -> Result<MasterKey, SealError> {
            MasterKey::generate("nowhere")
        }
    }

    #[tokio::test]
    async fn what_was_sealed_before_a_rotation_is_written_with_the_present_key() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let master = MasterKey::generate("a test").unwrap();
        let keyring = Arc::new(Keyring::load_or_create(&*store, &master).await.unwrap());
        let ledger = Ledger { store: Arc::clone(&store), keyring: Arc::clone(&keyring) };
        let custody = Custody::open(store, Arc::clone(&keyring), master, Box::new(Nowhere), SystemClock::shared());
        let custody = custody.await.unwrap();

        let (key, target) = (key(), Ulid::from_parts(1, 1));
        let mut record = TokenRecord::new(key.clone(), target);
        record.succeed(3, StoredToken::seal(&token(true), &key, &keyring).unwrap());
        custody.rotate_data().await.unwrap();
        let mut batch = Batch::synced();
        ledger.put_token(&mut batch, &record, None).unwrap();
        ledger.store.commit(batch).await.unwrap();
        let (mut written, _) = ledger.token(&key, target).await.unwrap();
        let mut ids = Vec::new();
        let seen = written.each_sealed(&[], &mut |_, sealed| {
            ids.push(sealed.key_id());
            Ok(())
        });
        seen.unwrap();
        assert_eq!(ids, [2; 4], "access and refresh token, how it is placed, and a secret");
        written.open(&keyring).unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_is_held_in_memory_for_longer_than_a_key_is_kept_isnt_lost() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let master = MasterKey::generate("a test").unwrap();
        let again = MasterKey::from_text("a test", &master.to_text().as_str().into()).unwrap();
        let keyring = Arc::new(Keyring::load_or_create(&*store, &master).await.unwrap());
        let ledger = Ledger { store: Arc::clone(&store), keyring: Arc::clone(&keyring) };
        let clock = SystemClock::shared();
        let custody = Custody::open(Arc::clone(&store), Arc::clone(&keyring), master, Box::new(Nowhere), clock.clone());
        let custody = Arc::new(custody.await.unwrap());
        let resealer = Resealer::new(custody, Arc::clone(&store), clock, sealed_kinds(), std::time::Duration::ZERO);

        let (key, target) = (key(), Ulid::from_parts(1, 1));
        let mut record = TokenRecord::new(key.clone(), target);
        record.succeed(3, StoredToken::seal(&token(true), &key, &keyring).unwrap());
        // Nothing in the store is sealed with the first key, so it goes.
        resealer.rotate_data().await.unwrap();
        resealer.work_off().await.unwrap();
        assert_eq!(keyring.ids(), [2]);
        let mut batch = Batch::synced();
        ledger.put_token(&mut batch, &record, None).unwrap();
        store.commit(batch).await.unwrap();
        let (written, _) = ledger.token(&key, target).await.unwrap();
        let after_a_start = Keyring::load(&*store, &again).await.unwrap().unwrap();
        written.open(&after_a_start).unwrap().unwrap();
    }
}
