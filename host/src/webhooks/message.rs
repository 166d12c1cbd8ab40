//! What a webhook's receiver gets: the body of a delivery. The same members as the API shows of an event.

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::notices::Event;

/// The body for an event (Standard Webhooks 1.0.0, "Payload structure").
pub(super) fn body(event: &Event) -> Bytes {
    json!({"type": event.kind.as_str(), "timestamp": time(event.at), "data": data(event)}).to_string().into()
}

/// An event for others; what is absent is left out.
pub(crate) fn data(event: &Event) -> Value {
    let mut members = Map::new();
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            members.insert(name.to_owned(), value);
        }
    };
    let name = |name: &Option<crate::name::Name>| name.as_ref().map(|name| name.as_str().into());
    add("id", Some(event.id.to_string().into()));
    add("at", Some(time(event.at).into()));
    add("kind", Some(event.kind.as_str().into()));
    add("severity", Some(event.severity.as_str().into()));
    add("message", Some(event.message.as_str().into()));
    add("remedy", (!event.remedy.is_empty()).then(|| event.remedy.as_str().into()));
    add("organization", name(&event.organization));
    add("integration", name(&event.integration));
    add("flow", event.flow.as_deref().map(Value::from));
    add("personal_token", event.personal_token.as_deref().map(Value::from));
    add("user", event.user.as_deref().map(Value::from));
    add("webhook", name(&event.webhook));
    add("scopes", event.scopes.as_deref().map(Value::from));
    add("generation", event.generation.map(Value::from));
    Value::Object(members)
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
