//! One step of a flow that ships, in a fresh instance, against the same step of a flow that does nothing: of Rust, and of
//! the two languages that bring an interpreter along.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokenhost::flows::step::{Context, Event, Purpose};
use tokenhost::flows::{Flow, Plugin};
use tokio::runtime::Runtime;

use crate::empty_flow;
use crate::figures::{median_seconds, seconds};
use crate::home;
use crate::report::{Line, Reach, Report};

/// Steps of each in a turn.
const TURN: usize = 100;
/// How often they take turns.
const ROUNDS: usize = 50;
/// The flows that ship, one for each language, and what a step of theirs may cost.
const FLOWS: [(&str, &str, Reach); 3] = [
    ("client-credentials", "Rust", Reach::AtMost(3.0)),
    ("session-login", "JavaScript", Reach::None),
    ("hmac-token", "Python", Reach::None),
];

pub(super) fn measure(runtime: &Runtime, report: &mut Report) -> anyhow::Result<()> {
    runtime.block_on(async {
        let flows = home::flows(None).await?;
        let empty = Plugin::load(flows.engine(), empty_flow::component()?).await?;
        for (name, language, reach) in FLOWS {
            let ours = flows.get(name).with_context(|| format!("there is no flow {name}"))?;
            let context = context(&*ours);
            let (mut our_times, mut empty_times) = (Vec::new(), Vec::new());
            for round in 0..=ROUNDS {
                let ours = turn(&*ours, &context).await?;
                let empty = turn(&empty, &context).await?;
                // The first turn warms up.
                if round > 0 {
                    our_times.extend(ours);
                    empty_times.extend(empty);
                }
                report.progress(|| format!("{name}, turn {round} of {ROUNDS}"));
            }
            let (ours, empty) = (median_seconds(&our_times), median_seconds(&empty_times));
            report.add(Line {
                what: format!("one step of {name} ({language}), fresh instance"),
                ours: seconds(ours),
                baseline: format!("{} (a flow that does nothing)", seconds(empty)),
                figure: ours / empty,
                reach,
            });
        }
        Ok(())
    })
}

async fn turn(flow: &dyn Flow, context: &Context) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(TURN);
    for _ in 0..TURN {
        let event = Event::Begin(Purpose::Acquire);
        let began = Instant::now();
        let run = flow.advance(context, event).await?;
        times.push(began.elapsed());
        ensure!(run.outcome.is_ok(), "the flow gave up: {:?}", run.outcome);
    }
    Ok(times)
}

/// What an integration with all its fields set tells the flow.
fn context(flow: &dyn Flow) -> Context {
    let given = [
        ("client_id", "automation"),
        ("token_url", "https://login.example.com/token"),
        ("scope", "read write"),
        ("login_url", "https://login.example.com/login"),
        ("username", "automation"),
        ("key_id", "automation"),
    ];
    let value = |name: &str| given.iter().find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned());
    let fields = &flow.description().fields;
    let values = fields.iter().filter(|field| !field.is_secret());
    let values =
        values.filter_map(|field| Some((field.name.clone(), value(&field.name).or_else(|| field.default.clone())?)));
    let scheme = serde_json::json!({"type": "oauth2", "flows": {"clientCredentials":
        {"tokenUrl": "https://login.example.com/token", "scopes": {"read": "Reads", "write": "Writes"}}}});
    Context {
        scheme_name: "oauth2".into(),
        scheme_document: scheme.to_string(),
        values: values.collect(),
        secrets: fields.iter().filter(|field| field.is_secret()).map(|field| field.name.clone()).collect(),
        revealed: Vec::new(),
        now: 1_800_000_000,
        entropy: [7; 32],
        callback_url: None,
        return_key: None,
    }
}
