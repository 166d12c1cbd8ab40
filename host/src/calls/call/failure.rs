//! Why there is no answer of a service to show.

use std::time::Duration;

use super::MAX_ANSWER;
use crate::calls::dispatch::DispatchError;
use crate::calls::error::CallError;
use crate::fault::{FieldFault, join};
use crate::integrations::ModelError;

/// Why a call has no answer. Holds no secret and no value of the caller's.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallFailure {
    /// What the caller gave isn't what the operation takes: all that is wrong. Nothing was sent.
    #[error("{}", join(.0))]
    Invalid(Vec<FieldFault>),
    /// What the operation takes isn't known. Nothing was sent.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The request wasn't authorized, was held back, or got no answer.
    #[error(transparent)]
    Dispatch(#[from] DispatchError),
    /// The answer's body took too long.
    #[error("the service's answer wasn't complete after {} s; give the call a longer `timeout`", .0.as_secs_f64())]
    Slow(Duration),
    /// The answer's body ended early.
    #[error("{0}")]
    BrokeOff(String),
    /// The answer is too large to be held.
    #[error("the service's answer has more than {MAX_ANSWER} bytes; have it streamed: …/proxy/PATH")]
    TooLarge,
}

impl From<CallError> for CallFailure {
    fn from(error: CallError) -> Self {
        Self::Dispatch(error.into())
    }
}
