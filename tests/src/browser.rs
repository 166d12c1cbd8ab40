//! Tests in a real Chromium on the console's pages: the files of `browser/console/`, run by Node.js against a daemon that the
//! caller has prepared.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

/// Runs one file of tests. `world` is what it is told: see `browser/console/browser.mjs`.
///
/// # Panics
/// One of its tests fails; all that it printed says which, and why.
pub async fn passes(file: &str, world: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/console").join(file);
    let mut command = Command::new("node");
    command.args(["--test", "--test-reporter=spec"]).arg(path).env("CONSOLE", world.to_string());
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.unwrap_or_else(|error| panic!("node: {error}; run `make tools`"));
    let (said, warned) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{file}:\n{said}\n{warned}");
}
