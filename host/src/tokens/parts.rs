//! What an attempt works with, put together once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::backoff::Budget;
use super::expiry::Margin;
use super::failure::Ended;
use super::ledger::Ledger;
use super::watch::Watch;
use crate::clock::SharedClock;
use crate::egress::Egress;
use crate::flows::Catalog;
use crate::integrations::Integrations;

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
