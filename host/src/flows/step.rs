//! One step of a flow: what it is given and what it answers, in the domain's own types.

use std::fmt;

use bytes::Bytes;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::request::{Derived, Request, Template};

/// What a flow is told of the integration and the moment.
#[derive(Clone, Debug)]
pub struct Context {
    /// The security scheme's name in its document.
    pub scheme_name: String,
    /// The scheme object in OpenAPI 3 form, `$ref`s resolved, as JSON.
    pub scheme_document: String,
    /// All that is set and not secret, by name: fields, and of the present token `token.NAME`.
    pub values: Vec<(String, String)>,
    /// The names of the secrets that are set: fields, `token.access_token`, `token.refresh_token`, `token.NAME`.
    pub secrets: Vec<String>,
    /// Secrets that the operator lets this very component read.
    pub revealed: Vec<(String, SecretString)>,
    /// Seconds since the Unix epoch.
    pub now: u64,
    /// Random bytes, fresh for each step, and recorded.
    pub entropy: [u8; 32],
    /// Where a person is sent back to.
    pub callback_url: Option<String>,
    /// What the provider echoes, by which the host knows the attempt (`state` in RFC 6749).
    pub return_key: Option<String>,
}

/// A flow's own notes between two steps of an attempt. Sealed where it is kept, since it may hold anything.
pub type State = SecretString;

/// What happened since the last step.
#[derive(Clone, Debug)]
pub enum Event {
    /// The attempt starts.
    Begin(Purpose),
    /// The request of the last step was answered.
    Answered(State, Response),
    /// The request of the last step got no complete answer.
    Unanswered(State, Unanswered),
    /// The wait of the last step is over.
    Elapsed(State),
    /// A person came back from the redirect of the last step, with these query parameters.
    Returned(State, Vec<(String, SecretString)>),
}

impl Event {
    /// Its name for people, e.g. `begin refresh`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Begin(Purpose::Acquire) => "begin acquire",
            Self::Begin(Purpose::Refresh) => "begin refresh",
            Self::Begin(Purpose::Revoke) => "begin revoke",
            Self::Answered(..) => "answered",
            Self::Unanswered(..) => "unanswered",
            Self::Elapsed(_) => "elapsed",
            Self::Returned(..) => "returned",
        }
    }
}

/// What an attempt is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A token from the credentials.
    Acquire,
    /// A token from the refresh token.
    Refresh,
    /// The token's end.
    Revoke,
}

impl Purpose {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acquire => "acquire",
            Self::Refresh => "refresh",
            Self::Revoke => "revoke",
        }
    }
}

/// Why a request got no complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// Whether any of the request may have reached the provider.
    pub left: bool,
    /// For people; holds no secret.
    pub reason: String,
}

/// A provider's answer, as it came. May hold tokens: `Debug` shows status, header names and size.
#[derive(Clone)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, decompressed.
    pub body: Bytes,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// What a flow wants next.
#[derive(Clone, Debug)]
pub enum Step {
    /// Send this request, then go on with `Answered` or `Unanswered`.
    Send(Request, State),
    /// Wait, then go on with `Elapsed`.
    Wait(Wait),
    /// Send a person to this URL, then go on with `Returned`.
    Redirect(String, State),
    /// The attempt ends with a token.
    Done(Box<FlowToken>),
    /// The attempt ends with the token revoked.
    Revoked,
}

impl Step {
    /// The name for people of what a step came to, e.g. `send`, or `failed`.
    pub fn name_of(outcome: &Result<Self, Failure>) -> &'static str {
        match outcome {
            Ok(Self::Send(..)) => "send",
            Ok(Self::Wait(_)) => "wait",
            Ok(Self::Redirect(..)) => "redirect",
            Ok(Self::Done(_)) => "done",
            Ok(Self::Revoked) => "revoked",
            Err(_) => "failed",
        }
    }
}

/// A pause of the attempt.
#[derive(Clone, Debug)]
pub struct Wait {
    /// How long.
    pub seconds: u32,
    /// What a person has to do meanwhile, if anything.
    pub prompt: Option<Prompt>,
    /// The flow's notes.
    pub state: State,
}

/// What a person has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// For people.
    pub message: String,
    /// Where to go.
    pub url: Option<String>,
    /// What to enter there.
    pub code: Option<String>,
}

/// What an attempt ends with. After a refresh, what is absent keeps its old value.
#[derive(Clone, Debug, Default)]
pub struct FlowToken {
    /// RFC 6749 section 1.4.
    pub access_token: Option<SecretString>,
    /// RFC 6749 section 1.5.
    pub refresh_token: Option<SecretString>,
    /// RFC 6749 section 7.1.
    pub token_type: Option<String>,
    /// Seconds from when the request left.
    pub expires_in: Option<u64>,
    /// Seconds since the Unix epoch; used where there is no `expires_in`.
    pub expires_at: Option<u64>,
    /// Seconds from when the request left until the refresh token expires.
    pub refresh_expires_in: Option<u64>,
    /// RFC 6749 section 3.3, space-separated.
    pub scope: Option<String>,
    /// What else the provider sent along and is no secret.
    pub values: Vec<(String, String)>,
    /// What else it sent along and is secret.
    pub secrets: Vec<(String, SecretString)>,
    /// How it goes into a request to the service.
    pub placing: Placing,
}

/// How a token goes into a request to the service; nothing: `Authorization: <token_type> <access_token>`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Placing {
    /// The parts of the request that carry it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placements: Vec<Placement>,
    /// Values for them, in order; a later one may use an earlier one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub derived: Vec<Derived>,
    /// A signer of the host for every request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<Signer>,
}

impl Placing {
    /// Whether the token goes where tokens go.
    pub fn is_default(&self) -> bool {
        self.placements.is_empty() && self.signer.is_none()
    }

    /// All templates, in the order in which they stand.
    pub fn templates_mut(&mut self) -> impl Iterator<Item = &mut Template> {
        let placements = self.placements.iter_mut().map(|placement| &mut placement.value);
        let derived = self.derived.iter_mut().flat_map(|derived| derived.value.templates_mut());
        let signer = self.signer.iter_mut().flat_map(|signer| &mut signer.parameters).map(|(_, value)| value);
        placements.chain(derived).chain(signer)
    }
}

/// One part of a request to the service that carries the token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Placement {
    /// Where it goes.
    pub location: Location,
    /// The header's, parameter's or cookie's name.
    pub name: String,
    /// Its value.
    pub value: Template,
}

/// Where a placement goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Location {
    /// A header.
    Header,
    /// A query parameter.
    Query,
    /// A cookie.
    Cookie,
}

/// A signer of the host, with its parameters.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Signer {
    /// E.g. `aws-sigv4`.
    pub name: String,
    /// What it needs.
    pub parameters: Vec<(String, Template)>,
}

/// Why a flow ended an attempt without a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Of RFC 6749 where one fits, e.g. `invalid_grant`.
    pub code: String,
    /// For people. Uncleaned: it may repeat what a provider echoed.
    pub message: String,
    /// What can be done.
    pub remedy: Remedy,
}

/// What can be done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The same request may work later; after so many seconds where the provider said so.
    Retry(Option<u32>),
    /// The refresh token is spent: acquire anew.
    Reacquire,
    /// A person has to correct a field or consent again.
    Reconfigure,
}
