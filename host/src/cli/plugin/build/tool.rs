//! Runs a tool: shows what it prints, says every few seconds that it still runs, and repeats its last lines if it fails.
//!
//! Knows nothing of what the tools do.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use super::super::toolchain;

/// How many of a tool's last lines an error repeats.
const LAST_LINES: usize = 60;

/// The longest line that is shown; tools print whole documents where they fail.
const LONGEST_LINE: usize = 2000;

/// How long a tool may be silent before a line says that it still runs.
const PATIENCE: Duration = Duration::from_secs(5);

/// A command that runs a program in a folder, in an environment without the daemon's settings and secrets.
pub(super) fn command(program: &Path, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir);
    toolchain::clean(&mut command);
    command
}

/// Runs a command to its end. `what` names it in a line where it is silent for long; `failed` begins the error.
///
/// # Errors
/// It can't be run, or fails: its last lines.
pub(super) fn run(
    command: &mut Command,
    what: &str,
    failed: &str,
    progress: &mut dyn FnMut(&str),
) -> anyhow::Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot run {what}"))?;
    let (sender, lines) = channel();
    if let Some(stdout) = child.stdout.take() {
        read(stdout, sender.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        read(stderr, sender);
    }
    let mut last = VecDeque::new();
    let mut silent = Duration::ZERO;
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                silent = Duration::ZERO;
                progress(&line);
                if last.len() == LAST_LINES {
                    last.pop_front();
                }
                last.push_back(line);
            }
            Err(RecvTimeoutError::Timeout) => {
                silent += PATIENCE;
                progress(&format!("{what} still runs; it has been silent for {} s", silent.as_secs()));
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = child.wait().with_context(|| format!("cannot wait for {what}"))?;
    if !status.success() {
        let said = Vec::from(last).join("\n");
        bail!("{failed}:\n{}", if said.is_empty() { format!("{what} ended with {status}") } else { said });
    }
    Ok(())
}

/// Sends on the lines of a stream until it ends.
fn read(stream: impl Read + Send + 'static, lines: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line).trim_end().chars().take(LONGEST_LINE).collect();
            if lines.send(line).is_err() {
                return;
            }
        }
    });
}

/// What a quick command prints, if it can be run and doesn't fail.
pub(super) fn ask(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok().map(|said| said.trim().to_owned())
}

/// A program of this name in the folders of `PATH`.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A project's name less `flow-`, and less the scope that npm has.
pub(super) fn short(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.strip_prefix("flow-").unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_shown_and_repeated_by_the_error() {
        let mut shown = Vec::new();
        let mut command = Command::new("sh");
        // The order within a stream is kept, that between the two isn't.
        command.args(["-c", "echo first; for i in $(seq 99); do echo line $i; done >&2; echo told >&2; exit 3"]);
        let error = run(&mut command, "sh", "it failed", &mut |line| shown.push(line.to_owned())).unwrap_err();
        assert_eq!(shown.len(), 101);
        let error = error.to_string();
        assert!(error.starts_with("it failed:\n") && error.contains("told") && !error.contains("line 1\n"), "{error}");
        let error = run(Command::new("sh").args(["-c", "exit 4"]), "sh", "it failed", &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains("sh ended with exit status: 4"), "{error}");
        assert!(run(&mut Command::new("/no/such"), "such", "it failed", &mut |_| {}).is_err());
    }

    #[test]
    fn names_are_shortened() {
        for (name, expected) in [("flow-robot", "robot"), ("@me/flow-robot", "robot"), ("robot", "robot")] {
            assert_eq!(short(name), expected);
        }
    }
}
