//! Why bytes can't be read as an OpenAPI document: what, where, and what to do. Repeats no text of the document, since
//! that may have been fetched from somewhere that its reader may not see.

/// Why there is no [`Document`](super::Document).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// More bytes than [`MAX_BYTES`](super::MAX_BYTES).
    #[error(
        "the document has {bytes} bytes, and at most {limit} are read; import a part of it, e.g. without its schemas"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest size.
        limit: usize,
    },
    /// Not UTF-8.
    #[error("the document isn't UTF-8 text: {problem}, line {line}, column {column}; save it as UTF-8")]
    NotText {
        /// What is there instead.
        problem: &'static str,
        /// From 1.
        line: usize,
        /// In bytes, from 1.
        column: usize,
    },
    /// Neither the one nor the other notation's grammar.
    #[error(
        "the document isn't valid {notation}: {problem}, line {line}, column {column}; correct it there, or save it anew"
    )]
    Syntax {
        /// `JSON` or `YAML`.
        notation: &'static str,
        /// The parser's words.
        problem: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// More levels of lists and objects than are read.
    #[error("the document nests more than {limit} levels deep at line {line}, column {column}; flatten it there")]
    TooDeep {
        /// The deepest level that is read.
        limit: usize,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// YAML anchors and aliases that would grow without bound, or an alias to what contains it.
    #[error(
        "the document's YAML aliases {problem}, line {line}, column {column}; write out in full what they stand for"
    )]
    Aliases {
        /// What they do.
        problem: &'static str,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// Several YAML documents in one text.
    #[error("there are several YAML documents, the second begins at line {line}; import each by itself")]
    SeveralDocuments {
        /// From 1.
        line: usize,
    },
    /// More of what is kept than is kept.
    #[error("the document has more than {limit} {what}; import a part of it")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much of it is kept.
        limit: usize,
    },
    /// Well-formed, but something else.
    #[error("this is no OpenAPI document: {0}")]
    NotOpenApi(String),
}

/// Line and column of a byte, both from 1; the column counts bytes.
pub(super) fn position(bytes: &[u8], offset: usize) -> (usize, usize) {
    let before = bytes.get(..offset).unwrap_or(bytes);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    (line, before.len() - start + 1)
}
