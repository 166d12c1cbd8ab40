//! The pepper of token digests over HTTP: rotated. Which digests are accepted is decided in `access`.

use std::time::Duration;

use axum::extract::State;
use axum::http::Uri;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::Json;
use super::caller::Caller;
use super::integrations::given;
use super::problem::{Fault, Problem};
use super::query::Query;
use super::state::Api;
use super::time::{self, Time};
use crate::notices::{Kind, Notice};

/// How far ahead the end of a retired pepper may lie.
const LONGEST: Duration = Duration::from_secs(400 * 86_400);

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(rotate))
}

/// What becomes of the tokens that there are.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// Until when tokens made before are accepted (RFC 3339, or a day in UTC), at most 400 days ahead; it takes the setting
    /// `access.application_token.allow_fallback_token`. Null: they are refused from now on, all of them.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, required = true)]
    accept_until: Option<Option<String>>,
}

/// What became of them.
#[derive(Serialize, ToSchema)]
struct Rotated {
    /// When it was done.
    rotated_at: Time,
    /// Until when tokens made before are accepted; null: they aren't. Rebuild them until then.
    accept_until: Option<Time>,
}

/// Reads the end, of which there may be none.
fn end(given: Option<Option<String>>, is_allowed: bool, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Fault> {
    let fault = |code, message: &str| Err(Fault::new("accept_until", code, message));
    let Some(given) = given else {
        return fault("missing", "must be given: a time, or null to refuse all tokens made before");
    };
    let Some(text) = given else { return Ok(None) };
    match time::parse(&text, time::OfDay::End) {
        None => fault("malformed", time::WANTED),
        Some(_) if !is_allowed => fault(
            "not_allowed",
            "access.application_token.allow_fallback_token is off, so that no token made before would be accepted; turn it \
             on, or give null if that is what you want",
        ),
        Some(end) if end <= now => {
            fault("not_allowed", "has passed already; give null to refuse all tokens made before")
        }
        Some(end) if end > now + LONGEST => fault("not_allowed", "must be at most 400 days ahead"),
        Some(end) => Ok(Some(end)),
    }
}

/// Retires the pepper that keys the digests of inbound tokens, and makes another
///
/// Tokens made or rebuilt from now on have digests under the new one.
#[utoipa::path(post, path = "/v1/pepper/rotate", tag = "operations", request_body = Rotation,
    responses((status = 200, description = "It is done", body = Rotated)))]
async fn rotate(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
    Json(rotation): Json<Rotation>,
) -> Result<axum::Json<Rotated>, Problem> {
    Query::of(&uri).finish()?;
    caller.require_all("it is about all tokens").await?;
    let now = api.clock.now();
    let end = end(rotation.accept_until, api.access.policy().allow_fallback_token, now);
    let end = end.map_err(|fault| Problem::invalid(vec![fault]))?;
    api.access.rotate_pepper(end.unwrap_or(now)).await?;
    let message = "the pepper was rotated: tokens made before have to be rebuilt";
    api.notices.tell(Notice::new(Kind::KeyRotated, message).remedy("tokenhost key status"));
    caller.note_detail("accept_until", end.map_or_else(|| "never".to_owned(), |end| end.to_rfc3339()));
    Ok(axum::Json(Rotated { rotated_at: now.into(), accept_until: end.map(Time::from) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_a_time_ahead_or_none() {
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        let check = |given: Option<Option<&str>>, is_allowed, expected: Result<Option<&str>, &str>| {
            let found = end(given.map(|text| text.map(str::to_owned)), is_allowed, now);
            let found = found.map(|end| end.map(|end| end.to_rfc3339())).map_err(|fault| fault.code);
            assert_eq!(found.as_ref().map(Option::as_deref).map_err(|code| *code), expected, "{given:?}");
        };
        check(None, true, Err("missing"));
        check(Some(None), false, Ok(None));
        check(Some(Some("2026-12-01")), true, Ok(Some("2026-12-02T00:00:00+00:00")));
        check(Some(Some("2026-12-01")), false, Err("not_allowed"));
        check(Some(Some("2026-11-21")), true, Err("not_allowed"));
        check(Some(Some("2027-12-30")), true, Err("not_allowed"));
        check(Some(Some("soon")), true, Err("malformed"));
    }
}
