//! Holds a flow's description against what the contract means beyond its types: names, sizes, references.
//!
//! It is judged once, at load, for its author: all faults at once, with what to do.

use std::collections::BTreeSet;

use url::Url;

use super::component::Fault;
use super::description::{Condition, Description, Field, FieldKind, Requirement};
use super::text::{is_kebab_case, is_semantic_version, is_snake_case, printable};

/// The kinds of scheme that a flow can serve: those of OpenAPI 3, and `named`.
const KINDS: &[&str] = &["oauth2", "http", "apiKey", "openIdConnect", "mutualTLS", "named"];

/// How many fields, schemes or choices a description may list. The longest known form has some 20 fields.
const LISTED: usize = 64;

/// How long a title or a choice may be, in bytes.
const TITLE: usize = 200;

/// How long a text for people may be, in bytes.
const PROSE: usize = 4_000;

/// How long a URL may be, in bytes; servers refuse longer ones.
const URL: usize = 8 << 10;

/// All that is wrong with a description.
pub(super) fn faults(description: &Description) -> Vec<Fault> {
    let mut faults = Vec::new();
    let name = printable(&description.name, 70);
    if !is_kebab_case(&description.name) {
        faults.push(Fault::new(
            format!("the flow's name `{name}` isn't in kebab-case"),
            "use at most 64 lower-case letters and digits, words joined by `-`, like `client-credentials`",
        ));
    }
    if !is_semantic_version(&description.version) {
        faults.push(Fault::new(
            format!("the flow's version `{}` isn't a semantic version", printable(&description.version, 70)),
            "use three numbers, like `1.0.0`",
        ));
    }
    prose(&mut faults, "the flow's title", &description.title, TITLE);
    prose(&mut faults, "the flow's summary", &description.summary, PROSE);
    handles(&mut faults, description);
    if description.fields.len() > LISTED {
        faults.push(Fault::new(format!("it has more than {LISTED} fields"), "ask for less"));
    }
    let mut seen = BTreeSet::new();
    for field in description.fields.iter().take(LISTED) {
        let name = printable(&field.name, 70);
        if !seen.insert(&field.name) {
            faults.push(Fault::new(format!("two fields are named `{name}`"), "rename one of them"));
        }
        one_field(&mut faults, description, field, &name);
    }
    faults
}

fn handles(faults: &mut Vec<Fault>, description: &Description) {
    if description.handles.is_empty() {
        faults.push(Fault::new(
            "it handles no scheme",
            "list at least one in `handles`; `named` if it is only for schemes that name it with `x-tokenhost-flow`",
        ));
    }
    if description.handles.len() > LISTED {
        faults.push(Fault::new(
            format!("it handles more than {LISTED} schemes"),
            "leave out the `detail`: it then handles all",
        ));
    }
    for (index, handled) in description.handles.iter().take(LISTED).enumerate() {
        let place = format!("handles[{index}]");
        if !KINDS.contains(&handled.kind.as_str()) {
            faults.push(Fault::new(
                format!("{place}: OpenAPI has no schemes of type `{}`", printable(&handled.kind, 70)),
                format!("use one of {}", KINDS.join(", ")),
            ));
        }
        if description.handles.iter().take(index).any(|other| other == handled) {
            faults.push(Fault::new(format!("{place}: it is there twice"), "remove one of them"));
        }
        match &handled.detail {
            Some(detail) if detail.is_empty() || detail.len() > TITLE => faults.push(Fault::new(
                format!("{place}: its detail is empty or too long"),
                "name the key in `flows` or the scheme of `http`, or leave it out",
            )),
            Some(_) if handled.kind == "named" => {
                faults.push(Fault::new(format!("{place}: `named` has no detail"), "leave it out"));
            }
            _ => {}
        }
    }
}

fn one_field(faults: &mut Vec<Fault>, description: &Description, field: &Field, name: &str) {
    if !is_snake_case(&field.name) {
        faults.push(Fault::new(
            format!("the field `{name}` isn't named in snake_case"),
            "use at most 64 lower-case letters and digits, words joined by `_`, like `client_secret`",
        ));
    }
    prose(faults, &format!("the title of field `{name}`"), &field.title, TITLE);
    if field.help.len() > PROSE {
        faults.push(Fault::new(format!("the help of field `{name}` is longer than {PROSE} bytes"), "shorten it"));
    }
    if let FieldKind::Choice(choices) = &field.kind {
        let distinct: BTreeSet<&String> = choices.iter().collect();
        if choices.is_empty() || choices.len() > LISTED || distinct.len() < choices.len() {
            faults.push(Fault::new(
                format!("the choices of field `{name}` are none, more than {LISTED}, or not all different"),
                "list each once",
            ));
        }
        if choices.iter().any(|choice| choice.trim().is_empty() || choice.len() > TITLE) {
            faults.push(Fault::new(
                format!("a choice of field `{name}` is empty or too long"),
                "make the field optional instead of offering an empty choice",
            ));
        }
    }
    if let Some(default) = &field.default {
        if field.is_secret() {
            faults
                .push(Fault::new(format!("the secret field `{name}` has a default, which is public"), "leave it out"));
        } else if let Err(expected) = fits(&field.kind, default) {
            faults.push(Fault::new(
                format!("the default `{}` of field `{name}` isn't {expected}", printable(default, 70)),
                "correct or remove it",
            ));
        }
    }
    if field.source.as_ref().is_some_and(|source| source.is_empty() || source.len() > TITLE) {
        faults.push(Fault::new(
            format!("the source of field `{name}` is empty or too long"),
            "name a key of the scheme's flow object, like `tokenUrl`, or leave it out",
        ));
    }
    if let Requirement::When(condition) = &field.required {
        one_condition(faults, description, field, condition, name);
    }
}

fn one_condition(faults: &mut Vec<Fault>, description: &Description, field: &Field, condition: &Condition, name: &str) {
    let other = printable(&condition.field, 70);
    let Some(named) = description.field(&condition.field) else {
        let remedy = "name one of this flow's fields";
        faults.push(Fault::new(format!("field `{name}` depends on the field `{other}`, which there isn't"), remedy));
        return;
    };
    if named.name == field.name || named.is_secret() {
        faults.push(Fault::new(
            format!("field `{name}` depends on the value of `{other}`, which is itself or a secret"),
            "let it depend on another field that isn't secret",
        ));
    }
    if condition.one_of.is_empty() || condition.one_of.len() > LISTED {
        faults.push(Fault::new(
            format!("field `{name}` depends on no value of `{other}`, or on more than {LISTED}"),
            "list the values, or say `always` or `never`",
        ));
    }
    for value in condition.one_of.iter().take(LISTED) {
        if let Err(expected) = fits(&named.kind, value) {
            faults.push(Fault::new(
                format!("field `{name}` depends on `{other}` being `{}`, which isn't {expected}", printable(value, 70)),
                "correct the value",
            ));
        }
    }
}

/// Whether a value is one that a field of this kind takes; else what it would have to be.
fn fits(kind: &FieldKind, value: &str) -> Result<(), &'static str> {
    match kind {
        FieldKind::Choice(choices) if !choices.iter().any(|choice| choice == value) => Err("one of the choices"),
        FieldKind::Flag if value != "true" && value != "false" => Err("`true` or `false`"),
        FieldKind::Url | FieldKind::MetadataUrl if !is_web_url(value) => Err("an absolute http or https URL"),
        FieldKind::Text | FieldKind::Secret | FieldKind::Words if value.len() > PROSE => Err("short enough"),
        _ => Ok(()),
    }
}

fn prose(faults: &mut Vec<Fault>, what: &str, text: &str, most: usize) {
    if text.trim().is_empty() || text.len() > most {
        faults.push(Fault::new(format!("{what} is empty or longer than {most} bytes"), "say it in a few words"));
    }
}

/// Whether the text is a URL that a browser or client may open.
pub(super) fn is_web_url(text: &str) -> bool {
    text.len() <= URL && Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::description::SchemeMatch;

    fn field(name: &str, kind: FieldKind) -> Field {
        Field {
            name: name.to_owned(),
            title: "A field".to_owned(),
            help: String::new(),
            kind,
            required: Requirement::Never,
            default: None,
            source: None,
        }
    }

    fn good() -> Description {
        Description {
            name: "client-credentials".to_owned(),
            version: "1.0.0".to_owned(),
            title: "OAuth 2.0 client credentials".to_owned(),
            summary: "For machines.".to_owned(),
            handles: vec![SchemeMatch { kind: "oauth2".to_owned(), detail: Some("clientCredentials".to_owned()) }],
            unattended: true,
            fields: vec![
                Field {
                    default: Some("basic".to_owned()),
                    ..field("client_auth", FieldKind::Choice(vec!["basic".to_owned(), "none".to_owned()]))
                },
                Field {
                    required: Requirement::When(Condition {
                        field: "client_auth".to_owned(),
                        one_of: vec!["basic".to_owned()],
                    }),
                    ..field("client_secret", FieldKind::Secret)
                },
                Field { source: Some("tokenUrl".to_owned()), ..field("token_url", FieldKind::Url) },
                field("enabled", FieldKind::Flag),
            ],
        }
    }

    #[test]
    fn descriptions() {
        assert_eq!(faults(&good()), []);
        type Change = fn(&mut Description);
        let cases: &[(Change, &[&str])] = &[
            (|it| it.name = "clientCredentials".to_owned(), &["name `clientCredentials` isn't in kebab-case"]),
            (|it| it.version = "1".to_owned(), &["version `1` isn't a semantic version"]),
            (|it| it.title.clear(), &["the flow's title is empty"]),
            (|it| it.summary = "x".repeat(5000), &["the flow's summary is empty or longer than 4000 bytes"]),
            (|it| it.handles.clear(), &["it handles no scheme"]),
            (|it| it.handles[0].kind = "oauth".to_owned(), &["handles[0]: OpenAPI has no schemes of type `oauth`"]),
            (|it| it.handles[0].detail = Some(String::new()), &["handles[0]: its detail is empty"]),
            (|it| it.handles[0].kind = "named".to_owned(), &["handles[0]: `named` has no detail"]),
            (|it| it.handles.push(it.handles[0].clone()), &["handles[1]: it is there twice"]),
            (|it| it.fields[2].name = "tokenUrl".to_owned(), &["field `tokenUrl` isn't named in snake_case"]),
            (|it| it.fields[2].name = "enabled".to_owned(), &["two fields are named `enabled`"]),
            (
                |it| it.fields[0].default = Some("best".to_owned()),
                &["default `best` of field `client_auth` isn't one of the choices"],
            ),
            (
                |it| it.fields[0].kind = FieldKind::Choice(vec![]),
                &["choices of field `client_auth` are none", "isn't one of", "isn't one of"],
            ),
            (|it| it.fields[1].default = Some("x".to_owned()), &["secret field `client_secret` has a default"]),
            (|it| it.fields[2].default = Some("/token".to_owned()), &["isn't an absolute http or https URL"]),
            (|it| it.fields[3].default = Some("yes".to_owned()), &["isn't `true` or `false`"]),
            (|it| it.fields[2].source = Some(String::new()), &["source of field `token_url` is empty"]),
            (
                |it| {
                    it.fields.remove(0);
                },
                &["depends on the field `client_auth`, which there isn't"],
            ),
            (|it| condition(it).one_of.clear(), &["depends on no value of `client_auth`"]),
            (
                |it| condition(it).one_of.push("best".to_owned()),
                &["`client_auth` being `best`, which isn't one of the choices"],
            ),
            (|it| condition(it).field = "client_secret".to_owned(), &["which is itself or a secret"]),
            // All at once.
            (
                |it| {
                    it.name.clear();
                    it.version.clear();
                    it.handles.clear();
                },
                &["kebab-case", "semantic version", "no scheme"],
            ),
        ];
        for (change, expected) in cases {
            let mut changed = good();
            change(&mut changed);
            let found: Vec<String> = faults(&changed).iter().map(Fault::to_string).collect();
            assert_eq!(found.len(), expected.len(), "{found:#?}, expected {expected:?}");
            for (fault, part) in found.iter().zip(*expected) {
                assert!(fault.contains(part), "{fault}\nshould contain {part}");
            }
        }
    }

    fn condition(description: &mut Description) -> &mut Condition {
        let Requirement::When(condition) = &mut description.fields[1].required else { panic!() };
        condition
    }
}
