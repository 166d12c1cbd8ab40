//! `tokenhost flow upgrade`: what differs is shown, then asked, then done.

use std::io::Write as _;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use super::super::client::Client;
use super::super::exit::Failure;
use super::super::output::{Output, Pairs, can_ask, cell, items, member, printable, scalar};
use super::values::size;
use super::{MEDIA_TYPE, Trust, read};
use crate::flows::{Engine, EngineOptions, Flow as _, Plugin};
use crate::package::{Package, is_package};

/// How an upgrade is to be done.
pub(super) struct Wishes {
    /// Without asking.
    pub(super) yes: bool,
    /// Not at all: only show.
    pub(super) dry_run: bool,
    /// What is allowed.
    pub(super) trust: Trust,
    /// A component from another publisher.
    pub(super) publisher_change: bool,
}

/// Upgrades a flow to the component in a file.
pub(super) async fn upgrade(client: &Client, file: &Path, wishes: Wishes, output: Output) -> Result<(), Failure> {
    let bytes = read(file)?;
    let name = name(&bytes).await?;
    let path = ["flows", name.as_str(), "upgrade"];
    let mut query = wishes.trust.query();
    if wishes.publisher_change {
        query.push(("allow_publisher_change", "true"));
    }
    let size = bytes.len();
    let call = async |dry: bool| {
        let mut query = query.clone();
        if dry {
            query.push(("dry_run", "true"));
        }
        client.upload(Method::POST, &path, &query, MEDIA_TYPE, size, bytes.clone().into()).await
    };
    let difference = call(true).await?;
    if wishes.dry_run {
        return output.show(&difference, show);
    }
    if !output.is_json() {
        output.text(&show(&difference))?;
    }
    if !wishes.yes && !agreed(&name)? {
        return Err(Failure::failed(format!("flow {name} stays as it is")));
    }
    let done = call(false).await?;
    output.show(&done, |done| format!("flow {name} is now {}", side(done.get("to").unwrap_or(&Value::Null))))
}

/// The name of the flow in a package or component.
pub(in crate::cli) async fn name(bytes: &[u8]) -> Result<String, Failure> {
    if is_package(bytes) {
        let package = Package::read(bytes).map_err(|error| Failure::failed(error.to_string()))?;
        return Ok(printable(&package.manifest.name));
    }
    let engine = Engine::new(EngineOptions::default()).map_err(|error| Failure::failed(error.to_string()))?;
    let plugin = Plugin::load(&engine, bytes.to_vec()).await.map_err(|error| Failure::failed(error.to_string()))?;
    Ok(plugin.description().name.clone())
}

/// Asks the person at the terminal.
fn agreed(name: &str) -> Result<bool, Failure> {
    if !can_ask() {
        return Err(Failure::usage("nobody is there to be asked")
            .hint("Give --yes once you have read what differs (--dry-run)."));
    }
    let mut said = String::new();
    let failed = |error: std::io::Error| Failure::failed(format!("the answer can't be read: {error}"));
    let mut terminal = std::io::stderr();
    write!(terminal, "upgrade flow {name}? [y/N] ").and_then(|()| terminal.flush()).map_err(failed)?;
    std::io::stdin().read_line(&mut said).map_err(failed)?;
    Ok(matches!(said.trim(), "y" | "Y" | "yes"))
}

/// One of two components in a line.
fn side(side: &Value) -> String {
    let digest: String = cell(side, "sha256").chars().take(12).collect();
    let bytes = side.get("size").and_then(Value::as_u64).unwrap_or_default();
    let kilobytes = if bytes >= 1 << 20 { size(bytes >> 20 << 20) } else { format!("{} KB", bytes.div_ceil(1000)) };
    format!(
        "{} (sha256:{digest}, contract {}, {kilobytes}, {})",
        cell(side, "version"),
        cell(side, "contract"),
        cell(side, "publisher")
    )
}

/// What to say where the version doesn't grow though the component is another.
fn version_warning(from: &Value, to: &Value) -> Option<&'static str> {
    let version = |side: &Value| semver::Version::parse(&cell(side, "version")).ok();
    match version(to)?.cmp(&version(from)?) {
        std::cmp::Ordering::Greater => None,
        std::cmp::Ordering::Less => Some("warning: lower than the present one"),
        std::cmp::Ordering::Equal if from.get("sha256") == to.get("sha256") => Some("the very same component"),
        std::cmp::Ordering::Equal => Some("warning: the same as the present one, though the component is another"),
    }
}

/// What differs.
fn show(difference: &Value) -> String {
    let null = Value::Null;
    let (from, to) = (difference.get("from").unwrap_or(&null), difference.get("to").unwrap_or(&null));
    let mut pairs = Pairs::default();
    pairs.add("flow", member(difference, "flow"));
    pairs.add("from", side(from));
    pairs.add("to", side(to));
    let is = |name: &str| difference.get(name).and_then(Value::as_bool).unwrap_or_default();
    if is("publisher_changes") {
        let warning = format!("changes: {} → {}", cell(from, "publisher"), cell(to, "publisher"));
        pairs.add("publisher", format!("{warning} (needs --allow-publisher-change)"));
    }
    if let Some(warning) = version_warning(from, to) {
        pairs.add("version", warning.to_owned());
    }
    if !is("compared") {
        pairs.add("note", "the present component can't be read: all that the new one has counts as added".to_owned());
    }
    let person = |side: &Value| side.get("unattended").and_then(Value::as_bool);
    if let (Some(before), Some(after)) = (person(from), person(to))
        && before != after
    {
        let needed = |unattended| if unattended { "not needed" } else { "needed" };
        pairs.add("a person", format!("{} → {}", needed(before), needed(after)));
    }
    let mut same = true;
    for (label, added, removed) in
        [("serves", "handles_added", "handles_removed"), ("imports", "imports_added", "imports_removed")]
    {
        let signed = |sign: &str, name: &str| -> Vec<String> {
            items(difference, name).iter().filter_map(scalar).map(|text| format!("{sign} {text}")).collect()
        };
        for line in signed("+", added).into_iter().chain(signed("-", removed)) {
            pairs.add(label, line);
            same = false;
        }
    }
    let notes = |name: &str| -> Vec<(String, String)> {
        let members = difference.get(name).and_then(Value::as_object).into_iter().flatten();
        members.map(|(field, note)| (field.clone(), scalar(note).unwrap_or_default())).collect()
    };
    for (field, note) in notes("fields_added") {
        pairs.add("field", format!("+ {field} (required: {note})"));
        same = false;
    }
    for field in items(difference, "fields_removed").iter().filter_map(scalar) {
        pairs.add("field", format!("- {field}"));
        same = false;
    }
    for (field, note) in notes("fields_changed") {
        pairs.add("field", format!("~ {field}: {note}"));
        same = false;
    }
    if same {
        pairs.add("fields", "the same, as are the schemes and imports".to_owned());
    }
    for (label, name) in [
        ("memories", "memories"),
        ("first memory", "memory_bytes"),
        ("tables", "tables"),
        ("table size", "table_elements"),
    ] {
        let of = |side: &Value| side.get("resources").and_then(|resources| resources.get(name)).and_then(Value::as_u64);
        if let (Some(before), Some(after)) = (of(from), of(to))
            && before != after
        {
            let text = |value| if name == "memory_bytes" { size(value) } else { value.to_string() };
            pairs.add(label, format!("{} → {}", text(before), text(after)));
        }
    }
    for secret in items(difference, "revealed_void").iter().filter_map(scalar) {
        pairs.add("revealed", format!("- {secret}: the new component can't read it"));
    }
    let used: Vec<String> = items(difference, "integrations").iter().filter_map(scalar).collect();
    pairs.add("used by", if used.is_empty() { "no integration".to_owned() } else { used.join(", ") });
    let incomplete = difference.get("incomplete").cloned().unwrap_or_else(|| json!({}));
    for (integration, fields) in incomplete.as_object().into_iter().flatten() {
        let fields: Vec<String> = fields.as_array().into_iter().flatten().filter_map(scalar).collect();
        pairs.add("incomplete", format!("{integration} will lack {}", fields.join(", ")));
    }
    pairs.to_text("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_does_not_grow_is_told() {
        let check = |from: &str, to: &str, sha256: &str, expected: Option<&str>| {
            let side = |version: &str, sha256: &str| json!({"version": version, "sha256": sha256});
            let warning = version_warning(&side(from, "a"), &side(to, sha256));
            assert_eq!(warning.is_some(), expected.is_some(), "{from} {to}");
            assert!(warning.unwrap_or_default().contains(expected.unwrap_or_default()), "{warning:?}");
        };
        check("1.9.0", "1.10.0", "b", None);
        check("1.10.0", "1.9.0", "b", Some("lower"));
        check("1.0.0", "1.0.0", "b", Some("the same as"));
        check("1.0.0", "1.0.0", "a", Some("very same"));
        check("?", "1.0.0", "b", None);
    }

    #[test]
    fn what_differs_is_told_in_lines() {
        let resources =
            |pages: u64| json!({"memories": 1, "memory_bytes": pages << 20, "tables": 1, "table_elements": 10});
        let text = show(&json!({
            "flow": "robot", "compared": true, "publisher_changes": true,
            "from": {"version": "1.0.0", "sha256": "aaaaaaaaaaaaaaaa", "contract": "0.1.0", "size": 53000, "publisher": "acme", "unattended": true, "resources": resources(1)},
            "to": {"version": "2.0.0", "sha256": "bbbbbbbbbbbbbbbb", "contract": "0.1.0", "size": 18874368, "publisher": "unsigned", "unattended": false, "resources": resources(30)},
            "handles_added": ["http bearer"], "handles_removed": [], "fields_added": {"tenant": "always"}, "fields_removed": ["region"],
            "fields_changed": {"client_auth": "default: none → basic"}, "imports_added": [], "imports_removed": ["wasi:cli/exit@0.2.0"],
            "revealed_void": ["crm/client_secret"], "integrations": ["crm", "hr"], "incomplete": {"crm": ["tenant"]},
        }));
        for line in [
            "from          1.0.0 (sha256:aaaaaaaaaaaa, contract 0.1.0, 53 KB, acme)",
            "publisher     changes: acme → unsigned (needs --allow-publisher-change)",
            "a person      not needed → needed",
            "serves        + http bearer",
            "imports       - wasi:cli/exit@0.2.0",
            "field         + tenant (required: always)",
            "field         - region",
            "field         ~ client_auth: default: none → basic",
            "first memory  1MiB → 30MiB",
            "revealed      - crm/client_secret: the new component can't read it",
            "used by       crm, hr",
            "incomplete    crm will lack tenant",
        ] {
            assert!(text.lines().any(|got| got == line), "{line}\nis not in\n{text}");
        }
    }
}
