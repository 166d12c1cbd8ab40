//! Paths of the API and of pages, out of parts that may hold anything.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What is escaped: all but what names are mostly made of, so that people can read addresses. A dot is, since two of them would
/// lead elsewhere.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// A path of these segments.
pub(super) fn path(segments: &[&str]) -> String {
    segments.iter().fold(String::new(), |mut path, segment| {
        path.push('/');
        path.extend(utf8_percent_encode(segment, ESCAPED));
        path
    })
}

/// The path of something of this name, or of what belongs to it, in the API.
pub(super) fn in_api(noun: &str, name: &str, rest: &[&str]) -> String {
    path(&[&["v1", noun, name], rest].concat())
}

/// A path with these parameters; those without a value are left out.
pub(super) fn with(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    match query.finish().as_str() {
        "" => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_dont_get_out_of_their_place() {
        assert_eq!(path(&["console", "integrations", "crm-prod_2"]), "/console/integrations/crm-prod_2");
        assert_eq!(path(&["v1", "models", "../x?y"]), "/v1/models/%2E%2E%2Fx%3Fy");
        assert_eq!(with("/v1/audit", &[("q", Some("a&b=c")), ("cursor", None)]), "/v1/audit?q=a%26b%3Dc");
        assert_eq!(with("/v1/audit", &[("q", None)]), "/v1/audit");
    }
}
