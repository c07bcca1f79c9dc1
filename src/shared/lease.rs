//! The right of one sidecar to fetch something for all (L9): it expires unless it is renewed, and a token says whose it is.

use std::time::Duration;

use crate::model::key::Variant;
use crate::shared::Error;
use crate::shared::Link;
use crate::shared::link::LOG_AGE;

/// A lease, and by which token it is ours.
#[derive(Clone, Debug)]
pub struct Lease {
    link: Link,
    flight: Variant,
    token: Box<str>,
    life: Duration,
}

/// What came of asking for one.
#[derive(Debug)]
pub enum Asked {
    /// It is ours.
    Taken(Lease),
    /// Somebody has it, for so long unless it is renewed.
    Busy(Duration),
}

impl Link {
    /// Asks for the right to fetch what lies under this variant; `token` is nobody else's.
    ///
    /// # Errors
    ///
    /// Nobody knows whose it is.
    pub async fn lease(
        &self,
        flight: Variant,
        token: &str,
        life: Duration,
    ) -> Result<Asked, Error> {
        let (keys, scripts) = (self.keys(), self.scripts());
        let busy: u64 = scripts
            .acquire
            .key(keys.lease(flight))
            .key(keys.awaited(flight))
            .arg(token)
            .arg(millis(life))
            .invoke_async(&mut self.commands())
            .await?;
        Ok(match busy {
            0 => Asked::Taken(self.taken(flight, token, life)),
            left => Asked::Busy(Duration::from_millis(left)),
        })
    }

    /// The lease with this token, if it was taken: where the answer was lost, it can be given back all the same.
    pub fn taken(&self, flight: Variant, token: &str, life: Duration) -> Lease {
        Lease {
            link: self.clone(),
            flight,
            token: token.into(),
            life,
        }
    }
}

impl Lease {
    /// The link by which it was taken.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// How long it lives.
    pub fn life(&self) -> Duration {
        self.life
    }

    /// Renews it; `false`: it is somebody else's by now.
    ///
    /// # Errors
    ///
    /// Nobody knows.
    pub async fn keep(&self) -> Result<bool, Error> {
        let link = &self.link;
        let ours: bool = link
            .scripts()
            .keep
            .key(link.keys().lease(self.flight))
            .arg(&*self.token)
            .arg(millis(self.life))
            .invoke_async(&mut link.commands())
            .await?;
        Ok(ours)
    }

    /// Gives it back, and wakes who waits for it; nothing happens to somebody else's.
    ///
    /// # Errors
    ///
    /// It expires by itself.
    pub async fn release(self) -> Result<(), Error> {
        let (link, keys) = (&self.link, self.link.keys());
        let _ours: bool = link
            .scripts()
            .release
            .key(keys.lease(self.flight))
            .key(keys.awaited(self.flight))
            .key(keys.generation())
            .key(keys.sequence())
            .key(keys.log())
            .arg(&*self.token)
            .arg(link.generation())
            .arg(self.flight.to_string())
            .arg(millis(LOG_AGE))
            .invoke_async(&mut link.commands())
            .await?;
        Ok(())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}
