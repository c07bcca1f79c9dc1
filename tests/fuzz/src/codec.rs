//! What comes back from the shared store, of any bytes, and what must hold of what is read from them.
//!
//! The input is what is stored without its magic, version and checksum: `E` and the fields of an entry, or `R` and those of a
//! record. The right ones are put around it, so that the fuzzer gets past them. It is also read as it is.

use http::StatusCode;
use tagalong::model::compress::Compress;
use tagalong::model::entry::Conditions;
use tagalong::model::entry::Entry;
use tagalong::model::entry::EntryMeta;
use tagalong::model::entry::StaleUse;
use tagalong::model::fields::Fields;
use tagalong::model::time::Timestamp;
use tagalong::store::codec::Foreign;
use tagalong::store::codec::Record;
use tagalong::store::codec::decode_entry;
use tagalong::store::codec::encode_entry;

/// The most content that is taken.
const MAX: usize = 64 << 10;

const CHECKSUM: usize = 8;

/// Fails if something does not hold that must hold for any input.
pub fn check(input: &[u8]) {
    read(input);
    if let Some(sealed) = sealed(input)
        && read(&sealed)
    {
        damaged(&sealed);
    }
}

/// Whether an input is something once it is sealed.
pub fn is_read(input: &[u8]) -> bool {
    sealed(input).is_some_and(|sealed| read(&sealed))
}

/// Whether it is something; if so, it is what is written again.
fn read(bytes: &[u8]) -> bool {
    let entry = decode_entry(bytes, MAX);
    if let Ok(entry) = &entry {
        right(entry);
        let plain = encode_entry(entry, Compress::None);
        let zstd = encode_entry(entry, Compress::Zstd);
        assert_eq!(decode_entry(&plain, MAX).as_ref(), Ok(entry));
        assert_eq!(decode_entry(&zstd, MAX).as_ref(), Ok(entry));
        assert!(zstd.len() <= plain.len());
        if bytes.get(6) == Some(&0) {
            assert!(same(bytes, &plain), "it is written in another way");
        }
        if let Some(less) = entry.body.len().checked_sub(1) {
            assert_eq!(decode_entry(bytes, less), Err(Foreign::TooLarge));
        }
    }
    let record = Record::decode(bytes);
    if let Ok(record) = &record {
        assert!(
            same(bytes, &record.encode()),
            "it is written in another way"
        );
    }
    assert!(entry.is_err() || record.is_err(), "it is both");
    entry.is_ok() || record.is_ok()
}

fn right(entry: &Entry) {
    assert!(entry.body.len() <= MAX);
    if let Some(part) = &entry.part {
        let end = part.first.checked_add(entry.body.len() as u64);
        let end = end.expect("a part that ends");
        assert!(part.complete.is_none_or(|complete| end <= complete));
    }
}

/// The same bytes, but for the order of fields in a map: values of one name stand together there.
fn same(read: &[u8], written: &[u8]) -> bool {
    let sorted = |bytes: &[u8]| {
        let mut bytes = bytes[..bytes.len() - CHECKSUM].to_vec();
        bytes.sort_unstable();
        bytes
    };
    sorted(read) == sorted(written)
}

/// Neither cut nor changed is it anything.
fn damaged(bytes: &[u8]) {
    for at in (0..bytes.len()).step_by(1 + bytes.len() / 8) {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        for bytes in [&bytes[..at], &changed] {
            assert!(decode_entry(bytes, MAX).is_err(), "byte {at}");
            assert!(Record::decode(bytes).is_err(), "byte {at}");
        }
    }
}

/// With what stands around it.
fn sealed(input: &[u8]) -> Option<Vec<u8>> {
    let (kind, fields) = input.split_first()?;
    let prefix = match kind {
        b'E' => prefix(&encode_entry(&small(), Compress::None)),
        b'R' => prefix(&varies().encode()),
        _ => return None,
    };
    let bytes = [&prefix, fields].concat();
    let checksum = blake3::hash(&bytes);
    Some([&bytes, &checksum.as_bytes()[..CHECKSUM]].concat())
}

/// Magic, kind and version.
fn prefix(bytes: &[u8]) -> [u8; 6] {
    *bytes.first_chunk().expect("a prefix")
}

fn small() -> Entry {
    Entry {
        status: StatusCode::OK,
        headers: Fields::default(),
        targeted: None,
        body: "".into(),
        part: None,
        meta: EntryMeta {
            received: Timestamp::from_secs(0),
            born: Timestamp::from_secs(0),
            lifetime: std::time::Duration::ZERO,
            soft_until: None,
            conditions: Conditions {
                stale: StaleUse::default(),
                shareable: false,
                vary: [].into(),
            }
            .into(),
        },
    }
}

fn varies() -> Record {
    Record::Varies {
        fields: Vec::new(),
        until: Timestamp::from_secs(0),
    }
}
