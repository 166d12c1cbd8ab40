//! `tokenhost plugin replay`: a recorded attempt, or one that a daemon has in its journal, run through a build.
//!
//! How it is compared is `trial::replay`'s; this finds the recording and the build, and shows what differs.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::client::Connection;
use super::super::exit::{Exit, Failure};
use super::super::output::{Output, cell, items};
use super::{build, compiled};
use crate::flows::{Flow as _, Plugin};
use crate::trial::recording::{LARGEST, Recording, Told};
use crate::trial::replay::{self, Compared};
use crate::trial::walk::scheme;

/// Run a recorded attempt through a build, and show the first step that differs
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nothing is sent. A recording is what plugin try --record wrote. Of an attempt, a daemon keeps no answers: they are made up around status, header names and JSON keys, and a request counts, what comes of an answer only by its kind. Exit code 0: all steps are the same; 1: one differs.\n\nExamples:\n  tokenhost plugin replay attempt.json --flow my-flow.wasm\n  tokenhost plugin replay attempt.json --flow .            # builds the folder first\n  tokenhost plugin replay crm-prod/01JD3Q5Z8Y0000000000000000 --flow my-flow.wasm"
)]
pub(super) struct Replay {
    /// The recording's file, or an attempt of the daemon
    #[arg(value_name = "FILE|INTEGRATION/ATTEMPT")]
    recording: String,
    /// The component, or a flow's folder, which is built first
    #[arg(long, value_name = "FILE|DIR", default_value = ".")]
    flow: PathBuf,
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
}

impl Replay {
    /// Runs it.
    ///
    /// # Errors
    /// There is no such recording or build, or a step differs.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let component = match self.flow.is_dir() {
            true => build::build(&self.flow, None, &mut |line| output.note(line))?.component,
            false => self.flow.clone(),
        };
        let plugin = compiled::load(&compiled::engine()?, super::read(&component)?, output).await;
        let plugin = plugin.map_err(|error| Failure::failed(error.to_string()))?;
        let path = Path::new(&self.recording);
        let recording = match self.recording.split_once('/') {
            _ if path.is_file() => read(path)?,
            Some((integration, attempt)) if !integration.is_empty() && !attempt.contains('/') => {
                self.ask(&plugin, integration, attempt).await?
            }
            _ => {
                return Err(Failure::failed(format!("there is no file {}", self.recording)).hint(
                    "Name a recording of `plugin try --record`, or an attempt as INTEGRATION/ATTEMPT \
                     (`tokenhost integration attempts INTEGRATION` lists them).",
                ));
            }
        };
        if let Some(warning) = other_flow(&recording.flow, &plugin.description().name) {
            output.note(&warning);
        }
        let compared = replay::replay(&plugin, &recording)
            .await
            .map_err(|problem| Failure::failed(format!("{}: {problem}", self.recording)))?;
        let document = document(&plugin, &recording, &compared);
        output.show(&document, show)?;
        if document["same"] == true { Ok(()) } else { Err(Failure::Silent(Exit::Failed)) }
    }

    /// An attempt of a daemon as a recording.
    async fn ask(&self, plugin: &Plugin, integration: &str, attempt: &str) -> Result<Recording, Failure> {
        let client = self.connection.client()?;
        let record = client.get(&["integrations", integration, "attempts", attempt], &[]).await?;
        let now = client.get(&["integrations", integration], &[]).await?;
        let told = told(plugin, &now, &record);
        replay::outlined(&record, told).map_err(|problem| Failure::failed(format!("attempt {attempt}: {problem}")))
    }
}

/// What to say where the recording is of a flow of another name. `recorded`: name, version and digest.
fn other_flow(recorded: &str, name: &str) -> Option<String> {
    let recorded = recorded.split_whitespace().next().filter(|recorded| *recorded != name)?;
    Some(format!(
        "warning: the recording is of flow {recorded}, and this is flow {name}: what differs may mean nothing"
    ))
}

/// What an integration has set, and what its present token has in an attempt of this purpose.
fn told(plugin: &Plugin, integration: &Value, attempt: &Value) -> Told {
    let mut told = Told { scheme_name: cell(integration, "scheme"), ..Told::default() };
    for (name, value) in integration.get("fields").and_then(Value::as_object).into_iter().flatten() {
        match value.as_str() {
            Some(text) => drop(told.values.insert(name.clone(), text.to_owned())),
            None if value.get("set") == Some(&Value::Bool(true)) => told.secrets.push(name.clone()),
            None => {}
        }
    }
    let refreshes = items(attempt, "steps").iter().any(|step| step["event"] == "begin refresh");
    if refreshes {
        told.secrets.extend(["token.access_token".to_owned(), "token.refresh_token".to_owned()]);
    }
    told.scheme_document = scheme(plugin.description(), &told.values).to_string();
    told
}

/// A recording out of a file.
fn read(path: &Path) -> Result<Recording, Failure> {
    let failed = |problem: String| Failure::failed(format!("{}: {problem}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if size > LARGEST {
        return Err(failed(format!("it is larger than {} MiB", LARGEST >> 20)));
    }
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    Recording::parse(&text).map_err(failed)
}

/// What came of it, as JSON.
fn document(plugin: &Plugin, recording: &Recording, compared: &[Compared]) -> Value {
    let steps: Vec<Value> = compared
        .iter()
        .map(|step| {
            json!({
                "attempt": step.attempt, "step": step.step, "event": step.event, "outcome": step.outcome,
                "same": step.difference.is_empty(), "comparable": step.comparable, "difference": step.difference,
            })
        })
        .collect();
    let recorded: usize = recording.attempts.iter().map(|attempt| attempt.steps.len()).sum();
    json!({
        "same": compared.iter().all(|step| step.difference.is_empty() || !step.comparable),
        "recorded_with": recording.flow, "replayed_with": plugin.identity(), "outlined": recording.outlined,
        "recorded_steps": recorded, "steps": steps,
    })
}

/// The same for people.
fn show(document: &Value) -> String {
    let mut text = format!(
        "recorded with {}\nreplayed with {}\n",
        cell(document, "recorded_with"),
        cell(document, "replayed_with")
    );
    if document["outlined"] == true {
        text += "the answers are made up around what the daemon keeps of them; what they hold can't be compared\n";
    }
    text += "\n";
    let mut attempt = 1;
    for step in items(document, "steps") {
        if step["attempt"] != attempt {
            attempt = step["attempt"].as_i64().unwrap_or_default();
            text += "\n";
        }
        let outcome = match (step["same"] == true, step["comparable"] != false) {
            (true, _) => "",
            (false, true) => ": differs",
            (false, false) => ": can't be compared, since the answer is made up; record one with `plugin try --record`",
        };
        text += &format!("{}. {} -> {}{outcome}\n", cell(step, "step"), cell(step, "event"), cell(step, "outcome"),);
        if step["comparable"] == false {
            continue;
        }
        for line in items(step, "difference") {
            text += &format!("   {}\n", line.as_str().unwrap_or_default());
        }
    }
    let (all, ran) = (document["recorded_steps"].as_u64().unwrap_or_default(), items(document, "steps").len());
    text + &match document["same"] == true {
        true if items(document, "steps").iter().any(|step| step["comparable"] == false) => {
            format!("\nthe {} steps before it are the same\n", ran - 1)
        }
        true => format!("\nall {ran} steps are the same\n"),
        false => format!("\nstep {ran} of {all} differs: - is what was recorded, + what this build does\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_of_another_flow_is_told() {
        assert_eq!(other_flow("robot 1.0.0 (abc)", "robot"), None);
        assert_eq!(other_flow("", "robot"), None);
        let warning = other_flow("device 1.0.0 (abc)", "robot").unwrap();
        assert!(warning.contains("of flow device, and this is flow robot"), "{warning}");
    }

    #[test]
    fn the_first_difference_is_shown() {
        let document = json!({
            "same": false, "recorded_with": "robot 0.1.0 (ab)", "replayed_with": "robot 0.1.1 (cd)", "outlined": false,
            "recorded_steps": 3, "steps": [
                {"attempt": 1, "step": 1, "event": "begin acquire", "outcome": "send", "same": true, "difference": []},
                {"attempt": 1, "step": 2, "event": "answered", "outcome": "done", "same": false,
                 "difference": ["- done.expires_in: 60", "+ done.expires_in: 3600"]},
            ],
        });
        assert_eq!(
            show(&document),
            "recorded with robot 0.1.0 (ab)\nreplayed with robot 0.1.1 (cd)\n\n1. begin acquire -> send\n\
             2. answered -> done: differs\n   - done.expires_in: 60\n   + done.expires_in: 3600\n\n\
             step 2 of 3 differs: - is what was recorded, + what this build does\n"
        );
    }

    #[tokio::test]
    async fn what_an_integration_has_set_is_told() {
        use crate::flows::tests::guest::Guest;
        let plugin = crate::flows::tests::load(&Guest::good("good")).await;
        let integration =
            json!({"scheme": "oauth2", "fields": {"client_id": "me", "secret": {"set": true}, "none": {"set": false}}});
        let attempt = json!({"steps": [{"event": "begin refresh"}]});
        let told = told(&plugin, &integration, &attempt);
        assert_eq!(told.secrets, ["secret", "token.access_token", "token.refresh_token"]);
        assert_eq!(told.values["client_id"], "me");
    }
}
