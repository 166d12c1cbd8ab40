//! Spans as OTLP's protobuf messages (opentelemetry-proto 1.x, `trace/v1/trace.proto` and `collector/trace/v1`). Fields are
//! named by their numbers there.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanContext, SpanKind, Status};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;
use prost::encoding::{WireType, bytes, encode_key, encode_varint, fixed32, fixed64, string, uint32};

/// The flag of a link or a parent that says that it is known whether that is remote, and the one that says that it is.
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// The body of a request that brings these spans to a collector.
pub(super) fn request(spans: &[SpanData]) -> Vec<u8> {
    let mut body = Vec::with_capacity(spans.len() * 512);
    message(1, &mut body, |resource_spans| {
        message(1, resource_spans, |resource| {
            attribute(1, resource, &KeyValue::new("service.name", "tokenhost"));
            attribute(1, resource, &KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        });
        message(2, resource_spans, |scope_spans| {
            message(1, scope_spans, |scope| string::encode(1, &"tokenhost".to_owned(), scope));
            for span in spans {
                message(2, scope_spans, |buffer| encode(span, buffer));
            }
        });
    });
    body
}

fn encode(span: &SpanData, buffer: &mut Vec<u8>) {
    context(1, &span.span_context, buffer);
    let parent = span.parent_span_id.to_bytes();
    let has_parent = parent != [0; 8];
    if has_parent {
        bytes::encode(4, &parent.to_vec(), buffer);
    }
    string::encode(5, &span.name.clone().into_owned(), buffer);
    let kind = match span.span_kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    };
    uint32::encode(6, &kind, buffer);
    fixed64::encode(7, &nanoseconds(span.start_time), buffer);
    fixed64::encode(8, &nanoseconds(span.end_time), buffer);
    span.attributes.iter().for_each(|one| attribute(9, buffer, one));
    for link in &span.links.links {
        message(13, buffer, |buffer| {
            context(1, &link.span_context, buffer);
            fixed32::encode(6, &flags(&link.span_context, link.span_context.is_remote()), buffer);
        });
    }
    let (code, text) = match &span.status {
        Status::Unset => (0, ""),
        Status::Ok => (1, ""),
        Status::Error { description } => (2, description.as_ref()),
    };
    if code != 0 {
        message(15, buffer, |status| {
            string::encode(2, &text.to_owned(), status);
            uint32::encode(3, &code, status);
        });
    }
    fixed32::encode(16, &flags(&span.span_context, has_parent && span.parent_span_is_remote), buffer);
}

/// The trace, the span and the state of a context, of which the first has this number.
fn context(first: u32, context: &SpanContext, buffer: &mut Vec<u8>) {
    bytes::encode(first, &context.trace_id().to_bytes().to_vec(), buffer);
    bytes::encode(first + 1, &context.span_id().to_bytes().to_vec(), buffer);
    let state = context.trace_state().header();
    if !state.is_empty() {
        string::encode(first + 2, &state, buffer);
    }
}

fn flags(context: &SpanContext, is_remote: bool) -> u32 {
    u32::from(context.trace_flags().to_u8()) | HAS_IS_REMOTE | if is_remote { IS_REMOTE } else { 0 }
}

fn attribute(number: u32, buffer: &mut Vec<u8>, one: &KeyValue) {
    message(number, buffer, |buffer| {
        string::encode(1, &one.key.to_string(), buffer);
        message(2, buffer, |value| match &one.value {
            Value::Bool(flag) => {
                encode_key(2, WireType::Varint, value);
                encode_varint(u64::from(*flag), value);
            }
            Value::I64(number) => {
                encode_key(3, WireType::Varint, value);
                // As protobuf writes an int64: negative numbers in two's complement.
                encode_varint(number.cast_unsigned(), value);
            }
            other => {
                let text = other.to_string();
                encode_key(1, WireType::LengthDelimited, value);
                encode_varint(text.len() as u64, value);
                value.extend_from_slice(text.as_bytes());
            }
        });
    });
}

/// A message within a message.
fn message(number: u32, buffer: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    fill(&mut inner);
    encode_key(number, WireType::LengthDelimited, buffer);
    encode_varint(inner.len() as u64, buffer);
    buffer.extend_from_slice(&inner);
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
