//! One request of an attempt and its answer: what is spent is on disk before it leaves, what comes back before it is read.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use url::Url;

use super::super::failure::{self, Ended};
use super::super::journal::{AnswerStory, Held, HeldAnswer, Stage};
use super::super::record::RefreshState;
use super::{Attempt, FIRST_PAUSE, Last, REFRESH_TOKEN, person};
use crate::egress::{Answer, Blame, Prepared, Refusal, Unsent};
use crate::flows::description::FieldKind;
use crate::flows::request::Request;
use crate::flows::step::{Event, Remedy, Response, State, Unanswered, Wait};
use crate::seal::Sealed;
use crate::store::{Batch, StoreError};
use crate::telemetry::trace::{self, SpanKind};

/// The longest time that a flow may wait between two steps.
pub const MAX_WAIT: Duration = Duration::from_secs(600);
/// The shortest, where a person is waited for and steps aren't limited.
const SHORTEST_POLL: Duration = if cfg!(test) { Duration::from_millis(1) } else { Duration::from_secs(1) };

impl Attempt {
    /// Sends a request and journals what comes back. What it spends is on disk before it leaves.
    pub(super) async fn exchange(&mut self, request: Request, state: State) -> Result<Event, Ended> {
        if let Err(limit) = self.used.request(self.flow.limits()) {
            return Err(self.overrun(limit).await);
        }
        let prepared = match self.prepare(&request) {
            Ok(prepared) => prepared,
            Err(refusal) => {
                let field = failure::field_of_refusal(&refusal).map(str::to_owned);
                let message = match refusal.problems.iter().any(|problem| problem.blame == Blame::Flow) {
                    true => format!("flow {}: {refusal}", self.record.story.flow),
                    false => refusal.to_string(),
                };
                return Err(self.fail("request_refused", &message, Remedy::Reconfigure, field).await);
            }
        };
        self.rotation.sent.clone_from(prepared.secret_names());
        let refreshes = prepared.secret_names().contains(REFRESH_TOKEN);
        // What a person brought back works once.
        let spends = refreshes || self.has_returned();
        prepared.teach(&mut self.cleaner);
        let mut sent = prepared.record().clone();
        sent.clean(&self.cleaner);
        self.tell(|story| story.request = Some(sent));
        self.budget(&request.url).await?;
        let durability = if spends { Batch::synced() } else { Batch::buffered() };
        let held = match self.record.person {
            Some(_) => Some(self.seal_held(&Held::notes(&state))?),
            None => None,
        };
        self.record.stage = Stage::Sent { spends, held };
        if let Err(error) = self.parts.ledger.put(&self.record, durability).await {
            return Err(self.fail("storage", &error.to_string(), Remedy::Retry(None), None).await);
        }
        let last_refresh = self.refresh;
        if refreshes {
            self.doubt();
        }
        let span = trace::child("provider request", SpanKind::Client);
        span.tell("http.request.method", || format!("{:?}", request.method).to_uppercase());
        // Its origin alone: paths of token endpoints may name a customer, and queries hold anything.
        span.tell("url.origin", || {
            Url::parse(&request.url).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
        });
        let sent = span.within(self.parts.egress.send(prepared)).await;
        match &sent {
            Ok(answer) => span.set("http.response.status_code", i64::from(answer.response.status)),
            Err(unsent) => span.failed(|| unsent.fault.as_str().to_owned()),
        }
        drop(span);
        match sent {
            Ok(answer) => {
                // A complete answer ends the doubt, unless the provider itself doesn't know.
                if refreshes && answer.response.status < 500 {
                    self.refresh = RefreshState::Ready;
                }
                self.learn_destinations(&request.url, &answer.response);
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

    fn prepare(&self, request: &Request) -> Result<Prepared, Refusal> {
        let extras = self.integration.extras(request, self.record.story.purpose);
        self.parts.egress.prepare(request, &self.secrets, &extras, &self.destinations, &self.integration.transport)
    }

    /// A metadata document says where further requests may go.
    fn learn_destinations(&mut self, url: &str, response: &Response) {
        let fields = &self.flow.description().fields;
        let is_metadata = (fields.iter().filter(|field| field.kind == FieldKind::MetadataUrl))
            .any(|field| self.integration.values.get(&field.name).is_some_and(|value| value == url));
        if let (true, 200, Ok(url)) = (is_metadata, response.status, Url::parse(url))
            && let Err(problem) = self.destinations.extend_from_metadata(&url, &response.body)
        {
            self.note(&problem.to_string());
        }
        if let (true, Some(person)) = (is_metadata, &mut self.record.person) {
            person.learned = self.destinations.origins().map(str::to_owned).collect();
        }
    }

    /// Holds back a repeat after failures where the provider's host has had enough of them.
    async fn budget(&mut self, url: &str) -> Result<(), Ended> {
        if self.failures == 0 {
            return Ok(());
        }
        let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        let Err(wait) = self.parts.budget.take(&host) else { return Ok(()) };
        let message = format!("too many repeats after failures go to {host}; this one waits its turn");
        let seconds = u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX);
        Err(self.fail("provider_budget", &message, Remedy::Retry(Some(seconds)), None).await)
    }

    /// Stores an answer, sealed, before anything reads it.
    async fn answered(&mut self, answer: Answer, state: State, spends: bool) -> Result<Event, Ended> {
        let response = answer.response;
        self.last = Last::Answered(response.status, answer.left_at);
        self.tell(|story| story.answer = Some(AnswerStory::of(&response, answer.taken)));
        let held = HeldAnswer {
            status: response.status,
            headers: response.headers.clone(),
            body: STANDARD.encode(&response.body),
        };
        let held = self.seal_held(&Held { answer: Some(held), ..Held::notes(&state) })?;
        self.record.stage = Stage::Answered { held, left_at: answer.left_at, spends };
        // What the provider gave for a spent token, or after a person's consent, exists nowhere else: hold it until the
        // storage takes it.
        self.insist(spends || self.record.person.is_some(), || self.parts.ledger.put(&self.record, Batch::synced()))
            .await?;
        Ok(Event::Answered(state, response))
    }

    fn unanswered(&mut self, unsent: Unsent, state: State) -> Event {
        let reason = self.cleaner.clean(&unsent.reason);
        self.last = Last::Unanswered(unsent.left, unsent.fault);
        self.tell(|story| story.problem = Some(reason.clone()));
        Event::Unanswered(state, Unanswered { left: unsent.left, reason })
    }

    /// Waits as the flow wishes, across restarts.
    pub(super) async fn wait(&mut self, wait: Wait) -> Result<Event, Ended> {
        let mut time = Duration::from_secs(wait.seconds.into()).min(MAX_WAIT);
        let ask = self.ask_of(wait.prompt).await?;
        if self.record.person.is_some() {
            time = time.max(SHORTEST_POLL);
            self.fold_polls();
        }
        let until = self.parts.clock.now() + TimeDelta::from_std(time).unwrap_or_default();
        self.record.stage = Stage::Waiting { held: self.seal_held(&Held::notes(&wait.state))?, until };
        self.parts.ledger.put(&self.record, Batch::synced()).await?;
        self.tell_asker(ask);
        self.pause_for(time).await?;
        Ok(Event::Elapsed(wait.state))
    }

    /// Lets time pass, unless the daemon stops: the journal then holds what is needed to go on.
    pub(super) async fn pause_for(&self, time: Duration) -> Result<(), Ended> {
        tokio::select! {
            () = tokio::time::sleep(time.min(MAX_WAIT)) => Ok(()),
            () = self.parts.stopping.cancelled() => Err(Ended::Stopping),
        }
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

    pub(super) fn seal_held(&self, held: &Held) -> Result<Sealed, Ended> {
        person::seal_held(&self.parts.ledger.keyring, self.id(), held)
    }

    pub(super) fn open_held(&self, held: &Sealed) -> Result<(State, Option<Response>), Ended> {
        let held = person::open_held(&self.parts.ledger.keyring, self.id(), held)?;
        let response = held.answer.map(|answer| Response {
            status: answer.status,
            headers: answer.headers,
            body: STANDARD.decode(answer.body).unwrap_or_default().into(),
        });
        Ok((held.state.into(), response))
    }
}
