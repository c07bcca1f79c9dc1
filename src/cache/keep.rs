//! What is kept of a response besides its content.

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, StatusCode, header};

use crate::model::entry::Entry;
use crate::model::entry::EntryMeta;
use crate::model::entry::Part;
use crate::model::fields::Fields;
use crate::model::tag::Tagged;
use crate::policy;
use crate::policy::Store;
use crate::policy::ranges;

/// What is kept of a response besides its content.
#[derive(Clone, Debug)]
pub struct Keep {
    /// What policy says of it.
    pub store: Store,
    /// The fields addressed to this cache alone.
    pub targeted: HeaderMap,
    /// What it depends on.
    pub tags: Vec<Tagged>,
}

impl Keep {
    pub(super) fn meta(&self) -> &EntryMeta {
        &self.store.meta
    }

    /// The entry of a response with this head and this content.
    pub(super) fn entry(&self, head: &Parts, body: Bytes, part: Option<Part>) -> Entry {
        let mut headers = policy::storable_headers(&head.headers);
        for name in &self.store.without {
            headers.remove(name);
        }
        let is_partial = head.status == StatusCode::PARTIAL_CONTENT;
        if is_partial {
            headers.remove(header::CONTENT_RANGE);
            ranges::drop_digests_of_content(&mut headers);
        }
        Entry {
            status: if is_partial {
                StatusCode::OK
            } else {
                head.status
            },
            headers: Fields::of(&headers),
            targeted: Fields::unless_none(&self.targeted),
            body,
            part: part.map(Box::new),
            meta: self.store.meta.clone(),
        }
    }
}
