//! Templates to values: names become secrets. Each value remembers which secrets are in it and how a record shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::refusal::Problem;
use crate::flows::request::{Escape, Part};
use crate::secrets::Secrets;

/// A rendered template, or a computed value. Has no `Debug`, since it holds secrets.
#[derive(Clone, Default)]
pub(super) struct Value {
    /// The bytes that leave.
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// What a record shows in their place.
    pub(super) shown: String,
    /// The secrets that are in it, through computed values too.
    pub(super) secrets: BTreeSet<String>,
    /// Whether a secret or sensitive text is in it.
    pub(super) hidden: bool,
}

impl Value {
    /// The value as text.
    pub(super) fn text(&self, part: &str) -> Result<&str, Problem> {
        std::str::from_utf8(&self.bytes)
            .map_err(|_| Problem::flow(part, "is not UTF-8; write raw bytes as hex or base64 there"))
    }

    /// Takes on what another value brings along, but its bytes.
    pub(super) fn inherit(&mut self, other: &Value) {
        self.secrets.extend(other.secrets.iter().cloned());
        self.hidden |= other.hidden;
    }
}

/// What the parts of a template refer to.
pub(super) struct Scope<'a> {
    /// The integration's secrets.
    secrets: &'a Secrets,
    /// The values computed so far.
    derived: BTreeMap<String, Value>,
    /// The body, once it is rendered.
    body: Option<Value>,
    /// The largest value in bytes.
    limit: usize,
}

impl<'a> Scope<'a> {
    /// A scope with secrets and nothing computed yet.
    pub(super) fn new(secrets: &'a Secrets, limit: usize) -> Self {
        Self { secrets, derived: BTreeMap::new(), body: None, limit }
    }

    /// The largest value in bytes.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Adds a computed value. A name means one thing only.
    pub(super) fn define(&mut self, name: &str, value: Value) -> Result<(), Problem> {
        if self.derived.contains_key(name) {
            return Err(Problem::flow(format!("derived `{name}`"), "is declared twice"));
        }
        if self.secrets.get(name).is_some() {
            return Err(Problem::flow(format!("derived `{name}`"), "has the name of a secret; choose another"));
        }
        self.derived.insert(name.to_owned(), value);
        Ok(())
    }

    /// The computed values by name.
    pub(super) fn into_derived(self) -> BTreeMap<String, Value> {
        self.derived
    }

    /// Keeps the body for derivations.
    pub(super) fn set_body(&mut self, body: Value) {
        self.body = Some(body);
    }

    /// The secret, or the computed value, of a name.
    pub(super) fn named(&self, part: &str, name: &str) -> Result<Value, Problem> {
        if let Some(value) = self.derived.get(name) {
            return Ok(value.clone());
        }
        let Some(secret) = self.secrets.get(name) else {
            return Err(Problem::integration(
                part,
                format!("uses the secret `{name}`, which is not set, nor computed before it"),
            ));
        };
        Ok(Value {
            bytes: Zeroizing::new(secret.expose_secret().as_bytes().to_vec()),
            shown: format!("[{name}]"),
            secrets: BTreeSet::from([name.to_owned()]),
            hidden: true,
        })
    }

    /// Renders a template. `escape` says how secrets are written into it.
    pub(super) fn render(&self, part: &str, template: &[Part], escape: Escape) -> Result<Value, Problem> {
        let mut value = Value::default();
        for piece in template {
            match piece {
                Part::Text(text) => {
                    value.bytes.extend_from_slice(text.as_bytes());
                    value.shown.push_str(text);
                }
                Part::Sensitive(text) => {
                    let text = text.expose_secret();
                    value.bytes.extend_from_slice(text.as_bytes());
                    value.shown.push_str(&sensitive(text.as_bytes()));
                    value.hidden = true;
                }
                Part::Secret(name) => {
                    let named = self.named(part, name)?;
                    let written = escaped(&named.bytes, escape)
                        .map_err(|fault| Problem::integration(part, format!("the value of `{name}` {fault}")))?;
                    value.bytes.extend_from_slice(&written);
                    value.shown.push_str(&named.shown);
                    value.inherit(&named);
                }
                Part::Body => {
                    let Some(body) = &self.body else {
                        return Err(Problem::flow(part, "uses the body, which is possible only in a derivation"));
                    };
                    value.bytes.extend_from_slice(&body.bytes);
                    value.shown.push_str("[body]");
                    value.inherit(body);
                }
            }
            if value.bytes.len() > self.limit {
                return Err(Problem::flow(part, format!("is longer than {} bytes", self.limit)));
            }
        }
        Ok(value)
    }
}

/// Sensitive text in a record: its length, and enough of its digest to tell it from another, not to guess it.
pub(super) fn sensitive(text: &[u8]) -> String {
    let digest = hex::encode(&Sha256::digest(text)[..4]);
    format!("[sensitive, {} bytes, sha256 {digest}]", text.len())
}

/// A secret as it is written into raw content; the error continues the sentence "the value of x …".
fn escaped(bytes: &[u8], escape: Escape) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let text = || std::str::from_utf8(bytes).map_err(|_| "is not UTF-8");
    let written = match escape {
        Escape::None => bytes.to_vec(),
        Escape::Form => form_encoded(bytes)?.into_bytes(),
        Escape::Json => {
            let quoted = serde_json::to_string(text()?).map_err(|_| "can't be written as JSON")?;
            quoted.as_bytes()[1..quoted.len() - 1].to_vec()
        }
        Escape::Xml => xml_escaped(text()?)?.into_bytes(),
    };
    Ok(Zeroizing::new(written))
}

/// Text of an XML document, good between tags and in attributes (XML 1.0 sections 2.2 and 2.4).
fn xml_escaped(text: &str) -> Result<String, &'static str> {
    let mut written = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            '"' => written.push_str("&quot;"),
            '\'' => written.push_str("&#39;"),
            '\t' | '\n' | '\r' => {
                // As references, or a parser would turn them into spaces.
                let _ = write!(written, "&#{};", u32::from(character));
            }
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => return Err("has a character that XML can't hold"),
            _ => written.push(character),
        }
    }
    Ok(written)
}

/// A value of `application/x-www-form-urlencoded`, space as `+`. Refuses NUL, at which receivers cut values short.
pub(super) fn form_encoded(bytes: &[u8]) -> Result<String, &'static str> {
    if bytes.contains(&0) {
        return Err("has a NUL byte");
    }
    Ok(url::form_urlencoded::byte_serialize(bytes).collect())
}

/// All but unreserved characters (RFC 3986 section 2.3) as `%XX`.
pub(super) fn percent_encoded(bytes: &[u8]) -> String {
    /// What is encoded.
    const RESERVED: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    percent_encoding::percent_encode(bytes, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let mut secrets = Secrets::default();
        secrets.insert("key", "k\"<&'é\n+".into());
        secrets.insert("nul", "a\0b".into());
        secrets
    }

    #[track_caller]
    fn check(escape: Escape, name: &str, expected: Result<&str, &str>) {
        let secrets = secrets();
        let template = [Part::Text("<a>".to_owned()), Part::Secret(name.to_owned())];
        let outcome = Scope::new(&secrets, 100).render("body", &template, escape);
        match (outcome, expected) {
            (Ok(value), Ok(expected)) => {
                assert_eq!(std::str::from_utf8(&value.bytes).unwrap(), format!("<a>{expected}"));
                assert_eq!(value.shown, format!("<a>[{name}]"));
                assert!(value.hidden && value.secrets.contains(name));
            }
            (Err(problem), Err(expected)) => assert!(problem.to_string().contains(expected), "{problem}"),
            (Ok(_), Err(expected)) => panic!("rendered, though: {expected}"),
            (Err(problem), Ok(_)) => panic!("{problem}"),
        }
    }

    #[test]
    fn secrets_are_escaped_and_text_is_left_alone() {
        check(Escape::None, "key", Ok("k\"<&'é\n+"));
        check(Escape::Json, "key", Ok("k\\\"<&'é\\n+"));
        check(Escape::Xml, "key", Ok("k&quot;&lt;&amp;&#39;é&#10;+"));
        check(Escape::Form, "key", Ok("k%22%3C%26%27%C3%A9%0A%2B"));
        check(Escape::None, "nul", Ok("a\0b"));
        check(Escape::Json, "nul", Ok("a\\u0000b"));
        check(Escape::Xml, "nul", Err("the value of `nul` has a character that XML can't hold"));
        check(Escape::Form, "nul", Err("the value of `nul` has a NUL byte"));
        check(Escape::None, "other", Err("body: uses the secret `other`, which is not set"));
    }

    #[test]
    fn sensitive_text_is_shown_by_length_and_digest() {
        let secrets = Secrets::default();
        let scope = Scope::new(&secrets, 100);
        let value = scope.render("x", &[Part::Sensitive("abc".into())], Escape::None).unwrap_or_default();
        assert_eq!(value.bytes.as_slice(), b"abc");
        assert_eq!(value.shown, "[sensitive, 3 bytes, sha256 ba7816bf]");
        assert!(value.hidden && value.secrets.is_empty());
    }

    #[test]
    fn a_value_cannot_grow_beyond_the_limit_or_hold_the_body_it_is_in() {
        let secrets = secrets();
        let scope = Scope::new(&secrets, 10);
        let long = [Part::Text("12345".to_owned()), Part::Text("678901".to_owned())];
        let problem = scope.render("x", &long, Escape::None).err().unwrap();
        assert_eq!(problem.to_string(), "x: is longer than 10 bytes");
        let problem = scope.render("x", &[Part::Body], Escape::None).err().unwrap();
        assert!(problem.to_string().contains("only in a derivation"), "{problem}");
    }

    #[test]
    fn a_name_means_one_thing() {
        let secrets = secrets();
        let mut scope = Scope::new(&secrets, 10);
        assert!(scope.define("key", Value::default()).is_err_and(|problem| problem.message.contains("of a secret")));
        assert!(scope.define("new", Value::default()).is_ok());
        assert!(scope.define("new", Value::default()).is_err_and(|problem| problem.message.contains("twice")));
    }
}
