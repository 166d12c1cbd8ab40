//! Organizations over HTTP: made, looked at, moved, deleted.
//!
//! Who is limited to some sees and changes these and what is part of them, and puts nothing elsewhere.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::Json;
use super::caller::Caller;
use super::integrations::given;
use super::models::name;
use super::page::{Page, Wanted};
use super::problem::{Code, Fault, Problem};
use super::query::Query;
use super::revision::{expected, tagged};
use super::state::Api;
use super::time::Time;
use crate::access::{Principal, Reason};
use crate::name::{Name, NameError};
use crate::organizations::{self, OrganizationError};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, change, delete))
}

/// An organization.
#[derive(Debug, Serialize, ToSchema)]
struct Organization {
    /// Its name, which is its id.
    name: String,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// The organization that it is a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    /// The source that keeps it in step.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// When it was made.
    created_at: Time,
    /// When it was last changed.
    updated_at: Time,
    /// Grows with each change; the `ETag` has it too.
    revision: u64,
}

/// What a new organization is made from.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOrganization {
    /// Its name, which is its id: 1 to 64 of `a-z`, `0-9`, `-`, `_` and `.`.
    name: String,
    /// What people call it.
    title: Option<String>,
    /// The organization that it is a part of.
    parent: Option<String>,
}

/// What of an organization is to change; what is left out stays, and null unsets.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrganizationChange {
    /// What people call it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    title: Option<Option<String>>,
    /// The organization that it is a part of.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    parent: Option<Option<String>>,
}

impl From<organizations::Organization> for Organization {
    fn from(organization: organizations::Organization) -> Self {
        Self {
            name: organization.name.to_string(),
            title: organization.title,
            parent: organization.parent.map(String::from),
            source: organization.source.map(String::from),
            created_at: organization.created_at.into(),
            updated_at: organization.updated_at.into(),
            revision: organization.revision,
        }
    }
}

impl Organization {
    /// The answer, with the revision as its `ETag`.
    fn answer(self, status: StatusCode) -> Response {
        tagged(status, self.revision, &self)
    }
}

impl From<OrganizationError> for Problem {
    fn from(error: OrganizationError) -> Self {
        match error {
            OrganizationError::NotFound(name) => Self::not_found("organization", name),
            OrganizationError::Exists(_) => Self::new(Code::Exists, error.to_string()),
            OrganizationError::TooMany => Self::invalid(vec![Fault::new("name", "not_allowed", error.to_string())]),
            OrganizationError::Invalid(faults) => {
                let fault = |fault: &organizations::OrganizationFault| {
                    Fault::new(fault.field(), fault.code(), fault.to_string())
                };
                Self::invalid(faults.iter().map(fault).collect())
            }
            OrganizationError::Default | OrganizationError::HasChildren(_) | OrganizationError::InUse(_) => {
                Self::new(Code::InUse, error.to_string())
            }
            OrganizationError::Changed => Self::new(Code::Changed, error.to_string()),
            OrganizationError::Store(error) => error.into(),
        }
    }
}

/// A name in a body or a query; what is none is a fault.
pub(super) fn named(field: &'static str, text: &str, faults: &mut Vec<Fault>) -> Option<Name> {
    let malformed = |error: &NameError| faults.push(Fault::new(field, "malformed", error.to_string()));
    text.parse().inspect_err(malformed).ok()
}

/// Refuses callers who don't see the organization. What isn't there looks the same to them.
async fn require_sight(caller: &Caller, organization: &Name) -> Result<(), Problem> {
    if caller.sees(organization) {
        return Ok(());
    }
    Err(caller.refuse(Reason::OrganizationNotAllowed, organization.as_str()).await)
}

/// Whether the caller may put an organization below this one; none: at the top, for those who see everything.
fn may_place(caller: &Principal, parent: Option<&Name>) -> bool {
    caller.reach().is_none() || parent.is_some_and(|parent| caller.sees(parent))
}

/// Refuses callers who would put an organization where they see nothing.
async fn require_place(caller: &Caller, parent: Option<&Name>) -> Result<(), Problem> {
    if may_place(caller, parent) {
        return Ok(());
    }
    Err(caller.refuse(Reason::OrganizationNotAllowed, parent.map_or("at the top", Name::as_str)).await)
}

/// The same for a row among many: refuses an organization, or a place for it, that the caller doesn't see. What isn't there
/// counts as seen: whether it may be made depends on its parent.
pub(super) fn check_reach(
    caller: &Principal,
    organization: Option<&Name>,
    parent: Option<Option<&Name>>,
) -> Result<(), Problem> {
    let is_seen = organization.is_none_or(|organization| caller.sees(organization));
    if is_seen && parent.is_none_or(|parent| may_place(caller, parent)) {
        return Ok(());
    }
    let detail = "it is outside your allowed organizations; name a parent that is one of them, or part of one";
    Err(Problem::new(Code::Forbidden, detail))
}

/// Lists the organizations, by name
#[utoipa::path(get, path = "/v1/organizations", tag = "organizations", params(super::Paging),
    responses((status = 200, description = "A page of organizations", body = Page<Organization>)))]
async fn list(State(api): State<Api>, caller: Caller, uri: Uri) -> Result<axum::Json<Page<Organization>>, Problem> {
    let wanted = Wanted::<Name>::of(&uri)?;
    let mut sieve = wanted.sieve();
    while sieve.is_open() {
        let read = api.organizations.list(sieve.after(), sieve.to_read()).await?;
        sieve.add(read, |organization| organization.name.clone(), |organization| caller.sees(&organization.name));
    }
    Ok(axum::Json(sieve.page(|organization| organization.name.clone(), Organization::from)))
}

/// Makes an organization
#[utoipa::path(post, path = "/v1/organizations", tag = "organizations", request_body = NewOrganization,
    responses((status = 201, description = "The organization", body = Organization, headers(("ETag" = String)))))]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
    Json(new): Json<NewOrganization>,
) -> Result<Response, Problem> {
    Query::of(&uri).finish()?;
    let mut faults = Vec::new();
    let name = named("name", &new.name, &mut faults);
    let parent = new.parent.and_then(|parent| named("parent", &parent, &mut faults));
    let Some(name) = name.filter(|_| faults.is_empty()) else { return Err(Problem::invalid(faults)) };
    require_place(&caller, parent.as_ref()).await?;
    let location = format!("/v1/organizations/{name}");
    let made = api
        .organizations
        .create(organizations::NewOrganization { name, title: new.title, parent, source: None })
        .await?;
    Ok(([(header::LOCATION, location)], Organization::from(made).answer(StatusCode::CREATED)).into_response())
}

/// Shows an organization
#[utoipa::path(get, path = "/v1/organizations/{organization}", tag = "organizations",
    params(("organization" = String, Path, description = "Its name")),
    responses((status = 200, description = "The organization", body = Organization, headers(("ETag" = String)))))]
async fn get(State(api): State<Api>, Path(organization): Path<String>, caller: Caller) -> Result<Response, Problem> {
    let name = name(&organization, "organization")?;
    require_sight(&caller, &name).await?;
    let read = api.organizations.read(&name).await?;
    Ok(Organization::from(read).answer(StatusCode::OK))
}

/// Changes an organization
///
/// Who may see an organization may see all that are part of it: another parent changes who may see this one, at once.
#[utoipa::path(patch, path = "/v1/organizations/{organization}", tag = "organizations", request_body = OrganizationChange,
    params(("organization" = String, Path, description = "Its name"),
        ("If-Match" = Option<String>, Header, description = "The ETag that it must have")),
    responses((status = 200, description = "The organization as it is now", body = Organization, headers(("ETag" = String)))))]
async fn change(
    State(api): State<Api>,
    Path(organization): Path<String>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    Json(change): Json<OrganizationChange>,
) -> Result<Response, Problem> {
    Query::of(&uri).finish()?;
    let organization = name(&organization, "organization")?;
    require_sight(&caller, &organization).await?;
    let expected = expected(&headers)?;
    let mut faults = Vec::new();
    let parent = change.parent.map(|parent| parent.and_then(|parent| named("parent", &parent, &mut faults)));
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    if let Some(parent) = &parent {
        require_place(&caller, parent.as_ref()).await?;
    }
    let before = api.organizations.read(&organization).await.ok();
    let change = organizations::Change { title: change.title, parent, expected };
    let changed = api.organizations.change(&organization, change).await.map_err(|error| match error {
        OrganizationError::Changed if expected.is_some() => Problem::new(Code::PreconditionFailed, error.to_string()),
        error => error.into(),
    })?;
    let changed = Organization::from(changed);
    if let Some(before) = before {
        caller.note_changes(&Organization::from(before), &changed);
    }
    Ok(changed.answer(StatusCode::OK))
}

/// Deletes an organization that nothing belongs to and no other is a part of
#[utoipa::path(delete, path = "/v1/organizations/{organization}", tag = "organizations",
    params(("organization" = String, Path, description = "Its name")),
    responses((status = 204, description = "It is gone")))]
async fn delete(
    State(api): State<Api>,
    Path(organization): Path<String>,
    caller: Caller,
) -> Result<StatusCode, Problem> {
    let name = name(&organization, "organization")?;
    require_sight(&caller, &name).await?;
    api.organizations.delete(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}
