//! What is special to an attempt in which a person takes part: sending them away, telling what they have to do, waiting for
//! as long as that may take, and what they come back with.
//!
//! It doesn't know how a person is reached; `connect` does.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use ulid::Ulid;

use super::super::failure::Ended;
use super::super::journal::{Held, PersonRecord, Stage, StepStory, bound_to};
use super::Attempt;
use crate::egress::Pair;
use crate::flows::step::{Event, Prompt, Remedy, State};
use crate::seal::{Keyring, Sealed};
use crate::store::{Batch, StoreError};

/// How long a person may take in all, redirects and polling together.
const PATIENCE: TimeDelta = TimeDelta::minutes(30);
/// How long a person who was sent away may take to come back.
const AWAY: TimeDelta = TimeDelta::minutes(10);
/// Parameters of a return whose values are no secret (RFC 6749 section 4.1.2, RFC 9207 section 2).
const PLAIN: [&str; 5] = ["error", "error_description", "error_uri", "iss", "scope"];
/// Characters of a plain value that a record keeps.
const SHOWN: usize = 300;

/// What a person has to do.
#[derive(Debug)]
pub(in super::super) enum Ask {
    /// Open the page of this ticket, which leads on to the provider; until then.
    Open(SecretString, DateTime<Utc>),
    /// What the flow says; until then.
    Prompt(Prompt, DateTime<Utc>),
}

impl PersonRecord {
    /// Of an attempt that begins now.
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        Self { deadline: now + PATIENCE, asked: false, returns: 0, digests: Vec::new(), learned: Vec::new() }
    }
}

/// The digest under which something that a person brings is known. `kind`: what it is, so that one isn't taken for another.
pub(in super::super) fn digest(kind: &str, value: &str) -> String {
    hex::encode(Sha256::new().chain_update(kind).chain_update([0]).chain_update(value).finalize())
}

/// 256 random bits as text.
pub(in super::super) fn unguessable() -> SecretString {
    let mut bytes = zeroize::Zeroizing::new([0_u8; 32]);
    rand::fill(&mut *bytes);
    URL_SAFE_NO_PAD.encode(*bytes).into()
}

/// What a stage holds.
pub(in super::super) fn open_held(keyring: &Keyring, attempt: Ulid, held: &Sealed) -> Result<Held, Ended> {
    let text = keyring.open(&bound_to(attempt, "held"), held)?;
    Ok(serde_json::from_slice(&text).map_err(|error| StoreError::Storage(error.to_string()))?)
}

/// The same, sealed.
pub(in super::super) fn seal_held(keyring: &Keyring, attempt: Ulid, held: &Held) -> Result<Sealed, Ended> {
    let text = serde_json::to_vec(held)
        .map(zeroize::Zeroizing::new)
        .map_err(|error| StoreError::Storage(error.to_string()))?;
    Ok(keyring.seal(&bound_to(attempt, "held"), &text)?)
}

impl Attempt {
    /// Lets it be known what a person has to do next.
    pub(in super::super) fn ask(&mut self) -> oneshot::Receiver<Ask> {
        let (asking, asked) = oneshot::channel();
        self.asking = Some(asking);
        asked
    }

    /// What the provider is to echo where a person is sent away next. Nobody knows it where none takes part.
    pub(super) fn return_key(&self) -> Option<String> {
        let returns = self.record.person.as_ref().map_or(0, |person| person.returns).to_be_bytes();
        let key = Sha256::new().chain_update(self.seed).chain_update("return key").chain_update(returns).finalize();
        Some(URL_SAFE_NO_PAD.encode(key))
    }

    /// Whether a person was told what to do.
    pub(super) fn has_asked(&self) -> bool {
        self.record.person.as_ref().is_some_and(|person| person.asked)
    }

    /// Whether a person came back.
    pub(super) fn has_returned(&self) -> bool {
        self.record.person.as_ref().is_some_and(|person| person.returns > 0)
    }

    /// Whether something else took the place of what a person does here.
    pub(super) async fn is_superseded(&self) -> Result<bool, Ended> {
        if self.record.person.is_none() {
            return Ok(false);
        }
        let (token, _) = self.parts.ledger.token(&self.record.story.key, self.record.target).await?;
        Ok(token.connecting != Some(self.id()))
    }

    /// Sends the person to the provider: the attempt rests in the journal until they come back.
    pub(super) async fn send_away(&mut self, url: &str, state: &State) -> Ended {
        match self.try_send_away(url, state).await {
            Ok(until) => Ended::Away(until),
            Err(ended) => ended,
        }
    }

    async fn try_send_away(&mut self, url: &str, state: &State) -> Result<DateTime<Utc>, Ended> {
        let until = self.time_for_a_person().await?.min(self.parts.clock.now() + AWAY);
        match self.parts.egress.check_link(url, Some(&self.destinations)) {
            Ok(shown) => self.tell(|story| story.sent_to = Some(shown)),
            Err(problem) => {
                let message = format!("the person isn't sent to where the flow wants: {problem}");
                return Err(self
                    .fail("request_refused", &message, Remedy::Reconfigure, Some("authorization_url".to_owned()))
                    .await);
            }
        }
        let held = self.seal_held(&Held { url: Some(url.to_owned()), ..Held::notes(state) })?;
        let ticket = unguessable();
        let return_key = self.return_key().unwrap_or_default();
        if let Some(person) = &mut self.record.person {
            person.asked = true;
            person.digests = vec![digest("return", &return_key), digest("ticket", ticket.expose_secret())];
        }
        self.record.stage = Stage::Away { held, until, browser: None };
        self.parts.ledger.put(&self.record, Batch::synced()).await?;
        self.tell_asker(Some(Ask::Open(ticket, until)));
        Ok(until)
    }

    /// Until when a person may take part, if one does and there is time left.
    async fn time_for_a_person(&mut self) -> Result<DateTime<Utc>, Ended> {
        let Some(person) = &self.record.person else {
            return Err(self.person_needed("the flow needs a person to get a token").await);
        };
        let deadline = person.deadline;
        if self.parts.clock.now() >= deadline {
            return Err(self.expire().await);
        }
        Ok(deadline)
    }

    /// Ends since nobody did what there was to do.
    pub(in super::super) async fn expire(&mut self) -> Ended {
        let message = "nobody finished it in time; connect again";
        self.fail("expired", message, Remedy::Reconfigure, None).await
    }

    /// What the flow's prompt asks of a person. Without one, where a person takes part, only the time that is left is looked at.
    pub(super) async fn ask_of(&mut self, prompt: Option<Prompt>) -> Result<Option<Ask>, Ended> {
        if prompt.is_none() && self.record.person.is_none() {
            return Ok(None);
        }
        let deadline = self.time_for_a_person().await?;
        let Some(mut prompt) = prompt else { return Ok(None) };
        if let Some(url) = &prompt.url {
            match self.parts.egress.check_link(url, None) {
                Ok(shown) => self.tell(|story| story.sent_to = Some(shown)),
                Err(problem) => {
                    let message = format!("the page that a person is to open isn't safe: {problem}");
                    return Err(self.fail("request_refused", &message, Remedy::Reconfigure, None).await);
                }
            }
        }
        if let Some(person) = &mut self.record.person {
            person.asked = true;
        }
        prompt.message = self.cleaner.clean(&prompt.message);
        for text in [&mut prompt.url, &mut prompt.code].into_iter().flatten() {
            *text = self.cleaner.clean(text);
        }
        Ok(Some(Ask::Prompt(prompt, deadline)))
    }

    /// Tells whoever started the attempt what a person has to do; the first time only.
    pub(super) fn tell_asker(&mut self, ask: Option<Ask>) {
        if let Some(ask) = ask
            && let Some(asking) = self.asking.take()
        {
            // Whoever asked may have gone away; then the attempt waits for nothing, and ends at its deadline.
            drop(asking.send(ask));
        }
    }

    /// What the flow is told of a person's return.
    pub(super) fn event_of_return(&mut self, held: &Sealed) -> Result<Event, Ended> {
        let mut held = open_held(&self.parts.ledger.keyring, self.id(), held)?;
        let state = State::from(std::mem::take(&mut held.state));
        let query: Vec<(String, SecretString)> =
            std::mem::take(&mut held.query).into_iter().map(|(name, value)| (name, value.into())).collect();
        for (name, value) in &query {
            if !PLAIN.contains(&name.as_str()) && value.expose_secret().len() >= 8 {
                self.cleaner.add("returned", value);
            }
        }
        Ok(Event::Returned(state, query))
    }

    /// What people may see of a return: names, and values that can be no secret; of the others length and digest.
    pub(super) fn story_of_return(&self, query: &[(String, SecretString)]) -> Vec<Pair> {
        let shown = |(name, value): &(String, SecretString)| {
            let value = value.expose_secret();
            let value = match PLAIN.contains(&name.as_str()) {
                true => self.cleaner.clean(value).chars().take(SHOWN).collect(),
                false => {
                    let digest = hex::encode(Sha256::digest(value));
                    format!("[sensitive, {} bytes, sha256 {}]", value.len(), digest.get(..8).unwrap_or_default())
                }
            };
            Pair { name: self.cleaner.clean(name).chars().take(SHOWN).collect(), value }
        };
        query.iter().map(shown).collect()
    }

    /// Where a provider is asked again and again, the story keeps the last time, and how often it was.
    pub(super) fn fold_polls(&mut self) {
        let steps = &mut self.record.story.steps;
        let kind = |step: &StepStory| (step.event.clone(), step.step.clone());
        let Some(from) = steps.len().checked_sub(4) else { return };
        let is_repeated = match steps.get(from..) {
            Some([first, second, third, fourth]) => {
                first.event == "elapsed" && kind(first) == kind(third) && kind(second) == kind(fourth)
            }
            _ => false,
        };
        if is_repeated {
            let gone: Vec<StepStory> = steps.drain(from..from + 2).collect();
            for (kept, gone) in steps.iter_mut().skip(from).zip(gone) {
                kept.repeats = gone.repeats.saturating_add(1);
            }
        }
    }
}
