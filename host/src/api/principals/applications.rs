//! Application tokens over HTTP: made, looked at, changed, rebuilt, deleted. A value is in the answer that makes it, once.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::body::{Json, JsonOrNothing};
use super::super::caller::Caller;
use super::super::changes::CHANGED;
use super::super::page::{Page, Wanted};
use super::super::problem::Problem;
use super::super::query::Query;
use super::super::revision::expected;
use super::super::state::Api;
use super::input::{ApplicationTokenInput, NewApplicationToken, Rebuild};
use super::view::{ApplicationToken, Extras, texts};
use super::{Id, answer, changed, made, not_to_be_seen, note_standing, rebuilt, state_in, told};
use crate::access::application::{self, ApplicationChange};
use crate::access::{AccessError, id_text};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, change, delete)).routes(routes!(rebuild))
}

/// The token of this id, if the caller's organizations include it.
async fn visible(api: &Api, caller: &Caller, id: &str) -> Result<application::ApplicationToken, Problem> {
    let found = match id.parse::<Id>() {
        Ok(Id(id)) => api.access.application(&id).await,
        Err(()) => Err(AccessError::NotFound { what: "application token", name: "of this id: it is none".to_owned() }),
    };
    match found {
        Ok(token) if caller.sees(&token.standing.contact.organization) => Ok(token),
        Ok(_) => Err(not_to_be_seen(caller).await),
        Err(error) => Err(told(caller, error, None).await),
    }
}

fn shown(token: application::ApplicationToken, extras: Extras, status: StatusCode) -> Response {
    let has_value = extras.value.is_some();
    answer(status, token.revision, has_value, &ApplicationToken::of(token, extras))
}

/// Puts into the audit record what a token is from now on.
fn note(caller: &Caller, token: &application::ApplicationToken) {
    caller.note_token(id_text(&token.id));
    caller.note_detail("name", token.name.as_str());
    note_standing(caller, &token.standing);
    caller.note_detail("scopes", texts(&token.scopes).join(", "));
}

/// Lists the application tokens, by id; those that ended or were deleted stay
#[utoipa::path(get, path = "/v1/application-tokens", tag = "application-tokens",
    params(super::super::Paging, ("state" = Option<String>, Query, description = "Only those that are `valid`, `expired`, `disabled` or `deleted`")),
    responses((status = 200, description = "A page of tokens, without their values", body = Page<ApplicationToken>)))]
async fn list(State(api): State<Api>, caller: Caller, uri: Uri) -> Result<axum::Json<Page<ApplicationToken>>, Problem> {
    let mut query = Query::of(&uri);
    let wanted = Wanted::<Id>::read(&mut query);
    let state = state_in(&mut query);
    query.finish()?;
    let mut sieve = wanted.sieve();
    while sieve.is_open() {
        let read = api.access.applications(sieve.after().map(|Id(id)| id), sieve.to_read()).await?;
        sieve.add(
            read,
            |token| Id(token.id),
            |token| caller.sees(&token.standing.contact.organization) && state.is_none_or(|state| token.state == state),
        );
    }
    Ok(axum::Json(sieve.page(|token| Id(token.id), |token| ApplicationToken::of(token, Extras::default()))))
}

/// Makes an application token
///
/// The answer has its value, which is shown once and kept nowhere. Nobody gives profiles with rights, organizations or
/// scopes that they don't have themselves.
#[utoipa::path(post, path = "/v1/application-tokens", tag = "application-tokens", request_body = NewApplicationToken,
    responses((status = 201, description = "The token, with its value", body = ApplicationToken, headers(("ETag" = String)))))]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
    Json(new): Json<NewApplicationToken>,
) -> Result<Response, Problem> {
    Query::of(&uri).finish()?;
    let (name, new) = new.split();
    let (token, value) = match api.access.create_application(&caller, &name, new.into(), false).await {
        Ok(made) => made,
        Err(error) => return Err(told(&caller, error, None).await),
    };
    note(&caller, &token);
    if let Some(value) = &value {
        caller.note_secret("token", value);
    }
    let location = format!("/v1/application-tokens/{}", id_text(&token.id));
    Ok(made(&location, shown(token, Extras { value, ..Extras::default() }, StatusCode::CREATED)))
}

/// Shows an application token, with its use, without its value
#[utoipa::path(get, path = "/v1/application-tokens/{id}", tag = "application-tokens",
    params(("id" = String, Path, description = "Its public id")),
    responses((status = 200, description = "The token", body = ApplicationToken, headers(("ETag" = String)))))]
async fn get(State(api): State<Api>, Path(id): Path<String>, caller: Caller) -> Result<Response, Problem> {
    let token = visible(&api, &caller, &id).await?;
    let usage = Some(api.access.usage(&token.id).await?);
    Ok(shown(token, Extras { usage, ..Extras::default() }, StatusCode::OK))
}

/// Changes an application token; the change counts from the next request on
#[utoipa::path(patch, path = "/v1/application-tokens/{id}", tag = "application-tokens",
    request_body = ApplicationTokenInput,
    params(("id" = String, Path, description = "Its public id"),
        ("If-Match" = Option<String>, Header, description = "The ETag that it must have")),
    responses((status = 200, description = "The token as it is now", body = ApplicationToken, headers(("ETag" = String)))))]
async fn change(
    State(api): State<Api>,
    Path(id): Path<String>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    Json(change): Json<ApplicationTokenInput>,
) -> Result<Response, Problem> {
    Query::of(&uri).finish()?;
    let expected = expected(&headers)?;
    let before = visible(&api, &caller, &id).await?;
    let id = before.id;
    let change = ApplicationChange { expected, ..change.into() };
    match api.access.change_application(&caller, &id, change, false).await {
        Ok(token) => {
            note(&caller, &token);
            caller.note_detail(CHANGED, changed::of_application(&before, &token));
            Ok(shown(token, Extras::default(), StatusCode::OK))
        }
        Err(error) => Err(told(&caller, error, expected).await),
    }
}

/// Deletes an application token
///
/// It is refused from the next request on, and stays visible as deleted; its name is free.
#[utoipa::path(delete, path = "/v1/application-tokens/{id}", tag = "application-tokens",
    params(("id" = String, Path, description = "Its public id")),
    responses((status = 204, description = "It is deleted")))]
async fn delete(State(api): State<Api>, Path(id): Path<String>, caller: Caller) -> Result<StatusCode, Problem> {
    let id = visible(&api, &caller, &id).await?.id;
    caller.note_token(id_text(&id));
    match api.access.delete_application(&caller, &id).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) => Err(told(&caller, error, None).await),
    }
}

/// Replaces the value of an application token
///
/// The answer has the new value, which is shown once and kept nowhere. The old one is refused from the next request on, or
/// after the grace period.
#[utoipa::path(post, path = "/v1/application-tokens/{id}/rebuild", tag = "application-tokens",
    request_body = Option<Rebuild>,
    params(("id" = String, Path, description = "Its public id")),
    responses((status = 200, description = "The token, with its new value", body = ApplicationToken, headers(("ETag" = String)))))]
async fn rebuild(
    State(api): State<Api>,
    Path(id): Path<String>,
    caller: Caller,
    uri: Uri,
    JsonOrNothing(how): JsonOrNothing<Rebuild>,
) -> Result<Response, Problem> {
    Query::of(&uri).finish()?;
    let id = visible(&api, &caller, &id).await?.id;
    caller.note_token(id_text(&id));
    let (token, value) = match api.access.rebuild_application(&caller, &id, how.grace()).await {
        Ok(done) => done,
        Err(error) => return Err(told(&caller, error, None).await),
    };
    let extras = rebuilt(&caller, &how, value, token.rebuilt_at, token.expires_at);
    Ok(shown(token, extras, StatusCode::OK))
}
