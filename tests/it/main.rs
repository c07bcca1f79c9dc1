//! Tests through real sockets.

fn main() {}
