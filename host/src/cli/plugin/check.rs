//! `tokenhost plugin check FILE`: the report on a component, for people and as JSON. Judges nothing; `flows::check` does.

use std::path::Path;

use serde_json::{Value, json};

use super::super::exit::{Exit, Failure};
use super::super::flow;
use super::super::output::{Output, cell, items, member, table};
use super::compiled;
use crate::clock::SystemClock;
use crate::flows::Description;
use crate::flows::check::{Report, check};
use crate::flows::component::{Fault, digest};
use crate::flows::description::{Field, Requirement};

/// The size, in bytes, from which a component holds an interpreter, which takes seconds to compile.
const BIG: usize = 4 << 20;

/// Checks it.
pub(super) async fn run(file: &Path, output: Output) -> Result<(), Failure> {
    let (engine, bytes) = (compiled::engine()?, super::read(file)?);
    let known = engine.has_compiled(&digest(&bytes));
    if !known && bytes.len() > BIG {
        output.note(&format!("compiling the component ({} MB), which takes seconds", bytes.len() >> 20));
    }
    let report = check(&engine, bytes, &SystemClock::shared()).await;
    let good = report.faults.is_empty();
    output.show(&document(&report, known), show)?;
    if good { Ok(()) } else { Err(Failure::Silent(Exit::Failed)) }
}

/// The report as JSON. `known`: it was compiled before, so that it was only loaded.
fn document(report: &Report, known: bool) -> Value {
    let milliseconds = report.compile.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    let told = |faults: &[Fault]| -> Vec<Value> {
        faults.iter().map(|fault| json!({"problem": fault.problem, "remedy": fault.remedy})).collect()
    };
    let faults = told(&report.faults);
    let resources: Vec<Value> = (report.resources.rows().into_iter())
        .map(|(name, needs, limit)| json!({"name": name, "needs": needs, "limit": limit}))
        .collect();
    json!({
        "ok": faults.is_empty(),
        "sha256": report.digest,
        "size": report.size,
        "contract": report.contract,
        "wasi": report.wasi,
        "description": report.description.as_ref().map(description),
        "exports": report.exports,
        "imports": report.imports,
        "resources": resources,
        "compile_milliseconds": milliseconds.filter(|_| !known),
        "load_milliseconds": milliseconds.filter(|_| known),
        "step_microseconds": report.step.map(|step| u64::try_from(step.processor.as_micros()).unwrap_or(u64::MAX)),
        "step_memory": report.step.map(|step| step.memory),
        "faults": faults,
        "warnings": told(&report.warnings),
    })
}

/// What a flow says of itself, in the shape in which the API shows flows.
pub(super) fn description(description: &Description) -> Value {
    let handles: Vec<Value> =
        description.handles.iter().map(|handled| json!({"kind": handled.kind, "detail": handled.detail})).collect();
    json!({
        "name": description.name,
        "version": description.version,
        "title": description.title,
        "summary": description.summary,
        "unattended": description.unattended,
        "handles": handles,
        "fields": description.fields.iter().map(field).collect::<Vec<_>>(),
    })
}

/// A field in that shape.
fn field(field: &Field) -> Value {
    let (kind, choices) = (field.kind.name(), field.kind.choices());
    let required = match &field.required {
        Requirement::Always => json!("always"),
        Requirement::Never => json!("never"),
        Requirement::When(condition) => json!({"when": {"field": condition.field, "one_of": condition.one_of}}),
    };
    json!({
        "name": field.name, "title": field.title, "help": field.help, "kind": kind, "choices": choices,
        "required": required, "default": field.default, "source": field.source,
    })
}

/// The report for people.
fn show(report: &Value) -> String {
    let mut text = String::new();
    if let Some(description) = report.get("description").filter(|description| description.is_object()) {
        text += &flow::show(description);
        text += "\n";
    }
    text += &format!("sha256    {}\nsize      {} bytes\n", cell(report, "sha256"), cell(report, "size"));
    for name in ["contract", "exports", "imports"] {
        if let Some(value) = member(report, name).filter(|value| !value.is_empty()) {
            let names = value.replace(", ", "\n          ");
            text += &format!("{name:<8}  {names}\n");
        }
    }
    if member(report, "wasi").is_some_and(|wasi| !wasi.is_empty()) {
        text += "wasi      each of its interfaces finds an empty world; the clocks stand still\n";
    }
    if let Some(time) = member(report, "compile_milliseconds") {
        text += &format!("compiled  in {time} ms\n");
    }
    if let Some(time) = member(report, "load_milliseconds") {
        text += &format!("loaded    in {time} ms; it was compiled before\n");
    }
    if let (Some(micros), Some(memory)) = (report["step_microseconds"].as_u64(), report["step_memory"].as_u64()) {
        let (kilobytes, milli, micro) = (memory >> 10, micros / 1000, micros % 1000);
        text += &format!("a step    {milli}.{micro:03} ms with a fresh instance, {kilobytes} KiB of memory\n");
    }
    let rows: Vec<_> = items(report, "resources")
        .iter()
        .map(|row| [cell(row, "name"), cell(row, "needs"), cell(row, "limit")])
        .collect();
    if !rows.is_empty() {
        text += "\n";
        text += &table(["THE POOL'S", "NEEDED", "OF"], &rows);
    }
    text += &listed(items(report, "faults"), "fault");
    text += &listed(items(report, "warnings"), "warning");
    if items(report, "faults").is_empty() {
        text += "\nno faults";
    }
    text
}

/// Faults or warnings, each with what to do.
fn listed(faults: &[Value], name: &str) -> String {
    if faults.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{} {name}{}:\n", faults.len(), if faults.len() == 1 { "" } else { "s" });
    for fault in faults {
        text += &format!("  - {}\n    {}\n", cell(fault, "problem"), cell(fault, "remedy"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_with_what_to_do() {
        let report = json!({
            "sha256": "ab", "size": 7, "contract": null, "wasi": [], "description": null,
            "faults": [{"problem": "it imports wasi:http", "remedy": "build it without"}],
        });
        assert_eq!(
            show(&report),
            "sha256    ab\nsize      7 bytes\n\n1 fault:\n  - it imports wasi:http\n    build it without\n"
        );
        assert!(show(&json!({"sha256": "ab", "size": 7, "faults": []})).ends_with("no faults"));
    }
}
