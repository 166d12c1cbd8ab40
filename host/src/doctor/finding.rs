//! What the doctor finds, in the shape in which it is told: checks, trials, and one verdict at the end.
//!
//! Text in here is cleaned of secrets; of answers there is only what an attempt's record keeps (`tokens::AnswerStory`).

use std::collections::BTreeMap;

use crate::tokens::StepStory;

/// Fields that differ from the integration's own; none: the field is unset.
pub type Changes = BTreeMap<String, Option<String>>;

/// One thing that was found, told as soon as it is.
#[derive(Clone, Debug)]
pub enum Finding {
    /// Something looked at beside the trials.
    Check(Check),
    /// One way of asking for a token, tried.
    Trial(Box<Trial>),
    /// What it comes to. The last one.
    Verdict(Verdict),
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// Probably a reason why no token comes.
    Bad,
}

impl Grade {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Bad => "bad",
        }
    }
}

/// Something looked at beside the trials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// `fields`, `reachable`, `clock`, `metadata`, `lockout` or `person`.
    pub name: &'static str,
    /// How it came out.
    pub grade: Grade,
    /// For people.
    pub text: String,
}

impl Check {
    /// A check.
    pub(super) fn new(name: &'static str, grade: Grade, text: impl Into<String>) -> Self {
        Self { name, grade, text: text.into() }
    }
}

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With a token, which was thrown away.
    Token,
    /// The provider took the client; the rest needs a person.
    Accepted,
    /// The provider, or the flow, said no.
    Failed,
    /// There was no complete answer.
    Unanswered,
    /// The request may not go, or can't be made.
    Unsendable,
}

impl Ended {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Accepted => "accepted",
            Self::Failed => "failed",
            Self::Unanswered => "unanswered",
            Self::Unsendable => "unsendable",
        }
    }
}

/// One way of asking for a token, tried.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Its number, from 1.
    pub number: u32,
    /// In what it differs from the integration's settings; empty: in nothing.
    pub changes: Changes,
    /// How it ended.
    pub ended: Ended,
    /// The last answer's status, if there was one.
    pub status: Option<u16>,
    /// The error's code (RFC 6749 section 5.2) or the flow's own.
    pub code: Option<String>,
    /// For people; empty after a token.
    pub message: String,
    /// How long the provider took.
    pub milliseconds: u64,
    /// Whether a person's password was in it.
    pub password: bool,
    /// Its steps, as an attempt's record has them.
    pub steps: Vec<StepStory>,
}

impl Trial {
    /// Whether it came as far as it can.
    pub fn worked(&self) -> bool {
        matches!(self.ended, Ended::Token | Ended::Accepted)
    }

    /// Its code, or nothing.
    pub(super) fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }
}

/// What is the matter, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nothing: it works as it is.
    Works,
    /// Settings: others worked.
    Settings,
    /// The credentials themselves.
    Credentials,
    /// What is asked for: a scope, a resource, a grant that the client may not use.
    Request,
    /// Nothing came back, or nothing may go out.
    Unreachable,
    /// The address is none of a token endpoint.
    Endpoint,
    /// Fields aren't filled in.
    Incomplete,
    /// The provider asks for a pause.
    SlowDown,
    /// Not found out.
    Unknown,
}

impl Cause {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Settings => "settings",
            Self::Credentials => "credentials",
            Self::Request => "request",
            Self::Unreachable => "unreachable",
            Self::Endpoint => "endpoint",
            Self::Incomplete => "incomplete",
            Self::SlowDown => "slow_down",
            Self::Unknown => "unknown",
        }
    }
}

/// What it comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// In one word.
    pub cause: Cause,
    /// In one sentence.
    pub sentence: String,
    /// The settings that worked, where they differ from the integration's own.
    pub settings: Changes,
    /// Requests that were sent, metadata included.
    pub requests: u32,
}
