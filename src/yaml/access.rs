//! The parts of a node, one after another, without those noted as wrong.

use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess};

use crate::model::mistake::Place;
use crate::yaml::decode::{Cursor, Path, Reader};
use crate::yaml::error::Error;
use crate::yaml::tree::{Content, Node};

/// The items of a list, without those left out.
pub(super) struct Items<'t, 'p> {
    pub(super) items: std::slice::Iter<'t, Node>,
    pub(super) reader: &'p Reader<'p>,
    pub(super) path: &'p Path<'p>,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let reader = self.reader;
        let next = self.items.find(|item| !reader.pruned.contains(&item.id));
        next.map(|node| {
            seed.deserialize(Cursor {
                node,
                reader,
                path: self.path,
            })
        })
        .transpose()
    }
}

/// The names and values of a map, without those left out.
pub(super) struct Entries<'t, 'p> {
    pub(super) entries: std::slice::Iter<'t, (Node, Node)>,
    pub(super) current: Option<&'t (Node, Node)>,
    pub(super) reader: &'p Reader<'p>,
    pub(super) path: &'p Path<'p>,
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let reader = self.reader;
        self.current = self
            .entries
            .find(|(name, value)| !reader.is_pruned(name, value));
        self.current
            .map(|(name, _)| {
                seed.deserialize(Cursor {
                    node: name,
                    reader,
                    path: self.path,
                })
            })
            .transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let Some((name, value)) = self.current.take() else {
            return Err(Error::message("expected a value"));
        };
        let text = match &name.content {
            Content::Scalar { text, .. } => text,
            Content::List(_) | Content::Map(_) => "",
        };
        seed.deserialize(Cursor {
            node: value,
            reader: self.reader,
            path: &Path::Field(self.path, text),
        })
    }
}

/// What a [`Spanned`](crate::yaml::Spanned) asks for: line, column, value.
pub(super) struct Placed<'t, 'p> {
    pub(super) cursor: Cursor<'t, 'p>,
    pub(super) part: u8,
}

impl<'de> SeqAccess<'de> for Placed<'_, '_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let Place { line, column } = self.cursor.node.place;
        self.part += 1;
        match self.part {
            1 => seed.deserialize(line.into_deserializer()).map(Some),
            2 => seed.deserialize(column.into_deserializer()).map(Some),
            3 => seed.deserialize(self.cursor).map(Some),
            _ => Ok(None),
        }
    }
}
