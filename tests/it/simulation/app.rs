//! The app behind the simulated sidecar: its pages, its data, and what it answers.

use std::fmt;
use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use tagalong::model::tag::{Increment, Tag};

use crate::simulation::pages::{Page, anyhow};

/// What pages depend on. `N` is one whose versions the app counts itself (`;v=`), those with a number are of one page each.
pub(crate) const TAGS: [&str; 12] = [
    "A", "B", "C", "N", "T:1", "T:2", "T:3", "T:4", "T:5", "T:6", "T:7", "T:8",
];
/// The place in [`TAGS`] of the tag with versions of the app's own.
pub(crate) const COUNTED: usize = 3;

/// An increment of one of them, some of them to be repeated.
pub(crate) fn increment(tag: usize, soft: bool, rng: &mut Rng) -> Increment {
    let again = (rng.u8(..6) == 0).then(|| Duration::from_secs(rng.u64(1..=20)));
    let tag = Tag::parse(TAGS[tag]).expect("it is a tag");
    Increment {
        soft,
        again,
        ..tag.into()
    }
}

/// As an answer says it.
pub(crate) fn spelled(increment: &Increment) -> String {
    let Increment { tag, soft, again } = increment;
    let soft = if *soft { ";soft" } else { "" };
    let again = again.map_or_else(String::new, |after| format!(";again={}", after.as_secs()));
    format!("{}{soft}{again}", tag.as_str())
}

/// A number per tag.
pub(crate) type PerTag = [u32; TAGS.len()];

/// What is stored at most of one body; an answer may be longer.
pub(crate) const MAX_OBJECT: usize = 1_000;

/// What a client may ask for: a page, in a form where the page has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Which {
    pub(crate) page: usize,
    /// One of [`FORMS`]; zero where there is no choice.
    pub(crate) form: usize,
    /// Which key the rule in force makes of that.
    pub(crate) key: u8,
}

impl Which {
    /// A page and its key: who wants one of its forms may have to wait for another's to know.
    pub(crate) fn under(self) -> (usize, u8) {
        (self.page, self.key)
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Page { host, path, .. } = anyhow(self.page);
        let (form, key) = (FORMS[self.form], self.key);
        write!(f, "{host}{path}{form} (key {key})")
    }
}

/// The field of a request by which answers may differ, and its values; the first: it is not there.
pub(crate) const FORM: &str = "x-form";
pub(crate) const FORMS: [&str; 3] = ["", "a", "b"];

/// A body that the app made, and what it was made from.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) of: Which,
    /// By what its rule says of that.
    pub(crate) by: &'static Page,
    /// The version of the data behind each tag it depends on, by the rule that it was fetched by.
    pub(crate) from: Vec<(usize, u32)>,
    pub(crate) text: Bytes,
}

/// How the app is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Get,
    /// Unless it is what this tag stands for.
    Unless(String),
    Head,
}

/// What the app answers, from the data of one moment.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// What is sent; nothing with 304.
    pub(crate) text: Bytes,
    /// How long it may be fresh, as it says itself.
    pub(crate) max_age: Option<Duration>,
    /// Whether its length is declared.
    pub(crate) exact: bool,
}

/// The field that names a body: its place in [`App::made`].
pub(crate) const MADE: &str = "x-made";

#[derive(Debug)]
pub(crate) struct App {
    pub(crate) data: PerTag,
    pub(crate) made: Vec<Made>,
}

impl Default for App {
    fn default() -> App {
        App {
            data: [1; TAGS.len()], // zero: nothing has been told yet
            made: Vec::new(),
        }
    }
}

impl App {
    /// Reads the data for a page, and says what it makes of it. Now and then that changes some data, and its answer says so.
    /// The tags are those by which the sidecar asked.
    pub(crate) fn read(
        &mut self,
        of: Which,
        page: &'static Page,
        asked: &Asked,
        rng: &mut Rng,
    ) -> Draft {
        let mut draft = self.made_of(of, page, asked, rng);
        if rng.u8(..16) == 0 {
            let tag = rng.usize(..COUNTED);
            self.data[tag] += 1;
            let increment = increment(tag, rng.u8(..4) == 0, rng);
            draft
                .headers
                .push(("cache-tag-increment", spelled(&increment)));
        }
        draft
    }

    fn made_of(&mut self, of: Which, page: &'static Page, asked: &Asked, rng: &mut Rng) -> Draft {
        let kind = rng.u8(..100);
        if kind < 8 {
            return self.error(of, page, rng);
        }
        let Page {
            path,
            by_rule,
            by_answer,
            varies,
            ..
        } = *page;
        let form = FORMS[of.form];
        // Not everything it may depend on is behind every answer.
        let named: Vec<_> = by_answer
            .iter()
            .copied()
            .filter(|_| rng.u8(..4) > 0)
            .collect();
        let from = by_rule.iter().chain(&named);
        let from: Vec<_> = from.map(|&tag| (tag, self.data[tag])).collect();
        let mut etag = format!("\"{path}{form}");
        for (tag, version) in &from {
            write!(etag, "-{}{version}", TAGS[*tag]).expect("text has room");
        }
        etag.push('"');

        let mut headers = Vec::new();
        let names: Vec<_> = named
            .iter()
            .map(|&tag| match tag {
                COUNTED => format!("N;v={}", self.data[tag]),
                _ => TAGS[tag].to_owned(),
            })
            .collect();
        if !names.is_empty() {
            headers.push(("cache-tag", names.join(", ")));
        }
        let not_modified = matches!(asked, Asked::Unless(known) if *known == etag);
        let renews = not_modified || *asked == Asked::Head;
        // What renews a life says how long it is, so that nobody needs to know what was said before.
        let max_age = (renews || rng.u8(..3) == 0).then(|| rng.u64(1..=30));
        match max_age {
            Some(secs) => headers.push(("cache-control", format!("max-age={secs}"))),
            None if kind < 13 => headers.push(("cache-control", "no-store".into())),
            None => {}
        }
        if not_modified || rng.u8(..4) > 0 {
            headers.push(("etag", etag));
        }
        if varies {
            headers.push(("vary", FORM.into()));
        }
        let text = if renews {
            Bytes::new()
        } else {
            let long = if kind > 92 { MAX_OBJECT } else { 0 };
            let pad = ".".repeat(long + rng.usize(..400));
            let id = self.made.len();
            let text: Bytes = format!("{id} {path}{form} {from:?} {pad} end").into();
            headers.push((MADE, id.to_string()));
            self.made.push(Made {
                of,
                by: page,
                from,
                text: text.clone(),
            });
            text
        };
        Draft {
            status: if not_modified { 304 } else { 200 },
            headers,
            text,
            max_age: max_age.map(Duration::from_secs),
            exact: rng.bool(),
        }
    }

    fn error(&mut self, of: Which, page: &'static Page, rng: &mut Rng) -> Draft {
        let Page {
            by_rule, varies, ..
        } = *page;
        let id = self.made.len();
        let text: Bytes = format!("{id} an error").into();
        self.made.push(Made {
            of,
            by: page,
            from: by_rule.iter().map(|&tag| (tag, self.data[tag])).collect(),
            text: text.clone(),
        });
        let mut headers = vec![(MADE, id.to_string())];
        // Few errors say that they may be stored.
        let max_age = (rng.u8(..4) == 0).then(|| rng.u64(1..=10));
        headers.extend(max_age.map(|secs| ("cache-control", format!("max-age={secs}"))));
        if varies {
            headers.push(("vary", FORM.into()));
        }
        Draft {
            status: if rng.bool() { 500 } else { 503 },
            headers,
            text,
            max_age: max_age.map(Duration::from_secs),
            exact: rng.bool(),
        }
    }
}
