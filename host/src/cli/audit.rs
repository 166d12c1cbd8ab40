//! `tokenhost audit …` and `tokenhost pepper …`: what happened, what is known of a token, why somebody was refused, whether the
//! log is whole; and another key for the digests of tokens.

use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::client::{Client, Connection};
use super::exit::{Exit, Failure};
use super::noun::Noun;
use super::output::{Output, Pairs, cell, items, member, scalar};
use super::values::{SecretReader, Source};

/// Records that are shown where nobody says how many.
const SHOWN: usize = 100;
/// The most records that the daemon gives at once.
const PAGE: usize = 1000;

/// What people see of records.
const RECORDS: Noun<7> = Noun {
    word: "record",
    path: &["audit"],
    columns: [
        ("SEQ", "seq"),
        ("AT", "at"),
        ("WHO", "actor.name"),
        ("ACTION", "action"),
        ("ON", "object"),
        ("FROM", "address"),
        ("OUTCOME", "outcome"),
    ],
    lines: &[],
    none: "no such records",
};

/// What people see of uses.
const USES: Noun<5> = Noun {
    word: "use",
    path: &[],
    columns: [("FROM", "address"), ("DOOR", "door"), ("REFUSED", "reason"), ("TIMES", "count"), ("LAST", "last")],
    lines: &[],
    none: "",
};

/// What people see of a token that was looked for.
const FOUND: Noun<0> = Noun {
    word: "token",
    path: &["audit", "find"],
    columns: [],
    lines: &[
        ("token", "token_id"),
        ("known", "known"),
        ("kind", "kind"),
        ("owner", "owner"),
        ("application", "application"),
        ("state", "state"),
        ("value", "value"),
        ("ends", "expiration_date"),
        ("rebuilt", "rebuilt_at"),
        ("use count", "use_count"),
        ("last use", "last_use"),
        ("from", "last_use_address"),
    ],
    none: "",
};

/// What people see of an explanation.
const EXPLAINED: Noun<0> = Noun {
    word: "refusal",
    path: &["audit", "explain"],
    columns: [],
    lines: &[
        ("reason", "reason"),
        ("meaning", "meaning"),
        ("remedy", "remedy"),
        ("at", "at"),
        ("from", "address"),
        ("token", "token_id"),
        ("scope", "scope"),
        ("door", "door"),
        ("detail", "detail"),
    ],
    none: "",
};

/// The audit log: what happened, who used a token, why somebody was refused
#[derive(Debug, clap::Args)]
pub(super) struct Audit {
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done with the audit log.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List records, the newest first
    #[command(
        after_help = "Examples:\n  tokenhost audit list\n  tokenhost audit list --action personal_token. --since 2026-11-01\n  tokenhost audit list --object integrations/crm-prod --limit 1000 --json"
    )]
    List(List),
    /// Show a record: who, from where, what was changed by name, and what became of it
    #[command(after_help = "Examples:\n  tokenhost audit show 4711\n  tokenhost audit show 4711 --json")]
    Show {
        /// Its number, as `audit list` shows it
        #[arg(value_name = "SEQ")]
        seq: u64,
    },
    /// Find all that is known of a token: whose it is, where it was used, what was done with it
    #[command(
        after_help = "A token that is read from stdin (`-`) stands in no list of processes and no shell's history. Neither the daemon nor its log keeps it.\n\nExamples:\n  tokenhost audit find - < leaked.token\n  tokenhost audit find 4fG7hJ9kLmN2                # its id"
    )]
    Find {
        /// The token, as much of it as was found (at least 16 characters), or its id; `-`: from stdin
        #[arg(value_name = "TOKEN | ID | -")]
        token: String,
    },
    /// Tell why a caller was refused, and what to do about it
    #[command(after_help = "Examples:\n  tokenhost audit explain \"$SUPPORT_ID\"")]
    Explain {
        /// The support id that the caller was given
        #[arg(value_name = "SUPPORT ID", allow_hyphen_values = true)]
        id: String,
    },
    /// Prove that nothing in the log was altered, added, left out or cut off
    #[command(
        after_help = "Exit code 0: the log is whole; 1: it isn't. Who can write to the database could put an older log in its place: note the head elsewhere now and then, and give it the next time.\n\nExamples:\n  tokenhost audit verify\n  tokenhost audit verify --noted \"$(cat /mnt/elsewhere/head)\""
    )]
    Verify {
        /// The head that an earlier verification printed
        #[arg(long, value_name = "HEAD")]
        noted: Option<String>,
    },
}

/// Which records.
#[derive(Debug, clap::Args)]
struct List {
    /// Only this action; with a `.` at the end, all that begin with it
    #[arg(long)]
    action: Option<String>,
    /// Only by this user or application
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Only on this object, e.g. integrations/crm; with a `/` at the end, all that begin with it
    #[arg(long)]
    object: Option<String>,
    /// Only what concerns the token of this id
    #[arg(long, value_name = "ID")]
    token: Option<String>,
    /// Only from this time or day on
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only before this time, or until the end of this day
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// So many at most
    #[arg(long, value_name = "NUMBER", default_value_t = SHOWN)]
    limit: usize,
}

impl List {
    /// The records, page after page, until there are enough.
    async fn read(&self, client: &Client) -> Result<Vec<Value>, Failure> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        while all.len() < self.limit {
            let limit = (self.limit - all.len()).min(PAGE).to_string();
            let given = [
                ("action", &self.action),
                ("actor", &self.actor),
                ("object", &self.object),
                ("token", &self.token),
                ("since", &self.since),
                ("until", &self.until),
                ("cursor", &cursor),
            ];
            let mut query: Vec<(&str, &str)> =
                given.iter().filter_map(|(name, value)| value.as_deref().map(|value| (*name, value))).collect();
            query.push(("limit", &limit));
            let page = client.get(RECORDS.path, &query).await?;
            all.extend(items(&page, "items").iter().cloned());
            match member(&page, "next") {
                Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
                _ => break,
            }
        }
        Ok(all)
    }
}

impl Audit {
    /// Does it.
    ///
    /// # Errors
    /// The command line is wrong, the daemon refuses, or the log is broken.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.connection.client()?;
        match self.command {
            Command::List(list) => {
                let records = list.read(&client).await?;
                output.show(&Value::Array(records), |records| RECORDS.table(&marked(records)))
            }
            Command::Show { seq } => {
                let record = client.get(&["audit", &seq.to_string()], &[]).await?;
                output.show(&record, shown)
            }
            Command::Find { token } => {
                let token = match token.as_str() {
                    "-" => SecretReader::default().read(&Source::Stdin)?,
                    _ => {
                        if is_whole(&token) {
                            output.note(
                                "warning: the token stood on the command line, where `ps` and the shell's history show it; \
                                 next time give `-` and the token on stdin",
                            );
                        }
                        SecretString::from(token)
                    }
                };
                let body = json!({"token": token.expose_secret().trim()});
                let found = client.call(Method::POST, FOUND.path, &[], Some(&body)).await?;
                output.show(&found, told)
            }
            Command::Explain { id } => {
                let body = json!({"support_id": id});
                let explained = client.call(Method::POST, EXPLAINED.path, &[], Some(&body)).await?;
                output.show(&explained, |explained| EXPLAINED.item(explained))
            }
            Command::Verify { noted } => {
                let body = noted.map_or_else(|| json!({}), |noted| json!({"noted": noted}));
                let proof = client.call(Method::POST, &["audit", "verify"], &[], Some(&body)).await?;
                output.show(&proof, proved)?;
                if proof.get("ok") == Some(&Value::Bool(true)) { Ok(()) } else { Err(Failure::Silent(Exit::Failed)) }
            }
        }
    }
}

/// Whether it has more of a token than its id.
fn is_whole(token: &str) -> bool {
    (token.starts_with("tha_") || token.starts_with("thp_")) && token.len() > 17
}

/// A record, for people.
fn shown(record: &Value) -> String {
    let mut pairs = Pairs::default();
    let actor = &record["actor"];
    let who = [member(actor, "kind"), member(actor, "name")].into_iter().flatten().collect::<Vec<_>>().join(" ");
    pairs.add("record", member(record, "seq")).add("at", member(record, "at")).add("who", Some(who));
    pairs.add("by token", member(actor, "token_id"));
    for (label, name) in [("action", "action"), ("on", "object"), ("from", "address"), ("outcome", "outcome")] {
        pairs.add(label, member(record, name));
    }
    let is_tried = record.get("dry_run") == Some(&Value::Bool(true));
    pairs.add("dry run", is_tried.then(|| "yes: nothing was changed".to_owned()));
    pairs.add("reason", member(record, "reason")).add("tokens", member(record, "tokens"));
    let of = |name: &str| record.get(name).and_then(Value::as_object).into_iter().flatten();
    for (name, value) in of("details") {
        let value = scalar(value).filter(|value| !value.is_empty());
        pairs.add(&name.replace('_', " "), value.or_else(|| Some("none".to_owned())));
    }
    for (name, value) in of("digests") {
        pairs.add(&format!("digest of {name}"), scalar(value));
    }
    let items = match items(record, "items") {
        [] => String::new(),
        _ => format!("\n{}", USES.table(&record["items"])),
    };
    pairs.to_text("") + &items
}

/// Records whose outcome says for people what was only tried.
fn marked(records: &Value) -> Value {
    let mut records = records.clone();
    for record in records.as_array_mut().into_iter().flatten() {
        let is_tried = record.get("dry_run") == Some(&Value::Bool(true));
        if let Some(outcome) = record.get_mut("outcome").filter(|_| is_tried) {
            *outcome = format!("{} (dry run)", scalar(outcome).unwrap_or_default()).into();
        }
    }
    records
}

/// What is known of a token, for people.
fn told(found: &Value) -> String {
    let mut text = FOUND.item(found);
    for (name, title, table) in [
        ("uses", "Uses", USES.table(&found["uses"])),
        ("changes", "Done with it and to it", RECORDS.table(&marked(&found["changes"]))),
    ] {
        if !items(found, name).is_empty() {
            text += &format!("\n{title}:\n{table}");
        }
    }
    if found.get("more") == Some(&Value::Bool(true)) {
        text += &format!("\nThere is more: tokenhost audit list --token {}\n", cell(found, "token_id"));
    }
    text
}

/// Whether the log is whole, for people.
fn proved(proof: &Value) -> String {
    let broken = &proof["broken"];
    if proof.get("ok") != Some(&Value::Bool(true)) {
        return format!("the log is broken at record {}: {}", cell(broken, "seq"), cell(broken, "message"));
    }
    let (records, first, last) = (cell(proof, "records"), cell(proof, "first"), cell(proof, "last"));
    format!("the log is whole: {records} records, {first} to {last}\nhead  {}", cell(proof, "head"))
}

/// The pepper that keys the digests of inbound tokens
#[derive(Debug, clap::Args)]
pub(super) struct Pepper {
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
    /// What to do.
    #[command(subcommand)]
    command: PepperCommand,
}

/// What can be done with the pepper.
#[derive(Debug, clap::Subcommand)]
enum PepperCommand {
    /// Retire the pepper and make another; tokens made before have to be rebuilt
    #[command(
        after_help = "Tokens made before are accepted until then where access.application_token.allow_fallback_token is set; rebuild them meanwhile.\n\nExamples:\n  tokenhost pepper rotate --accept-until 2027-01-31\n  tokenhost pepper rotate --refuse-old              # your own token, too: then `tokenhost init --rebuild`"
    )]
    Rotate {
        /// Until when tokens made before are accepted: a time like 2026-11-22T10:00:00Z, or a day, its end included
        #[arg(long, value_name = "TIME", required_unless_present = "refuse_old")]
        accept_until: Option<String>,
        /// Refuse all tokens made before from now on, as where the key leaked
        #[arg(long, conflicts_with = "accept_until")]
        refuse_old: bool,
    },
}

impl Pepper {
    /// Does it.
    ///
    /// # Errors
    /// The daemon refuses.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let PepperCommand::Rotate { accept_until, .. } = self.command;
        super::key::pepper(&self.connection.client()?, accept_until, output).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_token_is_told() {
        let record = json!({"seq": 7, "at": "T", "actor": {"kind": "user", "name": "ada"}, "action": "user.create",
            "object": "users/eve", "outcome": "done"});
        let text = told(&json!({"token_id": "abc", "known": true, "value": "current", "use_count": 3, "more": true,
            "uses": [{"address": "192.0.2.1", "door": "token", "count": 3, "first": "T", "last": "T"}],
            "changes": [record]}));
        assert_eq!(
            text,
            "token      abc\nknown      true\nvalue      current\nuse count  3\n\n\
             Uses:\nFROM       DOOR   REFUSED  TIMES  LAST\n192.0.2.1  token  -        3      T\n\n\
             Done with it and to it:\nSEQ  AT  WHO  ACTION       ON         FROM  OUTCOME\n\
             7    T   ada  user.create  users/eve  -     done\n\n\
             There is more: tokenhost audit list --token abc\n"
        );
    }

    #[test]
    fn a_record_is_shown_with_its_details() {
        let record = json!({"seq": 7, "at": "T", "actor": {"kind": "user", "name": "ada"}, "action": "user.change",
            "object": "users/eve", "outcome": "done", "dry_run": true, "details": {"changed": "contact.email"},
            "digests": {"token": "ab"}});
        assert_eq!(
            shown(&record),
            "record           7\nat               T\nwho              user ada\naction           user.change\n\
             on               users/eve\noutcome          done\ndry run          yes: nothing was changed\n\
             changed          contact.email\ndigest of token  ab\n"
        );
    }

    #[test]
    fn what_was_only_tried_is_told_apart() {
        let records = json!([{"outcome": "done", "dry_run": true}, {"outcome": "done"}, {"dry_run": true}]);
        let outcomes: Vec<_> = marked(&records).as_array().unwrap().iter().map(|one| one["outcome"].clone()).collect();
        assert_eq!(outcomes, [json!("done (dry run)"), json!("done"), Value::Null]);
    }

    #[test]
    fn proofs_are_told() {
        let whole = json!({"ok": true, "first": 1, "last": 9, "records": 9, "head": "9:ab"});
        assert_eq!(proved(&whole), "the log is whole: 9 records, 1 to 9\nhead  9:ab");
        let broken = json!({"ok": false, "broken": {"seq": 4, "fault": "missing", "message": "it is missing"}});
        assert_eq!(proved(&broken), "the log is broken at record 4: it is missing");
    }
}
