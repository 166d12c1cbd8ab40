//! Exports: everything of a kind that the caller sees, as JSON or CSV, in pages on its way out, so that its size costs no
//! memory and a client that goes away ends it.
//!
//! An export that can't be read to its end is cut off, and not ended: no client takes a part for the whole.

use std::io;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::caller::Caller;
use super::super::problem::Problem;
use super::super::query::Query;
use super::super::state::Api;
use super::Format;
use super::cells::Writer;
use super::listing::{Rows, What};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(get, post))
}

/// What is exported, and how.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used; `wanted` reads the parameters")]
struct Parameters {
    /// `integrations`, `models`, `users`, `organizations`, `application-tokens`, `personal-tokens` or `audit`. Default:
    /// `integrations`
    what: Option<String>,
    /// `json` or `csv`. Default: `json`
    format: Option<String>,
    /// The names of columns, with commas between. Default: all
    fields: Option<String>,
}

/// What a client asks for.
struct Wanted {
    what: What,
    format: Format,
    /// The numbers of its columns.
    columns: Vec<usize>,
}

impl Wanted {
    /// Reads the parameters.
    fn of(mut query: Query) -> Result<Self, Problem> {
        let what = query.choice("what", What::of_name, &What::ALL.map(What::as_str)).unwrap_or(What::Integrations);
        let format = query.choice("format", Format::of_name, &["json", "csv"]).unwrap_or(Format::Json);
        let all = what.columns();
        let mut columns: Vec<usize> = Vec::new();
        match query.text("fields") {
            None => columns.extend(0..all.len()),
            Some(fields) => {
                for name in fields.split(',').map(str::trim) {
                    match all.iter().position(|column| *column == name) {
                        Some(index) if !columns.contains(&index) => columns.push(index),
                        Some(_) => query.fault("fields", "names a column twice"),
                        None => query.fault("fields", &format!("must be of {}", all.join(","))),
                    }
                }
            }
        }
        query.finish()?;
        Ok(Self { what, format, columns })
    }
}

/// Exports what the caller sees
///
/// Streamed, in the order of names. In CSV, the first line names the columns, `a.b` being the member `b` of the member `a`;
/// items of lists are joined with `|`, objects are JSON. A text that a spreadsheet would take for a formula, as it begins
/// with `=`, `+`, `-`, `@` or a tab, has a `'` in front. No column holds a secret or the value of a token.
#[utoipa::path(get, path = "/v1/export", tag = "bulk", params(Parameters),
    responses((status = 200, description = "The rows", content((Vec<serde_json::Value> = "application/json"), (String = "text/csv")))))]
async fn get(State(api): State<Api>, caller: Caller, request: Request) -> Result<Response, Problem> {
    export(api, caller, Query::of_door(&request)).await
}

/// Exports what the caller sees
///
/// The same for clients that send their token, and maybe the parameters, in a form.
#[utoipa::path(post, path = "/v1/export", tag = "bulk", params(Parameters),
    responses((status = 200, description = "The rows", content((Vec<serde_json::Value> = "application/json"), (String = "text/csv")))))]
async fn post(State(api): State<Api>, caller: Caller, request: Request) -> Result<Response, Problem> {
    export(api, caller, Query::of_door(&request)).await
}

async fn export(api: Api, caller: Caller, query: Query) -> Result<Response, Problem> {
    let wanted = Wanted::of(query)?;
    wanted.what.check(&caller).await?;
    let all = wanted.what.columns();
    let names = wanted.columns.iter().filter_map(|index| all.get(*index).copied()).collect();
    let mut headers = HeaderMap::new();
    let media_type = match wanted.format {
        Format::Json => "application/json",
        Format::Csv => "text/csv; charset=utf-8; header=present",
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let file = format!("attachment; filename=\"{}.{}\"", wanted.what.as_str(), wanted.format.as_str());
    if let Ok(file) = HeaderValue::try_from(file) {
        headers.insert(header::CONTENT_DISPOSITION, file);
    }
    let writer = Writer::new(wanted.format, names);
    let mut under_way = UnderWay { api, caller, wanted, writer, place: Place::Start };
    // What is wrong from the start is told by a problem, not by an answer that breaks off.
    let first = under_way.next().await?;
    let rest = stream::try_unfold(under_way, async |mut under_way| match under_way.next().await {
        Ok(Some(piece)) => Ok(Some((piece, under_way))),
        Ok(None) => Ok(None),
        Err(problem) => {
            let what = under_way.wanted.what.as_str();
            tracing::warn!(what, code = problem.code().as_str(), "an export was cut off, since it can't be read on");
            Err(io::Error::other("the export can't be read on"))
        }
    });
    let first = stream::iter(first.map(Ok));
    let body = Body::from_stream(futures_util::StreamExt::chain(first, rest));
    Ok((headers, body).into_response())
}

/// An export on its way.
struct UnderWay {
    api: Api,
    caller: Caller,
    wanted: Wanted,
    writer: Writer,
    place: Place,
}

/// How far an export is.
enum Place {
    Start,
    After(String),
    End,
}

impl UnderWay {
    /// The next piece of the file; none: it is complete.
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let mut piece = Vec::new();
        while piece.is_empty() {
            let after = match &self.place {
                Place::Start => {
                    piece = self.writer.head()?;
                    None
                }
                Place::After(after) => Some(after.as_str()),
                Place::End => return Ok(None),
            };
            let Rows { rows, next } =
                self.wanted.what.rows(&self.api, &self.caller, after, &self.wanted.columns).await?;
            piece.extend(self.writer.rows(rows)?);
            self.place = next.map_or(Place::End, Place::After);
            if matches!(self.place, Place::End) {
                piece.extend(self.writer.tail());
            }
        }
        Ok(Some(piece.into()))
    }
}
