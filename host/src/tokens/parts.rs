//! What an attempt works with, put together once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::backoff::Budget;
use super::error::TokenError;
use super::expiry::Margin;
use super::failure::Ended;
use super::key::TokenKey;
use super::ledger::Ledger;
use super::record::TokenRecord;
use super::watch::Watch;
use crate::clock::SharedClock;
use crate::egress::Egress;
use crate::flows::Catalog;
use crate::integrations::{Integration, IntegrationError, Integrations};
use crate::name::Name;
use crate::store::Revision;

/// The longest pause before a failed write is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The rooms that the life of a token needs.
pub(super) struct Parts {
    pub(super) ledger: Ledger,
    pub(super) integrations: Arc<Integrations>,
    pub(super) flows: Arc<dyn Catalog>,
    pub(super) egress: Arc<Egress>,
    pub(super) clock: SharedClock,
    pub(super) budget: Budget,
    pub(super) margin: Margin,
    /// Which integrations somebody should look at.
    pub(super) watch: Watch,
    /// Where a provider sends people back to, once that is known.
    pub(super) callback_url: OnceLock<String>,
    /// Cancelled when the daemon stops.
    pub(super) stopping: CancellationToken,
}

impl Parts {
    /// The integration of a key, as bound to the key's scheme.
    pub(super) async fn integration(&self, key: &TokenKey) -> Result<Integration, IntegrationError> {
        let name: Name = key.integration().parse().map_err(|_| IntegrationError::Changed)?;
        let integration = self.integrations.read(&name).await?;
        let scheme = key.scheme();
        let bound = integration.bound(scheme.as_deref());
        bound.ok_or_else(|| IntegrationError::NotBound(name, scheme.unwrap_or_default().into_owned()))
    }

    /// The same, with the key's record as it stands for it, and the record's revision.
    pub(super) async fn read(
        &self,
        key: &TokenKey,
    ) -> Result<(Integration, TokenRecord, Option<Revision>), TokenError> {
        let integration = self.integration(key).await?;
        let (mut record, read) = self.ledger.token(key, integration.target).await?;
        record.hold_against(&integration);
        Ok((integration, record, read))
    }

    /// Waits before a failed write is tried again; each wait is longer than the last.
    pub(super) async fn pause(&self, pause: &mut Duration) -> Result<(), Ended> {
        tokio::select! {
            () = tokio::time::sleep(*pause) => {
                *pause = (*pause * 2).min(LONGEST_PAUSE);
                Ok(())
            }
            () = self.stopping.cancelled() => Err(Ended::Stopping),
        }
    }
}
