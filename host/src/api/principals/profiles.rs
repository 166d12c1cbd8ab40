//! Profiles and scopes over HTTP. They belong to the whole installation: who is limited to organizations sees them, less
//! what they grant elsewhere, and changes none.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::body::Json;
use super::super::caller::Caller;
use super::super::page::{Page, Wanted};
use super::super::problem::Problem;
use super::super::query::Query;
use super::super::revision::expected;
use super::super::state::Api;
use super::input::{NewProfile, ProfileInput};
use super::view::{Profile, RightShown, Scope};
use super::{answer, forbidden, made, told};
use crate::access::{self, AccessError, ProfileChange, ProfileName, Reason};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, change, delete))
        .routes(routes!(scopes))
        .routes(routes!(rights))
}

async fn find(api: &Api, name: &str) -> Result<access::Profile, Problem> {
    match name.parse::<ProfileName>() {
        Ok(name) => Ok(api.access.profile(&name).await?),
        Err(_) => Err(AccessError::NotFound { what: "profile", name: "of this name: it is none".to_owned() }.into()),
    }
}

/// Leaves out what a profile grants on what the caller doesn't see.
async fn within(api: &Api, caller: &Caller, mut profile: access::Profile) -> Result<access::Profile, Problem> {
    if caller.reach().is_none() {
        return Ok(profile);
    }
    for grant in &mut profile.grants {
        grant.organizations.retain(|name| caller.sees(name));
        let mut seen = Vec::new();
        for name in grant.integrations.drain(..) {
            if api.integrations.organization_of(&name).await?.is_some_and(|organization| caller.sees(&organization)) {
                seen.push(name);
            }
        }
        grant.integrations = seen;
    }
    profile.grants.retain(|grant| !grant.organizations.is_empty() || !grant.integrations.is_empty());
    Ok(profile)
}

/// Refuses callers who are limited to organizations: others elsewhere hold the same profile.
async fn require_everywhere(caller: &Caller) -> Result<(), Problem> {
    match caller.reach() {
        None => Ok(()),
        Some(_) => {
            let text = "profiles belong to the whole installation, and you are limited to organizations";
            Err(forbidden(caller, Reason::OrganizationNotAllowed, text).await)
        }
    }
}

fn shown(profile: access::Profile, status: StatusCode) -> Response {
    answer(status, profile.revision, false, &Profile::from(profile))
}

/// Lists the profiles, by name
#[utoipa::path(get, path = "/v1/profiles", tag = "users", operation_id = "list_profiles", params(super::super::Paging),
    responses((status = 200, description = "A page of profiles", body = Page<Profile>)))]
async fn list(State(api): State<Api>, caller: Caller, uri: Uri) -> Result<axum::Json<Page<Profile>>, Problem> {
    let wanted = Wanted::<ProfileName>::of(&uri)?;
    // There are so few that they are read at once.
    let mut all = api.access.profiles().await?;
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all.retain(|profile| wanted.after.as_ref().is_none_or(|after| profile.name > *after));
    all.truncate(wanted.to_read());
    let mut read = Vec::with_capacity(all.len());
    for profile in all {
        read.push(within(&api, &caller, profile).await?);
    }
    Ok(axum::Json(wanted.page(read, |profile| profile.name.to_string(), Profile::from)))
}

/// Makes a profile
///
/// Nobody gives a right that they don't have themselves.
#[utoipa::path(post, path = "/v1/profiles", tag = "users", operation_id = "create_profile", request_body = NewProfile,
    responses((status = 201, description = "The profile", body = Profile, headers(("ETag" = String)))))]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
    Json(new): Json<NewProfile>,
) -> Result<Response, Problem> {
    Query::of(&uri).finish()?;
    require_everywhere(&caller).await?;
    let (name, new) = new.split();
    match api.access.create_profile(&caller, &name, new.into()).await {
        Ok(profile) => {
            let name = utf8_percent_encode(profile.name.as_str(), NON_ALPHANUMERIC);
            Ok(made(&format!("/v1/profiles/{name}"), shown(profile, StatusCode::CREATED)))
        }
        Err(error) => Err(told(&caller, error, None).await),
    }
}

/// Shows a profile
#[utoipa::path(get, path = "/v1/profiles/{profile}", tag = "users", operation_id = "get_profile",
    params(("profile" = String, Path, description = "Its name")),
    responses((status = 200, description = "The profile", body = Profile, headers(("ETag" = String)))))]
async fn get(State(api): State<Api>, Path(profile): Path<String>, caller: Caller) -> Result<Response, Problem> {
    let found = find(&api, &profile).await?;
    Ok(shown(within(&api, &caller, found).await?, StatusCode::OK))
}

/// Changes a profile that doesn't ship
///
/// What its holders may do changes with the next request.
#[utoipa::path(patch, path = "/v1/profiles/{profile}", tag = "users", operation_id = "change_profile",
    request_body = ProfileInput,
    params(("profile" = String, Path, description = "Its name"),
        ("If-Match" = Option<String>, Header, description = "The ETag that it must have")),
    responses((status = 200, description = "The profile as it is now", body = Profile, headers(("ETag" = String)))))]
async fn change(
    State(api): State<Api>,
    Path(profile): Path<String>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    Json(change): Json<ProfileInput>,
) -> Result<Response, Problem> {
    Query::of(&uri).finish()?;
    require_everywhere(&caller).await?;
    let expected = expected(&headers)?;
    let before = find(&api, &profile).await?;
    let name = before.name.clone();
    let change = ProfileChange { expected, ..change.into() };
    match api.access.change_profile(&caller, &name, change).await {
        Ok(profile) => {
            caller.note_changes(&Profile::from(before), &Profile::from(profile.clone()));
            Ok(shown(profile, StatusCode::OK))
        }
        Err(error) => Err(told(&caller, error, expected).await),
    }
}

/// Deletes a profile that doesn't ship; its holders lose what it gave
#[utoipa::path(delete, path = "/v1/profiles/{profile}", tag = "users", operation_id = "delete_profile",
    params(("profile" = String, Path, description = "Its name")),
    responses((status = 204, description = "It is gone")))]
async fn delete(State(api): State<Api>, Path(profile): Path<String>, caller: Caller) -> Result<StatusCode, Problem> {
    require_everywhere(&caller).await?;
    let name = find(&api, &profile).await?.name;
    match api.access.delete_profile(&caller, &name).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) => Err(told(&caller, error, None).await),
    }
}

/// Lists the scopes that tokens can have
#[utoipa::path(get, path = "/v1/scopes", tag = "users",
    responses((status = 200, description = "All scopes, on one page", body = Page<Scope>)))]
async fn scopes(State(api): State<Api>, uri: Uri) -> Result<axum::Json<Page<Scope>>, Problem> {
    Query::of(&uri).finish()?;
    Ok(axum::Json(Page { items: Scope::all(&api.access.scopes), next: None }))
}

/// Lists the rights that profiles can have, and what each lets one do
#[utoipa::path(get, path = "/v1/rights", tag = "users",
    responses((status = 200, description = "All rights, on one page", body = Page<RightShown>)))]
async fn rights(uri: Uri) -> Result<axum::Json<Page<RightShown>>, Problem> {
    Query::of(&uri).finish()?;
    Ok(axum::Json(Page { items: RightShown::all(), next: None }))
}
