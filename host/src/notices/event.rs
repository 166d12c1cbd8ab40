//! What an event is, and the kinds there are. Decides nothing about when one happens.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::name::Name;

/// Declares the kinds: documentation, variant, stable name, severity.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident $name:literal $severity:ident;)+) => {
        /// What happened. Names are stable; further ones may follow.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Kind {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)+
        }

        impl Kind {
            /// All kinds, and what each means.
            pub const ALL: &[(Self, &str)] = &[$((Self::$variant, concat!($($doc),+)),)+];

            /// Its stable name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// How bad it is, where nothing else is said.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)+ }
            }
        }
    };
}

kinds! {
    /// A new token was got, and the one before had been got without trouble.
    TokenRenewed "token.renewed" Info;
    /// Getting a token failed for the first time since it last worked, or again after 5, 20, 100, 200, … failures in a row.
    RenewalFailing "token.renewal_failing" Warning;
    /// A new token was got after failures, or after a person was needed.
    TokenRecovered "token.recovered" Info;
    /// A token is about to end, and can't be renewed without somebody's doing something.
    TokenExpiring "token.expiring" Warning;
    /// There is no token that works, and only a person can bring one.
    PersonNeeded "token.person_needed" Error;
    /// A flow misbehaved and isn't run any more.
    FlowQuarantined "flow.quarantined" Error;
    /// A personal token is about to end.
    PersonalTokenExpiring "personal_token.expiring" Warning;
    /// Calls to a service fail again and again, and aren't made for a while.
    ServiceUnavailable "service.unavailable" Error;
    /// Calls to a service work again.
    ServiceRecovered "service.recovered" Info;
    /// A webhook failed for so long that nothing is delivered to it any more.
    WebhookDisabled "webhook.disabled" Error;
    /// A data key, the master key or the pepper was rotated, or a rotation was ended.
    KeyRotated "key.rotated" Info;
    /// A scheduled backup couldn't be made.
    BackupFailed "backup.failed" Error;
    /// Somebody tests a webhook. Delivered to that one only, and kept nowhere.
    WebhookTest "webhook.test" Info;
}

impl Kind {
    /// The kind of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().map(|(kind, _)| *kind).find(|kind| kind.as_str() == name)
    }

    /// Whether it happens all the time where everything is well. Such events are kept apart, so that they displace no other.
    pub const fn is_routine(self) -> bool {
        matches!(self, Self::TokenRenewed)
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something will stop working unless it is looked at.
    Warning,
    /// Something doesn't work.
    Error,
}

impl Severity {
    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that happened. What doesn't concern it is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its id; those of later events are greater.
    pub id: Ulid,
    /// When it was told.
    pub at: DateTime<Utc>,
    /// What happened.
    pub kind: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// The organization of what it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<Name>,
    /// The integration that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration: Option<Name>,
    /// The flow that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<String>,
    /// The public id of the personal token that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personal_token: Option<String>,
    /// The login of the user that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The webhook that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Name>,
    /// The scopes of the token, where they aren't the integration's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<String>,
    /// The generation of the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// What happened, for people; cleaned of secrets by who told it.
    pub message: String,
    /// What to do about it; empty where there is nothing to be done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_one_name_each_in_memory_and_at_rest() {
        for (kind, meaning) in Kind::ALL {
            assert_eq!(Kind::of_name(kind.as_str()), Some(*kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert!(meaning.trim().ends_with('.'), "{meaning}");
        }
        assert_eq!(Kind::of_name("token"), None);
    }
}
