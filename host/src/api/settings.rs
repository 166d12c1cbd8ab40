//! The settings of the running daemon over HTTP: shown with where each comes from, and read again. What may change and how is
//! said in `config`.

use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::Caller;
use super::problem::{Fault, Problem};
use super::query::Query;
use super::state::Api;
use crate::config::catalog::Change;
use crate::config::{ConfigFault, Difference, Origin, Resolved};
use crate::telemetry;

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(show)).routes(routes!(reload))
}

/// The settings of the running daemon.
#[derive(Serialize, ToSchema)]
#[schema(as = ConfigSettings)]
struct Settings {
    /// All of them.
    settings: Vec<Setting>,
    /// What is set otherwise by now, and takes a restart.
    waiting: Vec<Changed>,
}

/// A setting.
#[derive(Serialize, ToSchema)]
#[schema(as = ConfigSetting)]
struct Setting {
    /// Its key.
    key: &'static str,
    /// Its value as text, lists with commas; of a secret, `(set)` or `(not set)`.
    value: String,
    /// Where it was given.
    source: Source,
    /// How a change comes into effect: `reload` or `restart`.
    change: &'static str,
}

/// Where a value was given.
#[derive(Serialize, ToSchema)]
#[schema(as = SettingSource)]
struct Source {
    /// `default`, `file`, `environment` or `flag`.
    kind: &'static str,
    /// The file, the variable or the flag.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The line in the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
}

/// A setting that changed.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedSetting)]
struct Changed {
    /// Its key.
    key: &'static str,
    /// What it was.
    from: String,
    /// What it is.
    to: String,
}

/// What a reload did.
#[derive(Serialize, ToSchema)]
#[schema(as = Reloaded)]
struct Reloaded {
    /// What is different from now on.
    changed: Vec<Changed>,
    /// What is set otherwise by now, and takes a restart.
    waiting: Vec<Changed>,
}

impl From<&Resolved> for Setting {
    fn from(one: &Resolved) -> Self {
        let (name, line) = match &one.origin {
            Origin::Default => (None, None),
            Origin::File { path, line, .. } => (Some(path.display().to_string()), Some(*line)),
            Origin::Environment(variable) => (Some((*variable).to_owned()), None),
            Origin::Flag(flag) => (Some(flag.clone()), None),
        };
        let source = Source { kind: one.origin.kind(), name, line };
        Self { key: one.setting.key, value: one.shown().to_owned(), source, change: one.setting.change.as_str() }
    }
}

impl From<&Difference> for Changed {
    fn from(one: &Difference) -> Self {
        Self { key: one.setting.key, from: one.from.clone(), to: one.to.clone() }
    }
}

/// A fault of the settings as a fault of a request, so that all are told in the usual way.
fn fault(fault: &ConfigFault) -> Fault {
    let place = fault.origin.as_ref().map(|origin| format!(" ({origin})")).unwrap_or_default();
    Fault::new(&fault.key, "malformed", format!("{}{place}", fault.message))
}

/// Whoever is limited to organizations has no say in it.
const ALL: &str = "it is about the daemon itself";

/// Shows the settings of the running daemon, and where each one comes from
///
/// Secrets are never shown: only whether they are set.
#[utoipa::path(get, path = "/v1/config", tag = "config", responses((status = 200, description = "The settings", body = Settings)))]
async fn show(State(api): State<Api>, caller: Caller, uri: Uri) -> Result<axum::Json<Settings>, Problem> {
    Query::of(&uri).finish()?;
    caller.require_all(ALL).await?;
    let settings = api.settings.current().resolved.iter().map(Setting::from).collect();
    Ok(axum::Json(Settings { settings, waiting: api.settings.waiting().iter().map(Changed::from).collect() }))
}

/// Reads the settings again, and takes what can change without a restart
///
/// Where one of them is wrong, nothing is changed, and all that is wrong is told. What takes a restart is named.
#[utoipa::path(post, path = "/v1/config/reload", tag = "config", responses((status = 200, description = "It is done", body = Reloaded)))]
async fn reload(State(api): State<Api>, caller: Caller, uri: Uri) -> Result<axum::Json<Reloaded>, Problem> {
    Query::of(&uri).finish()?;
    caller.require_all(ALL).await?;
    let reloaded = match api.settings.reload() {
        Ok(reloaded) => reloaded,
        Err(error) => {
            metrics::counter!(telemetry::CONFIG_RELOADS, "outcome" => "refused").increment(1);
            return Err(Problem::invalid(error.faults.iter().map(fault).collect()));
        }
    };
    metrics::counter!(telemetry::CONFIG_RELOADS, "outcome" => "taken").increment(1);
    for one in &reloaded.taken {
        debug_assert_eq!(one.setting.change, Change::Reload);
        caller.note_detail(one.setting.key, one.to_string());
    }
    let list = |list: &[Difference]| list.iter().map(Changed::from).collect();
    Ok(axum::Json(Reloaded { changed: list(&reloaded.taken), waiting: list(&reloaded.waiting) }))
}
