//! The fields of a stored head, as small as they can be kept: their names once for all responses that have the same ones, their
//! values in one piece of memory. A map of the `http` crate takes some hundred bytes more for each.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use triomphe::ThinArc;

use crate::model::allocated::allocated;
use crate::model::allocated::shared;

/// What fields are looked up in: those of a message, or of a stored head.
pub trait Lines {
    /// The values of all lines of this name, in their order.
    fn lines<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]>;

    /// The first of them.
    fn line<'a>(&'a self, name: &'a HeaderName) -> Option<&'a [u8]> {
        self.lines(name).next()
    }

    /// The value of a field that stands once.
    fn only<'a>(&'a self, name: &'a HeaderName) -> Option<&'a [u8]> {
        let mut lines = self.lines(name);
        lines.next().filter(|_| lines.next().is_none())
    }

    /// Whether there is one.
    fn has(&self, name: &HeaderName) -> bool {
        self.line(name).is_some()
    }
}

impl Lines for HeaderMap {
    fn lines<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        self.get_all(name).iter().map(HeaderValue::as_bytes)
    }
}

/// The fields of a stored head, in the order in which they came.
#[derive(Clone)]
pub struct Fields {
    /// One for each line.
    names: Names,
    /// Where each value ends, counted from where the first begins (u32, little endian); then the values.
    values: Bytes,
}

/// The names of a head's fields: a pointer of one word to all of them.
pub(super) type Names = ThinArc<Owner, HeaderName>;

/// Whose something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// One head's.
    One,
    /// All heads' that have the same.
    All,
}

/// How [`Names`] begin: with a count, an [`Owner`] and a length.
const THIN: usize = 3 * size_of::<usize>();

/// How much an end takes.
const END: usize = size_of::<u32>();

impl Fields {
    /// As a message has them, copied: its values are slices of a buffer of several KiB, which would live as long as they.
    pub fn of(headers: &HeaderMap) -> Fields {
        let text: usize = headers.values().map(HeaderValue::len).sum();
        let mut values = Vec::with_capacity(headers.len() * END + text);
        let mut end = 0;
        for value in headers.values() {
            end += value.len();
            let end = u32::try_from(end).expect("a head is far smaller than 4 GiB");
            values.extend_from_slice(&end.to_le_bytes());
        }
        for value in headers.values() {
            values.extend_from_slice(value.as_bytes());
        }
        let names: Vec<HeaderName> = headers.iter().map(|(name, _)| name.clone()).collect();
        Fields {
            names: Names::from_header_and_iter(Owner::One, names.into_iter()),
            values: values.into(),
        }
    }

    /// The same, if there is any.
    pub fn unless_none(headers: &HeaderMap) -> Option<Box<Fields>> {
        (!headers.is_empty()).then(|| Box::new(Fields::of(headers)))
    }

    /// All lines.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &[u8])> {
        let all = self.names().iter().enumerate();
        all.map(|(n, name)| (name, self.value(n)))
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.names().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names().is_empty()
    }

    /// All lines, as a message has them; no value is copied.
    pub fn header_values(&self) -> impl Iterator<Item = (&HeaderName, HeaderValue)> {
        let all = self.names().iter().enumerate();
        all.map(|(n, name)| (name, self.header_value(n)))
    }

    /// The values of all lines of this name as a message has them; none is copied.
    pub fn values(&self, name: &HeaderName) -> impl Iterator<Item = HeaderValue> {
        let all = self.names().iter().enumerate();
        all.filter(move |(_, own)| *own == name)
            .map(|(n, _)| self.header_value(n))
    }

    /// As a message has them, with room for so many more; no value is copied.
    pub fn to_header_map(&self, more: usize) -> HeaderMap {
        // More than a map can have at once need not be more than it can have in the end: a name may stand on many lines.
        let room = HeaderMap::try_with_capacity(self.len() + more);
        let mut headers: HeaderMap = room.unwrap_or_default();
        for (n, name) in self.names().iter().enumerate() {
            headers.append(name.clone(), self.header_value(n));
        }
        headers
    }

    /// The memory that all values take, in bytes, and the names, where they are its own.
    pub fn weight(&self) -> usize {
        let names = self.names();
        // Of a name that everybody knows there is no text here: that is on the safe side.
        let text = names.iter().map(|name| shared(name.as_str().len()));
        let own = match self.names.header.header {
            Owner::One => allocated(THIN + size_of_val(names)) + text.sum::<usize>(),
            Owner::All => 0,
        };
        own + shared(self.values.len())
    }

    /// One for each line.
    pub(super) fn names(&self) -> &[HeaderName] {
        &self.names.slice
    }

    /// Takes the same names from another who has them.
    pub(super) fn set_names(&mut self, names: &Names) {
        self.names = names.clone();
    }

    fn value(&self, n: usize) -> &[u8] {
        let (first, last) = self.extent(n);
        let value = self.values.get(first..last);
        value.expect("each value lies behind the ends")
    }

    fn header_value(&self, n: usize) -> HeaderValue {
        let (first, last) = self.extent(n);
        let value = HeaderValue::from_maybe_shared(self.values.slice(first..last));
        value.expect("it was one when it came")
    }

    /// Where a value lies.
    fn extent(&self, n: usize) -> (usize, usize) {
        let end = |n: usize| {
            let end = self.values.get(n * END..)?.first_chunk::<END>()?;
            Some(u32::from_le_bytes(*end) as usize)
        };
        let begin = self.len() * END;
        let first = n.checked_sub(1).map_or(Some(0), end);
        let last = end(n).expect("each line has an end");
        let first = first.expect("each line has an end");
        (begin + first, begin + last)
    }
}

impl Default for Fields {
    fn default() -> Fields {
        Fields::of(&HeaderMap::new())
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Fields) -> bool {
        self.names() == other.names() && self.values == other.values
    }
}

impl Eq for Fields {}

impl Lines for Fields {
    fn lines<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        let all = self.iter();
        all.filter(move |(own, _)| *own == name)
            .map(|(_, value)| value)
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value)| (name, String::from_utf8_lossy(value));
        f.debug_map().entries(self.iter().map(shown)).finish()
    }
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_TYPE, ETAG, VIA};
    use proptest::prelude::*;

    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            let name: HeaderName = name.parse().unwrap();
            map.append(name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn fields_are_found_as_in_a_message() {
        let map = map(&[("via", "a"), ("etag", "\"1\""), ("via", ""), ("x-own", "z")]);
        let fields = Fields::of(&map);
        for name in [VIA, ETAG, CONTENT_TYPE, HeaderName::from_static("x-own")] {
            let expected: Vec<&[u8]> = Lines::lines(&map, &name).collect();
            assert_eq!(fields.lines(&name).collect::<Vec<_>>(), expected, "{name}");
            let whole: Vec<HeaderValue> = fields.values(&name).collect();
            assert_eq!(whole, expected, "{name}");
            assert_eq!(fields.line(&name), expected.first().copied(), "{name}");
            assert_eq!(fields.only(&name), map.only(&name), "{name}");
            assert_eq!(fields.has(&name), map.has(&name), "{name}");
        }
        assert_eq!(fields.only(&VIA), None, "it stands twice");
        assert_eq!(fields.len(), 4);
        assert!(Fields::default().is_empty());
    }

    #[test]
    fn no_value_is_copied_into_a_message() {
        let fields = Fields::of(&map(&[("etag", "\"1\""), ("via", "a")]));
        let map = fields.to_header_map(2);
        let inside = fields.values.as_ptr_range();
        for value in map.values() {
            assert!(inside.contains(&value.as_bytes().as_ptr()));
        }
        assert!(map.capacity() >= 4);
    }

    proptest! {
        #[test]
        fn a_head_is_read_as_it_was_kept(
            lines in prop::collection::vec((0..4_usize, "[ -~]{0,12}"), 0..12)
        ) {
            const NAMES: [&str; 4] = ["etag", "x-a", "via", "set-cookie"];
            let lines: Vec<_> = lines.iter().map(|(n, value)| (NAMES[*n], &**value)).collect();
            let map = map(&lines);
            prop_assert_eq!(Fields::of(&map).to_header_map(0), map);
        }
    }
}
