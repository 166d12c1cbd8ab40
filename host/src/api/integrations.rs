//! Integrations over HTTP: made, looked at without their secrets, changed, deleted, tried out.

mod calls;
mod input;
mod parameters;
mod view;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::input::texts;
pub(super) use self::input::{Change, NewIntegration, given};
use self::view::{Integration, IntegrationSummary, With};
use super::body::Json;
use super::caller::Caller;
use super::changes;
use super::models::name;
use super::organizations::named;
use super::page::{Page, Wanted};
use super::problem::{Code, Fault, Problem};
use super::query::Query;
use super::revision::expected;
use super::state::Api;
use crate::access::Right;
use crate::integrations::{self, FieldFault, IntegrationError, Visible};
use crate::name::Name;
use crate::tokens::{self, Revocation};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, change, delete)).routes(routes!(test))
}

/// Whether a token can be had.
#[derive(Debug, Serialize, ToSchema)]
struct Verdict {
    /// Whether it can.
    ok: bool,
    /// One line for people: the token's life, or what the provider said and what to do about it.
    line: String,
    /// Why none can be had, without what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The field to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The command that changes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
    /// The attempt that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<String>,
}

impl From<FieldFault> for Fault {
    fn from(fault: FieldFault) -> Self {
        Self::new(fault.field, fault.code.as_str(), fault.message)
    }
}

impl From<IntegrationError> for Problem {
    fn from(error: IntegrationError) -> Self {
        match error {
            IntegrationError::NotFound(name) => Self::not_found("integration", name),
            IntegrationError::NotBound(..) => Self::new(Code::NotBound, error.to_string()),
            IntegrationError::Exists(_) => {
                let taken = Fault::new("name", "exists", error.to_string());
                Self::new(Code::Exists, error.to_string()).with_errors(vec![taken])
            }
            IntegrationError::Retargets(lost) => {
                let detail = IntegrationError::Retargets(Vec::new()).to_string();
                Self::new(Code::TargetChanged, detail).with_errors(lost.into_iter().map(Fault::from).collect())
            }
            IntegrationError::ModelNotFound(_) => {
                Self::invalid(vec![Fault::new("model", "unknown", error.to_string())])
            }
            IntegrationError::Invalid(faults) => Self::invalid(faults.into_iter().map(Fault::from).collect()),
            IntegrationError::Changed => Self::new(Code::Changed, error.to_string()),
            IntegrationError::Store(error) => error.into(),
            IntegrationError::Seal(error) => Self::internal(error),
        }
    }
}

/// Which integrations, and what is shown of them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used; `list` reads the parameters")]
struct Search {
    /// A part of the name
    q: Option<String>,
    /// Only those that are made from this model
    model: Option<String>,
    /// Only those whose first scheme this flow serves
    flow: Option<String>,
    /// What is shown besides, separated by commas: `token` (how its token is, and what is missing for one) and `attempts` (how the last
    /// 20 ended)
    with: Option<String>,
}

/// Lists the integrations, by name
#[utoipa::path(get, path = "/v1/integrations", tag = "integrations", params(super::Paging, Search),
    responses((status = 200, description = "A page of integrations", body = Page<IntegrationSummary>)))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
) -> Result<axum::Json<Page<IntegrationSummary>>, Problem> {
    let mut query = Query::of(&uri);
    let wanted = Wanted::<Name>::read(&mut query);
    let part = query.text("q").map(|part| part.to_lowercase());
    let (model, flow) = (query.text("model"), query.text("flow"));
    let with = query.choice("with", With::of_names, With::NAMES).unwrap_or_default();
    query.finish()?;
    let everything = caller.may_everywhere(Right::ReadIntegrations);
    let fits = |name: &Name| part.as_ref().is_none_or(|part| name.as_str().contains(part));
    let shown = |name: &Name, organization: &Name| {
        fits(name) && (everything || caller.may_on(Right::ReadIntegrations, name, organization))
    };
    let shown: Option<Visible<'_>> = if everything && part.is_none() { None } else { Some(&shown) };
    let page = if model.is_none() && flow.is_none() {
        let read = api.integrations.list(wanted.after.as_ref(), wanted.to_read(), shown).await?;
        wanted.page(read, |integration| integration.name.to_string(), |it| it)
    } else {
        let mut sieve = wanted.sieve();
        while sieve.is_open() {
            let read = api.integrations.list(sieve.after(), sieve.to_read(), shown).await?;
            let is_made_so = |integration: &integrations::IntegrationSummary| {
                model.as_deref().is_none_or(|model| integration.model.as_str() == model)
                    && flow.as_deref().is_none_or(|flow| integration.flow == flow)
            };
            sieve.add(read, |integration| integration.name.clone(), is_made_so);
        }
        sieve.page(|integration| integration.name.clone(), |it| it)
    };
    let mut items = Vec::with_capacity(page.items.len());
    for integration in page.items {
        let name = integration.name.clone();
        items.push(IntegrationSummary::from(integration).with(&api, &name, with).await?);
    }
    Ok(axum::Json(Page { items, next: page.next }))
}

/// Makes an integration
///
/// Everything that is missing or wrong is told in one answer.
#[utoipa::path(post, path = "/v1/integrations", tag = "integrations", request_body = NewIntegration,
    responses((status = 201, description = "The integration", body = Integration, headers(("ETag" = String)))))]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
    Json(new): Json<NewIntegration>,
) -> Result<Response, Problem> {
    Query::of(&uri).finish()?;
    let made = make(&api, &caller, new, false).await?;
    caller.note_details(changes::of_new(&made));
    let location = format!("/v1/integrations/{}", made.name);
    let made = Integration::of(&api, made, None).await?.seen_by(&caller);
    Ok(([(header::LOCATION, location)], made.answer(StatusCode::CREATED)).into_response())
}

/// Makes an integration, where the caller may; in a dry run, finds out whether it could be made.
pub(super) async fn make(
    api: &Api,
    caller: &Caller,
    new: NewIntegration,
    dry_run: bool,
) -> Result<integrations::Integration, Problem> {
    if new.transport.proxy.is_some() {
        caller.require(Right::SetProxy).await?;
    }
    let mut faults = Vec::new();
    let (name, model) = (named("name", &new.name, &mut faults), named("model", &new.model, &mut faults));
    let organization = new.organization.and_then(|organization| named("organization", &organization, &mut faults));
    let Some(model) = model else { return Err(Problem::invalid(faults)) };
    let of_model = api.models.organization_of(&model).await?;
    let Some(of_model) = of_model else {
        let unknown = IntegrationError::ModelNotFound(model);
        faults.push(Fault::new("model", "unknown", unknown.to_string()));
        return Err(Problem::invalid(faults));
    };
    caller.require_in(Right::ReadModels, &of_model).await?;
    let owner = organization.as_ref().unwrap_or(&of_model);
    // What else is wrong is told too, as if it had a name: to whoever may make integrations there.
    let is_named = faults.is_empty();
    let may = match &name {
        Some(name) => caller.may_on(Right::WriteIntegrations, name, owner),
        None => caller.may_in(Right::WriteIntegrations, owner),
    };
    if !is_named && !may {
        return Err(Problem::invalid(faults));
    }
    let name = name.unwrap_or_else(|| Name::known("unnamed"));
    if is_named {
        caller.require_on(Right::WriteIntegrations, &name, owner).await?;
    }
    let new = integrations::NewIntegration {
        name,
        organization,
        model,
        scheme: new.scheme,
        flow: new.flow,
        server: new.server,
        fields: texts(new.fields),
        further: new.schemes.into_iter().map(|(scheme, wanted)| (scheme, wanted.into())).collect(),
        transport: new.transport.into(),
        settings: new.settings.with_parameters(Some(new.parameters)),
    };
    let integrations = &api.integrations;
    if !is_named {
        if let Err(IntegrationError::Invalid(further)) = integrations.try_create(new).await {
            // Of a name that isn't the caller's nothing is told.
            faults.extend(further.into_iter().filter(|fault| fault.field != "name").map(Fault::from));
        }
        return Err(Problem::invalid(faults));
    }
    Ok(if dry_run { integrations.try_create(new).await? } else { integrations.create(new).await? })
}

/// Shows an integration, without its secrets
#[utoipa::path(get, path = "/v1/integrations/{integration}", tag = "integrations",
    params(("integration" = String, Path, description = "Its name")),
    responses((status = 200, description = "The integration", body = Integration, headers(("ETag" = String)))))]
async fn get(State(api): State<Api>, Path(integration): Path<String>, caller: Caller) -> Result<Response, Problem> {
    let read = api.integrations.read(&name(&integration, "integration")?).await?;
    Ok(Integration::of(&api, read, None).await?.seen_by(&caller).answer(StatusCode::OK))
}

/// Changes an integration
///
/// Where its secrets would go elsewhere afterwards, those that aren't given anew are dropped, and its token; with `drop=false` it
/// is refused as `target_changed` instead, and `errors` names each secret that would go.
#[utoipa::path(patch, path = "/v1/integrations/{integration}", tag = "integrations", request_body = Change,
    params(("integration" = String, Path, description = "Its name"),
        ("dry_run" = Option<bool>, Query, description = "Only say what it would come to"),
        ("drop" = Option<bool>, Query, description = "Whether secrets that would go elsewhere are dropped; true where left out"),
        ("If-Match" = Option<String>, Header, description = "The ETag that it must have")),
    responses((status = 200, description = "The integration as it is now", body = Integration, headers(("ETag" = String)))))]
async fn change(
    State(api): State<Api>,
    Path(integration): Path<String>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    Json(change): Json<Change>,
) -> Result<Response, Problem> {
    let mut query = Query::of(&uri);
    let dry_run = query.flag("dry_run");
    let drops = query.choice("drop", |text| text.parse().ok(), &["true", "false"]).unwrap_or(true);
    query.finish()?;
    let name = name(&integration, "integration")?;
    if dry_run {
        caller.note_dry_run();
    }
    let terms = Terms { expected: expected(&headers)?, keeps_target: !drops };
    let changed = alter(&api, &caller, &name, change, terms, dry_run).await?;
    caller.note_details(changes::of_integration(&changed.difference));
    if changed.dropped {
        caller.note_detail("dropped", "true");
    }
    let changed = Integration::of(&api, changed.integration, Some(changed.dropped)).await?;
    Ok(changed.seen_by(&caller).answer(StatusCode::OK))
}

/// On which terms an integration is changed.
#[derive(Clone, Copy, Default)]
pub(super) struct Terms {
    /// The revision that it must have.
    pub(super) expected: Option<u64>,
    /// Whether it is refused where secrets would go elsewhere.
    pub(super) keeps_target: bool,
}

/// Changes an integration, which the caller may change as it is; in a dry run, finds out what that would come to.
pub(super) async fn alter(
    api: &Api,
    caller: &Caller,
    name: &Name,
    change: Change,
    terms: Terms,
    dry_run: bool,
) -> Result<integrations::Changed, Problem> {
    let Terms { expected, keeps_target } = terms;
    if change.transport.proxy.is_some() {
        caller.require(Right::SetProxy).await?;
    }
    let organization = change.organization.map(|organization| organization.parse::<Name>()).transpose();
    let organization = organization
        .map_err(|error| Problem::invalid(vec![Fault::new("organization", "malformed", error.to_string())]))?;
    if let Some(organization) = &organization {
        caller.require_in(Right::WriteIntegrations, organization).await?;
    }
    let change = integrations::Change {
        organization,
        server: change.server,
        fields: texts(change.fields),
        further: change.schemes.into_iter().map(|(scheme, wanted)| (scheme, wanted.map(Into::into))).collect(),
        transport: change.transport.into(),
        settings: change.settings.with_parameters(change.parameters),
        expected,
        keeps_target,
    };
    let integrations = &api.integrations;
    let changed = match dry_run {
        true => integrations.try_change(name, change).await,
        false => integrations.change(name, change).await,
    };
    changed.map_err(|error| match error {
        IntegrationError::Changed if expected.is_some() => Problem::new(Code::PreconditionFailed, error.to_string()),
        error => error.into(),
    })
}

/// What came of the tokens of a deleted integration at their provider.
#[derive(Debug, Serialize, ToSchema)]
struct Deleted {
    /// How many the provider has ended (RFC 7009).
    revoked: usize,
    /// Why the provider may still take one.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_revoked: Option<String>,
}

/// Deletes an integration, its secrets and its tokens
///
/// Where its flow can, the tokens are revoked at the provider first, which takes 10 s at most. `revoke=false` leaves that out.
#[utoipa::path(delete, path = "/v1/integrations/{integration}", tag = "integrations",
    params(("integration" = String, Path, description = "Its name"),
        ("revoke" = Option<bool>, Query, description = "Whether its tokens are revoked at the provider; true where left out")),
    responses((status = 200, description = "It is gone; what came of its tokens at the provider", body = Deleted),
        (status = 204, description = "It is gone; there was nothing to revoke")))]
async fn delete(
    State(api): State<Api>,
    Path(integration): Path<String>,
    uri: Uri,
    caller: Caller,
) -> Result<Response, Problem> {
    let mut query = Query::of(&uri);
    let revoke = query.choice("revoke", |text| text.parse().ok(), &["true", "false"]).unwrap_or(true);
    query.finish()?;
    let name = name(&integration, "integration")?;
    let revocation = if revoke { api.tokens.revoke(&name).await? } else { Revocation::None };
    api.integrations.delete(&name).await?;
    // The integration is gone and its tokens are void whatever comes now; what is left of them only takes space.
    if let Err(error) = api.tokens.purge(&name).await {
        tracing::warn!(integration = %name, "what was kept of the tokens of a deleted integration stays for now: {error}");
    }
    let deleted = match revocation {
        Revocation::None => return Ok(StatusCode::NO_CONTENT.into_response()),
        Revocation::Done(revoked) => {
            caller.note_detail("revoked", revoked.to_string());
            Deleted { revoked, not_revoked: None }
        }
        Revocation::Failed(why) => {
            tracing::warn!(integration = %name, why, "a token of a deleted integration was not revoked");
            caller.note_detail("not_revoked", why.clone());
            Deleted { revoked: 0, not_revoked: Some(why) }
        }
    };
    Ok(axum::Json(deleted).into_response())
}

/// Finds out by an attempt whether a token can be had, and says so in one line
#[utoipa::path(post, path = "/v1/integrations/{integration}/test", tag = "integrations",
    params(("integration" = String, Path, description = "Its name")),
    responses((status = 200, description = "Whether a token can be had", body = Verdict)))]
async fn test(State(api): State<Api>, Path(integration): Path<String>) -> Result<axum::Json<Verdict>, Problem> {
    let verdict = api.tokens.test(&name(&integration, "integration")?).await?;
    let attempt = verdict.attempt.map(|attempt| attempt.to_string());
    let tokens::Verdict { ok, line, message, field, remedy, .. } = verdict;
    Ok(axum::Json(Verdict { ok, line, message, field, remedy, attempt }))
}
