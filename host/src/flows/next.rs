//! A later version of the contract, for tests only: a host that speaks it still runs what was built for an older one.
//!
//! It shows what a new version takes: its bindings, and conversions to and from the same domain types.

#[path = "v0_1/convert.rs"]
#[allow(clippy::duplicate_mod, reason = "the same conversions, of types that are made anew")]
mod convert;

use wasmtime::Store;
use wasmtime::component::InstancePre;

use self::bindings::FlowPluginPre;
use super::run::Host;
use super::{Context, Description, Event, Failure, Step};

#[allow(clippy::all, reason = "generated from the test's contract")]
mod bindings {
    wasmtime::component::bindgen!({
        path: "src/flows/tests/next",
        world: "flow-plugin",
        exports: { default: async },
    });
}

/// A component that implements this version, ready to be instantiated.
pub(super) struct Program(FlowPluginPre<Host>);

impl Program {
    pub(super) fn new(component: InstancePre<Host>) -> wasmtime::Result<Self> {
        FlowPluginPre::new(component).map(Self)
    }

    pub(super) async fn describe(&self, store: &mut Store<Host>) -> wasmtime::Result<Description> {
        let instance = self.0.instantiate_async(&mut *store).await?;
        Ok(instance.tokenhost_flow_flow().call_describe(store).await?.into())
    }

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
