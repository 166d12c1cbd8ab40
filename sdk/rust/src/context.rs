//! Reading the context, and saying why a flow gives up.

use crate::types::{Context, Failure, Remedy, Unanswered};

impl Context {
    /// The value of a field, or of the present token as `token.NAME`. An empty value counts as none.
    pub fn value(&self, name: &str) -> Option<&str> {
        let (_, value) = self.values.iter().find(|(known, _)| known == name)?;
        let value = value.trim();
        (!value.is_empty()).then_some(value)
    }

    /// The value of a field that the flow can't do without.
    ///
    /// # Errors
    /// It isn't set: a failure that names it.
    pub fn required(&self, name: &str) -> Result<&str, Failure> {
        self.value(name).ok_or_else(|| missing(name))
    }

    /// The words of a field of kind `words`.
    pub fn words(&self, name: &str) -> impl Iterator<Item = &str> {
        self.value(name).unwrap_or_default().split_whitespace()
    }

    /// Whether a field of kind `flag` is `true`.
    pub fn flag(&self, name: &str) -> bool {
        self.value(name) == Some("true")
    }

    /// Whether a secret of this name is set, e.g. `client_secret` or `token.refresh_token`.
    pub fn has_secret(&self, name: &str) -> bool {
        self.secrets.iter().any(|known| known == name)
    }

    /// Whether a secret that the flow can't do without is set.
    ///
    /// # Errors
    /// It isn't: a failure that names it.
    pub fn required_secret(&self, name: &str) -> Result<(), Failure> {
        if self.has_secret(name) { Ok(()) } else { Err(missing(name)) }
    }
}

/// The failure of a field that must be set and isn't.
fn missing(name: &str) -> Failure {
    Failure::reconfigure("missing_field", format!("the field {name} is not set"))
}

impl Failure {
    /// The same request may work later, after `seconds` where the provider said so.
    pub fn retry(code: impl Into<String>, message: impl Into<String>, seconds: Option<u32>) -> Self {
        Self { code: code.into(), message: message.into(), remedy: Remedy::Retry(seconds) }
    }

    /// The refresh token is no use any more: acquire anew.
    pub fn reacquire(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), remedy: Remedy::Reacquire }
    }

    /// A person has to correct a field or consent again.
    pub fn reconfigure(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), remedy: Remedy::Reconfigure }
    }

    /// The flow doesn't do this, e.g. revoke.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::reconfigure("unsupported", message)
    }

    /// What a standard flow answers where its request got no complete answer.
    pub fn unanswered(what: &Unanswered) -> Self {
        let how_far = if what.left { "got no complete answer" } else { "could not be sent" };
        Self::retry("no_answer", format!("the request {how_far}: {}", what.reason), None)
    }
}
