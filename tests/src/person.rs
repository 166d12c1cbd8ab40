//! A person with a real Chromium (`browser/person.mjs`), who signs in and consents at `oidc-provider`'s own pages.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::PATIENCE;

/// A browser under way.
pub struct Person {
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    child: Child,
}

impl Person {
    /// Opens a link, with the options that the script knows.
    ///
    /// # Panics
    /// Node.js can't be started.
    pub fn opens(url: &str, options: &[&str]) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/person.mjs");
        let mut command = Command::new("node");
        command.arg(file).arg(url).args(options).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("node: {error}; run `make tools`"));
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { stdin, lines: BufReader::new(stdout).lines(), child }
    }

    /// What the script says next.
    ///
    /// # Panics
    /// It says nothing.
    pub async fn says(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
        let line = line.expect("the browser does nothing").unwrap().expect("the browser ended; run `make tools`");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Lets a person who paused go on.
    ///
    /// # Panics
    /// The script has ended.
    pub async fn go_on(&mut self) {
        self.stdin.write_all(b"go on\n").await.unwrap();
    }

    /// What the person saw last.
    ///
    /// # Panics
    /// The person got stuck.
    pub async fn ends(mut self) -> Value {
        let said = self.says().await;
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("the browser doesn't end").unwrap();
        assert!(status.success(), "{said}");
        said
    }
}
