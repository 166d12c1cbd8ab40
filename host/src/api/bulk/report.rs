//! What became of each row of an import, and of what a source keeps in step.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::caller::Caller;
use super::super::problem::{Code, Fault, Problem};
use super::rows::Kind;

/// What became of a row. In a dry run: what would become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RowStatus)]
pub(super) enum Status {
    /// It was made.
    Created,
    /// It was changed.
    Updated,
    /// It was so already; nothing was written.
    Unchanged,
    /// Its source lists it no longer, so it was disabled.
    Disabled,
    /// Its source lists it no longer, so it was deleted.
    Deleted,
    /// Nothing was done; `code`, `detail` and `errors` say why.
    Failed,
}

/// What was done for a row.
pub(super) struct Done {
    pub(super) status: Status,
    /// The public id of the token.
    pub(super) id: Option<String>,
    /// The value of a new token.
    pub(super) token: Option<SecretString>,
}

impl Done {
    /// This, with nothing to tell besides.
    pub(super) fn new(status: Status) -> Self {
        Self { status, id: None, token: None }
    }

    /// This, of the token with this public id.
    pub(super) fn of_token(status: Status, id: &str) -> Self {
        Self { status, id: Some(id.to_owned()), token: None }
    }
}

/// What became of one row. Has no `Debug`: it may hold a token.
#[derive(Serialize, ToSchema)]
#[schema(as = BulkRow)]
pub(super) struct Line {
    /// The number of the row, from 1, the header of a CSV file not counted; absent where no row lists it any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<usize>,
    /// `users`, `organizations`, `application-tokens`, `personal-tokens` or `integrations`.
    kind: &'static str,
    /// The login, name or id by which it is known; absent where the row has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// What became of it.
    status: Status,
    /// The public id of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The value of a new token, shown here and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Why it failed: a code as problems have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Code>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// What is wrong, by member or column: all of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
}

/// The longest key that a report repeats.
const KEY_SHOWN: usize = 128;

impl Line {
    /// What became of this row, or of what no row lists.
    pub(super) fn new(row: Option<usize>, kind: Kind, key: Option<&str>, outcome: Result<Done, Problem>) -> Self {
        let key = key.map(|key| key.chars().take(KEY_SHOWN).collect());
        let mut line = Self {
            row,
            kind: kind.as_str(),
            key,
            status: Status::Failed,
            id: None,
            token: None,
            code: None,
            detail: None,
            errors: Vec::new(),
        };
        match outcome {
            Ok(Done { status, id, token }) => {
                line.token = token.map(|token| token.expose_secret().to_owned());
                (line.status, line.id) = (status, id);
            }
            Err(problem) => (line.code, line.detail, line.errors) = problem.into_parts(),
        }
        line
    }
}

/// What became of all rows.
#[derive(Serialize, ToSchema)]
#[schema(as = BulkReport)]
pub(super) struct Report {
    /// Whether nothing was changed, and this only tells what would be.
    dry_run: bool,
    /// Rows of which something was made.
    created: usize,
    /// Rows of which something was changed.
    updated: usize,
    /// Rows that were so already.
    unchanged: usize,
    /// What was disabled, as its source lists it no longer.
    disabled: usize,
    /// What was deleted, as its source lists it no longer.
    deleted: usize,
    /// Rows of which nothing came.
    failed: usize,
    /// Each row, in order; then what no row lists any more.
    rows: Vec<Line>,
}

impl Report {
    /// The report of these.
    pub(super) fn new(dry_run: bool, rows: Vec<Line>) -> Self {
        let count = |status| rows.iter().filter(|line| line.status == status).count();
        Self {
            dry_run,
            created: count(Status::Created),
            updated: count(Status::Updated),
            unchanged: count(Status::Unchanged),
            disabled: count(Status::Disabled),
            deleted: count(Status::Deleted),
            failed: count(Status::Failed),
            rows,
        }
    }

    /// The answer. The audit record of the call gets the sums.
    pub(super) fn answer(self, caller: &Caller) -> Response {
        for (name, count) in [
            ("created", self.created),
            ("updated", self.updated),
            ("unchanged", self.unchanged),
            ("disabled", self.disabled),
            ("deleted", self.deleted),
            ("failed", self.failed),
        ] {
            if count > 0 {
                caller.note_detail(name, count.to_string());
            }
        }
        let mut response = axum::Json(self).into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
