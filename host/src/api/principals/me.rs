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
use crate::access::{self, Login, OwnChange, PrincipalKind, Reason, Right, Scopes};

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
    /// Rights on all that is seen.
    rights: Vec<&'static str>,
    /// Further rights, on some of what is seen only.
    rights_on_some: Vec<&'static str>,
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
    /// Whether anything beside what is the caller's own is open to them: what it holds, and what they may do with it, their
    /// rights say.
    services: Opening,
    /// Whether the caller, a user, manages what is their own here: contact, password, and personal tokens where
    /// `personal_tokens` allows these.
    account_menu: bool,
    /// Whether the caller manages personal tokens under `/v1/me/personal-tokens`.
    personal_tokens: Opening,
    /// Of a user: grows with each change; the `ETag` has it too.
    revision: u64,
}

/// Whether something is open to the caller.
#[derive(Debug, Serialize, ToSchema)]
struct Opening {
    /// Whether it is.
    allowed: bool,
    /// Why it isn't, and who can change that.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl Opening {
    /// Open unless there is a reason why not.
    fn unless(reason: Option<&'static str>) -> Self {
        Self { allowed: reason.is_none(), reason }
    }
}

/// Why nothing but their own is open to who lacks the profile.
const NO_SERVICES: &str = "you have neither the profile REST Services User nor Administrator, which all but your own account needs \
    (access.secure_rest_services); ask an administrator to give you one";
/// Why users don't manage what is their own.
const NO_MENU: &str =
    "users don't manage what is their own here (access.enable_myaccount_menu is false); ask an administrator";
/// Why applications don't.
const NO_USER: &str = "an application has no personal tokens; users have";

/// Why a user doesn't manage personal tokens here; `None`: the user does.
fn refusal(api: &Api, user: &access::Standing) -> Option<&'static str> {
    let policy = api.access.policy();
    if !policy.enable_myaccount_menu {
        return Some(NO_MENU);
    }
    if policy.personal_tokens_allowed_profiles.is_empty() {
        return Some(
            "nobody may use personal tokens here, since access.personal_tokens_allowed_profiles names no profile; ask whoever \
             runs this daemon to name one of yours",
        );
    }
    (!api.access.may_use_personal_tokens(user)).then_some(
        "none of your profiles may use personal tokens (access.personal_tokens_allowed_profiles); ask an administrator",
    )
}

/// The caller's login, if the caller manages personal tokens here.
async fn manager(api: &Api, caller: &Caller) -> Result<Login, Problem> {
    let user = match api.access.own_user(caller).await {
        Ok(user) => user,
        Err(error) => return Err(told(caller, error, None).await),
    };
    match refusal(api, &user.standing) {
        None => Ok(user.login),
        Some(text) => Err(forbidden(caller, Reason::NotForThis, text).await),
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
    let (contact, language, no_tokens, revision) = match (caller.kind, &caller.token) {
        (PrincipalKind::Application, Some(token)) => {
            let application = api.access.application(&token.id).await?;
            (application.standing.contact, None, Some(NO_USER), application.revision)
        }
        _ => {
            let user = api.access.own_user(caller).await?;
            let no_tokens = refusal(api, &user.standing);
            (user.standing.contact, Some(user.language), no_tokens, user.revision)
        }
    };
    let no_services = caller.admitted(Scopes::REST, &api.access.scopes).is_err().then_some(NO_SERVICES);
    Ok(Me {
        kind: caller.kind.as_str(),
        name: caller.name.clone(),
        login_type: caller.login_type.as_str(),
        contact: contact.into(),
        language,
        profiles: texts(&caller.profiles),
        rights: caller.rights().iter().map(Right::as_str).collect(),
        rights_on_some: Right::ALL
            .into_iter()
            .filter(|right| caller.may_somewhere(*right) && !caller.may(*right))
            .map(Right::as_str)
            .collect(),
        allowed_organizations: texts(&caller.allowed_organizations),
        organizations: caller.reach().map(texts),
        scopes: caller.scopes.as_ref().map(texts),
        token_id: caller.token.as_ref().map(|token| token.id().to_owned()),
        expires_at: caller.expires_at.map(Time::from),
        services: Opening::unless(no_services),
        account_menu: caller.kind == PrincipalKind::User && api.access.policy().enable_myaccount_menu,
        personal_tokens: Opening::unless(no_tokens),
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
/// Where the setting `access.enable_myaccount_menu` lets users do so. Another password needs the present one, and ends the user's
/// sessions.
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
    if !api.access.policy().enable_myaccount_menu {
        return Err(forbidden(&caller, Reason::NotForThis, NO_MENU).await);
    }
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
