//! What other sidecars have stored: looked for before the app is asked, and told them of what is stored here.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use crate::cache::Cache;
use crate::cache::Fill;
use crate::cache::Stored;
use crate::cache::follower::Stage;
use crate::cache::recipe::Recipe;
use crate::cache::stored::Slot;
use crate::cache::stored::Uncommon;
use crate::metrics::SharedLookup;
use crate::model::key::BaseKey;
use crate::model::key::Variant;
use crate::model::outcome::Forward;
use crate::model::request::Head;
use crate::model::time::Timestamp;
use crate::policy::request::Use;
use crate::policy::request::Wishes;
use crate::policy::request::usable;
use crate::policy::vary;
use crate::rules::Consistency;
use crate::rules::KeptIn;
use crate::rules::Mode;
use crate::rules::Query;
use crate::shared;
use crate::shared::Link;
use crate::store;
use crate::store::Noticed;
use crate::store::Uses;
use crate::store::codec::Pointer;
use crate::store::codec::Record;

/// How long what another sidecar has stored is kept here before it is looked for again.
pub(super) const BORROWED: Duration = Duration::from_secs(60);

/// How long it is known at least what selects a variant: others may live longer than the last one.
pub(super) const NOTED: Duration = Duration::from_secs(86_400);

impl Cache {
    /// Whether what a fill has found elsewhere answers this request, and at which moment.
    pub fn answers(&self, query: &Query, head: &Head, stored: &Stored) -> Option<Timestamp> {
        let now = self.now();
        let wishes = Wishes::granted(head.headers(), query.rule.client_control);
        let usable = self.usable(query, stored, head, &wishes, now);
        matches!(usable, Ok(None)).then(|| {
            stored.note_use();
            now
        })
    }
}

impl store::Shared {
    /// Where the response to a request lies, and what is recorded there.
    pub(super) async fn pointer(
        &self,
        link: &Link,
        base: BaseKey,
        request: &HeaderMap,
    ) -> Result<Option<(Variant, Pointer)>, shared::Error> {
        let only = base.only_variant();
        let variant = match self.record(link, only).await? {
            None => return Ok(None),
            Some(Record::Entry(pointer)) => return Ok(Some((only, pointer))),
            Some(Record::Varies { fields, .. }) => base.variant(&vary::selecting(&fields, request)),
        };
        match self.record(link, variant).await? {
            Some(Record::Entry(pointer)) => Ok(Some((variant, pointer))),
            Some(Record::Varies { .. }) | None => Ok(None),
        }
    }
}

impl Fill {
    /// Whether anything is shared with other sidecars, so that one of them may bring what this is for.
    pub fn may_be_brought(&self) -> bool {
        self.may_be_elsewhere() && self.cache.0.tags.link().is_some()
    }

    /// What another sidecar has stored, or stores while this one leaves it to that one to ask the app.
    pub async fn brought(&mut self) -> Option<Arc<Stored>> {
        match self.elsewhere().await {
            None => self.lease().await,
            found => found,
        }
    }

    /// What another sidecar has stored meanwhile, if that answers what this is for.
    pub(super) async fn elsewhere(&self) -> Option<Arc<Stored>> {
        let (second, link) = self.second_tier()?;
        if !self.may_be_elsewhere() {
            return None;
        }
        let look = self.look_in(second, &link);
        let found = match self.cache.0.clock.within(link.patience(), look).await {
            None => None, // the app is faster
            Some(found) => self.cache.answered(&link, found).ok().flatten(),
        };
        let counted = &self.cache.0.metrics.shared_lookups;
        counted.add(match found {
            Some(_) => SharedLookup::Hit,
            None => SharedLookup::Miss,
        });
        found.map(|stored| self.keep_found(stored))
    }

    /// Nobody need ask the app: everybody who waits is answered with this.
    pub fn found(mut self, stored: Arc<Stored>) {
        self.unregister();
        self.first = None;
        self.stage.send_replace(Stage::Found(stored));
    }

    /// Whether what others have stored could answer: not where its client wants the app's word, and not where the app's answer
    /// is compared with what is stored.
    pub(super) fn may_be_elsewhere(&self) -> bool {
        let wants_the_apps = self.errand.why == Forward::Request || self.is_for_an_operator();
        !wants_the_apps && !matches!(self.matched.rule.mode, Mode::Shadow(_))
    }

    fn second_tier(&self) -> Option<(&store::Shared, Link)> {
        let there = self.cache.second_tier()?;
        (self.matched.rule.kept_in != KeptIn::Memory).then_some(there)
    }

    async fn look_in(
        &self,
        second: &store::Shared,
        link: &Link,
    ) -> Result<Option<Stored>, shared::Error> {
        let pointed = second.pointer(link, self.base, self.head.headers());
        let Some((variant, pointer)) = pointed.await? else {
            return Ok(None);
        };
        if !self.is_wanted(variant, &pointer, link) {
            return Ok(None);
        }
        let tags = &self.cache.0.tags;
        let Some(seals) = tags.seals_of(&pointer.tags, link) else {
            return Ok(None);
        };
        // From here on the log tells of their changes; what they were before, the store says.
        let asks = self.matched.rule.consistency == Consistency::Strict || seals.are_unknown();
        if asks && !tags.catch_up(Some(&seals), None).await || !seals.intact() {
            return Ok(None);
        }
        let entry = second.entry(link, &pointer, self.cache.now());
        let Some(entry) = entry.await? else {
            return Ok(None);
        };
        let now = self.cache.now();
        // What its client would have to ask the app for all the same is fetched, for all.
        let wishes = Wishes::granted(self.head.headers(), self.matched.rule.client_control);
        if usable(&entry.meta, &wishes, now) != Use::Fresh
            || entry.part.is_some()
            || self.is_purged()
        {
            return Ok(None);
        }
        let recipe = Recipe::of(self.base, &self.matched, &self.head, &entry);
        Ok(Some(Stored {
            entry: self.cache.compact(entry),
            asked: pointer.stored,
            variant,
            logical: pointer.logical.into(),
            seals,
            noticed: Noticed::default(),
            uses: Uses::default(),
            uncommon: Uncommon {
                borrowed_until: Some(now + BORROWED),
                recipe: recipe.map(Arc::new),
                ..Uncommon::of(&self.matched.rule)
            }
            .unless_usual(),
        }))
    }

    /// Whether a record is of this history, and of something newer than what is here.
    fn is_wanted(&self, variant: Variant, pointer: &Pointer, link: &Link) -> bool {
        let here = self.errand.spare.as_ref().map(|spare| &spare.stored);
        pointer.is_of(variant, link.generation(), self.cache.now())
            && here.is_none_or(|here| pointer.stored > here.asked)
    }

    /// Keeps it here for a while, unless its rule says otherwise.
    fn keep_found(&self, stored: Stored) -> Arc<Stored> {
        let stored = Arc::new(stored);
        if self.matched.rule.kept_in == KeptIn::Redis {
            return stored;
        }
        let (cache, request) = (&self.cache, self.head.headers());
        let (meta, response) = (&stored.entry.meta, &stored.entry.headers);
        let led = cache.lead_to(self.base, request, meta);
        let _one_at_a_time = cache.0.fills.lock();
        let there = cache.0.store.get(&stored.variant);
        let newer = there.as_ref().and_then(Slot::entry);
        let newer = newer.is_some_and(|it| it.asked > stored.asked && it.seals.intact());
        if newer || self.is_purged() {
            return stored;
        }
        let room =
            led.and_then(|_| cache.take_room(self.base, stored.variant, request, meta, response));
        if room.is_ok() {
            cache.put_shared(stored.variant, &stored);
            cache.forget_unstored(self.base, stored.variant);
        }
        stored
    }

    /// Tells the other sidecars of what has just been stored here.
    pub(super) async fn put_elsewhere(&self, stored: &Arc<Stored>) {
        if let Some((second, link)) = self.second_tier() {
            Box::pin(self.put_where(second, &link, stored)).await; // boxed: most sidecars share nothing
        }
    }

    async fn put_where(&self, second: &store::Shared, link: &Link, stored: &Arc<Stored>) {
        if stored.entry.part.is_some() || !self.has_lease().await {
            return;
        }
        let put = async {
            self.put_in(second, link, stored).await?;
            // A pattern may have come meanwhile, and whoever acts on it may have looked here before this was put.
            if !self.cache.0.tags.catch_up(None, None).await || self.is_purged() {
                let (variant, key) = (stored.variant, stored.composed_key());
                second.drop_one(link, variant, key).await?;
            }
            Ok(())
        };
        self.cache.answered(link, put.await).ok(); // an error is told there
    }

    async fn put_in(
        &self,
        second: &store::Shared,
        link: &Link,
        stored: &Arc<Stored>,
    ) -> Result<(), shared::Error> {
        let generation = link.generation().to_owned();
        let (meta, now) = (&stored.entry.meta, self.cache.now());
        let life = meta.expires().since(now);
        let only = self.base.only_variant();
        let varies = !meta.vary.is_empty();
        // In this order: seals are broken in another history (L3).
        if life.is_zero() || !stored.seals.intact() || varies == (stored.variant == only) {
            return Ok(());
        }
        if varies {
            let until = meta.expires();
            let life = life.max(NOTED);
            second.note(link, only, &meta.vary, until, life).await?;
        }
        let pointer = stored.pointer(generation);
        second
            .put(link, stored.variant, pointer, Arc::clone(stored), life)
            .await
    }
}
