//! `tokenhost config …`: are the settings right, what is each of them and where does it come from, and have the running daemon
//! take changes. What settings are is said in `config`.

mod check;
mod offline;

use reqwest::Method;
use serde_json::{Value, json};

use super::client::Connection;
use super::exit::Failure;
use super::output::{Output, cell, items, table};
use crate::config::{Config as Settings, Origin, Overrides, Resolved};

/// The daemon's settings: are they right, what are they, and take changes
#[derive(Debug, clap::Args)]
pub(super) struct Config {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done with settings.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Tell all that is wrong with the settings, without a daemon
    #[command(
        after_help = "Reads file, environment and flags as `serve` does, and looks at what they point to: folders, the key's file, the address. Nothing is changed. A daemon that runs on these settings doesn't disturb it; it is asked whether the profiles that settings name exist, where there is a token for it. Notes tell what does no harm yet: a value that is wrong and overridden, a variable that no setting has.\n\nExamples:\n  tokenhost config check\n  tokenhost config check /etc/tokenhost/tokenhost.toml\n  tokenhost config check --json && systemctl reload tokenhost"
    )]
    Check(check::Check),
    /// Show every setting, its value and where it comes from
    #[command(
        after_help = "Of secrets is only said whether they are set. With --running, the running daemon is asked: it may have been started with others.\n\nExamples:\n  tokenhost config show --origin\n  tokenhost config show --config /etc/tokenhost/tokenhost.toml --json\n  tokenhost config show --running --origin"
    )]
    Show(Show),
    /// Have the running daemon read its settings again, and take what can change without a restart
    #[command(
        after_help = "The same as SIGHUP, with an answer. Where a setting is wrong, nothing is changed. It reads the file that the daemon was started with, and its own environment.\n\nExamples:\n  tokenhost config reload\n  systemctl reload tokenhost        # the same, told in the log"
    )]
    Reload(Reload),
}

/// What to show.
#[derive(Debug, clap::Args)]
struct Show {
    /// Say where each value comes from, and how a change of it comes into effect
    #[arg(long)]
    origin: bool,
    /// Ask the running daemon
    #[arg(long)]
    running: bool,
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
    /// The daemon's settings.
    #[command(flatten)]
    overrides: Overrides,
}

/// What to reload.
#[derive(Debug, clap::Args)]
struct Reload {
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
}

impl Config {
    /// Does it.
    ///
    /// # Errors
    /// A setting is wrong, or the daemon can't be asked.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        match self.command {
            Command::Check(check) => check.run(output).await,
            Command::Show(show) => show.run(output).await,
            Command::Reload(reload) => reload.run(output).await,
        }
    }
}

/// Where a value was given, as the API says it.
fn source(origin: &Origin) -> Value {
    match origin {
        Origin::Default => json!({"kind": "default"}),
        Origin::File { path, line, column } => {
            json!({"kind": "file", "name": path.display().to_string(), "line": line, "column": column})
        }
        Origin::Environment(variable) => json!({"kind": "environment", "name": variable}),
        Origin::Flag(flag) => json!({"kind": "flag", "name": flag}),
    }
}

impl Show {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let document = if self.running {
            self.connection.client()?.get(&["config"], &[]).await?
        } else {
            let config = Settings::load(&self.overrides).map_err(|error| Failure::usage(error.to_string()))?;
            json!({"settings": config.resolved.iter().map(setting).collect::<Vec<_>>()})
        };
        output.show(&document, |document| screen(document, self.origin))
    }
}

/// A setting as the API shows it.
fn setting(one: &Resolved) -> Value {
    json!({
        "key": one.setting.key,
        "value": one.shown(),
        "source": source(&one.origin),
        "change": one.setting.change.as_str(),
    })
}

/// All settings, for people.
fn screen(document: &Value, with_origin: bool) -> String {
    let place = |one: &Value| {
        let source = one.get("source").unwrap_or(&Value::Null);
        let line = source.get("line").and_then(Value::as_u64).map_or_else(String::new, |line| format!(":{line}"));
        match source.get("name").and_then(Value::as_str) {
            Some(name) => format!("{name}{line}"),
            None => cell(source, "kind"),
        }
    };
    let settings = items(document, "settings");
    let mut text = if with_origin {
        let rows: Vec<[String; 4]> = settings
            .iter()
            .map(|one| [cell(one, "key"), cell(one, "value"), place(one), cell(one, "change")])
            .collect();
        table(["SETTING", "VALUE", "FROM", "CHANGED BY"], &rows)
    } else {
        let rows: Vec<[String; 2]> = settings.iter().map(|one| [cell(one, "key"), cell(one, "value")]).collect();
        table(["SETTING", "VALUE"], &rows)
    };
    text += &changes(document, "waiting", "needs a restart");
    text
}

/// Settings that changed, a line each.
fn changes(document: &Value, name: &str, what: &str) -> String {
    let line = |one: &Value| format!("{what}: {} {} -> {}\n", cell(one, "key"), cell(one, "from"), cell(one, "to"));
    items(document, name).iter().map(line).collect()
}

impl Reload {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.connection.client()?;
        let document = client.call(Method::POST, &["config", "reload"], &[], None).await?;
        output.show(&document, |document| {
            let text = changes(document, "changed", "changed") + &changes(document, "waiting", "needs a restart");
            if text.is_empty() { "nothing has changed\n".to_owned() } else { text }
        })
    }
}
