//! What is wrong with inputs, by field: the one shape in which rooms tell all of it at once.

use std::fmt;

/// What is wrong with one input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFault {
    /// Which input: `fields.client_id`, `contact.email`, …
    pub field: String,
    /// In what way.
    pub code: FaultCode,
    /// What was wrong and what is wanted; holds no value of a secret.
    pub message: String,
}

impl FieldFault {
    /// A fault.
    pub(crate) fn new(field: impl Into<String>, code: FaultCode, message: impl Into<String>) -> Self {
        Self { field: field.into(), code, message: message.into() }
    }

    /// The same fault of something that stands below another place, as `schemes.NAME.`.
    pub(crate) fn within(mut self, place: &str) -> Self {
        self.field.insert_str(0, place);
        self
    }
}

impl fmt::Display for FieldFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// In what way an input is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultCode {
    /// It must be given.
    Missing,
    /// There is no such thing.
    Unknown,
    /// It isn't of the wanted form.
    Malformed,
    /// A policy or the model forbids it.
    NotAllowed,
    /// There are several; one must be chosen.
    Ambiguous,
    /// It would be lost.
    Dropped,
}

impl FaultCode {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Malformed => "malformed",
            Self::NotAllowed => "not_allowed",
            Self::Ambiguous => "ambiguous",
            Self::Dropped => "dropped",
        }
    }
}

/// All of them in one line.
pub(crate) fn join<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join("; ")
}
