//! A flow without WebAssembly: one form out, one JSON object back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::flows::description::{Description, Field, FieldKind, Requirement, SchemeMatch};
use crate::flows::request::{Body, Method, Part, Request};
use crate::flows::step::{Context, Event, Failure, FlowToken, Prompt, Purpose, Remedy, Step, Wait};
use crate::flows::{Barred, Catalog, Flow, Limits, PluginError, StepRun};

/// The flow, and the only one in its catalog.
pub(super) struct PlainFlow {
    description: Description,
    digest: String,
    /// Whether it fails at answers.
    pub(super) broken: AtomicBool,
    /// Whether it asks again and again instead of sending a person away.
    pub(super) polls: AtomicBool,
    /// Whether it needs a person though it says that it needs none.
    pub(super) wants_a_person: AtomicBool,
    /// Whether it sends people elsewhere than it may.
    pub(super) strays: AtomicBool,
    /// Whether it can't read answers.
    pub(super) illiterate: AtomicBool,
    /// What its operator has decided, and what came of it.
    pub(super) rules: Mutex<Rules>,
}

/// What an operator has decided about the flow, and what came of it.
#[derive(Default)]
pub(super) struct Rules {
    pub(super) limits: Limits,
    /// Secrets that it may read.
    pub(super) revealed: Vec<String>,
    /// Why it isn't run.
    pub(super) barred: Option<Barred>,
    /// The values that it read.
    pub(super) read: Vec<String>,
    /// How attempts ended: whether with a fault of its own.
    pub(super) faults: Vec<bool>,
}

impl PlainFlow {
    pub(super) fn new(unattended: bool, version: &str) -> Arc<Self> {
        let field = |name: &str, kind, source: Option<&str>| Field {
            name: name.to_owned(),
            title: name.to_owned(),
            help: String::new(),
            kind,
            required: Requirement::Always,
            default: None,
            source: source.map(str::to_owned),
        };
        Arc::new(Self {
            description: Description {
                name: "plain".to_owned(),
                version: version.to_owned(),
                title: "Plain".to_owned(),
                summary: String::new(),
                handles: vec![SchemeMatch { kind: "oauth2".to_owned(), detail: Some("clientCredentials".to_owned()) }],
                unattended,
                fields: vec![
                    field("token_url", FieldKind::Url, Some("tokenUrl")),
                    field("client_secret", FieldKind::Secret, None),
                ],
            },
            digest: format!("{version:0<64}"),
            broken: AtomicBool::new(false),
            polls: AtomicBool::new(false),
            wants_a_person: AtomicBool::new(false),
            strays: AtomicBool::new(false),
            illiterate: AtomicBool::new(false),
            rules: Mutex::default(),
        })
    }
}

#[async_trait]
impl Flow for PlainFlow {
    fn description(&self) -> &Description {
        &self.description
    }

    fn digest(&self) -> &str {
        &self.digest
    }

    fn limits(&self) -> Limits {
        self.rules.lock().unwrap().limits
    }

    async fn advance(&self, context: &Context, event: Event) -> Result<StepRun, PluginError> {
        let read = context.revealed.iter().map(|(name, value)| format!("{name}={}", value.expose_secret()));
        self.rules.lock().unwrap().read.extend(read);
        let failed = |code: &str, message: String, remedy| Err(Failure { code: code.to_owned(), message, remedy });
        let url = context.values.iter().find(|(name, _)| name == "token_url").unwrap().1.clone();
        let send_all = |parameters: Vec<(String, Vec<Part>)>, state: &str| {
            let request = Request {
                method: Method::Post,
                url: url.clone(),
                query: Vec::new(),
                headers: Vec::new(),
                body: Body::Form(parameters),
                derived: Vec::new(),
            };
            Ok(Step::Send(request, state.into()))
        };
        let send = |name: &str, part: Part, state: &str| send_all(vec![(name.to_owned(), vec![part])], state);
        let wait = |prompt| Ok(Step::Wait(Wait { seconds: 0, prompt, state: "polling".into() }));
        let is_alone = self.description.unattended && !self.wants_a_person.load(Ordering::SeqCst);
        let outcome = match event {
            Event::Begin(Purpose::Acquire) if !is_alone && self.polls.load(Ordering::SeqCst) => {
                let page = Some("http://elsewhere.example/device".to_owned());
                wait(Some(Prompt { message: "enter it".to_owned(), url: page, code: Some("WDJB".to_owned()) }))
            }
            Event::Begin(Purpose::Acquire) if !is_alone => {
                let key = context.return_key.clone().unwrap_or_default();
                let base = if self.strays.load(Ordering::SeqCst) { "http://elsewhere.example/" } else { url.as_str() };
                Ok(Step::Redirect(format!("{base}?state={key}"), "verifier".into()))
            }
            Event::Begin(purpose) => {
                let (name, secret) = match purpose {
                    Purpose::Refresh => ("refresh", "token.refresh_token"),
                    Purpose::Acquire => ("secret", "client_secret"),
                    Purpose::Revoke => ("revoke", "token.refresh_token"),
                };
                send(name, Part::Secret(secret.to_owned()), purpose.as_str())
            }
            Event::Returned(state, query) => {
                assert_eq!(state.expose_secret(), "verifier");
                let find = |wanted: &str| query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
                match (find("code"), find("error")) {
                    (Some(code), None) => {
                        let code = ("code".to_owned(), vec![Part::Sensitive(code.clone())]);
                        let secret = ("secret".to_owned(), vec![Part::Secret("client_secret".to_owned())]);
                        send_all(vec![code, secret], "redeeming")
                    }
                    (_, error) => {
                        let error = error.map_or("nothing", |error| error.expose_secret());
                        failed(error, "the person came back without a code".to_owned(), Remedy::Reconfigure)
                    }
                }
            }
            Event::Elapsed(_) => send("poll", Part::Text("x".to_owned()), "polling"),
            Event::Unanswered(state, _) if state.expose_secret() == "polling" => wait(None),
            Event::Answered(state, response) if state.expose_secret() == "polling" && response.status == 418 => {
                wait(None)
            }
            Event::Answered(_, _) if self.broken.load(Ordering::SeqCst) => {
                return Err(PluginError {
                    flow: "plain".to_owned(),
                    fault: "it trapped".to_owned(),
                    printed: String::new(),
                });
            }
            Event::Answered(..) if self.illiterate.load(Ordering::SeqCst) => {
                failed("invalid_response", "the answer has no access_token".to_owned(), Remedy::Reacquire)
            }
            Event::Answered(state, response) if state.expose_secret() == "revoke" && response.status == 200 => {
                Ok(Step::Revoked)
            }
            Event::Answered(_, response) => {
                let retry_after = response.headers.iter().find(|(name, _)| name == "retry-after");
                let retry_after = retry_after.and_then(|(_, value)| value.parse().ok());
                let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
                match body["access_token"].as_str() {
                    Some(token) => Ok(Step::Done(Box::new(FlowToken {
                        access_token: Some(token.into()),
                        refresh_token: body["refresh_token"].as_str().map(Into::into),
                        expires_in: body["expires_in"].as_u64(),
                        ..FlowToken::default()
                    }))),
                    None => {
                        let code = body["error"].as_str().unwrap_or("invalid_grant");
                        failed(code, format!("it said {}", response.status), Remedy::Retry(retry_after))
                    }
                }
            }
            Event::Unanswered(_, unanswered) => failed("unanswered", unanswered.reason, Remedy::Retry(None)),
        };
        Ok(StepRun { outcome, printed: String::new() })
    }
}

/// A catalog whose flow can be exchanged.
pub(super) struct OneFlow(pub(super) std::sync::Mutex<Arc<PlainFlow>>);

impl Catalog for OneFlow {
    fn get(&self, name: &str) -> Option<Arc<dyn Flow>> {
        let flow = Arc::clone(&self.0.lock().unwrap());
        (name == "plain").then_some(flow as Arc<dyn Flow>)
    }

    fn for_scheme(&self, _kind: &str, _detail: Option<&str>) -> Vec<Arc<dyn Flow>> {
        self.get("plain").into_iter().collect()
    }

    fn admit(&self, _flow: &dyn Flow, _new: bool) -> Result<(), Barred> {
        self.0.lock().unwrap().rules.lock().unwrap().barred.clone().map_or(Ok(()), Err)
    }

    fn revealed(&self, _flow: &dyn Flow, integration: &str, _made_at: DateTime<Utc>) -> Vec<String> {
        assert_eq!(integration, "crm");
        self.0.lock().unwrap().rules.lock().unwrap().revealed.clone()
    }

    fn report(&self, _flow: &dyn Flow, _integration: &str, conduct: Result<(), &str>) {
        self.0.lock().unwrap().rules.lock().unwrap().faults.push(conduct.is_err());
    }
}
