//! Advice about a description that holds: what makes a flow hard to set up, though the host takes it.
//!
//! What the host refuses is `validate`'s. Each piece of advice is one that an author can follow or leave.

use super::component::Fault;
use super::description::{Description, Field, FieldKind, Requirement};
use super::text::printable;

/// Members of the flow objects of OpenAPI's `oauth2` schemes (3.2 section 4.30).
const OAUTH: &[&str] = &["authorizationUrl", "deviceAuthorizationUrl", "refreshUrl", "scopes", "tokenUrl"];

/// Members of a scheme itself, by its type (OpenAPI 3.2 section 4.27).
const SCHEMES: &[(&str, &[&str])] = &[
    ("oauth2", &["oauth2MetadataUrl"]),
    ("openIdConnect", &["openIdConnectUrl"]),
    ("http", &["bearerFormat", "scheme"]),
    ("apiKey", &["in", "name"]),
];

/// Words in the names of fields that people take for secrets.
const SECRET_WORDS: &[&str] =
    &["secret", "password", "passphrase", "private_key", "api_key", "apikey", "pin", "credential"];

/// Parts of names that take that back: `password_url` is no password.
const HARMLESS: &[&str] = &[
    "_url",
    "_hint",
    "_format",
    "_encoding",
    "_location",
    "_header",
    "_name",
    "_pointer",
    "_type",
    "_auth",
    "_parameter",
    "_field",
    "_id",
    "_from",
    "_to",
];

/// The shortest summary that says when to choose a flow, in characters.
const SUMMARY: usize = 30;

/// All that could be better.
pub(super) fn advice(description: &Description) -> Vec<Fault> {
    let mut advice = Vec::new();
    let mut add = |problem: String, remedy: &str| advice.push(Fault::new(problem, remedy));
    if description.summary.trim().chars().count() < SUMMARY {
        add(
            format!("the summary has fewer than {SUMMARY} characters"),
            "say in a sentence or two for which services this flow is, and when to choose another",
        );
    }
    if description.title.trim() == description.name {
        add("the title is only the flow's name".to_owned(), "give it the name by which people know it");
    }
    if !description.fields.iter().any(Field::is_url) {
        add(
            "it has no URL field, so no request of it may go anywhere".to_owned(),
            "add a field of the kind `url`, e.g. `token_url` with the source `tokenUrl`",
        );
    }
    if description.fields.iter().all(|field| !field.is_secret()) {
        add(
            "it has no secret field".to_owned(),
            "make the field that holds a credential one of the kind `secret`: then it is sealed, and never shown",
        );
    }
    for field in &description.fields {
        one_field(description, field, &mut add);
    }
    advice
}

fn one_field(description: &Description, field: &Field, add: &mut dyn FnMut(String, &str)) {
    let name = printable(&field.name, 70);
    if field.help.trim().is_empty() {
        add(format!("the field `{name}` has no help"), "say in a sentence what belongs there, and where one finds it");
    }
    if field.title.trim() == field.name {
        add(format!("the title of field `{name}` is only its name"), "give it a label for people, like `Client ID`");
    }
    if !field.is_secret() && !field.is_url() && sounds_secret(field) {
        add(
            format!("the field `{name}` sounds like a secret and is no secret field: it is stored and shown as it is"),
            "make it one of the kind `secret`, or rename it",
        );
    }
    if let Some(source) = &field.source
        && let Err(known) = known_source(description, source)
    {
        let near = known.iter().find(|known| known.eq_ignore_ascii_case(source));
        let remedy = match near {
            Some(near) => format!("write `{near}`"),
            None if known.is_empty() => "leave it out: these schemes have nothing to take a value from".to_owned(),
            None => format!("use one of {}, a member that begins with `x-`, or leave it out", known.join(", ")),
        };
        add(
            format!("the source `{}` of field `{name}` is in no scheme that the flow handles", printable(source, 70)),
            &remedy,
        );
    }
    let is_oauth = description.handles.iter().any(|handled| handled.kind == "oauth2");
    if is_oauth && field.source.is_none() && field.default.is_none() {
        for (known, source) in
            [("token_url", "tokenUrl"), ("refresh_url", "refreshUrl"), ("authorization_url", "authorizationUrl")]
        {
            if field.name == known {
                add(
                    format!("the field `{name}` has no source, so a person has to type what the document says"),
                    &format!("give it the source `{source}`"),
                );
            }
        }
    }
    if field.required == Requirement::Always && field.default.is_some() {
        add(format!("the field `{name}` has a default and is required all the same"), "one of the two is enough");
    }
    if let FieldKind::Choice(choices) = &field.kind
        && choices.len() == 1
    {
        add(format!("the field `{name}` has only one choice"), "leave the field out, or offer another choice");
    }
}

/// Whether people would take a field for a secret.
fn sounds_secret(field: &Field) -> bool {
    let choice = matches!(field.kind, FieldKind::Choice(_) | FieldKind::Flag);
    let name = &field.name;
    let has =
        |word: &str| *name == word || name.ends_with(&format!("_{word}")) || name.starts_with(&format!("{word}_"));
    !choice && SECRET_WORDS.iter().any(|word| has(word)) && !HARMLESS.iter().any(|part| name.ends_with(part))
}

/// Whether a scheme that the flow handles can have this member; else those that it can have.
fn known_source(description: &Description, source: &str) -> Result<(), Vec<&'static str>> {
    // A scheme that is picked by name can be of any type.
    let any = description.handles.iter().any(|handled| handled.kind == "named");
    let handles = |kind: &str| any || description.handles.iter().any(|handled| handled.kind == kind);
    let mut known: Vec<&'static str> = Vec::new();
    if handles("oauth2") {
        known.extend(OAUTH);
    }
    for (kind, members) in SCHEMES {
        if handles(kind) {
            known.extend(*members);
        }
    }
    if source.starts_with("x-") || known.contains(&source) { Ok(()) } else { Err(known) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::description::SchemeMatch;

    fn field(name: &str, kind: FieldKind) -> Field {
        Field {
            name: name.to_owned(),
            title: "A field".to_owned(),
            help: "What belongs there.".to_owned(),
            kind,
            required: Requirement::Never,
            default: None,
            source: None,
        }
    }

    fn good() -> Description {
        let token_url = Field { source: Some("tokenUrl".to_owned()), ..field("token_url", FieldKind::Url) };
        Description {
            name: "robot".to_owned(),
            version: "1.0.0".to_owned(),
            title: "Robot accounts".to_owned(),
            summary: "For services that give each robot a name and a key.".to_owned(),
            handles: vec![SchemeMatch { kind: "oauth2".to_owned(), detail: None }],
            unattended: true,
            fields: vec![field("client_id", FieldKind::Text), field("client_secret", FieldKind::Secret), token_url],
        }
    }

    fn check(change: impl FnOnce(&mut Description), expected: &[&str]) {
        let mut description = good();
        change(&mut description);
        let found = advice(&description);
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (fault, part) in found.iter().zip(expected) {
            assert!(fault.to_string().contains(part), "{fault} should say {part}");
        }
    }

    #[test]
    fn good_descriptions_get_no_advice() {
        check(|_| {}, &[]);
        check(|it| it.fields.push(field("password_url", FieldKind::Url)), &[]);
        check(|it| it.fields.push(field("private_key_format", FieldKind::Text)), &[]);
        check(|it| it.fields[2].source = Some("x-token".to_owned()), &[]);
        check(|it| it.handles[0].kind = "named".to_owned(), &[]);
    }

    #[test]
    fn what_could_be_better_is_told_with_what_to_do() {
        check(|it| it.summary = "Robots.".to_owned(), &["the summary has fewer than 30"]);
        check(|it| it.title = "robot".to_owned(), &["the title is only the flow's name"]);
        check(|it| it.fields[0].help = " ".to_owned(), &["`client_id` has no help"]);
        check(|it| it.fields[1].kind = FieldKind::Text, &["no secret field", "`client_secret` sounds like a secret"]);
        check(|it| drop(it.fields.pop()), &["no URL field"]);
        check(|it| it.fields[2].source = Some("tokenURL".to_owned()), &["write `tokenUrl`"]);
        check(|it| it.fields[2].source = Some("url".to_owned()), &["use one of authorizationUrl, "]);
        check(|it| it.handles[0].kind = "apiKey".to_owned(), &["use one of in, name"]);
        check(|it| it.fields[2].source = None, &["give it the source `tokenUrl`"]);
        check(
            |it| it.fields.push(field("mode", FieldKind::Choice(vec!["one".to_owned()]))),
            &["`mode` has only one choice"],
        );
    }
}
