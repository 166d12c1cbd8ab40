//! A loaded plugin: a component of some version of the contract, compiled, described and ready to run steps.

use std::fmt;
use std::time::Duration;

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;

use super::compile::{self, CompileError};
use super::component::{self, Fault, Outside, Version};
use super::engine::Engine;
use super::limits::Limits;
use super::resources::Resources;
use super::run::{self, Host};
use super::{Context, Description, Event, Failure, Flow, PluginError, Step, StepRun, outcome, v0_1, validate};
use crate::trusted::thread_time;

/// What the SDKs of interpreted languages say of an error that the flow's author didn't expect: the interpreter itself could
/// only trap, and nobody would know where it happened. It counts as a fault, like a trap.
const FLOW_ERROR: &str = "flow_error";

/// One loaded flow plugin.
pub struct Plugin {
    /// What it says of itself.
    description: Description,
    /// Lower-case hexadecimal SHA-256 of the component.
    digest: String,
    /// What it runs on.
    engine: Engine,
    /// Its code.
    program: Program,
    /// The contract's version that it implements.
    version: Version,
    /// The WASI interfaces that it imports.
    wasi: Vec<String>,
    /// How many steps of it run at once.
    share: Semaphore,
    /// How many bytes the component has.
    size: usize,
    /// What an instance needs of the pool.
    resources: Resources,
    /// What its steps may use.
    limits: ArcSwap<Limits>,
}

/// What one step took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// The linear memory of its instance, over all memories, in bytes.
    pub memory: usize,
    /// Processor time, from making the instance to throwing it away.
    pub processor: Duration,
}

/// A component's code, by the contract's version.
enum Program {
    /// 0.1
    V0_1(v0_1::Program),
    /// A later one, which only tests know.
    #[cfg(test)]
    Next(super::next::Program),
}

/// Why a component isn't loaded. Its text begins with the plugin's name, version and digest, as far as they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// Which component.
    pub flow: String,
    /// All that was found.
    pub faults: Vec<Fault>,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flow {}", self.flow)?;
        for (index, fault) in self.faults.iter().enumerate() {
            write!(f, "{}{fault}", if index == 0 { ": " } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadError {}

impl Plugin {
    /// Compiles a component, or takes its code from the cache, and asks it what it is.
    ///
    /// # Errors
    /// It isn't a flow, imports what no flow is given, doesn't compile, or its description doesn't hold.
    pub async fn load(engine: &Engine, bytes: impl Into<Bytes>) -> Result<Self, LoadError> {
        let bytes = bytes.into();
        let digest = component::digest(&bytes);
        let unknown = format!("with digest {}", component::short(&digest));
        let refused = |faults: Vec<Fault>| LoadError { flow: unknown.clone(), faults };
        let Outside { version, wasi } = component::inspect(&bytes).map_err(refused)?;
        let program = Program::load(engine, version, &digest, &bytes).await.map_err(|fault| refused(vec![fault]))?;
        let resources = Resources::of(&bytes);
        let description = program.describe(engine, 0, [0; 32]).await.map_err(|problem| {
            refused(vec![Fault::new(
                format!("`describe` failed: {problem}"),
                "`describe` must answer the same plain data each time, without looking at anything",
            )])
        })?;
        let faults = validate::faults(&description);
        if !faults.is_empty() {
            return Err(LoadError { flow: identity(&description, &digest), faults });
        }
        let share = Semaphore::new(engine.slots_per_plugin());
        let (size, limits) = (bytes.len(), ArcSwap::from_pointee(engine.limits()));
        let engine = engine.clone();
        Ok(Self { description, digest, engine, program, version, wasi, share, size, resources, limits })
    }

    /// The contract's version that it implements, e.g. `0.1.0`.
    pub fn contract(&self) -> &'static str {
        self.version.as_str()
    }

    /// The WASI interfaces that it imports; they find an empty world.
    pub fn wasi(&self) -> &[String] {
        &self.wasi
    }

    /// How many bytes the component has.
    pub fn size(&self) -> usize {
        self.size
    }

    /// What an instance needs before its first step.
    pub fn resources(&self) -> Resources {
        self.resources
    }

    /// Sets what its steps and attempts may use, from now on.
    pub fn set_limits(&self, limits: Limits) {
        self.limits.store(Arc::new(limits));
    }

    /// Name, version and abbreviated digest.
    pub fn identity(&self) -> String {
        identity(&self.description, &self.digest)
    }

    /// Runs one step in a fresh instance, as [`Flow::advance`] does, and measures it.
    pub async fn measure(&self, context: &Context, event: Event) -> (Result<StepRun, PluginError>, Cost) {
        let mut processor = Duration::ZERO;
        let mut step = std::pin::pin!(self.step(context, event));
        // Measured within each poll, so that what the thread does between two of them doesn't count.
        let (outcome, memory) = std::future::poll_fn(|task| {
            let before = thread_time();
            let polled = step.as_mut().poll(task);
            processor += thread_time().saturating_sub(before);
            polled
        })
        .await;
        (outcome, Cost { memory, processor })
    }

    /// Runs one step in a fresh instance; tells how much linear memory it took, in bytes.
    async fn step(&self, context: &Context, event: Event) -> (Result<StepRun, PluginError>, usize) {
        // Its own share first: a plugin that is stuck must not queue up before the others. Neither is ever closed.
        let _share = self.share.acquire().await.ok();
        let _slot = self.engine.slots().acquire().await.ok();
        let limits = self.limits();
        let mut store = run::store(&self.engine, &limits, context.now, context.entropy);
        let answer = self.program.advance(&mut store, context, event).await;
        let (printed, memory) = (store.data().sandbox.printed(), store.data().memory());
        drop(store);
        let fault = match answer {
            Ok(Err(failure)) if failure.code == FLOW_ERROR => {
                format!("it failed with an error of its own: {}", super::text::printable(&failure.message, 500))
            }
            Ok(answered) => {
                let faults = outcome::faults(&answered);
                if faults.is_empty() {
                    return (Ok(StepRun { outcome: answered, printed }), memory);
                }
                format!("its answer isn't one of the contract: {}", faults.join(", "))
            }
            Err(error) => run::explain(&limits, Some(&self.description.name), &error),
        };
        (Err(PluginError { flow: self.identity(), fault, printed }), memory)
    }

    /// Asks again what it is, at another moment.
    pub(super) async fn describe_at(&self, now: u64, entropy: [u8; 32]) -> Result<Description, String> {
        self.program.describe(&self.engine, now, entropy).await
    }
}

fn identity(description: &Description, digest: &str) -> String {
    let name = super::text::printable(&description.name, 64);
    let version = super::text::printable(&description.version, 64);
    format!("{name} {version} ({})", component::short(digest))
}

#[async_trait]
impl Flow for Plugin {
    fn description(&self) -> &Description {
        &self.description
    }

    fn digest(&self) -> &str {
        &self.digest
    }

    fn limits(&self) -> Limits {
        **self.limits.load()
    }

    async fn advance(&self, context: &Context, event: Event) -> Result<StepRun, PluginError> {
        self.step(context, event).await.0
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Plugin").field(&self.identity()).finish()
    }
}

impl Program {
    async fn load(engine: &Engine, version: Version, digest: &str, bytes: &Bytes) -> Result<Self, Fault> {
        let component = compile::compile(engine, digest, bytes).await.map_err(|error| match error {
            CompileError::Invalid(_) => {
                let remedy = "build it again, with a toolchain for WASI 0.2 or none";
                Fault::new(format!("it doesn't compile: {error}"), remedy)
            }
            CompileError::Failed(_) => Fault::new(error.to_string(), "try again, or look into the daemon's log"),
        })?;
        let differs = |error: wasmtime::Error| {
            Fault::new(
                format!(
                    "its interface isn't that of the contract: {}",
                    super::text::printable(&format!("{error:#}"), 300)
                ),
                format!("build it with the `wit/` of version {}, unchanged", version.as_str()),
            )
        };
        let ready = engine.linker().instantiate_pre(&component).map_err(differs)?;
        match version {
            Version::V0_1 => v0_1::Program::new(ready).map(Self::V0_1).map_err(differs),
            #[cfg(test)]
            Version::Next => super::next::Program::new(ready).map(Self::Next).map_err(differs),
        }
    }

    /// Asks a fresh instance what the flow is.
    async fn describe(&self, engine: &Engine, now: u64, entropy: [u8; 32]) -> Result<Description, String> {
        let _slot = engine.slots().acquire().await.ok();
        // The limits of a flow are known by its name, which is what is asked for here.
        let limits = engine.limits();
        let mut store = run::store(engine, &limits, now, entropy);
        let description = match self {
            Self::V0_1(program) => program.describe(&mut store).await,
            #[cfg(test)]
            Self::Next(program) => program.describe(&mut store).await,
        };
        description.map_err(|error| run::explain(&limits, None, &error))
    }

    async fn advance(
        &self,
        store: &mut wasmtime::Store<Host>,
        context: &Context,
        event: Event,
    ) -> wasmtime::Result<Result<Step, Failure>> {
        match self {
            Self::V0_1(program) => program.advance(store, context, event).await,
            #[cfg(test)]
            Self::Next(program) => program.advance(store, context, event).await,
        }
    }
}
