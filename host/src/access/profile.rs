//! Profiles: named sets of rights. Some ship and never change; operators add more.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::operations::OperationPattern;
use super::rights::{Right, Rights};
use crate::name::Name;
use crate::store::Revision;
use crate::store::table::Table;
use crate::text::ProfileName;

/// Profiles that operators added, by name.
pub(super) const PROFILES: Table<ProfileRecord> = Table::new("profile");

/// The profile that has every right.
pub const ADMINISTRATOR: &str = "Administrator";
/// The profile that opens REST services where these are secured. It gives no right by itself.
pub const REST_SERVICES_USER: &str = "REST Services User";

/// A named set of rights.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its name.
    pub name: ProfileName,
    /// What it is for.
    pub description: String,
    /// Rights on everything that the principal's organizations hold.
    pub rights: Rights,
    /// Rights on some things only.
    pub grants: Vec<Grant>,
    /// Whether it ships, and so never changes.
    pub shipped: bool,
    /// When it was last changed; none where it ships.
    pub updated_at: Option<DateTime<Utc>>,
    /// Its record's revision.
    pub revision: Revision,
}

/// Rights on the integrations of some organizations (and of those below them), or on some integrations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Which rights.
    pub rights: Vec<Right>,
    /// On all that these organizations hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub organizations: Vec<Name>,
    /// On these integrations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub integrations: Vec<Name>,
    /// Only to call these operations of theirs; none: no such limit. Goes with `use_tokens` alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<OperationPattern>,
}

/// A profile at rest; its name is the key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ProfileRecord {
    pub(super) description: String,
    pub(super) rights: Vec<Right>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) grants: Vec<Grant>,
    pub(super) updated_at: DateTime<Utc>,
}

impl Profile {
    /// A profile out of its record.
    pub(super) fn of(name: ProfileName, record: ProfileRecord, revision: Revision) -> Self {
        Self {
            name,
            description: record.description,
            rights: record.rights.into_iter().collect(),
            grants: record.grants,
            shipped: false,
            updated_at: Some(record.updated_at),
            revision,
        }
    }
}

/// The shipped profile of this name.
pub(super) fn shipped(name: &str) -> Option<Profile> {
    all_shipped().find(|profile| profile.name.as_str() == name)
}

/// Whether a profile of this name ships.
pub fn is_shipped_profile(name: &str) -> bool {
    shipped(name).is_some()
}

/// The profiles that ship.
pub(super) fn all_shipped() -> impl Iterator<Item = Profile> {
    use Right::{
        FetchModels, ReadAudit, ReadFlows, ReadIntegrations, ReadModels, ReadPrincipals, ReadTokenValues, UseTokens,
        WriteIntegrations, WriteModels,
    };
    let profiles: [(&str, &str, Rights); 5] = [
        (ADMINISTRATOR, "Everything, REST services included.", Rights::all()),
        (
            "Configuration Manager",
            "Models and integrations: to see, make, change, test and renew them; not to read a token's value.",
            [ReadModels, WriteModels, FetchModels, ReadIntegrations, WriteIntegrations, UseTokens, ReadFlows]
                .into_iter()
                .collect(),
        ),
        (
            "Integration User",
            "To use integrations: to see them, to read and renew their tokens.",
            [ReadModels, ReadIntegrations, UseTokens, ReadTokenValues, ReadFlows].into_iter().collect(),
        ),
        (REST_SERVICES_USER, "Opens REST services where these are secured; gives no right by itself.", Rights::NONE),
        (
            "Auditor",
            "To see everything but tokens and secrets, and the audit log.",
            [ReadModels, ReadIntegrations, ReadFlows, ReadPrincipals, ReadAudit].into_iter().collect(),
        ),
    ];
    profiles.into_iter().filter_map(|(name, description, rights)| {
        Some(Profile {
            name: name.parse().ok()?,
            description: description.to_owned(),
            rights,
            grants: Vec::new(),
            shipped: true,
            updated_at: None,
            revision: 0,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_profiles_ship() {
        let names: Vec<String> = all_shipped().map(|profile| profile.name.to_string()).collect();
        assert_eq!(
            names,
            ["Administrator", "Configuration Manager", "Integration User", "REST Services User", "Auditor"]
        );
        assert_eq!(shipped("administrator").map(|profile| profile.rights), None);
        let only_administrators = [Right::SetProxy, Right::ManageFlows, Right::ManagePrincipals, Right::VerifyTokens];
        for profile in all_shipped() {
            let is_administrator = profile.name.as_str() == ADMINISTRATOR;
            assert!(only_administrators.iter().all(|right| profile.rights.contains(*right) == is_administrator));
        }
    }
}
