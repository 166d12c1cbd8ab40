//! `NAME=VALUE` on the command line, where a secret is read from, and files of fields.
//!
//! A secret's value never stands on the command line, where `ps` and the shell's history show it; so no message here
//! repeats what stood behind the `=`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::exit::Failure;

/// The largest secret or file of fields, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// How the values of `--secret` are written, for help texts.
pub(super) const SECRET_HELP: &str = "NAME=@FILE, NAME=- (stdin) or NAME=env:VARIABLE";

/// `NAME=VALUE`, split at the first `=`.
///
/// # Errors
/// There is no `=`, or no name before it.
pub(super) fn assignment(flag: &str, text: &str) -> Result<(String, String), Failure> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) => Err(Failure::usage(format!("{flag}: there is no name before the `=`"))),
        None => Err(Failure::usage(format!("{flag} takes NAME=VALUE, and there is no `=`"))),
    }
}

/// Where a secret is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// `@FILE`
    File(PathBuf),
    /// `-`
    Stdin,
    /// `env:VARIABLE`
    Environment(String),
}

impl Source {
    /// Reads `@FILE`, `-` or `env:VARIABLE`.
    ///
    /// # Errors
    /// It is none of these: taken for a secret on the command line and refused, without repeating it.
    pub(super) fn parse(flag: &str, text: &str) -> Result<Self, Failure> {
        match text.split_at_checked(1) {
            Some(("@", file)) if !file.is_empty() => return Ok(Self::File(file.into())),
            Some(("-", "")) => return Ok(Self::Stdin),
            _ => {}
        }
        match text.strip_prefix("env:") {
            Some(variable) if !variable.is_empty() => Ok(Self::Environment(variable.to_owned())),
            _ => Err(Failure::usage(format!(
                "{flag}: a secret isn't taken from the command line, where `ps` and the shell's history show it"
            ))
            .hint("write @FILE, - for stdin, or env:VARIABLE")),
        }
    }
}

/// Reads secrets; stdin at most once.
#[derive(Default)]
pub(super) struct SecretReader {
    /// Whether stdin was read already.
    stdin_taken: bool,
}

impl SecretReader {
    /// Reads `NAME=SOURCE`.
    ///
    /// # Errors
    /// It is malformed, or can't be read.
    pub(super) fn assignment(&mut self, flag: &str, text: &str) -> Result<(String, SecretString), Failure> {
        let (name, source) = assignment(flag, text)?;
        let source = Source::parse(&format!("{flag} {name}=…"), &source)?;
        Ok((name, self.read(&source)?))
    }

    /// The secret, without the line break that ends a file.
    ///
    /// # Errors
    /// It can't be read, is empty, longer than a mebibyte or no UTF-8, or stdin was asked for twice.
    pub(super) fn read(&mut self, source: &Source) -> Result<SecretString, Failure> {
        let (text, place) = match source {
            Source::File(path) => {
                let file = std::fs::File::open(path)
                    .map_err(|error| Failure::failed(format!("{} can't be read: {error}", path.display())))?;
                (bounded(file, &path.display().to_string())?, path.display().to_string())
            }
            Source::Stdin => {
                if std::mem::replace(&mut self.stdin_taken, true) {
                    return Err(Failure::usage("stdin (`-`) can be read for one value only"));
                }
                (bounded(std::io::stdin().lock(), "stdin")?, "stdin".to_owned())
            }
            Source::Environment(variable) => {
                let value = std::env::var(variable).map_err(|_| {
                    Failure::failed(format!("the environment variable {variable} is not set, or not UTF-8"))
                })?;
                (value, format!("the environment variable {variable}"))
            }
        };
        let text = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
        if text.is_empty() {
            return Err(Failure::failed(format!("{place} is empty; a secret was expected there")));
        }
        Ok(SecretString::from(text))
    }

    /// Asks the person at the terminal, without showing what is typed.
    ///
    /// # Errors
    /// The terminal can't be read, or nothing was typed.
    pub(super) fn ask(label: &str) -> Result<SecretString, Failure> {
        let typed = rpassword::prompt_password(format!("{label}: "))
            .map_err(|error| Failure::failed(format!("the terminal can't be read: {error}")))?;
        if typed.is_empty() { Err(Failure::failed(format!("{label}: nothing was typed"))) } else { Ok(typed.into()) }
    }
}

/// The whole text of a reader, bounded.
fn bounded(reader: impl Read, place: &str) -> Result<String, Failure> {
    let mut text = String::new();
    reader
        .take(LARGEST + 1)
        .read_to_string(&mut text)
        .map_err(|error| Failure::failed(format!("{place} can't be read as text: {error}")))?;
    if text.len() as u64 > LARGEST {
        return Err(Failure::failed(format!("{place} is larger than 1 MiB")));
    }
    Ok(text)
}

/// A file that holds one object: JSON, or TOML where the name ends in `.toml`.
///
/// # Errors
/// It can't be read, or holds something else. Messages don't repeat values.
pub(super) fn object_file(path: &Path) -> Result<Value, Failure> {
    let (text, is_toml) = text_file(path)?;
    let members = members(&text, is_toml).map_err(|fault| Failure::failed(format!("{}: {fault}", path.display())))?;
    Ok(Value::Object(members))
}

/// Fields by name out of a file: a JSON object, or TOML where the name ends in `.toml`.
///
/// # Errors
/// It can't be read, or holds something else than names and plain values. Messages don't repeat values.
pub(super) fn fields_file(path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let (text, is_toml) = text_file(path)?;
    fields(&text, is_toml).map_err(|fault| Failure::failed(format!("{}: {fault}", path.display())))
}

/// The text of a file, and whether it is TOML.
fn text_file(path: &Path) -> Result<(String, bool), Failure> {
    let place = path.display().to_string();
    let file = std::fs::File::open(path).map_err(|error| Failure::failed(format!("{place} can't be read: {error}")))?;
    let is_toml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
    Ok((bounded(file, &place)?, is_toml))
}

/// The members of the object in a text.
fn members(text: &str, is_toml: bool) -> Result<Map<String, Value>, String> {
    // The parsers' own messages can quote the text, which may hold secrets: only the place is told.
    let document: Value = if is_toml {
        toml::from_str(text).map_err(|error| match error.span() {
            Some(span) => format!("no TOML from byte {} on", span.start),
            None => "no TOML".to_owned(),
        })?
    } else {
        serde_json::from_str(text)
            .map_err(|error| format!("no JSON at line {}, column {}", error.line(), error.column()))?
    };
    match document {
        Value::Object(members) => Ok(members),
        _ => Err("an object of names and values was expected".to_owned()),
    }
}

/// The fields in a text.
fn fields(text: &str, is_toml: bool) -> Result<BTreeMap<String, String>, String> {
    let members = members(text, is_toml)?;
    let mut fields = BTreeMap::new();
    for (name, value) in members {
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Array(words) if words.iter().all(Value::is_string) => {
                words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
            }
            Value::Null => continue,
            Value::Array(_) | Value::Object(_) => {
                return Err(format!("{name}: a string, number, flag or list of words was expected"));
            }
        };
        fields.insert(name, text);
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn assignments_split_at_the_first_equals_sign() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let got = assignment("--field", text).ok();
            assert_eq!(got, expected.map(|(name, value)| (name.to_owned(), value.to_owned())), "{text}");
        };
        check("client_id=abc", Some(("client_id", "abc")));
        check("token_url=https://a/?b=c&d=e", Some(("token_url", "https://a/?b=c&d=e")));
        check("key=dGVzdA==", Some(("key", "dGVzdA==")));
        check("scope=", Some(("scope", "")));
        check("scope=a b", Some(("scope", "a b")));
        check("=x", None);
        check("client_id", None);
        check("", None);
    }

    #[test]
    fn a_secret_has_a_source_and_is_never_repeated() {
        let check = |text: &str, expected: Option<Source>| match (Source::parse("--secret", text), expected) {
            (Ok(got), Some(expected)) => assert_eq!(got, expected, "{text}"),
            (Err(failure), None) => {
                assert_eq!(failure.code(), 2, "{text}");
                assert!(!failure.text().contains("hunter2"), "{}", failure.text());
            }
            (got, _) => panic!("{text}: {got:?}"),
        };
        check("@secret.txt", Some(Source::File("secret.txt".into())));
        check("@/run/a=b", Some(Source::File("/run/a=b".into())));
        check("-", Some(Source::Stdin));
        check("env:CRM_SECRET", Some(Source::Environment("CRM_SECRET".to_owned())));
        check("hunter2", None);
        check("-hunter2", None);
        check("@", None);
        check("env:", None);
        check("é", None);
        check("", None);
    }

    #[test]
    fn a_files_last_line_break_is_no_part_of_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let check = |content: &[u8], expected: Option<&str>| {
            std::fs::write(&path, content).unwrap();
            let got = SecretReader::default().read(&Source::File(path.clone()));
            assert_eq!(got.as_ref().ok().map(ExposeSecret::expose_secret), expected, "{content:?}");
        };
        check(b"hunter2", Some("hunter2"));
        check(b"hunter2\n", Some("hunter2"));
        check(b"hunter2\r\n", Some("hunter2"));
        check(b"two\nlines\n\n", Some("two\nlines\n"));
        check(b" blanks ", Some(" blanks "));
        check(b"\n", None);
        check(b"", None);
        check(b"\xff", None);
        check(&vec![b'a'; 1024 * 1024 + 1], None);
    }

    #[test]
    fn fields_come_from_json_and_toml() {
        let check = |text: &str, is_toml: bool, expected: Result<&[(&str, &str)], &str>| {
            let got = fields(text, is_toml);
            match expected {
                Ok(pairs) => {
                    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
                    assert_eq!(got, Ok(pairs), "{text}");
                }
                Err(part) => assert!(got.as_ref().is_err_and(|fault| fault.contains(part)), "{text}: {got:?}"),
            }
        };
        check(
            r#"{"a":"1","b":2,"c":true,"d":null,"e":["x","y"]}"#,
            false,
            Ok(&[("a", "1"), ("b", "2"), ("c", "true"), ("e", "x y")]),
        );
        check("a = \"1\"\nb = [\"x\", \"y\"]", true, Ok(&[("a", "1"), ("b", "x y")]));
        check(r#"{"a":{}}"#, false, Err("a: a string"));
        check("[]", false, Err("an object"));
        check("{\"a\":\n hunter2}", false, Err("line 2"));
        check("a = hunter2", true, Err("byte"));
        assert!(!fields("a = hunter2", true).unwrap_err().contains("hunter2"));
    }
}
