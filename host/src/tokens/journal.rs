//! The journal of attempts: what a crash must not lose, and what people look at afterwards.
//!
//! An attempt's record holds its story, cleaned of secrets, and, sealed, what is needed to go on with it. While it runs it is
//! listed among the open ones, so that a start after a crash finds it without reading the others.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::key::TokenKey;
use super::plan::Cause;
use crate::egress::RequestRecord;
use crate::flows::step::{Purpose, Response};
use crate::seal::Sealed;
use crate::store::table::Table;

/// Attempts kept for each integration.
pub(super) const KEPT: usize = 20;

/// The records of attempts, by integration and id.
pub(super) const ATTEMPTS: Table<AttemptRecord> = Table::new("attempt");

/// The attempts that haven't ended, by id: the integration of each.
pub(super) const OPEN: Table<String> = Table::new("open-attempt");

/// The record of an attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AttemptRecord {
    /// What people may see.
    pub(super) story: AttemptStory,
    /// The integration's target when it began.
    pub(super) target: Ulid,
    /// The generation that it is to follow.
    pub(super) follows: u64,
    /// Lower-case hexadecimal SHA-256 of the flow's component.
    pub(super) digest: String,
    /// What the random bytes of its steps are made from, sealed.
    pub(super) seed: Sealed,
    /// How far it is.
    pub(super) stage: Stage,
}

/// How far an attempt is, and what is needed to go on from there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "snake_case")]
pub(super) enum Stage {
    /// A request may have left. Nothing goes on from here after a crash; `spends` says that a refresh token may be lost.
    Sent {
        /// Whether the request holds something that works once.
        spends: bool,
    },
    /// An answer came and isn't parsed yet.
    Answered {
        /// The flow's notes and the answer, sealed.
        held: Sealed,
        /// When the request left.
        left_at: DateTime<Utc>,
        /// Whether the request held something that works once.
        spends: bool,
    },
    /// The flow waits.
    Waiting {
        /// The flow's notes, sealed.
        held: Sealed,
        /// Until when.
        until: DateTime<Utc>,
    },
    /// It has ended.
    Ended,
}

/// What a sealed stage holds: everything here is sealed as one text.
#[derive(Serialize, Deserialize)]
pub(super) struct Held {
    /// The flow's notes.
    pub(super) state: String,
    /// The provider's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) answer: Option<HeldAnswer>,
}

/// A provider's answer, to be sealed.
#[derive(Serialize, Deserialize)]
pub(super) struct HeldAnswer {
    /// The HTTP status.
    pub(super) status: u16,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    /// Base64 of the body.
    pub(super) body: String,
}

/// An attempt as people see it. Holds no secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttemptStory {
    /// Grows with time.
    pub id: Ulid,
    /// What it is to get a token for.
    pub key: TokenKey,
    /// What the last of its flow runs was for.
    pub purpose: Purpose,
    /// Why it was made.
    pub cause: Cause,
    /// The flow's name, version and abbreviated digest.
    pub flow: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// What happened, in order.
    pub steps: Vec<StepStory>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Decisions worth telling, e.g. that a refresh token was sent again.
    pub notes: Vec<String>,
}

/// One step of an attempt as people see it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StepStory {
    /// What the flow was told: `begin acquire`, `answered`, …
    pub event: String,
    /// What it wanted: `send`, `wait`, `done`, `failed`, …
    pub step: String,
    /// The time that it was given, in seconds since the Unix epoch.
    pub now: u64,
    /// The request, with secrets as names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestRecord>,
    /// What came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<AnswerStory>,
    /// What the plugin printed, cleaned.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub printed: String,
    /// Why it failed, or why no answer came, cleaned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A provider's answer as people see it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AnswerStory {
    /// The HTTP status.
    pub status: u16,
    /// Names of its headers.
    pub headers: Vec<String>,
    /// Keys of its JSON object.
    pub json_keys: Vec<String>,
    /// The size of its body.
    pub bytes: u64,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
}

/// Keys of a provider's JSON answer that are kept.
const KEYS: usize = 32;

impl AnswerStory {
    /// What people may see of an answer: status, header names, JSON keys, size and time (rule 8).
    pub fn of(response: &Response, taken: Duration) -> Self {
        let object = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&response.body);
        let object = object.unwrap_or_default();
        Self {
            status: response.status,
            headers: response.headers.iter().map(|(name, _)| name.clone()).collect(),
            json_keys: object.keys().take(KEYS).map(|key| key.chars().take(64).collect()).collect(),
            bytes: response.body.len() as u64,
            milliseconds: u64::try_from(taken.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Outcome {
    /// With a token.
    Token {
        /// Its generation.
        generation: u64,
    },
    /// Without one.
    Failed {
        /// E.g. `invalid_client`.
        code: String,
        /// For people.
        message: String,
    },
    /// The provider has ended the token, as was asked.
    Revoked,
    /// The daemon stopped before an answer was stored.
    Interrupted,
    /// The integration was changed or removed meanwhile, or a token was entered by hand; what came was thrown away.
    Void,
}

impl Outcome {
    /// Its kind, for metrics.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Token { .. } => "token",
            Self::Failed { .. } => "failed",
            Self::Revoked => "revoked",
            Self::Interrupted => "interrupted",
            Self::Void => "void",
        }
    }
}
