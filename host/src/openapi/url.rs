//! URLs of a document: relative ones resolve against a server's (RFC 3986 section 5). Decides nothing about whether a
//! URL may be dialled.

use url::Url;

/// Longest URL that is looked at, in bytes; no server or client takes longer ones.
pub(super) const MAX_LENGTH: usize = 8192;

/// Why a reference is no URL to send a request to. The field must be filled in by hand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlProblem {
    /// Nothing or white space.
    #[error("the URL is empty; give an absolute one")]
    Empty,
    /// Relative, and there is nothing that it is relative to.
    #[error("the URL is relative and no absolute server URL is known; choose a server or give an absolute URL")]
    NoServer,
    /// It has a variable part, e.g. `{tenant}`.
    #[error("the URL has a placeholder in braces; give the URL with its value in place of it")]
    Placeholder,
    /// Absolute, but not `http://` or `https://`.
    #[error("the URL doesn't begin with https:// (or http://); give it in full")]
    NotHttp,
    /// Not a URL at all.
    #[error("the URL is malformed: {0}; correct it")]
    Malformed(String),
}

/// The absolute URL that a reference stands for.
///
/// `server` is the chosen server's absolute URL; an absolute reference needs none. A relative server URL can itself be
/// resolved by this, against the URL that the document was fetched from.
///
/// Stricter than the WHATWG rules that browsers follow: what RFC 3986 doesn't allow (backslashes, tabs, `https:host`)
/// isn't guessed at, since a secret goes where this points.
///
/// # Errors
/// The reference is empty, malformed, or not resolvable.
pub fn resolve_url(reference: &str, server: Option<&Url>) -> Result<Url, UrlProblem> {
    let reference = reference.trim();
    if reference.is_empty() {
        return Err(UrlProblem::Empty);
    }
    if reference.len() > MAX_LENGTH {
        return Err(UrlProblem::Malformed(format!("it is longer than {MAX_LENGTH} bytes")));
    }
    if reference.contains(['{', '}']) {
        return Err(UrlProblem::Placeholder);
    }
    if let Some(bad) = reference.chars().find(|c| c.is_whitespace() || c.is_control() || *c == '\\') {
        return Err(UrlProblem::Malformed(format!("it has the character {bad:?}")));
    }
    let resolved = match scheme(reference) {
        Some(scheme) if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http") => {
            if !reference[scheme.len()..].starts_with("://") {
                return Err(UrlProblem::NotHttp);
            }
            Url::parse(reference)
        }
        Some(_) => return Err(UrlProblem::NotHttp),
        None => server.ok_or(UrlProblem::NoServer)?.join(reference),
    };
    let resolved = resolved.map_err(|error| UrlProblem::Malformed(error.to_string()))?;
    if !matches!(resolved.scheme(), "https" | "http") {
        return Err(UrlProblem::NotHttp);
    }
    Ok(resolved)
}

/// The scheme of an absolute reference (RFC 3986 section 3.1).
fn scheme(reference: &str) -> Option<&str> {
    let (scheme, _) = reference.split_once(':')?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(allowed)).then_some(scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(reference: &str, server: Option<&str>, expected: Result<&str, UrlProblem>) {
        let server = server.map(|server| Url::parse(server).unwrap());
        assert_eq!(
            resolve_url(reference, server.as_ref()).as_ref().map(Url::as_str),
            expected.as_ref().copied(),
            "{reference}"
        );
    }

    #[test]
    fn references_resolve_by_rfc_3986() {
        let base = Some("https://api.example.com/v1/base");
        check("https://id.example.com/token?a=b", None, Ok("https://id.example.com/token?a=b"));
        check(" HTTPS://ID.example.com:443/token\n", base, Ok("https://id.example.com/token"));
        check("http://127.0.0.1:8080/t", None, Ok("http://127.0.0.1:8080/t"));
        check("/oauth/token", base, Ok("https://api.example.com/oauth/token"));
        check("token", base, Ok("https://api.example.com/v1/token"));
        check("token", Some("https://api.example.com/v1/"), Ok("https://api.example.com/v1/token"));
        check("../token", base, Ok("https://api.example.com/token"));
        check("?x=1", base, Ok("https://api.example.com/v1/base?x=1"));
        check("//id.example.com/token", base, Ok("https://id.example.com/token"));
        check("/a:b", base, Ok("https://api.example.com/a:b"));
    }

    #[test]
    fn what_points_nowhere_is_a_problem() {
        let base = Some("https://api.example.com/v1");
        check("", base, Err(UrlProblem::Empty));
        check(" \t", base, Err(UrlProblem::Empty));
        check("/v1", None, Err(UrlProblem::NoServer));
        check("token", None, Err(UrlProblem::NoServer));
        check("//id.example.com", None, Err(UrlProblem::NoServer));
        check("https://{tenant}.example.com/token", base, Err(UrlProblem::Placeholder));
        check("/{tenant}/token", base, Err(UrlProblem::Placeholder));
        check("ftp://example.com/token", base, Err(UrlProblem::NotHttp));
        check("localhost:8080/token", base, Err(UrlProblem::NotHttp));
        check("javascript:alert(1)", base, Err(UrlProblem::NotHttp));
        check("https:example.com/token", base, Err(UrlProblem::NotHttp));
        check("https:/example.com/token", base, Err(UrlProblem::NotHttp));
        check("/v1", Some("ftp://example.com"), Err(UrlProblem::NotHttp));
        check("\\\\evil.example/token", base, Err(UrlProblem::Malformed("it has the character '\\\\'".into())));
        check("https://a.example\t.evil/token", base, Err(UrlProblem::Malformed("it has the character '\\t'".into())));
        check("https://", base, Err(UrlProblem::Malformed("empty host".into())));
        let long = format!("/{}", "a".repeat(MAX_LENGTH));
        check(&long, base, Err(UrlProblem::Malformed("it is longer than 8192 bytes".into())));
    }
}
