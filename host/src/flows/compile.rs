//! Compiles components. A big one is compiled in a child process, which is gone afterwards with the hundreds of megabytes
//! that it took, and which the kernel ends before the daemon if memory runs out.
//!
//! The child is this same executable, run with `plugin precompile IN OUT`; nobody else's compiled code is ever used.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use wasmtime::component::Component;

use super::cache::{self, Cache};
use super::engine::{self, Engine};
use super::text::printable;

/// Components up to this size are compiled in process. A Rust flow has 50 to 300 KB and compiles in some 30 ms, as long as
/// a child needs to start; the smallest interpreter has 1.1 MB.
const IN_PROCESS: usize = 1 << 20;

/// How long a child may take. The biggest known component (CPython, 18 MB) takes 4 s on two cores.
const TIME: Duration = Duration::from_secs(300);

/// Who compiles what is too big to compile in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// This process: for tests, and for the command line, which ends anyway.
    InProcess,
    /// A child that runs this executable with `plugin precompile IN OUT`, where [`precompile`] is called.
    Child(PathBuf),
}

impl Compiler {
    /// A child of the running executable, also after that was replaced on disk.
    ///
    /// # Errors
    /// The operating system doesn't say which executable this is.
    pub fn this_executable() -> std::io::Result<Self> {
        let link = Path::new("/proc/self/exe");
        if link.exists() { Ok(Self::Child(link.to_owned())) } else { std::env::current_exe().map(Self::Child) }
    }
}

/// Why a component didn't compile.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// It isn't valid, or uses something that this engine doesn't run.
    #[error("{0}")]
    Invalid(String),
    /// The compiler itself failed.
    #[error("it can't be compiled here: {0}")]
    Failed(String),
}

/// The component, from the cache or newly compiled.
pub(super) async fn compile(engine: &Engine, digest: &str, bytes: &bytes::Bytes) -> Result<Component, CompileError> {
    if let Some(component) = engine.cache().and_then(|cache| cache.load(engine.runtime(), digest)) {
        return Ok(component);
    }
    match engine.compiler() {
        Compiler::Child(executable) if bytes.len() > IN_PROCESS => in_child(engine, executable, digest, bytes).await,
        _ => in_process(engine, digest, bytes.clone()).await,
    }
}

/// Compiles here, on a thread that may block.
async fn in_process(engine: &Engine, digest: &str, bytes: bytes::Bytes) -> Result<Component, CompileError> {
    let (engine, digest) = (engine.clone(), digest.to_owned());
    let compiled = tokio::task::spawn_blocking(move || {
        let component = Component::from_binary(engine.runtime(), &bytes).map_err(invalid)?;
        if let Some(cache) = engine.cache() {
            keep(cache, &digest, &component.serialize().map_err(failed)?);
        }
        Ok(component)
    });
    compiled.await.map_err(failed)?
}

/// Compiles in a child process, through files in a private folder.
async fn in_child(
    engine: &Engine,
    executable: &Path,
    digest: &str,
    bytes: &bytes::Bytes,
) -> Result<Component, CompileError> {
    let folder = cache::passing_folder().map_err(failed)?;
    let (input, output) = (folder.path().join("in.wasm"), folder.path().join("out.cwasm"));
    tokio::fs::write(&input, bytes).await.map_err(failed)?;
    tracing::info!(
        digest,
        megabytes = bytes.len() >> 20,
        "a flow is compiled, which takes seconds; later starts needn't"
    );
    // No environment: the child needs none of it, and the master key may be in there.
    let child = Command::new(executable)
        .args(["plugin", "precompile"])
        .args([&input, &output])
        .env_clear()
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| CompileError::Failed(format!("{} doesn't start: {error}", executable.display())))?;
    let ended = tokio::time::timeout(TIME, child.wait_with_output())
        .await
        .map_err(|_| CompileError::Failed(format!("the compiler took longer than {} s", TIME.as_secs())))?
        .map_err(failed)?;
    if !ended.status.success() {
        let said = printable(String::from_utf8_lossy(&ended.stderr).trim(), 500);
        return Err(match ended.status.code() {
            Some(_) => CompileError::Invalid(said),
            None => CompileError::Failed(format!("the compiler was ended ({}); is there enough memory?", ended.status)),
        });
    }
    let code = tokio::fs::read(&output).await.map_err(failed)?;
    let (engine, digest) = (engine.clone(), digest.to_owned());
    let loaded = tokio::task::spawn_blocking(move || {
        if let Some(cache) = engine.cache() {
            keep(cache, &digest, &code);
            if let Some(component) = cache.load(engine.runtime(), &digest) {
                return Ok(component);
            }
        }
        // No cache, or none that can be written: a folder of its own for the one time.
        let folder = cache::passing_folder().map_err(failed)?;
        let cache = Cache::open(folder.path(), engine.runtime()).map_err(failed)?;
        cache.keep(&digest, &code).map_err(failed)?;
        cache.load(engine.runtime(), &digest).ok_or_else(|| failed("its compiled code can't be loaded"))
    });
    loaded.await.map_err(failed)?
}

/// Compiles the component in one file into another: what the child does. Called by the hidden command
/// `plugin precompile IN OUT`, which prints the error and ends with exit code 1.
///
/// # Errors
/// The input can't be read or isn't a valid component, or the output can't be written.
pub fn precompile(input: &Path, output: &Path) -> Result<(), CompileError> {
    volunteer_for_the_kernel();
    let bytes = std::fs::read(input).map_err(failed)?;
    let code = engine::compile_only().map_err(failed)?.precompile_component(&bytes).map_err(invalid)?;
    std::fs::write(output, code).map_err(failed)
}

/// Asks Linux to end this process before any other if memory runs out. Elsewhere, and in containers that forbid it, not.
fn volunteer_for_the_kernel() {
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

/// Keeps compiled code; a full disk costs only the time of the next start.
fn keep(cache: &Cache, digest: &str, code: &[u8]) {
    if let Err(error) = cache.keep(digest, code) {
        tracing::warn!(%error, digest, "the compiled flow can't be kept; the next start compiles it again");
    }
}

fn invalid(error: wasmtime::Error) -> CompileError {
    CompileError::Invalid(printable(&format!("{error:#}"), 500))
}

fn failed(error: impl std::fmt::Display) -> CompileError {
    CompileError::Failed(format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::flows::tests::guest::Guest;
    use crate::flows::{EngineOptions, Flow as _, Plugin};

    /// A component that is too big to be compiled in process.
    fn big() -> Vec<u8> {
        let mut guest = Guest::good("big");
        guest.ballast = IN_PROCESS;
        guest.build()
    }

    /// Loads a component with this script in the place of the compiler.
    async fn load(bytes: Vec<u8>, cache: Option<&Path>, script: &str) -> Result<Plugin, String> {
        let folder = tempfile::tempdir().unwrap();
        let executable = folder.path().join("compiler");
        // One test at a time: a child that another one starts now would hold this file open, and what is open for writing
        // can't be run.
        static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let _alone = ALONE.lock().await;
        fs::write(&executable, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&executable, fs::Permissions::from_mode(0o700)).unwrap();
        let compiler = Compiler::Child(executable);
        let cache = cache.map(Path::to_owned);
        let engine = Engine::new(EngineOptions { compiler, cache, slots: 1, ..EngineOptions::default() }).unwrap();
        Plugin::load(&engine, bytes).await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_big_component_is_compiled_by_a_child() {
        let folder = tempfile::tempdir().unwrap();
        let (input, output) = (folder.path().join("in"), folder.path().join("out"));
        fs::write(&input, big()).unwrap();
        precompile(&input, &output).unwrap();
        // It is called as documented, with no environment, and its code fits this engine.
        let script = format!(
            "PATH=/usr/bin:/bin
             [ \"$1 $2\" = 'plugin precompile' ] || {{ echo \"arguments $*\" >&2; exit 1; }}
             [ -z \"$HOME$CARGO\" ] || {{ echo environment >&2; exit 1; }}
             cmp -s {} \"$3\" || {{ echo input >&2; exit 1; }}
             cp {} \"$4\"",
            input.display(),
            output.display()
        );
        assert_eq!(load(big(), None, &script).await.unwrap().description().name, "big");

        let cache = folder.path().join("cache");
        load(big(), Some(&cache), &script).await.unwrap();
        load(big(), Some(&cache), "echo 'compiled again' >&2; exit 1").await.unwrap();
        // A small one needs no child.
        load(Guest::good("small").build(), None, "exit 1").await.unwrap();
    }

    #[tokio::test]
    async fn a_compiler_that_fails_is_reported() {
        for (script, part) in [
            ("echo 'unknown instruction' >&2; exit 1", "it doesn't compile: unknown instruction"),
            ("kill -9 $$", "is there enough memory?"),
            ("exit 0", "it can't be compiled here"),
            ("echo garbage > \"$4\"", "its compiled code can't be loaded"),
        ] {
            let error = load(big(), None, script).await.unwrap_err();
            assert!(error.contains(part), "{error}\nshould contain {part}");
        }
    }

    #[test]
    fn what_is_not_valid_is_not_compiled() {
        let folder = tempfile::tempdir().unwrap();
        let (input, output) = (folder.path().join("in"), folder.path().join("out"));
        assert!(matches!(precompile(&input, &output), Err(CompileError::Failed(_))));
        fs::write(&input, &big()[..5000]).unwrap();
        assert!(matches!(precompile(&input, &output), Err(CompileError::Invalid(_))));
        assert!(!output.exists());
    }
}
