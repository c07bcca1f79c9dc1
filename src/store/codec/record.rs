//! Records: small, read at each lookup that memory does not answer, and by who lists what is stored.

use super::Foreign;
use super::Kind;
use super::begin;
use super::open;
use super::seal;
use crate::model::entry::Selector;
use crate::model::key::ComposedKey;
use crate::model::key::Variant;
use crate::model::stamp::Stamp;
use crate::model::tag::Tag;
use crate::model::time::Timestamp;

const ENTRY: u8 = 1;
const VARIES: u8 = 2;

/// The longest name of a generation, in bytes.
const MOST_GENERATION: usize = 64;

/// Far more than tags within any sensible limits take; larger ones are not even hashed.
const MOST: usize = 1 << 20;

/// What stands under a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An entry, and where its bytes are.
    Entry(Pointer),
    /// Under a base key: which parts of a request select the variant (RFC 9111 §4.1).
    Varies {
        /// Those parts.
        fields: Vec<Selector>,
        /// Until when there can be a variant.
        until: Timestamp,
    },
}

/// Where the bytes of an entry are, whether they are still right, and what people are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The store's generation when the entry was stored, at most 64 bytes: in another one its stamps say nothing (L3).
    pub generation: String,
    /// Under which its bytes are.
    pub key: ComposedKey,
    /// Its tags with their versions, in the order in which they made the key.
    pub tags: Vec<(Tag, Stamp)>,
    /// Its logical key, which globs are matched with.
    pub logical: String,
    /// The rule that stored it, if one did.
    pub rule: Option<String>,
    /// How many bytes it has in the store.
    pub size: u64,
    /// When it was stored.
    pub stored: Timestamp,
    /// When it was to stop being fresh at first, as its bytes still say.
    pub at_first: Timestamp,
    /// When it stops being fresh; another moment if an operator has given it another life.
    pub expires: Timestamp,
}

impl Pointer {
    /// Whether this, under that variant, is of the generation of this name, and of a response that is fresh if its tags are as they
    /// were.
    pub fn is_of(&self, variant: Variant, generation: &str, now: Timestamp) -> bool {
        let tags = self.tags.iter();
        let tags = tags.map(|(tag, stamp)| (tag.as_str(), *stamp));
        self.generation == generation && self.key == variant.composed(tags) && self.expires > now
    }
}

impl Record {
    /// The record as others read it.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = begin(Kind::Record, 512);
        match self {
            Record::Entry(pointer) => {
                writer.byte(ENTRY);
                writer.sized(pointer.generation.as_bytes());
                writer.raw(&pointer.key.to_bytes());
                writer.len(pointer.tags.len());
                for (tag, stamp) in &pointer.tags {
                    writer.sized(tag.as_str().as_bytes());
                    writer.u64(stamp.get());
                }
                writer.sized(pointer.logical.as_bytes());
                let rule = pointer.rule.as_deref().map(str::as_bytes);
                writer.optional(rule, |writer, rule| writer.sized(rule));
                writer.u64(pointer.size);
                writer.moment(pointer.stored);
                writer.moment(pointer.at_first);
                writer.moment(pointer.expires);
            }
            Record::Varies { fields, until } => {
                writer.byte(VARIES);
                writer.selectors(fields);
                writer.moment(*until);
            }
        }
        seal(writer)
    }

    /// The record that `bytes` are. At most 1 MiB of them is read, and some ten times that allocated.
    ///
    /// # Errors
    ///
    /// Says why it is none; see [`Foreign`].
    pub fn decode(bytes: &[u8]) -> Result<Record, Foreign> {
        if bytes.len() > MOST {
            return Err(Foreign::TooLarge);
        }
        let mut reader = open(bytes, Kind::Record)?;
        let record = match reader.byte()? {
            ENTRY => Record::Entry(Pointer {
                generation: match reader.text()? {
                    text if text.len() <= MOST_GENERATION => text.to_owned(),
                    _ => return Err(Foreign::Corrupt),
                },
                key: ComposedKey::from_bytes(reader.array()?),
                tags: reader.list(|reader| {
                    let tag = Tag::from_stored(reader.text()?).map_err(|_| Foreign::Corrupt)?;
                    Ok((tag, Stamp::from_raw(reader.u64()?)))
                })?,
                logical: reader.text()?.to_owned(),
                rule: reader.optional(|reader| reader.text().map(str::to_owned))?,
                size: reader.u64()?,
                stored: reader.moment()?,
                at_first: reader.moment()?,
                expires: reader.moment()?,
            }),
            VARIES => Record::Varies {
                fields: reader.selectors()?,
                until: reader.moment()?,
            },
            _ => return Err(Foreign::Corrupt),
        };
        reader.end()?;
        Ok(record)
    }
}
