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

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags};

    use super::*;

    #[test]
    fn the_parent_decides_then_links_then_the_share() {
        let context = |sampled| {
            let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
            SpanContext::new(TraceId::from(7), SpanId::from(7), flags, true, TraceState::default())
        };
        let check = |ratio, parent: Option<bool>, links: &[bool], expected| {
            set_ratio(ratio);
            let parent = parent.map(|sampled| Context::new().with_remote_span_context(context(sampled)));
            let links: Vec<Link> = links.iter().map(|sampled| Link::with_context(context(*sampled))).collect();
            let decided =
                Kept.should_sample(parent.as_ref(), TraceId::from(9), "x", &SpanKind::Server, &[], &links).decision;
            assert_eq!(decided, expected, "{ratio} {parent:?} {links:?}");
        };
        let (keep, drop) = (SamplingDecision::RecordAndSample, SamplingDecision::Drop);
        check(0.0, Some(true), &[], keep.clone());
        check(1.0, Some(false), &[], drop.clone());
        check(0.0, None, &[false, true], keep.clone());
        check(0.0, None, &[false], drop.clone());
        check(1.0, None, &[false], keep.clone());
        check(0.0, None, &[], drop);
        check(1.0, None, &[], keep);
    }
}
