//! Publishers whose signatures are trusted, over HTTP.

use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::body::Json;
use super::super::caller::Caller;
use super::super::models::name;
use super::super::page::{Page, Wanted};
use super::super::problem::{Fault, Problem};
use super::super::state::Api;
use super::label;
use crate::shelf::{self, ShelfError};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, trust)).routes(routes!(distrust))
}

/// A publisher whose signature is trusted.
#[derive(Debug, Serialize, ToSchema)]
struct Publisher {
    /// Its name here.
    name: String,
    /// Its public key.
    key: String,
    /// The key's id, as packages name it.
    key_id: String,
    /// Since when it is trusted.
    trusted_at: DateTime<Utc>,
    /// Who decided it.
    trusted_by: String,
}

/// A publisher to trust.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPublisher {
    /// A name for it.
    name: String,
    /// Its public key: `tokenhost-publisher:ed25519:…`.
    key: String,
}

impl From<shelf::Publisher> for Publisher {
    fn from(publisher: shelf::Publisher) -> Self {
        let shelf::Publisher { name, key, key_id, trusted_at, trusted_by } = publisher;
        Self { name: name.to_string(), key, key_id, trusted_at, trusted_by }
    }
}

/// Lists the publishers that are trusted, by name
#[utoipa::path(get, path = "/v1/publishers", tag = "publishers", params(super::super::Paging),
    responses((status = 200, description = "A page of publishers", body = Page<Publisher>)))]
async fn list(State(api): State<Api>, uri: Uri) -> Result<axum::Json<Page<Publisher>>, Problem> {
    let wanted = Wanted::<String>::of(&uri)?;
    let read = api.shelf.publishers(wanted.after.as_deref(), wanted.to_read()).await?;
    Ok(axum::Json(wanted.page(read, |publisher| publisher.name.to_string(), Publisher::from)))
}

/// Trusts a publisher: packages signed with its key are installed
#[utoipa::path(post, path = "/v1/publishers", tag = "publishers",
    responses((status = 201, description = "The publisher", body = Publisher)))]
async fn trust(
    State(api): State<Api>,
    caller: Caller,
    Json(new): Json<NewPublisher>,
) -> Result<(StatusCode, axum::Json<Publisher>), Problem> {
    caller.require_all("flows are everyone's").await?;
    let name = name(&new.name, "name")?;
    let trusted = match api.shelf.trust(name, &new.key, &label(&caller)).await {
        Err(ShelfError::Key(error)) => {
            return Err(Problem::invalid(vec![Fault::new("key", "malformed", error.to_string())]));
        }
        trusted => trusted?,
    };
    caller.note_object(format!("publishers/{}", trusted.name));
    caller.note_detail("key_id", trusted.key_id.clone());
    Ok((StatusCode::CREATED, axum::Json(trusted.into())))
}

/// Trusts a publisher no longer
///
/// What it signed and was installed stays as it is.
#[utoipa::path(delete, path = "/v1/publishers/{publisher}", tag = "publishers",
    params(("publisher" = String, Path, description = "Its name")),
    responses((status = 204, description = "It is trusted no longer")))]
async fn distrust(
    State(api): State<Api>,
    Path(publisher): Path<String>,
    caller: Caller,
) -> Result<StatusCode, Problem> {
    caller.require_all("flows are everyone's").await?;
    api.shelf.distrust(&name(&publisher, "publisher")?).await?;
    Ok(StatusCode::NO_CONTENT)
}
