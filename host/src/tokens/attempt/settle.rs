//! How an attempt ends: with the next generation committed, or with a failure that is remembered.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};

use super::super::expiry::{self, Fallback};
use super::super::failure::Ended;
use super::super::journal::{Outcome, Stage, StepStory};
use super::super::parts::Parts;
use super::super::record::{FailureRecord, RefreshState, StoredToken, TokenRecord};
use super::super::token::Token;
use super::super::watch::Before;
use super::{Attempt, FIRST_PAUSE, Last};
use crate::flows::request::Part;
use crate::flows::step::{Failure, FlowToken, Placing, Purpose, Remedy};
use crate::flows::{Limit, PluginError};
use crate::integrations::IntegrationError;
use crate::store::{Batch, StoreError};
use crate::telemetry;

/// Errors of RFC 6749 section 5.2 that say nothing of a refresh token: once the client is put right, it works again.
const NOT_THE_TOKEN: [&str; 5] =
    ["invalid_client", "unauthorized_client", "invalid_request", "invalid_scope", "unsupported_grant_type"];

/// How what an attempt brings stands to what there is.
enum Standing {
    /// It counts, and is committed.
    Current,
    /// It doesn't count any more.
    Void,
    /// It counts, and there is a newer generation than it followed: this one. Nothing is committed.
    Overtaken(u64),
}
/// What flows say of an answer that they can't read: those of the SDKs, and the daemon's own word for it.
const UNREADABLE: [&str; 2] = ["invalid_response", "invalid_token_response"];

impl Attempt {
    /// Whether a failed refresh goes on as an acquisition, within the same attempt.
    pub(super) fn fall_back(&mut self, failure: &Failure) -> bool {
        if self.record.story.purpose != Purpose::Refresh || self.is_attended {
            return false;
        }
        let because = match self.last {
            Last::Answered(429, _) | Last::Unanswered(false, _) => return false,
            Last::Answered(500.., _) => "the provider failed",
            Last::Answered(..) => "the provider refused the refresh token",
            Last::Unanswered(true, _) => "no complete answer came",
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
        self.record.stage = Stage::Sent { spends: false, held: None };
        self.record.story.purpose = Purpose::Acquire;
        true
    }

    /// Ends with what the flow says.
    pub(super) async fn give_up(&mut self, failure: Failure) -> Ended {
        self.report(Ok(()));
        let refused = matches!(self.last, Last::Answered(status, _) if status < 500 && status != 429);
        let is_attended = self.is_attended;
        // Where only a person could get another one, a refresh token isn't given up for the client's own faults.
        let is_spent = self.record.story.purpose == Purpose::Refresh
            && refused
            && !(is_attended && NOT_THE_TOKEN.contains(&failure.code.as_str()));
        if is_spent {
            self.refresh = RefreshState::Spent;
        }
        // The provider says that it gave something, and the flow can't read it: another version of it may.
        if matches!(self.last, Last::Answered(200..=299, _)) && UNREADABLE.contains(&failure.code.as_str()) {
            self.hold(RefreshState::Spent);
        }
        let field = self.blamed(&failure.code);
        let ended = self.fail(&failure.code, &failure.message, failure.remedy, field).await;
        match ended {
            Ended::Failed(record, _) if is_spent && is_attended => Ended::Person(format!(
                "the provider no longer accepts the refresh token ({}: {})",
                record.code, record.message
            )),
            ended => ended,
        }
    }

    /// The plugin failed. A spent token's answer stays in the journal for a repaired plugin.
    pub(super) async fn plugin_fault(&mut self, event: &str, fault: PluginError) -> Ended {
        let printed = self.printed(&fault.printed);
        let step = StepStory { event: event.to_owned(), step: "fault".to_owned(), printed, ..StepStory::default() };
        self.record.story.steps.push(step);
        self.misbehaved("plugin_fault", &fault.to_string()).await
    }

    /// The flow wants more than its operator allows.
    pub(super) async fn overrun(&mut self, limit: Limit) -> Ended {
        let (limits, flow) = (self.flow.limits(), &self.integration.flow);
        let (most, what) = match limit {
            Limit::Requests => (limits.requests, "requests"),
            _ => (limits.steps, "steps"),
        };
        let message = format!(
            "flow {} wants more than {most} {what} in one attempt; {}",
            self.record.story.flow,
            limit.remedy(flow)
        );
        self.misbehaved("limit_exceeded", &message).await
    }

    /// Ends with a fault of the flow's, which its operator is told. A spent token's answer is kept.
    async fn misbehaved(&mut self, code: &str, message: &str) -> Ended {
        self.hold(RefreshState::Uncertain);
        let cleaned = self.cleaner.clean(message);
        self.report(Err(&cleaned));
        self.fail(code, message, Remedy::Retry(None), None).await
    }

    /// Tells whoever watches over flows how this one did.
    fn report(&self, conduct: Result<(), &str>) {
        self.parts.flows.report(&*self.flow, self.integration.name.as_str(), conduct);
    }

    /// Keeps an answer that holds what was got for a spent token.
    fn hold(&mut self, refresh: RefreshState) {
        let gives = self.record.story.purpose != Purpose::Revoke;
        self.holding = gives && matches!(self.record.stage, Stage::Answered { spends: true, .. });
        if self.holding {
            self.refresh = refresh;
            self.note("the answer is kept, and goes through the plugin again once another version of it is installed");
        }
    }

    /// Ends without a token, and remembers why.
    pub(super) async fn fail(&mut self, code: &str, message: &str, remedy: Remedy, field: Option<String>) -> Ended {
        let (code, message) = (self.cleaner.clean(code), self.cleaner.clean(message));
        self.tell(|story| story.problem = Some(format!("{code}: {message}")));
        self.hint(&code, field.as_deref());
        let (now, id) = (self.parts.clock.now(), self.id());
        let mut kept = None;
        let outcome = Outcome::Failed { code: code.clone(), message: message.clone() };
        let stalled = self.holding.then_some(id);
        let is_persons = self.record.person.is_some();
        let ended = self
            .end(outcome, |token| {
                let before = token.failure.as_ref().filter(|_| !is_persons);
                let mut failure = FailureRecord::backed_off(before, &code, &message, now, remedy);
                failure.field.clone_from(&field);
                // What a person didn't bring about is no reason to leave the present token unrenewed.
                if !is_persons {
                    token.failure = Some(failure.clone());
                }
                // The answer that it went on from was read, and is of no use.
                token.stalled = stalled.or(token.stalled.filter(|stalled| *stalled != id));
                kept = Some(failure);
            })
            .await;
        match (ended, kept) {
            (Err(ended), _) => ended,
            (Ok(()), Some(failure)) => Ended::Failed(Box::new(failure), Some(id)),
            (Ok(()), None) => Ended::Void,
        }
    }

    /// Ends since the flow wants a person and none takes part. That is remembered, and nobody has to wait for it to pass.
    pub(super) async fn person_needed(&mut self, why: &str) -> Ended {
        let message = format!("{why}, and nobody is connecting it");
        self.tell(|story| story.problem = Some(format!("person_needed: {message}")));
        let since = self.integration.updated_at;
        let outcome = Outcome::Failed { code: "person_needed".to_owned(), message };
        match self.end(outcome, |record| record.attended = Some(since)).await {
            Ok(()) => Ended::Person(why.to_owned()),
            Err(ended) => ended,
        }
    }

    /// Makes the next generation from what the flow ended with, and commits it.
    pub(super) async fn succeed(mut self, flow_token: FlowToken) -> Result<Token, Ended> {
        self.report(Ok(()));
        let left_at = match self.last {
            Last::Answered(_, left_at) => left_at,
            Last::Nothing | Last::Unanswered(..) => self.parts.clock.now(),
        };
        let rotates = self.rotates(&flow_token);
        let mut token = match self.next(flow_token, left_at) {
            Ok(token) => token,
            Err(message) => return Err(self.fail("invalid_token_response", message, Remedy::Retry(None), None).await),
        };
        let parts = Arc::clone(&self.parts);
        let proven = self.rotation.proven();
        let attended = (self.is_attended || self.has_asked()).then_some(self.integration.updated_at);
        loop {
            token.generation = self.record.follows + 1;
            let outcome = Outcome::Token { generation: token.generation };
            let sealed = StoredToken::seal(&token, &self.record.story.key, &parts.ledger.keyring)?;
            let ended = self.end(outcome, |record| {
                record.succeed(token.generation, sealed.clone());
                record.learn_rotation(rotates);
                record.attended = attended;
                record.proven.clone_from(&proven);
            });
            match ended.await {
                Ok(()) => return Ok(token),
                // The present token was renewed while the person was away: theirs comes after it.
                Err(Ended::Overtaken(generation)) => self.record.follows = generation,
                Err(ended) => return Err(ended),
            }
        }
    }

    /// Forgets the token, which the provider has ended.
    pub(super) async fn revoked(mut self) -> Ended {
        let ended = self.end(Outcome::Revoked, |record| {
            *record = TokenRecord {
                generation: record.generation + 1,
                ..TokenRecord::new(record.key.clone(), record.target)
            };
        });
        ended.await.err().unwrap_or(Ended::Revoked)
    }

    /// Whether the provider gave another refresh token for the one it was sent; none where none was sent.
    fn rotates(&self, new: &FlowToken) -> Option<bool> {
        let sent = self.present.as_ref().filter(|_| self.record.story.purpose == Purpose::Refresh)?;
        let (old, new) = (sent.refresh_token.as_ref()?.expose_secret(), new.refresh_token.as_ref());
        Some(new.is_some_and(|new| !new.expose_secret().is_empty() && new.expose_secret() != old))
    }

    /// The next generation. After a refresh, what is absent keeps its old value.
    fn next(&self, new: FlowToken, left_at: DateTime<Utc>) -> Result<Token, &'static str> {
        let old = self.present.as_ref().filter(|_| self.record.story.purpose == Purpose::Refresh);
        let old_lifetime = old.and_then(|old| u64::try_from((old.expires_at? - old.created_at).num_seconds()).ok());
        let fallback =
            Fallback { default: self.integration.settings.default_lifetime.or(old_lifetime), learned: self.learned };
        let local = matches!(self.last, Last::Nothing);
        // What was made from settings alone doesn't end.
        let expiry = expiry::expiry(&new, left_at, if local { Fallback::default() } else { fallback });
        let access_token = (new.access_token)
            .or_else(|| old.and_then(|old| old.access_token.clone()))
            .filter(|token| !token.expose_secret().is_empty());
        let (mut placing, mut secrets) = (new.placing, new.secrets);
        // A scheme without token requests may need nothing from here, as where a client certificate suffices.
        if access_token.is_none() && placing.is_default() && !local {
            return Err("the answer holds no access token");
        }
        if access_token.iter().any(|token| token.expose_secret().chars().any(char::is_control)) {
            return Err("the answer's access token holds control characters, which no header can carry");
        }
        hide(&mut placing, &mut secrets);
        let refresh_expires_at = (new.refresh_expires_in)
            .and_then(|seconds| TimeDelta::try_seconds(i64::try_from(seconds).ok()?))
            .and_then(|time| left_at.checked_add_signed(time));
        let refresh_token: Option<SecretString> = new.refresh_token.filter(|token| !token.expose_secret().is_empty());
        // What is placed goes with the secrets that are placed.
        let keeps_placing = secrets.is_empty() && placing.is_default();
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
            values: if new.values.is_empty() {
                old.map(|old| old.values.clone()).unwrap_or_default()
            } else {
                new.values
            },
            placing: old.filter(|_| keeps_placing).map_or(placing, |old| old.placing.clone()),
            secrets: match secrets.is_empty() {
                true => old.map(|old| old.secrets.clone()).unwrap_or_default(),
                false => secrets,
            },
            local,
            generation: self.record.follows + 1,
        })
    }

    /// Ends the attempt: its outcome and the change of the token's record are one batch, which holds only while the integration
    /// points where it did and no other token came in between.
    pub(super) async fn end(
        &mut self,
        outcome: Outcome,
        mut change: impl FnMut(&mut TokenRecord),
    ) -> Result<(), Ended> {
        self.record.story.finished_at = Some(self.parts.clock.now());
        let spent = match self.record.stage {
            Stage::Answered { spends, .. } => spends || self.record.person.is_some(),
            _ => false,
        };
        let stage = self.record.stage.clone();
        if !self.holding {
            self.record.stage = Stage::Ended;
        }
        let parts = Arc::clone(&self.parts);
        let mut pause = FIRST_PAUSE;
        loop {
            match self.try_end(&parts, &outcome, &mut change).await {
                Ok(Standing::Current) => {
                    self.count(&outcome);
                    return Ok(());
                }
                Ok(Standing::Void) => {
                    self.count(&Outcome::Void);
                    return Err(Ended::Void);
                }
                Ok(Standing::Overtaken(generation)) => {
                    self.record.stage = stage;
                    return Err(Ended::Overtaken(generation));
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

    /// One try of the batch.
    async fn try_end(
        &mut self,
        parts: &Parts,
        outcome: &Outcome,
        change: &mut impl FnMut(&mut TokenRecord),
    ) -> Result<Standing, StoreError> {
        let mut batch = Batch::synced();
        let integration = match parts.integration(&self.record.story.key).await {
            Ok(integration) => Some(integration),
            Err(IntegrationError::NotFound(_) | IntegrationError::NotBound(..)) => None,
            Err(IntegrationError::Store(error)) => return Err(error),
            Err(error) => return Err(StoreError::Storage(error.to_string())),
        };
        let Some(integration) = integration.filter(|now| now.target == self.record.target) else {
            self.record.story.outcome = Some(Outcome::Void);
            self.record.stage = Stage::Ended;
            parts.ledger.put_attempt(&mut batch, &self.record)?;
            parts.ledger.store.commit(batch).await?;
            return Ok(Standing::Void);
        };
        let (mut token, read) = parts.ledger.token(&self.record.story.key, self.record.target).await?;
        let before = Before::of(&token);
        let is_persons = self.record.person.is_some();
        let current = match is_persons {
            true => token.connecting == Some(self.id()),
            false => token.generation == self.record.follows,
        };
        let brings_token = matches!(outcome, Outcome::Token { .. });
        if current && is_persons && brings_token && token.generation != self.record.follows {
            return Ok(Standing::Overtaken(token.generation));
        }
        if current {
            if !is_persons {
                token.refresh = self.refresh;
            } else if !self.holding {
                token.connecting = None;
            }
            change(&mut token);
            integration.expect(&mut batch);
            parts.ledger.put_token(&mut batch, &token, read)?;
        }
        self.record.story.outcome = Some(if current { outcome.clone() } else { Outcome::Void });
        parts.ledger.put_attempt(&mut batch, &self.record)?;
        parts.ledger.prune(&mut batch, self.record.story.key.integration(), self.id()).await?;
        parts.ledger.store.commit(batch).await?;
        if current {
            parts.watch.ended(&integration, before, &token, outcome);
        }
        Ok(if current { Standing::Current } else { Standing::Void })
    }

    fn count(&self, outcome: &Outcome) {
        let story = &self.record.story;
        let flow = telemetry::labels::flow(&self.flow.description().name);
        let taken = (self.parts.clock.now() - story.started_at).to_std().unwrap_or_default();
        metrics::histogram!(telemetry::ATTEMPT_SECONDS, "flow" => flow.clone()).record(taken);
        let labels = [("flow", flow), ("purpose", story.purpose.as_str().into()), ("outcome", outcome.as_str().into())];
        metrics::counter!(telemetry::ATTEMPTS, &labels).increment(1);
    }
}

/// Turns sensitive text of a placing into secrets of its token, which are kept sealed, each by itself.
fn hide(placing: &mut Placing, secrets: &mut Vec<(String, SecretString)>) {
    let parts = placing.templates_mut().flatten();
    for (number, part) in parts.filter(|part| matches!(part, Part::Sensitive(_))).enumerate() {
        let name = format!("placed.{number}");
        let named = Part::Secret(format!("token.{name}"));
        if let Part::Sensitive(text) = std::mem::replace(part, named) {
            secrets.push((name, text));
        }
    }
}
