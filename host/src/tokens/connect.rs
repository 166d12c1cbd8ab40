//! Connecting: attempts in which a person takes part. How one is started, how the person's browser is sent on to the
//! provider and known again when it comes back, and what becomes of a person who never does.
//!
//! Such an attempt is no flight: callers get the present token, or are told that a person is needed, while one waits. It
//! knows no HTTP: tickets, browsers' secrets and queries come as texts.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq as _;
use tokio::sync::oneshot;
use ulid::Ulid;

use super::attempt::{Ask, Attempt, SUPERSEDED, Start, digest, open_held, seal_held, unguessable};
use super::error::TokenError;
use super::failure::Ended;
use super::journal::{ATTEMPTS, AttemptRecord, Held, Outcome, Stage};
use super::keeper::{PATIENCE, Tokens};
use super::key::TokenKey;
use super::plan::Cause;
use crate::flows::step::{Prompt, Purpose};
use crate::name::Name;
use crate::store::table::Versioned;
use crate::store::{Batch, StoreError};

/// A connection that was started.
#[derive(Debug)]
pub struct Connecting {
    /// Its attempt.
    pub attempt: Ulid,
    /// What a person has to do now.
    pub next: Next,
}

/// What a person has to do to connect an integration.
#[derive(Debug)]
pub enum Next {
    /// Open the daemon's page of this ticket, before this time.
    Open(SecretString, DateTime<Utc>),
    /// What the flow says, before this time.
    Prompt(Prompt, DateTime<Utc>),
    /// Nothing: there is a token of this generation.
    Nothing(u64),
}

impl From<Ask> for Next {
    fn from(ask: Ask) -> Self {
        match ask {
            Ask::Open(ticket, until) => Self::Open(ticket, until),
            Ask::Prompt(prompt, until) => Self::Prompt(prompt, until),
        }
    }
}

/// Where a person's browser is sent on to.
pub struct Onward {
    /// The attempt.
    pub attempt: Ulid,
    /// The provider's page.
    pub url: SecretString,
    /// What the browser is known by when it comes back.
    pub browser: SecretString,
    /// Seconds for which that counts.
    pub seconds: u64,
}

/// Is told which connection ended, by which attempt, and whether with a token.
pub type OnConnected = Box<dyn Fn(&TokenKey, Ulid, bool) + Send + Sync>;

/// What came of a person's return.
#[derive(Debug)]
pub struct Back {
    /// The integration that was to be connected.
    pub integration: Name,
    /// The attempt.
    pub attempt: Ulid,
    /// What there is to do now, or why there is no token.
    pub outcome: Result<Next, TokenError>,
}

/// Why a ticket or a return is refused. Outside, the reasons look alike.
#[derive(Debug, thiserror::Error)]
pub enum Unwelcome {
    /// For the operator only.
    #[error("{0}")]
    Refused(&'static str),
    /// It can't be told.
    #[error(transparent)]
    Token(Box<TokenError>),
}

impl From<TokenError> for Unwelcome {
    fn from(error: TokenError) -> Self {
        Self::Token(Box::new(error))
    }
}

impl From<StoreError> for Unwelcome {
    fn from(error: StoreError) -> Self {
        TokenError::from(error).into()
    }
}

/// What starts a connection and hears how it goes.
struct Heard {
    /// What a person has to do; closed where the attempt ended without asking anything of anyone.
    asked: oneshot::Receiver<Ask>,
    /// How the attempt ended, or that it rests.
    ended: oneshot::Receiver<Result<u64, TokenError>>,
}

impl Heard {
    /// The next thing to do, after at most 30 s.
    async fn next(self) -> Result<Next, TokenError> {
        let hear = async {
            match self.asked.await {
                Ok(ask) => Ok(ask.into()),
                Err(_) => match self.ended.await {
                    Ok(Ok(generation)) => Ok(Next::Nothing(generation)),
                    Ok(Err(error)) => Err(error),
                    Err(_) => Err(TokenError::Stopping),
                },
            }
        };
        let late = TokenError::Pending { retry_after: Duration::from_secs(1) };
        tokio::time::timeout(PATIENCE, hear).await.unwrap_or(Err(late))
    }
}

/// Of two who write an attempt at once, one is told so.
const QUICKER: &str = "somebody else was quicker";
/// How often an attempt is read that is written meanwhile: what was written may be the same, sealed anew. Whoever really came
/// second is refused by what they then find.
const TRIES: u32 = 3;

impl Tokens {
    /// Says where providers send people back to: the daemon's own callback, as browsers reach it. The first call counts.
    pub fn set_callback_url(&self, url: String) {
        drop(self.parts.callback_url.set(url));
    }

    /// Says who is told how connections end by themselves, as that of a device does. The first call counts.
    pub fn on_connected(&self, listener: OnConnected) {
        drop(self.on_connected.set(listener));
    }

    /// Starts to connect: an attempt that a person takes part in. It takes the place of one that is under way.
    ///
    /// # Errors
    /// The integration isn't there or not complete, the attempt failed before a person was needed, …
    pub async fn connect(&self, key: &TokenKey) -> Result<Connecting, TokenError> {
        loop {
            let (integration, mut token, read) = self.parts.read(key).await?;
            let integration = Arc::new(integration);
            let refused = |ended| self.error_of(ended, key, None);
            let flow = self.flow(&integration).map_err(refused)?;
            let missing = self.parts.integrations.missing(&integration);
            if !missing.is_empty() {
                return Err(TokenError::Incomplete(missing));
            }
            let (asking, asked) = oneshot::channel();
            let start = Start {
                integration: Arc::clone(&integration),
                flow,
                key: key.clone(),
                token: token.clone(),
                purpose: Purpose::Acquire,
                again: false,
                cause: Cause::Connect,
                asking: Some(asking),
            };
            self.parts.flows.admit(&*start.flow, true).map_err(|barred| refused(Ended::Barred(barred)))?;
            let attempt = Attempt::new(&self.parts, start).map_err(refused)?;
            let id = attempt.id();
            let mut batch = Batch::synced();
            integration.expect(&mut batch);
            if let Some(former) = token.connecting.replace(id) {
                self.end_rest(&mut batch, key, former).await?;
            }
            self.parts.ledger.put_token(&mut batch, &token, read)?;
            self.parts.ledger.put_attempt(&mut batch, attempt.record())?;
            match self.parts.ledger.store.commit(batch).await {
                Ok(_) => {}
                Err(StoreError::Conflict) => continue,
                Err(error) => return Err(error.into()),
            }
            let ended = self.walk(attempt, false, false);
            return Ok(Connecting { attempt: id, next: Heard { asked, ended }.next().await? });
        }
    }

    /// Adds the end of an attempt that rests until a person comes back. One that is on its way finds out by itself.
    async fn end_rest(&self, batch: &mut Batch, key: &TokenKey, id: Ulid) -> Result<(), StoreError> {
        let parts = [key.integration(), &id.to_string()];
        let Some(found) = ATTEMPTS.get(&*self.parts.ledger.store, &parts).await? else { return Ok(()) };
        let mut record = found.value;
        if matches!(record.stage, Stage::Away { .. }) {
            record.stage = Stage::Ended;
            record.story.finished_at = Some(self.parts.clock.now());
            record.story.outcome = Some(Outcome::Void);
            record.story.notes.push(SUPERSEDED.to_owned());
            ATTEMPTS.expect(batch, &parts, Some(found.revision));
            self.parts.ledger.put_attempt(batch, &record)?;
        }
        Ok(())
    }

    /// Ends an attempt that rests until a person comes back, since something took its place.
    pub(super) async fn dismiss(&self, key: &TokenKey, former: Option<Ulid>) -> Result<(), StoreError> {
        let Some(id) = former else { return Ok(()) };
        let mut batch = Batch::synced();
        self.end_rest(&mut batch, key, id).await?;
        if batch.is_empty() {
            return Ok(());
        }
        match self.parts.ledger.store.commit(batch).await {
            // The person came back just now; the attempt finds out by itself.
            Ok(_) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Walks an attempt, from its start or from what the journal holds, in a task of the daemon's own. `returned`: a person has
    /// just come back, so that whoever takes them back tells how it ends.
    fn walk(&self, attempt: Attempt, from_journal: bool, returned: bool) -> oneshot::Receiver<Result<u64, TokenError>> {
        let (ended, heard) = oneshot::channel();
        let (me, key, id) = (self.me(), attempt.record().story.key.clone(), attempt.id());
        self.flights.spawn(async move {
            let outcome = if from_journal { attempt.run_held().await } else { attempt.run().await };
            let Some(tokens) = me.upgrade() else { return };
            let goes_on = matches!(outcome, Err(Ended::Away(_) | Ended::Stopping));
            if let (false, false, Some(listener)) = (returned, goes_on, tokens.on_connected.get()) {
                listener(&key, id, outcome.is_ok());
            }
            let outcome = match outcome {
                Ok(token) => {
                    // Flights that read the record before must not put that into memory.
                    tokens.changes.fetch_add(1, Ordering::AcqRel);
                    tokens.live.invalidate(&key);
                    Ok(token.generation)
                }
                Err(ended) => {
                    if let Ended::Away(until) = ended {
                        tokens.expire_later(key.clone(), id, until);
                    }
                    Err(tokens.error_of(ended, &key, Some(id)))
                }
            };
            // Whoever waited may have gone away.
            drop(ended.send(outcome));
        });
        heard
    }

    /// Sends a browser on that opens the page of a ticket, and binds the return to it. A ticket works for one browser:
    /// `known` is what that one was given before, if it comes again.
    ///
    /// # Errors
    /// The ticket isn't one that counts, or the storage failed.
    pub async fn visit(&self, ticket: &str, known: &[String]) -> Result<Onward, Unwelcome> {
        let mut tries = TRIES;
        loop {
            match self.try_visit(ticket, known).await {
                Err(Unwelcome::Refused(QUICKER)) if tries > 1 => tries -= 1,
                outcome => return outcome,
            }
        }
    }

    async fn try_visit(&self, ticket: &str, known: &[String]) -> Result<Onward, Unwelcome> {
        let found = self.parts.ledger.awaited(&digest("ticket", ticket)).await?;
        let mut found = found.ok_or(Unwelcome::Refused("no attempt has this ticket"))?;
        let id = found.value.story.id;
        let (seconds, held) = self.rest(&found.value)?;
        let Stage::Away { browser, .. } = &mut found.value.stage else { return Err(Unwelcome::Refused(OVER)) };
        let given = match browser {
            Some(expected) => {
                let same = known.iter().find(|known| is_known(known, expected));
                SecretString::from(same.ok_or(Unwelcome::Refused("another browser has opened the link"))?.clone())
            }
            None => {
                let given = unguessable();
                *browser = Some(digest("browser", given.expose_secret()));
                self.replace(&found).await?;
                given
            }
        };
        let url = held.url.unwrap_or_default().into();
        Ok(Onward { attempt: id, url, browser: given, seconds })
    }

    /// Takes a person back: what they bring is in the journal, synced, before the flow is told. Works once.
    ///
    /// `browsers` are the secrets that the browser presents.
    ///
    /// # Errors
    /// No attempt awaits this return from this browser, or the storage failed. What comes of it is in the outcome.
    pub async fn come_back(&self, query: Vec<(String, String)>, browsers: &[String]) -> Result<Back, Unwelcome> {
        let mut tries = TRIES;
        loop {
            match self.try_come_back(query.clone(), browsers).await {
                Err(Unwelcome::Refused(QUICKER)) if tries > 1 => tries -= 1,
                outcome => return outcome,
            }
        }
    }

    async fn try_come_back(&self, query: Vec<(String, String)>, browsers: &[String]) -> Result<Back, Unwelcome> {
        let mut states = query.iter().filter(|(name, _)| name == "state").map(|(_, value)| value);
        let (Some(state), None) = (states.next(), states.next()) else {
            return Err(Unwelcome::Refused("it has no state, or several"));
        };
        let found = self.parts.ledger.awaited(&digest("return", state)).await?;
        let mut found = found.ok_or(Unwelcome::Refused("no attempt awaits it, or no longer"))?;
        let (_, held) = self.rest(&found.value)?;
        let Stage::Away { browser, .. } = &found.value.stage else { return Err(Unwelcome::Refused(OVER)) };
        let expected = browser.as_ref().ok_or(Unwelcome::Refused("nobody has opened the link"))?;
        if !browsers.iter().any(|known| is_known(known, expected)) {
            return Err(Unwelcome::Refused("another browser has opened the link, or this one sends no cookie"));
        }
        let held = Held { url: None, query, ..held };
        let sealed = seal_held(&self.parts.ledger.keyring, found.value.story.id, &held);
        found.value.stage =
            Stage::Returned { held: sealed.map_err(|ended| self.error_of(ended, &found.value.story.key, None))? };
        if let Some(person) = &mut found.value.person {
            person.returns += 1;
        }
        self.replace(&found).await?;
        let (key, attempt) = (found.value.story.key.clone(), found.value.story.id);
        let integration = key.integration().parse().map_err(|_| TokenError::Changed)?;
        let outcome = match self.revive(found.value).await {
            Ok(mut revived) => {
                let asked = revived.ask();
                Heard { asked, ended: self.walk(revived, true, true) }.next().await
            }
            Err(ended) => Err(self.error_of(ended, &key, Some(attempt))),
        };
        Ok(Back { integration, attempt, outcome })
    }

    /// What an attempt that rests until a person comes back holds, and for how many seconds still.
    fn rest(&self, record: &AttemptRecord) -> Result<(u64, Held), Unwelcome> {
        let Stage::Away { held, until, .. } = &record.stage else { return Err(Unwelcome::Refused(OVER)) };
        let left = (*until - self.parts.clock.now()).to_std().unwrap_or_default().as_secs();
        if left == 0 {
            return Err(Unwelcome::Refused("it came too late"));
        }
        let opened = open_held(&self.parts.ledger.keyring, record.story.id, held);
        Ok((left, opened.map_err(|ended| self.error_of(ended, &record.story.key, None))?))
    }

    /// Writes an attempt over the revision that was read: of two who do so at once, one is refused.
    async fn replace(&self, found: &Versioned<AttemptRecord>) -> Result<(), Unwelcome> {
        let story = &found.value.story;
        let mut batch = Batch::synced();
        ATTEMPTS.expect(&mut batch, &[story.key.integration(), &story.id.to_string()], Some(found.revision));
        self.parts.ledger.put_attempt(&mut batch, &found.value)?;
        match self.parts.ledger.store.commit(batch).await {
            Ok(_) => Ok(()),
            Err(StoreError::Conflict) => Err(Unwelcome::Refused(QUICKER)),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends an attempt at this time, if the person hasn't come back by then.
    fn expire_later(&self, key: TokenKey, id: Ulid, until: DateTime<Utc>) {
        let me = self.me();
        self.flights.spawn(async move {
            loop {
                let Some(tokens) = me.upgrade() else { return };
                let left = (until - tokens.parts.clock.now()).to_std().unwrap_or_default();
                if left.is_zero() {
                    if let Err(error) = tokens.expire(&key, id).await {
                        tracing::warn!(%key, attempt = %id, %error, "an attempt whose time is over can't be ended");
                    }
                    return;
                }
                let stopping = tokens.parts.stopping.clone();
                drop(tokens);
                if stopping.run_until_cancelled(tokio::time::sleep(left)).await.is_none() {
                    return;
                }
            }
        });
    }

    /// Ends an attempt whose person hasn't come back in time.
    pub(super) async fn expire(&self, key: &TokenKey, id: Ulid) -> Result<(), Unwelcome> {
        let mut tries = TRIES;
        loop {
            match self.try_expire(key, id).await {
                Err(Unwelcome::Refused(QUICKER)) if tries > 1 => tries -= 1,
                outcome => return outcome,
            }
        }
    }

    async fn try_expire(&self, key: &TokenKey, id: Ulid) -> Result<(), Unwelcome> {
        let parts = [key.integration(), &id.to_string()];
        let Some(mut found) = ATTEMPTS.get(&*self.parts.ledger.store, &parts).await? else { return Ok(()) };
        match found.value.stage {
            Stage::Away { until, .. } if until <= self.parts.clock.now() => {}
            _ => return Ok(()),
        }
        // Nobody comes back to it from here on.
        found.value.stage = Stage::Sent { spends: false, held: None };
        self.replace(&found).await?;
        let mut attempt = self.revive(found.value).await.map_err(|ended| self.error_of(ended, key, Some(id)))?;
        attempt.expire().await;
        Ok(())
    }

    /// Goes on with an attempt of a person that a stop of the daemon cut short.
    pub(super) async fn recover_connecting(&self, record: AttemptRecord) {
        let (key, id) = (record.story.key.clone(), record.story.id);
        match record.stage {
            Stage::Away { until, .. } => self.expire_later(key, id, until),
            _ => match self.revive(record).await {
                Ok(attempt) => drop(self.walk(attempt, true, false)),
                Err(ended) => {
                    tracing::warn!(%key, attempt = %id, ?ended, "a connection that a stop cut short can't go on")
                }
            },
        }
    }

    /// This, for tasks that may outlive it.
    fn me(&self) -> Weak<Self> {
        self.me.clone()
    }
}

/// The attempt isn't at the point where a person is awaited.
const OVER: &str = "the attempt doesn't await it any more";

/// Whether what a browser presents is what it was given.
fn is_known(presented: &str, expected: &str) -> bool {
    digest("browser", presented).as_bytes().ct_eq(expected.as_bytes()).into()
}
