//! Principals and inbound tokens over HTTP: users, profiles, application tokens, personal tokens, and everyone's own.
//!
//! Who is limited to organizations sees and changes no principal outside them, and learns of none whether it is there.

mod input;

pub(super) use self::input::{
    ApplicationTokenInput, NewApplicationToken, NewPersonalToken, NewUser, PersonalTokenInput, UserInput,
};
use super::problem::{Code, Fault, Problem};
use crate::access::AccessError;

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::NotFound { what, name } => Self::not_found(what, name),
            AccessError::Exists { .. } | AccessError::AlreadyInitialised => Self::new(Code::Exists, error.to_string()),
            AccessError::InUse(text) => Self::new(Code::InUse, text),
            AccessError::Invalid(faults) => Self::invalid(faults.into_iter().map(Fault::from).collect()),
            AccessError::Name(error) => Self::invalid(vec![Fault::new("name", "malformed", error.to_string())]),
            AccessError::Forbidden(text) => Self::new(Code::Forbidden, text),
            AccessError::Changed => Self::new(Code::Changed, error.to_string()),
            AccessError::TooSoon(after) => {
                Self::new(Code::TooSoon, "too many wrong passwords; wait before the next one").retry_after(after)
            }
            AccessError::Store(error) => error.into(),
            AccessError::Key => Self::internal(error),
        }
    }
}
