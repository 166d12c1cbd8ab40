//! Runs one call of a plugin: a fresh store and instance, thrown away after it; bounded in time, memory and answer.
//!
//! A step that runs longer than a tick gives its thread to others, at each tick again, and shares half of the cores with
//! all other such steps. So endless loops disturb nobody, however many they are.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::{ResourceLimiter, Store, StoreContextMut, Trap, UpdateDeadline, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::engine::Engine;
use super::limits::{Limit, Limits, size};
use super::sandbox::Sandbox;
use super::text::printable;

/// How many frames of a backtrace are shown, the innermost first.
const FRAMES: usize = 8;

/// How much of each frame is shown; the names are the plugin's.
const FRAME_LENGTH: usize = 160;

/// What a store holds for one step.
pub(super) struct Host {
    /// The empty world.
    pub(super) sandbox: Sandbox,
    /// What the instance may still grow by.
    growth: Growth,
}

impl Host {
    /// How much linear memory the instance has taken, in bytes. Memories never shrink, so this is the most it had.
    pub(super) fn memory(&self) -> usize {
        self.growth.most.saturating_sub(self.growth.memory)
    }
}

/// A store for one step, its clocks ticking. Made only with a slot's permit at hand.
pub(super) fn store(engine: &Engine, limits: &Limits, now: u64, entropy: [u8; 32]) -> Store<Host> {
    let growth = Growth { memory: limits.memory, elements: engine.table_limit(), most: limits.memory };
    let mut store = Store::new(engine.runtime(), Host { sandbox: Sandbox::new(now, entropy), growth });
    store.limiter(|host| &mut host.growth);
    store.set_hostcall_fuel(limits.output);
    store.set_max_component_handles(engine.handle_limit());
    store.set_epoch_deadline(1);
    let mut deadline = Deadline::new(engine, limits);
    store.epoch_deadline_callback(move |_: StoreContextMut<'_, Host>| Ok(deadline.tick()));
    store
}

/// What happens at each tick of a running step.
struct Deadline {
    /// How many more ticks it may run.
    left: u32,
    /// Whether it ran a whole tick.
    slow: bool,
    /// Where slow steps queue.
    lane: Arc<Semaphore>,
    /// Its permit for the lane, while it runs there. Given back with the store, if not before.
    permit: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Deadline {
    fn new(engine: &Engine, limits: &Limits) -> Self {
        let left = Engine::ticks(limits.step_time);
        Self { left, slow: false, lane: Arc::clone(engine.slow_lane()), permit: Arc::default() }
    }

    fn tick(&mut self) -> UpdateDeadline {
        put(&self.permit, None);
        let Some(left) = self.left.checked_sub(1) else {
            return UpdateDeadline::Interrupt;
        };
        self.left = left;
        if !std::mem::replace(&mut self.slow, true) {
            return UpdateDeadline::Yield(1);
        }
        let (lane, permit) = (Arc::clone(&self.lane), Arc::clone(&self.permit));
        UpdateDeadline::YieldCustom(
            1,
            Box::pin(async move {
                tokio::task::yield_now().await;
                // The lane is never closed; if it were, the step would run on without its permit.
                put(&permit, lane.acquire_owned().await.ok());
            }),
        )
    }
}

fn put(place: &Mutex<Option<OwnedSemaphorePermit>>, permit: Option<OwnedSemaphorePermit>) {
    *place.lock().unwrap_or_else(PoisonError::into_inner) = permit;
}

/// What an instance may still grow by.
struct Growth {
    /// Bytes of linear memory, over all memories.
    memory: usize,
    /// Table elements, over all tables.
    elements: usize,
    /// How much memory there was in all.
    most: usize,
}

/// The instance asked for more than it may have.
#[derive(Debug, thiserror::Error)]
enum Excess {
    /// How much linear memory it may have, in bytes.
    #[error("asked for more than {} of memory", size(*.0))]
    Memory(usize),
    #[error("asked for more table elements than any program needs")]
    Tables,
}

fn take(left: &mut usize, current: usize, desired: usize, excess: Excess) -> wasmtime::Result<bool> {
    *left = left.checked_sub(desired.saturating_sub(current)).ok_or(excess)?;
    Ok(true)
}

/// Growing too far is a trap and not a failed `memory.grow`: guests handle that in their own ways, most of them obscure.
/// Growing beyond what the module itself or the pool allows one table fails as always.
impl ResourceLimiter for Growth {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        take(&mut self.memory, current, desired, Excess::Memory(self.most))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        take(&mut self.elements, current, desired, Excess::Tables)
    }
}

/// What went wrong in a call, in words that an author understands, and an operator where a limit of this flow was reached.
/// Holds nothing of what the plugin was given.
pub(super) fn explain(limits: &Limits, flow: Option<&str>, error: &wasmtime::Error) -> String {
    let raise = |limit: Limit| flow.map(|flow| format!("; {}", limit.remedy(flow))).unwrap_or_default();
    let mut text = if let Some(excess) = error.downcast_ref::<Excess>() {
        let raise = if matches!(excess, Excess::Memory(_)) { raise(Limit::Memory) } else { String::new() };
        format!("it {excess}; it should release what it no longer needs{raise}")
    } else if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
        format!("it ended itself with exit code {code} instead of answering; it should return a failure")
    } else {
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => format!(
                "it ran for {} s of processor time without an answer and was stopped; look for an endless loop{}",
                limits.step_time.as_secs_f32(),
                raise(Limit::StepTime)
            ),
            Some(Trap::StackOverflow) => "its calls nest too deeply (the stack is exhausted); look for an endless recursion".to_owned(),
            Some(Trap::UnreachableCodeReached) => {
                "it trapped: it reached `unreachable`, which is how a panic or an abort ends; it should return a failure instead".to_owned()
            }
            Some(trap) => format!("it trapped: {}", trap.to_string().trim_start_matches("wasm trap: ")),
            None => {
                let cause = error.root_cause().to_string();
                // The runtime's type for this is private.
                if cause.contains("fuel allocated for hostcalls") {
                    format!("it answered with more than {}{}", size(limits.output), raise(Limit::Output))
                } else {
                    format!("its answer isn't one of the contract: {}", printable(&cause, 300))
                }
            }
        }
    };
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        let frames: Vec<String> = backtrace.frames().iter().filter_map(frame).take(FRAMES).collect();
        if !frames.is_empty() {
            text.push_str("; in ");
            text.push_str(&frames.join(", called by "));
        }
    }
    text
}

/// A frame's function, as its name section has it.
fn frame(frame: &wasmtime::FrameInfo) -> Option<String> {
    Some(printable(&format!("{:#}", rustc_demangle::demangle(frame.func_name()?)), FRAME_LENGTH))
}
