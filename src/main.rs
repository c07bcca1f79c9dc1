//! The command `tagalong`.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// It keeps little of what bodies of all sizes leave behind, and gives it back at rest, too (Cargo.toml).
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    tagalong::cli::run()
}
