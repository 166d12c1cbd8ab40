//! `tokenhost status`: one screen with what needs attention, and the command that helps. It asks the daemon, and draws.

use std::io::IsTerminal as _;
use std::time::Duration;

use serde_json::Value;

use super::client::{Client, Connection};
use super::exit::{Exit, Failure};
use super::output::{Output, cell, items, member};

/// How often `--watch` looks again.
const EVERY: Duration = Duration::from_secs(5);
/// Clears a terminal and goes to its upper left corner (ECMA-48, ED and CUP).
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";

/// Show what needs attention, the worst first, and what to do about it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code 1: something needs attention.\n\nExamples:\n  tokenhost status\n  tokenhost status --watch\n  tokenhost status --ready && echo 'it answers'\n  tokenhost status --json | jq -r '.attention[].remedy'"
)]
pub(super) struct Status {
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
    /// Look again every few seconds, until it is interrupted
    #[arg(long)]
    watch: bool,
    /// Only whether the daemon answers calls, by the exit code; needs no token
    #[arg(long, conflicts_with = "watch")]
    ready: bool,
    /// Things shown at most, up to 1000
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

impl Status {
    /// Does it.
    ///
    /// # Errors
    /// The daemon doesn't answer or refuses; or something needs attention, which is said already.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        if self.ready {
            return self.connection.ready().await;
        }
        let client = self.connection.client()?;
        loop {
            let looked = self.look(&client).await;
            if !self.watch {
                let status = looked?;
                output.show(&status, screen)?;
                let is_well = items(&status, "attention").is_empty();
                return if is_well { Ok(()) } else { Err(Failure::Silent(Exit::Failed)) };
            }
            match looked {
                Ok(status) if output.is_json() => output.raw(&format!("{status}\n"))?,
                Ok(status) => {
                    if std::io::stdout().is_terminal() {
                        output.raw(CLEAR)?;
                    }
                    output.text(&screen(&status))?;
                }
                // A daemon that is restarted is looked for again.
                Err(failure) if failure.code() == Exit::Unreachable as u8 => output.note(&failure.text()),
                Err(failure) => return Err(failure),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn look(&self, client: &Client) -> Result<Value, Failure> {
        client.get(&["status"], &[("limit", &self.limit.to_string())]).await
    }
}

/// All of it, on one screen.
fn screen(status: &Value) -> String {
    let daemon = status.get("daemon").unwrap_or(&Value::Null);
    let ready = if daemon.get("ready") == Some(&Value::Bool(true)) { "ready" } else { "stopping" };
    let seconds = daemon.get("uptime_seconds").and_then(Value::as_u64).unwrap_or(0);
    let mut text = format!("tokenhost {}, up {}, {ready}\n", cell(daemon, "version"), lasted(seconds));
    for item in items(status, "attention") {
        text += "\n";
        text += &self::item(item);
    }
    match status.get("more").and_then(Value::as_u64) {
        Some(0) | None => {}
        Some(more) => text += &format!("\nand {more} more; --limit shows them\n"),
    }
    text += "\n";
    text += &well(status);
    text
}

/// What is wrong with one thing, and what to do about it.
fn item(item: &Value) -> String {
    let mut text = format!("{} {}: {}\n", mark(item), cell(item, "subject"), cell(item, "kind").replace('_', " "));
    text += &format!("    {}\n", cell(item, "message"));
    let times = [("since", "since"), ("next try", "retry_at"), ("works until", "works_until")];
    let times = times.iter().filter_map(|(label, name)| Some(format!("{label} {}", member(item, name)?)));
    let times: Vec<String> = times.collect();
    if !times.is_empty() {
        text += &format!("    {}\n", times.join(", "));
    }
    text + &format!("    $ {}\n", cell(item, "remedy"))
}

/// How bad it is, at one glance.
fn mark(item: &Value) -> &'static str {
    if item.get("severity").and_then(Value::as_str) == Some("error") { "!!" } else { " !" }
}

/// How much is well.
fn well(status: &Value) -> String {
    let count = |name: &str, one: &str, many: &str| {
        let count = status.pointer(&format!("/healthy/{name}"))?.as_u64()?;
        Some(format!("{count} {}", if count == 1 { one } else { many }))
    };
    let counts = [
        count("integrations", "integration", "integrations"),
        count("flows", "flow", "flows"),
        count("webhooks", "webhook", "webhooks"),
    ];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    let begun = if items(status, "attention").is_empty() { "all is well" } else { "well besides" };
    let rest = match status.get("complete").and_then(Value::as_bool) {
        Some(false) => "\nthe daemon has just started, and hasn't looked at all integrations yet",
        _ => "",
    };
    format!("{begun}: {}{rest}\n", counts.join(", "))
}

/// A time span for people.
fn lasted(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_screen_says_what_is_wrong_and_what_to_do() {
        let status = json!({
            "daemon": {"version": "0.1.0", "uptime_seconds": 90_061, "ready": true},
            "attention": [
                {"kind": "person_needed", "severity": "error", "subject": "integration/crm", "message": "its token ended",
                 "remedy": "tokenhost integration connect crm"},
                {"kind": "failing", "severity": "warning", "subject": "integration/erp", "message": "invalid_client: no",
                 "remedy": "tokenhost integration test erp", "since": "t1", "retry_at": "t2", "works_until": "t3"},
            ],
            "more": 3, "healthy": {"integrations": 1, "flows": 7, "webhooks": 0}, "complete": false,
        });
        assert_eq!(
            screen(&status),
            "tokenhost 0.1.0, up 1 d 1 h, ready\n\n\
             !! integration/crm: person needed\n    its token ended\n    $ tokenhost integration connect crm\n\n \
             ! integration/erp: failing\n    invalid_client: no\n    since t1, next try t2, works until t3\n    $ tokenhost integration test erp\n\n\
             and 3 more; --limit shows them\n\n\
             well besides: 1 integration, 7 flows, 0 webhooks\nthe daemon has just started, and hasn't looked at all integrations yet\n"
        );
        let well = json!({"daemon": {"version": "1", "uptime_seconds": 59, "ready": true}, "attention": [], "more": 0,
            "healthy": {"integrations": 12}, "complete": true});
        assert_eq!(screen(&well), "tokenhost 1, up 59 s, ready\n\nall is well: 12 integrations\n");
        assert_eq!([lasted(60), lasted(3_700)], ["1 min", "1 h 1 min"]);
    }
}
