//! What a webhook is: where events go, which ones, and the secrets that sign them. Sends nothing.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use super::delivery::Progress;
use crate::fault::{FaultCode, FieldFault};
use crate::name::{Name, NameError};
use crate::notices::{Event, Kind};
use crate::organizations::Tree;
use crate::seal::{Keyring, SealError, Sealed, Sealing, Visit, bound_to};
use crate::store::Revision;
use crate::store::table::Table;

/// Webhooks by name.
pub(super) const WEBHOOKS: Table<WebhookRecord> = Table::new("webhook");
/// How far each is.
pub(super) const PROGRESS: Table<Progress> = Table::new("webhook-progress");

/// Names in one list of a filter at most.
const MOST_NAMES: usize = 1_000;
/// Characters of a URL at most.
const MOST_URL: usize = 2_000;

/// A webhook.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Its name.
    pub name: Name,
    /// Where events go.
    pub url: Url,
    /// Which ones.
    pub wants: Wants,
    /// Whether they do; and if not, since when and why.
    pub disabled: Option<Disabled>,
    /// When the secret before this one stops being used, too.
    pub former_until: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// Its record's revision.
    pub revision: Revision,
    /// What signs, the present one first.
    pub(super) secrets: Vec<SecretString>,
}

/// Which events a webhook wants. Empty lists want all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wants {
    /// Of these kinds.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub kinds: BTreeSet<Kind>,
    /// About these integrations.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub integrations: BTreeSet<Name>,
    /// About what belongs to these organizations, or to one that is part of them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub organizations: BTreeSet<Name>,
}

impl Wants {
    /// Whether it wants this one. That a webhook was disabled goes to the others that want it.
    pub(super) fn include(&self, event: &Event, tree: &Tree) -> bool {
        let of_kind = self.kinds.is_empty() || self.kinds.contains(&event.kind);
        let about = self.integrations.is_empty()
            || event.integration.as_ref().is_some_and(|integration| self.integrations.contains(integration));
        let within = self.organizations.is_empty()
            || event
                .organization
                .as_ref()
                .is_some_and(|organization| tree.is_within(organization, &self.organizations));
        of_kind && about && within
    }
}

/// That nothing is delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    /// Since when.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: String,
}

/// A webhook at rest; its name is the key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WebhookRecord {
    url: Url,
    #[serde(flatten)]
    wants: Wants,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled: Option<Disabled>,
    /// Sealed.
    secret: Sealed,
    /// The secret before, sealed, and until when it signs, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    former: Option<(Sealed, DateTime<Utc>)>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl WebhookRecord {
    /// The record of a webhook.
    pub(super) fn seal(webhook: &Webhook, keyring: &Keyring) -> Result<Self, SealError> {
        let key = WEBHOOKS.key(&[webhook.name.as_str()]);
        let seal = |secret: &SecretString, field| keyring.seal_text(&bound_to(&key, field), secret);
        let mut secrets = webhook.secrets.iter();
        let secret = secrets.next().ok_or(SealError::Malformed("a webhook has no secret"))?;
        let former = match (secrets.next(), webhook.former_until) {
            (Some(former), Some(until)) => Some((seal(former, "former")?, until)),
            _ => None,
        };
        Ok(Self {
            url: webhook.url.clone(),
            wants: webhook.wants.clone(),
            disabled: webhook.disabled.clone(),
            secret: seal(secret, "secret")?,
            former,
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
        })
    }

    /// The webhook of a record.
    pub(super) fn open(self, name: Name, revision: Revision, keyring: &Keyring) -> Result<Webhook, SealError> {
        let key = WEBHOOKS.key(&[name.as_str()]);
        let mut secrets = vec![keyring.open_text(&bound_to(&key, "secret"), &self.secret)?];
        let former_until = self.former.as_ref().map(|(_, until)| *until);
        if let Some((former, _)) = &self.former {
            secrets.push(keyring.open_text(&bound_to(&key, "former"), former)?);
        }
        Ok(Webhook {
            name,
            url: self.url,
            wants: self.wants,
            disabled: self.disabled,
            former_until,
            created_at: self.created_at,
            updated_at: self.updated_at,
            revision,
            secrets,
        })
    }
}

impl Sealing for WebhookRecord {
    fn each_sealed(&mut self, key: &[String], visit: &mut Visit<'_>) -> Result<(), SealError> {
        let parts: Vec<&str> = key.iter().map(String::as_str).collect();
        let key = WEBHOOKS.key(&parts);
        visit(&bound_to(&key, "secret"), &mut self.secret)?;
        match &mut self.former {
            Some((former, _)) => visit(&bound_to(&key, "former"), former),
            None => Ok(()),
        }
    }
}

/// What of a webhook is to change, or what a new one is to be. What is left out stays.
#[derive(Clone, Debug, Default)]
pub struct WebhookChange {
    /// Where events go.
    pub url: Option<String>,
    /// Names of kinds.
    pub kinds: Option<Vec<String>>,
    /// Names of integrations.
    pub integrations: Option<Vec<String>>,
    /// Names of organizations.
    pub organizations: Option<Vec<String>>,
    /// Whether events are delivered.
    pub enabled: Option<bool>,
    /// The revision that it must have.
    pub expected: Option<Revision>,
}

impl WebhookChange {
    /// Applies the lists.
    pub(super) fn apply_wants(&self, wants: &mut Wants, tree: &Tree, faults: &mut Vec<FieldFault>) {
        if let Some(kinds) = &self.kinds {
            wants.kinds.clear();
            for kind in kinds {
                match Kind::of_name(kind).filter(|kind| *kind != Kind::WebhookTest) {
                    Some(kind) => drop(wants.kinds.insert(kind)),
                    None => {
                        let known: Vec<&str> = Kind::ALL.iter().map(|(kind, _)| kind.as_str()).collect();
                        let message = format!("there is no such kind; there are {}", known.join(", "));
                        faults.push(FieldFault::new("kinds", FaultCode::Unknown, message));
                    }
                }
            }
        }
        if let Some(given) = &self.integrations {
            wants.integrations = names("integrations", given, faults);
        }
        if let Some(given) = &self.organizations {
            wants.organizations = names("organizations", given, faults);
            for missing in wants.organizations.iter().filter(|organization| !tree.contains(organization)) {
                let message = format!("there is no organization {missing}; `tokenhost organization list` lists them");
                faults.push(FieldFault::new("organizations", FaultCode::Unknown, message));
            }
        }
    }

    /// Reads the URL, which the caller holds against the policy of what may be dialled.
    pub(super) fn read_url(&self, faults: &mut Vec<FieldFault>) -> Option<Url> {
        let given = self.url.as_deref()?;
        let url =
            Some(given.trim()).filter(|given| given.chars().count() <= MOST_URL).and_then(|url| Url::parse(url).ok());
        if url.is_none() {
            let message = format!(
                "is no absolute URL of at most {MOST_URL} characters, e.g. https://ops.example/hooks/tokenhost"
            );
            faults.push(FieldFault::new("url", FaultCode::Malformed, message));
        }
        url
    }
}

/// Reads a list of names.
fn names(field: &str, given: &[String], faults: &mut Vec<FieldFault>) -> BTreeSet<Name> {
    if given.len() > MOST_NAMES {
        faults.push(FieldFault::new(field, FaultCode::NotAllowed, format!("has more than {MOST_NAMES} names")));
        return BTreeSet::new();
    }
    let mut malformed =
        |error: &NameError| faults.push(FieldFault::new(field, FaultCode::Malformed, error.to_string()));
    given.iter().filter_map(|name| name.parse().inspect_err(&mut malformed).ok()).collect()
}
