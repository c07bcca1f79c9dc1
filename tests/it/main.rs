//! Tests through real sockets.

mod architecture;
