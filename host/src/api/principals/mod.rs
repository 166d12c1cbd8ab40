//! Principals and inbound tokens over HTTP: users, profiles, application tokens, personal tokens, and everyone's own.
//!
//! Who is limited to organizations sees and changes no principal outside them, and learns of none whether it is there.
//! What may be given to whom is decided in `access`.

mod applications;
pub(super) mod changed;
pub(super) mod input;
mod me;
mod personal;
mod profiles;
mod users;
mod view;

use std::fmt;
use std::str::FromStr;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;

use self::input::Rebuild;
use self::view::Extras;
use super::caller::Caller;
use super::problem::{Code, Fault, Problem};
use super::query::Query;
use super::revision::tagged;
use super::state::Api;
use crate::access::{AccessError, Reason, Standing, TokenId, TokenState, id_text, parse_id};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    users::routes()
        .merge(profiles::routes())
        .merge(applications::routes())
        .merge(personal::routes())
        .merge(me::routes())
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::NotFound { what, name } => Self::not_found(what, name),
            AccessError::Exists { .. } | AccessError::AlreadyInitialised => Self::new(Code::Exists, error.to_string()),
            AccessError::InUse(text) => Self::new(Code::InUse, text),
            AccessError::Invalid(faults) => Self::invalid(faults.into_iter().map(Fault::from).collect()),
            AccessError::Name(error) => Self::invalid(vec![Fault::new("name", "malformed", error.to_string())]),
            AccessError::Forbidden(text) => Self::new(Code::Forbidden, text),
            AccessError::Changed => Self::new(Code::Changed, error.to_string()),
            AccessError::TooSoon(after) => {
                Self::new(Code::TooSoon, "too many wrong passwords; wait before the next one").retry_after(after)
            }
            AccessError::Store(error) => error.into(),
            AccessError::Key => Self::internal(error),
        }
    }
}

/// The problem of a call: refusals get a support id, and where a revision was asked for, its change has a status of its own.
async fn told(caller: &Caller, error: AccessError, expected: Option<u64>) -> Problem {
    match error {
        AccessError::Forbidden(text) => forbidden(caller, Reason::RightMissing, &text).await,
        AccessError::NotFound { .. } if caller.reach().is_some() => not_to_be_seen(caller).await,
        AccessError::Changed if expected.is_some() => Problem::new(Code::PreconditionFailed, error.to_string()),
        error => error.into(),
    }
}

/// A 403 that says why: the caller is known, and what it says concerns only them.
async fn forbidden(caller: &Caller, reason: Reason, text: &str) -> Problem {
    let uniform = caller.refuse(reason, text).await;
    Problem::new(Code::Forbidden, text).with_support(uniform.support_id().to_owned())
}

/// The one answer for what isn't there and for what the caller's organizations don't include.
async fn not_to_be_seen(caller: &Caller) -> Problem {
    caller.refuse(Reason::OrganizationNotAllowed, "not there, or not in the caller's organizations").await
}

/// The public id of a token, in a path or a cursor.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Id(TokenId);

impl FromStr for Id {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        parse_id(text).map(Self).ok_or(())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(id_text(&self.0))
    }
}

/// The parameter `state` of a list of tokens.
fn state_in(query: &mut Query) -> Option<TokenState> {
    let text = query.text("state")?;
    let found = TokenState::ALL.into_iter().find(|state| state.as_str() == text);
    if found.is_none() {
        query.fault("state", "must be valid, expired, disabled, deleted or profile_not_allowed");
    }
    found
}

/// What the answer to a rebuild has besides: the new value, and until when the old one works beside it. Its digest goes into
/// the audit record.
fn rebuilt(
    caller: &Caller,
    how: &Rebuild,
    value: SecretString,
    rebuilt_at: Option<DateTime<Utc>>,
    end: Option<DateTime<Utc>>,
) -> Extras {
    caller.note_secret("token", &value);
    caller.note_detail("grace_seconds", how.grace_seconds.to_string());
    let until = rebuilt_at.filter(|_| how.grace_seconds > 0).map(|at| at + how.grace());
    let until = until.map(|until| end.map_or(until, |end| end.min(until)));
    Extras { value: Some(value), old_value_valid_until: until.map(Into::into), usage: None }
}

/// Puts into the audit record what a principal is from now on.
fn note_standing(caller: &Caller, standing: &Standing) {
    let list = |names: Vec<&str>| names.join(", ");
    caller.note_detail("status", standing.status.as_str());
    caller.note_detail("profiles", list(standing.profiles.iter().map(|name| name.as_str()).collect()));
    let allowed = list(standing.allowed_organizations.iter().map(|name| name.as_str()).collect());
    caller.note_detail("allowed_organizations", allowed);
}

/// An answer with the revision as its `ETag`; one with a token's value isn't to be kept by anybody in between.
fn answer(status: StatusCode, revision: u64, has_value: bool, body: &impl Serialize) -> Response {
    let mut response = tagged(status, revision, body);
    if has_value {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// The answer for something that was made.
fn made(location: &str, mut response: Response) -> Response {
    // Ids and encoded names are ASCII.
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
