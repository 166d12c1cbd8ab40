//! OpenAPI documents: servers, security schemes, requirements and operations out of their bytes.
//!
//! Reads Swagger 2.0 and OpenAPI 3.0, 3.1 and 3.2, as JSON or YAML, and answers one [`Document`] in OpenAPI 3 terms.
//! Only what the daemon needs is read, and read strictly; a mistake there becomes a [`Warning`] with a JSON pointer, or
//! the scheme's `problem`. The rest of a document (schemas, parameters, examples) is skipped as it streams by, so that
//! neither its mistakes nor its size matter. What a request of one operation looks like is read when it is asked for
//! ([`operation_detail`]).
//!
//! It does no input or output, resolves no reference into another file, stores nothing, and validates no API.
//!
//! Bounds (each a named constant beside what it bounds): bytes, nesting, YAML aliases, what is kept of a document,
//! rounds of following references, the size of the result, the number and length of warnings.

mod detail;
mod difference;
mod document;
mod error;
mod operations;
mod outline;
mod parameters;
mod reader;
mod references;
mod scheme;
mod servers;
mod swagger2;
mod text;
mod url;
mod warnings;

#[cfg(test)]
mod tests;

pub use self::detail::{
    Content, Encoding, OperationDetail, Parameter, Place, RequestBody, Schema, SchemaFault, Style, Wrong,
    operation_detail,
};
pub use self::difference::{Change, Changes, Difference};
pub use self::document::{Document, Operation, SecurityRequirement, Server};
pub use self::error::DocumentError;
pub use self::parameters::{ExtraParameter, ParameterPlace, ParameterUse};
pub use self::scheme::SecurityScheme;
pub use self::text::MAX_BYTES;
pub use self::url::{UrlProblem, resolve_url};
pub use self::warnings::Warning;

/// Reads a document.
///
/// Takes as long as parsing the bytes does, up to a few times where references lead into skipped parts. On a server,
/// call it where blocking for seconds is allowed: a YAML document may be [`MAX_BYTES`] long.
///
/// # Errors
/// The bytes are no OpenAPI document, or beyond a bound. No error repeats text of the document.
pub fn read(bytes: &[u8]) -> Result<Document, DocumentError> {
    let source = text::Source::new(bytes)?;
    reader::read(&source)
}
