//! Which other ways of asking are worth a request, in which order: decided from the flow's own description, without asking.
//!
//! Generic: a way is another choice of one of the flow's fields, so a flow that nobody here knows is examined as well. What
//! makes no difference to the request is found out where the request is made (`bench`).

use std::collections::BTreeMap;

use super::finding::{Changes, Ended, Trial};
use super::metadata::Metadata;
use crate::flows::Description;
use crate::flows::description::{Field, FieldKind};
use crate::secrets::Secrets;
use crate::trial::walk::is_needed;

/// Choices that say what is asked for, or how a token is refreshed, and not how the request is written.
const MEANINGS: [&str; 5] = ["grant", "refresh", "refresh_client_auth", "scope_on_refresh", "requested_token_type"];
/// Fields that may be left out, to see whether it is they that a provider refuses.
const OPTIONAL: [&str; 3] = ["scope", "audience", "resource"];
/// How likely a provider wants a value: the ways of `client_auth` by how many real providers take them, and the fields that
/// stand for content type and separator.
const LIKELY: [&str; 10] =
    ["basic", "post", "json", "comma", "none", "form", "space", "plus", "basic-raw", "basic-percent"];

/// What a way is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// How the client shows who it is.
    Client,
    /// How the body is written.
    Body,
    /// What is asked for: scope, audience, resource.
    Wish,
    /// Anything else that the flow lets one choose.
    Other,
}

/// One field with other values.
#[derive(Clone, Debug)]
pub(super) struct Dimension {
    /// What it is about.
    pub(super) topic: Topic,
    /// The field.
    pub(super) field: String,
    /// Its other values, the likeliest first.
    pub(super) values: Vec<Option<String>>,
}

/// What may differ, by the flow's description and what is set.
pub(super) fn dimensions(
    description: &Description,
    values: &BTreeMap<String, String>,
    secrets: &Secrets,
    metadata: Option<&Metadata>,
) -> Vec<Dimension> {
    let mut dimensions: Vec<Dimension> = description
        .fields
        .iter()
        .filter_map(|field| match &field.kind {
            FieldKind::Choice(choices) if !is_meaning(&field.name) => {
                let present = values.get(&field.name).or(field.default.as_ref());
                let mut others: Vec<&String> = choices.iter().filter(|choice| Some(*choice) != present).collect();
                let named = metadata.and_then(Metadata::client_auths).filter(|_| field.name == "client_auth");
                others.sort_by_key(|choice| {
                    let unnamed = named.as_ref().is_some_and(|named| !named.contains(&choice.as_str()));
                    let likely = LIKELY.iter().position(|likely| likely == choice).unwrap_or(LIKELY.len());
                    (unnamed, likely)
                });
                let possible =
                    others.into_iter().filter(|choice| is_possible(description, field, choice, values, secrets));
                let values = possible.map(|choice| Some(choice.clone())).collect();
                Some(Dimension { topic: topic(&field.name), field: field.name.clone(), values })
            }
            _ => None,
        })
        .collect();
    for name in OPTIONAL {
        let Some(value) = values.get(name).filter(|_| {
            description.fields.iter().any(|field| field.name == name && !is_needed(&field.required, values))
        }) else {
            continue;
        };
        let known = metadata.filter(|_| name == "scope").and_then(|metadata| metadata.known_scopes(value));
        let kept = known.filter(|known| !known.is_empty()).map(Some);
        dimensions.push(Dimension {
            topic: Topic::Wish,
            field: name.to_owned(),
            values: kept.into_iter().chain([None]).collect(),
        });
    }
    dimensions
}

/// Whether a choice says what is asked for.
fn is_meaning(name: &str) -> bool {
    MEANINGS.contains(&name) || name.ends_with("_token_type")
}

/// What a field is about, by its name.
fn topic(name: &str) -> Topic {
    let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
    match () {
        () if says(&["scope", "audience", "resource"]) => Topic::Wish,
        () if says(&["body", "content"]) => Topic::Body,
        () if says(&["auth", "encoding", "signing", "algorithm"]) => Topic::Client,
        () => Topic::Other,
    }
}

/// Whether all that this choice makes necessary is set.
fn is_possible(
    description: &Description,
    chosen: &Field,
    choice: &str,
    values: &BTreeMap<String, String>,
    secrets: &Secrets,
) -> bool {
    let mut values = values.clone();
    values.insert(chosen.name.clone(), choice.to_owned());
    description.fields.iter().all(|field| {
        let is_set = values.contains_key(&field.name) || secrets.get(&field.name).is_some();
        is_set || !is_needed(&field.required, &values)
    })
}

/// What to vary first after this trial.
fn order(trial: &Trial) -> &'static [Topic] {
    use Topic::{Body, Client, Other, Wish};
    match (trial.code(), trial.status) {
        ("invalid_scope" | "invalid_target", _) => &[Wish, Client, Body, Other],
        // What a client wishes isn't looked at before it is let in.
        (code, status) if is_client_refused(code, status) => &[Client, Body, Other],
        _ => &[Body, Client, Wish, Other],
    }
}

/// Whether the provider doesn't take the client. Keycloak says `unauthorized_client` for a wrong secret, with 401.
pub(super) fn is_client_refused(code: &str, status: Option<u16>) -> bool {
    matches!(code, "invalid_client" | "http_401") || (status == Some(401) && code != "invalid_grant")
}

/// How far a trial came: providers judge the request's form first, then the client, then what it wants.
pub(super) fn rank(trial: &Trial) -> u8 {
    match (trial.ended, trial.code(), trial.status) {
        (Ended::Token, ..) => 100,
        (Ended::Accepted, ..) => 90,
        (Ended::Unsendable, ..) => 0,
        (Ended::Unanswered, ..) => 1,
        (_, "invalid_grant", _) => 60,
        (_, "invalid_scope" | "invalid_target", _) => 50,
        (_, code, status) if is_client_refused(code, status) => 30,
        (_, "unauthorized_client" | "access_denied" | "consent_required" | "interaction_required", _) => 40,
        (_, _, Some(404 | 405 | 406 | 415)) => 10,
        (_, "invalid_response" | "redirected", _) => 10,
        (_, _, Some(500..)) => 5,
        _ => 20,
    }
}

/// The ways that differ from `best` in one field, or in two of `Client` and `Body` after all that differ in one; in the order in
/// which they are worth a request.
pub(super) fn ways(dimensions: &[Dimension], best: &Trial, own: &BTreeMap<String, String>) -> Vec<Changes> {
    let with = |changes: &Changes, dimension: &Dimension, value: &Option<String>| {
        let mut changes = changes.clone();
        match value.as_ref() == own.get(&dimension.field) {
            true => changes.remove(&dimension.field),
            false => changes.insert(dimension.field.clone(), value.clone()),
        };
        changes
    };
    let mut ways = Vec::new();
    for topic in order(best) {
        for dimension in dimensions.iter().filter(|dimension| dimension.topic == *topic) {
            ways.extend(dimension.values.iter().map(|value| with(&best.changes, dimension, value)));
        }
    }
    let of = |topic: Topic| dimensions.iter().filter(move |dimension| dimension.topic == topic);
    for body in of(Topic::Body) {
        for value in &body.values {
            let written = with(&best.changes, body, value);
            for client in of(Topic::Client).filter(|client| client.field == "client_auth") {
                ways.extend(client.values.iter().map(|value| with(&written, client, value)));
            }
        }
    }
    ways
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::flows::description::{Condition, Requirement};

    pub(in crate::doctor) fn trial(ended: Ended, status: u16, code: &str) -> Trial {
        Trial {
            number: 1,
            changes: Changes::new(),
            ended,
            status: (status > 0).then_some(status),
            code: (!code.is_empty()).then(|| code.to_owned()),
            message: String::new(),
            milliseconds: 1,
            password: false,
            steps: Vec::new(),
        }
    }

    fn field(name: &str, kind: FieldKind, required: Requirement) -> Field {
        let (title, help) = (name.to_owned(), String::new());
        Field { name: name.to_owned(), title, help, kind, required, default: None, source: None }
    }

    fn choice(name: &str, choices: &str) -> Field {
        field(name, FieldKind::Choice(choices.split(' ').map(str::to_owned).collect()), Requirement::Never)
    }

    fn description() -> Description {
        let condition = Condition { field: "client_auth".to_owned(), one_of: vec!["private_key_jwt".to_owned()] };
        Description {
            name: "test".to_owned(),
            version: "1.0.0".to_owned(),
            title: String::new(),
            summary: String::new(),
            handles: Vec::new(),
            unattended: true,
            fields: vec![
                choice("client_auth", "basic basic-raw post private_key_jwt none"),
                field("private_key", FieldKind::Secret, Requirement::When(condition)),
                choice("request_body", "form json"),
                choice("refresh", "auto never"),
                choice("subject_token_type", "jwt saml2"),
                choice("flavour", "sweet sour"),
                field("scope", FieldKind::Words, Requirement::Never),
            ],
        }
    }

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// Each way as text.
    fn told(ways: &[Changes]) -> Vec<String> {
        let pair = |(name, value): (&String, &Option<String>)| format!("{name}={}", value.as_deref().unwrap_or("-"));
        ways.iter().map(|way| way.iter().map(pair).collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn every_choice_of_how_to_ask_is_a_way_the_likeliest_first() {
        let own = values(&[("client_auth", "basic"), ("request_body", "form"), ("flavour", "sweet"), ("scope", "a b")]);
        let dimensions = dimensions(&description(), &own, &Secrets::default(), None);
        let found = told(&ways(&dimensions, &trial(Ended::Failed, 401, "invalid_client"), &own));
        assert_eq!(
            found,
            [
                "client_auth=post",
                "client_auth=none",
                "client_auth=basic-raw",
                "request_body=json",
                "flavour=sour",
                "client_auth=post request_body=json",
                "client_auth=none request_body=json",
                "client_auth=basic-raw request_body=json",
            ]
        );
        let first = |ended, status, code: &str| told(&ways(&dimensions, &trial(ended, status, code), &own))[0].clone();
        assert_eq!(first(Ended::Failed, 400, "invalid_scope"), "scope=-");
        assert_eq!(first(Ended::Failed, 415, "http_415"), "request_body=json");
    }

    #[test]
    fn what_metadata_names_comes_first_and_what_is_not_set_is_no_way() {
        let own = values(&[("client_auth", "basic"), ("scope", "a b")]);
        let metadata = Metadata::read(
            br#"{"issuer":"https://i","token_endpoint_auth_methods_supported":["none"],"scopes_supported":["b"]}"#,
        );
        let mut secrets = Secrets::default();
        secrets.insert("private_key", "k".into());
        let found = dimensions(&description(), &own, &secrets, metadata.as_ref());
        let values = |name: &str| {
            let values = found.iter().find(|dimension| dimension.field == name).map(|it| it.values.clone());
            values.unwrap().iter().map(|it| it.clone().unwrap_or_else(|| "-".to_owned())).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(values("client_auth"), "none post basic-raw private_key_jwt");
        assert_eq!(values("scope"), "b -");
        assert!(found.iter().all(|it| !matches!(it.field.as_str(), "refresh" | "subject_token_type")));
    }

    #[test]
    fn trials_are_ranked_by_how_far_they_came() {
        let ranks: Vec<u8> = [
            trial(Ended::Unsendable, 0, "request_refused"),
            trial(Ended::Unanswered, 0, "unanswered"),
            trial(Ended::Failed, 500, "http_500"),
            trial(Ended::Failed, 415, "http_415"),
            trial(Ended::Failed, 400, "invalid_request"),
            trial(Ended::Failed, 401, "unauthorized_client"),
            trial(Ended::Failed, 403, "unauthorized_client"),
            trial(Ended::Failed, 400, "invalid_scope"),
            trial(Ended::Failed, 401, "invalid_grant"),
            trial(Ended::Accepted, 400, "invalid_grant"),
            trial(Ended::Token, 200, ""),
        ]
        .iter()
        .map(rank)
        .collect();
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
    }
}
