//! The world around an attempt of `plugin try`: a real provider, a person at the terminal, and steps that are shown as they happen.
//!
//! What is shown is cleaned of secrets; what is recorded isn't (`trial::recording`).

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use url::Url;

use super::super::attempt;
use super::super::output::Output;
use super::callback::{Callback, Query};
use crate::clock::SharedClock;
use crate::egress::{Answer, Destinations, Egress, RequestRecord, Transport};
use crate::flows::request::Request;
use crate::flows::step::{Prompt, Response, Step, Wait};
use crate::flows::{Cost, Description};
use crate::secrets::Cleaner;
use crate::tokens::{AnswerStory, MAX_WAIT};
use crate::trial::recording;
use crate::trial::walk::{Moment, Sent, Setup, Stepped, World};

/// One attempt's world.
pub(super) struct Live<'a> {
    /// What the flow says of itself.
    pub(super) description: &'a Description,
    /// What goes out goes through this.
    pub(super) egress: &'a Egress,
    /// The time.
    pub(super) clock: SharedClock,
    /// Where requests may go.
    pub(super) to: Destinations,
    /// Text for people goes through this.
    pub(super) cleaner: Cleaner,
    /// Where a person comes back to.
    pub(super) callback: &'a Callback,
    /// Where the attempt is shown.
    pub(super) output: Output,
    /// How many steps there were before this attempt.
    pub(super) before: usize,
    /// What happened, in the shape in which the API shows steps.
    pub(super) steps: Vec<Value>,
    /// The same for a recording.
    pub(super) recorded: Vec<recording::Step>,
    /// What the flow's steps took together: the most memory, and processor time.
    pub(super) cost: Cost,
    /// How long the provider took, in all.
    pub(super) provider: Duration,
    /// What a person was told last.
    pub(super) prompted: Option<Prompt>,
    /// Whether stdout can't be written any more.
    pub(super) closed: bool,
}

impl Live<'_> {
    /// Lets requests go to the endpoints that the provider's metadata names, if this was its document.
    fn learn(&mut self, setup: &Setup, url: &str, response: &Response) {
        if let (true, 200, Ok(parsed)) = (setup.is_metadata(self.description, url), response.status, Url::parse(url))
            && let Err(problem) = self.to.extend_from_metadata(&parsed, &response.body)
        {
            self.output.note(&self.cleaner.clean(&problem.to_string()));
        }
    }

    /// What is said of a step, for people and programs.
    fn told(&self, step: &Stepped<'_>) -> Value {
        let mut told = json!({
            "event": step.event.name(),
            "now": step.context.now,
            "step": name(step),
            "microseconds": u64::try_from(step.cost.processor.as_micros()).unwrap_or(u64::MAX),
            "memory": step.cost.memory,
        });
        if !step.printed.is_empty() {
            told["printed"] = self.cleaner.clean(step.printed).into();
        }
        if let Some(mut record) = step.request.clone() {
            record.clean(&self.cleaner);
            told["request"] = serde_json::to_value(record).unwrap_or_default();
        }
        match step.sent {
            Some(Sent::Answered(response, taken)) => told["answer"] = json!(AnswerStory::of(response, *taken)),
            Some(Sent::Unanswered(unanswered)) => {
                let left = if unanswered.left { "it may have arrived" } else { "nothing of it left" };
                let reason = self.cleaner.clean(&unanswered.reason);
                let mut lines = vec![format!("no complete answer, {left}: {reason}")];
                lines.extend(hints(&reason));
                told["problem"] = lines.join("\n").into();
            }
            Some(Sent::Refused(_)) | None => {}
        }
        told
    }
}

/// The name of what a step came to.
fn name(step: &Stepped<'_>) -> &'static str {
    match step.outcome {
        Ok(outcome) => Step::name_of(outcome),
        Err(_) => "fault",
    }
}

#[async_trait]
impl World for Live<'_> {
    fn moment(&mut self) -> Moment {
        let mut entropy = [0; 32];
        rand::fill(&mut entropy);
        Moment { now: u64::try_from(self.clock.now().timestamp()).unwrap_or_default(), entropy }
    }

    async fn send(&mut self, request: &Request, setup: &Setup) -> (Option<RequestRecord>, Sent) {
        let prepared = match self.egress.prepare(request, &setup.secrets, &[], &self.to, &Transport::default()) {
            Ok(prepared) => prepared,
            Err(refusal) => {
                let message = self.cleaner.clean(&refusal.to_string());
                let lines: Vec<String> = std::iter::once(message.clone()).chain(hints(&message)).collect();
                return (None, Sent::Refused(lines.join("\n")));
            }
        };
        prepared.teach(&mut self.cleaner);
        let record = prepared.record().clone();
        let sent = match self.egress.send(prepared).await {
            Ok(Answer { response, taken, .. }) => {
                self.provider += taken;
                self.learn(setup, &request.url, &response);
                Sent::Answered(response, taken)
            }
            Err(unsent) => Sent::Unanswered(unsent.into()),
        };
        (Some(record), sent)
    }

    async fn wait(&mut self, wait: &Wait) {
        if wait.prompt.is_some() && wait.prompt != self.prompted {
            self.prompted.clone_from(&wait.prompt);
            if let Some(prompt) = &wait.prompt {
                self.output.note(&self.cleaner.clean(&prompt_text(prompt)));
            }
        }
        let time = Duration::from_secs(wait.seconds.into()).min(MAX_WAIT);
        let mut stderr = std::io::stderr();
        if !stderr.is_terminal() {
            return tokio::time::sleep(time).await;
        }
        for left in (1..=time.as_secs()).rev() {
            // One line that counts down in place.
            drop(write!(stderr, "\r  going on in {left} s \u{1b}[K").and_then(|()| stderr.flush()));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        drop(write!(stderr, "\r\u{1b}[K").and_then(|()| stderr.flush()));
    }

    async fn send_person(&mut self, url: &str) -> Result<Query, String> {
        let known = Url::parse(url).is_ok_and(|url| self.to.contain(&url));
        let url = self.cleaner.clean(url);
        if !known {
            return Err(format!("the flow sends a person to {url}, which is at the origin of none of its URL fields"));
        }
        self.output.note(&format!(
            "Open this page, and come back to {}:\n\n  {url}\n\nwaiting; Ctrl-C gives up",
            self.callback.url()
        ));
        self.callback.wait().await
    }

    fn stepped(&mut self, step: &Stepped<'_>) {
        self.cost.memory = self.cost.memory.max(step.cost.memory);
        self.cost.processor += step.cost.processor;
        self.recorded.push(recording::Step::of(step));
        let told = self.told(step);
        if !self.output.is_json() {
            let number = self.before + self.steps.len() + 1;
            self.closed |= self.output.text(&attempt::step(number, &told)).is_err();
        }
        self.steps.push(told);
    }
}

/// What a person has to do.
fn prompt_text(prompt: &Prompt) -> String {
    let mut text = prompt.message.clone();
    if let Some(url) = &prompt.url {
        text += &format!("\n\n  {url}\n");
    }
    if let Some(code) = &prompt.code {
        text += &format!("\n  code  {code}\n");
    }
    text
}

/// Which flags stand for the daemon's settings that a refusal names.
pub(super) fn hints(message: &str) -> Vec<String> {
    [("TOKENHOST_EGRESS_ALLOW", "here that is --allow NETWORK"), ("TOKENHOST_EGRESS_HTTP", "here that is --http")]
        .into_iter()
        .filter(|(setting, _)| message.contains(setting))
        .map(|(setting, flag)| format!("{setting}: {flag}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_and_hints() {
        let prompt = Prompt {
            message: "Confirm.".to_owned(),
            url: Some("https://id.example/device".to_owned()),
            code: Some("AB-CD".to_owned()),
        };
        assert_eq!(prompt_text(&prompt), "Confirm.\n\n  https://id.example/device\n\n  code  AB-CD\n");
        assert_eq!(hints("set TOKENHOST_EGRESS_HTTP=true"), ["TOKENHOST_EGRESS_HTTP: here that is --http"]);
        assert!(hints("no").is_empty());
    }
}
