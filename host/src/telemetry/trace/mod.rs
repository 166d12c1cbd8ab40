//! Traces: what one call caused, from the caller's request through attempt, step and provider request. Off unless a collector
//! is named; then everything here costs a look at a flag.
//!
//! Attributes hold names, origins and outcomes, never a path, a query, a header or a body: those may hold what nobody is to see.
//! An attempt belongs to the daemon and not to its caller, and several may wait for it: so it is a trace of its own, linked
//! with the call that caused it, and the calls that waited for it are linked with it.

mod export;
mod otlp;
mod sampler;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::context::FutureExt as _;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
pub use opentelemetry::trace::SpanKind;
use opentelemetry::trace::{Link, SpanContext, Status, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::sync::{mpsc, oneshot};

use self::export::{Exporter, Queue, Told};
use super::TelemetryError;
use crate::config::Telemetry;

/// The header that carries a trace (W3C Trace Context, section 3.2).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// And what other systems say of it (section 3.3).
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// How long a stop waits for the collector.
const FLUSH: Duration = Duration::from_secs(3);

/// Whether spans are made: what the hot paths look at.
static ON: AtomicBool = AtomicBool::new(false);
/// Whether requests to services carry the trace.
static PROPAGATE: AtomicBool = AtomicBool::new(false);
/// Of this process.
static RUNNING: OnceLock<Running> = OnceLock::new();

/// What makes spans, and what takes them.
struct Running {
    tracer: SdkTracer,
    queue: mpsc::Sender<Told>,
    /// Held: the tracer's spans go through it.
    _provider: SdkTracerProvider,
}

/// Begins to trace, where a collector is named. A second call changes only what [`change`] does. Must be called within a tokio
/// runtime, where spans are sent.
///
/// # Errors
/// The client to the collector can't be set up.
pub fn start(settings: &Telemetry) -> Result<(), TelemetryError> {
    change(settings);
    let Some(endpoint) = &settings.otlp_endpoint else { return Ok(()) };
    if RUNNING.get().is_some() {
        return Ok(());
    }
    let (exporter, queue) = Exporter::new(endpoint)?;
    let provider = SdkTracerProvider::builder()
        .with_span_processor(Queue(queue.clone()))
        .with_sampler(sampler::Kept)
        .with_max_attributes_per_span(32)
        .with_max_links_per_span(64)
        .build();
    let tracer = provider.tracer("tokenhost");
    if RUNNING.set(Running { tracer, queue, _provider: provider }).is_ok() {
        tokio::spawn(exporter.run());
        ON.store(true, Ordering::Release);
        tracing::info!(collector = endpoint, "traces are exported");
    }
    Ok(())
}

/// Takes what a reload can change.
pub fn change(settings: &Telemetry) {
    sampler::set_ratio(settings.sample_ratio);
    PROPAGATE.store(settings.propagate_to_services, Ordering::Relaxed);
}

/// Sends what has ended, for a while at most.
pub async fn flush() {
    let Some(running) = RUNNING.get() else { return };
    let (asked, done) = oneshot::channel();
    let flushed = async { running.queue.send(Told::Flush(asked)).await.is_ok() && done.await.is_ok() };
    if tokio::time::timeout(FLUSH, flushed).await.is_err() {
        tracing::warn!("the last traces may be lost: the collector is slow");
    }
}

/// Whether anything is traced.
#[inline]
pub fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// The trace that this code runs for, as it stands in log lines.
pub(super) fn current_trace() -> Option<String> {
    let span = current()?;
    Some(span.trace_id().to_string())
}

/// The span that this code runs in.
fn current() -> Option<SpanContext> {
    if !is_on() {
        return None;
    }
    Context::map_current(|context| context.has_active_span().then(|| context.span().span_context().clone()))
}

/// A span, or none where nothing is traced. It ends when it is dropped.
pub struct Traced(Option<Context>);

impl Drop for Traced {
    fn drop(&mut self) {
        if let Some(context) = &self.0 {
            context.span().end();
        }
    }
}

impl Traced {
    fn begin(name: &'static str, kind: SpanKind, parent: &Context, links: Vec<Link>) -> Self {
        let Some(running) = RUNNING.get().filter(|_| is_on()) else { return Self(None) };
        let builder = running.tracer.span_builder(name).with_kind(kind).with_links(links);
        let span = running.tracer.build_with_context(builder, parent);
        Self(Some(parent.with_span(span)))
    }

    /// None.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Says something of it: a name, an origin, a number or an outcome.
    pub fn set(&self, key: &'static str, value: impl Into<opentelemetry::Value>) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// The same, where it takes work to find it out.
    pub fn tell<V: Into<opentelemetry::Value>>(&self, key: &'static str, value: impl FnOnce() -> V) {
        if self.0.is_some() {
            self.set(key, value());
        }
    }

    /// Says that it failed, by a stable word.
    pub fn failed(&self, code: impl FnOnce() -> String) {
        if let Some(context) = &self.0 {
            context.span().set_status(Status::error(code()));
        }
    }

    /// Runs something within it.
    pub async fn within<F: Future>(&self, work: F) -> F::Output {
        match &self.0 {
            Some(context) => work.with_context(context.clone()).await,
            None => work.await,
        }
    }
}

/// The span of a caller's request: part of the caller's trace where it names one (W3C `traceparent`), or of the span that this
/// code runs in, where a page makes the request.
pub fn request(headers: &HeaderMap) -> Traced {
    if !is_on() {
        return Traced::none();
    }
    if current().is_some() {
        return child("request", SpanKind::Internal);
    }
    let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
    Traced::begin("request", SpanKind::Server, &parent, Vec::new())
}

/// A span within the one that this code runs in; none where there is none.
pub fn child(name: &'static str, kind: SpanKind) -> Traced {
    match current() {
        Some(_) => Traced::begin(name, kind, &Context::current(), Vec::new()),
        None => Traced::none(),
    }
}

/// Where the span of an attempt is told to those who wait for it.
#[derive(Clone, Debug, Default)]
pub struct Beacon(Arc<OnceLock<SpanContext>>);

impl Beacon {
    /// Links the span that this code runs in with what the beacon tells of.
    pub fn link(&self) {
        if is_on()
            && let Some(told) = self.0.get()
        {
            Context::map_current(|context| context.span().add_link(told.clone(), Vec::new()));
        }
    }
}

/// Who caused a flight, and who is told of its attempt.
struct Flight {
    caller: Option<SpanContext>,
    beacon: Beacon,
}

/// Runs a flight, which belongs to nobody's trace, so that its attempt knows who caused it and tells its span there.
pub async fn flight<F: Future>(beacon: Beacon, work: F, caller: Option<Caller>) -> F::Output {
    if !is_on() {
        return work.await;
    }
    let flight = Flight { caller: caller.map(|caller| caller.0), beacon };
    work.with_context(Context::new().with_value(flight)).await
}

/// Who asks for something.
pub struct Caller(SpanContext);

/// Who asks, if that is traced.
pub fn caller() -> Option<Caller> {
    current().map(Caller)
}

/// The span of an attempt: a trace of its own, linked with the call that caused it.
pub fn attempt() -> Traced {
    if !is_on() {
        return Traced::none();
    }
    let context = Context::current();
    let flight = context.get::<Flight>();
    // A person's connection and a doctor's test run within the request that asked for them.
    let caller = flight.and_then(|flight| flight.caller.clone()).or_else(current);
    let links = caller.map(Link::with_context).into_iter().collect();
    let traced = Traced::begin("attempt", SpanKind::Internal, &Context::new(), links);
    if let (Some(flight), Some(context)) = (flight, &traced.0) {
        drop(flight.beacon.0.set(context.span().span_context().clone()));
    }
    traced
}

/// Carries the span that this code runs in into a task of its own.
pub async fn carry<F: Future>(context: Carried, work: F) -> F::Output {
    match context.0 {
        Some(context) => work.with_context(context).await,
        None => work.await,
    }
}

/// What a task is to run in.
pub struct Carried(Option<Context>);

/// The span that this code runs in, to be carried elsewhere.
pub fn carried() -> Carried {
    Carried(is_on().then(Context::current))
}

/// Passes the trace on to a service, where the operator wants that: in place of what the caller sent.
pub fn propagate(headers: &mut HeaderMap) {
    if !is_on() || !PROPAGATE.load(Ordering::Relaxed) {
        return;
    }
    let Some(span) = current() else { return };
    let text = format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8());
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(TRACEPARENT, value);
        headers.remove(TRACESTATE);
        let state = span.trace_state().header();
        if let Some(state) = HeaderValue::try_from(state).ok().filter(|state| !state.is_empty()) {
            headers.insert(TRACESTATE, state);
        }
    }
}

/// Reads headers.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
