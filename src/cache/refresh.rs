//! Responses that are fetched again for no request: which there are, and the right to fetch one of them.
//!
//! A response is registered when it is put in the store under a rule that refreshes, with how to ask for it again
//! ([`Recipe`]). Rounds look at what is registered and hand out a [`Refresh`] for what is due; `rounds` decides.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::cache::Cache;
use crate::cache::Spare;
use crate::cache::Stored;
use crate::cache::errand::Errand;
use crate::cache::fill::Fill;
use crate::cache::recipe::Recipe;
use crate::cache::rounds;
use crate::cache::rounds::Looks;
use crate::cache::rounds::Seen;
use crate::cache::rounds::Trial;
use crate::cache::rounds::When;
use crate::cache::stored::Slot;
use crate::model::key::Variant;
use crate::model::time::Timestamp;
use crate::rules::Rule;
use crate::rules::RuleSet;
use crate::rules::refill::Refill;
use crate::rules::refill::WhenInvalidated;

/// What may be fetched again for no request, and when to look at it.
#[derive(Debug, Default)]
pub(super) struct Refreshes {
    by_rule: Mutex<HashMap<RuleId, OfRule>>,
    /// By itself: an increment waits for no round. Locked after `by_rule`, if both are.
    looks: Mutex<Looks>,
}

type RuleId = Option<Arc<str>>;

/// The responses of a rule.
#[derive(Debug)]
struct OfRule {
    /// What the rule says, as it was when the last one was stored.
    refill: Refill,
    /// When those are looked for that are about to expire.
    ahead_at: Option<Timestamp>,
    entries: HashMap<Variant, Registration>,
    /// Beyond so many it is looked through for what has left: twice what the last time has left over.
    looked_through_at: usize,
}

/// So few are not worth looking through.
const FEW: usize = 64;

/// How many are looked at while others wait.
const AT_A_TIME: usize = 256;

/// A response, and where it is registered.
type This = (Variant, Weak<Stored>);

/// What a look at the responses of a rule has found, with how often each was used.
#[derive(Default)]
struct Found {
    /// A tag was incremented, and its time has come.
    invalidated: Vec<(u64, This)>,
    /// To be tried again.
    again: Vec<This>,
    /// It would expire before the next round.
    expiring: Vec<(u64, This)>,
    /// When the next one's time comes.
    next: Option<Timestamp>,
}

/// A response of the store; what has left that is nobody's to fetch again (L10).
#[derive(Debug)]
struct Registration {
    stored: Weak<Stored>,
    trial: Trial,
    /// The pause after the last failure.
    pause: Option<Duration>,
}

/// The right to fetch a stored response again for no request. However it ends, what is still registered then, and still
/// invalidated, counts as failed: it is tried again after a pause (L5).
#[derive(Debug)]
pub struct Refresh {
    cache: Cache,
    rule: RuleId,
    variant: Variant,
    stored: Weak<Stored>,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// A tag of it was incremented.
    Invalidated,
    /// It is about to expire.
    Ahead,
}

impl Why {
    /// Whether a rule that says this wants it fetched for this reason.
    fn holds(self, refill: &Refill) -> bool {
        match self {
            Why::Invalidated => refill.on_invalidate.mode == WhenInvalidated::Refresh,
            Why::Ahead => refill.refresh_ahead.is_some(),
        }
    }
}

/// Who is due, and why.
type Due = (RuleId, Variant, Weak<Stored>, Why);

impl Cache {
    /// Puts a response in the store; registers it if it may be fetched again for no request.
    pub(super) fn put(&self, variant: Variant, stored: Stored) {
        self.put_shared(variant, &Arc::new(stored));
    }

    /// The same for one that others have too.
    pub(super) fn put_shared(&self, variant: Variant, stored: &Arc<Stored>) {
        self.0.store.put(variant, Slot::Entry(Arc::clone(stored)));
        let Some(recipe) = stored.recipe() else {
            return;
        };
        let (now, rule) = (self.now(), &recipe.matched.rule);
        let refreshes = &self.0.refreshes;
        let begins = refreshes.register(rule, variant, Arc::downgrade(stored), now);
        // An increment before this may have found nothing to look for.
        if !stored.seals.intact() {
            self.look_for_invalidated();
        }
        if begins {
            self.0.rescheduled.notify_one();
        }
    }

    /// Tags have changed: later on it is looked for what that has invalidated.
    pub(super) fn look_for_invalidated(&self) {
        if self.0.refreshes.looks().note_change(self.now()) {
            self.0.rescheduled.notify_one();
        }
    }

    /// What is to be fetched again now, for no request.
    pub fn refreshes_due(&self) -> Vec<Refresh> {
        let due = self.0.refreshes.due(self.now()).into_iter();
        due.map(|(rule, variant, stored, why)| Refresh {
            cache: self.clone(),
            rule,
            variant,
            stored,
            why,
        })
        .collect()
    }

    /// When there is next something to be done for no request: increments to be repeated, responses to be looked at.
    pub fn next_due(&self) -> Option<Timestamp> {
        let moments = [self.repeats().next(), self.0.refreshes.next()];
        moments.into_iter().flatten().min()
    }

    /// Comes back when [`Cache::next_due`] may have become sooner.
    pub async fn rescheduled(&self) {
        self.0.rescheduled.notified().await;
    }
}

impl Refresh {
    /// The fill that brings it again, if it is still wanted, by the rules in force too, and nobody runs one.
    pub fn begin(&self, rules: &RuleSet) -> Option<Box<Fill>> {
        let stored = self.stored.upgrade()?;
        let recipe = stored.recipe()?;
        let (cache, now) = (&self.cache, self.cache.now());
        let matched = match recipe.matched_by(rules, now) {
            Some(matched) if self.why.holds(&matched.rule.refill) => matched,
            other => {
                self.withdraw(&stored, recipe, other.as_ref().map(|it| &*it.rule));
                return None;
            }
        };
        let on = &matched.rule.refill.on_invalidate;
        let is_wanted = match (self.why, stored.invalidated(now)) {
            (Why::Invalidated, Some(it)) => now.since(it.since) <= on.max_stale,
            (Why::Ahead, None) => stored.entry.meta.expires() > now,
            (Why::Invalidated, None) | (Why::Ahead, Some(_)) => false,
        };
        if !is_wanted {
            return None;
        }
        let spare = Spare::of(&matched.rule, Arc::clone(&stored));
        let errand = Errand::again(self.variant, spare);
        cache.begin_unless_begun(recipe.base, matched, &recipe.head, errand)
    }

    /// It is not to be fetched for this reason any more: by the rule in force for another at most.
    fn withdraw(&self, stored: &Arc<Stored>, recipe: &Recipe, rule: Option<&Rule>) {
        let (cache, variant) = (&self.cache, self.variant);
        let _one_at_a_time = cache.0.fills.lock(); // nothing is put in its place meanwhile
        let refreshes = &cache.0.refreshes;
        refreshes.forget(self);
        let Some(rule) = rule.filter(|rule| rule.refill.refreshes()) else {
            return recipe.leave_to_requests();
        };
        let there = cache.0.store.get(&variant);
        let there = there.as_ref().and_then(Slot::entry);
        if there.is_some_and(|there| Arc::ptr_eq(there, stored))
            && refreshes.register(rule, variant, Weak::clone(&self.stored), cache.now())
        {
            cache.0.rescheduled.notify_one();
        }
    }
}

impl Drop for Refresh {
    fn drop(&mut self) {
        let (refreshes, now) = (&self.cache.0.refreshes, self.cache.now());
        if refreshes.ended(self, now) {
            self.cache.0.rescheduled.notify_one();
        }
    }
}

impl Refreshes {
    fn by_rule(&self) -> MutexGuard<'_, HashMap<RuleId, OfRule>> {
        self.by_rule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn looks(&self) -> MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In place of what was registered there before; true if the rule's rounds begin with it.
    fn register(
        &self,
        rule: &Rule,
        variant: Variant,
        stored: Weak<Stored>,
        now: Timestamp,
    ) -> bool {
        let refill = &rule.refill;
        let mut by_rule = self.by_rule();
        let of_rule = by_rule
            .entry(rule.id.clone())
            .or_insert_with(|| OfRule::of(refill));
        if of_rule.refill != *refill {
            of_rule.refill = refill.clone();
            of_rule.ahead_at = None;
        }
        of_rule.insert(variant, Registration::of(stored));
        if refill.on_invalidate.mode == WhenInvalidated::Refresh {
            self.looks().with_delay(refill.on_invalidate.delay);
        }
        let rests = of_rule.ahead_at.is_none() || of_rule.is_set_back(now);
        let begins = rests && refill.refresh_ahead.is_some();
        if begins {
            of_rule.next_round(now);
        }
        begins
    }

    /// Takes out what is due for its turn. Who stores a response meanwhile waits for a part of that at most.
    fn due(&self, now: Timestamp) -> Vec<Due> {
        let looks = self.looks().begin(now);
        let rules: Vec<RuleId> = {
            let by_rule = self.by_rule();
            let is_due = |of_rule: &OfRule| (looks && of_rule.refreshes()) || of_rule.is_ahead(now);
            let due = by_rule.iter().filter(|(_, of_rule)| is_due(of_rule));
            due.map(|(id, _)| id.clone()).collect()
        };
        let (mut due, mut next) = (Vec::new(), None);
        for id in rules {
            let found = self.look_at(&id, now);
            next = earlier(next, found.next);
            let mut by_rule = self.by_rule();
            let Some(of_rule) = by_rule.get_mut(&id) else {
                continue;
            };
            let invalidated = of_rule.take_invalidated(found.invalidated, found.again);
            let expiring = of_rule.take_expiring(found.expiring, now);
            drop(by_rule);
            for (taken, why) in [(invalidated, Why::Invalidated), (expiring, Why::Ahead)] {
                let taken = taken.into_iter();
                due.extend(taken.map(|(variant, stored)| (id.clone(), variant, stored, why)));
            }
        }
        if looks {
            let by_rule = self.by_rule();
            let refreshing = by_rule.values().filter(|of_rule| of_rule.refreshes());
            let shortest = refreshing.map(|it| it.refill.on_invalidate.delay).min();
            self.looks().end(shortest, next, now);
        }
        due
    }

    /// What there is to be done about the responses of a rule.
    fn look_at(&self, id: &RuleId, now: Timestamp) -> Found {
        let mut found = Found::default();
        let variants: Vec<Variant> = match self.by_rule().get(id) {
            Some(of_rule) => of_rule.entries.keys().copied().collect(),
            None => Vec::new(),
        };
        for some in variants.chunks(AT_A_TIME) {
            let mut by_rule = self.by_rule();
            if let Some(of_rule) = by_rule.get_mut(id) {
                for variant in some {
                    of_rule.look_at(*variant, now, &mut found);
                }
            }
        }
        found
    }

    /// Somebody's turn is over, however it went; true if there is something to look at sooner for it.
    fn ended(&self, refresh: &Refresh, now: Timestamp) -> bool {
        let mut by_rule = self.by_rule();
        let Some(of_rule) = by_rule.get_mut(&refresh.rule) else {
            return false;
        };
        let on = of_rule.refill.on_invalidate;
        let Some(registration) = of_rule.entries.get_mut(&refresh.variant) else {
            return false;
        };
        if !registration.stored.ptr_eq(&refresh.stored) {
            return false; // another has taken its place
        }
        match refresh.why {
            Why::Ahead => {
                registration.trial = Trial::None;
                // It may have been invalidated meanwhile, and be due.
                on.mode == WhenInvalidated::Refresh && self.looks().note(now, now)
            }
            Why::Invalidated => {
                let pause = rounds::pause(&on, registration.pause);
                registration.pause = Some(pause);
                registration.trial = Trial::Failed(now + pause);
                self.looks().note(now + pause, now)
            }
        }
    }

    /// It is fetched for no request any longer, if no other has taken its place.
    fn forget(&self, refresh: &Refresh) {
        if let Some(of_rule) = self.by_rule().get_mut(&refresh.rule)
            && of_rule
                .still(&(refresh.variant, Weak::clone(&refresh.stored)))
                .is_some()
        {
            of_rule.entries.remove(&refresh.variant);
        }
    }

    fn next(&self) -> Option<Timestamp> {
        let rounds = self.by_rule();
        let ahead = rounds.values().filter_map(|of_rule| of_rule.ahead_at).min();
        earlier(ahead, self.looks().next())
    }

    /// Forgets what is no longer in the store (L10).
    pub(super) fn sweep(&self) {
        self.by_rule().retain(|_, of_rule| {
            of_rule.forget_what_has_left();
            !of_rule.entries.is_empty()
        });
    }

    /// How many responses are registered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let by_rule = self.by_rule();
        by_rule.values().map(|of_rule| of_rule.entries.len()).sum()
    }
}

impl OfRule {
    fn of(refill: &Refill) -> OfRule {
        OfRule {
            refill: refill.clone(),
            ahead_at: None,
            entries: HashMap::new(),
            looked_through_at: FEW,
        }
    }

    fn refreshes(&self) -> bool {
        self.refill.on_invalidate.mode == WhenInvalidated::Refresh
    }

    /// Whether a round is due.
    fn is_ahead(&self, now: Timestamp) -> bool {
        self.ahead_at.is_some_and(|at| at <= now) || self.is_set_back(now)
    }

    /// Whether the next round is further away than rounds are apart: it is from before the clock was set back.
    fn is_set_back(&self, now: Timestamp) -> bool {
        let latest = self.refill.refresh_ahead.map(|ahead| now + ahead.every);
        self.ahead_at > latest
    }

    fn next_round(&mut self, now: Timestamp) {
        self.ahead_at = self.refill.refresh_ahead.map(|ahead| now + ahead.every);
    }

    fn insert(&mut self, variant: Variant, registration: Registration) {
        self.entries.insert(variant, registration);
        // What the store has let go of is not counted as its: it must not grow beside it.
        if self.entries.len() > self.looked_through_at {
            self.forget_what_has_left();
        }
    }

    fn forget_what_has_left(&mut self) {
        self.entries.retain(|_, it| it.stored.strong_count() > 0);
        self.looked_through_at = (self.entries.len() * 2).max(FEW);
    }

    fn look_at(&mut self, variant: Variant, now: Timestamp, found: &mut Found) {
        let Some(it) = self.entries.get_mut(&variant) else {
            return;
        };
        let Some(stored) = it.stored.upgrade() else {
            self.entries.remove(&variant);
            return;
        };
        let seen = stored.seen(now);
        let this = (variant, Weak::clone(&it.stored));
        if let Some(ahead) = &self.refill.refresh_ahead
            && it.trial == Trial::None
            && rounds::is_due_ahead(ahead, &seen, now)
        {
            found.expiring.push((seen.uses, this));
            return;
        }
        if self.refill.on_invalidate.mode != WhenInvalidated::Refresh {
            return;
        }
        match rounds::when(&self.refill.on_invalidate, &seen, it.trial, now) {
            When::Never => {}
            When::At(at) => found.next = earlier(found.next, Some(at)),
            When::Now => found.invalidated.push((seen.uses, this)),
            // It has gone first once; that others could not be fetched makes no room for more.
            When::Again => found.again.push(this),
            When::Over => it.trial = Trial::Over,
        }
    }

    /// Takes those used most of what was invalidated, and what is to be tried again.
    fn take_invalidated(&mut self, found: Vec<(u64, This)>, again: Vec<This>) -> Vec<This> {
        let max = self.refill.on_invalidate.max_entries;
        let (first, passed_over) = rounds::most_used(found, max);
        for this in passed_over {
            if let Some(it) = self.still(&this) {
                it.trial = Trial::Over;
            }
        }
        self.running(again.into_iter().chain(first))
    }

    /// Takes those used most of what would expire before the next round, if this is one.
    fn take_expiring(&mut self, found: Vec<(u64, This)>, now: Timestamp) -> Vec<This> {
        let Some(ahead) = self.refill.refresh_ahead.filter(|_| self.is_ahead(now)) else {
            return Vec::new();
        };
        self.next_round(now);
        let (first, _) = rounds::most_used(found, ahead.max);
        self.running(first.into_iter())
    }

    fn running(&mut self, taken: impl Iterator<Item = This>) -> Vec<This> {
        let begin = |this: This| {
            self.still(&this)?.trial = Trial::Running;
            Some(this)
        };
        taken.filter_map(begin).collect()
    }

    /// Its registration, if no other has taken its place.
    fn still(&mut self, (variant, stored): &This) -> Option<&mut Registration> {
        let it = self.entries.get_mut(variant)?;
        it.stored.ptr_eq(stored).then_some(it)
    }
}

impl Registration {
    fn of(stored: Weak<Stored>) -> Registration {
        Registration {
            stored,
            trial: Trial::default(),
            pause: None,
        }
    }
}

impl Stored {
    fn seen(&self, now: Timestamp) -> Seen {
        Seen {
            uses: self.uses.count(),
            expires: self.entry.meta.expires(),
            invalidated: self.invalidated(now),
        }
    }
}

/// The lesser of the two that are there.
fn earlier<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use http::HeaderMap;
    use http::Response;
    use http::StatusCode;
    use http::response::Parts;

    use super::*;
    use crate::body::Body;
    use crate::cache::Config;
    use crate::cache::Freshen;
    use crate::cache::Keep;
    use crate::cache::Lookup;
    use crate::cache::Trust;
    use crate::clock::Clock;
    use crate::model::entry::Conditions;
    use crate::model::entry::EntryMeta;
    use crate::model::entry::StaleUse;
    use crate::model::request::Head;
    use crate::model::tag::Increment;
    use crate::model::tag::Tag;
    use crate::model::tag::Tagged;
    use crate::policy::Store;
    use crate::rules::Context;
    use crate::rules::Plan;
    use crate::rules::Query;

    const REFRESH: &str = "on_invalidate: { mode: refresh, delay: 1s }";
    const AHEAD: &str = "refresh_ahead: { every: 10s, min_hits: 1 }";

    /// An empty cache, the clock it goes by, and a rule for all paths.
    fn cache(refill: &str) -> (Cache, Clock, RuleSet) {
        let clock = Clock::manual(Timestamp::from_secs(1_000_000));
        let config = Config {
            max_bytes: 1 << 20,
            max_object: 1 << 10,
            max_variants: 4,
        };
        let rules = format!("rules:\n  - {{ match: {{ path: '/.*' }}, {refill} }}\n");
        let rules = [("rules.yaml".to_owned(), rules)];
        let rules = RuleSet::compile(&rules, &Context::new("test")).unwrap();
        (Cache::new(config, clock.clone()), clock, rules)
    }

    fn request(rules: &RuleSet, path: &str) -> (Query, Arc<Head>) {
        let request = http::Request::get(path).header("host", "shop.example");
        let head = Head::new(request.body(()).unwrap().into_parts().0, "http").unwrap();
        let Plan::Lookup(query) = rules.plan(&head, Timestamp::from_secs(1_000_000)) else {
            panic!("it is looked up");
        };
        (query, Arc::new(head))
    }

    fn keep(cache: &Cache, tag: Tagged) -> Keep {
        let meta = EntryMeta {
            received: cache.now(),
            born: cache.now(),
            lifetime: Duration::from_secs(60),
            soft_until: None,
            conditions: Conditions {
                stale: StaleUse::default(),
                shareable: true,
                vary: [].into(),
            }
            .into(),
        };
        Keep {
            store: Store {
                meta,
                without: Vec::new(),
            },
            targeted: HeaderMap::new(),
            tags: vec![tag],
        }
    }

    fn tagged(version: Option<i64>) -> Tagged {
        let tag = Tag::parse("A").unwrap();
        Tagged { tag, version }
    }

    async fn filled(cache: &Cache, fill: Box<Fill>) {
        let keep = keep(cache, tagged(None));
        let response = Response::new(Body::from("x"));
        fill.store(response, StatusCode::OK, keep).await;
    }

    /// Stores a response to this path and uses it so often.
    async fn used(cache: &Cache, rules: &RuleSet, path: &str, times: usize) {
        let (query, head) = request(rules, path);
        let found = cache.lookup(&query, &head, None, Trust::Full);
        let Lookup::Miss(fill, _follower) = found else {
            panic!("{found:?}");
        };
        filled(cache, fill).await;
        for _ in 0..times {
            let found = cache.lookup(&query, &head, None, Trust::Full);
            assert!(matches!(found, Lookup::Hit(..)), "{found:?}");
        }
    }

    fn increment(cache: &Cache) {
        let increment = Increment::from(tagged(None).tag);
        let _ = cache
            .increment(&[increment], &"POST /x".into())
            .now_or_never();
    }

    #[tokio::test]
    async fn l10_what_has_left_the_store_is_registered_no_longer() {
        let (cache, _, rules) = cache(REFRESH);
        used(&cache, &rules, "/a", 0).await;
        used(&cache, &rules, "/b", 0).await;
        cache.sweep();
        assert_eq!(cache.0.refreshes.len(), 2);
        let (query, _) = request(&rules, "/a");
        cache.0.store.remove(&query.base.only_variant());
        cache.sweep();
        assert_eq!(cache.0.refreshes.len(), 1);
        cache.0.store.retain(|_| false);
        cache.sweep();
        assert_eq!(cache.0.refreshes.len(), 0);
    }

    #[tokio::test]
    async fn l10_who_looks_for_what_is_due_forgets_what_has_left_the_store() {
        let (cache, clock, rules) = cache(REFRESH);
        used(&cache, &rules, "/a", 1).await;
        used(&cache, &rules, "/b", 1).await;
        let (query, _) = request(&rules, "/a");
        cache.0.store.remove(&query.base.only_variant());
        increment(&cache);
        clock.advance(Duration::from_secs(1));
        let due = cache.refreshes_due();
        assert_eq!((due.len(), cache.0.refreshes.len()), (1, 1));
    }

    #[tokio::test]
    async fn where_nothing_refreshes_an_increment_leaves_nothing_to_do() {
        let (cache, _, rules) = cache("ttl: 60s");
        used(&cache, &rules, "/a", 1).await;
        increment(&cache);
        assert_eq!(cache.next_due(), None);
    }

    #[tokio::test]
    async fn what_is_invalidated_before_it_is_registered_is_looked_for() {
        let (cache, clock, rules) = cache(REFRESH);
        used(&cache, &rules, "/a", 1).await;
        let (query, _) = request(&rules, "/a");
        let variant = query.base.only_variant();
        let stored = cache.0.store.get(&variant).unwrap();
        let late = Stored::clone(stored.entry().unwrap());
        drop(stored);
        cache.0.store.remove(&variant);
        increment(&cache);
        clock.advance(Duration::from_secs(1));
        assert!(cache.refreshes_due().is_empty());
        assert_eq!(cache.next_due(), None);
        cache.put(variant, late);
        clock.advance(Duration::from_secs(1));
        assert_eq!(cache.refreshes_due().len(), 1);
    }

    #[tokio::test]
    async fn l14_an_explanation_is_no_use() {
        let (cache, clock, rules) = cache(REFRESH);
        used(&cache, &rules, "/a", 0).await;
        let (query, head) = request(&rules, "/a");
        assert!(cache.explain(&query, &head).is_some());
        increment(&cache);
        clock.advance(Duration::from_secs(1));
        assert!(cache.refreshes_due().is_empty());
    }

    #[tokio::test]
    async fn a_version_that_the_app_counts_up_is_looked_for_too() {
        let (cache, clock, rules) = cache(REFRESH);
        let by = "GET /a".into();
        let _ = cache.observe(&[tagged(Some(1))], &by).now_or_never();
        let (query, head) = request(&rules, "/a");
        let Lookup::Miss(fill, _follower) = cache.lookup(&query, &head, None, Trust::Full) else {
            panic!("it is missing");
        };
        let response = Response::new(Body::from("x"));
        let one = keep(&cache, tagged(Some(1)));
        fill.store(response, StatusCode::OK, one).await;
        cache.lookup(&query, &head, None, Trust::Full);
        let _ = cache.observe(&[tagged(Some(1))], &by).now_or_never();
        assert_eq!(cache.next_due(), None, "no change");
        let _ = cache.observe(&[tagged(Some(2))], &by).now_or_never();
        clock.advance(Duration::from_secs(2));
        assert_eq!(cache.refreshes_due().len(), 1);
    }

    #[tokio::test]
    async fn one_at_a_time_is_fetched_whoever_asks() {
        let (cache, clock, rules) = cache(REFRESH);
        used(&cache, &rules, "/a", 1).await;
        increment(&cache);
        clock.advance(Duration::from_secs(1));
        let due = cache.refreshes_due();
        let fill = due[0].begin(&rules).expect("nobody runs it");
        assert!(due[0].begin(&rules).is_none(), "somebody runs it");
        clock.advance(Duration::from_secs(1));
        increment(&cache);
        clock.advance(Duration::from_secs(5));
        assert!(cache.refreshes_due().is_empty(), "it has its turn still");
        filled(&cache, fill).await;
        drop(due);
        clock.advance(Duration::from_secs(60));
        assert!(cache.refreshes_due().is_empty(), "it has been replaced");
    }

    #[tokio::test]
    async fn l05_a_turn_that_came_to_nothing_comes_again() {
        let (cache, clock, rules) = cache(REFRESH);
        used(&cache, &rules, "/a", 1).await;
        increment(&cache);
        for pause in [1, 1, 2, 4] {
            clock.advance(Duration::from_secs(pause));
            let due = cache.refreshes_due();
            assert_eq!(due.len(), 1, "after {pause} s");
            drop(due); // as where the task is stopped, or panics
            assert!(cache.refreshes_due().is_empty());
        }
    }

    #[tokio::test]
    async fn what_is_fetched_too_late_to_be_served_is_not_fetched() {
        for (waits, is_fetched) in [(59, true), (60, false)] {
            let (cache, clock, rules) = cache(REFRESH);
            used(&cache, &rules, "/a", 1).await;
            increment(&cache);
            clock.advance(Duration::from_secs(1));
            let due = cache.refreshes_due();
            clock.advance(Duration::from_secs(waits)); // others go first
            assert_eq!(
                due[0].begin(&rules).is_some(),
                is_fetched,
                "after {waits} s"
            );
        }
    }

    #[tokio::test]
    async fn what_is_not_fresh_any_more_is_not_fetched_ahead() {
        for (name, waits, changes, is_fetched) in [
            ("fresh", 9, false, true),
            ("expired", 10, false, false),
            ("invalidated", 9, true, false),
        ] {
            let (cache, clock, rules) = cache(AHEAD);
            used(&cache, &rules, "/a", 1).await;
            clock.advance(Duration::from_secs(50));
            let due = cache.refreshes_due();
            assert_eq!(due.len(), 1, "{name}");
            clock.advance(Duration::from_secs(waits)); // others go first
            if changes {
                increment(&cache);
            }
            assert_eq!(due[0].begin(&rules).is_some(), is_fetched, "{name}");
        }
    }

    #[tokio::test]
    async fn what_was_not_used_when_its_time_came_is_left_to_requests_for_good() {
        let (cache, clock, rules) = cache(REFRESH);
        used(&cache, &rules, "/a", 0).await;
        increment(&cache);
        clock.advance(Duration::from_secs(1));
        assert!(cache.refreshes_due().is_empty());
        let (query, head) = request(&rules, "/a");
        let found = cache.lookup(&query, &head, None, Trust::Full);
        assert!(matches!(found, Lookup::Stale(..)), "{found:?}");
        increment(&cache);
        clock.advance(Duration::from_secs(1));
        assert!(cache.refreshes_due().is_empty());
    }

    #[tokio::test]
    async fn no_store_puts_off_the_next_round() {
        let (cache, clock, rules) = cache(AHEAD);
        let round = cache.now() + Duration::from_secs(10);
        used(&cache, &rules, "/a", 1).await;
        clock.advance(Duration::from_secs(5));
        used(&cache, &rules, "/b", 1).await;
        assert_eq!(cache.next_due(), Some(round));
    }

    #[tokio::test]
    async fn a_clock_set_back_takes_nothing_twice() {
        let (cache, clock, rules) = cache(AHEAD);
        let at = |seconds: u64| Timestamp::from_secs(1_000_000 + seconds);
        used(&cache, &rules, "/a", 0).await; // the rounds begin
        clock.advance(Duration::from_secs(5));
        used(&cache, &rules, "/b", 1).await;
        clock.set(at(60));
        let due = cache.refreshes_due();
        assert_eq!(due.len(), 1, "the other is not used");
        clock.set(at(57));
        assert!(cache.refreshes_due().is_empty(), "it has its turn still");
    }

    #[tokio::test]
    async fn l10_what_is_kept_to_ask_again_counts() {
        let mut bytes = Vec::new();
        for refill in ["ttl: 60s", REFRESH] {
            let (cache, _, rules) = cache(refill);
            used(&cache, &rules, "/a", 1).await;
            bytes.push(cache.0.store.bytes());
        }
        assert!(bytes[0] < bytes[1], "{bytes:?}");
    }

    #[tokio::test]
    async fn a_rule_is_followed_as_it_was_when_the_last_response_was_stored() {
        let (cache, clock, rules) = cache(REFRESH);
        used(&cache, &rules, "/a", 1).await;
        let (_, _, changed) = self::cache(AHEAD);
        used(&cache, &changed, "/b", 1).await;
        clock.advance(Duration::from_secs(50));
        assert_eq!(cache.refreshes_due().len(), 2);
    }

    #[tokio::test]
    async fn what_the_rules_in_force_do_not_want_is_registered_no_longer() {
        for (before, after, begins, stays) in [
            (AHEAD, "ttl: 60s", false, 0),
            (AHEAD, REFRESH, false, 1),
            (AHEAD, AHEAD, true, 1),
        ] {
            let (cache, clock, rules) = cache(before);
            used(&cache, &rules, "/a", 1).await;
            let (_, _, in_force) = self::cache(after);
            clock.advance(Duration::from_secs(50));
            let due = cache.refreshes_due();
            let fill = due[0].begin(&in_force);
            assert_eq!(fill.is_some(), begins, "{after}");
            drop((fill, due));
            assert_eq!(cache.0.refreshes.len(), stays, "{after}");
            clock.advance(Duration::from_secs(1));
            assert!(
                cache.refreshes_due().is_empty(),
                "{after}: not for the old reason"
            );
            increment(&cache);
            clock.advance(Duration::from_secs(1));
            assert_eq!(
                cache.refreshes_due().len(),
                usize::from(after == REFRESH),
                "{after}"
            );
        }
    }

    #[tokio::test]
    async fn what_has_taken_the_place_of_the_unwanted_stays_registered() {
        let (cache, clock, rules) = cache(AHEAD);
        used(&cache, &rules, "/a", 1).await;
        clock.advance(Duration::from_secs(50));
        let due = cache.refreshes_due();
        let (query, _) = request(&rules, "/a");
        let variant = query.base.only_variant();
        let stored = cache.0.store.get(&variant).unwrap();
        cache.put(variant, Stored::clone(stored.entry().unwrap()));
        let (_, _, in_force) = self::cache(REFRESH);
        assert!(due[0].begin(&in_force).is_none());
        clock.advance(Duration::from_secs(5));
        cache.lookup(&query, &request(&rules, "/a").1, None, Trust::Full);
        assert_eq!(cache.0.refreshes.len(), 1);
        let registered = cache.0.refreshes.by_rule();
        let registered = registered.values().next().unwrap();
        let now_there = cache.0.store.get(&variant).unwrap();
        let now_there = Arc::downgrade(now_there.entry().unwrap());
        assert!(registered.entries[&variant].stored.ptr_eq(&now_there));
    }

    #[tokio::test]
    async fn what_was_invalidated_while_it_was_fetched_ahead_is_fetched_again_whatever_came_of_it()
    {
        for in_time in [false, true] {
            let (cache, clock, rules) = cache(&format!("{REFRESH}, {AHEAD}"));
            used(&cache, &rules, "/a", 1).await;
            clock.advance(Duration::from_secs(50));
            let ahead = cache.refreshes_due();
            assert_eq!(ahead.len(), 1);
            if in_time {
                increment(&cache);
                clock.advance(Duration::from_secs(1));
                assert!(cache.refreshes_due().is_empty(), "it has its turn still");
            }
            drop(ahead);
            if !in_time {
                increment(&cache);
            }
            clock.advance(Duration::from_secs(1));
            assert_eq!(cache.refreshes_due().len(), 1, "in time: {in_time}");
        }
    }

    #[tokio::test]
    async fn what_a_head_renews_is_still_fetched_again_and_its_uses_count_anew() {
        let (cache, clock, rules) = cache(AHEAD);
        used(&cache, &rules, "/a", 1).await;
        let (query, head) = request(&rules, "/a");
        let renew = || {
            let found = cache.find(query.base, &head);
            let crate::cache::Found::Stored(variant, stored) = found else {
                panic!("it is stored");
            };
            let freshen = Freshen::of(&cache, &query, variant, stored).unwrap();
            let (same, ()): (Parts, ()) = Response::new(()).into_parts();
            let keep = keep(&cache, tagged(None));
            let renewed = freshen.renew(&head, &same, &keep).now_or_never();
            renewed.unwrap().unwrap();
        };
        clock.advance(Duration::from_secs(5));
        renew(); // expires at 65
        for used in [false, true] {
            if used {
                assert!(matches!(
                    cache.lookup(&query, &head, None, Trust::Full),
                    Lookup::Hit(..)
                ));
            }
            let mut taken = 0;
            for _ in 0..5 {
                clock.advance(Duration::from_secs(10));
                let due = cache.refreshes_due();
                taken += due.iter().filter(|it| it.begin(&rules).is_some()).count();
            }
            clock.advance(Duration::from_secs(5));
            assert_eq!(taken, usize::from(used));
            renew();
        }
    }

    #[tokio::test]
    async fn increments_that_wait_are_applied_when_due_or_early_at_the_end() {
        for (name, at_the_end) in [("when due", false), ("at the end", true)] {
            let (cache, clock, rules) = cache("ttl: 60s");
            let again = Increment {
                again: Some(Duration::from_secs(2)),
                ..tagged(None).tag.into()
            };
            let by = "POST /users/42".into();
            let mut aside = cache.aside(); // its own changes are repeated as all others are
            let _ = aside.increment(&[again], &by).now_or_never();
            drop(aside);
            assert_eq!(cache.next_due(), Some(cache.now() + Duration::from_secs(2)));
            used(&cache, &rules, "/a", 1).await;
            let (query, head) = request(&rules, "/a");
            clock.advance(Duration::from_secs(1));
            cache.increment_due().now_or_never().unwrap();
            let found = cache.lookup(&query, &head, None, Trust::Full);
            assert!(matches!(found, Lookup::Hit(..)), "{name}: not yet");
            if at_the_end {
                cache.increment_waiting().now_or_never().unwrap();
            } else {
                clock.advance(Duration::from_secs(1));
                cache.increment_due().now_or_never().unwrap();
            }
            let explained = cache.explain(&query, &head).expect("it is stored");
            assert_eq!(
                explained.why_invalidated(cache.now()).as_deref(),
                Some("A incremented 0s ago by POST /users/42 (again)"),
                "{name}"
            );
            assert_eq!(cache.next_due(), None, "{name}: once");
        }
    }

    #[tokio::test]
    async fn who_waits_for_the_next_due_moment_is_woken_when_it_becomes_sooner() {
        let (cache, _, rules) = cache(AHEAD);
        let mut woken = Box::pin(cache.rescheduled());
        assert!(futures_util::poll!(&mut woken).is_pending());
        used(&cache, &rules, "/a", 1).await;
        assert!(futures_util::poll!(&mut woken).is_ready());
        assert!(cache.next_due().is_some());
    }

    #[tokio::test]
    async fn who_waits_for_the_next_due_moment_is_woken_when_a_turn_came_to_nothing() {
        let (cache, clock, rules) = cache(REFRESH);
        used(&cache, &rules, "/a", 1).await;
        increment(&cache);
        clock.advance(Duration::from_secs(1));
        let due = cache.refreshes_due();
        cache.rescheduled().await; // the increment's
        assert_eq!(cache.next_due(), None);
        let mut woken = Box::pin(cache.rescheduled());
        assert!(futures_util::poll!(&mut woken).is_pending());
        drop(due);
        assert!(futures_util::poll!(&mut woken).is_ready());
        assert!(cache.next_due().is_some());
    }
}
