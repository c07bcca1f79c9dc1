//! The command `tagalong`.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// It keeps little of what bodies of all sizes leave behind, and gives it back at rest, too (Cargo.toml).
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    // Where the kernel gives huge pages to all, what is free in a part of one is not given back. A kernel that has none says no, and
    // that is right as well.
    #[cfg(target_os = "linux")]
    rustix::thread::disable_transparent_huge_pages(true).ok();
    tagalong::cli::run()
}
