//! How far a long call has come: on terminals only, and never among what is printed.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget};

/// A line on standard error that says how far it is. Gone when this is.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Shown if standard error is a terminal; not where what is printed shows the same there.
    pub(super) fn beside(printed: bool) -> Progress {
        let target = match printed && io::stdout().is_terminal() {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        Progress(ProgressBar::with_draw_target(None, target).with_style(
            indicatif::ProgressStyle::with_template("{msg} …").expect("a template that is right"),
        ))
    }

    /// So far.
    pub(super) fn at(&self, text: String) {
        self.0.set_message(text);
        self.0.tick();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
