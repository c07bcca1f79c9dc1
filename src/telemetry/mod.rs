//! What the process says of itself: the log, a line per request, and traces.

pub mod access;
pub mod log;
mod otlp;
pub mod trace;
