//! Any entry and any record comes back, and nothing of them does that was damaged on the way.

use std::time::Duration;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;
use proptest::prelude::*;

use super::BOTH;
use super::MAX;
use super::listing;
use crate::model::entry::Conditions;
use crate::model::entry::Entry;
use crate::model::entry::EntryMeta;
use crate::model::entry::Part;
use crate::model::entry::Selector;
use crate::model::entry::StaleUse;
use crate::model::fields::Fields;
use crate::model::key::ComposedKey;
use crate::model::stamp::Stamp;
use crate::model::tag::Tag;
use crate::model::time::Timestamp;
use crate::store::codec::Pointer;
use crate::store::codec::Record;
use crate::store::codec::decode_entry;
use crate::store::codec::encode_entry;

fn moment() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp::from_micros)
}

fn span() -> impl Strategy<Value = Duration> {
    (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(secs, nanos)| Duration::new(secs, nanos))
}

fn name() -> impl Strategy<Value = HeaderName> {
    let text = "(set-cookie|link|link|etag|[a-z0-9!#$%&'*+.^_`|~-]{1,12})";
    text.prop_map(|name| HeaderName::from_bytes(name.as_bytes()).unwrap())
}

fn fields() -> impl Strategy<Value = HeaderMap> {
    let byte = any::<u8>().prop_filter("of a value", |byte| *byte >= b' ' && *byte != 0x7f);
    let value = prop::collection::vec(byte, 0..12);
    let value = value.prop_map(|value| HeaderValue::from_bytes(&value).unwrap());
    prop::collection::vec((name(), value), 0..8).prop_map(|list| {
        let mut fields = HeaderMap::new();
        for (name, value) in list {
            fields.append(name, value);
        }
        fields
    })
}

fn selectors() -> impl Strategy<Value = Vec<Selector>> {
    let selector = prop_oneof![
        name().prop_map(Selector::Field),
        ".{0,8}".prop_map(|name| Selector::Cookie(name.into())),
    ];
    prop::collection::vec(selector, 0..4)
}

fn meta() -> impl Strategy<Value = EntryMeta> {
    let stale = (any::<bool>(), span(), span(), span()).prop_map(|stale| StaleUse {
        forbidden: stale.0,
        while_revalidate: stale.1,
        if_error: stale.2,
        if_disconnected: stale.3,
    });
    let soft = prop::option::of(moment());
    let meta = (
        moment(),
        moment(),
        span(),
        soft,
        stale,
        any::<bool>(),
        selectors(),
    );
    meta.prop_map(
        |(received, born, lifetime, soft_until, stale, shareable, vary)| EntryMeta {
            received,
            born,
            lifetime,
            soft_until,
            conditions: Conditions {
                stale,
                shareable,
                vary: vary.into(),
            }
            .into(),
        },
    )
}

fn entries() -> impl Strategy<Value = Entry> {
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..50),
        (any::<u8>(), 0..5_000_usize).prop_map(|(byte, len)| vec![byte; len]),
        (0..5_000_usize).prop_map(listing),
    ];
    let part = prop::option::of((any::<u32>(), prop::option::of(any::<u32>()), any::<bool>()));
    let entry = (100..1_000_u16, fields(), fields(), body, part, meta());
    entry.prop_map(|(status, headers, targeted, body, part, meta)| Entry {
        status: StatusCode::from_u16(status).unwrap(),
        headers: Fields::of(&headers),
        targeted: Fields::unless_none(&targeted),
        part: part.map(|(first, more, is_tail)| {
            Box::new(Part {
                first: first.into(),
                complete: more.map(|more| u64::from(first) + body.len() as u64 + u64::from(more)),
                is_tail,
            })
        }),
        body: body.into(),
        meta,
    })
}

fn records() -> impl Strategy<Value = Record> {
    let tag = prop_oneof!["~[ -~é]{1,20}", "[a-zé][a-z0-9:%]{0,9}"];
    let tag = tag.prop_map(|text| Tag::from_stored(&text).unwrap());
    let tags = prop::collection::vec((tag, any::<u64>().prop_map(Stamp::from_raw)), 0..5);
    let names = (
        "[ -~é]{0,30}",
        any::<[u8; 16]>(),
        ".{0,20}",
        prop::option::of(".{0,9}"),
    );
    let times = (any::<u64>(), moment(), moment(), moment());
    let pointer = (names, tags, times).prop_map(|(names, tags, times)| {
        Record::Entry(Pointer {
            generation: names.0,
            key: ComposedKey::from_bytes(names.1),
            tags,
            logical: names.2,
            rule: names.3,
            size: times.0,
            stored: times.1,
            at_first: times.2,
            expires: times.3,
        })
    });
    let varies = (selectors(), moment());
    let varies = varies.prop_map(|(fields, until)| Record::Varies { fields, until });
    prop_oneof![pointer, varies]
}

/// Ways in which bytes come back other than they were written.
fn damaged(bytes: &[u8], at: prop::sample::Index, bits: u8) -> [(&'static str, Vec<u8>); 4] {
    let n = at.index(bytes.len());
    let mut changed = bytes.to_vec();
    changed[n] ^= bits;
    let lost = [&bytes[..n], &bytes[n + 1..]].concat();
    [
        ("changed", changed),
        ("a byte lost", lost),
        ("cut", bytes[..n].to_vec()),
        ("longer", [bytes, &[bits][..]].concat()),
    ]
}

proptest! {
    #[test]
    fn any_entry_comes_back(entry in entries(), zstd in any::<bool>()) {
        let bytes = encode_entry(&entry, BOTH[usize::from(zstd)]);
        prop_assert_eq!(decode_entry(&bytes, entry.body.len()), Ok(entry));
    }

    #[test]
    fn any_record_comes_back(record in records()) {
        prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
    }

    #[test]
    fn a_damaged_entry_is_none(
        entry in entries(), zstd in any::<bool>(), at in any::<prop::sample::Index>(), bits in 1..=u8::MAX,
    ) {
        let bytes = encode_entry(&entry, BOTH[usize::from(zstd)]);
        for (how, bytes) in damaged(&bytes, at, bits) {
            prop_assert!(decode_entry(&bytes, MAX).is_err(), "{how}");
        }
    }

    #[test]
    fn a_damaged_record_is_none(record in records(), at in any::<prop::sample::Index>(), bits in 1..=u8::MAX) {
        for (how, bytes) in damaged(&record.encode(), at, bits) {
            prop_assert!(Record::decode(&bytes).is_err(), "{how}");
        }
    }
}
