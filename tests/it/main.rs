//! Tests through the public interface and through real sockets.

mod architecture;
mod golden;
