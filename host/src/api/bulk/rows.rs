//! Rows as they come in: JSON or CSV, bounded, each an object of members. It knows which columns each kind has, and what
//! stands in them; what the members mean is decided where they are applied.
//!
//! Columns are those of an export and those that the kind's own call takes. What only the daemon writes is accepted and
//! left alone, so that an export can be edited and imported.

use std::collections::BTreeSet;
use std::fmt;

use axum::body::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::super::problem::{Code, Fault, Problem};
use super::Format;
use super::cells::{self, unguarded};

/// Rows at most.
pub(super) const MOST_ROWS: usize = 10_000;
/// The longest name of a column that a refusal repeats.
const NAME_SHOWN: usize = 64;

/// What rows are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Users,
    Organizations,
    ApplicationTokens,
    PersonalTokens,
    Integrations,
}

/// What stands in a column.
#[derive(Clone, Copy)]
enum Cell {
    Text,
    /// Items with `|` between.
    List,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Number,
    /// An object as JSON.
    Object,
    /// What only the daemon writes.
    Left,
}

/// One row, or why it is none.
pub(super) struct Row {
    /// Its number, from 1.
    pub(super) number: usize,
    pub(super) members: Result<Map<String, Value>, Vec<Fault>>,
}

impl Kind {
    pub(super) const ALL: [Self; 5] =
        [Self::Users, Self::Organizations, Self::ApplicationTokens, Self::PersonalTokens, Self::Integrations];

    /// Its name in parameters and reports, and in the paths of its things.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Organizations => "organizations",
            Self::ApplicationTokens => "application-tokens",
            Self::PersonalTokens => "personal-tokens",
            Self::Integrations => "integrations",
        }
    }

    /// The one of this name.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The column by which a thing is known.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Users => "login",
            Self::Organizations | Self::ApplicationTokens | Self::Integrations => "name",
            Self::PersonalTokens => "id",
        }
    }

    /// Its columns.
    fn columns(self) -> &'static [(&'static str, Cell)] {
        use Cell::{Flag, Left, List, Number, Object, Text};
        match self {
            Self::Users => &[
                ("login", Text),
                ("status", Text),
                ("contact.first_name", Text),
                ("contact.name", Text),
                ("contact.email", Text),
                ("contact.organization", Text),
                ("profiles", List),
                ("allowed_organizations", List),
                ("language", Text),
                ("external", Flag),
                ("password", Text),
                ("has_password", Left),
                ("source", Left),
                ("created_by", Left),
                ("created_at", Left),
                ("updated_at", Left),
                ("revision", Left),
            ],
            Self::Organizations => &[
                ("name", Text),
                ("title", Text),
                ("parent", Text),
                ("source", Left),
                ("created_at", Left),
                ("updated_at", Left),
                ("revision", Left),
            ],
            Self::ApplicationTokens => &[
                ("name", Text),
                ("status", Text),
                ("contact.first_name", Text),
                ("contact.name", Text),
                ("contact.email", Text),
                ("contact.organization", Text),
                ("profiles", List),
                ("allowed_organizations", List),
                ("scopes", List),
                ("expiration_date", Text),
                ("console", Flag),
                ("id", Left),
                ("state", Left),
                ("use_count", Left),
                ("last_use", Left),
                ("last_use_address", Left),
                ("rebuilt_at", Left),
                ("deleted_at", Left),
                ("deleted_by", Left),
                ("source", Left),
                ("created_by", Left),
                ("created_at", Left),
                ("revision", Left),
            ],
            Self::PersonalTokens => &[
                ("id", Text),
                ("user", Text),
                ("application", Text),
                ("scopes", List),
                ("expiration_date", Text),
                ("state", Left),
                ("use_count", Left),
                ("last_use", Left),
                ("last_use_address", Left),
                ("rebuilt_at", Left),
                ("deleted_at", Left),
                ("deleted_by", Left),
                ("created_by", Left),
                ("created_at", Left),
                ("revision", Left),
            ],
            Self::Integrations => &[
                ("name", Text),
                ("organization", Text),
                ("model", Text),
                ("scheme", Text),
                ("flow", Text),
                ("server", Text),
                ("fields", Object),
                ("schemes", Object),
                ("transport.ca", Text),
                ("transport.proxy", Text),
                ("transport.client_certificate", Text),
                ("transport.client_key", Text),
                ("settings.default_lifetime", Number),
                ("settings.uncertain", Text),
                ("settings.calls", Object),
                ("detail", Left),
                ("secrets", Left),
                ("token.state", Left),
                ("token.generation", Left),
                ("token.expires_at", Left),
                ("created_at", Left),
                ("updated_at", Left),
                ("revision", Left),
            ],
        }
    }

    /// What stands in the column of this name.
    fn column(self, name: &str) -> Option<Cell> {
        let known = self.columns().iter().find(|(column, _)| *column == name).map(|(_, cell)| *cell);
        // Each flow has fields of its own.
        let is_field = matches!(self, Self::Integrations) && name.len() > 7 && name.starts_with("fields.");
        known.or_else(|| is_field.then_some(Cell::Text))
    }

    /// Takes away what only the daemon writes.
    fn strip(self, members: &mut Map<String, Value>) {
        for (name, _) in self.columns().iter().filter(|(_, cell)| matches!(cell, Cell::Left)) {
            members.remove(name.split('.').next().unwrap_or(name));
        }
    }

    /// A row of a source.
    pub(super) fn listed(self, number: usize, mut members: Map<String, Value>) -> Row {
        self.strip(&mut members);
        Row { number, members: Ok(members) }
    }

    /// A row's members, less what only the daemon writes. Tokens that were deleted when they were exported are none.
    fn row(self, number: usize, mut members: Map<String, Value>) -> Option<Row> {
        let is_token = matches!(self, Self::ApplicationTokens | Self::PersonalTokens);
        if is_token && members.get("state").and_then(Value::as_str) == Some("deleted") {
            return None;
        }
        self.strip(&mut members);
        Some(Row { number, members: Ok(members) })
    }
}

/// The rows of a file. Rows of deleted tokens are left out.
pub(super) fn read(kind: Kind, format: Format, file: &Bytes) -> Result<Vec<Row>, Problem> {
    // Some editors write a mark at the beginning.
    let text = file.strip_prefix("\u{feff}".as_bytes()).unwrap_or(file);
    match format {
        Format::Json => of_json(kind, text),
        Format::Csv => of_csv(kind, text),
    }
}

fn too_many() -> Problem {
    Problem::new(Code::TooLarge, format!("at most {MOST_ROWS} rows are read here; send the rest in another call"))
}

/// As many values as are read, and whether there are more.
struct Values {
    values: Vec<Value>,
    more: bool,
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rows;
        impl<'de> Visitor<'de> for Rows {
            type Value = Values;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of rows")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Values, A::Error> {
                let mut values = Vec::new();
                while values.len() < MOST_ROWS {
                    match items.next_element()? {
                        Some(value) => values.push(value),
                        None => return Ok(Values { values, more: false }),
                    }
                }
                let mut more = false;
                while items.next_element::<IgnoredAny>()?.is_some() {
                    more = true;
                }
                Ok(Values { values, more })
            }
        }
        deserializer.deserialize_seq(Rows)
    }
}

/// Rows in a member, for clients that can't send an array.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InMember {
    rows: Values,
}

fn of_json(kind: Kind, text: &[u8]) -> Result<Vec<Row>, Problem> {
    let values = match text.trim_ascii_start().first() {
        Some(b'[') => serde_json::from_slice::<Values>(text),
        _ => serde_json::from_slice::<InMember>(text).map(|body| body.rows),
    };
    let Values { values, more } = values.map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        let wanted = "a JSON array of objects, or {\"rows\": [...]}, is wanted";
        Problem::new(Code::Malformed, format!("this is not what is read here, {place}: {wanted}"))
    })?;
    if more {
        return Err(too_many());
    }
    let row = |(index, value)| match value {
        Value::Object(members) => kind.row(index + 1, members),
        _ => {
            Some(Row { number: index + 1, members: Err(vec![Fault::new("the row", "malformed", "must be an object")]) })
        }
    };
    Ok(values.into_iter().enumerate().filter_map(row).collect())
}

fn of_csv(kind: Kind, text: &[u8]) -> Result<Vec<Row>, Problem> {
    let malformed = |detail: String| Problem::new(Code::Malformed, detail);
    let text = std::str::from_utf8(text).map_err(|error| {
        let line = text.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count() + 1;
        malformed(format!("line {line} isn't UTF-8; save the file as CSV in UTF-8"))
    })?;
    // In a file of RFC 4180, quotes come in pairs. An odd one would take all that follows for one cell.
    if text.bytes().filter(|byte| *byte == b'"').count() % 2 == 1 {
        return Err(malformed("a quote (\") isn't closed; a quote within a cell is written twice".to_owned()));
    }
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|_| malformed("the header line can't be read".to_owned()))?.clone();
    let columns = check_header(kind, &header)?;
    let mut rows = Vec::new();
    for (index, record) in reader.records().enumerate() {
        if index == MOST_ROWS {
            return Err(too_many());
        }
        let record = record.map_err(|_| malformed(format!("row {} can't be read", index + 1)))?;
        match of_record(&columns, &record) {
            Ok(members) => rows.extend(kind.row(index + 1, members)),
            Err(faults) => rows.push(Row { number: index + 1, members: Err(faults) }),
        }
    }
    Ok(rows)
}

/// The columns that a header names.
fn check_header(kind: Kind, header: &csv::StringRecord) -> Result<Vec<(&str, Cell)>, Problem> {
    let names = || kind.columns().iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let (mut faults, mut columns, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for name in header.iter().map(str::trim) {
        let shown = || name.chars().take(NAME_SHOWN).collect::<String>();
        match kind.column(name) {
            _ if !seen.insert(name) => faults.push(Fault::new(shown(), "malformed", "stands in the header twice")),
            Some(cell) => columns.push((name, cell)),
            None => {
                let message = format!("there is no such column; there are {}, separated by commas", names());
                faults.push(Fault::new(shown(), "unknown", message));
            }
        }
    }
    if !seen.contains(kind.key()) {
        let message = "the first line must name the columns, and this one among them";
        faults.push(Fault::new(kind.key(), "missing", message));
    }
    if faults.is_empty() { Ok(columns) } else { Err(Problem::invalid(faults)) }
}

/// The members that a line holds. Empty cells are left out.
fn of_record(columns: &[(&str, Cell)], record: &csv::StringRecord) -> Result<Map<String, Value>, Vec<Fault>> {
    if record.len() != columns.len() {
        let message = format!("has {} cells, and the header {}", record.len(), columns.len());
        return Err(vec![Fault::new("the row", "malformed", message)]);
    }
    let (mut faults, mut values) = (Vec::new(), Vec::new());
    for ((name, cell), text) in columns.iter().zip(record).filter(|(_, text)| !text.is_empty()) {
        let text = unguarded(text);
        let value = match cell {
            Cell::Text | Cell::Left => Ok(Value::from(text)),
            Cell::List => Ok(cells::items(text)),
            Cell::Flag => text.parse::<bool>().map(Value::from).map_err(|_| "must be true or false"),
            Cell::Number => text.parse::<u64>().map(Value::from).map_err(|_| "must be a whole number"),
            Cell::Object => {
                serde_json::from_str::<Map<String, Value>>(text).map(Value::Object).map_err(|_| "must be a JSON object")
            }
        };
        match value {
            Ok(value) => values.push((*name, value)),
            Err(message) => faults.push(Fault::new(*name, "malformed", message)),
        }
    }
    if faults.is_empty() { Ok(cells::nest(values)) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::listing::What;
    use super::*;

    fn check(kind: Kind, format: Format, text: &str, expected: Result<Value, &str>) {
        match (read(kind, format, &Bytes::copy_from_slice(text.as_bytes())), expected) {
            (Ok(rows), Ok(expected)) => {
                let shown = |row: Row| match row.members {
                    Ok(members) => json!([row.number, members]),
                    Err(faults) => json!([row.number, faults[0].field, faults[0].message]),
                };
                assert_eq!(rows.into_iter().map(shown).collect::<Value>(), expected, "{text}");
            }
            (Err(problem), Err(part)) => {
                let told = problem.document().to_string();
                assert!(told.contains(part) && !told.contains("hunter2"), "{text}: {told}");
            }
            (Ok(_), Err(part)) => panic!("{text} is read, and {part} expected"),
            (Err(problem), Ok(_)) => panic!("{text}: {problem:?}"),
        }
    }

    #[test]
    fn files_of_csv_are_read() {
        let users = |text: &str, expected| check(Kind::Users, Format::Csv, text, expected);
        let ada = || Ok(json!([[1, {"login": "ada"}]]));
        users("login\nada\n", ada());
        users("login\r\nada", ada());
        users("\u{feff}login\nada", ada());
        users("\"login\",revision,created_at\nada,5,x\n", ada());
        users("login,language\nada,\n", ada());
        users("login\n", Ok(json!([])));
        users(
            "profiles,login,contact.name,external\nREST Services User|Auditor,ada,\"Lovelace, \"\"A\"\"\n\",true\n| ,'+b,'''x,false",
            Ok(json!([
                [1, {"login": "ada", "profiles": ["REST Services User", "Auditor"],
                    "contact": {"name": "Lovelace, \"A\"\n"}, "external": true}],
                [2, {"login": "+b", "profiles": [], "contact": {"name": "''x"}, "external": false}],
            ])),
        );
        users(
            "login,external\nada\nbob,yes,x\ncleo,yes\n",
            Ok(json!([
                [1, "the row", "has 1 cells, and the header 2"],
                [2, "the row", "has 3 cells, and the header 2"],
                [3, "external", "must be true or false"]
            ])),
        );
        users("", Err("the first line must name the columns"));
        users("ada\nbob\n", Err("there is no such column"));
        users("login;language\nada;en\n", Err("separated by commas"));
        users("login,login\na,b\n", Err("twice"));
        users("login,hunter\nada,hunter2\n", Err("\"field\":\"hunter\""));
        users("login,language\n\"ada,hunter2\nbob,en\n", Err("isn't closed"));
        let bytes = Bytes::from_static(b"login\nada\nh\xe9\n");
        assert!(read(Kind::Users, Format::Csv, &bytes).err().unwrap().document().to_string().contains("line 3"));
        check(
            Kind::Integrations,
            Format::Csv,
            "name,fields,fields.a\nx,,1\n",
            Ok(json!([[1, {"name": "x", "fields": {"a": "1"}}]])),
        );
        check(
            Kind::Integrations,
            Format::Csv,
            "name,fields\nx,hunter2\n",
            Ok(json!([[1, "fields", "must be a JSON object"]])),
        );
        check(Kind::PersonalTokens, Format::Csv, "id,state\na,deleted\nb,valid\n", Ok(json!([[2, {"id": "b"}]])));
    }

    #[test]
    fn files_of_json_are_read() {
        let users = |text: &str, expected| check(Kind::Users, Format::Json, text, expected);
        let ada = || Ok(json!([[1, {"login": "ada"}]]));
        users(r#"[{"login":"ada"}]"#, ada());
        users(r#" {"rows":[{"login":"ada","revision":3,"source":"x"}]}"#, ada());
        users("[]", Ok(json!([])));
        users(r#"[5,{"login":"ada"}]"#, Ok(json!([[1, "the row", "must be an object"], [2, {"login": "ada"}]])));
        for text in ["", "hunter2", "5", r#"{"login":"hunter2"}"#, r#"[{"login":"hunter2"}"#, r#"{"rows":5}"#] {
            users(text, Err("a JSON array of objects"));
        }
        users(
            &format!("[{}]", ["{}"; MOST_ROWS].join(",")),
            Ok(Value::Array((1..=MOST_ROWS).map(|n| json!([n, {}])).collect())),
        );
        users(&format!("[{}]", ["{}"; MOST_ROWS + 1].join(",")), Err("10000 rows"));
        check(Kind::Users, Format::Csv, &format!("login\n{}", "a\n".repeat(MOST_ROWS + 1)), Err("10000 rows"));
        users(&format!("[{}", "[".repeat(100_000)), Err("a JSON array of objects"));
    }

    #[test]
    fn what_is_exported_can_be_imported() {
        for kind in Kind::ALL {
            for column in What::of_name(kind.as_str()).unwrap().columns() {
                assert!(kind.column(column).is_some(), "{kind:?} {column}");
            }
        }
    }
}
