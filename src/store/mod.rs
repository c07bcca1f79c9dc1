//! Where entries live: in memory, bounded by bytes; and what they are as bytes, for other sidecars.

pub mod codec;
mod memory;
mod uses;

pub use memory::Memory;
pub use memory::Weigh;
pub use uses::Uses;
