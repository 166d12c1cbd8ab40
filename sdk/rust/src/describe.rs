//! Builders for what a flow says of itself: its description and fields.
//!
//! The fields that OAuth flows have in common are in [`crate::oauth::fields`].

use crate::types::{Condition, Description, Field, FieldKind, Requirement, SchemeMatch};

impl Description {
    /// A flow that needs no person, handles no scheme yet and has no fields yet.
    ///
    /// `name` is kebab-case, `version` the flow's own (usually `env!("CARGO_PKG_VERSION")`), `title` for people.
    pub fn new(name: &str, version: &str, title: &str) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            title: title.into(),
            summary: String::new(),
            handles: Vec::new(),
            unattended: true,
            fields: Vec::new(),
        }
    }

    /// One paragraph for people: when to choose this flow.
    #[must_use]
    pub fn summary(mut self, summary: &str) -> Self {
        self.summary = summary.into();
        self
    }

    /// Adds a scheme that the flow serves: its `type`, and the key in `flows` or the `scheme` of `http`.
    #[must_use]
    pub fn handles(mut self, kind: &str, detail: &str) -> Self {
        self.handles.push(SchemeMatch { kind: kind.into(), detail: Some(detail.into()) });
        self
    }

    /// Adds all schemes of this `type`.
    #[must_use]
    pub fn handles_type(mut self, kind: &str) -> Self {
        self.handles.push(SchemeMatch { kind: kind.into(), detail: None });
        self
    }

    /// Lets a document pick the flow by `x-tokenhost-flow`, whatever the scheme.
    #[must_use]
    pub fn handles_named(self) -> Self {
        self.handles_type("named")
    }

    /// Says that the flow can't acquire a token without a person.
    #[must_use]
    pub fn attended(mut self) -> Self {
        self.unattended = false;
        self
    }

    /// Adds a field. A form shows fields in the order in which they were added.
    #[must_use]
    pub fn field(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    /// Adds several fields.
    #[must_use]
    pub fn fields(mut self, fields: impl IntoIterator<Item = Field>) -> Self {
        self.fields.extend(fields);
        self
    }
}

impl Field {
    /// An optional field of this kind. `name` is snake_case, `title` the label for people.
    pub fn new(name: &str, title: &str, kind: FieldKind) -> Self {
        Self {
            name: name.into(),
            title: title.into(),
            help: String::new(),
            kind,
            required: Requirement::Never,
            default: None,
            source: None,
        }
    }

    /// Any text.
    pub fn text(name: &str, title: &str) -> Self {
        Self::new(name, title, FieldKind::Text)
    }

    /// A value that is kept sealed: the flow places it by name and doesn't see it.
    pub fn secret(name: &str, title: &str) -> Self {
        Self::new(name, title, FieldKind::Secret)
    }

    /// An absolute URL, to whose origin the flow's requests may go.
    pub fn url(name: &str, title: &str) -> Self {
        Self::new(name, title, FieldKind::Url)
    }

    /// One of `choices`.
    pub fn choice(name: &str, title: &str, choices: &[&str]) -> Self {
        Self::new(name, title, FieldKind::Choice(choices.iter().map(|&choice| choice.into()).collect()))
    }

    /// `true` or `false`; see [`crate::types::Context::flag`].
    pub fn flag(name: &str, title: &str) -> Self {
        Self::new(name, title, FieldKind::Flag)
    }

    /// Words separated by spaces; see [`crate::types::Context::words`].
    pub fn words(name: &str, title: &str) -> Self {
        Self::new(name, title, FieldKind::Words)
    }

    /// One or two sentences for people.
    #[must_use]
    pub fn help(mut self, help: &str) -> Self {
        self.help = help.into();
        self
    }

    /// Must be set in every integration.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = Requirement::Always;
        self
    }

    /// Must be set while the other field has one of these values.
    #[must_use]
    pub fn required_when(mut self, field: &str, one_of: &[&str]) -> Self {
        let one_of = one_of.iter().map(|&value| value.into()).collect();
        self.required = Requirement::When(Condition { field: field.into(), one_of });
        self
    }

    /// The value where none is given.
    #[must_use]
    pub fn default_value(mut self, value: &str) -> Self {
        self.default = Some(value.into());
        self
    }

    /// Where the scheme's flow object has the first value, e.g. `tokenUrl`.
    #[must_use]
    pub fn source(mut self, key: &str) -> Self {
        self.source = Some(key.into());
        self
    }
}
