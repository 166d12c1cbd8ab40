//! What people are told of the peppers: when the one before was retired, and how many tokens still have digests under old ones.

use chrono::{DateTime, Utc};

use super::{Access, application, personal};
use crate::store::StoreError;

/// Tokens read at once.
const PAGE: usize = 500;

/// The pepper in use, and what is left of those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PepperStatus {
    /// The number of the one in use; 0 is the first.
    pub current: u32,
    /// When the one before was retired; none where there was none.
    pub rotated_at: Option<DateTime<Utc>>,
    /// Until when digests under an old one are accepted; none where they aren't.
    pub accepted_until: Option<DateTime<Utc>>,
    /// Tokens, not deleted, whose value has a digest under an old one: to be rebuilt.
    pub older: u64,
}

impl Access {
    /// How it stands with the peppers. Reads all tokens where there was a rotation.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn pepper_status(&self) -> Result<PepperStatus, StoreError> {
        let (current, retired) = self.peppers.newest(&*self.store).await?;
        let now = self.clock.now();
        let mut status = PepperStatus { current, rotated_at: None, accepted_until: None, older: 0 };
        let Some((rotated_at, accept_until)) = retired else { return Ok(status) };
        status.rotated_at = Some(rotated_at);
        status.accepted_until = Some(accept_until).filter(|until| self.policy().allow_fallback_token && *until > now);
        let mut walk = personal::TOKENS.walk(&*self.store, &[], PAGE);
        while let Some(found) = walk.next().await? {
            let older = found.iter().filter(|found| {
                let record = &found.value;
                record.deleted.is_none() && record.expires_at > now && record.credential.pepper != current
            });
            status.older += older.count() as u64;
        }
        let mut walk = application::TOKENS.walk(&*self.store, &[], PAGE);
        while let Some(found) = walk.next().await? {
            let older =
                found.iter().filter(|found| found.value.deleted.is_none() && found.value.credential.pepper != current);
            status.older += older.count() as u64;
        }
        Ok(status)
    }
}
