//! Flow plugins over HTTP: what they say of themselves; install, upgrade, roll back, remove. What else is decided about them is in
//! `rules`, whom to trust in `publishers`.

mod publishers;
mod rules;
mod view;

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri};
use bytes::Bytes;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::view::{Flow, Upgrade};
use super::body;
use super::caller::Caller;
use super::models::name;
use super::page::{Page, Wanted};
use super::problem::{Code, Problem};
use super::query::Query;
use super::state::Api;
use crate::flows::Flow as _;
use crate::flows::component::SIZE_LIMIT;
use crate::name::Name;
use crate::shelf::{self, ShelfError};

/// Integrations named where a flow can't be removed because of them.
const NAMED_USES: usize = 10;

/// Integrations looked at in one read.
const READ_AT_ONCE: usize = 1000;

/// Integrations that an upgrade looks into.
const LOOKED_INTO: usize = 10_000;

/// What a package may have beside its component.
const AROUND: usize = 256 << 10;

/// The media types of components and packages; which it is, the bytes say.
const MEDIA_TYPES: [&str; 4] =
    ["application/wasm", "application/octet-stream", "application/gzip", "application/vnd.tokenhost.flow"];

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, install))
        .routes(routes!(get, remove, rules::change))
        .routes(routes!(upgrade))
        .routes(routes!(roll_back))
        .routes(routes!(rules::release))
        .routes(routes!(rules::reveal, rules::conceal))
        .merge(publishers::routes())
}

impl From<ShelfError> for Problem {
    fn from(error: ShelfError) -> Self {
        use ShelfError as Error;
        let code = match &error {
            Error::Load(_)
            | Error::Name(_)
            | Error::Package(_)
            | Error::Mislabelled { .. }
            | Error::OtherFlow { .. } => Code::FlowInvalid,
            Error::Unsigned | Error::Untrusted(_) | Error::OtherPublisher { .. } => Code::FlowUntrusted,
            Error::Installed(_) | Error::PublisherExists(_) => Code::Exists,
            Error::NothingToUpgrade(_)
            | Error::NotFound(_)
            | Error::NotInstalled(_)
            | Error::NoForerunner(_)
            | Error::NotRevealed { .. }
            | Error::NoPublisher(_) => Code::NotFound,
            Error::Changed(_) | Error::NotServed(..) => Code::FlowChanged,
            Error::NotQuarantined(_) => Code::NotQuarantined,
            Error::Key(_) => Code::Invalid,
            Error::Disk(_) => return Self::internal(error),
            Error::Store(_) => {
                let Error::Store(error) = error else { return Self::internal(error) };
                return error.into();
            }
        };
        Self::new(code, error.to_string())
    }
}

/// The name of a caller, as records keep it.
fn label(caller: &Caller) -> String {
    let actor = caller.actor();
    format!("{}/{}", actor.kind.as_str(), actor.name)
}

/// A flow as it stands.
fn shown(api: &Api, name: &Name) -> Result<axum::Json<Flow>, Problem> {
    let standing = api.shelf.standing(name.as_str()).ok_or_else(|| Problem::not_found("flow", name))?;
    Ok(axum::Json(Flow::from(&standing)))
}

/// The package or component in a request.
async fn component(request: Request) -> Result<Bytes, Problem> {
    if !MEDIA_TYPES.contains(&body::media_type(request.headers()).as_str()) {
        return Err(Problem::new(
            Code::UnsupportedMediaType,
            "send a package as application/vnd.tokenhost.flow, or a component as application/wasm",
        ));
    }
    body::read(request.into_body(), SIZE_LIMIT + AROUND).await
}

/// Lists the flows, by name
///
/// Those that ship, those that were installed, and those of the latter that can't be served.
#[utoipa::path(get, path = "/v1/flows", tag = "flows", params(super::Paging),
    responses((status = 200, description = "A page of flows", body = Page<Flow>)))]
async fn list(State(api): State<Api>, uri: Uri) -> Result<axum::Json<Page<Flow>>, Problem> {
    let wanted = Wanted::<String>::of(&uri)?;
    let after = wanted.after.as_deref().unwrap_or_default();
    let flows = api.shelf.list().into_iter().filter(|flow| flow.name.as_str() > after);
    let read = flows.take(wanted.to_read()).collect();
    Ok(axum::Json(wanted.page(read, |flow| flow.name.clone(), |flow| Flow::from(&flow))))
}

/// The bytes of a component or package.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "only its description is used")]
struct Component(Vec<u8>);

/// Installs a package, or a component, as a new flow
///
/// A package must be signed by a trusted publisher.
#[utoipa::path(post, path = "/v1/flows", tag = "flows",
    params(("allow_unsigned" = Option<bool>, Query, description = "Take a component that no trusted publisher signed")),
    request_body(content((Component = "application/wasm"), (Component = "application/vnd.tokenhost.flow"))),
    responses((status = 201, description = "The flow", body = Flow)))]
async fn install(
    State(api): State<Api>,
    caller: Caller,
    request: Request,
) -> Result<(StatusCode, axum::Json<Flow>), Problem> {
    caller.require_all("flows are everyone's").await?;
    let mut query = Query::of(request.uri());
    let unsigned = query.flag("allow_unsigned");
    query.finish()?;
    let terms = shelf::Terms { unsigned, publisher_change: false, by: label(&caller) };
    note_terms(&caller, &terms);
    let _permit = api.large.acquire().await.map_err(Problem::internal)?;
    let installed = api.shelf.install(component(request).await?, &terms).await?;
    let name: Name = installed.description().name.parse().map_err(Problem::internal)?;
    caller.note_object(format!("flows/{name}"));
    caller.note_detail("sha256", installed.digest());
    tracing::info!(flow = installed.identity(), unsigned, "flow installed");
    Ok((StatusCode::CREATED, shown(&api, &name)?))
}

/// Has the audit log say what was allowed.
fn note_terms(caller: &Caller, terms: &shelf::Terms) {
    if terms.unsigned {
        caller.note_detail("allow_unsigned", "true");
    }
    if terms.publisher_change {
        caller.note_detail("allow_publisher_change", "true");
    }
}

/// Replaces a flow's component by another one, or says what that would change
///
/// Attempts under way end with the component that they began with. It lifts a quarantine.
#[utoipa::path(post, path = "/v1/flows/{flow}/upgrade", tag = "flows",
    params(("flow" = String, Path, description = "Its name"),
        ("dry_run" = Option<bool>, Query, description = "Only say what it changes"),
        ("allow_unsigned" = Option<bool>, Query, description = "Take a component that no trusted publisher signed"),
        ("allow_publisher_change" = Option<bool>, Query, description = "Take a component from another publisher than the present one's")),
    request_body(content((Component = "application/wasm"), (Component = "application/vnd.tokenhost.flow"))),
    responses((status = 200, description = "What it changes, or changed", body = Upgrade)))]
async fn upgrade(
    State(api): State<Api>,
    Path(flow): Path<String>,
    caller: Caller,
    request: Request,
) -> Result<axum::Json<Upgrade>, Problem> {
    caller.require_all("flows are everyone's").await?;
    let mut query = Query::of(request.uri());
    let dry_run = query.flag("dry_run");
    let (unsigned, publisher_change) = (query.flag("allow_unsigned"), query.flag("allow_publisher_change"));
    query.finish()?;
    if dry_run {
        caller.note_dry_run();
    }
    let terms = shelf::Terms { unsigned, publisher_change, by: label(&caller) };
    note_terms(&caller, &terms);
    let flow = name(&flow, "flow")?;
    let _permit = api.large.acquire().await.map_err(Problem::internal)?;
    let prepared = api.shelf.prepare(&flow, component(request).await?, &terms).await?;
    let mut answer = Upgrade::from(&prepared.difference);
    let affected = uses(&api, &flow, LOOKED_INTO).await?;
    for name in &affected {
        let Ok(integration) = api.integrations.read(name).await else { continue };
        let missing = api.integrations.missing_for(&integration, &**prepared.plugin());
        if !missing.is_empty() {
            let fields =
                missing.into_iter().map(|fault| fault.field.trim_start_matches("fields.").to_owned()).collect();
            answer.incomplete.insert(name.to_string(), fields);
        }
    }
    answer.integrations = affected.iter().map(Name::to_string).collect();
    caller.note_detail("sha256", prepared.difference.to.sha256.clone());
    if dry_run {
        return Ok(axum::Json(answer));
    }
    let plugin = api.shelf.upgrade(prepared, &terms).await?;
    tracing::info!(flow = plugin.identity(), unsigned, "flow upgraded");
    answer.done = true;
    Ok(axum::Json(answer))
}

/// Shows a flow
#[utoipa::path(get, path = "/v1/flows/{flow}", tag = "flows", params(("flow" = String, Path, description = "Its name")),
    responses((status = 200, description = "The flow", body = Flow)))]
async fn get(State(api): State<Api>, Path(flow): Path<String>) -> Result<axum::Json<Flow>, Problem> {
    shown(&api, &name(&flow, "flow")?)
}

/// Serves an earlier component again
///
/// The one that was installed before the present one, or the one that `to` names. It lifts a quarantine.
#[utoipa::path(post, path = "/v1/flows/{flow}/rollback", tag = "flows",
    params(("flow" = String, Path, description = "Its name"),
        ("to" = Option<String>, Query, description = "The beginning of a component's SHA-256, 8 digits or more")),
    responses((status = 200, description = "The flow as it is now", body = Flow)))]
async fn roll_back(
    State(api): State<Api>,
    Path(flow): Path<String>,
    caller: Caller,
    uri: Uri,
) -> Result<axum::Json<Flow>, Problem> {
    caller.require_all("flows are everyone's").await?;
    let mut query = Query::of(&uri);
    let to = query.text("to").map(|to| to.to_ascii_lowercase());
    if to.as_ref().is_some_and(|to| to.len() < 8 || !to.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        query.fault("to", "must be at least 8 hexadecimal digits");
    }
    query.finish()?;
    let flow = name(&flow, "flow")?;
    let plugin = api.shelf.roll_back(&flow, to.as_deref()).await?;
    caller.note_detail("sha256", plugin.digest());
    tracing::info!(flow = plugin.identity(), "flow rolled back");
    shown(&api, &flow)
}

/// Removes an installed flow that no integration uses
///
/// Where a flow of the same name ships, that one is served again. What was decided about the flow goes with it.
#[utoipa::path(delete, path = "/v1/flows/{flow}", tag = "flows", params(("flow" = String, Path, description = "Its name")),
    responses((status = 204, description = "It is gone")))]
async fn remove(State(api): State<Api>, Path(flow): Path<String>, caller: Caller) -> Result<StatusCode, Problem> {
    caller.require_all("flows are everyone's").await?;
    let flow = name(&flow, "flow")?;
    if api.shelf.standing(flow.as_str()).is_none() {
        return Err(Problem::not_found("flow", &flow));
    }
    if api.shelf.shipped(flow.as_str()).is_none() {
        let uses = uses(&api, &flow, NAMED_USES).await?;
        if !uses.is_empty() {
            let uses: Vec<&str> = uses.iter().map(Name::as_str).collect();
            return Err(Problem::new(Code::InUse, format!("integrations use flow {flow}: {}", uses.join(", "))));
        }
    }
    api.shelf.remove(&flow).await?;
    tracing::info!(%flow, "flow removed");
    Ok(StatusCode::NO_CONTENT)
}

/// Some integrations that use a flow, at most so many.
async fn uses(api: &Api, flow: &Name, most: usize) -> Result<Vec<Name>, Problem> {
    let mut uses = Vec::new();
    let mut after: Option<Name> = None;
    while uses.len() < most {
        let read = api.integrations.list(after.as_ref(), READ_AT_ONCE, None).await?;
        let users = read.iter().filter(|integration| integration.flow == flow.as_str());
        uses.extend(users.map(|integration| integration.name.clone()));
        if read.len() < READ_AT_ONCE {
            break;
        }
        after = read.into_iter().next_back().map(|integration| integration.name);
    }
    uses.truncate(most);
    Ok(uses)
}
