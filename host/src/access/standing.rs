//! What users and application tokens have in common: status, contact, profiles, allowed organizations.
//!
//! Whoever gives a standing to another may give no more than they have: no right, no organization beyond their own.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::AccessError;
use super::principal::Principal;
use super::profile::Profile;
use super::rights::Rights;
use crate::fault::{FaultCode, FieldFault};
use crate::name::Name;
use crate::organizations::Tree;
use crate::text::ProfileName;

/// The longest first name or name.
const NAME_LENGTH: usize = 128;
/// The longest mail address (RFC 5321 section 4.5.3.1.3, less its brackets).
const EMAIL_LENGTH: usize = 254;
/// Profiles, and allowed organizations, that one principal may have.
const MOST: usize = 100;

/// Whether a principal is let in at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is.
    #[default]
    Enabled,
    /// It isn't, and neither are its tokens.
    Disabled,
}

impl Status {
    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}

/// Who stands behind a principal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// A person's first name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// A person's or a team's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where to write to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The organization that the principal belongs to.
    #[serde(default = "default_organization")]
    pub organization: Name,
}

/// Status, contact, profiles and allowed organizations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Whether it is let in at all.
    #[serde(default)]
    pub status: Status,
    /// Who stands behind it.
    #[serde(default)]
    pub contact: Contact,
    /// Its profiles.
    pub profiles: Vec<ProfileName>,
    /// What limits what it sees; empty: nothing does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_organizations: Vec<Name>,
}

/// A change of a contact: left out, unset, or set.
#[derive(Clone, Debug, Default)]
pub struct ContactChange {
    /// The first name.
    pub first_name: Option<Option<String>>,
    /// The name.
    pub name: Option<Option<String>>,
    /// The mail address.
    pub email: Option<Option<String>>,
    /// The organization.
    pub organization: Option<String>,
}

/// A change of a standing, as it was written. What is left out stays.
#[derive(Clone, Debug, Default)]
pub struct StandingChange {
    /// Whether it is let in at all.
    pub status: Option<Status>,
    /// Who stands behind it.
    pub contact: ContactChange,
    /// Its profiles.
    pub profiles: Option<Vec<String>>,
    /// What limits what it sees.
    pub allowed_organizations: Option<Vec<String>>,
}

fn default_organization() -> Name {
    crate::organizations::default_name()
}

impl Default for Contact {
    fn default() -> Self {
        Self { first_name: None, name: None, email: None, organization: default_organization() }
    }
}

impl Contact {
    /// Applies a change of names and mail address; what is wrong with it is noted.
    pub(super) fn apply(&mut self, change: &ContactChange, faults: &mut Vec<FieldFault>) {
        for (field, place, given, most) in [
            ("contact.first_name", &mut self.first_name, &change.first_name, NAME_LENGTH),
            ("contact.name", &mut self.name, &change.name, NAME_LENGTH),
            ("contact.email", &mut self.email, &change.email, EMAIL_LENGTH),
        ] {
            let Some(given) = given else { continue };
            if let Some(text) = given
                && (text.trim().is_empty() || text.chars().count() > most || text.chars().any(char::is_control))
            {
                let message = format!("must be 1 to {most} characters without control characters");
                faults.push(FieldFault::new(field, FaultCode::Malformed, message));
            }
            place.clone_from(given);
        }
        // What is an address is decided by the mail server; this only finds what was put into the wrong member.
        if let Some(Some(email)) = &change.email
            && !email.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
        {
            faults.push(FieldFault::new("contact.email", FaultCode::Malformed, "is no mail address; it has no @"));
        }
    }
}

impl Standing {
    /// One with nothing in it.
    pub(super) fn new() -> Self {
        Self {
            status: Status::Enabled,
            contact: Contact::default(),
            profiles: Vec::new(),
            allowed_organizations: Vec::new(),
        }
    }

    /// Every organization that it names.
    pub(super) fn organizations(&self) -> BTreeSet<&Name> {
        self.allowed_organizations.iter().chain([&self.contact.organization]).collect()
    }

    /// Applies a change; what is wrong with it is noted.
    pub(super) fn apply(&mut self, change: &StandingChange, tree: &Tree, faults: &mut Vec<FieldFault>) {
        self.status = change.status.unwrap_or(self.status);
        let contact = &change.contact;
        self.contact.apply(contact, faults);
        if let Some(given) = &contact.organization {
            let found = parse("contact.organization", given, faults);
            if let Some(organization) = found.filter(|name| exists(tree, "contact.organization", name, faults)) {
                self.contact.organization = organization;
            }
        }
        if let Some(given) = &change.profiles {
            self.profiles = parse_all("profiles", given, faults);
        }
        if let Some(given) = &change.allowed_organizations {
            let mut found: Vec<Name> = parse_all("allowed_organizations", given, faults);
            found.retain(|name| exists(tree, "allowed_organizations", name, faults));
            self.allowed_organizations = found;
        }
    }

    /// Refuses to give more than the giver has.
    pub(super) fn check_giver(&self, profiles: &[Profile], by: &Principal, tree: &Tree) -> Result<(), AccessError> {
        let given = rights_of(profiles);
        if !by.rights().includes(given) {
            let missing: Vec<&str> =
                given.iter().filter(|right| !by.may(*right)).map(super::rights::Right::as_str).collect();
            return Err(AccessError::Forbidden(format!(
                "these profiles give rights that you don't have yourself: {}",
                missing.join(", ")
            )));
        }
        let Some(reach) = by.reach() else { return Ok(()) };
        let beyond = self.allowed_organizations.is_empty()
            || !tree.expand(&self.allowed_organizations).is_subset(reach)
            || !reach.contains(&self.contact.organization);
        if beyond {
            return Err(AccessError::Forbidden(
                "name allowed organizations, and an organization of the contact, that are among your own".to_owned(),
            ));
        }
        Ok(())
    }
}

/// All rights that these profiles give on anything.
pub(super) fn rights_of(profiles: &[Profile]) -> Rights {
    profiles.iter().fold(Rights::NONE, |set, profile| {
        let granted = profile.grants.iter().flat_map(|grant| grant.rights.iter().copied()).collect();
        set.union(profile.rights).union(granted)
    })
}

fn exists(tree: &Tree, field: &str, name: &Name, faults: &mut Vec<FieldFault>) -> bool {
    let exists = tree.contains(name);
    if !exists {
        faults.push(FieldFault::new(field, FaultCode::Unknown, format!("there is no organization {name}")));
    }
    exists
}

/// Reads one text.
pub(super) fn parse<T: FromStr<Err: Display>>(field: &str, text: &str, faults: &mut Vec<FieldFault>) -> Option<T> {
    let parsed = text.parse::<T>();
    parsed.inspect_err(|error| faults.push(FieldFault::new(field, FaultCode::Malformed, error.to_string()))).ok()
}

/// Reads a list of texts, each once.
pub(super) fn parse_all<T>(field: &str, texts: &[String], faults: &mut Vec<FieldFault>) -> Vec<T>
where
    T: FromStr<Err: Display> + PartialEq,
{
    if texts.len() > MOST {
        let message = format!("has {} items; at most {MOST} are allowed", texts.len());
        faults.push(FieldFault::new(field, FaultCode::Malformed, message));
        return Vec::new();
    }
    let mut all = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        if let Some(one) = parse(&format!("{field}[{index}]"), text, faults)
            && !all.contains(&one)
        {
            all.push(one);
        }
    }
    all
}
