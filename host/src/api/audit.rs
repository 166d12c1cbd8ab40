//! The audit log over HTTP: read, searched by token, proved; and the exact reasons of refusals.
//!
//! Nothing here changes the log but the sums of uses that are flushed before a token is looked for. Tokens that somebody
//! looks for are neither kept nor logged.

mod view;

use axum::extract::{Path, State};
use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::view::{AuditAction, AuditActions, AuditPage, AuditRecord, Explanation, FoundToken, Proof};
use super::body::{Json, JsonOrNothing};
use super::caller::Caller;
use super::problem::{Code, Fault, Problem};
use super::query::Query;
use super::state::Api;
use super::{table, time};
use crate::access::{id_text, parse_id};
use crate::audit::{AuditError, Filter, Noted, SUPPORT_ID_LENGTH, Window};

/// Records on a page where the client doesn't say.
const PAGE: u64 = 100;
/// The most records on a page.
const MOST: u64 = 1000;

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(actions))
        .routes(routes!(get))
        .routes(routes!(find))
        .routes(routes!(explain))
        .routes(routes!(verify))
}

/// What is looked for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Search {
    /// The token, whole or as much of it as was found, or its id.
    token: String,
}

/// What is to be explained.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Quoted {
    /// The support id of a refusal.
    support_id: String,
}

/// What the log is held against.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Against {
    /// The `head` of an earlier verification, as it was noted elsewhere.
    noted: Option<String>,
}

impl From<AuditError> for Problem {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Store(error) => error.into(),
            error => Self::internal(error),
        }
    }
}

/// Who sees only some organizations may not read it.
const ALL: &str = "the log is about all";

/// Lists what happened, the newest first
///
/// A page may have fewer records than asked for, or none, and a `next` nevertheless: each call reads a bounded part of the log.
#[utoipa::path(get, path = "/v1/audit", tag = "audit",
    params(super::Paging,
        ("action" = Option<String>, Query, description = "Only this action; with a `.` at the end, all that begin with it (`personal_token.`)"),
        ("actor" = Option<String>, Query, description = "Only by this user or application"),
        ("object" = Option<String>, Query, description = "Only on this object (`integrations/crm`); with a `/` at the end, all that begin with it"),
        ("token" = Option<String>, Query, description = "Only what concerns the token of this id"),
        ("since" = Option<String>, Query, description = "Only from this time on (RFC 3339, or a day in UTC)"),
        ("until" = Option<String>, Query, description = "Only before this time; of a day, its end")),
    responses((status = 200, description = "A page of records", body = AuditPage)))]
async fn list(State(api): State<Api>, caller: Caller, uri: Uri) -> Result<axum::Json<AuditPage>, Problem> {
    caller.require_all(ALL).await?;
    let mut query = Query::of(&uri);
    let limit = query.number("limit", 1..=MOST).unwrap_or(PAGE);
    let cursor = query.text("cursor");
    let after = cursor.as_ref().and_then(|cursor| {
        let seq = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|seq| String::from_utf8(seq).ok()?.parse().ok());
        if seq.is_none() {
            query.fault("cursor", "is none that this list gave");
        }
        seq
    });
    let token = query.text("token");
    if token.as_ref().is_some_and(|id| parse_id(id).is_none()) {
        query.fault(
            "token",
            "must be a token's id, 12 letters and digits; a whole token belongs into no URL: give it to `tokenhost audit find -` (POST /v1/audit/find)",
        );
    }
    let mut moment = |name: &'static str, of_day: time::OfDay| {
        let text = query.text(name)?;
        let moment = time::parse(&text, of_day);
        if moment.is_none() {
            query.fault(name, time::WANTED);
        }
        moment
    };
    let (since, until) = (moment("since", time::OfDay::Start), moment("until", time::OfDay::End));
    let filter = Filter {
        action: query.text("action"),
        actor: query.text("actor"),
        object: query.text("object"),
        token_id: token,
        digest: None,
        since,
        until,
    };
    query.finish()?;
    let window = Window { after, limit: usize::try_from(limit).unwrap_or(1), newest_first: true };
    let page = api.audit.list(&filter, window).await?;
    Ok(axum::Json(AuditPage {
        items: page.records.into_iter().map(AuditRecord::from).collect(),
        unreadable: page.unreadable,
        next: page.next.map(|next| URL_SAFE_NO_PAD.encode(next.to_string())),
    }))
}

/// Lists what the log calls what is done: all values that the filter `action` finds anything by
#[utoipa::path(get, path = "/v1/audit/actions", tag = "audit",
    responses((status = 200, description = "The actions", body = AuditActions)))]
async fn actions(caller: Caller, uri: Uri) -> Result<axum::Json<AuditActions>, Problem> {
    Query::of(&uri).finish()?;
    caller.require_all(ALL).await?;
    let items = table::actions().into_iter().map(|name| AuditAction { name }).collect();
    Ok(axum::Json(AuditActions { items }))
}

/// Shows a record
#[utoipa::path(get, path = "/v1/audit/{seq}", tag = "audit",
    params(("seq" = u64, Path, description = "Its number")),
    responses((status = 200, description = "The record", body = AuditRecord)))]
async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(seq): Path<String>,
    uri: Uri,
) -> Result<axum::Json<AuditRecord>, Problem> {
    Query::of(&uri).finish()?;
    caller.require_all(ALL).await?;
    let missing = |detail: &str| Problem::new(Code::NotFound, detail);
    let seq: u64 = seq.parse().map_err(|_| missing("there is no such record: that is no number"))?;
    let window = Window { after: seq.checked_sub(1), limit: 1, newest_first: false };
    let mut page = api.audit.list(&Filter::default(), window).await?;
    match page.records.pop() {
        Some(record) if record.seq == seq => Ok(axum::Json(record.into())),
        _ if page.unreadable.contains(&seq) => {
            Err(missing("that record is none any more: somebody altered it; have the log verified"))
        }
        _ => Err(missing("there is no such record; older ones may have been pruned")),
    }
}

/// Finds all that is known of a token: whose it is, where it was used, what was done with it
///
/// For a token that leaked, or may have. It counts no use.
#[utoipa::path(post, path = "/v1/audit/find", tag = "audit", request_body = Search,
    responses((status = 200, description = "What is known", body = FoundToken)))]
async fn find(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
    Json(search): Json<Search>,
) -> Result<axum::Json<FoundToken>, Problem> {
    Query::of(&uri).finish()?;
    caller.require_all(ALL).await?;
    let token = SecretString::from(search.token);
    let inquiry = api.access.inquire(token.expose_secret()).await?;
    let Some(inquiry) = inquiry else {
        let message = "must be a token, at least its first 16 characters, or its id, 12 letters and digits";
        return Err(Problem::invalid(vec![Fault::new("token", "malformed", message)]));
    };
    // What was counted until now goes into the log first, or the latest uses wouldn't be found.
    api.access.settle_usage_of(&inquiry.id);
    api.tally.flush(&api.audit).await?;
    let usage = api.access.usage(&inquiry.id).await?;
    let found = api.audit.find(id_text(&inquiry.id)).await?;
    Ok(axum::Json(FoundToken::new(inquiry, &usage, found)))
}

/// Explains a refusal by the support id that the caller was given
#[utoipa::path(post, path = "/v1/audit/explain", tag = "audit", request_body = Quoted,
    responses((status = 200, description = "Why", body = Explanation)))]
async fn explain(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
    Json(quoted): Json<Quoted>,
) -> Result<axum::Json<Explanation>, Problem> {
    Query::of(&uri).finish()?;
    caller.require_all(ALL).await?;
    api.support.explain(&quoted.support_id).map(|reason| axum::Json(reason.into())).ok_or_else(|| {
        let message = match quoted.support_id.trim().len() {
            26 => "is one of a failure, whose reason stands in the daemon's log under it".to_owned(),
            SUPPORT_ID_LENGTH => "is none that this installation gave, or somebody altered it".to_owned(),
            _ => format!("must be a support id, {SUPPORT_ID_LENGTH} characters; copy it whole"),
        };
        Problem::invalid(vec![Fault::new("support_id", "unknown", message)])
    })
}

/// Proves that nothing in the log was altered, added, left out or cut off
///
/// Somebody who can write to the database could put an older log in place of this one. Note `head` elsewhere now and then, and give
/// it as `noted`: then that shows too.
#[utoipa::path(post, path = "/v1/audit/verify", tag = "audit", request_body(content = Option<Against>),
    responses((status = 200, description = "Whether it is whole", body = Proof)))]
async fn verify(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
    JsonOrNothing(against): JsonOrNothing<Against>,
) -> Result<axum::Json<Proof>, Problem> {
    Query::of(&uri).finish()?;
    caller.require_all(ALL).await?;
    let noted = against.noted.map(|noted| noted.parse::<Noted>()).transpose();
    let noted = noted.map_err(|fault| Problem::invalid(vec![Fault::new("noted", "malformed", fault)]))?;
    let proof = match api.audit.verify(noted.as_ref(), |_, _| {}).await {
        Ok(verified) => Proof::from(verified),
        Err(AuditError::Broken(broken)) => {
            tracing::error!("{broken}");
            Proof::from(broken)
        }
        Err(error) => return Err(error.into()),
    };
    Ok(axum::Json(proof))
}
