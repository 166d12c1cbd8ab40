//! Flow plugins: components, their versions, and one step of one.
//!
//! Speaks the domain's step types; contract versions end at this room's border. It doesn't know what an integration is.

mod cache;
pub mod check;
pub mod compile;
pub mod component;
pub mod description;
pub mod engine;
pub mod limits;
mod lint;
#[cfg(test)]
mod next;
mod outcome;
pub mod plugin;
pub mod registry;
pub mod request;
pub mod resources;
mod run;
mod sandbox;
pub mod step;
mod text;
mod v0_1;
mod validate;

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

pub use self::description::Description;
pub use self::engine::{Engine, EngineOptions};
pub use self::limits::{Limit, Limits};
pub use self::plugin::{Cost, Plugin};
pub use self::registry::Flows;
pub use self::step::{Context, Event, Failure, Step};

/// One loaded flow plugin.
#[async_trait]
pub trait Flow: Send + Sync {
    /// What it says of itself.
    fn description(&self) -> &Description;

    /// Lower-case hexadecimal SHA-256 of the component.
    fn digest(&self) -> &str;

    /// What its steps and attempts may use.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// Runs one step in a fresh instance.
    ///
    /// # Errors
    /// The plugin itself misbehaved: it trapped, ran out of its time or memory, or answered what the contract doesn't allow.
    async fn advance(&self, context: &Context, event: Event) -> Result<StepRun, PluginError>;
}

/// Why no attempt with a flow may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Barred {
    /// A stable code.
    pub code: &'static str,
    /// For people: why, and what to do.
    pub message: String,
    /// When to ask again.
    pub retry_after: Duration,
}

/// The flows that there are, by name, and what their operator has decided about them. By default nothing.
pub trait Catalog: Send + Sync {
    /// The flow of this name.
    fn get(&self, name: &str) -> Option<Arc<dyn Flow>>;

    /// The flows that serve schemes of this kind and detail (see [`description::SchemeMatch`]).
    fn for_scheme(&self, kind: &str, detail: Option<&str>) -> Vec<Arc<dyn Flow>>;

    /// Why there is no flow of this name that should be there.
    fn absent(&self, _name: &str) -> Option<Barred> {
        None
    }

    /// Lets an attempt begin, and counts it; or says why none may. One that goes on from a stored answer isn't `new`.
    ///
    /// # Errors
    /// The flow is quarantined, or enough attempts began within the minute.
    fn admit(&self, _flow: &dyn Flow, _new: bool) -> Result<(), Barred> {
        Ok(())
    }

    /// The names of the secrets that this very component may read of the integration of this name that was made at that time.
    fn revealed(&self, _flow: &dyn Flow, _integration: &str, _made_at: DateTime<Utc>) -> Vec<String> {
        Vec::new()
    }

    /// When something about a flow was decided last: what it did wrong before that is no reason to wait.
    fn decided_at(&self, _name: &str) -> Option<DateTime<Utc>> {
        None
    }

    /// Tells how an attempt for an integration went: without a fault of the flow's, or with this one.
    fn report(&self, _flow: &dyn Flow, _integration: &str, _conduct: Result<(), &str>) {}
}

/// The outcome of one step.
pub struct StepRun {
    /// The next step, or why the flow gave up.
    pub outcome: Result<Step, Failure>,
    /// What the plugin printed, bounded, not yet cleaned of secrets.
    pub printed: String,
}

/// What is printed may hold secrets: `Debug` shows its size.
impl fmt::Debug for StepRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepRun").field("outcome", &self.outcome).field("printed_bytes", &self.printed.len()).finish()
    }
}

/// A plugin's fault. Its text begins with the plugin's name, version and digest, and holds nothing that the plugin was
/// given.
#[derive(Clone, thiserror::Error)]
#[error("flow {flow}: {fault}")]
pub struct PluginError {
    /// Name, version and abbreviated digest.
    pub flow: String,
    /// What it did, and what its author can do about it.
    pub fault: String,
    /// What it printed before, bounded, not yet cleaned of secrets: an interpreter says there what happened. No part of
    /// the error's text.
    pub printed: String,
}

impl fmt::Debug for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginError")
            .field("flow", &self.flow)
            .field("fault", &self.fault)
            .field("printed_bytes", &self.printed.len())
            .finish()
    }
}
