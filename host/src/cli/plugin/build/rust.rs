//! Makes the component of a Rust flow: compiles the crate and wraps the module by its contract. The author's `Cargo.toml`
//! needs no profile and no target.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::super::toolchain::{TARGET, Toolchain};
use super::{Made, tool, wrap};

/// Makes the component of the flow crate in `dir`.
///
/// # Errors
/// There is no toolchain, or the crate is no flow or doesn't compile.
pub(super) fn make(dir: &Path, progress: &mut dyn FnMut(&str)) -> anyhow::Result<Made> {
    let toolchain = Toolchain::find(dir)?;
    let package = Package::read(&toolchain, dir)?;
    let folder = package.target.join("plugin");
    progress(&format!("building {} with {toolchain}", package.name));
    let module = compile(&toolchain, &package, dir, &folder.join(toolchain.folder()), progress)?;
    let module = std::fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    let component = wrap::encode(&module).with_context(|| format!("{} makes no flow plugin", package.name))?;
    Ok(Made { name: tool::short(&package.name), folder, component })
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
    tool::run(&mut command, "cargo", &format!("{} doesn't compile for {TARGET}", package.name), progress)?;
    Ok(folder.join(TARGET).join("release").join(format!("{}.wasm", package.library)))
}
