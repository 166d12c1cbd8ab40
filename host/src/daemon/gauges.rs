//! Numbers that no room counts by itself as they change. What is looked at every few seconds costs as much as is wrong, and
//! not as much as there is; what costs that is counted every few minutes.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use crate::access::Access;
use crate::audit::Audit;
use crate::egress::Egress;
use crate::flows::registry::Flows;
use crate::notices::Notices;
use crate::store::rocks::RocksStore;
use crate::telemetry as names;
use crate::tokens::Tokens;
use crate::webhooks::Webhooks;

/// What is looked at. Weak: a look keeps nothing open.
pub(super) struct Gauges {
    pub(super) store: Weak<RocksStore>,
    pub(super) access: Weak<Access>,
    pub(super) tokens: Weak<Tokens>,
    pub(super) webhooks: Weak<Webhooks>,
    pub(super) flows: Arc<Flows>,
    pub(super) egress: Arc<Egress>,
    /// The data folder.
    pub(super) data: PathBuf,
}

impl Gauges {
    /// Looks once. False: the daemon has ended.
    pub(super) fn collect(&self) -> bool {
        let (Some(store), Some(tokens), Some(webhooks)) =
            (self.store.upgrade(), self.tokens.upgrade(), self.webhooks.upgrade())
        else {
            return false;
        };
        self.look_at_store(&store);
        look_at_tokens(&tokens);
        let (mut backlog, mut down) = (0, 0);
        for (webhook, progress) in webhooks.list() {
            backlog += progress.waiting();
            down += usize::from(webhook.disabled.is_none() && progress.is_down());
        }
        set(names::WEBHOOK_BACKLOG, backlog as f64);
        set(names::WEBHOOKS_DOWN, down as f64);
        let (used, all) = self.flows.engine().use_of_slots();
        set(names::FLOW_SLOTS, all as f64);
        set(names::FLOW_SLOTS_USED, used as f64);
        set(names::PROVIDER_IN_FLIGHT, self.egress.in_flight() as f64);
        true
    }

    /// Counts inbound tokens and sessions, all of them.
    pub(super) async fn count(&self) {
        let Some(access) = self.access.upgrade() else { return };
        match access.census().await {
            Ok(census) => {
                for (kind, state, count) in census.tokens {
                    let gauge =
                        metrics::gauge!(names::INBOUND_TOKENS, "kind" => kind.as_str(), "state" => state.as_str());
                    gauge.set(count as f64);
                }
                set(names::SESSIONS, census.sessions as f64);
            }
            Err(error) => tracing::warn!("inbound tokens and sessions can't be counted: {error}"),
        }
    }

    fn look_at_store(&self, store: &RocksStore) {
        metrics::counter!(names::STORE_SYNCS).absolute(store.syncs());
        let kinds = [("attempts", Tokens::journal()), ("audit", Audit::records()), ("events", Notices::records())];
        let figures = store.figures(&kinds.each_ref().map(|(_, key)| key.as_slice()));
        for ((kind, _), bytes) in kinds.iter().zip(&figures.kinds) {
            metrics::gauge!(names::STORE_KIND_BYTES, "kind" => *kind).set(*bytes as f64);
        }
        for (kind, bytes) in figures.bytes {
            metrics::gauge!(names::STORE_BYTES, "kind" => kind).set(bytes as f64);
        }
        set(names::STORE_STALLED, f64::from(u8::from(figures.stalled)));
        set(names::STORE_FAILED, f64::from(u8::from(figures.failed)));
        if let Ok(disk) = rustix::fs::statvfs(&self.data) {
            set(names::DISK_FREE, disk.f_bavail as f64 * disk.f_frsize as f64);
            set(names::DISK_SIZE, disk.f_blocks as f64 * disk.f_frsize as f64);
        }
    }
}

fn look_at_tokens(tokens: &Tokens) {
    let census = tokens.census();
    for (state, count) in census.integrations {
        metrics::gauge!(names::INTEGRATIONS, "state" => state).set(count as f64);
    }
    set(names::INTEGRATIONS_LOOKED_AT, f64::from(u8::from(census.is_complete)));
    set(names::NEXT_END, census.next_end.map_or(0.0, |end| end.timestamp() as f64));
    set(names::FLIGHTS, census.flights as f64);
    set(names::WAITING, census.waiting as f64);
}

fn set(name: &'static str, value: f64) {
    metrics::gauge!(name).set(value);
}
