//! A tree to a typed value, by serde: nodes noted as wrong are left out, and an error knows the innermost node at fault.

use std::collections::HashSet;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::model::mistake::Place;
use crate::yaml::access::{Entries, Items, Placed};
use crate::yaml::error::{Error, Problem, one_of};
use crate::yaml::tree::{Content, Node};
use crate::yaml::{SPANNED, shown};

/// A node that could not be decoded; without a mistake where it only follows from one noted before.
pub(super) struct Fault {
    pub(super) node: usize,
    pub(super) mistake: Option<(Place, String)>,
}

/// Decodes `root`, without the nodes in `pruned`.
pub(super) fn decode<T: DeserializeOwned>(
    root: &Node,
    pruned: &HashSet<usize>,
    is_later: &dyn Fn(&str) -> bool,
) -> Result<T, Fault> {
    let reader = Reader { pruned, is_later };
    let path = Path::Root;
    let cursor = Cursor {
        node: root,
        reader: &reader,
        path: &path,
    };
    T::deserialize(cursor).map_err(|error| {
        let (node, place) = error.node.unwrap_or((root.id, root.place));
        let mistake = error.problem.words().map(|words| (place, words));
        Fault { node, mistake }
    })
}

/// What holds for the whole tree.
pub(super) struct Reader<'t> {
    pub(super) pruned: &'t HashSet<usize>,
    is_later: &'t dyn Fn(&str) -> bool,
}

/// How a node is reached from the root.
pub(super) enum Path<'p> {
    Root,
    Field(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>),
}

impl Path<'_> {
    fn dotted(&self) -> String {
        match self {
            Path::Root => String::new(),
            Path::Field(Path::Root, name) => (*name).to_owned(),
            Path::Field(parent, name) => format!("{}.{name}", parent.dotted()),
            Path::Item(parent) => format!("{}[]", parent.dotted()),
        }
    }
}

/// A node about to be decoded.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'t, 'p> {
    pub(super) node: &'t Node,
    pub(super) reader: &'p Reader<'p>,
    pub(super) path: &'p Path<'p>,
}

impl<'t, 'p> Cursor<'t, 'p> {
    /// An error that has no place yet gets this node's.
    fn located<T>(self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|mut error| {
            if error.node.is_none() {
                error.node = Some((self.node.id, self.node.place));
                if let Problem::Missing(field) = error.problem
                    && self.left_out(field)
                {
                    error.problem = Problem::Followed;
                }
            }
            error
        })
    }

    /// Whether this map has a field of this name that was left out.
    fn left_out(self, field: &str) -> bool {
        let Content::Map(entries) = &self.node.content else {
            return false;
        };
        entries.iter().any(|(name, value)| {
            matches!(&name.content, Content::Scalar { text, .. } if &**text == field)
                && self.reader.is_pruned(name, value)
        })
    }

    fn expected<T>(self, what: &str) -> Result<T, Error> {
        let found = match &self.node.content {
            Content::Scalar { null: true, .. } => "nothing".to_owned(),
            Content::Scalar { text, .. } => shown(text),
            Content::List(_) => "a list".to_owned(),
            Content::Map(_) => "a map".to_owned(),
        };
        Err(Error::message(format!("expected {what}, found {found}")))
    }

    fn text(self, what: &str) -> Result<&'t str, Error> {
        match &self.node.content {
            Content::Scalar { text, null: false } => Ok(text),
            Content::Scalar { .. } | Content::List(_) | Content::Map(_) => self.expected(what),
        }
    }

    fn list<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        // A name with nothing after it, as a template with everything switched off leaves it, is an empty list.
        let items: &[Node] = match &self.node.content {
            Content::List(items) => items,
            Content::Scalar { null: true, .. } => &[],
            Content::Scalar { .. } | Content::Map(_) => return self.expected("a list (`[a, b]`)"),
        };
        visitor.visit_seq(Items {
            items: items.iter(),
            reader: self.reader,
            path: &Path::Item(self.path),
        })
    }

    fn map<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        // As with lists: nothing is an empty map.
        let entries: &[(Node, Node)] = match &self.node.content {
            Content::Map(entries) => entries,
            Content::Scalar { null: true, .. } => &[],
            Content::Scalar { .. } | Content::List(_) => {
                return self.expected("a map (`name: value`)");
            }
        };
        visitor.visit_map(Entries {
            entries: entries.iter(),
            current: None,
            reader: self.reader,
            path: self.path,
        })
    }
}

impl Reader<'_> {
    pub(super) fn is_pruned(&self, name: &Node, value: &Node) -> bool {
        self.pruned.contains(&name.id) || self.pruned.contains(&value.id)
    }
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let what = concat!("a whole number (", stringify!($type), ")");
            let read = || match self.text(what)?.parse::<$type>() {
                Ok(number) => visitor.$visit(number),
                Err(_) => self.expected("a whole number"),
            };
            self.located(read())
        }
    )*};
}

impl<'de> Deserializer<'de> for Cursor<'_, '_> {
    type Error = Error;

    whole_numbers! {
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_i64 visit_i64 i64;
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let what = "`true` or `false`";
        self.located(self.text(what).and_then(|text| match text {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => self.expected(what),
        }))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.located(self.text("a text").and_then(|text| visitor.visit_str(text)))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Content::Scalar { text, .. } = &self.node.content else {
            return self.located(self.expected("a name"));
        };
        let mut result: Result<V::Value, Error> = visitor.visit_str(text);
        if let Err(error) = &mut result
            && let Problem::UnknownField(_) = error.problem
            && (self.reader.is_later)(&Path::Field(self.path, text).dotted())
        {
            *error = Error::message(format!("{} is not supported yet", shown(text)));
        }
        self.located(result)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.located(match &self.node.content {
            Content::Scalar { null: true, .. } => visitor.visit_none(),
            Content::Scalar { .. } | Content::List(_) | Content::Map(_) => visitor.visit_some(self),
        })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.located(self.list(visitor))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.located(self.map(visitor))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.located(self.map(visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.located(self.text(&one_of(variants)).and_then(|text| {
            let variant: StrDeserializer<'_, Error> = text.into_deserializer();
            visitor.visit_enum(variant)
        }))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.located(if name == SPANNED {
            visitor.visit_seq(Placed {
                cursor: self,
                part: 0,
            })
        } else {
            visitor.visit_newtype_struct(self)
        })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    /// For types that take several shapes: they get the text as written, or the list, or the map.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.located(match &self.node.content {
            Content::Scalar { null: true, .. } => visitor.visit_unit(),
            Content::Scalar { text, .. } => visitor.visit_str(text),
            Content::List(_) => self.list(visitor),
            Content::Map(_) => self.map(visitor),
        })
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
    }
}
