//! What to say, and what can be done, where an answer holds no token.
//!
//! Messages repeat what a provider says of its error, bounded; the host cleans them of secrets.

use serde_json::Value;

use super::answer::{Answer, Unreadable, scalar};
use super::time::retry_after;
use crate::types::{Context, Failure, Purpose, Response};

/// The longest part of a message that a provider wrote, in characters.
const LONGEST: usize = 300;

/// How many member names of an answer without a token are named.
const NAMES: usize = 12;

/// Errors that pass by themselves, whatever the status.
const PASSING: [&str; 5] =
    ["temporarily_unavailable", "server_error", "slow_down", "rate_limit_exceeded", "too_many_requests"];

/// Which fields to look at, by error.
const HINTS: [(&str, &str); 7] = [
    ("invalid_client", "check client_id, client_secret and client_auth"),
    ("invalid_grant", "check the credentials"),
    ("invalid_scope", "check scope"),
    ("invalid_target", "check resource and audience"),
    ("unauthorized_client", "the provider must allow this client to use this grant"),
    ("unsupported_grant_type", "the provider doesn't offer this grant at this address; check token_url"),
    ("http_404", "check token_url"),
];

/// What a provider says of its error.
#[derive(Default)]
struct Said {
    /// A code, e.g. `invalid_grant`.
    code: Option<String>,
    /// Text for people.
    description: Option<String>,
}

/// The failure of an answer whose status is not 2xx.
pub(super) fn by_status(context: &Context, purpose: Purpose, response: &Response, answer: Option<&Answer>) -> Failure {
    let said = answer.map(said).unwrap_or_default();
    let code = said.code.unwrap_or_else(|| format!("http_{}", response.status));
    let passing = PASSING.contains(&code.as_str());
    match response.status {
        300..400 => unjudged(
            purpose,
            "redirected",
            format!("the answer was HTTP {}: redirects are not followed; check token_url", response.status),
        ),
        429 | 500.. => {
            let message = refused(response, &code, said.description, false);
            Failure::retry(code, message, after(context, response))
        }
        408 | 425 if purpose != Purpose::Refresh => {
            let message = refused(response, &code, said.description, false);
            Failure::retry(code, message, after(context, response))
        }
        400..500 if passing && purpose != Purpose::Refresh => {
            let message = refused(response, &code, said.description, false);
            Failure::retry(code, message, after(context, response))
        }
        400..500 => judged(purpose, &code, refused(response, &code, said.description, purpose == Purpose::Acquire)),
        // Nothing that HTTP knows as a final answer.
        _ => unjudged(purpose, &code, refused(response, &code, said.description, false)),
    }
}

/// The failure of a readable answer with status 2xx that has no access token.
pub(super) fn without_token(context: &Context, purpose: Purpose, response: &Response, answer: &Answer) -> Failure {
    let said = said(answer);
    if said.code.is_none() && said.description.is_none() {
        let names = answer.names(NAMES);
        let has = if names.is_empty() { String::new() } else { format!("; it has {}", clean(&names.join(", "))) };
        return invalid(purpose, &format!("no access_token{has}"));
    }
    let code = said.code.unwrap_or_else(|| "provider_error".into());
    let passing = PASSING.contains(&code.as_str());
    let message = refused(response, &code, said.description, purpose == Purpose::Acquire && !passing);
    if passing { Failure::retry(code, message, after(context, response)) } else { judged(purpose, &code, message) }
}

/// The failure of an answer with status 2xx that can't be read.
pub(super) fn unreadable(purpose: Purpose, response: &Response, fault: &Unreadable) -> Failure {
    let what = match fault {
        Unreadable::Empty => "an empty body",
        Unreadable::Html => "a web page",
        Unreadable::Other(what) => what,
        Unreadable::Ambiguous => return invalid(purpose, "several objects with an access_token"),
    };
    let message = format!("the answer was HTTP {} with {what} instead of a token; check token_url", response.status);
    unjudged(purpose, "invalid_response", message)
}

/// The failure of a readable answer that is not what it must be.
pub(super) fn invalid(purpose: Purpose, what: &str) -> Failure {
    judged(purpose, "invalid_response", format!("the answer has {what}"))
}

/// A failure after the provider judged the request.
fn judged(purpose: Purpose, code: &str, message: String) -> Failure {
    match purpose {
        Purpose::Refresh => Failure::reacquire(code, message),
        Purpose::Acquire | Purpose::Revoke => Failure::reconfigure(code, message),
    }
}

/// A failure after which nobody knows whether the provider saw the request.
fn unjudged(purpose: Purpose, code: &str, message: String) -> Failure {
    match purpose {
        Purpose::Refresh => Failure::retry(code, message, None),
        Purpose::Acquire | Purpose::Revoke => Failure::reconfigure(code, message),
    }
}

/// When the provider wants to be asked again.
fn after(context: &Context, response: &Response) -> Option<u32> {
    let (_, value) = response.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))?;
    retry_after(value, context.now)
}

/// The message for people.
fn refused(response: &Response, code: &str, description: Option<String>, hint: bool) -> String {
    let mut message = format!("the provider answered HTTP {}", response.status);
    if !code.starts_with("http_") {
        message.push_str(&format!(", {code}"));
    }
    if let Some(description) = description {
        message.push_str(&format!(": {}", clean(&description)));
    }
    if let Some((_, hint)) = HINTS.iter().find(|(known, _)| hint && *known == code) {
        message.push_str(&format!(" ({hint})"));
    }
    message
}

/// What the provider says of its error: as RFC 6749 section 5.2 has it, else as others are seen to write it.
fn said(answer: &Answer) -> Said {
    let first = |names: &[&str]| names.iter().find_map(|name| answer.value(name).and_then(scalar));
    let mut said = Said {
        code: first(&["error", "error_code", "errorCode"]),
        description: first(&["error_description", "errorDescription", "error_message", "errorMessage", "errorSummary"])
            .or_else(|| first(&["message", "msg", "detail", "title", "faultstring"])),
    };
    let inner = match answer.value("error").or_else(|| answer.value("errors")).or_else(|| answer.value("fault")) {
        Some(Value::Array(items)) => items.first(),
        other => other,
    };
    match inner {
        Some(Value::Object(inner)) => {
            let first = |names: &[&str]| names.iter().find_map(|name| inner.get(*name).and_then(scalar));
            said.code = said.code.or_else(|| first(&["error", "status", "type", "code", "errorCode"]));
            said.description = first(&["error_description", "message", "description", "detail", "faultstring"])
                .or_else(|| first(&["title", "msg"]))
                .or(said.description);
        }
        Some(Value::String(text)) if said.code.is_none() && !text.trim().is_empty() => said.code = Some(text.clone()),
        _ => {}
    }
    // A sentence where a code should be is a description.
    if let Some(code) = said.code.take_if(|code| !is_code(code)) {
        said.description = Some(match said.description {
            Some(description) => format!("{code}: {description}"),
            None => code,
        });
    }
    said
}

/// Whether this is a name and no sentence.
fn is_code(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
}

/// One line of bounded length.
fn clean(text: &str) -> String {
    let mut characters = text.trim().chars().map(|character| if character.is_control() { ' ' } else { character });
    let mut line: String = characters.by_ref().take(LONGEST).collect();
    if characters.next().is_some() {
        line.push('…');
    }
    line
}
