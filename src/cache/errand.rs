//! What a fill is to bring, how it asks the app for it, and what its first client insists on.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header;

use crate::cache::Spare;
use crate::cache::Stored;
use crate::cache::parts;
use crate::model::key::KeyFields;
use crate::model::key::Variant;
use crate::model::outcome::Forward;
use crate::model::request::Head;
use crate::model::stamp::Stamp;
use crate::policy::freshening;
use crate::policy::ranges;
use crate::policy::ranges::Asked;
use crate::policy::request::Wishes;

/// What a fill is to bring, and what is there already.
#[derive(Debug)]
pub(super) struct Errand {
    /// Where it will be stored, as far as is known before the response's own `Vary` is.
    pub(super) variant: Variant,
    pub(super) why: Forward,
    pub(super) aim: Aim,
    /// What is stored there, with its tags' versions intact: to be made fresh or completed.
    pub(super) stored: Option<Arc<Stored>>,
    /// What is stored there, whatever has become of its tags: it may stand in should the app fail.
    pub(super) spare: Option<Spare>,
    /// What would have been served instead, in shadow mode; it stays where what comes is the same.
    pub(super) shadowed: Option<Arc<Stored>>,
}

impl Errand {
    /// To fetch again what is stored, for no request that waits for it. Where it was invalidated, the fill forgets it.
    pub(super) fn again(variant: Variant, spare: Spare) -> Errand {
        Errand {
            variant,
            why: Forward::Expired,
            aim: Aim::whole(&spare.stored),
            stored: Some(Arc::clone(&spare.stored)),
            spare: Some(spare),
            shadowed: None,
        }
    }

    /// To fetch again, behind a stale answer to this request, what answered it: a part is asked for as one. `None` if the
    /// request asks for several.
    pub(super) fn behind(variant: Variant, spare: Spare, head: &Head) -> Option<Errand> {
        let mut errand = Errand::again(variant, spare);
        if head.read.is_some() {
            errand.aim = Aim::Whole; // by conditions one may ask with GET alone
        } else if errand
            .stored
            .as_ref()
            .is_some_and(|it| it.entry.part.is_some())
        {
            errand.aim = Aim::of(head, None, errand.why)?;
        }
        Some(errand)
    }

    /// Forgets what is stored if a tag of it has changed since the lookup: the app's word that it is still right would
    /// be about what it was before.
    pub(super) fn recheck(&mut self) {
        if self
            .stored
            .as_ref()
            .is_some_and(|stored| !stored.seals.intact())
        {
            self.stored = None;
            self.why = Forward::Invalidated;
            if self.aim != Aim::Part {
                self.aim = Aim::Whole;
            }
        }
    }

    /// Under which it is known to those who may join: one fetch of the whole, one of each part.
    pub(super) fn flight(&self, head: &Head) -> Variant {
        match self.aim {
            Aim::Whole | Aim::Validate | Aim::Complete => self.variant,
            Aim::Part => {
                let mut part = KeyFields::new();
                for name in [header::RANGE, header::IF_RANGE] {
                    part.optional(name.as_str(), head.headers().get(&name));
                }
                self.variant.part(&part)
            }
        }
    }
}

/// How a fill asks the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// For the whole.
    Whole,
    /// For the whole, unless what is stored is still right (RFC 9111 §4.3).
    Validate,
    /// For the rest of a stored part (RFC 9111 §3.3).
    Complete,
    /// For the part that the client asks for.
    Part,
}

impl Aim {
    /// How to ask for what the request lacks; `None` if nothing that could be stored would answer it.
    pub(super) fn of(head: &Head, stored: Option<&Stored>, why: Forward) -> Option<Aim> {
        if *head.method() != Method::GET {
            return Some(Aim::Whole); // by conditions one may ask with GET alone
        }
        let validates = stored.is_some_and(|stored| Aim::whole(stored) == Aim::Validate);
        let can_complete = || stored.is_some_and(|stored| parts::rest(&stored.entry).is_some());
        Some(match ranges::asked(head.method(), head.headers()) {
            _ if validates => Aim::Validate,
            Asked::Whole if why == Forward::Partial && can_complete() => Aim::Complete,
            Asked::Whole => Aim::Whole,
            Asked::One => Aim::Part,
            Asked::Several => return None,
        })
    }

    /// How to ask for the whole where this is stored.
    pub(super) fn whole(stored: &Stored) -> Aim {
        let has_validator = || freshening::has_validator(&stored.entry);
        if stored.entry.part.is_none() && has_validator() {
            Aim::Validate
        } else {
            Aim::Whole
        }
    }
}

/// What a client asks of the fill that ends its miss.
#[derive(Clone, Copy)]
pub(super) struct Miss {
    /// It must have begun at or after this stamp.
    pub(super) since: Option<Stamp>,
    /// It must be one of the client's own time (RFC 9111 §5.2.1.4, §5.2.2.4).
    pub(super) anew: bool,
    pub(super) wishes: Wishes,
}

impl Miss {
    pub(super) fn of(wishes: Wishes, since: Option<Stamp>, stored: Option<&Stored>) -> Miss {
        let asked = wishes.at(Duration::ZERO); // as old as what comes will be
        let each_time = stored.is_some_and(|stored| stored.entry.meta.is_asked_each_time());
        Miss {
            since,
            anew: each_time || asked.no_cache || asked.max_age == Some(Duration::ZERO),
            wishes,
        }
    }
}
