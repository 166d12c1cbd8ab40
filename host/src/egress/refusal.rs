//! Why a request doesn't go out, or got no complete answer. Texts name parts, settings and addresses, never a value.

use std::fmt;

use crate::flows::step::Unanswered;

/// Whose it is to put a problem right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// The flow plugin asked for what can't be sent.
    Flow,
    /// A field or the transport of the integration has to be corrected.
    Integration,
    /// The operator's policy forbids it, or the daemon's machine lacks something.
    Operator,
}

/// One thing that is wrong with a request, before anything of it has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whose it is to put right.
    pub blame: Blame,
    /// Where it is: a part of the request (``header `x-key` ``), or a setting (`transport.ca`).
    pub part: String,
    /// What is wrong and what is wanted.
    pub message: String,
}

impl Problem {
    /// A problem that the flow's author can put right.
    pub(super) fn flow(part: impl Into<String>, message: impl Into<String>) -> Self {
        Self { blame: Blame::Flow, part: part.into(), message: message.into() }
    }

    /// A problem that whoever set up the integration can put right.
    pub(super) fn integration(part: impl Into<String>, message: impl Into<String>) -> Self {
        Self { blame: Blame::Integration, part: part.into(), message: message.into() }
    }

    /// A problem that the operator can put right.
    pub(super) fn operator(part: impl Into<String>, message: impl Into<String>) -> Self {
        Self { blame: Blame::Operator, part: part.into(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part, self.message)
    }
}

/// Why a request was refused; nothing of it has left. Holds all problems that were found, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong, in the order of the request.
    pub problems: Vec<Problem>,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

/// Collects problems, so that a refusal tells all of them at once.
#[derive(Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    /// Keeps a problem; the value if there is none.
    pub(super) fn take<T>(&mut self, outcome: Result<T, Problem>) -> Option<T> {
        outcome.map_err(|problem| self.push(problem)).ok()
    }

    /// Keeps a problem, once.
    pub(super) fn push(&mut self, problem: Problem) {
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    /// The refusal, if there is a problem.
    pub(super) fn outcome(self) -> Result<(), Refusal> {
        if self.0.is_empty() { Ok(()) } else { Err(Refusal { problems: self.0 }) }
    }
}

/// In what way a request failed on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The name resolves to no address that the policy allows.
    Refused,
    /// The name can't be resolved.
    Dns,
    /// No connection to the provider, or to the proxy.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// A limit on time was reached, or too many requests are under way.
    Timeout,
    /// The connection ended before the answer was complete.
    Broken,
    /// The answer is larger than the limit.
    TooLarge,
    /// What came back is no HTTP answer, or can't be decompressed.
    Malformed,
    /// The request's own body broke off, which comes from elsewhere.
    Body,
}

impl Fault {
    /// Its name, as it stands in records and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Body => "body",
        }
    }
}

/// A request got no complete answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unsent {
    /// Whether any of it may have reached the provider. Then a refresh token in it is uncertain.
    pub left: bool,
    /// In what way it failed.
    pub fault: Fault,
    /// For people; holds no secret.
    pub reason: String,
}

impl From<Unsent> for Unanswered {
    fn from(unsent: Unsent) -> Self {
        Self { left: unsent.left, reason: unsent.reason }
    }
}
