//! Where log events go: standard error, as text or JSON.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::panic;

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

/// Has every panic of this process told in the log, as everything else is, and hands it to `count`. Whoever's task it was, it ends alone.
pub fn tell_panics(count: impl Fn() + Send + Sync + 'static) {
    panic::set_hook(Box::new(move |panicked| {
        count();
        let what = panicked.payload_as_str().unwrap_or_default();
        let place = panicked.location().map(ToString::to_string);
        let backtrace = Backtrace::capture(); // there is one if the environment asks for it, as for Rust's own message
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace);
        tracing::error!(
            what,
            place,
            backtrace = backtrace.map(tracing::field::display),
            "panicked: this is a mistake in Tagalong, please report it"
        );
    }));
}

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    #[test]
    fn every_panic_is_counted() {
        let counted = Arc::new(AtomicUsize::new(0));
        let before: Arc<dyn Fn(&panic::PanicHookInfo<'_>) + Send + Sync> =
            panic::take_hook().into();
        tell_panics({
            let counted = Arc::clone(&counted);
            move || {
                counted.fetch_add(1, Relaxed);
            }
        });
        let ours = panic::take_hook();
        // Those of other tests go on to be told as they were.
        let told = Arc::clone(&before);
        panic::set_hook(Box::new(move |panicked| {
            ours(panicked);
            told(panicked);
        }));
        let broken = panic::catch_unwind(|| panic!("broken on purpose"));
        panic::set_hook(Box::new(move |panicked| before(panicked)));
        assert!(broken.is_err());
        assert!(
            counted.load(Relaxed) >= 1,
            "other tests may have panicked meanwhile, too"
        );
    }
}
