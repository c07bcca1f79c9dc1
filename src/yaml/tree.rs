//! YAML events to a tree whose nodes know their places. Bounded in size, depth and aliases.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::model::mistake::Place;
use crate::yaml::shown;

/// A file larger than this is none that a person wrote.
const MOST_BYTES: usize = 4 << 20;
/// The deepest nesting.
const MOST_DEPTH: usize = 48;
/// The most nodes, those that aliases repeat included.
const MOST_NODES: usize = 200_000;

/// A value, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Unlike any other node's of the tree.
    pub(super) id: usize,
    /// Where it begins.
    pub(super) place: Place,
    /// The value.
    pub(super) content: Content,
}

/// The three shapes of YAML. Scalars stay as written until a type asks: `1.10` as a text is `1.10`.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// A text; `null` if it is not quoted and empty, `~` or `null`.
    Scalar { text: Box<str>, null: bool },
    /// Items.
    List(Vec<Node>),
    /// Names and values in order; no name twice.
    Map(Vec<(Node, Node)>),
}

/// A mistake's place and words.
type Found = (Place, String);

/// Reads the events of `text`. With a syntax error there is no tree: nothing after it can be trusted.
pub(super) fn parse(text: &str) -> (Option<Node>, Vec<Found>) {
    let mut builder = Builder::default();
    if text.len() > MOST_BYTES {
        let message = format!("the file is larger than {} MiB", MOST_BYTES >> 20);
        return (None, vec![(START, message)]);
    }
    for event in Parser::new_from_str(text) {
        let done = match event {
            Ok((event, span)) => builder.event(event, span),
            Err(error) => Err((
                place(error.marker().line(), error.marker().col()),
                format!("this is not YAML: {}", error.info()),
            )),
        };
        if let Err(fatal) = done {
            builder.found.push(fatal);
            return (None, builder.found);
        }
    }
    let empty = Node {
        id: 0,
        place: START,
        content: Content::Map(Vec::new()),
    };
    (Some(builder.root.unwrap_or(empty)), builder.found)
}

const START: Place = Place { line: 1, column: 1 };

fn place(line: usize, column_from_zero: usize) -> Place {
    Place {
        line: line.max(1),
        column: column_from_zero + 1,
    }
}

/// A list or map whose end has not come yet.
struct Open {
    place: Place,
    anchor: usize,
    content: OpenContent,
}

enum OpenContent {
    List(Vec<Node>),
    Map {
        entries: Vec<(Node, Node)>,
        key: Option<Node>,
    },
}

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    found: Vec<Found>,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Found> {
        let place = place(span.start.line(), span.start.col());
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentEnd
            | Event::DocumentStart(false) => Ok(()),
            Event::DocumentStart(true) if self.root.is_none() => Ok(()),
            Event::DocumentStart(true) => Err((
                place,
                "expected one document, found a second one".to_owned(),
            )),
            Event::Scalar(text, style, anchor, tag) => {
                self.untagged(place, tag.is_some());
                let plain = matches!(style, ScalarStyle::Plain);
                let null = plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let content = Content::Scalar {
                    text: text.into(),
                    null,
                };
                self.complete(place, anchor, content)
            }
            Event::SequenceStart(anchor, tag) => {
                self.untagged(place, tag.is_some());
                self.begin(place, anchor, OpenContent::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.untagged(place, tag.is_some());
                let (entries, key) = (Vec::new(), None);
                self.begin(place, anchor, OpenContent::Map { entries, key })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else {
                    return Ok(());
                };
                let content = match open.content {
                    OpenContent::List(items) => Content::List(items),
                    OpenContent::Map { entries, .. } => Content::Map(entries),
                };
                self.complete(open.place, open.anchor, content)
            }
            Event::Alias(anchor) => {
                let Some(mut node) = self.anchors.get(&anchor).cloned() else {
                    return Err((place, "this alias stands inside its own anchor".to_owned()));
                };
                self.renumber(&mut node)?;
                self.add(node)
            }
        }
    }

    fn untagged(&mut self, place: Place, tagged: bool) {
        if tagged {
            let message = "YAML tags (`!…`) mean nothing here".to_owned();
            self.found.push((place, message));
        }
    }

    fn begin(&mut self, place: Place, anchor: usize, content: OpenContent) -> Result<(), Found> {
        if self.open.len() >= MOST_DEPTH {
            return Err((place, format!("nested deeper than {MOST_DEPTH}")));
        }
        self.open.push(Open {
            place,
            anchor,
            content,
        });
        Ok(())
    }

    fn complete(&mut self, place: Place, anchor: usize, content: Content) -> Result<(), Found> {
        let id = self.number(place)?;
        let node = Node { id, place, content };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        self.add(node)
    }

    /// A node as it takes its place: as the root, in a list, as a map's name or value.
    fn add(&mut self, node: Node) -> Result<(), Found> {
        match self.open.last_mut().map(|open| &mut open.content) {
            None => {
                let empty = matches!(node.content, Content::Scalar { null: true, .. });
                self.root = (!empty).then_some(node);
            }
            Some(OpenContent::List(items)) => items.push(node),
            Some(OpenContent::Map { entries, key }) => match key.take() {
                None => *key = Some(node),
                Some(name) => {
                    let Content::Scalar { text, .. } = &name.content else {
                        let message = "expected a name before the `:`".to_owned();
                        self.found.push((name.place, message));
                        return Ok(());
                    };
                    let same = |other: &Node| matches!(&other.content, Content::Scalar { text: t, .. } if t == text);
                    if let Some((first, _)) = entries.iter().find(|(other, _)| same(other)) {
                        let (name_shown, line) = (shown(text), first.place.line);
                        let message = format!("{name_shown} is given twice, first in line {line}");
                        self.found.push((name.place, message));
                    } else {
                        entries.push((name, node));
                    }
                }
            },
        }
        Ok(())
    }

    fn number(&mut self, place: Place) -> Result<usize, Found> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err((place, format!("more than {MOST_NODES} values")));
        }
        Ok(self.nodes)
    }

    /// Fresh numbers for a repeated node, so that leaving one out does not touch the other.
    fn renumber(&mut self, node: &mut Node) -> Result<(), Found> {
        node.id = self.number(node.place)?;
        match &mut node.content {
            Content::Scalar { .. } => Ok(()),
            Content::List(items) => items.iter_mut().try_for_each(|item| self.renumber(item)),
            Content::Map(entries) => entries.iter_mut().try_for_each(|(name, value)| {
                self.renumber(name)?;
                self.renumber(value)
            }),
        }
    }
}
