//! Makes the project of a new flow: the files in `host/templates/LANGUAGE`, names filled in, with the contract and the SDK
//! of that language written into it, so that it needs nothing that isn't published.
//!
//! Doesn't build it, and never writes into a folder that holds something.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use include_dir::{Dir, include_dir};
use serde_json::json;
use toml::{Table, Value};

use super::build::{CONTRACT, Language};
use crate::cli::exit::Failure;
use crate::cli::output::Output;

/// The projects, a folder for each language.
static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// The SDKs' sources.
static RUST: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../sdk/rust/src");
static JS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../sdk/js/src");
static JS_TYPES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../sdk/js/types");
static PYTHON: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../sdk/python/src/tokenhost_flow");

/// What else belongs to them.
const RUST_MANIFEST: &str = include_str!("../../../../sdk/rust/Cargo.toml");
const RUST_README: &str = include_str!("../../../../sdk/rust/README.md");
const WORKSPACE: &str = include_str!("../../../../Cargo.toml");
const LOCK: &str = include_str!("../../../../Cargo.lock");
const JS_MANIFEST: &str = include_str!("../../../../sdk/js/package.json");
const JS_README: &str = include_str!("../../../../sdk/js/README.md");
const PYTHON_README: &str = include_str!("../../../../sdk/python/README.md");

/// The longest name of a flow.
const LONGEST: usize = 40;

/// `tokenhost plugin new`.
///
/// # Errors
/// The name is no good, the folder isn't empty, or a file can't be written.
pub(super) fn run(name: &str, language: Language, dir: Option<&Path>, output: Output) -> Result<(), Failure> {
    let dir = dir.map_or_else(|| PathBuf::from(name), Path::to_owned);
    let files = create(name, language, &dir)?;
    let folder = dir.display().to_string();
    let test = match language {
        Language::Rust => "cargo test",
        Language::Js => "npm install && npm test",
        Language::Python => {
            "python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.1 pytest && .venv/bin/pytest"
        }
    };
    let document = json!({"name": name, "folder": folder, "files": files});
    output.show(&document, |_| {
        format!(
            "{folder} is the project of flow {name}; {} says how to go on\nnow: cd {folder} && tokenhost plugin build\n\
             its tests: {test}",
            dir.join("README.md").display()
        )
    })
}

/// Makes the project of a flow of this name; the number of files that it has.
///
/// # Errors
/// The name is no good, the folder isn't empty, or a file can't be written; each says what to do.
pub(super) fn create(name: &str, language: Language, dir: &Path) -> anyhow::Result<usize> {
    hold_name(name)?;
    match std::fs::read_dir(dir) {
        Ok(mut entries) => ensure!(
            entries.next().is_none(),
            "{} holds something already: name another folder with --dir, or empty it",
            dir.display()
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot open {}", dir.display())),
    }
    let files = files(name, language)?;
    for (path, content) in &files {
        let path = dir.join(path);
        let folder = path.parent().unwrap_or(dir);
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(files.len())
}

/// Holds a name against what the contract, crates and packages allow.
fn hold_name(name: &str) -> anyhow::Result<()> {
    let words = || name.split('-');
    let word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    if !words().all(word) || name.len() > LONGEST {
        let mut better: String = name
            .chars()
            .map(|sign| if sign.is_ascii_alphanumeric() { sign.to_ascii_lowercase() } else { '-' })
            .collect();
        better.truncate(LONGEST);
        let better: Vec<&str> = better.split('-').filter(|part| word(part)).collect();
        let hint = if better.is_empty() { String::new() } else { format!(", e.g. {}", better.join("-")) };
        bail!(
            "{name:?} is no name for a flow: take lower-case words joined by hyphens, at most {LONGEST} characters{hint}"
        );
    }
    Ok(())
}

/// A flow's name for people: its words, the first with a capital.
fn titled(name: &str) -> String {
    let words = name.replace('-', " ");
    let (first, rest) = words.split_at(1.min(words.len()));
    first.to_ascii_uppercase() + rest
}

/// The project's files, by path.
fn files(name: &str, language: Language) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let folder = match language {
        Language::Rust => "rust",
        Language::Js => "js",
        Language::Python => "python",
    };
    let template = TEMPLATES.get_dir(folder).with_context(|| format!("this program has no template for {folder}"))?;
    let module = name.replace('-', "_");
    let kind: String = name
        .split('-')
        .map(|word| {
            let (first, rest) = word.split_at(1.min(word.len()));
            first.to_ascii_uppercase() + rest
        })
        .collect();
    let title = titled(name);
    let fill = |text: &str| {
        let names = [("{{name}}", name), ("{{module}}", &module), ("{{Flow}}", &kind), ("{{title}}", &title)];
        names.iter().fold(text.to_owned(), |text, (sign, name)| text.replace(sign, name))
    };
    let mut files = vec![(PathBuf::from("wit/flow.wit"), CONTRACT.as_bytes().to_vec())];
    let mut from_template = Vec::new();
    gather(template, Path::new(folder), Path::new(""), &mut from_template);
    for (path, content) in from_template {
        let text = String::from_utf8(content).context("a template is no text")?;
        let path = fill(&path.to_string_lossy());
        // With the ending that they have here, Cargo and others would take them for projects of their own.
        let path = path.strip_suffix(".in").unwrap_or(&path).replace("dot-", ".");
        files.push((PathBuf::from(path), fill(&text).into_bytes()));
    }
    match language {
        Language::Rust => {
            let vendor = Path::new("vendor/tokenhost-flow");
            gather(&RUST, Path::new(""), &vendor.join("src"), &mut files);
            files.push((vendor.join("Cargo.toml"), standalone_manifest()?.into_bytes()));
            files.push((vendor.join("README.md"), RUST_README.into()));
            files.push(("Cargo.lock".into(), LOCK.into()));
        }
        Language::Js => {
            let vendor = Path::new("vendor/tokenhost-flow");
            gather(&JS, Path::new(""), &vendor.join("src"), &mut files);
            gather(&JS_TYPES, Path::new(""), &vendor.join("types"), &mut files);
            files.push((vendor.join("package.json"), vendored_package()?.into_bytes()));
            files.push((vendor.join("README.md"), JS_README.into()));
        }
        Language::Python => {
            let vendor = Path::new("vendor");
            gather(&PYTHON, Path::new(""), &vendor.join("tokenhost_flow"), &mut files);
            files.push((vendor.join("tokenhost_flow/README.md"), PYTHON_README.into()));
        }
    }
    files.sort();
    Ok(files)
}

/// Adds the files of an embedded folder, less `strip`, below `into`.
fn gather(dir: &Dir<'_>, strip: &Path, into: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for file in dir.files() {
        let path = file.path().strip_prefix(strip).unwrap_or(file.path());
        files.push((into.join(path), file.contents().to_vec()));
    }
    for inner in dir.dirs() {
        // What Python leaves beside sources is no source.
        if inner.path().file_name().is_some_and(|name| name != "__pycache__") {
            gather(inner, strip, into, files);
        }
    }
}

/// The Rust SDK's manifest, with what it takes from this workspace written out, and without its tests.
fn standalone_manifest() -> anyhow::Result<String> {
    let mut manifest: Table = RUST_MANIFEST.parse().context("the SDK's manifest is no TOML")?;
    let workspace: Table = WORKSPACE.parse().context("the workspace's manifest is no TOML")?;
    let workspace = workspace.get("workspace").and_then(Value::as_table).context("there is no workspace")?;
    let inherited = |from: &str, key: &str| {
        workspace.get(from).and_then(|table| table.get(key)).cloned().with_context(|| format!("no {key} in {from}"))
    };
    for unwanted in ["dev-dependencies", "lints"] {
        manifest.remove(unwanted);
    }
    for (table, from) in [("package", "package"), ("dependencies", "dependencies")] {
        let Some(table) = manifest.get_mut(table).and_then(Value::as_table_mut) else { continue };
        for (key, value) in table {
            if value.get("workspace").and_then(Value::as_bool) == Some(true) {
                *value = inherited(from, key)?;
            }
        }
    }
    Ok(manifest.to_string())
}

/// The JavaScript SDK's manifest without what only its own development needs.
fn vendored_package() -> anyhow::Result<String> {
    let mut package: serde_json::Value = serde_json::from_str(JS_MANIFEST).context("the SDK's manifest is no JSON")?;
    if let Some(members) = package.as_object_mut() {
        members.shift_remove("scripts");
        members.shift_remove("devDependencies");
    }
    Ok(format!("{package:#}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_held_against_the_rule() {
        for good in ["a", "my-flow", "oauth2-x9"] {
            hold_name(good).unwrap();
        }
        for (bad, hint) in [
            ("", None),
            ("My Flow", Some("e.g. my-flow")),
            ("my_flow", Some("e.g. my-flow")),
            ("a--b", Some("e.g. a-b")),
            ("-a", Some("e.g. a")),
            ("9lives", None),
            ("../../etc", Some("e.g. etc")),
            ("é", None),
            ("a-very-long-name-that-goes-on-and-on-and-on-and-on", Some("at most 40 characters, e.g. a-very-long")),
        ] {
            let error = hold_name(bad).unwrap_err().to_string();
            assert!(error.contains("lower-case words joined by hyphens"), "{error}");
            assert_eq!(error.contains("e.g."), hint.is_some(), "{error}");
            assert!(error.contains(hint.unwrap_or("")), "{error}");
        }
    }

    #[test]
    fn each_project_is_whole_and_its_names_are_filled_in() {
        for (language, wanted) in [
            (Language::Rust, &["Cargo.toml", "Cargo.lock", "src/lib.rs", "vendor/tokenhost-flow/src/lib.rs"][..]),
            (Language::Js, &["package.json", "src/index.js", "vendor/tokenhost-flow/types/contract.d.ts"]),
            (Language::Python, &["pyproject.toml", "src/flow_my_own.py", "vendor/tokenhost_flow/py.typed"]),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let dir = folder.path().join("new");
            let count = create("my-own", language, &dir).unwrap();
            assert!(count > 15, "{language:?}: {count}");
            for path in wanted.iter().chain(&["README.md", ".gitignore", "wit/flow.wit"]) {
                let text = std::fs::read_to_string(dir.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
                assert!(!text.contains("{{"), "{path}");
            }
            assert!(Language::of(&dir).unwrap() == language);
            let source = wanted.iter().map(|path| std::fs::read_to_string(dir.join(path)).unwrap()).collect::<String>();
            assert!(source.contains("\"My own\"") && !source.contains("\"MyOwn\""), "{language:?}");
            let error = create("my-own", language, &dir).unwrap_err().to_string();
            assert!(error.contains("holds something already: name another folder with --dir"), "{error}");
        }
    }

    #[test]
    fn the_vendored_manifests_stand_alone() {
        let manifest = standalone_manifest().unwrap();
        assert!(!manifest.contains("workspace") && manifest.contains("wit-bindgen"), "{manifest}");
        assert!(!vendored_package().unwrap().contains("typescript"));
    }
}
