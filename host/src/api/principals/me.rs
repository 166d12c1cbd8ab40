//! Everyone's own: who they are, what they may do, their contact and password; and users' own personal tokens, where the
//! operator lets them manage these.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::body::{Json, JsonOrNothing};
use super::super::caller::Caller;
use super::super::page::{Page, Wanted};
use super::super::problem::Problem;
use super::super::query::Query;
use super::super::revision::expected;
use super::super::state::Api;
use super::super::time::Time;
use super::input::{MyInput, PersonalTokenInput, Rebuild};
use super::view::{Contact, Extras, PersonalToken, texts};
use super::{Id, answer, forbidden, personal, state_in, told};
use crate::access::{self, Login, OwnChange, PrincipalKind, Reason, Right};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(get, change))
        .routes(routes!(list, create))
        .routes(routes!(get_token, change_token, delete_token))
        .routes(routes!(rebuild))
}

/// Who is calling.
#[derive(Debug, Serialize, ToSchema)]
struct Me {
    /// `user` or `application`.
    kind: &'static str,
    /// A user's login, or an application's name.
    name: String,
    /// How the caller came in: `token`, `form`, `basic` or `external`.
    login_type: &'static str,
    /// Who stands behind it.
    contact: Contact,
    /// Of a user: the language for texts (BCP 47).
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    /// Names of profiles.
    profiles: Vec<String>,
    /// Rights on all that is seen; profiles may give others on some of it.
    rights: Vec<&'static str>,
    /// What limits what is seen, with what is part of them; empty: nothing does.
    allowed_organizations: Vec<String>,
    /// The organizations that are seen; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    organizations: Option<Vec<String>>,
    /// The scopes of the token; absent: it isn't limited to any.
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<String>>,
    /// The token's public id.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_id: Option<String>,
    /// When the token ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
    /// Whether the caller manages personal tokens under `/v1/me/personal-tokens`.
    account_menu: bool,
    /// Of a user: grows with each change; the `ETag` has it too.
    revision: u64,
}

/// Why a user doesn't manage personal tokens here; `None`: the user does.
fn refusal(api: &Api, user: &access::Standing) -> Option<(Reason, &'static str)> {
    if !api.access.policy().enable_myaccount_menu {
        return Some((
            Reason::NotForThis,
            "users don't manage their own tokens here (access.enable_myaccount_menu is false); ask an administrator",
        ));
    }
    (!api.access.may_use_personal_tokens(user)).then_some((
        Reason::NotForThis,
        "none of your profiles may use personal tokens (access.personal_tokens_allowed_profiles); ask an administrator",
    ))
}

/// The caller's login, if the caller manages personal tokens here.
async fn manager(api: &Api, caller: &Caller) -> Result<Login, Problem> {
    let user = match api.access.own_user(caller).await {
        Ok(user) => user,
        Err(error) => return Err(told(caller, error, None).await),
    };
    match refusal(api, &user.standing) {
        None => Ok(user.login),
        Some((reason, text)) => Err(forbidden(caller, reason, text).await),
    }
}

/// One of the caller's own tokens. Those of others, and of an earlier user of the same login, aren't there.
async fn own(api: &Api, caller: &Caller, id: &str) -> Result<access::personal::PersonalToken, Problem> {
    let login = manager(api, caller).await?;
    let Ok(Id(id)) = id.parse() else { return Err(personal::missing().into()) };
    let token = api.access.personal(&id).await.map_err(|error| match error {
        access::AccessError::NotFound { .. } => personal::missing(),
        error => error,
    })?;
    if token.user == login && token.organization.is_some() { Ok(token) } else { Err(personal::missing().into()) }
}

async fn me(api: &Api, caller: &Caller) -> Result<Me, Problem> {
    let (contact, language, account_menu, revision) = match (caller.kind, &caller.token) {
        (PrincipalKind::Application, Some(token)) => {
            let application = api.access.application(&token.id).await?;
            (application.standing.contact, None, false, application.revision)
        }
        _ => {
            let user = api.access.own_user(caller).await?;
            let account_menu = refusal(api, &user.standing).is_none();
            (user.standing.contact, Some(user.language), account_menu, user.revision)
        }
    };
    Ok(Me {
        kind: caller.kind.as_str(),
        name: caller.name.clone(),
        login_type: caller.login_type.as_str(),
        contact: contact.into(),
        language,
        profiles: texts(&caller.profiles),
        rights: caller.rights().iter().map(Right::as_str).collect(),
        allowed_organizations: texts(&caller.allowed_organizations),
        organizations: caller.reach().map(texts),
        scopes: caller.scopes.as_ref().map(texts),
        token_id: caller.token.as_ref().map(|token| token.id().to_owned()),
        expires_at: caller.expires_at.map(Time::from),
        account_menu,
        revision,
    })
}

/// Shows who is calling
#[utoipa::path(get, path = "/v1/me", tag = "me",
    responses((status = 200, description = "The caller", body = Me, headers(("ETag" = String)))))]
async fn get(State(api): State<Api>, caller: Caller) -> Result<Response, Problem> {
    let me = me(&api, &caller).await?;
    Ok(answer(StatusCode::OK, me.revision, false, &me))
}

/// Changes the calling user's own data
///
/// Another password needs the present one, and ends the user's sessions.
#[utoipa::path(patch, path = "/v1/me", tag = "me", request_body = MyInput,
    params(("If-Match" = Option<String>, Header, description = "The ETag that it must have")),
    responses((status = 200, description = "The caller as it is now", body = Me, headers(("ETag" = String)))))]
async fn change(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    Json(change): Json<MyInput>,
) -> Result<Response, Problem> {
    Query::of(&uri).finish()?;
    let expected = expected(&headers)?;
    let change = OwnChange { expected, ..change.into() };
    caller.note_object(format!("users/{}", caller.name));
    if change.password.is_some() {
        caller.note_detail("password", "set");
    }
    let before = me(&api, &caller).await?;
    if let Err(error) = api.access.change_own(&caller, change, caller.address()).await {
        return Err(told(&caller, error, expected).await);
    }
    let me = me(&api, &caller).await?;
    caller.note_changes(&before, &me);
    Ok(answer(StatusCode::OK, me.revision, false, &me))
}

/// Lists the calling user's personal tokens, by id; those that ended or were deleted stay
#[utoipa::path(get, path = "/v1/me/personal-tokens", tag = "me", operation_id = "list_tokens",
    params(super::super::Paging,
        ("state" = Option<String>, Query, description = "Only those that are `valid`, `expired` or `deleted`")),
    responses((status = 200, description = "A page of tokens, without their values", body = Page<PersonalToken>)))]
async fn list(State(api): State<Api>, caller: Caller, uri: Uri) -> Result<axum::Json<Page<PersonalToken>>, Problem> {
    let mut query = Query::of(&uri);
    let wanted = Wanted::<Id>::read(&mut query);
    let state = state_in(&mut query);
    query.finish()?;
    let login = manager(&api, &caller).await?;
    let mut sieve = wanted.sieve();
    while sieve.is_open() {
        let read = api.access.personals_of(&login, sieve.after().map(|Id(id)| id), sieve.to_read()).await?;
        sieve.add(
            read,
            |token| Id(token.id),
            |token| token.organization.is_some() && state.is_none_or(|state| token.state == state),
        );
    }
    Ok(axum::Json(sieve.page(|token| Id(token.id), |token| PersonalToken::of(token, Extras::default()))))
}

/// Makes a personal token for the calling user
///
/// The answer has its value, which is shown once and kept nowhere.
#[utoipa::path(post, path = "/v1/me/personal-tokens", tag = "me", operation_id = "create_token",
    request_body = PersonalTokenInput,
    responses((status = 201, description = "The token, with its value", body = PersonalToken, headers(("ETag" = String)))))]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
    Json(new): Json<PersonalTokenInput>,
) -> Result<Response, Problem> {
    Query::of(&uri).finish()?;
    let login = manager(&api, &caller).await?;
    personal::make(&api, &caller, login.as_str(), new, "/v1/me/personal-tokens").await
}

/// Shows one of the calling user's personal tokens, with its use, without its value
#[utoipa::path(get, path = "/v1/me/personal-tokens/{id}", tag = "me",
    params(("id" = String, Path, description = "Its public id")),
    responses((status = 200, description = "The token", body = PersonalToken, headers(("ETag" = String)))))]
async fn get_token(State(api): State<Api>, Path(id): Path<String>, caller: Caller) -> Result<Response, Problem> {
    let token = own(&api, &caller, &id).await?;
    personal::show(&api, token).await
}

/// Changes one of the calling user's personal tokens; the change counts from the next request on
#[utoipa::path(patch, path = "/v1/me/personal-tokens/{id}", tag = "me", request_body = PersonalTokenInput,
    params(("id" = String, Path, description = "Its public id"),
        ("If-Match" = Option<String>, Header, description = "The ETag that it must have")),
    responses((status = 200, description = "The token as it is now", body = PersonalToken, headers(("ETag" = String)))))]
async fn change_token(
    State(api): State<Api>,
    Path(id): Path<String>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    Json(change): Json<PersonalTokenInput>,
) -> Result<Response, Problem> {
    Query::of(&uri).finish()?;
    let id = own(&api, &caller, &id).await?.id;
    personal::alter(&api, &caller, &id, &headers, change).await
}

/// Deletes one of the calling user's personal tokens
///
/// It is refused from the next request on, and stays visible as deleted.
#[utoipa::path(delete, path = "/v1/me/personal-tokens/{id}", tag = "me",
    params(("id" = String, Path, description = "Its public id")),
    responses((status = 204, description = "It is deleted")))]
async fn delete_token(State(api): State<Api>, Path(id): Path<String>, caller: Caller) -> Result<StatusCode, Problem> {
    let id = own(&api, &caller, &id).await?.id;
    personal::remove(&api, &caller, &id).await
}

/// Replaces the value of one of the calling user's personal tokens
///
/// The answer has the new value, which is shown once and kept nowhere. The old one is refused from the next request on, or
/// after the grace period.
#[utoipa::path(post, path = "/v1/me/personal-tokens/{id}/rebuild", tag = "me", request_body = Option<Rebuild>,
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
    let id = own(&api, &caller, &id).await?.id;
    personal::renew(&api, &caller, &id, &how).await
}
