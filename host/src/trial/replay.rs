//! A recorded attempt, run through a build: what it was given, it is given again, and what it answers is held against what was
//! answered then. Nothing is sent.
//!
//! The state between two steps is the build's own. The first step that differs ends it: from there on the recording has no answer.

use serde_json::{Value, json};

use super::recording::{Happened, Recording};
use super::told;
use crate::egress::RequestRecord;
use crate::flows::step::{Failure, State, Step, Wait};
use crate::flows::{Flow as _, Plugin};

/// One step, as it was and as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The attempt's number within the recording, from 1.
    pub attempt: usize,
    /// The step's number within the attempt, from 1.
    pub step: usize,
    /// What the flow was told: `begin acquire`, `answered`, …
    pub event: String,
    /// What it answers now: `send`, `done`, …
    pub outcome: String,
    /// In what it differs from what was answered then: lines with `- ` and `+ `. Empty: in nothing.
    pub difference: Vec<String>,
    /// Whether that says something of the build. It doesn't where the answer was made up: what the flow looks for may not be in it.
    pub comparable: bool,
}

/// Replays. The last of the steps is the only one that can differ.
///
/// # Errors
/// The recording isn't whole; says where.
pub async fn replay(plugin: &Plugin, recording: &Recording) -> Result<Vec<Compared>, String> {
    let mut compared = Vec::new();
    for (attempt_number, attempt) in (1..).zip(&recording.attempts) {
        let mut state: State = "".into();
        for (number, step) in (1..).zip(&attempt.steps) {
            let place = |problem: String| format!("attempt {attempt_number}, step {number}: {problem}");
            let context = attempt.context.context(step).map_err(place)?;
            let event = step.event.event(state.clone()).map_err(place)?;
            let name = event.name().to_owned();
            let (is, outcome_name, next) = match plugin.advance(&context, event).await {
                Ok(run) => {
                    let told = if recording.outlined { outline(&run.outcome) } else { told::outcome(&run.outcome) };
                    (told, Step::name_of(&run.outcome), next_state(&run.outcome))
                }
                Err(fault) => (json!({"fault": fault.fault}), "fault", None),
            };
            let was = if recording.outlined { without_digests(&step.outcome) } else { step.outcome.clone() };
            let difference = told::difference(&was, &is);
            let differs = !difference.is_empty();
            let comparable = !differs || !recording.outlined || !matches!(step.event, Happened::Answered { .. });
            compared.push(Compared {
                attempt: attempt_number,
                step: number,
                event: name,
                outcome: outcome_name.to_owned(),
                difference,
                comparable,
            });
            if differs {
                return Ok(compared);
            }
            state = next.unwrap_or_else(|| "".into());
        }
    }
    Ok(compared)
}

fn next_state(outcome: &Result<Step, Failure>) -> Option<State> {
    match outcome {
        Ok(Step::Send(_, state) | Step::Redirect(_, state) | Step::Wait(Wait { state, .. })) => Some(state.clone()),
        _ => None,
    }
}

/// What of an outcome can be held against a daemon's record of it: the request, or else its kind.
fn outline(outcome: &Result<Step, Failure>) -> Value {
    match outcome {
        Ok(Step::Send(request, _)) => without_digests(&json!({"send": RequestRecord::outline(request)})),
        other => json!({"step": Step::name_of(other)}),
    }
}

/// The same without the digests of sensitive texts: those are made of random bytes, which a daemon keeps to itself.
fn without_digests(value: &Value) -> Value {
    match value {
        Value::String(text) => without_digest(text).into(),
        Value::Array(items) => items.iter().map(without_digests).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), without_digests(value))).collect(),
        other => other.clone(),
    }
}

fn without_digest(text: &str) -> String {
    let mut rest = text;
    let mut clean = String::new();
    while let Some((before, after)) = rest.split_once("[sensitive, ") {
        let Some((_, after)) = after.split_once(']') else { break };
        clean.push_str(before);
        clean.push_str("[sensitive]");
        rest = after;
    }
    clean + rest
}

/// A daemon's attempt as a recording. Its answers are made up around status, header names and JSON keys.
///
/// `told` is what the integration has set now; nobody knows what it had then.
///
/// # Errors
/// It isn't the record of an attempt.
pub fn outlined(attempt: &Value, told: super::recording::Told) -> Result<Recording, String> {
    let flow = attempt.get("flow").and_then(Value::as_str).unwrap_or_default();
    let mut steps = Vec::new();
    let mut before: Option<&Value> = None;
    for step in attempt.get("steps").and_then(Value::as_array).ok_or("it has no steps")? {
        let event = happened(step, before)?;
        let name = step.get("step").and_then(Value::as_str).unwrap_or_default();
        let outcome = match step.get("request").filter(|request| request.is_object()) {
            Some(request) => json!({"send": request}),
            None => json!({"step": name}),
        };
        let now = step.get("now").and_then(Value::as_u64).unwrap_or_default();
        steps.push(super::recording::Step { event, now, entropy: String::new(), outcome });
        before = Some(step);
    }
    let mut recording = Recording::new(flow.to_owned());
    recording.outlined = true;
    recording.attempts = vec![super::recording::Attempt { context: told, steps }];
    Ok(recording)
}

/// What a step was told, by its name and by what the step before it had for an answer.
fn happened(step: &Value, before: Option<&Value>) -> Result<Happened, String> {
    use crate::flows::step::Purpose;
    let problem = before.and_then(|before| before.get("problem")).and_then(Value::as_str).unwrap_or_default();
    Ok(match step.get("event").and_then(Value::as_str).unwrap_or_default() {
        "begin acquire" => Happened::Begin(Purpose::Acquire),
        "begin refresh" => Happened::Begin(Purpose::Refresh),
        "begin revoke" => Happened::Begin(Purpose::Revoke),
        "answered" => {
            let answer = before.and_then(|before| before.get("answer")).ok_or("a step has no answer before it")?;
            made_up(answer)
        }
        "unanswered" => Happened::Unanswered { left: true, reason: problem.to_owned() },
        "elapsed" => Happened::Elapsed,
        "returned" => Happened::Returned(vec![("code".to_owned(), PLACEHOLDER.to_owned())]),
        other => return Err(format!("it has an event {other:?}, which this tokenhost doesn't know")),
    })
}

/// What stands for a text that nobody kept.
const PLACEHOLDER: &str = "placeholder";

/// Members that hold a number of seconds.
const NUMBERS: &[&str] = &["expires_in", "refresh_expires_in", "interval", "expires_at", "expiresIn"];

/// An answer with made-up values.
fn made_up(answer: &Value) -> Happened {
    use base64::Engine as _;
    let texts = |name: &str| -> Vec<String> {
        let items = answer.get(name).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let keys = texts("json_keys");
    let body = if keys.is_empty() {
        String::new()
    } else {
        let members: serde_json::Map<String, Value> = keys
            .into_iter()
            .map(|key| {
                let value = if NUMBERS.contains(&key.as_str()) { json!(3600) } else { json!(PLACEHOLDER) };
                (key, value)
            })
            .collect();
        Value::Object(members).to_string()
    };
    let headers = texts("headers").into_iter().map(|name| {
        let value = if name == "content-type" { "application/json" } else { PLACEHOLDER };
        (name, value.to_owned())
    });
    Happened::Answered {
        status: answer
            .get("status")
            .and_then(Value::as_u64)
            .and_then(|status| u16::try_from(status).ok())
            .unwrap_or(200),
        headers: headers.collect(),
        body: base64::engine::general_purpose::STANDARD.encode(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::tests::guest::{FAILED, Guest};
    use crate::flows::tests::load;
    use crate::trial::recording::Told;

    #[test]
    fn digests_of_sensitive_texts_do_not_count() {
        assert_eq!(without_digest("a [sensitive, 5 bytes, sha256 01234567] b"), "a [sensitive] b");
        assert_eq!(without_digest("plain [x]"), "plain [x]");
        assert_eq!(without_digest("[sensitive, open"), "[sensitive, open");
    }

    #[tokio::test]
    async fn a_daemons_attempt_is_outlined_and_replayed() {
        let attempt = json!({"flow": "good 1.0.0 (ab)", "steps": [
            {"event": "begin refresh", "step": "done", "now": 5},
            {"event": "answered", "step": "failed", "now": 6},
        ]});
        assert!(outlined(&attempt, Told::default()).unwrap_err().contains("no answer before it"));
        let attempt =
            json!({"flow": "good 1.0.0 (ab)", "steps": [{"event": "begin refresh", "step": "done", "now": 5}]});
        let recording = outlined(&attempt, Told::default()).unwrap();
        let good = load(&Guest::good("good")).await;
        let same = replay(&good, &recording).await.unwrap();
        assert_eq!((same.len(), same[0].outcome.as_str(), same[0].difference.len()), (1, "done", 0));
        let failing = load(&Guest::answering("good", &format!("(i32.const {FAILED})"))).await;
        let differs = replay(&failing, &recording).await.unwrap();
        assert_eq!(differs[0].difference, ["- step: done", "+ step: failed"]);
        let trapping = load(&Guest::answering("good", "(unreachable)")).await;
        let differs = replay(&trapping, &recording).await.unwrap();
        assert!(differs[0].difference[0].starts_with("+ fault: it trapped"), "{differs:?}");
    }

    #[test]
    fn answers_are_made_up_around_what_is_kept() {
        let answer = json!({"status": 401, "headers": ["date"], "json_keys": ["error", "expires_in"], "bytes": 9});
        let Happened::Answered { status, headers, body } = made_up(&answer) else { panic!() };
        let body = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).unwrap();
        assert_eq!((status, headers.len()), (401, 1));
        assert_eq!(String::from_utf8(body).unwrap(), r#"{"error":"placeholder","expires_in":3600}"#);
    }
}
