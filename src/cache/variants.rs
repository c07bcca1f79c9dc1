//! Which stored response a request selects, and how it is found (RFC 9111 §4.1).
//!
//! Under a base key lies a response, or a note of the request fields that select one; under the variant that these give
//! lies the response. A response in one language also has a note under that language, for who wants it most.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};

use crate::cache::Cache;
use crate::cache::Stored;
use crate::cache::stored::Slot;
use crate::cache::stored::kept_until;
use crate::model::entry::EntryMeta;
use crate::model::key::BaseKey;
use crate::model::key::Variant;
use crate::model::request::Head;
use crate::policy::vary;

/// What is stored for a request, and under which variant it would be fetched.
pub(super) enum Found {
    Nothing(Variant),
    OtherVariants(Variant),
    Stored(Variant, Arc<Stored>),
    /// A response in the one language that the client wants most, brought by a request that was spelled differently.
    InLanguage(Variant, Arc<Stored>),
}

impl Cache {
    pub(super) fn find(&self, base: BaseKey, head: &Head) -> Found {
        let only = base.only_variant();
        match self.0.store.get(&only) {
            None | Some(Slot::Same { .. } | Slot::Unstorable { .. }) => Found::Nothing(only),
            Some(Slot::Entry(stored)) => Found::Stored(only, stored),
            Some(Slot::Varies { fields, .. }) => {
                let variant = base.variant(&vary::selecting(&fields, head.headers()));
                match self.0.store.get(&variant) {
                    Some(Slot::Entry(stored)) => Found::Stored(variant, stored),
                    Some(_) | None => match self.in_language(base, &fields, head) {
                        Some(stored) => Found::InLanguage(variant, stored),
                        None => Found::OtherVariants(variant),
                    },
                }
            }
        }
    }

    fn in_language(
        &self,
        base: BaseKey,
        fields: &[HeaderName],
        head: &Head,
    ) -> Option<Arc<Stored>> {
        let wanted = vary::wanted_language(fields, head.headers())?;
        let Slot::Same { variant, .. } = self.0.store.get(&base.variant(&wanted))? else {
            return None;
        };
        let Slot::Entry(stored) = self.0.store.get(&variant)? else {
            return None;
        };
        // What that request gets may be in another language by now.
        let is_in = vary::of_language(fields, head.headers(), &stored.entry.headers);
        (is_in == Some(wanted)).then_some(stored)
    }

    /// The variant of a response to this request, with the notes that lead there for as long as it may be of use; `None`
    /// if the response does not vary.
    pub(super) fn lead_to(
        &self,
        base: BaseKey,
        request: &HeaderMap,
        meta: &EntryMeta,
        response: &HeaderMap,
    ) -> Option<Variant> {
        let fields = &meta.vary;
        if fields.is_empty() {
            return None;
        }
        let (only, store) = (base.only_variant(), &self.0.store);
        let variant = base.variant(&vary::selecting(fields, request));
        let needed = kept_until(meta, true);
        if let Some(language) = vary::of_language(fields, request, response) {
            let until = needed;
            store.put(base.variant(&language), Slot::Same { variant, until });
        }
        let until = match store.get(&only) {
            Some(Slot::Varies { until, .. }) => until.max(needed),
            Some(Slot::Entry(_) | Slot::Same { .. } | Slot::Unstorable { .. }) | None => needed,
        };
        let fields = Arc::clone(fields);
        store.put(only, Slot::Varies { fields, until });
        Some(variant)
    }
}
