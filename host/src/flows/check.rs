//! Holds a component against the contract, for its author: what `tokenhost plugin check FILE` shows.
//!
//! Beyond what loading asks for, it runs the flow on made-up contexts. It opens no connection.

use std::time::Duration;

use bytes::Bytes;
use url::Url;

use super::component::{self, Fault};
use super::description::{FieldKind, Requirement};
use super::engine::Engine;
use super::plugin::{Cost, Plugin};
use super::resources::Resources;
use super::step::{Context, Event, Failure, Purpose, Step};
use super::text::printable;
use super::{Description, Flow as _, lint};
use crate::clock::SharedClock;

/// From here on a component is big: more than any of the three languages' toolchains needs.
const BIG: usize = 24 << 20;

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
    /// What it exports, at its border.
    pub exports: Vec<String>,
    /// What it imports, at its border.
    pub imports: Vec<String>,
    /// What it takes of the pool of instances.
    pub resources: Resources,
    /// How long it took to compile, if it was compiled.
    pub compile: Option<Duration>,
    /// What one step took: the median of those that were run, processor time and the most memory.
    pub step: Option<Cost>,
    /// What is wrong, and what to do about it. Empty: the component is a good flow as far as can be seen from outside.
    pub faults: Vec<Fault>,
    /// What could be better.
    pub warnings: Vec<Fault>,
}

/// Holds a component against the contract. The clock tells how long it takes to compile.
pub async fn check(engine: &Engine, bytes: impl Into<Bytes>, clock: &SharedClock) -> Report {
    let bytes = bytes.into();
    let border = component::border(&bytes);
    let mut report = Report {
        digest: component::digest(&bytes),
        size: bytes.len(),
        contract: None,
        description: None,
        wasi: Vec::new(),
        exports: border.exports,
        imports: border.imports,
        resources: Resources::of(&bytes),
        compile: None,
        step: None,
        faults: Vec::new(),
        warnings: Vec::new(),
    };
    report.faults = report.resources.faults();
    let before = clock.elapsed();
    let loaded = Plugin::load(engine, bytes).await;
    let taken = clock.elapsed().saturating_sub(before);
    match loaded {
        Ok(plugin) => {
            report.compile = Some(taken);
            report.contract = Some(plugin.contract());
            report.wasi = plugin.wasi().to_vec();
            report.description = Some(plugin.description().clone());
            report.warnings = lint::advice(plugin.description());
            if report.size > BIG {
                report.warnings.push(Fault::new(
                    format!("it has {} MB", report.size >> 20),
                    "a flow in Rust has 0.3 MB, in JavaScript 1 MB, in Python 18 MB; leave out what it doesn't need",
                ));
            }
            if report.wasi.iter().any(|import| import.starts_with("wasi:clocks/")) {
                report.warnings.push(Fault::new(
                    "it imports the clocks of WASI, which stand at the step's `now`",
                    "take the time from the context; what measures time or waits for it gets nowhere here",
                ));
            }
            describe_again(&plugin, &mut report.faults).await;
            let mut costs = Vec::new();
            for purpose in [Purpose::Acquire, Purpose::Refresh, Purpose::Revoke] {
                for filled in [false, true] {
                    begin(&plugin, purpose, filled, &mut report.faults, &mut costs).await;
                }
            }
            report.step = median(&mut costs);
        }
        Err(error) => {
            // A pool that is too small is told more exactly above.
            let told = !report.faults.is_empty();
            report.faults.extend(error.faults.into_iter().filter(|fault| !(told && fault.problem.contains("limit"))));
        }
    }
    report
}

/// The median time, and the most memory.
fn median(costs: &mut [Cost]) -> Option<Cost> {
    costs.sort_by_key(|cost| cost.processor);
    let memory = costs.iter().map(|cost| cost.memory).max()?;
    costs.get(costs.len() / 2).map(|cost| Cost { memory, ..*cost })
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
async fn begin(plugin: &Plugin, purpose: Purpose, filled: bool, faults: &mut Vec<Fault>, costs: &mut Vec<Cost>) {
    let context = context(plugin.description(), filled);
    let with = if filled { "with every field set" } else { "with no field set" };
    let event = format!("{purpose:?}").to_lowercase();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let (run, cost) = plugin.measure(&context, Event::Begin(purpose)).await;
        costs.push(cost);
        match run {
            Ok(run) => {
                if answers.is_empty()
                    && let Some(fault) = astray(plugin.description(), &context, &run.outcome)
                {
                    faults.push(Fault::new(format!("on `begin({event})` {with} {fault}"), ASTRAY));
                }
                // `Debug` hides what is sensitive and nothing else.
                answers.push(format!("{:?}", run.outcome));
            }
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

/// What to do about a request to an origin that isn't the integration's.
const ASTRAY: &str = "requests may go only to the origins of the fields of the kind `url` and `metadata-url`, and of the endpoints that \
    a metadata document names: make the address a field";

/// Whether a flow wants to send a request, or a person, where the host would not.
fn astray(description: &Description, context: &Context, outcome: &Result<Step, Failure>) -> Option<String> {
    let (url, what) = match outcome {
        Ok(Step::Send(request, _)) => (&request.url, "a request"),
        Ok(Step::Redirect(url, _)) => (url, "a person"),
        _ => return None,
    };
    let origin = |url: &str| Url::parse(url).ok().map(|url| url.origin().ascii_serialization());
    let to = origin(url)?;
    let fields = description.fields.iter().filter(|field| field.is_url());
    let allowed = fields.filter_map(|field| {
        let value = context.values.iter().find(|(name, _)| *name == field.name);
        value.and_then(|(_, value)| origin(value))
    });
    let allowed: Vec<String> = allowed.collect();
    (!allowed.contains(&to))
        .then(|| format!("it sends {what} to {}, which is the origin of none of its URL fields", printable(&to, 100)))
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
    use crate::clock::SystemClock;
    use crate::flows::tests::engine;
    use crate::flows::tests::guest::{DONE, EXPIRES_AT, Guest};

    /// Checks a plugin and looks for a fault; none: there must be none.
    async fn look(component: Vec<u8>, expected: Option<&str>) {
        let report = check(engine(), component, &SystemClock::shared()).await;
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
        let report = check(engine(), Guest::answering("picky", &picky).build(), &SystemClock::shared()).await;
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
