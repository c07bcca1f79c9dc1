//! The second tier: responses in the store that all sidecars share, found through a small record under their variant. What
//! cannot be read is a miss, and counted.

use std::sync::Arc;
use std::time::Duration;

use crate::metrics::Metrics;
use crate::metrics::SharedError;
use crate::model::compress::Compress;
use crate::model::entry::Entry;
use crate::model::entry::Selector;
use crate::model::key::ComposedKey;
use crate::model::key::Variant;
use crate::model::time::Timestamp;
use crate::shared::Error;
use crate::shared::Link;
use crate::shared::Scan;
use crate::store::codec;
use crate::store::codec::Foreign;
use crate::store::codec::Pointer;
use crate::store::codec::Record;

/// How responses are kept in the shared store.
#[derive(Debug)]
pub struct Shared {
    compress: Compress,
    max_object: usize,
    metrics: Metrics,
}

/// A record of a response.
#[derive(Debug)]
pub struct Found {
    /// Under which it stands.
    pub variant: Variant,
    /// What it says.
    pub pointer: Pointer,
    /// As it is in the store.
    bytes: Vec<u8>,
}

/// More than any head takes in the store.
const MOST_HEAD: usize = 1 << 20;

/// Larger contents are compressed aside: it takes milliseconds.
const LARGE: usize = 128 << 10;

impl Shared {
    /// Contents of `max_object` bytes at most.
    pub fn new(compress: Compress, max_object: usize, metrics: Metrics) -> Shared {
        Shared {
            compress,
            max_object,
            metrics,
        }
    }

    /// What is recorded under a variant, if this version can read it.
    ///
    /// # Errors
    ///
    /// The store cannot be asked.
    pub async fn record(&self, link: &Link, variant: Variant) -> Result<Option<Record>, Error> {
        let bytes = written(link, variant).await?;
        Ok(bytes.and_then(|bytes| self.known(Record::decode(&bytes))))
    }

    /// The record of a response under a variant, if there is one that this version can read.
    ///
    /// # Errors
    ///
    /// The store cannot be asked.
    pub async fn found(&self, link: &Link, variant: Variant) -> Result<Option<Found>, Error> {
        let bytes = written(link, variant).await?;
        Ok(bytes.and_then(|bytes| self.read(variant, bytes)))
    }

    fn read(&self, variant: Variant, bytes: Vec<u8>) -> Option<Found> {
        match self.known(Record::decode(&bytes))? {
            Record::Entry(pointer) => Some(Found {
                variant,
                pointer,
                bytes,
            }),
            Record::Varies { .. } => None,
        }
    }

    /// The response a record points to, if it is still there and this version can read it. It lives as the record says.
    ///
    /// # Errors
    ///
    /// The store cannot be asked.
    pub async fn entry(
        &self,
        link: &Link,
        pointer: &Pointer,
        now: Timestamp,
    ) -> Result<Option<Entry>, Error> {
        if pointer.size > (self.max_object + MOST_HEAD) as u64 {
            self.metrics.store_foreign.add(Foreign::TooLarge);
            return Ok(None);
        }
        let bytes = match link.response(pointer.key).await {
            Err(error) if error.kind == SharedError::WrongType => Some(Vec::new()),
            other => other?,
        };
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        let (is_large, max) = (bytes.len() > LARGE, self.max_object);
        let decode = move || codec::decode_entry(&bytes, max);
        let read = match is_large {
            true => match tokio::task::spawn_blocking(decode).await {
                Ok(read) => read,
                Err(_) => return Ok(None), // the runtime ends
            },
            false => decode(),
        };
        Ok(self.known(read).map(|mut entry| {
            // Not what is newer already, to which an operator has said nothing: its record comes after it.
            if entry.meta.expires() == pointer.at_first && pointer.expires != pointer.at_first {
                entry.meta = entry.meta.fresh_until(pointer.expires, now);
            }
            entry
        }))
    }

    /// Puts a response and its record, for so long; what its record pointed to before is dropped.
    ///
    /// # Errors
    ///
    /// It may be there all the same.
    pub async fn put(
        &self,
        link: &Link,
        variant: Variant,
        mut pointer: Pointer,
        entry: Arc<impl AsRef<Entry> + Send + Sync + 'static>,
        life: Duration,
    ) -> Result<(), Error> {
        let compress = self.compress;
        let encode = move || codec::encode_entry((*entry).as_ref(), compress);
        let bytes = match pointer.size > LARGE as u64 {
            true => tokio::task::spawn_blocking(encode)
                .await
                .unwrap_or_default(),
            false => encode(),
        };
        if bytes.is_empty() {
            return Ok(()); // the runtime ends
        }
        pointer.size = bytes.len() as u64;
        let key = pointer.key;
        // In this order: a record never points to what is still to come.
        link.put_response(key, &bytes, life).await?;
        let record = Record::Entry(pointer).encode();
        let old = link.put_record(variant, &record, life).await?;
        if let Some(Record::Entry(old)) = old.and_then(|old| Record::decode(&old).ok())
            && old.key != key
        {
            link.drop_response(old.key).await?;
        }
        Ok(())
    }

    /// Records which parts of a request select the variant.
    ///
    /// # Errors
    ///
    /// It may be recorded all the same.
    pub async fn note(
        &self,
        link: &Link,
        only: Variant,
        fields: &[Selector],
        until: Timestamp,
        life: Duration,
    ) -> Result<(), Error> {
        let fields = fields.to_vec();
        let record = Record::Varies { fields, until }.encode();
        let old = link.put_record(only, &record, life).await?;
        if let Some(Record::Entry(old)) = old.and_then(|old| Record::decode(&old).ok()) {
            link.drop_response(old.key).await?;
        }
        Ok(())
    }

    /// Drops a response, and what was recorded last under its variant.
    ///
    /// # Errors
    ///
    /// They expire by themselves.
    pub async fn drop(&self, link: &Link, variant: Variant, key: ComposedKey) -> Result<(), Error> {
        // Whatever stands there by now: it is a miss at most.
        link.drop_variant(variant).await?;
        link.drop_response(key).await
    }

    /// Drops what was recorded last under its variant, if that points to this response, and the response; whether it did.
    ///
    /// # Errors
    ///
    /// They expire by themselves.
    pub async fn drop_one(
        &self,
        link: &Link,
        variant: Variant,
        key: ComposedKey,
    ) -> Result<bool, Error> {
        let record = self.record(link, variant).await?;
        let points = matches!(record, Some(Record::Entry(pointer)) if pointer.key == key);
        match points {
            true => self.drop(link, variant, key).await?,
            false => link.drop_response(key).await?,
        }
        Ok(points)
    }

    /// Drops every record for which `chosen` holds of what it points to, with the response; how many those were. Those of another
    /// version, too, with whom the store may be shared: nobody here knows whether they are meant, and to it they are a miss.
    ///
    /// # Errors
    ///
    /// Not all have been looked at.
    pub async fn drop_where(
        &self,
        link: &Link,
        mut chosen: impl FnMut(&Pointer) -> bool,
    ) -> Result<usize, Error> {
        let (mut next, mut dropped, mut unread) = (Some(Scan::default()), 0, 0_u64);
        while let Some(from) = next {
            let (records, rest) = link.some_records(from, usize::MAX).await?;
            for (name, bytes) in records {
                let Some(variant) = variant_of(&name) else {
                    continue;
                };
                match Record::decode(&bytes) {
                    Ok(Record::Entry(pointer)) if chosen(&pointer) => {
                        // In this order: nothing points to what has left.
                        self.drop(link, variant, pointer.key).await?;
                        dropped += 1;
                    }
                    Ok(Record::Entry(_) | Record::Varies { .. }) => {}
                    Err(why) => {
                        self.metrics.store_foreign.add(why);
                        if why == Foreign::Version {
                            link.drop_variant(variant).await?;
                            unread += 1;
                        }
                    }
                }
            }
            next = rest;
        }
        if unread > 0 {
            tracing::info!(
                unread,
                "dropped what another version has stored, as a purge may be about it"
            );
        }
        Ok(dropped)
    }

    /// Some of all records of responses, about so many at most, and where to go on; `None`: that was all.
    ///
    /// # Errors
    ///
    /// The store cannot be asked.
    pub async fn some(
        &self,
        link: &Link,
        from: Scan,
        about: usize,
    ) -> Result<(Vec<Found>, Option<Scan>), Error> {
        let (records, rest) = link.some_records(from, about).await?;
        let found = records.into_iter().filter_map(|(name, bytes)| {
            let variant = variant_of(&name)?;
            self.read(variant, bytes)
        });
        Ok((found.collect(), rest))
    }

    /// The record that points to a response, if there is one.
    ///
    /// # Errors
    ///
    /// The store cannot be asked.
    pub async fn find(&self, link: &Link, key: ComposedKey) -> Result<Option<Found>, Error> {
        if !link.has_response(key).await? {
            return Ok(None); // without looking at all of them
        }
        let mut next = Some(Scan::default());
        while let Some(from) = next {
            let (records, rest) = self.some(link, from, usize::MAX).await?;
            let found = records.into_iter().find(|it| it.pointer.key == key);
            if found.is_some() {
                return Ok(found);
            }
            next = rest;
        }
        Ok(None)
    }

    /// Lets a response that was found be fresh until then, if it is still what is recorded; whether it was. Its bytes stay as they
    /// are, as under its key there may be newer ones by now: whoever reads them goes by the record.
    ///
    /// # Errors
    ///
    /// It may be so all the same.
    pub async fn give_life(
        &self,
        link: &Link,
        found: Found,
        expires: Timestamp,
        life: Duration,
    ) -> Result<bool, Error> {
        let Found {
            variant,
            mut pointer,
            bytes: old,
        } = found;
        pointer.expires = expires;
        // In this order: a record never points to what has left before it.
        if !link.prolong_response(pointer.key, life).await? {
            return Ok(false);
        }
        let new = Record::Entry(pointer).encode();
        link.replace_record(variant, (&old, &new), life).await
    }

    /// Lets a note be found for so long at least.
    ///
    /// # Errors
    ///
    /// It may be found all the same.
    pub async fn prolong(&self, link: &Link, note: Variant, life: Duration) -> Result<(), Error> {
        link.prolong_record(note, life).await.map(|_| ())
    }

    fn known<T>(&self, read: Result<T, Foreign>) -> Option<T> {
        read.map_err(|why| self.metrics.store_foreign.add(why)).ok()
    }
}

/// The variant under which a record of this name stands.
fn variant_of(name: &str) -> Option<Variant> {
    name.rsplit(':').next().and_then(Variant::from_hex)
}

/// What stands under a variant, as it is.
async fn written(link: &Link, variant: Variant) -> Result<Option<Vec<u8>>, Error> {
    match link.record(variant).await {
        Err(error) if error.kind == SharedError::WrongType => Ok(Some(Vec::new())), // nothing that was written here
        other => other,
    }
}
