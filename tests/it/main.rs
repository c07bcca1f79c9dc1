//! Tests through real sockets.

mod upstream;
