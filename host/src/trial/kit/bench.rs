//! The world around an attempt of the kit: the real `egress` towards the kit's provider, waits that take no time, and a person who
//! does what the provider's page would have them do.
//!
//! It notes what each step took and what a flow did that no case asks about, and judges nothing else.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::answers::CODE;
use super::keys::Keys;
use super::setup::{CALLBACK, RETURN_KEY};
use crate::egress::{Answer, Destinations, Egress, RequestRecord, Transport};
use crate::flows::request::Request;
use crate::flows::step::{Prompt, Wait};
use crate::flows::{Cost, Description};
use crate::trial::walk::{Moment, Sent, Setup, Stepped, World};

/// When the kit's attempts begin: 2026-11-22T10:00:00Z, in seconds since the Unix epoch.
pub(super) const NOW: u64 = 1_795_341_600;

/// What one step took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepCost {
    /// What the flow was told: `begin acquire`, `answered`, …
    pub event: &'static str,
    /// Memory and time.
    pub cost: Cost,
}

/// One attempt's world.
pub(super) struct Bench<'a> {
    /// What the flow says of itself.
    description: &'a Description,
    /// What goes out goes through this.
    egress: &'a Egress,
    /// Where requests may go.
    to: Destinations,
    /// Keys for what the host signs.
    keys: &'a mut Keys,
    /// What the next step is told of the time.
    now: u64,
    /// What each step took.
    pub(super) steps: Vec<StepCost>,
    /// The waits, in seconds.
    pub(super) waits: Vec<u32>,
    /// What a person was told while waiting.
    pub(super) prompts: Vec<Prompt>,
    /// Where a person was sent.
    pub(super) sent_to: Option<Url>,
    /// What the person says to the provider: yes, or no.
    pub(super) consents: bool,
    /// Requests so far.
    pub(super) requests: usize,
    /// What is wrong whatever the case says.
    pub(super) problems: Vec<String>,
}

impl<'a> Bench<'a> {
    /// A world for one attempt.
    pub(super) fn new(description: &'a Description, egress: &'a Egress, setup: &Setup, keys: &'a mut Keys) -> Self {
        Self {
            description,
            egress,
            to: Destinations::of(setup.urls(description)),
            keys,
            now: NOW,
            steps: Vec::new(),
            waits: Vec::new(),
            prompts: Vec::new(),
            sent_to: None,
            consents: true,
            requests: 0,
            problems: Vec::new(),
        }
    }

    /// The same at another time, in seconds since the Unix epoch.
    pub(super) fn at(mut self, now: u64) -> Self {
        self.now = now;
        self
    }

    /// Whether a person took part.
    pub(super) fn has_person(&self) -> bool {
        self.sent_to.is_some() || !self.prompts.is_empty()
    }

    /// Holds a proof key against the challenge that the person took along (RFC 7636 section 4.6).
    pub(super) fn check_verifier(&mut self, verifier: Option<String>) {
        let Some(url) = &self.sent_to else { return };
        let parameter = |name: &str| url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value);
        let Some(challenge) = parameter("code_challenge") else { return };
        let plain = parameter("code_challenge_method").is_none_or(|method| method == "plain");
        let expected = verifier.map(|verifier| match plain {
            true => verifier,
            false => URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())),
        });
        match expected {
            None => self.problems.push("the token request has no code_verifier for its code_challenge".to_owned()),
            Some(expected) if expected != challenge => {
                self.problems.push("the code_verifier doesn't belong to the code_challenge".to_owned());
            }
            Some(_) => {}
        }
    }
}

#[async_trait]
impl World for Bench<'_> {
    fn moment(&mut self) -> Moment {
        let count = self.steps.len().to_be_bytes();
        Moment { now: self.now, entropy: Sha256::digest([b"kit".as_slice(), &count].concat()).into() }
    }

    async fn send(&mut self, request: &Request, setup: &Setup) -> (Option<RequestRecord>, Sent) {
        self.requests += 1;
        let mut secrets = setup.secrets.clone();
        self.keys.fill(request, &mut secrets);
        let prepared = match self.egress.prepare(request, &secrets, &[], &self.to, &Transport::default()) {
            Ok(prepared) => prepared,
            Err(refusal) => return (None, Sent::Refused(refusal.to_string())),
        };
        let record = prepared.record().clone();
        let sent = match self.egress.send(prepared).await {
            Ok(Answer { response, taken, .. }) => Sent::Answered(response, taken),
            Err(unsent) => Sent::Unanswered(unsent.into()),
        };
        (Some(record), sent)
    }

    async fn wait(&mut self, wait: &Wait) {
        self.now += u64::from(wait.seconds);
        self.waits.push(wait.seconds);
        self.prompts.extend(wait.prompt.clone());
    }

    async fn send_person(&mut self, url: &str) -> Result<Vec<(String, SecretString)>, String> {
        let url = Url::parse(url).map_err(|error| format!("it is sent to something that is no URL: {error}"))?;
        let parameter =
            |name: &str| url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
        if !self.to.contain(&url) {
            let known: Vec<&str> = self
                .description
                .fields
                .iter()
                .filter(|field| field.is_url())
                .map(|field| field.name.as_str())
                .collect();
            return Err(format!(
                "it is sent to {}, which is the origin of none of the URL fields ({})",
                url.origin().ascii_serialization(),
                known.join(", ")
            ));
        }
        if parameter("state").as_deref() != Some(RETURN_KEY) {
            return Err(
                "the URL has no `state` with the context's return-key, so nobody knows whom they come back for"
                    .to_owned(),
            );
        }
        if parameter("redirect_uri").as_deref().is_some_and(|back| back != CALLBACK) {
            return Err("the URL's `redirect_uri` isn't the context's callback-url".to_owned());
        }
        self.sent_to = Some(url);
        let pair = |name: &str, value: &str| (name.to_owned(), SecretString::from(value));
        Ok(match self.consents {
            true => vec![pair("code", CODE), pair("state", RETURN_KEY)],
            false => vec![pair("error", "access_denied"), pair("state", RETURN_KEY)],
        })
    }

    fn stepped(&mut self, step: &Stepped<'_>) {
        self.steps.push(StepCost { event: step.event.name(), cost: step.cost });
    }
}
