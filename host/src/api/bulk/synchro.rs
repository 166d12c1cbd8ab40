//! What a source lists is kept in step with it: made where it isn't there, changed where it differs, and disabled or deleted
//! where the source lists it no longer.
//!
//! A source owns what it made, and nothing else: what people or other sources made it neither changes nor ends. The same list
//! again changes nothing.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::body;
use super::super::caller::Caller;
use super::super::models::name;
use super::super::problem::{Code, Fault, Problem};
use super::super::query::Query;
use super::super::state::Api;
use super::apply::{Run, key_of};
use super::import::FILE_BYTES;
use super::missing::OnMissing;
use super::report::{Line, Report};
use super::rows::{Kind, Row};
use crate::access::Right;
use crate::name::Name;
use crate::text::Login;

/// When a run may be tried again that found another one of its source under way.
const RETRY: Duration = Duration::from_secs(5);

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(synchronise))
}

/// All that a source has. A kind that is left out isn't touched.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Inventory {
    /// What becomes of what the source made and lists no longer. Default: `disable`
    #[serde(default)]
    on_missing: OnMissing,
    /// Whether an empty list is meant so. Without it, one is refused: most often the source failed.
    #[serde(default)]
    allow_empty: bool,
    /// Users, as in an import, without passwords.
    #[schema(value_type = Option<Vec<serde_json::Value>>)]
    users: Option<Vec<Map<String, Value>>>,
    /// Application tokens, as in an import.
    #[schema(value_type = Option<Vec<serde_json::Value>>)]
    application_tokens: Option<Vec<Map<String, Value>>>,
    /// Organizations, as in an import.
    #[schema(value_type = Option<Vec<serde_json::Value>>)]
    organizations: Option<Vec<Map<String, Value>>>,
}

/// What a source lists of one kind.
struct Listed {
    kind: Kind,
    rows: Vec<Row>,
    /// The keys of the rows.
    keys: BTreeSet<String>,
}

impl Inventory {
    /// Its lists, organizations first: others belong to them.
    fn lists(self) -> Result<(OnMissing, Vec<Listed>), Problem> {
        let mut faults = Vec::new();
        let mut lists = Vec::new();
        for (member, kind, rows) in [
            ("organizations", Kind::Organizations, self.organizations),
            ("users", Kind::Users, self.users),
            ("application_tokens", Kind::ApplicationTokens, self.application_tokens),
        ] {
            let Some(rows) = rows else { continue };
            if rows.is_empty() && !self.allow_empty {
                let message = "lists nothing; if that is meant so, say \"allow_empty\": true, or leave it out";
                faults.push(Fault::new(member, "not_allowed", message));
            }
            let row = |(index, members)| kind.listed(index + 1, members);
            let rows: Vec<Row> = rows.into_iter().enumerate().map(row).collect();
            let mut keys = BTreeSet::new();
            for row in &rows {
                // A row that names nothing could be any: what is missing couldn't be told.
                match key_of(kind, row).and_then(|key| canonical(kind, key)) {
                    Some(key) => drop(keys.insert(key)),
                    None => {
                        let field = format!("{member}[{}].{}", row.number - 1, kind.key());
                        faults.push(Fault::new(
                            field,
                            "malformed",
                            "must be there, and in its form, or nothing is done",
                        ));
                    }
                }
            }
            lists.push(Listed { kind, rows, keys });
        }
        if faults.is_empty() { Ok((self.on_missing, lists)) } else { Err(Problem::invalid(faults)) }
    }
}

/// A key in its one form.
fn canonical(kind: Kind, key: &str) -> Option<String> {
    match kind {
        Kind::Users => key.parse::<Login>().ok().map(String::from),
        _ => key.parse::<Name>().ok().map(String::from),
    }
}

/// A run of a source that is under way. Ends when it is dropped.
struct UnderWay<'a> {
    api: &'a Api,
    source: &'a Name,
}

impl<'a> UnderWay<'a> {
    /// Begins one, unless another one is under way.
    fn begin(api: &'a Api, source: &'a Name) -> Option<Self> {
        let mut sources = api.synchronised.lock().unwrap_or_else(PoisonError::into_inner);
        // Not `then_some`: what it would make and drop would end the other run.
        sources.insert(source.clone()).then(|| Self { api, source })
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.api.synchronised.lock().unwrap_or_else(PoisonError::into_inner).remove(self.source);
    }
}

/// Keeps principals in step with a source
///
/// Declarative: what is listed is made, or changed where it differs, and belongs to the source from then on; what the source
/// made and lists no longer is disabled, deleted or kept, as `on_missing` says. What others made it never touches: a row that
/// names such a thing fails. Members that a row leaves out stay as they are, but for the status, which is `enabled` then.
/// Organizations can't be disabled: they stay, or are deleted where nothing belongs to them. The same call again changes
/// nothing. With `dry_run=true` nothing is changed, and the report says what would be.
#[utoipa::path(put, path = "/v1/synchro/{source}", tag = "bulk", request_body = Inventory,
    params(("source" = String, Path, description = "What the source is called: a name"),
        ("dry_run" = Option<bool>, Query, description = "Whether nothing is to be changed. Default: false")),
    responses((status = 200, description = "What became of each row, and of what is missing", body = Report)))]
async fn synchronise(
    State(api): State<Api>,
    Path(source): Path<String>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let mut query = Query::of_door(&request);
    let dry_run = query.flag("dry_run");
    query.finish()?;
    if dry_run {
        caller.note_dry_run();
    }
    caller.require(Right::ManagePrincipals).await?;
    let source = name(&source, "source")?;
    let (on_missing, lists) = {
        let _permit = api.large.acquire().await.map_err(Problem::internal)?;
        if !body::is_json(&body::media_type(request.headers())) {
            return Err(Problem::new(Code::UnsupportedMediaType, "send the lists as application/json"));
        }
        body::parse::<Inventory>(&body::read(request.into_body(), FILE_BYTES).await?)?.lists()?
    };
    let Some(_under_way) = UnderWay::begin(&api, &source) else {
        let detail = format!("another run of the source {source} is under way; try again when it has ended");
        return Err(Problem::new(Code::InUse, detail).retry_after(RETRY));
    };
    let run = Run::new(api.clone(), caller.clone(), dry_run, Some(source.clone()));
    let mut lines: Vec<Line> = Vec::new();
    let mut keys = Vec::new();
    for Listed { kind, rows, keys: listed } in lists {
        lines.extend(run.rows(kind, rows).await);
        keys.push((kind, listed));
    }
    // In the other direction: organizations are needed by others.
    for (kind, listed) in keys.into_iter().rev() {
        lines.extend(run.missing(kind, &listed, on_missing).await?);
    }
    Ok(Report::new(dry_run, lines).answer(&caller))
}
