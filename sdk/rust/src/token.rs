//! Builders for tokens: what is known of one, and how it goes into a request to the service.
//!
//! Nothing is computed here: the host fills secrets in, by name, each time that a request is authorized.

use crate::request::Template;
use crate::types::{Derivation, Derived, Location, Placement, Signer, Token};

impl Token {
    /// A token of which only the access token is known.
    pub fn new(access_token: impl Into<String>) -> Self {
        Self { access_token: Some(access_token.into()), ..Self::default() }
    }

    /// Puts this into a header of each request. Without any placement or signer, the host sends
    /// `Authorization: <token-type> <access-token>`.
    #[must_use]
    pub fn in_header(self, name: &str, value: impl Into<Template>) -> Self {
        self.placed(Location::Header, name, value)
    }

    /// Puts this into the query of each request.
    #[must_use]
    pub fn in_query(self, name: &str, value: impl Into<Template>) -> Self {
        self.placed(Location::Query, name, value)
    }

    /// Puts this into a cookie of each request.
    #[must_use]
    pub fn in_cookie(self, name: &str, value: impl Into<Template>) -> Self {
        self.placed(Location::Cookie, name, value)
    }

    /// Puts this somewhere into each request.
    #[must_use]
    pub fn placed(mut self, location: Location, name: &str, value: impl Into<Template>) -> Self {
        self.placements.push(Placement { location, name: name.into(), value: value.into() });
        self
    }

    /// Declares a value that the host computes; a placement puts it somewhere by `Part::secret(name)`.
    #[must_use]
    pub fn derive(mut self, name: &str, value: Derivation) -> Self {
        self.derived.push(Derived { name: name.into(), value });
        self
    }

    /// Has each request signed by a signer of the host.
    #[must_use]
    pub fn signed(mut self, signer: Signer) -> Self {
        self.signer = Some(signer);
        self
    }
}

impl Signer {
    /// A signer of the host, without parameters yet: `aws-sigv4` or `http-digest`.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), parameters: Vec::new() }
    }

    /// Adds a parameter.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: impl Into<Template>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }
}

impl Default for Token {
    /// Nothing known: after a refresh, everything keeps its old value. It is the start of a token that is all placements.
    fn default() -> Self {
        Self {
            access_token: None,
            refresh_token: None,
            token_type: None,
            expires_in: None,
            expires_at: None,
            refresh_expires_in: None,
            scope: None,
            values: Vec::new(),
            secrets: Vec::new(),
            placements: Vec::new(),
            derived: Vec::new(),
            signer: None,
        }
    }
}
