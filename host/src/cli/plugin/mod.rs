//! `tokenhost plugin …`: for authors of flows. Works on components in files, without a daemon and without its data.

mod build;
mod callback;
mod check;
mod conformance;
mod dev;
mod fields;
mod live;
mod native;
mod replay;
mod toolchain;
mod trial;
mod watch;

use std::path::{Path, PathBuf};

use serde_json::json;

use super::exit::{Exit, Failure};
use super::output::Output;
use crate::flows::{Engine, EngineOptions, compile};

/// Make, check and try flow plugins; needs no daemon
#[derive(Debug, clap::Args)]
pub(super) struct Plugin {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done with components.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make the component of a Rust flow
    #[command(
        after_help = "Finds out by itself which WebAssembly toolchain there is, and says what to install if there is none.\n\nExamples:\n  tokenhost plugin build my-flow\n  tokenhost plugin build . --out ../flows/my-flow.wasm"
    )]
    Build {
        /// The crate's folder
        dir: PathBuf,
        /// Where to put the component: a file or a folder [default: in the crate's target folder]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Hold a component against the contract, and say what to do about each fault
    #[command(
        after_help = "Opens no connection. Tells what it imports, what it takes of the pool of instances, how long it takes to compile and to run a step, and what could be better (warnings). Exit code 0: no fault was found; 1: there are faults.\n\nExamples:\n  tokenhost plugin check my-flow.wasm\n  tokenhost plugin check my-flow.wasm --json | jq .warnings"
    )]
    Check {
        /// The component
        file: PathBuf,
    },
    /// Hold a flow against the conformance kit
    Test(Box<conformance::Test>),
    /// Run one attempt against a real provider and show its steps
    Try(Box<trial::Try>),
    /// Run a recorded attempt through a build, and show the first step that differs
    Replay(Box<replay::Replay>),
    /// Build a flow at each change, and swap it into a development daemon
    Dev(Box<dev::Dev>),
    /// Compile a component to machine code: what the daemon runs as a child process
    #[command(hide = true)]
    Precompile {
        /// The component
        input: PathBuf,
        /// Where to put the machine code
        output: PathBuf,
    },
}

impl Plugin {
    /// Does it.
    ///
    /// # Errors
    /// A file can't be read, the component is faulty, or the attempt brought no token.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        match self.command {
            Command::Build { dir, out } => {
                let built = build::build(&dir, out.as_deref(), &mut |line| output.note(line))?;
                let (path, kilobytes) = (built.component.display(), built.size.div_ceil(1000));
                let document = json!({"component": path.to_string(), "size": built.size, "changed": built.changed});
                output.show(&document, |_| {
                    let changed = if built.changed { "" } else { ", unchanged" };
                    format!("{path} ({kilobytes} KB{changed})\nnow: tokenhost plugin check {path}")
                })
            }
            Command::Check { file } => check::run(&file, output).await,
            Command::Test(test) => test.run(output).await,
            Command::Try(attempt) => attempt.run(output).await,
            Command::Replay(replay) => replay.run(output).await,
            Command::Dev(dev) => dev.run(output).await,
            Command::Precompile { input, output } => compile::precompile(&input, &output).map_err(|error| {
                // The parent reads stderr as it is.
                eprintln!("{error}");
                Failure::Silent(Exit::Failed)
            }),
        }
    }
}

/// An engine for this process alone, which ends soon: nothing is cached.
fn engine() -> Result<Engine, Failure> {
    Engine::new(EngineOptions::default()).map_err(|error| Failure::failed(error.to_string()))
}

/// The component in a file.
fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| Failure::failed(format!("{} can't be read: {error}", file.display())))
}
