//! What goes to stdout: text for people in aligned columns, or JSON.
//!
//! Knows nothing of what it prints, and uses no colours.

use std::io::{IsTerminal, Write};

use serde_json::Value;

use super::exit::Failure;

/// Where a command's results go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    /// JSON instead of text for people.
    json: bool,
}

impl Output {
    /// Text for people, or JSON.
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether JSON is asked for.
    pub(super) fn is_json(self) -> bool {
        self.json
    }

    /// Prints the document as it is for a program, or the text made from it for people.
    ///
    /// # Errors
    /// stdout can't be written.
    pub(super) fn show(self, document: &Value, text: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
        if self.json { self.document(document) } else { self.text(&text(document)) }
    }

    /// Prints a JSON document.
    ///
    /// # Errors
    /// stdout can't be written.
    pub(super) fn document(self, document: &Value) -> Result<(), Failure> {
        self.raw(&format!("{document:#}\n"))
    }

    /// Prints text for people, ended by a line break; control characters, which could steer a terminal, are replaced.
    ///
    /// # Errors
    /// stdout can't be written.
    pub(super) fn text(self, text: &str) -> Result<(), Failure> {
        let text = printable(text.trim_end_matches('\n'));
        if text.is_empty() { Ok(()) } else { self.raw(&format!("{text}\n")) }
    }

    /// Prints bytes for another program.
    ///
    /// # Errors
    /// stdout can't be written.
    pub(super) fn raw(self, text: &str) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::OutputClosed),
            Err(error) => Err(Failure::failed(format!("stdout can't be written: {error}"))),
            Ok(()) => Ok(()),
        }
    }

    /// Tells a person something beside the result, on stderr.
    pub(super) fn note(self, text: &str) {
        drop(writeln!(std::io::stderr().lock(), "{}", printable(text)));
    }
}

/// Whether a person can be asked: stdin and stderr are a terminal.
pub(super) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// The text with control characters replaced, line breaks and tabs apart.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// Rows in aligned columns under a line of headings. Empty where there are no rows.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut widths = headings.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| {
        let padded: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(headings);
    for row in rows {
        text += &line(row.each_ref().map(String::as_str));
    }
    text
}

/// Names and values, the values aligned; those without a value are left out.
#[derive(Default)]
pub(super) struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// Adds a line where there is a value.
    pub(super) fn add(&mut self, name: &str, value: impl Into<Option<String>>) -> &mut Self {
        if let Some(value) = value.into() {
            self.0.push((name.to_owned(), value));
        }
        self
    }

    /// The lines, each begun by `indent`.
    pub(super) fn to_text(&self, indent: &str) -> String {
        let width = self.0.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let lines = self.0.iter().map(|(name, value)| {
            // Further lines of a value stand under its first.
            let value = value.replace('\n', &format!("\n{indent}{:width$}  ", ""));
            format!("{indent}{name:<width$}  {value}").trim_end().to_owned() + "\n"
        });
        lines.collect()
    }
}

/// A member of a JSON object as text: strings as they are, other scalars as JSON, absent and null as none.
pub(super) fn member(document: &Value, name: &str) -> Option<String> {
    scalar(document.get(name)?)
}

/// A JSON value as text for people; none for null.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => Some(items.iter().filter_map(scalar).collect::<Vec<_>>().join(", ")),
        other => Some(other.to_string()),
    }
}

/// A member as text, or a dash.
pub(super) fn cell(document: &Value, name: &str) -> String {
    member(document, name).unwrap_or_else(|| "-".to_owned())
}

/// The members of an array member; none where it is absent.
pub(super) fn items<'a>(document: &'a Value, name: &str) -> &'a [Value] {
    document.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_and_end_without_blanks() {
        let rows = [["crm".to_owned(), "–".to_owned()], ["a-long-name".to_owned(), "CRM".to_owned()]];
        assert_eq!(table(["NAME", "TITLE"], &rows), "NAME         TITLE\ncrm          –\na-long-name  CRM\n");
        assert_eq!(table(["NAME"], &[]), "");
    }

    #[test]
    fn pairs_align_and_leave_out_what_is_absent() {
        let mut pairs = Pairs::default();
        pairs.add("name", "crm".to_owned()).add("scope", None).add("summary", "two\nlines".to_owned());
        assert_eq!(pairs.to_text("  "), "  name     crm\n  summary  two\n           lines\n");
    }

    #[test]
    fn a_terminal_is_not_steered() {
        assert_eq!(printable("a\u{1b}[2Jb\r\u{7}\nc\td"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}\nc\td");
    }
}
