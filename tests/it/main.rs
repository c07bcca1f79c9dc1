//! Tests through the public interface and through real sockets.

mod architecture;
mod command_line;
mod datasette;
mod demo;
mod documents;
mod golden;
