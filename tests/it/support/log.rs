//! What is logged, for tests that read it.

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
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn written(&self) -> tracing::subscriber::DefaultGuard {
        LazyLock::force(&SECOND);
        let subscriber = tracing_subscriber::fmt()
            .with_writer(self.clone())
            .with_ansi(false)
            .with_max_level(tracing::Level::DEBUG)
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
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
