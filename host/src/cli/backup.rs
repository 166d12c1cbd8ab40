//! `tokenhost backup …`: a backup taken from the daemon, those listed that it makes by itself, and one looked through.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Client, Connection};
use super::exit::Failure;
use super::output::{Output, Pairs, cell, items, member, table};
use crate::backup::{self, BackupError, Checked, Temporary};
use crate::config::{Config, Overrides};
use crate::daemon;
use crate::text::shell_word;

/// What lasts no longer is done without a word.
const SHOW_AFTER: Duration = Duration::from_secs(2);
/// How often a line at a terminal changes.
const SHOW_EVERY: Duration = Duration::from_millis(100);
/// How often a line is added elsewhere, as in the log of a nightly job.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// Make a backup of the running daemon: all of it, sealed, in one file
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Everything that was acknowledged before is in it, as it was at one moment. The settings and the master key aren't in it: keep these elsewhere, since without the master key nobody can restore it.\n\nExamples:\n  tokenhost backup tokenhost.backup\n  tokenhost backup --force /mnt/backups/tokenhost.backup\n  tokenhost backup - | ssh elsewhere 'cat > tokenhost.backup'\n  tokenhost backup check tokenhost.backup\n  tokenhost backup list"
)]
pub(super) struct Backup {
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
    /// The file to write; `-`: to stdout
    #[arg(value_name = "FILE | -")]
    file: Option<PathBuf>,
    /// Replace the file where there is one
    #[arg(long, requires = "file")]
    force: bool,
    /// What else to do.
    #[command(subcommand)]
    command: Option<Command>,
}

/// What can be done with backups besides.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the backups that the daemon makes by itself, the newest first
    #[command(
        after_help = "They are made where the setting `backup.folder` names a folder; see docs/backup.md. Exit code 1: the last one failed.\n\nExamples:\n  tokenhost backup list\n  tokenhost backup list --json | jq -r '.backups[0].file'"
    )]
    List,
    /// Read a backup to its end with the master key, and say what is in it; takes no daemon
    #[command(
        after_help = "Exit code 0: it is whole, and this master key opens it.\n\nExamples:\n  tokenhost backup check tokenhost.backup\n  tokenhost backup check tokenhost.backup --key-file /etc/tokenhost/master.key"
    )]
    Check {
        /// The backup
        file: PathBuf,
        /// The daemon's settings, for its master key.
        #[command(flatten)]
        overrides: Box<Overrides>,
    },
}

impl Backup {
    /// Does it.
    ///
    /// # Errors
    /// The daemon doesn't answer or refuses, a file can't be written, or a backup isn't one.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        if self.command.is_some() && self.file.is_some() {
            return Err(Failure::usage("name a file, or what to do with backups, not both"));
        }
        match (self.command, self.file) {
            (Some(Command::List), _) => list(&self.connection.client()?, output).await,
            (Some(Command::Check { file, overrides }), _) => check(&file, &overrides, output).await,
            (None, Some(file)) if file == Path::new("-") => pass_on(&self.connection.client()?).await,
            (None, Some(file)) => take(&self.connection.client()?, &file, self.force, output).await,
            (None, None) => Err(Failure::usage("name the file to write; `-` for stdout")),
        }
    }
}

/// Takes a backup into a file, which has its name only once it is whole.
async fn take(client: &Client, file: &Path, force: bool, output: Output) -> Result<(), Failure> {
    if file.exists() && !force {
        return Err(failure(BackupError::Exists(file.display().to_string())));
    }
    let fault = |error: std::io::Error| Failure::failed(format!("{} can't be written: {error}", file.display()));
    let temporary = Temporary::beside(file).map_err(failure)?;
    let mut answer = client.stream(&["backup"], &[]).await?;
    let (mut written, mut progress) = (0, Progress::new("received"));
    let mut to = temporary.file().map_err(fault)?;
    while let Some(piece) = client.piece(&mut answer).await? {
        to.write_all(&piece).map_err(fault)?;
        written += piece.len() as u64;
        progress.show(written, None);
    }
    progress.end();
    let header = temporary.outline().map_err(failure)?;
    temporary.keep(file).map_err(fault)?;
    let made = json!({
        "file": file.display().to_string(),
        "bytes": written,
        "id": header.id,
        "made_at": time(header.made_at),
        "made_by": header.tokenhost,
    });
    output.show(&made, |made| {
        let mut pairs = Pairs::default();
        pairs.add("backup", member(made, "file")).add("size", Some(size(written)));
        pairs.add("of", member(made, "made_at"));
        let file = shell_word(&cell(made, "file"));
        pairs.to_text("") + &format!("\nThe master key isn't in it. Look through it: tokenhost backup check {file}\n")
    })
}

/// Takes a backup to stdout.
async fn pass_on(client: &Client) -> Result<(), Failure> {
    let mut stdout = std::io::stdout();
    if stdout.is_terminal() {
        return Err(Failure::usage(
            "a backup is no text for a terminal; name a file, or pass it on to another program",
        ));
    }
    let mut answer = client.stream(&["backup"], &[]).await?;
    let (mut written, mut progress) = (0, Progress::new("passed on"));
    while let Some(piece) = client.piece(&mut answer).await? {
        match stdout.write_all(&piece) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                return Err(Failure::failed("who reads the backup went away before its end"));
            }
            wrote => wrote.map_err(|error| Failure::failed(format!("stdout can't be written: {error}")))?,
        }
        written += piece.len() as u64;
        progress.show(written, None);
    }
    progress.end();
    stdout.flush().map_err(|error| Failure::failed(format!("stdout can't be written: {error}")))
}

/// Reads a backup to its end.
async fn check(file: &Path, overrides: &Overrides, output: Output) -> Result<(), Failure> {
    let config = Config::load(overrides).map_err(|error| Failure::usage(error.to_string()))?;
    let master = daemon::master_key(&config).await.map_err(|error| Failure::failed(error.to_string()))?;
    let mut progress = Progress::new("read");
    let checked = backup::check(file, &master, |read, all| progress.show(read, Some(all))).await;
    progress.end();
    let Checked { header, summary, bytes } = checked.map_err(failure)?;
    let mut checked = contents(&header, &summary);
    if let Value::Object(members) = &mut checked {
        members.insert("file".to_owned(), json!(file.display().to_string()));
        members.insert("bytes".to_owned(), json!(bytes));
    }
    output.show(&checked, |checked| {
        let mut pairs = Pairs::default();
        pairs.add("backup", format!("{} (whole; this master key opens it)", cell(checked, "file")));
        pairs.add("size", format!("{}, {} unpacked", size(bytes), size(summary.bytes)));
        describe(&mut pairs, checked);
        pairs.to_text("")
    })
}

/// Lists those that are made by themselves.
async fn list(client: &Client, output: Output) -> Result<(), Failure> {
    let backups = client.get(&["backups"], &[]).await?;
    output.show(&backups, listed)?;
    let is_well = backups.pointer("/schedule/failure").is_none_or(Value::is_null);
    if is_well { Ok(()) } else { Err(Failure::Silent(super::exit::Exit::Failed)) }
}

/// The same for people.
fn listed(backups: &Value) -> String {
    let Some(schedule) = backups.get("schedule").filter(|schedule| !schedule.is_null()) else {
        return "the daemon makes no backups by itself: set `folder` in the table [backup] of its settings".to_owned();
    };
    let mut pairs = Pairs::default();
    let hours = schedule.get("every_seconds").and_then(Value::as_u64).unwrap_or(0) as f64 / 3600.0;
    let days = member(schedule, "keep_days").map(|days| format!(", {days} days at most")).unwrap_or_default();
    pairs.add("folder", member(schedule, "folder"));
    pairs.add("every", format!("{hours} h; {} are kept{days}", cell(schedule, "keep")));
    pairs.add("last", member(schedule, "last").or_else(|| Some("none yet".to_owned())));
    pairs.add("next", member(schedule, "next"));
    if let Some(failure) = schedule.get("failure").filter(|failure| !failure.is_null()) {
        let text = format!("{} (since {})", cell(failure, "message"), cell(failure, "since"));
        pairs.add("failing", text);
    }
    let size = |backup: &Value| backup.get("bytes").and_then(Value::as_u64).map_or("-".to_owned(), size);
    let row = |backup: &Value| [cell(backup, "made_at"), size(backup), cell(backup, "made_by"), cell(backup, "file")];
    let rows: Vec<_> = items(backups, "backups").iter().map(row).collect();
    let text = pairs.to_text("");
    if rows.is_empty() { text } else { text + "\n" + &table(["MADE", "SIZE", "BY", "FILE"], &rows) }
}

/// What is in a backup.
pub(super) fn contents(header: &backup::Header, summary: &backup::Summary) -> Value {
    let count = |table: &str| summary.tables.get(table).copied().unwrap_or(0);
    json!({
        "id": header.id,
        "made_at": time(header.made_at),
        "made_by": header.tokenhost,
        "instance": header.instance,
        "database_format": header.database,
        "models": count("model"),
        "integrations": count("integration"),
        "tokens": count("token"),
        "users": count("user"),
        "applications": count("application-token"),
        "personal_tokens": count("personal-token"),
        "flows": count("flow"),
        "audit_records": count("audit"),
        "entries": summary.entries,
        "files": summary.files,
        "unpacked_bytes": summary.bytes,
    })
}

/// The same for people.
pub(super) fn describe(pairs: &mut Pairs, contents: &Value) {
    pairs.add("made", format!("{}, by tokenhost {}", cell(contents, "made_at"), cell(contents, "made_by")));
    pairs.add("installation", member(contents, "instance"));
    let format = format!("format {}, {} entries", cell(contents, "database_format"), cell(contents, "entries"));
    pairs.add("database", format);
    for (label, name) in [
        ("models", "models"),
        ("integrations", "integrations"),
        ("tokens", "tokens"),
        ("users", "users"),
        ("applications", "applications"),
        ("personal tokens", "personal_tokens"),
        ("flows installed", "flows"),
        ("audit records", "audit_records"),
    ] {
        pairs.add(label, member(contents, name));
    }
}

/// A failure with what to do.
pub(super) fn failure(error: BackupError) -> Failure {
    let failed = Failure::failed(error.to_string());
    match error {
        BackupError::WrongKey { .. } => failed.hint(
            "Give the master key of the time when the backup was made: --key-file, or TOKENHOST_KEY_FILE or TOKENHOST_KEY.",
        ),
        _ => failed,
    }
}

/// A time as the API writes it.
pub(super) fn time(time: chrono::DateTime<chrono::Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = UNITS.iter().find(|(_, unit)| bytes >= *unit);
    unit.map_or_else(|| format!("{bytes} B"), |(name, unit)| format!("{:.1} {name}", bytes as f64 / *unit as f64))
}

/// How far something is that may take long: on stderr, and only where it does.
pub(super) struct Progress {
    verb: &'static str,
    began: Instant,
    /// When it was shown last.
    shown: Option<Instant>,
    at_terminal: bool,
}

impl Progress {
    /// Something that begins now.
    pub(super) fn new(verb: &'static str) -> Self {
        Self { verb, began: Instant::now(), shown: None, at_terminal: std::io::stderr().is_terminal() }
    }

    /// It is this far, of so many bytes where that is known.
    pub(super) fn show(&mut self, bytes: u64, all: Option<u64>) {
        let every = if self.at_terminal { SHOW_EVERY } else { TELL_EVERY };
        if self.began.elapsed() < SHOW_AFTER || self.shown.is_some_and(|shown| shown.elapsed() < every) {
            return;
        }
        self.shown = Some(Instant::now());
        let all = all.map(|all| format!(" of {}", size(all))).unwrap_or_default();
        let line = format!("{} {}{all}", self.verb, size(bytes));
        let mut stderr = std::io::stderr().lock();
        // Nobody can be told where stderr itself is closed.
        drop(if self.at_terminal { write!(stderr, "\r{line:<60}") } else { writeln!(stderr, "{line}") });
        drop(stderr.flush());
    }

    /// It is over.
    pub(super) fn end(&self) {
        if self.at_terminal && self.shown.is_some() {
            drop(writeln!(std::io::stderr()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (bytes, expected) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 20, "5.0 MiB"), (3 << 30, "3.0 GiB")]
        {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn scheduled_backups_are_listed_with_what_fails() {
        assert!(listed(&json!({"schedule": null, "backups": []})).contains("set `folder`"));
        let backups = json!({
            "schedule": {"folder": "/b", "every_seconds": 5400, "keep": 7, "keep_days": 30, "last": "t1", "next": "t2",
                "failure": {"message": "no space", "since": "t0", "count": 2}},
            "backups": [{"file": "/b/x.backup", "bytes": 2048, "made_at": "t1", "made_by": "0.1.0"}],
        });
        assert_eq!(
            listed(&backups),
            "folder   /b\nevery    1.5 h; 7 are kept, 30 days at most\nlast     t1\nnext     t2\nfailing  no space (since t0)\n\n\
             MADE  SIZE     BY     FILE\nt1    2.0 KiB  0.1.0  /b/x.backup\n"
        );
    }
}
