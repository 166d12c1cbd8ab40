//! Rows of cells as JSON and as CSV, both ways. It knows no noun, only columns by name; a column `a.b` is the member `b` of
//! the member `a`.
//!
//! In CSV, items of a list are joined with `|`, which stands in no name. Spreadsheets take a cell that begins with `=`, `+`,
//! `-`, `@` or a tab for a formula, so such a text gets a `'` in front, which is taken away where it is read back.

use serde_json::{Map, Value};

use super::super::problem::Problem;
use super::Format;

/// Between the items of a list in a CSV cell.
const BETWEEN: &str = "|";

/// Puts rows into their format. What it gives is the whole file, piece by piece.
pub(super) struct Writer {
    format: Format,
    columns: Vec<&'static str>,
    /// Rows written.
    rows: u64,
}

impl Writer {
    /// A file of these columns.
    pub(super) fn new(format: Format, columns: Vec<&'static str>) -> Self {
        Self { format, columns, rows: 0 }
    }

    /// What stands before the first row.
    pub(super) fn head(&self) -> Result<Vec<u8>, Problem> {
        match self.format {
            Format::Json => Ok(b"[".to_vec()),
            Format::Csv => lines([self.columns.iter().map(|name| (*name).to_owned()).collect()]),
        }
    }

    /// Rows, each with a value for each column.
    pub(super) fn rows(&mut self, rows: Vec<Vec<Value>>) -> Result<Vec<u8>, Problem> {
        if self.format == Format::Csv {
            return lines(rows.into_iter().map(|row| row.iter().map(text).collect()));
        }
        let mut piece = Vec::new();
        for row in rows {
            piece.extend_from_slice(if self.rows == 0 { b"\n" } else { b",\n" });
            self.rows += 1;
            let object = nest(self.columns.iter().copied().zip(row));
            serde_json::to_writer(&mut piece, &object).map_err(Problem::internal)?;
        }
        Ok(piece)
    }

    /// What stands after the last row.
    pub(super) fn tail(&self) -> Vec<u8> {
        match self.format {
            Format::Json => b"\n]\n".to_vec(),
            Format::Csv => Vec::new(),
        }
    }
}

/// An object out of columns. Those without a value are left out.
pub(super) fn nest<'a>(cells: impl IntoIterator<Item = (&'a str, Value)>) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, value) in cells {
        if value.is_null() {
            continue;
        }
        match name.split_once('.') {
            None => drop(object.insert(name.to_owned(), value)),
            Some((outer, inner)) => {
                let member = object.entry(outer).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(member) = member {
                    member.insert(inner.to_owned(), value);
                }
            }
        }
    }
    object
}

/// Lines of CSV.
fn lines(rows: impl IntoIterator<Item = Vec<String>>) -> Result<Vec<u8>, Problem> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).map_err(Problem::internal)?;
    }
    writer.into_inner().map_err(Problem::internal)
}

/// A value in a CSV cell.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => guarded(text),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            guarded(&items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(BETWEEN))
        }
        other => other.to_string(),
    }
}

/// Whether a spreadsheet would take a text that begins so for a formula, or we for one that was guarded.
fn is_special(first: char) -> bool {
    matches!(first, '=' | '+' | '-' | '@' | '\t' | '\r' | '\'')
}

fn guarded(text: &str) -> String {
    if text.starts_with(is_special) { format!("'{text}") } else { text.to_owned() }
}

/// A text without its guard.
pub(super) fn unguarded(text: &str) -> &str {
    text.strip_prefix('\'').filter(|rest| rest.starts_with(is_special)).unwrap_or(text)
}

/// The items of a list in a cell.
pub(super) fn items(text: &str) -> Value {
    text.split(BETWEEN).map(str::trim).filter(|item| !item.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn write(format: Format, columns: &[&'static str], pages: &[&[Value]]) -> String {
        let mut writer = Writer::new(format, columns.to_vec());
        let mut all = writer.head().unwrap();
        for page in pages {
            all.extend(writer.rows(page.iter().map(|row| row.as_array().unwrap().clone()).collect()).unwrap());
        }
        all.extend(writer.tail());
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn rows_become_files() {
        let columns = ["name", "contact.email", "contact.name", "profiles", "n"];
        let rows: [&[Value]; 3] = [
            &[json!(["a", "a@b", null, ["REST Services User", "Auditor"], 1])],
            &[],
            &[json!(["b\"\n,", null, null, [], -1]), json!(["=1+1", "'x", "@x", ["-a"], true])],
        ];
        assert_eq!(
            write(Format::Csv, &columns, &rows),
            "name,contact.email,contact.name,profiles,n\r\na,a@b,,REST Services User|Auditor,1\r\n\
             \"b\"\"\n,\",,,,-1\r\n'=1+1,''x,'@x,'-a,true\r\n"
        );
        let json: Value = serde_json::from_str(&write(Format::Json, &columns, &rows)).unwrap();
        assert_eq!(
            json,
            json!([
                {"name": "a", "contact": {"email": "a@b"}, "profiles": ["REST Services User", "Auditor"], "n": 1},
                {"name": "b\"\n,", "profiles": [], "n": -1},
                {"name": "=1+1", "contact": {"email": "'x", "name": "@x"}, "profiles": ["-a"], "n": true},
            ])
        );
        assert_eq!(write(Format::Json, &columns, &[]), "[\n]\n");
        assert_eq!(write(Format::Csv, &["a"], &[&[json!([null])]]), "a\r\n\"\"\r\n");
    }
}
