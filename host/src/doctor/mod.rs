//! The doctor: finds out by careful test requests why an integration gets no token, and which settings would get one.
//!
//! Only on demand, and bounded: few requests, with a pause between them, and fewer with a person's password. Nothing of it is
//! kept: no attempt in the journal, no failure counted, no token committed, no refresh token sent. Settings that worked are
//! told; whoever asked saves them like any others.

mod attempt;
mod bench;
mod finding;
mod metadata;
mod variant;
mod verdict;
mod world;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use url::Url;

pub use self::finding::{Cause, Changes, Check, Ended, Finding, Grade, Trial, Verdict};

use self::attempt::Tried;
use self::bench::Bench;
use self::metadata::{Metadata, places};
use self::variant::{Dimension, dimensions, rank, ways};
use self::verdict::{Evidence, verdict};
use crate::clock::SharedClock;
use crate::egress::Egress;
use crate::flows::description::FieldKind;
use crate::flows::{Barred, Catalog, Flow as _, Flows, Plugin};
use crate::integrations::{Integration, IntegrationError, Integrations};
use crate::name::Name;

/// Integrations under examination at once. Each holds a connection of ours for some seconds.
const AT_ONCE: usize = 4;
/// Findings that wait for a slow reader.
const WAITING: usize = 8;
/// Seconds that clocks may differ. Providers allow JWTs and signatures some minutes at most, some of them none.
const SKEW: i64 = 30;

/// Examines integrations.
pub struct Doctor {
    /// What is examined.
    integrations: Arc<Integrations>,
    /// Their flows.
    flows: Arc<Flows>,
    /// What the operator decided about flows.
    catalog: Arc<dyn Catalog>,
    /// What goes out goes through this.
    egress: Arc<Egress>,
    /// The time.
    clock: SharedClock,
    /// Those under examination.
    busy: Arc<Mutex<BTreeSet<Name>>>,
}

/// Why an examination doesn't begin.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// It is under way, or others are.
    #[error("{0}")]
    Busy(String),
    /// The integration's flow isn't installed.
    #[error("flow {0} isn't installed")]
    NoFlow(String),
    /// The flow may not run.
    #[error("{}", .0.message)]
    Barred(Barred),
    /// The integration can't be read.
    #[error(transparent)]
    Integration(#[from] IntegrationError),
}

impl Doctor {
    /// A doctor over these rooms.
    pub fn new(
        integrations: Arc<Integrations>,
        flows: Arc<Flows>,
        catalog: Arc<dyn Catalog>,
        egress: Arc<Egress>,
        clock: SharedClock,
    ) -> Self {
        Self { integrations, flows, catalog, egress, clock, busy: Arc::default() }
    }

    /// Examines an integration, by its own scheme or a further one, and tells what it finds as it finds it; the verdict comes last.
    /// It ends early where nobody listens any more. `all`: it goes on after the first success.
    ///
    /// # Errors
    /// It doesn't begin.
    pub async fn examine(
        &self,
        name: &Name,
        scheme: Option<&str>,
        all: bool,
        callback_url: String,
    ) -> Result<mpsc::Receiver<Finding>, DoctorError> {
        let integration = self.integrations.read(name).await?;
        let integration = integration
            .bound(scheme)
            .ok_or_else(|| IntegrationError::NotBound(name.clone(), scheme.unwrap_or_default().to_owned()))?;
        let plugin =
            self.flows.plugin(&integration.flow).ok_or_else(|| match self.catalog.absent(&integration.flow) {
                Some(barred) => DoctorError::Barred(barred),
                None => DoctorError::NoFlow(integration.flow.clone()),
            })?;
        self.catalog.admit(&*plugin, false).map_err(DoctorError::Barred)?;
        let place = Place::take(&self.busy, name)?;
        let missing = self.integrations.missing(&integration);
        let missing: Vec<String> = missing.into_iter().map(|fault| fault.message).collect();
        let revealed = self.catalog.revealed(&*plugin, name.as_str(), integration.created_at);
        let (egress, clock) = (Arc::clone(&self.egress), Arc::clone(&self.clock));
        let (findings, receiver) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            let _place = place;
            let mut bench = Bench::new(&integration, &plugin, &egress, clock, callback_url);
            bench.revealed = revealed;
            let run = Run {
                integration: &integration,
                plugin: &plugin,
                bench,
                all,
                findings: &findings,
                checks: Vec::new(),
                trials: Vec::new(),
            };
            tokio::select! {
                () = run.run(missing) => {}
                () = findings.closed() => {}
            }
        });
        Ok(receiver)
    }
}

/// A place among those under examination, given back when it is dropped.
struct Place {
    busy: Arc<Mutex<BTreeSet<Name>>>,
    name: Name,
}

impl Place {
    /// Takes a place.
    fn take(busy: &Arc<Mutex<BTreeSet<Name>>>, name: &Name) -> Result<Self, DoctorError> {
        let mut names = busy.lock().unwrap_or_else(PoisonError::into_inner);
        if names.contains(name) {
            return Err(DoctorError::Busy(format!("{name} is under examination already; wait until that is over")));
        }
        if names.len() >= AT_ONCE {
            return Err(DoctorError::Busy(format!(
                "{AT_ONCE} other integrations are under examination; try again later"
            )));
        }
        names.insert(name.clone());
        Ok(Self { busy: Arc::clone(busy), name: name.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

/// One examination.
struct Run<'a> {
    integration: &'a Integration,
    plugin: &'a Plugin,
    bench: Bench<'a>,
    /// Whether to go on after a success.
    all: bool,
    /// Who is told.
    findings: &'a mpsc::Sender<Finding>,
    checks: Vec<Check>,
    trials: Vec<Trial>,
}

impl Run<'_> {
    /// From the first look to the verdict.
    async fn run(mut self, missing: Vec<String>) {
        let stopped = if missing.is_empty() {
            let metadata = self.look().await;
            self.ask(metadata.as_ref()).await
        } else {
            self.check(Check::new("fields", Grade::Bad, missing.join("; "))).await;
            None
        };
        self.note_clock().await;
        let passwords = self.bench.passwords_sent();
        if passwords > 0 {
            let text = format!(
                "the password was in {passwords} of the requests; no run sends it more than {} times, since providers lock \
                 users out",
                bench::PASSWORDS
            );
            self.check(Check::new("lockout", Grade::Note, text)).await;
        }
        let verdict = verdict(&Evidence {
            integration: self.integration.name.as_str(),
            values: &self.integration.values,
            trials: &self.trials,
            checks: &self.checks,
            requests: self.bench.sent(),
            stopped,
        });
        self.tell(Finding::Verdict(verdict)).await;
    }

    async fn tell(&self, finding: Finding) {
        // Who has gone away is noticed by `closed`.
        drop(self.findings.send(finding).await);
    }

    async fn check(&mut self, check: Check) {
        self.checks.push(check.clone());
        self.tell(Finding::Check(check)).await;
    }

    /// Looks whether the provider can be reached, and what it says of itself.
    async fn look(&mut self) -> Option<Metadata> {
        let places = self.places();
        let mut reached = false;
        for place in places {
            let response = match self.bench.fetch(&place).await {
                Ok(response) => response,
                Err(reason) => {
                    self.check(Check::new("reachable", Grade::Bad, reason)).await;
                    return None;
                }
            };
            if !reached {
                let text = format!("{} answers", place.origin().ascii_serialization());
                self.check(Check::new("reachable", Grade::Good, text)).await;
                reached = true;
            }
            if let Some(metadata) = Some(response).filter(|it| it.status == 200).and_then(|it| Metadata::read(&it.body))
            {
                for check in metadata.checks(&self.integration.values, &self.integration.flow) {
                    let text = self.bench.cleaner.clean(&check.text);
                    self.check(Check { text, ..check }).await;
                }
                return Some(metadata);
            }
        }
        if reached {
            let text = "the provider has no metadata where one would look for it, so all ways count alike";
            self.check(Check::new("metadata", Grade::Note, text)).await;
        }
        None
    }

    /// Where to look for metadata.
    fn places(&self) -> Vec<Url> {
        let values = &self.integration.values;
        let url = |name: &str| values.get(name).and_then(|value| Url::parse(value).ok());
        let fields = &self.plugin.description().fields;
        let named =
            fields.iter().filter(|field| field.kind == FieldKind::MetadataUrl).find_map(|field| url(&field.name));
        if let Some(named) = named {
            return vec![named];
        }
        let token_url = url("token_url")
            .or_else(|| fields.iter().filter(|field| field.is_url()).find_map(|field| url(&field.name)));
        token_url.map(|token_url| places(&token_url)).unwrap_or_default()
    }

    /// Tries the integration's own settings, then others. Returns why it stopped before all was tried.
    async fn ask(&mut self, metadata: Option<&Metadata>) -> Option<&'static str> {
        let first = match self.bench.attempt(&Changes::new()).await {
            Tried::Done(trial) => *trial,
            Tried::Pointless => return None,
            Tried::Spent(why) => return Some(why),
        };
        self.keep(&first).await;
        if first.ended == Ended::Accepted {
            let text =
                "the flow needs a person: what could be tried without one is whether the provider takes the client";
            self.check(Check::new("person", Grade::Note, text)).await;
        }
        if first.worked() && !self.all {
            return None;
        }
        let values = &self.integration.values;
        let dimensions = dimensions(self.plugin.description(), values, &self.bench.secrets, metadata);
        self.search(first, &dimensions).await
    }

    async fn keep(&mut self, trial: &Trial) {
        self.trials.push(trial.clone());
        self.tell(Finding::Trial(Box::new(trial.clone()))).await;
    }

    /// Tries other ways, from the best so far to a better one, until one works.
    async fn search(&mut self, mut best: Trial, dimensions: &[Dimension]) -> Option<&'static str> {
        let mut tried: BTreeSet<Changes> = BTreeSet::from([Changes::new()]);
        let mut found = best.worked();
        if ends(&best) && !found {
            return None;
        }
        loop {
            let mut better = None;
            for way in ways(dimensions, &best, &self.integration.values) {
                if !tried.insert(way.clone()) || is_hopeless(&way, &best, &self.trials) {
                    continue;
                }
                let trial = match self.bench.attempt(&way).await {
                    Tried::Done(trial) => *trial,
                    Tried::Pointless => continue,
                    Tried::Spent(why) => return Some(why).filter(|_| !found),
                };
                self.keep(&trial).await;
                found |= trial.worked();
                if found && !self.all || ends(&trial) && !trial.worked() {
                    return None;
                }
                if !found && rank(&trial) > rank(&best) {
                    better = Some(trial);
                    break;
                }
            }
            match better {
                Some(trial) => best = trial,
                None => return None,
            }
        }
    }

    /// Tells how the clocks differ.
    async fn note_clock(&mut self) {
        let Some(skew) = self.bench.skew() else { return };
        let check = match skew.unsigned_abs() {
            0..=2 => Check::new("clock", Grade::Good, "the provider's clock and ours agree"),
            seconds => {
                let side = if skew > 0 { "ahead of" } else { "behind" };
                let grade = if skew.abs() > SKEW { Grade::Bad } else { Grade::Good };
                Check::new("clock", grade, format!("the provider's clock is {seconds} s {side} ours"))
            }
        };
        self.check(check).await;
    }
}

/// Whether a part of this way alone came less far than the best so far: with more changes it comes no further. What the best
/// itself is made of came less far, too, and is no such part.
fn is_hopeless(way: &Changes, best: &Trial, trials: &[Trial]) -> bool {
    let is_part = |part: &Changes, whole: &Changes| part.iter().all(|(name, value)| whole.get(name) == Some(value));
    trials.iter().any(|trial| {
        is_part(&trial.changes, way) && !is_part(&trial.changes, &best.changes) && rank(trial) < rank(best)
    })
}

/// Whether nothing more should be tried after this: the provider asks for a pause, can't be reached, or has let the client in
/// and refused a person's password, which another try could lock.
fn ends(trial: &Trial) -> bool {
    let is_pause = matches!(trial.status, Some(429 | 503))
        || matches!(trial.code.as_deref(), Some("slow_down" | "too_many_requests" | "rate_limit_exceeded"));
    let is_refused = trial.password && trial.code.as_deref() == Some("invalid_grant");
    is_pause || is_refused || matches!(trial.ended, Ended::Unanswered | Ended::Unsendable)
}

#[cfg(test)]
mod tests {
    use super::variant::tests::trial;
    use super::*;

    #[test]
    fn an_integration_is_examined_once_at_a_time() {
        let busy = Arc::default();
        let name = |number: usize| format!("crm-{number}").parse::<Name>().unwrap();
        let mut places: Vec<Place> =
            (0..AT_ONCE).map(|number| Place::take(&busy, &name(number)).ok().unwrap()).collect();
        assert!(Place::take(&busy, &name(9)).is_err_and(|error| error.to_string().contains("other integrations")));
        places.pop();
        assert!(Place::take(&busy, &name(0)).is_err_and(|error| error.to_string().contains("already")));
        assert!(Place::take(&busy, &name(9)).is_ok());
    }

    #[test]
    fn what_came_less_far_is_not_tried_with_more() {
        let changes = |pairs: &[(&str, &str)]| -> Changes {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect()
        };
        let best = trial(Ended::Failed, 401, "invalid_client");
        let json = Trial { changes: changes(&[("request_body", "json")]), ..trial(Ended::Failed, 415, "http_415") };
        let post = Trial { changes: changes(&[("client_auth", "post")]), ..best.clone() };
        let trials = [best.clone(), json, post];
        let both = changes(&[("client_auth", "post"), ("request_body", "json")]);
        assert!(is_hopeless(&both, &best, &trials));
        assert!(!is_hopeless(&changes(&[("client_auth", "none")]), &best, &trials));
        assert!(!is_hopeless(&both, &best, &trials[2..]));

        // What was found in two steps goes on from both.
        let made = Trial { changes: both.clone(), ..trial(Ended::Failed, 400, "invalid_scope") };
        let mut next = both;
        next.insert("scope_separator".to_owned(), Some("comma".to_owned()));
        assert!(!is_hopeless(&next, &made, &trials));
    }

    #[test]
    fn nothing_is_tried_after_a_refused_password_or_a_wish_for_a_pause() {
        let mut password = trial(Ended::Failed, 400, "invalid_grant");
        assert!(!ends(&password));
        password.password = true;
        assert!(ends(&password));
        assert!(ends(&trial(Ended::Failed, 429, "http_429")));
        assert!(ends(&trial(Ended::Unanswered, 0, "unanswered")));
        assert!(!ends(&trial(Ended::Failed, 500, "http_500")));
        assert!(!ends(&trial(Ended::Failed, 401, "invalid_client")));
    }
}
