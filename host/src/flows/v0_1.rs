//! Version 0.1 of the contract: its bindings, and calls in the domain's own types. No other module sees its types.

mod convert;

use wasmtime::Store;
use wasmtime::component::InstancePre;

use self::bindings::FlowPluginPre;
use super::run::Host;
use super::{Context, Description, Event, Failure, Step};

#[allow(clippy::all, reason = "generated from wit/")]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "flow-plugin",
        exports: { default: async },
    });
}

/// A component that implements this version, ready to be instantiated.
pub(super) struct Program(FlowPluginPre<Host>);

impl Program {
    /// # Errors
    /// The component's interface isn't this version's.
    pub(super) fn new(component: InstancePre<Host>) -> wasmtime::Result<Self> {
        FlowPluginPre::new(component).map(Self)
    }

    /// Asks a fresh instance what the flow is.
    ///
    /// # Errors
    /// The plugin misbehaved, or answered nothing that this version knows.
    pub(super) async fn describe(&self, store: &mut Store<Host>) -> wasmtime::Result<Description> {
        let instance = self.0.instantiate_async(&mut *store).await?;
        let description = instance.tokenhost_flow_flow().call_describe(store).await?;
        Ok(description.into())
    }

    /// Runs one step in a fresh instance.
    ///
    /// # Errors
    /// The plugin misbehaved, or answered nothing that this version knows.
    pub(super) async fn advance(
        &self,
        store: &mut Store<Host>,
        context: &Context,
        event: Event,
    ) -> wasmtime::Result<Result<Step, Failure>> {
        let instance = self.0.instantiate_async(&mut *store).await?;
        let (context, event) = (context.into(), event.into());
        let outcome = instance.tokenhost_flow_flow().call_advance(store, &context, &event).await?;
        Ok(outcome.map(Step::from).map_err(Failure::from))
    }
}
