//! What a flow under test is given: a value for each field that it needs, all URLs leading to the kit's provider.

use url::Url;

use super::answers::REFRESH_BEFORE;
use super::config::{Config, placed};
use crate::flows::Description;
use crate::flows::description::{Field, FieldKind};
use crate::trial::walk::{Setup, is_needed, scheme};

/// Where a person is sent back to. Nothing listens there: the kit plays the person.
pub(super) const CALLBACK: &str = "https://tokenhost.example/v1/callback";

/// What the provider echoes when a person comes back.
pub(super) const RETURN_KEY: &str = "kit-return-key";

/// Values for a description; what `conformance.json` and the command line say comes first.
///
/// # Errors
/// They name fields that the flow hasn't, or a field that the flow needs stays empty; each with its name.
pub(super) fn setup(description: &Description, config: &Config, base: &str) -> Result<Setup, Vec<String>> {
    let mut setup = Setup {
        scheme_name: "kit".to_owned(),
        callback_url: Some(CALLBACK.to_owned()),
        return_key: Some(RETURN_KEY.to_owned()),
        ..Setup::default()
    };
    let mut faults = Vec::new();
    for (name, value) in &config.values {
        match description.field(name) {
            Some(field) if field.is_secret() => {
                faults.push(format!("values.{name}: it is a secret; write it under `secrets`"));
            }
            Some(_) => drop(setup.values.insert(name.clone(), placed(value, base))),
            None => faults.push(unknown(description, "values", name)),
        }
    }
    for (name, value) in &config.secrets {
        match description.field(name) {
            Some(field) if field.is_secret() => setup.secrets.insert(name.clone(), value.as_str().into()),
            Some(_) => faults.push(format!("secrets.{name}: it is no secret; write it under `values`")),
            None => faults.push(unknown(description, "secrets", name)),
        }
    }
    for field in &description.fields {
        if let Some(default) = field.default.as_ref().filter(|_| !field.is_secret()) {
            setup.values.entry(field.name.clone()).or_insert_with(|| default.clone());
        }
    }
    // Twice, since what is needed may depend on a value that was made up in the first round.
    for _ in 0..2 {
        for field in &description.fields {
            if is_needed(&field.required, &setup.values) || is_token_url(field) {
                fill(&mut setup, field, base);
            }
        }
    }
    if !description.fields.iter().any(|field| field.is_url() && setup.values.contains_key(&field.name)) {
        for field in description.fields.iter().filter(|field| field.is_url()) {
            fill(&mut setup, field, base);
        }
    }
    // An empty value is an unset one, as in a form.
    setup.values.retain(|_, value| !value.is_empty());
    setup.scheme_document = scheme(description, &setup.values).to_string();
    if faults.is_empty() { Ok(setup) } else { Err(faults) }
}

fn unknown(description: &Description, place: &str, name: &str) -> String {
    let known: Vec<&str> = description.fields.iter().map(|field| field.name.as_str()).collect();
    format!("{place}.{name}: the flow has no such field; it has {}", known.join(", "))
}

/// Whether a field is where tokens are requested, though it needn't be set.
fn is_token_url(field: &Field) -> bool {
    field.is_url() && (field.source.as_deref() == Some("tokenUrl") || field.name == "token_url")
}

/// Makes up a value, unless there is one.
fn fill(setup: &mut Setup, field: &Field, base: &str) {
    let name = &field.name;
    if setup.values.contains_key(name) || setup.secrets.get(name).is_some() {
        return;
    }
    let value = match &field.kind {
        FieldKind::Secret => {
            // Long enough for a key of HS512 (RFC 7518 section 3.2).
            let secret = format!("kit-secret-{name}-0123456789abcdef0123456789abcdef0123456789abcdef");
            setup.secrets.insert(name.clone(), secret.into());
            return;
        }
        FieldKind::Url => format!("{base}/{name}"),
        FieldKind::MetadataUrl => format!("{base}/.well-known/openid-configuration"),
        FieldKind::Choice(choices) => choices.first().cloned().unwrap_or_default(),
        FieldKind::Flag => "false".to_owned(),
        FieldKind::Text | FieldKind::Words => format!("kit-{}", name.replace('_', "-")),
    };
    setup.values.insert(name.clone(), value);
}

/// The same with a present token, which has a refresh token.
pub(super) fn refreshing(setup: &Setup) -> Setup {
    let mut setup = setup.clone();
    if setup.secrets.get("token.access_token").is_none() {
        setup.secrets.insert("token.access_token", "kit-access-before".into());
    }
    setup.secrets.insert("token.refresh_token", REFRESH_BEFORE.into());
    setup
}

/// The same with a query in each URL that a token request may go to.
pub(super) fn with_query(setup: &Setup, description: &Description) -> Setup {
    let mut setup = setup.clone();
    for field in description.fields.iter().filter(|field| field.kind == FieldKind::Url) {
        let is_token = is_token_url(field) || field.name.contains("refresh") || field.name.contains("token");
        if let (true, Some(value)) = (is_token, setup.values.get_mut(&field.name))
            && let Ok(mut url) = Url::parse(value)
        {
            url.query_pairs_mut().append_pair(QUERY.0, QUERY.1);
            *value = url.into();
        }
    }
    setup.scheme_document = scheme(description, &setup.values).to_string();
    setup
}

/// The parameter of that query.
pub(super) const QUERY: (&str, &str) = ("tenant", "kit & co");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::description::{Condition, Requirement, SchemeMatch};

    fn field(name: &str, kind: FieldKind, required: Requirement) -> Field {
        let text = String::new;
        Field { name: name.to_owned(), title: text(), help: text(), kind, required, default: None, source: None }
    }

    fn description() -> Description {
        let when = Requirement::When(Condition { field: "client_auth".to_owned(), one_of: vec!["basic".to_owned()] });
        Description {
            name: "f".to_owned(),
            version: "1.0.0".to_owned(),
            title: "F".to_owned(),
            summary: "F.".to_owned(),
            handles: vec![SchemeMatch { kind: "oauth2".to_owned(), detail: None }],
            unattended: true,
            fields: vec![
                field("client_secret", FieldKind::Secret, when),
                field(
                    "client_auth",
                    FieldKind::Choice(vec!["basic".to_owned(), "none".to_owned()]),
                    Requirement::Always,
                ),
                field("token_url", FieldKind::Url, Requirement::Never),
                field("refresh_url", FieldKind::Url, Requirement::Never),
                field("audience", FieldKind::Text, Requirement::Never),
            ],
        }
    }

    #[test]
    fn what_is_needed_is_made_up_and_no_more() {
        let made = setup(&description(), &Config::default(), "http://kit").unwrap();
        let values: Vec<(&str, &str)> =
            made.values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(values, [("client_auth", "basic"), ("token_url", "http://kit/token_url")]);
        assert_eq!(made.secrets.names().collect::<Vec<_>>(), ["client_secret"]);
        let queried = with_query(&made, &description());
        assert_eq!(queried.values["token_url"], "http://kit/token_url?tenant=kit+%26+co");
    }

    #[test]
    fn what_the_author_says_comes_first_and_is_checked() {
        let config = Config::parse(r#"{"values":{"client_auth":"none","token_url":"{provider}/t"}}"#).unwrap();
        let made = setup(&description(), &config, "http://kit").unwrap();
        assert_eq!(made.values["token_url"], "http://kit/t");
        assert!(made.secrets.is_empty());
        let config =
            Config::parse(r#"{"values":{"nope":"x","client_secret":"y"},"secrets":{"audience":"z"}}"#).unwrap();
        let faults = setup(&description(), &config, "http://kit").unwrap_err();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(
            faults.iter().any(|fault| fault.contains("values.nope: the flow has no such field; it has client_secret"))
        );
    }
}
