//! Runs the guides in `docs/` as a reader would: the ```` ```sh ```` blocks of each, in order, in one shell, in an empty
//! folder, against a real identity provider. A ```` ```text ```` block right after a command is what that must print, `…`
//! standing for anything. Blocks of other kinds are not run.
//!
//! What a guide takes from its reader's machine are variables that it names itself: `IDP` (the provider's address),
//! `TOKENHOST_LISTEN` and `TOKENHOST_URL` (a free port of this machine) and `TOKENHOST_REPO` (the clone).

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A command of a guide, and what it must print.
struct Block {
    /// The line of the guide in which it begins.
    line: usize,
    script: String,
    expected: Option<String>,
}

/// The commands of a guide.
fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<(&str, Block)> = None;
    let mut right_after = false;
    for (number, line) in (1..).zip(markdown.lines()) {
        match open.as_mut() {
            None => match line.strip_prefix("```") {
                Some(kind) => open = Some((kind, Block { line: number + 1, script: String::new(), expected: None })),
                None => right_after &= line.is_empty(),
            },
            Some((_, block)) if line != "```" => block.script += &format!("{line}\n"),
            Some(_) => {
                let Some((kind, block)) = open.take() else { continue };
                match kind {
                    "sh" => blocks.push(block),
                    "text" if right_after => blocks.last_mut().unwrap().expected = Some(block.script),
                    _ => {}
                }
                right_after = kind == "sh";
            }
        }
    }
    assert!(open.is_none(), "a block of the guide isn't closed");
    blocks
}

/// Whether lines are as expected: `…` in a line stands for any characters, alone on a line for any lines.
fn matches(expected: &[&str], got: &[&str]) -> bool {
    match expected {
        [] => got.is_empty(),
        ["…", rest @ ..] => (0..=got.len()).any(|skipped| matches(rest, &got[skipped..])),
        [first, rest @ ..] => {
            let Some((line, others)) = got.split_first() else { return false };
            let parts: Vec<&str> = first.split('…').collect();
            line_matches(&parts, line) && matches(rest, others)
        }
    }
}

/// Whether a line consists of these parts with anything between them.
fn line_matches(parts: &[&str], line: &str) -> bool {
    let Some((first, rest)) = parts.split_first() else { return false };
    let Some((last, middle)) = rest.split_last() else { return line == *first };
    let Some(mut left) = line.strip_prefix(first) else { return false };
    for part in middle {
        match left.split_once(part) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    left.ends_with(last)
}

#[test]
fn output_is_compared_line_by_line() {
    for (expected, got, verdict) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a…", "ab", true),
        ("a…d…f", "abcdef", true),
        ("a…f…d", "abcdef", false),
        ("a\n…\nd", "a\nb\nc\nd", true),
        ("a\n…\nd", "a\nd", true),
        ("a\n…", "b\na", false),
        ("…", "", true),
        ("a…", "a\nb", false),
    ] {
        let lines = |text: &'static str| text.lines().collect::<Vec<_>>();
        assert_eq!(matches(&lines(expected), &lines(got)), verdict, "{expected:?} {got:?}");
    }
}

/// The clone.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The folder of the executable `tokenhost`: the one above this test's own.
fn programs() -> PathBuf {
    let folder = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned();
    assert!(folder.join("flows").is_dir(), "{} has no flows; run `make build`", folder.display());
    folder
}

/// A real OpenID provider, which ends with its standard input, and its address.
fn provider() -> (Child, String) {
    let mut server = Command::new("node")
        .arg(repository().join("tests/providers/oidc/server.mjs"))
        .args(["--access-ttl", "3600"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let issuer = ready.split_once(r#""issuer":""#).and_then(|(_, rest)| rest.split_once('"')).map(|(issuer, _)| issuer);
    (server, issuer.unwrap_or_else(|| panic!("the provider didn't start: {ready}")).to_owned())
}

/// A shell and whatever it started, ended together.
struct Shell(Child);

impl Drop for Shell {
    fn drop(&mut self) {
        // The shell leads a group of its own. What it leaves running, a failed guide's daemon, is in it.
        drop(Command::new("kill").args(["-KILL", "--", &format!("-{}", self.0.id())]).stderr(Stdio::null()).status());
        drop(self.0.wait());
    }
}

/// Runs a guide. `number` gives it an address of its own, on which nobody else takes a port meanwhile.
fn run(name: &str, number: u8) {
    let markdown = std::fs::read_to_string(repository().join("docs").join(name)).unwrap();
    let blocks = blocks(&markdown);
    assert!(!blocks.is_empty(), "{name} has no commands");
    let (mut server, idp) = provider();
    let folder = tempfile::tempdir().unwrap();
    let listen = TcpListener::bind((format!("127.0.8.{number}").as_str(), 0)).unwrap().local_addr().unwrap();

    let mark = |line: usize| format!("#### {name}:{line}");
    let mut script = String::from("set -euo pipefail\n");
    for block in &blocks {
        script += &format!("echo '{}'\n{}", mark(block.line), block.script);
    }
    script += &format!("echo '{}'\n", mark(0));
    let printed = folder.path().join("printed");
    let output = File::create(&printed).unwrap();
    let home = folder.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let work = home.join("work");
    std::fs::create_dir(&work).unwrap();
    let path = std::env::join_paths(
        [programs()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let mut command = Command::new("bash");
    command.args(["-c", &script]).current_dir(&work).process_group(0);
    for (variable, _) in std::env::vars().filter(|(variable, _)| variable.starts_with("TOKENHOST_")) {
        command.env_remove(variable);
    }
    // The tools' own folders stay where they are; only the reader's home is another.
    for (variable, leaf) in [
        ("CARGO_HOME", ".cargo"),
        ("RUSTUP_HOME", ".rustup"),
        ("npm_config_cache", ".npm"),
        ("PIP_CACHE_DIR", ".cache/pip"),
    ] {
        if let (None, Some(own)) = (std::env::var_os(variable), std::env::var_os("HOME")) {
            command.env(variable, Path::new(&own).join(leaf));
        }
    }
    let status = Shell(
        command
            .env("PATH", path.unwrap())
            .env("HOME", &home)
            .env_remove("XDG_DATA_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .env("npm_config_prefer_offline", "true")
            // What an author's crate is made of is compiled already: the flows that ship are made of it too.
            .env("CARGO_TARGET_DIR", programs().parent().unwrap())
            .env("IDP", idp)
            .env("TOKENHOST_LISTEN", listen.to_string())
            .env("TOKENHOST_URL", format!("http://{listen}"))
            .env("TOKENHOST_REPO", repository())
            .stdin(Stdio::null())
            .stderr(output.try_clone().unwrap())
            .stdout(output)
            .spawn()
            .unwrap(),
    )
    .0
    .wait()
    .unwrap();
    drop(server.stdin.take());
    server.wait().unwrap();

    let printed = std::fs::read_to_string(&printed).unwrap();
    for (index, block) in blocks.iter().enumerate() {
        let after = printed.split_once(&(mark(block.line) + "\n")).map(|(_, after)| after);
        let next = mark(blocks.get(index + 1).map_or(0, |next| next.line));
        let Some((got, _)) = after.and_then(|after| after.split_once(&next)) else {
            panic!("{status}: docs/{name}:{} failed:\n{}", block.line, after.unwrap_or(&printed));
        };
        let Some(expected) = &block.expected else { continue };
        let lines = |text: &'_ str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let (expected, got) = (lines(expected), lines(got));
        let [wanted, found] = [&expected, &got].map(|lines| lines.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(
            matches(&wanted, &found),
            "docs/{name}:{} printed\n{}\nand the guide says\n{}",
            block.line,
            got.join("\n"),
            expected.join("\n")
        );
    }
    assert!(status.success(), "docs/{name}: {status}\n{printed}");
}

#[test]
fn operators() {
    run("operators.md", 1);
}

#[test]
fn install() {
    run("install.md", 5);
}

#[test]
fn authors() {
    run("authors.md", 2);
}

#[test]
fn automation() {
    run("automation.md", 3);
}

#[test]
fn access() {
    run("access.md", 4);
}

#[test]
fn keys() {
    run("keys.md", 8);
}

#[test]
fn monitoring() {
    run("monitoring.md", 9);
}

#[test]
fn backup() {
    run("backup.md", 31);
}
