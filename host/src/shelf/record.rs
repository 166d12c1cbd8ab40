//! What is kept of a flow that was installed, or about which an operator has decided something. One record for each name.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::flows::{Limit, Limits};
use crate::name::Name;
use crate::store::table::Table;

/// The records of flows, by name. One that ships has none until an operator decides something about it.
pub(super) const FLOWS: Table<FlowRecord> = Table::new("flow");

/// The publishers that the operator trusts, by name.
pub(super) const PUBLISHERS: Table<Publisher> = Table::new("publisher");

/// Components of one flow that are kept, the present one among them.
pub const KEPT: usize = 5;

/// What is kept of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowRecord {
    /// Its name.
    pub name: Name,
    /// The SHA-256 of the installed component that is served; none where only one that ships has this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<String>,
    /// The components that were installed, the last first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<Version>,
    /// Limits that aren't the engine's.
    #[serde(default)]
    pub limits: LimitChanges,
    /// Secrets that a component of it may read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
    /// Why it isn't run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Quarantine>,
    /// When something of this was decided last.
    pub decided_at: DateTime<Utc>,
}

impl FlowRecord {
    /// The record of a flow about which nothing was decided yet.
    pub(super) fn new(name: Name, now: DateTime<Utc>) -> Self {
        Self {
            name,
            present: None,
            versions: Vec::new(),
            limits: LimitChanges::default(),
            grants: Vec::new(),
            quarantine: None,
            decided_at: now,
        }
    }

    /// The installed component that is served.
    pub fn version(&self) -> Option<&Version> {
        let present = self.present.as_deref()?;
        self.versions.iter().find(|version| version.sha256 == present)
    }

    /// The component to go back to: the one of this digest, or the one that was installed before the present one.
    pub(super) fn forerunner(&self, to: Option<&str>) -> Option<&Version> {
        let present = self.versions.iter().position(|version| Some(&version.sha256) == self.present.as_ref())?;
        match to {
            Some(to) => self.versions.iter().find(|version| version.sha256.starts_with(to)),
            None => self.versions.get(present + 1),
        }
    }
}

/// A component that was installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Lower-case hexadecimal SHA-256: a file with another one isn't loaded.
    pub sha256: String,
    /// What the component calls its version.
    pub version: String,
    /// Its name for people.
    pub title: String,
    /// The version of the contract that it implements.
    pub contract: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was installed.
    pub installed_at: DateTime<Utc>,
    /// Who installed it.
    pub installed_by: String,
    /// Who signed it; none: it isn't signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<Signer>,
    /// Where people read about it, as its package says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// Its licence, as its package says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
}

/// Who signed a component, as known when it was installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// The operator's name for the publisher.
    pub name: Name,
    /// The key's id.
    pub key: String,
}

/// Limits of a flow that aren't the engine's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitChanges {
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_time: Option<u64>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
    /// Steps of one attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Requests of one attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Attempts that may begin within a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts_per_minute: Option<u64>,
}

impl LimitChanges {
    /// The place of one limit.
    pub fn of(&mut self, limit: Limit) -> &mut Option<u64> {
        match limit {
            Limit::StepTime => &mut self.step_time,
            Limit::Memory => &mut self.memory,
            Limit::Output => &mut self.output,
            Limit::Steps => &mut self.steps,
            Limit::Requests => &mut self.requests,
            Limit::AttemptsPerMinute => &mut self.attempts_per_minute,
        }
    }

    /// These over the engine's.
    pub fn over(&self, mut limits: Limits) -> Limits {
        let bytes = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let count = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        limits.step_time = self.step_time.map_or(limits.step_time, Duration::from_millis);
        limits.memory = self.memory.map_or(limits.memory, bytes);
        limits.output = self.output.map_or(limits.output, bytes);
        limits.steps = self.steps.map_or(limits.steps, count);
        limits.requests = self.requests.map_or(limits.requests, count);
        limits.attempts_per_minute = self.attempts_per_minute.map(count).or(limits.attempts_per_minute);
        limits
    }
}

/// A secret that one component may read (rule 2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The integration whose secret it is.
    pub integration: Name,
    /// When that integration was made: another one of its name is none of this.
    pub made_at: DateTime<Utc>,
    /// The secret's name.
    pub secret: String,
    /// The component's SHA-256. Another component of the same flow reads nothing.
    pub sha256: String,
    /// When it was granted.
    pub granted_at: DateTime<Utc>,
    /// By whom.
    pub granted_by: String,
}

/// Why a flow isn't run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    /// The component that did it.
    pub sha256: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// What it did, and how often.
    pub reason: String,
}

/// A publisher whose signature the operator trusts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publisher {
    /// The operator's name for it.
    pub name: Name,
    /// The public key, as a line of text.
    pub key: String,
    /// The key's id.
    pub key_id: String,
    /// Since when.
    pub trusted_at: DateTime<Utc>,
    /// Who decided it.
    pub trusted_by: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_go_over_the_engines() {
        let engine = Limits::default();
        assert_eq!(LimitChanges::default().over(engine), engine);
        let changes = LimitChanges { step_time: Some(500), attempts_per_minute: Some(60), ..LimitChanges::default() };
        let limits = changes.over(engine);
        assert_eq!((limits.step_time, limits.attempts_per_minute), (Duration::from_millis(500), Some(60)));
        assert_eq!((limits.memory, limits.steps), (engine.memory, engine.steps));
        for limit in Limit::ALL {
            let mut changes = LimitChanges::default();
            *changes.of(limit) = Some(1_234_567);
            assert_ne!(changes.over(engine), engine, "{limit:?}");
        }
    }
}
