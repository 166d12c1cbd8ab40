//! What both kinds of inbound tokens share in their lives: states, deletion, grace, scopes by name.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Access;
use super::error::AccessError;
use super::principal::Principal;
use crate::fault::{FaultCode, FieldFault};
use crate::text::Scope;

/// The longest time that an old value works beside a new one.
pub const LONGEST_GRACE: Duration = Duration::from_secs(7 * 86_400);
/// Scopes that one token may name.
const MOST_SCOPES: usize = 64;

/// Whether a token works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It does.
    Valid,
    /// Its time is over.
    Expired,
    /// Its principal is disabled.
    Disabled,
    /// It was deleted, or its user was.
    Deleted,
    /// None of its user's profiles may use personal tokens.
    NotAllowed,
}

impl TokenState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Valid, Self::Expired, Self::Disabled, Self::Deleted, Self::NotAllowed];

    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Expired => "expired",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
            Self::NotAllowed => "profile_not_allowed",
        }
    }
}

/// When and by whom something was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// When.
    pub at: DateTime<Utc>,
    /// By whom.
    pub by: String,
}

/// Until when an old value works that is replaced now.
pub(super) fn check_grace(now: DateTime<Utc>, grace: Duration) -> Result<DateTime<Utc>, AccessError> {
    if grace > LONGEST_GRACE {
        let message = format!("must be at most {} seconds", LONGEST_GRACE.as_secs());
        return Err(AccessError::fault("grace_seconds", FaultCode::NotAllowed, message));
    }
    Ok(now + grace)
}

/// Refuses scopes that a giver who is limited to some doesn't have. A token without scopes isn't limited to any.
pub(super) fn check_scopes(by: &Principal, given: &[Scope]) -> Result<(), AccessError> {
    let Some(own) = &by.scopes else { return Ok(()) };
    if !given.is_empty() && given.iter().all(|scope| own.contains(scope)) {
        return Ok(());
    }
    let own = own.iter().map(Scope::as_str).collect::<Vec<_>>().join(", ");
    Err(AccessError::Forbidden(format!(
        "your own token is limited to the scopes {own}; it gives others no more than these"
    )))
}

impl Access {
    /// Scopes by name; those that there aren't are noted.
    pub(super) fn parse_scopes(&self, names: &[String], faults: &mut Vec<FieldFault>) -> Vec<Scope> {
        let mut scopes: Vec<Scope> = Vec::new();
        for (index, name) in names.iter().take(MOST_SCOPES).enumerate() {
            match (self.scopes.find(name), name.parse()) {
                (Some(_), Ok(scope)) if !scopes.contains(&scope) => scopes.push(scope),
                (Some(_), Ok(_)) => {}
                _ => {
                    let message = format!(
                        "there is no such scope; there are {}, and access.scopes adds others",
                        self.scopes.names()
                    );
                    faults.push(FieldFault::new(format!("scopes[{index}]"), FaultCode::Unknown, message));
                }
            }
        }
        scopes
    }
}
