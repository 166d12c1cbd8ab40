//! `tokenhost restore …`: a data folder made of a backup, and that somebody knows of it.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::{Value, json};

use super::backup::{Progress, contents, describe, failure, time};
use super::client::Connection;
use super::exit::Failure;
use super::output::{Output, Pairs, cell, member};
use crate::backup;
use crate::clock::SystemClock;
use crate::config::{Config, Overrides};
use crate::daemon;

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

/// What to do then.
const NEXT: &str = "
Next:
  tokenhost serve                    # with the settings of the daemon that the backup is of
  tokenhost status                   # what needs a person, and what is uncertain
  tokenhost audit list --action daemon.
  tokenhost restore acknowledge
";

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
    let since = cell(document, "made_at");
    let text = format!(
        "\nWhat was changed after {since} isn't here. Tokens of users and applications that were deleted or rebuilt after\n\
         that are as they were before: where another log or a later backup shows such a change, make it again.\n\
         An uncertain refresh token isn't sent while the old access token lasts. Then a flow that needs no person gets a\n\
         token anew, and another tries it once.\n"
    );
    pairs.to_text("") + &text + NEXT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_restored_is_told_with_what_to_do() {
        let text = show(&json!({"data": "/d", "made_at": "t", "uncertain": 2, "certain": 1, "moved_to": null}));
        for part in ["data folder", "/d", "2 uncertain", "changed after t isn't here", "tokenhost restore acknowledge"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("moved aside"));
    }
}
