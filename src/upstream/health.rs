//! Asks each address of the app again and again whether it is well.
//!
//! A check is a request like any other, to one address and without retries, so it takes the same connections, TLS and
//! protocol. (Pingora's own checks know resolved addresses with one host name for all, and none can be told what a
//! failed request has shown.)

use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::uri::PathAndQuery;
use http::{Request, Uri};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::balance::Balance;
use super::connector::{Need, Pool};
use super::queue::{Load, Queue};
use super::{Config, Upstream};
use crate::body::Body;
use crate::clock::Clock;

/// How the addresses of the app are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What is asked for: an answer of 2xx or 3xx is a healthy one. `None`: a connection is enough.
    pub path: Option<PathAndQuery>,
    /// How often. A check may take as long, or `connect_timeout` where that is longer.
    pub interval: Duration,
}

impl Default for Health {
    fn default() -> Health {
        Health {
            path: None,
            interval: Duration::from_secs(5),
        }
    }
}

/// Checks each address in a task of its own, now and every interval, for as long as what is returned lives.
pub(super) fn watch(balance: &Arc<Balance>, config: &Arc<Config>, health: &Health) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for pool in balance.pools() {
        let check = Check::new(pool, config, health);
        let balance = Arc::clone(balance);
        tasks.spawn(async move {
            let mut tick = interval(check.interval);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                match check.run().await {
                    Ok(()) => balance.passed(&check.pool),
                    Err(why) => balance.failed(&check.pool, &why),
                }
            }
        });
    }
    tasks
}

/// What is done to one address.
struct Check {
    pool: Arc<Pool>,
    path: Option<PathAndQuery>,
    interval: Duration,
    limit: Duration,
    app: Upstream,
}

impl Check {
    fn new(pool: Arc<Pool>, config: &Config, health: &Health) -> Check {
        let config = Config {
            retries: 0,
            ..config.clone()
        };
        Check {
            path: health.path.clone(),
            interval: health.interval,
            limit: health.interval.max(config.connect_timeout),
            app: Upstream {
                // Of its own: whether the app is well matters most when it is busy.
                queue: Arc::new(Queue::new(&config, Clock::System, Load::default())),
                config: Arc::new(config),
                balance: Arc::new(Balance::of([Arc::clone(&pool)])),
                checks: None,
            },
            pool,
        }
    }

    async fn run(&self) -> Result<(), String> {
        let Some(path) = &self.path else {
            let taken = self.pool.take(Need::Fresh).await;
            return taken.map(drop).map_err(|error| error.to_string());
        };
        let sent = async {
            let turn = self.app.turn().await?;
            self.app.send(turn, self.request(path)).await
        };
        let sent = timeout(self.limit, sent).await;
        let response = sent
            .map_err(|_| format!("no answer to GET {path} for {:?}", self.limit))?
            .map_err(|error| error.to_string())?;
        let status = response.status();
        if status.is_success() || status.is_redirection() {
            Ok(())
        } else {
            Err(format!("GET {path} was answered by {}", status.as_u16()))
        }
    }

    fn request(&self, path: &PathAndQuery) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = Uri::from(path.clone());
        let fields = request.headers_mut();
        if let Ok(host) = HeaderValue::try_from(self.pool.target().authority()) {
            fields.insert(header::HOST, host);
        }
        fields.insert(header::USER_AGENT, HeaderValue::from_static("tagalong"));
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn checks_end_with_the_last_clone_of_the_upstream() {
        let mut config = Config::new("unix:/nowhere/a".parse().unwrap());
        let alone = Upstream::new(config.clone(), Clock::System);
        assert!(alone.checks.is_none(), "a single address is not checked");
        config
            .targets
            .add("unix:/nowhere/b".parse().unwrap())
            .unwrap();
        let upstream = Upstream::new(config, Clock::System);
        let checked = Arc::downgrade(&upstream.balance);
        let clone = upstream.clone();
        drop(upstream);
        tokio::task::yield_now().await;
        assert!(
            clone
                .checks
                .as_ref()
                .is_some_and(|checks| checks.len() == 2)
        );
        drop(clone);
        while checked.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    }
}
