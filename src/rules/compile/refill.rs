//! What a rule says of fetching again, as written to as used.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::header;

use crate::model::units;
use crate::rules::Rule;
use crate::rules::SharedStore;
use crate::rules::compile::Compiler;
use crate::rules::refill::{Coalesce, OnInvalidate, Refill, RefreshAhead, WhenInvalidated};
use crate::rules::source;
use crate::rules::source::{IfError, KeptIn, OrNone};
use crate::rules::template::Template;
use crate::rules::terms::{Authorization, StatusTtl, Statuses, Terms};
use crate::yaml::units::Span;
use crate::yaml::{Spanned, shown};

/// A shorter lease is over before it can be renewed; a longer one keeps the others waiting for who has died.
const LEASES: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(600);

/// Each round of `refresh_ahead` looks at all responses of its rule.
const SHORTEST_ROUND: Duration = Duration::from_secs(1);

impl Compiler<'_> {
    pub(super) fn refill(&mut self, written: &source::Rule, base: &Refill) -> Refill {
        Refill {
            revalidate: written.revalidate.unwrap_or(base.revalidate),
            coalesce: match &written.coalesce {
                Some(OrNone::None) => None,
                Some(OrNone::Some(it)) => Some(self.coalesce(it, base.coalesce)),
                None => base.coalesce,
            },
            hit_for_miss: written.hit_for_miss.map_or(base.hit_for_miss, |it| it.0),
            on_invalidate: on_invalidate(&written.on_invalidate, base.on_invalidate),
            refresh_ahead: match written.refresh_ahead.as_ref().map(|it| &it.value) {
                Some(OrNone::None) => None,
                Some(OrNone::Some(it)) => Some(self.refresh_ahead(it, base.refresh_ahead)),
                None => base.refresh_ahead,
            },
        }
    }

    fn coalesce(&mut self, written: &source::Coalesce, base: Option<Coalesce>) -> Coalesce {
        let base = base.unwrap_or_default();
        if let Some(lease) = &written.lease
            && !LEASES.contains(&lease.value.0)
        {
            let found = units::Written(lease.value.0);
            let message = format!("expected a duration from `100ms` to `10m`, found `{found}`");
            self.wrong(lease.place, message);
        }
        Coalesce {
            wait: written.wait.map_or(base.wait, |it| it.0),
            on_timeout: written.on_timeout.unwrap_or(base.on_timeout),
            shared: written.shared.as_ref().map_or(base.shared, |it| it.value),
            lease: written.lease.as_ref().map_or(base.lease, |it| it.value.0),
        }
    }

    fn refresh_ahead(
        &mut self,
        written: &source::RefreshAhead,
        base: Option<RefreshAhead>,
    ) -> RefreshAhead {
        let base = base.unwrap_or_default();
        if let Some(every) = &written.every
            && every.value.0 < SHORTEST_ROUND
        {
            let found = units::Written(every.value.0);
            let message = format!("expected a duration of at least `1s`, found `{found}`");
            self.wrong(every.place, message);
        }
        RefreshAhead {
            every: written.every.as_ref().map_or(base.every, |it| it.value.0),
            max: written.max.map_or(base.max, many),
            min_hits: written.min_hits.unwrap_or(base.min_hits),
        }
    }

    pub(super) fn statuses(&mut self, written: &source::Rule, base: &Terms) -> Statuses {
        let Some(written) = &written.statuses else {
            return base.statuses.clone();
        };
        let mut statuses = Statuses::default();
        for (status, ttl) in &written.0 {
            let ttl = match ttl {
                source::StatusTtl::Inherit => StatusTtl::Inherit,
                source::StatusTtl::For(span) => StatusTtl::For(span.0),
            };
            if let Err(expected) = statuses.add(status, ttl) {
                let found = shown(status);
                self.wrong(status.place, format!("{expected}, found {found}"));
            }
        }
        statuses
    }

    /// What each by itself is right, and not together. `tainted`: a part of the rule could not be read, so that only what
    /// is there says anything.
    pub(super) fn refills(&mut self, written: &Spanned<source::Rule>, rule: &Rule, tainted: bool) {
        let on = &written.on_invalidate;
        if on.mode.is_some() || !tainted {
            self.refresh_only(on, rule.refill.on_invalidate.mode);
        }
        if (on.delay.is_some() && on.max_stale.is_some()) || !tainted {
            self.refreshed_in_time(on, rule.refill.on_invalidate);
        }
        self.nobodys_credentials(written, rule, tainted);
    }

    /// Some fields say how `mode: refresh` goes about it. In `defaults` they are for the rules that say so.
    fn refresh_only(&mut self, written: &source::OnInvalidate, mode: WhenInvalidated) {
        if mode == WhenInvalidated::Refresh {
            return;
        }
        let delay = written.delay.as_ref().map(|it| it.place);
        let entries = written.max_entries.as_ref().map(|it| it.place);
        for (name, place) in [("delay", delay), ("max_entries", entries)] {
            if let Some(place) = place {
                let message = format!("`{name}` means nothing without `mode: refresh`");
                self.wrong(place, message);
            }
        }
    }

    /// Whether the fills of a rule are shared with other sidecars: only where they can have the body. `tainted`: a part of the rule
    /// could not be read.
    pub(super) fn shared_fills(&mut self, written: &source::Rule, rule: &mut Rule, tainted: bool) {
        let Some(coalesce) = &mut rule.refill.coalesce else {
            return;
        };
        let (asked, in_memory) = (coalesce.shared, rule.kept_in == KeptIn::Memory);
        coalesce.shared &= !in_memory && rule.shared_store == SharedStore::Bodies;
        if !coalesce.shared {
            coalesce.lease = Coalesce::default().lease;
        }
        let Some(OrNone::Some(section)) = &written.coalesce else {
            return;
        };
        if let Some(lease) = &section.lease
            && !asked
            && (section.shared.is_some() || !tainted)
        {
            self.wrong(lease.place, "`lease` means nothing without `shared: true`");
        }
        let Some(shared) = section.shared.as_ref().filter(|shared| shared.value) else {
            return;
        };
        if in_memory {
            let of_defaults = match &written.store {
                Some(_) => "",
                None => " of `defaults`",
            };
            let message = format!(
                "`shared: true` means nothing with `store: memory`{of_defaults}: no other sidecar could have what was fetched"
            );
            self.wrong(shared.place, message);
        } else if rule.stores() {
            self.shares_bodies(written, rule.shared_store);
        }
    }

    /// Without a store for bodies a fill is still right, and each sidecar makes its own.
    pub(super) fn shares_bodies(&mut self, written: &source::Rule, store: SharedStore) {
        let missing = match store {
            SharedStore::None => "without `store.redis` in the configuration",
            SharedStore::Tags => "while `store.redis` of the configuration says `bodies: false`",
            SharedStore::Bodies => return,
        };
        if let Some(OrNone::Some(section)) = &written.coalesce
            && let Some(shared) = section.shared.as_ref().filter(|shared| shared.value)
        {
            let message =
                format!("`shared: true` means nothing {missing}: each sidecar fetches for itself");
            self.warn(shared.place, message);
        }
    }

    /// What is refreshed is served until then, so it must be allowed to be.
    pub(super) fn refreshed_in_time(&mut self, written: &source::OnInvalidate, on: OnInvalidate) {
        let delay = written.delay.as_ref().map(|it| it.place);
        let max_stale = written.max_stale.as_ref().map(|it| it.place);
        let mode = written.mode.as_ref().map(|it| it.place);
        if on.mode == WhenInvalidated::Refresh
            && on.delay >= on.max_stale
            && let Some(place) = delay.or(max_stale).or(mode)
        {
            let (delay, max_stale) = (units::Written(on.delay), units::Written(on.max_stale));
            let message = format!(
                "expected `delay` ({delay}) to be shorter than `max_stale` ({max_stale}), after which nothing old is left \
                 to serve"
            );
            self.wrong(place, message);
        }
    }

    /// What is fetched again for no request in particular is fetched without anybody's credentials, none being kept: a key
    /// that holds them leaves nothing to ask for, and a tag made of them cannot be had.
    fn nobodys_credentials(&mut self, written: &Spanned<source::Rule>, rule: &Rule, tainted: bool) {
        const WHY: &str = "fetches without anybody's credentials or cookies, none being kept";
        let Some(personal) = personal(rule).filter(|_| rule.stores()) else {
            return;
        };
        let Refill {
            on_invalidate,
            refresh_ahead,
            ..
        } = rule.refill;
        let refreshes = on_invalidate.mode == WhenInvalidated::Refresh;
        let mode = written.on_invalidate.mode.as_ref().map(|it| it.place);
        let ahead = written.refresh_ahead.as_ref().map(|it| it.place);
        for (wished, name, place, instead) in [
            (
                refreshes,
                "mode: refresh",
                mode,
                "on_invalidate: { mode: miss }",
            ),
            (
                refresh_ahead.is_some(),
                "refresh_ahead",
                ahead,
                "refresh_ahead: none",
            ),
        ] {
            match place {
                _ if !wished => {}
                Some(place) => self.wrong(place, format!("`{name}` {WHY}, but {personal}")),
                None if tainted => {}
                None => self.wrong(
                    written.place,
                    format!("`{name}` of `defaults` {WHY}, but {personal}: say `{instead}` here"),
                ),
            }
        }
    }
}

/// What of this rule needs somebody's credentials or cookies.
fn personal(rule: &Rule) -> Option<&'static str> {
    let credentials = [header::AUTHORIZATION, header::COOKIE];
    let read = |template: &Template| credentials.iter().any(|name| template.reads(name));
    let keyed = rule.terms.authorization == Authorization::Key
        || !rule.fields.tokens.is_empty()
        || credentials.iter().any(|name| rule.fields.key_on(name))
        || rule.keyed_by().any(read);
    if keyed {
        Some("the key of this rule holds some")
    } else if rule.tagged_by().any(read) {
        Some("a tag of this rule is made of some")
    } else {
        None
    }
}

fn on_invalidate(written: &source::OnInvalidate, base: OnInvalidate) -> OnInvalidate {
    let span = |written: &Option<Spanned<Span>>| written.as_ref().map(|it| it.value.0);
    let entries = written.max_entries.as_ref().map(|it| it.value);
    OnInvalidate {
        mode: written.mode.as_ref().map_or(base.mode, |it| it.value),
        delay: span(&written.delay).unwrap_or(base.delay),
        max_stale: span(&written.max_stale).unwrap_or(base.max_stale),
        max_entries: entries.map_or(base.max_entries, many),
        stale_if_error: match written.if_error {
            Some(IfError::Stale) => true,
            Some(IfError::Error) => false,
            None => base.stale_if_error,
        },
    }
}

fn many(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
