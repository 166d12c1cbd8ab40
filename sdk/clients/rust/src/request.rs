//! What a caller asks for: which token, which credentials, which call.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value};

/// Which token: an integration's own, or one of its tokens with other scopes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The integration.
    pub(crate) name: String,
    /// Scopes in place of its own.
    pub(crate) scope: Option<String>,
}

impl Key {
    /// The token with these scopes (space-separated) instead.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into()).filter(|scope| !scope.is_empty());
        self
    }
}

impl From<&str> for Key {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), scope: None }
    }
}

impl From<String> for Key {
    fn from(name: String) -> Self {
        Self { name, scope: None }
    }
}

impl From<&Self> for Key {
    fn from(key: &Self) -> Self {
        key.clone()
    }
}

/// An operation: by its id, or by method and path.
fn operation(text: &str) -> Map<String, Value> {
    let members = match text.split_once(' ') {
        Some((method, path)) if path.starts_with('/') => vec![("method", method), ("path", path)],
        _ => vec![("operation_id", text)],
    };
    members.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// A member of a member that is an object.
fn insert(body: &mut Map<String, Value>, within: &str, name: impl Into<String>, value: impl Into<Value>) {
    let within = body.entry(within).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(members) = within {
        members.insert(name.into(), value.into());
    }
}

/// For which request credentials are asked.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Ask(Map<String, Value>);

impl Ask {
    /// For this operation: an operation id, or `GET /contacts`.
    pub fn of(operation: &str) -> Self {
        Self(self::operation(operation))
    }

    /// At least so long, in whole seconds, the token must still be good for.
    #[must_use]
    pub fn min_ttl(mut self, at_least: Duration) -> Self {
        self.0.insert("min_ttl".to_owned(), at_least.as_secs().into());
        self
    }

    /// The SHA-256 of the request's body (hex), which some signatures need.
    #[must_use]
    pub fn body_sha256(mut self, hex: impl Into<String>) -> Self {
        self.0.insert("body_sha256".to_owned(), hex.into().into());
        self
    }

    /// A header of the request, which some signatures need.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        insert(&mut self.0, "headers", name, value.into());
        self
    }

    /// The request's query as in its URL, which some signatures need.
    #[must_use]
    pub fn query(mut self, query: impl Into<String>) -> Self {
        self.0.insert("query".to_owned(), query.into().into());
        self
    }

    /// The service's `WWW-Authenticate`, for HTTP digest.
    #[must_use]
    pub fn challenge(mut self, header: impl Into<String>) -> Self {
        self.0.insert("challenge".to_owned(), header.into().into());
        self
    }
}

/// A call for the daemon to make.
#[derive(Clone, Debug)]
pub struct Call {
    /// The request to the daemon.
    pub(crate) body: Map<String, Value>,
    /// How long the service has.
    pub(crate) timeout: Option<Duration>,
    /// Whether it may reach the service twice.
    pub(crate) repeatable: bool,
}

impl Call {
    /// Of this operation: an operation id, or `GET /contacts/{id}`.
    pub fn of(operation: &str) -> Self {
        Self { body: self::operation(operation), timeout: None, repeatable: false }
    }

    /// A parameter of the operation; `path.name`, `query.name`, … where a name stands in several places.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        insert(&mut self.body, "parameters", name, value);
        self
    }

    /// The body: JSON, or text for types of text.
    #[must_use]
    pub fn body(mut self, body: impl Into<Value>) -> Self {
        self.body.insert("body".to_owned(), body.into());
        self
    }

    /// The body, as bytes.
    #[must_use]
    pub fn bytes(self, body: &[u8]) -> Self {
        let mut object = Map::new();
        object.insert("base64".to_owned(), STANDARD.encode(body).into());
        self.body(object)
    }

    /// The body's type, where the operation takes several.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.body.insert("content_type".to_owned(), content_type.into().into());
        self
    }

    /// A header besides those of the operation.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        insert(&mut self.body, "headers", name, value.into());
        self
    }

    /// How long the service has, rounded up to whole seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        let seconds = timeout.as_secs().saturating_add(u64::from(timeout.subsec_nanos() > 0));
        self.body.insert("timeout".to_owned(), seconds.into());
        self.timeout = Some(timeout);
        self
    }

    /// At least so long, in whole seconds, the token must still be good for.
    #[must_use]
    pub fn min_ttl(mut self, at_least: Duration) -> Self {
        self.body.insert("min_ttl".to_owned(), at_least.as_secs().into());
        self
    }

    /// It may reach the service twice, so it is made once more where nobody knows whether it did.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }
}
