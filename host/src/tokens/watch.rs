//! Which integrations somebody should look at, in memory, and events of tokens.
//!
//! Nothing here is the only copy of anything: it is made from the store at the start, behind everybody's back, and an
//! integration is looked at anew whenever something of it changed, and when time alone changes something. So the whole picture
//! of 100,000 integrations costs a look at the few that are in it. What is wrong is said in `concern`.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;

use super::concern::{Concern, ConcernKind, Look, failing};
use super::error::TokenError;
use super::journal::{ATTEMPTS, Outcome};
use super::keeper::Tokens;
use super::key::TokenKey;
use super::record::TokenRecord;
use crate::integrations::{Integration, IntegrationError};
use crate::name::Name;
use crate::notices::{Kind, Notice, Notices, Severity};

/// Integrations looked at together at the start; then others get their turn.
const AT_ONCE: usize = 100;
/// The pause between those: the start's own work goes first.
const PAUSE: Duration = Duration::from_millis(5);
/// How often ends of tokens are looked at.
const ROUND: Duration = Duration::from_secs(30);
/// Changed integrations looked at for one who asks.
const FOR_ONE: usize = 500;
/// How long it is remembered that something was told.
const REMEMBERED: TimeDelta = TimeDelta::days(90);
/// Failures in a row that are told of, beside each hundredth.
const TOLD_AT: [u32; 3] = [1, 5, 20];

/// What is known of all integrations.
#[derive(Default)]
pub(super) struct Watch {
    /// Where events are told; none until somebody watches.
    notices: OnceLock<Arc<Notices>>,
    state: Mutex<State>,
    /// Held while integrations are looked at, so that what was read first is noted first.
    looking: tokio::sync::Mutex<()>,
    /// Wakes whoever looks.
    wake: Notify,
}

/// The picture.
#[derive(Default)]
struct State {
    /// The names of organizations, each once in memory.
    organizations: HashSet<Name>,
    /// All integrations, each with its organization.
    known: HashMap<Name, Name>,
    /// What is wrong with those where something is.
    concerns: HashMap<Name, Vec<Concern>>,
    /// When to look again because of time alone, and the same by name.
    ends: BTreeSet<(DateTime<Utc>, Name)>,
    end_of: HashMap<Name, DateTime<Utc>>,
    /// What was changed since it was looked at.
    changed: HashSet<Name>,
    /// Whether all have been looked at once.
    is_complete: bool,
}

impl State {
    fn set(&mut self, name: &Name, found: Option<(Name, Vec<Concern>, Option<DateTime<Utc>>)>) {
        if let Some(end) = self.end_of.remove(name) {
            self.ends.remove(&(end, name.clone()));
        }
        self.concerns.remove(name);
        let Some((organization, concerns, end)) = found else {
            self.known.remove(name);
            return;
        };
        let organization = self.organizations.get(&organization).cloned().unwrap_or(organization);
        self.organizations.insert(organization.clone());
        self.known.insert(name.clone(), organization);
        if !concerns.is_empty() {
            self.concerns.insert(name.clone(), concerns);
        }
        if let Some(end) = end {
            self.ends.insert((end, name.clone()));
            self.end_of.insert(name.clone(), end);
        }
    }
}

/// What to look at, for one who asks.
#[derive(Clone, Debug)]
pub struct Attention {
    /// What is wrong, the worst first, and the oldest of those.
    pub concerns: Vec<Concern>,
    /// How many further ones there are.
    pub more: usize,
    /// How many integrations there are that the one who asks may see.
    pub integrations: usize,
    /// How many of them have nothing wrong.
    pub healthy: usize,
    /// Whether all integrations have been looked at since the start.
    pub is_complete: bool,
}

/// What of a record decides which event an attempt's end is.
#[derive(Clone, Copy)]
pub(super) struct Before {
    /// Whether attempts failed, or a person was needed.
    was_in_trouble: bool,
}

impl Before {
    /// What it is before an attempt's end.
    pub(super) fn of(record: &TokenRecord) -> Self {
        Self { was_in_trouble: record.failure.is_some() || record.refresh == super::record::RefreshState::Spent }
    }
}

impl Watch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has an integration looked at, since something of it changed.
    pub(super) fn touch(&self, name: &Name) {
        if self.notices.get().is_some() {
            self.state().changed.insert(name.clone());
            self.wake.notify_one();
        }
    }

    /// The same, by a token's key.
    pub(super) fn touch_key(&self, key: &TokenKey) {
        if let (Some(_), Ok(name)) = (self.notices.get(), key.integration().parse()) {
            self.touch(&name);
        }
    }

    /// Tells how an attempt ended that counts.
    pub(super) fn ended(&self, integration: &Integration, before: Before, after: &TokenRecord, outcome: &Outcome) {
        let Some(notices) = self.notices.get() else { return };
        self.touch(&integration.name);
        let name = &integration.name;
        let notice = match (outcome, &after.failure) {
            (Outcome::Token { generation }, _) if before.was_in_trouble => {
                let text = format!("{name} has a token again (generation {generation})");
                Notice::new(Kind::TokenRecovered, text)
            }
            (Outcome::Token { generation }, _) => {
                Notice::new(Kind::TokenRenewed, format!("{name} has a new token (generation {generation})"))
            }
            (Outcome::Failed { .. }, Some(failure)) if is_told_at(failure.count) => {
                let works = after.token.as_ref().filter(|_| after.rejected_at.is_none());
                let works = works.is_some_and(|token| token.expires_at.is_none_or(|end| end > failure.at));
                let severity = if works { Severity::Warning } else { Severity::Error };
                let text = format!("{name} gets no new token: {}", failing(failure));
                let remedy = format!("tokenhost integration test {name}");
                Notice::new(Kind::RenewalFailing, text).severity(severity).remedy(remedy)
            }
            _ => return,
        };
        notices.tell(notice.on(name, &integration.organization).token(after.generation, after.key.scopes()));
    }
}

fn is_told_at(count: u32) -> bool {
    TOLD_AT.contains(&count) || count.is_multiple_of(100)
}

/// How many integrations are how, and what ends next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// By what is worst: a concern's name, `renewal_failing` where the present token still works, or `healthy`.
    pub integrations: Vec<(&'static str, usize)>,
    /// When the next token ends that can't be renewed.
    pub next_end: Option<DateTime<Utc>>,
    /// Whether all have been looked at.
    pub is_complete: bool,
    /// Attempts under way.
    pub flights: usize,
    /// Callers that wait for them.
    pub waiting: usize,
}

/// What [`Census::integrations`] is by.
const STATES: [&str; 7] =
    ["healthy", "person_needed", "failing", "renewal_failing", "incomplete", "flow_missing", "expiring"];

/// How an integration with these concerns is counted, by its worst.
fn state_of(concerns: &[Concern]) -> &'static str {
    let worst = concerns.iter().min_by_key(|concern| (concern.kind, concern.works_until.is_some()));
    match worst {
        None => "healthy",
        Some(worst) if worst.kind == ConcernKind::Failing && worst.works_until.is_some() => "renewal_failing",
        Some(worst) => worst.kind.as_str(),
    }
}

impl Tokens {
    /// What the keys of the journal of attempts begin with in the store.
    pub fn journal() -> Vec<u8> {
        ATTEMPTS.key(&[])
    }

    /// How things are, counted: costs a look at what is wrong, and none at the store.
    pub fn census(&self) -> Census {
        let (flights, waiting) = self.flights.counts();
        let state = self.parts.watch.state();
        let healthy = state.known.len().saturating_sub(state.concerns.len());
        let mut counts: HashMap<&'static str, usize> = STATES.into_iter().map(|state| (state, 0)).collect();
        counts.insert("healthy", healthy);
        for concerns in state.concerns.values() {
            *counts.entry(state_of(concerns)).or_default() += 1;
        }
        let ends = state.concerns.values().flatten().filter(|concern| concern.kind == ConcernKind::Expiring);
        let next_end = ends.filter_map(|concern| concern.works_until).min();
        let integrations = STATES.into_iter().map(|state| (state, counts.get(state).copied().unwrap_or(0))).collect();
        Census { integrations, next_end, is_complete: state.is_complete, flights, waiting }
    }

    /// Watches over all integrations from now on: events of their tokens are told there, and [`Tokens::attention`] has
    /// something to show. Must be called within a tokio runtime, where it works.
    pub fn watch_over(&self, notices: Arc<Notices>) {
        if self.parts.watch.notices.set(notices).is_ok() {
            tokio::spawn(watch(self.me.clone()));
        }
    }

    /// What somebody should look at, of the integrations that `sees` says may be seen, by name and organization.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn attention(&self, sees: impl Fn(&Name, &Name) -> bool, limit: usize) -> Result<Attention, TokenError> {
        self.touch_where_flows_were_missing();
        self.look_at_changed(FOR_ONE).await?;
        let state = self.parts.watch.state();
        let integrations = state.known.iter().filter(|(name, organization)| sees(name, organization)).count();
        let mut seen: Vec<&Concern> = Vec::new();
        let mut ill = 0;
        for (name, concerns) in &state.concerns {
            if state.known.get(name).is_some_and(|organization| sees(name, organization)) {
                ill += 1;
                seen.extend(concerns);
            }
        }
        seen.sort_unstable_by_key(|concern| (concern.kind, concern.since, &concern.integration));
        let more = seen.len().saturating_sub(limit);
        let concerns = seen.into_iter().take(limit).cloned().collect();
        let healthy = integrations.saturating_sub(ill);
        Ok(Attention { concerns, more, integrations, healthy, is_complete: state.is_complete })
    }

    /// Looks again at those whose flow wasn't served: that of a flow changes nothing of its integrations.
    fn touch_where_flows_were_missing(&self) {
        let mut state = self.parts.watch.state();
        let is_so = |concerns: &[Concern]| concerns.iter().any(|concern| concern.kind == ConcernKind::FlowMissing);
        let without = state.concerns.iter().filter(|(_, concerns)| is_so(concerns)).map(|(name, _)| name);
        let without: Vec<Name> = without.take(FOR_ONE).cloned().collect();
        state.changed.extend(without);
    }

    /// Looks at what was changed, up to so many.
    async fn look_at_changed(&self, most: usize) -> Result<(), TokenError> {
        let _looking = self.parts.watch.looking.lock().await;
        let changed: Vec<Name> = {
            let mut state = self.parts.watch.state();
            let some: Vec<Name> = state.changed.iter().take(most).cloned().collect();
            for name in &some {
                state.changed.remove(name);
            }
            some
        };
        for name in &changed {
            if let Err(error) = self.look_at(name).await {
                self.parts.watch.state().changed.insert(name.clone());
                return Err(error);
            }
        }
        Ok(())
    }

    /// Looks at an integration, and tells what is to be told.
    async fn look_at(&self, name: &Name) -> Result<(), TokenError> {
        let parts = &self.parts;
        let integration = match parts.integrations.read(name).await {
            Ok(integration) => integration,
            Err(IntegrationError::NotFound(_)) => {
                parts.watch.state().set(name, None);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let records = parts.ledger.tokens(name.as_str()).await?;
        let (mut concerns, mut end) = (Vec::new(), None);
        for bound in integration.bindings() {
            let flow = parts.flows.get(&bound.flow);
            let missing = parts.integrations.missing(&bound);
            let is_further = bound.scheme != integration.scheme;
            let flow = flow.as_ref().map(|flow| flow.description());
            let look = Look { integration: &bound, is_further, flow, missing: &missing, now: parts.clock.now() };
            if let Some(concern) = look.of_integration() {
                concerns.push(concern);
                continue;
            }
            let is_own = |key: &TokenKey| key.scheme().as_deref().unwrap_or(&integration.scheme) == bound.scheme;
            let mut own: Vec<TokenRecord> = records.iter().filter(|record| is_own(&record.key)).cloned().collect();
            if own.is_empty() {
                own.push(TokenRecord::new(TokenKey::for_scheme(&integration, &bound.scheme, ""), bound.target));
            }
            for record in own {
                let mut record = record.for_target(bound.target);
                record.hold_against(&bound);
                let (concern, look_at) = look.of_token(&record);
                end = [end, look_at].into_iter().flatten().min();
                if let Some(concern) = concern {
                    self.tell(&concern, &record.key);
                    concerns.push(concern);
                }
            }
        }
        parts.watch.state().set(name, Some((integration.organization.clone(), concerns, end)));
        Ok(())
    }

    /// Tells, once for each token, that it is about to end or that a person is needed. Whoever has just made an integration knows
    /// that nobody has connected it yet.
    fn tell(&self, concern: &Concern, key: &TokenKey) {
        let Some(notices) = self.parts.watch.notices.get() else { return };
        let kind = match concern.kind {
            ConcernKind::PersonNeeded if concern.generation > 0 => Kind::PersonNeeded,
            ConcernKind::Expiring => Kind::TokenExpiring,
            _ => return,
        };
        let until = self.parts.clock.now() + REMEMBERED;
        notices.tell(
            Notice::new(kind, format!("{}: {}", concern.integration, concern.message))
                .on(&concern.integration, &concern.organization)
                .token(concern.generation, concern.scopes.as_deref())
                .remedy(&concern.remedy)
                .once(format!("token/{key}"), format!("{}/{}", kind.as_str(), concern.generation), until),
        );
    }

    /// Looks at those where time alone may have changed something.
    pub(super) fn touch_what_is_due(&self) {
        let now = self.parts.clock.now();
        let mut state = self.parts.watch.state();
        while let Some((end, name)) = state.ends.pop_first() {
            if end > now {
                state.ends.insert((end, name));
                return;
            }
            state.end_of.remove(&name);
            state.changed.insert(name);
        }
    }
}

/// Looks at all integrations once, and then at each that changes, until the tokens are gone.
async fn watch(tokens: Weak<Tokens>) {
    let mut after: Option<Name> = None;
    loop {
        let Some(tokens) = tokens.upgrade() else { return };
        match look_at_some(&tokens, after.as_ref()).await {
            Ok(Some(last)) => after = Some(last),
            Ok(None) => {
                tokens.parts.watch.state().is_complete = true;
                break;
            }
            Err(error) => {
                tracing::error!("integrations can't be looked at, which is tried again: {error}");
                drop(tokens);
                tokio::time::sleep(ROUND).await;
                continue;
            }
        }
        drop(tokens);
        tokio::time::sleep(PAUSE).await;
    }
    loop {
        let Some(watched) = tokens.upgrade() else { return };
        watched.touch_what_is_due();
        let looked = watched.look_at_changed(FOR_ONE).await;
        if let Err(error) = &looked {
            tracing::error!("changed integrations can't be looked at, which is tried again: {error}");
        }
        let parts = Arc::clone(&watched.parts);
        drop(watched);
        if looked.is_ok() && !parts.watch.state().changed.is_empty() {
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            () = parts.watch.wake.notified() => {}
            () = parts.stopping.cancelled() => return,
        }
    }
}

/// Looks at the integrations after this one; tells the last of them, or none where there are no more.
async fn look_at_some(tokens: &Tokens, after: Option<&Name>) -> Result<Option<Name>, TokenError> {
    let found = tokens.parts.integrations.list(after, AT_ONCE, None).await?;
    for integration in &found {
        let looking = tokens.parts.watch.looking.lock().await;
        tokens.look_at(&integration.name).await?;
        drop(looking);
        tokio::task::yield_now().await;
    }
    Ok(found.last().map(|last| last.name.clone()))
}
