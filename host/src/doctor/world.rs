//! The worlds of a trial: one in which nothing leaves, to see what would; and one with a real provider and nobody at a browser.
//!
//! Neither keeps anything beyond the trial. What may leave, and how much of it, is `bench`'s budget.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use url::Url;

use super::bench::{Bench, is_plain};
use crate::egress::RequestRecord;
use crate::flows::Flow as _;
use crate::flows::request::Request;
use crate::flows::step::{Response, Wait};
use crate::tokens::{AnswerStory, StepStory};
use crate::trial::walk::{Moment, Sent, Setup, Stepped, World};

/// The longest time that a flow may wait in a trial.
const WAIT: Duration = Duration::from_secs(5);
/// Characters of what a plugin printed that are kept with a step.
const PRINTED: usize = 4096;

/// A request as it would leave.
pub(super) struct Rehearsed {
    /// Of its bytes.
    pub(super) fingerprint: [u8; 32],
    /// Whether a person's password is in it.
    pub(super) password: bool,
    /// Whether it is the one that asks for the token, and not one for a document.
    pub(super) is_final: bool,
}

/// A world in which nothing is sent, and time stands still.
pub(super) struct Rehearsal<'a, 'b> {
    bench: &'a Bench<'b>,
    /// The first request for which no answer is known.
    pub(super) request: Option<Rehearsed>,
}

impl<'a, 'b> Rehearsal<'a, 'b> {
    /// Nothing was asked yet.
    pub(super) fn new(bench: &'a Bench<'b>) -> Self {
        Self { bench, request: None }
    }
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
pub(super) struct Live<'a, 'b> {
    pub(super) bench: &'a mut Bench<'b>,
    /// What happened, as people may see it.
    pub(super) steps: Vec<StepStory>,
    /// How long the provider took, in all.
    pub(super) taken: Duration,
    /// The last answer's status.
    pub(super) status: Option<u16>,
    /// Whether the flow may go on sending.
    pub(super) left: bool,
    /// Whether a person was to be asked.
    pub(super) asked: bool,
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
            printed: self.bench.cleaner.clean(step.printed).chars().take(PRINTED).collect(),
            ..StepStory::default()
        });
    }
}

impl<'a, 'b> Live<'a, 'b> {
    /// Nothing was sent yet.
    pub(super) fn new(bench: &'a mut Bench<'b>) -> Self {
        Self { bench, steps: Vec::new(), taken: Duration::ZERO, status: None, left: true, asked: false }
    }

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
