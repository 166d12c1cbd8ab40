//! Backups over HTTP: one taken, those listed that are made by themselves, and what is known of a restoration. How one is made
//! is said in `backup`.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::Caller;
use super::problem::{Code, Problem};
use super::query::Query;
use super::state::Api;
use super::time::Time;
use crate::backup::{self, BackupError, Kept, Pieces, Standing};
use crate::store::StoreError;

/// Why a caller who is limited to organizations isn't let in.
const ALL: &str = "a backup holds everything";

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(make)).routes(routes!(list)).routes(routes!(acknowledge))
}

/// How backups stand.
#[derive(Serialize, ToSchema)]
struct Backups {
    /// Those that are made by themselves; null where the setting `backup.folder` names no folder.
    schedule: Option<Schedule>,
    /// Those of this installation in that folder, the newest first.
    backups: Vec<Backup>,
}

/// How backups are made by themselves.
#[derive(Serialize, ToSchema)]
#[schema(as = BackupSchedule)]
struct Schedule {
    /// The folder, on the daemon's machine.
    folder: String,
    /// Seconds from one to the next.
    every_seconds: u64,
    /// How many are kept.
    keep: u32,
    /// How many days each is kept at most.
    keep_days: Option<u32>,
    /// When the last one was made.
    last: Option<Time>,
    /// When the next one is made.
    next: Time,
    /// Why there is no newer one; null where nothing failed.
    failure: Option<Failure>,
}

/// That backups fail.
#[derive(Serialize, ToSchema)]
#[schema(as = BackupFailure)]
struct Failure {
    /// Why the last one did.
    message: String,
    /// Since when.
    since: Time,
    /// How many did, in a row.
    count: u32,
}

/// A backup.
#[derive(Serialize, ToSchema)]
struct Backup {
    /// Its file, on the daemon's machine.
    file: String,
    /// Its size in bytes.
    bytes: u64,
    /// Its id.
    id: String,
    /// When it was made.
    made_at: Time,
    /// The version of the tokenhost that made it.
    made_by: String,
}

/// That the daemon's data came from a backup.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Restoration {
    /// The backup's id.
    backup: String,
    /// When the backup was made. Nothing that was changed after it is here; inbound tokens that were deleted or rebuilt after it
    /// are as they were before.
    made_at: Time,
    /// The version of the tokenhost that made it.
    made_by: String,
    /// When it was restored.
    restored_at: Time,
    /// Attempts that were under way, and have ended.
    interrupted: u64,
    /// Tokens whose refresh token is uncertain, since their provider may have replaced it.
    uncertain: u64,
    /// Tokens whose refresh token is believed to work still, since their provider never replaced it.
    certain: u64,
    /// When somebody said that they know; null: nobody did.
    acknowledged_at: Option<Time>,
}

impl From<backup::Restoration> for Restoration {
    fn from(restoration: backup::Restoration) -> Self {
        Self {
            backup: restoration.archive,
            made_at: restoration.made_at.into(),
            made_by: restoration.made_by,
            restored_at: restoration.restored_at.into(),
            interrupted: restoration.interrupted,
            uncertain: restoration.uncertain,
            certain: restoration.certain,
            acknowledged_at: restoration.acknowledged_at.map(Time::from),
        }
    }
}

impl From<Standing> for Schedule {
    fn from(standing: Standing) -> Self {
        Self {
            folder: standing.schedule.folder.display().to_string(),
            every_seconds: standing.schedule.every.as_secs(),
            keep: standing.schedule.keep,
            keep_days: standing.schedule.keep_days,
            last: standing.last.map(Time::from),
            next: standing.next.into(),
            failure: standing.failure.map(|failure| Failure {
                message: failure.message,
                since: failure.since.into(),
                count: failure.count,
            }),
        }
    }
}

impl From<Kept> for Backup {
    fn from(kept: Kept) -> Self {
        Self {
            file: kept.path.display().to_string(),
            bytes: kept.bytes,
            id: kept.id,
            made_at: kept.made_at.into(),
            made_by: kept.made_by,
        }
    }
}

impl From<BackupError> for Problem {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Busy => Self::new(Code::InUse, error.to_string()),
            BackupError::Store(error @ StoreError::Full(_)) => error.into(),
            error => Self::internal(error),
        }
    }
}

/// Makes a backup of this moment, and gives it as it is made
///
/// All that was acknowledged before the call is in it. It is sealed under the installation's keys; the master key alone opens
/// it. One is made at a time; where another is under way, the answer is 409. An answer that breaks off is no backup.
#[utoipa::path(get, path = "/v1/backup", tag = "backups",
    responses((status = 200, description = "The backup", body = Vec<u8>, content_type = "application/octet-stream")))]
async fn make(State(api): State<Api>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    Query::of(&uri).finish()?;
    caller.require_all(ALL).await?;
    let Pieces { name, pieces } = api.backups.stream().await?;
    caller.note_detail("file", &name);
    let pieces = futures_util::stream::unfold(pieces, async |mut pieces| Some((pieces.recv().await?, pieces)));
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if let Ok(named) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, named);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Shows the backups that the daemon makes by itself
#[utoipa::path(get, path = "/v1/backups", tag = "backups",
    responses((status = 200, description = "How they stand", body = Backups)))]
async fn list(State(api): State<Api>, caller: Caller, uri: Uri) -> Result<axum::Json<Backups>, Problem> {
    Query::of(&uri).finish()?;
    caller.require_all(ALL).await?;
    // Where the folder can't be read, no backup can be made either, and that is told by what is shown.
    let backups = api.backups.list().await.unwrap_or_else(|error| {
        tracing::error!("backups can't be listed: {error}");
        Vec::new()
    });
    let backups = backups.into_iter().map(Backup::from).collect();
    Ok(axum::Json(Backups { schedule: api.backups.standing().map(Schedule::from), backups }))
}

/// Says that you know that the daemon's data came from a backup
///
/// From then on `/v1/status` doesn't tell of it any more as of something that needs attention.
#[utoipa::path(post, path = "/v1/restore/acknowledge", tag = "backups",
    responses((status = 200, description = "What you know of", body = Restoration)))]
async fn acknowledge(State(api): State<Api>, caller: Caller, uri: Uri) -> Result<axum::Json<Restoration>, Problem> {
    Query::of(&uri).finish()?;
    caller.require_all("it is about all data").await?;
    let restoration = api.backups.acknowledge().await?;
    let none = || Problem::new(Code::NotFound, "this daemon's data didn't come from a backup");
    Ok(axum::Json(restoration.ok_or_else(none)?.into()))
}
