//! `tokenhost init`: keys, a data folder, and the first administrator's token, shown once.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::exit::Failure;
use super::output::{Output, Pairs, member};
use crate::config::{Config, KeySource, Overrides};
use crate::daemon::{self, InitOutcome};

/// Prepare this machine: make the master key, the data folder and the first token
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The token is shown once and kept nowhere: it may do everything on this daemon. Nothing that is sealed can be opened without the master key's file; back it up, apart from the data.\n\nExamples:\n  tokenhost init\n  export TOKENHOST_TOKEN=$(tokenhost init --json | jq -r .token)\n  tokenhost init --data /var/lib/tokenhost --key-file /etc/tokenhost/master.key"
)]
pub(super) struct Init {
    /// The daemon's settings.
    #[command(flatten)]
    overrides: Overrides,
    /// Replace the first administrator's token, where it is lost; the daemon must be stopped
    #[arg(long)]
    rebuild: bool,
}

/// What to type next.
const NEXT: &str = "
The token is shown this once. It may do everything here: keep it as you keep a password.

Next:
  export TOKENHOST_TOKEN=...        # the token above
  tokenhost serve                   # in another terminal, or as a service
  tokenhost model import NAME FILE  # an OpenAPI document
  tokenhost integration create NAME --model MODEL --field client_id=... --secret client_secret=@FILE
  tokenhost token get NAME
";

impl Init {
    /// Does it.
    ///
    /// # Errors
    /// The settings can't be used, the folder is in use or was prepared before, or the key doesn't fit it.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let config = Config::load(&self.overrides).map_err(|error| Failure::usage(error.to_string()))?;
        let made = if self.rebuild { daemon::rebuild(&config).await? } else { daemon::init(&config).await? };
        if let Some(warning) = foreign(&config.data) {
            output.note(&warning);
        }
        output.show(&document(&config, &made), show)
    }
}

/// What is said where what was made belongs to another user than the folder, as where root makes it for a service.
fn foreign(data: &Path) -> Option<String> {
    let folder = data.metadata().ok()?;
    let mut entries = data.read_dir().ok()?.flatten();
    let is_foreign = |entry: &std::fs::DirEntry| entry.metadata().is_ok_and(|own| own.uid() != folder.uid());
    entries.find(is_foreign).map(|_| {
        let (shown, user, group) = (data.display(), folder.uid(), folder.gid());
        format!(
            "warning: {shown} belongs to user {user}, and some of what is in it doesn't, so that a daemon of that user can't use it: \
             `chown -R {user}:{group} {shown}`; the key's file, too. Next time run this as that user (`sudo -u tokenhost`)"
        )
    })
}

/// What was made, as JSON.
fn document(config: &Config, made: &InitOutcome) -> Value {
    let key_file = match &config.key {
        KeySource::File(path) => Some(path.display().to_string()),
        KeySource::Given(_) | KeySource::Command(_) => None,
    };
    json!({
        "token": made.token.expose_secret(),
        "data": made.data.display().to_string(),
        "key_file": key_file,
        "key_file_made": made.key_file_made.is_some(),
    })
}

/// The same for people.
fn show(document: &Value) -> String {
    let is_new = document.get("key_file_made") == Some(&Value::Bool(true));
    let mut pairs = Pairs::default();
    pairs.add("data folder", member(document, "data"));
    pairs.add(
        "master key",
        match member(document, "key_file") {
            Some(path) if is_new => format!("{path} (new; back it up, apart from the data)"),
            Some(path) => format!("{path} (was there already)"),
            None => "as the settings give it".to_owned(),
        },
    );
    pairs.add("token", member(document, "token"));
    pairs.to_text("") + NEXT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_another_user_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(foreign(folder.path()), None);
        std::fs::write(folder.path().join("store"), "").unwrap();
        assert_eq!(foreign(folder.path()), None);
        // Only root gives folders away.
        if std::os::unix::fs::chown(folder.path(), Some(4711), Some(4712)).is_ok() {
            let told = foreign(folder.path()).unwrap();
            assert!(told.contains("belongs to user 4711") && told.contains("chown -R 4711:4712 /"), "{told}");
        }
    }

    #[test]
    fn what_was_made_is_shown_with_the_next_steps() {
        let check = |key_file: Value, made: bool, expected: &str| {
            let text = show(&json!({"token": "tha_x", "data": "/d", "key_file": key_file, "key_file_made": made}));
            assert!(
                text.starts_with(&format!("data folder  /d\nmaster key   {expected}\ntoken        tha_x\n")),
                "{text}"
            );
            assert!(text.contains("tokenhost serve"));
        };
        check(json!("/k"), true, "/k (new; back it up, apart from the data)");
        check(json!("/k"), false, "/k (was there already)");
        check(Value::Null, false, "as the settings give it");
    }
}
