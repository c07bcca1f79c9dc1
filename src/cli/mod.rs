//! The command line: arguments in, text and an exit code out. Decides nothing about caching; it reads the files through
//! `config`, and what it prints comes from the parts it asks.
//!
//! Exit codes: 0 done, 1 could not, 2 usage or bad files.

mod check;
mod completions;
mod demo;
mod explain;
mod files;
mod man;
mod people;
mod progress;
mod remote;
mod schema;
mod serve;
mod stop;
mod table;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::model::mistake::Mistake;

/// A sidecar HTTP cache that forgets exactly the right responses: the app tags what it answers, and says by a response
/// header what has changed.
#[derive(Debug, Parser)]
#[command(name = "tagalong", version, about, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Demo(demo::Demo),
    Check(check::Check),
    Explain(explain::Explain),
    Schema(schema::Schema),
    Health(remote::health::Health),
    Stats(remote::stats::Stats),
    Rules(remote::rules::Rules),
    Entries(remote::entries::Entries),
    Entry(remote::entry::Entry),
    Tags(remote::tags::Tags),
    Increments(remote::increments::Increments),
    Purge(remote::purge::Purge),
    Refresh(remote::refresh::Refresh),
    Change(remote::change::Change),
    Epoch(remote::epoch::Epoch),
    Audit(remote::audit::Audit),
    Reload(remote::reload::Reload),
    Objects(remote::objects::Objects),
    Openapi(remote::openapi::Openapi),
    Completions(completions::Completions),
    Man(man::Man),
}

/// Why a command did not do what was asked.
#[derive(Debug)]
enum Failure {
    /// What is wrong with the files: exit code 2.
    Mistakes(Vec<Mistake>),
    /// What is surely not meant, and must not be: exit code 2.
    Warnings(Vec<Mistake>),
    /// What is missing among the arguments: exit code 2.
    Usage(String),
    /// Anything else: exit code 1.
    Could(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Could(error.into())
    }
}

/// Does what the arguments of this process ask for.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse(); // ends the process with 2 on wrong usage
    let mut out = io::stdout();
    let done = match arguments.command {
        Command::Serve(serve) => serve.run(&mut out),
        Command::Demo(demo) => demo.run(&mut out),
        Command::Check(check) => check.run(&mut out, &mut io::stderr()),
        Command::Explain(explain) => explain.run(&mut out),
        Command::Schema(schema) => schema.run(&mut out),
        Command::Health(health) => health.run(&mut out),
        Command::Stats(stats) => stats.run(&mut out),
        Command::Rules(rules) => rules.run(&mut out),
        Command::Entries(entries) => entries.run(&mut out),
        Command::Entry(entry) => entry.run(&mut out),
        Command::Tags(tags) => tags.run(&mut out),
        Command::Increments(increments) => increments.run(&mut out),
        Command::Purge(purge) => purge.run(&mut out),
        Command::Refresh(refresh) => refresh.run(&mut out),
        Command::Change(change) => change.run(&mut out),
        Command::Epoch(epoch) => epoch.run(&mut out),
        Command::Audit(audit) => audit.run(&mut out),
        Command::Reload(reload) => reload.run(&mut out),
        Command::Objects(objects) => objects.run(&mut out),
        Command::Openapi(openapi) => openapi.run(&mut out),
        Command::Completions(completions) => completions.run(&mut out),
        Command::Man(man) => man.run(&mut out),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&mut io::stderr().lock()),
    }
}

impl Failure {
    /// One line per mistake or cause; the exit code. Where nobody reads them, the code still tells.
    fn report(&self, err: &mut impl Write) -> ExitCode {
        match self {
            Failure::Mistakes(mistakes) => {
                for mistake in mistakes {
                    writeln!(err, "{mistake}").ok();
                }
                ExitCode::from(2)
            }
            Failure::Warnings(warnings) => {
                for warning in warnings {
                    writeln!(err, "warning: {warning}").ok();
                }
                ExitCode::from(2)
            }
            Failure::Usage(message) => {
                writeln!(err, "tagalong: {message}").ok();
                ExitCode::from(2)
            }
            // Who reads the output has seen enough, as `head` does.
            Failure::Could(error) if is_broken_pipe(error) => ExitCode::from(1),
            Failure::Could(error) => {
                let mut causes = error.chain();
                if let Some(cause) = causes.next() {
                    writeln!(err, "tagalong: {cause}").ok();
                }
                for cause in causes {
                    writeln!(err, "  because: {cause}").ok();
                }
                ExitCode::from(1)
            }
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let of_io = error.downcast_ref::<io::Error>().map(io::Error::kind);
    let json = error.downcast_ref::<serde_json::Error>();
    let kind = of_io.or(json.and_then(serde_json::Error::io_error_kind));
    kind == Some(io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn each_mistake_and_each_cause_has_its_line() {
        let mistakes = Failure::Mistakes(
            ["one", "two"]
                .map(|message| Mistake {
                    file: "rules/a.yaml".into(),
                    place: None,
                    message: message.into(),
                })
                .into(),
        );
        let could = Failure::Could(anyhow::anyhow!("address in use").context("could not listen"));
        for (failure, expected) in [
            (mistakes, "rules/a.yaml: one\nrules/a.yaml: two\n"),
            (
                could,
                "tagalong: could not listen\n  because: address in use\n",
            ),
        ] {
            let mut said = Vec::new();
            failure.report(&mut said);
            assert_eq!(String::from_utf8(said).unwrap(), expected);
        }
    }
}
