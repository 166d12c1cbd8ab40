//! Where a proxied request goes: a path below the service's base path, and no way out of it.
//!
//! Services decode, merge and resolve paths in their own ways. What any of them might take for a way up is refused rather than
//! mended, so that the path that was held against an operation is the one that the service sees.

use percent_encoding::percent_decode_str;
use url::Url;

/// How often a segment is decoded to find out what it might be.
const DECODINGS: usize = 3;

/// Why a path isn't passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// `.` or `..`, encoded or not.
    #[error("has a segment `.` or `..`, plain or encoded; give the path itself")]
    Dots,
    /// Nothing between two slashes.
    #[error("has an empty segment (`//`); leave the additional slash out")]
    Empty,
    /// A backslash, which some services take for a slash.
    #[error("has a backslash; where one is meant, it can't be passed on")]
    Backslash,
    /// A control character.
    #[error("has an encoded control character")]
    Control,
    /// `%` without two hexadecimal digits.
    #[error("has a `%` that isn't followed by two hexadecimal digits; a percent sign is %25")]
    Escape,
}

/// The path below the base, beginning with a slash, from what follows `…/proxy`.
///
/// # Errors
/// It might lead out of the base.
pub fn below(rest: &str) -> Result<&str, PathFault> {
    if rest.is_empty() {
        return Ok("/");
    }
    // The usual path needs no look at its parts.
    if !rest.bytes().any(|byte| matches!(byte, b'%' | b'\\' | b'.')) && !rest.contains("//") {
        return Ok(rest);
    }
    let inner = rest.strip_prefix('/').unwrap_or(rest);
    let mut segments = inner.split('/').peekable();
    while let Some(segment) = segments.next() {
        // A slash at the end is a part of the path.
        if segment.is_empty() && segments.peek().is_some() {
            return Err(PathFault::Empty);
        }
        check(segment)?;
    }
    Ok(rest)
}

/// Refuses a segment that might be something else than it seems.
fn check(segment: &str) -> Result<(), PathFault> {
    let bytes = segment.as_bytes();
    let is_escape =
        |at: usize| bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if (0..bytes.len()).any(|at| bytes.get(at) == Some(&b'%') && !is_escape(at)) {
        return Err(PathFault::Escape);
    }
    let mut decoded = segment.to_owned();
    for _ in 0..=DECODINGS {
        if decoded.contains('\\') {
            return Err(PathFault::Backslash);
        }
        if decoded.chars().any(char::is_control) {
            return Err(PathFault::Control);
        }
        // An encoded slash is passed on as it is, and what it separates is judged like segments. Some services cut off what
        // follows a semicolon first.
        let mut parts = decoded.split('/').map(|part| part.split_once(';').map_or(part, |(name, _)| name).trim());
        if parts.any(|part| matches!(part, "." | "..")) {
            return Err(PathFault::Dots);
        }
        let again = percent_decode_str(&decoded).decode_utf8_lossy().into_owned();
        if again == decoded {
            break;
        }
        decoded = again;
    }
    Ok(())
}

/// The URL of a path below the base.
pub fn target(base: &Url, below: &str, query: Option<&str>) -> Url {
    let mut url = base.clone();
    let path = match base.path().trim_end_matches('/') {
        "" => below.to_owned(),
        prefix => format!("{prefix}{below}"),
    };
    url.set_path(&path);
    url.set_query(query);
    url.set_fragment(None);
    url
}

/// Where a service's `Location` leads a caller of the proxy: to the proxy's path (`proxy`, such as
/// `/v1/integrations/crm/proxy`) where it lies below the service's base, else to the place itself.
pub fn location(base: &Url, asked: &Url, location: &str, proxy: &str) -> Option<String> {
    let to = asked.join(location).ok()?;
    if to.origin() != base.origin() || !to.username().is_empty() || to.password().is_some() {
        return Some(to.into());
    }
    let prefix = base.path().trim_end_matches('/');
    let Some(rest) = to.path().strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
        return Some(to.into());
    };
    let query = to.query().map(|query| format!("?{query}")).unwrap_or_default();
    let fragment = to.fragment().map(|fragment| format!("#{fragment}")).unwrap_or_default();
    Some(format!("{proxy}{rest}{query}{fragment}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_the_base() {
        use PathFault::{Backslash, Control, Dots, Empty, Escape};
        for (rest, expected) in [
            ("", Ok("/")),
            ("/", Ok("/")),
            ("/a/b", Ok("/a/b")),
            ("/a/b/", Ok("/a/b/")),
            ("/a%20b/c%2Fd", Ok("/a%20b/c%2Fd")),
            ("/a.b/...", Ok("/a.b/...")),
            ("/.well-known/x", Ok("/.well-known/x")),
            ("/%25", Ok("/%25")),
            ("/%C3%A9/%ff", Ok("/%C3%A9/%ff")),
            ("/a;b=c/d", Ok("/a;b=c/d")),
            ("/..", Err(Dots)),
            ("/../x", Err(Dots)),
            ("/a/../b", Err(Dots)),
            ("/a/.", Err(Dots)),
            ("/a/./b", Err(Dots)),
            ("/%2e%2e/x", Err(Dots)),
            ("/%2E./x", Err(Dots)),
            ("/%2e", Err(Dots)),
            ("/%252e%252e/x", Err(Dots)),
            ("/%25252e./x", Err(Dots)),
            ("/a%2f..%2fb", Err(Dots)),
            ("/..%2fb", Err(Dots)),
            ("/..;/x", Err(Dots)),
            ("/..;a=b/x", Err(Dots)),
            ("/..%3bx/y", Err(Dots)),
            ("/..%20/x", Err(Dots)),
            ("//evil.example/x", Err(Empty)),
            ("/a//b", Err(Empty)),
            ("/a//", Err(Empty)),
            ("/a\\b", Err(Backslash)),
            ("/..\\x", Err(Backslash)),
            ("/a%5cb", Err(Backslash)),
            ("/a%255Cb", Err(Backslash)),
            ("/a%00b", Err(Control)),
            ("/a%0d%0ab", Err(Control)),
            ("/a%2500", Err(Control)),
            ("/a%", Err(Escape)),
            ("/a%2", Err(Escape)),
            ("/a%zz", Err(Escape)),
        ] {
            assert_eq!(below(rest), expected, "{rest}");
        }
    }

    #[test]
    fn a_target_is_the_base_and_the_path() {
        for (base, rest, query, expected) in [
            ("https://a.example", "/x", None, "https://a.example/x"),
            ("https://a.example/api/v1/", "/x%2Fy", Some("q=1&q=2"), "https://a.example/api/v1/x%2Fy?q=1&q=2"),
            ("https://a.example/api?x=y", "/", None, "https://a.example/api/"),
            ("https://a.example:8443/api", "/@b.example/", Some(""), "https://a.example:8443/api/@b.example/?"),
        ] {
            let url = target(&Url::parse(base).unwrap(), below(rest).unwrap(), query);
            assert_eq!(url.as_str(), expected);
        }
    }

    #[test]
    fn a_location_below_the_base_leads_through_the_proxy() {
        let base = Url::parse("https://a.example/api/").unwrap();
        let asked = Url::parse("https://a.example/api/v1/things?x=y").unwrap();
        for (given, expected) in [
            ("https://a.example/api/v2/x?q=1#f", "/p/v2/x?q=1#f"),
            ("/api/v1/7", "/p/v1/7"),
            ("7", "/p/v1/7"),
            ("?page=2", "/p/v1/things?page=2"),
            ("../../api", "/p"),
            ("//a.example/api/x", "/p/x"),
            ("/login", "https://a.example/login"),
            ("/apix", "https://a.example/apix"),
            ("../../../login", "https://a.example/login"),
            ("https://b.example/api/x", "https://b.example/api/x"),
            ("//b.example/api/x", "https://b.example/api/x"),
            ("http://a.example/api/x", "http://a.example/api/x"),
            ("https://a.example:8443/api/x", "https://a.example:8443/api/x"),
            ("https://u@a.example/api/x", "https://u@a.example/api/x"),
            ("javascript:alert(1)", "javascript:alert(1)"),
        ] {
            assert_eq!(location(&base, &asked, given, "/p").as_deref(), Some(expected), "{given}");
        }
        assert_eq!(location(&base, &asked, "https://[", "/p"), None);
    }
}
