//! Spans on their way to the collector: a bounded queue, and one task that sends it in groups. Nobody waits for it, and what
//! doesn't fit or can't be sent is lost and counted.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::{mpsc, oneshot};

use super::otlp;
use crate::telemetry::{TRACE_SPANS, TelemetryError};

/// Spans that wait to be sent; more are lost.
const QUEUE: usize = 4096;
/// Spans sent together at most.
const GROUP: usize = 512;
/// How long spans wait for others.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a collector may take.
const SENDING: Duration = Duration::from_secs(5);

/// What the task is told.
#[derive(Debug)]
pub(super) enum Told {
    /// A span has ended.
    Ended(Box<SpanData>),
    /// Send all that came before, and say when it is done.
    Flush(oneshot::Sender<()>),
}

/// Puts spans that end into the queue.
#[derive(Debug)]
pub(super) struct Queue(pub(super) mpsc::Sender<Told>);

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.0.try_send(Told::Ended(Box::new(span))).is_err() {
            count("lost", 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn count(outcome: &'static str, spans: usize) {
    metrics::counter!(TRACE_SPANS, "outcome" => outcome).increment(spans as u64);
}

/// Sends spans to one collector.
pub(super) struct Exporter {
    url: String,
    http: reqwest::Client,
    queue: mpsc::Receiver<Told>,
    /// Whether the last group was lost: told once.
    failing: bool,
}

impl Exporter {
    /// One that sends to this collector what comes by the queue.
    ///
    /// # Errors
    /// The client can't be set up.
    pub(super) fn new(endpoint: &str) -> Result<(Self, mpsc::Sender<Told>), TelemetryError> {
        // Fails only where a provider is installed already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(SENDING)
            .default_headers(headers(std::env::var("OTEL_EXPORTER_OTLP_HEADERS").unwrap_or_default().as_str()))
            .user_agent(concat!("tokenhost/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| TelemetryError::Trace(error.to_string()))?;
        let (sender, queue) = mpsc::channel(QUEUE);
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        Ok((Self { url, http, queue, failing: false }, sender))
    }

    /// Works until nobody can end a span any more.
    pub(super) async fn run(mut self) {
        while let Some(first) = self.queue.recv().await {
            let (mut spans, mut asked) = (Vec::new(), Vec::new());
            take(first, &mut spans, &mut asked);
            let pause = tokio::time::sleep(PAUSE);
            tokio::pin!(pause);
            while asked.is_empty() && spans.len() < GROUP {
                tokio::select! {
                    told = self.queue.recv() => match told {
                        Some(told) => take(told, &mut spans, &mut asked),
                        None => break,
                    },
                    () = &mut pause => break,
                }
            }
            if !spans.is_empty() {
                self.send(&spans).await;
            }
            for asked in asked {
                // Whoever asked may have gone.
                asked.send(()).ok();
            }
        }
    }

    async fn send(&mut self, spans: &[SpanData]) {
        let sent = self.http.post(&self.url).header(CONTENT_TYPE, "application/x-protobuf").body(otlp::request(spans));
        let outcome = match sent.send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("it answers {}", answer.status())),
            Err(error) if error.is_timeout() => Err(format!("it is silent for {} s", SENDING.as_secs())),
            Err(_) => Err("it can't be reached".to_owned()),
        };
        count(if outcome.is_ok() { "exported" } else { "lost" }, spans.len());
        let was_failing = std::mem::replace(&mut self.failing, outcome.is_err());
        match outcome {
            Ok(()) if was_failing => tracing::info!("the collector of traces takes them again"),
            Err(reason) if !was_failing => {
                tracing::warn!(reason, "traces are lost: the collector doesn't take them");
            }
            _ => {}
        }
    }
}

fn take(told: Told, spans: &mut Vec<SpanData>, asked: &mut Vec<oneshot::Sender<()>>) {
    match told {
        Told::Ended(span) => spans.push(*span),
        Told::Flush(answer) => asked.push(answer),
    }
}

/// Headers as the standard variable has them: `name=value,name=value`, values percent-encoded. They may hold a secret.
fn headers(text: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in text.split(',').filter_map(|pair| pair.split_once('=')) {
        let value = percent_encoding::percent_decode_str(value.trim()).decode_utf8_lossy();
        if let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name.trim()), HeaderValue::try_from(value.as_ref())) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    headers
}
