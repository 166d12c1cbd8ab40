//! One attempt: the walk from the flow's first step to a committed token or a recorded failure.
//!
//! The only place that knows the whole walk: flow, egress, journal, commit. It doesn't decide whether an attempt is due (`plan`),
//! nor does it know who waits for it (`flight`).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use ulid::Ulid;

use super::expiry::{self, Fallback};
use super::failure::{self, Ended};
use super::journal::{AttemptRecord, AttemptStory, Held, HeldAnswer, Outcome, Stage, StepStory};
use super::key::TokenKey;
use super::ledger::Ledger;
use super::parts::Parts;
use super::plan::Cause;
use super::record::{FailureRecord, RefreshState, StoredToken, TokenRecord};
use super::token::Token;
use crate::egress::{Answer, Destinations, Prepared, Unsent};
use crate::flows::step::{Context, Event, Failure, FlowToken, Purpose, Remedy, Response, State, Step, Unanswered, Wait};
use crate::flows::{Flow, PluginError, request::Request};
use crate::integrations::{Integration, IntegrationError};
use crate::secrets::{Cleaner, Secrets};
use crate::store::{Batch, StoreError};
use crate::telemetry;

/// Steps of one attempt; a device flow polls, and no other takes more than a few.
const MAX_STEPS: usize = 200;
/// The longest time that a flow may wait between two steps.
const MAX_WAIT: Duration = Duration::from_secs(600);
/// Characters of what a plugin printed that are kept with a step.
const PRINTED: usize = 4096;
/// The name of the secret that works once.
const REFRESH_TOKEN: &str = "token.refresh_token";

/// An attempt under way.
pub(super) struct Attempt {
    parts: Arc<Parts>,
    integration: Arc<Integration>,
    flow: Arc<dyn Flow>,
    /// The token that it is to follow.
    present: Option<Token>,
    /// The integration's secrets and the present token's.
    secrets: Secrets,
    /// Cleans what is kept for people.
    cleaner: Cleaner,
    /// What is kept of it.
    record: AttemptRecord,
    /// What its random bytes are made from.
    seed: [u8; 32],
    /// How the last request ended.
    last: Last,
    /// What the attempt has learned of the present refresh token.
    refresh: RefreshState,
    /// Failures of this key before this attempt.
    failures: u32,
    /// The lifetime learned from a rejection, in seconds.
    learned: Option<u64>,
    /// Whether the journal keeps the stored answer though the attempt ends.
    holding: bool,
}

/// How the last request of an attempt ended.
#[derive(Clone, Copy, Debug, Default)]
enum Last {
    /// None was sent.
    #[default]
    Nothing,
    /// With a complete answer of this status, to a request that left at that time.
    Answered(u16, DateTime<Utc>),
    /// Without one; whether any of it left.
    Unanswered(bool),
}

/// What a new attempt is made from.
pub(super) struct Start {
    pub(super) integration: Arc<Integration>,
    pub(super) flow: Arc<dyn Flow>,
    pub(super) key: TokenKey,
    pub(super) token: TokenRecord,
    pub(super) purpose: Purpose,
    pub(super) again: bool,
    pub(super) cause: Cause,
}

impl Attempt {
    /// A new attempt; nothing is sent or written yet.
    pub(super) fn new(parts: &Arc<Parts>, start: Start) -> Result<Self, Ended> {
        let (id, mut seed) = (Ulid::from_datetime(parts.clock.now().into()), [0; 32]);
        rand::fill(&mut seed);
        let story = AttemptStory {
            id,
            key: start.key,
            purpose: start.purpose,
            cause: start.cause,
            flow: failure::identity(&*start.flow),
            started_at: parts.clock.now(),
            finished_at: None,
            steps: Vec::new(),
            outcome: None,
            notes: Vec::new(),
        };
        let record = AttemptRecord {
            target: start.integration.target,
            follows: start.token.generation,
            digest: start.flow.digest().to_owned(),
            seed: parts.ledger.keyring.seal(&bound_to(id, "seed"), &seed)?,
            stage: Stage::Sent { spends: false },
            story,
        };
        let mut attempt = Self::with_record(parts, start.integration, start.flow, &start.token, record)?;
        attempt.seed = seed;
        if start.again {
            attempt.refresh = RefreshState::Spent;
            attempt.note("the refresh token was sent before and no answer came; it is tried once more");
        }
        Ok(attempt)
    }

    /// An attempt from the journal, to go on after a crash or with a repaired plugin.
    pub(super) fn resume(
        parts: &Arc<Parts>,
        integration: Arc<Integration>,
        flow: Arc<dyn Flow>,
        token: &TokenRecord,
        record: AttemptRecord,
    ) -> Result<Self, Ended> {
        let seed = parts.ledger.keyring.open(&bound_to(record.story.id, "seed"), &record.seed)?;
        let mut attempt = Self::with_record(parts, integration, flow, token, record)?;
        attempt.seed.copy_from_slice(seed.get(..32).unwrap_or(&[0; 32]));
        Ok(attempt)
    }

    fn with_record(
        parts: &Arc<Parts>,
        integration: Arc<Integration>,
        flow: Arc<dyn Flow>,
        token: &TokenRecord,
        record: AttemptRecord,
    ) -> Result<Self, Ended> {
        let present = token.open(&parts.ledger.keyring)?;
        let mut secrets = integration.secrets.clone();
        if let Some(present) = &present {
            secrets.insert("token.access_token", present.access_token.clone());
            if let Some(refresh_token) = &present.refresh_token {
                secrets.insert(REFRESH_TOKEN, refresh_token.clone());
            }
            for (name, value) in &present.secrets {
                secrets.insert(format!("token.{name}"), value.clone());
            }
        }
        let cleaner = Cleaner::new(&secrets);
        let failures = token.failure.as_ref().map_or(0, |failure| failure.count);
        Ok(Self {
            parts: Arc::clone(parts),
            refresh: token.refresh,
            integration,
            flow,
            present,
            secrets,
            cleaner,
            record,
            seed: [0; 32],
            last: Last::Nothing,
            failures,
            learned: token.learned_lifetime,
            holding: false,
        })
    }

    /// Its id.
    pub(super) fn id(&self) -> Ulid {
        self.record.story.id
    }

    /// Runs it from the start.
    pub(super) async fn run(self) -> Result<Token, Ended> {
        let purpose = self.record.story.purpose;
        self.go_on(Event::Begin(purpose)).await
    }

    /// Goes on from what the journal holds.
    pub(super) async fn run_held(mut self) -> Result<Token, Ended> {
        let event = match self.record.stage.clone() {
            Stage::Answered { held, left_at, .. } => {
                let (state, response) = self.open_held(&held)?;
                let response = response.unwrap_or(Response { status: 0, headers: Vec::new(), body: Bytes::new() });
                self.last = Last::Answered(response.status, left_at);
                self.note("went on from the stored answer");
                Event::Answered(state, response)
            }
            Stage::Waiting { held, .. } => Event::Elapsed(self.open_held(&held)?.0),
            Stage::Sent { spends } => {
                if spends {
                    self.doubt();
                    self.note("the daemon stopped after the refresh token may have left; whether it still works is uncertain");
                }
                return Err(self.end(Outcome::Interrupted, |_| {}).await.err().unwrap_or(Ended::Interrupted));
            }
            Stage::Ended => return Err(Ended::Void),
        };
        self.go_on(event).await
    }

    /// The loop: one step of the flow, and what it wants done.
    async fn go_on(mut self, mut event: Event) -> Result<Token, Ended> {
        for _ in 0..MAX_STEPS {
            let (context, event_name) = (self.context(), event_name(&event));
            let begun = self.parts.clock.elapsed();
            let advanced = self.flow.advance(&context, event).await;
            let taken = self.parts.clock.elapsed().saturating_sub(begun);
            metrics::histogram!(telemetry::STEP_SECONDS, "flow" => self.flow_name()).record(taken);
            let run = match advanced {
                Ok(run) => run,
                Err(fault) => return Err(self.plugin_fault(&event_name, fault).await),
            };
            let printed: String = self.cleaner.clean(&run.printed).chars().take(PRINTED).collect();
            self.record.story.steps.push(StepStory {
                event: event_name,
                now: context.now,
                printed,
                ..StepStory::default()
            });
            self.tell(|story| story.step = step_name(&run.outcome).to_owned());
            event = match run.outcome {
                Ok(Step::Send(request, state)) => self.exchange(request, state).await?,
                Ok(Step::Wait(wait)) => self.wait(wait).await?,
                Ok(Step::Done(token)) => return self.succeed(*token).await,
                Ok(Step::Redirect(..)) => {
                    let message = "the flow wants to send a person to the provider";
                    return Err(self.fail("person_needed", message, Remedy::Reconfigure, None).await);
                }
                Ok(Step::Revoked) => {
                    let message = "the flow revoked the token instead of getting one";
                    return Err(self.fail("plugin_fault", message, Remedy::Reconfigure, None).await);
                }
                Err(failure) => match self.fall_back(&failure) {
                    true => Event::Begin(Purpose::Acquire),
                    false => return Err(self.give_up(failure).await),
                },
            };
        }
        let message = format!("the flow took more than {MAX_STEPS} steps");
        Err(self.fail("plugin_fault", &message, Remedy::Reconfigure, None).await)
    }

    /// What the flow is told.
    fn context(&self) -> Context {
        let mut values: Vec<(String, String)> = self.integration.values.clone().into_iter().collect();
        if let Some(scopes) = self.record.story.key.scopes() {
            values.retain(|(name, _)| name != "scope");
            values.push(("scope".to_owned(), scopes.to_owned()));
        }
        if let Some(present) = &self.present {
            values.extend(present.values.iter().map(|(name, value)| (format!("token.{name}"), value.clone())));
            values.extend(present.scope.iter().map(|scope| ("token.scope".to_owned(), scope.clone())));
        }
        let step = self.record.story.steps.len().to_be_bytes();
        let entropy = Sha256::new().chain_update(self.seed).chain_update(step).finalize();
        Context {
            scheme_name: self.integration.scheme.clone(),
            scheme_document: self.integration.scheme_document.to_string(),
            values,
            secrets: self.secrets.names().map(str::to_owned).collect(),
            revealed: Vec::new(),
            now: u64::try_from(self.parts.clock.now().timestamp()).unwrap_or_default(),
            entropy: entropy.into(),
            callback_url: None,
            return_key: None,
        }
    }

    /// Sends a request and journals what comes back. What it spends is on disk before it leaves.
    async fn exchange(&mut self, request: Request, state: State) -> Result<Event, Ended> {
        let prepared = match self.prepare(&request) {
            Ok(prepared) => prepared,
            Err(refusal) => {
                let field = failure::field_of_refusal(&refusal);
                return Err(self.fail("request_refused", &refusal.to_string(), Remedy::Reconfigure, field).await);
            }
        };
        let spends = prepared.secret_names().contains(REFRESH_TOKEN);
        prepared.teach(&mut self.cleaner);
        let mut sent = prepared.record().clone();
        sent.clean(&self.cleaner);
        self.tell(|story| story.request = Some(sent));
        self.budget(&request.url).await?;
        let durability = if spends { Batch::synced() } else { Batch::buffered() };
        self.record.stage = Stage::Sent { spends };
        if let Err(error) = self.parts.ledger.put(&self.record, durability).await {
            return Err(self.fail("storage", &error.to_string(), Remedy::Retry(None), None).await);
        }
        let last_refresh = self.refresh;
        if spends {
            self.doubt();
        }
        match self.parts.egress.send(prepared).await {
            Ok(answer) => {
                // A complete answer ends the doubt, unless the provider itself doesn't know.
                if spends && answer.response.status < 500 {
                    self.refresh = RefreshState::Ready;
                }
                self.answered(answer, state, spends).await
            }
            Err(unsent) => {
                if !unsent.left {
                    self.refresh = last_refresh;
                }
                Ok(self.unanswered(unsent, state))
            }
        }
    }

    fn prepare(&self, request: &Request) -> Result<Prepared, crate::egress::Refusal> {
        let urls = self.flow.description().fields.iter().filter(|field| field.is_url());
        let to = Destinations::of(urls.filter_map(|field| self.integration.values.get(&field.name)).map(String::as_str));
        let extras = self.integration.extras(&request.url, self.record.story.purpose);
        self.parts.egress.prepare(request, &self.secrets, &extras, &to, &self.integration.transport)
    }

    /// Holds back a repeat after failures where the provider's host has had enough of them.
    async fn budget(&mut self, url: &str) -> Result<(), Ended> {
        if self.failures == 0 {
            return Ok(());
        }
        let host = url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        let Err(wait) = self.parts.budget.take(&host) else { return Ok(()) };
        let message = format!("too many repeats after failures go to {host}; this one waits its turn");
        let seconds = u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX);
        Err(self.fail("provider_budget", &message, Remedy::Retry(Some(seconds)), None).await)
    }

    /// Stores an answer, sealed, before anything reads it.
    async fn answered(&mut self, answer: Answer, state: State, spends: bool) -> Result<Event, Ended> {
        let response = answer.response;
        self.last = Last::Answered(response.status, answer.left_at);
        self.tell(|story| story.answer = Some(failure::answer_story(&response, answer.taken)));
        let held = Held {
            state: state.expose_secret().to_owned(),
            answer: Some(HeldAnswer {
                status: response.status,
                headers: response.headers.clone(),
                body: STANDARD.encode(&response.body),
            }),
        };
        self.record.stage = Stage::Answered { held: self.seal_held(&held)?, left_at: answer.left_at, spends };
        // What the provider gave for a spent token exists nowhere else: hold it until the storage takes it.
        self.insist(spends, || self.parts.ledger.put(&self.record, Batch::synced())).await?;
        Ok(Event::Answered(state, response))
    }

    fn unanswered(&mut self, unsent: Unsent, state: State) -> Event {
        let reason = self.cleaner.clean(&unsent.reason);
        self.last = Last::Unanswered(unsent.left);
        self.tell(|story| story.problem = Some(reason.clone()));
        Event::Unanswered(state, Unanswered { left: unsent.left, reason })
    }

    /// Waits as the flow wishes, across restarts.
    async fn wait(&mut self, wait: Wait) -> Result<Event, Ended> {
        let time = Duration::from_secs(wait.seconds.into()).min(MAX_WAIT);
        let until = self.parts.clock.now() + TimeDelta::from_std(time).unwrap_or_default();
        let held = Held { state: wait.state.expose_secret().to_owned(), answer: None };
        self.record.stage = Stage::Waiting { held: self.seal_held(&held)?, until };
        self.parts.ledger.put(&self.record, Batch::synced()).await?;
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(Event::Elapsed(wait.state)),
            () = self.parts.stopping.cancelled() => Err(Ended::Stopping),
        }
    }

    /// Whether a failed refresh goes on as an acquisition, within the same attempt.
    fn fall_back(&mut self, failure: &Failure) -> bool {
        if self.record.story.purpose != Purpose::Refresh || !self.flow.description().unattended {
            return false;
        }
        let because = match self.last {
            Last::Answered(429, _) | Last::Unanswered(false) => return false,
            Last::Answered(500.., _) => "the provider failed",
            Last::Answered(..) => "the provider refused the refresh token",
            Last::Unanswered(true) => "no complete answer came",
            Last::Nothing if failure.remedy == Remedy::Reacquire => "the flow can't refresh",
            Last::Nothing => return false,
        };
        let (code, message) = (self.cleaner.clean(&failure.code), self.cleaner.clean(&failure.message));
        self.tell(|story| story.problem = Some(format!("{code}: {message}")));
        self.note(&format!("{because}; the token is acquired anew"));
        if matches!(self.last, Last::Answered(..499, _)) {
            self.refresh = RefreshState::Spent;
        }
        self.last = Last::Nothing;
        self.record.stage = Stage::Sent { spends: false };
        self.record.story.purpose = Purpose::Acquire;
        true
    }

    /// Ends with what the flow says.
    async fn give_up(&mut self, failure: Failure) -> Ended {
        let refused = matches!(self.last, Last::Answered(status, _) if status < 500 && status != 429);
        if self.record.story.purpose == Purpose::Refresh && refused {
            self.refresh = RefreshState::Spent;
        }
        let field = failure::field_of(&failure.code, self.last_is_unreachable());
        self.fail(&failure.code, &failure.message, failure.remedy, field).await
    }

    fn last_is_unreachable(&self) -> bool {
        matches!(self.last, Last::Unanswered(_))
    }

    /// The present refresh token was sent: until an answer comes nobody knows whether it still works.
    fn doubt(&mut self) {
        if self.refresh == RefreshState::Ready {
            self.refresh = RefreshState::Uncertain;
        }
    }

    /// The plugin failed. A spent token's answer stays in the journal for a repaired plugin.
    async fn plugin_fault(&mut self, event: &str, fault: PluginError) -> Ended {
        let step = StepStory { event: event.to_owned(), step: "fault".to_owned(), ..StepStory::default() };
        self.record.story.steps.push(step);
        self.holding = matches!(self.record.stage, Stage::Answered { spends: true, .. });
        if self.holding {
            self.refresh = RefreshState::Uncertain;
            self.note("the answer is kept, and goes through the plugin again once another version of it is installed");
        }
        self.fail("plugin_fault", &fault.to_string(), Remedy::Retry(None), None).await
    }

    /// Ends without a token, and remembers why.
    async fn fail(&mut self, code: &str, message: &str, remedy: Remedy, field: Option<&'static str>) -> Ended {
        let (code, message) = (self.cleaner.clean(code), self.cleaner.clean(message));
        self.tell(|story| story.problem = Some(format!("{code}: {message}")));
        let (now, id) = (self.parts.clock.now(), self.id());
        let mut kept = None;
        let outcome = Outcome::Failed { code: code.clone(), message: message.clone() };
        let stalled = self.holding.then_some(id);
        let ended = self
            .end(outcome, |token| {
                let mut failure = FailureRecord::backed_off(token.failure.as_ref(), &code, &message, now, remedy);
                failure.field = field.map(str::to_owned);
                token.failure = Some(failure.clone());
                token.stalled = stalled.or(token.stalled);
                kept = Some(failure);
            })
            .await;
        match (ended, kept) {
            (Err(ended), _) => ended,
            (Ok(()), Some(failure)) => Ended::Failed(failure, Some(id)),
            (Ok(()), None) => Ended::Void,
        }
    }

    /// Makes the next generation from what the flow ended with, and commits it.
    async fn succeed(mut self, flow_token: FlowToken) -> Result<Token, Ended> {
        let left_at = match self.last {
            Last::Answered(_, left_at) => left_at,
            Last::Nothing | Last::Unanswered(_) => self.parts.clock.now(),
        };
        let token = match self.next(flow_token, left_at) {
            Ok(token) => token,
            Err(message) => return Err(self.fail("invalid_token_response", message, Remedy::Retry(None), None).await),
        };
        let outcome = Outcome::Token { generation: token.generation };
        let parts = Arc::clone(&self.parts);
        let sealed = StoredToken::seal(&token, &self.record.story.key, &parts.ledger.keyring)?;
        self.end(outcome, |record| record.succeed(token.generation, sealed.clone())).await?;
        Ok(token)
    }

    /// The next generation. After a refresh, what is absent keeps its old value.
    fn next(&self, new: FlowToken, left_at: DateTime<Utc>) -> Result<Token, &'static str> {
        let old = self.present.as_ref().filter(|_| self.record.story.purpose == Purpose::Refresh);
        let old_lifetime = old.and_then(|old| u64::try_from((old.expires_at? - old.created_at).num_seconds()).ok());
        let fallback = Fallback {
            default: self.integration.settings.default_lifetime.or(old_lifetime),
            learned: self.learned,
        };
        let expiry = expiry::expiry(&new, left_at, fallback);
        let access_token = (new.access_token)
            .or_else(|| old.map(|old| old.access_token.clone()))
            .filter(|token| !token.expose_secret().is_empty())
            .ok_or("the answer holds no access token")?;
        if access_token.expose_secret().chars().any(char::is_control) {
            return Err("the answer's access token holds control characters, which no header can carry");
        }
        let refresh_expires_at = (new.refresh_expires_in)
            .and_then(|seconds| TimeDelta::try_seconds(i64::try_from(seconds).ok()?))
            .and_then(|time| left_at.checked_add_signed(time));
        let refresh_token: Option<SecretString> = new.refresh_token.filter(|token| !token.expose_secret().is_empty());
        Ok(Token {
            access_token,
            refresh_expires_at: match &refresh_token {
                Some(_) => refresh_expires_at,
                None => refresh_expires_at.or(old.and_then(|old| old.refresh_expires_at)),
            },
            refresh_token: refresh_token.or_else(|| old.and_then(|old| old.refresh_token.clone())),
            token_type: (new.token_type.or_else(|| old.map(|old| old.token_type.clone())))
                .unwrap_or_else(|| "Bearer".to_owned()),
            scope: new.scope.or_else(|| old.and_then(|old| old.scope.clone())),
            created_at: left_at,
            expires_at: expiry.map(|(at, _)| at),
            expiry_source: expiry.map(|(_, source)| source),
            values: if new.values.is_empty() { old.map(|old| old.values.clone()).unwrap_or_default() } else { new.values },
            secrets: match new.secrets.is_empty() {
                true => old.map(|old| old.secrets.clone()).unwrap_or_default(),
                false => new.secrets,
            },
            generation: self.record.follows + 1,
        })
    }

    /// Ends the attempt: its outcome and the change of the token's record are one batch, which holds only while the integration
    /// points where it did and no other token came in between.
    async fn end(&mut self, outcome: Outcome, mut change: impl FnMut(&mut TokenRecord)) -> Result<(), Ended> {
        self.record.story.finished_at = Some(self.parts.clock.now());
        let spent = matches!(self.record.stage, Stage::Answered { spends: true, .. });
        if !self.holding {
            self.record.stage = Stage::Ended;
        }
        let parts = Arc::clone(&self.parts);
        let mut pause = FIRST_PAUSE;
        loop {
            match self.try_end(&parts, &outcome, &mut change).await {
                Ok(current) => {
                    self.count();
                    return if current { Ok(()) } else { Err(Ended::Void) };
                }
                Err(StoreError::Conflict) => {}
                Err(error) if spent => {
                    tracing::error!(%error, attempt = %self.id(), "a new token can't be stored; trying again");
                    parts.pause(&mut pause).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Counts the attempt, which has just ended, in the metrics.
    fn count(&self) {
        let story = &self.record.story;
        let purpose = match story.purpose {
            Purpose::Acquire => "acquire",
            Purpose::Refresh => "refresh",
            Purpose::Revoke => "revoke",
        };
        let outcome = match &story.outcome {
            Some(Outcome::Token { .. }) => "token",
            Some(Outcome::Failed { .. }) => "failed",
            Some(Outcome::Interrupted) => "interrupted",
            Some(Outcome::Void) | None => "void",
        };
        let labels = [("flow", self.flow_name()), ("purpose", purpose.to_owned()), ("outcome", outcome.to_owned())];
        metrics::counter!(telemetry::ATTEMPTS, &labels).increment(1);
        let taken = story.finished_at.and_then(|end| (end - story.started_at).to_std().ok()).unwrap_or_default();
        metrics::histogram!(telemetry::ATTEMPT_SECONDS, "flow" => self.flow_name()).record(taken);
    }

    /// The flow's name, as the metrics' label.
    fn flow_name(&self) -> String {
        self.flow.description().name.clone()
    }

    /// One try of the batch. False: what came is void.
    async fn try_end(
        &mut self,
        parts: &Parts,
        outcome: &Outcome,
        change: &mut impl FnMut(&mut TokenRecord),
    ) -> Result<bool, StoreError> {
        let mut batch = Batch::synced();
        let integration = match parts.integrations.read(&self.integration.name).await {
            Ok(integration) => Some(integration),
            Err(IntegrationError::NotFound(_)) => None,
            Err(IntegrationError::Store(error)) => return Err(error),
            Err(error) => return Err(StoreError::Storage(error.to_string())),
        };
        let Some(integration) = integration.filter(|now| now.target == self.record.target) else {
            self.record.story.outcome = Some(Outcome::Void);
            self.record.stage = Stage::Ended;
            Ledger::put_attempt(&mut batch, &self.record)?;
            parts.ledger.store.commit(batch).await?;
            return Ok(false);
        };
        let (mut token, read) = parts.ledger.token(&self.record.story.key, self.record.target).await?;
        let current = token.generation == self.record.follows;
        if current {
            token.refresh = self.refresh;
            change(&mut token);
            integration.expect(&mut batch);
            Ledger::put_token(&mut batch, &token, read)?;
        }
        self.record.story.outcome = Some(if current { outcome.clone() } else { Outcome::Void });
        Ledger::put_attempt(&mut batch, &self.record)?;
        parts.ledger.prune(&mut batch, self.record.story.key.integration(), self.id()).await?;
        parts.ledger.store.commit(batch).await?;
        Ok(current)
    }

    /// Writes, and where that fails and what is written exists nowhere else, keeps trying until the daemon stops.
    async fn insist<F>(&self, insist: bool, write: impl Fn() -> F) -> Result<(), Ended>
    where
        F: Future<Output = Result<(), StoreError>>,
    {
        let mut pause = FIRST_PAUSE;
        loop {
            match write().await {
                Ok(()) => return Ok(()),
                Err(error) if insist => {
                    tracing::error!(%error, attempt = %self.id(), "a provider's answer can't be stored; trying again");
                    self.parts.pause(&mut pause).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn seal_held(&self, held: &Held) -> Result<crate::seal::Sealed, Ended> {
        let text = serde_json::to_vec(held).map(zeroize::Zeroizing::new).map_err(|error| StoreError::Storage(error.to_string()))?;
        Ok(self.parts.ledger.keyring.seal(&bound_to(self.id(), "held"), &text)?)
    }

    fn open_held(&self, held: &crate::seal::Sealed) -> Result<(State, Option<Response>), Ended> {
        let text = self.parts.ledger.keyring.open(&bound_to(self.id(), "held"), held)?;
        let held: Held = serde_json::from_slice(&text).map_err(|error| StoreError::Storage(error.to_string()))?;
        let response = held.answer.map(|answer| Response {
            status: answer.status,
            headers: answer.headers,
            body: STANDARD.decode(answer.body).unwrap_or_default().into(),
        });
        Ok((held.state.into(), response))
    }

    /// Adds to the present step's story.
    fn tell(&mut self, add: impl FnOnce(&mut StepStory)) {
        if let Some(step) = self.record.story.steps.last_mut() {
            add(step);
        }
    }

    fn note(&mut self, note: &str) {
        self.record.story.notes.push(note.to_owned());
    }
}

/// The pause before a failed write is tried again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// What an attempt's sealed values are bound to.
fn bound_to(id: Ulid, name: &str) -> Vec<u8> {
    format!("attempt/{id}#{name}").into_bytes()
}

fn event_name(event: &Event) -> String {
    match event {
        Event::Begin(Purpose::Acquire) => "begin acquire",
        Event::Begin(Purpose::Refresh) => "begin refresh",
        Event::Begin(Purpose::Revoke) => "begin revoke",
        Event::Answered(..) => "answered",
        Event::Unanswered(..) => "unanswered",
        Event::Elapsed(_) => "elapsed",
        Event::Returned(..) => "returned",
    }
    .to_owned()
}

fn step_name(outcome: &Result<Step, Failure>) -> &'static str {
    match outcome {
        Ok(Step::Send(..)) => "send",
        Ok(Step::Wait(_)) => "wait",
        Ok(Step::Redirect(..)) => "redirect",
        Ok(Step::Done(_)) => "done",
        Ok(Step::Revoked) => "revoked",
        Err(_) => "failed",
    }
}
