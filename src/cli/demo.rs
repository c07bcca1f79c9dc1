//! `tagalong demo`: starts the demo and says what to try.

use std::io::Write;

use clap::Args;

use crate::cli::Failure;
use crate::cli::stop::Stop;
use crate::demo;

/// Start a small shop with Tagalong in front of it and its dashboard, and print three curl lines to try.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// The port to listen on; the dashboard is on a free one [default: 8080 and 9080, or free ones where those are taken].
    #[arg(long)]
    port: Option<u16>,
}

impl Demo {
    pub(super) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let ended = runtime.block_on(async {
            let mut stop = Stop::listen()?;
            let demo = demo::start(self.port).await?;
            writeln!(out, "{demo}")?;
            out.flush()?;
            stop.asked().await;
            stop.unless_asked_again(demo.shutdown()).await?;
            Ok(())
        });
        runtime.shutdown_background();
        ended
    }
}
