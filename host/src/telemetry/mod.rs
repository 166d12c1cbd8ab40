//! What the daemon tells of itself: log lines on standard error, metrics, and traces.
//!
//! It decides nothing about what may be told: rooms hand over only what may be seen (rule 8).

pub mod labels;
mod log;
mod names;
mod process;
pub mod trace;

use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

pub use self::log::{set_level, start_log};
pub use self::names::*;

/// Why telemetry can't start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter doesn't parse.
    #[error("log.level: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The metrics can't be set up.
    #[error("the metrics can't be set up: {0}")]
    Metrics(String),
    /// The exporter of traces can't be set up.
    #[error("telemetry.otlp_endpoint: {0}")]
    Trace(String),
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
        .set_buckets_for_metric(Matcher::Full(HTTP_SECONDS.to_owned()), FEW_BUCKETS)?
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), BUCKETS)?
        .install_recorder()?;
    for metric in METRICS {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
    metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    begin();
    Ok(handle)
}

/// Registers what alerts look at: a counter that isn't there before its first event has no rate for it.
fn begin() {
    for outcome in
        ["answered", "refused", "dns", "connect", "tls", "timeout", "broken", "too_large", "malformed", "body"]
    {
        metrics::counter!(PROVIDER_REQUESTS, "outcome" => outcome).increment(0);
    }
    for outcome in ["delivered", "failed"] {
        metrics::counter!(WEBHOOK_DELIVERIES, "outcome" => outcome).increment(0);
    }
    for outcome in ["taken", "refused"] {
        metrics::counter!(CONFIG_RELOADS, "outcome" => outcome).increment(0);
    }
    for outcome in ["made", "failed"] {
        metrics::counter!(BACKUPS, "outcome" => outcome).increment(0);
    }
    for outcome in ["exported", "lost"] {
        metrics::counter!(TRACE_SPANS, "outcome" => outcome).increment(0);
    }
    for reason in ["unauthenticated", "forbidden"] {
        metrics::counter!(REFUSALS, "reason" => reason).increment(0);
    }
    for name in [EVENTS_LOST, AUDIT_RECORDS, TOKENS_FROM_MEMORY, STORE_COMMITS, STORE_SYNCS] {
        metrics::counter!(name).increment(0);
    }
    metrics::gauge!(AUDIT_BROKEN).set(0.0);
    metrics::gauge!(FLOWS_NOT_SERVED).set(0.0);
}

/// Looks at the process and tidies. To be called every few seconds.
pub fn upkeep(handle: &PrometheusHandle) {
    process::collect();
    handle.run_upkeep();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_rendered_with_help_and_buckets() {
        let handle = metrics().unwrap();
        metrics::counter!(TOKENS_FROM_MEMORY).increment(2);
        metrics::histogram!(STEP_SECONDS, "flow" => "password").record(0.000_02);
        upkeep(&handle);
        let text = handle.render();
        assert!(text.contains("# HELP tokenhost_tokens_served_from_memory_total Tokens served from memory"), "{text}");
        assert!(text.contains("tokenhost_plugin_step_seconds_bucket{flow=\"password\",le=\"0.00003\"} 1"), "{text}");
        assert!(text.contains("tokenhost_build_info{version="), "{text}");
        assert!(text.contains("process_resident_memory_bytes"), "{text}");
        metrics().unwrap();
    }

    #[test]
    fn names_have_units_and_helps() {
        for (number, metric) in METRICS.iter().enumerate() {
            let name = metric.name;
            assert!(METRICS.iter().skip(number + 1).all(|other| other.name != name), "{name} is there twice");
            assert!(metric.help.len() > 8 && !metric.help.ends_with('.'), "{name}: {}", metric.help);
            assert_eq!(metric.kind == Kind::Counter, name.ends_with("_total"), "{name}");
            let words = metric.help.to_lowercase();
            if metric.kind == Kind::Histogram || words.contains("seconds") {
                assert!(name.contains("_seconds"), "{name}");
            }
            if words.starts_with("bytes") {
                assert!(name.ends_with("_bytes"), "{name}");
            }
        }
    }
}
