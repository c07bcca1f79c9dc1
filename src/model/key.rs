//! Keys: which request a stored response answers.
//!
//! A key is made of *fields*, each length-prefixed, so that no two lists of fields share an encoding (L7). The hash of
//! the encoding is 128 bits of BLAKE3: collision-resistant, because clients choose the fields and sidecars share the keys.

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use crate::model::stamp::Stamp;

/// Names and values in order, encoded so that different lists never encode alike.
///
/// Layout of a field: name length (u32, little endian), name, then either `0` (absent) or `1`, value length (u32) and value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFields(Vec<u8>);

const ABSENT: u8 = 0;
const PRESENT: u8 = 1;

impl KeyFields {
    /// No fields, with room for a usual request's.
    pub fn new() -> KeyFields {
        KeyFields::with_room(160)
    }

    /// No fields, with room for so many bytes of them.
    pub fn with_room(bytes: usize) -> KeyFields {
        KeyFields(Vec::with_capacity(bytes))
    }

    /// Adds a field with a value; an empty one differs from an absent one.
    pub fn field(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.sized(name.as_bytes());
        self.0.push(PRESENT);
        self.sized(value.as_ref());
    }

    /// Adds a field that the request does not have.
    pub fn absent(&mut self, name: &str) {
        self.sized(name.as_bytes());
        self.0.push(ABSENT);
    }

    /// Adds a field that the request may or may not have.
    pub fn optional(&mut self, name: &str, value: Option<impl AsRef<[u8]>>) {
        match value {
            Some(value) => self.field(name, value),
            None => self.absent(name),
        }
    }

    /// Adds all fields of another list.
    pub fn append(&mut self, fields: &KeyFields) {
        self.0.extend_from_slice(&fields.0);
    }

    fn sized(&mut self, bytes: &[u8]) {
        let len = u32::try_from(bytes.len()).expect("a request head is far smaller than 4 GiB");
        self.0.extend_from_slice(&len.to_le_bytes());
        self.0.extend_from_slice(bytes);
    }

    /// The fields as they were added; the value is `None` where absent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let name = take_sized(&mut rest)?;
            let (&presence, after) = rest.split_first()?;
            rest = after;
            let value = if presence == PRESENT {
                Some(take_sized(&mut rest)?)
            } else {
                None
            };
            Some((std::str::from_utf8(name).unwrap_or("?"), value))
        })
    }

    /// The hash of all fields.
    pub fn base_key(&self) -> BaseKey {
        BaseKey(hash(b"tagalong base key 1", &self.0))
    }
}

fn take_sized<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, after) = rest.split_first_chunk::<4>()?;
    let (value, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    *rest = after;
    Some(value)
}

/// What could be mistaken for structure in a logical key.
const IN_LOGICAL: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'&').add(b'=').add(b'"');

impl fmt::Display for KeyFields {
    /// The fields for people: `name=value` joined by `&`, percent-encoded; an absent value shows as the name alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (name, value)) in self.iter().enumerate() {
            if n > 0 {
                f.write_str("&")?;
            }
            percent_encode(name.as_bytes(), IN_LOGICAL).fmt(f)?;
            if let Some(value) = value {
                write!(f, "={}", percent_encode(value, IN_LOGICAL))?;
            }
        }
        Ok(())
    }
}

/// The first 128 bits of BLAKE3. What is usual is hashed in one piece, which costs less than piece by piece.
fn hash(domain: &[u8], bytes: &[u8]) -> u128 {
    let mut piece = [0; 512];
    let len = domain.len() + bytes.len();
    let hash = match piece.get_mut(..len).map(|it| it.split_at_mut(domain.len())) {
        Some((before, rest)) => {
            before.copy_from_slice(domain);
            rest.copy_from_slice(bytes);
            blake3::hash(piece.get(..len).unwrap_or_default())
        }
        None => blake3::Hasher::new()
            .update(domain)
            .update(bytes)
            .finalize(),
    };
    let (first, _) = hash
        .as_bytes()
        .split_first_chunk()
        .expect("a hash has 32 bytes");
    u128::from_le_bytes(*first)
}

/// 128-bit hash of the key fields: everything a rule says the answer depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BaseKey(u128);

/// A base key together with the values of the request fields that the response's own `Vary` selects (RFC 9111 §4.1). In the
/// order of its digits. Packed: among other things in a table it takes no more room than its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(Rust, packed(8))]
pub struct Variant(u128);

/// The full identity of a stored response: variant, and each tag with its version.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ComposedKey(u128);

impl BaseKey {
    /// The variant of a response without `Vary`.
    pub fn only_variant(self) -> Variant {
        Variant(self.0)
    }

    /// The variant that these fields of the request select.
    pub fn variant(self, selecting: &KeyFields) -> Variant {
        let mut bytes = Vec::with_capacity(16 + selecting.0.len());
        bytes.extend_from_slice(&self.0.to_le_bytes());
        bytes.extend_from_slice(&selecting.0);
        Variant(hash(b"tagalong variant 1", &bytes))
    }
}

impl Variant {
    /// Under which it is noted that its responses cannot be stored. Never stored elsewhere: what is as good as chance stays so
    /// with some bits turned over, and each request that misses asks for it.
    pub fn unstorable(self) -> Variant {
        Variant(self.0 ^ u128::from_le_bytes(*b"it is unstorable"))
    }

    /// Under which a part of it is fetched: requests for other parts are other fetches.
    pub fn part(self, fields: &KeyFields) -> Variant {
        Variant(self.hash_with(b"tagalong part 1", fields))
    }

    fn hash_with(self, domain: &[u8], fields: &KeyFields) -> u128 {
        let mut bytes = Vec::with_capacity(16 + fields.0.len());
        bytes.extend_from_slice(&self.0.to_le_bytes());
        bytes.extend_from_slice(&fields.0);
        hash(domain, &bytes)
    }

    /// The identity under these tags and versions, in the order given.
    pub fn composed<'a>(self, tags: impl Iterator<Item = (&'a str, Stamp)>) -> ComposedKey {
        let mut fields = KeyFields::new();
        for (tag, stamp) in tags {
            fields.field(tag, stamp.get().to_le_bytes());
        }
        ComposedKey(self.hash_with(b"tagalong composed key 1", &fields))
    }
}

/// How many digits a key is shown with.
const HEX: usize = 32;

macro_rules! stored_as_bytes {
    ($($key:ident)*) => {$(
        impl $key {
            /// The bytes that are shown in hex.
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }

            /// The key as read back from where its bytes were written.
            pub const fn from_bytes(bytes: [u8; 16]) -> $key {
                $key(u128::from_be_bytes(bytes))
            }

            /// The key that is shown as this text.
            pub fn from_hex(text: &str) -> Option<$key> {
                let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                let is_one = text.len() == HEX && text.bytes().all(is_digit);
                let number = is_one.then(|| u128::from_str_radix(text, 16).ok());
                number.flatten().map($key)
            }
        }
    )*};
}
stored_as_bytes!(Variant ComposedKey);

macro_rules! shown_as_hex {
    ($($key:ident)*) => {$(
        impl fmt::Display for $key {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", { self.0 })
            }
        }
        impl fmt::Debug for $key {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($key), "({})"), self)
            }
        }
    )*};
}
shown_as_hex!(BaseKey Variant ComposedKey);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(list: &[(&str, Option<&str>)]) -> KeyFields {
        let mut fields = KeyFields::new();
        for (name, value) in list {
            fields.optional(name, *value);
        }
        fields
    }

    #[test]
    fn l07_what_looks_alike_when_glued_differs() {
        type List<'a> = &'a [(&'a str, Option<&'a str>)];
        let lists: &[(&str, List<'_>)] = &[
            ("a and b_c", &[("x", Some("a")), ("y", Some("b_c"))]),
            ("a_b and c", &[("x", Some("a_b")), ("y", Some("c"))]),
            ("absent", &[("x", None)]),
            ("empty", &[("x", Some(""))]),
            ("zero", &[("x", Some("0"))]),
            ("null", &[("x", Some("null"))]),
            ("nothing", &[]),
            ("name in value", &[("x", Some("1")), ("y", Some("2"))]),
            ("value in name", &[("x", Some("1y2"))]),
        ];
        for (n, (one, a)) in lists.iter().enumerate() {
            for (other, b) in &lists[n + 1..] {
                assert_ne!(
                    fields(a).base_key(),
                    fields(b).base_key(),
                    "{one} / {other}"
                );
            }
        }
    }

    #[test]
    fn shown_fields_are_readable_and_unambiguous() {
        let fields = fields(&[("rule", Some("a=b")), ("q", Some("x y&z")), ("page", None)]);
        assert_eq!(fields.to_string(), "rule=a%3Db&q=x%20y%26z&page");
    }

    #[test]
    fn a_key_is_its_bytes_and_they_are_its_hex() {
        let variant = fields(&[("x", Some("a"))]).base_key().only_variant();
        let key = variant.composed([("User:1", Stamp::from_raw(7))].into_iter());
        assert_eq!(Variant::from_bytes(variant.to_bytes()), variant);
        assert_eq!(ComposedKey::from_bytes(key.to_bytes()), key);
        let hex: String = key.to_bytes().map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(hex, key.to_string());
        assert_eq!(ComposedKey::from_hex(&hex), Some(key));
        let (short, long) = (&hex[1..], format!("0{hex}"));
        let signed = format!("+{short}");
        for text in ["", short, &long, &signed, &"F".repeat(32), &"g".repeat(32)] {
            assert_eq!(ComposedKey::from_hex(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn l07_fields_encode_injectively(
            a in proptest::collection::vec((".{0,6}", proptest::option::of(proptest::collection::vec(any::<u8>(), 0..6))), 0..5),
            b in proptest::collection::vec((".{0,6}", proptest::option::of(proptest::collection::vec(any::<u8>(), 0..6))), 0..5),
        ) {
            let encode = |list: &Vec<(String, Option<Vec<u8>>)>| {
                let mut fields = KeyFields::new();
                for (name, value) in list {
                    fields.optional(name, value.as_ref());
                }
                fields
            };
            let (x, y) = (encode(&a), encode(&b));
            prop_assert_eq!(a == b, x == y);
            let back: Vec<_> = x.iter().map(|(n, v)| (n.to_owned(), v.map(<[u8]>::to_vec))).collect();
            prop_assert_eq!(back, a);
        }
    }
}
