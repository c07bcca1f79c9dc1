//! Runs futures one poll at a time, in an order that a seed decides. A task is polled only when it was woken, so that a
//! waker that is forgotten shows as a task that never ends.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake};

use fastrand::Rng;

/// Tells one task from the others.
pub(crate) type TaskId = u32;

#[derive(Default)]
pub(crate) struct Executor {
    tasks: RefCell<BTreeMap<TaskId, Task>>,
    next: Cell<TaskId>,
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Executor {
    /// A task to be polled when its turn comes.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + 'static) -> TaskId {
        let id = self.next.replace(self.next.get() + 1);
        let task = Task {
            future: Box::pin(future),
            woken: Arc::new(Woken(AtomicBool::new(true))),
        };
        self.tasks.borrow_mut().insert(id, task);
        id
    }

    /// Polls a task once, if it has not ended.
    pub(crate) fn poll(&self, id: TaskId) {
        // Out of the table: a task may spawn others.
        let Some(mut task) = self.tasks.borrow_mut().remove(&id) else {
            return;
        };
        task.woken.0.store(false, Ordering::Relaxed);
        let waker = Arc::clone(&task.woken).into();
        let polled = task.future.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_pending() {
            self.tasks.borrow_mut().insert(id, task);
        }
    }

    /// Ends a task where it stands, as a panic or a shutdown would.
    pub(crate) fn cancel(&self, id: TaskId) {
        let task = self.tasks.borrow_mut().remove(&id);
        drop(task); // with nothing borrowed: what it drops may look here
    }

    /// Polls one of the woken tasks; `false` if there is none.
    pub(crate) fn poll_any(&self, rng: &RefCell<Rng>) -> bool {
        let tasks = self.tasks.borrow();
        let woken = tasks
            .iter()
            .filter(|(_, task)| task.woken.0.load(Ordering::Relaxed));
        let woken: Vec<_> = woken.map(|(id, _)| *id).collect();
        drop(tasks);
        let chosen = rng.borrow_mut().choice(&woken).copied();
        if let Some(id) = chosen {
            self.poll(id);
        }
        chosen.is_some()
    }

    /// Whether every task has ended.
    pub(crate) fn is_idle(&self) -> bool {
        self.tasks.borrow().is_empty()
    }

    /// Ends all tasks where they stand.
    pub(crate) fn clear(&self) {
        let tasks = self.tasks.take();
        drop(tasks);
    }
}
