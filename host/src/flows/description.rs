//! What a flow says of itself: the schemes it serves and the fields it needs.
//!
//! Forms, validation and the command line are all made from these types; they know nothing of any contract version.

/// A flow's answer to `describe`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Unique name in kebab-case, e.g. `client-credentials`.
    pub name: String,
    /// The flow's own semantic version.
    pub version: String,
    /// The name for people.
    pub title: String,
    /// One paragraph for people: when to choose this flow.
    pub summary: String,
    /// The schemes that this flow can serve.
    pub handles: Vec<SchemeMatch>,
    /// Whether the flow can acquire a token without a person.
    pub unattended: bool,
    /// The inputs, in the order in which a form shows them.
    pub fields: Vec<Field>,
}

impl Description {
    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// A security scheme as OpenAPI writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemeMatch {
    /// The scheme's `type` (`oauth2`, `http`, …), or `named`: only by `x-tokenhost-flow`.
    pub kind: String,
    /// The key in `flows` (`clientCredentials`), or the `scheme` of `http` (`basic`).
    pub detail: Option<String>,
}

/// One input that a flow asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Unique within the flow, in snake_case, e.g. `client_secret`.
    pub name: String,
    /// The label for people.
    pub title: String,
    /// One or two sentences for people.
    pub help: String,
    /// What values it takes.
    pub kind: FieldKind,
    /// When it must be set.
    pub required: Requirement,
    /// The value where none is given.
    pub default: Option<String>,
    /// Where the scheme's flow object has the first value, e.g. `tokenUrl`.
    pub source: Option<String>,
}

impl Field {
    /// Whether the value is kept sealed and never shown.
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, FieldKind::Secret)
    }

    /// Whether requests may go to the origin of this field's value.
    pub fn is_url(&self) -> bool {
        matches!(self.kind, FieldKind::Url | FieldKind::MetadataUrl)
    }
}

/// What values a field takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Any text.
    Text,
    /// Text that is kept sealed; the flow places it by name and doesn't see it.
    Secret,
    /// An absolute URL. Requests may go to its origin.
    Url,
    /// An absolute URL of a metadata document; requests may also go to the endpoints that it names.
    MetadataUrl,
    /// One of these.
    Choice(Vec<String>),
    /// `true` or `false`.
    Flag,
    /// Space-separated words.
    Words,
}

impl FieldKind {
    /// Its name in the API, on the command line and in the audit log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Secret => "secret",
            Self::Url => "url",
            Self::MetadataUrl => "metadata_url",
            Self::Choice(_) => "choice",
            Self::Flag => "flag",
            Self::Words => "words",
        }
    }

    /// Of a choice: what can be chosen.
    pub fn choices(&self) -> Option<&[String]> {
        match self {
            Self::Choice(choices) => Some(choices),
            _ => None,
        }
    }
}

/// When a field must be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// In every integration.
    Always,
    /// It may stay unset.
    Never,
    /// Where the condition holds.
    When(Condition),
}

/// Holds while the named field has one of these values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The other field's name.
    pub field: String,
    /// The values of it for which the condition holds.
    pub one_of: Vec<String>,
}
