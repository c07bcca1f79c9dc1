//! Where entries live: in memory, bounded by bytes.

mod memory;

pub use memory::Memory;
pub use memory::Weigh;
