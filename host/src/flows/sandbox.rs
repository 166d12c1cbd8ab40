//! The empty WASI, for components whose toolchain drags it in: no files, arguments, environment or sockets. The clocks
//! stand at the step's `now`, sleeping takes no time, random bytes come from the step's `entropy`, and what is printed is
//! kept for the attempt's log. So such a flow stays a pure function.
//!
//! Nothing of it is set up before a component uses it: most never do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chacha20::ChaCha20Rng;
use rand::{Rng as _, SeedableRng as _};
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::{self, DynPollable, OutputStream, Pollable, StreamError, subscribe};
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxView, WasiView};

use super::run::Host;

/// How much of what a step prints is kept, in bytes. The rest is dropped.
pub(super) const PRINTED_LIMIT: usize = 16 << 10;

/// How many random bytes one call may ask for.
const RANDOM_LIMIT: u64 = 64 << 10;

/// How much a print call may bring at once, as other WASI hosts allow.
const PRINT_CHUNK: usize = 64 << 10;

/// How many pollables, streams and errors a component may hold.
const RESOURCES: usize = 1_000;

/// The interfaces of WASI 0.2 that are granted, without their versions.
pub(super) const GRANTED: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// What one step's empty world is made of.
pub(super) struct Sandbox {
    /// Where the clocks stand, in seconds since the Unix epoch.
    now: u64,
    /// What random bytes are made of.
    entropy: [u8; 32],
    /// What was printed.
    printed: Printed,
    /// Made at the first use.
    wasi: Option<Box<Wasi>>,
}

struct Wasi {
    /// The runtime's own state.
    context: WasiCtx,
    /// Handles that the component holds.
    table: ResourceTable,
}

impl Sandbox {
    pub(super) fn new(now: u64, entropy: [u8; 32]) -> Self {
        Self { now, entropy, printed: Printed::default(), wasi: None }
    }

    /// What the step printed so far.
    pub(super) fn printed(&self) -> String {
        self.printed.text()
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Sandbox { now, entropy, printed, wasi } = &mut self.sandbox;
        let wasi = wasi.get_or_insert_with(|| Box::new(Wasi::new(*now, *entropy, printed)));
        WasiCtxView { ctx: &mut wasi.context, table: &mut wasi.table }
    }
}

impl Wasi {
    fn new(now: u64, entropy: [u8; 32], printed: &Printed) -> Self {
        // A generator for each door, from one seed. ChaCha20 as it is published, so that a recorded step can be replayed
        // by a later version.
        let generator = |stream| {
            let mut generator = ChaCha20Rng::from_seed(entropy);
            generator.set_stream(stream);
            generator
        };
        let mut seed = [0; 16];
        generator(3).fill_bytes(&mut seed);
        let context = WasiCtx::builder()
            .stdout(printed.clone())
            .stderr(printed.clone())
            .wall_clock(Standing(now))
            .secure_random(generator(1))
            .insecure_random(generator(2))
            .insecure_random_seed(u128::from_le_bytes(seed))
            .max_random_size(RANDOM_LIMIT)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES);
        Self { context, table }
    }
}

/// What components may import.
pub(super) fn linker(runtime: &wasmtime::Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(runtime);
    p2::add_to_linker_async(&mut linker)?;
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<Host, StandingClock>(&mut linker, |host| StandingTable(host.ctx().table))?;
    linker.allow_shadowing(false);
    Ok(linker)
}

/// A wall clock that doesn't move.
struct Standing(u64);

impl HostWallClock for Standing {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::from_secs(self.0)
    }
}

/// A monotonic clock that doesn't move. A wait for it would never end, so it ends at once.
struct StandingClock;

impl HasData for StandingClock {
    type Data<'a> = StandingTable<'a>;
}

struct StandingTable<'a>(&'a mut ResourceTable);

impl monotonic_clock::Host for StandingTable<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(0)
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1_000_000_000)
    }

    fn subscribe_instant(&mut self, _when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let elapsed = self.0.push(Elapsed)?;
        subscribe(self.0, elapsed)
    }

    fn subscribe_duration(&mut self, _duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe_instant(0)
    }
}

/// A wait that is over.
struct Elapsed;

#[wasmtime_wasi::async_trait]
impl Pollable for Elapsed {
    async fn ready(&mut self) {}
}

/// What a step prints, on either stream, up to [`PRINTED_LIMIT`].
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Printed {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock()).into_owned()
    }
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    /// Only later versions of WASI use it.
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Printed {
    async fn ready(&mut self) {}
}

impl OutputStream for Printed {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        let mut printed = self.lock();
        let room = PRINTED_LIMIT.saturating_sub(printed.len()).min(bytes.len());
        printed.extend_from_slice(&bytes[..room]);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(PRINT_CHUNK)
    }
}
