//! The journal of attempts: what a crash must not lose, and what people look at afterwards.
//!
//! An attempt's record holds its story, cleaned of secrets, and, sealed, what is needed to go on with it. While it runs it is
//! listed among the open ones, so that a start after a crash finds it without reading the others.

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::key::TokenKey;
use super::plan::Cause;
use super::view::Awaiting;
use crate::egress::{Pair, RequestRecord};
use crate::flows::step::{Purpose, Response, State};
use crate::seal::{SealError, Sealed, Sealing, Visit};
use crate::store::table::Table;

/// Attempts kept for each integration.
pub(super) const KEPT: usize = 20;

/// The records of attempts, by integration and id.
pub(super) const ATTEMPTS: Table<AttemptRecord> = Table::new("attempt");

/// The attempts that haven't ended, by id: the integration of each.
pub(super) const OPEN: Table<String> = Table::new("open-attempt");

/// The attempts that wait for a person to come back: by the digest of what the person brings.
pub(super) const AWAITED: Table<Awaited> = Table::new("awaited-attempt");

/// Which attempt a person's return, or first visit, belongs to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Awaited {
    /// Its integration.
    pub(super) integration: String,
    /// Its id.
    pub(super) attempt: Ulid,
}

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
    /// What there is besides where a person takes part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) person: Option<PersonRecord>,
}

/// What is kept of an attempt in which a person takes part. Such an attempt doesn't follow a generation: it holds for as
/// long as the token's record names it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PersonRecord {
    /// When the attempt ends, whatever the person does.
    pub(super) deadline: DateTime<Utc>,
    /// Whether a person was told what to do.
    pub(super) asked: bool,
    /// How often the person came back: each redirect has a return key of its own.
    pub(super) returns: u32,
    /// What is listed in [`AWAITED`] while a person is awaited: digests of the return key and of the ticket.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) digests: Vec<String>,
    /// The origins that metadata fetched in this attempt named, besides the integration's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) learned: Vec<String>,
}

impl AttemptRecord {
    /// Until when a person may take part, where one does and it isn't over.
    pub(super) fn awaiting(&self) -> Option<Awaiting> {
        let until = match (&self.stage, &self.person) {
            _ if self.story.outcome.is_some() => return None,
            (Stage::Ended, _) | (_, None) => return None,
            (Stage::Away { until, .. }, _) => *until,
            (_, Some(person)) => person.deadline,
        };
        Some(Awaiting { attempt: self.story.id, until })
    }
}

impl Sealing for AttemptRecord {
    fn each_sealed(&mut self, _: &[String], visit: &mut Visit<'_>) -> Result<(), SealError> {
        visit(&bound_to(self.story.id, "seed"), &mut self.seed)?;
        match self.stage.held() {
            Some(held) => visit(&bound_to(self.story.id, "held"), held),
            None => Ok(()),
        }
    }
}

/// What a sealed value of an attempt is bound to.
pub(super) fn bound_to(id: Ulid, name: &str) -> Vec<u8> {
    format!("attempt/{id}#{name}").into_bytes()
}

/// How far an attempt is, and what is needed to go on from there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "snake_case")]
pub(super) enum Stage {
    /// A request may have left. Nothing goes on from here after a crash; `spends` says that a refresh token may be lost.
    Sent {
        /// Whether the request holds something that works once.
        spends: bool,
        /// The flow's notes, sealed, where the flow is told after a crash that no answer came: it asks a provider again
        /// and again whether a person has done something.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        held: Option<Sealed>,
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
    /// A person was sent away, or is about to be, and may come back.
    Away {
        /// The flow's notes and the provider's URL, sealed.
        held: Sealed,
        /// Until when the person may come back.
        until: DateTime<Utc>,
        /// The digest of the browser's cookie, once it was sent on. Only this browser may come back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        browser: Option<String>,
    },
    /// The person came back, and the flow isn't told yet. What was brought, a code, works once, and hasn't left.
    Returned {
        /// The flow's notes and the query, sealed.
        held: Sealed,
    },
    /// It has ended.
    Ended,
}

impl Stage {
    /// What it holds sealed.
    fn held(&mut self) -> Option<&mut Sealed> {
        match self {
            Self::Sent { held, .. } => held.as_mut(),
            Self::Answered { held, .. }
            | Self::Waiting { held, .. }
            | Self::Away { held, .. }
            | Self::Returned { held } => Some(held),
            Self::Ended => None,
        }
    }
}

/// What a sealed stage holds: everything here is sealed as one text.
#[derive(Serialize, Deserialize)]
pub(super) struct Held {
    /// The flow's notes.
    pub(super) state: String,
    /// The provider's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) answer: Option<HeldAnswer>,
    /// Where the person is to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    /// What the person came back with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) query: Vec<(String, String)>,
}

impl Held {
    /// The flow's notes alone.
    pub(super) fn notes(state: &State) -> Self {
        Self { state: state.expose_secret().to_owned(), answer: None, url: None, query: Vec::new() }
    }
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
    /// Where a person was sent, without the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_to: Option<String>,
    /// What a person came back with: names, and values only where they can be no secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returned: Vec<Pair>,
    /// How many steps of the same kind, while a provider was asked again and again, this one stands for besides itself.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeats: u32,
    /// What the plugin printed, cleaned.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub printed: String,
    /// Why it failed, or why no answer came, cleaned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
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
