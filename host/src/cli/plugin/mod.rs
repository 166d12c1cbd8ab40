//! `tokenhost plugin …`: for authors of flows. Works on components in files, without a daemon and without its data.

mod build;
mod callback;
mod check;
mod compiled;
mod conformance;
mod dev;
mod fields;
mod live;
mod native;
mod pack;
mod replay;
mod scaffold;
mod toolchain;
mod trial;
mod watch;

use std::path::{Path, PathBuf};

use serde_json::json;

use super::exit::{Exit, Failure};
use super::output::Output;
use crate::flows::compile;

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
    /// Make the project of a new flow, which builds and passes its tests at once
    #[command(
        after_help = "The project is self-contained: the contract and the SDK are written into it. The README in it says how to go on.\n\nExamples:\n  tokenhost plugin new my-flow --lang rust\n  tokenhost plugin new my-flow --lang js\n  tokenhost plugin new my-flow --lang python --dir flows/my-flow"
    )]
    New {
        /// The flow's name: lower-case words joined by hyphens, e.g. my-flow
        name: String,
        /// What to write it in
        #[arg(long, value_name = "LANGUAGE")]
        lang: build::Language,
        /// The folder to make; it must be empty if it is there [default: the flow's name]
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Make the component of a flow in Rust, JavaScript or Python
    #[command(
        after_help = "The language is told by Cargo.toml, package.json or pyproject.toml. Finds out by itself which tools there are. Those of JavaScript and Python are installed into the project's folder (node_modules, .venv) if they are missing, as the project pins them; for Rust it says what to install. A core module that another tool made is wrapped by its contract, and a component held against it.\n\nExamples:\n  tokenhost plugin build\n  tokenhost plugin build my-flow --out ../flows/my-flow.wasm\n  tokenhost plugin build module.wasm --out my-flow.wasm"
    )]
    Build {
        /// The project's folder, or a module or component
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Where to put the component: a file or a folder [default: in the project's folder for what is built]
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
    Pack(pack::Pack),
    Key(pack::Key),
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
            Command::New { name, lang, dir } => scaffold::run(&name, lang, dir.as_deref(), output),
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
            Command::Pack(pack) => pack.run(output).await,
            Command::Key(key) => key.run(output),
            Command::Precompile { input, output } => compile::precompile(&input, &output).map_err(|error| {
                // The parent reads stderr as it is.
                eprintln!("{error}");
                Failure::Silent(Exit::Failed)
            }),
        }
    }
}

/// The component in a file.
fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    if file.is_dir() {
        return Err(Failure::failed(format!("{} is a folder; a component's file (.wasm) is wanted", file.display()))
            .hint(format!("`tokenhost plugin build {}` makes it, and says where it is.", file.display())));
    }
    std::fs::read(file).map_err(|error| Failure::failed(format!("{} can't be read: {error}", file.display())))
}
