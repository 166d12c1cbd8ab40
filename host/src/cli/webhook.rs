//! `tokenhost webhook …`: where events are sent.

use reqwest::Method;
use serde_json::{Value, json};

use super::client::Connection;
use super::exit::{Exit, Failure};
use super::noun::{Body, Noun};
use super::output::{Output, cell, items, member, table};

/// What people see of webhooks.
const WEBHOOKS: Noun<5> = Noun {
    word: "webhook",
    path: &["webhooks"],
    columns: [
        ("NAME", "name"),
        ("STATE", "state"),
        ("DELIVERED", "delivered"),
        ("LAST", "succeeded_at"),
        ("URL", "url"),
    ],
    lines: &[
        ("name", "name"),
        ("url", "url"),
        ("kinds", "kinds"),
        ("integrations", "integrations"),
        ("organizations", "organizations"),
        ("state", "state"),
        ("problem", "problem"),
        ("since", "problem_since"),
        ("next try", "next_try_at"),
        ("waiting", "waiting"),
        ("delivered", "delivered"),
        ("given up", "given_up"),
        ("last success", "succeeded_at"),
        ("old secret signs until", "old_secret_signs_until"),
        ("created", "created_at"),
        ("changed", "updated_at"),
    ],
    none: "no webhooks",
};

/// Webhooks: URLs that events are sent to, signed
#[derive(Debug, clap::Args)]
pub(super) struct Webhook {
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done with webhooks.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a webhook; its secret is printed this once
    #[command(
        after_help = "Deliveries are signed as Standard Webhooks says; its libraries verify them with the secret.\n\nExamples:\n  tokenhost webhook create ops --url https://ops.example/hooks/tokenhost >whsec.txt\n  tokenhost webhook create crm-only --url https://ops.example/crm --integration crm-prod \\\n      --kind token.renewal_failing --kind token.person_needed"
    )]
    Create {
        /// The new webhook's name
        name: String,
        /// What it is.
        #[command(flatten)]
        members: Members,
    },
    /// List the webhooks
    #[command(after_help = "Examples:\n  tokenhost webhook list\n  tokenhost webhook list --json")]
    List,
    /// Show a webhook and its last deliveries
    #[command(after_help = "Examples:\n  tokenhost webhook show ops")]
    Show {
        /// The webhook
        name: String,
    },
    /// Change a webhook; what failed is tried again at once
    #[command(
        after_help = "Examples:\n  tokenhost webhook change ops --url https://new.example/hooks\n  tokenhost webhook change ops --enable\n  tokenhost webhook change ops --unset kinds"
    )]
    Change {
        /// The webhook
        name: String,
        /// What it is.
        #[command(flatten)]
        members: Members,
        /// Deliver again; it goes on where it stopped, as far as events are kept
        #[arg(long, conflicts_with = "disable")]
        enable: bool,
        /// Deliver nothing any more
        #[arg(long)]
        disable: bool,
        /// A list to empty, so that it wants all: `kinds`, `integrations` or `organizations`
        #[arg(long, value_name = "MEMBER", value_parser = ["kinds", "integrations", "organizations"])]
        unset: Vec<String>,
    },
    /// Delete a webhook; what wasn't delivered isn't any more
    #[command(after_help = "Examples:\n  tokenhost webhook delete ops")]
    Delete {
        /// The webhook
        name: String,
    },
    /// Send a test event to a webhook, and say what became of it
    #[command(after_help = "Examples:\n  tokenhost webhook test ops")]
    Test {
        /// The webhook
        name: String,
    },
    /// Give a webhook another secret, which is printed this once; the old one signs beside it for a while
    #[command(
        after_help = "Examples:\n  tokenhost webhook rotate-secret ops >whsec.txt\n  tokenhost webhook rotate-secret ops --grace 0   # the old one has leaked"
    )]
    RotateSecret {
        /// The webhook
        name: String,
        /// Seconds that the old secret signs, too
        #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
        grace: u64,
    },
}

/// What a webhook has beside its name.
#[derive(Debug, clap::Args)]
struct Members {
    /// Where events go
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A kind of events that it wants, e.g. token.person_needed; once for each. Not given: all
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// An integration whose events it wants; once for each. Not given: all
    #[arg(long, value_name = "NAME")]
    integration: Vec<String>,
    /// An organization whose events it wants, with all that is part of it; once for each. Not given: all
    #[arg(long, value_name = "NAME")]
    organization: Vec<String>,
}

impl Members {
    fn body(self) -> Body {
        let mut body = Body::default();
        body.set("url", self.url).list("kinds", self.kind).list("integrations", self.integration);
        body.list("organizations", self.organization);
        body
    }
}

impl Webhook {
    /// Does it.
    ///
    /// # Errors
    /// The command line is wrong, or the daemon refuses.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.connection.client()?;
        match self.command {
            Command::Create { name, members } => {
                let mut body = members.body();
                body.set("name", Some(name));
                let made = client.call(Method::POST, WEBHOOKS.path, &[], Some(&body.into_value())).await?;
                made_secret(&made, output)
            }
            Command::List => WEBHOOKS.list(&client, &[], output).await,
            Command::Show { name } => output.show(&client.get(&["webhooks", &name], &[]).await?, shown),
            Command::Change { name, members, enable, disable, unset } => {
                let mut body = members.body();
                body.set("enabled", (enable || disable).then_some(enable)).unset(&unset)?;
                WEBHOOKS.change(&client, &name, body, output).await
            }
            Command::Delete { name } => WEBHOOKS.delete(&client, &name, output).await,
            Command::Test { name } => {
                let delivery = client.call(Method::POST, &["webhooks", &name, "test"], &[], None).await?;
                output.show(&delivery, |delivery| format!("{name}: {}", outcome(delivery)))?;
                match delivery.get("delivered").and_then(Value::as_bool) {
                    Some(true) => Ok(()),
                    _ => Err(Failure::Silent(Exit::Failed)),
                }
            }
            Command::RotateSecret { name, grace } => {
                let body = json!({"grace_seconds": grace});
                let made = client.call(Method::POST, &["webhooks", &name, "secret"], &[], Some(&body)).await?;
                made_secret(&made, output)
            }
        }
    }
}

/// Prints a secret that is shown this once, alone on stdout.
fn made_secret(made: &Value, output: Output) -> Result<(), Failure> {
    if !output.is_json() {
        let mut hint = format!("webhook {}: the secret below is shown this once", cell(made, "name"));
        if let Some(until) = member(made, "old_secret_signs_until") {
            hint += &format!("; the old one signs, too, until {until}");
        }
        output.note(&hint);
    }
    output.show(made, |made| cell(made, "secret"))
}

/// A webhook and its last deliveries.
fn shown(webhook: &Value) -> String {
    let row = |delivery: &Value| {
        [
            cell(delivery, "at"),
            cell(delivery, "kind"),
            cell(delivery, "tries"),
            outcome(delivery),
            cell(delivery, "event"),
        ]
    };
    let rows: Vec<_> = items(webhook, "deliveries").iter().map(row).collect();
    let deliveries = table(["WHEN", "KIND", "TRY", "OUTCOME", "EVENT"], &rows);
    let between = if deliveries.is_empty() { "" } else { "\n" };
    format!("{}{between}{deliveries}", WEBHOOKS.item(webhook))
}

/// What became of a delivery.
fn outcome(delivery: &Value) -> String {
    let what = match (member(delivery, "status"), member(delivery, "error")) {
        (Some(status), _) => format!("status {status}"),
        (None, Some(error)) => error,
        (None, None) => "no answer".to_owned(),
    };
    let verb = if delivery.get("delivered") == Some(&Value::Bool(true)) { "delivered" } else { "not delivered" };
    format!("{verb}, {what}, {} ms", cell(delivery, "milliseconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_are_told_in_a_line_each() {
        let webhook = json!({"name": "ops", "url": "https://o", "state": "failing", "kinds": [], "deliveries": [
            {"at": "t", "kind": "webhook.test", "tries": 1, "delivered": false, "error": "https://o could not be reached",
             "milliseconds": 3, "event": "01A"},
            {"at": "t", "kind": "webhook.test", "tries": 2, "delivered": true, "status": 204, "milliseconds": 4, "event": "01B"},
        ]});
        let text = shown(&webhook);
        assert!(text.contains("state  failing") && text.contains("\nWHEN  KIND"), "{text}");
        assert!(text.contains("not delivered, https://o could not be reached, 3 ms"), "{text}");
        assert!(text.contains("  delivered, status 204, 4 ms"), "{text}");
    }
}
