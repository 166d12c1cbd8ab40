//! Which operations of a service a grant is for: by operation id, or by method and path.
//!
//! It knows nothing of documents; whoever asks says what an operation is called.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest pattern, in bytes.
const LONGEST: usize = 512;

/// A pattern that operations are held against: an operation id, or `METHOD /path` as the document writes it. A `*` stands for
/// any text; the method may be one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OperationPattern(String);

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no operation: an id such as listContacts, or method and path such as `GET /contacts/*`, is wanted")]
pub struct NoPattern;

impl OperationPattern {
    /// Whether it stands for this operation.
    pub fn fits(&self, id: Option<&str>, method: &str, path: &str) -> bool {
        match self.0.split_once(' ') {
            None => id.is_some_and(|id| matches(&self.0, id)),
            Some((wanted, template)) => {
                (wanted == "*" || wanted.eq_ignore_ascii_case(method)) && matches(template, path)
            }
        }
    }
}

/// Whether a text fits a pattern in which `*` stands for any text. Takes as long as both together, at most times the stars.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|head| text.strip_prefix(head)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

impl FromStr for OperationPattern {
    type Err = NoPattern;

    fn from_str(text: &str) -> Result<Self, NoPattern> {
        let is_visible = !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control);
        let is_pattern = match text.split_once(' ') {
            None => !text.starts_with('/'),
            Some((method, path)) => {
                let is_method =
                    method == "*" || (!method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic()));
                is_method && path.starts_with(['/', '*'])
            }
        };
        if is_visible && is_pattern { Ok(Self(text.to_owned())) } else { Err(NoPattern) }
    }
}

impl TryFrom<String> for OperationPattern {
    type Error = NoPattern;

    fn try_from(text: String) -> Result<Self, NoPattern> {
        text.parse()
    }
}

impl From<OperationPattern> for String {
    fn from(pattern: OperationPattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for OperationPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_by_id_or_by_method_and_path() {
        let check = |pattern: &str, expected: bool| {
            let pattern: OperationPattern = pattern.parse().unwrap();
            let fits = pattern.fits(Some("listContacts"), "GET", "/contacts/{id}/notes");
            assert_eq!(fits, expected, "{pattern}");
        };
        check("listContacts", true);
        check("listcontacts", false);
        check("list*", true);
        check("*", true);
        check("*Cont*", true);
        check("*Cont", false);
        check("GET /contacts/{id}/notes", true);
        check("get /contacts/*", true);
        check("* /contacts/*/notes", true);
        check("POST /contacts/*", false);
        check("GET /contacts", false);
        check("GET *notes", true);
        check("GET /*/notes/*", false);
        check("GET /contacts/*/*/notes", false);
        let nameless: OperationPattern = "*".parse().unwrap();
        assert!(!nameless.fits(None, "GET", "/"), "an operation without an id is named by its path");
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "/contacts", "GET contacts", " /contacts", "G3T /x", "a\nb", &"x".repeat(513)] {
            text.parse::<OperationPattern>().unwrap_err();
        }
    }
}
