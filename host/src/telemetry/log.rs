//! Log lines on standard error: how they look, which there are, and the trace that each belongs to.
//!
//! It decides nothing about what may be logged: rooms hand over only what may be seen (rule 8).

use std::fmt;
use std::io::IsTerminal as _;
use std::sync::OnceLock;

use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::{TelemetryError, trace};
use crate::config::{Log, LogFormat};

/// Exchanges the filter of the running log.
type SetFilter = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;

/// Of the log that this process started.
static FILTER: OnceLock<SetFilter> = OnceLock::new();

/// Starts the log of this process. A second call changes nothing, so that tests can start several daemons.
///
/// A panic is logged by its place alone, since its message may repeat a value.
///
/// # Errors
/// The filter doesn't parse.
pub fn start_log(log: &Log) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&log.level)?;
    let lines = tracing_subscriber::fmt().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    let (first, set): (_, SetFilter) = match log.format {
        LogFormat::Text => {
            let lines = lines.map_event_format(|inner| Traced { inner, json: false });
            let lines = lines.with_env_filter(filter).with_filter_reloading();
            let handle = lines.reload_handle();
            (lines.finish().try_init(), Box::new(move |filter| handle.reload(filter).is_ok()))
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).map_event_format(|inner| Traced { inner, json: true });
            let lines = lines.with_env_filter(filter).with_filter_reloading();
            let handle = lines.reload_handle();
            (lines.finish().try_init(), Box::new(move |filter| handle.reload(filter).is_ok()))
        }
    };
    if first.is_ok() {
        drop(FILTER.set(set));
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string);
            tracing::error!(place, "a bug in tokenhost: a task panicked");
        }));
    }
    Ok(())
}

/// Logs at this level, or by this filter, from now on.
///
/// # Errors
/// The filter doesn't parse.
pub fn set_level(level: &str) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(level)?;
    if FILTER.get().is_some_and(|set| !set(filter)) {
        tracing::warn!("the log's level can't be changed any more");
    }
    Ok(())
}

/// A format of lines, with the trace that a line belongs to, if there is one.
struct Traced<F> {
    inner: F,
    json: bool,
}

impl<S, N, F> FormatEvent<S, N> for Traced<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some(trace_id) = trace::current_trace() else { return self.inner.format_event(context, writer, event) };
        let mut line = String::new();
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        match line.strip_prefix('{').filter(|_| self.json) {
            Some(rest) => write!(writer, "{{\"trace_id\":\"{trace_id}\",{rest}"),
            None => writeln!(writer, "{} trace_id={trace_id}", line.trim_end_matches('\n')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_starts_once_and_refuses_a_bad_filter() {
        let bad = Log { level: "a=b=c".into(), ..Log::default() };
        assert!(matches!(start_log(&bad), Err(TelemetryError::Filter(_))));
        start_log(&Log { level: "error".into(), format: LogFormat::Json }).unwrap();
        start_log(&Log::default()).unwrap();
        assert!(set_level("a=b=c").is_err());
        set_level("error").unwrap();
    }
}
