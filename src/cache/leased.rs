//! One sidecar fetches for all (`coalesce.shared`, L9): the lease is taken before the app is asked, renewed while the fill
//! lives, and given back however it ends; the others wait for what comes of it.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

use crate::cache::Fill;
use crate::cache::Stored;
use crate::metrics::LeaseEnd;
use crate::shared::Asked;
use crate::shared::Lease;

/// A lease that is renewed for as long as this lives.
#[derive(Debug)]
pub(super) struct Held {
    lease: Option<Lease>,
    /// Ends by itself when the lease is lost.
    renewing: JoinHandle<()>,
}

/// So often is a lease renewed in its life.
const RENEWALS: u32 = 3;

impl Held {
    fn new(lease: Lease) -> Held {
        let renewed = lease.clone();
        let renewing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(renewed.life() / RENEWALS).await;
                // Who cannot be asked says neither: it may work the next time.
                if let Ok(false) = renewed.keep().await {
                    return;
                }
            }
        });
        Held {
            lease: Some(lease),
            renewing,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.renewing.abort();
        if let (Some(lease), Ok(runtime)) = (self.lease.take(), Handle::try_current()) {
            runtime.spawn(async move {
                if let Err(error) = lease.release().await {
                    tracing::debug!(%error, "a lease is left to expire");
                }
            });
        }
    }
}

impl Fill {
    /// Takes the right to ask the app for all sidecars, or waits for who has it; what has come of that, if it is of use here.
    /// Without an answer from the store this one asks for itself.
    pub(super) async fn lease(&mut self) -> Option<Arc<Stored>> {
        let coalesce = self.matched.rule.refill.coalesce?;
        // Who is joined by nobody here waits for nobody elsewhere.
        if !coalesce.shared || self.is_joined_by_nobody() || !self.may_be_elsewhere() {
            return None;
        }
        let cache = self.cache.clone();
        let (clock, leases) = (&cache.0.clock, &cache.0.metrics.leases);
        let mut ended = cache.0.ended.subscribe(); // first: nothing that ends from now on is missed
        let flight = self.errand.flight(&self.head);
        let name = flight.to_string();
        let token = format!("{:032x}", clock.random());
        let gives_up = clock.now() + coalesce.wait;
        let mut waited = false;
        loop {
            let link = cache.0.tags.link()?;
            let left = match link.lease(flight, &token, coalesce.lease).await {
                Ok(Asked::Taken(lease)) => {
                    leases.add(LeaseEnd::Acquired);
                    self.lease = Some(Held::new(lease));
                    return self.elsewhere().await; // who had it before may have stored something
                }
                Ok(Asked::Busy(left)) => left,
                Err(error) => {
                    cache.0.tags.failed(&link, &error);
                    // It may have been taken all the same, and nobody must wait for it.
                    drop(Held::new(link.taken(flight, &token, coalesce.lease)));
                    return None;
                }
            };
            if !waited {
                leases.add(LeaseEnd::Waited);
                waited = true;
            }
            let patience = left.min(gives_up.since(clock.now()));
            let its_end = async {
                loop {
                    match ended.recv().await {
                        Ok(flight) if *flight != *name => {}
                        Ok(_) | Err(RecvError::Lagged(_) | RecvError::Closed) => return,
                    }
                }
            };
            let has_ended = clock.within(patience, its_end).await.is_some();
            if let Some(stored) = self.elsewhere().await {
                return Some(stored);
            }
            // What came was for nobody else, or is too long in coming: no queue of sidecars that ask one after the other.
            if has_ended || clock.now() >= gives_up {
                return None;
            }
        }
    }

    /// Whether it may still store for all: always, where it need not have asked.
    pub(super) async fn has_lease(&self) -> bool {
        let Some(held) = &self.lease else {
            return true;
        };
        let lost = held.renewing.is_finished()
            || match &held.lease {
                Some(lease) => !lease.keep().await.unwrap_or(false),
                None => true,
            };
        if lost {
            self.cache.0.metrics.leases.add(LeaseEnd::Lost);
        }
        !lost
    }
}
