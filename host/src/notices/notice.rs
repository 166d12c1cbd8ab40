//! What a room tells: an event to be, without its id and time, and whether it is to be told once only.

use chrono::{DateTime, Utc};
use ulid::Ulid;

use super::event::{Event, Kind, Severity};
use crate::name::Name;

/// Characters of a message or remedy at most.
const MOST: usize = 1000;

/// An event to be.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The event, whose id and time are still to be set.
    pub(super) event: Event,
    /// Where it is told once.
    pub(super) once: Option<Once>,
}

/// Which notices are the same.
#[derive(Clone, Debug)]
pub(super) struct Once {
    /// What it is about.
    pub(super) about: String,
    /// What of it. The last mark is remembered for each `about`.
    pub(super) mark: String,
    /// Until when that is remembered.
    pub(super) until: DateTime<Utc>,
}

impl Notice {
    /// A notice. The message has been cleaned of secrets.
    pub fn new(kind: Kind, message: impl AsRef<str>) -> Self {
        let event = Event {
            id: Ulid::nil(),
            at: DateTime::UNIX_EPOCH,
            kind,
            severity: kind.severity(),
            organization: None,
            integration: None,
            flow: None,
            personal_token: None,
            user: None,
            webhook: None,
            scopes: None,
            generation: None,
            message: cut(message.as_ref()),
            remedy: String::new(),
        };
        Self { event, once: None }
    }

    /// Calls to an integration's service fail again and again, and aren't made until `retry_at`.
    pub fn service_unavailable(integration: &Name, organization: &Name, message: &str) -> Self {
        Self::new(Kind::ServiceUnavailable, message)
            .on(integration, organization)
            .remedy(format!("tokenhost integration show {integration}"))
    }

    /// Calls to an integration's service work again.
    pub fn service_recovered(integration: &Name, organization: &Name) -> Self {
        Self::new(Kind::ServiceRecovered, format!("calls to the service of {integration} work again"))
            .on(integration, organization)
    }

    /// About an integration of an organization.
    #[must_use]
    pub fn on(mut self, integration: &Name, organization: &Name) -> Self {
        self.event.integration = Some(integration.clone());
        self.event.organization = Some(organization.clone());
        self
    }

    /// About a token of this generation, with these scopes where they aren't the integration's own.
    #[must_use]
    pub fn token(mut self, generation: u64, scopes: Option<&str>) -> Self {
        self.event.generation = Some(generation);
        self.event.scopes = scopes.map(str::to_owned);
        self
    }

    /// About a flow.
    #[must_use]
    pub fn flow(mut self, flow: impl Into<String>) -> Self {
        self.event.flow = Some(flow.into());
        self
    }

    /// About a webhook.
    #[must_use]
    pub fn webhook(mut self, webhook: &Name) -> Self {
        self.event.webhook = Some(webhook.clone());
        self
    }

    /// About a personal token, by its public id, of a user who belongs to an organization.
    #[must_use]
    pub fn personal_token(mut self, id: &str, user: &str, organization: Option<&Name>) -> Self {
        self.event.personal_token = Some(id.to_owned());
        self.event.user = Some(user.to_owned());
        self.event.organization = organization.cloned();
        self
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl AsRef<str>) -> Self {
        self.event.remedy = cut(remedy.as_ref());
        self
    }

    /// How bad it is, where that isn't what the kind says.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.event.severity = severity;
        self
    }

    /// To be told once for each mark of what it is about, which is remembered until then.
    #[must_use]
    pub fn once(mut self, about: impl Into<String>, mark: impl Into<String>, until: DateTime<Utc>) -> Self {
        self.once = Some(Once { about: about.into(), mark: mark.into(), until });
        self
    }

    /// The event, told now under this id.
    pub(crate) fn into_event(self, id: Ulid, at: DateTime<Utc>) -> Event {
        Event { id, at, ..self.event }
    }
}

/// At most so many characters, on one line.
fn cut(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = text.chars().take(MOST).map(plain).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
