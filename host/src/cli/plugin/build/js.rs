//! Makes the component of a JavaScript or TypeScript flow with `componentize-qjs`, from the project's own `node_modules`.
//!
//! TypeScript is compiled by the project's own script `build`, and `main` names what that makes.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::{CONTRACT, Made, tool, wrap};

/// The package that makes components, and the version that this program is tested with.
const TOOL: &str = "componentize-qjs";
const TESTED: &str = "0.4.5";

/// Prints what kind of thing the module in the first argument exports as `flow`.
const EXPORTS: &str = "import { pathToFileURL } from 'node:url'; const m = await import(pathToFileURL(process.argv[1])); \
    const f = m.flow; const is = f && typeof f.describe === 'function' && typeof f.advance === 'function'; \
    console.log('flow: ' + (is ? 'object' : 'none')); process.exit(0);";

/// What `package.json` says.
struct Package {
    /// The project's folder.
    dir: PathBuf,
    /// Its name.
    name: String,
    /// The module that exports the flow.
    main: PathBuf,
    /// Whether there is a script `build`.
    builds: bool,
    /// What must be there at run time, which is when the component is made.
    dependencies: Vec<String>,
    /// Whether the tool is among the development dependencies.
    pins_tool: bool,
}

/// Makes the component of the flow in `dir`.
///
/// # Errors
/// Node.js or the tool is missing, or the project can't be built.
pub(super) fn make(dir: &Path, progress: &mut dyn FnMut(&str)) -> anyhow::Result<Made> {
    let package = Package::read(dir)?;
    let node = tool::find("node").context("node is not in PATH: install Node.js 20 or newer")?;
    package.install(progress)?;
    if package.builds {
        progress("npm run build");
        let mut npm = npm(dir)?;
        npm.args(["run", "--silent", "build"]);
        tool::run(&mut npm, "npm", "the script build of package.json failed", progress)?;
    }
    ensure!(
        dir.join(&package.main).is_file(),
        "there is no {}, which main in {} names: it must be the module that exports the flow",
        package.main.display(),
        dir.join("package.json").display()
    );
    package.hold_export(&node)?;
    let program = package.tool()?;
    let work = tempfile::tempdir().context("cannot make a folder for the contract")?;
    let (wit, made) = (work.path().join("flow.wit"), work.path().join("flow.wasm"));
    std::fs::write(&wit, CONTRACT).context("cannot write the contract")?;
    let root = package.root();
    progress(&format!("building {} with {TOOL}", package.name));
    let mut command = tool::command(&node, dir);
    command.arg(program).arg("--wit").arg(&wit).arg("--js").arg(&package.main).arg("--module-root").arg(root);
    command.args(["--stub-wasi", "--sync", "--output"]).arg(&made);
    let failed = format!("{TOOL} can't make a component of {}", package.main.display());
    tool::run(&mut command, TOOL, &failed, progress).map_err(|error| explain(&error))?;
    let component = std::fs::read(&made).context("the component can't be read")?;
    wrap::hold_against_world(&component).with_context(|| format!("{} makes no flow plugin", package.name))?;
    Ok(Made { name: tool::short(&package.name), folder: dir.join("build"), component })
}

impl Package {
    /// Reads `package.json`.
    fn read(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join("package.json");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let package: Value = serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
        let names = |member: &str| -> Vec<String> {
            package[member].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
        };
        let name = package["name"].as_str().filter(|name| !name.is_empty());
        let development = names("devDependencies");
        let dependencies = names("dependencies");
        let pins_tool = development.iter().chain(&dependencies).any(|name| name == TOOL);
        Ok(Self {
            dir: dir.to_owned(),
            name: name.with_context(|| format!("{} has no name", path.display()))?.to_owned(),
            main: package["main"].as_str().unwrap_or("index.js").into(),
            builds: package["scripts"]["build"].is_string(),
            dependencies,
            pins_tool,
        })
    }

    /// The folder of an installed package, found as Node.js does.
    fn installed(&self, name: &str) -> Option<PathBuf> {
        self.dir.ancestors().map(|folder| folder.join("node_modules").join(name)).find(|folder| folder.is_dir())
    }

    /// Installs what the project names, if any of it is missing.
    fn install(&self, progress: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
        let mut missing: Vec<&str> =
            self.dependencies.iter().map(String::as_str).filter(|name| self.installed(name).is_none()).collect();
        if self.installed(TOOL).is_none() {
            if !self.pins_tool {
                bail!(
                    "{} names no {TOOL}, which makes the component. Add it:\n  \
                     npm --prefix {} install --save-dev --save-exact {TOOL}@{TESTED}",
                    self.dir.join("package.json").display(),
                    self.dir.display()
                );
            }
            missing.push(TOOL);
        }
        if missing.is_empty() {
            return Ok(());
        }
        progress(&format!("npm install: {} not there yet", are(&missing)));
        let mut npm = npm(&self.dir)?;
        npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error"]);
        tool::run(&mut npm, "npm install", "npm can't install what package.json names", progress)
    }

    /// Holds the module against what it must export: the component would be made without it, and fail at its first step.
    ///
    /// Node.js looks; a module that only QuickJS can load passes.
    fn hold_export(&self, node: &Path) -> anyhow::Result<()> {
        let mut command = tool::command(node, &self.dir);
        command.args(["--input-type=module", "--eval", EXPORTS, "--"]).arg(self.dir.join(&self.main));
        let Some(said) = tool::ask(&mut command) else { return Ok(()) };
        ensure!(
            said.ends_with("flow: object"),
            "{} exports no flow. It must say `export const flow = …`: what oauthFlow(…) or flow(…) of tokenhost-flow \
             gives, or an object with the functions describe and advance",
            self.main.display()
        );
        Ok(())
    }

    /// The tool's program.
    fn tool(&self) -> anyhow::Result<PathBuf> {
        let folder = self.installed(TOOL).with_context(|| format!("npm installed no {TOOL}"))?;
        let manifest = folder.join("package.json");
        let text = std::fs::read(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
        let package: Value =
            serde_json::from_slice(&text).with_context(|| format!("{} is no JSON", manifest.display()))?;
        let bin = &package["bin"];
        let program = bin.as_str().or_else(|| bin[TOOL].as_str());
        Ok(folder.join(program.with_context(|| format!("{} names no program", manifest.display()))?))
    }

    /// The folder below which all modules are: the project's, or one above it that also holds the packages that
    /// `node_modules` only links to.
    fn root(&self) -> PathBuf {
        let mut root = self.dir.clone();
        for name in &self.dependencies {
            let Some(folder) = self.installed(name) else { continue };
            let real = folder.canonicalize().unwrap_or_else(|_| folder.clone());
            for folder in [folder, real] {
                while !folder.starts_with(&root) {
                    if !root.pop() {
                        break;
                    }
                }
            }
        }
        root
    }
}

/// A command that runs npm in a folder.
fn npm(dir: &Path) -> anyhow::Result<std::process::Command> {
    let npm = tool::find("npm").context("npm is not in PATH: install Node.js 20 or newer, with npm")?;
    Ok(tool::command(&npm, dir))
}

/// `a and b are`, as a list.
fn are(names: &[&str]) -> String {
    format!("{} {}", names.join(", "), if names.len() == 1 { "is" } else { "are" })
}

/// What the tool says, and what that means where an author can't know.
fn explain(error: &anyhow::Error) -> anyhow::Error {
    let text = format!("{error:#}");
    let hint = if text.contains("is not defined") {
        "\nA flow runs in QuickJS, without what Node.js and browsers have (URL, TextDecoder, crypto, console, timers)."
    } else if text.contains("Error resolving module") {
        "\nA flow can import its own modules and packages that are plain JavaScript; modules of Node.js aren't there."
    } else {
        ""
    };
    anyhow::anyhow!("{text}{hint}")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A project with this manifest.
    fn project(manifest: &str) -> (tempfile::TempDir, anyhow::Result<Package>) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("package.json"), manifest).unwrap();
        let package = Package::read(&folder.path().canonicalize().unwrap());
        (folder, package)
    }

    #[test]
    fn reads_what_matters() {
        let (_folder, package) = project(
            r#"{"name":"@me/flow-x","main":"dist/a.js","scripts":{"build":"tsc"},"dependencies":{"tokenhost-flow":"*"},
                "devDependencies":{"componentize-qjs":"0.4.5"}}"#,
        );
        let package = package.unwrap();
        assert_eq!((package.name.as_str(), package.builds, package.pins_tool), ("@me/flow-x", true, true));
        assert_eq!((package.main.to_str(), package.dependencies.len()), (Some("dist/a.js"), 1));
        for (manifest, expected) in [("{", "is no JSON"), ("{}", "has no name")] {
            let (_folder, package) = project(manifest);
            let error = format!("{:#}", package.err().unwrap());
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn says_how_the_tool_is_pinned() {
        let (folder, package) = project(r#"{"name":"x"}"#);
        // Unless a folder above has it.
        if folder.path().ancestors().any(|above| above.join("node_modules").join(TOOL).is_dir()) {
            return;
        }
        let error = package.unwrap().install(&mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("install --save-dev --save-exact componentize-qjs@"), "{error}");
    }

    #[test]
    fn the_root_holds_what_is_linked_to() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        let dir = base.join("plugins/x");
        fs::create_dir_all(dir.join("node_modules")).unwrap();
        fs::create_dir_all(base.join("sdk/js")).unwrap();
        fs::create_dir_all(dir.join("vendor/own")).unwrap();
        fs::write(dir.join("package.json"), r#"{"name":"x","dependencies":{"own":"*","sdk":"*"}}"#).unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(dir.join("vendor/own"), dir.join("node_modules/own")).unwrap();
            assert_eq!(Package::read(&dir).unwrap().root(), dir);
            std::os::unix::fs::symlink(base.join("sdk/js"), dir.join("node_modules/sdk")).unwrap();
            assert_eq!(Package::read(&dir).unwrap().root(), base);
        }
    }
}
