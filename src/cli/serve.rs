//! `tagalong serve`: runs the sidecar until it is asked to stop.

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::app;
use crate::app::App;
use crate::cli::Failure;
use crate::cli::files::Files;
use crate::cli::stop::Stop;
use crate::config::Instead;
use crate::config::Listen;
use crate::config::Target;

/// Run the sidecar in front of an app.
///
/// The files are read again when they change, and on SIGHUP: rules come into force at once, the rest with the next start.
/// SIGTERM or Ctrl-C stops accepting and finishes what runs, within `drain` of the configuration; a second one ends at once.
#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    files: Files,
    /// The app behind: http://, https://, h2c:// or unix:/path [default: http://127.0.0.1:8000].
    #[arg(long, value_name = "URL")]
    upstream: Option<Target>,
    /// Where to listen: ADDR:PORT or unix:/path; may be given several times [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR")]
    listen: Vec<Listen>,
    /// Where operators reach the admin interface and the dashboard: ADDR:PORT, in place of `admin.listen`. If the configuration has
    /// no token, that in TAGALONG_ADMIN_TOKEN holds; an address that other machines reach needs one [default: as the
    /// configuration says, which may be nowhere].
    #[arg(long, value_name = "ADDR")]
    admin_listen: Option<SocketAddr>,
}

impl Serve {
    pub(super) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let config = self.files.read_with(Instead {
            upstream: self.upstream,
            listen: self.listen,
            admin_listen: self.admin_listen,
            complete: true,
            ..Instead::default()
        })?;
        app::start_log(&config.log);
        let behind = config.upstream.targets.to_string();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let ended = runtime.block_on(async {
            let mut stop = Stop::listen()?;
            let mut hangup = signal(SignalKind::hangup())?;
            let app = App::start(config, Default::default()).await?;
            app.tell_panics();
            for address in app.addresses() {
                say(
                    out,
                    format_args!("listening on {address}, in front of {behind}"),
                );
            }
            if let Some(address) = app.admin_address() {
                say(out, format_args!("admin interface on http://{address}"));
            }
            loop {
                tokio::select! {
                    () = stop.asked() => break,
                    Some(()) = hangup.recv() => app.reload(),
                }
            }
            say(
                out,
                format_args!("finishing what runs; a second signal ends at once"),
            );
            stop.unless_asked_again(app.shutdown()).await?;
            Ok(())
        });
        runtime.shutdown_background(); // what the second signal cuts off is not waited for
        ended
    }
}

/// Tells who watches. Where that cannot be written (the disk is full, who read it has gone) clients are served all the same, and what
/// runs is finished.
fn say(out: &mut impl Write, what: fmt::Arguments<'_>) {
    writeln!(out, "tagalong: {what}")
        .and_then(|()| out.flush())
        .ok();
}
