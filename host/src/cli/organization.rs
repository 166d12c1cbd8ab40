//! `tokenhost organization …`: what models, integrations and principals belong to.

use super::client::Connection;
use super::exit::Failure;
use super::noun::{Body, Noun};
use super::output::Output;

/// What people see of organizations.
const ORGANIZATIONS: Noun<4> = Noun {
    word: "organization",
    path: &["organizations"],
    columns: [("NAME", "name"), ("TITLE", "title"), ("PART OF", "parent"), ("CHANGED", "updated_at")],
    lines: &[
        ("name", "name"),
        ("title", "title"),
        ("part of", "parent"),
        ("created", "created_at"),
        ("changed", "updated_at"),
    ],
    none: "no organizations",
};

/// Organizations: what models, integrations and principals belong to
#[derive(Debug, clap::Args)]
pub(super) struct Organization {
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done with organizations.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make an organization
    #[command(
        after_help = "Examples:\n  tokenhost organization create north --title 'North Ltd'\n  tokenhost organization create sales --parent north"
    )]
    Create {
        /// The new organization's name
        name: String,
        /// What it is.
        #[command(flatten)]
        members: Members,
    },
    /// List the organizations
    #[command(after_help = "Examples:\n  tokenhost organization list\n  tokenhost organization list --json")]
    List,
    /// Show an organization
    #[command(after_help = "Examples:\n  tokenhost organization show north")]
    Show {
        /// The organization
        name: String,
    },
    /// Change an organization; another parent changes at once who sees it
    #[command(
        after_help = "Examples:\n  tokenhost organization change sales --parent south\n  tokenhost organization change sales --unset parent"
    )]
    Change {
        /// The organization
        name: String,
        /// What it is.
        #[command(flatten)]
        members: Members,
        /// A member to unset: `title` or `parent`
        #[arg(long, value_name = "MEMBER")]
        unset: Vec<String>,
    },
    /// Delete an organization that nothing belongs to
    #[command(after_help = "Examples:\n  tokenhost organization delete north")]
    Delete {
        /// The organization
        name: String,
    },
}

/// What an organization has beside its name.
#[derive(Debug, clap::Args)]
struct Members {
    /// What people call it
    #[arg(long)]
    title: Option<String>,
    /// The organization that it is a part of
    #[arg(long, value_name = "NAME")]
    parent: Option<String>,
}

impl Members {
    fn body(self) -> Body {
        let mut body = Body::default();
        body.set("title", self.title).set("parent", self.parent);
        body
    }
}

impl Organization {
    /// Does it.
    ///
    /// # Errors
    /// The command line is wrong, or the daemon refuses.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let connection = &self.connection;
        match self.command {
            Command::Create { name, members } => {
                let mut body = members.body();
                body.set("name", Some(name));
                ORGANIZATIONS.create(&connection.client()?, body, output).await
            }
            Command::List => ORGANIZATIONS.list(&connection.client()?, &[], output).await,
            Command::Show { name } => ORGANIZATIONS.show(&connection.client()?, &name, output).await,
            Command::Change { name, members, unset } => {
                let mut body = members.body();
                body.unset(&unset)?;
                ORGANIZATIONS.change(&connection.client()?, &name, body, output).await
            }
            Command::Delete { name } => ORGANIZATIONS.delete(&connection.client()?, &name, output).await,
        }
    }
}
