//! A thread for what operators ask for and what takes long: passes through all that is stored, answers of megabytes. One thing at
//! a time, and behind everything that answers clients.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// The thread, for as long as somebody has it.
#[derive(Clone)]
pub struct Offload(mpsc::Sender<Job>);

impl Default for Offload {
    /// Starts the thread.
    fn default() -> Offload {
        let (jobs, todo) = mpsc::channel::<Job>();
        let work = move || {
            give_way();
            for job in todo {
                // Who waits for it is told, and the panic hook has said what it was.
                drop(catch_unwind(AssertUnwindSafe(job)));
            }
        };
        let started = thread::Builder::new()
            .name("offload".to_owned())
            .spawn(work);
        started.expect("a process that starts has room for one more thread");
        Offload(jobs)
    }
}

impl fmt::Debug for Offload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Offload")
    }
}

impl Offload {
    /// What `work` makes, when all that came before it is done; `None`: it has panicked. What nobody waits for any more is not begun.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (tell, told) = oneshot::channel();
        let runtime = Handle::current();
        let job = move || {
            if tell.is_closed() {
                return; // who has asked has left
            }
            let _runtime = runtime.enter(); // it may start tasks
            tell.send(work()).ok(); // an error says that who has asked has left meanwhile
        };
        self.0.send(Box::new(job)).ok()?;
        told.await.ok()
    }
}

/// Of a core that is wanted by more than one thread, this one has about a tenth: `nice` 10 (sched(7): each step is 1.25 times).
/// Elsewhere than on Linux that is a matter of whole processes, and remains as it is.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(10) {
        tracing::debug!(%error, "long work has the priority of requests");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_thing_is_done_at_a_time_in_order_and_what_breaks_breaks_nothing_else() {
        let offload = Offload::default();
        let (open, gate) = mpsc::channel::<()>();
        let (first, log) = mpsc::channel::<u32>();
        let second = first.clone();
        let one = offload.run(move || {
            gate.recv().unwrap();
            first.send(1).unwrap();
        });
        let broken = offload.run(|| panic!("on purpose"));
        let two = offload.run(move || second.send(2).unwrap());
        let opened = async { open.send(()).unwrap() };
        let (one, broken, two, ()) = tokio::join!(one, broken, two, opened);
        assert_eq!((one, broken, two), (Some(()), None, Some(())));
        assert_eq!(log.iter().collect::<Vec<_>>(), [1, 2]);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_not_begun() {
        let offload = Offload::default();
        let (open, gate) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel::<u32>();
        let mut first = Box::pin(offload.run(move || gate.recv().unwrap()));
        assert!(futures_util::poll!(&mut first).is_pending());
        let mut left = Box::pin(offload.run(move || tell.send(1).unwrap()));
        assert!(futures_util::poll!(&mut left).is_pending());
        drop(left);
        open.send(()).unwrap();
        first.await.unwrap();
        offload.run(|| ()).await.unwrap();
        assert_eq!(told.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn it_stands_behind_those_that_answer_clients() {
        let mine = rustix::process::nice(0).unwrap();
        let its = Offload::default().run(|| rustix::process::nice(0)).await;
        assert!(its.unwrap().unwrap() > mine);
        assert_eq!(rustix::process::nice(0).unwrap(), mine, "nobody else");
    }
}
