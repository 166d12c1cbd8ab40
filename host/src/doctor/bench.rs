//! One trial: an attempt of the flow with other settings, under a budget, whose token is thrown away.
//!
//! It writes nothing and counts nothing: no journal, no failure, no conduct of the flow. The present token's refresh token isn't
//! even among its secrets. A request that is the same, byte for byte, as one that was answered isn't sent again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use chrono::DateTime;
use secrecy::SecretString;
use url::Url;

use super::finding::{Changes, Ended, Trial};
use crate::clock::SharedClock;
use crate::egress::{Answer, Destinations, Egress, Prepared, RequestRecord};
use crate::flows::request::{Body, Method, Part, Request};
use crate::flows::step::{Purpose, Response, Unanswered, Wait};
use crate::flows::{Flow as _, Plugin};
use crate::integrations::Integration;
use crate::secrets::{Cleaner, Secrets, further};
use crate::tokens::{AnswerStory, StepStory};
use crate::trial::walk::{End, Moment, Sent, Setup, Stepped, World, walk};

/// Requests of one run, at most, metadata included.
pub(super) const REQUESTS: u32 = 16;
/// Requests of one run with a person's password in them, at most: providers lock users out after some more.
pub(super) const PASSWORDS: u32 = 3;
/// Between two requests.
const PACE: Duration = Duration::from_millis(200);
/// The longest time that a flow may wait in a trial.
const WAIT: Duration = Duration::from_secs(5);
/// What a person would come back with: no provider gave such a code.
const NO_CODE: &str = "tokenhost-doctor-asks-without-a-person";
/// The parts of a secret's name that say that it is a person's.
const PERSONS: [&str; 4] = ["password", "passcode", "passphrase", "pin"];

/// What one run works with.
pub(super) struct Bench<'a> {
    /// What is examined.
    integration: &'a Integration,
    /// Its flow.
    plugin: &'a Plugin,
    /// What goes out goes through this.
    egress: &'a Egress,
    /// The time.
    clock: SharedClock,
    /// Where a person would be sent back to.
    callback_url: String,
    /// The integration's secrets, the first value of each, and nothing of the present token.
    secrets: Secrets,
    /// Where requests may go.
    to: Destinations,
    /// Text for people goes through this.
    cleaner: Cleaner,
    /// What was answered to a plain `GET`, by URL: metadata is read once.
    documents: BTreeMap<String, Response>,
    /// The fingerprints of the requests that were sent.
    seen: BTreeSet<[u8; 32]>,
    /// Requests left.
    requests: u32,
    /// Requests with a password left.
    passwords: u32,
    /// Trials so far.
    trials: u32,
    /// The provider's clock less ours, in seconds, once an answer told it.
    skew: Option<i64>,
}

/// What became of a way that was to be tried.
pub(super) enum Tried {
    /// It was.
    Done(Box<Trial>),
    /// It makes no difference to the request, or can't be made.
    Pointless,
    /// It would take more requests than are allowed; why.
    Spent(&'static str),
}

impl<'a> Bench<'a> {
    /// A bench for one run.
    pub(super) fn new(
        integration: &'a Integration,
        plugin: &'a Plugin,
        egress: &'a Egress,
        clock: SharedClock,
        callback_url: String,
    ) -> Self {
        let mut secrets = integration.secrets.clone();
        let names: Vec<String> = secrets.names().map(str::to_owned).collect();
        for name in names.iter().filter(|name| further(name).is_some()) {
            secrets.remove(name);
        }
        let urls = plugin_urls(plugin, &integration.values);
        Self {
            to: Destinations::of(urls.iter().map(String::as_str)),
            cleaner: Cleaner::new(&integration.secrets),
            integration,
            plugin,
            egress,
            clock,
            callback_url,
            secrets,
            documents: BTreeMap::new(),
            seen: BTreeSet::new(),
            requests: REQUESTS,
            passwords: PASSWORDS,
            trials: 0,
            skew: None,
        }
    }

    /// Requests that were sent.
    pub(super) fn sent(&self) -> u32 {
        REQUESTS - self.requests
    }

    /// Requests with a password that were sent.
    pub(super) fn passwords_sent(&self) -> u32 {
        PASSWORDS - self.passwords
    }

    /// The provider's clock less ours, in seconds.
    pub(super) fn skew(&self) -> Option<i64> {
        self.skew
    }

    /// The secrets that trials may use.
    pub(super) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Fetches a document without any credential.
    ///
    /// # Errors
    /// There was no answer; for people.
    pub(super) async fn fetch(&mut self, url: &Url) -> Result<Response, String> {
        let request = Request {
            method: Method::Get,
            url: url.to_string(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Body::Empty,
            derived: Vec::new(),
        };
        let transport = &self.integration.transport;
        let prepared = self.egress.prepare(&request, &Secrets::default(), &[], &self.to, transport);
        let prepared = prepared.map_err(|refusal| self.cleaner.clean(&refusal.to_string()))?;
        let response = self.dispatch(prepared).await.map_err(|unanswered| unanswered.reason)?.0;
        self.documents.insert(url.to_string(), response.clone());
        Ok(response)
    }

    /// Sends a request, at its pace, and reads the provider's clock off the answer.
    async fn dispatch(&mut self, prepared: Prepared) -> Result<(Response, Duration), Unanswered> {
        if self.requests < REQUESTS {
            tokio::time::sleep(PACE).await;
        }
        self.requests = self.requests.saturating_sub(1);
        match self.egress.send(prepared).await {
            Ok(Answer { response, left_at, taken, .. }) => {
                let date = response.headers.iter().find(|(name, _)| name == "date").map(|(_, value)| value.trim());
                if let Some(date) = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()) {
                    let half = i64::try_from(taken.as_secs() / 2).unwrap_or_default();
                    self.skew.get_or_insert(date.timestamp() - left_at.timestamp() - half);
                }
                Ok((response, taken))
            }
            Err(unsent) => {
                let unanswered = Unanswered::from(unsent);
                Err(Unanswered { reason: self.cleaner.clean(&unanswered.reason), ..unanswered })
            }
        }
    }

    /// Tries one way of asking.
    pub(super) async fn attempt(&mut self, changes: &Changes) -> Tried {
        let setup = self.setup(changes);
        // First without sending anything: does it make a difference, and what would be in it?
        let mut rehearsal = Rehearsal { bench: &*self, request: None };
        let end = walk(self.plugin, &setup, Purpose::Acquire, &mut rehearsal, false).await;
        let rehearsed = rehearsal.request.take();
        let password = rehearsed.as_ref().is_some_and(|rehearsed| rehearsed.password);
        match (&rehearsed, end) {
            (Some(rehearsed), _) if rehearsed.is_final && !self.seen.insert(rehearsed.fingerprint) => {
                return Tried::Pointless;
            }
            // What can't even be made tells something only of the integration's own settings.
            (None, End::Failed(_) | End::Refused(_) | End::Fault(_)) if !changes.is_empty() => return Tried::Pointless,
            _ => {}
        }
        if self.requests == 0 {
            return Tried::Spent("no more than 16 requests are sent in one run");
        }
        if password && self.passwords == 0 {
            return Tried::Spent(
                "the password is sent 3 times at most in one run, so that the provider doesn't lock the user out",
            );
        }
        self.trials += 1;
        let number = self.trials;
        let mut live =
            Live { bench: self, steps: Vec::new(), taken: Duration::ZERO, status: None, left: true, asked: false };
        let end = walk(live.bench.plugin, &setup, Purpose::Acquire, &mut live, false).await;
        let Live { steps, taken, status, asked, left, .. } = live;
        let last = Last { status, asked, waits: !left, sent: steps.iter().any(|step| step.request.is_some()) };
        let (ended, code, message) = self.judge(end, last);
        Tried::Done(Box::new(Trial {
            number,
            changes: changes.clone(),
            ended,
            status,
            code,
            message,
            milliseconds: u64::try_from(taken.as_millis()).unwrap_or(u64::MAX),
            password,
            steps,
        }))
    }

    /// What an attempt's end means.
    fn judge(&self, end: End, last: Last) -> (Ended, Option<String>, String) {
        let clean = |text: &str| self.cleaner.clean(text);
        match end {
            End::Token(_) => (Ended::Token, None, String::new()),
            End::Revoked => (Ended::Failed, None, "the flow revoked a token instead of getting one".to_owned()),
            // The client was let in, and the code that nobody gave refused: all that can be had without a person.
            End::Failed(failure) if last.asked && failure.code == "invalid_grant" => {
                (Ended::Accepted, Some(failure.code), "the client is taken; the rest needs a person".to_owned())
            }
            End::Refused(_) if last.waits => {
                (Ended::Accepted, None, "the client is taken; the rest needs a person".to_owned())
            }
            End::Failed(failure) => {
                let ended = match last {
                    Last { sent: false, .. } => Ended::Unsendable,
                    Last { status: None, .. } => Ended::Unanswered,
                    Last { .. } => Ended::Failed,
                };
                (ended, Some(clean(&failure.code)), clean(&failure.message))
            }
            End::Fault(fault) => (Ended::Unsendable, Some("plugin_fault".to_owned()), clean(&fault.to_string())),
            End::Refused(message) => (Ended::Unsendable, Some("request_refused".to_owned()), clean(&message)),
            End::Lost(message) | End::Impure(message) => (Ended::Unsendable, None, clean(&message)),
            End::Endless => (Ended::Failed, None, "the flow takes step after step and doesn't end".to_owned()),
        }
    }

    /// What the flow is given.
    fn setup(&self, changes: &Changes) -> Setup {
        let mut values = self.integration.values.clone();
        for (name, value) in changes {
            match value {
                Some(value) => values.insert(name.clone(), value.clone()),
                None => values.remove(name),
            };
        }
        Setup {
            scheme_name: self.integration.scheme.clone(),
            scheme_document: self.integration.scheme_document.to_string(),
            values,
            secrets: self.secrets.clone(),
            callback_url: Some(self.callback_url.clone()),
            return_key: Some(NO_CODE.to_owned()),
        }
    }

    /// The answer that is known to a request for a document.
    fn known(&self, request: &Request) -> Option<Response> {
        self.documents.get(&request.url).filter(|_| is_plain(request)).cloned()
    }

    fn prepare(&self, request: &Request) -> Result<Prepared, String> {
        let extras = self.integration.extras(&request.url, Purpose::Acquire);
        let transport = &self.integration.transport;
        let prepared = self.egress.prepare(request, &self.secrets, &extras, &self.to, transport);
        prepared.map_err(|refusal| self.cleaner.clean(&refusal.to_string()))
    }

    /// Whether a person's secret is in a request.
    fn has_password(&self, prepared: &Prepared) -> bool {
        let fields = &self.plugin.description().fields;
        let mut users = fields.iter().map(|field| field.name.as_str());
        let has_user = users.any(|name| matches!(name, "user" | "username" | "login" | "email"));
        prepared.secret_names().iter().any(|name| {
            let is_clients = name.starts_with("client_") || name.starts_with("parameters.") || name == "private_key";
            PERSONS.iter().any(|part| name.contains(part))
                || (has_user && !is_clients && self.secrets.get(name).is_some())
        })
    }

    /// The query with which a person would come back.
    fn no_code(&self) -> Vec<(String, SecretString)> {
        let issuer = self.integration.values.get("issuer");
        let pairs = [("code", Some(NO_CODE)), ("state", Some(NO_CODE)), ("iss", issuer.map(String::as_str))];
        pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), SecretString::from(value?)))).collect()
    }
}

/// Whether a request asks for a document that everybody may have: nothing secret is in it.
fn is_plain(request: &Request) -> bool {
    let is_text = |part: &Part| matches!(part, Part::Text(_));
    request.method == Method::Get
        && matches!(request.body, Body::Empty)
        && request.query.is_empty()
        && request.headers.iter().all(|(_, template)| template.iter().all(is_text))
}

/// The URLs to whose origins requests may go.
fn plugin_urls(plugin: &Plugin, values: &BTreeMap<String, String>) -> Vec<String> {
    let fields = plugin.description().fields.iter().filter(|field| field.is_url());
    fields.filter_map(|field| values.get(&field.name).cloned()).collect()
}

/// What is known of an attempt when it ends.
#[derive(Clone, Copy)]
struct Last {
    /// The last answer's status.
    status: Option<u16>,
    /// Whether a person was to be sent away or asked.
    asked: bool,
    /// Whether the provider waits for a person.
    waits: bool,
    /// Whether any request was sent.
    sent: bool,
}

/// A request as it would leave.
struct Rehearsed {
    /// Of its bytes.
    fingerprint: [u8; 32],
    /// Whether a person's password is in it.
    password: bool,
    /// Whether it is the one that asks for the token, and not one for a document.
    is_final: bool,
}

/// A world in which nothing is sent, and time stands still.
struct Rehearsal<'a, 'b> {
    bench: &'a Bench<'b>,
    /// The first request for which no answer is known.
    request: Option<Rehearsed>,
}

#[async_trait]
impl World for Rehearsal<'_, '_> {
    fn moment(&mut self) -> Moment {
        Moment { now: 1_700_000_000, entropy: [7; 32] }
    }

    async fn send(&mut self, request: &Request, _: &Setup) -> (Option<RequestRecord>, Sent) {
        if let Some(response) = self.bench.known(request) {
            return (None, Sent::Answered(response, Duration::ZERO));
        }
        match self.bench.prepare(request) {
            Ok(prepared) => {
                self.request = Some(Rehearsed {
                    fingerprint: prepared.fingerprint(),
                    password: self.bench.has_password(&prepared),
                    is_final: !is_plain(request),
                });
                (None, Sent::Refused("it was only rehearsed".to_owned()))
            }
            Err(message) => (None, Sent::Refused(message)),
        }
    }

    async fn wait(&mut self, _: &Wait) {}

    async fn send_person(&mut self, _: &str) -> Result<Vec<(String, SecretString)>, String> {
        Ok(self.bench.no_code())
    }

    fn stepped(&mut self, _: &Stepped<'_>) {}
}

/// The world of a trial: a real provider, and nobody at a browser.
struct Live<'a, 'b> {
    bench: &'a mut Bench<'b>,
    /// What happened, as people may see it.
    steps: Vec<StepStory>,
    /// How long the provider took, in all.
    taken: Duration,
    /// The last answer's status.
    status: Option<u16>,
    /// Whether the flow may go on sending.
    left: bool,
    /// Whether a person was to be asked.
    asked: bool,
}

#[async_trait]
impl World for Live<'_, '_> {
    fn moment(&mut self) -> Moment {
        let mut entropy = [0; 32];
        rand::fill(&mut entropy);
        Moment { now: u64::try_from(self.bench.clock.now().timestamp()).unwrap_or_default(), entropy }
    }

    async fn send(&mut self, request: &Request, setup: &Setup) -> (Option<RequestRecord>, Sent) {
        if let Some(response) = self.bench.known(request) {
            self.learn(request, setup, &response);
            return (None, Sent::Answered(response, Duration::ZERO));
        }
        let prepared = match self.bench.prepare(request) {
            Ok(prepared) => prepared,
            Err(message) => return (None, Sent::Refused(message)),
        };
        let password = self.bench.has_password(&prepared);
        if !self.left || self.bench.requests == 0 || (password && self.bench.passwords == 0) {
            return (None, Sent::Refused("nothing more is sent in this trial".to_owned()));
        }
        if password {
            self.bench.passwords -= 1;
        }
        prepared.teach(&mut self.bench.cleaner);
        let record = prepared.record().clone();
        self.status = None;
        match self.bench.dispatch(prepared).await {
            Ok((response, taken)) => {
                self.taken += taken;
                self.status = Some(response.status);
                if is_plain(request) {
                    self.bench.documents.insert(request.url.clone(), response.clone());
                }
                self.learn(request, setup, &response);
                (Some(record), Sent::Answered(response, taken))
            }
            Err(unanswered) => (Some(record), Sent::Unanswered(unanswered)),
        }
    }

    async fn wait(&mut self, wait: &Wait) {
        if wait.prompt.is_some() {
            // The provider has taken the client and waits for a person, whom nobody asks.
            (self.asked, self.left) = (true, false);
            return;
        }
        tokio::time::sleep(Duration::from_secs(wait.seconds.into()).min(WAIT)).await;
    }

    async fn send_person(&mut self, url: &str) -> Result<Vec<(String, SecretString)>, String> {
        if let Err(problem) = self.bench.egress.check_link(url, Some(&self.bench.to)) {
            return Err(self.bench.cleaner.clean(&problem.to_string()));
        }
        self.asked = true;
        Ok(self.bench.no_code())
    }

    fn stepped(&mut self, step: &Stepped<'_>) {
        let request = step.request.clone().map(|mut record| {
            record.clean(&self.bench.cleaner);
            record
        });
        let (answer, problem) = match step.sent {
            Some(Sent::Answered(response, taken)) => (Some(AnswerStory::of(response, *taken)), None),
            Some(Sent::Unanswered(unanswered)) => (None, Some(unanswered.reason.clone())),
            _ => (None, None),
        };
        let name = step.outcome.as_ref().map_or("fault", crate::flows::Step::name_of);
        self.steps.push(StepStory {
            event: step.event.name().to_owned(),
            step: name.to_owned(),
            now: step.context.now,
            request,
            answer,
            problem,
            printed: self.bench.cleaner.clean(step.printed).chars().take(4096).collect(),
            ..StepStory::default()
        });
    }
}

impl Live<'_, '_> {
    /// Lets requests go to the endpoints that the provider's metadata names, if this was its document.
    fn learn(&mut self, request: &Request, setup: &Setup, response: &Response) {
        if setup.is_metadata(self.bench.plugin.description(), &request.url)
            && response.status == 200
            && let Ok(url) = Url::parse(&request.url)
        {
            // Why it leads nowhere shows where the flow then goes there.
            drop(self.bench.to.extend_from_metadata(&url, &response.body));
        }
    }
}
