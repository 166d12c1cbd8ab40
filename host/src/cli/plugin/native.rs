//! A project's own tests, which run without WebAssembly: `cargo test`, `npm test` or `pytest`, by the files in its folder.
//!
//! It installs nothing: where a tool is missing, it says which.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;

use super::super::exit::Failure;

/// How many of the last lines are kept.
const LINES: usize = 60;

/// The longest line that is kept, in characters.
const LINE: usize = 400;

/// How pytest ends where it finds no test.
const NO_TESTS: i32 = 5;

/// What came of a project's own tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Native {
    /// What was run.
    pub(super) command: String,
    /// Whether they passed.
    pub(super) ok: bool,
    /// Its last lines.
    pub(super) said: String,
}

/// The command for a folder, where there are tests that it runs.
fn command(dir: &Path) -> Option<Vec<&'static str>> {
    let has = |name: &str| dir.join(name).exists();
    if has("Cargo.toml") {
        return Some(vec!["cargo", "test", "--quiet"]);
    }
    if has("package.json") {
        let text = std::fs::read_to_string(dir.join("package.json")).unwrap_or_default();
        let package: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        return package.pointer("/scripts/test").is_some().then(|| vec!["npm", "test", "--silent"]);
    }
    if has("pyproject.toml") || has("requirements.txt") {
        let virtual_python = dir.join(".venv/bin/python").exists();
        let python = if virtual_python { ".venv/bin/python" } else { "python3" };
        return (has("tests") || has("test")).then(|| vec![python, "-m", "pytest", "-q"]);
    }
    None
}

/// Runs them; none where there are none.
///
/// # Errors
/// The tool that runs them isn't there.
pub(super) async fn run(dir: &Path, progress: &mut dyn FnMut(&str)) -> Result<Option<Native>, Failure> {
    let Some(words) = command(dir) else { return Ok(None) };
    let shown = words.join(" ");
    progress(&format!("native tests: {shown}"));
    let Some((program, arguments)) = words.split_first() else { return Ok(None) };
    // A program in the folder itself, by its full path: a relative one would count from the folder.
    let dir =
        dir.canonicalize().map_err(|error| Failure::failed(format!("{} can't be opened: {error}", dir.display())))?;
    let program = if program.contains('/') { dir.join(program).into_os_string() } else { program.into() };
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(&dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            Failure::failed(format!("the native tests can't run: {shown}: {error}"))
                .hint("Install the tool, or go without them: --no-native")
        })?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = tokio::join!(last_lines(stdout), last_lines(stderr));
    let status = child.wait().await.map_err(|error| Failure::failed(format!("{shown}: {error}")))?;
    if words.contains(&"pytest") && status.code() == Some(NO_TESTS) {
        return Ok(None);
    }
    let said: Vec<String> = stdout.into_iter().chain(stderr).collect();
    Ok(Some(Native { command: shown, ok: status.success(), said: said.join("\n") }))
}

/// The last lines of what a child says.
async fn last_lines(reader: Option<impl AsyncRead + Unpin>) -> VecDeque<String> {
    let mut last = VecDeque::new();
    let Some(reader) = reader else { return last };
    let mut lines = BufReader::new(reader).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        if last.len() == LINES {
            last.pop_front();
        }
        last.push_back(String::from_utf8_lossy(&line).trim_end().chars().take(LINE).collect());
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_that_of_the_language() {
        let check = |files: &[(&str, &str)], expected: Option<&str>| {
            let folder = tempfile::tempdir().unwrap();
            for (name, content) in files {
                let path = folder.path().join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, content).unwrap();
            }
            let got = command(folder.path()).map(|words| words.join(" "));
            assert_eq!(got.as_deref(), expected, "{files:?}");
        };
        check(&[], None);
        check(&[("Cargo.toml", "")], Some("cargo test --quiet"));
        check(&[("package.json", r#"{"scripts":{"test":"node --test"}}"#)], Some("npm test --silent"));
        check(&[("package.json", "{}")], None);
        check(&[("pyproject.toml", ""), ("tests/test_flow.py", "")], Some("python3 -m pytest -q"));
        check(&[("pyproject.toml", "")], None);
    }

    #[tokio::test]
    async fn what_the_tests_say_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pyproject.toml"), "").unwrap();
        let python = folder.path().join(".venv/bin/python");
        std::fs::create_dir_all(python.parent().unwrap()).unwrap();
        std::fs::create_dir(folder.path().join("tests")).unwrap();
        std::fs::write(&python, "#!/bin/sh\necho \"ran $*\"\necho 1 failed >&2\nexit 1\n").unwrap();
        std::fs::set_permissions(&python, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let native = run(folder.path(), &mut |_| {}).await.unwrap().unwrap();
        assert_eq!(native.said, "ran -m pytest -q\n1 failed");
        assert!(!native.ok);
    }
}
