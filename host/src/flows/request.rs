//! A request as a flow writes it: templates in which secrets stand by name.
//!
//! Nothing here holds a long-lived secret; `egress` resolves the names when the request leaves.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// Parts, joined.
pub type Template = Vec<Part>;

/// One piece of a template.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Literal text.
    Text(String),
    /// Text that the flow made or was told and that no record shall show: a code, a verifier. Written by nothing.
    #[serde(skip)]
    Sensitive(SecretString),
    /// The value of the secret, or of the derived value, of this name.
    Secret(String),
    /// The request's body as it will be sent; only inside a derivation.
    Body,
}

/// The request that a flow wants sent.
#[derive(Clone, Debug)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// An absolute URL; it may have a query of its own.
    pub url: String,
    /// Parameters appended to the URL's query.
    pub query: Vec<(String, Template)>,
    /// Header names and values.
    pub headers: Vec<(String, Template)>,
    /// What is sent.
    pub body: Body,
    /// Values that the host computes, in order; a later one may use an earlier one.
    pub derived: Vec<Derived>,
}

/// The HTTP methods a flow may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
}

/// A request's body.
#[derive(Clone, Debug)]
pub enum Body {
    /// None.
    Empty,
    /// `application/x-www-form-urlencoded`.
    Form(Vec<(String, Template)>),
    /// `application/json`.
    Json(Vec<Member>),
    /// Any other content.
    Raw(Raw),
}

/// A member of a JSON document, set by JSON pointer (RFC 6901).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Member {
    /// The JSON pointer.
    pub pointer: String,
    /// The value.
    pub value: JsonValue,
}

/// The value of a JSON member.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JsonValue {
    /// A JSON string.
    Text(Template),
    /// Any JSON value, as JSON text.
    Literal(String),
}

/// A body of the flow's own making.
#[derive(Clone, Debug)]
pub struct Raw {
    /// The `Content-Type`.
    pub content_type: String,
    /// What is sent.
    pub content: Template,
    /// How a secret is written into the content.
    pub escape: Escape,
}

/// How a secret is written into raw content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// As it is.
    None,
    /// As the inside of a JSON string.
    Json,
    /// As XML text.
    Xml,
    /// As a value of `application/x-www-form-urlencoded`.
    Form,
}

/// A value that the host computes, and its name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Derived {
    /// The name by which a template places it.
    pub name: String,
    /// How it is computed.
    pub value: Derivation,
}

/// How a derived value is computed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Derivation {
    /// RFC 7617: base64 of `user:password`, without the word `Basic`.
    Basic {
        /// The user part.
        user: Template,
        /// The password part.
        password: Template,
        /// How both are encoded first.
        encoding: BasicEncoding,
    },
    /// RFC 7519: a signed JWT in compact form.
    Jwt {
        /// RFC 7518: `RS256`, `PS256`, `ES256`, `EdDSA`, `HS256`, …
        algorithm: String,
        /// The secret that holds the key: PEM or JWK, or the bytes themselves for `HS*`.
        key: String,
        /// Further header members.
        header: Vec<Member>,
        /// The claims.
        claims: Vec<Member>,
    },
    /// RFC 2104.
    Hmac {
        /// The hash function.
        hash: Hash,
        /// The key.
        key: Template,
        /// The message.
        message: Template,
        /// How the result is written.
        encoding: Encoding,
    },
    /// A plain hash.
    Digest {
        /// The hash function.
        hash: Hash,
        /// The message.
        message: Template,
        /// How the result is written.
        encoding: Encoding,
    },
    /// Transformations, in order.
    Transform {
        /// What is transformed.
        value: Template,
        /// By what.
        how: Vec<Transformation>,
    },
}

/// How user and password are encoded before RFC 7617 joins them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BasicEncoding {
    /// As they are.
    None,
    /// `application/x-www-form-urlencoded`, space as `+` (RFC 6749 section 2.3.1).
    Form,
    /// Percent-encoded, space as `%20`.
    Percent,
}

/// Hash functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hash {
    /// RFC 1321; for providers that know nothing better.
    Md5,
    /// FIPS 180-4.
    Sha1,
    /// FIPS 180-4.
    Sha256,
    /// FIPS 180-4.
    Sha384,
    /// FIPS 180-4.
    Sha512,
}

/// How bytes are written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// As they are.
    Raw,
    /// Lower-case hexadecimal.
    Hex,
    /// RFC 4648 section 4, padded.
    Base64,
    /// RFC 4648 section 5, without padding.
    Base64Url,
}

/// One transformation of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transformation {
    /// To RFC 4648 section 4, padded.
    Base64,
    /// To RFC 4648 section 5, without padding.
    Base64Url,
    /// To lower-case hexadecimal.
    Hex,
    /// From RFC 4648 section 4 or 5.
    Base64Decode,
    /// From hexadecimal.
    HexDecode,
    /// RFC 3986: all but unreserved characters as `%XX`.
    Percent,
    /// As a value of `application/x-www-form-urlencoded`.
    Form,
    /// To lower case.
    LowerCase,
    /// To upper case.
    UpperCase,
}

impl Member {
    /// Its template, unless it is a literal.
    fn template(&self) -> Option<&Template> {
        match &self.value {
            JsonValue::Text(template) => Some(template),
            JsonValue::Literal(_) => None,
        }
    }

    /// The same, to change it.
    fn template_mut(&mut self) -> Option<&mut Template> {
        match &mut self.value {
            JsonValue::Text(template) => Some(template),
            JsonValue::Literal(_) => None,
        }
    }
}

impl Derivation {
    /// Its templates, in the order in which they stand.
    pub fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Basic { user, password, .. } => vec![user, password],
            Self::Jwt { header, claims, .. } => header.iter().chain(claims).filter_map(Member::template).collect(),
            Self::Hmac { key, message, .. } => vec![key, message],
            Self::Digest { message, .. } => vec![message],
            Self::Transform { value, .. } => vec![value],
        }
    }

    /// The same, to change them.
    pub fn templates_mut(&mut self) -> Vec<&mut Template> {
        match self {
            Self::Basic { user, password, .. } => vec![user, password],
            Self::Jwt { header, claims, .. } => {
                header.iter_mut().chain(claims).filter_map(Member::template_mut).collect()
            }
            Self::Hmac { key, message, .. } => vec![key, message],
            Self::Digest { message, .. } => vec![message],
            Self::Transform { value, .. } => vec![value],
        }
    }
}

impl Request {
    /// The texts that no record shall show, in the order in which they stand: in query, headers and body, then in what is derived.
    pub fn sensitive(&self) -> impl Iterator<Item = &SecretString> {
        let mut templates: Vec<&Template> = self.query.iter().chain(&self.headers).map(|(_, value)| value).collect();
        match &self.body {
            Body::Empty => {}
            Body::Form(pairs) => templates.extend(pairs.iter().map(|(_, value)| value)),
            Body::Json(members) => templates.extend(members.iter().filter_map(Member::template)),
            Body::Raw(raw) => templates.push(&raw.content),
        }
        templates.extend(self.derived.iter().flat_map(|derived| derived.value.templates()));
        templates.into_iter().flatten().filter_map(|part| match part {
            Part::Sensitive(text) => Some(text),
            _ => None,
        })
    }
}
