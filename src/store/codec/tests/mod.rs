//! Tables of what is read and what is not; `properties` has any entry and any record.

mod properties;

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;
use http::header;

use super::pieces::Writer;
use super::*;
use crate::model::compress::Compress;
use crate::model::entry::Conditions;
use crate::model::entry::Entry;
use crate::model::entry::EntryMeta;
use crate::model::entry::Part;
use crate::model::entry::Selector;
use crate::model::entry::StaleUse;
use crate::model::fields::Fields;
use crate::model::key::KeyFields;
use crate::model::stamp::Stamp;
use crate::model::tag::Tag;
use crate::model::time::Timestamp;

const MAX: usize = 8 << 20;
const BOTH: [Compress; 2] = [Compress::None, Compress::Zstd];

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn named(list: &[(&'static str, &'static str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &'static str)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    let mut fields = HeaderMap::new();
    for (name, value) in list.iter().map(pair) {
        fields.append(name, value);
    }
    fields
}

/// One with a value in every place.
fn entry(body: &[u8]) -> Entry {
    Entry {
        status: StatusCode::PARTIAL_CONTENT,
        headers: Fields::of(&named(&[
            ("link", "</a>"),
            ("etag", "\"e\""),
            ("link", "</b>"),
            ("x-empty", ""),
        ])),
        targeted: Fields::unless_none(&named(&[("cdn-cache-control", "max-age=60")])),
        body: Bytes::copy_from_slice(body),
        part: Some(Box::new(Part {
            first: 7,
            complete: Some(7 + body.len() as u64),
            is_tail: true,
        })),
        meta: EntryMeta {
            received: at(2_000_000_000),
            born: at(1_999_999_990),
            lifetime: Duration::from_secs(60),
            soft_until: Some(at(2_000_000_030)),
            conditions: Conditions {
                stale: StaleUse {
                    forbidden: true,
                    while_revalidate: Duration::from_millis(1_500),
                    if_error: Duration::from_secs(300),
                    if_disconnected: Duration::from_nanos(1),
                },
                shareable: true,
                vary: [
                    Selector::Field(header::ACCEPT_LANGUAGE),
                    Selector::Cookie("theme".into()),
                ]
                .into(),
            }
            .into(),
        },
    }
}

fn pointer() -> Pointer {
    let variant = KeyFields::new().base_key().only_variant();
    let tags = vec![
        (Tag::parse("User:42").unwrap(), Stamp::from_raw(7)),
        (Tag::all(), Stamp::NEVER),
        (Tag::uri("http://a/b?c=\"d\", e"), Stamp::from_raw(u64::MAX)),
    ];
    Pointer {
        generation: "g".repeat(64),
        key: variant.composed(tags.iter().map(|(tag, stamp)| (tag.as_str(), *stamp))),
        tags,
        logical: "page=1&q".into(),
        rule: Some("books".into()),
        size: 1_234,
        stored: at(2_000_000_000),
        at_first: at(2_000_000_360),
        expires: at(2_000_000_050),
    }
}

fn varies() -> Record {
    Record::Varies {
        fields: vec![
            Selector::Field(header::ACCEPT),
            Selector::Cookie("é".into()),
        ],
        until: at(2_000_000_000),
    }
}

/// A listing such as APIs answer with, of so many bytes.
fn listing(len: usize) -> Vec<u8> {
    const WORDS: [&str; 12] = [
        "river", "stone", "of", "the", "quiet", "garden", "winter", "light", "paper", "and",
        "house", "song",
    ];
    let mut seed = 88_172_645_463_325_252_u64;
    let mut below = move |most: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % most
    };
    let mut text = String::from("[");
    while text.len() < len {
        let title = [(); 4].map(|()| WORDS[below(12) as usize]).join(" ");
        let (id, price, cents) = (below(100_000), below(90), below(100));
        let url = format!("https://shop.example/books/{id}/");
        let (title, stock) = (format!("\"title\":\"{title}\""), below(2) == 0);
        text += &format!(
            "{{\"id\":{id},{title},\"price\":\"{price}.{cents:02}\",\"in_stock\":{stock},\"url\":\"{url}\"}},"
        );
    }
    text.truncate(len);
    text.into_bytes()
}

/// Of a kind, with these fields and a checksum that is right.
fn sealed(kind: Kind, write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = begin(kind, 0);
    write(&mut writer);
    seal(writer)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[test]
fn an_entry_comes_back_with_all_it_had() {
    let entries = [
        ("every place", entry(b"content")),
        ("empty content", entry(b"")),
        ("large enough to compress", entry(&listing(20_000))),
        ("not UTF-8", entry(&[0xff; 5_000])),
        (
            "nothing optional",
            Entry {
                status: StatusCode::NO_CONTENT,
                headers: Fields::default(),
                targeted: None,
                body: Bytes::new(),
                part: None,
                meta: EntryMeta {
                    soft_until: None,
                    conditions: Conditions {
                        stale: StaleUse::default(),
                        shareable: false,
                        vary: [].into(),
                    }
                    .into(),
                    ..entry(b"").meta
                },
            },
        ),
    ];
    for (name, entry) in entries {
        for compress in BOTH {
            let back = decode_entry(&encode_entry(&entry, compress), MAX);
            assert_eq!(back.as_ref(), Ok(&entry), "{name}, {compress:?}");
        }
    }
}

#[test]
fn a_record_comes_back_with_all_it_had() {
    let bare = Pointer {
        generation: String::new(),
        tags: vec![],
        logical: String::new(),
        rule: None,
        ..pointer()
    };
    let none = Record::Varies {
        fields: vec![],
        until: at(0),
    };
    for record in [
        Record::Entry(pointer()),
        Record::Entry(bare),
        varies(),
        none,
    ] {
        assert_eq!(Record::decode(&record.encode()), Ok(record));
    }
}

/// Whoever has to change these bytes has changed the format: `VERSION` goes up, and they are those of the new one.
#[test]
fn these_are_the_bytes_of_version_1() {
    assert_eq!(VERSION, 1);
    let plain = encode_entry(&entry(b"content"), Compress::None);
    assert_eq!(hex(&plain), hex(&unhex(PLAIN_ENTRY)));
    let record = Record::Entry(pointer()).encode();
    assert_eq!(hex(&record), hex(&unhex(RECORD)));
    assert_eq!(hex(&varies().encode()), hex(&unhex(VARIES)));
    // Another release of Zstandard may write another frame; this one is read for good.
    let frame = unhex(ZSTD_ENTRY);
    assert_eq!(decode_entry(&frame, MAX), Ok(entry(&[b'a'; 2_000])));
}

const PLAIN_ENTRY: &str = "\
    f7746167450100eb0000000700000000000000636f6e74656e74ce0004000000040000006c696e6b040000003c2f613e0400\
    00006c696e6b040000003c2f623e04000000657461670300000022652207000000782d656d70747900000000010000001100\
    000063646e2d63616368652d636f6e74726f6c0a0000006d61782d6167653d3630010700000000000000010e000000000000\
    000100008d49fd1a07008069f448fd1a07003c00000000000000000000000180c3564bfd1a07000101000000000000000065\
    cd1d2c01000000000000000000000000000000000000010000000102000000010f0000006163636570742d6c616e67756167\
    6502050000007468656d65fe1f4e35380bb050";
const ZSTD_ENTRY: &str = "\
    f7746167450101eb000000d00700000000000028b52ffd60bb07450500828a232c80b7690c2b83e900e764d0043d66e4c779\
    c31b2da193ed3276f6aca83c6059e8fe2d406008f354cbdf9fc8142bed13ff84b24f111ed4a8456a9dd37f91bf927f9e8e06\
    c39e39632e8181052b7766cc05f0005933e60a50f89c39e42c2111c93e6d954abf229a0e229c5cdbc7a96bb0c0fd8c3fff13\
    22256dab7ed66cf3239ec62598e8c3f917030845bfdca01a09006016e05200031049e0e6804bcc946927e8e57f80050fb481\
    accec74876";
const RECORD: &str = "\
    f774616752010140000000676767676767676767676767676767676767676767676767676767676767676767676767676767\
    67676767676767676767676767676767676767676767676767b41430a4b2dccb3e085b71f084b6ab7f030000000700000055\
    7365723a34320700000000000000040000007e616c6c0000000000000000180000007e7572693a687474703a2f2f612f623f\
    633d2264222c2065ffffffffffffffff08000000706167653d3126710105000000626f6f6b73d20400000000000000008d49\
    fd1a0700002a025ffd1a070080f0874cfd1a0700fec96b9dbe91fc5c";
const VARIES: &str = "\
    f77461675201020200000001060000006163636570740202000000c3a900008d49fd1a07005c4b0be1d5828f4c";

#[test]
fn text_becomes_much_smaller_and_what_does_not_stays_plain() {
    let random = |len: usize| {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    };
    let small = listing(300);
    for (name, body, most, plain) in [
        ("1 MiB of a listing", listing(1 << 20), 200 << 10, false),
        ("16 KiB of it", listing(16 << 10), 4 << 10, false),
        ("a small one", small.clone(), small.len() + 400, true),
        ("compressed already", random(100_000), 100_400, true),
    ] {
        let entry = entry(&body);
        let bytes = encode_entry(&entry, Compress::Zstd);
        assert!(bytes.len() < most, "{name}: {}", bytes.len());
        assert_eq!(
            bytes == encode_entry(&entry, Compress::None),
            plain,
            "{name}"
        );
        assert_eq!(decode_entry(&bytes, body.len()), Ok(entry), "{name}");
    }
}

#[test]
fn another_version_is_told_whatever_else_it_has() {
    for bytes in [
        encode_entry(&entry(b"content"), Compress::None),
        Record::Entry(pointer()).encode(),
    ] {
        let decode = |bytes: &[u8]| match bytes[4] {
            b'E' => decode_entry(bytes, MAX).err(),
            _ => Record::decode(bytes).err(),
        };
        for version in (0..=u8::MAX).filter(|version| *version != VERSION) {
            let mut other = bytes.clone();
            other[5] = version;
            assert_eq!(decode(&other), Some(Foreign::Version), "{version}");
            other.extend(b"and a longer checksum");
            assert_eq!(decode(&other), Some(Foreign::Version), "{version}");
        }
        let mut other = bytes.clone();
        other[5] = VERSION + 1;
        other[0] = b'X';
        assert_eq!(decode(&other), Some(Foreign::Corrupt), "not ours");
    }
}

#[test]
fn what_is_not_right_is_corrupt_though_its_checksum_is_right() {
    let plain = |writer: &mut Writer, head: &[u8], body: &[u8]| {
        writer.byte(0);
        writer.len(head.len());
        writer.u64(body.len() as u64);
        writer.raw(body);
        writer.raw(head);
    };
    // The head of the entry with this content, which is 4 bytes long, changed.
    let head = |change: &dyn Fn(&mut Vec<u8>)| {
        let whole = encode_entry(&entry(b"body"), Compress::None);
        let mut head = whole[6 + 1 + 4 + 8 + 4..whole.len() - CHECKSUM].to_vec();
        change(&mut head);
        sealed(Kind::Entry, |writer| plain(writer, &head, b"body"))
    };
    assert_eq!(decode_entry(&head(&|_| ()), MAX), Ok(entry(b"body")));
    let put = |at: usize, bytes: &'static [u8]| {
        move |head: &mut Vec<u8>| head[at..at + bytes.len()].copy_from_slice(bytes)
    };
    let part = {
        let whole = entry(b"body");
        let fields = |fields: &Fields| {
            let sizes = fields
                .iter()
                .map(|(name, value)| 8 + name.as_str().len() + value.len());
            4 + sizes.sum::<usize>()
        };
        2 + fields(&whole.headers) + fields(&whole.targeted.unwrap())
    };
    for (name, bytes) in [
        ("status 99", head(&put(0, &[99, 0]))),
        ("status 1000", head(&put(0, &[0xe8, 3]))),
        ("a name in upper case", head(&put(10, b"L"))),
        ("a name with a space", head(&put(10, b" "))),
        ("a value with a line feed", head(&put(18, b"\n"))),
        ("a name without end", head(&put(6, &[0xff; 4]))),
        ("fields without end", head(&put(2, &[0xff; 4]))),
        ("a flag of 2", head(&put(part, &[2]))),
        ("a part past its whole", head(&put(part + 1, &[8]))),
        ("a part past all numbers", head(&put(part + 1, &[0xff; 8]))),
        ("a moment after all", head(&put(part + 19, &[0xff; 8]))),
        (
            "a second of 10^9 ns",
            head(&put(part + 19 + 16 + 8, &[0, 0xca, 0x9a, 0x3b])),
        ),
        ("a byte more", head(&|head| head.push(0))),
        ("a byte less", head(&|head| head.truncate(head.len() - 1))),
        ("no head", head(&|head| head.clear())),
        ("nothing", sealed(Kind::Entry, |_| ())),
        (
            "another kind",
            sealed(Kind::Record, |writer| plain(writer, b"", b"")),
        ),
        (
            "another way",
            sealed(Kind::Entry, |writer| {
                writer.byte(2);
                writer.len(0);
                writer.u64(0);
            }),
        ),
        (
            "more content than there is",
            sealed(Kind::Entry, |writer| {
                writer.byte(0);
                writer.len(0);
                writer.u64(1_000);
                writer.raw(b"short");
            }),
        ),
    ] {
        assert_eq!(decode_entry(&bytes, MAX), Err(Foreign::Corrupt), "{name}");
    }
}

#[test]
fn records_are_held_to_what_they_can_be() {
    let record = |change: &dyn Fn(&mut Pointer)| {
        let mut pointer = pointer();
        change(&mut pointer);
        Record::Entry(pointer).encode()
    };
    let one_tag = |text: &str| {
        sealed(Kind::Record, |writer| {
            writer.byte(1);
            writer.sized(b"g");
            writer.raw(&[0; 16]);
            writer.len(1);
            writer.sized(text.as_bytes());
            writer.u64(1);
            writer.sized(b"");
            writer.flag(false);
            (0..4).for_each(|n| writer.u64(n));
        })
    };
    assert!(Record::decode(&one_tag("~a newer kind:1")).is_ok());
    for (name, bytes, expected) in [
        (
            "a long generation",
            record(&|it| it.generation.push('g')),
            Foreign::Corrupt,
        ),
        ("a tag with a comma", one_tag("a,b"), Foreign::Corrupt),
        ("a tag without a name", one_tag(""), Foreign::Corrupt),
        (
            "an entry",
            encode_entry(&entry(b""), Compress::None),
            Foreign::Corrupt,
        ),
        (
            "another what",
            sealed(Kind::Record, |writer| writer.byte(3)),
            Foreign::Corrupt,
        ),
        (
            "selectors without end",
            sealed(Kind::Record, |writer| {
                writer.byte(2);
                writer.u32(u32::MAX);
            }),
            Foreign::Corrupt,
        ),
        (
            "a text that is not UTF-8",
            sealed(Kind::Record, |writer| {
                writer.byte(2);
                writer.len(1);
                writer.byte(2);
                writer.sized(b"\xff");
                writer.u64(0);
            }),
            Foreign::Corrupt,
        ),
        (
            "a megabyte",
            record(&|it| it.logical = "x".repeat(1 << 20)),
            Foreign::TooLarge,
        ),
    ] {
        assert_eq!(Record::decode(&bytes), Err(expected), "{name}");
    }
}

#[test]
fn a_frame_is_no_bomb() {
    let zeros = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
    let framed = |frame: &[u8], head: usize, content: u64| {
        sealed(Kind::Entry, |writer| {
            writer.byte(1);
            writer.len(head);
            writer.u64(content);
            writer.raw(frame);
        })
    };
    let small = zstd::bulk::compress(b"as it should be", 1).unwrap();
    for (name, bytes, expected) in [
        (
            "what it says is too much",
            framed(&zeros, 0, 64 << 20),
            Foreign::TooLarge,
        ),
        (
            "it says less than it is",
            framed(&zeros, 10, 1_000),
            Foreign::Corrupt,
        ),
        (
            "it says more than it is",
            framed(&small, 10, 1_000),
            Foreign::Corrupt,
        ),
        (
            "a length past all memory",
            framed(&small, 10, u64::MAX),
            Foreign::TooLarge,
        ),
        (
            "a head past all use",
            framed(&small, 2 << 20, 0),
            Foreign::TooLarge,
        ),
        ("no frame", framed(b"plain", 0, 5), Foreign::Corrupt),
        ("nothing", framed(b"", 0, 0), Foreign::Corrupt),
    ] {
        assert_eq!(decode_entry(&bytes, MAX), Err(expected), "{name}");
    }
    let whole = encode_entry(&entry(&listing(5_000)), Compress::Zstd);
    assert_eq!(decode_entry(&whole, 4_999), Err(Foreign::TooLarge));
    assert!(decode_entry(&whole, 5_000).is_ok());
}

#[test]
fn more_names_than_a_map_holds_are_corrupt() {
    let mut head = Writer::with_room(0);
    head.u16(200);
    head.u32(40_000);
    for n in 0..40_000 {
        head.sized(format!("x{n}").as_bytes());
        head.sized(b"");
    }
    let head = head.into_bytes();
    let bytes = sealed(Kind::Entry, |writer| {
        writer.byte(0);
        writer.len(head.len());
        writer.u64(0);
        writer.raw(&head);
    });
    assert_eq!(decode_entry(&bytes, MAX), Err(Foreign::Corrupt));
}
