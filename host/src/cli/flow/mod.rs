//! `tokenhost flow …`: the flow plugins of a daemon. What works on a component's file without a daemon is in `plugin`.

mod show;
pub(super) mod upgrade;
mod values;

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Map, Value, json};

pub(super) use self::show::show;
use self::show::{identity, limits, list};
use self::values::{Given, parse_count, parse_size, parse_time};
use super::client::Connection;
use super::exit::Failure;
use super::output::{Output, cell, table};
use crate::package::{KeyError, PublicKey};

/// The largest file that is sent, in bytes: the largest component, packed badly. A Python component has some 18 MB.
const LARGEST: u64 = (64 * 1024 + 256) * 1024;

/// What packages and components are sent as; which it is, the daemon sees.
const MEDIA_TYPE: &str = "application/vnd.tokenhost.flow";

/// Flow plugins of the daemon
#[derive(Debug, clap::Args)]
pub(super) struct Flow {
    /// Which daemon.
    #[command(flatten)]
    connection: Connection,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done with flows.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the flows
    #[command(after_help = "Examples:\n  tokenhost flow list\n  tokenhost flow list --json")]
    List,
    /// Show a flow: the schemes it serves, the fields it asks for, what it may use and who brought it
    #[command(after_help = "Examples:\n  tokenhost flow show client-credentials")]
    Show {
        /// The flow
        name: String,
    },
    /// Install a package, or a component, as a new flow
    #[command(
        after_help = "A package is taken where its publisher is trusted (flow trust).\n\nExamples:\n  tokenhost flow install my-flow-1.0.0.flow\n  tokenhost flow install my-flow.wasm --allow-unsigned"
    )]
    Install {
        /// The package, or component
        file: PathBuf,
        /// What is allowed.
        #[command(flatten)]
        trust: Trust,
    },
    /// Replace a flow's component by another one, after showing what differs
    #[command(
        after_help = "Attempts under way end with the component that they began with. `flow rollback` undoes it.\n\nExamples:\n  tokenhost flow upgrade my-flow-1.1.0.flow\n  tokenhost flow upgrade my-flow-1.1.0.flow --dry-run\n  tokenhost flow upgrade my-flow.wasm --allow-unsigned --yes"
    )]
    Upgrade {
        /// The package, or component
        file: PathBuf,
        /// Don't ask
        #[arg(long)]
        yes: bool,
        /// Only show what differs
        #[arg(long)]
        dry_run: bool,
        /// What is allowed.
        #[command(flatten)]
        trust: Trust,
        /// Take a component from another publisher than the present one's
        #[arg(long)]
        allow_publisher_change: bool,
    },
    /// Go back to an earlier component
    #[command(
        after_help = "The last five components of each flow are kept (flow show).\n\nExamples:\n  tokenhost flow rollback my-flow\n  tokenhost flow rollback my-flow --to 3f9a1c0b7e21"
    )]
    Rollback {
        /// The flow
        name: String,
        /// The beginning of the component's SHA-256 [default: the one that was installed before]
        #[arg(long, value_name = "SHA256")]
        to: Option<String>,
    },
    /// Remove an installed flow
    #[command(after_help = "Examples:\n  tokenhost flow remove my-flow")]
    Remove {
        /// The flow
        name: String,
    },
    /// Set what a flow may use; without options, show it
    #[command(
        after_help = "A limit holds at once; `default` is the daemon's own again.\n\nExamples:\n  tokenhost flow limit my-flow\n  tokenhost flow limit my-flow --step-time 500ms --memory 64MiB --output 1MiB\n  tokenhost flow limit my-flow --steps 10 --requests 5 --attempts-per-minute 60\n  tokenhost flow limit my-flow --memory default"
    )]
    Limit {
        /// The flow
        name: String,
        /// Which.
        #[command(flatten)]
        limits: Limits,
    },
    /// Let a flow run again that is under quarantine
    #[command(
        after_help = "A flow is put there when five attempts in a row end with a fault of its own, or twenty within ten minutes.\n\nExamples:\n  tokenhost flow release my-flow"
    )]
    Release {
        /// The flow
        name: String,
    },
    /// Let the present component of a flow read one secret of one integration
    #[command(
        after_help = "Flows place secrets in requests without seeing them; hardly any needs more. The grant is for this very component: another one of the same flow reads nothing.\n\nExamples:\n  tokenhost flow reveal my-flow --secret client_secret --integration crm-prod"
    )]
    Reveal(Secret),
    /// Withdraw what was revealed
    #[command(after_help = "Examples:\n  tokenhost flow conceal my-flow --secret client_secret --integration crm-prod")]
    Conceal(Secret),
    /// Trust a publisher: packages signed with its key are installed
    #[command(
        after_help = "Get the key another way than the package, e.g. from the publisher's website.\n\nExamples:\n  tokenhost flow trust tokenhost-publisher:ed25519:… --name acme\n  tokenhost flow trust @acme.pub --name acme"
    )]
    Trust {
        /// The public key, or @FILE
        key: String,
        /// A name for the publisher
        #[arg(long)]
        name: String,
    },
    /// List the publishers that are trusted
    #[command(after_help = "Examples:\n  tokenhost flow publishers")]
    Publishers,
    /// Trust a publisher no longer; what it signed and was installed stays
    #[command(after_help = "Examples:\n  tokenhost flow distrust acme")]
    Distrust {
        /// The publisher
        name: String,
    },
}

/// A publisher's public key out of a text.
fn public_key(text: &str) -> Result<PublicKey, Failure> {
    text.trim().parse().map_err(|error: KeyError| {
        if text.contains("PRIVATE KEY") {
            return Failure::failed("this is a private key, which its publisher alone may have")
                .hint("Its public half: tokenhost plugin key show FILE");
        }
        Failure::failed(format!("what was given {error}"))
    })
}

/// What is allowed of a component.
#[derive(Clone, Copy, Debug, clap::Args)]
struct Trust {
    /// Take a component that no trusted publisher signed
    #[arg(long)]
    allow_unsigned: bool,
}

impl Trust {
    /// As the daemon is told.
    fn query(self) -> Vec<(&'static str, &'static str)> {
        if self.allow_unsigned { vec![("allow_unsigned", "true")] } else { Vec::new() }
    }
}

/// A secret of an integration.
#[derive(Debug, clap::Args)]
struct Secret {
    /// The flow
    name: String,
    /// The secret's name
    #[arg(long)]
    secret: String,
    /// The integration whose secret it is
    #[arg(long)]
    integration: String,
}

/// What a flow may use.
#[derive(Debug, clap::Args)]
struct Limits {
    /// Processor time of one step, e.g. 500ms
    #[arg(long, value_parser = parse_time, value_name = "TIME")]
    step_time: Option<Given>,
    /// Memory of one step, e.g. 64MiB
    #[arg(long, value_parser = parse_size, value_name = "SIZE")]
    memory: Option<Given>,
    /// The answer of one step, e.g. 1MiB
    #[arg(long, value_parser = parse_size, value_name = "SIZE")]
    output: Option<Given>,
    /// Steps of one attempt
    #[arg(long, value_parser = parse_count, value_name = "NUMBER")]
    steps: Option<Given>,
    /// Requests of one attempt
    #[arg(long, value_parser = parse_count, value_name = "NUMBER")]
    requests: Option<Given>,
    /// Attempts that may begin within a minute
    #[arg(long, value_parser = parse_count, value_name = "NUMBER")]
    attempts_per_minute: Option<Given>,
}

impl Limits {
    /// As the daemon is told.
    fn body(&self) -> Map<String, Value> {
        let given = [
            ("step_time", self.step_time),
            ("memory", self.memory),
            ("output", self.output),
            ("steps", self.steps),
            ("requests", self.requests),
            ("attempts_per_minute", self.attempts_per_minute),
        ];
        given.into_iter().filter_map(|(name, given)| Some((name.to_owned(), json!(given?.0)))).collect()
    }
}

impl Flow {
    /// Does it.
    ///
    /// # Errors
    /// A file can't be read, or the daemon refuses.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.connection.client()?;
        match self.command {
            Command::List => {
                let flows = client.list(&["flows"], &[]).await?;
                output.show(&Value::Array(flows), list)
            }
            Command::Show { name } => output.show(&client.get(&["flows", &name], &[]).await?, show),
            Command::Install { file, trust } => {
                let bytes = read(&file)?;
                let size = bytes.len();
                let answer =
                    client.upload(Method::POST, &["flows"], &trust.query(), MEDIA_TYPE, size, bytes.into()).await?;
                output.show(&answer, |flow| format!("{} is installed", identity(flow)))
            }
            Command::Upgrade { file, yes, dry_run, trust, allow_publisher_change } => {
                let wishes = upgrade::Wishes { yes, dry_run, trust, publisher_change: allow_publisher_change };
                upgrade::upgrade(&client, &file, wishes, output).await
            }
            Command::Rollback { name, to } => {
                let query: Vec<(&str, &str)> = to.iter().map(|to| ("to", to.as_str())).collect();
                let answer = client.call(Method::POST, &["flows", &name, "rollback"], &query, None).await?;
                output.show(&answer, |flow| format!("{} is served again", identity(flow)))
            }
            Command::Remove { name } => {
                client.call(Method::DELETE, &["flows", &name], &[], None).await?;
                output.show(&json!({"removed": name}), |_| format!("flow {name} is removed"))
            }
            Command::Limit { name, limits: given } => {
                let (path, body) = (["flows", name.as_str()], given.body());
                let flow = match body.is_empty() {
                    true => client.get(&path, &[]).await?,
                    false => client.call(Method::PATCH, &path, &[], Some(&json!({"limits": body}))).await?,
                };
                output.show(&flow, |flow| limits(flow.get("limits").unwrap_or(&Value::Null)))
            }
            Command::Release { name } => {
                let answer = client.call(Method::POST, &["flows", &name, "release"], &[], None).await?;
                output.show(&answer, |flow| format!("{} runs again", identity(flow)))
            }
            Command::Reveal(Secret { name, secret, integration }) => {
                let path = ["flows", name.as_str(), "revealed", integration.as_str(), secret.as_str()];
                let grant = client.call(Method::PUT, &path, &[], None).await?;
                output.show(&grant, |grant| {
                    let digest: String = cell(grant, "sha256").chars().take(12).collect();
                    format!("flow {name} (sha256:{digest}) may read {secret} of {integration}")
                })
            }
            Command::Conceal(Secret { name, secret, integration }) => {
                let path = ["flows", name.as_str(), "revealed", integration.as_str(), secret.as_str()];
                client.call(Method::DELETE, &path, &[], None).await?;
                let document = json!({"flow": name, "integration": integration, "secret": secret, "revealed": false});
                output.show(&document, |_| format!("flow {name} may read {secret} of {integration} no longer"))
            }
            Command::Trust { key, name } => {
                let key = match key.strip_prefix('@') {
                    Some(file) => std::fs::read_to_string(file)
                        .map_err(|error| Failure::failed(format!("{file} can't be read: {error}")))?,
                    None => key,
                };
                // Held here first: what is no public key, and may be a secret, never leaves this machine.
                let key = public_key(&key)?;
                let body = json!({"name": name, "key": key.to_string()});
                let publisher = client.call(Method::POST, &["publishers"], &[], Some(&body)).await?;
                output.show(&publisher, |publisher| {
                    format!("publisher {} is trusted (key {})", cell(publisher, "name"), cell(publisher, "key_id"))
                })
            }
            Command::Publishers => {
                let publishers = client.list(&["publishers"], &[]).await?;
                output.show(&Value::Array(publishers), publishers_table)
            }
            Command::Distrust { name } => {
                client.call(Method::DELETE, &["publishers", &name], &[], None).await?;
                output.show(&json!({"distrusted": name}), |_| format!("publisher {name} is trusted no longer"))
            }
        }
    }
}

/// The package or component in a file.
fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let place = file.display();
    let unreadable = |error: std::io::Error| Failure::failed(format!("{place} can't be read: {error}"));
    if std::fs::metadata(file).map_err(unreadable)?.len() > LARGEST {
        return Err(Failure::failed(format!("{place} is larger than 64 MiB")));
    }
    std::fs::read(file).map_err(unreadable)
}

/// Publishers as a table.
fn publishers_table(publishers: &Value) -> String {
    let rows: Vec<_> = publishers
        .as_array()
        .into_iter()
        .flatten()
        .map(|publisher| {
            [
                cell(publisher, "name"),
                cell(publisher, "key_id"),
                cell(publisher, "trusted_at"),
                cell(publisher, "trusted_by"),
            ]
        })
        .collect();
    if rows.is_empty() {
        return "no publisher is trusted; `tokenhost flow trust KEY --name NAME` trusts one".to_owned();
    }
    table(["NAME", "KEY", "SINCE", "BY"], &rows)
}
