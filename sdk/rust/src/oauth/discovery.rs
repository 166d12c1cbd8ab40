//! Discovery in front of other flows: the provider's metadata document says where its endpoints are (OpenID Connect
//! Discovery 1.0 section 4, RFC 8414).
//!
//! [`advance`] fetches the document first in every attempt, and then gives the flow behind it a context in which the
//! endpoints stand as if they had been set. A URL that is set by hand wins. Nothing is kept between attempts: the host
//! lets requests go to endpoints that were learned in this attempt only.

use serde_json::{Map, Value, json};

use crate::token_response;
use crate::types::{
    Answered, Context, Event, Failure, Field, FieldKind, Part, Purpose, Redirect, Request, Response, Returned, Send,
    Step, Unanswered, Wait,
};

/// The fields that the document can fill, and the members that fill them.
const ENDPOINTS: [(&str, &str); 5] = [
    ("token_url", "token_endpoint"),
    ("authorization_url", "authorization_endpoint"),
    ("device_authorization_url", "device_authorization_endpoint"),
    ("revocation_url", "revocation_endpoint"),
    ("issuer", "issuer"),
];

/// The state while the document is fetched, before the purpose.
const FETCHING: &str = "metadata:";

/// `metadata_url`.
pub fn metadata_url() -> Field {
    Field::new("metadata_url", "Metadata URL", FieldKind::MetadataUrl)
        .help(
            "The provider's metadata document, such as https://id.example/.well-known/openid-configuration. It says \
             where tokens are requested.",
        )
        .required()
        .source("openIdConnectUrl")
}

/// One step: of the discovery, or of the flow behind it.
///
/// # Errors
/// The document can't be had or read, or the flow behind gives up.
pub fn advance(
    context: &Context,
    event: Event,
    behind: impl Fn(&Context, Event) -> Result<Step, Failure>,
) -> Result<Step, Failure> {
    let (state, event): (String, Box<dyn FnOnce(String) -> Event>) = match event {
        Event::Begin(purpose) => return fetch(context, purpose),
        Event::Answered(Answered { state, response }) => {
            if let Some(purpose) = state.strip_prefix(FETCHING) {
                let found = read(context, &response)?;
                let step = behind(&with(context, &found), Event::Begin(purpose_of(purpose)))?;
                return Ok(keeping(step, &found));
            }
            (state, Box::new(|state| Event::Answered(Answered { state, response })))
        }
        Event::Unanswered(Unanswered { state, left, reason }) => {
            if state.starts_with(FETCHING) {
                return Err(Failure::unanswered(&Unanswered { state, left, reason }));
            }
            (state, Box::new(move |state| Event::Unanswered(Unanswered { state, left, reason })))
        }
        Event::Elapsed(state) => (state, Box::new(Event::Elapsed)),
        Event::Returned(Returned { state, query }) => {
            (state, Box::new(|state| Event::Returned(Returned { state, query })))
        }
    };
    let (found, state) = split(&state)?;
    Ok(keeping(behind(&with(context, &found), event(state))?, &found))
}

/// The request for the document.
fn fetch(context: &Context, purpose: Purpose) -> Result<Step, Failure> {
    let request = Request::get(context.required("metadata_url")?).header("accept", Part::text("application/json"));
    let purpose = match purpose {
        Purpose::Acquire => "acquire",
        Purpose::Refresh => "refresh",
        Purpose::Revoke => "revoke",
    };
    Ok(Step::Send(Send { request, state: format!("{FETCHING}{purpose}") }))
}

fn purpose_of(name: &str) -> Purpose {
    match name {
        "refresh" => Purpose::Refresh,
        "revoke" => Purpose::Revoke,
        _ => Purpose::Acquire,
    }
}

/// The endpoints in the document, by field.
fn read(context: &Context, response: &Response) -> Result<Map<String, Value>, Failure> {
    if response.status == 429 || response.status >= 500 {
        // The provider may do better later, as with a token request.
        return Err(token_response::parse(context, Purpose::Acquire, response).err().unwrap_or_else(unreadable));
    }
    if response.status != 200 {
        return Err(invalid(&format!("the metadata URL answered HTTP {}", response.status)));
    }
    // As strictly as the host does, which lets no request go to the endpoints of a document that it can't read.
    let document: Map<String, Value> = serde_json::from_slice(&response.body).map_err(|_| unreadable())?;
    // Who shows a certificate does so at endpoints of their own, where there are any (RFC 8705 section 5).
    let aliases = document.get("mtls_endpoint_aliases").and_then(Value::as_object);
    let aliases = aliases.filter(|_| context.value("client_auth") == Some("tls_client_auth"));
    let member = |name: &str| aliases.and_then(|aliases| aliases.get(name)).or_else(|| document.get(name));
    if !member("token_endpoint").is_some_and(Value::is_string) {
        return Err(unreadable());
    }
    // Who doesn't say that people come back with `iss` sends them back without (RFC 9207 section 3).
    let says_issuer = member("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true));
    let wanted = ENDPOINTS.iter().filter(|(field, _)| *field != "issuer" || says_issuer);
    let found = wanted.filter_map(|(field, name)| match member(name) {
        Some(Value::String(url)) if !url.is_empty() => Some(((*field).to_owned(), Value::from(url.as_str()))),
        _ => None,
    });
    Ok(found.collect())
}

fn unreadable() -> Failure {
    invalid("what is at the metadata URL is no metadata document with a token_endpoint")
}

fn invalid(what: &str) -> Failure {
    let message = format!("{what}; the URL usually ends with /.well-known/openid-configuration");
    Failure::reconfigure("invalid_metadata", message)
}

/// The context, with what was found where nothing is set.
fn with(context: &Context, found: &Map<String, Value>) -> Context {
    let mut context = context.clone();
    for (field, url) in found {
        if let (None, Some(url)) = (context.value(field), url.as_str()) {
            // One that is set to nothing would be found first.
            context.values.retain(|(known, _)| known != field);
            context.values.push((field.clone(), url.to_owned()));
        }
    }
    context
}

/// The step, its state kept together with what was found.
fn keeping(step: Step, found: &Map<String, Value>) -> Step {
    let keep = |state: String| json!({"found": found, "state": state}).to_string();
    match step {
        Step::Send(Send { request, state }) => Step::Send(Send { request, state: keep(state) }),
        Step::Wait(Wait { seconds, prompt, state }) => Step::Wait(Wait { seconds, prompt, state: keep(state) }),
        Step::Redirect(Redirect { url, state }) => Step::Redirect(Redirect { url, state: keep(state) }),
        done @ (Step::Done(_) | Step::Revoked) => done,
    }
}

/// What was found, and the state of the flow behind.
fn split(state: &str) -> Result<(Map<String, Value>, String), Failure> {
    let lost = || Failure::retry("unexpected_event", "the flow was given an event that it has no notes on", None);
    let Value::Object(mut kept) = serde_json::from_str(state).map_err(|_| lost())? else { return Err(lost()) };
    match (kept.remove("found"), kept.remove("state")) {
        (Some(Value::Object(found)), Some(Value::String(state))) => Ok((found, state)),
        _ => Err(lost()),
    }
}
