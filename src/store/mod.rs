//! Where entries live: in memory, bounded by bytes.

mod memory;
mod uses;

pub use memory::Memory;
pub use memory::Weigh;
pub use uses::Uses;
