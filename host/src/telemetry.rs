//! What the daemon tells of itself: log lines on standard error, and metrics. Names of metrics stand here and nowhere else.
//!
//! It decides nothing about what may be logged: rooms hand over only what may be seen (rule 8).

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// HTTP requests, by `route`, `method` and `status`.
pub const HTTP_REQUESTS: &str = "tokenhost_http_requests_total";
/// Seconds from a request's head to its answer's head, by `route`.
pub const HTTP_SECONDS: &str = "tokenhost_http_request_seconds";
/// Open connections.
pub const HTTP_CONNECTIONS: &str = "tokenhost_http_connections";
/// Refused calls, by `reason` (`unauthenticated`, `forbidden`).
pub const REFUSALS: &str = "tokenhost_refusals_total";
/// Tokens served from memory.
pub const TOKENS_FROM_MEMORY: &str = "tokenhost_tokens_served_from_memory_total";
/// Attempts, by `flow`, `purpose` and `outcome`.
pub const ATTEMPTS: &str = "tokenhost_attempts_total";
/// Seconds of an attempt, by `flow`.
pub const ATTEMPT_SECONDS: &str = "tokenhost_attempt_seconds";
/// Batches committed to the store.
pub const STORE_COMMITS: &str = "tokenhost_store_commits_total";
/// Syncs of the store's log; several commits share one.
pub const STORE_SYNCS: &str = "tokenhost_store_syncs_total";
/// Seconds of one step of a plugin, by `flow`.
pub const STEP_SECONDS: &str = "tokenhost_plugin_step_seconds";
/// Faults of flows that ended an attempt, by `flow`.
pub const FLOW_FAULTS: &str = "tokenhost_flow_faults_total";
/// 1 while a flow is under quarantine, by `flow`.
pub const FLOW_QUARANTINED: &str = "tokenhost_flow_quarantined";
/// Installed flows that aren't served.
pub const FLOWS_NOT_SERVED: &str = "tokenhost_flows_not_served";
/// Requests to services, by `outcome`: `answered`, `failed` (no answer, or 5xx), `held` (not sent).
pub const SERVICE_CALLS: &str = "tokenhost_service_calls_total";
/// Services that are given a rest, or tried after one.
pub const SERVICES_OPEN: &str = "tokenhost_services_resting";
/// Events, by `kind`.
pub const EVENTS: &str = "tokenhost_events_total";
/// Events that were left out, since more came than could be written.
pub const EVENTS_LOST: &str = "tokenhost_events_lost_total";
/// Backups, by `outcome`: `made`, `failed`.
pub const BACKUPS: &str = "tokenhost_backups_total";
/// When the last backup was made: seconds since 1970.
pub const BACKUP_LAST_SUCCESS: &str = "tokenhost_backup_last_success_timestamp_seconds";
/// Always 1, with the `version`.
pub const BUILD_INFO: &str = "tokenhost_build_info";

/// Upper bounds of the histograms' buckets, in seconds: from a warm step to a caller's longest wait.
const BUCKETS: &[f64] =
    &[0.000_01, 0.000_03, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0];

/// Why telemetry can't start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter doesn't parse.
    #[error("log.level: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The metrics can't be set up.
    #[error("the metrics can't be set up: {0}")]
    Metrics(String),
}

/// Starts the log of this process. A second call changes nothing, so that tests can start several daemons.
///
/// A panic is logged by its place alone, since its message may repeat a value.
///
/// # Errors
/// The filter doesn't parse.
pub fn start_log(log: &Log) -> Result<(), TelemetryError> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(&log.level)?)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let first = match log.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if first.is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string);
            tracing::error!(place, "a bug in tokenhost: a task panicked");
        }));
    }
    Ok(())
}

/// This process's metrics; the first call sets them up. Handles made before that count nothing.
///
/// # Errors
/// Another recorder is installed, or the buckets are refused.
pub fn metrics() -> Result<PrometheusHandle, TelemetryError> {
    static HANDLE: OnceLock<Result<PrometheusHandle, String>> = OnceLock::new();
    HANDLE.get_or_init(|| install().map_err(|error| error.to_string())).clone().map_err(TelemetryError::Metrics)
}

fn install() -> Result<PrometheusHandle, metrics_exporter_prometheus::BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), BUCKETS)?
        .install_recorder()?;
    describe();
    metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

/// The help texts.
fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_counter!(HTTP_REQUESTS, "HTTP requests by route, method and status");
    describe_histogram!(HTTP_SECONDS, "Seconds from a request's head to its answer's head, by route");
    describe_gauge!(HTTP_CONNECTIONS, "Open connections");
    describe_counter!(REFUSALS, "Refused calls by reason");
    describe_counter!(TOKENS_FROM_MEMORY, "Tokens served from memory");
    describe_counter!(ATTEMPTS, "Attempts by flow, purpose and outcome");
    describe_histogram!(ATTEMPT_SECONDS, "Seconds of an attempt, by flow");
    describe_counter!(STORE_COMMITS, "Batches committed to the store");
    describe_counter!(STORE_SYNCS, "Syncs of the store's log");
    describe_histogram!(STEP_SECONDS, "Seconds of one step of a plugin, by flow");
    describe_counter!(FLOW_FAULTS, "Faults of flows that ended an attempt, by flow");
    describe_gauge!(FLOW_QUARANTINED, "1 while a flow is under quarantine, by flow");
    describe_gauge!(FLOWS_NOT_SERVED, "Installed flows that aren't served");
    describe_counter!(SERVICE_CALLS, "Requests to services by outcome");
    describe_gauge!(SERVICES_OPEN, "Services that are given a rest, or tried after one");
    describe_counter!(EVENTS, "Events by kind");
    describe_counter!(EVENTS_LOST, "Events left out, since more came than could be written");
    describe_counter!(BACKUPS, "Backups by outcome");
    describe_gauge!(BACKUP_LAST_SUCCESS, "When the last backup was made, in seconds since 1970");
    describe_gauge!(BUILD_INFO, "Always 1; the version is the label");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_rendered_with_help_and_buckets() {
        let handle = metrics().unwrap();
        metrics::counter!(TOKENS_FROM_MEMORY).increment(2);
        metrics::histogram!(STEP_SECONDS, "flow" => "password").record(0.000_02);
        let text = handle.render();
        assert!(text.contains("# HELP tokenhost_tokens_served_from_memory_total Tokens served from memory"), "{text}");
        assert!(text.contains("tokenhost_plugin_step_seconds_bucket{flow=\"password\",le=\"0.00003\"} 1"), "{text}");
        assert!(text.contains("tokenhost_build_info{version="), "{text}");
        metrics().unwrap();
    }

    #[test]
    fn the_log_starts_once_and_refuses_a_bad_filter() {
        let bad = Log { level: "a=b=c".into(), ..Log::default() };
        assert!(matches!(start_log(&bad), Err(TelemetryError::Filter(_))));
        start_log(&Log { level: "error".into(), format: LogFormat::Json }).unwrap();
        start_log(&Log::default()).unwrap();
    }
}
