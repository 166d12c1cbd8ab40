//! `tokenhost integration connect`: tells a person what to do so that an integration gets a token, and waits until it has one.
//!
//! The daemon does the work, and goes on with it where this command is ended.

use std::io::IsTerminal as _;
use std::process::Stdio;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::super::attempt;
use super::super::client::Client;
use super::super::exit::{Exit, Failure};
use super::super::output::{Output, can_ask, cell, member};

/// Between two looks at the attempt.
const LOOK: Duration = Duration::from_secs(1);
/// Looks between two lines that say that it still waits.
const LINE: u32 = 15;
/// Looks after which nothing is waited for any more: the daemon ends every attempt in less.
const MOST: u32 = 45 * 60;

/// How the command line wants it.
#[derive(Debug, clap::Args)]
pub(super) struct Connect {
    /// The integration
    name: String,
    /// The token with these scopes, separated by spaces, instead of the integration's own
    #[arg(long, value_name = "SCOPES")]
    scope: Option<String>,
    /// Open no browser: only print what is to be opened
    #[arg(long)]
    no_browser: bool,
    /// Print what a person has to do, and don't wait until it is done
    #[arg(long)]
    no_wait: bool,
}

impl Connect {
    /// Starts it, tells the person, and waits.
    ///
    /// # Errors
    /// The daemon refuses, or the attempt ends without a token.
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let path = ["integrations", self.name.as_str(), "connect"];
        let query: Vec<(&str, &str)> = self.scope.iter().map(|scope| ("scope", scope.as_str())).collect();
        let started = client.call(Method::POST, &path, &query, None).await?;
        if self.no_wait {
            return output.show(&started, instructions);
        }
        let id = cell(&started, "attempt");
        if started.get("connected") != Some(&Value::Bool(true)) {
            output.note(&instructions(&started));
            let page =
                member(&started, "url").or_else(|| started.get("prompt").and_then(|prompt| member(prompt, "url")));
            if let Some(page) = page.filter(|_| !self.no_browser && can_ask()) {
                open_browser(&page);
            }
        }
        let ended = self.wait(client, &id, output).await?;
        let name = &self.name;
        output.show(&ended, |ended| match ended.pointer("/outcome/result").and_then(Value::as_str) {
            Some("token") => format!("{name} is connected"),
            _ => format!(
                "{name} is not connected\n{}To start again: tokenhost integration connect {name}",
                attempt::show(ended)
            ),
        })?;
        match ended.pointer("/outcome/result").and_then(Value::as_str) {
            Some("token") => Ok(()),
            _ => Err(Failure::Silent(Exit::Failed)),
        }
    }

    /// The attempt, once it has ended.
    async fn wait(&self, client: &Client, id: &str, output: Output) -> Result<Value, Failure> {
        let path = ["integrations", self.name.as_str(), "attempts", id];
        for look in 1..MOST {
            let found = client.get(&path, &[]).await?;
            if found.get("outcome").is_some_and(|outcome| !outcome.is_null()) {
                return Ok(found);
            }
            if look % LINE == 0 {
                output.note(&format!("still waiting, for {look} s; attempt {id}"));
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(Failure::failed(format!("attempt {id} doesn't end"))
            .hint(format!("See `tokenhost integration attempt {} {id}`.", self.name)))
    }
}

/// What a person has to do.
fn instructions(started: &Value) -> String {
    let until = member(started, "expires_at").map(|at| format!(" (until {at})")).unwrap_or_default();
    if let Some(url) = member(started, "url") {
        return format!("Open this page in your browser, sign in and consent{until}; it works once:\n  {url}");
    }
    match started.get("prompt").filter(|prompt| prompt.is_object()) {
        Some(prompt) => {
            let mut text = cell(prompt, "message");
            for (name, label) in [("url", "page"), ("code", "code")] {
                if let Some(value) = member(prompt, name) {
                    text += &format!("\n  {label}: {value}");
                }
            }
            text
        }
        None => "Nobody has to do anything: it is connected".to_owned(),
    }
}

/// Opens a page in the browser of whoever sits here, if there is one; they have been told the address anyway.
fn open_browser(page: &str) {
    let is_web = page.starts_with("https://") || page.starts_with("http://");
    if !is_web || !std::io::stdout().is_terminal() {
        return;
    }
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = std::process::Command::new(program);
    drop(command.arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_person_is_told_what_to_do() {
        let check = |started: Value, expected: &str| assert_eq!(instructions(&started), expected);
        check(
            json!({"attempt": "01", "url": "http://d/v1/connect/x", "expires_at": "2026-11-22T10:10:00Z"}),
            "Open this page in your browser, sign in and consent (until 2026-11-22T10:10:00Z); it works once:\n  http://d/v1/connect/x",
        );
        check(
            json!({"prompt": {"message": "Enter the code.", "url": "https://p/device", "code": "WDJB"}}),
            "Enter the code.\n  page: https://p/device\n  code: WDJB",
        );
        check(json!({"connected": true}), "Nobody has to do anything: it is connected");
    }
}
