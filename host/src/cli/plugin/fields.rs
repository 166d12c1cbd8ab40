//! What `plugin try` gives a flow: values and secrets from the command line, held against the flow's description.
//!
//! The daemon's own validation belongs to integrations, which have a model; here there is none.

use std::collections::BTreeMap;

use secrecy::SecretString;
use url::Url;

use super::super::exit::{Exit, Failure};
use crate::flows::Description;
use crate::flows::description::{Field, FieldKind};
use crate::secrets::Secrets;
use crate::trial::walk::is_needed;

/// What is set, by name.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// What is no secret.
    pub(super) values: BTreeMap<String, String>,
    /// What is: fields, and parts of a present token (`token.refresh_token`).
    pub(super) secrets: Secrets,
}

impl Given {
    /// Takes in values that may stand on the command line.
    ///
    /// # Errors
    /// One of them is a secret.
    pub(super) fn set(&mut self, description: &Description, name: String, value: String) -> Result<(), Failure> {
        if is_secret(description, &name) {
            let message = format!("{name} is a secret; write --secret {name}=@FILE, =- or =env:VARIABLE");
            return Err(Failure::usage(message));
        }
        self.values.insert(name, value);
        Ok(())
    }

    /// Takes in a value that came another way. It needn't be a secret.
    pub(super) fn hide(&mut self, description: &Description, name: String, value: SecretString, text: String) {
        if is_secret(description, &name) {
            self.secrets.insert(name, value);
        } else {
            self.values.insert(name, text);
        }
    }

    /// Fills in defaults, asks for missing secrets, and holds it all against the description.
    ///
    /// # Errors
    /// All that is wrong, by name.
    pub(super) fn complete(
        &mut self,
        description: &Description,
        ask: &mut dyn FnMut(&Field) -> Option<Result<SecretString, Failure>>,
    ) -> Result<(), Failure> {
        for field in &description.fields {
            if let Some(default) = &field.default
                && !field.is_secret()
            {
                self.values.entry(field.name.clone()).or_insert_with(|| default.clone());
            }
        }
        // An empty value is an unset one, as in a form.
        self.values.retain(|_, value| !value.is_empty());
        let mut faults: Vec<String> = self.unknown(description);
        for field in &description.fields {
            if let Some(fault) = self.values.get(&field.name).and_then(|value| fault(field, value)) {
                faults.push(format!("{}: {fault}", field.name));
            }
        }
        let missing: Vec<&Field> = description
            .fields
            .iter()
            .filter(|field| is_needed(&field.required, &self.values) && !self.has(field))
            .collect();
        for field in missing {
            match (field.is_secret() && faults.is_empty()).then(|| ask(field)).flatten() {
                Some(secret) => self.secrets.insert(field.name.clone(), secret?),
                None => faults.push(format!("{}: is missing ({})", field.name, field.title)),
            }
        }
        if faults.is_empty() {
            return Ok(());
        }
        Err(Failure::of(Exit::Usage, format!("the flow can't begin\n  {}", faults.join("\n  "))))
    }

    /// The names that the flow doesn't know.
    fn unknown(&self, description: &Description) -> Vec<String> {
        let known: Vec<&str> = description.fields.iter().map(|field| field.name.as_str()).collect();
        let names = self.values.keys().map(String::as_str).chain(self.secrets.names());
        names
            .filter(|name| !known.contains(name) && !name.starts_with("token."))
            .map(|name| format!("{name}: the flow has no such field; it has {}", known.join(", ")))
            .collect()
    }

    fn has(&self, field: &Field) -> bool {
        self.values.contains_key(&field.name) || self.secrets.get(&field.name).is_some()
    }
}

/// Whether this name is a secret's. Parts of a token are values only where the flow said so before; here all are secrets.
fn is_secret(description: &Description, name: &str) -> bool {
    name.starts_with("token.") || description.field(name).is_some_and(Field::is_secret)
}

/// What is wrong with a value. Doesn't repeat it.
fn fault(field: &Field, value: &str) -> Option<String> {
    match &field.kind {
        FieldKind::Url | FieldKind::MetadataUrl => {
            let is_url = Url::parse(value).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            (!is_url).then(|| "must be an absolute URL, e.g. https://provider.example/token".to_owned())
        }
        FieldKind::Choice(choices) => {
            (!choices.iter().any(|choice| choice == value)).then(|| format!("must be one of {}", choices.join(", ")))
        }
        FieldKind::Flag => (!matches!(value, "true" | "false")).then(|| "must be true or false".to_owned()),
        FieldKind::Text | FieldKind::Secret | FieldKind::Words => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::description::{Condition, Requirement, SchemeMatch};

    fn field(name: &str, kind: FieldKind, required: Requirement) -> Field {
        Field {
            name: name.into(),
            title: name.into(),
            help: String::new(),
            kind,
            required,
            default: None,
            source: None,
        }
    }

    fn description() -> Description {
        let when = Requirement::When(Condition { field: "client_auth".into(), one_of: vec!["basic".into()] });
        let mut auth = field("client_auth", FieldKind::Choice(vec!["basic".into(), "none".into()]), Requirement::Never);
        auth.default = Some("basic".into());
        let mut url = field("token_url", FieldKind::Url, Requirement::Always);
        url.source = Some("tokenUrl".into());
        Description {
            name: "f".into(),
            version: "0.1.0".into(),
            title: String::new(),
            summary: String::new(),
            handles: vec![SchemeMatch { kind: "oauth2".into(), detail: Some("clientCredentials".into()) }],
            unattended: true,
            fields: vec![
                auth,
                url,
                field("client_secret", FieldKind::Secret, when),
                field("flag", FieldKind::Flag, Requirement::Never),
            ],
        }
    }

    #[test]
    fn values_are_held_against_the_description() {
        let check = |values: &[(&str, &str)], secrets: &[&str], expected: Result<(), &[&str]>| {
            let description = description();
            let mut given = Given::default();
            for (name, value) in values {
                given.set(&description, (*name).into(), (*value).into()).unwrap();
            }
            for name in secrets {
                given.hide(&description, (*name).into(), "hunter2".into(), "hunter2".into());
            }
            match (given.complete(&description, &mut |_| None), expected) {
                (Ok(()), Ok(())) => {}
                (Err(failure), Err(parts)) => {
                    let text = failure.text();
                    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
                    assert_eq!(text.lines().count(), parts.len() + 1, "{text}");
                    assert!(!text.contains("hunter2"), "{text}");
                }
                (got, _) => panic!("{values:?} {secrets:?}: {got:?}"),
            }
        };
        let url = ("token_url", "https://a.example/token");
        check(&[url], &["client_secret"], Ok(()));
        check(&[url, ("client_auth", "none")], &[], Ok(()));
        check(&[url], &["client_secret", "token.refresh_token"], Ok(()));
        check(&[url], &[], Err(&["client_secret: is missing"]));
        check(&[url, ("client_auth", "")], &["client_secret"], Ok(()));
        check(
            &[("token_url", "hunter2"), ("client_auth", "hunter2"), ("flag", "yes"), ("nope", "hunter2")],
            &[],
            Err(&[
                "token_url: must be an absolute URL",
                "client_auth: must be one of basic, none",
                "flag: must be",
                "nope: the flow has no",
            ]),
        );
        check(&[("client_auth", "none")], &[], Err(&["token_url: is missing"]));
    }

    #[test]
    fn a_missing_secret_is_asked_for() {
        let description = description();
        let mut given = Given::default();
        given.set(&description, "token_url".into(), "https://a.example".into()).unwrap();
        given.complete(&description, &mut |field| Some(Ok(field.name.clone().into()))).unwrap();
        assert_eq!(given.secrets.names().collect::<Vec<_>>(), ["client_secret"]);
        let scheme = crate::trial::walk::scheme(&description, &given.values);
        assert_eq!(
            scheme,
            serde_json::json!({"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "https://a.example", "scopes": {}}}})
        );
    }

    #[test]
    fn a_secret_on_the_command_line_is_refused() {
        let failure = Given::default().set(&description(), "client_secret".into(), "hunter2".into()).unwrap_err();
        assert_eq!(failure.code(), 2);
        assert!(!failure.text().contains("hunter2"));
    }
}
