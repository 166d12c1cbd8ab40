//! Values as text by `style` and `explode` (OpenAPI 3.1.1 section 4.8.12.4, "Style Examples", which follows RFC 6570).
//!
//! Where the specification says nothing: members that are null are left out; an empty list or object in a query is
//! written like empty text; lists and objects within a `deepObject` go on in brackets, as PHP, Rails and qs read them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::openapi::Style;

/// All but the unreserved characters (RFC 3986 section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What is encoded where reserved characters stay: besides what no query can hold, what separates its members.
const RESERVED_STAY: &AsciiSet = &ENCODED
    .remove(b':')
    .remove(b'/')
    .remove(b'?')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    // What is encoded already.
    .remove(b'%');
/// What a cookie's value can't hold (RFC 6265 section 4.1.1), and the sign that encodes it.
const NOT_IN_COOKIE: &AsciiSet =
    &percent_encoding::CONTROLS.add(b' ').add(b'"').add(b',').add(b';').add(b'\\').add(b'%');

/// Deepest nesting within a `deepObject`.
const MAX_DEPTH: usize = 16;

/// A value that isn't nested, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flat {
    /// Text, a number, a truth value; null is empty.
    One(String),
    /// A list of them.
    List(Vec<String>),
    /// An object of them.
    Object(Vec<(String, String)>),
}

impl Flat {
    /// A value that isn't nested. Fails with what is wrong.
    pub(super) fn of(value: &Value) -> Result<Self, &'static str> {
        const NESTED: &str = "holds a list or an object within, which its style can't write";
        match value {
            Value::Array(items) => {
                let items = items.iter().filter(|item| !item.is_null());
                Ok(Self::List(items.map(scalar).collect::<Option<_>>().ok_or(NESTED)?))
            }
            Value::Object(members) => {
                let members = members.iter().filter(|(_, value)| !value.is_null());
                let members = members.map(|(name, value)| Some((name.clone(), scalar(value)?)));
                Ok(Self::Object(members.collect::<Option<_>>().ok_or(NESTED)?))
            }
            one => Ok(Self::One(scalar(one).unwrap_or_default())),
        }
    }

    /// Its texts, an object's names and values by turns.
    fn all(&self) -> Vec<&str> {
        match self {
            Self::One(text) => vec![text],
            Self::List(items) => items.iter().map(String::as_str).collect(),
            Self::Object(members) => members.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).collect(),
        }
    }

    /// All texts between separators.
    fn joined(&self, separator: &str, encode: impl Fn(&str) -> String) -> String {
        self.all().into_iter().map(encode).collect::<Vec<_>>().join(separator)
    }

    /// Each item by itself, an object's as `name=value`.
    fn exploded(&self, separator: &str, encode: impl Fn(&str) -> String) -> String {
        match self {
            Self::Object(members) => {
                let members = members.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
                members.collect::<Vec<_>>().join(separator)
            }
            other => other.joined(separator, encode),
        }
    }
}

/// A value that is neither list nor object as text.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// What stands in a path.
pub(super) fn path(style: Style, explode: bool, name: &str, value: &Flat) -> String {
    match style {
        Style::Label if explode => format!(".{}", value.exploded(".", encoded)),
        Style::Label => format!(".{}", value.joined(",", encoded)),
        Style::Matrix => {
            let name = encoded(name);
            match value {
                Flat::One(text) if text.is_empty() => format!(";{name}"),
                Flat::List(items) if explode => items.iter().map(|item| format!(";{name}={}", encoded(item))).collect(),
                Flat::Object(_) if explode => format!(";{}", value.exploded(";", encoded)),
                other => format!(";{name}={}", other.joined(",", encoded)),
            }
        }
        Style::SpaceDelimited | Style::PipeDelimited | Style::TabDelimited => {
            value.joined(&encoded(delimiter(style)), encoded)
        }
        _ if explode => value.exploded(",", encoded),
        _ => value.joined(",", encoded),
    }
}

/// A header's value. Nothing is encoded in it.
pub(super) fn header(style: Style, explode: bool, value: &Flat) -> String {
    match style {
        Style::SpaceDelimited | Style::PipeDelimited | Style::TabDelimited => {
            value.joined(delimiter(style), str::to_owned)
        }
        _ if explode => value.exploded(",", str::to_owned),
        _ => value.joined(",", str::to_owned),
    }
}

/// Members of a query, percent-encoded; also of a form.
pub(super) fn query(style: Style, explode: bool, name: &str, value: &Flat, reserved: bool) -> Vec<String> {
    let encode = |text: &str| if reserved { reserved_kept(text) } else { encoded(text) };
    let name = encoded(name);
    match value {
        Flat::List(items) if explode && !items.is_empty() => {
            items.iter().map(|item| format!("{name}={}", encode(item))).collect()
        }
        Flat::Object(members) if explode && !members.is_empty() => {
            members.iter().map(|(name, value)| format!("{}={}", encoded(name), encode(value))).collect()
        }
        _ => {
            let separator = match style {
                Style::SpaceDelimited | Style::PipeDelimited | Style::TabDelimited => encoded(delimiter(style)),
                _ => ",".to_owned(),
            };
            vec![format!("{name}={}", value.joined(&separator, encode))]
        }
    }
}

/// Cookies as `name=value`.
pub(super) fn cookies(explode: bool, name: &str, value: &Flat) -> Vec<String> {
    let encode = |text: &str| utf8_percent_encode(text, NOT_IN_COOKIE).to_string();
    let name = encoded(name);
    match value {
        Flat::List(items) if explode => items.iter().map(|item| format!("{name}={}", encode(item))).collect(),
        Flat::Object(members) if explode => {
            members.iter().map(|(name, value)| format!("{}={}", encoded(name), encode(value))).collect()
        }
        other => vec![format!("{name}={}", other.joined(",", encode))],
    }
}

/// A nested value as members of a query or form: `name[member]=value`.
pub(super) fn deep(name: &str, value: &Value, reserved: bool) -> Vec<String> {
    let mut pairs = Vec::new();
    deeper(&encoded(name), value, reserved, 0, &mut pairs);
    pairs
}

fn deeper(name: &str, value: &Value, reserved: bool, depth: usize, pairs: &mut Vec<String>) {
    let within = |part: &str| format!("{name}%5B{}%5D", encoded(part));
    match value {
        _ if depth > MAX_DEPTH => {}
        Value::Null => {}
        Value::Object(members) => {
            members.iter().for_each(|(part, value)| deeper(&within(part), value, reserved, depth + 1, pairs));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                deeper(&within(&index.to_string()), item, reserved, depth + 1, pairs);
            }
        }
        one => {
            let text = scalar(one).unwrap_or_default();
            pairs.push(format!("{name}={}", if reserved { reserved_kept(&text) } else { encoded(&text) }));
        }
    }
}

/// Text with all but unreserved characters percent-encoded.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Text whose reserved characters stay, as far as a query can hold them.
fn reserved_kept(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    // A `%` stays only where it begins an encoded byte (RFC 6570 section 3.2.3).
    while let Some((before, after)) = rest.split_once('%') {
        kept.extend(utf8_percent_encode(before, RESERVED_STAY));
        let is_encoded = after.len() >= 2 && after.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
        kept.push_str(if is_encoded { "%" } else { "%25" });
        rest = after;
    }
    kept.extend(utf8_percent_encode(rest, RESERVED_STAY));
    kept
}

/// What stands between the parts of a style that is named after it.
fn delimiter(style: Style) -> &'static str {
    match style {
        Style::SpaceDelimited => " ",
        Style::PipeDelimited => "|",
        Style::TabDelimited => "\t",
        _ => ",",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The specification's table: empty text, text, a list, an object; `-` where it has none.
    const TABLE: &[(&str, Style, bool, [&str; 4])] = &[
        (
            "path",
            Style::Matrix,
            false,
            [";color", ";color=blue", ";color=blue,black,brown", ";color=R,100,G,200,B,150"],
        ),
        (
            "path",
            Style::Matrix,
            true,
            [";color", ";color=blue", ";color=blue;color=black;color=brown", ";R=100;G=200;B=150"],
        ),
        ("path", Style::Label, false, [".", ".blue", ".blue,black,brown", ".R,100,G,200,B,150"]),
        ("path", Style::Label, true, [".", ".blue", ".blue.black.brown", ".R=100.G=200.B=150"]),
        ("path", Style::Simple, false, ["", "blue", "blue,black,brown", "R,100,G,200,B,150"]),
        ("path", Style::Simple, true, ["", "blue", "blue,black,brown", "R=100,G=200,B=150"]),
        ("header", Style::Simple, false, ["", "blue", "blue,black,brown", "R,100,G,200,B,150"]),
        ("header", Style::Simple, true, ["", "blue", "blue,black,brown", "R=100,G=200,B=150"]),
        ("query", Style::Form, false, ["color=", "color=blue", "color=blue,black,brown", "color=R,100,G,200,B,150"]),
        (
            "query",
            Style::Form,
            true,
            ["color=", "color=blue", "color=blue&color=black&color=brown", "R=100&G=200&B=150"],
        ),
        (
            "query",
            Style::SpaceDelimited,
            false,
            ["-", "-", "color=blue%20black%20brown", "color=R%20100%20G%20200%20B%20150"],
        ),
        (
            "query",
            Style::PipeDelimited,
            false,
            ["-", "-", "color=blue%7Cblack%7Cbrown", "color=R%7C100%7CG%7C200%7CB%7C150"],
        ),
        ("query", Style::TabDelimited, false, ["-", "-", "color=blue%09black%09brown", "-"]),
        ("query", Style::DeepObject, true, ["-", "-", "-", "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"]),
        ("cookie", Style::Form, false, ["color=", "color=blue", "color=blue,black,brown", "color=R,100,G,200,B,150"]),
        (
            "cookie",
            Style::Form,
            true,
            ["color=", "color=blue", "color=blue&color=black&color=brown", "R=100&G=200&B=150"],
        ),
    ];

    fn written(place: &str, style: Style, explode: bool, value: &Value) -> String {
        if style == Style::DeepObject {
            return deep("color", value, false).join("&");
        }
        let flat = Flat::of(value).unwrap();
        match place {
            "path" => path(style, explode, "color", &flat),
            "header" => header(style, explode, &flat),
            "cookie" => cookies(explode, "color", &flat).join("&"),
            _ => query(style, explode, "color", &flat, false).join("&"),
        }
    }

    #[test]
    fn the_specifications_table_holds() {
        let values =
            [json!(""), json!("blue"), json!(["blue", "black", "brown"]), json!({"R": 100, "G": 200, "B": 150})];
        for (place, style, explode, expected) in TABLE {
            for (value, expected) in values.iter().zip(expected).filter(|(_, expected)| **expected != "-") {
                assert_eq!(written(place, *style, *explode, value), *expected, "{place} {style:?} {explode} {value}");
            }
        }
    }

    #[track_caller]
    fn check(place: &str, style: Style, explode: bool, value: Value, expected: &str) {
        assert_eq!(written(place, style, explode, &value), expected);
    }

    #[test]
    fn what_separates_is_encoded_in_values() {
        check(
            "path",
            Style::Simple,
            false,
            json!(["a/b", "c,d", "é ü", "..", "%41"]),
            "a%2Fb,c%2Cd,%C3%A9%20%C3%BC,..,%2541",
        );
        check("path", Style::Matrix, true, json!({"a;": "b=c"}), ";a%3B=b%3Dc");
        check("query", Style::Form, true, json!(["a&b", "c+d#"]), "color=a%26b&color=c%2Bd%23");
        check("query", Style::PipeDelimited, false, json!(["a|b", true]), "color=a%7Cb%7Ctrue");
        check("cookie", Style::Form, true, json!("a;b=c%"), "color=a%3Bb=c%25");
        check("header", Style::Simple, false, json!("a b, c"), "a b, c");
        check("path", Style::PipeDelimited, false, json!([1, 2]), "1%7C2");
        check("header", Style::PipeDelimited, false, json!([1, 2.5]), "1|2.5");
    }

    #[test]
    fn null_and_nothing_have_their_ways() {
        check("query", Style::Form, true, json!([]), "color=");
        check("query", Style::Form, true, json!(["a", null]), "color=a");
        check("query", Style::Form, false, json!({"a": null, "b": 1}), "color=b,1");
        check(
            "query",
            Style::DeepObject,
            true,
            json!({"a": {"b": [1, {"c": 2}]}, "d": null, "e]": "f"}),
            "color%5Ba%5D%5Bb%5D%5B0%5D=1&color%5Ba%5D%5Bb%5D%5B1%5D%5Bc%5D=2&color%5Be%5D%5D=f",
        );
        assert!(Flat::of(&json!([[1]])).is_err() && Flat::of(&json!({"a": {}})).is_err());
    }

    #[test]
    fn reserved_characters_stay_where_allowed() {
        let written = |text: &str| query(Style::Form, true, "q", &Flat::One(text.to_owned()), true).join("&");
        assert_eq!(written("a/b?c=d:e@f"), "q=a/b?c=d:e@f");
        assert_eq!(written("a&b#c+d[e] f"), "q=a%26b%23c%2Bd%5Be%5D%20f");
        assert_eq!(written("%41%4g%"), "q=%41%254g%25");
    }
}
