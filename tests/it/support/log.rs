//! What a sidecar writes into its log, for tests that read it: several run in one process, and none has the log to itself.

use std::sync::{Arc, LazyLock, Mutex};

use tracing_subscriber::fmt::MakeWriter;

/// Where there is one subscriber alone, the first thread that comes to a line decides for all whether anybody wants it, by a
/// subscriber of its own, which most tests have not. So there is a second one.
static SECOND: LazyLock<tracing::Dispatch> = LazyLock::new(|| {
    let all = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG);
    tracing::Dispatch::new(all.with_writer(std::io::sink).finish())
});

/// What is logged by the tasks of a test.
#[derive(Clone, Default)]
pub(crate) struct Log {
    written: Arc<Mutex<Vec<u8>>>,
    /// Who writes this panics.
    breaks_at: Option<&'static str>,
}

impl Log {
    /// Holds what the tasks of this test write from now on, for as long as what it returns is kept.
    pub(crate) fn written(&self) -> tracing::subscriber::DefaultGuard {
        LazyLock::force(&SECOND);
        let subscriber = tracing_subscriber::fmt()
            .with_writer(self.clone())
            .with_ansi(false)
            .with_max_level(tracing::Level::DEBUG)
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    /// A log in which who writes `text` panics: the tasks of a test break where it wants them to.
    pub(crate) fn that_breaks_at(text: &'static str) -> Log {
        Log {
            breaks_at: Some(text),
            ..Log::default()
        }
    }

    /// All there is so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // Before it stands the line at which the writer has broken, which nobody took out.
        let text = String::from_utf8_lossy(bytes);
        let line = text.lines().last().unwrap_or_default();
        if self.breaks_at.is_some_and(|text| line.contains(text)) {
            panic!("broken on purpose");
        }
        self.written.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}
