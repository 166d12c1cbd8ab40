//! Imports: many things made and changed with one call, each row on its own, and a report that says what became of it.

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::body;
use super::super::caller::Caller;
use super::super::form::{self, Form};
use super::super::problem::{Code, Fault, Problem};
use super::super::query::Query;
use super::super::state::Api;
use super::Format;
use super::apply::Run;
use super::report::Report;
use super::rows::{self, Kind};
use crate::access::{Reason, Right};

/// The largest file.
pub(in crate::api) const FILE_BYTES: usize = 16 << 20;

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(import))
}

/// What is imported, and how.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used; `import` reads the parameters")]
struct Parameters {
    /// `users`, `organizations`, `application-tokens`, `personal-tokens` or `integrations`
    what: String,
    /// `json` or `csv`. Default: as the content type says, and else as the content looks
    format: Option<String>,
    /// `true`: nothing is changed, and the report is the same, but for the values of new tokens. Default: `false`
    dry_run: Option<bool>,
}

/// Makes and changes many things
///
/// The body is a JSON array of objects, `{"rows": […]}`, or CSV with a header line; or a multipart form with one such file. At
/// most 16 MiB and 10,000 rows. Members and columns are those of an export and of the call that makes one such thing; what
/// only the daemon writes is left alone. Users are known by `login`, organizations, application tokens and integrations by
/// `name`, personal tokens by `id`: what is there is changed, what isn't is made, but for personal tokens. What a row leaves
/// out stays as it is; in CSV an empty cell leaves out, in JSON null unsets. Each row is on its own: one that fails
/// undoes no other. Rows of deleted tokens are passed over.
#[utoipa::path(post, path = "/v1/import", tag = "bulk", params(Parameters),
    request_body(content((Vec<serde_json::Value> = "application/json"), (String = "text/csv"))),
    responses((status = 200, description = "What became of each row", body = Report)))]
async fn import(State(api): State<Api>, caller: Caller, request: Request) -> Result<Response, Problem> {
    let mut query = Query::of_door(&request);
    let what = query.choice("what", Kind::of_name, &Kind::ALL.map(Kind::as_str));
    let format = query.choice("format", Format::of_name, &["json", "csv"]);
    let dry_run = query.flag("dry_run");
    query.finish()?;
    if dry_run {
        caller.note_dry_run();
    }
    let Some(kind) = what else {
        let names = Kind::ALL.map(Kind::as_str).join(", ");
        return Err(Problem::invalid(vec![Fault::new("what", "missing", format!("say which: {names}"))]));
    };
    match kind {
        Kind::Integrations if caller.may_somewhere(Right::WriteIntegrations) => {}
        Kind::Integrations => {
            return Err(caller.refuse(Reason::RightMissing, Right::WriteIntegrations.as_str()).await);
        }
        _ => caller.require(Right::ManagePrincipals).await?,
    }
    caller.note_object(format!("import/{}", kind.as_str()));
    let rows = {
        let _permit = api.large.acquire().await.map_err(Problem::internal)?;
        let (format, file) = file(format, request).await?;
        rows::read(kind, format, &file)?
    };
    let lines = Run::new(api, caller.clone(), dry_run, None).rows(kind, rows).await;
    Ok(Report::new(dry_run, lines).answer(&caller))
}

/// The file that a request brings, and its format.
async fn file(wanted: Option<Format>, request: Request) -> Result<(Format, Bytes), Problem> {
    let (mut parts, content) = request.into_parts();
    let (file, by_type) = if let Some(form) = parts.extensions.remove::<Form>() {
        let missing =
            || Problem::new(Code::Malformed, "the form has no file; send one, as by `curl -F file=@users.csv`");
        (form.file.ok_or_else(missing)?, None)
    } else {
        let by_type = by_type(&parts.headers)?;
        (body::read(content, FILE_BYTES).await?, by_type)
    };
    if file.len() > FILE_BYTES {
        return Err(Problem::new(Code::TooLarge, format!("at most {FILE_BYTES} bytes are read here")));
    }
    let looks = || match file.trim_ascii_start().first() {
        Some(b'[' | b'{') => Format::Json,
        _ => Format::Csv,
    };
    Ok((wanted.or(by_type).unwrap_or_else(looks), file))
}

/// The format that a content type says; none where it says nothing.
fn by_type(headers: &HeaderMap) -> Result<Option<Format>, Problem> {
    let media_type = body::media_type(headers);
    match media_type.as_str() {
        "" | "text/plain" | "application/octet-stream" => Ok(None),
        "text/csv" => Ok(Some(Format::Csv)),
        other if body::is_json(other) => Ok(Some(Format::Json)),
        _ if form::is_form(headers) => Ok(None),
        _ => Err(Problem::new(
            Code::UnsupportedMediaType,
            "send the rows as application/json or text/csv, or a form with a file",
        )),
    }
}
