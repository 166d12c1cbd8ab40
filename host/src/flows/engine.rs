//! The one constructor of the WebAssembly engine, for daemon, command line and tests: a knob that drifts apart spoils the
//! compile cache. Each knob is a named constant with its reason.
//!
//! It doesn't load components (`component`) or run them (`run`).

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::component::Linker;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

use super::cache::{Cache, CacheError};
use super::compile::Compiler;
use super::limits::Limits;
use super::resources::Resources;
use super::run::Host;
use super::sandbox;

/// How often running code is looked at. Short, since a step that needs longer gives its thread to others at each tick.
const TICK: Duration = Duration::from_millis(10);

/// How much of a thread's time one step may use. A step of an interpreter takes about a millisecond, so this is generous;
/// it counts only time in which the step ran.
pub(super) const CPU_BUDGET: Duration = Duration::from_secs(2);

/// How many steps run at once. Steps compute and never wait, so that a few per core are enough; each slot reserves
/// address space (no memory) for [`MEMORIES_PER_COMPONENT`] times [`ADDRESSES_PER_MEMORY`].
const SLOTS: u32 = 32;

/// The share of the slots that one plugin may use, so that a plugin that loops leaves most of them to the others.
const SLOTS_PER_PLUGIN_FRACTION: u32 = 4;

/// How much linear memory one instance may have, over all its memories. A Python component starts with some 30 MiB.
pub(super) const MEMORY_LIMIT: usize = 256 << 20;

/// With four gigabytes of address space for each memory, compiled code needs no bounds checks.
const ADDRESSES_PER_MEMORY: u64 = 4 << 30;

/// Most toolchains make one memory; componentize-qjs's stubs of WASI bring it to three.
const MEMORIES_PER_COMPONENT: u32 = 4;

/// A Python component has 38 core instances (one for each library); twice that and room to grow.
const CORE_INSTANCES_PER_COMPONENT: u32 = 200;

/// Dynamically linked components (Python) have several tables, and each adapter brings one.
const TABLES_PER_COMPONENT: u32 = 16;

/// Python's main module defines several tables.
const TABLES_PER_MODULE: u32 = 8;

/// CPython with its standard library has some 15,000 functions in one table.
const TABLE_ELEMENTS: usize = 50_000;

/// How much of a memory is wiped in place after a step instead of being given back to the kernel and faulted in again: a
/// Rust step touches some ten pages, and takes half the time this way. More than an interpreter touches.
const KEPT_MEMORY: usize = 2 << 20;

/// The same for a table: all of it.
const KEPT_TABLE: usize = TABLE_ELEMENTS * size_of::<usize>();

/// The metadata of all core instances of a component; 38 instances of CPython need about 1 MiB.
const INSTANCE_METADATA: usize = 8 << 20;

/// The stack of the guest. Enough for CPython's recursion limit; deeper recursion ends in a trap.
const GUEST_STACK: usize = 1 << 20;

/// The stack of one step: the guest's, and room for the host functions above it.
const STEP_STACK: usize = GUEST_STACK + (1 << 20);

/// How many bytes an answer may have in the host's memory. A provider's answer is at most some 2 MiB, and comes back at
/// most in a token or a state.
pub(super) const ANSWER_LIMIT: usize = 8 << 20;

/// How many live handles a component may hold. It makes them only through the empty WASI.
const HANDLES: usize = 1_000;

/// What differs between the daemon, the command line and tests.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Where compiled code is kept, a folder of its own; none: it is compiled anew in each process.
    pub cache: Option<std::path::PathBuf>,
    /// Who compiles what is too big to compile in this process.
    pub compiler: Compiler,
    /// How many steps run at once.
    pub slots: u32,
    /// How much of a thread's time one step may use, in whole ticks of 10 ms.
    pub cpu_budget: Duration,
    /// How much linear memory one instance may have, in bytes.
    pub memory_limit: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            cache: None,
            compiler: Compiler::InProcess,
            slots: SLOTS,
            cpu_budget: CPU_BUDGET,
            memory_limit: MEMORY_LIMIT,
        }
    }
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The runtime refused its configuration, or the address space is too small.
    #[error(
        "the WebAssembly engine doesn't start: {0}; if the address space is limited (`ulimit -v`), lift that limit"
    )]
    Runtime(String),
    /// The compile cache can't be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// Compiles and runs flow plugins. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    /// The runtime's engine.
    runtime: wasmtime::Engine,
    /// What components may import: the empty WASI.
    linker: Linker<Host>,
    /// One permit for each slot: a full pool is an error of the allocator, and here a queue.
    slots: Arc<Semaphore>,
    /// Permits for steps that ran longer than a tick: they use at most half of the cores.
    slow_lane: Arc<Semaphore>,
    /// Compiled code on disk.
    cache: Option<Cache>,
    /// What this engine was made with.
    options: EngineOptions,
}

impl Engine {
    /// An engine and its ticker. The ticker ends with the engine's last clone and its last plugin.
    ///
    /// # Errors
    /// The runtime refused, or the cache's folder isn't private.
    pub fn new(options: EngineOptions) -> Result<Self, EngineError> {
        let mut config = configuration(&options);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(&options)));
        let refused = |error: wasmtime::Error| EngineError::Runtime(format!("{error:#}"));
        let runtime = wasmtime::Engine::new(&config).map_err(refused)?;
        let linker = sandbox::linker(&runtime).map_err(refused)?;
        let cache = options.cache.as_deref().map(|folder| Cache::open(folder, &runtime)).transpose()?;
        start_ticker(&runtime)?;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Ok(Self(Arc::new(Inner {
            runtime,
            linker,
            slots: Arc::new(Semaphore::new(options.slots as usize)),
            slow_lane: Arc::new(Semaphore::new((cores / 2).max(1))),
            cache,
            options,
        })))
    }

    /// Whether compiled code is kept.
    pub fn has_cache(&self) -> bool {
        self.0.cache.is_some()
    }

    /// Whether the component of this SHA-256 was compiled before, so that it only has to be loaded.
    pub fn has_compiled(&self, digest: &str) -> bool {
        self.0.cache.as_ref().is_some_and(|cache| cache.has(digest))
    }

    /// The runtime itself, for benchmarks that compare a step with a component that does nothing.
    pub fn runtime(&self) -> &wasmtime::Engine {
        &self.0.runtime
    }

    pub(super) fn linker(&self) -> &Linker<Host> {
        &self.0.linker
    }

    pub(super) fn slots(&self) -> &Arc<Semaphore> {
        &self.0.slots
    }

    /// How many steps run, and how many may.
    pub fn use_of_slots(&self) -> (usize, usize) {
        let all = self.0.options.slots as usize;
        (all.saturating_sub(self.0.slots.available_permits()), all)
    }

    pub(super) fn slow_lane(&self) -> &Arc<Semaphore> {
        &self.0.slow_lane
    }

    pub(super) fn cache(&self) -> Option<&Cache> {
        self.0.cache.as_ref()
    }

    pub(super) fn compiler(&self) -> &Compiler {
        &self.0.options.compiler
    }

    /// How many steps of one plugin run at once.
    pub(super) fn slots_per_plugin(&self) -> usize {
        (self.0.options.slots / SLOTS_PER_PLUGIN_FRACTION).max(1) as usize
    }

    /// How many ticks a step may run that has this much time.
    pub(super) fn ticks(time: Duration) -> u32 {
        u32::try_from(time.as_millis() / TICK.as_millis()).unwrap_or(u32::MAX).max(1)
    }

    /// What a flow may use where its operator has said nothing.
    pub fn limits(&self) -> Limits {
        let options = &self.0.options;
        Limits { step_time: options.cpu_budget, memory: options.memory_limit, ..Limits::default() }
    }

    pub(super) fn table_limit(&self) -> usize {
        TABLE_ELEMENTS * TABLES_PER_COMPONENT as usize
    }

    pub(super) fn handle_limit(&self) -> usize {
        HANDLES
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("options", &self.0.options).finish_non_exhaustive()
    }
}

/// What one component may take of the pool.
pub(super) fn limits() -> Resources {
    Resources {
        core_instances: CORE_INSTANCES_PER_COMPONENT.into(),
        memories: MEMORIES_PER_COMPONENT.into(),
        memory_bytes: MEMORY_LIMIT as u64,
        tables: TABLES_PER_COMPONENT.into(),
        tables_in_module: TABLES_PER_MODULE.into(),
        table_elements: TABLE_ELEMENTS as u64,
    }
}

/// An engine that only compiles: the same code, without the pool's address space.
pub(super) fn compile_only() -> Result<wasmtime::Engine, wasmtime::Error> {
    wasmtime::Engine::new(&configuration(&EngineOptions::default()))
}

/// All that decides what code is made. Nothing in it may depend on the options: compiled code is shared.
fn configuration(_options: &EngineOptions) -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    // A step is one call of one function: no tasks, streams or futures, and nothing to set up for them.
    config.concurrency_support(false);
    config.epoch_interruption(true);
    config.memory_init_cow(true);
    config.memory_reservation(ADDRESSES_PER_MEMORY);
    config.max_wasm_stack(GUEST_STACK);
    config.async_stack_size(STEP_STACK);
    // Function names are enough for an author; a plugin's debug information is not parsed in the daemon.
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config
}

/// The pool of slots.
fn pool(options: &EngineOptions) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(options.slots)
        .total_stacks(options.slots)
        .total_core_instances(options.slots * CORE_INSTANCES_PER_COMPONENT)
        .total_memories(options.slots * MEMORIES_PER_COMPONENT)
        .total_tables(options.slots * TABLES_PER_COMPONENT)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_tables_per_module(TABLES_PER_MODULE)
        .max_component_instance_size(INSTANCE_METADATA)
        .max_core_instance_size(INSTANCE_METADATA)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(ADDRESSES_PER_MEMORY as usize);
    // Only where the kernel tells which pages were touched (Linux 6.7); else all that may be kept would be wiped, and a
    // step would take longer.
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes).linear_memory_keep_resident(KEPT_MEMORY).table_keep_resident(KEPT_TABLE);
    }
    pool
}

/// Starts the thread that moves the epoch on. A plain thread: an asynchronous one could be held up by what it interrupts.
fn start_ticker(runtime: &wasmtime::Engine) -> Result<(), EngineError> {
    let weak = runtime.weak();
    thread::Builder::new()
        .name("flow-ticker".to_owned())
        .spawn(move || {
            loop {
                thread::sleep(TICK);
                match weak.upgrade() {
                    Some(runtime) => runtime.increment_epoch(),
                    None => return,
                }
            }
        })
        .map(drop)
        .map_err(|error| EngineError::Runtime(format!("its ticker thread can't start: {error}")))
}
