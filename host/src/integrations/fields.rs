//! Inputs held against a flow's description: all faults at once, each by its field's name.

use std::collections::BTreeMap;

use secrecy::SecretString;
use url::Url;

use super::error::{FaultCode, FieldFault};
use super::extras::input_name;
use crate::flows::description::{Condition, Description, Field, FieldKind, Requirement};
use crate::openapi::{ExtraParameter, SecurityScheme, resolve_url};
use crate::secrets::{self, Secrets};

/// The longest value that isn't secret, in bytes.
const MAX_VALUE: usize = 8 * 1024;
/// The longest secret, in bytes: a private key with its chain fits.
const MAX_SECRET: usize = 64 * 1024;

/// Values of fields, secret and not.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    /// Those that may be seen.
    pub(super) plain: BTreeMap<String, String>,
    /// Those that may not.
    pub(super) secret: Secrets,
}

/// What inputs are held against.
pub(super) struct Form<'a> {
    /// The flow's fields.
    pub(super) flow: &'a Description,
    /// Extra parameters of the document.
    pub(super) parameters: &'a [ExtraParameter],
    /// Those that were added to them.
    pub(super) added: &'a [ExtraParameter],
    /// Whether plain http is allowed.
    pub(super) allow_http: bool,
}

impl Form<'_> {
    /// The values that the document and the flow itself give, and why a URL of the document gives none.
    pub(super) fn first_values(
        &self,
        scheme: &SecurityScheme,
        detail: Option<&str>,
        server: Option<&Url>,
    ) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
        let (mut values, mut hints) = (BTreeMap::new(), BTreeMap::new());
        for field in self.flow.fields.iter().filter(|field| !field.is_secret()) {
            let source = field.source.as_deref().and_then(|member| scheme.source(detail, member));
            let value = match source {
                Some(reference) if field.is_url() => match resolve_url(reference, server) {
                    Ok(url) => Some(url.to_string()),
                    Err(problem) => {
                        hints.insert(field.name.clone(), problem.to_string());
                        None
                    }
                },
                Some(text) => Some(text.to_owned()),
                None => None,
            };
            if let Some(value) = value.or_else(|| field.default.clone()) {
                values.insert(field.name.clone(), value);
            }
        }
        (values, hints)
    }

    /// Puts inputs over values. An empty text unsets, and what is unset falls back to the flow's default.
    pub(super) fn apply(
        &self,
        values: &mut Values,
        inputs: &BTreeMap<String, Option<String>>,
        faults: &mut Vec<FieldFault>,
    ) {
        for (name, input) in inputs {
            let input = input.as_deref().filter(|input| !input.is_empty());
            if self.parameters.iter().chain(self.added).any(|parameter| &input_name(parameter) == name) {
                self.set_secret(values, name, input, faults);
                continue;
            }
            let Some(field) = self.flow.field(name) else {
                // One more value of a secret, to fall back to.
                match secrets::further(name).and_then(|(first, _)| self.flow.field(first)) {
                    Some(field) if field.is_secret() => self.set_secret(values, name, input, faults),
                    _ => faults.push(self.unknown(name)),
                }
                continue;
            };
            if field.is_secret() {
                self.set_secret(values, name, input, faults);
                continue;
            }
            match input.or(field.default.as_deref()) {
                None => drop(values.plain.remove(name)),
                Some(text) => match self.parse(field, text) {
                    Ok(value) => drop(values.plain.insert(name.clone(), value)),
                    Err((code, message)) => faults.push(FieldFault::new(format!("fields.{name}"), code, message)),
                },
            }
        }
    }

    fn set_secret(&self, values: &mut Values, name: &str, input: Option<&str>, faults: &mut Vec<FieldFault>) {
        match input {
            None => drop(values.secret.remove(name)),
            Some(text) if text.len() > MAX_SECRET => {
                let message = format!("has {} bytes; at most {MAX_SECRET} are kept", text.len());
                faults.push(FieldFault::new(format!("fields.{name}"), FaultCode::Malformed, message));
            }
            Some(text) => values.secret.insert(name, SecretString::from(text)),
        }
    }

    fn unknown(&self, name: &str) -> FieldFault {
        let mut known: Vec<String> = self.flow.fields.iter().map(|field| field.name.clone()).collect();
        known.extend(self.parameters.iter().chain(self.added).map(input_name));
        known.dedup();
        let shown: String = name.chars().take(64).collect();
        let message = format!("the flow {} has no field {shown:?}; it has {}", self.flow.name, known.join(", "));
        FieldFault::new(format!("fields.{shown}"), FaultCode::Unknown, message)
    }

    /// A value in the form in which it is kept.
    fn parse(&self, field: &Field, text: &str) -> Result<String, (FaultCode, String)> {
        let malformed = |message: String| Err((FaultCode::Malformed, message));
        if text.len() > MAX_VALUE {
            return malformed(format!("has {} bytes; at most {MAX_VALUE} are kept", text.len()));
        }
        if text.chars().any(char::is_control) {
            return malformed("holds a control character, such as a line break".to_owned());
        }
        match &field.kind {
            FieldKind::Text | FieldKind::Secret => Ok(text.to_owned()),
            FieldKind::Words => Ok(text.split_whitespace().collect::<Vec<_>>().join(" ")),
            FieldKind::Flag if matches!(text, "true" | "false") => Ok(text.to_owned()),
            FieldKind::Flag => malformed(format!("is {text:?}; true or false is wanted")),
            FieldKind::Choice(choices) if choices.iter().any(|choice| choice == text) => Ok(text.to_owned()),
            FieldKind::Choice(choices) => malformed(format!("is {text:?}; one of {} is wanted", choices.join(", "))),
            FieldKind::Url | FieldKind::MetadataUrl => absolute_url(text, self.allow_http).map(|url| url.to_string()),
        }
    }

    /// What must be set and isn't.
    pub(super) fn missing(&self, values: &Values, hints: &BTreeMap<String, String>) -> Vec<FieldFault> {
        let is_set = |field: &Field| match field.is_secret() {
            true => values.secret.get(&field.name).is_some(),
            false => values.plain.contains_key(&field.name),
        };
        (self.flow.fields.iter())
            .filter(|field| is_required(&field.required, &values.plain) && !is_set(field))
            .map(|field| {
                let mut message = format!("{} is needed", field.title);
                if let Requirement::When(Condition { field: other, .. }) = &field.required {
                    let value = values.plain.get(other).map_or("unset", String::as_str);
                    message = format!("{message} where {other} is {value}");
                }
                if let Some(hint) = hints.get(&field.name) {
                    message = format!("{message}; the document gives none: {hint}");
                }
                FieldFault::new(format!("fields.{}", field.name), FaultCode::Missing, message)
            })
            .collect()
    }
}

fn is_required(requirement: &Requirement, values: &BTreeMap<String, String>) -> bool {
    match requirement {
        Requirement::Always => true,
        Requirement::Never => false,
        Requirement::When(condition) => {
            values.get(&condition.field).is_some_and(|value| condition.one_of.contains(value))
        }
    }
}

/// An absolute URL to which a request may go, as far as its text tells.
pub(super) fn absolute_url(text: &str, allow_http: bool) -> Result<Url, (FaultCode, String)> {
    let malformed = |message: &str| Err((FaultCode::Malformed, message.to_owned()));
    let Ok(url) = Url::parse(text.trim()) else {
        return malformed("is no absolute URL, such as https://login.example.com/token");
    };
    if !matches!(url.scheme(), "http" | "https") {
        return Err((FaultCode::Malformed, format!("has the scheme {}; https is wanted", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return malformed("has a user or password before the host; remove it and use the secret fields");
    }
    if url.fragment().is_some() {
        return malformed("has a fragment (#…); remove it");
    }
    if url.scheme() == "http" && !allow_http {
        let message = "is plain http; use https, or let an operator set TOKENHOST_EGRESS_HTTP=true";
        return Err((FaultCode::NotAllowed, message.to_owned()));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, kind: FieldKind, required: Requirement) -> Field {
        let (title, help) = (name.to_owned(), String::new());
        Field { name: name.to_owned(), title, help, kind, required, default: None, source: None }
    }

    fn description() -> Description {
        let auth = FieldKind::Choice(vec!["basic".to_owned(), "none".to_owned()]);
        let condition = Condition { field: "client_auth".to_owned(), one_of: vec!["basic".to_owned()] };
        let mut client_auth = field("client_auth", auth, Requirement::Never);
        client_auth.default = Some("basic".to_owned());
        let mut token_url = field("token_url", FieldKind::Url, Requirement::Always);
        token_url.source = Some("tokenUrl".to_owned());
        Description {
            name: "test".to_owned(),
            version: "1.0.0".to_owned(),
            title: String::new(),
            summary: String::new(),
            handles: Vec::new(),
            unattended: true,
            fields: vec![
                field("client_id", FieldKind::Text, Requirement::Always),
                field("client_secret", FieldKind::Secret, Requirement::When(condition)),
                token_url,
                field("scope", FieldKind::Words, Requirement::Never),
                field("offline", FieldKind::Flag, Requirement::Never),
                client_auth,
            ],
        }
    }

    /// Applies inputs to nothing and tells every fault as `field code`.
    fn check(inputs: &[(&str, Option<&str>)], expected: &[&str]) -> Values {
        let flow = description();
        let form = Form { flow: &flow, parameters: &[], added: &[], allow_http: false };
        let (mut values, mut faults) = (Values::default(), Vec::new());
        values.plain.insert("client_auth".to_owned(), "basic".to_owned());
        let inputs = inputs.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect();
        form.apply(&mut values, &inputs, &mut faults);
        faults.extend(form.missing(&values, &BTreeMap::new()));
        let found: Vec<String> =
            faults.iter().map(|fault| format!("{} {}", fault.field, fault.code.as_str())).collect();
        assert_eq!(found, expected);
        values
    }

    #[test]
    fn all_faults_come_at_once_by_name() {
        check(&[], &["fields.client_id missing", "fields.client_secret missing", "fields.token_url missing"]);
        check(
            &[
                ("client_id", Some("a\nb")),
                ("client_secret", Some("s")),
                ("nonsense", Some("x")),
                ("offline", Some("yes")),
                ("token_url", Some("http://idp.example/token")),
                ("client_auth", Some("magic")),
            ],
            &[
                "fields.client_auth malformed",
                "fields.client_id malformed",
                "fields.nonsense unknown",
                "fields.offline malformed",
                "fields.token_url not_allowed",
                "fields.client_id missing",
                "fields.token_url missing",
            ],
        );
        for url in [
            "/token",
            "idp.example",
            "ftp://idp.example",
            "https://u:p@idp.example",
            "https://idp.example/#a",
            "https://",
        ] {
            let inputs = [("client_id", Some("a")), ("client_secret", Some("s")), ("token_url", Some(url))];
            check(&inputs, &["fields.token_url malformed", "fields.token_url missing"]);
        }
    }

    #[test]
    fn conditions_look_at_what_is_set_and_empty_text_unsets() {
        let url = ("token_url", Some("https://idp.example"));
        let values = check(&[("client_id", Some("a")), ("client_auth", Some("none")), url], &[]);
        assert_eq!(values.plain["token_url"], "https://idp.example/");
        let inputs = [("client_id", Some("")), ("client_auth", Some("")), ("scope", Some(" a  b ")), url];
        let values = check(&inputs, &["fields.client_id missing", "fields.client_secret missing"]);
        assert_eq!(values.plain["scope"], "a b");
        assert_eq!(values.plain["client_auth"], "basic");
    }

    #[test]
    fn a_secret_may_have_further_values() {
        let url = ("token_url", Some("https://idp.example"));
        let inputs = [
            ("client_id", Some("a")),
            ("client_secret", Some("new")),
            ("client_secret.2", Some("old")),
            ("client_secret.10", Some("x")),
            ("scope.2", Some("x")),
            url,
        ];
        let values = check(&inputs, &["fields.client_secret.10 unknown", "fields.scope.2 unknown"]);
        assert_eq!(values.secret.names().collect::<Vec<_>>(), ["client_secret", "client_secret.2"]);
    }

    #[test]
    fn secrets_stay_out_of_plain_values_and_faults() {
        let values = check(
            &[("client_secret", Some("hunter2")), ("client_id", Some("a")), ("token_url", Some("https://i/"))],
            &[],
        );
        assert!(!format!("{values:?}").contains("hunter2"));
        assert!(values.secret.get("client_secret").is_some());
    }
}
