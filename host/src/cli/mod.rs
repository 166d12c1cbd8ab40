//! The command line: `serve` and `init`, what talks to a daemon over its API, and what works on flow plugins.
//!
//! It decides nothing about tokens. What talks to a daemon does so over HTTP alone, as any other client.

mod agent;
mod application_token;
mod attempt;
mod audit;
mod backup;
mod client;
mod completion;
mod config;
#[cfg(test)]
mod daemon_tests;
mod doctor;
mod event;
mod exit;
mod flow;
#[cfg(test)]
mod help_tests;
mod init;
mod integration;
mod key;
mod manual;
mod me;
mod model;
mod noun;
mod organization;
mod output;
mod personal_token;
mod plugin;
mod problem;
mod profile;
mod restore;
mod serve;
mod standing;
mod status;
mod token;
mod upgrade;
mod user;
mod values;
mod webhook;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use self::exit::Failure;
use self::output::Output;

/// The file of settings that the package's service is started with.
const PACKAGED: &str = "/etc/tokenhost/tokenhost.toml";

/// Gets, keeps and renews API tokens
///
/// tokenhost reads an API's OpenAPI document, asks for the few credentials that its security scheme needs, and from then on
/// has a valid token for whoever may ask. How a token is got is a flow: a WebAssembly plugin.
#[derive(Debug, Parser)]
#[command(
    name = "tokenhost",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = exit::HELP,
    after_long_help = format!("{START}\n\n{}", exit::HELP)
)]
struct Cli {
    /// Print JSON instead of text for people; a failure is a JSON object on stderr
    #[arg(long, global = true)]
    json: bool,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// How to begin, at the end of the long help.
const START: &str = "\
Start with:
  tokenhost init                     # makes keys, a data folder and the first token
  tokenhost serve &
  tokenhost model import crm crm.yaml
  tokenhost integration create crm-prod --model crm \\
      --field client_id=abc --secret client_secret=@secret.txt
  tokenhost token get crm-prod

Environment of the commands that talk to a daemon:
  TOKENHOST_URL    where it is (where TOKENHOST_LISTEN says, else http://127.0.0.1:8420)
  TOKENHOST_TOKEN  the application token to use

Manual pages, such as `man tokenhost-serve`, come with the package; `tokenhost man --out FOLDER` writes them.";

/// The nouns.
#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    Serve(serve::Serve),
    Upgrade(upgrade::Upgrade),
    Status(status::Status),
    Config(config::Config),
    Model(model::Model),
    Integration(integration::Integration),
    Token(token::Token),
    Doctor(doctor::Doctor),
    Agent(agent::Agent),
    Flow(flow::Flow),
    User(user::User),
    Profile(profile::Profile),
    Organization(organization::Organization),
    PersonalToken(personal_token::PersonalToken),
    ApplicationToken(application_token::ApplicationToken),
    VerifyToken(me::VerifyToken),
    Me(me::Me),
    Event(event::Event),
    Webhook(webhook::Webhook),
    Audit(audit::Audit),
    Key(key::Key),
    Pepper(audit::Pepper),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Plugin(plugin::Plugin),
    Completion(completion::Completion),
    #[command(name = "man")]
    Manual(manual::Manual),
}

/// Runs the command line of this process, says on stderr what went wrong, and gives the exit code.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // Known before the arguments are understood, since a failure to do so is told in the same form.
    let json = arguments.iter().any(|argument| argument == "--json");
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}

/// The whole command line, as clap sees it.
fn command() -> clap::Command {
    fn without_values(command: clap::Command) -> clap::Command {
        // The help shows names of variables, and not what they hold.
        command.mut_args(|argument| argument.hide_env_values(true)).mut_subcommands(without_values)
    }
    without_values(Cli::command())
}

/// Understands the arguments and does what they say.
fn run(arguments: Vec<OsString>) -> Result<(), Failure> {
    let cli = Cli::from_arg_matches(&command().try_get_matches_from(arguments)?)?;
    let output = Output::new(cli.json);
    let runtime = |command: &Command| match command {
        // Only the daemon has use for several threads.
        Command::Serve(_) => tokio::runtime::Builder::new_multi_thread().enable_all().build(),
        _ => tokio::runtime::Builder::new_current_thread().enable_all().build(),
    };
    let runtime = runtime(&cli.command).map_err(|error| Failure::failed(format!("no threads: {error}")))?;
    runtime.block_on(async {
        match cli.command {
            Command::Init(init) => init.run(output).await,
            Command::Serve(serve) => serve.run().await,
            Command::Upgrade(upgrade) => upgrade.run(output).await,
            Command::Model(model) => model.run(output).await,
            Command::Integration(integration) => integration.run(output).await,
            Command::Token(token) => token.run(output).await,
            Command::Doctor(doctor) => doctor.run(output).await,
            Command::Agent(agent) => agent.run(output).await,
            Command::Flow(flow) => flow.run(output).await,
            Command::User(user) => user.run(output).await,
            Command::Profile(profile) => profile.run(output).await,
            Command::Organization(organization) => organization.run(output).await,
            Command::PersonalToken(token) => token.run(output).await,
            Command::ApplicationToken(token) => token.run(output).await,
            Command::VerifyToken(verify) => verify.run(output).await,
            Command::Me(me) => me.run(output).await,
            Command::Status(status) => status.run(output).await,
            Command::Config(config) => config.run(output).await,
            Command::Event(event) => event.run(output).await,
            Command::Webhook(webhook) => webhook.run(output).await,
            Command::Audit(audit) => audit.run(output).await,
            Command::Key(key) => key.run(output).await,
            Command::Pepper(pepper) => pepper.run(output).await,
            Command::Backup(backup) => backup.run(output).await,
            Command::Restore(restore) => restore.run(output).await,
            Command::Plugin(plugin) => plugin.run(output).await,
            Command::Completion(completion) => completion.run(output),
            Command::Manual(manual) => manual.run(output),
        }
    })
}
