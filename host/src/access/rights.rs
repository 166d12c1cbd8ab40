//! What a principal may do. Which call needs which right is said where the call is served.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// To see integration models.
    ReadModels,
    /// To import, change and delete models given as a document.
    WriteModels,
    /// To have the daemon fetch a model from a URL, which makes it open a connection of the caller's choosing.
    FetchModels,
    /// To see integrations: fields, states and attempts, but no token and no secret.
    ReadIntegrations,
    /// To make, change and delete integrations, secrets included, and to enter a token by hand.
    WriteIntegrations,
    /// To set an integration's proxy, through which all its secrets then go.
    SetProxy,
    /// To use an integration's token without seeing it: renew, reject, authorize, call.
    UseTokens,
    /// To read a token's value.
    ReadTokenValues,
    /// To see flows.
    ReadFlows,
    /// To install, upgrade, roll back and remove flows, and to reveal secrets to them.
    ManageFlows,
    /// To see principals and inbound tokens, never their values.
    ReadPrincipals,
    /// To make, change and delete principals and inbound tokens.
    ManagePrincipals,
    /// To read the audit log and the exact reasons of refusals.
    ReadAudit,
    /// To see metrics and the daemon's state, and to rotate its keys.
    Operate,
    /// To have other principals' tokens verified: verify and introspect.
    VerifyTokens,
}

impl Right {
    /// All rights, in the order of their declaration.
    pub const ALL: [Self; 15] = [
        Self::ReadModels,
        Self::WriteModels,
        Self::FetchModels,
        Self::ReadIntegrations,
        Self::WriteIntegrations,
        Self::SetProxy,
        Self::UseTokens,
        Self::ReadTokenValues,
        Self::ReadFlows,
        Self::ManageFlows,
        Self::ReadPrincipals,
        Self::ManagePrincipals,
        Self::ReadAudit,
        Self::Operate,
        Self::VerifyTokens,
    ];

    /// Its stable name, e.g. `read_models`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadModels => "read_models",
            Self::WriteModels => "write_models",
            Self::FetchModels => "fetch_models",
            Self::ReadIntegrations => "read_integrations",
            Self::WriteIntegrations => "write_integrations",
            Self::SetProxy => "set_proxy",
            Self::UseTokens => "use_tokens",
            Self::ReadTokenValues => "read_token_values",
            Self::ReadFlows => "read_flows",
            Self::ManageFlows => "manage_flows",
            Self::ReadPrincipals => "read_principals",
            Self::ManagePrincipals => "manage_principals",
            Self::ReadAudit => "read_audit",
            Self::Operate => "operate",
            Self::VerifyTokens => "verify_tokens",
        }
    }

    /// What it lets one do, for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::ReadModels => "See integration models.",
            Self::WriteModels => "Import, change and delete models given as a document.",
            Self::FetchModels => {
                "Have the daemon fetch a model from a URL: it opens a connection of the caller's choosing."
            }
            Self::ReadIntegrations => "See integrations: fields, states and attempts, but no token and no secret.",
            Self::WriteIntegrations => {
                "Make, change and delete integrations, secrets included, and enter a token by hand."
            }
            Self::SetProxy => "Set an integration's proxy, through which all its secrets then go.",
            Self::UseTokens => "Use an integration's token without seeing it: renew, reject, call the service.",
            Self::ReadTokenValues => "Read a token's value.",
            Self::ReadFlows => "See flows.",
            Self::ManageFlows => "Install, upgrade, roll back and remove flows, and reveal secrets to them.",
            Self::ReadPrincipals => "See users, profiles, organizations and inbound tokens, never their values.",
            Self::ManagePrincipals => "Make, change and delete users, profiles, organizations and inbound tokens.",
            Self::ReadAudit => "Read the audit log and the exact reasons of refusals.",
            Self::Operate => "See metrics and the daemon's state, manage webhooks, and rotate keys.",
            Self::VerifyTokens => "Have other principals' tokens verified: verify and introspect.",
        }
    }

    /// The right of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.as_str() == name)
    }

    /// Its place in a set.
    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of rights.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Rights(u32);

impl Rights {
    /// No right.
    pub const NONE: Self = Self(0);

    /// Every right.
    pub fn all() -> Self {
        Right::ALL.into_iter().collect()
    }

    /// Whether the right is among them.
    pub const fn contains(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    /// Those of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of the other's are among them.
    pub const fn includes(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// The rights, in the order of their declaration.
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.contains(*right))
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().fold(0, |set, right| set | right.bit()))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_right_stands_for_itself() {
        for right in Right::ALL {
            let set: Rights = [right].into_iter().collect();
            assert_eq!(set.iter().collect::<Vec<_>>(), [right]);
            assert_eq!(serde_json::to_string(&right).unwrap(), format!("{:?}", right.as_str()));
            assert_eq!(Right::of_name(right.as_str()), Some(right));
        }
        assert_eq!(Rights::all().iter().count(), Right::ALL.len());
        assert_eq!(Right::VerifyTokens as usize, Right::ALL.len() - 1, "ALL lists every right");
    }
}
