//! Where entries live: in memory, bounded by bytes; and, as bytes, in the store that sidecars share.

pub mod codec;
mod memory;
mod noticed;
mod shared;
mod uses;

pub use memory::Memory;
pub use memory::Weigh;
pub use noticed::Noticed;
pub use shared::Found;
pub use shared::Shared;
pub use uses::Uses;
