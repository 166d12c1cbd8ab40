//! `tokenhost personal-token …`: tokens that act as a user; everyone's, or with `--mine` one's own.

use super::client::Connection;
use super::exit::Failure;
use super::noun::{Body, Noun};
use super::output::Output;

/// What people see of personal tokens, of which these are everyone's.
const TOKENS: Noun<6> = Noun {
    word: "personal token",
    path: &["personal-tokens"],
    columns: [
        ("ID", "id"),
        ("USER", "user"),
        ("APPLICATION", "application"),
        ("STATE", "state"),
        ("SCOPES", "scopes"),
        ("ENDS", "expiration_date"),
    ],
    lines: &[
        ("id", "id"),
        ("user", "user"),
        ("application", "application"),
        ("state", "state"),
        ("scopes", "scopes"),
        ("ends", "expiration_date"),
        ("use count", "use_count"),
        ("last use", "last_use"),
        ("from", "last_use_address"),
        ("rebuilt", "rebuilt_at"),
        ("deleted", "deleted_at"),
        ("deleted by", "deleted_by"),
        ("created", "created_at"),
        ("created by", "created_by"),
    ],
    none: "no personal tokens; `tokenhost personal-token create --user LOGIN --application NAME --scope NAME` makes one",
};

/// The caller's own.
const MINE: Noun<6> = Noun { path: &["me", "personal-tokens"], ..TOKENS };

/// Personal tokens: for programs that act as a user
#[derive(Debug, clap::Args)]
pub(super) struct PersonalToken {
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
    /// Among your own tokens, where the daemon lets users manage these
    #[arg(long, global = true)]
    mine: bool,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done with personal tokens.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a personal token, and print its value alone on stdout, once
    #[command(
        after_help = "Examples:\n  tokenhost personal-token create --user ada --application nightly --scope REST/JSON > nightly.token\n  tokenhost personal-token create --mine --application 'my scripts' --scope Export --ends 2027-06-30"
    )]
    Create {
        /// What people call the application that uses it
        #[arg(long, value_name = "NAME")]
        application: String,
        /// The login of the user as whom it acts; needed without --mine
        #[arg(long, value_name = "LOGIN")]
        user: Option<String>,
        /// Scopes and end.
        #[command(flatten)]
        members: Members,
    },
    /// List personal tokens, also those that ended or were deleted
    #[command(
        after_help = "Examples:\n  tokenhost personal-token list\n  tokenhost personal-token list --user ada --state valid\n  tokenhost personal-token list --mine --json"
    )]
    List {
        /// Only those of this user
        #[arg(long, value_name = "LOGIN")]
        user: Option<String>,
        /// Only those in this state
        #[arg(long, value_parser = ["valid", "expired", "disabled", "deleted", "profile_not_allowed"])]
        state: Option<String>,
    },
    /// Show a personal token and its use, without its value
    #[command(after_help = "Examples:\n  tokenhost personal-token show 4fG7hJ9kLmN2")]
    Show {
        /// The token's id
        id: String,
    },
    /// Change a personal token; what is left out stays
    #[command(
        after_help = "Examples:\n  tokenhost personal-token change 4fG7hJ9kLmN2 --scope REST/JSON --scope Export\n  tokenhost personal-token change 4fG7hJ9kLmN2 --ends 2027-06-30"
    )]
    Change {
        /// The token's id
        id: String,
        /// What people call the application that uses it
        #[arg(long, value_name = "NAME")]
        application: Option<String>,
        /// Scopes and end.
        #[command(flatten)]
        members: Members,
    },
    /// Replace a token's value, and print the new one alone on stdout, once
    #[command(
        after_help = "Examples:\n  tokenhost personal-token rebuild 4fG7hJ9kLmN2 > nightly.token\n  tokenhost personal-token rebuild 4fG7hJ9kLmN2 --grace 3600"
    )]
    Rebuild {
        /// The token's id
        id: String,
        /// Seconds that the old value works beside the new one, at most 604800
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        grace: u64,
    },
    /// Delete a personal token; it is refused from then on, and stays visible as deleted
    #[command(after_help = "Examples:\n  tokenhost personal-token delete 4fG7hJ9kLmN2")]
    Delete {
        /// The token's id
        id: String,
    },
}

/// Scopes and end.
#[derive(Debug, clap::Args)]
struct Members {
    /// A scope that it works in; once for each
    #[arg(long, value_name = "NAME")]
    scope: Vec<String>,
    /// When it ends: a time like 2026-11-22T10:00:00Z, or a day, of which it is the end. As the policy says if not given
    #[arg(long, value_name = "TIME")]
    ends: Option<String>,
}

impl Members {
    fn body(self, application: Option<String>) -> Body {
        let mut body = Body::default();
        body.set("application", application).list("scopes", self.scope).set("expiration_date", self.ends);
        body
    }
}

impl PersonalToken {
    /// Does it.
    ///
    /// # Errors
    /// The command line is wrong, or the daemon refuses.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let (tokens, connection) = (if self.mine { MINE } else { TOKENS }, &self.connection);
        let only_others = |user: &Option<String>| match user {
            Some(_) if self.mine => Err(Failure::usage("--mine and --user exclude each other")),
            _ => Ok(()),
        };
        match self.command {
            Command::Create { application, user, members } => {
                only_others(&user)?;
                if user.is_none() && !self.mine {
                    return Err(Failure::usage("whose token? Give --user LOGIN, or --mine"));
                }
                let mut body = members.body(Some(application));
                body.set("user", user);
                tokens.create(&connection.client()?, body, output).await
            }
            Command::List { user, state } => {
                only_others(&user)?;
                let (user, state) = (user.as_deref().map(|it| ("user", it)), state.as_deref().map(|it| ("state", it)));
                let query: Vec<_> = user.into_iter().chain(state).collect();
                tokens.list(&connection.client()?, &query, output).await
            }
            Command::Show { id } => tokens.show(&connection.client()?, &id, output).await,
            Command::Change { id, application, members } => {
                tokens.change(&connection.client()?, &id, members.body(application), output).await
            }
            Command::Rebuild { id, grace } => tokens.rebuild(&connection.client()?, &id, grace, output).await,
            Command::Delete { id } => tokens.delete(&connection.client()?, &id, output).await,
        }
    }
}
