//! The command `tagalong`.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A request makes and drops a dozen small pieces of memory, which costs this allocator less than the C library's (Cargo.toml).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    tagalong::cli::run()
}
