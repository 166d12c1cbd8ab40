//! Users over HTTP: made, looked at without their passwords, changed, deleted.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::body::Json;
use super::super::caller::Caller;
use super::super::changes::CHANGED;
use super::super::page::{Page, Wanted};
use super::super::problem::Problem;
use super::super::query::Query;
use super::super::revision::expected;
use super::super::state::Api;
use super::input::{NewUser, UserInput};
use super::view::User;
use super::{answer, changed, made, not_to_be_seen, note_standing, told};
use crate::access::user::{self, UserChange};
use crate::access::{AccessError, Lack, Login, REST_SERVICES_USER};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, change, delete))
}

/// The user of this login, if the caller's organizations include theirs.
pub(super) async fn visible(api: &Api, caller: &Caller, login: &str) -> Result<user::User, Problem> {
    let found = match login.parse::<Login>() {
        Ok(login) => api.access.user(&login).await,
        Err(_) => Err(AccessError::NotFound { what: "user", name: "of this login: it is none".to_owned() }),
    };
    match found {
        Ok(user) if caller.sees(&user.standing.contact.organization) => Ok(user),
        Ok(_) => Err(not_to_be_seen(caller).await),
        Err(error) => Err(told(caller, error, None).await),
    }
}

async fn shown(api: &Api, user: user::User, status: StatusCode) -> Result<Response, Problem> {
    let warning = api.access.lack_of(&user.standing).await?.map(|lack| warning(lack, &user));
    let mut shown = User::from(user);
    shown.warning = warning;
    Ok(answer(status, shown.revision, false, &shown))
}

/// What is said of a user who lacks something, with the command that helps.
fn warning(lack: Lack, user: &user::User) -> String {
    let words = ["tokenhost", "user", "change", user.login.as_str()];
    let profiles: Vec<&str> = user.standing.profiles.iter().map(|name| name.as_str()).collect();
    let given = |more: &'static str| {
        let profiles = profiles.iter().copied().chain([more]).flat_map(|name| ["--profile", name]);
        shlex::try_join(words.into_iter().chain(profiles)).unwrap_or_default()
    };
    match lack {
        Lack::Rights if profiles.is_empty() => format!(
            "this user has no profile, and so no right; `tokenhost profile list` shows what there is: {} --profile NAME",
            given(REST_SERVICES_USER)
        ),
        Lack::Rights => format!(
            "no profile of this user gives a right; `tokenhost profile list` shows which do, e.g. {}",
            given("Integration User")
        ),
        Lack::RestServices => format!(
            "this user can call nothing, since no profile of theirs opens REST services, which are secured \
             (access.secure_rest_services): {}",
            given(REST_SERVICES_USER)
        ),
    }
}

/// Lists the users, by login
#[utoipa::path(get, path = "/v1/users", tag = "users",
    params(super::super::Paging, ("q" = Option<String>, Query, description = "Only those whose login, name or address has this in it; upper and lower case count alike")),
    responses((status = 200, description = "A page of users", body = Page<User>)))]
async fn list(State(api): State<Api>, caller: Caller, uri: Uri) -> Result<axum::Json<Page<User>>, Problem> {
    let mut query = Query::of(&uri);
    let wanted = Wanted::<Login>::read(&mut query);
    let part = query.text("q").map(|part| part.to_lowercase());
    query.finish()?;
    let mut sieve = wanted.sieve();
    while sieve.is_open() {
        let read = api.access.users(sieve.after(), sieve.to_read()).await?;
        sieve.add(
            read,
            |user| user.login.clone(),
            |user| caller.sees(&user.standing.contact.organization) && part.as_ref().is_none_or(|part| has(user, part)),
        );
    }
    Ok(axum::Json(sieve.page(|user| user.login.clone(), User::from)))
}

/// Whether a user's login, name or address has this, in lower case, in it.
fn has(user: &user::User, part: &str) -> bool {
    let contact = &user.standing.contact;
    let texts = [&contact.first_name, &contact.name, &contact.email].into_iter().flatten().map(String::as_str);
    texts.chain([user.login.as_str()]).any(|text| text.to_lowercase().contains(part))
}

/// Makes a user
///
/// Nobody gives profiles with rights, or organizations, that they don't have themselves.
#[utoipa::path(post, path = "/v1/users", tag = "users", request_body = NewUser,
    responses((status = 201, description = "The user", body = User, headers(("ETag" = String)))))]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
    Json(new): Json<NewUser>,
) -> Result<Response, Problem> {
    Query::of(&uri).finish()?;
    let (login, new) = new.split();
    note_password(&caller, &new);
    let user = match api.access.create_user(&caller, &login, new.into(), false).await {
        Ok(user) => user,
        Err(error) => return Err(told(&caller, error, None).await),
    };
    note_standing(&caller, &user.standing);
    Ok(made(&format!("/v1/users/{}", user.login), shown(&api, user, StatusCode::CREATED).await?))
}

/// Shows a user
#[utoipa::path(get, path = "/v1/users/{user}", tag = "users",
    params(("user" = String, Path, description = "The login")),
    responses((status = 200, description = "The user", body = User, headers(("ETag" = String)))))]
async fn get(State(api): State<Api>, Path(user): Path<String>, caller: Caller) -> Result<Response, Problem> {
    shown(&api, visible(&api, &caller, &user).await?, StatusCode::OK).await
}

/// Changes a user
///
/// What the user's tokens may do changes with the next request. Another password, and disabling, end the user's sessions.
#[utoipa::path(patch, path = "/v1/users/{user}", tag = "users", request_body = UserInput,
    params(("user" = String, Path, description = "The login"),
        ("If-Match" = Option<String>, Header, description = "The ETag that it must have")),
    responses((status = 200, description = "The user as it is now", body = User, headers(("ETag" = String)))))]
async fn change(
    State(api): State<Api>,
    Path(user): Path<String>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    Json(change): Json<UserInput>,
) -> Result<Response, Problem> {
    Query::of(&uri).finish()?;
    let expected = expected(&headers)?;
    let before = visible(&api, &caller, &user).await?;
    let login = before.login.clone();
    note_password(&caller, &change);
    let change = UserChange { expected, ..change.into() };
    match api.access.change_user(&caller, &login, change, false).await {
        Ok(user) => {
            note_standing(&caller, &user.standing);
            caller.note_detail(CHANGED, changed::of_user(&before, &user));
            shown(&api, user, StatusCode::OK).await
        }
        Err(error) => Err(told(&caller, error, expected).await),
    }
}

/// Deletes a user
///
/// The user's tokens are refused from the next request on, and stay visible as deleted.
#[utoipa::path(delete, path = "/v1/users/{user}", tag = "users",
    params(("user" = String, Path, description = "The login")),
    responses((status = 204, description = "It is gone")))]
async fn delete(State(api): State<Api>, Path(user): Path<String>, caller: Caller) -> Result<StatusCode, Problem> {
    let login = visible(&api, &caller, &user).await?.login;
    match api.access.delete_user(&caller, &login).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) => Err(told(&caller, error, None).await),
    }
}

/// Puts into the audit record that a password is set. Not its digest: that would tell who has the same one.
fn note_password(caller: &Caller, input: &UserInput) {
    if let Some(what) = input.password_change() {
        caller.note_detail("password", what);
    }
}
