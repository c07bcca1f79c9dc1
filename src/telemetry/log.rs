//! Where log events go: standard error, as text or JSON.

use std::io::IsTerminal;

use schemars::JsonSchema;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For machines: one object a line.
    Json,
}

/// What is logged: our own events of level `info` and above. The upstream engine's are left out: it calls things errors
/// that it mends itself, and what it cannot mend is reported by us. Those of HTTP/2 too: each of a client's frames may be a
/// line, and nobody has asked for as many.
const SHOWN: &str = "info,pingora_core=off,pingora_pool=off,h2=off,hyper=off";

/// Sends events to standard error. The first call of a process counts.
pub fn start(format: Format) {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(SHOWN))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        // What cannot be written (the disk is full, who reads it has gone) would be said on standard error, and that panics.
        .log_internal_errors(false);
    let set = match format {
        Format::Text => subscriber.with_target(false).try_init(),
        Format::Json => subscriber
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init(),
    };
    if let Err(error) = set {
        tracing::debug!(%error, "somebody else collects the log");
    }
}
