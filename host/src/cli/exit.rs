//! How the command line ends: exit codes, and what is said on stderr where it fails.
//!
//! `main` turns a [`Failure`] into an exit code by [`Failure::report`]; nothing else ends the process.

use std::io::Write;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::output::printable;
use super::problem::Problem;

/// What an exit code of the command line means. Part of its contract: scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// It was tried and didn't work.
    Failed = 1,
    /// The command line itself is wrong; nothing was tried.
    Usage = 2,
    /// The daemon refused: no token, a token that isn't valid, or a missing right.
    Refused = 3,
    /// What was named doesn't exist.
    NotFound = 4,
    /// The daemon didn't answer.
    Unreachable = 5,
}

/// The paragraph about exit codes that closes the help of `tokenhost`.
pub(super) const HELP: &str = "\
Exit codes:
  0  done
  1  it didn't work; the reason is on stderr
  2  the command line is wrong
  3  refused: no valid token, or a right is missing
  4  what was named doesn't exist
  5  the daemon can't be reached";

/// Why a command ended without success.
#[derive(Debug)]
pub(super) enum Failure {
    /// clap's answer: help, version, completion, or a usage error.
    Clap(clap::Error),
    /// The daemon's answer.
    Problem(Box<Problem>),
    /// Found out here.
    Local {
        /// The exit code.
        exit: Exit,
        /// What is wrong, for people.
        message: String,
        /// What to do about it, where there is something.
        hint: Option<String>,
    },
    /// All was said on stdout already; only the exit code is left.
    Silent(Exit),
    /// The reader of our output went away (`| head`), which is no fault.
    OutputClosed,
}

impl Failure {
    /// It was tried and didn't work.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::Local { exit: Exit::Failed, message: message.into(), hint: None }
    }

    /// The command line is wrong.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::Local { exit: Exit::Usage, message: message.into(), hint: None }
    }

    /// With another exit code.
    pub(super) fn of(exit: Exit, message: impl Into<String>) -> Self {
        Self::Local { exit, message: message.into(), hint: None }
    }

    /// The same, and what to do about it.
    #[must_use]
    pub(super) fn hint(self, text: impl Into<String>) -> Self {
        match self {
            Self::Local { exit, message, .. } => Self::Local { exit, message, hint: Some(text.into()) },
            other => other,
        }
    }

    /// The exit code's number.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Clap(error) => u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8),
            Self::Problem(problem) => problem.exit() as u8,
            Self::Local { exit, .. } | Self::Silent(exit) => *exit as u8,
            Self::OutputClosed => 0,
        }
    }

    /// The message for people, without its last line break; empty where nothing is to be said.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Clap(error) => error.to_string(),
            Self::Problem(problem) => problem.to_text(),
            Self::Local { message, hint: None, .. } => format!("error: {message}"),
            Self::Local { message, hint: Some(hint), .. } => format!("error: {message}\n  {hint}"),
            Self::Silent(_) | Self::OutputClosed => String::new(),
        }
    }

    /// The same as one JSON object, for `--json`.
    pub(super) fn json(&self) -> Option<Value> {
        match self {
            Self::Problem(problem) => Some(problem.document().clone()),
            Self::Local { message, hint, .. } => Some(json!({
                "title": message, "hint": hint, "exit_code": self.code(),
            })),
            Self::Clap(_) | Self::Silent(_) | Self::OutputClosed => None,
        }
    }

    /// Says it on stderr (clap's help goes to stdout) and gives the exit code. `json`: as a JSON object.
    pub(super) fn report(&self, json: bool) -> ExitCode {
        if let Self::Clap(error) = self {
            // Nobody can be told where stderr itself is closed.
            drop(error.print());
            return ExitCode::from(self.code());
        }
        let text = match self.json() {
            Some(document) if json => document.to_string(),
            _ => printable(&self.text()),
        };
        if !text.is_empty() {
            drop(writeln!(std::io::stderr().lock(), "{text}"));
        }
        ExitCode::from(self.code())
    }
}

impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Self {
        Self::Clap(error)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::failed(format!("{error:#}"))
    }
}
