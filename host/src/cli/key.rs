//! `tokenhost key …`: the master key, data keys and the pepper: what there is of them, and their rotation.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, Connection};
use super::exit::Failure;
use super::output::{Output, Pairs, cell, items, member, table};
use crate::seal::MasterKey;

/// How often `--wait` looks.
const EVERY: Duration = Duration::from_secs(1);

/// Keys: what is sealed with which, and their rotation
#[derive(Debug, clap::Args)]
pub(super) struct Key {
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done with keys.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show which keys there are, how much is sealed with which, and what somebody should do
    #[command(
        after_help = "Examples:\n  tokenhost key status\n  tokenhost key status --json | jq '.data[] | {id, values}'"
    )]
    Status,
    /// Make a new data key, have the next master key open the data, or make a new pepper
    #[command(
        after_help = "The next master key is where the daemon's settings say: `key_next_file` (not set: the key's file with `.next` behind its name) or `key_next_command`. Both master keys open the data until `tokenhost key finish`, or a start with the new one.\n\nExamples:\n  tokenhost key rotate --data --wait\n  tokenhost key generate /etc/tokenhost/master.key.next && tokenhost key rotate --master\n  tokenhost key rotate --pepper --accept-until 2027-01-31"
    )]
    Rotate(Rotate),
    /// End a rotation of the master key: the old one opens nothing any more
    #[command(
        after_help = "The daemon's settings, which it reads anew, must name the key that stays: otherwise it couldn't start any more. A start with the new key does the same.\n\nExamples:\n  mv /etc/tokenhost/master.key.next /etc/tokenhost/master.key && tokenhost key finish\n  tokenhost key finish --keep-old    # takes the rotation back"
    )]
    Finish {
        /// Keep the old key instead; the new one opens nothing any more
        #[arg(long)]
        keep_old: bool,
    },
    /// Make a new master key and write it into a file that only its owner can read; asks no daemon
    #[command(
        after_help = "The file must not exist: a key is never overwritten.\n\nExamples:\n  tokenhost key generate /etc/tokenhost/master.key.next\n  tokenhost key generate - | vault kv put secret/tokenhost key=-"
    )]
    Generate {
        /// The new file; - for standard output
        file: PathBuf,
    },
}

/// What is rotated.
#[derive(Debug, clap::Args)]
struct Rotate {
    /// Which of the three.
    #[command(flatten)]
    what: What,
    /// With --data: wait until everything is sealed anew and the older keys are removed
    #[arg(long, conflicts_with_all = ["master", "pepper"])]
    wait: bool,
    /// With --pepper: until when tokens made before are accepted: a time like 2026-11-22T10:00:00Z, or a day, its end included
    #[arg(long, value_name = "TIME", conflicts_with_all = ["data", "master"])]
    accept_until: Option<String>,
    /// With --pepper: refuse all tokens made before from now on, as where the root key leaked; your own, too
    #[arg(long, conflicts_with_all = ["accept_until", "data", "master"])]
    refuse_old: bool,
}

/// The three that rotate.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct What {
    /// A new data key; what older ones sealed is sealed anew
    #[arg(long)]
    data: bool,
    /// The master key
    #[arg(long)]
    master: bool,
    /// The pepper of inbound tokens' digests
    #[arg(long)]
    pepper: bool,
}

impl Key {
    /// Does it.
    ///
    /// # Errors
    /// The daemon refuses, or a file can't be written.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        match self.command {
            Command::Generate { file } => generate(&file, output),
            Command::Status => output.show(&keys(&self.connection.client()?).await?, shown),
            Command::Finish { keep_old } => {
                let body = json!({"keep": if keep_old { "old" } else { "new" }});
                let client = self.connection.client()?;
                let ended = client.call(Method::POST, &["keys", "master", "finish"], &[], Some(&body)).await?;
                output.show(&ended, |ended| {
                    format!("master key {} is the only one that opens the data", cell(ended, "master"))
                })
            }
            Command::Rotate(rotate) => rotate.run(&self.connection.client()?, output).await,
        }
    }
}

impl Rotate {
    async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        if self.what.pepper {
            if self.accept_until.is_none() && !self.refuse_old {
                return Err(Failure::usage("--pepper needs --accept-until TIME or --refuse-old".to_owned()));
            }
            return pepper(client, self.accept_until, output).await;
        }
        if self.what.master {
            let rotated = client.call(Method::POST, &["keys", "master", "rotate"], &[], None).await?;
            return output.show(&rotated, |rotated| {
                format!(
                    "master key {} opens the data, as the one before does. To end the rotation:\n  {}",
                    cell(rotated, "next"),
                    cell(rotated, "remedy")
                )
            });
        }
        let rotated = client.call(Method::POST, &["keys", "data", "rotate"], &[], None).await?;
        if !self.wait {
            return output.show(&rotated, |rotated| {
                format!(
                    "data key {} seals from now on; `tokenhost key status` shows how much older ones have sealed still",
                    cell(rotated, "id")
                )
            });
        }
        wait(client, &rotated, output).await
    }
}

/// Retires the pepper in use.
///
/// # Errors
/// The daemon refuses.
pub(super) async fn pepper(client: &Client, accept_until: Option<String>, output: Output) -> Result<(), Failure> {
    let body = json!({"accept_until": accept_until});
    let rotated = client.call(Method::POST, &["pepper", "rotate"], &[], Some(&body)).await?;
    output.show(&rotated, |rotated| match member(rotated, "accept_until") {
        Some(until) => format!("the pepper is rotated; tokens made before are accepted until {until}: rebuild them"),
        None => "the pepper is rotated; tokens made before are refused from now on".to_owned(),
    })
}

async fn keys(client: &Client) -> Result<Value, Failure> {
    client.get(&["keys"], &[]).await
}

/// Waits until older data keys are removed, and says on the way how far it is.
async fn wait(client: &Client, rotated: &Value, output: Output) -> Result<(), Failure> {
    let mut told = String::new();
    loop {
        let keys = keys(client).await?;
        let Some(work) = keys.get("resealing").filter(|work| work.is_object()) else {
            return output.show(&keys, |_| {
                format!("everything is sealed with data key {}; older ones are removed", cell(rotated, "id"))
            });
        };
        if let Some(problem) = member(work, "problem") {
            return Err(Failure::failed(format!("not everything can be sealed anew: {problem}")));
        }
        let now = progress(work);
        // On a terminal each second, elsewhere where it has changed.
        if now != told || std::io::stderr().is_terminal() {
            output.note(&now);
            told = now;
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// How far it is, in a line.
fn progress(work: &Value) -> String {
    let number = |name: &str| work.get(name).and_then(Value::as_u64).unwrap_or_default();
    let (done, total) = (number("done"), number("total"));
    if work.get("settling") == Some(&Value::Bool(true)) {
        return format!("{done} values are sealed anew; the older keys are removed about a minute after the rotation");
    }
    let percent = (done * 100).checked_div(total).unwrap_or(0);
    let left = match work.get("seconds_left").and_then(Value::as_u64) {
        Some(seconds) => format!(", about {seconds} s left"),
        None => String::new(),
    };
    format!("sealed anew: {done} of {total} values ({percent} %){left}")
}

/// The keys, for people.
fn shown(keys: &Value) -> String {
    let mut pairs = Pairs::default();
    let null = Value::Null;
    let of = |name: &str| keys.get(name).unwrap_or(&null);
    let (master, pepper) = (of("master"), of("pepper"));
    pairs.add("master key", member(master, "id"));
    pairs.add("  from", member(master, "source"));
    pairs.add("  since", member(master, "since"));
    if let Some(next) = master.get("next") {
        pairs.add("next master key", member(next, "id"));
        pairs.add("  since", member(next, "since"));
    }
    pairs.add("pepper", member(pepper, "id"));
    pairs.add("  since", member(pepper, "rotated_at"));
    pairs.add("  old ones accepted until", member(pepper, "accept_until"));
    pairs.add("  tokens under old ones", member(pepper, "older_tokens"));
    let kinds: Vec<&String> = items(keys, "data")
        .iter()
        .filter_map(|key| key.get("kinds")?.as_object())
        .next()
        .map(|kinds| kinds.keys().collect())
        .unwrap_or_default();
    let row = |key: &Value| {
        let counts = key.get("kinds").unwrap_or(&null);
        let kinds: Vec<String> = kinds.iter().map(|kind| format!("{kind} {}", cell(counts, kind))).collect();
        let seals = if key.get("current") == Some(&Value::Bool(true)) { "yes" } else { "no" };
        [cell(key, "id"), cell(key, "made_at"), seals.to_owned(), cell(key, "values"), kinds.join(", ")]
    };
    let rows: Vec<_> = items(keys, "data").iter().map(row).collect();
    let mut text = pairs.to_text("");
    text += "\n";
    text += &table(["DATA KEY", "MADE", "SEALS", "VALUES", "OF WHICH"], &rows);
    if let Some(work) = keys.get("resealing") {
        text += &format!("\n{}\n", progress(work));
    }
    for warning in items(keys, "warnings").iter().filter_map(Value::as_str) {
        text += &format!("\n! {warning}\n");
    }
    text
}

/// Makes a new master key.
fn generate(file: &Path, output: Output) -> Result<(), Failure> {
    let failed = |error: crate::seal::SealError| Failure::failed(error.to_string());
    if file == Path::new("-") {
        let key = MasterKey::generate("standard output").map_err(failed)?;
        return output.raw(&format!("{}\n", *key.to_text()));
    }
    // It isn't known here where a daemon's data is; the daemon refuses a key that lies within.
    let key = MasterKey::create_file(file, Path::new("")).map_err(failed)?;
    let made = json!({"id": key.id(), "file": file.display().to_string()});
    output.show(&made, |made| {
        format!("master key {} is in {}; back it up, apart from the data", cell(made, "id"), cell(made, "file"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_shown_with_what_is_to_be_done() {
        let keys = json!({
            "master": {"id": "aa", "source": "the file /k", "since": "T0", "next": {"id": "bb", "since": "T1"}},
            "data": [
                {"id": 1, "made_at": null, "current": false, "values": 3, "kinds": {"tokens": 1, "webhooks": 2}},
                {"id": 2, "made_at": "T2", "current": true, "values": 1, "kinds": {"tokens": 1, "webhooks": 0}},
            ],
            "resealing": {"to": 2, "done": 1, "total": 4, "seconds_left": 9, "settling": false},
            "pepper": {"id": 0, "rotated_at": null, "accept_until": null, "older_tokens": 0},
            "warnings": ["do it"],
        });
        let text = shown(&keys);
        for expected in [
            "master key               aa\n",
            "  from                   the file /k\n",
            "next master key          bb\n",
            "1         -     no     3       tokens 1, webhooks 2\n",
            "2         T2    yes    1       tokens 1, webhooks 0\n",
            "sealed anew: 1 of 4 values (25 %), about 9 s left\n",
            "! do it\n",
        ] {
            assert!(text.contains(expected), "{expected:?} in\n{text}");
        }
        let check = |work: Value, expected: &str| assert_eq!(progress(&work), expected);
        check(json!({"done": 0, "total": 0}), "sealed anew: 0 of 0 values (0 %)");
        check(
            json!({"done": 7, "total": 7, "settling": true}),
            "7 values are sealed anew; the older keys are removed about a minute after the rotation",
        );
    }
}
