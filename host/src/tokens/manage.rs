//! What people and programs do with tokens besides using them: look, renew, reject, enter, delete, test.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use ulid::Ulid;

use super::error::TokenError;
use super::expiry::ExpirySource;
use super::failure;
use super::journal::{AttemptRecord, AttemptStory};
use super::keeper::{Errand, PATIENCE, Tokens};
use super::key::TokenKey;
use super::plan::Cause;
use super::record::{RefreshState, StoredToken, TokenRecord};
use super::token::{ManualToken, Served, Token};
use super::view::{FailureView, Rejection, State, Status, Verdict};
use crate::flows::step::Placing;
use crate::name::Name;
use crate::seal::SealError;
use crate::store::{Batch, StoreError};

/// Rejections of one token cause at most one attempt in so many seconds: a service that refuses everything must not be
/// answered by a flood of token requests.
const REJECTION_INTERVAL: TimeDelta = TimeDelta::seconds(10);

impl Tokens {
    /// What is known of a token.
    ///
    /// # Errors
    /// There is no such integration, or the storage failed.
    pub async fn status(&self, key: &TokenKey) -> Result<Status, TokenError> {
        let (integration, record, _) = self.parts.read(key).await?;
        let ended =
            self.present(key, &record)?.is_some_and(|live| live.remaining(&*self.parts.clock) == Some(Duration::ZERO));
        let token = record.token.as_ref();
        let connecting = match record.connecting {
            Some(id) => self.parts.ledger.attempt(key.integration(), id).await?,
            None => None,
        };
        let flow = self.parts.flows.get(&integration.flow);
        let is_attended = flow.is_some_and(|flow| record.is_attended(flow.description(), &integration));
        let can_refresh = integration.values.get("refresh").is_none_or(|refresh| refresh != "never")
            && record.refresh != RefreshState::Spent
            && record.has_refresh_token(self.parts.clock.now());
        Ok(Status {
            state: match token {
                Some(_) if record.rejected_at.is_none() && !ended => State::Valid,
                _ if is_attended && !can_refresh => State::PersonNeeded,
                None => State::Absent,
                Some(_) if record.rejected_at.is_some() => State::Rejected,
                Some(_) if ended => State::Expired,
                Some(_) => State::Valid,
            },
            renewing: self.flights.is_under_way(key),
            generation: record.generation,
            token_type: token.map(|token| token.token_type.clone()),
            scope: token.and_then(|token| token.scope.clone()),
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
            connecting: connecting.as_ref().and_then(AttemptRecord::awaiting),
        })
    }

    /// A new token, whatever the present one is worth.
    ///
    /// # Errors
    /// As [`Tokens::get`].
    pub async fn renew(&self, key: &TokenKey) -> Result<Served, TokenError> {
        let before = self.parts.read(key).await?.1.generation;
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
                if let Some(wait) =
                    since.map(|since| REJECTION_INTERVAL - since).filter(|wait| *wait > TimeDelta::zero())
                {
                    let retry_after = u64::try_from(wait.num_seconds()).unwrap_or_default() + 1;
                    return Err(Rejection::TooSoon { retry_after });
                }
                record.rejected_at = Some(now);
                record.last_rejection_at = Some(now);
                if let Some(token) = record.token.as_ref().filter(|token| token.expires_at.is_none()) {
                    record.learned_lifetime =
                        u64::try_from((now - token.created_at).num_seconds()).ok().filter(|age| *age > 0);
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
        let mut former = None;
        self.change(key, |record| {
            former = record.connecting;
            let token = Token {
                access_token: Some(manual.access_token.clone()),
                refresh_token: manual.refresh_token.clone(),
                token_type: manual.token_type.clone().unwrap_or_else(|| "Bearer".to_owned()),
                scope: manual.scope.clone(),
                created_at,
                expires_at,
                expiry_source: expires_at.map(|_| ExpirySource::Manual),
                refresh_expires_at: None,
                values: Vec::new(),
                secrets: Vec::new(),
                placing: Placing::default(),
                local: false,
                generation: record.generation + 1,
            };
            let sealed = StoredToken::seal(&token, key, keyring)?;
            record.succeed(token.generation, sealed);
            record.connecting = None;
            Ok::<(), SealError>(())
        })
        .await??;
        self.live.invalidate(key);
        self.dismiss(key, former).await?;
        self.status(key).await
    }

    /// Throws the token away, and what is known of failures.
    ///
    /// # Errors
    /// There is no such integration, or the storage failed.
    pub async fn delete(&self, key: &TokenKey) -> Result<(), TokenError> {
        let mut former = None;
        self.change(key, |record| {
            former = record.connecting;
            // An attempt under way follows the old number, so that what it brings is void.
            *record = TokenRecord { generation: record.generation + 1, ..TokenRecord::new(key.clone(), record.target) };
            Ok::<(), ()>(())
        })
        .await?
        .ok();
        self.live.invalidate(key);
        self.dismiss(key, former).await?;
        Ok(())
    }

    /// Changes a key's record, or finds a reason not to, in one batch.
    async fn change<E>(
        &self,
        key: &TokenKey,
        mut change: impl FnMut(&mut TokenRecord) -> Result<(), E>,
    ) -> Result<Result<(), E>, TokenError> {
        loop {
            let (integration, mut record, read) = self.parts.read(key).await?;
            if let Err(reason) = change(&mut record) {
                return Ok(Err(reason));
            }
            let mut batch = Batch::synced();
            integration.expect(&mut batch);
            self.parts.ledger.put_token(&mut batch, &record, read)?;
            match self.parts.ledger.store.commit(batch).await {
                Ok(_) => {
                    // Flights that read the record before must not put that into memory.
                    self.changes.fetch_add(1, Ordering::AcqRel);
                    self.parts.watch.touch_key(key);
                    return Ok(Ok(()));
                }
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether a token can be had, by an attempt.
    ///
    /// # Errors
    /// There is no such integration, or the storage failed.
    pub async fn test(&self, integration: &Name) -> Result<Verdict, TokenError> {
        let outcome = self.renew(&TokenKey::of(integration)).await;
        let no = |line, message| Verdict { ok: false, line, message, field: None, remedy: None, attempt: None };
        match outcome {
            Ok(served) => {
                let life =
                    served.expires_in.map_or("without a known end".to_owned(), |left| format!("good for {left} s"));
                let line = format!("{integration}: a token was got, {life} (generation {})", served.token.generation);
                Ok(Verdict { ok: true, ..no(line, None) })
            }
            Err(TokenError::Failed { code, message, field, attempt, .. }) => {
                let flow = self.parts.integrations.read(integration).await?.flow;
                let flow = self.parts.flows.get(&flow);
                let flow = flow.as_ref().map(|flow| flow.description());
                let remedy = failure::change_of(integration, flow, &code, field.as_deref());
                let look = match (&field, &remedy) {
                    (Some(field), Some(command)) => format!("; look at {field}, which `{command}` changes"),
                    (Some(field), None) => format!("; look at {field}"),
                    (None, _) => String::new(),
                };
                let line = format!("{integration}: no token: {code}: {message}{look}");
                Ok(Verdict { field, remedy, attempt, ..no(line, Some(message)) })
            }
            Err(error @ (TokenError::PersonNeeded(_) | TokenError::Pending { .. } | TokenError::FlowMissing(_))) => {
                Ok(no(format!("{integration}: no token: {error}"), Some(error.to_string())))
            }
            Err(error) => Err(error),
        }
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
}
