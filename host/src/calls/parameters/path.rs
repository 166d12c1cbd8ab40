//! A path template with its values. No value changes which resource it is: none is a segment that leads elsewhere.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::fault::{FaultCode, FieldFault};

/// What the template's own text can't hold; what is encoded stays.
const LITERAL: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'`').add(b'\\').add(b'^').add(b'|');

/// What the template's own query can't hold.
const QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\'');

/// How often a segment is decoded to find out what it might be.
const DECODINGS: usize = 3;

/// A part of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Text of its own.
    Text(&'a str),
    /// The name of a parameter.
    Name(&'a str),
}

/// The parts of a template's path. What stands after `?` or `#` isn't of it: some documents tell operations of one path
/// apart by that.
pub(super) fn parts(template: &str) -> Vec<Part<'_>> {
    let mut rest = split(template).0;
    let mut parts = Vec::new();
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        parts.extend([Part::Text(before), Part::Name(name)]);
        rest = after;
    }
    parts.push(Part::Text(rest));
    parts
}

/// The template's path and what it has of a query.
fn split(template: &str) -> (&str, Option<&str>) {
    let template = template.split('#').next().unwrap_or_default();
    template.split_once('?').map_or((template, None), |(path, query)| (path, Some(query)))
}

/// The path with these values, which are encoded already, and what the template has of a query. A value that leads
/// elsewhere is a fault.
pub(super) fn fill(
    template: &str,
    values: &[(&str, String)],
    faults: &mut Vec<FieldFault>,
) -> (String, Option<String>) {
    let mut path = String::new();
    // Where values begin and end in the path.
    let mut filled: Vec<(&str, std::ops::Range<usize>)> = Vec::new();
    for part in parts(template) {
        match part {
            Part::Text(text) => path.extend(utf8_percent_encode(text, LITERAL)),
            Part::Name(name) => {
                let value = values.iter().find(|(of, _)| *of == name).map(|(_, value)| value.as_str());
                let start = path.len();
                // One that is missing or wrong is a fault already, and isn't taken for an empty one.
                path.push_str(value.unwrap_or("-"));
                filled.push((name, start..path.len()));
            }
        }
    }
    if !path.starts_with('/') {
        path.insert(0, '/');
        filled.iter_mut().for_each(|(_, range)| *range = range.start + 1..range.end + 1);
    }
    let mut start = 0;
    for segment in path.split('/') {
        let end = start + segment.len();
        if let Some(message) = misleading(segment) {
            let here = filled.iter().filter(|(_, range)| range.start >= start && range.end <= end);
            let names: Vec<String> = here.map(|(name, _)| format!("parameters.{name}")).collect();
            let names = if names.is_empty() { vec!["path".to_owned()] } else { names };
            faults.extend(names.into_iter().map(|name| FieldFault::new(name, FaultCode::NotAllowed, message)));
        }
        start = end + 1;
    }
    (path, split(template).1.filter(|query| !query.is_empty()).map(literal_query))
}

/// Why a segment might be taken for another path by a service that decodes it, once more than it should too, or that cuts
/// off what follows a semicolon.
fn misleading(segment: &str) -> Option<&'static str> {
    let mut decoded = segment.to_owned();
    for _ in 0..DECODINGS {
        decoded = percent_decode_str(&decoded).decode_utf8_lossy().into_owned();
        if decoded.chars().any(char::is_control) {
            return Some("has a control character, which a path can't hold");
        }
        let mut parts = decoded.split(['/', '\\']).map(|part| part.split(';').next().unwrap_or_default().trim());
        if parts.any(|part| matches!(part, "." | "..")) {
            return Some("has a part that leads elsewhere (`.` or `..`)");
        }
    }
    None
}

/// A query of the document's own, with what no query can hold encoded.
fn literal_query(query: &str) -> String {
    utf8_percent_encode(query, QUERY).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(template: &str, values: &[(&str, &str)], expected: Result<(&str, Option<&str>), &str>) {
        let values: Vec<_> = values.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let mut faults = Vec::new();
        let (path, query) = fill(template, &values, &mut faults);
        match expected {
            Ok(expected) => assert_eq!((path.as_str(), query.as_deref(), faults.len()), (expected.0, expected.1, 0)),
            Err(field) => assert_eq!(faults[0].field, field, "{path}"),
        }
    }

    #[test]
    fn templates_are_filled() {
        check("/a/{b}/c{d}.json", &[("b", "1"), ("d", "2")], Ok(("/a/1/c2.json", None)));
        check("/a b/{c}?x=1&y#z", &[("c", "1")], Ok(("/a%20b/1", Some("x=1&y"))));
        check("/#X-Target=A", &[], Ok(("/", None)));
        check("a{b", &[], Ok(("/a{b", None)));
        check("/{a}{a}", &[("a", "%2F")], Ok(("/%2F%2F", None)));
    }

    #[test]
    fn no_value_leads_elsewhere() {
        check("/a/{b}/c", &[("b", "..")], Err("parameters.b"));
        check("/a/{b}", &[("b", ".")], Err("parameters.b"));
        check("/a/{b}{c}", &[("b", "."), ("c", ".")], Err("parameters.b"));
        check("/a/.{b}", &[("b", ".")], Err("parameters.b"));
        check("{b}/a", &[("b", "..")], Err("parameters.b"));
        check("/a/../b", &[], Err("path"));
        check("/a/%2E./b", &[], Err("path"));
        check("/a/{b}", &[("b", "x%2F..%2Fy")], Err("parameters.b"));
        check("/a/{b}", &[("b", "%252e%252E%5Cy")], Err("parameters.b"));
        check("/a/{b}", &[("b", "..%3Bx")], Err("parameters.b"));
        check("/a/{b}", &[("b", "x%0Ay")], Err("parameters.b"));
        check("/a/{b}", &[("b", "x%2F%2Fy..z%C3%28")], Ok(("/a/x%2F%2Fy..z%C3%28", None)));
        check("/a/{b}", &[("b", "...")], Ok(("/a/...", None)));
    }
}
