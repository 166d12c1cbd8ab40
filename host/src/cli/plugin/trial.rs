//! `tokenhost plugin try FILE`: one attempt against a real provider, in this process, without daemon, store or journal.
//!
//! It shows what the daemon would record: the steps, secrets as names. Nothing is kept.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;

use super::super::attempt;
use super::super::exit::{Exit, Failure};
use super::super::output::{Output, Pairs, can_ask, member};
use super::super::values::{SECRET_HELP, SecretReader, assignment, fields_file};
use super::fields::Given;
use crate::clock::{SharedClock, SystemClock};
use crate::egress::{Answer, Destinations, Egress, Policy, Transport};
use crate::flows::description::FieldKind;
use crate::flows::request::Request;
use crate::flows::step::{Context, Event, FlowToken, Purpose, Response, State, Step, Wait};
use crate::flows::{Description, Flow as _, Plugin};
use crate::secrets::Cleaner;
use crate::tokens::AnswerStory;

/// Steps of one attempt, as in the daemon.
const MAX_STEPS: usize = 200;

/// The longest time that a flow may wait between two steps, as in the daemon.
const MAX_WAIT: Duration = Duration::from_secs(600);

/// Run one attempt of a component against a real provider, and show its steps
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Secrets are shown as names, and the token only with --show-token. Exit code 0: a token came; 1: none did.\n\nExamples:\n  tokenhost plugin try my-flow.wasm --set client_id=abc --secret client_secret=@secret.txt \\\n      --set token_url=https://provider.example/token\n  tokenhost plugin try my-flow.wasm --fields fields.toml --secret client_secret=env:SECRET\n  tokenhost plugin try my-flow.wasm --fields fields.toml --purpose refresh --secret token.refresh_token=@rt\n  tokenhost plugin try my-flow.wasm --fields fields.toml --allow 127.0.0.0/8 --http   # a provider on this machine"
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
    /// A private or loopback network that may be dialled, e.g. 127.0.0.0/8
    #[arg(long, value_name = "NETWORK", value_parser = network, value_delimiter = ',')]
    allow: Vec<IpNet>,
    /// Allow plain http
    #[arg(long)]
    http: bool,
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

/// How an attempt ended.
enum End {
    /// With a token.
    Token(Box<FlowToken>),
    /// Without one.
    Failed(String),
}

impl Try {
    /// Runs it.
    ///
    /// # Errors
    /// The component can't be loaded, the fields don't do, or no token came.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let bytes = super::read(&self.file)?;
        let plugin =
            Plugin::load(&super::engine()?, bytes).await.map_err(|error| Failure::failed(error.to_string()))?;
        let given = self.given(plugin.description())?;
        let clock = SystemClock::shared();
        let policy = Policy { allow_networks: self.allow.clone(), allow_http: self.http, ..Policy::default() };
        let urls = plugin.description().fields.iter().filter(|field| field.is_url());
        let to = Destinations::of(urls.filter_map(|field| given.values.get(&field.name)).map(String::as_str));
        let mut attempt = Attempt {
            cleaner: Cleaner::new(&given.secrets),
            scheme: given.scheme(plugin.description()).to_string(),
            egress: Egress::new(policy, clock.clone()),
            steps: Vec::new(),
            plugin,
            given,
            clock,
            to,
            output,
        };
        if !output.is_json() {
            output.text(&format!("{}\n", attempt.plugin.identity()))?;
        }
        let purpose = if self.purpose == "refresh" { Purpose::Refresh } else { Purpose::Acquire };
        let end = attempt.run(purpose).await?;
        attempt.tell_end(end, self.show_token)
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

/// The attempt under way.
struct Attempt {
    plugin: Plugin,
    given: Given,
    /// Text for people goes through this.
    cleaner: Cleaner,
    /// The security scheme, as JSON.
    scheme: String,
    egress: Egress,
    clock: SharedClock,
    /// Where requests may go.
    to: Destinations,
    /// What happened, in the shape in which the API shows steps.
    steps: Vec<Value>,
    output: Output,
}

impl Attempt {
    /// The loop: one step of the flow, and what it wants done.
    async fn run(&mut self, purpose: Purpose) -> Result<End, Failure> {
        let mut event = Event::Begin(purpose);
        for _ in 0..MAX_STEPS {
            let mut step = json!({"event": event.name(), "now": self.context().now});
            let run = match self.plugin.advance(&self.context(), event).await {
                Ok(run) => run,
                Err(fault) => {
                    step["step"] = "fault".into();
                    self.note_printed(&mut step, &fault.printed);
                    self.tell(step)?;
                    return Ok(End::Failed(self.cleaner.clean(&fault.to_string())));
                }
            };
            self.note_printed(&mut step, &run.printed);
            let (name, next) = match run.outcome {
                Ok(Step::Send(request, state)) => ("send", self.exchange(&request, state, &mut step).await),
                Ok(Step::Wait(wait)) => {
                    step["step"] = "wait".into();
                    self.tell(step)?;
                    event = self.wait(wait).await;
                    continue;
                }
                Ok(Step::Done(token)) => ("done", Err(End::Token(token))),
                Ok(Step::Revoked) => ("revoked", Err(End::Failed("the flow revoked the token".to_owned()))),
                Ok(Step::Redirect(url, _)) => {
                    let message = "the flow sends a person to the provider, and `plugin try` can't wait for them";
                    step["problem"] = self.cleaner.clean(&url).into();
                    ("redirect", Err(End::Failed(message.to_owned())))
                }
                Err(failure) => {
                    let message = self.cleaner.clean(&format!("{}: {}", failure.code, failure.message));
                    ("failed", Err(End::Failed(message)))
                }
            };
            step["step"] = name.into();
            self.tell(step)?;
            match next {
                Ok(next) => event = next,
                Err(end) => return Ok(end),
            }
        }
        Ok(End::Failed(format!("the flow took more than {MAX_STEPS} steps")))
    }

    /// Keeps what the plugin printed in a step.
    fn note_printed(&self, step: &mut Value, printed: &str) {
        if !printed.is_empty() {
            step["printed"] = self.cleaner.clean(printed).into();
        }
    }

    /// What the flow is told.
    fn context(&self) -> Context {
        let mut entropy = [0; 32];
        rand::fill(&mut entropy);
        Context {
            scheme_name: "try".to_owned(),
            scheme_document: self.scheme.clone(),
            values: self.given.values.clone().into_iter().collect(),
            secrets: self.given.secrets.names().map(str::to_owned).collect(),
            revealed: Vec::new(),
            now: u64::try_from(self.clock.now().timestamp()).unwrap_or_default(),
            entropy,
            callback_url: None,
            return_key: None,
        }
    }

    /// Sends a request, and notes what was sent and what came back.
    async fn exchange(&mut self, request: &Request, state: State, step: &mut Value) -> Result<Event, End> {
        let prepared = self
            .egress
            .prepare(request, &self.given.secrets, &[], &self.to, &Transport::default())
            .map_err(|refusal| {
                let message = self.cleaner.clean(&refusal.to_string());
                End::Failed(
                    format!("the request may not go: {message}\n{}", hints(&message).join("\n")).trim_end().to_owned(),
                )
            })?;
        prepared.teach(&mut self.cleaner);
        let mut record = prepared.record().clone();
        record.clean(&self.cleaner);
        step["request"] = serde_json::to_value(record).unwrap_or_default();
        match self.egress.send(prepared).await {
            Ok(Answer { response, taken, .. }) => {
                step["answer"] = json!(AnswerStory::of(&response, taken));
                self.learn(&request.url, &response);
                Ok(Event::Answered(state, response))
            }
            Err(unsent) => {
                let reason = self.cleaner.clean(&unsent.reason);
                let left = if unsent.left { "it may have arrived" } else { "nothing of it left" };
                step["problem"] = [format!("no complete answer, {left}: {reason}")]
                    .into_iter()
                    .chain(hints(&reason))
                    .collect::<Vec<_>>()
                    .join("\n")
                    .into();
                Ok(Event::Unanswered(state, unsent.into()))
            }
        }
    }

    /// Lets requests go to the endpoints that the provider's metadata names, if this was its document.
    fn learn(&mut self, url: &str, response: &Response) {
        let mut fields = self.plugin.description().fields.iter();
        let is_metadata = fields.any(|field| {
            field.kind == FieldKind::MetadataUrl && self.given.values.get(&field.name).is_some_and(|value| value == url)
        });
        if let (true, 200, Ok(url)) = (is_metadata, response.status, Url::parse(url))
            && let Err(problem) = self.to.extend_from_metadata(&url, &response.body)
        {
            self.output.note(&self.cleaner.clean(&problem.to_string()));
        }
    }

    /// Waits as the flow wishes, and tells a person what to do meanwhile.
    async fn wait(&self, wait: Wait) -> Event {
        if let Some(prompt) = &wait.prompt {
            let parts = [Some(&prompt.message), prompt.url.as_ref(), prompt.code.as_ref()];
            let text: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
            self.output.note(&self.cleaner.clean(&text.join("\n")));
        }
        tokio::time::sleep(Duration::from_secs(wait.seconds.into()).min(MAX_WAIT)).await;
        Event::Elapsed(wait.state)
    }

    /// Keeps a step, and shows it as soon as it is over.
    fn tell(&mut self, step: Value) -> Result<(), Failure> {
        self.steps.push(step);
        if self.output.is_json() {
            return Ok(());
        }
        let number = self.steps.len();
        self.output.text(&self.steps.last().map(|step| attempt::step(number, step)).unwrap_or_default())
    }

    /// Shows how it ended.
    fn tell_end(mut self, end: End, show_token: bool) -> Result<(), Failure> {
        let (token, failure) = match end {
            End::Token(token) if token.access_token.is_none() => {
                (None, Some("the flow is done without an access token".to_owned()))
            }
            End::Token(token) => (Some(self.token(&token, show_token)), None),
            End::Failed(message) => (None, Some(message)),
        };
        let document = json!({
            "ok": token.is_some(), "flow": self.plugin.identity(), "steps": self.steps, "token": token, "failure": failure,
        });
        self.output.show(&document, |document| match (document.get("token"), member(document, "failure")) {
            (_, Some(failure)) => format!("\nno token: {failure}"),
            (Some(token), None) => format!("\na token came\n{}", self::token(token)),
            (None, None) => String::new(),
        })?;
        if token.is_some() { Ok(()) } else { Err(Failure::Silent(Exit::Failed)) }
    }

    /// What may be seen of a token.
    fn token(&mut self, token: &FlowToken, show_token: bool) -> Value {
        let secrets = [("access_token", &token.access_token), ("refresh_token", &token.refresh_token)];
        if !show_token {
            for (name, secret) in secrets {
                if let Some(secret) = secret {
                    self.cleaner.add(name, secret);
                }
            }
            for (name, secret) in &token.secrets {
                self.cleaner.add(name, secret);
            }
        }
        let clean = |text: &Option<String>| text.as_ref().map(|text| self.cleaner.clean(text));
        let values: serde_json::Map<String, Value> =
            token.values.iter().map(|(name, value)| (name.clone(), self.cleaner.clean(value).into())).collect();
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

/// Which flags stand for the daemon's settings that a refusal names.
fn hints(message: &str) -> Vec<String> {
    [("TOKENHOST_EGRESS_ALLOW", "here that is --allow NETWORK"), ("TOKENHOST_EGRESS_HTTP", "here that is --http")]
        .into_iter()
        .filter(|(setting, _)| message.contains(setting))
        .map(|(setting, flag)| format!("{setting}: {flag}"))
        .collect()
}
