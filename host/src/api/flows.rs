//! Flow plugins over HTTP: what they say of themselves; install, roll back, remove.

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body;
use super::caller::Caller;
use super::models::name;
use super::page::{Page, Wanted};
use super::problem::{Code, Problem};
use super::query::Query;
use super::shelf::ShelfError;
use super::state::Api;
use crate::flows::component::SIZE_LIMIT;
use crate::flows::description::{self, FieldKind, Requirement, SchemeMatch};
use crate::flows::{Flow as _, Plugin};
use crate::name::Name;

/// Integrations named where a flow can't be removed because of them.
const NAMED_USES: usize = 10;

/// Integrations looked at in one read.
const READ_AT_ONCE: usize = 1000;

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, install)).routes(routes!(get, remove)).routes(routes!(roll_back))
}

/// A flow plugin.
#[derive(Debug, Serialize, ToSchema)]
struct Flow {
    /// Its name, which is its id.
    name: String,
    /// Its own version.
    version: String,
    /// Its name for people.
    title: String,
    /// When to choose it.
    summary: String,
    /// The component's SHA-256, in hexadecimal.
    sha256: String,
    /// The version of the contract that it implements.
    contract: String,
    /// Whether it can acquire a token without a person.
    unattended: bool,
    /// The schemes that it can serve.
    handles: Vec<Handled>,
    /// What it asks for, in the order of a form.
    fields: Vec<Field>,
}

/// A scheme that a flow can serve.
#[derive(Debug, Serialize, ToSchema)]
struct Handled {
    /// The scheme's `type`, or `named`: only where a document picks the flow by name.
    kind: String,
    /// The key in `flows`, or the `scheme` of `http`.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// One input that a flow asks for.
#[derive(Debug, Serialize, ToSchema)]
struct Field {
    /// Its name.
    name: String,
    /// The label for people.
    title: String,
    /// One or two sentences for people.
    help: String,
    /// `text`, `secret`, `url`, `metadata_url`, `choice`, `flag` or `words`.
    kind: &'static str,
    /// Of a choice: what can be chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    choices: Option<Vec<String>>,
    /// When it must be set.
    required: Required,
    /// The value where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<String>,
    /// Where the scheme's flow object has the first value.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
}

/// When a field must be set.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Required {
    /// In every integration.
    Always,
    /// It may stay unset.
    Never,
    /// While another field has one of these values.
    When {
        /// The other field.
        field: String,
        /// Its values.
        one_of: Vec<String>,
    },
}

impl From<&Plugin> for Flow {
    fn from(plugin: &Plugin) -> Self {
        let description = plugin.description().clone();
        let handled = |scheme: SchemeMatch| Handled { kind: scheme.kind, detail: scheme.detail };
        Self {
            name: description.name,
            version: description.version,
            title: description.title,
            summary: description.summary,
            sha256: plugin.digest().to_owned(),
            contract: plugin.contract().to_owned(),
            unattended: description.unattended,
            handles: description.handles.into_iter().map(handled).collect(),
            fields: description.fields.into_iter().map(Field::from).collect(),
        }
    }
}

impl From<description::Field> for Field {
    fn from(field: description::Field) -> Self {
        let (kind, choices) = match field.kind {
            FieldKind::Text => ("text", None),
            FieldKind::Secret => ("secret", None),
            FieldKind::Url => ("url", None),
            FieldKind::MetadataUrl => ("metadata_url", None),
            FieldKind::Choice(choices) => ("choice", Some(choices)),
            FieldKind::Flag => ("flag", None),
            FieldKind::Words => ("words", None),
        };
        Self {
            name: field.name,
            title: field.title,
            help: field.help,
            kind,
            choices,
            required: match field.required {
                Requirement::Always => Required::Always,
                Requirement::Never => Required::Never,
                Requirement::When(condition) => Required::When { field: condition.field, one_of: condition.one_of },
            },
            default: field.default,
            source: field.source,
        }
    }
}

impl From<ShelfError> for Problem {
    fn from(error: ShelfError) -> Self {
        match error {
            ShelfError::Load(_) | ShelfError::Name(_) => Self::new(Code::FlowInvalid, error.to_string()),
            ShelfError::NotInstalled(_) | ShelfError::NoForerunner(_) => Self::new(Code::NotFound, error.to_string()),
            ShelfError::Disk(_) => Self::internal(error),
        }
    }
}

/// Lists the flows, by name
#[utoipa::path(get, path = "/v1/flows", tag = "flows", params(super::Paging),
    responses((status = 200, description = "A page of flows", body = Page<Flow>)))]
async fn list(State(api): State<Api>, uri: Uri) -> Result<axum::Json<Page<Flow>>, Problem> {
    let wanted = Wanted::<String>::of(&uri)?;
    let after = wanted.after.as_deref().unwrap_or_default();
    let flows = api.flows.list().into_iter().filter(|flow| flow.description().name.as_str() > after);
    let read = flows.take(wanted.to_read()).collect();
    Ok(axum::Json(wanted.page(read, |flow| flow.description().name.clone(), |flow| Flow::from(&*flow))))
}

/// Installs a component as a flow, or as another version of one
///
/// Attempts under way end with the version that they began with.
#[utoipa::path(post, path = "/v1/flows", tag = "flows",
    request_body(content(([u8] = "application/wasm"))),
    responses((status = 201, description = "The flow", body = Flow)))]
async fn install(
    State(api): State<Api>,
    caller: Caller,
    request: Request,
) -> Result<(StatusCode, axum::Json<Flow>), Problem> {
    caller.require_all("flows are everyone's").await?;
    Query::of(request.uri()).finish()?;
    if !matches!(body::media_type(request.headers()).as_str(), "application/wasm" | "application/octet-stream") {
        return Err(Problem::new(Code::UnsupportedMediaType, "send the component as application/wasm"));
    }
    let _permit = api.large.acquire().await.map_err(Problem::internal)?;
    let bytes = body::read(request.into_body(), SIZE_LIMIT).await?;
    let installed = api.shelf.install(&api.flows, bytes).await?;
    tracing::info!(flow = installed.identity(), "flow installed");
    Ok((StatusCode::CREATED, axum::Json(Flow::from(&*installed))))
}

/// Shows a flow
#[utoipa::path(get, path = "/v1/flows/{flow}", tag = "flows", params(("flow" = String, Path, description = "Its name")),
    responses((status = 200, description = "The flow", body = Flow)))]
async fn get(State(api): State<Api>, Path(flow): Path<String>) -> Result<axum::Json<Flow>, Problem> {
    let flow = name(&flow, "flow")?;
    let plugin = api.flows.plugin(flow.as_str()).ok_or_else(|| Problem::not_found("flow", &flow))?;
    Ok(axum::Json(Flow::from(&*plugin)))
}

/// Serves the component again that an installed one replaced
#[utoipa::path(post, path = "/v1/flows/{flow}/rollback", tag = "flows", params(("flow" = String, Path, description = "Its name")),
    responses((status = 200, description = "The flow as it is now", body = Flow)))]
async fn roll_back(
    State(api): State<Api>,
    Path(flow): Path<String>,
    caller: Caller,
) -> Result<axum::Json<Flow>, Problem> {
    caller.require_all("flows are everyone's").await?;
    let plugin = api.shelf.roll_back(&api.flows, &name(&flow, "flow")?).await?;
    tracing::info!(flow = plugin.identity(), "flow rolled back");
    Ok(axum::Json(Flow::from(&*plugin)))
}

/// Removes an installed flow that no integration uses
///
/// Where a flow of the same name ships, that one is served again.
#[utoipa::path(delete, path = "/v1/flows/{flow}", tag = "flows", params(("flow" = String, Path, description = "Its name")),
    responses((status = 204, description = "It is gone")))]
async fn remove(State(api): State<Api>, Path(flow): Path<String>, caller: Caller) -> Result<StatusCode, Problem> {
    caller.require_all("flows are everyone's").await?;
    let flow = name(&flow, "flow")?;
    if api.flows.plugin(flow.as_str()).is_none() {
        return Err(Problem::not_found("flow", &flow));
    }
    if api.shelf.shipped(&api.flows, &flow).await.is_none() {
        let uses = uses(&api, &flow).await?;
        if !uses.is_empty() {
            return Err(Problem::new(Code::InUse, format!("integrations use flow {flow}: {}", uses.join(", "))));
        }
    }
    api.shelf.remove(&api.flows, &flow).await?;
    tracing::info!(%flow, "flow removed");
    Ok(StatusCode::NO_CONTENT)
}

/// Some integrations that use a flow.
async fn uses(api: &Api, flow: &Name) -> Result<Vec<String>, Problem> {
    let mut uses = Vec::new();
    let mut after: Option<Name> = None;
    while uses.len() < NAMED_USES {
        let read = api.integrations.list(after.as_ref(), READ_AT_ONCE, None).await?;
        let users = read.iter().filter(|integration| integration.flow == flow.as_str());
        uses.extend(users.map(|integration| integration.name.to_string()));
        if read.len() < READ_AT_ONCE {
            break;
        }
        after = read.into_iter().next_back().map(|integration| integration.name);
    }
    uses.truncate(NAMED_USES);
    Ok(uses)
}
