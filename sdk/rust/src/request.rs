//! Builders for requests, in which secrets stand by name.
//!
//! Nothing is encoded or sent here: the host does that when the request leaves.

use crate::types::{
    Basic, BasicEncoding, Body, Derivation, Derived, Escape, JsonValue, Member, Method, Part, Raw, Request,
};

/// Parts, joined.
pub type Template = Vec<Part>;

impl Part {
    /// Literal text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Text that no record shall show: a code, a verifier.
    pub fn sensitive(text: impl Into<String>) -> Self {
        Self::Sensitive(text.into())
    }

    /// The value of the secret, or of the derived value, of this name.
    pub fn secret(name: impl Into<String>) -> Self {
        Self::Secret(name.into())
    }
}

impl From<Part> for Template {
    fn from(part: Part) -> Self {
        vec![part]
    }
}

impl Request {
    /// A request without query, headers or body. The URL may have a query of its own.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), query: Vec::new(), headers: Vec::new(), body: Body::Empty, derived: Vec::new() }
    }

    /// A `POST`.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new(Method::Post, url)
    }

    /// A `GET`.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::Get, url)
    }

    /// Adds a parameter to the URL's query.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl Into<Template>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Template>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends this form.
    #[must_use]
    pub fn form(mut self, form: Form) -> Self {
        self.body = Body::Form(form.0);
        self
    }

    /// Sends this JSON document.
    #[must_use]
    pub fn json(mut self, json: Json) -> Self {
        self.body = Body::Json(json.into_members());
        self
    }

    /// Sends content of the flow's own making; `escape` says how secrets are written into it.
    #[must_use]
    pub fn raw(mut self, content_type: &str, content: impl Into<Template>, escape: Escape) -> Self {
        self.body = Body::Raw(Raw { content_type: content_type.into(), content: content.into(), escape });
        self
    }

    /// Declares a value that the host computes; a template places it by `Part::secret(name)`.
    #[must_use]
    pub fn derive(mut self, name: &str, value: Derivation) -> Self {
        self.derived.push(Derived { name: name.into(), value });
        self
    }
}

impl Derivation {
    /// RFC 7617: base64 of `user:password`, both encoded first.
    pub fn basic(user: impl Into<Template>, password: impl Into<Template>, encoding: BasicEncoding) -> Self {
        Self::Basic(Basic { user: user.into(), password: password.into(), encoding })
    }
}

/// The parameters of an `application/x-www-form-urlencoded` body.
#[derive(Clone, Debug, Default)]
pub struct Form(Vec<(String, Template)>);

/// An empty form.
pub fn form() -> Form {
    Form::default()
}

impl Form {
    /// Adds literal text.
    #[must_use]
    pub fn text(self, name: &str, value: impl Into<String>) -> Self {
        self.template(name, Part::text(value))
    }

    /// Adds literal text, if there is any.
    #[must_use]
    pub fn optional(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// Adds a secret by its name.
    #[must_use]
    pub fn secret(self, name: &str, secret: &str) -> Self {
        self.template(name, Part::secret(secret))
    }

    /// Adds a value made of parts.
    #[must_use]
    pub fn template(mut self, name: &str, value: impl Into<Template>) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }

    /// The same parameters as members of a JSON object; one that is there several times is an array.
    pub fn into_json(self) -> Json {
        let count = |name: &str| self.0.iter().filter(|(other, _)| other == name).count();
        let repeated: Vec<bool> = self.0.iter().map(|(name, _)| count(name) > 1).collect();
        self.0.into_iter().zip(repeated).fold(json(), |json, ((name, value), repeated)| {
            let end = if repeated { "/-" } else { "" };
            json.template(&format!("/{}{end}", name.replace('~', "~0").replace('/', "~1")), value)
        })
    }
}

/// The members of an `application/json` body, each set by its JSON pointer (RFC 6901), e.g. `/user/name`.
#[derive(Clone, Debug, Default)]
pub struct Json(Vec<Member>);

/// An empty document.
pub fn json() -> Json {
    Json::default()
}

impl Json {
    /// Sets a string.
    #[must_use]
    pub fn text(self, pointer: &str, value: impl Into<String>) -> Self {
        self.template(pointer, Part::text(value))
    }

    /// Sets a string to a secret, by its name.
    #[must_use]
    pub fn secret(self, pointer: &str, secret: &str) -> Self {
        self.template(pointer, Part::secret(secret))
    }

    /// Sets a string made of parts.
    #[must_use]
    pub fn template(mut self, pointer: &str, value: impl Into<Template>) -> Self {
        self.0.push(Member { pointer: pointer.into(), value: JsonValue::Text(value.into()) });
        self
    }

    /// Sets any JSON value, given as JSON text.
    #[must_use]
    pub fn literal(mut self, pointer: &str, value: &str) -> Self {
        self.0.push(Member { pointer: pointer.into(), value: JsonValue::Literal(value.into()) });
        self
    }

    /// The members, for a document that is no body: the claims of a JWT.
    pub fn into_members(self) -> Vec<Member> {
        self.0
    }
}
