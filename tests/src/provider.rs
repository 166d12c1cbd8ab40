//! The identity providers that nobody here wrote (`providers/README.md`), each a process of its own.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::PATIENCE;
use crate::client::http;

/// A running provider. It ends when it is dropped, and also if the test is ended: its standard input closes then.
pub struct Provider {
    /// What it said when it was ready: `token_url`, `clients`, …
    pub ready: Value,
    http: reqwest::Client,
    _stdin: ChildStdin,
    _child: Child,
}

impl Provider {
    /// `oidc-provider`, with these options.
    pub async fn oidc(options: &[&str]) -> Self {
        Self::start("node", "oidc/server.mjs", options).await
    }

    /// Django with `django-oauth-toolkit`, with these options.
    pub async fn django(options: &[&str]) -> Self {
        Self::start("python3", "django/server.py", options).await
    }

    /// A service that does on request what services do with connections: `providers/service/server.mjs`.
    pub async fn service() -> Self {
        Self::start("node", "service/server.mjs", &[]).await
    }

    /// One that gives tokens for signed JWTs, by Authlib's own grant.
    pub async fn authlib() -> Self {
        Self::start("python3", "jwt_bearer/server.py", &[]).await
    }

    async fn start(program: &str, file: &str, options: &[&str]) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("providers").join(file);
        let mut command = Command::new(program);
        command.arg(file).args(options).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}; run `make tools`"));
        let stdin = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line =
            tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap_or_else(|_| panic!("{program} isn't ready"));
        let line = line.unwrap().unwrap_or_else(|| panic!("{program} ended before it was ready; run `make tools`"));
        let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        Self { ready, http: http(), _stdin: stdin, _child: child }
    }

    /// One text of what it said when it was ready, by JSON pointer.
    ///
    /// # Panics
    /// There is none.
    pub fn text(&self, pointer: &str) -> &str {
        self.ready.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}: {}", self.ready))
    }

    /// Its OpenAPI document, as it serves it.
    pub async fn document(&self) -> String {
        self.http.get(self.text("/openapi_url")).send().await.unwrap().text().await.unwrap()
    }

    /// All token requests so far.
    pub async fn log(&self) -> Vec<Value> {
        let text = self.http.get(self.text("/log_url")).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// What the service behind it answers to this token: the status, and whose it is.
    pub async fn whoami(&self, token: &str) -> (u16, Value) {
        let response = self.http.get(self.text("/api_url")).bearer_auth(token).send().await.unwrap();
        (response.status().as_u16(), serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
    }
}
