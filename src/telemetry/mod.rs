//! What the process says of itself: the log, and a line per request.

pub mod access;
pub mod log;
