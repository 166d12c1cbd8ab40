//! One attempt of a component: step after step, and between them what the flow wants done, by a world that the caller brings.
//!
//! It decides nothing about tokens: how an attempt ends is the caller's to judge.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;

use super::told;
use crate::egress::RequestRecord;
use crate::flows::description::{FieldKind, Requirement, SchemeMatch};
use crate::flows::request::Request;
use crate::flows::step::{Context, Event, Failure, FlowToken, Purpose, Response, Step, Unanswered, Wait};
use crate::flows::{Cost, Description, Plugin, PluginError};
use crate::secrets::Secrets;

/// Steps of one attempt, as in the daemon.
pub const MAX_STEPS: usize = 200;

/// What an attempt is made with: what an integration would be in the daemon.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The security scheme's name.
    pub scheme_name: String,
    /// The scheme object, as JSON.
    pub scheme_document: String,
    /// What is set and no secret, by name: fields, and of a present token `token.NAME`.
    pub values: BTreeMap<String, String>,
    /// What is set and secret: fields, `token.access_token`, `token.refresh_token`, `token.NAME`.
    pub secrets: Secrets,
    /// The names of the secrets that the flow may read.
    pub revealed: Vec<String>,
    /// Where a person is sent back to.
    pub callback_url: Option<String>,
    /// What the provider echoes when a person comes back (`state` in RFC 6749).
    pub return_key: Option<String>,
}

impl Setup {
    /// The URLs to whose origins requests may go.
    pub fn urls<'a>(&'a self, description: &'a Description) -> impl Iterator<Item = &'a str> {
        let fields = description.fields.iter().filter(|field| field.is_url());
        fields.filter_map(|field| self.values.get(&field.name)).map(String::as_str)
    }

    /// Whether this URL is the one of a metadata field, whose answer says where further requests may go.
    pub fn is_metadata(&self, description: &Description, url: &str) -> bool {
        let mut fields = description.fields.iter().filter(|field| field.kind == FieldKind::MetadataUrl);
        fields.any(|field| self.values.get(&field.name).is_some_and(|value| value == url))
    }

    /// Keeps a token as the present one, as the daemon does: what a refresh leaves out keeps its old value.
    pub fn keep(&mut self, token: &FlowToken) {
        let parts = [("token.access_token", &token.access_token), ("token.refresh_token", &token.refresh_token)];
        for (name, secret) in parts {
            if let Some(secret) = secret {
                self.secrets.insert(name, secret.clone());
            }
        }
        for (name, secret) in &token.secrets {
            self.secrets.insert(format!("token.{name}"), secret.clone());
        }
        for (name, value) in &token.values {
            self.values.insert(format!("token.{name}"), value.clone());
        }
        if let Some(scope) = &token.scope {
            self.values.insert("token.scope".to_owned(), scope.clone());
        }
    }

    /// What the flow is told at a moment.
    pub fn context(&self, moment: Moment) -> Context {
        Context {
            scheme_name: self.scheme_name.clone(),
            scheme_document: self.scheme_document.clone(),
            values: self.values.clone().into_iter().collect(),
            secrets: self.secrets.names().map(str::to_owned).collect(),
            revealed: self
                .revealed
                .iter()
                .filter_map(|name| Some((name.clone(), self.secrets.get(name)?.clone())))
                .collect(),
            now: moment.now,
            entropy: moment.entropy,
            callback_url: self.callback_url.clone(),
            return_key: self.return_key.clone(),
        }
    }
}

/// Whether a field must be set, by the values that are.
pub fn is_needed(required: &Requirement, values: &BTreeMap<String, String>) -> bool {
    match required {
        Requirement::Always => true,
        Requirement::Never => false,
        Requirement::When(condition) => {
            values.get(&condition.field).is_some_and(|value| condition.one_of.contains(value))
        }
    }
}

/// A security scheme as a document would have it, for the first that the flow handles; JSON.
pub fn scheme(description: &Description, values: &BTreeMap<String, String>) -> serde_json::Value {
    let handled = description.handles.first();
    let kind = handled.map_or("oauth2", |handled: &SchemeMatch| handled.kind.as_str());
    let detail = handled.and_then(|handled| handled.detail.as_deref());
    match kind {
        "oauth2" => {
            let sources = description
                .fields
                .iter()
                .filter_map(|field| Some((field.source.clone()?, values.get(&field.name)?.as_str().into())));
            let mut flow: serde_json::Map<String, serde_json::Value> = sources.collect();
            flow.entry("scopes").or_insert_with(|| serde_json::json!({}));
            serde_json::json!({"type": kind, "flows": {detail.unwrap_or("clientCredentials"): flow}})
        }
        "http" => serde_json::json!({"type": kind, "scheme": detail.unwrap_or("bearer")}),
        _ => serde_json::json!({"type": kind}),
    }
}

/// What a step takes of the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since the Unix epoch.
    pub now: u64,
    /// Fresh random bytes.
    pub entropy: [u8; 32],
}

/// What became of a request.
#[derive(Clone, Debug)]
pub enum Sent {
    /// A complete answer, and how long it took.
    Answered(Response, Duration),
    /// No complete answer.
    Unanswered(Unanswered),
    /// It may not go; for people.
    Refused(String),
}

/// One step that is over, with what followed from it.
#[derive(Debug)]
pub struct Stepped<'a> {
    /// What the flow was told.
    pub context: &'a Context,
    /// What had happened.
    pub event: &'a Event,
    /// What it answered.
    pub outcome: &'a Result<Result<Step, Failure>, PluginError>,
    /// What it printed, not cleaned.
    pub printed: &'a str,
    /// What it took.
    pub cost: Cost,
    /// What was sent, as a record may show it; not cleaned.
    pub request: Option<RequestRecord>,
    /// What became of that.
    pub sent: Option<&'a Sent>,
}

/// What is around an attempt.
#[async_trait]
pub trait World: Send {
    /// What the next step takes of the moment.
    fn moment(&mut self) -> Moment;

    /// Sends a request. The record is what may be shown of it.
    async fn send(&mut self, request: &Request, setup: &Setup) -> (Option<RequestRecord>, Sent);

    /// Waits, and tells a person what to do meanwhile.
    async fn wait(&mut self, wait: &Wait);

    /// Sends a person to a URL, and gives the query with which they come back.
    ///
    /// # Errors
    /// Nobody came back; for people.
    async fn send_person(&mut self, url: &str) -> Result<Vec<(String, SecretString)>, String>;

    /// A step is over: after the answer came, but before a wait or a person's way.
    fn stepped(&mut self, step: &Stepped<'_>);
}

/// How an attempt ended.
#[derive(Debug)]
pub enum End {
    /// With a token.
    Token(Box<FlowToken>),
    /// With the token revoked.
    Revoked,
    /// The flow gave up.
    Failed(Failure),
    /// The component itself misbehaved.
    Fault(PluginError),
    /// A request may not go; for people.
    Refused(String),
    /// A person didn't come back; for people.
    Lost(String),
    /// The same step gave something else the second time; for people.
    Impure(String),
    /// It took more than [`MAX_STEPS`] steps.
    Endless,
}

/// Runs one attempt. `twice`: each step runs a second time with the same input, and must give the same.
pub async fn walk(plugin: &Plugin, setup: &Setup, purpose: Purpose, world: &mut dyn World, twice: bool) -> End {
    let mut event = Event::Begin(purpose);
    for _ in 0..MAX_STEPS {
        let context = setup.context(world.moment());
        let (run, cost) = plugin.measure(&context, event.clone()).await;
        let (outcome, printed) = match run {
            Ok(run) => (Ok(run.outcome), run.printed),
            Err(fault) => {
                let printed = fault.printed.clone();
                (Err(fault), printed)
            }
        };
        if twice && let Some(problem) = differs(plugin, &context, &event, &outcome).await {
            return End::Impure(problem);
        }
        let mut stepped = Stepped {
            context: &context,
            event: &event,
            outcome: &outcome,
            printed: &printed,
            cost,
            request: None,
            sent: None,
        };
        let next = match &outcome {
            Ok(Ok(Step::Send(request, state))) => {
                let (record, sent) = world.send(request, setup).await;
                stepped.request = record;
                stepped.sent = Some(&sent);
                world.stepped(&stepped);
                match sent {
                    Sent::Answered(response, _) => Event::Answered(state.clone(), response),
                    Sent::Unanswered(unanswered) => Event::Unanswered(state.clone(), unanswered),
                    Sent::Refused(message) => return End::Refused(message),
                }
            }
            Ok(Ok(Step::Wait(wait))) => {
                world.stepped(&stepped);
                world.wait(wait).await;
                Event::Elapsed(wait.state.clone())
            }
            Ok(Ok(Step::Redirect(url, state))) => {
                world.stepped(&stepped);
                match world.send_person(url).await {
                    Ok(query) => Event::Returned(state.clone(), query),
                    Err(message) => return End::Lost(message),
                }
            }
            _ => {
                world.stepped(&stepped);
                return match outcome {
                    Ok(Ok(Step::Done(token))) => End::Token(token),
                    Ok(Ok(_)) => End::Revoked,
                    Ok(Err(failure)) => End::Failed(failure),
                    Err(fault) => End::Fault(fault),
                };
            }
        };
        event = next;
    }
    End::Endless
}

/// Runs a step again; what differs then.
async fn differs(
    plugin: &Plugin,
    context: &Context,
    event: &Event,
    outcome: &Result<Result<Step, Failure>, PluginError>,
) -> Option<String> {
    let Ok(first) = outcome else { return None };
    let (run, _) = plugin.measure(context, event.clone()).await;
    let second = match run {
        Ok(run) => told::exact(&run.outcome),
        Err(fault) => return Some(format!("on `{}` it answered once, and then: {}", event.name(), fault.fault)),
    };
    let first = told::exact(first);
    (first != second).then(|| {
        let lines = told::difference(&first, &second);
        format!("on `{}` the same input gave two different steps:\n{}", event.name(), lines.join("\n"))
    })
}
