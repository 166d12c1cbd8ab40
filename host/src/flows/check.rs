//! Holds a component against the contract, for its author: what `tokenhost plugin check FILE` shows.
//!
//! Beyond what loading asks for, it runs the flow on made-up contexts. It opens no connection.

use bytes::Bytes;

use super::component::{self, Fault};
use super::description::{FieldKind, Requirement};
use super::engine::Engine;
use super::plugin::Plugin;
use super::step::{Context, Event, Purpose};
use super::{Description, Flow as _};

/// A moment in 2026, in seconds since the Unix epoch; and another.
const MOMENTS: [u64; 2] = [1_790_000_000, 1_890_000_000];

/// What was found out about a component.
#[derive(Clone, Debug)]
pub struct Report {
    /// Lower-case hexadecimal SHA-256 of the component.
    pub digest: String,
    /// Its size in bytes.
    pub size: usize,
    /// The contract's version that it implements, if it could be loaded.
    pub contract: Option<&'static str>,
    /// What it says of itself, if it could be loaded.
    pub description: Option<Description>,
    /// The WASI interfaces that it imports; no fault, since they find an empty world.
    pub wasi: Vec<String>,
    /// What is wrong, and what to do about it. Empty: the component is a good flow as far as can be seen from outside.
    pub faults: Vec<Fault>,
}

/// Holds a component against the contract.
pub async fn check(engine: &Engine, bytes: impl Into<Bytes>) -> Report {
    let bytes = bytes.into();
    let mut report = Report {
        digest: component::digest(&bytes),
        size: bytes.len(),
        contract: None,
        description: None,
        wasi: Vec::new(),
        faults: Vec::new(),
    };
    match Plugin::load(engine, bytes).await {
        Ok(plugin) => {
            report.contract = Some(plugin.contract());
            report.wasi = plugin.wasi().to_vec();
            report.description = Some(plugin.description().clone());
            describe_again(&plugin, &mut report.faults).await;
            for purpose in [Purpose::Acquire, Purpose::Refresh, Purpose::Revoke] {
                for filled in [false, true] {
                    begin(&plugin, purpose, filled, &mut report.faults).await;
                }
            }
        }
        Err(error) => report.faults = error.faults,
    }
    report
}

/// Whether the description depends on anything.
async fn describe_again(plugin: &Plugin, faults: &mut Vec<Fault>) {
    match plugin.describe_at(MOMENTS[1], [7; 32]).await {
        Ok(description) if description == *plugin.description() => {}
        Ok(_) => faults.push(Fault::new(
            "`describe` answered differently at another moment",
            "it must always give the same answer; don't look at the clock or at random numbers in it",
        )),
        Err(problem) => faults.push(Fault::new(
            format!("`describe` failed at another moment: {problem}"),
            "don't look at the clock or at random numbers in it",
        )),
    }
}

/// Whether the flow begins an attempt, with nothing set and with everything set, and does so twice in the same way.
async fn begin(plugin: &Plugin, purpose: Purpose, filled: bool, faults: &mut Vec<Fault>) {
    let context = context(plugin.description(), filled);
    let with = if filled { "with every field set" } else { "with no field set" };
    let event = format!("{purpose:?}").to_lowercase();
    let mut answers = Vec::new();
    for _ in 0..2 {
        match plugin.advance(&context, Event::Begin(purpose)).await {
            // `Debug` hides what is sensitive and nothing else.
            Ok(run) => answers.push(format!("{:?}", run.outcome)),
            Err(error) => {
                faults.push(Fault::new(
                    format!("`advance` on `begin({event})` {with}: {}", error.fault),
                    "answer with a failure that names what is missing or not supported",
                ));
                return;
            }
        }
    }
    if answers[0] != answers[1] {
        faults.push(Fault::new(
            format!("`advance` on `begin({event})` {with} answered differently with the same context"),
            "a flow is a pure function: take time and random bytes from the context",
        ));
    }
}

/// A made-up context.
fn context(description: &Description, filled: bool) -> Context {
    let scheme = description.handles.first();
    let kind = scheme.map_or("oauth2", |scheme| scheme.kind.as_str());
    let detail = scheme.and_then(|scheme| scheme.detail.as_deref());
    let document = match (kind, detail) {
        ("oauth2", detail) => {
            let flow = serde_json::json!({"tokenUrl": "https://provider.example/token", "scopes": {}});
            serde_json::json!({"type": kind, "flows": {detail.unwrap_or("clientCredentials"): flow}})
        }
        ("http", detail) => serde_json::json!({"type": kind, "scheme": detail.unwrap_or("bearer")}),
        _ => serde_json::json!({"type": kind}),
    };
    let mut context = Context {
        scheme_name: "example".to_owned(),
        scheme_document: document.to_string(),
        values: Vec::new(),
        secrets: Vec::new(),
        revealed: Vec::new(),
        now: MOMENTS[0],
        entropy: [42; 32],
        callback_url: Some("https://tokenhost.example/v1/callback".to_owned()),
        return_key: Some("return-key".to_owned()),
    };
    for field in &description.fields {
        // What a form fills in by itself is always set.
        if !filled && field.default.is_none() {
            continue;
        }
        let value = match &field.kind {
            FieldKind::Secret => {
                context.secrets.push(field.name.clone());
                continue;
            }
            FieldKind::Url | FieldKind::MetadataUrl => "https://provider.example/endpoint".to_owned(),
            FieldKind::Choice(choices) => choices.first().cloned().unwrap_or_default(),
            FieldKind::Flag => "true".to_owned(),
            FieldKind::Text | FieldKind::Words if field.required == Requirement::Never => continue,
            FieldKind::Text | FieldKind::Words => "example".to_owned(),
        };
        context.values.push((field.name.clone(), field.default.clone().unwrap_or(value)));
    }
    if filled {
        context.secrets.extend(["token.access_token".to_owned(), "token.refresh_token".to_owned()]);
        context.values.push(("token.token_type".to_owned(), "Bearer".to_owned()));
    }
    context
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::tests::engine;
    use crate::flows::tests::guest::{DONE, EXPIRES_AT, Guest};

    /// Checks a plugin and looks for a fault; none: there must be none.
    async fn look(component: Vec<u8>, expected: Option<&str>) {
        let report = check(engine(), component).await;
        let faults: Vec<String> = report.faults.iter().map(Fault::to_string).collect();
        match expected {
            Some(part) => {
                assert!(faults.iter().any(|fault| fault.contains(part)), "{faults:#?}\nshould contain {part}")
            }
            None => assert!(faults.is_empty() && report.description.is_some(), "{faults:#?}"),
        }
    }

    #[tokio::test]
    async fn faults_are_found_and_told() {
        look(Guest::good("good").build(), None).await;
        look(b"\0asm".to_vec(), Some("isn't a valid component")).await;
        look(
            Guest::answering("trapping", "(unreachable)").build(),
            Some("`advance` on `begin(revoke)` with no field set"),
        )
        .await;
        // The size of the context decides: with nothing set, its list of values is empty.
        let picky = format!(
            "(if (i32.eqz (i32.load (i32.add (local.get 0) (i32.const 20)))) (then (unreachable))) (i32.const {DONE})"
        );
        let report = check(engine(), Guest::answering("picky", &picky).build()).await;
        assert_eq!(report.faults.len(), 3, "{:#?}", report.faults);
        assert!(report.faults.iter().all(|fault| fault.problem.contains("with no field set")));
    }

    #[tokio::test]
    async fn an_impure_flow_can_only_be_one_through_what_the_step_gives() {
        // It answers the moment of the step: that may differ between steps, and doesn't with the same context.
        let now = format!(
            "(i32.store (i32.const {EXPIRES_AT}) (i32.const 1)) (i64.store (i32.const {}) (i64.load (i32.add (local.get 0) (i32.const 40)))) (i32.const {DONE})",
            EXPIRES_AT + 8
        );
        look(Guest::answering("timely", &now).build(), None).await;
    }
}
