//! `tokenhost restore …`: a data folder made of a backup, and that somebody knows of it.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};

use super::PACKAGED;
use super::backup::{Progress, contents, describe, failure, time};
use super::client::Connection;
use super::exit::Failure;
use super::output::{Output, Pairs, cell, member};
use crate::backup;
use crate::clock::SystemClock;
use crate::config::{Config, KeySource, Origin, Overrides};
use crate::daemon;
use crate::text::shell_word;

/// Make a data folder of a backup; takes no daemon, but its master key
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "The daemon must be stopped, also where the backup was made: two daemons with the same refresh tokens take them from each other. Nothing is deleted: with --force, a data folder that is there is moved aside. If anything fails, all is as it was before.\n\nExamples:\n  tokenhost restore tokenhost.backup\n  tokenhost restore tokenhost.backup --data /var/lib/tokenhost --key-file /etc/tokenhost/master.key\n  tokenhost restore tokenhost.backup --force       # moves the present data folder aside\n  tokenhost restore acknowledge                    # `tokenhost status` needn't tell of it any more"
)]
pub(super) struct Restore {
    /// The backup
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Move a data folder that is there aside
    #[arg(long, requires = "file")]
    force: bool,
    /// The daemon's settings.
    #[command(flatten)]
    overrides: Overrides,
    /// What else to do.
    #[command(subcommand)]
    command: Option<Command>,
}

/// What can be done besides.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say that you know that the running daemon's data came from a backup
    #[command(after_help = "Examples:\n  tokenhost restore acknowledge")]
    Acknowledge {
        /// Which daemon.
        #[command(flatten)]
        connection: Connection,
    },
}

impl Restore {
    /// Does it.
    ///
    /// # Errors
    /// The settings can't be used, the backup isn't one, or the folder can't be made.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        if self.command.is_some() && self.file.is_some() {
            return Err(Failure::usage("name a backup, or acknowledge, not both"));
        }
        match (self.command, self.file) {
            (Some(Command::Acknowledge { connection }), _) => {
                let client = connection.client()?;
                let known = client.call(Method::POST, &["restore", "acknowledge"], &[], None).await?;
                output.show(&known, |known| {
                    format!("acknowledged: restored from the backup of {}", cell(known, "made_at"))
                })
            }
            (None, Some(file)) => restore(&file, &self.overrides, self.force, output).await,
            (None, None) => Err(Failure::usage("name the backup")),
        }
    }
}

/// Makes the data folder.
async fn restore(file: &std::path::Path, overrides: &Overrides, force: bool, output: Output) -> Result<(), Failure> {
    let config = Config::load(overrides).map_err(|error| Failure::usage(error.to_string()))?;
    let master = daemon::master_key(&config).await.map_err(|error| Failure::failed(error.to_string()))?;
    let mut progress = Progress::new("restored");
    let restored = backup::restore(file, &master, &config.data, force, SystemClock::shared(), |read, all| {
        progress.show(read, Some(all));
    });
    let restored = restored.await;
    progress.end();
    let restored = restored.map_err(failure)?;
    let mut document = contents(&restored.header, &restored.summary);
    let known = &restored.restoration;
    if let Value::Object(members) = &mut document {
        let more = json!({
            "data": restored.data.display().to_string(),
            "moved_to": restored.moved_to.as_ref().map(|path| path.display().to_string()),
            "restored_at": time(known.restored_at),
            "interrupted": known.interrupted,
            "uncertain": known.uncertain,
            "certain": known.certain,
            "sessions_ended": restored.sessions,
            "master_key": master.id(),
            "master_key_source": master.origin(),
            "serve": serve(overrides, &config),
        });
        if let Value::Object(more) = more {
            members.extend(more);
        }
    }
    output.show(&document, show)
}

/// The same for people.
fn show(document: &Value) -> String {
    let mut pairs = Pairs::default();
    pairs.add("data folder", member(document, "data"));
    pairs.add("moved aside", member(document, "moved_to"));
    describe(&mut pairs, document);
    pairs.add(
        "refresh tokens",
        format!(
            "{} uncertain: their providers may have replaced them since; {} are believed to work still",
            cell(document, "uncertain"),
            cell(document, "certain")
        ),
    );
    pairs.add("interrupted", format!("{} attempts that were under way", cell(document, "interrupted")));
    pairs.add("sessions", format!("{} of browsers have ended", cell(document, "sessions_ended")));
    pairs.add("master key", format!("{}, from {}", cell(document, "master_key"), cell(document, "master_key_source")));
    let since = cell(document, "made_at");
    let text = format!(
        "\nWhat was changed after {since} isn't here. Tokens of users and applications that were deleted or rebuilt after\n\
         that are as they were before: where another log or a later backup shows such a change, make it again.\n\
         An uncertain refresh token isn't sent while the old access token lasts. Then a flow that needs no person gets a\n\
         token anew, and another tries it once.\n"
    );
    let next = format!(
        "\nNext:\n  {}\n  tokenhost status                   # what needs a person, and what is uncertain\n  \
         tokenhost audit list --action daemon.\n  tokenhost restore acknowledge\n\
         Stop the daemon that the backup is of before, where it still runs: two with the same refresh tokens end each other's.\n\
         The daemon needs the same master key as this command, and the settings of the one that the backup is of.\n",
        cell(document, "serve")
    );
    pairs.to_text("") + &text + &next
}

/// What starts a daemon on the folder that was made: with all that this command was told, wherever it is typed.
fn serve(overrides: &Overrides, config: &Config) -> String {
    if overrides.config.as_deref() == Some(Path::new(PACKAGED)) {
        return "sudo systemctl start tokenhost".to_owned();
    }
    let mut command = "tokenhost serve".to_owned();
    if let Some(file) = &overrides.config {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
        command += &format!(" --config {}", shell_word(&file.display().to_string()));
    }
    for one in config.resolved.iter().filter(|one| matches!(one.setting.key, "data" | "key_file" | "key_command")) {
        if let (Origin::Flag(_) | Origin::Environment(_), Some(flag)) = (&one.origin, one.setting.flag()) {
            let text = match one.setting.key {
                "key_command" => one.shown().to_owned(),
                _ => std::path::absolute(one.shown()).map_or(one.shown().to_owned(), |path| path.display().to_string()),
            };
            command += &format!(" {flag} {}", shell_word(&text));
        }
    }
    match config.key {
        KeySource::Given(_) => format!("{command}    # with the same TOKENHOST_KEY"),
        KeySource::File(_) | KeySource::Command(_) => command,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_restored_is_told_with_what_to_do() {
        let text = show(&json!({"data": "/d", "made_at": "t", "uncertain": 2, "certain": 1, "moved_to": null,
            "serve": "tokenhost serve --data /d", "master_key": "ab", "master_key_source": "the file /k"}));
        for part in [
            "data folder",
            "/d",
            "2 uncertain",
            "changed after t isn't here",
            "tokenhost restore acknowledge",
            "  tokenhost serve --data /d\n",
            "ab, from the file /k",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("moved aside"));
    }

    #[test]
    fn the_daemon_is_started_with_what_the_restoration_was_told() {
        let check = |overrides: Overrides, expected: &str| {
            assert_eq!(serve(&overrides, &Config::load(&overrides).unwrap()), expected);
        };
        let key_file = Some("/k".to_owned());
        let overrides = Overrides { data: Some("/my data".into()), key_file, ..Overrides::default() };
        check(overrides.clone(), "tokenhost serve --data '/my data' --key-file /k");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.toml");
        std::fs::write(&file, "data = '/d'\nkey_file = '/k'\n").unwrap();
        let shown = file.display();
        let of_file = Overrides { config: Some(file.clone()), ..Overrides::default() };
        check(of_file.clone(), &format!("tokenhost serve --config {shown}"));
        let both = Overrides { data: Some("/e".into()), ..of_file };
        check(both, &format!("tokenhost serve --config {shown} --data /e"));
    }
}
