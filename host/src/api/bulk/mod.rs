//! Bulk doors: much comes out, goes in, or is kept in step with one call. Each has a scope of its own.
//!
//! They go through the same rooms and rules as the calls for one thing: no right, check or audit record is spared. Which
//! rights a call needs depends on what it asks for, so they are asked for here, not in the table of routes.

mod apply;
mod cells;
mod export;
mod import;
mod listing;
mod missing;
mod report;
mod rows;
mod synchro;

use utoipa_axum::router::OpenApiRouter;

pub(super) use self::import::FILE_BYTES;
use super::state::Api;

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().merge(export::routes()).merge(import::routes()).merge(synchro::routes())
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// An array of objects.
    Json,
    /// A header line with the names of columns, then a line for each row (RFC 4180).
    Csv,
}

impl Format {
    /// The format of this name.
    fn of_name(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }

    /// The end of a file's name.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }
}
