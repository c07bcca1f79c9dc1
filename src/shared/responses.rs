//! What a [`Link`] does with responses; nothing where the configuration says that only tags are shared.

use std::time::Duration;

use crate::model::key::ComposedKey;
use crate::model::key::Variant;
use crate::shared::Error;
use crate::shared::Link;
use crate::shared::bodies::{Batch, Bodies, PATIENCE, Scan};

impl Link {
    /// How long a look at responses may take: what the app answers meanwhile is as good.
    pub fn patience(&self) -> Duration {
        self.timeout() * PATIENCE
    }

    /// Whether responses are on the same server as tags: a connection that one has lost the other has lost too.
    pub fn has_bodies_here(&self) -> bool {
        self.bodies().is_some_and(Bodies::are_on_one)
    }

    /// Whether responses are kept in the store.
    pub fn has_bodies(&self) -> bool {
        self.bodies().is_some()
    }

    /// What is recorded under a variant.
    ///
    /// # Errors
    ///
    /// The store cannot be asked.
    pub async fn record(&self, variant: Variant) -> Result<Option<Vec<u8>>, Error> {
        match self.bodies() {
            Some(bodies) => bodies.record(self.keys(), variant).await,
            None => Ok(None),
        }
    }

    /// The bytes of a response.
    ///
    /// # Errors
    ///
    /// The store cannot be asked.
    pub async fn response(&self, key: ComposedKey) -> Result<Option<Vec<u8>>, Error> {
        match self.bodies() {
            Some(bodies) => bodies.response(self.keys(), key).await,
            None => Ok(None),
        }
    }

    /// Puts the bytes of a response, for so long.
    ///
    /// # Errors
    ///
    /// They may be there all the same.
    pub async fn put_response(
        &self,
        key: ComposedKey,
        bytes: &[u8],
        life: Duration,
    ) -> Result<(), Error> {
        match self.bodies() {
            Some(bodies) => bodies.put_response(self.keys(), key, bytes, life).await,
            None => Ok(()),
        }
    }

    /// Records something under a variant, for so long; what was recorded there before.
    ///
    /// # Errors
    ///
    /// It may be there all the same.
    pub async fn put_record(
        &self,
        variant: Variant,
        bytes: &[u8],
        life: Duration,
    ) -> Result<Option<Vec<u8>>, Error> {
        match self.bodies() {
            Some(bodies) => bodies.put_record(self.keys(), variant, bytes, life).await,
            None => Ok(None),
        }
    }

    /// Records something under a variant for so long, if what is recorded there is still `old`; whether it was.
    ///
    /// # Errors
    ///
    /// It may be there all the same.
    pub async fn replace_record(
        &self,
        variant: Variant,
        (old, new): (&[u8], &[u8]),
        life: Duration,
    ) -> Result<bool, Error> {
        match self.bodies() {
            Some(bodies) => {
                let keys = self.keys();
                bodies.replace_record(keys, variant, (old, new), life).await
            }
            None => Ok(false),
        }
    }

    /// Lets what is recorded under a variant be kept for so long at least; whether there is something.
    ///
    /// # Errors
    ///
    /// It may be so all the same.
    pub async fn prolong_record(&self, variant: Variant, life: Duration) -> Result<bool, Error> {
        match self.bodies() {
            Some(bodies) => bodies.prolong(self.keys().variant(variant), life).await,
            None => Ok(false),
        }
    }

    /// The same of the bytes of a response.
    ///
    /// # Errors
    ///
    /// It may be so all the same.
    pub async fn prolong_response(&self, key: ComposedKey, life: Duration) -> Result<bool, Error> {
        match self.bodies() {
            Some(bodies) => bodies.prolong(self.keys().response(key), life).await,
            None => Ok(false),
        }
    }

    /// Whether there are the bytes of a response.
    ///
    /// # Errors
    ///
    /// The store cannot be asked.
    pub async fn has_response(&self, key: ComposedKey) -> Result<bool, Error> {
        match self.bodies() {
            Some(bodies) => bodies.has_response(self.keys(), key).await,
            None => Ok(false),
        }
    }

    /// Some of all records, with their names, and where to go on; `None`: that was all. It looks at about so many keys, and at
    /// no more than it may at once.
    ///
    /// # Errors
    ///
    /// The store cannot be asked.
    pub async fn some_records(&self, from: Scan, about: usize) -> Result<Batch, Error> {
        match self.bodies() {
            Some(bodies) => bodies.some_records(self.keys(), from, about).await,
            None => Ok((Vec::new(), None)),
        }
    }

    /// Drops what is recorded under a variant.
    ///
    /// # Errors
    ///
    /// It expires by itself.
    pub async fn drop_variant(&self, variant: Variant) -> Result<(), Error> {
        match self.bodies() {
            Some(bodies) => bodies.drop_record(self.keys(), variant).await,
            None => Ok(()),
        }
    }

    /// Drops a response.
    ///
    /// # Errors
    ///
    /// It expires by itself.
    pub async fn drop_response(&self, key: ComposedKey) -> Result<(), Error> {
        match self.bodies() {
            Some(bodies) => bodies.drop_response(self.keys(), key).await,
            None => Ok(()),
        }
    }
}
