//! How an integration's service is called, as clients send and see it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::integrations;

/// How an integration's service is called. What is left out has its default.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::api) struct CallSettings {
    /// Sets of security schemes, the best first: where an operation may be called with one of these, it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    prefer: Vec<Vec<String>>,
    /// Which scopes a token for an operation has.
    scopes: ScopePolicy,
    /// What means that the service refused a token.
    refused: RefusalSigns,
    /// Seconds until the head of the service's answer.
    timeout: u64,
    /// The most calls under way at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<u32>,
    /// The most calls in a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<Rate>,
    /// When the service is given a rest.
    breaker: Breaker,
}

/// Which scopes a token for an operation has.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ScopePolicy {
    /// The integration's: one token for all operations.
    Integration,
    /// Those that the operation's requirement lists: a token for each set.
    Operation,
}

/// What means that a service refused a token. Any of them suffices.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct RefusalSigns {
    /// Statuses; 401 where left out.
    statuses: Vec<u16>,
    /// A header.
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<HeaderSign>,
    /// A member of a JSON answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<PointerSign>,
}

/// A header that means a refusal.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HeaderSign {
    /// Its name.
    name: String,
    /// What its value contains; left out: that it is there suffices.
    #[serde(skip_serializing_if = "Option::is_none")]
    contains: Option<String>,
}

/// A member of a JSON answer that means a refusal.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PointerSign {
    /// Where it is (RFC 6901).
    pointer: String,
    /// What it is; left out: that it is there, and neither null nor false, suffices.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
}

/// So many calls in a time.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rate {
    /// How many.
    requests: u32,
    /// In how many seconds.
    seconds: u64,
}

/// When a service that fails is given a rest.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct Breaker {
    /// After so many failures in a row; 0: never.
    failures: u32,
    /// For so many seconds; then one call tries.
    seconds: u64,
}

impl Default for CallSettings {
    fn default() -> Self {
        integrations::CallSettings::default().into()
    }
}

impl Default for RefusalSigns {
    fn default() -> Self {
        integrations::RefusalSigns::default().into()
    }
}

impl Default for Breaker {
    fn default() -> Self {
        integrations::Breaker::default().into()
    }
}

impl From<CallSettings> for integrations::CallSettings {
    fn from(settings: CallSettings) -> Self {
        Self {
            prefer: settings.prefer,
            scopes: match settings.scopes {
                ScopePolicy::Integration => integrations::ScopePolicy::Integration,
                ScopePolicy::Operation => integrations::ScopePolicy::Operation,
            },
            refused: integrations::RefusalSigns {
                statuses: settings.refused.statuses,
                header: (settings.refused.header)
                    .map(|HeaderSign { name, contains }| integrations::HeaderSign { name, contains }),
                pointer: (settings.refused.pointer)
                    .map(|PointerSign { pointer, value }| integrations::PointerSign { pointer, value }),
            },
            timeout: settings.timeout,
            concurrency: settings.concurrency,
            rate: settings.rate.map(|Rate { requests, seconds }| integrations::Rate { requests, seconds }),
            breaker: integrations::Breaker { failures: settings.breaker.failures, seconds: settings.breaker.seconds },
        }
    }
}

impl From<integrations::CallSettings> for CallSettings {
    fn from(settings: integrations::CallSettings) -> Self {
        Self {
            prefer: settings.prefer,
            scopes: match settings.scopes {
                integrations::ScopePolicy::Integration => ScopePolicy::Integration,
                integrations::ScopePolicy::Operation => ScopePolicy::Operation,
            },
            refused: settings.refused.into(),
            timeout: settings.timeout,
            concurrency: settings.concurrency,
            rate: settings.rate.map(|integrations::Rate { requests, seconds }| Rate { requests, seconds }),
            breaker: settings.breaker.into(),
        }
    }
}

impl From<integrations::RefusalSigns> for RefusalSigns {
    fn from(signs: integrations::RefusalSigns) -> Self {
        Self {
            statuses: signs.statuses,
            header: signs.header.map(|integrations::HeaderSign { name, contains }| HeaderSign { name, contains }),
            pointer: signs.pointer.map(|integrations::PointerSign { pointer, value }| PointerSign { pointer, value }),
        }
    }
}

impl From<integrations::Breaker> for Breaker {
    fn from(breaker: integrations::Breaker) -> Self {
        Self { failures: breaker.failures, seconds: breaker.seconds }
    }
}
