//! A recorded attempt as a file: all that a flow was given, and what it answered, so that another build can be given the same.
//!
//! It holds what the provider said, tokens included; of the integration's own secrets only the names. The flow's state is left out.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::told;
use super::walk::{Setup, Stepped};
use crate::flows::step::{Context, Event, Purpose, Response, State, Unanswered};

/// The version of the format.
pub const FORMAT: u32 = 1;

/// The largest recording that is read, in bytes: some answers of a mebibyte.
pub const LARGEST: u64 = 64 << 20;

/// A recording.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// The format's version.
    pub tokenhost_recording: u32,
    /// The flow's name, version and abbreviated digest.
    pub flow: String,
    /// Whether answers are only outlined, since who recorded them keeps none: status, header names and JSON keys are real, and all
    /// else is made up.
    #[serde(default)]
    pub outlined: bool,
    /// The attempts, in order.
    pub attempts: Vec<Attempt>,
}

/// One attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// What the flow was told at every step.
    pub context: Told,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// What a flow is told at every step of an attempt.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// The scheme's name.
    pub scheme_name: String,
    /// The scheme object, as JSON.
    pub scheme_document: String,
    /// What is set and no secret.
    pub values: BTreeMap<String, String>,
    /// The names of the secrets that are set.
    pub secrets: Vec<String>,
    /// Where a person is sent back to.
    #[serde(default)]
    pub callback_url: Option<String>,
    /// What the provider echoes.
    #[serde(default)]
    pub return_key: Option<String>,
}

/// One step.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What had happened.
    pub event: Happened,
    /// The time that the flow was told, in seconds since the Unix epoch.
    pub now: u64,
    /// The random bytes, in hexadecimal; empty where nobody kept them.
    #[serde(default)]
    pub entropy: String,
    /// What the flow answered, without secrets and state.
    pub outcome: Value,
}

/// An event, without the flow's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    /// The attempt begins.
    Begin(Purpose),
    /// An answer came.
    Answered {
        /// The HTTP status.
        status: u16,
        /// Names in lower case.
        headers: Vec<(String, String)>,
        /// The body in base64.
        body: String,
    },
    /// No complete answer came.
    Unanswered {
        /// Whether any of the request may have left.
        left: bool,
        /// Why.
        reason: String,
    },
    /// The wait is over.
    Elapsed,
    /// A person came back.
    Returned(Vec<(String, String)>),
}

impl Happened {
    /// An event as it is kept.
    pub fn of(event: &Event) -> Self {
        match event {
            Event::Begin(purpose) => Self::Begin(*purpose),
            Event::Answered(_, response) => Self::Answered {
                status: response.status,
                headers: response.headers.clone(),
                body: STANDARD.encode(&response.body),
            },
            Event::Unanswered(_, Unanswered { left, reason }) => {
                Self::Unanswered { left: *left, reason: reason.clone() }
            }
            Event::Elapsed(_) => Self::Elapsed,
            Event::Returned(_, query) => Self::Returned(
                query.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned())).collect(),
            ),
        }
    }

    /// The event for a flow with this state.
    ///
    /// # Errors
    /// A body isn't base64.
    pub fn event(&self, state: State) -> Result<Event, String> {
        Ok(match self {
            Self::Begin(purpose) => Event::Begin(*purpose),
            Self::Answered { status, headers, body } => {
                let body = STANDARD.decode(body).map_err(|_| "an answer's body isn't base64".to_owned())?;
                Event::Answered(state, Response { status: *status, headers: headers.clone(), body: body.into() })
            }
            Self::Unanswered { left, reason } => {
                Event::Unanswered(state, Unanswered { left: *left, reason: reason.clone() })
            }
            Self::Elapsed => Event::Elapsed(state),
            Self::Returned(query) => Event::Returned(
                state,
                query.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect(),
            ),
        })
    }
}

impl Told {
    /// What an attempt with this setup is told.
    pub fn of(setup: &Setup) -> Self {
        Self {
            scheme_name: setup.scheme_name.clone(),
            scheme_document: setup.scheme_document.clone(),
            values: setup.values.clone(),
            secrets: setup.secrets.names().map(str::to_owned).collect(),
            callback_url: setup.callback_url.clone(),
            return_key: setup.return_key.clone(),
        }
    }

    /// The context of a step.
    ///
    /// # Errors
    /// The random bytes aren't 32 in hexadecimal.
    pub fn context(&self, step: &Step) -> Result<Context, String> {
        let mut entropy = [0; 32];
        if !step.entropy.is_empty() {
            hex::decode_to_slice(&step.entropy, &mut entropy)
                .map_err(|_| "a step's entropy isn't 32 bytes in hexadecimal".to_owned())?;
        }
        Ok(Context {
            scheme_name: self.scheme_name.clone(),
            scheme_document: self.scheme_document.clone(),
            values: self.values.clone().into_iter().collect(),
            secrets: self.secrets.clone(),
            revealed: Vec::new(),
            now: step.now,
            entropy,
            callback_url: self.callback_url.clone(),
            return_key: self.return_key.clone(),
        })
    }
}

impl Step {
    /// A step as it is kept.
    pub fn of(step: &Stepped<'_>) -> Self {
        let outcome = match step.outcome {
            Ok(outcome) => told::outcome(outcome),
            Err(fault) => json!({"fault": fault.fault}),
        };
        Self {
            event: Happened::of(step.event),
            now: step.context.now,
            entropy: hex::encode(step.context.entropy),
            outcome,
        }
    }
}

impl Recording {
    /// A recording of what a flow did, still without attempts.
    pub fn new(flow: String) -> Self {
        Self { tokenhost_recording: FORMAT, flow, outlined: false, attempts: Vec::new() }
    }

    /// Reads a file's content.
    ///
    /// # Errors
    /// It is no recording, or one of another version; says so without repeating what it holds.
    pub fn parse(text: &str) -> Result<Self, String> {
        // The parser's own message may quote a token.
        let recording: Self = serde_json::from_str(text).map_err(|error| {
            format!("it is no recording of `plugin try --record` (line {}, column {})", error.line(), error.column())
        })?;
        if recording.tokenhost_recording != FORMAT {
            let version = recording.tokenhost_recording;
            return Err(format!("it has version {version} of the format, and this tokenhost reads {FORMAT}"));
        }
        Ok(recording)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_a_recording() {
        let response =
            Response { status: 200, headers: vec![("a".to_owned(), "b".to_owned())], body: vec![0, 255, 7].into() };
        let unanswered = Unanswered { left: true, reason: "reset".to_owned() };
        for event in [
            Event::Begin(Purpose::Refresh),
            Event::Answered("s".into(), response),
            Event::Unanswered("s".into(), unanswered),
            Event::Elapsed("s".into()),
            Event::Returned("s".into(), vec![("code".to_owned(), "c".into())]),
        ] {
            let kept = Happened::of(&event);
            let text = serde_json::to_string(&kept).unwrap();
            let read: Happened = serde_json::from_str(&text).unwrap();
            assert_eq!(Happened::of(&read.event("s".into()).unwrap()), kept, "{text}");
        }
        assert!(Happened::Answered { status: 200, headers: vec![], body: "%".to_owned() }.event("".into()).is_err());
    }

    #[test]
    fn what_is_no_recording_is_not_repeated() {
        let error = Recording::parse("{\"access_token\":\"hunter2\"}").unwrap_err();
        assert!(error.contains("line 1") && !error.contains("hunter2"), "{error}");
        let error = Recording::parse(r#"{"tokenhost_recording":9,"flow":"f","attempts":[]}"#).unwrap_err();
        assert!(error.contains("version 9"), "{error}");
        assert!(Recording::parse(r#"{"tokenhost_recording":1,"flow":"f","attempts":[]}"#).is_ok());
    }
}
