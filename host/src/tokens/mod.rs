//! The life of an outbound token: is it good enough, one attempt at a time, the journal, expiry, renewal.
//!
//! It knows nothing of HTTP and of who asks. What a token is got with is `integrations`' business; how, the flow's.

mod attempt;
mod backoff;
mod concern;
mod connect;
mod error;
mod expiry;
mod failure;
mod flight;
mod journal;
mod keeper;
mod key;
mod ledger;
mod manage;
mod parts;
mod plan;
mod record;
mod reparse;
mod restored;
mod revoke;
mod schedule;
mod token;
mod view;
mod watch;

pub use self::attempt::MAX_WAIT;
pub use self::concern::{Concern, ConcernKind};
pub use self::connect::{Back, Connecting, Next, OnConnected, Onward, Unwelcome};
pub use self::error::TokenError;
pub use self::expiry::{ExpirySource, Margin};
pub use self::journal::{AnswerStory, AttemptStory, Outcome, StepStory};
pub use self::keeper::Tokens;
pub use self::key::TokenKey;
pub use self::ledger::sealed_kinds;
pub use self::plan::Cause;
pub use self::reparse::Reparsed;
pub use self::restored::{Doubts, after_restore};
pub use self::revoke::Revocation;
pub use self::token::{ManualToken, Served, Token};
pub use self::view::{Awaiting, FailureView, Rejection, State, Status, Verdict};
pub use self::watch::{Attention, Census};

#[cfg(test)]
mod tests;
