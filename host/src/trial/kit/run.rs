//! How the kit's cases run: which of them apply to a flow, each on a provider that plays it, and what came of it.

use std::collections::VecDeque;
use std::time::Duration;

use super::answers::{CODE, INTERVAL, Role, json_answer, ordinary};
use super::attempts::Ran;
use super::bench::{NOW, StepCost};
use super::cases::{CASES, Case, Expect, On, Special};
use super::config::{Config, Wrapping};
use super::judge::{self, Miss, judge};
use super::keys::Keys;
use super::own::Script;
use super::provider::{Provider, Reply, Seen};
use super::setup::{self, QUERY};
use super::{CaseReport, Verdict, answers, at_once};
use crate::clock::SystemClock;
use crate::egress::{Egress, Limits, Policy};
use crate::flows::step::{Event, Purpose, Remedy, Response, Unanswered};
use crate::flows::{Flow as _, Plugin};
use crate::trial::walk::{End, Moment, Setup};

/// How long the host waits for a silent provider in the case that is about that. In all others it is as patient as in the daemon.
const IMPATIENT: Duration = Duration::from_secs(1);

/// A step of so much processor time is one that overran: the limit itself counts ticks of the clock, and on a busy machine a step
/// has less of the processor in them. Reading 1 MiB takes an interpreter a third of it.
const OVERRUN: Duration = Duration::from_millis(400);

/// After so many cases with such a step the rest isn't worth the wait.
const OVERRUNS: usize = 3;

/// How many steps of one case are told: a flow that waits again and again has many.
const STEPS_TOLD: usize = 20;

/// The cases that aren't about the answer to a token request.
pub(super) const FURTHER: &[(&str, &str)] = &[
    ("at-once", "nobody is asked: the token is made of the integration's own secrets"),
    ("own-answers", "the answers that conformance.json gives"),
    ("revoke", "the token is to be revoked"),
    ("person-refuses", "the person says no on the provider's page"),
    ("foreign-state", "an answer with a state that another version made"),
    ("strange-events", "an event that the flow didn't ask for"),
];

/// Why the kit can't begin.
#[derive(Debug, thiserror::Error)]
pub enum KitError {
    /// There is no port on loopback.
    #[error("the kit's provider can't listen on 127.0.0.1: {0}")]
    Listen(std::io::Error),
    /// The fields can't be filled in.
    #[error("the flow can't be set up\n  {}", .0.join("\n  "))]
    Setup(Vec<String>),
}

/// A flow on the bench.
pub struct Kit<'a> {
    /// The component.
    pub(super) plugin: &'a Plugin,
    /// What the author says of it.
    pub(super) config: Config,
    /// Who answers.
    pub(super) provider: Provider,
    /// What the flow is given.
    setup: Setup,
    /// As patient as the daemon's.
    pub(super) egress: Egress,
    /// One that soon gives up.
    pub(super) impatient: Egress,
    /// Keys for what the host signs.
    pub(super) keys: Keys,
    /// What was found out about the flow by its first attempts.
    nature: Nature,
}

/// What kind of flow it is.
#[derive(Debug, Default)]
struct Nature {
    /// Why cases with ordinary token responses don't apply; none: they do.
    not_oauth: Option<String>,
    /// Whether it asks nobody: then no case with an answer applies.
    at_once: bool,
    /// Why refreshing doesn't apply; none: it does.
    no_refresh: Option<String>,
    /// Whether a person takes part.
    person: bool,
    /// Whether it sends the person to a page.
    redirects: bool,
    /// Whether it asks for a device code.
    device: bool,
    /// The present token, for refreshes.
    present: Option<Setup>,
}

impl<'a> Kit<'a> {
    /// Makes ready: fills in the fields, starts the provider, and finds out by two attempts what kind of flow it is.
    ///
    /// # Errors
    /// The provider can't listen, or the fields can't be filled in.
    pub async fn new(plugin: &'a Plugin, config: Config) -> Result<Self, KitError> {
        let provider = Provider::start().await.map_err(KitError::Listen)?;
        let setup = setup::setup(plugin.description(), &config, provider.url()).map_err(KitError::Setup)?;
        let policy = |limits: Limits| Policy {
            allow_networks: "127.0.0.0/8".parse().into_iter().collect(),
            allow_http: true,
            limits,
        };
        let clock = SystemClock::shared();
        let egress = Egress::new(policy(Limits::default()), clock.clone());
        let limits = Limits { idle: IMPATIENT, total: 2 * IMPATIENT, ..Limits::default() };
        let impatient = Egress::new(policy(limits), clock);
        let (keys, nature) = (Keys::default(), Nature::default());
        let mut kit = Self { plugin, config, provider, setup, egress, impatient, keys, nature };
        kit.find_out().await;
        Ok(kit)
    }

    /// Runs the cases of this name, or all; tells each as soon as it is over.
    pub async fn run(
        &mut self,
        only: &[String],
        own: &[(String, Script)],
        mut told: impl FnMut(&CaseReport),
    ) -> Vec<CaseReport> {
        let wanted = |name: &str| only.is_empty() || only.iter().any(|only| only == name);
        let mut reports = Vec::new();
        let mut keep = |report: CaseReport| {
            told(&report);
            reports.push(report);
        };
        let mut overruns = 0;
        let at_once = self.nature.at_once;
        for case in CASES.iter().filter(|case| wanted(case.name) && !at_once) {
            for purpose in [Purpose::Acquire, Purpose::Refresh] {
                if let Some(mut report) = self.case(case, purpose, overruns >= OVERRUNS).await {
                    overruns += usize::from(report.steps.iter().any(|step| step.cost.processor >= OVERRUN));
                    report.steps.truncate(STEPS_TOLD);
                    keep(report);
                }
            }
        }
        for (name, about) in FURTHER.iter().filter(|(name, _)| wanted(name)) {
            if let Some((purpose, verdict, steps)) = self.further(name).await {
                keep(CaseReport { name: (*name).to_owned(), purpose, about: (*about).to_owned(), verdict, steps });
            }
        }
        for (name, script) in own.iter().filter(|(name, _)| wanted(name)) {
            keep(self.own(name, script).await);
        }
        reports
    }

    /// One attempt that acquires, one that refreshes: what kind of flow it is.
    async fn find_out(&mut self) {
        let ran = self.attempt(&self.setup.clone(), Purpose::Acquire, || json_answer(200, &ordinary()), true).await;
        self.nature.person = ran.person || !self.plugin.description().unattended;
        self.nature.at_once = at_once::is_at_once(ran.requests, &ran.end);
        self.nature.redirects = ran.redirected;
        self.nature.device = ran.seen.iter().any(|seen| Role::of(seen) == Role::Device);
        if !self.config.answers.is_empty() {
            self.nature.not_oauth = Some("its provider has answers of its own (conformance.json)".to_owned());
        }
        let mut present = self.setup.clone();
        let own = self.own_answers(Purpose::Acquire, &self.setup.clone(), Wrapping::Plain).await;
        if let End::Token(token) = if self.config.answers.is_empty() { &ran.end } else { &own.end } {
            present.keep(token);
        }
        let present = setup::refreshing(&present);
        let ran = self.attempt(&present, Purpose::Refresh, || json_answer(200, &ordinary()), true).await;
        // With any other remedy the daemon would not go on to acquire anew, and the flow would be stuck.
        if let (0, End::Failed(failure)) = (ran.requests, &ran.end)
            && failure.remedy == Remedy::Reacquire
        {
            self.nature.no_refresh = Some(format!("the flow doesn't refresh ({}: {})", failure.code, failure.message));
        }
        self.nature.present = Some(present);
    }

    /// Runs one case; none where it has nothing to do with this purpose or flow.
    async fn case(&mut self, case: &Case, purpose: Purpose, overran: bool) -> Option<CaseReport> {
        let report = |verdict: Verdict, steps: Vec<StepCost>| {
            let (name, about) = (case.name.to_owned(), case.about.to_owned());
            Some(CaseReport { name, purpose: purpose.as_str(), about, verdict, steps })
        };
        let refresh = purpose == Purpose::Refresh;
        match case.on {
            On::Refresh if !refresh => return None,
            On::Device if refresh || !self.nature.device => return None,
            _ => {}
        }
        let is_failure = matches!(case.expect, Expect::Failure { .. });
        let overran_why = "the component overran its time again and again; look at the first failure".to_owned();
        let why = if let Some(why) = self.config.skip.get(case.name) {
            Some(why)
        } else if overran {
            Some(&overran_why)
        } else if refresh && self.nature.no_refresh.is_some() {
            // One line about that is enough.
            if case.name != "ordinary" {
                return None;
            }
            self.nature.no_refresh.as_ref()
        } else if !is_failure && (refresh || Wrapping::of(case.name).is_none()) {
            self.nature.not_oauth.as_ref()
        } else {
            None
        };
        if let Some(why) = why {
            return report(Verdict::Skipped(why.clone()), Vec::new());
        }
        if let (Some(_), Some(wrapping), false) = (&self.nature.not_oauth, Wrapping::of(case.name), refresh) {
            let ran = self.own_answers(purpose, &self.setup.clone(), wrapping).await;
            let verdict = self.judge_own(&ran.end).map_or_else(Verdict::Failed, |()| Verdict::Passed);
            return report(verdict, ran.steps);
        }
        let mut setup = match refresh {
            true => self.nature.present.clone().unwrap_or_else(|| setup::refreshing(&self.setup)),
            false => self.setup.clone(),
        };
        if case.special == Special::Query {
            setup = setup::with_query(&setup, self.plugin.description());
        }
        let ran = match case.special {
            Special::Pending => self.pending(&setup).await,
            special => self.attempt(&setup, purpose, case.reply, special != Special::Impatient).await,
        };
        // An answer in the flow's own format says what it says there: that it fails, and how far it may be tried again, is the same.
        let any_remedy = self.nature.person || self.nature.not_oauth.is_some();
        let mut verdict = judge(case.expect, purpose, &ran.end, any_remedy);
        if verdict.is_ok() {
            verdict = self.also(case, &ran);
        }
        let verdict = match verdict {
            Ok(()) => Verdict::Passed,
            Err(mut miss) => {
                if case.name == "ordinary" && matches!(ran.end, End::Failed(_)) {
                    miss.got.push_str(
                        "; where the provider's answers are no OAuth token responses, give them in conformance.json (`answers`)",
                    );
                }
                Verdict::Failed(miss)
            }
        };
        report(verdict, ran.steps)
    }

    /// Holds an end against the token that `conformance.json` expects of its answers.
    fn judge_own(&self, end: &End) -> Result<(), Miss> {
        match (end, &self.config.token) {
            (End::Token(token), Some(expected)) => judge::members(expected, token),
            (End::Token(_), None) => Ok(()),
            (end, _) => Err(Miss::new("a token", judge::end(end))),
        }
    }

    /// What has to hold besides the token.
    fn also(&self, case: &Case, ran: &Ran) -> Result<(), Miss> {
        if let Some(problem) = ran.problems.first() {
            return Err(Miss::new("a request that the provider can take", problem.as_str()));
        }
        if ran.seen.is_empty() {
            return Err(Miss::new("a request to the provider", "none; a token comes from a provider's answer"));
        }
        if case.special == Special::Query {
            let arrived = |seen: &Seen| seen.query.iter().any(|(name, value)| (name.as_str(), value.as_str()) == QUERY);
            let tokens: Vec<&Seen> = ran.seen.iter().filter(|seen| Role::of(seen) == Role::Token).collect();
            // Where the token URL comes out of a metadata document, it has no query of the kit's.
            let has_query = self.setup.urls(self.plugin.description()).any(|url| url.contains("token"));
            if has_query && !tokens.iter().any(|seen| arrived(seen)) {
                let (name, value) = QUERY;
                let came: Vec<String> = tokens.iter().map(|seen| format!("{} {:?}", seen.path, seen.query)).collect();
                return Err(Miss::new(format!("the token URL's own parameter {name}={value}"), came.join(", ")));
            }
        }
        if self.nature.device && !ran.redirected && !ran.prompted && !ran.waits.is_empty() && case.on == On::Device {
            return Err(Miss::new("a prompt with the page to go to", "waits without one; nobody knows what to do"));
        }
        if case.special == Special::Pending {
            let last = ran.waits.last().copied().unwrap_or_default();
            if ran.waits.iter().any(|seconds| *seconds < INTERVAL) || last < INTERVAL + 5 {
                return Err(Miss::new(
                    format!("waits of at least {INTERVAL} s, and 5 s more after slow_down (RFC 8628 section 3.5)"),
                    format!("waits of {:?} s", ran.waits),
                ));
            }
        }
        Ok(())
    }

    /// Runs one of [`FURTHER`]; none where it doesn't apply.
    async fn further(&mut self, name: &str) -> Option<(&'static str, Verdict, Vec<StepCost>)> {
        if let Some(why) = self.config.skip.get(name) {
            return Some(("", Verdict::Skipped(why.clone()), Vec::new()));
        }
        let setup = self.setup.clone();
        let verdict = |outcome: Result<(), Miss>| outcome.map_or_else(Verdict::Failed, |()| Verdict::Passed);
        match name {
            "at-once" if self.nature.at_once => {
                let ran = self.own_answers(Purpose::Acquire, &setup, Wrapping::Plain).await;
                let present = setup::refreshing(&setup);
                let refreshed = self.own_answers(Purpose::Refresh, &present, Wrapping::Plain).await;
                Some(("acquire", verdict(at_once::judge(&ran.end, &refreshed.end, &setup.secrets)), ran.steps))
            }
            "own-answers" if !self.config.answers.is_empty() || self.config.token.is_some() => {
                let ran = self.own_answers(Purpose::Acquire, &setup, Wrapping::Plain).await;
                Some(("acquire", verdict(self.judge_own(&ran.end)), ran.steps))
            }
            "revoke" => {
                let present = self.nature.present.clone().unwrap_or(setup);
                let ran = self.attempt(&present, Purpose::Revoke, || answers::answer(200, &[], ""), true).await;
                let outcome = match &ran.end {
                    End::Revoked | End::Failed(_) => Ok(()),
                    end => Err(Miss::new("revoked, or a failure where the flow can't revoke", judge::end(end))),
                };
                Some(("revoke", verdict(outcome), ran.steps))
            }
            "person-refuses" if self.nature.redirects => {
                self.play(Box::new(|_| json_answer(200, &ordinary())));
                let ran = self.walk(&setup, Purpose::Acquire, true, false, NOW).await;
                let outcome = match &ran.end {
                    End::Failed(_) => Ok(()),
                    end => Err(Miss::new("a failure", judge::end(end))),
                };
                Some(("acquire", verdict(outcome), ran.steps))
            }
            "foreign-state" => Some(self.events(foreign_states()).await),
            "strange-events" => Some(self.events(strange_events()).await),
            _ => None,
        }
    }

    /// Gives the flow events without an attempt around them: it may fail, and must not trap.
    async fn events(&mut self, events: Vec<Event>) -> (&'static str, Verdict, Vec<StepCost>) {
        let mut steps = Vec::new();
        let context = self.setup.context(Moment { now: NOW, entropy: [7; 32] });
        for event in events {
            let name = event.name();
            let (run, cost) = self.plugin.measure(&context, event).await;
            steps.push(StepCost { event: name, cost });
            if let Err(fault) = run {
                let expected = "a failure, for each event and state that the flow doesn't know";
                let got = format!("on `{name}` a fault of the component: {}", fault.fault);
                return ("", Verdict::Failed(Miss::new(expected, got)), steps);
            }
        }
        ("", Verdict::Passed, steps)
    }

    /// Runs one of the flow's own cases.
    async fn own(&mut self, name: &str, script: &Script) -> CaseReport {
        let report = |verdict: Verdict, steps: Vec<StepCost>| CaseReport {
            name: name.to_owned(),
            purpose: script.purpose.as_str(),
            about: script.about.clone(),
            verdict,
            steps,
        };
        let base = self.provider.url().to_owned();
        let mut setup = match setup::setup(self.plugin.description(), &script.config(&self.config), &base) {
            Ok(setup) => setup,
            Err(faults) => {
                return report(Verdict::Failed(Miss::new("fields that the flow has", faults.join("; "))), Vec::new());
            }
        };
        if script.purpose != Purpose::Acquire {
            setup = setup::refreshing(&setup);
        }
        for (name, value) in script.secrets.iter().filter(|(name, _)| name.starts_with("token.")) {
            setup.secrets.insert(name.clone(), value.as_str().into());
        }
        let mut replies: VecDeque<Reply> =
            script.exchanges.iter().map(|exchange| exchange.answer.reply(&base)).collect();
        self.play(Box::new(move |_| {
            replies.pop_front().unwrap_or_else(|| answers::answer(500, &[], "the case has no answer for this request"))
        }));
        let ran = self.walk(&setup, script.purpose, true, true, script.now.unwrap_or(NOW)).await;
        let verdict = match script.judge(&ran.seen, &ran.end, &base) {
            Ok(()) => Verdict::Passed,
            Err(miss) => Verdict::Failed(miss),
        };
        report(verdict, ran.steps)
    }
}

/// Answers with states that another version of the flow may have made.
fn foreign_states() -> Vec<Event> {
    let response = || Response {
        status: 200,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: ordinary().to_string().into(),
    };
    ["", "another version's state", "{\"step\":99}", "[]"]
        .into_iter()
        .map(|state| Event::Answered(state.into(), response()))
        .collect()
}

/// Events that a flow of one request never asked for.
fn strange_events() -> Vec<Event> {
    vec![
        Event::Elapsed("".into()),
        Event::Returned("".into(), vec![("code".to_owned(), CODE.into()), ("error".to_owned(), "".into())]),
        Event::Returned("".into(), Vec::new()),
        Event::Unanswered("".into(), Unanswered { left: true, reason: "the kit pulled the plug".to_owned() }),
    ]
}
