//! `tokenhost event …`: what happened, listed, and as it happens. Reads the daemon's stream; keeps nothing.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::client::{Client, Connection};
use super::exit::{Exit, Failure};
use super::output::{Output, cell, member, table};

/// How long to wait before a stream that ended is opened again.
const AGAIN: Duration = Duration::from_secs(1);
/// The same after several failures.
const LATER: Duration = Duration::from_secs(15);
/// The longest line of a stream. Events are shorter by far.
const MOST: usize = 1 << 20;

/// Events: what happened that somebody may have to act on
#[derive(Debug, clap::Args)]
pub(super) struct Event {
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done with events.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the last events, the newest first
    #[command(
        after_help = "Examples:\n  tokenhost event list\n  tokenhost event list --integration crm-prod --kind token.renewal_failing,token.person_needed\n  tokenhost event list --limit 1000 --json"
    )]
    List {
        /// Which.
        #[command(flatten)]
        which: Which,
        /// Events shown at most, up to 1000
        #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Show events as they happen, until it is interrupted; goes on by itself where the daemon was away
    #[command(
        after_help = "With --json, each event is one line.\n\nExamples:\n  tokenhost event follow\n  tokenhost event follow --kind token.person_needed --json | while read -r event; do notify \"$event\"; done\n  tokenhost event follow --after 01KA1V8D4M6Q2ZJ5W0T3B7N9XE"
    )]
    Follow {
        /// Which.
        #[command(flatten)]
        which: Which,
        /// Begin after the event with this id; not given: now
        #[arg(long, value_name = "EVENT")]
        after: Option<String>,
    },
}

/// Which events.
#[derive(Debug, clap::Args)]
struct Which {
    /// Only events of this kind; several with commas
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only events about this integration
    #[arg(long, value_name = "NAME")]
    integration: Option<String>,
}

impl Which {
    fn query(&self) -> Vec<(&'static str, &str)> {
        let given = [("kind", self.kind.as_deref()), ("integration", self.integration.as_deref())];
        given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

impl Event {
    /// Does it.
    ///
    /// # Errors
    /// The command line is wrong, or the daemon refuses.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.connection.client()?;
        match self.command {
            Command::List { which, limit } => {
                let limit = limit.to_string();
                let mut query = which.query();
                query.push(("limit", &limit));
                let mut page = client.get(&["events"], &query).await?;
                let items = page.get_mut("items").map(Value::take).unwrap_or_default();
                output.show(&items, list)
            }
            Command::Follow { which, after } => follow(&client, &which, after, output).await,
        }
    }
}

/// Events as a table.
fn list(events: &Value) -> String {
    let row = |event: &Value| [cell(event, "at"), cell(event, "severity"), cell(event, "kind"), cell(event, "message")];
    let rows: Vec<_> = events.as_array().into_iter().flatten().map(row).collect();
    if rows.is_empty() { "no events".to_owned() } else { table(["WHEN", "SEVERITY", "KIND", "WHAT"], &rows) }
}

/// An event on a line of its own, and what to do on the next.
fn line(event: &Value) -> String {
    let remedy = member(event, "remedy").map_or_else(String::new, |remedy| format!("\n    {remedy}"));
    format!(
        "{}  {:<7}  {:<26}  {}{remedy}",
        cell(event, "at"),
        cell(event, "severity"),
        cell(event, "kind"),
        cell(event, "message")
    )
}

/// Follows the stream, again and again.
async fn follow(client: &Client, which: &Which, after: Option<String>, output: Output) -> Result<(), Failure> {
    let mut reader = Reader { id: after, ..Reader::default() };
    let mut failures = 0_u32;
    loop {
        let mut query = which.query();
        query.extend(reader.id.as_deref().map(|id| ("after", id)));
        match client.stream(&["events", "stream"], &query).await {
            Ok(mut answer) => {
                failures = 0;
                // That it ends is no failure: it goes on where it was.
                while let Ok(Some(chunk)) = answer.chunk().await {
                    for (kind, event) in reader.take(&chunk)? {
                        show(&kind, &event, output)?;
                    }
                }
                reader.rest.clear();
            }
            Err(failure) if is_lasting(&failure) => return Err(failure),
            // A daemon that was never there is one that the command line names wrongly.
            Err(failure) if failures == 0 && reader.id.is_none() => return Err(failure),
            Err(failure) => {
                if failures == 0 {
                    output.note(&format!("{}; trying again", failure.text()));
                }
                failures += 1;
            }
        }
        tokio::time::sleep(if failures > 5 { LATER } else { AGAIN }).await;
    }
}

/// Whether trying again doesn't help.
fn is_lasting(failure: &Failure) -> bool {
    match failure {
        Failure::Problem(problem) => {
            let status =
                problem.document().get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
            let status = status.and_then(|status| StatusCode::from_u16(status).ok());
            status.is_some_and(|status| status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS)
        }
        failure => failure.code() != Exit::Unreachable as u8,
    }
}

fn show(kind: &str, event: &Value, output: Output) -> Result<(), Failure> {
    if kind == "gap" {
        output.note(&cell(event, "message"));
        return Ok(());
    }
    if output.is_json() { output.raw(&format!("{event}\n")) } else { output.text(&line(event)) }
}

/// Reads server-sent events (WHATWG HTML, section 9.2.6), as far as the daemon sends them.
#[derive(Default)]
struct Reader {
    /// What came after the last line's end.
    rest: Vec<u8>,
    /// The last event's id.
    id: Option<String>,
    /// Of the event that is being read: its kind and data.
    kind: String,
    data: String,
}

impl Reader {
    /// The events that end in this chunk.
    fn take(&mut self, chunk: &[u8]) -> Result<Vec<(String, Value)>, Failure> {
        let mut events = Vec::new();
        self.rest.extend_from_slice(chunk);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" if line.is_empty() => {
                    let (kind, data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
                    if let Ok(event) = serde_json::from_str(&data) {
                        events.push((kind, event));
                    }
                }
                "id" => self.id = Some(value.to_owned()),
                "event" => value.clone_into(&mut self.kind),
                "data" => self.data.push_str(value),
                _ => {} // a comment, or what a later version says
            }
        }
        if self.rest.len() + self.data.len() > MOST {
            return Err(Failure::failed("the daemon sends something that is no stream of events"));
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stream_is_read_however_it_is_cut() {
        let text = "retry: 3000\n\nid: 01A\nevent: token.renewed\ndata: {\"a\":\"é\"}\n\n: still here\nid: 01B\n\nevent: gap\r\ndata: {}\r\n\r\n";
        for size in [1, 2, 7, text.len()] {
            let mut reader = Reader::default();
            let mut events = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                events.extend(reader.take(chunk).unwrap());
            }
            let expected = [("token.renewed".to_owned(), json!({"a": "é"})), ("gap".to_owned(), json!({}))];
            assert_eq!((events.as_slice(), reader.id.as_deref()), (&expected[..], Some("01B")), "{size}");
        }
        assert!(Reader::default().take(&vec![b'x'; MOST + 1]).is_err());
    }

    #[test]
    fn events_are_lines_with_their_remedy_below() {
        let event = json!({"at": "2026-11-22T10:00:00Z", "severity": "error", "kind": "token.person_needed",
            "message": "crm: nobody", "remedy": "tokenhost integration connect crm"});
        let expected = "2026-11-22T10:00:00Z  error    token.person_needed         crm: nobody\n    tokenhost integration connect crm";
        assert_eq!(line(&event), expected);
        assert!(list(&json!([event])).ends_with("error     token.person_needed  crm: nobody\n"));
        assert_eq!(list(&json!([])), "no events");
    }
}
