//! One attempt: the walk from the flow's first step to a committed token or a recorded failure.
//!
//! The only place that knows the whole walk: flow, egress, journal, commit. It doesn't decide whether an attempt is due (`plan`),
//! nor does it know who waits for it (`flight`).

mod blame;
mod exchange;
mod person;
mod rotation;
mod settle;
mod used;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use ulid::Ulid;

pub use self::exchange::MAX_WAIT;
pub(super) use self::person::{Ask, digest, open_held, seal_held, unguessable};
pub(super) use self::rotation::Proven;
use self::rotation::Rotation;
use self::used::Used;
use super::failure::{self, Ended};
use super::journal::{AttemptRecord, AttemptStory, Outcome, PersonRecord, Stage, StepStory, bound_to};
use super::key::TokenKey;
use super::parts::Parts;
use super::plan::Cause;
use super::record::{RefreshState, TokenRecord};
use super::token::Token;
use crate::egress::{Destinations, Fault};
use crate::flows::Flow;
use crate::flows::step::{Context, Event, Purpose, Remedy, Response, Step, Unanswered};
use crate::integrations::Integration;
use crate::secrets::{Cleaner, Secrets};
use crate::telemetry;
use crate::telemetry::trace::{self, SpanKind};

/// Why an attempt of a person ended though nothing failed.
pub(super) const SUPERSEDED: &str = "another connection took its place, or the token was deleted or entered by hand";
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
    /// Further values of the integration's secrets.
    rotation: Rotation,
    /// Where its requests may go.
    destinations: Destinations,
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
    /// Whether only a person can bring a token from nothing.
    is_attended: bool,
    /// Failures of this key before this attempt.
    failures: u32,
    /// The lifetime learned from a rejection, in seconds.
    learned: Option<u64>,
    /// What it has used of its flow's limits.
    used: Used,
    /// Whether the journal keeps the stored answer though the attempt ends.
    holding: bool,
    /// Who is told what a person has to do, until they are.
    asking: Option<oneshot::Sender<Ask>>,
}

/// How the last request of an attempt ended.
#[derive(Clone, Copy, Debug, Default)]
enum Last {
    /// None was sent.
    #[default]
    Nothing,
    /// With a complete answer of this status, to a request that left at that time.
    Answered(u16, DateTime<Utc>),
    /// Without one; whether any of it left, and in what way it failed.
    Unanswered(bool, Fault),
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
    /// Who is told what a person has to do. None: no person takes part.
    pub(super) asking: Option<oneshot::Sender<Ask>>,
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
            stage: Stage::Sent { spends: false, held: None },
            person: start.asking.as_ref().map(|_| PersonRecord::new(parts.clock.now())),
            story,
        };
        let mut attempt = Self::with_record(parts, start.integration, start.flow, &start.token, record)?;
        attempt.seed = seed;
        attempt.asking = start.asking;
        if start.again {
            attempt.refresh = RefreshState::Spent;
            match start.token.restored {
                Some(made_at) => attempt.note(&format!(
                    "the refresh token comes from the backup of {}, and the provider may have replaced it since; it is tried once",
                    made_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
                )),
                None => attempt.note("the refresh token was sent before and no answer came; it is tried once more"),
            }
        }
        Ok(attempt)
    }

    /// An attempt from the journal, to go on after a crash or with a repaired plugin.
    pub(super) fn resume(
        parts: &Arc<Parts>,
        integration: Arc<Integration>,
        flow: Arc<dyn Flow>,
        token: &TokenRecord,
        mut record: AttemptRecord,
    ) -> Result<Self, Ended> {
        // What it can't read either waits for yet another component.
        flow.digest().clone_into(&mut record.digest);
        record.story.flow = failure::identity(&*flow);
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
        // A person's consent has nothing to do with the present token, which other attempts renew meanwhile.
        let present = if record.person.is_none() { token.open(&parts.ledger.keyring)? } else { None };
        let mut secrets = integration.secrets.clone();
        if let Some(present) = &present {
            if let Some(refresh_token) = &present.refresh_token {
                secrets.insert(REFRESH_TOKEN, refresh_token.clone());
            }
            for (name, value) in present.secrets() {
                secrets.insert(name, value.clone());
            }
        }
        let cleaner = Cleaner::new(&secrets);
        let rotation = Rotation::of(&mut secrets, integration.updated_at, token.proven.as_ref());
        let urls = flow.description().fields.iter().filter(|field| field.is_url());
        let urls = urls.filter_map(|field| integration.values.get(&field.name)).map(String::as_str);
        let learned = record.person.iter().flat_map(|person| &person.learned).map(String::as_str);
        let destinations = Destinations::of(urls.chain(learned));
        let failures = token.failure.as_ref().filter(|_| record.person.is_none()).map_or(0, |failure| failure.count);
        Ok(Self {
            parts: Arc::clone(parts),
            refresh: token.refresh,
            is_attended: token.is_attended(flow.description(), &integration),
            integration,
            flow,
            present,
            secrets,
            rotation,
            destinations,
            cleaner,
            record,
            seed: [0; 32],
            last: Last::Nothing,
            failures,
            learned: token.learned_lifetime,
            used: Used::default(),
            holding: false,
            asking: None,
        })
    }

    /// Its id.
    pub(super) fn id(&self) -> Ulid {
        self.record.story.id
    }

    /// What is kept of it.
    pub(super) fn record(&self) -> &AttemptRecord {
        &self.record
    }

    /// The digest of the component that it goes on with.
    pub(super) fn flow_digest(&self) -> &str {
        self.flow.digest()
    }

    /// Runs it from the start.
    pub(super) async fn run(self) -> Result<Token, Ended> {
        let purpose = self.record.story.purpose;
        self.traced(Event::Begin(purpose)).await
    }

    /// Goes on within a span of its own.
    async fn traced(self, event: Event) -> Result<Token, Ended> {
        let span = trace::attempt();
        span.tell("tokenhost.integration", || self.integration.name.to_string());
        span.tell("tokenhost.flow", || self.integration.flow.clone());
        span.tell("tokenhost.purpose", || self.record.story.purpose.as_str());
        span.tell("tokenhost.attempt", || self.id().to_string());
        let outcome = span.within(self.go_on(event)).await;
        match &outcome {
            Ok(token) => span.tell("tokenhost.generation", || i64::try_from(token.generation).unwrap_or(i64::MAX)),
            Err(ended) => span.failed(|| ended.word().to_owned()),
        }
        outcome
    }

    /// Goes on from what the journal holds.
    pub(super) async fn run_held(mut self) -> Result<Token, Ended> {
        if self.record.target != self.integration.target {
            // What it holds was for somewhere else: nothing of it goes on.
            return Err(self.end(Outcome::Void, |_| {}).await.err().unwrap_or(Ended::Void));
        }
        let event = match self.record.stage.clone() {
            Stage::Answered { held, left_at, .. } => {
                let (state, response) = self.open_held(&held)?;
                let response = response.unwrap_or(Response { status: 0, headers: Vec::new(), body: Bytes::new() });
                self.last = Last::Answered(response.status, left_at);
                self.note("went on from the stored answer");
                Event::Answered(state, response)
            }
            Stage::Waiting { held, until } => {
                let (state, _) = self.open_held(&held)?;
                let left = (until - self.parts.clock.now()).to_std().unwrap_or_default();
                self.pause_for(left).await?;
                Event::Elapsed(state)
            }
            Stage::Sent { spends: false, held: Some(held) } if self.has_asked() => {
                let (state, _) = self.open_held(&held)?;
                self.note("the daemon stopped before an answer came; the flow goes on");
                let reason = "the daemon was stopped meanwhile".to_owned();
                Event::Unanswered(state, Unanswered { left: true, reason })
            }
            Stage::Away { until, .. } => return Err(Ended::Away(until)),
            Stage::Returned { held } => self.event_of_return(&held)?,
            Stage::Sent { spends, .. } => {
                if spends && self.record.person.is_some() {
                    self.note(
                        "the daemon stopped after what the person brought may have left; it works once, and isn't sent again",
                    );
                } else if spends {
                    self.doubt();
                    self.note(
                        "the daemon stopped after the refresh token may have left; whether it still works is uncertain",
                    );
                }
                return Err(self.end(Outcome::Interrupted, |_| {}).await.err().unwrap_or(Ended::Interrupted));
            }
            Stage::Ended => return Err(Ended::Void),
        };
        self.traced(event).await
    }

    /// The loop: one step of the flow, and what it wants done.
    async fn go_on(mut self, mut event: Event) -> Result<Token, Ended> {
        loop {
            if self.is_superseded().await? {
                self.note(SUPERSEDED);
                return Err(self.end(Outcome::Void, |_| {}).await.err().unwrap_or(Ended::Void));
            }
            if let Err(limit) = self.used.step(self.flow.limits()) {
                return Err(self.overrun(limit).await);
            }
            let (context, event_name) = (self.context(), event.name().to_owned());
            let returned = match &event {
                Event::Returned(_, query) => self.story_of_return(query),
                _ => Vec::new(),
            };
            let told = self.rotation.copy(&event);
            let began = self.parts.clock.elapsed();
            let span = trace::child("step", SpanKind::Internal);
            span.tell("tokenhost.event", || event_name.clone());
            let run = span.within(self.flow.advance(&context, event)).await;
            let taken = self.parts.clock.elapsed().saturating_sub(began);
            let flow = telemetry::labels::flow(&self.integration.flow);
            metrics::histogram!(telemetry::STEP_SECONDS, "flow" => flow).record(taken);
            let run = match run {
                Ok(run) => run,
                Err(fault) => return Err(self.plugin_fault(&event_name, fault).await),
            };
            let printed = self.printed(&run.printed);
            self.record.story.steps.push(StepStory {
                event: event_name,
                now: context.now,
                returned,
                printed,
                ..StepStory::default()
            });
            self.tell(|story| story.step = Step::name_of(&run.outcome).to_owned());
            span.tell("tokenhost.step", || Step::name_of(&run.outcome).to_owned());
            event = match run.outcome {
                Ok(Step::Send(request, state)) => {
                    self.rotation.asked = told;
                    span.within(self.exchange(request, state)).await?
                }
                Ok(Step::Wait(wait)) => {
                    if self.record.person.is_some() {
                        self.used = Used::default();
                    }
                    self.wait(wait).await?
                }
                Ok(Step::Done(token)) => return self.succeed(*token).await,
                Ok(Step::Redirect(url, state)) => return Err(self.send_away(&url, &state).await),
                Ok(Step::Revoked) if self.record.story.purpose == Purpose::Revoke => return Err(self.revoked().await),
                Ok(Step::Revoked) => {
                    let message = "the flow revoked the token instead of getting one";
                    return Err(self.fail("plugin_fault", message, Remedy::Reconfigure, None).await);
                }
                Err(failure) => match self.rotate(&failure) {
                    Some(told) => told,
                    None if self.fall_back(&failure) => Event::Begin(Purpose::Acquire),
                    None => return Err(self.give_up(failure).await),
                },
            };
        }
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
        let steps = self.record.story.steps.iter();
        let step = steps.map(|step| u64::from(step.repeats) + 1).sum::<u64>().to_be_bytes();
        let entropy = Sha256::new().chain_update(self.seed).chain_update(step).finalize();
        Context {
            scheme_name: self.integration.scheme.clone(),
            scheme_document: self.integration.scheme_document.to_string(),
            values,
            secrets: self.secrets.names().map(str::to_owned).collect(),
            revealed: self.revealed(),
            now: u64::try_from(self.parts.clock.now().timestamp()).unwrap_or_default(),
            entropy: entropy.into(),
            callback_url: self.parts.callback_url.get().cloned(),
            return_key: self.return_key(),
        }
    }

    /// The secrets that the operator lets this very component read.
    fn revealed(&self) -> Vec<(String, SecretString)> {
        let names = self.parts.flows.revealed(&*self.flow, self.integration.name.as_str(), self.integration.created_at);
        names.into_iter().filter_map(|name| Some((name.clone(), self.secrets.get(&name)?.clone()))).collect()
    }

    /// What a plugin printed, as people may see it.
    fn printed(&self, printed: &str) -> String {
        self.cleaner.clean(printed).chars().take(PRINTED).collect()
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

    /// The present refresh token was sent: until an answer comes nobody knows whether it still works.
    fn doubt(&mut self) {
        if self.refresh == RefreshState::Ready {
            self.refresh = RefreshState::Uncertain;
        }
    }
}

/// The pause before a failed write is tried again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
