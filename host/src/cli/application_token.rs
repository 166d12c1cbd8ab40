//! `tokenhost application-token …`: tokens that are principals of their own.

use serde_json::{Value, json};

use super::client::{Client, Connection};
use super::exit::{Exit, Failure};
use super::noun::{Body, Noun};
use super::output::{Output, member};
use super::standing::Standing;

/// What people see of application tokens.
const TOKENS: Noun<6> = Noun {
    word: "application token",
    path: &["application-tokens"],
    columns: [
        ("ID", "id"),
        ("NAME", "name"),
        ("STATE", "state"),
        ("SCOPES", "scopes"),
        ("PROFILES", "profiles"),
        ("ENDS", "expiration_date"),
    ],
    lines: &[
        ("id", "id"),
        ("name", "name"),
        ("state", "state"),
        ("first name", "contact.first_name"),
        ("contact", "contact.name"),
        ("email", "contact.email"),
        ("organization", "contact.organization"),
        ("profiles", "profiles"),
        ("allowed organizations", "allowed_organizations"),
        ("scopes", "scopes"),
        ("ends", "expiration_date"),
        ("console", "console"),
        ("use count", "use_count"),
        ("last use", "last_use"),
        ("from", "last_use_address"),
        ("rebuilt", "rebuilt_at"),
        ("deleted", "deleted_at"),
        ("deleted by", "deleted_by"),
        ("kept by source", "source"),
        ("created", "created_at"),
        ("created by", "created_by"),
    ],
    none: "no application tokens; `tokenhost application-token create NAME --profile NAME` makes one",
};

/// Application tokens: for programs that are principals of their own
#[derive(Debug, clap::Args)]
pub(super) struct ApplicationToken {
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done with application tokens.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make an application token, and print its value alone on stdout, once
    #[command(
        after_help = "Examples:\n  tokenhost application-token create crm-sync --profile 'Integration User' \\\n      --profile 'REST Services User' --scope REST/JSON > crm-sync.token\n  tokenhost application-token create nightly --profile Auditor --scope Export --ends 2027-06-30 --json"
    )]
    Create {
        /// The remote application's name
        name: String,
        /// Profiles, contact, organizations.
        #[command(flatten)]
        standing: Box<Standing>,
        /// What else is an application token's.
        #[command(flatten)]
        own: Own,
    },
    /// List the application tokens, also those that ended or were deleted
    #[command(
        after_help = "Examples:\n  tokenhost application-token list\n  tokenhost application-token list --state valid --json"
    )]
    List {
        /// Only those in this state
        #[arg(long, value_parser = ["valid", "expired", "disabled", "deleted"])]
        state: Option<String>,
    },
    /// Show an application token and its use, without its value
    #[command(
        after_help = "Examples:\n  tokenhost application-token show crm-sync\n  tokenhost application-token show 4fG7hJ9kLmN2"
    )]
    Show {
        /// The token's id, or the application's name
        #[arg(value_name = "ID | NAME")]
        token: String,
    },
    /// Change an application token; what is left out stays
    #[command(
        after_help = "Examples:\n  tokenhost application-token change crm-sync --scope REST/JSON --scope Import\n  tokenhost application-token change crm-sync --unset expiration_date"
    )]
    Change {
        /// The token's id, or the application's name
        #[arg(value_name = "ID | NAME")]
        token: String,
        /// Profiles, contact, organizations.
        #[command(flatten)]
        standing: Box<Standing>,
        /// What else is an application token's.
        #[command(flatten)]
        own: Own,
        /// A member to unset: `scopes`, `expiration_date`, `contact.email` and the like
        #[arg(long, value_name = "MEMBER")]
        unset: Vec<String>,
    },
    /// Replace a token's value, and print the new one alone on stdout, once
    #[command(
        after_help = "Examples:\n  tokenhost application-token rebuild crm-sync > crm-sync.token\n  tokenhost application-token rebuild crm-sync --grace 3600"
    )]
    Rebuild {
        /// The token's id, or the application's name
        #[arg(value_name = "ID | NAME")]
        token: String,
        /// Seconds that the old value works beside the new one, at most 604800
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        grace: u64,
    },
    /// Let an application in again
    #[command(after_help = "Examples:\n  tokenhost application-token enable crm-sync")]
    Enable {
        /// The token's id, or the application's name
        #[arg(value_name = "ID | NAME")]
        token: String,
    },
    /// Let an application in no more, until it is enabled
    #[command(after_help = "Examples:\n  tokenhost application-token disable crm-sync")]
    Disable {
        /// The token's id, or the application's name
        #[arg(value_name = "ID | NAME")]
        token: String,
    },
    /// Delete an application token; it is refused from then on, and stays visible as deleted
    #[command(after_help = "Examples:\n  tokenhost application-token delete crm-sync")]
    Delete {
        /// The token's id, or the application's name
        #[arg(value_name = "ID | NAME")]
        token: String,
    },
}

/// What only application tokens have.
#[derive(Debug, clap::Args)]
struct Own {
    /// A scope that it is limited to; once for each. Without any, it works in all
    #[arg(long, value_name = "NAME")]
    scope: Vec<String>,
    /// When it ends: a time like 2026-11-22T10:00:00Z, or a day, of which it is the end
    #[arg(long, value_name = "TIME")]
    ends: Option<String>,
    /// Whether it may open user interfaces
    #[arg(long, value_name = "BOOL")]
    console: Option<bool>,
}

impl Own {
    /// A body with it, and with what is common.
    fn body(self, standing: Standing) -> Body {
        let mut body = Body::default();
        standing.add_to(&mut body);
        body.list("scopes", self.scope).set("expiration_date", self.ends).set("console", self.console);
        body
    }
}

/// Whether it may be a token's id.
fn is_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The id of the token that was named: by its id, or by the name of its application.
async fn id_of(client: &Client, named: &str) -> Result<String, Failure> {
    if is_id(named) {
        match client.get(&["application-tokens", named], &[]).await {
            Ok(_) => return Ok(named.to_owned()),
            // It may be a name that looks like an id.
            Err(Failure::Problem(problem)) if matches!(problem.exit(), Exit::NotFound | Exit::Refused) => {}
            Err(failure) => return Err(failure),
        }
    }
    let all = client.list(&["application-tokens"], &[]).await?;
    let is_it = |token: &&Value| token["name"] == named && token["state"] != json!("deleted");
    let id = all.iter().find(is_it).and_then(|token| member(token, "id"));
    id.ok_or_else(|| {
        Failure::of(Exit::NotFound, format!("there is no application token {named}"))
            .hint("`tokenhost application-token list` shows those that there are; deleted ones are named by their id.")
    })
}

impl ApplicationToken {
    /// Does it.
    ///
    /// # Errors
    /// The command line is wrong, or the daemon refuses.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.connection.client()?;
        let set_status = async |token: &str, status: &str| {
            let mut body = Body::default();
            body.set("status", Some(status));
            TOKENS.change(&client, &id_of(&client, token).await?, body, output).await
        };
        match self.command {
            Command::Create { name, standing, own } => {
                let mut body = own.body(*standing);
                body.set("name", Some(name));
                TOKENS.create(&client, body, output).await
            }
            Command::List { state } => {
                let query: Vec<_> = state.as_deref().map(|state| ("state", state)).into_iter().collect();
                TOKENS.list(&client, &query, output).await
            }
            Command::Show { token } => TOKENS.show(&client, &id_of(&client, &token).await?, output).await,
            Command::Change { token, standing, own, unset } => {
                let mut body = own.body(*standing);
                body.unset(&unset)?;
                TOKENS.change(&client, &id_of(&client, &token).await?, body, output).await
            }
            Command::Rebuild { token, grace } => {
                TOKENS.rebuild(&client, &id_of(&client, &token).await?, grace, output).await
            }
            Command::Enable { token } => set_status(&token, "enabled").await,
            Command::Disable { token } => set_status(&token, "disabled").await,
            Command::Delete { token } => TOKENS.delete(&client, &id_of(&client, &token).await?, output).await,
        }
    }
}
