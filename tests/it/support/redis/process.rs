//! A server's process: started, stopped and resumed, and gone when this one is, however this one ends.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::sync::mpsc::Sender;
use std::thread;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::WaitId;
use rustix::process::WaitIdOptions;
use rustix::process::kill_process;
use rustix::process::waitid;

/// Names another server that is to be tested, such as `valkey-server`.
const SERVER: &str = "TAGALONG_REDIS_SERVER";

/// A running server; killed when dropped.
pub(super) struct Process(Child);

impl Process {
    /// `redis-server` with these arguments; what it says outside its log goes to `output`.
    pub(super) fn start(arguments: &[&str], output: &Path) -> Process {
        let output = File::create(output).expect("room for a file");
        let program = program();
        let child = spawn(&program, arguments, &output);
        match child {
            Ok(child) => Process(child),
            Err(error) => panic!(
                "`{program}` does not start ({error}): `scripts/setup.sh test` installs Redis"
            ),
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<String> {
        let ended = self.0.try_wait().expect("it is ours to ask");
        ended.map(|status| status.to_string())
    }

    /// Stops it where it is; comes back when it stands still.
    pub(super) fn pause(&self) {
        self.signal(Signal::STOP);
        // NOWAIT: what is asked for here stays to be asked for.
        let stops = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(self.pid()), stops).expect("it is ours to ask");
        assert!(status.is_some_and(|status| status.stopped()), "it ended");
    }

    pub(super) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it is there until it is waited for");
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that ended by itself cannot be killed, and needs not be.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the way to tell a test which server to use"
)]
fn program() -> String {
    std::env::var(SERVER).unwrap_or_else(|_| "redis-server".into())
}

fn spawn(program: &str, arguments: &[&str], output: &File) -> io::Result<Child> {
    let with = |mut command: Command| -> io::Result<Child> {
        command.args(arguments);
        command.stdout(output.try_clone()?);
        command.stderr(output.try_clone()?);
        from_the_thread_that_stays(command)
    };
    // So that a test run that is killed leaves nothing behind, where there is the program for it.
    let mut tied = Command::new("setpriv");
    tied.args(["--pdeathsig", "KILL", "--", program]);
    match with(tied) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => with(Command::new(program)),
        started => started,
    }
}

/// "When my parent dies" means the thread that started the process: a test's thread may end before its server does, as
/// one of a runtime may. This one ends with the whole run.
fn from_the_thread_that_stays(command: Command) -> io::Result<Child> {
    type Order = (Command, Sender<io::Result<Child>>);
    static ORDERS: OnceLock<Sender<Order>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (orders, taken) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, started) in taken {
                // Whoever ordered it waits for it.
                started.send(command.spawn()).ok();
            }
        });
        orders
    });
    let (started, child) = mpsc::channel();
    orders.send((command, started)).expect("it stays");
    child.recv().expect("it answers every order")
}
