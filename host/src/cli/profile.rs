//! `tokenhost profile …`: named sets of rights.

use serde_json::{Value, json};

use super::client::Connection;
use super::exit::Failure;
use super::noun::{Body, Noun};
use super::output::Output;

/// What people see of profiles.
const PROFILES: Noun<4> = Noun {
    word: "profile",
    path: &["profiles"],
    columns: [("NAME", "name"), ("SHIPPED", "shipped"), ("RIGHTS", "rights"), ("DESCRIPTION", "description")],
    lines: &[
        ("name", "name"),
        ("description", "description"),
        ("shipped", "shipped"),
        ("rights", "rights"),
        ("grants", "grants"),
        ("changed", "updated_at"),
    ],
    none: "no profiles",
};

/// Profiles: named sets of rights that users and application tokens hold
#[derive(Debug, clap::Args)]
pub(super) struct Profile {
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done with profiles.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a profile
    #[command(
        after_help = "To call the API, a principal needs the profile 'REST Services User' beside those that give rights.\n\nExamples:\n  tokenhost profile create 'Reader' --right read_integrations --right read_models\n  tokenhost profile create 'CRM caller' --grant use_tokens,read_token_values:integration=crm-prod\n  tokenhost profile create 'Contact reader' --grant 'use_tokens:integration=crm-prod,operation=GET /contacts/*'\n  tokenhost profile create 'North' --grant read_integrations:organization=north,organization=sales"
    )]
    Create {
        /// The new profile's name
        name: String,
        /// What it gives.
        #[command(flatten)]
        members: Members,
    },
    /// List the profiles
    #[command(after_help = "Examples:\n  tokenhost profile list\n  tokenhost profile list --json")]
    List,
    /// Show a profile
    #[command(after_help = "Examples:\n  tokenhost profile show Auditor")]
    Show {
        /// The profile
        name: String,
    },
    /// Change a profile that doesn't ship; what is left out stays
    #[command(
        after_help = "Examples:\n  tokenhost profile change Reader --right read_integrations\n  tokenhost profile change Reader --unset grants"
    )]
    Change {
        /// The profile
        name: String,
        /// What it gives.
        #[command(flatten)]
        members: Members,
        /// A list to empty: `rights` or `grants`
        #[arg(long, value_name = "MEMBER")]
        unset: Vec<String>,
    },
    /// Delete a profile that doesn't ship; its holders lose what it gave
    #[command(after_help = "Examples:\n  tokenhost profile delete Reader")]
    Delete {
        /// The profile
        name: String,
    },
}

/// What a profile has beside its name.
#[derive(Debug, clap::Args)]
struct Members {
    /// What it is for
    #[arg(long)]
    description: Option<String>,
    /// A right on all that the holder's organizations hold, e.g. read_integrations; once for each
    #[arg(long, value_name = "RIGHT")]
    right: Vec<String>,
    /// Rights on some things only; things are `organization=NAME` (with all that is part of it) and `integration=NAME`
    #[arg(long, value_name = "RIGHT[,RIGHT]:THING[,THING]")]
    grant: Vec<String>,
}

impl Members {
    fn body(self) -> Result<Body, Failure> {
        let mut body = Body::default();
        let grants = self.grant.iter().map(|text| grant(text)).collect::<Result<Vec<_>, _>>()?;
        body.set("description", self.description).list("rights", self.right);
        body.set("grants", Some(grants).filter(|grants| !grants.is_empty()));
        Ok(body)
    }
}

/// Reads `use_tokens,read_models:organization=north,integration=crm`.
fn grant(text: &str) -> Result<Value, Failure> {
    let fault = || {
        Failure::usage(
            "--grant takes rights, a colon, and things: use_tokens:organization=NAME,integration=NAME,operation=ID",
        )
    };
    let (rights, things) = text.split_once(':').ok_or_else(fault)?;
    let (mut organizations, mut integrations, mut operations) = (Vec::new(), Vec::new(), Vec::new());
    for thing in things.split(',') {
        match thing.split_once('=') {
            Some(("organization", name)) if !name.is_empty() => organizations.push(name),
            Some(("integration", name)) if !name.is_empty() => integrations.push(name),
            Some(("operation", name)) if !name.is_empty() => operations.push(name),
            _ => return Err(fault()),
        }
    }
    let rights: Vec<&str> = rights.split(',').filter(|right| !right.is_empty()).collect();
    if rights.is_empty() {
        return Err(fault());
    }
    let mut grant = json!({"rights": rights, "organizations": organizations, "integrations": integrations});
    if !operations.is_empty() {
        grant["operations"] = operations.into();
    }
    Ok(grant)
}

impl Profile {
    /// Does it.
    ///
    /// # Errors
    /// The command line is wrong, or the daemon refuses.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let connection = &self.connection;
        match self.command {
            Command::Create { name, members } => {
                let mut body = members.body()?;
                body.set("name", Some(name));
                PROFILES.create(&connection.client()?, body, output).await
            }
            Command::List => PROFILES.list(&connection.client()?, &[], output).await,
            Command::Show { name } => PROFILES.show(&connection.client()?, &name, output).await,
            Command::Change { name, members, unset } => {
                let mut body = members.body()?;
                body.unset(&unset)?;
                PROFILES.change(&connection.client()?, &name, body, output).await
            }
            Command::Delete { name } => PROFILES.delete(&connection.client()?, &name, output).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_read() {
        let check = |text: &str, expected: Option<Value>| assert_eq!(grant(text).ok(), expected, "{text}");
        check(
            "a,b:organization=o,integration=i",
            Some(json!({"rights": ["a", "b"], "organizations": ["o"], "integrations": ["i"]})),
        );
        let limited =
            json!({"rights": ["a"], "organizations": [], "integrations": ["i"], "operations": ["GET /x/*", "b"]});
        check("a:integration=i,operation=GET /x/*,operation=b", Some(limited));
        check("a:integration=i", Some(json!({"rights": ["a"], "organizations": [], "integrations": ["i"]})));
        for none in ["a", "a:", ":integration=i", "a:i", "a:integration=", "a:model=m", ""] {
            check(none, None);
        }
    }
}
