//! Tests through real sockets: a scripted app, the sidecar, clients. A module per theme.

#[cfg(test)]
mod admin;
#[cfg(test)]
mod answers;
#[cfg(test)]
mod architecture;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod changes;
#[cfg(test)]
mod coalescing;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod concurrency;
#[cfg(test)]
mod dashboards;
#[cfg(test)]
mod datasette;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod explained;
#[cfg(test)]
mod fast_path;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod history;
#[cfg(test)]
mod hooks;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod invalidation;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod normalised;
#[cfg(test)]
mod patience;
#[cfg(test)]
mod private;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod ranges;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod redis_servers;
#[cfg(test)]
mod refetching;
#[cfg(test)]
mod refreshing;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod rfc5861;
#[cfg(test)]
mod rfc9111;
#[cfg(test)]
mod rfc9211;
#[cfg(test)]
mod rfc9213;
#[cfg(test)]
mod rfc9875;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod shadow;
#[cfg(test)]
mod shared;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod skipping;
#[cfg(test)]
mod staleness;
#[cfg(test)]
mod storing;
#[cfg(test)]
mod streaming;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod upstream;
#[cfg(test)]
mod wishes;
#[cfg(test)]
mod writers;
