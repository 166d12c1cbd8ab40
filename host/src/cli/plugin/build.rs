//! Makes a component of a Rust flow: compiles the crate, wraps the module by its contract, holds it against the world.
//!
//! Doesn't install, check further, or run what it made. The author's `Cargo.toml` needs no profile and no target.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use wit_component::{ComponentEncoder, DecodedWasm};

use super::toolchain::{TARGET, Toolchain};

/// How many of the compiler's last lines an error repeats.
const LAST_LINES: usize = 60;

/// The interface that a flow exports and the only one it imports, both less their version.
const EXPORT: &str = "tokenhost:flow/flow";
const IMPORT: &str = "tokenhost:flow/types";

/// A component that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Built {
    /// Where it is.
    pub(super) component: PathBuf,
    /// Its size in bytes.
    pub(super) size: u64,
    /// Whether it differs from what was there before.
    pub(super) changed: bool,
}

/// Makes the component of the flow crate in `dir`.
///
/// It is written to `out`, or into it if that is a folder, or else into the crate's target folder, as the crate's name
/// less `flow-`. The file is replaced at once, and left alone if nothing changed. `progress` gets the lines that the
/// compiler prints.
///
/// # Errors
/// There is no toolchain, the crate is no flow or doesn't compile, or the component imports what nobody grants; each
/// says what to do.
pub(super) fn build(dir: &Path, out: Option<&Path>, progress: &mut dyn FnMut(&str)) -> anyhow::Result<Built> {
    ensure!(
        dir.join("Cargo.toml").is_file(),
        "{} has no Cargo.toml: name the folder of a Rust flow crate",
        dir.display()
    );
    let dir = &dir.canonicalize().with_context(|| format!("cannot open {}", dir.display()))?;
    let toolchain = Toolchain::find(dir)?;
    let package = Package::read(&toolchain, dir)?;
    let folder = package.target.join("plugin");
    progress(&format!("building {} with {toolchain}", package.name));
    let module = compile(&toolchain, &package, dir, &folder.join(toolchain.folder()), progress)?;
    let module = std::fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    let component = encode(&module).with_context(|| format!("{} makes no flow plugin", package.name))?;

    let file = format!("{}.wasm", package.name.strip_prefix("flow-").unwrap_or(&package.name));
    let path = match out {
        Some(out) if out.is_dir() => out.join(file),
        Some(out) => out.to_owned(),
        None => folder.join(file),
    };
    let changed = write(&path, &component).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Built { component: path, size: component.len() as u64, changed })
}

/// What cargo knows of the crate.
struct Package {
    /// Its name.
    name: String,
    /// The name of its library, as its file has it.
    library: String,
    /// The folder for what is built.
    target: PathBuf,
}

impl Package {
    /// Asks cargo, without network.
    fn read(toolchain: &Toolchain, dir: &Path) -> anyhow::Result<Self> {
        let output = toolchain
            .cargo(dir)
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .output()
            .with_context(|| format!("cannot run {toolchain}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "cargo cannot read {}:\n{}", dir.join("Cargo.toml").display(), said.trim());
        let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata is no JSON")?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let manifest = dir.join("Cargo.toml");
        let package = metadata["packages"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|package| package["manifest_path"].as_str().is_some_and(|path| Path::new(path) == manifest))
            .with_context(|| format!("{} is no package: name the folder of one crate", manifest.display()))?;
        let library = package["targets"].as_array().into_iter().flatten().find(|target| {
            target["crate_types"].as_array().is_some_and(|types| types.iter().any(|kind| kind == "cdylib"))
        });
        let library = library.with_context(|| {
            format!(
                "{} makes no module. Add to it:\n  [lib]\n  crate-type = [\"cdylib\", \"rlib\"]",
                manifest.display()
            )
        })?;
        Ok(Self {
            name: text(&package["name"]).context("cargo metadata names no package")?,
            library: text(&library["name"]).context("cargo metadata names no library")?.replace('-', "_"),
            target: text(&metadata["target_directory"]).context("cargo metadata names no target folder")?.into(),
        })
    }
}

/// Compiles the crate's module. Cargo itself finds out whether anything changed.
fn compile(
    toolchain: &Toolchain,
    package: &Package,
    dir: &Path,
    folder: &Path,
    progress: &mut dyn FnMut(&str),
) -> anyhow::Result<PathBuf> {
    let mut command = toolchain.cargo(dir);
    toolchain.configure(&mut command);
    command.args(["--package", &package.name]).arg("--target-dir").arg(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut cargo = command.spawn().with_context(|| format!("cannot run {toolchain}"))?;
    let mut last = VecDeque::new();
    if let Some(stderr) = cargo.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n') {
            let line = line.context("cannot read what cargo prints")?;
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            progress(&line);
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            last.push_back(line);
        }
    }
    let status = cargo.wait().context("cannot wait for cargo")?;
    if !status.success() {
        bail!("{} doesn't compile for {TARGET}:\n{}", package.name, Vec::from(last).join("\n"));
    }
    Ok(folder.join(TARGET).join("release").join(format!("{}.wasm", package.library)))
}

/// Wraps a module by the contract that its custom section tells, and holds the component against the world.
fn encode(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    let foreign = foreign_imports(module)?;
    if !foreign.is_empty() {
        bail!(
            "it imports {}, and a flow can import nothing. A dependency expects a JavaScript or WASI host: turn off its \
             feature for that, or do without it; time and random bytes are in the context",
            foreign.join(", ")
        );
    }
    let component = ComponentEncoder::default().validate(true).module(module)?.encode()?;
    hold_against_world(&component)?;
    Ok(component)
}

/// What a module imports that is not of the contract, as `module.name`: at most ten, sorted.
fn foreign_imports(module: &[u8]) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        if let wasmparser::Payload::ImportSection(section) = payload.context("the compiler made no valid module")? {
            for import in section.into_imports() {
                let import = import.context("the compiler made no valid module")?;
                if !import.module.starts_with("tokenhost:flow/") {
                    found.push(format!("{}.{}", import.module, import.name));
                }
            }
        }
    }
    found.sort();
    found.dedup();
    found.truncate(10);
    Ok(found)
}

/// A flow exports the contract's one interface and imports at most its types.
fn hold_against_world(component: &[u8]) -> anyhow::Result<()> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component)? else {
        bail!("the encoder made no component");
    };
    let world = &resolve.worlds[world];
    let is = |name: &str, expected: &str| name.split_once('@').is_some_and(|(name, _)| name == expected);
    let names = |keys: Vec<String>| keys.join(", ");
    let exports: Vec<String> = world.exports.keys().map(|key| resolve.name_world_key(key)).collect();
    let imports: Vec<String> = world.imports.keys().map(|key| resolve.name_world_key(key)).collect();
    ensure!(
        exports.iter().any(|name| is(name, EXPORT)),
        "it exports no {EXPORT}: call tokenhost_flow::export!(YourFlow) once, in src/lib.rs"
    );
    let foreign: Vec<String> = imports.into_iter().filter(|name| !is(name, IMPORT)).collect();
    ensure!(foreign.is_empty(), "it imports {}, and a flow can import nothing", names(foreign));
    Ok(())
}

/// Replaces a file by rename, unless it has these bytes already. Says whether it did.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<bool> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    // A temporary file is private; a component is for the daemon's user to read.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    file.persist(path)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module without anything.
    const EMPTY: &[u8] = b"\0asm\x01\0\0\0";

    /// A module that imports one function without parameters.
    fn importing(module: &str, name: &str) -> Vec<u8> {
        let length = |text: &str| u8::try_from(text.len()).unwrap();
        let mut import = vec![1, length(module)];
        import.extend(module.bytes());
        import.push(length(name));
        import.extend(name.bytes());
        import.extend([0, 0]);
        let types = [1, 4, 1, 0x60, 0, 0];
        [EMPTY, &types, &[2, u8::try_from(import.len()).unwrap()], &import].concat()
    }

    #[track_caller]
    fn refused(module: &[u8], expected: &str) {
        let error = format!("{:#}", encode(module).unwrap_err());
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn refuses_what_is_no_flow() {
        refused(b"not wasm", "no valid module");
        refused(EMPTY, "call tokenhost_flow::export!(YourFlow)");
        refused(
            &importing("wasi_snapshot_preview1", "fd_write"),
            "it imports wasi_snapshot_preview1.fd_write, and a flow",
        );
        refused(&importing("__wbindgen_placeholder__", "now"), "it imports __wbindgen_placeholder__.now");
    }

    #[test]
    fn refuses_folders_that_are_no_crate() {
        let folder = tempfile::tempdir().unwrap();
        let error = build(folder.path(), None, &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains("has no Cargo.toml"), "{error}");
    }

    #[test]
    fn writes_only_what_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/flow.wasm");
        assert!(write(&path, b"one").unwrap());
        assert!(!write(&path, b"one").unwrap());
        assert!(write(&path, b"two").unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path().join("new")).unwrap().count(), 1, "nothing is left beside it");
    }
}
