//! Everyone's personal tokens over HTTP, for those who manage principals. What users do with their own is in [`super::me`].

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
use super::input::{NewPersonalToken, PersonalTokenInput, Rebuild};
use super::view::{Extras, PersonalToken, texts};
use super::{Id, answer, changed, made, not_to_be_seen, rebuilt, state_in, told, users};
use crate::access::personal::{self, PersonalChange};
use crate::access::{AccessError, Login, TokenId, id_text};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, change, delete)).routes(routes!(rebuild))
}

/// The error for an id that there isn't, or that is none.
pub(super) fn missing() -> AccessError {
    AccessError::NotFound { what: "personal token", name: "of this id".to_owned() }
}

/// Whether the caller's organizations include the token's user. Of a user who was deleted nobody knows where they were.
fn sees(caller: &Caller, token: &personal::PersonalToken) -> bool {
    token.organization.as_ref().map_or(caller.reach().is_none(), |organization| caller.sees(organization))
}

/// The token of this id, if the caller's organizations include its user.
async fn visible(api: &Api, caller: &Caller, id: &str) -> Result<personal::PersonalToken, Problem> {
    let found = match id.parse::<Id>() {
        Ok(Id(id)) => api.access.personal(&id).await,
        Err(()) => Err(missing()),
    };
    match found {
        Ok(token) if sees(caller, &token) => Ok(token),
        Ok(_) => Err(not_to_be_seen(caller).await),
        Err(error) => Err(told(caller, error, None).await),
    }
}

pub(super) fn shown(token: personal::PersonalToken, extras: Extras, status: StatusCode) -> Response {
    let has_value = extras.value.is_some();
    answer(status, token.revision, has_value, &PersonalToken::of(token, extras))
}

/// Puts into the audit record what a token is from now on.
fn note(caller: &Caller, token: &personal::PersonalToken) {
    caller.note_token(id_text(&token.id));
    caller.note_detail("user", token.user.as_str());
    caller.note_detail("application", token.application.as_str());
    caller.note_detail("scopes", texts(&token.scopes).join(", "));
}

/// Makes a token, here or for oneself; `path` is where it is found then.
pub(super) async fn make(
    api: &Api,
    caller: &Caller,
    user: &str,
    new: PersonalTokenInput,
    path: &str,
) -> Result<Response, Problem> {
    let (token, value) = match api.access.create_personal(caller, user, new.into(), false).await {
        Ok(made) => made,
        Err(error) => return Err(told(caller, error, None).await),
    };
    note(caller, &token);
    if let Some(value) = &value {
        caller.note_secret("token", value);
    }
    let location = format!("{path}/{}", id_text(&token.id));
    Ok(made(&location, shown(token, Extras { value, ..Extras::default() }, StatusCode::CREATED)))
}

/// Shows a token with its use.
pub(super) async fn show(api: &Api, token: personal::PersonalToken) -> Result<Response, Problem> {
    let usage = Some(api.access.usage(&token.id).await?);
    Ok(shown(token, Extras { usage, ..Extras::default() }, StatusCode::OK))
}

/// Changes a token that was found to be the caller's business.
pub(super) async fn alter(
    api: &Api,
    caller: &Caller,
    id: &TokenId,
    headers: &HeaderMap,
    change: PersonalTokenInput,
) -> Result<Response, Problem> {
    let expected = expected(headers)?;
    let before = api.access.personal(id).await;
    let change = PersonalChange { expected, ..change.into() };
    match api.access.change_personal(caller, id, change, false).await {
        Ok(token) => {
            note(caller, &token);
            if let Ok(before) = before {
                caller.note_detail(CHANGED, changed::of_personal(&before, &token));
            }
            Ok(shown(token, Extras::default(), StatusCode::OK))
        }
        Err(error) => Err(told(caller, error, expected).await),
    }
}

/// Deletes a token that was found to be the caller's business.
pub(super) async fn remove(api: &Api, caller: &Caller, id: &TokenId) -> Result<StatusCode, Problem> {
    caller.note_token(id_text(id));
    match api.access.delete_personal(caller, id).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) => Err(told(caller, error, None).await),
    }
}

/// Replaces the value of a token that was found to be the caller's business.
pub(super) async fn renew(api: &Api, caller: &Caller, id: &TokenId, how: &Rebuild) -> Result<Response, Problem> {
    caller.note_token(id_text(id));
    let (token, value) = match api.access.rebuild_personal(caller, id, how.grace()).await {
        Ok(done) => done,
        Err(error) => return Err(told(caller, error, None).await),
    };
    let extras = rebuilt(caller, how, value, token.rebuilt_at, Some(token.expires_at));
    Ok(shown(token, extras, StatusCode::OK))
}

/// Lists everyone's personal tokens, by id; those that ended or were deleted stay
#[utoipa::path(get, path = "/v1/personal-tokens", tag = "personal-tokens",
    params(super::super::Paging, ("user" = Option<String>, Query, description = "Only those of this login"),
        ("state" = Option<String>, Query, description = "Only those that are `valid`, `expired`, `disabled`, `deleted` or `profile_not_allowed`")),
    responses((status = 200, description = "A page of tokens, without their values", body = Page<PersonalToken>)))]
async fn list(State(api): State<Api>, caller: Caller, uri: Uri) -> Result<axum::Json<Page<PersonalToken>>, Problem> {
    let mut query = Query::of(&uri);
    let wanted = Wanted::<Id>::read(&mut query);
    let state = state_in(&mut query);
    let user = query.text("user").and_then(|user| {
        let login = user.parse::<Login>();
        login.inspect_err(|error| query.fault("user", &error.to_string())).ok()
    });
    query.finish()?;
    let mut sieve = wanted.sieve();
    while sieve.is_open() {
        let (after, limit) = (sieve.after().map(|Id(id)| id), sieve.to_read());
        let read = match &user {
            Some(user) => api.access.personals_of(user, after, limit).await?,
            None => api.access.personals(after, limit).await?,
        };
        sieve.add(
            read,
            |token| Id(token.id),
            |token| sees(&caller, token) && state.is_none_or(|state| token.state == state),
        );
    }
    Ok(axum::Json(sieve.page(|token| Id(token.id), |token| PersonalToken::of(token, Extras::default()))))
}

/// Makes a personal token for a user
///
/// The answer has its value, which is shown once and kept nowhere. It has the user's profiles and organizations, and works
/// in its scopes only.
#[utoipa::path(post, path = "/v1/personal-tokens", tag = "personal-tokens", request_body = NewPersonalToken,
    responses((status = 201, description = "The token, with its value", body = PersonalToken, headers(("ETag" = String)))))]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
    Json(new): Json<NewPersonalToken>,
) -> Result<Response, Problem> {
    Query::of(&uri).finish()?;
    let (user, new) = new.split();
    // Who doesn't see everything learns of nobody elsewhere whether they are there.
    if caller.reach().is_some() && user.parse::<Login>().is_ok() {
        users::visible(&api, &caller, &user).await?;
    }
    make(&api, &caller, &user, new, "/v1/personal-tokens").await
}

/// Shows a personal token, with its use, without its value
#[utoipa::path(get, path = "/v1/personal-tokens/{id}", tag = "personal-tokens",
    params(("id" = String, Path, description = "Its public id")),
    responses((status = 200, description = "The token", body = PersonalToken, headers(("ETag" = String)))))]
async fn get(State(api): State<Api>, Path(id): Path<String>, caller: Caller) -> Result<Response, Problem> {
    let token = visible(&api, &caller, &id).await?;
    show(&api, token).await
}

/// Changes a personal token; the change counts from the next request on
#[utoipa::path(patch, path = "/v1/personal-tokens/{id}", tag = "personal-tokens", request_body = PersonalTokenInput,
    params(("id" = String, Path, description = "Its public id"),
        ("If-Match" = Option<String>, Header, description = "The ETag that it must have")),
    responses((status = 200, description = "The token as it is now", body = PersonalToken, headers(("ETag" = String)))))]
async fn change(
    State(api): State<Api>,
    Path(id): Path<String>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    Json(change): Json<PersonalTokenInput>,
) -> Result<Response, Problem> {
    Query::of(&uri).finish()?;
    let id = visible(&api, &caller, &id).await?.id;
    alter(&api, &caller, &id, &headers, change).await
}

/// Deletes a personal token
///
/// It is refused from the next request on, and stays visible as deleted.
#[utoipa::path(delete, path = "/v1/personal-tokens/{id}", tag = "personal-tokens",
    params(("id" = String, Path, description = "Its public id")),
    responses((status = 204, description = "It is deleted")))]
async fn delete(State(api): State<Api>, Path(id): Path<String>, caller: Caller) -> Result<StatusCode, Problem> {
    let id = visible(&api, &caller, &id).await?.id;
    remove(&api, &caller, &id).await
}

/// Replaces the value of a personal token
///
/// The answer has the new value, which is shown once and kept nowhere. The old one is refused from the next request on, or
/// after the grace period.
#[utoipa::path(post, path = "/v1/personal-tokens/{id}/rebuild", tag = "personal-tokens", request_body = Option<Rebuild>,
    params(("id" = String, Path, description = "Its public id")),
    responses((status = 200, description = "The token, with its new value", body = PersonalToken, headers(("ETag" = String)))))]
async fn rebuild(
    State(api): State<Api>,
    Path(id): Path<String>,
    caller: Caller,
    uri: Uri,
    JsonOrNothing(how): JsonOrNothing<Rebuild>,
) -> Result<Response, Problem> {
    Query::of(&uri).finish()?;
    let id = visible(&api, &caller, &id).await?.id;
    renew(&api, &caller, &id, &how).await
}
