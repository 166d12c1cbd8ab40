//! `tokenhost token …`: the token of an integration. The one noun that prints a secret, and only in `get`.

pub(super) mod file;
pub(super) mod form;

use std::path::PathBuf;

use clap::ArgGroup;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use self::form::{Form, Subject};
use super::client::{Client, Connection};
use super::exit::Failure;
use super::output::{Output, Pairs, can_ask, cell, member};
use super::values::{SecretReader, Source};

/// The login beside the token in netrc: what services that take a token as a password mostly expect.
pub(super) const DEFAULT_LOGIN: &str = "oauth2";

/// Tokens: get one that is valid, look at it, renew it, enter one by hand
#[derive(Debug, clap::Args)]
pub(super) struct Token {
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// Which token of an integration.
#[derive(Debug, clap::Args)]
struct Which {
    /// The integration
    name: String,
    /// The token with these scopes, separated by spaces, instead of the integration's own
    #[arg(long, value_name = "SCOPES")]
    scope: Option<String>,
}

/// What can be done with tokens.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print a valid token, got or renewed if need be
    #[command(
        group = ArgGroup::new("form").args(["format", "raw", "header"]),
        after_help = "exec-credential is what kubectl expects of a helper (users[].user.exec in a kubeconfig); netrc names the host of the integration's server. --write replaces FILE in one step, with mode 0600; `tokenhost agent` keeps such files fresh.\n\nExamples:\n  tokenhost token get crm-prod\n  tokenhost token get crm-prod --header | curl -H @- https://crm.example/api/contacts\n  TOKEN=$(tokenhost token get crm-prod --raw --min-ttl 300)\n  tokenhost token get crm-prod --scope 'contacts:read' --json\n  set -a; eval \"$(tokenhost token get crm-prod --format env)\"; set +a\n  tokenhost token get crm-prod --format netrc --write crm.netrc && curl --netrc-file crm.netrc https://crm.example/api/contacts"
    )]
    Get {
        /// Which token.
        #[command(flatten)]
        which: Which,
        /// At least so many seconds must be left, as far as tokens last that long
        #[arg(long, value_name = "SECONDS")]
        min_ttl: Option<u64>,
        /// How it is printed [default: text, or json with --json]
        #[arg(long, value_name = "FORM")]
        format: Option<Form>,
        /// Only the access token: --format raw
        #[arg(long)]
        raw: bool,
        /// The header for a request: --format header
        #[arg(long)]
        header: bool,
        /// Into this file in place of stdout
        #[arg(long, value_name = "FILE")]
        write: Option<PathBuf>,
        /// The login beside the token in netrc
        #[arg(long, value_name = "NAME", default_value = DEFAULT_LOGIN)]
        login: String,
    },
    /// Show how the token is, without the token
    #[command(after_help = "Examples:\n  tokenhost token status crm-prod\n  tokenhost token status crm-prod --json")]
    Status {
        /// Which token.
        #[command(flatten)]
        which: Which,
    },
    /// Renew the token now, though it may still be valid
    #[command(after_help = "Examples:\n  tokenhost token refresh crm-prod")]
    Refresh {
        /// Which token.
        #[command(flatten)]
        which: Which,
    },
    /// Report that the service refused a token, so that it is renewed
    #[command(
        after_help = "The generation is a member of what `token get --json` printed. Nothing happens if there is a newer token already.\n\nExamples:\n  tokenhost token reject crm-prod --generation 3"
    )]
    Reject {
        /// Which token.
        #[command(flatten)]
        which: Which,
        /// The generation of the token that was refused
        #[arg(long, value_name = "N")]
        generation: u64,
    },
    /// Enter a token by hand; it is used until it expires
    #[command(
        after_help = "A token is read from a file (@FILE), stdin (-) or an environment variable (env:VARIABLE). At a terminal, it is asked for.\n\nExamples:\n  tokenhost token set crm-prod --access-token @token.txt --expires-in 1800\n  pass show crm | tokenhost token set crm-prod --access-token -\n  tokenhost token set crm-prod --access-token env:AT --refresh-token env:RT"
    )]
    Set {
        /// Which token.
        #[command(flatten)]
        which: Which,
        /// Where the access token is
        #[arg(long, value_name = "@FILE|-|env:VAR", allow_hyphen_values = true)]
        access_token: Option<String>,
        /// Where the refresh token is, if there is one
        #[arg(long, value_name = "@FILE|-|env:VAR", allow_hyphen_values = true)]
        refresh_token: Option<String>,
        /// The token's type [default: Bearer]
        #[arg(long, value_name = "TYPE")]
        token_type: Option<String>,
        /// Seconds from now until it expires
        #[arg(long, value_name = "SECONDS", conflicts_with = "expires_at")]
        expires_in: Option<u64>,
        /// When it expires, e.g. 2026-11-22T10:00:00Z
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        /// The scopes that the provider granted
        #[arg(long, value_name = "SCOPES")]
        granted_scope: Option<String>,
    },
    /// Forget the token; the credentials stay
    #[command(after_help = "Examples:\n  tokenhost token delete crm-prod")]
    Delete {
        /// Which token.
        #[command(flatten)]
        which: Which,
    },
}

impl Which {
    /// A call on the token, or below it.
    async fn call(
        &self,
        client: &Client,
        method: Method,
        below: Option<&str>,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let mut path = vec!["integrations", self.name.as_str(), "token"];
        path.extend(below);
        let mut query = query.to_vec();
        query.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        client.call(method, &path, &query, body).await
    }
}

impl Token {
    /// Does it.
    ///
    /// # Errors
    /// The command line is wrong, or the daemon refuses or has no token.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.connection.client()?;
        match self.command {
            Command::Get { which, min_ttl, format, raw, header, write, login } => {
                let form = match (format, raw, header) {
                    (Some(form), _, _) => form,
                    (None, true, _) => Form::Raw,
                    (None, _, true) => Form::Header,
                    (None, false, false) if output.is_json() => Form::Json,
                    (None, false, false) => Form::Text,
                };
                let token = get(&client, &which.name, which.scope.as_deref(), min_ttl).await?;
                let server = match form {
                    Form::Netrc => server(&client, &which.name).await?,
                    _ => None,
                };
                let subject = Subject { name: &which.name, server: server.as_deref(), login: &login };
                let text = form.render(&subject, &token)?;
                match (write, form) {
                    (Some(path), _) => {
                        file::replace(&path, &text)?;
                        output.note(&format!("{} written", path.display()));
                        Ok(())
                    }
                    (None, Form::Text) => output.text(&text),
                    (None, _) => output.raw(&text),
                }
            }
            Command::Status { which } => {
                let status = which.call(&client, Method::GET, Some("status"), &[], None).await?;
                output.show(&status, show)
            }
            Command::Refresh { which } => {
                let token = which.call(&client, Method::POST, Some("refresh"), &[], None).await?;
                output.show(&without_secrets(token), show)
            }
            Command::Reject { which, generation } => {
                let body = json!({"generation": generation});
                let answer = which.call(&client, Method::POST, Some("reject"), &[], Some(&body)).await?;
                output.show(&answer, rejected)
            }
            Command::Set { which, access_token, refresh_token, token_type, expires_in, expires_at, granted_scope } => {
                let mut secrets = SecretReader::default();
                let mut body = Map::new();
                let access_token = match access_token {
                    Some(source) => secrets.read(&Source::parse("--access-token", &source)?)?,
                    None if can_ask() => SecretReader::ask("access token")?,
                    None => return Err(Failure::usage("--access-token is missing")),
                };
                let refresh_token = refresh_token
                    .map(|source| secrets.read(&Source::parse("--refresh-token", &source)?))
                    .transpose()?;
                let mut add = |name: &str, value: Option<Value>| value.map(|value| body.insert(name.to_owned(), value));
                let expose = |secret: &SecretString| Value::from(secret.expose_secret());
                add("access_token", Some(expose(&access_token)));
                add("refresh_token", refresh_token.as_ref().map(expose));
                add("token_type", token_type.map(Value::from));
                add("expires_in", expires_in.map(Value::from));
                add("expires_at", expires_at.map(Value::from));
                add("scope", granted_scope.map(Value::from));
                let status = which.call(&client, Method::PUT, None, &[], Some(&Value::Object(body))).await?;
                output.show(&without_secrets(status), show)
            }
            Command::Delete { which } => {
                which.call(&client, Method::DELETE, None, &[], None).await?;
                output.show(&json!({"deleted": true}), |_| format!("the token of {} is forgotten", which.name))
            }
        }
    }
}

/// A valid token of an integration.
///
/// # Errors
/// The daemon doesn't answer, refuses or has none.
pub(super) async fn get(
    client: &Client,
    name: &str,
    scope: Option<&str>,
    min_ttl: Option<u64>,
) -> Result<Value, Failure> {
    let seconds = min_ttl.map(|seconds| seconds.to_string());
    let query: Vec<_> = seconds
        .iter()
        .map(|seconds| ("min_ttl", seconds.as_str()))
        .chain(scope.map(|scope| ("scope", scope)))
        .collect();
    client.get(&["integrations", name, "token"], &query).await
}

/// The URL of an integration's server, where it has one.
///
/// # Errors
/// The daemon doesn't answer, or the integration may not be seen.
pub(super) async fn server(client: &Client, name: &str) -> Result<Option<String>, Failure> {
    Ok(member(&client.get(&["integrations", name], &[]).await?, "server"))
}

/// The answer without tokens: only `get` prints them.
fn without_secrets(mut answer: Value) -> Value {
    if let Some(members) = answer.as_object_mut() {
        members.retain(|name, _| name != "access_token" && name != "refresh_token");
    }
    answer
}

/// A token, or how it is, as lines.
fn show(token: &Value) -> String {
    let mut pairs = Pairs::default();
    for name in ["state", "access_token", "token_type", "scope", "generation"] {
        pairs.add(name, member(token, name));
    }
    pairs.add("expires_in", member(token, "expires_in").map(|seconds| format!("{seconds} s")));
    for name in ["expires_at", "created_at"] {
        pairs.add(name, member(token, name));
    }
    if token.get("renewing") == Some(&Value::Bool(true)) {
        pairs.add("renewing", "yes".to_owned());
    }
    if let Some(has) = token.get("has_refresh_token").and_then(Value::as_bool) {
        pairs.add("refresh_token", if has { "there is one" } else { "none" }.to_owned());
    }
    if let Some(failure) = token.get("failure").filter(|failure| failure.is_object()) {
        pairs.add("failure", Some(self::failure(failure)));
    }
    if let Some(connecting) = token.get("connecting").filter(|connecting| connecting.is_object()) {
        let (attempt, until) = (cell(connecting, "attempt"), cell(connecting, "expires_at"));
        pairs.add("connecting", format!("attempt {attempt}, until {until}"));
    } else if token.get("state").and_then(Value::as_str) == Some("person_needed") {
        pairs.add("remedy", "a person connects it: tokenhost integration connect".to_owned());
    }
    pairs.to_text("")
}

/// Why there is no newer token.
fn failure(failure: &Value) -> String {
    let mut text =
        [member(failure, "code"), member(failure, "message")].into_iter().flatten().collect::<Vec<_>>().join(": ");
    for (name, label) in [("at", "at"), ("count", "in a row"), ("field", "look at"), ("retry_at", "next try")] {
        if let Some(value) = member(failure, name) {
            text += &format!("\n{label} {value}");
        }
    }
    text
}

/// What a rejection led to.
fn rejected(answer: &Value) -> String {
    match answer.get("result").and_then(Value::as_str) {
        Some("renewing") => "the token is being renewed".to_owned(),
        Some("not_current") => {
            let generation = member(answer, "generation").unwrap_or_else(|| "newer".to_owned());
            format!("nothing to do: generation {generation} is the present one; get the token again")
        }
        _ => "reported".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_get_keeps_tokens() {
        let answer = without_secrets(json!({"access_token": "a", "refresh_token": "r", "generation": 2}));
        assert_eq!(answer, json!({"generation": 2}));
    }

    #[test]
    fn status_is_told_in_lines() {
        let status = json!({
            "state": "expired", "generation": 3, "renewing": false, "has_refresh_token": false,
            "expires_at": "2026-11-22T10:00:00Z",
            "failure": {"code": "invalid_client", "message": "no", "at": "2026-11-22T10:00:05Z", "count": 2, "field": "client_secret"},
        });
        assert_eq!(
            show(&status),
            "state          expired\n\
             generation     3\n\
             expires_at     2026-11-22T10:00:00Z\n\
             refresh_token  none\n\
             failure        invalid_client: no\n               at 2026-11-22T10:00:05Z\n               in a row 2\n               look at client_secret\n"
        );
    }

    #[test]
    fn where_a_person_is_needed_it_says_what_to_do() {
        assert_eq!(
            show(&json!({"state": "person_needed"})),
            "state   person_needed\nremedy  a person connects it: tokenhost integration connect\n"
        );
        let connecting = json!({"attempt": "01J", "expires_at": "2026-11-22T10:10:00Z"});
        let text = show(&json!({"state": "person_needed", "connecting": connecting}));
        assert!(text.ends_with("connecting  attempt 01J, until 2026-11-22T10:10:00Z\n"), "{text}");
    }

    #[test]
    fn rejections_say_what_came_of_them() {
        let check = |answer: Value, part: &str| assert!(rejected(&answer).contains(part), "{answer}");
        check(json!({"result": "renewing"}), "being renewed");
        check(json!({"result": "not_current", "generation": 4}), "generation 4");
        check(json!({}), "reported");
    }
}
