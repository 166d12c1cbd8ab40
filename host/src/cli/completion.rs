//! `tokenhost completion SHELL`: the script that completes commands and flags.

use super::exit::Failure;
use super::output::Output;

/// Print a script that completes tokenhost's commands and flags in a shell
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  source <(tokenhost completion bash)\n  tokenhost completion zsh > ~/.zfunc/_tokenhost\n  tokenhost completion fish > ~/.config/fish/completions/tokenhost.fish"
)]
pub(super) struct Completion {
    /// The shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

impl Completion {
    /// Prints the script.
    ///
    /// # Errors
    /// stdout can't be written.
    pub(super) fn run(self, output: Output) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::command(), "tokenhost", &mut script);
        output.raw(&String::from_utf8_lossy(&script))
    }
}
