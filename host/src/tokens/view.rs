//! What people and programs may know of a token without seeing it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use ulid::Ulid;

use super::expiry::ExpirySource;

/// Whether there is a token that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// There was none since the integration was made, retargeted, or its token deleted.
    Absent,
    /// It hasn't ended and no service refused it.
    Valid,
    /// It has ended.
    Expired,
    /// A service refused it.
    Rejected,
    /// There is none that works, and only a person can bring one.
    PersonNeeded,
}

/// What is known of a key's token.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whether there is one that works.
    pub state: State,
    /// Whether an attempt is under way.
    pub renewing: bool,
    /// The number of the latest token.
    pub generation: u64,
    /// How it is presented, as the provider wrote it: `Bearer`.
    pub token_type: Option<String>,
    /// Its scopes, separated by spaces, where that is known.
    pub scope: Option<String>,
    /// When the request for it left.
    pub created_at: Option<DateTime<Utc>>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// How that is known.
    pub expiry_source: Option<ExpirySource>,
    /// Whether it can be refreshed.
    pub has_refresh_token: bool,
    /// Why there is no newer one.
    pub failure: Option<FailureView>,
    /// The connection under way, in which a person takes part.
    pub connecting: Option<Awaiting>,
}

/// A connection under way.
#[derive(Clone, Copy, Debug)]
pub struct Awaiting {
    /// Its attempt.
    pub attempt: Ulid,
    /// Until when the person may take.
    pub until: DateTime<Utc>,
}

/// Why there is no newer token.
#[derive(Clone, Debug, Serialize)]
pub struct FailureView {
    /// Of RFC 6749 where one fits.
    pub code: String,
    /// Cleaned of secrets.
    pub message: String,
    /// The integration's field to look at.
    pub field: Option<String>,
    /// How many failures in a row.
    pub count: u32,
    /// When the last one was.
    pub at: DateTime<Utc>,
    /// When the next attempt may be made.
    pub retry_at: DateTime<Utc>,
}

/// Whether a token can be had, in words.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// Whether it can.
    pub ok: bool,
    /// One line for people.
    pub line: String,
    /// Why none can be had, without what to do about it.
    pub message: Option<String>,
    /// The integration's field to look at.
    pub field: Option<String>,
    /// The command that changes it.
    pub remedy: Option<String>,
    /// The attempt that was made.
    pub attempt: Option<Ulid>,
}

/// What became of a reported rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The token is out of use and a new one is being got.
    Renewing,
    /// A newer token has been got already.
    NotCurrent {
        /// Its generation.
        generation: u64,
    },
    /// The last rejection was too short a time ago; the token stays in use.
    TooSoon {
        /// Seconds until a rejection counts again.
        retry_after: u64,
    },
}
