//! JSON pointers (RFC 6901) into bodies of responses, `*` for every item: what is wanted of a body is picked out as it
//! is read, and nothing else of it is kept.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::yaml::shown;

/// A place in a JSON text: `/items/*/id`. Empty: the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    text: Box<str>,
    steps: Box<[Step]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A member of this name, or the item of this number.
    Name(Box<str>),
    /// Every item of a list, every member of an object.
    Any,
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leaf {
    /// A string, a whole number, or `true` or `false`.
    Text(String),
    /// `null`, there or on the way: there is none, and the app says so.
    Null,
    /// Nothing stands there.
    Missing,
    /// A list, an object, or a number that is not the same to every reader.
    Other,
}

/// What a body says at places in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picked {
    places: Vec<(Pointer, Vec<Leaf>)>,
}

/// The most values that are taken from one place, should nothing say less: a list may be long.
pub(super) const MOST: usize = 10_000;

impl Pointer {
    /// Reads a pointer.
    ///
    /// # Errors
    ///
    /// It does not begin with `/`, or has a `~` that is neither `~0` nor `~1`; or a `*`, unless these are `wild`.
    pub(super) fn parse(text: &str, wild: bool) -> Result<Pointer, String> {
        let found = shown(text);
        let expected = |what: &str| {
            format!("expected a JSON pointer such as `/items/0/id`, {what}, found {found}")
        };
        let steps = match text.strip_prefix('/') {
            None if text.is_empty() => Vec::new(),
            None => return Err(expected("which begins with `/`")),
            Some(rest) => rest.split('/').collect(),
        };
        let step = |step: &str| match step {
            "*" if wild => Ok(Step::Any),
            "*" => Err(expected("which names one value, without `*`")),
            _ => unescaped(step)
                .map(Step::Name)
                .ok_or_else(|| expected("in which `~` is written `~0` and `/` in a name `~1`")),
        };
        Ok(Pointer {
            steps: steps.into_iter().map(step).collect::<Result<_, _>>()?,
            text: text.into(),
        })
    }

    /// The way there.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// As written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

fn unescaped(step: &str) -> Option<Box<str>> {
    let mut text = String::new();
    let mut rest = step;
    while let Some((before, after)) = rest.split_once('~') {
        text.push_str(before);
        text.push(match after.bytes().next() {
            Some(b'0') => '~',
            Some(b'1') => '/',
            Some(_) | None => return None,
        });
        rest = after.get(1..)?;
    }
    text.push_str(rest);
    Some(text.into())
}

impl Picked {
    /// Reads a JSON text to its end for what stands at these places.
    ///
    /// # Errors
    ///
    /// It is none, or cannot be read.
    pub fn read<'p>(
        pointers: impl IntoIterator<Item = &'p Pointer>,
        text: &[u8],
    ) -> Result<Picked, serde_json::Error> {
        let mut places: Vec<(Pointer, Vec<Leaf>)> = Vec::new();
        for pointer in pointers {
            if places.iter().all(|(known, _)| known != pointer) {
                places.push((pointer.clone(), Vec::new()));
            }
        }
        let open = (0..places.len()).map(|place| Open { place, depth: 0 });
        let open = open.collect();
        let mut json = serde_json::Deserializer::from_slice(text);
        At {
            open,
            places: &mut places,
        }
        .deserialize(&mut json)?;
        json.end()?;
        Ok(Picked { places })
    }

    /// What stands at a place, each value in order; there are `MOST` at most.
    pub(super) fn at(&self, pointer: &Pointer) -> &[Leaf] {
        let mut places = self.places.iter();
        let found = places.find(|(known, _)| known == pointer);
        found.map_or(&[], |(_, values)| values)
    }
}

/// A place that what is read now lies on the way to.
#[derive(Clone, Copy)]
struct Open {
    /// Which.
    place: usize,
    /// How many of its steps have been taken.
    depth: usize,
}

/// One value of the text, and the places it lies on the way to.
struct At<'p> {
    open: Vec<Open>,
    places: &'p mut Vec<(Pointer, Vec<Leaf>)>,
}

impl At<'_> {
    /// Notes what stands here: `value` at the places that end here, `beyond` at those that go on.
    fn note(&mut self, value: &Leaf, beyond: &Leaf) {
        for open in &self.open {
            if let Some((pointer, values)) = self.places.get_mut(open.place)
                && values.len() < MOST
            {
                let ends = open.depth == pointer.steps.len();
                values.push(if ends { value.clone() } else { beyond.clone() });
            }
        }
    }

    fn text(mut self, text: String) {
        self.note(&Leaf::Text(text), &Leaf::Missing);
    }

    /// The places on the way to the part of this name, noted in `met`; those that end here hold a list or an object.
    fn within(&self, name: &str, met: &mut [bool]) -> Vec<Open> {
        let mut open = Vec::new();
        for (n, here) in self.open.iter().enumerate() {
            let steps = self
                .places
                .get(here.place)
                .map(|(pointer, _)| &*pointer.steps);
            let fits = match steps.and_then(|steps| steps.get(here.depth)) {
                Some(Step::Any) => true,
                Some(Step::Name(wanted)) => **wanted == *name,
                None => false,
            };
            if fits {
                open.push(Open {
                    depth: here.depth + 1,
                    ..*here
                });
                met.iter_mut().skip(n).take(1).for_each(|met| *met = true);
            }
        }
        open
    }

    /// Notes what was not met in a list or object: a name that is not there, but not a `*` of nothing.
    fn close(self, met: &[bool]) {
        for (open, met) in self.open.iter().zip(met) {
            let Some((pointer, values)) = self.places.get_mut(open.place) else {
                continue;
            };
            let value = match pointer.steps.get(open.depth) {
                None => Leaf::Other,
                Some(Step::Name(_)) if !met => Leaf::Missing,
                Some(Step::Name(_) | Step::Any) => continue,
            };
            if values.len() < MOST {
                values.push(value);
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.open.is_empty() {
            return deserializer.deserialize_ignored_any(IgnoredAny).map(drop);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.text(value.to_string());
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.text(value.to_string());
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.text(value.to_string());
        Ok(())
    }

    fn visit_f64<E>(mut self, _: f64) -> Result<(), E> {
        self.note(&Leaf::Other, &Leaf::Missing);
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.text(value.to_owned());
        Ok(())
    }

    fn visit_unit<E>(mut self) -> Result<(), E> {
        self.note(&Leaf::Null, &Leaf::Null);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut met = vec![false; self.open.len()];
        let mut with_it = met.clone();
        for number in 0_usize.. {
            with_it.copy_from_slice(&met);
            let item = At {
                open: self.within(&number.to_string(), &mut with_it),
                places: self.places,
            };
            if items.next_element_seed(item)?.is_none() {
                break;
            }
            met.copy_from_slice(&with_it);
        }
        self.close(&met);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut met = vec![false; self.open.len()];
        while let Some(name) = members.next_key::<String>()? {
            let member = At {
                open: self.within(&name, &mut met),
                places: self.places,
            };
            members.next_value_seed(member)?;
        }
        self.close(&met);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn picked(pointer: &str, text: &str) -> Option<Vec<Leaf>> {
        let pointer = Pointer::parse(pointer, true).unwrap();
        let picked = Picked::read([&pointer], text.as_bytes()).ok()?;
        Some(picked.at(&pointer).to_vec())
    }

    #[test]
    fn what_stands_at_a_place_is_found_and_what_does_not_is_missing() {
        use Leaf::{Missing, Null, Other};
        let text = |text: &str| Leaf::Text(text.to_owned());
        for (pointer, json, expected) in [
            ("", "7", vec![text("7")]),
            ("", "[7]", vec![Other]),
            ("/id", r#"{"id": 7, "x": [1, {"id": 8}]}"#, vec![text("7")]),
            ("/id", r#"{"id": -7}"#, vec![text("-7")]),
            ("/id", r#"{"id": "a\u00e9\"b"}"#, vec![text("aé\"b")]),
            ("/id", r#"{"id": ""}"#, vec![text("")]),
            ("/id", r#"{"id": true}"#, vec![text("true")]),
            ("/id", r#"{"id": null}"#, vec![Null]),
            ("/id", r#"{"id": 1.5}"#, vec![Other]),
            (
                "/id",
                r#"{"id": 123456789012345678901234567890}"#,
                vec![Other],
            ),
            ("/id", r#"{"id": {"id": 1}}"#, vec![Other]),
            ("/id", r#"{"Id": 7}"#, vec![Missing]),
            ("/id", "{}", vec![Missing]),
            ("/id", "[]", vec![Missing]),
            ("/id", "3", vec![Missing]),
            ("/id", "null", vec![Null]),
            ("/a/b", r#"{"a": null}"#, vec![Null]),
            ("/a/b", r#"{"a": "b"}"#, vec![Missing]),
            ("/id", r#"{"id": 1, "id": 2}"#, vec![text("1"), text("2")]),
            ("/0", "[5, 6]", vec![text("5")]),
            ("/2", "[5, 6]", vec![Missing]),
            ("/items/*/id", r#"{"items": []}"#, vec![]),
            ("/items/*/id", r#"{"items": null}"#, vec![Null]),
            ("/items/*/id", "{}", vec![Missing]),
            (
                "/items/*/id",
                r#"{"n": 2, "items": [{"id": 1}, {"id": "x"}, {}, null, 3]}"#,
                vec![text("1"), text("x"), Missing, Null, Missing],
            ),
            (
                "/*/*",
                r#"{"a": [1, 2], "b": {"c": 3}}"#,
                vec![text("1"), text("2"), text("3")],
            ),
            ("/*", "[1, 2]", vec![text("1"), text("2")]),
            ("/a~1b/c~0d", r#"{"a/b": {"c~d": 1}}"#, vec![text("1")]),
            ("/", r#"{"": 1}"#, vec![text("1")]),
        ] {
            assert_eq!(picked(pointer, json), Some(expected), "{pointer} of {json}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused_to_its_end() {
        for text in [
            "",
            "{",
            "<html>",
            r#"{"id": 7"#,
            r#"{"id": 7} x"#,
            "[1,]",
            "\u{feff}{}",
            "nul",
        ] {
            assert_eq!(picked("/id", text), None, "{text}");
        }
        assert_eq!(picked("/id", &"[".repeat(100_000)), None, "too deep");
        assert_eq!(
            picked(
                "/a",
                &format!("{}{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000))
            ),
            None
        );
    }

    #[test]
    fn a_long_list_is_cut() {
        let long = format!("[{}1]", "1,".repeat(2 * MOST));
        assert_eq!(picked("/*", &long).unwrap().len(), MOST);
    }

    #[test]
    fn what_is_no_pointer_says_what_one_is() {
        for (text, wild) in [
            ("id", true),
            ("/a~", true),
            ("/a~2", true),
            ("/*", false),
            ("/a/*/b", false),
        ] {
            let refused = Pointer::parse(text, wild).unwrap_err();
            assert!(refused.starts_with("expected a JSON pointer"), "{refused}");
        }
        assert_eq!(Pointer::parse("/a/*", true).unwrap().as_str(), "/a/*");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let pointer = Pointer::parse("/*/a", true).unwrap();
            if let Ok(picked) = Picked::read([&pointer], &bytes[..]) {
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
                prop_assert!(picked.at(&pointer).len() <= bytes.len() + 1);
            }
        }

        #[test]
        fn a_pointer_finds_what_serde_json_finds(json in "\\{(\"[ab]\":(1|null|\\[1,2\\]|\\{\"a\":3\\}),){0,3}\"c\":0\\}", at in "(/[abc01]){0,2}") {
            let Ok(whole) = serde_json::from_str::<serde_json::Value>(&json) else {
                return Ok(());
            };
            let expected = whole.pointer(&at).and_then(serde_json::Value::as_u64).map(|n| n.to_string());
            let found = picked(&at, &json).unwrap();
            // Of members given twice `serde_json` knows the last alone.
            if let Some(Leaf::Text(text)) = found.last() && found.len() == 1 {
                prop_assert_eq!(Some(text.clone()), expected);
            } else if found.len() == 1 {
                prop_assert_eq!(None, expected);
            }
        }
    }
}
