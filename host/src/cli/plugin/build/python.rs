//! Makes the component of a Python flow with `componentize-py`, of the version that the project pins: from the project's
//! `.venv`, which is made if need be, or from `PATH`.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use toml::{Table, Value};

use super::{CONTRACT, Made, tool, wrap};

/// The package that makes components, and the version that this program is tested with.
const TOOL: &str = "componentize-py";
const TESTED: &str = "0.25.1";

/// Where a project has its modules, unless it says so.
const FOLDERS: [&str; 2] = ["src", "vendor"];

/// What `pyproject.toml` says.
struct Project {
    /// The project's folder.
    dir: PathBuf,
    /// Its name.
    name: String,
    /// The module that has the class `Flow`.
    module: String,
    /// Where modules are looked for.
    path: Vec<PathBuf>,
    /// What must be installed: the dependencies, and the group `dev`.
    requirements: Vec<String>,
    /// The version of the tool that is pinned, if it is one version.
    pinned: Option<String>,
}

/// Makes the component of the flow in `dir`.
///
/// # Errors
/// Python or the tool is missing, or the project can't be built.
pub(super) fn make(dir: &Path, progress: &mut dyn FnMut(&str)) -> anyhow::Result<Made> {
    let project = Project::read(dir)?;
    let program = project.tool(progress)?;
    let work = tempfile::tempdir().context("cannot make a folder for the contract")?;
    let (wit, made) = (work.path().join("flow.wit"), work.path().join("flow.wasm"));
    std::fs::write(&wit, CONTRACT).context("cannot write the contract")?;
    progress(&format!("building {} with {}", project.name, program.display()));
    let mut command = tool::command(&program, dir);
    let venv = dir.join(".venv");
    if venv.is_dir() {
        command.env("VIRTUAL_ENV", &venv);
    }
    // Files that Python would write beside the sources are nobody's wish.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.arg("--wit-path").arg(&wit).args(["--world", "flow-plugin", "componentize", "--stub-wasi"]);
    for folder in &project.path {
        command.arg("--python-path").arg(folder);
    }
    command.arg("--output").arg(&made).arg(&project.module);
    let failed = format!("{TOOL} can't make a component of the module {}", project.module);
    // Its own backtraces say nothing to an author.
    command.env("RUST_BACKTRACE", "0");
    // What it says of a module's error is in the error, shortened where it can be.
    let mut traced = false;
    let mut shown = |line: &str| {
        traced |= line.starts_with("Traceback ");
        if !traced {
            progress(line);
        }
    };
    tool::run(&mut command, TOOL, &failed, &mut shown).map_err(|error| project.explain(&error))?;
    let component = std::fs::read(&made).context("the component can't be read")?;
    wrap::hold_against_world(&component).with_context(|| format!("{} makes no flow plugin", project.name))?;
    Ok(Made { name: tool::short(&project.name), folder: dir.join("build"), component })
}

impl Project {
    /// Reads `pyproject.toml`.
    fn read(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join("pyproject.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let table: Table = text.parse().with_context(|| format!("{} is no TOML", path.display()))?;
        let at = |keys: &[&str]| -> Option<&Value> {
            let (first, rest) = keys.split_first()?;
            rest.iter().try_fold(table.get(*first)?, |value, key| value.get(key))
        };
        let texts = |value: Option<&Value>| -> Vec<String> {
            value
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|item| Some(item.as_str()?.into()))
                .collect()
        };
        let name = at(&["project", "name"]).and_then(Value::as_str);
        let name = name.with_context(|| format!("{} has no name in [project]", path.display()))?.to_owned();
        let module = at(&["tool", "tokenhost", "module"]).and_then(Value::as_str);
        let module = module.map_or_else(|| name.replace(['-', '.'], "_"), str::to_owned);
        let mut folders = texts(at(&["tool", "tokenhost", "path"]));
        if folders.is_empty() {
            folders = FOLDERS.iter().filter(|folder| dir.join(folder).is_dir()).map(|&folder| folder.into()).collect();
        }
        if folders.is_empty() {
            folders.push(".".into());
        }
        let mut requirements = texts(at(&["project", "dependencies"]));
        requirements.extend(texts(at(&["dependency-groups", "dev"])));
        let tool = requirements.iter().find_map(|requirement| requirement.strip_prefix(TOOL));
        let tool = tool.with_context(|| {
            format!(
                "{} names no {TOOL}, which makes the component. Add it:\n  [dependency-groups]\n  \
                 dev = [\"{TOOL}=={TESTED}\", \"pytest>=8\"]",
                path.display()
            )
        })?;
        let pinned = tool.trim().strip_prefix("==").map(|version| version.trim().to_owned());
        let path = folders.into_iter().map(PathBuf::from).collect();
        Ok(Self { dir: dir.to_owned(), name, module, path, requirements, pinned })
    }

    /// Whether a program is the tool in the version that the project pins.
    fn fits(&self, program: &Path) -> bool {
        let said = tool::ask(tool::command(program, &self.dir).arg("--version"));
        said.is_some_and(|said| match &self.pinned {
            Some(version) => said.split_whitespace().last() == Some(version),
            None => true,
        })
    }

    /// The tool's program: the project's own, else one in `PATH` that fits, else it is installed.
    fn tool(&self, progress: &mut dyn FnMut(&str)) -> anyhow::Result<PathBuf> {
        let own = self.dir.join(".venv").join(if cfg!(windows) { "Scripts" } else { "bin" });
        let installed = own.join(TOOL);
        if self.fits(&installed) {
            return Ok(installed);
        }
        // What a project needs beside the tool is only in its own environment.
        let alone = self.requirements.iter().all(|one| one.starts_with(TOOL) || one.starts_with("pytest"));
        if let Some(found) = tool::find(TOOL).filter(|found| alone && self.fits(found)) {
            return Ok(found);
        }
        let python = own.join("python");
        if tool::ask(tool::command(&python, &self.dir).arg("--version")).is_none() {
            progress("python3 -m venv .venv: the project's own environment is not there yet");
            let python3 = ["python3", "python"].into_iter().find_map(tool::find);
            let python3 = python3.context("python3 is not in PATH: install Python 3.11 or newer")?;
            let mut command = tool::command(&python3, &self.dir);
            command.args(["-m", "venv", ".venv"]);
            let failed = "python3 can't make the environment .venv (on Debian: apt-get install python3-venv)";
            tool::run(&mut command, "python3", failed, progress)?;
        }
        progress(&format!("pip install {}", self.requirements.join(" ")));
        let mut pip = tool::command(&python, &self.dir);
        pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"]);
        pip.args(&self.requirements);
        tool::run(&mut pip, "pip install", "pip can't install what pyproject.toml names", progress)?;
        ensure!(
            self.fits(&installed),
            "{} isn't the {TOOL} that pyproject.toml pins, though pip installed it: remove .venv and build again",
            installed.display()
        );
        Ok(installed)
    }

    /// What the tool says, and what to do about it where an author can't know.
    fn explain(&self, error: &anyhow::Error) -> anyhow::Error {
        let text = format!("{error:#}");
        if let Some(mistake) = mistake(&text, &self.path) {
            return anyhow::anyhow!("{mistake}");
        }
        let missing = format!("No module named '{}'", self.module);
        let hint = if text.contains(&missing) {
            format!(
                "\nThere is no module {}: name it in pyproject.toml, and where it is:\n  [tool.tokenhost]\n  \
                 module = \"{}\"\n  path = [\"src\", \"vendor\"]",
                self.module, self.module
            )
        } else if text.contains("has no attribute 'Flow'") {
            format!("\nThe module {} must say once: Flow = export(YourFlow)", self.module)
        } else {
            String::new()
        };
        anyhow::anyhow!("{text}{hint}")
    }
}

/// Where Python can't read a source, and why: file, line, what stands there, and its message; out of its traceback. The tool calls
/// the folders of modules by their numbers: `/0/flow.py`.
fn mistake(text: &str, folders: &[PathBuf]) -> Option<String> {
    const KINDS: [&str; 3] = ["SyntaxError: ", "IndentationError: ", "TabError: "];
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| KINDS.iter().any(|kind| line.starts_with(kind)))?;
    let (message, before) = (lines.get(at)?, lines.get(..at)?);
    let place = before.iter().rposition(|line| line.contains("File \"") && line.contains("\", line "))?;
    let (file, line) = before.get(place)?.split_once("File \"")?.1.split_once("\", line ")?;
    let line = line.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    let code = before.get(place + 1).filter(|code| !code.starts_with('^')).copied().unwrap_or_default();
    let own = file.strip_prefix('/').and_then(|file| file.split_once('/')).and_then(|(number, rest)| {
        let folder = folders.get(number.parse::<usize>().ok()?)?;
        Some(folder.join(rest).display().to_string())
    });
    let file = own.as_deref().unwrap_or(file);
    Some(format!("{file}, line {line}: {message}\n  {code}").trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_in_a_source_is_told_by_file_and_line() {
        let text = "componentize-py can't make a component of the module m:\nTraceback (most recent call last):\n  File \"/bin/tool\", \
            line 8, in <module>\n    sys.exit(script())\nAssertionError:   File \"/1/deep/m.py\", line 7\n    def f(:\n          ^\n\
            SyntaxError: invalid syntax\n\n\nCaused by:\n    SyntaxError: invalid syntax (m.py, line 7)";
        let folders = [PathBuf::from("vendor"), PathBuf::from("src")];
        let told = mistake(text, &folders);
        assert_eq!(told.as_deref(), Some("src/deep/m.py, line 7: SyntaxError: invalid syntax\n  def f(:"));
        let told = mistake(text, &[]);
        assert!(told.is_some_and(|told| told.starts_with("/1/deep/m.py, line 7")));
        assert_eq!(mistake("Traceback\nNameError: name 'x' is not defined", &folders), None);
        assert_eq!(mistake("SyntaxError: without a place", &folders), None);
    }

    fn read(text: &str, folders: &[&str]) -> anyhow::Result<Project> {
        let folder = tempfile::tempdir().unwrap();
        for name in folders {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("pyproject.toml"), text).unwrap();
        Project::read(folder.path())
    }

    #[test]
    fn reads_what_matters() {
        const LEAST: &str =
            "[project]\nname = 'flow-a.b'\n[dependency-groups]\ndev = ['componentize-py == 0.25.1', 'pytest']";
        let project = read(LEAST, &["src"]).unwrap();
        assert_eq!((project.name.as_str(), project.module.as_str()), ("flow-a.b", "flow_a_b"));
        assert_eq!((project.path, project.pinned.as_deref()), (vec![PathBuf::from("src")], Some("0.25.1")));
        assert_eq!(read(LEAST, &[]).unwrap().path, [PathBuf::from(".")]);
        let project = read(&format!("{LEAST}\n[tool.tokenhost]\nmodule = 'm'\npath = ['a', 'b']"), &["src"]).unwrap();
        assert_eq!((project.module.as_str(), project.path.len()), ("m", 2));
        for (text, expected) in [
            ("[project", "is no TOML"),
            ("[project]", "has no name in [project]"),
            ("[project]\nname = 'x'", "dev = [\"componentize-py=="),
        ] {
            let error = format!("{:#}", read(text, &[]).err().unwrap());
            assert!(error.contains(expected), "{error}");
        }
    }
}
