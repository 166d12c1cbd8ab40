//! What the handlers share: the rooms below, and what the API itself keeps in memory.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::HeaderName;
use metrics::Counter;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;

use super::events::Streams;
use crate::access::Access;
use crate::audit::{Audit, SupportIds, Tally};
use crate::backup::Backups;
use crate::calls::Calls;
use crate::clock::SharedClock;
use crate::config::Live;
use crate::doctor::Doctor;
use crate::egress::Egress;
use crate::flows::Catalog;
use crate::flows::registry::Flows;
use crate::integrations::{Integrations, Models};
use crate::name::Name;
use crate::notices::Notices;
use crate::organizations::Organizations;
use crate::seal::Resealer;
use crate::shelf::Shelf;
use crate::store::Store;
use crate::telemetry;
use crate::tokens::Tokens;
use crate::webhooks::Webhooks;

/// Large documents and components in memory at once. Each is up to 64 MiB, and some times that while it is read.
const LARGE_AT_ONCE: usize = 2;

/// The rooms that the API opens to its callers.
#[expect(missing_docs, reason = "each is named like its room")]
pub struct Rooms {
    pub access: Arc<Access>,
    pub audit: Arc<Audit>,
    pub tally: Arc<Tally>,
    pub support: SupportIds,
    pub models: Arc<Models>,
    pub integrations: Arc<Integrations>,
    pub organizations: Arc<Organizations>,
    pub tokens: Arc<Tokens>,
    pub calls: Arc<Calls>,
    pub flows: Arc<Flows>,
    pub shelf: Arc<Shelf>,
    pub egress: Arc<Egress>,
    pub notices: Arc<Notices>,
    pub webhooks: Arc<Webhooks>,
    pub keys: Arc<Resealer>,
    pub backups: Arc<Backups>,
    /// Asked by `/readyz` whether it answers.
    pub store: Arc<dyn Store>,
    pub clock: SharedClock,
    pub metrics: PrometheusHandle,
    /// The daemon's settings, and how they are read again.
    pub settings: Arc<Live>,
    /// Where people's browsers reach the daemon, without a slash at its end.
    pub public_url: String,
}

/// The rooms, and what the API keeps. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

/// What is behind [`Api`].
pub struct Shared {
    /// The rooms below.
    pub(super) rooms: Rooms,
    /// Examines integrations.
    pub(super) doctor: Doctor,
    /// Permits for requests with a large body.
    pub(super) large: Semaphore,
    /// Sources that are being synchronised.
    pub(super) synchronised: Mutex<BTreeSet<Name>>,
    /// Streams of events that are open.
    pub(super) streams: Streams,
    /// When it began, on the monotonic clock.
    pub(super) started: Duration,
    /// Whether the daemon is stopping: `/readyz` says so, that others send nothing more.
    pub(super) stopping: AtomicBool,
    /// Counts tokens served from memory. Registered once: the hot path only increments.
    pub(super) from_memory: Counter,
    /// The same requests among all HTTP requests.
    pub(super) hot_requests: Counter,
    /// Tokens verified from memory, among all HTTP requests.
    pub(super) hot_verified: Counter,
    /// Tokens introspected from memory, among all HTTP requests.
    pub(super) hot_introspected: Counter,
    /// Requests of reverse proxies answered from memory, among all HTTP requests.
    pub(super) hot_forwarded: Counter,
    /// Headers that stand between reverse proxies and the daemon: no service sees them.
    pub(super) private_headers: Vec<HeaderName>,
    /// Requests passed on to services.
    pub(super) proxied: super::calls::proxy::Counts,
    /// The API's own description, as JSON.
    pub(super) document: Vec<u8>,
    /// The same as a page.
    pub(super) page: String,
}

impl Api {
    /// The API over these rooms, described by this document and page.
    pub(super) fn new(rooms: Rooms, document: Vec<u8>, page: String) -> Self {
        let hot = |route: &'static str, method: &'static str| metrics::counter!(telemetry::HTTP_REQUESTS, "route" => route, "method" => method, "status" => "2xx");
        let doctor = Doctor::new(
            Arc::clone(&rooms.integrations),
            Arc::clone(&rooms.flows),
            Arc::clone(&rooms.shelf) as Arc<dyn Catalog>,
            Arc::clone(&rooms.egress),
            Arc::clone(&rooms.clock),
        );
        let policy = rooms.access.policy();
        let external = &policy.external;
        let private = [&external.header, &external.secret_header].into_iter().filter_map(|name| name.parse().ok());
        let private_headers = private.collect();
        Self(Arc::new(Shared {
            private_headers,
            streams: Streams::default(),
            started: rooms.clock.elapsed(),
            rooms,
            doctor,
            large: Semaphore::new(LARGE_AT_ONCE),
            synchronised: Mutex::default(),
            stopping: AtomicBool::new(false),
            from_memory: metrics::counter!(telemetry::TOKENS_FROM_MEMORY),
            hot_requests: hot(super::tokens::ROUTE, "GET"),
            hot_verified: hot(super::verify::ROUTE, "POST"),
            hot_introspected: hot(super::introspect::ROUTE, "POST"),
            hot_forwarded: hot(super::forward_auth::ROUTE, "ANY"),
            proxied: super::calls::proxy::Counts::default(),
            document,
            page,
        }))
    }
}

impl Deref for Api {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Deref for Shared {
    type Target = Rooms;

    fn deref(&self) -> &Rooms {
        &self.rooms
    }
}
