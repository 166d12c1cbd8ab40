//! The life of an outbound token: is it good enough, one attempt at a time, the journal, expiry, renewal.
//!
//! It knows nothing of HTTP and of who asks. What a token is got with is `integrations`' business; how, the flow's.

mod attempt;
mod backoff;
mod error;
mod expiry;
mod failure;
mod flight;
mod journal;
mod key;
mod ledger;
mod parts;
mod plan;
mod record;
mod schedule;
mod token;
mod view;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::TimeDelta;
use dashmap::DashMap;
use moka::sync::Cache;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use self::attempt::{Attempt, Start};
use self::backoff::Budget;
use self::failure::Ended;
use self::flight::{Flights, Seat};
use self::ledger::Ledger;
use self::parts::Parts;
use self::plan::{Facts, Plan};
use self::record::{FailureRecord, StoredToken, TokenRecord};
use self::schedule::{Due, Schedule, Timers};
use self::token::{Live, Quality};
use crate::clock::SharedClock;
use crate::egress::Egress;
use crate::flows::Catalog;
use crate::integrations::{Integration, Integrations};
use crate::name::Name;
use crate::seal::{Keyring, SealError};
use crate::store::{Batch, Revision, Store, StoreError};

pub use self::error::TokenError;
pub use self::expiry::{ExpirySource, Margin};
pub use self::journal::{AnswerStory, AttemptStory, Outcome, StepStory};
pub use self::key::TokenKey;
pub use self::plan::Cause;
pub use self::token::{ManualToken, Served, Token};
pub use self::view::{FailureView, Rejection, State, Status, Verdict};

/// The longest time that a caller waits for an attempt.
const PATIENCE: Duration = Duration::from_secs(30);
/// Rejections of one token cause at most one attempt in so many seconds: a service that refuses everything must not be
/// answered by a flood of token requests.
const REJECTION_INTERVAL: TimeDelta = TimeDelta::seconds(10);
/// Tokens held in memory; the least used beyond that are read again when needed.
const IN_MEMORY: u64 = 200_000;
/// How long the daemon waits for attempts when it stops.
const LANDING: Duration = Duration::from_secs(10);

/// The tokens of all integrations.
pub struct Tokens {
    /// What attempts work with.
    parts: Arc<Parts>,
    /// Committed tokens.
    live: Cache<TokenKey, Arc<Live>>,
    /// Attempts under way.
    flights: Flights,
    /// Counts changes of integrations, so that what was read before one isn't put in memory after it.
    changes: AtomicU64,
    /// The keys with scopes of their own that may be in memory, by integration.
    scoped: DashMap<String, Vec<TokenKey>>,
    /// Renewals ahead of time.
    schedule: Schedule,
    /// Itself, for the flights that it starts.
    me: Weak<Self>,
}

/// What a flight is to bring.
#[derive(Clone, Copy, Debug)]
struct Errand {
    /// Why.
    cause: Cause,
    /// For how long the token must be good.
    min_ttl: Duration,
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
                stopping: CancellationToken::new(),
            }),
            live: Cache::new(IN_MEMORY),
            flights: Flights::new(),
            changes: AtomicU64::new(0),
            scoped: DashMap::new(),
            schedule,
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
        let error = match seat.outcome(PATIENCE).await {
            Some(Ok(live)) => return Ok(self.serve(&live, key)),
            Some(Err(error)) => error,
            None => TokenError::Pending { retry_after: Duration::from_secs(1) },
        };
        match self.live.get(key).filter(|live| live.remaining(&*self.parts.clock) != Some(Duration::ZERO)) {
            Some(live) => Ok(self.serve(&live, key)),
            None => Err(error),
        }
    }

    fn serve(&self, live: &Live, key: &TokenKey) -> Served {
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
    fn depart(&self, key: &TokenKey, errand: Errand) -> (Seat, bool) {
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
        let name: Name = key.integration().parse().map_err(|_| TokenError::Changed)?;
        // What an attempt brings is void where the integration changed under it: then look again, but not for ever.
        let mut errand = errand;
        for _ in 0..MAX_LOOKS {
            let changes = self.changes.load(Ordering::Acquire);
            let integration = Arc::new(self.parts.integrations.read(&name).await?);
            let (record, _) = self.parts.ledger.token(key, integration.target).await?;
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
                Err(Ended::Void | Ended::Interrupted) => {}
                Err(Ended::Failed(failure, attempt)) => {
                    let error = self.failed(&failure, attempt);
                    if let (Some(live), TokenError::Failed { retry_after, .. }) = (self.live.get(key), &error) {
                        live.hush(&*self.parts.clock, *retry_after);
                    }
                    return Err(error);
                }
                Err(Ended::Incomplete(faults)) => return Err(TokenError::Incomplete(faults)),
                Err(Ended::Person(why)) => return Err(TokenError::PersonNeeded(why.to_owned())),
                Err(Ended::NoFlow(name)) => return Err(TokenError::FlowMissing(name)),
                Err(Ended::Stopping) => return Err(TokenError::Stopping),
                Err(Ended::Store(error)) => return Err(error.into()),
                Err(Ended::Seal(error)) => return Err(error.into()),
            }
        }
        Err(TokenError::Changed)
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
        let flow = self.parts.flows.get(&integration.flow).ok_or_else(|| Ended::NoFlow(integration.flow.clone()))?;
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
            unattended: flow.description().unattended,
            refresh: integration.values.get("refresh").is_none_or(|refresh| refresh != "never"),
            uncertain: integration.settings.uncertain,
            // Who has changed the integration has perhaps put right what failed.
            forced: errand.cause == Cause::Asked
                || record.failure.as_ref().is_some_and(|failure| integration.updated_at > failure.at),
            repaired: stalled.as_ref().is_some_and(|attempt| attempt.digest != flow.digest()),
        };
        match (plan::plan(&record, facts), stalled) {
            (Plan::Resume(_), Some(attempt)) => {
                Attempt::resume(&self.parts, integration, flow, &record, attempt)?.run_held().await
            }
            (Plan::Resume(_), None) => Err(Ended::Void),
            (Plan::Attempt { purpose, again }, _) => {
                let (key, token, cause) = (key.clone(), record, errand.cause);
                Attempt::new(&self.parts, Start { integration, flow, key, token, purpose, again, cause })?.run().await
            }
            (Plan::Wait(_), _) => Err(record.failure.map_or(Ended::Void, |failure| Ended::Failed(failure, None))),
            (Plan::Person(why), _) => Err(Ended::Person(why)),
        }
    }

    /// Whether a token ends an errand without an attempt.
    fn is_enough(&self, live: &Live, errand: Errand) -> bool {
        let quality = live.quality(live.remaining(&*self.parts.clock), errand.min_ttl);
        match errand.cause {
            Cause::Needed | Cause::Rejected => matches!(quality, Quality::Good | Quality::Ageing),
            Cause::Ageing => quality == Quality::Good,
            Cause::Asked => false,
        }
    }

    /// The token of a record, if it isn't rejected. What is in memory knows more of its age than the record does.
    fn present(&self, key: &TokenKey, record: &TokenRecord) -> Result<Option<Arc<Live>>, TokenError> {
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
        if key.scopes().is_some() {
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

    /// What is known of a token.
    ///
    /// # Errors
    /// There is no such integration, or the storage failed.
    pub async fn status(&self, key: &TokenKey) -> Result<Status, TokenError> {
        let (_, record, _) = self.read(key).await?;
        let ended = self.present(key, &record)?.is_some_and(|live| live.remaining(&*self.parts.clock) == Some(Duration::ZERO));
        let token = record.token.as_ref();
        Ok(Status {
            state: match token {
                None => State::Absent,
                Some(_) if record.rejected_at.is_some() => State::Rejected,
                Some(_) if ended => State::Expired,
                Some(_) => State::Valid,
            },
            renewing: self.flights.is_under_way(key),
            generation: record.generation,
            created_at: token.map(|token| token.created_at),
            expires_at: token.and_then(|token| token.expires_at),
            expiry_source: token.and_then(|token| token.expiry_source),
            has_refresh_token: token.is_some_and(StoredToken::has_refresh_token),
            failure: record.failure.map(|failure| FailureView {
                retry_at: failure.retry_at(),
                code: failure.code,
                message: failure.message,
                field: failure.field,
                count: failure.count,
                at: failure.at,
            }),
        })
    }

    /// A new token, whatever the present one is worth.
    ///
    /// # Errors
    /// As [`Tokens::get`].
    pub async fn renew(&self, key: &TokenKey) -> Result<Served, TokenError> {
        let before = self.read(key).await?.1.generation;
        loop {
            let (seat, joined) = self.depart(key, Errand { cause: Cause::Asked, min_ttl: Duration::ZERO });
            match seat.outcome(PATIENCE).await {
                // One that was under way already may have found the present token good enough.
                Some(Ok(live)) if joined && live.generation() == before => {}
                Some(Ok(live)) => return Ok(self.serve(&live, key)),
                Some(Err(error)) => return Err(error),
                None => return Err(TokenError::Pending { retry_after: Duration::from_secs(1) }),
            }
        }
    }

    /// Takes a token out of use that a service refused, and starts to get another.
    ///
    /// # Errors
    /// There is no such integration, or the storage failed.
    pub async fn reject(&self, key: &TokenKey, generation: u64) -> Result<Rejection, TokenError> {
        let now = self.parts.clock.now();
        let outcome = self
            .change(key, |record| {
                if record.generation != generation || record.token.is_none() {
                    return Err(Rejection::NotCurrent { generation: record.generation });
                }
                if record.rejected_at.is_some() {
                    return Err(Rejection::Renewing);
                }
                let since = record.last_rejection_at.map(|last| now - last).filter(|since| *since >= TimeDelta::zero());
                if let Some(wait) = since.map(|since| REJECTION_INTERVAL - since).filter(|wait| *wait > TimeDelta::zero()) {
                    let retry_after = u64::try_from(wait.num_seconds()).unwrap_or_default() + 1;
                    return Err(Rejection::TooSoon { retry_after });
                }
                record.rejected_at = Some(now);
                record.last_rejection_at = Some(now);
                if let Some(token) = record.token.as_ref().filter(|token| token.expires_at.is_none()) {
                    record.learned_lifetime = u64::try_from((now - token.created_at).num_seconds()).ok().filter(|age| *age > 0);
                }
                Ok(())
            })
            .await?;
        if let Err(rejection) = outcome {
            return Ok(rejection);
        }
        if self.live.get(key).is_some_and(|live| live.generation() == generation) {
            self.live.invalidate(key);
        }
        self.depart(key, Errand { cause: Cause::Rejected, min_ttl: Duration::ZERO });
        Ok(Rejection::Renewing)
    }

    /// Puts in a token by hand: it is used as given until it ends.
    ///
    /// # Errors
    /// There is no such integration, or the storage failed.
    pub async fn put(&self, key: &TokenKey, manual: ManualToken) -> Result<Status, TokenError> {
        let created_at = manual.created_at.unwrap_or_else(|| self.parts.clock.now());
        let expires_at = (manual.expires_in)
            .and_then(|seconds| created_at.checked_add_signed(TimeDelta::try_seconds(i64::try_from(seconds).ok()?)?))
            .or(manual.expires_at);
        let keyring = &self.parts.ledger.keyring;
        self.change(key, |record| {
            let token = Token {
                access_token: manual.access_token.clone(),
                refresh_token: manual.refresh_token.clone(),
                token_type: manual.token_type.clone().unwrap_or_else(|| "Bearer".to_owned()),
                scope: manual.scope.clone(),
                created_at,
                expires_at,
                expiry_source: expires_at.map(|_| ExpirySource::Manual),
                refresh_expires_at: None,
                values: Vec::new(),
                secrets: Vec::new(),
                generation: record.generation + 1,
            };
            let sealed = StoredToken::seal(&token, key, keyring)?;
            record.succeed(token.generation, sealed);
            Ok::<(), SealError>(())
        })
        .await??;
        self.live.invalidate(key);
        self.status(key).await
    }

    /// Throws the token away, and what is known of failures.
    ///
    /// # Errors
    /// There is no such integration, or the storage failed.
    pub async fn delete(&self, key: &TokenKey) -> Result<(), TokenError> {
        self.change(key, |record| {
            // An attempt under way follows the old number, so that what it brings is void.
            *record = TokenRecord { generation: record.generation + 1, ..TokenRecord::new(key.clone(), record.target) };
            Ok::<(), ()>(())
        })
        .await?
        .ok();
        self.live.invalidate(key);
        Ok(())
    }

    /// Changes a key's record, or finds a reason not to, in one batch.
    async fn change<E>(
        &self,
        key: &TokenKey,
        mut change: impl FnMut(&mut TokenRecord) -> Result<(), E>,
    ) -> Result<Result<(), E>, TokenError> {
        loop {
            let (integration, mut record, read) = self.read(key).await?;
            if let Err(reason) = change(&mut record) {
                return Ok(Err(reason));
            }
            let mut batch = Batch::synced();
            integration.expect(&mut batch);
            Ledger::put_token(&mut batch, &record, read)?;
            match self.parts.ledger.store.commit(batch).await {
                Ok(_) => {
                    // Flights that read the record before must not put that into memory.
                    self.changes.fetch_add(1, Ordering::AcqRel);
                    return Ok(Ok(()));
                }
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn read(&self, key: &TokenKey) -> Result<(Integration, TokenRecord, Option<Revision>), TokenError> {
        let name: Name = key.integration().parse().map_err(|_| TokenError::Changed)?;
        let integration = self.parts.integrations.read(&name).await?;
        let (record, read) = self.parts.ledger.token(key, integration.target).await?;
        Ok((integration, record, read))
    }

    /// Whether a token can be had, by an attempt.
    ///
    /// # Errors
    /// There is no such integration, or the storage failed.
    pub async fn test(&self, integration: &Name) -> Result<Verdict, TokenError> {
        let outcome = self.renew(&TokenKey::of(integration)).await;
        let (line, field, attempt) = match outcome {
            Ok(served) => {
                let life = served.expires_in.map_or("without a known end".to_owned(), |left| format!("good for {left} s"));
                let line = format!("{integration}: a token was got, {life} (generation {})", served.token.generation);
                return Ok(Verdict { ok: true, line, field: None, attempt: None });
            }
            Err(TokenError::Failed { code, message, field, attempt, .. }) => {
                let look = field.as_ref().map(|field| format!("; look at {field}")).unwrap_or_default();
                (format!("{integration}: no token: {code}: {message}{look}"), field, attempt)
            }
            Err(error @ (TokenError::PersonNeeded(_) | TokenError::Pending { .. } | TokenError::FlowMissing(_))) => {
                (format!("{integration}: no token: {error}"), None, None)
            }
            Err(error) => return Err(error),
        };
        Ok(Verdict { ok: false, line, field, attempt })
    }

    /// The last attempts of an integration, the newest first, before the given one.
    ///
    /// # Errors
    /// There is no such integration, or the storage failed.
    pub async fn attempts(
        &self,
        integration: &Name,
        before: Option<Ulid>,
        limit: usize,
    ) -> Result<Vec<AttemptStory>, TokenError> {
        self.parts.integrations.read(integration).await?;
        let found = self.parts.ledger.attempts(integration.as_str(), before, limit).await?;
        Ok(found.into_iter().map(|attempt| attempt.story).collect())
    }

    /// One attempt of an integration.
    ///
    /// # Errors
    /// There is no such integration or attempt, or the storage failed.
    pub async fn attempt_story(&self, integration: &Name, id: Ulid) -> Result<AttemptStory, TokenError> {
        self.parts.integrations.read(integration).await?;
        let found = self.parts.ledger.attempt(integration.as_str(), id).await?;
        found.map(|attempt| attempt.story).ok_or(TokenError::NoSuchAttempt(id))
    }

    /// Removes what is kept of the tokens of an integration that is gone.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn purge(&self, integration: &Name) -> Result<(), TokenError> {
        Ok(self.parts.ledger.purge(integration.as_str()).await?)
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
            let key = attempt.story.key.clone();
            let (me, flying) = (self.me.clone(), key.clone());
            self.flights.join(&key, || None, || async move {
                let tokens = me.upgrade().ok_or(TokenError::Stopping)?;
                if let Err(ended) = tokens.resume(attempt).await {
                    tracing::warn!(key = %flying, ?ended, "an attempt that a stop cut short brought no token");
                }
                tokens.fly(&flying, Errand { cause: Cause::Needed, min_ttl: Duration::ZERO }).await
            });
        }
        Ok(count)
    }

    async fn resume(&self, attempt: journal::AttemptRecord) -> Result<(), Ended> {
        let name: Name = attempt.story.key.integration().parse().map_err(|_| Ended::Void)?;
        let integration = match self.parts.integrations.read(&name).await {
            Ok(integration) => Arc::new(integration),
            Err(crate::integrations::IntegrationError::NotFound(_)) => {
                self.parts.ledger.purge(name.as_str()).await?;
                return Err(Ended::Void);
            }
            Err(error) => return Err(Ended::Store(StoreError::Storage(error.to_string()))),
        };
        let flow = self.parts.flows.get(&integration.flow).ok_or_else(|| Ended::NoFlow(integration.flow.clone()))?;
        if attempt.story.outcome.is_some() && attempt.digest == flow.digest() {
            return Ok(()); // stalled, and the plugin is still the same
        }
        let (record, _) = self.parts.ledger.token(&attempt.story.key, integration.target).await?;
        Attempt::resume(&self.parts, integration, flow, &record, attempt)?.run_held().await.map(drop)
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

#[cfg(test)]
mod tests;
