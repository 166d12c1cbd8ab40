//! `tokenhost man`: a manual page for each command, made from the command line's definition. For who makes packages.
//!
//! What clap knows is rendered by `clap_mangen`. It would set the closing text of the help as running text, so that is
//! rendered here, as sections of its own: examples stay as they are typed.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap_mangen::Man as Page;
use clap_mangen::roff::{Roff, bold, roman};

use super::exit::Failure;
use super::output::Output;

/// The section of user commands.
const SECTION: &str = "1";

/// Write a manual page for each command into a folder
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tokenhost man --out man1\n  tokenhost man --out man1 --date 2026-11-22 && man man1/tokenhost-serve.1"
)]
pub(super) struct Manual {
    /// The folder, which is made where there is none
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// The date that the pages bear
    #[arg(long, value_name = "DAY", default_value = "")]
    date: String,
}

impl Manual {
    /// Writes the pages and says how many.
    ///
    /// # Errors
    /// The folder can't be written.
    pub(super) fn run(self, output: Output) -> Result<(), Failure> {
        let fault = |error: std::io::Error| Failure::failed(format!("{}: {error}", self.out.display()));
        std::fs::create_dir_all(&self.out).map_err(fault)?;
        let mut command = super::command().disable_help_subcommand(true);
        command.build();
        let written = write_below(&command, &[], &self.out, &self.date).map_err(fault)?;
        output.note(&format!("{written} pages are in {}", self.out.display()));
        Ok(())
    }
}

/// Writes the page of a command, and those of the commands below it. `above`: the names of the pages above.
fn write_below(command: &clap::Command, above: &[String], folder: &Path, date: &str) -> std::io::Result<usize> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let mut file = File::create(folder.join(format!("{name}.{SECTION}")))?;
    file.write_all(&page(command, above, date)?)?;
    let mut written = 1;
    let above: Vec<String> = above.iter().cloned().chain([name]).collect();
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        written += write_below(below, &above, folder, date)?;
    }
    Ok(written)
}

/// The page of a command.
fn page(command: &clap::Command, above: &[String], date: &str) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let page = Page::new(command.clone())
        .section(SECTION)
        .date(date)
        .source(format!("tokenhost {}", env!("CARGO_PKG_VERSION")))
        .manual("tokenhost");
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    let closing = command.get_after_long_help().or_else(|| command.get_after_help());
    let closing = Closing::of(&closing.map(ToString::to_string).unwrap_or_default());
    closing.remarks().to_writer(&mut text)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        page.render_options_section(&mut text)?;
    }
    if command.get_subcommands().any(|below| !below.is_hide_set()) {
        page.render_subcommands_section(&mut text)?;
    }
    closing.sections().to_writer(&mut text)?;
    see_also(above).to_writer(&mut text)?;
    Ok(without_doubled_paragraphs(&text))
}

/// The text that closes a command's help, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
struct Closing {
    /// Paragraphs for people.
    remarks: Vec<String>,
    /// Headings with the lines below them, which stay as they are.
    sections: Vec<(String, Vec<String>)>,
}

impl Closing {
    /// Takes it apart: a line that ends in a colon with indented ones below it begins a section, up to an empty line.
    fn of(text: &str) -> Self {
        let mut closing = Self::default();
        for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
            match paragraph.trim_matches('\n').split_once('\n') {
                Some((heading, rest)) if heading.ends_with(':') && rest.lines().all(|line| line.starts_with("  ")) => {
                    let lines = rest.lines().map(|line| line.strip_prefix("  ").unwrap_or(line).to_owned());
                    closing.sections.push((title(heading.trim_end_matches(':')), lines.collect()));
                }
                _ => closing.remarks.push(paragraph.to_owned()),
            }
        }
        closing
    }

    /// The paragraphs.
    fn remarks(&self) -> Roff {
        let mut roff = Roff::new();
        for remark in &self.remarks {
            roff.control("PP", []);
            for line in remark.lines() {
                roff.text([roman(line)]);
            }
        }
        roff
    }

    /// The sections, their lines as they are.
    fn sections(&self) -> Roff {
        let mut roff = Roff::new();
        for (heading, lines) in &self.sections {
            roff.control("SH", [heading.as_str()]).control("nf", []);
            for line in lines {
                roff.text([roman(line)]);
            }
            roff.control("fi", []);
        }
        roff
    }
}

/// A heading as manual pages have it (man-pages(7) names the usual ones).
fn title(heading: &str) -> String {
    match heading {
        "Exit codes" => "EXIT STATUS".to_owned(),
        heading if heading.starts_with("Environment") => "ENVIRONMENT".to_owned(),
        heading => heading.to_uppercase(),
    }
}

/// Where to read on: the pages above.
fn see_also(above: &[String]) -> Roff {
    let mut roff = Roff::new();
    if above.is_empty() {
        return roff;
    }
    roff.control("SH", ["SEE ALSO"]);
    for (index, name) in above.iter().enumerate() {
        let end = if index + 1 < above.len() { ", " } else { "" };
        roff.text([bold(name), roman(format!("({SECTION}){end}"))]);
    }
    roff
}

/// Without paragraphs that begin where a section does, or where another one begins, and blank lines: `mandoc` warns of them.
fn without_doubled_paragraphs(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let mut kept: Vec<&str> = Vec::new();
    let mut preamble = false;
    for line in text.lines() {
        // Each part that is rendered begins with the same definitions; once is enough.
        if line.starts_with(".ie \\n(.g") || line.starts_with(".el .ds Aq") {
            if preamble && kept.len() > 2 {
                continue;
            }
            preamble = true;
        }
        let in_example = kept.iter().rev().find(|line| **line == ".nf" || **line == ".fi") == Some(&".nf");
        if line.is_empty() && !in_example {
            continue;
        }
        if line == ".br" && kept.last() == Some(&".br") {
            continue;
        }
        if line == ".PP" && kept.last().is_some_and(|last| last.starts_with(".SH") || *last == ".PP") {
            continue;
        }
        kept.push(line);
    }
    kept.iter().flat_map(|line| [line.as_bytes(), b"\n"]).flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_text_becomes_sections() {
        let check = |text: &str, remarks: &[&str], sections: &[(&str, &[&str])]| {
            let closing = Closing::of(text);
            assert_eq!(closing.remarks, remarks, "{text}");
            let found: Vec<_> = closing.sections.iter().map(|(heading, lines)| (&**heading, lines.clone())).collect();
            let wanted: Vec<_> = sections
                .iter()
                .map(|(name, lines)| (*name, lines.iter().map(|line| (*line).to_owned()).collect()))
                .collect();
            assert_eq!(found, wanted, "{text}");
        };
        check("", &[], &[]);
        check("One.\nTwo.", &["One.\nTwo."], &[]);
        check("One.\n\nExamples:\n  a\n    b", &["One."], &[("EXAMPLES", &["a", "  b"])]);
        check(
            "Environment of x:\n  A  b\n\nExit codes:\n  0  c",
            &[],
            &[("ENVIRONMENT", &["A  b"]), ("EXIT STATUS", &["0  c"])],
        );
        check("Not a heading:\nsince this isn't indented", &["Not a heading:\nsince this isn't indented"], &[]);
    }

    #[test]
    fn every_command_has_a_page_with_its_parts() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = super::super::command().disable_help_subcommand(true);
        command.build();
        let written = write_below(&command, &[], folder.path(), "2026-11-22").unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), written);
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let serve = read("tokenhost-serve.1");
        for part in
            [".TH tokenhost-serve 1 2026-11-22", ".SH NAME", ".SH EXAMPLES", "TOKENHOST_DATA", ".SH \"SEE ALSO\""]
        {
            assert!(serve.contains(part), "{part}:\n{serve}");
        }
        assert!(read("tokenhost.1").contains(".SH \"EXIT STATUS\""));
        assert!(read("tokenhost-model-import.1").contains("tokenhost model import"));
        assert!(!folder.path().join("tokenhost-plugin-precompile.1").exists(), "hidden commands have none");
    }
}
