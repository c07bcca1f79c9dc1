//! How much a [`Link`] leads to.

use crate::shared::Error;
use crate::shared::Link;
use crate::shared::bodies::{Bodies, Scan};
use crate::shared::keys::FAMILY;

/// How many keys are looked at together.
const AT_ONCE: usize = 1_000;

impl Link {
    /// How many keys are this namespace's, on all servers. It goes through all that is there, and what moves in the server's
    /// tables meanwhile may be counted twice.
    ///
    /// # Errors
    ///
    /// The store cannot be asked.
    pub async fn count_keys(&self) -> Result<u64, Error> {
        let (servers, keys) = (self.servers(), self.keys());
        let (mut count, mut next) = (0, Some(Scan::default()));
        while let Some(from) = next {
            let (names, rest) = servers.scan(FAMILY, from, AT_ONCE).await?;
            count += names
                .iter()
                .filter(|name| keys.has(name.as_bytes()))
                .count() as u64;
            next = rest;
        }
        Ok(count)
    }

    /// How many bytes the servers use for everything they hold.
    ///
    /// # Errors
    ///
    /// The store cannot be asked.
    pub async fn used_memory(&self) -> Result<u64, Error> {
        self.servers().used_memory().await
    }

    /// All servers that have something of ours: those of responses have the tags, too.
    fn servers(&self) -> Bodies {
        let bodies = self.bodies().cloned();
        bodies.unwrap_or_else(|| Bodies::on_one(self.commands()))
    }
}
