//! What runs for one client, in the task of that client as long as it waits: no other task is begun, woken and waited for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use tokio::runtime::Handle;
use tokio::task::coop::unconstrained;
use tokio_util::task::TaskTracker;

/// What is left to do of something, if anything. Dropped, it goes on in a task of its own.
pub(super) struct Rest(Option<Run>);

/// Boxed, as it is large and moves.
type Run = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Rest {
    /// All of it, which is one of `tasks`.
    pub(super) fn of(tasks: &TaskTracker, run: impl Future<Output = ()> + Send + 'static) -> Rest {
        Rest(Some(Box::pin(tasks.track_future(run))))
    }

    /// Does it until `client` has its answer. That waits for what is done here and for nothing else: as long as there is something to
    /// do, nobody wakes it.
    pub(super) async fn beside<T>(mut self, client: impl Future<Output = T>) -> T {
        let mut client = pin!(unconstrained(client));
        std::future::poll_fn(|cx| match self.advance(cx) {
            Poll::Ready(()) => client.as_mut().poll(cx),
            // Asked each time, it need not be woken: that would wake this very task once more.
            Poll::Pending => client
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop())),
        })
        .await
    }

    /// What breaks breaks alone, as in a task of its own; the panic's own message has told of it.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(run) = &mut self.0 {
            let polled = catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(cx)));
            ready!(polled.unwrap_or(Poll::Ready(())));
            self.0 = None;
        }
        Poll::Ready(())
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if let (Some(run), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(run);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::Relaxed;
    use std::time::Duration;

    use futures_util::poll;
    use tokio::sync::oneshot;
    use tokio::task::coop::{consume_budget, has_budget_remaining};
    use tokio::time::timeout;

    use super::*;

    /// A failure instead of a test that hangs.
    async fn soon<T>(event: impl Future<Output = T>) -> T {
        let event = timeout(Duration::from_secs(20), event);
        event.await.expect("it happens at once")
    }

    /// Waits until nothing runs.
    async fn finished(tasks: &TaskTracker) {
        tasks.close();
        soon(tasks.wait()).await;
    }

    #[tokio::test]
    async fn a_client_that_leaves_breaks_nothing_off() {
        let tasks = TaskTracker::new();
        let (go_on, may_go_on) = oneshot::channel::<()>();
        let (answer, answered) = oneshot::channel();
        let (told, done) = oneshot::channel();
        let run = async move {
            may_go_on.await.unwrap();
            assert_eq!(answer.send(7), Err(7), "its client has left");
            told.send(()).unwrap();
        };
        let mut client = Box::pin(Rest::of(&tasks, run).beside(answered));
        assert!(poll!(&mut client).is_pending());
        drop(client);
        assert_eq!(tasks.len(), 1);
        go_on.send(()).unwrap();
        soon(done).await.unwrap();
        finished(&tasks).await;
    }

    #[tokio::test]
    async fn a_client_waits_for_its_answer_alone() {
        let tasks = TaskTracker::new();
        let (go_on, may_go_on) = oneshot::channel::<()>();
        let (answer, answered) = oneshot::channel();
        let (told, done) = oneshot::channel();
        let run = async move {
            tokio::task::yield_now().await;
            answer.send(7).unwrap();
            may_go_on.await.unwrap();
            told.send(()).unwrap();
        };
        assert_eq!(soon(Rest::of(&tasks, run).beside(answered)).await, Ok(7));
        assert_eq!(tasks.len(), 1, "the rest is still to be done");
        go_on.send(()).unwrap();
        soon(done).await.unwrap();
        finished(&tasks).await;
    }

    #[tokio::test]
    async fn a_run_that_has_used_up_its_turn_holds_no_answer_back() {
        let (answer, answered) = oneshot::channel();
        let run = async move {
            while has_budget_remaining() {
                consume_budget().await;
            }
            answer.send(7).unwrap();
            std::future::pending::<()>().await;
        };
        let tasks = TaskTracker::new();
        assert_eq!(soon(Rest::of(&tasks, run).beside(answered)).await, Ok(7));
    }

    #[tokio::test]
    async fn what_broke_is_not_gone_on_with() {
        let tasks = TaskTracker::new();
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&polls);
        let run = std::future::poll_fn(move |_| {
            counted.fetch_add(1, Relaxed);
            panic!("broken on purpose");
        });
        soon(Rest::of(&tasks, run).beside(tokio::task::yield_now())).await;
        finished(&tasks).await;
        assert_eq!(polls.load(Relaxed), 1);
    }

    #[tokio::test]
    async fn what_breaks_is_told_to_its_client() {
        let tasks = TaskTracker::new();
        let (answer, answered) = oneshot::channel::<u8>();
        let run = async move {
            let _answer = answer;
            tokio::task::yield_now().await;
            panic!("broken on purpose");
        };
        assert!(soon(Rest::of(&tasks, run).beside(answered)).await.is_err());
        finished(&tasks).await;
    }
}
