//! One trial: an attempt of the flow with other settings, whose token is thrown away.
//!
//! It writes nothing and counts nothing: no journal, no failure, no conduct of the flow. A request that is the same, byte for byte,
//! as one that was sent isn't sent again.

use super::bench::{Bench, NO_CODE};
use super::finding::{Changes, Ended, Trial};
use super::world::{Live, Rehearsal};
use crate::flows::step::Purpose;
use crate::trial::walk::{End, Setup, walk};

/// What became of a way that was to be tried.
pub(super) enum Tried {
    /// It was.
    Done(Box<Trial>),
    /// It makes no difference to the request, or can't be made.
    Pointless,
    /// It would take more requests than are allowed; why.
    Spent(&'static str),
}

/// What is known of an attempt when it ends.
#[derive(Clone, Copy)]
struct Last {
    /// The last answer's status.
    status: Option<u16>,
    /// Whether a person was to be sent away or asked.
    asked: bool,
    /// Whether the provider waits for a person.
    waits: bool,
    /// Whether any request was sent.
    sent: bool,
}

impl Bench<'_> {
    /// Tries one way of asking.
    pub(super) async fn attempt(&mut self, changes: &Changes) -> Tried {
        let setup = self.setup(changes);
        // First without sending anything: does it make a difference, and what would be in it?
        let mut rehearsal = Rehearsal::new(self);
        let end = walk(self.plugin, &setup, Purpose::Acquire, &mut rehearsal, false).await;
        let rehearsed = rehearsal.request.take();
        let password = rehearsed.as_ref().is_some_and(|rehearsed| rehearsed.password);
        match (&rehearsed, end) {
            (Some(rehearsed), _) if rehearsed.is_final && !self.seen.insert(rehearsed.fingerprint) => {
                return Tried::Pointless;
            }
            // What can't even be made tells something only of the integration's own settings.
            (None, End::Failed(_) | End::Refused(_) | End::Fault(_)) if !changes.is_empty() => return Tried::Pointless,
            _ => {}
        }
        if self.requests == 0 {
            return Tried::Spent("no more than 16 requests are sent in one run");
        }
        if password && self.passwords == 0 {
            return Tried::Spent(
                "the password is sent 3 times at most in one run, so that the provider doesn't lock the user out",
            );
        }
        self.trials += 1;
        let number = self.trials;
        let (plugin, passwords) = (self.plugin, self.passwords);
        let mut live = Live::new(self);
        let end = walk(plugin, &setup, Purpose::Acquire, &mut live, false).await;
        let Live { steps, taken, status, asked, left, .. } = live;
        let last = Last { status, asked, waits: !left, sent: steps.iter().any(|step| step.request.is_some()) };
        let (ended, code, message) = self.judge(end, last);
        Tried::Done(Box::new(Trial {
            number,
            changes: changes.clone(),
            ended,
            status,
            code,
            message,
            milliseconds: u64::try_from(taken.as_millis()).unwrap_or(u64::MAX),
            password: self.passwords != passwords,
            steps,
        }))
    }

    /// What an attempt's end means.
    fn judge(&self, end: End, last: Last) -> (Ended, Option<String>, String) {
        let clean = |text: &str| self.cleaner.clean(text);
        match end {
            End::Token(_) => (Ended::Token, None, String::new()),
            End::Revoked => (Ended::Failed, None, "the flow revoked a token instead of getting one".to_owned()),
            // The client was let in, and the code that nobody gave refused: all that can be had without a person.
            End::Failed(failure) if last.asked && failure.code == "invalid_grant" => {
                (Ended::Accepted, Some(failure.code), "the client is taken; the rest needs a person".to_owned())
            }
            End::Refused(_) if last.waits => {
                (Ended::Accepted, None, "the client is taken; the rest needs a person".to_owned())
            }
            End::Failed(failure) => {
                let ended = match last {
                    Last { sent: false, .. } => Ended::Unsendable,
                    Last { status: None, .. } => Ended::Unanswered,
                    Last { .. } => Ended::Failed,
                };
                (ended, Some(clean(&failure.code)), clean(&failure.message))
            }
            End::Fault(fault) => (Ended::Unsendable, Some("plugin_fault".to_owned()), clean(&fault.to_string())),
            End::Refused(message) => (Ended::Unsendable, Some("request_refused".to_owned()), clean(&message)),
            End::Lost(message) | End::Impure(message) => (Ended::Unsendable, None, clean(&message)),
            End::Endless => (Ended::Failed, None, "the flow takes step after step and doesn't end".to_owned()),
        }
    }

    /// What the flow is given.
    fn setup(&self, changes: &Changes) -> Setup {
        let mut values = self.integration.values.clone();
        for (name, value) in changes {
            match value {
                Some(value) => values.insert(name.clone(), value.clone()),
                None => values.remove(name),
            };
        }
        Setup {
            scheme_name: self.integration.scheme.clone(),
            scheme_document: self.integration.scheme_document.to_string(),
            values,
            secrets: self.secrets.clone(),
            revealed: self.revealed.clone(),
            callback_url: Some(self.callback_url.clone()),
            return_key: Some(NO_CODE.to_owned()),
        }
    }
}
