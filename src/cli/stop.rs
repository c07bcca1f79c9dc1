//! The signals that end a long-running command: the first asks to finish, the second does not wait.

use std::future::Future;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT as they come in.
pub(super) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// Listens from now on; without this, a signal ends the process at once.
    pub(super) fn listen() -> io::Result<Stop> {
        Ok(Stop {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits until the process is asked to stop.
    pub(super) async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for `finishing`, but no longer than until the process is asked again.
    pub(super) async fn unless_asked_again(
        &mut self,
        finishing: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        tokio::select! {
            () = finishing => Ok(()),
            () = self.asked() => Err(anyhow::anyhow!("stopped at the second signal; what was running is cut off")),
        }
    }
}
