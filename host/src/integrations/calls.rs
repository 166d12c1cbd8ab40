//! How an integration's service is called: which credentials, what a refusal looks like, and the limits.
//!
//! It holds settings and checks them; `calls` acts on them.

use serde::{Deserialize, Serialize};

use super::error::{FaultCode, FieldFault};

/// The longest that a call may wait for the head of its answer, in seconds.
const MAX_TIMEOUT: u64 = 3600;
/// The most calls at once, and in a period.
const MAX_CALLS: u32 = 1_000_000;
/// The longest period of a rate, and the longest that a breaker stays open, in seconds.
const MAX_PERIOD: u64 = 86_400;
/// Alternatives that may be preferred, schemes in each, and statuses that mean a refusal.
const MAX_LISTED: usize = 64;

/// How an integration's service is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallSettings {
    /// Sets of scheme names, the best first: where an operation may be called with one of these, it is. Else the first
    /// alternative of the document that the integration can serve.
    pub prefer: Vec<Vec<String>>,
    /// Which scopes a token for an operation has.
    pub scopes: ScopePolicy,
    /// What means that the service refused a token.
    pub refused: RefusalSigns,
    /// Seconds until the head of the service's answer.
    pub timeout: u64,
    /// The most calls under way at once; none: no limit of its own.
    pub concurrency: Option<u32>,
    /// The most calls in a time; none: no limit.
    pub rate: Option<Rate>,
    /// When the service is given a rest.
    pub breaker: Breaker,
}

impl Default for CallSettings {
    fn default() -> Self {
        Self {
            prefer: Vec::new(),
            scopes: ScopePolicy::default(),
            refused: RefusalSigns::default(),
            timeout: 60,
            concurrency: None,
            rate: None,
            breaker: Breaker::default(),
        }
    }
}

/// Which scopes a token for an operation has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopePolicy {
    /// The integration's: one token for all operations.
    #[default]
    Integration,
    /// Those that the operation's requirement lists, and no others: a token for each set.
    Operation,
}

/// What means that a service refused a token. Any of them suffices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RefusalSigns {
    /// Statuses.
    pub statuses: Vec<u16>,
    /// A header.
    pub header: Option<HeaderSign>,
    /// A member of a JSON answer, whatever its status.
    pub pointer: Option<PointerSign>,
}

impl Default for RefusalSigns {
    fn default() -> Self {
        Self { statuses: vec![401], header: None, pointer: None }
    }
}

/// A header that means a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderSign {
    /// Its name.
    pub name: String,
    /// What its value contains; none: that it is there suffices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
}

/// A member of a JSON answer that means a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointerSign {
    /// Where it is (RFC 6901).
    pub pointer: String,
    /// What it is; none: that it is there, and not null or false, suffices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
}

/// So many calls in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How many.
    pub requests: u32,
    /// In how many seconds.
    pub seconds: u64,
}

/// When a service that fails is given a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Breaker {
    /// After so many failures in a row; 0: never.
    pub failures: u32,
    /// For so many seconds; then one call tries.
    pub seconds: u64,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures: 5, seconds: 30 }
    }
}

impl CallSettings {
    /// Whether nothing is set.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What is wrong with them, each by its field.
    pub(super) fn faults(&self) -> Vec<FieldFault> {
        let mut faults = Vec::new();
        let mut hold = |holds: bool, field: &str, message: String| {
            if !holds {
                faults.push(FieldFault::new(format!("settings.calls.{field}"), FaultCode::Malformed, message));
            }
        };
        let is_listed = self.prefer.len() <= MAX_LISTED && self.prefer.iter().all(|set| set.len() <= MAX_LISTED);
        hold(is_listed, "prefer", format!("has too many; at most {MAX_LISTED} sets of {MAX_LISTED} schemes are kept"));
        hold(
            (1..=MAX_TIMEOUT).contains(&self.timeout),
            "timeout",
            format!("is {} s; 1 to {MAX_TIMEOUT} is wanted", self.timeout),
        );
        let calls = 1..=MAX_CALLS;
        if let Some(at_once) = self.concurrency {
            hold(calls.contains(&at_once), "concurrency", format!("is {at_once}; 1 to {MAX_CALLS} is wanted"));
        }
        if let Some(rate) = self.rate {
            let Rate { requests, seconds } = rate;
            hold(calls.contains(&requests), "rate.requests", format!("is {requests}; 1 to {MAX_CALLS} is wanted"));
            let in_range = (1..=MAX_PERIOD).contains(&seconds);
            hold(in_range, "rate.seconds", format!("is {seconds}; 1 to {MAX_PERIOD} is wanted"));
        }
        let rest = self.breaker.seconds;
        hold((1..=MAX_PERIOD).contains(&rest), "breaker.seconds", format!("is {rest}; 1 to {MAX_PERIOD} is wanted"));
        let signs = &self.refused;
        let are_statuses =
            signs.statuses.len() <= MAX_LISTED && signs.statuses.iter().all(|status| (200..600).contains(status));
        hold(are_statuses, "refused.statuses", "holds something other than statuses from 200 to 599".to_owned());
        if let Some(sign) = &signs.header {
            let is_name = http::HeaderName::from_bytes(sign.name.as_bytes()).is_ok();
            hold(is_name, "refused.header.name", "is no header's name".to_owned());
        }
        if let Some(sign) = &signs.pointer {
            let is_pointer = sign.pointer.is_empty() || sign.pointer.starts_with('/');
            let message = "is no JSON pointer (RFC 6901), such as /error/code".to_owned();
            hold(is_pointer && sign.pointer.len() <= 256, "refused.pointer.pointer", message);
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_by_field_and_all_at_once() {
        let fields = |settings: &CallSettings| {
            settings.faults().into_iter().map(|fault| fault.field).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(fields(&CallSettings::default()), "");
        let settings: CallSettings = serde_json::from_str(
            r#"{"timeout":0,"concurrency":0,"rate":{"requests":0,"seconds":0},"breaker":{"failures":0,"seconds":0},
                "refused":{"statuses":[99],"header":{"name":"a b"},"pointer":{"pointer":"error"}}}"#,
        )
        .unwrap();
        assert_eq!(
            fields(&settings).replace("settings.calls.", ""),
            "timeout concurrency rate.requests rate.seconds breaker.seconds refused.statuses refused.header.name \
             refused.pointer.pointer"
        );
    }

    #[test]
    fn records_from_before_have_the_defaults() {
        assert_eq!(serde_json::from_str::<CallSettings>("{}").unwrap(), CallSettings::default());
        assert_eq!(serde_json::from_str::<Breaker>("{}").unwrap(), Breaker::default());
    }
}
