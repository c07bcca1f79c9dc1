//! What a rule says of fetching again, as written to as used.

use http::header;

use crate::rules::Rule;
use crate::rules::compile::Compiler;
use crate::rules::refill::{Coalesce, OnInvalidate, Refill, RefreshAhead, WhenInvalidated};
use crate::rules::source;
use crate::rules::source::{CoalesceItem, IfError};
use crate::rules::terms::{Authorization, StatusTtl, Statuses, Terms};
use crate::yaml::{Spanned, shown};

impl Compiler {
    pub(super) fn refill(&mut self, written: &source::Rule, base: &Refill) -> Refill {
        Refill {
            revalidate: written.revalidate.unwrap_or(base.revalidate),
            coalesce: match &written.coalesce {
                Some(CoalesceItem::None(_)) => None,
                Some(CoalesceItem::Coalesce(it)) => Some(coalesce(it, base.coalesce)),
                None => base.coalesce,
            },
            hit_for_miss: written.hit_for_miss.map_or(base.hit_for_miss, |it| it.0),
            on_invalidate: self.on_invalidate(&written.on_invalidate, base.on_invalidate),
            refresh_ahead: match &written.refresh_ahead {
                Some(it) => Some(self.refresh_ahead(it, base.refresh_ahead)),
                None => base.refresh_ahead,
            },
        }
    }

    fn on_invalidate(
        &mut self,
        written: &source::OnInvalidate,
        base: OnInvalidate,
    ) -> OnInvalidate {
        let mode = written.mode.as_ref().map_or(base.mode, |it| it.value);
        let delay = written.delay.as_ref().map(|it| it.place);
        let entries = written.max_entries.as_ref().map(|it| it.place);
        for (name, place) in [("delay", delay), ("max_entries", entries)] {
            if let Some(place) = place
                && mode != WhenInvalidated::Refresh
            {
                self.wrong(
                    place,
                    format!("`{name}` means nothing without `mode: refresh`"),
                );
            }
        }
        let on = OnInvalidate {
            mode,
            delay: written.delay.as_ref().map_or(base.delay, |it| it.value.0),
            max_stale: written
                .max_stale
                .as_ref()
                .map_or(base.max_stale, |it| it.value.0),
            max_entries: written.max_entries.as_ref().map_or(base.max_entries, |it| {
                usize::try_from(it.value).unwrap_or(usize::MAX)
            }),
            stale_if_error: match written.if_error {
                Some(IfError::Stale) => true,
                Some(IfError::Error) => false,
                None => base.stale_if_error,
            },
        };
        if let Some(delay) = &written.delay
            && mode == WhenInvalidated::Refresh
            && on.delay >= on.max_stale
        {
            let message = "expected a `delay` shorter than `max_stale`: after that it is a miss";
            self.wrong(delay.place, message);
        }
        on
    }

    fn refresh_ahead(
        &mut self,
        written: &Spanned<source::RefreshAhead>,
        base: Option<RefreshAhead>,
    ) -> RefreshAhead {
        let base = base.unwrap_or_default();
        if let Some(every) = &written.every
            && every.value.0.is_zero()
        {
            self.wrong(every.place, "expected a duration above zero");
        }
        let max = written
            .max
            .map(|max| usize::try_from(max).unwrap_or(usize::MAX));
        RefreshAhead {
            every: written.every.as_ref().map_or(base.every, |it| it.value.0),
            max: max.unwrap_or(base.max),
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

    /// What is fetched again for no request in particular is fetched without anybody's credentials, none being kept: a key
    /// that holds them leaves nothing to ask for.
    pub(super) fn nobodys_credentials(&mut self, written: &Spanned<source::Rule>, rule: &Rule) {
        let mode = written.on_invalidate.mode.as_ref();
        let refresh = mode.filter(|mode| mode.value == WhenInvalidated::Refresh);
        let wishes = [
            refresh.map(|mode| ("`mode: refresh`", mode.place)),
            written
                .refresh_ahead
                .as_ref()
                .map(|it| ("`refresh_ahead`", it.place)),
        ];
        let personal = rule.terms.keys_on_cookie
            || rule.terms.authorization == Authorization::Key
            || rule.fields.key_on(&header::AUTHORIZATION);
        if !personal || !rule.refill.refreshes() {
            return;
        }
        const WHY: &str = "fetches for no request in particular, and nobody's credentials or cookies are kept for \
             that, but the key of this rule holds them";
        let mut told = false;
        for (what, place) in wishes.into_iter().flatten() {
            self.wrong(place, format!("{what} {WHY}"));
            told = true;
        }
        if !told {
            self.wrong(
                written.place,
                format!("refreshing, as `defaults` say, {WHY}"),
            );
        }
    }
}

fn coalesce(written: &source::Coalesce, base: Option<Coalesce>) -> Coalesce {
    let base = base.unwrap_or_default();
    Coalesce {
        wait: written.wait.map_or(base.wait, |it| it.0),
        on_timeout: written.on_timeout.unwrap_or(base.on_timeout),
    }
}
