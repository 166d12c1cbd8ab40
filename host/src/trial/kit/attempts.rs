//! One attempt of the kit: who answers what, and what is kept of how it went. Judges nothing.

use std::collections::VecDeque;

use super::answers::{self, CODE, Role, device, error, json_answer, metadata, ordinary};
use super::bench::{Bench, NOW, StepCost};
use super::config::Wrapping;
use super::provider::{Reply, Script, Seen};
use super::run::Kit;
use crate::flows::Flow as _;
use crate::flows::step::Purpose;
use crate::trial::walk::{End, Setup, walk};

/// How an attempt went.
pub(super) struct Ran {
    /// How it ended.
    pub(super) end: End,
    /// What each step took.
    pub(super) steps: Vec<StepCost>,
    /// The requests that arrived.
    pub(super) seen: Vec<Seen>,
    /// The waits, in seconds.
    pub(super) waits: Vec<u32>,
    /// Whether a person took part.
    pub(super) person: bool,
    /// Whether a person was sent to a page.
    pub(super) redirected: bool,
    /// The requests that the flow wanted sent.
    pub(super) requests: usize,
    /// What is wrong whatever the case says.
    pub(super) problems: Vec<String>,
    /// Whether a person was told where to go.
    pub(super) prompted: bool,
}

impl Kit<'_> {
    /// One attempt against a provider that answers token requests so, and all else as it must.
    pub(super) async fn attempt(
        &mut self,
        setup: &Setup,
        purpose: Purpose,
        reply: impl Fn() -> Reply + Send + 'static,
        patient: bool,
    ) -> Ran {
        let base = self.provider.url().to_owned();
        self.play(Box::new(move |seen| match Role::of(seen) {
            Role::Token => reply(),
            Role::Device => device(&base),
            Role::Metadata => metadata(&base),
            Role::Revocation => answers::answer(200, &[], ""),
        }));
        self.walk(setup, purpose, patient, true, NOW).await
    }

    /// One attempt against the answers of `conformance.json`; where it has none for a path, all is ordinary.
    pub(super) async fn own_answers(&mut self, purpose: Purpose, setup: &Setup, wrapping: Wrapping) -> Ran {
        let (base, specs) = (self.provider.url().to_owned(), self.config.answers.clone());
        self.play(Box::new(move |seen| match specs.get(&seen.path) {
            Some(spec) => spec.reply_in(wrapping, &base),
            None => match Role::of(seen) {
                Role::Token => json_answer(200, &ordinary()),
                Role::Device => device(&base),
                Role::Metadata => metadata(&base),
                Role::Revocation => answers::answer(200, &[], ""),
            },
        }));
        self.walk(setup, purpose, true, true, NOW).await
    }

    /// Answers as this says from now on.
    pub(super) fn play(&self, script: Script) {
        self.provider.play(script);
    }

    /// One attempt.
    pub(super) async fn walk(
        &mut self,
        setup: &Setup,
        purpose: Purpose,
        patient: bool,
        consents: bool,
        now: u64,
    ) -> Ran {
        let egress = if patient { &self.egress } else { &self.impatient };
        let mut bench = Bench::new(self.plugin.description(), egress, setup, &mut self.keys).at(now);
        bench.consents = consents;
        let end = walk(self.plugin, setup, purpose, &mut bench, true).await;
        let seen = self.provider.seen();
        let exchange = seen.iter().find(|seen| seen.parameter("code").as_deref() == Some(CODE));
        if let Some(exchange) = exchange {
            bench.check_verifier(exchange.parameter("code_verifier"));
        }
        Ran {
            person: bench.has_person(),
            redirected: bench.sent_to.is_some(),
            prompted: bench.prompts.iter().any(|prompt| prompt.url.is_some()),
            steps: bench.steps,
            waits: bench.waits,
            requests: bench.requests,
            problems: bench.problems,
            seen,
            end,
        }
    }

    /// A device flow that is told to wait, then to wait longer, then has its token.
    pub(super) async fn pending(&mut self, setup: &Setup) -> Ran {
        let base = self.provider.url().to_owned();
        let mut replies = VecDeque::from([error(400, "authorization_pending"), error(400, "slow_down")]);
        self.play(Box::new(move |seen| match Role::of(seen) {
            Role::Token => replies.pop_front().unwrap_or_else(|| json_answer(200, &ordinary())),
            Role::Metadata => metadata(&base),
            _ => device(&base),
        }));
        self.walk(setup, Purpose::Acquire, true, true, NOW).await
    }
}
