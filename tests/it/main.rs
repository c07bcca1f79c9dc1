//! Tests through real sockets.

#[cfg(test)] // Says to clippy what it is, so that helpers may unwrap.
mod upstream;
