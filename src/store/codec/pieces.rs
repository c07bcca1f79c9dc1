//! The pieces that fields are made of, written and read; `mod.rs` has their layout.

use std::time::Duration;

use http::HeaderName;

use super::Foreign;
use crate::model::entry::Selector;
use crate::model::time::Timestamp;

const FIELD: u8 = 1;
const COOKIE: u8 = 2;

/// Bytes that grow by a piece at a time.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn with_room(bytes: usize) -> Writer {
        Writer(Vec::with_capacity(bytes))
    }

    pub(super) fn written(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn flag(&mut self, flag: bool) {
        self.byte(flag.into());
    }

    pub(super) fn u16(&mut self, number: u16) {
        self.raw(&number.to_le_bytes());
    }

    pub(super) fn u32(&mut self, number: u32) {
        self.raw(&number.to_le_bytes());
    }

    pub(super) fn u64(&mut self, number: u64) {
        self.raw(&number.to_le_bytes());
    }

    /// A length or a count.
    pub(super) fn len(&mut self, len: usize) {
        self.u32(u32::try_from(len).expect("heads and tags are far smaller than 4 GiB"));
    }

    pub(super) fn sized(&mut self, bytes: &[u8]) {
        self.len(bytes.len());
        self.raw(bytes);
    }

    pub(super) fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Writer, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(super) fn moment(&mut self, at: Timestamp) {
        self.u64(at.as_micros());
    }

    pub(super) fn span(&mut self, span: Duration) {
        self.u64(span.as_secs());
        self.u32(span.subsec_nanos());
    }

    pub(super) fn selectors(&mut self, selectors: &[Selector]) {
        self.len(selectors.len());
        for selector in selectors {
            match selector {
                Selector::Field(name) => {
                    self.byte(FIELD);
                    self.sized(name.as_str().as_bytes());
                }
                Selector::Cookie(name) => {
                    self.byte(COOKIE);
                    self.sized(name.as_bytes());
                }
            }
        }
    }
}

/// Bytes that are not read yet. What is not there, or not as it would have been written, is corrupt.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    /// All that is not read yet.
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), Foreign> {
        self.0.is_empty().then_some(()).ok_or(Foreign::Corrupt)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Foreign> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Foreign::Corrupt)?;
        self.0 = rest;
        Ok(*array)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Foreign> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn flag(&mut self) -> Result<bool, Foreign> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Foreign::Corrupt),
        }
    }

    pub(super) fn u16(&mut self) -> Result<u16, Foreign> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Foreign> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Foreign> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn sized(&mut self) -> Result<&'a [u8], Foreign> {
        let len = self.u32()? as usize;
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(Foreign::Corrupt)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Foreign> {
        str::from_utf8(self.sized()?).map_err(|_| Foreign::Corrupt)
    }

    pub(super) fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, Foreign>,
    ) -> Result<Option<T>, Foreign> {
        self.flag()?.then(|| read(self)).transpose()
    }

    /// No room is made for what is only announced: the list grows as its values are read.
    pub(super) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Reader<'a>) -> Result<T, Foreign>,
    ) -> Result<Vec<T>, Foreign> {
        let mut list = Vec::new();
        for _ in 0..self.u32()? {
            list.push(read(self)?);
        }
        Ok(list)
    }

    pub(super) fn moment(&mut self) -> Result<Timestamp, Foreign> {
        let micros = self.u64()?;
        let at = Timestamp::from_micros(micros);
        // The greatest number is no moment.
        (at.as_micros() == micros)
            .then_some(at)
            .ok_or(Foreign::Corrupt)
    }

    pub(super) fn span(&mut self) -> Result<Duration, Foreign> {
        let (secs, nanos) = (self.u64()?, self.u32()?);
        if nanos >= 1_000_000_000 {
            return Err(Foreign::Corrupt);
        }
        Ok(Duration::new(secs, nanos))
    }

    /// The name of a field, in lower case as it was written.
    pub(super) fn name(&mut self) -> Result<HeaderName, Foreign> {
        HeaderName::from_lowercase(self.sized()?).map_err(|_| Foreign::Corrupt)
    }

    pub(super) fn selectors(&mut self) -> Result<Vec<Selector>, Foreign> {
        self.list(|reader| match reader.byte()? {
            FIELD => reader.name().map(Selector::Field),
            COOKIE => Ok(Selector::Cookie(reader.text()?.into())),
            _ => Err(Foreign::Corrupt),
        })
    }
}
