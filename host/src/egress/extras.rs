//! Parameters that an integration adds to a flow's request (`x-itential-parameters`), merged before anything is rendered.
//!
//! Which of them apply to a request is the caller's decision. What a flow signs is not touched: a signature says what its maker
//! meant to send.

use super::derive::signs_body;
use super::refusal::Problem;
use crate::flows::request::{Body, JsonValue, Member, Method, Request, Template};

/// A parameter that the integration adds to a flow's request (`x-itential-parameters`). It replaces what the flow set of the
/// same name, since whoever set up the integration knows the provider better than a flow for all.
#[derive(Clone, Debug)]
pub struct Extra {
    /// Where it goes.
    pub location: ExtraLocation,
    /// Its name.
    pub name: String,
    /// Its value: text, or a secret by name.
    pub value: Template,
}

/// Where an extra parameter goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtraLocation {
    /// A header.
    Header,
    /// The query.
    Query,
    /// The body: a form's parameter, or a member of a JSON document.
    Body,
}

/// Merges an extra parameter into a request.
pub(super) fn merge(request: &mut Request, extra: &Extra) -> Result<(), Problem> {
    let Extra { name, value, .. } = extra;
    if extra.location == ExtraLocation::Body && signs_body(&request.derived) {
        return Err(Problem::integration(
            format!("extra parameter `{name}`"),
            "belongs in the body, which this flow signs: what it signs is the flow's to say. Remove the parameter, or set it in \
             a field of the flow",
        ));
    }
    match (extra.location, &mut request.body) {
        (ExtraLocation::Header, _) => {
            request.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
            request.headers.push((name.clone(), value.clone()));
        }
        (ExtraLocation::Query, _) => replace(&mut request.query, name, value),
        (ExtraLocation::Body, Body::Form(pairs)) => replace(pairs, name, value),
        (ExtraLocation::Body, Body::Json(members)) => {
            let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            members.push(Member { pointer, value: JsonValue::Text(value.clone()) });
        }
        (ExtraLocation::Body, body @ Body::Empty) if request.method != Method::Get => {
            *body = Body::Form(vec![(name.clone(), value.clone())]);
        }
        (ExtraLocation::Body, Body::Empty | Body::Raw(_)) => {
            return Err(Problem::integration(
                format!("extra parameter `{name}`"),
                "belongs in the body, but the flow's request has none that parameters can be added to",
            ));
        }
    }
    Ok(())
}

/// Sets a parameter in the place of all of its name.
fn replace(pairs: &mut Vec<(String, Template)>, name: &str, value: &Template) {
    pairs.retain(|(other, _)| other != name);
    pairs.push((name.to_owned(), value.clone()));
}
