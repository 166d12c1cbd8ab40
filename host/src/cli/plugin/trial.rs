//! `tokenhost plugin try FILE`: one attempt against a real provider, in this process, without daemon, store or journal.
//!
//! It shows what the daemon would record: the steps, secrets as names. Nothing is kept, unless `--record` says where.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::super::exit::{Exit, Failure};
use super::super::output::{Output, Pairs, can_ask, member};
use super::super::values::{SECRET_HELP, SecretReader, assignment, fields_file};
use super::callback::Callback;
use super::compiled;
use super::fields::Given;
use super::live::Live;
use crate::clock::SystemClock;
use crate::egress::{Destinations, Egress, Policy};
use crate::flows::step::{FlowToken, Purpose};
use crate::flows::{Cost, Description, Flow as _, Plugin};
use crate::secrets::Cleaner;
use crate::trial::recording::{self, Recording};
use crate::trial::walk::{End, MAX_STEPS, Setup, scheme, walk};

/// Run one attempt of a component against a real provider, and show its steps
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Secrets are shown as names, and the token only with --show-token. A flow that sends a person to the provider's page prints its address and waits on http://127.0.0.1:8421/callback, which the provider must know. Exit code 0: a token came; 1: none did.\n\nExamples:\n  tokenhost plugin try my-flow.wasm --set client_id=abc --secret client_secret=@secret.txt \\\n      --set token_url=https://provider.example/token\n  tokenhost plugin try my-flow.wasm --fields fields.toml --secret client_secret=env:SECRET --refresh\n  tokenhost plugin try my-flow.wasm --fields fields.toml --purpose refresh --secret token.refresh_token=@rt\n  tokenhost plugin try my-flow.wasm --fields fields.toml --record attempt.json\n  tokenhost plugin try my-flow.wasm --fields fields.toml --allow 127.0.0.0/8 --http   # a provider on this machine"
)]
pub(super) struct Try {
    /// The component
    file: PathBuf,
    /// A field that is no secret
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    #[arg(long, value_name = "NAME=SOURCE", help = format!("A secret: {SECRET_HELP}"))]
    secret: Vec<String>,
    /// A file with fields by name: a JSON object, or TOML
    #[arg(long, value_name = "FILE")]
    fields: Option<PathBuf>,
    /// What the attempt is for; `refresh` needs the secret token.refresh_token
    #[arg(long, value_name = "PURPOSE", default_value = "acquire", value_parser = ["acquire", "refresh"])]
    purpose: String,
    /// Refresh the token once it is there
    #[arg(long)]
    refresh: bool,
    /// A private or loopback network that may be dialled, e.g. 127.0.0.0/8
    #[arg(long, value_name = "NETWORK", value_parser = network, value_delimiter = ',')]
    allow: Vec<IpNet>,
    /// Allow plain http
    #[arg(long)]
    http: bool,
    /// The port of this machine to which a person comes back
    #[arg(long, value_name = "PORT", default_value_t = 8421)]
    callback_port: u16,
    /// Write all that happened into a file, what the provider said included
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Print the token too
    #[arg(long)]
    show_token: bool,
}

/// A network, or a single address.
fn network(text: &str) -> Result<IpNet, String> {
    text.parse()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| "a network like 127.0.0.0/8 or an address is wanted".to_owned())
}

impl Try {
    /// Runs it.
    ///
    /// # Errors
    /// The component can't be loaded, the fields don't do, no token came, or the recording can't be written.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let bytes = super::read(&self.file)?;
        let plugin = compiled::load(&compiled::engine()?, bytes, output).await;
        let plugin = plugin.map_err(|error| Failure::failed(error.to_string()))?;
        let given = self.given(plugin.description())?;
        let clock = SystemClock::shared();
        let policy = Policy { allow_networks: self.allow.clone(), allow_http: self.http, ..Policy::default() };
        let egress = Egress::new(policy, clock.clone());
        let return_key = random_key();
        // Only a flow that sends a person away needs the port; others must work where it is taken.
        let port = if plugin.description().unattended { 0 } else { self.callback_port };
        let callback = Callback::listen(port, return_key.clone()).await?;
        let mut setup = Setup {
            scheme_name: "try".to_owned(),
            scheme_document: scheme(plugin.description(), &given.values).to_string(),
            values: given.values,
            secrets: given.secrets,
            revealed: Vec::new(),
            callback_url: Some(callback.url().to_owned()),
            return_key: Some(return_key),
        };
        if !output.is_json() {
            output.text(&format!("{}\n", plugin.identity()))?;
        }
        // Made before anything is sent, so that what came isn't lost for want of a file.
        let file = self.record.as_deref().map(private_file).transpose()?;
        let mut recording = Recording::new(plugin.identity());
        let mut purposes = vec![if self.purpose == "refresh" { Purpose::Refresh } else { Purpose::Acquire }];
        if self.refresh {
            purposes.push(Purpose::Refresh);
        }
        let mut told = Told::new(&plugin);
        for (number, purpose) in (1..).zip(purposes) {
            let to = Destinations::of(setup.urls(plugin.description()));
            let mut live = Live {
                description: plugin.description(),
                egress: &egress,
                clock: clock.clone(),
                to,
                cleaner: Cleaner::new(&setup.secrets),
                callback: &callback,
                output,
                before: told.steps.len(),
                steps: Vec::new(),
                recorded: Vec::new(),
                cost: Cost::default(),
                provider: Duration::ZERO,
                prompted: None,
                closed: false,
            };
            if number > 1 && !output.is_json() {
                output.text("\nand the refresh:\n")?;
            }
            let context = recording::Told::of(&setup);
            let end = walk(&plugin, &setup, purpose, &mut live, false).await;
            if live.closed {
                return Err(Failure::OutputClosed);
            }
            recording.attempts.push(recording::Attempt { context, steps: std::mem::take(&mut live.recorded) });
            if let End::Token(token) = &end {
                setup.keep(token);
            }
            let failed = told.take(live, end, purpose, self.show_token);
            if failed || (number == 1 && self.refresh && !told.can_refresh(&setup)) {
                break;
            }
        }
        if let Some((file, path)) = file.zip(self.record.as_deref()) {
            write_recording(file, path, &recording)?;
            output.note(&format!(
                "the attempt is in {}: it holds what the provider said, tokens included; only you can read it\nnow: tokenhost \
                 plugin replay {} --flow {}",
                path.display(),
                path.display(),
                self.file.display()
            ));
        }
        told.show(output)
    }

    /// Values and secrets, complete.
    fn given(&self, description: &Description) -> Result<Given, Failure> {
        let mut given = Given::default();
        let mut secrets = SecretReader::default();
        for (name, value) in self.fields.as_deref().map(fields_file).transpose()?.unwrap_or_default() {
            given.hide(description, name, value.clone().into(), value);
        }
        for text in &self.set {
            let (name, value) = assignment("--set", text)?;
            given.set(description, name, value)?;
        }
        for text in &self.secret {
            let (name, value) = secrets.assignment("--secret", text)?;
            let text = value.expose_secret().to_owned();
            given.hide(description, name, value, text);
        }
        given.complete(description, &mut |field| can_ask().then(|| SecretReader::ask(&field.title)))?;
        if self.purpose == "refresh" && given.secrets.get("token.refresh_token").is_none() {
            return Err(Failure::usage("--purpose refresh needs --secret token.refresh_token=@FILE"));
        }
        Ok(given)
    }
}

/// An unguessable value for the provider to echo.
fn random_key() -> String {
    let mut key = [0; 24];
    rand::fill(&mut key);
    hex::encode(key)
}

/// A new file that only its owner can read.
fn private_file(path: &Path) -> Result<std::fs::File, Failure> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
        let failure = Failure::failed(format!("{} can't be made: {error}", path.display()));
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => failure.hint("Name another file; a recording replaces none."),
            _ => failure,
        }
    })
}

fn write_recording(mut file: std::fs::File, path: &Path, recording: &Recording) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(recording).map_err(|error| Failure::failed(error.to_string()))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .map_err(|error| Failure::failed(format!("{} can't be written: {error}", path.display())))
}

/// What is told of all attempts.
struct Told {
    /// The flow.
    flow: String,
    /// The steps of all attempts.
    steps: Vec<Value>,
    /// The last token, as far as it may be seen.
    token: Option<Value>,
    /// Why the last attempt brought none.
    failure: Option<String>,
    /// What the flow's steps took together.
    cost: Cost,
    /// How long the provider took.
    provider: Duration,
}

impl Told {
    fn new(plugin: &Plugin) -> Self {
        Self {
            flow: plugin.identity(),
            steps: Vec::new(),
            token: None,
            failure: None,
            cost: Cost::default(),
            provider: Duration::ZERO,
        }
    }

    /// Takes in an attempt that is over; says whether it failed.
    fn take(&mut self, mut live: Live<'_>, end: End, purpose: Purpose, show_token: bool) -> bool {
        self.steps.append(&mut live.steps);
        self.cost.memory = self.cost.memory.max(live.cost.memory);
        self.cost.processor += live.cost.processor;
        self.provider += live.provider;
        let cleaner = &mut live.cleaner;
        let clean = |cleaner: &Cleaner, text: &str| Some(cleaner.clean(text));
        self.failure = match end {
            End::Token(token) if token.access_token.is_none() && purpose == Purpose::Acquire => {
                Some("the flow is done without an access token".to_owned())
            }
            End::Token(token) => {
                self.token = Some(seen(&token, cleaner, show_token));
                None
            }
            End::Revoked => Some("the flow revoked the token".to_owned()),
            End::Failed(failure) => clean(cleaner, &format!("{}: {}", failure.code, failure.message)),
            End::Fault(fault) => clean(cleaner, &fault.to_string()),
            End::Refused(message) => Some(format!("the request may not go: {message}")),
            End::Lost(message) | End::Impure(message) => clean(cleaner, &message),
            End::Endless => Some(format!("the flow took more than {MAX_STEPS} steps")),
        };
        self.failure.is_some()
    }

    /// Whether there is something to refresh with; else says so.
    fn can_refresh(&mut self, setup: &Setup) -> bool {
        let can = setup.secrets.get("token.refresh_token").is_some();
        if !can {
            self.failure = Some("a token came, but no refresh token to refresh it with".to_owned());
        }
        can
    }

    /// Shows how it ended.
    fn show(self, output: Output) -> Result<(), Failure> {
        let ok = self.failure.is_none();
        let document = json!({
            "ok": ok, "flow": self.flow, "steps": self.steps, "token": if ok { self.token } else { None },
            "failure": self.failure,
            "microseconds": u64::try_from(self.cost.processor.as_micros()).unwrap_or(u64::MAX),
            "memory": self.cost.memory,
            "provider_milliseconds": u64::try_from(self.provider.as_millis()).unwrap_or(u64::MAX),
        });
        output.show(&document, |document| {
            let text = match (document.get("token"), member(document, "failure")) {
                (_, Some(failure)) => format!("\nno token: {failure}\n"),
                (Some(token), None) => format!("\na token came\n{}", self::token(token)),
                (None, None) => String::new(),
            };
            text + &took(document)
        })?;
        if ok { Ok(()) } else { Err(Failure::Silent(Exit::Failed)) }
    }
}

/// What it all took, for people.
fn took(document: &Value) -> String {
    let number = |name: &str| document[name].as_u64().unwrap_or_default();
    let (micros, steps) = (number("microseconds"), document["steps"].as_array().map_or(0, Vec::len));
    format!(
        "\n{steps} steps: the flow took {}.{:02} ms and at most {} KiB, the provider {} ms\n",
        micros / 1000,
        micros % 1000 / 10,
        number("memory") >> 10,
        number("provider_milliseconds")
    )
}

/// What may be seen of a token.
fn seen(token: &FlowToken, cleaner: &mut Cleaner, show_token: bool) -> Value {
    let secrets = [("access_token", &token.access_token), ("refresh_token", &token.refresh_token)];
    if !show_token {
        for (name, secret) in secrets {
            if let Some(secret) = secret {
                cleaner.add(name, secret);
            }
        }
        for (name, secret) in &token.secrets {
            cleaner.add(name, secret);
        }
    }
    let clean = |text: &Option<String>| text.as_ref().map(|text| cleaner.clean(text));
    let values: serde_json::Map<String, Value> =
        token.values.iter().map(|(name, value)| (name.clone(), cleaner.clean(value).into())).collect();
    let mut document = json!({
        "token_type": clean(&token.token_type),
        "expires_in": token.expires_in,
        "expires_at": token.expires_at,
        "scope": clean(&token.scope),
        "has_refresh_token": token.refresh_token.is_some(),
        "values": values,
        "secrets": token.secrets.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
    });
    for (name, secret) in secrets {
        if let (true, Some(secret)) = (show_token, secret) {
            document[name] = secret.expose_secret().into();
        }
    }
    document
}

/// A token for people.
fn token(token: &Value) -> String {
    let mut pairs = Pairs::default();
    pairs.add("type", member(token, "token_type").unwrap_or_else(|| "not said (Bearer)".to_owned()));
    let lifetime = match (member(token, "expires_in"), member(token, "expires_at")) {
        (Some(seconds), _) => format!("{seconds} s"),
        (None, Some(at)) => format!("until {at} (seconds since 1970)"),
        (None, None) => "not said".to_owned(),
    };
    pairs.add("lifetime", lifetime);
    pairs.add("scope", member(token, "scope"));
    let refresh = token.get("has_refresh_token") == Some(&Value::Bool(true));
    pairs.add("refresh token", if refresh { "yes" } else { "no" }.to_owned());
    for (name, value) in token.get("values").and_then(Value::as_object).into_iter().flatten() {
        pairs.add(name, value.as_str().map(str::to_owned));
    }
    pairs.add("further secrets", member(token, "secrets").filter(|names| !names.is_empty()));
    for name in ["access_token", "refresh_token"] {
        pairs.add(name, member(token, name));
    }
    pairs.to_text("  ")
}
