//! Entries, with all that is answered from them.

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::StatusCode;
use zstd::bulk;

use super::Foreign;
use super::Kind;
use super::begin;
use super::open;
use super::pieces::Reader;
use super::pieces::Writer;
use super::seal;
use crate::model::compress::Compress;
use crate::model::entry::Conditions;
use crate::model::entry::Entry;
use crate::model::entry::EntryMeta;
use crate::model::entry::Part;
use crate::model::entry::StaleUse;
use crate::model::fields::Fields;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

/// Level 3 makes JSON and prose of 16 KiB 5 % and 1 % smaller, and takes 12 % and 70 % longer for it.
const LEVEL: i32 = 1;

/// Payloads below this stay plain: unpacking takes some 15 µs however little it is, and hardly anything is saved.
const SMALL: usize = 1 << 10;

/// Larger heads are not read. `limits.max_head` is far below it, for a sidecar that others share with.
const MOST_HEAD: usize = 1 << 20;

/// An entry as others read it.
pub fn encode_entry(entry: &Entry, compress: Compress) -> Vec<u8> {
    let head = head(entry);
    let frame = match compress {
        Compress::Zstd => compressed(&entry.body, &head),
        Compress::None => None,
    };
    let payload = frame
        .as_ref()
        .map_or(entry.body.len() + head.len(), Vec::len);
    let mut writer = begin(Kind::Entry, 1 + 4 + 8 + payload);
    writer.byte(if frame.is_some() { ZSTD } else { PLAIN });
    writer.len(head.len());
    writer.u64(entry.body.len() as u64);
    match frame {
        Some(frame) => writer.raw(&frame),
        None => {
            writer.raw(&entry.body);
            writer.raw(&head);
        }
    }
    seal(writer)
}

/// The entry that `bytes` are, if its content is no longer than `max`.
///
/// Whatever the bytes say, no more is allocated than the content; twice a head of at most 1 MiB, and its fields in a map, at worst
/// some ten times that; and what Zstandard keeps beside its output, a fraction of a MiB.
///
/// # Errors
///
/// Says why it is none; see [`Foreign`].
pub fn decode_entry(bytes: &[u8], max: usize) -> Result<Entry, Foreign> {
    let mut reader = open(bytes, Kind::Entry)?;
    let how = reader.byte()?;
    let (head, content) = (reader.u32()? as usize, reader.u64()?);
    let content = usize::try_from(content).map_err(|_| Foreign::TooLarge)?;
    if head > MOST_HEAD || content > max {
        return Err(Foreign::TooLarge);
    }
    let payload = reader.rest();
    match how {
        PLAIN => {
            let (body, rest) = payload.split_at_checked(content).ok_or(Foreign::Corrupt)?;
            if rest.len() != head {
                return Err(Foreign::Corrupt);
            }
            parse(rest, || Bytes::copy_from_slice(body), content)
        }
        ZSTD => {
            let mut whole = decompressed(payload, content + head)?;
            let head = whole.split_off(content);
            // Boxed: what the head took at its end is given back.
            parse(&head, || whole.into_boxed_slice().into(), content)
        }
        _ => Err(Foreign::Corrupt),
    }
}

/// Content and head as one frame; `None`: that is hardly smaller than they are, and what is plain is read at no cost.
fn compressed(body: &[u8], head: &[u8]) -> Option<Vec<u8>> {
    let len = body.len() + head.len();
    if len < SMALL {
        return None;
    }
    let payload = [body, head].concat();
    // An eighth is the least that it must gain. An error says that there is too little room, or no memory for it.
    let mut frame = Vec::with_capacity(len - len / 8);
    let mut compressor = bulk::Compressor::new(LEVEL).ok()?;
    compressor.compress_to_buffer(&payload, &mut frame).ok()?;
    Some(frame)
}

/// What a frame holds, which must be of this length. It is written where it stays, so that the window is no memory of its own,
/// however large the frame says it is.
fn decompressed(frame: &[u8], len: usize) -> Result<Vec<u8>, Foreign> {
    let mut whole = Vec::with_capacity(len);
    let read = bulk::Decompressor::new()
        .and_then(|mut decompressor| decompressor.decompress_to_buffer(frame, &mut whole));
    match read {
        Ok(read) if read == len => Ok(whole),
        Ok(_) | Err(_) => Err(Foreign::Corrupt),
    }
}

/// All but the content.
fn head(entry: &Entry) -> Vec<u8> {
    let mut writer = Writer::with_room(1 << 10);
    writer.u16(entry.status.as_u16());
    fields(&mut writer, &entry.headers);
    match &entry.targeted {
        Some(targeted) => fields(&mut writer, targeted),
        None => writer.len(0),
    }
    writer.optional(entry.part.as_deref(), |writer, part| {
        writer.u64(part.first);
        writer.optional(part.complete, Writer::u64);
        writer.flag(part.is_tail);
    });
    let meta = &entry.meta;
    writer.moment(meta.received);
    writer.moment(meta.born);
    writer.span(meta.lifetime);
    writer.optional(meta.soft_until, Writer::moment);
    writer.flag(meta.stale.forbidden);
    writer.span(meta.stale.while_revalidate);
    writer.span(meta.stale.if_error);
    writer.span(meta.stale.if_disconnected);
    writer.flag(meta.shareable);
    writer.selectors(&meta.vary);
    writer.into_bytes()
}

fn fields(writer: &mut Writer, fields: &Fields) {
    writer.len(fields.len());
    for (name, value) in fields.iter() {
        writer.sized(name.as_str().as_bytes());
        writer.sized(value);
    }
}

/// The entry with this head, and with content of this length.
fn parse(head: &[u8], body: impl FnOnce() -> Bytes, len: usize) -> Result<Entry, Foreign> {
    let mut reader = Reader::new(head);
    let status = StatusCode::from_u16(reader.u16()?).map_err(|_| Foreign::Corrupt)?;
    let headers = read_fields(&mut reader)?;
    let targeted = read_fields(&mut reader)?;
    let part = reader.optional(|reader| {
        Ok(Part {
            first: reader.u64()?,
            complete: reader.optional(Reader::u64)?,
            is_tail: reader.flag()?,
        })
    })?;
    if !part.is_none_or(|part| lies_within(part, len)) {
        return Err(Foreign::Corrupt);
    }
    let meta = EntryMeta {
        received: reader.moment()?,
        born: reader.moment()?,
        lifetime: reader.span()?,
        soft_until: reader.optional(Reader::moment)?,
        conditions: Conditions {
            stale: StaleUse {
                forbidden: reader.flag()?,
                while_revalidate: reader.span()?,
                if_error: reader.span()?,
                if_disconnected: reader.span()?,
            },
            shareable: reader.flag()?,
            vary: reader.selectors()?.into(),
        }
        .into(),
    };
    reader.end()?;
    Ok(Entry {
        status,
        headers: Fields::of(&headers),
        targeted: Fields::unless_none(&targeted),
        body: body(),
        part: part.map(Box::new),
        meta,
    })
}

fn read_fields(reader: &mut Reader<'_>) -> Result<HeaderMap, Foreign> {
    let mut fields = HeaderMap::new();
    for _ in 0..reader.u32()? {
        let name = reader.name()?;
        let value = HeaderValue::from_bytes(reader.sized()?).map_err(|_| Foreign::Corrupt)?;
        // A map holds a limited number of names.
        fields
            .try_append(name, value)
            .map_err(|_| Foreign::Corrupt)?;
    }
    Ok(fields)
}

/// Whether a part with so much content lies in the whole that it says it is of.
fn lies_within(part: Part, len: usize) -> bool {
    let end = part.first.checked_add(len as u64);
    end.is_some_and(|end| part.complete.is_none_or(|complete| end <= complete))
}
