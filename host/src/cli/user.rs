//! `tokenhost user …`: people, and what signs in as one.

use secrecy::{ExposeSecret as _, SecretString};

use super::client::Connection;
use super::exit::Failure;
use super::noun::{Body, Noun};
use super::output::{Output, can_ask};
use super::standing::Standing;
use super::values::{SecretReader, Source};

/// What people see of users.
const USERS: Noun<5> = Noun {
    word: "user",
    path: &["users"],
    columns: [
        ("LOGIN", "login"),
        ("STATUS", "status"),
        ("ORGANIZATION", "contact.organization"),
        ("PROFILES", "profiles"),
        ("CHANGED", "updated_at"),
    ],
    lines: &[
        ("login", "login"),
        ("status", "status"),
        ("first name", "contact.first_name"),
        ("name", "contact.name"),
        ("email", "contact.email"),
        ("organization", "contact.organization"),
        ("profiles", "profiles"),
        ("allowed organizations", "allowed_organizations"),
        ("language", "language"),
        ("external", "external"),
        ("has password", "has_password"),
        ("kept by source", "source"),
        ("created", "created_at"),
        ("created by", "created_by"),
        ("changed", "updated_at"),
        ("WARNING", "warning"),
    ],
    none: "no users yet; `tokenhost user create LOGIN --profile NAME` makes one",
};

/// Users: people, and what signs in as one
#[derive(Debug, clap::Args)]
pub(super) struct User {
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done with users.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a user
    #[command(
        after_help = "Examples:\n  tokenhost user create ada --profile 'REST Services User' --first-name Ada --email ada@example.org\n  tokenhost user create ada --profile Auditor --password @password.txt\n  tokenhost user create carl --external --profile 'Integration User' --allowed-organization north"
    )]
    Create {
        /// What the user signs in as
        login: String,
        /// Profiles, contact, organizations.
        #[command(flatten)]
        standing: Box<Standing>,
        /// What else is a user's.
        #[command(flatten)]
        own: Own,
        /// The password: @FILE, - (stdin) or env:VARIABLE
        #[arg(long, value_name = "SOURCE")]
        password: Option<String>,
    },
    /// List the users
    #[command(after_help = "Examples:\n  tokenhost user list\n  tokenhost user list --json")]
    List,
    /// Show a user
    #[command(after_help = "Examples:\n  tokenhost user show ada")]
    Show {
        /// The user
        login: String,
    },
    /// Change a user; what is left out stays
    #[command(
        after_help = "Examples:\n  tokenhost user change ada --status disabled\n  tokenhost user change ada --profile Auditor --profile 'REST Services User'\n  tokenhost user change ada --unset contact.email --unset allowed_organizations"
    )]
    Change {
        /// The user
        login: String,
        /// Profiles, contact, organizations.
        #[command(flatten)]
        standing: Box<Standing>,
        /// What else is a user's.
        #[command(flatten)]
        own: Own,
        /// A member to unset: `contact.email`, `profiles`, `allowed_organizations`, `password` and the like
        #[arg(long, value_name = "MEMBER")]
        unset: Vec<String>,
    },
    /// Delete a user; the user's tokens are refused from then on
    #[command(after_help = "Examples:\n  tokenhost user delete ada")]
    Delete {
        /// The user
        login: String,
    },
    /// Set a user's password, typed twice or read from stdin; ends the user's sessions
    #[command(
        after_help = "Examples:\n  tokenhost user set-password ada\n  pass show ada | tokenhost user set-password ada"
    )]
    SetPassword {
        /// The user
        login: String,
    },
}

/// What only users have.
#[derive(Debug, clap::Args)]
struct Own {
    /// The language for texts, e.g. en or pt-BR
    #[arg(long, value_name = "TAG")]
    language: Option<String>,
    /// Whether the user is authenticated elsewhere, and has no password here
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    external: Option<bool>,
}

impl Own {
    /// A body with it, and with what is common.
    fn body(self, standing: Standing) -> Body {
        let mut body = Body::default();
        standing.add_to(&mut body);
        body.set("language", self.language).set("external", self.external);
        body
    }
}

impl User {
    /// Does it.
    ///
    /// # Errors
    /// The command line is wrong, a password can't be read, or the daemon refuses.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let connection = &self.connection;
        match self.command {
            Command::Create { login, standing, own, password } => {
                let mut body = own.body(*standing);
                body.set("login", Some(login));
                if let Some(source) = password {
                    let password = SecretReader::default().read(&Source::parse("--password", &source)?)?;
                    body.set("password", Some(password.expose_secret()));
                }
                USERS.create(&connection.client()?, body, output).await
            }
            Command::List => USERS.list(&connection.client()?, &[], output).await,
            Command::Show { login } => USERS.show(&connection.client()?, &login, output).await,
            Command::Change { login, standing, own, unset } => {
                let mut body = own.body(*standing);
                body.unset(&unset)?;
                USERS.change(&connection.client()?, &login, body, output).await
            }
            Command::Delete { login } => USERS.delete(&connection.client()?, &login, output).await,
            Command::SetPassword { login } => {
                let client = connection.client()?;
                let mut body = Body::default();
                body.set("password", Some(new_password()?.expose_secret()));
                USERS.change(&client, &login, body, output).await
            }
        }
    }
}

/// A new password: typed twice at a terminal, else read from stdin.
fn new_password() -> Result<SecretString, Failure> {
    if !can_ask() {
        return SecretReader::default().read(&Source::Stdin);
    }
    let (first, again) = (SecretReader::ask("new password")?, SecretReader::ask("once more")?);
    if first.expose_secret() == again.expose_secret() {
        Ok(first)
    } else {
        Err(Failure::failed("the two passwords differ; nothing was changed"))
    }
}
