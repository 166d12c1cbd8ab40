//! What another document would change of a model, before it takes the place of the present one.

use axum::extract::{Path, Request, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::caller::Caller;
use super::super::problem::Problem;
use super::super::query::Query;
use super::super::state::Api;
use super::given::document;
use super::{Given, Warning, name};
use crate::access::Right;
use crate::integrations::{IntegrationError, Noticed};
use crate::openapi;

/// Things of one kind that an answer names; of more, their number.
const NAMED: usize = 500;
/// The longest piece of a name that is shown, in bytes.
const NAME_SHOWN: usize = 300;
/// Integrations that are looked into.
const LOOKED_INTO: usize = 1_000;

/// What another document would change of a model.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Comparison {
    /// Whether the documents are the same, byte by byte.
    same: bool,
    /// The present document.
    from: Side,
    /// The other document.
    to: Side,
    /// Of the servers' URLs.
    servers: Changes,
    /// Of security schemes, with their endpoints, by name.
    schemes: Changes,
    /// Of operations and what they require, by method and path. Their parameters, bodies and answers aren't compared.
    operations: Changes,
    /// What is wrong with the other document, and where.
    warnings: Vec<Warning>,
    /// What integrations that were made from the model would notice. They keep the URLs that they have.
    integrations: Vec<Notice>,
    /// Integrations that were made from it and would notice nothing, or that the caller doesn't see.
    others: usize,
}

/// One of two documents.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DocumentSide)]
struct Side {
    /// The document's `info.title`.
    title: String,
    /// The document's `info.version`.
    version: String,
    /// The version of OpenAPI that it is written in.
    openapi: String,
    /// The number of its operations.
    operations: usize,
    /// Its SHA-256, in hexadecimal.
    digest: String,
}

/// What differs of one kind of thing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DocumentChanges)]
struct Changes {
    /// Only in the other document.
    added: Vec<String>,
    /// Not in the other document.
    removed: Vec<String>,
    /// In both, and not the same.
    changed: Vec<Change>,
    /// How many more there are of these than are named.
    more: usize,
}

/// A thing that isn't the same in both documents.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DocumentChange)]
struct Change {
    /// Its name.
    name: String,
    /// What is another.
    notes: Vec<String>,
}

/// What an integration would notice.
#[derive(Debug, Serialize, ToSchema)]
struct Notice {
    /// The integration.
    integration: String,
    /// What.
    notes: Vec<String>,
}

impl Side {
    fn of(document: &openapi::Document, digest: String) -> Self {
        Self {
            title: document.title.clone(),
            version: document.version.clone(),
            openapi: document.openapi.clone(),
            operations: document.operations.len(),
            digest,
        }
    }
}

impl From<openapi::Changes> for Changes {
    fn from(mut changes: openapi::Changes) -> Self {
        let all = changes.added.len() + changes.removed.len() + changes.changed.len();
        changes.added.truncate(NAMED);
        changes.removed.truncate(NAMED);
        changes.changed.truncate(NAMED);
        let more = all - changes.added.len() - changes.removed.len() - changes.changed.len();
        let changed =
            changes.changed.into_iter().map(|change| Change { name: brief(change.name), notes: change.notes });
        let briefly = |names: Vec<String>| names.into_iter().map(brief).collect();
        Self { added: briefly(changes.added), removed: briefly(changes.removed), changed: changed.collect(), more }
    }
}

/// A name as it is shown: one in a document may be megabytes long.
fn brief(mut name: String) -> String {
    if name.len() > NAME_SHOWN {
        name.truncate(name.floor_char_boundary(NAME_SHOWN));
        name.push('…');
    }
    name
}

/// Says what another document would change of a model
///
/// Nothing is changed. The body is as in the import of a model.
#[utoipa::path(post, path = "/v1/models/{model}/compare", tag = "models",
    params(("model" = String, Path, description = "Its name")),
    request_body(content((Given = "application/json"), (String = "application/yaml"))),
    responses((status = 200, description = "What differs", body = Comparison)))]
pub(super) async fn compare(
    State(api): State<Api>,
    Path(model): Path<String>,
    caller: Caller,
    request: Request,
) -> Result<axum::Json<Comparison>, Problem> {
    Query::of(request.uri()).finish()?;
    let name = name(&model, "model")?;
    let _permit = api.large.acquire().await.map_err(Problem::internal)?;
    let (document, _) = document(&api, &caller, request).await?;
    let compared = api.models.compare(&name, &document).await?;
    let uses = api.models.uses(&name, LOOKED_INTO).await?;
    let (mut noticed, mut others): (Vec<Noticed>, usize) = (Vec::new(), 0);
    for integration in uses {
        let read = match api.integrations.read(&integration).await {
            // Deleted meanwhile.
            Err(IntegrationError::NotFound(_)) => continue,
            read => read?,
        };
        let is_seen = caller.may_on(Right::ReadIntegrations, &read.name, &read.organization);
        match compared.noticed_by(&read).filter(|_| is_seen) {
            Some(notice) => noticed.push(notice),
            None => others += 1,
        }
    }
    let warnings = compared.document.warnings.clone().into_iter().map(Warning::from).collect();
    Ok(axum::Json(Comparison {
        same: compared.digest == compared.model.digest,
        from: Side::of(&compared.model.document, compared.model.digest),
        to: Side::of(&compared.document, compared.digest),
        servers: compared.difference.servers.into(),
        schemes: compared.difference.schemes.into(),
        operations: compared.difference.operations.into(),
        warnings,
        integrations: (noticed.into_iter())
            .map(|notice| Notice { integration: notice.integration.to_string(), notes: notice.notes })
            .collect(),
        others,
    }))
}
