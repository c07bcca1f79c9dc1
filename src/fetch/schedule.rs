//! What happens by schedule instead of by a request: increments that are repeated, responses that are fetched again.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::cache::Fill;
use crate::cache::Refresh;
use crate::fetch::Caller;
use crate::fetch::Fetch;
use crate::model::time::Timestamp;
use crate::rules::LiveRules;

/// How many responses are fetched at once for no request: a round must not stampede the app.
pub(super) const AT_ONCE: usize = 8;

/// After so long it looks again what is due: the clock may have been set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

impl Fetch {
    /// Does what is due for no request, each time when it is due. What is fetched again is by the rules in force when it
    /// begins. Never ends by itself; what it has begun goes on when it is ended.
    pub async fn by_schedule(self, rules: LiveRules) {
        let cache = &self.0.cache;
        let mut waiting: VecDeque<Refresh> = VecDeque::new();
        let mut running = FuturesUnordered::new();
        loop {
            cache.increment_due().await;
            waiting.extend(cache.refreshes_due());
            while running.len() < AT_ONCE
                && let Some(refresh) = waiting.pop_front()
            {
                if let Some(fill) = refresh.begin(&rules.load()) {
                    running.push(self.0.tasks.spawn(self.clone().refresh(refresh, fill)));
                }
            }
            tokio::select! {
                () = self.until(cache.next_due()) => {}
                () = cache.rescheduled() => {}
                Some(_ended) = running.next() => {}
            }
        }
    }

    /// The right to it is given back when the fill has ended, however it has.
    async fn refresh(self, refresh: Refresh, fill: Box<Fill>) {
        Box::pin(self.run(fill, Caller::default())).await;
        drop(refresh);
    }

    async fn until(&self, due: Option<Timestamp>) {
        match due {
            Some(due) => {
                let latest = self.0.clock.now() + LONGEST_SLEEP;
                self.0.clock.sleep_until(due.min(latest)).await;
            }
            None => std::future::pending().await,
        }
    }
}
