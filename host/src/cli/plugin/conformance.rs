//! `tokenhost plugin test`: builds a flow, runs its native tests, and puts the component through the conformance kit.
//!
//! What the cases are is `trial::kit`'s; this reads the author's files and shows what came of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::super::exit::{Exit, Failure};
use super::super::output::{Output, cell, items, member, table};
use super::super::values::{SECRET_HELP, SecretReader, assignment};
use super::{build, compiled, native};
use crate::flows::{Flow as _, Plugin};
use crate::trial::kit::{self, CaseReport, Config, Kit, Script, StepCost, Verdict};

/// What conformance says of a flow, beside it.
const CONFIG: &str = "conformance.json";

/// Where a flow has its own cases.
const CASES: &str = "tests/cases";

/// In how many folders above a component its project's files are looked for: `build/`, `target/flow/release/`.
const ABOVE: usize = 4;

/// Hold a flow against the conformance kit: what providers do on their bad days
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A folder is built first, and its native tests run (cargo test, npm test or pytest). The component then runs in the real engine, against a provider on loopback that the kit plays; nothing else is dialled. conformance.json beside the flow gives field values, secrets, the answers of the flow's own provider, and cases to skip; tests/cases/*.json are the flow's own cases. Exit code 0: all passed; 1: something failed.\n\nExamples:\n  tokenhost plugin test\n  tokenhost plugin test my-flow --no-native\n  tokenhost plugin test my-flow.wasm --only gzip --only refresh-omitted\n  tokenhost plugin test --list"
)]
pub(super) struct Test {
    /// The flow's folder, or a component
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    target: PathBuf,
    /// Only the case of this name (repeatable)
    #[arg(long, value_name = "CASE")]
    only: Vec<String>,
    /// List the cases and run none
    #[arg(long)]
    list: bool,
    /// Don't run the project's native tests
    #[arg(long)]
    no_native: bool,
    /// Field values and answers [default: conformance.json beside the flow]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A folder with cases of the flow's own [default: tests/cases in the flow's folder]
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// A field that is no secret; `{provider}` in it is the kit's provider
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    #[arg(long, value_name = "NAME=SOURCE", help = format!("A secret: {SECRET_HELP}"))]
    secret: Vec<String>,
}

impl Test {
    /// Runs it.
    ///
    /// # Errors
    /// The flow can't be built or set up, a file isn't what it must be, or a case failed.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let own = self.own_cases()?;
        self.tell_project(output);
        if self.list {
            return list(&own, output);
        }
        self.check_names(&own)?;
        let config = self.config()?;
        let is_folder = self.target.is_dir();
        // Built first: that installs what the native tests need too.
        let component = if is_folder {
            build::build(&self.target, None, &mut |line| output.note(line))?.component
        } else {
            self.target.clone()
        };
        let native = match is_folder && !self.no_native && self.only.is_empty() {
            true => native::run(&self.target, &mut |line| output.note(line)).await?,
            false => None,
        };
        let loaded = compiled::load(&compiled::engine()?, super::read(&component)?, output).await;
        let plugin = loaded.map_err(|error| {
            let hint = format!("tokenhost plugin check {} says more", component.display());
            Failure::failed(error.to_string()).hint(hint)
        })?;
        output.note(&format!("testing {}", plugin.identity()));
        let mut kit = Kit::new(&plugin, config).await.map_err(|error| Failure::failed(error.to_string()))?;
        let reports = kit
            .run(&self.only, &own, |report| {
                if let Verdict::Failed(_) = report.verdict {
                    output.note(&format!("failed: {} {}", report.name, report.purpose));
                }
            })
            .await;
        let document = document(&plugin, &reports, native.as_ref());
        output.show(&document, show)?;
        if document["ok"] == true { Ok(()) } else { Err(Failure::Silent(Exit::Failed)) }
    }

    /// The folder beside whose files the flow's stand: of a component in a project's folder for what is built, the project's.
    fn folder(&self) -> PathBuf {
        if self.target.is_dir() {
            return self.target.clone();
        }
        let beside = self.target.parent().unwrap_or(Path::new("")).to_owned();
        let whole = self.target.canonicalize().unwrap_or_else(|_| self.target.clone());
        let has_files = |folder: &&Path| folder.join(CONFIG).is_file() || folder.join(CASES).is_dir();
        whole.ancestors().skip(1).take(ABOVE).find(has_files).map_or(beside, Path::to_owned)
    }

    /// Says where the files of a component come from, or that there are none.
    fn tell_project(&self, output: Output) {
        if self.target.is_dir() || (self.config.is_some() && self.cases.is_some()) {
            return;
        }
        let folder = self.folder();
        let found: Vec<&str> = [CONFIG, CASES].into_iter().filter(|name| folder.join(name).exists()).collect();
        output.note(&match found.is_empty() {
            true => format!("no {CONFIG} and no {CASES} are near {}; see --config and --cases", self.target.display()),
            false => format!("with {} of {}", found.join(" and "), folder.display()),
        });
    }

    /// What `conformance.json` and the command line say.
    fn config(&self) -> Result<Config, Failure> {
        let beside = self.folder().join(CONFIG);
        let path = self.config.clone().or_else(|| beside.is_file().then_some(beside));
        let mut config = match path {
            Some(path) => {
                Config::parse(&text(&path)?).map_err(|fault| Failure::failed(format!("{}: {fault}", path.display())))?
            }
            None => Config::default(),
        };
        let mut secrets = SecretReader::default();
        for text in &self.set {
            let (name, value) = assignment("--set", text)?;
            config.values.insert(name, value);
        }
        for text in &self.secret {
            let (name, value) = secrets.assignment("--secret", text)?;
            config.secrets.insert(name, value.expose_secret().to_owned());
        }
        Ok(config)
    }

    /// The flow's own cases, by the names of their files.
    fn own_cases(&self) -> Result<Vec<(String, Script)>, Failure> {
        let folder = match &self.cases {
            Some(folder) => folder.clone(),
            None => self.folder().join(CASES),
        };
        if self.cases.is_none() && !folder.is_dir() {
            return Ok(Vec::new());
        }
        let failed = |error: std::io::Error| Failure::failed(format!("{} can't be read: {error}", folder.display()));
        let mut cases = BTreeMap::new();
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let script = Script::parse(&text(&path)?)
                .map_err(|fault| Failure::failed(format!("{}: {fault}", path.display())))?;
            cases.insert(name, script);
        }
        Ok(cases.into_iter().collect())
    }

    /// Refuses names of cases that there aren't.
    fn check_names(&self, own: &[(String, Script)]) -> Result<(), Failure> {
        let known = kit::list();
        let unknown = self
            .only
            .iter()
            .find(|name| !known.iter().any(|case| case.name == **name) && !own.iter().any(|(own, _)| own == *name));
        unknown.map_or(Ok(()), |name| {
            Err(Failure::usage(format!("there is no case {name:?}")).hint("`tokenhost plugin test --list` lists them"))
        })
    }
}

/// A file's text.
fn text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::failed(format!("{} can't be read: {error}", path.display())))
}

/// Shows the cases that there are.
fn list(own: &[(String, Script)], output: Output) -> Result<(), Failure> {
    let mut cases: Vec<Value> =
        kit::list().iter().map(|case| json!({"name": case.name, "about": case.about, "own": false})).collect();
    cases.extend(own.iter().map(|(name, script)| json!({"name": name, "about": script.about, "own": true})));
    output.show(&Value::Array(cases), |cases| {
        let rows: Vec<_> =
            cases.as_array().into_iter().flatten().map(|case| [cell(case, "name"), cell(case, "about")]).collect();
        table(["CASE", "WHAT THE PROVIDER DOES"], &rows)
    })
}

/// What came of it, as JSON.
fn document(plugin: &Plugin, reports: &[CaseReport], native: Option<&native::Native>) -> Value {
    let cases: Vec<Value> = reports.iter().map(case).collect();
    let failed = reports.iter().any(|report| matches!(report.verdict, Verdict::Failed(_)));
    let native_failed = native.is_some_and(|native| !native.ok);
    let native = native.map(|native| json!({"command": native.command, "ok": native.ok, "said": native.said}));
    json!({
        "ok": !failed && !native_failed,
        "flow": plugin.identity(),
        "sha256": plugin.digest(),
        "native": native,
        "cases": cases,
        "steps": costs(reports.iter().flat_map(|report| &report.steps)),
    })
}

/// One case.
fn case(report: &CaseReport) -> Value {
    let (result, expected, got, reason) = match &report.verdict {
        Verdict::Passed => ("passed", None, None, None),
        Verdict::Failed(miss) => ("failed", Some(&miss.expected), Some(&miss.got), None),
        Verdict::Skipped(reason) => ("skipped", None, None, Some(reason)),
    };
    let steps: Vec<Value> = report.steps.iter().map(step).collect();
    json!({
        "name": report.name, "purpose": report.purpose, "about": report.about, "result": result,
        "expected": expected, "got": got, "reason": reason, "steps": steps,
    })
}

/// What one step took.
fn step(step: &StepCost) -> Value {
    json!({"event": step.event, "memory": step.cost.memory, "microseconds": micros(step.cost.processor)})
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What steps took, by what the flow was told.
fn costs<'a>(steps: impl Iterator<Item = &'a StepCost>) -> Vec<Value> {
    let mut by_event: BTreeMap<&str, (Vec<u64>, usize)> = BTreeMap::new();
    for step in steps {
        let (times, memory) = by_event.entry(step.event).or_default();
        times.push(micros(step.cost.processor));
        *memory = (*memory).max(step.cost.memory);
    }
    by_event
        .into_iter()
        .map(|(event, (mut times, memory))| {
            times.sort_unstable();
            let median = times.get(times.len() / 2).copied().unwrap_or_default();
            let slowest = times.last().copied().unwrap_or_default();
            json!({
                "event": event, "count": times.len(), "median_microseconds": median, "slowest_microseconds": slowest,
                "memory": memory,
            })
        })
        .collect()
}

/// The same for people.
fn show(document: &Value) -> String {
    let cases = items(document, "cases");
    let mut text = String::new();
    if let Some(native) = document.get("native").filter(|native| native.is_object()) {
        let passed = native["ok"] == true;
        text += &format!("{}: {}\n", cell(native, "command"), if passed { "passed" } else { "failed" });
        if !passed {
            text += &format!("{}\n", indented(&cell(native, "said")));
        }
        text += "\n";
    }
    text += &table(["CASE", "ACQUIRE", "REFRESH", "WHAT THE PROVIDER DOES"], &rows(cases));
    let of = |result: &'static str| cases.iter().filter(move |case| case["result"] == result);
    // What fails in the same way is told once.
    let mut failures: Vec<([String; 2], Vec<String>)> = Vec::new();
    for case in of("failed") {
        let (miss, name) = ([cell(case, "expected"), cell(case, "got")], cell(case, "name"));
        let name = format!("{name} {}", member(case, "purpose").unwrap_or_default()).trim_end().to_owned();
        match failures.iter_mut().find(|(known, _)| *known == miss) {
            Some((_, names)) => names.push(name),
            None => failures.push((miss, vec![name])),
        }
    }
    for ([expected, got], names) in failures {
        text += &format!("\nfailed: {}\n  expected  {expected}\n", names.join(", "));
        text += &format!("  got       {}\n", got.replace('\n', "\n            "));
    }
    let mut reasons: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for case in of("skipped") {
        let (names, name) = (reasons.entry(cell(case, "reason")).or_default(), cell(case, "name"));
        // Both purposes of a case stand side by side.
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    for (reason, names) in reasons {
        text += &format!("\nskipped: {}\n  {reason}\n", names.join(", "));
    }
    let rows: Vec<_> = items(document, "steps")
        .iter()
        .map(|step| {
            [
                cell(step, "event"),
                cell(step, "count"),
                milliseconds(step, "median_microseconds"),
                milliseconds(step, "slowest_microseconds"),
                mebibytes(step),
            ]
        })
        .collect();
    if !rows.is_empty() {
        text += "\n";
        text += &table(["STEP", "RUNS", "MEDIAN", "SLOWEST", "MEMORY"], &rows);
    }
    let failed = of("failed").count() + usize::from(document["native"]["ok"] == false);
    let skipped = of("skipped").count();
    text +=
        &format!("\n{} passed, {failed} failed, {skipped} skipped: {}\n", of("passed").count(), cell(document, "flow"));
    if let Some(problem) = member(document, "problem") {
        text += &problem;
    }
    text
}

/// One row for each case, its purposes side by side. What is about neither stands in the first column.
fn rows(cases: &[Value]) -> Vec<[String; 4]> {
    let mut rows: Vec<[String; 4]> = Vec::new();
    for case in cases {
        let (name, about) = (cell(case, "name"), cell(case, "about"));
        let column = if case["purpose"] == "refresh" { 2 } else { 1 };
        if rows.last().is_none_or(|row| row[0] != name || row[column] != "-") {
            rows.push([name, "-".to_owned(), "-".to_owned(), about]);
        }
        if let Some(row) = rows.last_mut() {
            row[column] = cell(case, "result");
        }
    }
    rows
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// Microseconds as milliseconds, for people.
fn milliseconds(step: &Value, name: &str) -> String {
    let micros = step[name].as_u64().unwrap_or_default();
    format!("{}.{:02} ms", micros / 1000, micros % 1000 / 10)
}

/// Bytes as MiB, for people.
fn mebibytes(step: &Value) -> String {
    let bytes = step["memory"].as_u64().unwrap_or_default();
    format!("{}.{} MiB", bytes >> 20, (bytes % (1 << 20)) * 10 / (1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::Cost;

    #[test]
    fn a_component_is_tested_with_the_files_of_its_project() {
        let project = tempfile::tempdir().unwrap();
        let root = project.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("build")).unwrap();
        let component = root.join("build/robot.wasm");
        std::fs::write(&component, "").unwrap();
        let test = |target: &Path| Test {
            target: target.to_owned(),
            only: Vec::new(),
            list: false,
            no_native: true,
            config: None,
            cases: None,
            set: Vec::new(),
            secret: Vec::new(),
        };
        assert_eq!(test(&component).folder(), root.join("build"));
        assert!(test(&component).own_cases().unwrap().is_empty());
        std::fs::create_dir_all(root.join(CASES)).unwrap();
        std::fs::write(root.join(CONFIG), r#"{"values":{"account":"me"}}"#).unwrap();
        assert_eq!(test(&component).folder(), root);
        assert_eq!(test(&component).config().unwrap().values.get("account").map(String::as_str), Some("me"));
        assert_eq!(test(&root).folder(), root);
    }

    #[test]
    fn failures_are_shown_with_what_was_expected() {
        let document = json!({
            "ok": false, "flow": "robot 0.1.0 (ab)", "native": {"command": "cargo test", "ok": false, "said": "a\nb"},
            "cases": [
                {"name": "gzip", "purpose": "acquire", "about": "compressed", "result": "failed", "expected": "a token",
                 "got": "one\ntwo"},
                {"name": "gzip", "purpose": "refresh", "about": "compressed", "result": "passed"},
                {"name": "slow", "purpose": "refresh", "about": "in pieces", "result": "passed"},
                {"name": "form", "purpose": "refresh", "about": "a form", "result": "skipped", "reason": "it has none"},
            ],
            "steps": [{"event": "answered", "count": 2, "median_microseconds": 40, "slowest_microseconds": 1250, "memory": 1_600_000}],
        });
        assert_eq!(
            show(&document),
            "cargo test: failed\n  a\n  b\n\n\n\
             CASE  ACQUIRE  REFRESH  WHAT THE PROVIDER DOES\n\
             gzip  failed   passed   compressed\n\
             slow  -        passed   in pieces\n\
             form  -        skipped  a form\n\n\
             failed: gzip acquire\n  expected  a token\n  got       one\n            two\n\n\
             skipped: form\n  it has none\n\n\
             STEP      RUNS  MEDIAN   SLOWEST  MEMORY\nanswered  2     0.04 ms  1.25 ms  1.5 MiB\n\n\
             2 passed, 2 failed, 1 skipped: robot 0.1.0 (ab)\n"
        );
    }

    #[test]
    fn steps_are_summed_by_what_the_flow_was_told() {
        let step =
            |event, micros, memory| StepCost { event, cost: Cost { memory, processor: Duration::from_micros(micros) } };
        let steps =
            [step("answered", 30, 5), step("begin acquire", 10, 7), step("answered", 20, 9), step("answered", 90, 1)];
        assert_eq!(
            Value::Array(costs(steps.iter())),
            json!([
                {"event": "answered", "count": 3, "median_microseconds": 30, "slowest_microseconds": 90, "memory": 9},
                {"event": "begin acquire", "count": 1, "median_microseconds": 10, "slowest_microseconds": 10, "memory": 7},
            ])
        );
    }
}
