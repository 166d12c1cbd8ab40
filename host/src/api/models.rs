//! Integration models over HTTP: import, replace, look at, delete. What a document holds is in `contents`, what another one
//! would change in `compare`, how a request brings a document in `given`.

mod compare;
mod contents;
mod given;

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::given::document;
use super::caller::Caller;
use super::page::{Page, Wanted};
use super::problem::{Code, Fault, Problem};
use super::query::Query;
use super::revision::{expected_tag, tagged};
use super::state::Api;
use super::time::Time;
use crate::access::Right;
use crate::flows::registry::Flows;
use crate::integrations::{self, ModelError, Seen, Visible};
use crate::name::Name;
use crate::openapi::SecurityScheme;

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, import))
        .routes(routes!(get, replace, delete))
        .routes(routes!(compare::compare))
        .routes(routes!(contents::operations))
        .routes(routes!(contents::offers))
}

/// An integration model.
#[derive(Debug, Serialize, ToSchema)]
struct Model {
    /// Its name, which is its id.
    name: String,
    /// The organization that it belongs to.
    organization: String,
    /// The document's `info.title`.
    title: String,
    /// The document's `info.version`.
    version: String,
    /// The version of OpenAPI that the document is written in.
    openapi: String,
    /// Where the API is served; may be relative.
    servers: Vec<Server>,
    /// Its security schemes.
    schemes: Vec<Scheme>,
    /// The number of its operations.
    operations: usize,
    /// What is wrong with the document, and where.
    warnings: Vec<Warning>,
    /// When the document was imported.
    imported_at: Time,
    /// The document's size.
    bytes: u64,
    /// The document's SHA-256, in hexadecimal.
    digest: String,
    /// What the caller may do about it, of `write_models` and, in a new integration's default organization, `write_integrations`.
    rights: Vec<&'static str>,
}

/// Where an API is served.
#[derive(Debug, Serialize, ToSchema)]
struct Server {
    /// The URL.
    url: String,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

/// A security scheme.
#[derive(Debug, Serialize, ToSchema)]
struct Scheme {
    /// Its name in the document.
    name: String,
    /// `oauth2`, `http`, `apiKey`, `openIdConnect`, `mutualTLS`, or what else is written there.
    #[serde(rename = "type")]
    kind: String,
    /// Of `oauth2`: the keys of its flows, e.g. `clientCredentials`.
    #[serde(skip_serializing_if = "Option::is_none")]
    flows: Option<Vec<String>>,
    /// Of `http`: e.g. `basic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<String>,
    /// Installed flow plugins that can serve it.
    served_by: Vec<String>,
    /// Why no flow can use it as it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    unusable: Option<String>,
}

/// Something that is wrong with a document.
#[derive(Debug, Serialize, ToSchema)]
struct Warning {
    /// Where: a JSON pointer (RFC 6901).
    pointer: String,
    /// What.
    message: String,
}

/// A model in a list.
#[derive(Debug, Serialize, ToSchema)]
struct ModelSummary {
    /// Its name, which is its id.
    name: String,
    /// The organization that it belongs to.
    organization: String,
    /// The document's `info.title`.
    title: String,
    /// The document's `info.version`.
    version: String,
    /// When the document was imported.
    imported_at: Time,
}

impl From<crate::openapi::Warning> for Warning {
    fn from(warning: crate::openapi::Warning) -> Self {
        Self { pointer: warning.pointer, message: warning.message }
    }
}

impl Model {
    fn of(model: integrations::Model, flows: &Flows, caller: &Caller) -> Self {
        let may = |right: &Right| caller.may_in(*right, &model.organization);
        let rights =
            [Right::WriteModels, Right::WriteIntegrations].into_iter().filter(may).map(Right::as_str).collect();
        let document = model.document;
        let server = |server: crate::openapi::Server| Server { url: server.url, description: server.description };
        Self {
            name: model.name.to_string(),
            organization: model.organization.to_string(),
            title: document.title,
            version: document.version,
            openapi: document.openapi,
            servers: document.servers.into_iter().map(server).collect(),
            schemes: document.schemes.into_iter().map(|scheme| Scheme::of(scheme, flows)).collect(),
            operations: document.operations.len(),
            warnings: document.warnings.into_iter().map(Warning::from).collect(),
            imported_at: model.imported_at.into(),
            bytes: model.bytes,
            digest: model.digest,
            rights,
        }
    }
}

impl Model {
    /// Shown with its document's SHA-256 as the `ETag`.
    fn answer(self) -> Response {
        tagged(StatusCode::OK, &self.digest, &self)
    }
}

impl Scheme {
    fn of(scheme: SecurityScheme, flows: &Flows) -> Self {
        let mut served_by: Vec<String> = match &scheme.flow {
            Some(named) => flows.get(named).map(|flow| flow.description().name.clone()).into_iter().collect(),
            None if scheme.details.is_empty() => names(flows, &scheme.kind, None),
            None => scheme.details.iter().flat_map(|detail| names(flows, &scheme.kind, Some(detail))).collect(),
        };
        served_by.sort();
        served_by.dedup();
        Self {
            name: scheme.name,
            flows: (scheme.kind == "oauth2").then(|| scheme.details.clone()),
            scheme: scheme.details.into_iter().next().filter(|_| scheme.kind == "http"),
            kind: scheme.kind,
            served_by,
            unusable: scheme.problem,
        }
    }
}

/// The names of the flows that serve such a scheme.
fn names(flows: &Flows, kind: &str, detail: Option<&str>) -> Vec<String> {
    flows.for_scheme(kind, detail).iter().map(|flow| flow.description().name.clone()).collect()
}

impl From<ModelError> for Problem {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::NotFound(name) => Self::not_found("model", name),
            ModelError::OrganizationNotFound(_) => {
                Self::invalid(vec![Fault::new("organization", "unknown", error.to_string())])
            }
            ModelError::Exists(_) => Self::new(Code::Exists, format!("{error}")),
            ModelError::InUse(_) => Self::new(Code::InUse, format!("{error}")),
            ModelError::NoDocument(_) => Self::new(Code::DocumentMissing, error.to_string()),
            ModelError::Replaced(_) | ModelError::OtherDocument(_) => Self::new(Code::Changed, error.to_string()),
            ModelError::Changed(_) => Self::new(Code::PreconditionFailed, error.to_string()),
            ModelError::NoOperation(_) => Self::new(Code::NotFound, error.to_string()),
            ModelError::Document(error) => Self::new(Code::DocumentInvalid, error.to_string()),
            ModelError::Store(error) => error.into(),
        }
    }
}

/// The name in a path. What is no name names nothing.
pub(super) fn name(text: &str, what: &str) -> Result<Name, Problem> {
    text.parse().map_err(|_| Problem::new(Code::NotFound, format!("there is no such {what}: that is no name")))
}

/// Lists the models, by name
#[utoipa::path(get, path = "/v1/models", tag = "models", params(super::Paging),
    responses((status = 200, description = "A page of models", body = Page<ModelSummary>)))]
async fn list(State(api): State<Api>, caller: Caller, uri: Uri) -> Result<axum::Json<Page<ModelSummary>>, Problem> {
    let wanted = Wanted::<Name>::of(&uri)?;
    let shown = |_: &Name, organization: &Name| caller.may_in(Right::ReadModels, organization);
    let shown: Option<Visible<'_>> = if caller.may_everywhere(Right::ReadModels) { None } else { Some(&shown) };
    let read = api.models.list(wanted.after.as_ref(), wanted.to_read(), shown).await?;
    Ok(axum::Json(wanted.page(
        read,
        |model| model.name.to_string(),
        |model| ModelSummary {
            name: model.name.to_string(),
            organization: model.organization.to_string(),
            title: model.title,
            version: model.version,
            imported_at: model.imported_at.into(),
        },
    )))
}

/// An OpenAPI document, or `{"url": "…"}`: where to fetch it from.
#[derive(ToSchema)]
#[schema(as = ModelDocument)]
#[expect(dead_code, reason = "only its description is used")]
struct Given(std::collections::BTreeMap<String, serde_json::Value>);

/// Imports a model
///
/// The body is the OpenAPI document itself, JSON or YAML, of at most 64 MiB; or `{"url": "…"}`, and the daemon fetches it,
/// for which the caller needs a right of its own.
#[utoipa::path(post, path = "/v1/models", tag = "models",
    params(("name" = Option<String>, Query, description = "The model's name; needed with a document"),
        ("organization" = Option<String>, Query, description = "The organization that it belongs to. Default: the caller's own")),
    request_body(content((Given = "application/json"), (String = "application/yaml"))),
    responses((status = 201, description = "The model", body = Model)))]
async fn import(State(api): State<Api>, caller: Caller, request: Request) -> Result<Response, Problem> {
    let mut query = Query::of(request.uri());
    let named = query.text("name");
    let organization = organization(&mut query);
    query.finish()?;
    let _permit = api.large.acquire().await.map_err(Problem::internal)?;
    let (document, also_named) = document(&api, &caller, request).await?;
    let name = named
        .or(also_named)
        .ok_or_else(|| Problem::invalid(vec![Fault::new("name", "missing", "give the model a name")]))?;
    let name: Name = name.parse().map_err(|error: crate::name::NameError| {
        Problem::invalid(vec![Fault::new("name", "malformed", error.to_string())])
    })?;
    let organization = organization.unwrap_or_else(|| caller.organization.clone());
    caller.require_in(Right::WriteModels, &organization).await?;
    let location = format!("/v1/models/{name}");
    let model = api.models.import(name, Some(organization), &document, false).await?;
    note(&caller, None, &model);
    let model = Model::of(model, &api.flows, &caller);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(model)).into_response())
}

/// Shows a model
#[utoipa::path(get, path = "/v1/models/{model}", tag = "models", params(("model" = String, Path, description = "Its name")),
    responses((status = 200, description = "The model", body = Model, headers(("ETag" = String)))))]
async fn get(State(api): State<Api>, Path(model): Path<String>, caller: Caller) -> Result<Response, Problem> {
    Ok(Model::of(api.models.get(&name(&model, "model")?).await?, &api.flows, &caller).answer())
}

/// Imports a model in place of another, or as a new one
///
/// Integrations made from the model before stay as they are. The body is as in the import of a new model.
#[utoipa::path(put, path = "/v1/models/{model}", tag = "models",
    params(("model" = String, Path, description = "Its name"),
        ("organization" = Option<String>, Query, description = "The organization that it belongs to. Default: as it was"),
        ("digest" = Option<String>, Query, description = "The SHA-256, in hexadecimal, that the new document must have, as `compare` told it"),
        ("If-Match" = Option<String>, Header, description = "The ETag that it must have: its document's SHA-256 in quotes")),
    request_body(content((Given = "application/json"), (String = "application/yaml"))),
    responses((status = 200, description = "The model", body = Model, headers(("ETag" = String)))))]
async fn replace(
    State(api): State<Api>,
    Path(model): Path<String>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let mut query = Query::of(request.uri());
    let organization = organization(&mut query);
    let newer = query.text("digest").map(|digest| digest.to_ascii_lowercase());
    query.finish()?;
    let name = name(&model, "model")?;
    let seen = Seen { present: expected_tag(request.headers())?, newer };
    if let Some(organization) = &organization {
        caller.require_in(Right::WriteModels, organization).await?;
    }
    let _permit = api.large.acquire().await.map_err(Problem::internal)?;
    let (document, _) = document(&api, &caller, request).await?;
    let before = api.models.get(&name).await.ok();
    let replaced = api.models.import_seen(name, organization, &document, true, &seen).await?;
    note(&caller, before.as_ref(), &replaced);
    Ok(Model::of(replaced, &api.flows, &caller).answer())
}

/// Puts into the audit record which document a model is from now on, and what of it is another.
fn note(caller: &Caller, before: Option<&integrations::Model>, model: &integrations::Model) {
    caller.note_detail("sha256", model.digest.clone());
    caller.note_detail("version", model.document.version.clone());
    let Some(before) = before else { return };
    let state = |model: &integrations::Model| {
        let (document, organization) = (&model.digest, model.organization.as_str());
        json!({"document": document, "organization": organization})
    };
    caller.note_changes(&state(before), &state(model));
}

/// Deletes a model that no integration is made from
#[utoipa::path(delete, path = "/v1/models/{model}", tag = "models", params(("model" = String, Path, description = "Its name")),
    responses((status = 204, description = "It is gone")))]
async fn delete(State(api): State<Api>, Path(model): Path<String>) -> Result<StatusCode, Problem> {
    api.models.delete(&name(&model, "model")?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The organization that a query names.
fn organization(query: &mut Query) -> Option<Name> {
    let parsed: Result<Name, _> = query.text("organization")?.parse();
    parsed.inspect_err(|error| query.fault("organization", &error.to_string())).ok()
}
