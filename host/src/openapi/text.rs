//! Bytes to the kept part of a JSON or YAML document, in bounded time and memory.

use std::cell::RefCell;

use granit_parser::Event;
use serde::de::DeserializeSeed;
use serde_json::Value;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};

use super::error::{DocumentError, position};
use super::outline::{Keeping, Kept, Outline};

/// Largest document, in bytes. The largest real one that is known has 47 MB.
pub const MAX_BYTES: usize = 64 << 20;
/// Deepest nesting of lists and objects. Real documents reach 35. The YAML parser recurses, and takes up to 30 KB of stack
/// a level where it isn't optimised; threads have 2 MiB.
pub(super) const MAX_DEPTH: usize = 50;
/// Most YAML aliases and anchors; documents that use them at all have some dozens.
const MAX_ALIASES: usize = 10_000;
/// Most values that all YAML aliases together may stand for: what a bomb multiplies.
const MAX_ALIASED: usize = 200_000;
/// Most names and values in YAML, skipped ones included: reading one takes up to two microseconds. The largest real
/// document, of 47 MB, has 2,650,643.
const MAX_YAML_VALUES: usize = 4_000_000;
/// Most directives (`%YAML`, `%TAG`) before a YAML document; hardly any has one.
const MAX_DIRECTIVES: usize = 100;
/// Longest YAML name, in characters, that needs no `? ` before it. The grammar's 1024 is too short for some real paths.
const MAX_SIMPLE_KEY: usize = 4096;

/// A document's text, and in which notation it is.
#[derive(Debug)]
pub(super) struct Source<'a> {
    /// Without byte order mark.
    text: &'a str,
    /// How it is written.
    notation: Notation,
}

/// The two ways to write a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notation {
    /// RFC 8259.
    Json,
    /// YAML 1.2.
    Yaml,
}

/// The kept part of a document.
#[derive(Debug)]
pub(super) struct Tree {
    /// Its values.
    pub(super) root: Value,
    /// Pointers to members whose name stands twice in their object; the last one counts.
    pub(super) repeated: Vec<String>,
}

impl<'a> Source<'a> {
    /// Text from bytes.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, DocumentError> {
        if bytes.len() > MAX_BYTES {
            return Err(DocumentError::TooLarge { bytes: bytes.len(), limit: MAX_BYTES });
        }
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err(DocumentError::NotText { problem: "it is UTF-16", line: 1, column: 1 });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let (line, column) = position(bytes, error.valid_up_to());
            DocumentError::NotText { problem: "there is a byte that can't be there", line, column }
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let notation = match text.bytes().find(|byte| !byte.is_ascii_whitespace()) {
            None => return Err(DocumentError::NotOpenApi("it is empty".to_owned())),
            Some(b'<') if !text.trim_start().starts_with("<<") => {
                return Err(DocumentError::NotOpenApi(
                    "it begins like an HTML or XML page; get the document itself".to_owned(),
                ));
            }
            Some(b'{' | b'[') => Notation::Json,
            Some(_) => Notation::Yaml,
        };
        match notation {
            Notation::Json => check_depth(text.as_bytes())?,
            Notation::Yaml => check_yaml(text)?,
        }
        Ok(Self { text, notation })
    }

    /// What the outline keeps of the document.
    pub(super) fn parse(&self, outline: &Outline) -> Result<Tree, DocumentError> {
        let kept = RefCell::new(Kept::new(self.notation == Notation::Yaml));
        let keeping = Keeping { outline, kept: &kept };
        let root = match self.notation {
            Notation::Json => {
                let mut deserializer = serde_json::Deserializer::from_str(self.text);
                let root = keeping.deserialize(&mut deserializer);
                root.and_then(|root| deserializer.end().map(|()| root)).map_err(|error| json_error(&error))
            }
            Notation::Yaml => {
                let root =
                    serde_saphyr::with_deserializer_from_str_with_options(self.text, yaml_options(), |deserializer| {
                        keeping.deserialize(deserializer)
                    });
                root.map_err(|error| yaml_error(error.without_snippet()))
            }
        };
        let kept = kept.into_inner();
        match (root, kept.excess) {
            (_, Some((what, limit))) => Err(DocumentError::TooMuch { what, limit }),
            (root, None) => Ok(Tree { root: root?, repeated: kept.repeated }),
        }
    }
}

/// Refuses JSON that nests too deeply. The parser's own limit doesn't hold for what is skipped.
fn check_depth(bytes: &[u8]) -> Result<(), DocumentError> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (offset, byte) in bytes.iter().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    let (line, column) = position(bytes, offset);
                    return Err(DocumentError::TooDeep { limit: MAX_DEPTH, line, column });
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// How YAML is read: as generously as JSON, within bounds.
fn yaml_options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            // These are bounded by `check_yaml`, or by the bytes.
            max_nodes: usize::MAX,
            max_events: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
            // What is remembered, and what aliases multiply.
            max_anchors: MAX_ALIASES,
            max_aliases: MAX_ALIASES,
            max_recorded_anchor_events: MAX_ALIASED,
            // One anchor that is used a hundred times is normal.
            enforce_alias_anchor_ratio: false,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            simple_key_max_lookahead: MAX_SIMPLE_KEY,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_ALIASED },
        emit_comments: false,
        // Repeated names are reported where they are kept, and don't matter elsewhere.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        // YAML 1.2: `no`, `on` and `y` are text.
        strict_booleans: true,
        ignore_binary_tag_for_string: true,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
    }
}

/// Refuses YAML that the deserializer would take too long or too much memory for: it holds a name whole, and a name may
/// be a list of any size. OpenAPI allows only text there (section "Format"). Other faults are left to it to report.
fn check_yaml(text: &str) -> Result<(), DocumentError> {
    let head = text.lines().take_while(|line| line.is_empty() || line.starts_with(['#', '%']));
    if head.filter(|line| line.starts_with('%')).count() > MAX_DIRECTIVES {
        return Err(DocumentError::TooMuch { what: "YAML directives", limit: MAX_DIRECTIVES });
    }
    let options = granit_parser::options! {
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
        simple_key_max_lookahead: MAX_SIMPLE_KEY,
        emit_comments: false,
    };
    // Of each list and object around: whether a name comes next. None comes in a list.
    let mut around: Vec<Option<bool>> = Vec::new();
    let mut values = 0_usize;
    for event in granit_parser::Parser::new_from_str_with_options(text, options) {
        let Ok((event, span)) = event else { return Ok(()) };
        let inner = match event {
            Event::Scalar(..) | Event::Alias(..) => None,
            Event::SequenceStart(..) => Some(None),
            Event::MappingStart(..) => Some(Some(true)),
            Event::SequenceEnd | Event::MappingEnd => {
                around.pop();
                continue;
            }
            _ => continue,
        };
        values += 1;
        if values > MAX_YAML_VALUES {
            return Err(DocumentError::TooMuch {
                what: "values, the limit in YAML but not in JSON",
                limit: MAX_YAML_VALUES,
            });
        }
        if let Some(Some(name)) = around.last_mut() {
            if *name && inner.is_some() {
                let problem = "a name is a list or an object, where OpenAPI has text only".to_owned();
                let (line, column) = (span.start.line(), span.start.col() + 1);
                return Err(DocumentError::Syntax { notation: "YAML", problem, line, column });
            }
            *name = !*name;
        }
        around.extend(inner);
    }
    Ok(())
}

/// A fault of JSON text. The parser's words hold none of the document's.
fn json_error(error: &serde_json::Error) -> DocumentError {
    let words = error.to_string();
    let problem = words.split(" at line ").next().unwrap_or_default().to_owned();
    DocumentError::Syntax { notation: "JSON", problem, line: error.line(), column: error.column() }
}

/// A fault of YAML text. Of the parser's words only those are repeated that hold none of the document's.
fn yaml_error(error: &serde_saphyr::Error) -> DocumentError {
    use serde_saphyr::Error;

    let at = error.location().unwrap_or(serde_saphyr::Location::UNKNOWN);
    let line = usize::try_from(at.line()).unwrap_or(usize::MAX).max(1);
    let column = usize::try_from(at.column()).unwrap_or(usize::MAX).max(1);
    let aliases = |problem| DocumentError::Aliases { problem, line, column };
    let syntax = |problem: &str| DocumentError::Syntax { notation: "YAML", problem: problem.to_owned(), line, column };
    match error {
        Error::AliasError { error, .. } => yaml_error(error),
        Error::Budget { breach, .. } => match breach {
            BudgetBreach::Depth { .. } => DocumentError::TooDeep { limit: MAX_DEPTH, line, column },
            BudgetBreach::Nodes { nodes } => DocumentError::TooMuch {
                what: "values, which is the limit in YAML but not in JSON",
                limit: nodes.saturating_sub(1),
            },
            BudgetBreach::Documents { .. } => DocumentError::SeveralDocuments { line },
            BudgetBreach::SequenceUnbalanced => syntax("lists or objects don't end where they should"),
            _ => aliases("stand for too much"),
        },
        Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => aliases("stand for too much"),
        Error::RecursiveReferencesRequireWeakTypes { .. } => aliases("contain themselves"),
        Error::UnknownAnchor { .. } => aliases("name an anchor that isn't defined before them"),
        Error::MultipleDocuments { .. } => DocumentError::SeveralDocuments { line },
        // The scanner's own words where `[` and `{` nest beyond `flow_nesting_limit`.
        Error::ExternalMessage { msg, .. } if msg == "recursion limit exceeded" => {
            DocumentError::TooDeep { limit: MAX_DEPTH, line, column }
        }
        Error::ExternalMessage { msg, .. } => syntax(msg),
        Error::Eof { .. } => syntax("it ends too early"),
        _ => syntax("there is a value that can't be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(document: &str, expected: Result<&str, &str>) {
        let tree = Source::new(document.as_bytes()).and_then(|source| source.parse(&Outline::all()));
        let found = tree.map(|tree| tree.root.to_string()).map_err(|error| error.to_string());
        match expected {
            Ok(json) => assert_eq!(found.as_deref(), Ok(json), "{document}"),
            Err(part) => assert!(found.as_ref().is_err_and(|error| error.contains(part)), "{document}: {found:?}"),
        }
    }

    #[test]
    fn json_and_yaml_are_told_apart() {
        check("\u{feff} \n{\"a\": [1, null]}", Ok(r#"{"a":[1,null]}"#));
        check("\u{feff}a: [1, null]", Ok(r#"{"a":[1,null]}"#));
        check("---\n# comment\na: b\n...\n", Ok(r#"{"a":"b"}"#));
        check("", Err("it is empty"));
        check(" \n\t", Err("it is empty"));
        check("<!DOCTYPE html>", Err("HTML"));
    }

    #[test]
    fn yaml_becomes_json() {
        check(
            "a: 3.0\nb: 1.10\nc: yes\nd: 2020-01-01\ne: ~\nf:\ng: 'x'\nh: 0x1F",
            Ok(r#"{"a":3.0,"b":1.1,"c":"yes","d":"2020-01-01","e":null,"f":null,"g":"x","h":31}"#),
        );
        check(
            "200: a\ntrue: b\n-1: c\n1.5: d\n~: e\n? f\n: g",
            Ok(r#"{"200":"a","true":"b","-1":"c","1.5":"d","null":"e","f":"g"}"#),
        );
        check("a: &x {k: 1}\nb: *x\nc:\n  <<: *x\n  l: 2", Ok(r#"{"a":{"k":1},"b":{"k":1},"c":{"l":2,"k":1}}"#));
        check("<<: [{a: 1, b: 1}, {a: 2, <<: {c: 2}}, 5]\nb: 3", Ok(r#"{"b":3,"a":1,"c":2}"#));
        check(r#"{"<<": {"a": 1}}"#, Ok(r#"{"<<":{"a":1}}"#));
        check(
            "a: |\n  two\n  lines\nb: >-\n  one\n  line\nc: \"\\u00e9\"",
            Ok(r#"{"a":"two\nlines\n","b":"one line","c":"é"}"#),
        );
        check(
            "a: .inf\nb: .nan\nc: !!binary AAEC\nd: !custom x\ne: !!str 5",
            Ok(r#"{"a":null,"b":null,"c":"AAEC","d":"x","e":"5"}"#),
        );
        check("a: [1,\n\t2]", Ok(r#"{"a":[1,2]}"#));
    }

    #[test]
    fn faults_say_where() {
        check("{\"a\": 1,\n \"b\" 2}", Err("isn't valid JSON: expected `:`, line 2, column 6"));
        check("{\"a\": 1", Err("isn't valid JSON: EOF while parsing an object, line 1, column 7"));
        check("{} {}", Err("isn't valid JSON: trailing characters, line 1, column 4"));
        check("a: b\nc: [1", Err("isn't valid YAML"));
        check("a: b\n\tc: d", Err("found a tab"));
        check("a: b\n---\nc: d", Err("several YAML documents, the second begins at line"));
        check("a: *x", Err("name an anchor that isn't defined"));
        check("a: &x [*x]", Err("line 1, column"));
        check("a: \"secret", Err("isn't valid YAML"));
        check("a: b\n? [c]\n: d", Err("a name is a list or an object, where OpenAPI has text only, line 2, column 3"));
        check("a: {b: c, {d: e}: f}", Err("a name is a list or an object"));
        check(&format!("{}---\na: b", "%TAG !a! tag:b\n".repeat(101)), Err("more than 100 YAML directives"));
    }

    #[test]
    fn bytes_that_are_no_text_say_where() {
        let error = |bytes: &[u8]| Source::new(bytes).unwrap_err().to_string();
        assert!(error(b"a: b\nc: \xff").contains("line 2, column 4"));
        assert!(error(b"\xff\xfe{\0}\0").contains("UTF-16"));
    }

    #[test]
    fn repeated_names_are_reported_and_the_last_one_counts() {
        for document in ["{\"a\": {\"b/c\": 1, \"b/c\": 2}}", "a: {b/c: 1, b/c: 2}"] {
            let tree = Source::new(document.as_bytes()).unwrap().parse(&Outline::all()).unwrap();
            assert_eq!(
                (tree.root.to_string(), tree.repeated),
                (r#"{"a":{"b/c":2}}"#.to_owned(), vec!["/a/b~1c".to_owned()])
            );
        }
    }
}
