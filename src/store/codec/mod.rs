//! What other sidecars read of an entry: its bytes, and the record that leads to them. Pure functions; who keeps the bytes,
//! and where, is another's business.
//!
//! What comes back from a store is hostile until it is read to its end: it may be cut, mixed up, made by another program or by
//! another version of this one. All of that is a miss with a word ([`Foreign`]), never a panic and never another entry. What is
//! allocated for it is bounded before it is.
//!
//! # Layout
//!
//! Numbers are little endian. All that is written is
//!
//! ```text
//! magic      4   f7 't' 'a' 'g': no text begins with f7
//! kind       1   'E' an entry, 'R' a record
//! version    1   of the format, VERSION here
//! fields         as below
//! checksum   8   BLAKE3 of all before it, cut
//! ```
//!
//! The fields are made of
//!
//! ```text
//! flag       1   0 or 1
//! sized          length u32, then so many bytes; a text is UTF-8
//! optional       flag, then the value if it is 1
//! list           count u32, then the values
//! moment     8   microseconds since the epoch
//! span      12   seconds u64, nanoseconds u32 below 10^9
//! selector       1 and a field's name (sized), or 2 and a cookie's (text)
//! ```
//!
//! An entry, under its composed key:
//!
//! ```text
//! how        1   the payload is 0 plain, 1 one Zstandard frame
//! head       4   how long the head is
//! content    8   how long the content is
//! payload        the content, then the head; together, if compressed
//!
//! head: status u16; fields, then targeted fields: list of name (sized), value (sized);
//!       optional part: first u64, optional complete u64, is_tail flag;
//!       received, born: moment; lifetime: span; optional soft_until: moment;
//!       stale: forbidden flag, while_revalidate, if_error, if_disconnected: span;
//!       shareable flag; vary: list of selectors
//! ```
//!
//! A record, under a variant:
//!
//! ```text
//! what       1   1 an entry, 2 what selects the variant
//!
//! 1: generation text, at most 64 bytes; composed key 16; tags: list of text, stamp u64; logical text;
//!    optional rule text; size u64; stored, at_first, expires: moment
//! 2: fields: list of selectors; until: moment
//! ```
//!
//! # Versions
//!
//! Two versions of Tagalong share one store while one is rolled out. Magic, kind and version stay where they are in every format
//! to come, and are looked at before anything else, so that either reads the other's as [`Foreign::Version`]. Whatever changes in
//! the bytes or in what they mean takes another version: a field more, another value of an enum, another unit. `VERSION` is
//! one number for both kinds, and a test holds the bytes to it.

mod entry;
mod pieces;
mod record;

use pieces::Reader;
use pieces::Writer;

pub use crate::metrics::Foreign;
pub use entry::decode_entry;
pub use entry::encode_entry;
pub use record::Pointer;
pub use record::Record;

/// The version of the format, in every blob and record.
pub const VERSION: u8 = 1;

const MAGIC: [u8; 4] = *b"\xf7tag";
const CHECKSUM: usize = 8;

/// Which of the two it is.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Kind {
    Entry = b'E',
    Record = b'R',
}

/// Something of a kind, with room for so many bytes of fields.
fn begin(kind: Kind, room: usize) -> Writer {
    let mut writer = Writer::with_room(MAGIC.len() + 2 + room + CHECKSUM);
    writer.raw(&MAGIC);
    writer.byte(kind as u8);
    writer.byte(VERSION);
    writer
}

fn seal(mut writer: Writer) -> Vec<u8> {
    let checksum = checksum(writer.written());
    writer.raw(&checksum);
    writer.into_bytes()
}

/// The fields of something of this kind that is whole.
fn open(bytes: &[u8], kind: Kind) -> Result<Reader<'_>, Foreign> {
    let (sealed, mark) = match bytes.split_last_chunk::<CHECKSUM>() {
        Some((sealed, mark)) => (sealed, *mark),
        None => return Err(Foreign::Corrupt),
    };
    let mut reader = Reader::new(sealed);
    if reader.array()? != MAGIC || reader.byte()? != kind as u8 {
        return Err(Foreign::Corrupt);
    }
    // Before the checksum: another version may have another one.
    if reader.byte()? != VERSION {
        return Err(Foreign::Version);
    }
    if checksum(sealed) != mark {
        return Err(Foreign::Corrupt);
    }
    Ok(reader)
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let mut mark = [0; CHECKSUM];
    let mut hasher = blake3::Hasher::new();
    hasher.update(bytes);
    hasher.finalize_xof().fill(&mut mark);
    mark
}

#[cfg(test)]
mod tests;
