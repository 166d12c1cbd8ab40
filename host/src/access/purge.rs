//! Removes tokens for good that have been dead for long: expired and deleted ones stay visible, but not for ever.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::token;
use super::{Access, application, personal};
use crate::store::{Batch, StoreError};

/// Tokens looked at at once.
const PAGE: usize = 500;

impl Access {
    /// Removes tokens that expired or were deleted before so much time. Returns how many. An old value is `unknown` from
    /// then on.
    ///
    /// # Errors
    /// The storage failed; what wasn't removed is removed the next time.
    pub async fn purge(&self, dead_for: Duration) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let limit = now.checked_sub_signed(chrono::TimeDelta::from_std(dead_for).unwrap_or(chrono::TimeDelta::MAX));
        let Some(limit) = limit else { return Ok(0) };
        Ok(self.purge_applications(limit).await? + self.purge_personals(limit).await?)
    }

    async fn purge_applications(&self, limit: DateTime<Utc>) -> Result<usize, StoreError> {
        let mut removed = 0;
        let mut walk = application::TOKENS.walk(&*self.store, &[], PAGE);
        while let Some(found) = walk.next().await? {
            for token in &found {
                // One that only expired keeps its name, and may be given a later date.
                let is_dead = token.value.deleted.as_ref().is_some_and(|deleted| deleted.at < limit);
                let Some(id) = token.key.first().filter(|_| is_dead) else { continue };
                let mut batch = Batch::synced();
                application::TOKENS.expect(&mut batch, &[id], Some(token.revision));
                application::TOKENS.remove(&mut batch, &[id]);
                removed += self.remove(id, batch).await?;
            }
        }
        Ok(removed)
    }

    async fn purge_personals(&self, limit: DateTime<Utc>) -> Result<usize, StoreError> {
        let mut removed = 0;
        let mut walk = personal::TOKENS.walk(&*self.store, &[], PAGE);
        while let Some(found) = walk.next().await? {
            for token in &found {
                let record = &token.value;
                let dead_at =
                    record.deleted.as_ref().map_or(record.expires_at, |deleted| deleted.at.min(record.expires_at));
                let Some(id) = token.key.first().filter(|_| dead_at < limit) else { continue };
                let mut batch = Batch::synced();
                personal::TOKENS.expect(&mut batch, &[id], Some(token.revision));
                personal::TOKENS.remove(&mut batch, &[id]);
                personal::OF_USER.remove(&mut batch, &[record.user.as_str(), id]);
                removed += self.remove(id, batch).await?;
            }
        }
        Ok(removed)
    }

    /// Removes one, unless it was changed meanwhile.
    async fn remove(&self, id: &str, batch: Batch) -> Result<usize, StoreError> {
        match self.store.commit(batch).await {
            Ok(_) => {}
            Err(StoreError::Conflict) => return Ok(0),
            Err(error) => return Err(error),
        }
        if let Some(id) = token::parse_id(id) {
            self.cache.forget_token(&id);
            self.usage.forget(&id).await?;
        }
        Ok(1)
    }
}
