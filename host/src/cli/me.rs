//! `tokenhost me` and `tokenhost verify-token`: whose token it is, one's own or one that is presented.

use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::client::Connection;
use super::exit::{Exit, Failure};
use super::noun::Noun;
use super::output::{Output, can_ask};
use super::values::{SecretReader, Source};

/// What people see of themselves.
const ME: Noun<0> = Noun {
    word: "me",
    path: &["me"],
    columns: [],
    lines: &[
        ("kind", "kind"),
        ("name", "name"),
        ("signed in by", "login_type"),
        ("first name", "contact.first_name"),
        ("contact", "contact.name"),
        ("email", "contact.email"),
        ("organization", "contact.organization"),
        ("language", "language"),
        ("profiles", "profiles"),
        ("rights", "rights"),
        ("allowed organizations", "allowed_organizations"),
        ("scopes", "scopes"),
        ("token", "token_id"),
        ("token ends", "expires_at"),
    ],
    none: "",
};

/// What people see of a token that was presented.
const VERIFIED: Noun<0> = Noun {
    word: "token",
    path: &["verify"],
    columns: [],
    lines: &[
        ("active", "active"),
        ("reason", "reason"),
        ("support id", "support_id"),
        ("kind", "principal.kind"),
        ("name", "principal.name"),
        ("profiles", "principal.profiles"),
        ("organization", "principal.organization"),
        ("allowed organizations", "principal.allowed_organizations"),
        ("token", "token_id"),
        ("scopes", "scopes"),
        ("ends", "expires_at"),
    ],
    none: "",
};

/// Show who the daemon takes you for: principal, profiles, rights, scopes
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tokenhost me\n  tokenhost me --json | jq -r .name")]
pub(super) struct Me {
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
}

impl Me {
    /// Does it.
    ///
    /// # Errors
    /// The daemon refuses.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        output.show(&self.connection.client()?.get(ME.path, &[]).await?, |me| ME.item(me))
    }
}

/// Tell whether a token that somebody presents is right, and whose it is
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The token is read from stdin, or asked for at a terminal, and never taken from the command line. Exit code 0: it is right; 1: it isn't.\n\nExamples:\n  tokenhost verify-token < their.token\n  tokenhost verify-token --scope Export --json < their.token"
)]
pub(super) struct VerifyToken {
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
    /// The scope that it must have
    #[arg(long, value_name = "NAME")]
    scope: Option<String>,
    /// The organization that its principal must see
    #[arg(long, value_name = "NAME")]
    organization: Option<String>,
}

impl VerifyToken {
    /// Does it.
    ///
    /// # Errors
    /// The token can't be read, the daemon refuses, or the token isn't right.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.connection.client()?;
        let token =
            if can_ask() { SecretReader::ask("token")? } else { SecretReader::default().read(&Source::Stdin)? };
        let mut body = json!({"token": token.expose_secret().trim()});
        for (name, value) in [("scope", self.scope), ("organization", self.organization)] {
            if let (Some(value), Value::Object(members)) = (value, &mut body) {
                members.insert(name.to_owned(), value.into());
            }
        }
        let verified = client.call(Method::POST, VERIFIED.path, &[], Some(&body)).await?;
        output.show(&verified, |verified| VERIFIED.item(verified))?;
        if verified.get("active") == Some(&Value::Bool(true)) { Ok(()) } else { Err(Failure::Silent(Exit::Failed)) }
    }
}
