//! The executable: an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    tokenhost::cli::main()
}
