//! Tests through real sockets: a scripted app, the sidecar, clients. A module per theme.

#[cfg(test)]
mod harness;
#[cfg(test)]
mod support;
