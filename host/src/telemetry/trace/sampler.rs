//! Which traces are kept: as the caller's trace says; of those that nobody says anything of, a share.

use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::trace::{Link, SpanKind, TraceContextExt as _, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};

/// The share of traces that are kept, as the bits of an `f64`; a reload changes it.
static RATIO: AtomicU64 = AtomicU64::new(0);

/// Keeps this share of traces from now on.
pub(super) fn set_ratio(ratio: f64) {
    RATIO.store(ratio.to_bits(), Ordering::Relaxed);
}

/// As the parent says, else as a link says, else by the share.
#[derive(Clone, Debug)]
pub(super) struct Kept;

impl ShouldSample for Kept {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let parent_span =
            parent.filter(|parent| parent.has_active_span()).map(|parent| parent.span().span_context().clone());
        let decided = match &parent_span {
            Some(parent) => Some(parent.is_sampled()),
            // An attempt is kept with the call that caused it.
            None => links.iter().any(|link| link.span_context.is_sampled()).then_some(true),
        };
        let Some(keep) = decided else {
            let ratio = f64::from_bits(RATIO.load(Ordering::Relaxed));
            return Sampler::TraceIdRatioBased(ratio).should_sample(parent, trace_id, name, kind, attributes, links);
        };
        SamplingResult {
            decision: if keep { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop },
            attributes: Vec::new(),
            trace_state: parent_span.map_or_else(TraceState::default, |parent| parent.trace_state().clone()),
        }
    }
}
