//! What can go wrong: the daemon's problems (RFC 9457), no answer, and answers that are no daemon's.
//!
//! No message repeats a token. Errors can be cloned, since callers that share a request share its failure.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

/// Any failure of the client.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The daemon refused, or has no token.
    #[error("{0}")]
    Problem(Arc<Problem>),
    /// The daemon gave no complete answer.
    #[error("{0}")]
    Unreachable(Unreachable),
    /// Something answered that is no tokenhost daemon, or one of another age.
    #[error("{0}; is TOKENHOST_URL right?")]
    BadAnswer(String),
    /// The client can't be used so: no URL, no token, or a name that is none.
    #[error("{0}")]
    Unusable(String),
}

impl Error {
    /// The daemon's problem, where it is one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    /// The code of the daemon's problem, e.g. `person_needed`.
    pub fn code(&self) -> Option<&str> {
        self.problem()?.code.as_deref()
    }
}

/// Why there was no complete answer.
#[derive(Clone, Debug)]
pub struct Unreachable {
    /// The daemon's origin.
    pub(crate) place: String,
    /// The innermost reason.
    pub(crate) reason: String,
    /// Whether the request may have reached the daemon.
    pub sent: bool,
}

impl Display for Unreachable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "the daemon at {} can't be reached: {}", self.place, self.reason)
    }
}

/// What is wrong with one parameter or member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Where, e.g. `fields.client_id`.
    pub field: String,
    /// E.g. `missing`.
    pub code: String,
    /// For people.
    pub message: String,
}

/// A refusal of the daemon. `code` never changes its meaning; the guide for automation lists them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The kind of problem, e.g. `person_needed`. None where something else than a daemon answered.
    pub code: Option<String>,
    /// A few words for people.
    pub title: String,
    /// What is wrong in this case, and what to do.
    pub detail: Option<String>,
    /// What is wrong, by parameter or member: all of them.
    pub fields: Vec<Field>,
    /// By which the operator finds the exact reason.
    pub support_id: Option<String>,
    /// After which the same call may succeed.
    pub retry_after: Option<Duration>,
    /// The whole object as it came; null where it is none of the daemon's.
    pub document: Value,
}

/// The longest wait that an answer can ask for.
const LONGEST: u64 = 1_000_000_000;

impl Problem {
    /// A problem out of an answer. `body` may be anything; `retry_after` is the header.
    pub(crate) fn new(status: u16, retry_after: Option<&str>, body: &[u8]) -> Self {
        let document = match serde_json::from_slice::<Value>(body) {
            Ok(Value::Object(document)) if document.get("title").is_some_and(Value::is_string) => document,
            // Not the daemon's: the text itself is no help, and could be long.
            _ => Map::new(),
        };
        let text = |name: &str| document.get(name).and_then(Value::as_str).map(str::to_owned);
        let field = |one: &Value| {
            let part = |name: &str| one.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            one.is_object().then(|| Field { field: part("field"), code: part("code"), message: part("message") })
        };
        let seconds = retry_after.and_then(|text| text.trim().parse().ok());
        let seconds = seconds.or_else(|| document.get("retry_after").and_then(Value::as_u64));
        Self {
            status,
            code: text("code"),
            title: text("title").unwrap_or_else(|| format!("HTTP status {status}")),
            detail: text("detail"),
            fields: document
                .get("errors")
                .and_then(Value::as_array)
                .map_or_else(Vec::new, |errors| errors.iter().filter_map(field).collect()),
            support_id: text("support_id"),
            retry_after: seconds.filter(|seconds| *seconds < LONGEST).map(Duration::from_secs),
            document: if document.is_empty() { Value::Null } else { Value::Object(document) },
        }
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{} ({code})", self.title)?,
            None => write!(f, "{}", self.title)?,
        }
        if let Some(detail) = self.detail.as_ref().filter(|detail| **detail != self.title) {
            write!(f, "; {detail}")?;
        }
        for one in &self.fields {
            write!(f, "; {}: {}", one.field, one.message)?;
        }
        match &self.support_id {
            Some(id) => write!(f, "; support id {id}"),
            None => Ok(()),
        }
    }
}
