//! Integrations over HTTP: made, looked at without their secrets, changed, deleted, tried out.

mod calls;
mod input;
mod parameters;

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::calls::CallSettings;
pub(super) use self::input::{Change, NewIntegration, given};
use self::input::{Uncertain, texts};
use self::parameters::Parameter;
use super::body::Json;
use super::caller::Caller;
use super::models::name;
use super::organizations::named;
use super::page::{Page, Wanted};
use super::problem::{Code, Fault, Problem};
use super::query::Query;
use super::revision::{expected, tagged};
use super::state::Api;
use super::time::Time;
use super::tokens::TokenStatus;
use crate::access::Right;
use crate::calls::guard;
use crate::integrations::{self, FieldFault, IntegrationError, Visible};
use crate::name::Name;
use crate::tokens::{Revocation, TokenKey};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, change, delete)).routes(routes!(test))
}

/// An integration, without its secrets.
#[derive(Debug, Serialize, ToSchema)]
struct Integration {
    /// Its name, which is its id.
    name: String,
    /// The organization that it belongs to.
    organization: String,
    /// The model that it was made from.
    model: String,
    /// The security scheme.
    scheme: String,
    /// The key in the scheme's `flows`, or its `scheme`, that the flow serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The flow.
    flow: String,
    /// The server's URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    /// Values by field name; of secrets, whether they are set.
    fields: BTreeMap<String, Shown>,
    /// What must be set before a token can be got.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<Fault>,
    /// Further security schemes that it serves, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    schemes: BTreeMap<String, Scheme>,
    /// What connections need below HTTP.
    transport: Transport,
    /// How its tokens are handled.
    settings: Settings,
    /// Extra parameters of its token requests beside those that the document declares.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parameters: Vec<Parameter>,
    /// How its token is, without the token.
    token: TokenStatus,
    /// How its service is, as the last calls have found it.
    service: ServiceState,
    /// When it was made.
    created_at: Time,
    /// When it was last changed.
    updated_at: Time,
    /// Grows with each change; the `ETag` has it too.
    revision: u64,
    /// Of a change: whether the token, and the secrets that weren't given anew, were dropped since they'd go elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<bool>,
}

/// How a service is. Kept in memory: forgotten with a start of the daemon, and with a change of the integration.
#[derive(Debug, Serialize, ToSchema)]
struct ServiceState {
    /// Of its circuit breaker: `closed` (it is called), `open` (it isn't) or `half_open` (the next call tries).
    state: &'static str,
    /// Failures in a row: no answer, or 5xx.
    failures: u32,
    /// When it is called again, where it isn't now: it failed too often, or said so itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at: Option<Time>,
    /// Calls under way.
    in_flight: u32,
}

impl From<guard::ServiceState> for ServiceState {
    fn from(state: guard::ServiceState) -> Self {
        let guard::ServiceState { state, failures, retry_at, in_flight } = state;
        Self { state, failures, retry_at: retry_at.map(Time::from), in_flight }
    }
}

/// A further security scheme of an integration.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BoundScheme)]
struct Scheme {
    /// The key in the scheme's `flows`, or its `scheme`, that the flow serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The flow.
    flow: String,
    /// Values by field name; of secrets, whether they are set.
    fields: BTreeMap<String, Shown>,
    /// What must be set before it can be used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<Fault>,
    /// How its token is, without the token.
    token: TokenStatus,
}

/// A field's value as it is shown.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Shown {
    /// The value.
    Value(String),
    /// Of a secret, never the value.
    Secret {
        /// Whether there is one.
        set: bool,
    },
}

/// What connections need below HTTP.
#[derive(Debug, Serialize, ToSchema)]
struct Transport {
    /// PEM certificates of the authorities to trust instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    /// The HTTP proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<String>,
    /// PEM certificate to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_certificate: Option<String>,
    /// Whether the private key of that certificate is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_key: Option<Shown>,
}

/// How an integration's tokens are handled.
#[derive(Debug, Serialize, ToSchema)]
struct Settings {
    /// Seconds that a token lives where the provider doesn't say.
    #[serde(skip_serializing_if = "Option::is_none")]
    default_lifetime: Option<u64>,
    /// What to do with a refresh token that was sent and got no complete answer.
    uncertain: Uncertain,
    /// How its service is called.
    calls: CallSettings,
}

/// An integration in a list.
#[derive(Debug, Serialize, ToSchema)]
struct IntegrationSummary {
    /// Its name, which is its id.
    name: String,
    /// The organization that it belongs to.
    organization: String,
    /// The model that it was made from.
    model: String,
    /// The security scheme.
    scheme: String,
    /// The flow.
    flow: String,
    /// When it was last changed.
    updated_at: Time,
}

/// Whether a token can be had.
#[derive(Debug, Serialize, ToSchema)]
struct Verdict {
    /// Whether it can.
    ok: bool,
    /// One line for people: the token's life, or what the provider said.
    line: String,
    /// The field to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The attempt that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<String>,
}

impl Integration {
    async fn of(api: &Api, integration: integrations::Integration, dropped: Option<bool>) -> Result<Self, Problem> {
        let token = api.tokens.status(&TokenKey::of(&integration.name)).await?.into();
        let missing = missing(api, &integration);
        let fields = shown(api, &integration);
        let mut schemes = BTreeMap::new();
        for bound in integration.bindings().skip(1) {
            let token = api.tokens.status(&TokenKey::for_scheme(&integration, &bound.scheme, "")).await?.into();
            let (fields, missing) = (shown(api, &bound), self::missing(api, &bound));
            schemes.insert(bound.scheme, Scheme { detail: bound.detail, flow: bound.flow, fields, missing, token });
        }
        let transport = integration.transport;
        let parameters = integration.settings.parameters.iter().map(Parameter::from).collect();
        Ok(Self {
            parameters,
            name: integration.name.to_string(),
            organization: integration.organization.to_string(),
            model: integration.model.to_string(),
            scheme: integration.scheme,
            detail: integration.detail,
            flow: integration.flow,
            server: integration.server.map(String::from),
            fields,
            missing,
            schemes,
            transport: Transport {
                ca: transport.ca,
                proxy: transport.proxy.map(String::from),
                client_certificate: transport.client_certificate,
                client_key: transport.client_key.map(|_| Shown::Secret { set: true }),
            },
            settings: Settings {
                default_lifetime: integration.settings.default_lifetime,
                uncertain: integration.settings.uncertain.into(),
                calls: integration.settings.calls.into(),
            },
            token,
            service: api.calls.guards.state(&integration.name).into(),
            created_at: integration.created_at.into(),
            updated_at: integration.updated_at.into(),
            revision: integration.revision,
            dropped,
        })
    }

    /// The answer, with the revision as its `ETag`.
    fn answer(self, status: StatusCode) -> Response {
        tagged(status, self.revision, &self)
    }
}

/// The fields of an integration's first scheme, as they are shown.
fn shown(api: &Api, integration: &integrations::Integration) -> BTreeMap<String, Shown> {
    let values = integration.values.iter().map(|(name, value)| (name.clone(), Shown::Value(value.clone())));
    let secrets = api.integrations.secret_inputs(integration).into_iter();
    values.chain(secrets.map(|(name, set)| (name, Shown::Secret { set }))).collect()
}

/// What must be set before a token can be got.
fn missing(api: &Api, integration: &integrations::Integration) -> Vec<Fault> {
    api.integrations.missing(integration).into_iter().map(Fault::from).collect()
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
            IntegrationError::Exists(_) => Self::new(Code::Exists, error.to_string()),
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

/// Lists the integrations, by name
#[utoipa::path(get, path = "/v1/integrations", tag = "integrations", params(super::Paging),
    responses((status = 200, description = "A page of integrations", body = Page<IntegrationSummary>)))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
) -> Result<axum::Json<Page<IntegrationSummary>>, Problem> {
    let wanted = Wanted::<Name>::of(&uri)?;
    let shown = |name: &Name, organization: &Name| caller.may_on(Right::ReadIntegrations, name, organization);
    let shown: Option<Visible<'_>> = if caller.may_everywhere(Right::ReadIntegrations) { None } else { Some(&shown) };
    let read = api.integrations.list(wanted.after.as_ref(), wanted.to_read(), shown).await?;
    Ok(axum::Json(wanted.page(
        read,
        |integration| integration.name.to_string(),
        |integration| IntegrationSummary {
            name: integration.name.to_string(),
            organization: integration.organization.to_string(),
            model: integration.model.to_string(),
            scheme: integration.scheme,
            flow: integration.flow,
            updated_at: integration.updated_at.into(),
        },
    )))
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
    let location = format!("/v1/integrations/{}", made.name);
    let made = Integration::of(&api, made, None).await?;
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
    let (Some(name), Some(model), []) = (name, model, faults.as_slice()) else {
        return Err(Problem::invalid(faults));
    };
    let of_model = api.models.organization_of(&model).await?;
    let of_model = of_model.ok_or_else(|| IntegrationError::ModelNotFound(model.clone()))?;
    caller.require_in(Right::ReadModels, &of_model).await?;
    caller.require_on(Right::WriteIntegrations, &name, organization.as_ref().unwrap_or(&of_model)).await?;
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
    Ok(if dry_run { integrations.try_create(new).await? } else { integrations.create(new).await? })
}

/// Shows an integration, without its secrets
#[utoipa::path(get, path = "/v1/integrations/{integration}", tag = "integrations",
    params(("integration" = String, Path, description = "Its name")),
    responses((status = 200, description = "The integration", body = Integration, headers(("ETag" = String)))))]
async fn get(State(api): State<Api>, Path(integration): Path<String>) -> Result<Response, Problem> {
    let read = api.integrations.read(&name(&integration, "integration")?).await?;
    Ok(Integration::of(&api, read, None).await?.answer(StatusCode::OK))
}

/// Changes an integration
///
/// Where its secrets would go elsewhere afterwards, those that aren't given anew are dropped, and its token.
#[utoipa::path(patch, path = "/v1/integrations/{integration}", tag = "integrations", request_body = Change,
    params(("integration" = String, Path, description = "Its name"),
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
    Query::of(&uri).finish()?;
    let name = name(&integration, "integration")?;
    let changed = alter(&api, &caller, &name, change, expected(&headers)?, false).await?;
    Ok(Integration::of(&api, changed.integration, Some(changed.dropped)).await?.answer(StatusCode::OK))
}

/// Changes an integration, which the caller may change as it is; in a dry run, finds out what that would come to.
pub(super) async fn alter(
    api: &Api,
    caller: &Caller,
    name: &Name,
    change: Change,
    expected: Option<u64>,
    dry_run: bool,
) -> Result<integrations::Changed, Problem> {
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
    Ok(axum::Json(Verdict { ok: verdict.ok, line: verdict.line, field: verdict.field, attempt }))
}
