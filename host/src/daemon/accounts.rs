//! What has to be written down now and then of what calls did, and what is older than it is kept.

use std::sync::Arc;
use std::time::Duration;

use crate::access::Access;
use crate::audit::{Audit, Tally};
use crate::config::Live;
use crate::notices::Notices;
use crate::store::StoreError;

/// How often counts of uses are written to the store, and sums of uses and refusals to the audit log.
const ACCOUNTS: Duration = Duration::from_secs(60);
/// Every so many times, audit records and dead tokens that are over their retention are removed.
const PRUNE_EVERY: u32 = 60;

/// What has to be written down now and then of what calls did.
pub(super) struct Accounts {
    pub(super) access: Arc<Access>,
    pub(super) audit: Arc<Audit>,
    pub(super) tally: Arc<Tally>,
    pub(super) notices: Arc<Notices>,
    /// When the end of personal tokens is told.
    pub(super) settings: Arc<Live>,
}

impl Accounts {
    /// Writes it down every minute.
    pub(super) async fn keep(&self) {
        for round in 1_u32.. {
            tokio::time::sleep(ACCOUNTS).await;
            self.tell().await;
            report(self.access.fold_some_usage().await);
            if round.is_multiple_of(PRUNE_EVERY) {
                self.prune().await;
            }
            // The first time soon, and not in the way of the start.
            if round % PRUNE_EVERY == 1 {
                self.look_ahead().await;
            }
        }
    }

    /// Tells of personal tokens that end soon.
    async fn look_ahead(&self) {
        if let Err(error) =
            self.access.tell_ending(&self.notices, &self.settings.current().events.personal_token_days).await
        {
            tracing::error!("personal tokens that end soon can't be looked for: {error}");
        }
    }

    /// Removes what is older than it is kept.
    async fn prune(&self) {
        if let Err(error) = self.notices.prune().await {
            tracing::error!("old events can't be removed: {error}");
        }
        if let Err(error) = self.audit.prune().await {
            tracing::error!("old audit records can't be removed: {error}");
        }
        if let Err(error) = self.access.purge(Access::DEAD_FOR).await {
            tracing::error!("tokens that died long ago can't be removed: {error}");
        }
    }

    /// Writes down all that is counted: nothing is lost where it fails, but that it fails is said.
    pub(super) async fn write(&self) {
        self.tell().await;
        report(self.access.fold_usage().await);
    }

    /// Writes sums of uses and refusals to the audit log.
    async fn tell(&self) {
        self.access.settle_usage();
        if let Err(error) = self.tally.flush(&self.audit).await {
            tracing::error!("sums of uses and refusals can't be written: {error}");
        }
    }
}

/// Says that counts weren't written.
fn report(folded: Result<(), StoreError>) {
    if let Err(error) = folded {
        tracing::error!("counts of uses can't be written: {error}");
    }
}
