//! The command `tagalong`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tagalong::cli::run()
}
