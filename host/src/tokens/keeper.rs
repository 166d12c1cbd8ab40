//! Serves tokens: from memory where they are good enough, else from a flight that gets a new one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use dashmap::DashMap;
use moka::sync::Cache;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use super::attempt::{Attempt, Start};
use super::backoff::Budget;
use super::connect::OnConnected;
use super::error::TokenError;
use super::expiry::Margin;
use super::failure::Ended;
use super::flight::{Flights, Seat};
use super::journal::AttemptRecord;
use super::key::TokenKey;
use super::ledger::Ledger;
use super::parts::Parts;
use super::plan::{self, Cause, Facts, Plan};
use super::record::{FailureRecord, TokenRecord};
use super::schedule::{Due, Schedule, Timers};
use super::token::{Live, Quality, Served, Token};
use super::watch::Watch;
use crate::clock::SharedClock;
use crate::egress::Egress;
use crate::flows::{Catalog, Flow};
use crate::integrations::{Integration, IntegrationError, Integrations};
use crate::name::Name;
use crate::seal::Keyring;
use crate::store::{Store, StoreError};

/// The longest time that a caller waits for an attempt.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Tokens held in memory; the least used beyond that are read again when needed.
const IN_MEMORY: u64 = 200_000;
/// How long the daemon waits for attempts when it stops.
const LANDING: Duration = Duration::from_secs(10);

/// The tokens of all integrations.
pub struct Tokens {
    /// What attempts work with.
    pub(super) parts: Arc<Parts>,
    /// Committed tokens.
    pub(super) live: Cache<TokenKey, Arc<Live>>,
    /// Attempts under way.
    pub(super) flights: Flights,
    /// Counts changes of integrations, so that what was read before one isn't put in memory after it.
    pub(super) changes: AtomicU64,
    /// The keys other than the default ones that may be in memory, by integration.
    scoped: DashMap<String, Vec<TokenKey>>,
    /// Renewals ahead of time.
    schedule: Schedule,
    /// Who is told how connections end of which nobody comes back.
    pub(super) on_connected: OnceLock<OnConnected>,
    /// Itself, for the flights that it starts.
    pub(super) me: Weak<Self>,
}

/// What a flight is to bring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Errand {
    /// Why.
    pub(super) cause: Cause,
    /// For how long the token must be good.
    pub(super) min_ttl: Duration,
}

impl Tokens {
    /// The tokens kept in this store. Must be called within a tokio runtime, where the renewals run.
    pub fn new(
        store: Arc<dyn Store>,
        keyring: Arc<Keyring>,
        integrations: Arc<Integrations>,
        flows: Arc<dyn Catalog>,
        egress: Arc<Egress>,
        clock: SharedClock,
        margin: Margin,
    ) -> Arc<Self> {
        let (schedule, timers) = Schedule::new();
        let tokens = Arc::new_cyclic(|me: &Weak<Self>| Self {
            parts: Arc::new(Parts {
                ledger: Ledger { store, keyring },
                integrations,
                flows,
                egress,
                budget: Budget::new(Arc::clone(&clock)),
                clock,
                margin,
                watch: Watch::default(),
                callback_url: OnceLock::new(),
                stopping: CancellationToken::new(),
            }),
            live: Cache::new(IN_MEMORY),
            flights: Flights::new(),
            changes: AtomicU64::new(0),
            scoped: DashMap::new(),
            schedule,
            on_connected: OnceLock::new(),
            me: me.clone(),
        });
        let me = tokens.me.clone();
        tokens.parts.integrations.subscribe(Box::new(move |name| {
            if let Some(tokens) = me.upgrade() {
                tokens.forget(name);
            }
        }));
        tokio::spawn(renew_when_due(tokens.me.clone(), timers));
        tokens
    }

    /// The token, if it is in memory and good for that long. Takes neither lock nor disk nor plugin.
    ///
    /// The key is an integration's name, or a [`TokenKey`] as text.
    pub fn cached(&self, key: &str, min_ttl: Duration) -> Option<Served> {
        let live = self.live.get(key)?;
        let clock = &*self.parts.clock;
        let remaining = live.remaining(clock);
        match live.quality(remaining, min_ttl) {
            Quality::Good => {}
            Quality::Ageing => self.renew_behind(&live, key),
            Quality::TooShort | Quality::Ended => return None,
        }
        let (served, first) = live.serve(remaining);
        if first {
            self.schedule_renewal(&live, key);
        }
        Some(served)
    }

    /// A token that is good for `min_ttl` (at most what a fresh one promises), got if need be.
    ///
    /// # Errors
    /// As [`TokenError`] says, after at most 30 s.
    pub async fn get(&self, key: &TokenKey, min_ttl: Duration) -> Result<Served, TokenError> {
        if let Some(served) = self.cached(key.text(), min_ttl) {
            return Ok(served);
        }
        let seat = self.depart(key, Errand { cause: Cause::Needed, min_ttl }).0;
        self.await_seat(key, seat).await
    }

    /// Waits for a flight. Where it brings nothing and the present token still works, that is served.
    async fn await_seat(&self, key: &TokenKey, seat: Seat) -> Result<Served, TokenError> {
        let waiting = self.flights.wait();
        let outcome = seat.outcome(PATIENCE).await;
        drop(waiting);
        let error = match outcome {
            Some(Ok(live)) => return Ok(self.serve(&live, key)),
            Some(Err(error)) => error,
            None => TokenError::Pending { retry_after: Duration::from_secs(1) },
        };
        match self.live.get(key).filter(|live| live.remaining(&*self.parts.clock) != Some(Duration::ZERO)) {
            Some(live) => Ok(self.serve(&live, key)),
            None => Err(error),
        }
    }

    pub(super) fn serve(&self, live: &Live, key: &TokenKey) -> Served {
        let (served, first) = live.serve(live.remaining(&*self.parts.clock));
        if first {
            self.schedule_renewal(live, key.text());
        }
        served
    }

    fn schedule_renewal(&self, live: &Live, key: &str) {
        if let (Some(after), Ok(key)) = (live.due_in(&*self.parts.clock), key.parse()) {
            self.schedule.add(Due { key, generation: live.generation() }, after);
        }
    }

    fn renew_behind(&self, live: &Live, key: &str) {
        if let (true, Ok(key)) = (live.may_renew(&*self.parts.clock), key.parse()) {
            // Once a second at most: until the flight has its own say, callers needn't look for it.
            live.hush(&*self.parts.clock, Duration::from_secs(1));
            self.depart(&key, Errand { cause: Cause::Ageing, min_ttl: Duration::ZERO });
        }
    }

    /// Joins or starts the flight for a key.
    pub(super) fn depart(&self, key: &TokenKey, errand: Errand) -> (Seat, bool) {
        let arrived = || {
            let live = self.live.get(key).filter(|_| errand.cause == Cause::Needed)?;
            let quality = live.quality(live.remaining(&*self.parts.clock), errand.min_ttl);
            matches!(quality, Quality::Good | Quality::Ageing).then_some(live)
        };
        let (me, flying) = (self.me.clone(), key.clone());
        self.flights.join(key, arrived, || async move {
            match me.upgrade() {
                Some(tokens) => tokens.fly(&flying, errand).await,
                None => Err(TokenError::Stopping),
            }
        })
    }

    /// A flight: finds out what is due, does it, and puts the outcome in memory.
    async fn fly(&self, key: &TokenKey, errand: Errand) -> Result<Arc<Live>, TokenError> {
        // What an attempt brings is void where the integration changed under it: then look again, but not for ever.
        let mut errand = errand;
        for _ in 0..MAX_LOOKS {
            let changes = self.changes.load(Ordering::Acquire);
            let (integration, record, _) = self.parts.read(key).await?;
            let integration = Arc::new(integration);
            // One that holds an answer for a repaired plugin waits for no person.
            let connecting = record.connecting.filter(|id| record.stalled != Some(*id));
            let present = self.present(key, &record)?;
            if let Some(live) = present.as_ref().filter(|live| self.is_enough(live, errand)) {
                match self.remember(key, live, changes) {
                    true => return Ok(Arc::clone(live)),
                    false => continue,
                }
            }
            if let Some(live) = &present {
                // Others may be content with it, and it is what is served where renewal fails.
                self.remember(key, live, changes);
            }
            match self.attempt(key, integration, record, present.as_deref(), errand).await {
                Ok(token) => {
                    let live = self.live(token);
                    if self.remember(key, &live, changes) {
                        return Ok(live);
                    }
                    errand.cause = Cause::Needed;
                }
                Err(Ended::Void | Ended::Interrupted | Ended::Revoked) => {}
                Err(ended) => {
                    let error = self.error_of(ended, key, connecting);
                    if let (Some(live), TokenError::Failed { retry_after, .. }) = (self.live.get(key), &error) {
                        live.hush(&*self.parts.clock, *retry_after);
                    }
                    return Err(error);
                }
            }
        }
        Err(TokenError::Changed)
    }

    /// What callers are told of an attempt that ended without a token. `connecting`: the attempt by which a person connects.
    pub(super) fn error_of(&self, ended: Ended, key: &TokenKey, connecting: Option<Ulid>) -> TokenError {
        if matches!(ended, Ended::Incomplete(_) | Ended::NoFlow(_) | Ended::Person(_)) {
            // Nothing of it is recorded, and it may be news: a flow was exchanged, or time has passed.
            self.parts.watch.touch_key(key);
        }
        let person = |why: String| {
            let name = key.integration();
            TokenError::PersonNeeded(match connecting {
                Some(id) => format!("{why}; connecting is under way (attempt {id}) and waits for the person"),
                None => format!(
                    "{why}; run `tokenhost integration connect {name}`, or POST /v1/integrations/{name}/connect"
                ),
            })
        };
        match ended {
            Ended::Failed(failure, attempt) => self.failed(&failure, attempt),
            Ended::Void | Ended::Interrupted | Ended::Revoked | Ended::Overtaken(_) => TokenError::Changed,
            Ended::Incomplete(faults) => TokenError::Incomplete(faults),
            Ended::Person(why) => person(why),
            Ended::Away(_) => person("the flow has sent a person to the provider".to_owned()),
            Ended::NoFlow(name) => TokenError::FlowMissing(name),
            Ended::Barred(barred) => barred.into(),
            Ended::Stopping => TokenError::Stopping,
            Ended::Store(error) => error.into(),
            Ended::Seal(error) => error.into(),
        }
    }

    /// Plans and makes one attempt.
    async fn attempt(
        &self,
        key: &TokenKey,
        integration: Arc<Integration>,
        record: TokenRecord,
        present: Option<&Live>,
        errand: Errand,
    ) -> Result<Token, Ended> {
        let flow = self.flow(&integration)?;
        let missing = self.parts.integrations.missing(&integration);
        if !missing.is_empty() {
            return Err(Ended::Incomplete(missing));
        }
        let stalled = match record.stalled {
            Some(id) => self.parts.ledger.attempt(key.integration(), id).await?,
            None => None,
        };
        let clock = &*self.parts.clock;
        let facts = Facts {
            now: clock.now(),
            token_ended: present.is_none_or(|live| live.remaining(clock) == Some(Duration::ZERO)),
            unattended: !record.is_attended(flow.description(), &integration),
            refresh: integration.values.get("refresh").is_none_or(|refresh| refresh != "never"),
            uncertain: integration.settings.uncertain,
            // Who has changed the integration has perhaps put right what failed.
            forced: errand.cause == Cause::Asked
                || record.failure.as_ref().is_some_and(|failure| integration.updated_at > failure.at)
                || record.failure.as_ref().is_some_and(|failure| self.is_forgiven(&integration.flow, failure)),
            repaired: stalled.as_ref().is_some_and(|attempt| attempt.digest != flow.digest()),
        };
        match (plan::plan(&record, facts), stalled) {
            (Plan::Resume(_), Some(attempt)) => {
                self.parts.flows.admit(&*flow, false).map_err(Ended::Barred)?;
                Attempt::resume(&self.parts, integration, flow, &record, attempt)?.run_held().await
            }
            (Plan::Resume(_), None) => Err(Ended::Void),
            (Plan::Attempt { purpose, again }, _) => {
                self.parts.flows.admit(&*flow, true).map_err(Ended::Barred)?;
                let (key, token, cause) = (key.clone(), record, errand.cause);
                Attempt::new(&self.parts, Start { integration, flow, key, token, purpose, again, cause, asking: None })?
                    .run()
                    .await
            }
            (Plan::Wait(_), _) => {
                Err(record.failure.map_or(Ended::Void, |failure| Ended::Failed(Box::new(failure), None)))
            }
            (Plan::Person(why), _) => Err(Ended::Person(why.to_owned())),
        }
    }

    /// An integration's flow.
    pub(super) fn flow(&self, integration: &Integration) -> Result<Arc<dyn Flow>, Ended> {
        let (flows, name) = (&self.parts.flows, &integration.flow);
        flows.get(name).ok_or_else(|| flows.absent(name).map_or_else(|| Ended::NoFlow(name.clone()), Ended::Barred))
    }

    /// Whether a failure was the flow's own fault, and its operator has done something about it since.
    fn is_forgiven(&self, flow: &str, failure: &FailureRecord) -> bool {
        matches!(failure.code.as_str(), "plugin_fault" | "limit_exceeded")
            && self.parts.flows.decided_at(flow).is_some_and(|decided_at| decided_at > failure.at)
    }

    /// Whether a token ends an errand without an attempt.
    fn is_enough(&self, live: &Live, errand: Errand) -> bool {
        let quality = live.quality(live.remaining(&*self.parts.clock), errand.min_ttl);
        match errand.cause {
            Cause::Needed | Cause::Rejected => matches!(quality, Quality::Good | Quality::Ageing),
            Cause::Ageing => quality == Quality::Good,
            Cause::Asked | Cause::Connect | Cause::Deleted => false,
        }
    }

    /// The token of a record, if it isn't rejected. What is in memory knows more of its age than the record does.
    pub(super) fn present(&self, key: &TokenKey, record: &TokenRecord) -> Result<Option<Arc<Live>>, TokenError> {
        if record.rejected_at.is_some() || record.token.is_none() {
            return Ok(None);
        }
        if let Some(live) = self.live.get(key).filter(|live| live.generation() == record.generation) {
            return Ok(Some(live));
        }
        Ok(record.open(&self.parts.ledger.keyring)?.map(|token| self.live(token)))
    }

    fn live(&self, token: Token) -> Arc<Live> {
        let jitter = rand::random();
        Arc::new(Live::new(Arc::new(token), &*self.parts.clock, self.parts.margin, jitter))
    }

    /// Puts a token in memory, unless an integration was changed since it was read.
    fn remember(&self, key: &TokenKey, live: &Arc<Live>, changes: u64) -> bool {
        if !key.is_default() {
            let mut keys = self.scoped.entry(key.integration().to_owned()).or_default();
            if !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        // The very token that is in memory already knows whether it was served.
        let known = self.live.get(key).is_some_and(|known| known.generation() == live.generation());
        if !known {
            self.live.insert(key.clone(), Arc::clone(live));
        }
        let unchanged = self.changes.load(Ordering::Acquire) == changes;
        if !unchanged {
            self.live.invalidate(key);
        }
        unchanged
    }

    /// Takes an integration's tokens out of memory.
    fn forget(&self, integration: &Name) {
        self.parts.watch.touch(integration);
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.live.invalidate(integration.as_str());
        if let Some((_, keys)) = self.scoped.remove(integration.as_str()) {
            for key in keys {
                self.live.invalidate(&key);
            }
        }
    }

    fn failed(&self, failure: &FailureRecord, attempt: Option<Ulid>) -> TokenError {
        let wait = failure.wait(self.parts.clock.now()).and_then(|wait| wait.to_std().ok()).unwrap_or_default();
        TokenError::Failed {
            code: failure.code.clone(),
            message: failure.message.clone(),
            field: failure.field.clone(),
            retry_after: wait.max(Duration::from_secs(1)),
            attempt,
        }
    }

    /// Goes on with the attempts that a stop of the daemon cut short. Call it once, before the first [`Tokens::get`]; the attempts
    /// themselves then run as flights. Returns how many there are.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn recover(&self) -> Result<usize, TokenError> {
        let attempts = self.parts.ledger.open_attempts().await?;
        let count = attempts.len();
        for attempt in attempts {
            if attempt.person.is_some() && attempt.story.outcome.is_none() {
                self.recover_connecting(attempt).await;
                continue;
            }
            let key = attempt.story.key.clone();
            let (me, flying) = (self.me.clone(), key.clone());
            self.flights.join(
                &key,
                || None,
                || async move {
                    let tokens = me.upgrade().ok_or(TokenError::Stopping)?;
                    if let Err(ended) = tokens.resume(attempt).await {
                        tracing::warn!(key = %flying, ?ended, "an attempt that a stop cut short brought no token");
                    }
                    tokens.fly(&flying, Errand { cause: Cause::Needed, min_ttl: Duration::ZERO }).await
                },
            );
        }
        Ok(count)
    }

    async fn resume(&self, attempt: AttemptRecord) -> Result<(), Ended> {
        let (is_stalled, digest) = (attempt.story.outcome.is_some(), attempt.digest.clone());
        let attempt = self.revive(attempt).await?;
        if is_stalled && attempt.flow_digest() == digest {
            return Ok(()); // the plugin is still the same
        }
        attempt.run_held().await.map(drop)
    }

    /// An attempt out of the journal.
    pub(super) async fn revive(&self, attempt: AttemptRecord) -> Result<Attempt, Ended> {
        let integration = match self.parts.integration(&attempt.story.key).await {
            Ok(integration) => Arc::new(integration),
            Err(IntegrationError::NotFound(name)) => {
                self.parts.ledger.purge(name.as_str()).await?;
                return Err(Ended::Void);
            }
            Err(error) => return Err(Ended::Store(StoreError::Storage(error.to_string()))),
        };
        let flow = self.flow(&integration)?;
        let (record, _) = self.parts.ledger.token(&attempt.story.key, integration.target).await?;
        Attempt::resume(&self.parts, integration, flow, &record, attempt)
    }

    /// Lets attempts under way end, for a while.
    pub async fn shutdown(&self) {
        self.parts.stopping.cancel();
        self.flights.land(LANDING).await;
    }
}

/// How often a flight looks anew because the integration or the token changed under it.
const MAX_LOOKS: usize = 5;

/// Renews tokens that were served, when they are due.
async fn renew_when_due(tokens: Weak<Tokens>, mut timers: Timers) {
    while let Some(due) = timers.next().await {
        let Some(tokens) = tokens.upgrade() else { return };
        let current = tokens.live.get(&due.key).is_some_and(|live| live.generation() == due.generation);
        if current {
            tokens.depart(&due.key, Errand { cause: Cause::Ageing, min_ttl: Duration::ZERO });
        }
    }
}
