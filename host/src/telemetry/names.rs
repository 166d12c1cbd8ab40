//! Every metric: its name with its unit, what it counts, and by which labels. Names of metrics stand here and nowhere else.
//!
//! What labels may hold is bounded by `labels`; where the numbers come from is the business of the rooms.

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until the next start.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How values are distributed.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its help text.
    pub help: &'static str,
}

/// Declares names as constants, and all of them as a table.
macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal, $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: &str = $name;)*
        /// All metrics.
        pub const METRICS: &[Metric] = &[$(Metric { name: $name, kind: Kind::$kind, help: $help }),*];
    };
}

metrics! {
    HTTP_REQUESTS = Counter "tokenhost_http_requests_total", "HTTP requests by route, method and class of status";
    HTTP_SECONDS = Histogram "tokenhost_http_request_seconds", "Seconds from a request's head to its answer's head, by route";
    HTTP_CONNECTIONS = Gauge "tokenhost_http_connections", "Open connections";
    HTTP_CONNECTIONS_LIMIT = Gauge "tokenhost_http_connections_limit", "Connections that may be open at once";
    INBOUND_TOKENS = Gauge "tokenhost_inbound_tokens", "Inbound tokens by kind and state: valid, expired, deleted; counted every 5 minutes";
    SESSIONS = Gauge "tokenhost_sessions", "Sessions of people's browsers that aren't over; counted every 5 minutes";
    REFUSALS = Counter "tokenhost_refusals_total", "Refused calls by reason";
    TOKENS_FROM_MEMORY = Counter "tokenhost_tokens_served_from_memory_total", "Tokens served from memory";
    INTEGRATIONS = Gauge "tokenhost_integrations", "Integrations by the worst that is wrong with them; healthy: nothing is";
    INTEGRATIONS_LOOKED_AT = Gauge "tokenhost_integrations_complete", "1 once all integrations have been looked at since the start";
    NEXT_END = Gauge "tokenhost_next_unrenewable_expiry_timestamp_seconds", "When the next token ends that can't be renewed, in seconds since 1970; 0: none is known";
    FLIGHTS = Gauge "tokenhost_attempts_in_flight", "Attempts under way, each for one token";
    WAITING = Gauge "tokenhost_callers_waiting", "Callers that wait for an attempt";
    ATTEMPTS = Counter "tokenhost_attempts_total", "Attempts by flow, purpose and outcome";
    ATTEMPT_SECONDS = Histogram "tokenhost_attempt_seconds", "Seconds of an attempt, by flow";
    STEP_SECONDS = Histogram "tokenhost_plugin_step_seconds", "Seconds of one step of a plugin, by flow";
    FLOW_FAULTS = Counter "tokenhost_flow_faults_total", "Faults of flows that ended an attempt, by flow";
    FLOW_QUARANTINED = Gauge "tokenhost_flow_quarantined", "1 while a flow is under quarantine, by flow";
    FLOWS_NOT_SERVED = Gauge "tokenhost_flows_not_served", "Installed flows that aren't served";
    FLOW_SLOTS = Gauge "tokenhost_flow_slots", "Steps of plugins that may run at once";
    FLOW_SLOTS_USED = Gauge "tokenhost_flow_slots_used", "Steps of plugins that run";
    PROVIDER_REQUESTS = Counter "tokenhost_provider_requests_total", "Requests of flows, webhooks and imports by outcome: answered, or in what way they failed";
    PROVIDER_SECONDS = Histogram "tokenhost_provider_request_seconds", "Seconds of such a request, until its whole answer";
    PROVIDER_IN_FLIGHT = Gauge "tokenhost_provider_requests_in_flight", "Such requests under way";
    SERVICE_CALLS = Counter "tokenhost_service_calls_total", "Requests to services by outcome: answered, failed, held";
    SERVICES_OPEN = Gauge "tokenhost_services_resting", "Services that are given a rest, or tried after one";
    STORE_COMMITS = Counter "tokenhost_store_commits_total", "Batches committed to the store";
    STORE_SYNCS = Counter "tokenhost_store_syncs_total", "Syncs of the store's log; several commits share one";
    STORE_COMMIT_SECONDS = Histogram "tokenhost_store_commit_seconds", "Seconds of one write to the store, its sync included";
    STORE_FAILED = Gauge "tokenhost_store_write_failed", "1 while the last write to the store failed";
    STORE_BYTES = Gauge "tokenhost_store_bytes", "Bytes of the store by kind: tables, log, live (an estimate of what compaction would leave), memory, cache";
    STORE_KIND_BYTES = Gauge "tokenhost_store_records_bytes", "Bytes of the store's tables by what they hold, compressed, as estimated: attempts (their journal), audit, events";
    STORE_STALLED = Gauge "tokenhost_store_write_stalled", "1 while the store holds writes back since compaction lags";
    DISK_FREE = Gauge "tokenhost_disk_free_bytes", "Bytes free for the daemon on the disk of its data folder";
    DISK_SIZE = Gauge "tokenhost_disk_size_bytes", "Bytes of that disk";
    WEBHOOK_DELIVERIES = Counter "tokenhost_webhook_deliveries_total", "Tries of deliveries by outcome: delivered, failed";
    WEBHOOK_BACKLOG = Gauge "tokenhost_webhook_backlog", "Events that are tried again, over all webhooks";
    WEBHOOKS_DOWN = Gauge "tokenhost_webhooks_down", "Webhooks to which nothing can be delivered";
    EVENTS = Counter "tokenhost_events_total", "Events by kind";
    BACKUPS = Counter "tokenhost_backups_total", "Backups by outcome: made, failed";
    BACKUP_LAST_SUCCESS = Gauge "tokenhost_backup_last_success_timestamp_seconds", "When the last backup was made, in seconds since 1970";
    EVENTS_LOST = Counter "tokenhost_events_lost_total", "Events left out, since more came than could be written";
    AUDIT_RECORDS = Counter "tokenhost_audit_records_total", "Records written to the audit log";
    AUDIT_BROKEN = Gauge "tokenhost_audit_broken", "1 where the last verification found that the audit log was altered";
    TRACE_SPANS = Counter "tokenhost_trace_spans_total", "Spans by outcome: exported, lost";
    CONFIG_RELOADS = Counter "tokenhost_config_reloads_total", "Reloads of the settings by outcome: taken, refused";
    PROCESS_CPU = Counter "process_cpu_seconds_total", "Processor time of the daemon in seconds";
    PROCESS_RESIDENT = Gauge "process_resident_memory_bytes", "Bytes of memory that the daemon holds";
    PROCESS_FILES = Gauge "process_open_fds", "Open files of the daemon, connections among them";
    PROCESS_FILES_LIMIT = Gauge "process_max_fds", "Files that it may have open";
    PROCESS_START = Gauge "process_start_time_seconds", "When it was started, in seconds since 1970";
    SEALED_VALUES = Gauge "tokenhost_sealed_values", "Sealed values, by data key: `present`, or `older`";
    BUILD_INFO = Gauge "tokenhost_build_info", "Always 1; the version is the label";
}

/// Upper bounds of the buckets of histograms, in seconds: from a warm step to a caller's longest wait.
pub(super) const BUCKETS: &[f64] =
    &[0.000_01, 0.000_03, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0];
/// The same for requests, of which there is a histogram for each route.
pub(super) const FEW_BUCKETS: &[f64] = &[0.001, 0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 35.0];
