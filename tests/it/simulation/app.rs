//! The app behind the simulated sidecar: its pages, its data, and what it answers.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use tagalong::model::tag::{Increment, Tag};

/// What pages depend on. The last is one whose versions the app counts itself (`;v=`).
pub(crate) const TAGS: [&str; 4] = ["A", "B", "C", "N"];
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

/// A page, and what its rule says.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) path: &'static str,
    /// The tags that its rule names.
    pub(crate) by_rule: &'static [usize],
    /// The tags that its answers name, each of them sometimes.
    pub(crate) by_answer: &'static [usize],
    /// Seconds.
    pub(crate) ttl: u64,
    pub(crate) soft_ttl: Option<u64>,
    pub(crate) while_revalidate: u64,
    pub(crate) if_error: Option<u64>,
    pub(crate) max_stale: u64,
    /// Whether old data may be served after a hard increment.
    pub(crate) serves_old: bool,
    /// Whether old data may be served after a hard increment where the app fails.
    pub(crate) serves_old_on_error: bool,
    pub(crate) coalesces: bool,
    pub(crate) stale_on_timeout: bool,
    /// With `mode: refresh`: how long after an increment it is fetched again, in seconds.
    pub(crate) refreshed_after: Option<u64>,
    /// With `refresh_ahead`: how long before its end it may be fetched again, in seconds.
    pub(crate) ahead: Option<u64>,
    /// Whether its answers differ by [`FORM`].
    pub(crate) varies: bool,
    /// What its rule says in `on_invalidate` besides `max_stale`, as it is written.
    pub(crate) on_invalidate: &'static str,
    /// What else its rule says, as it is written.
    pub(crate) rule: &'static str,
}

const PLAIN: Page = Page {
    path: "/plain",
    by_rule: &[0],
    by_answer: &[],
    ttl: 60,
    soft_ttl: None,
    while_revalidate: 0,
    if_error: None,
    max_stale: 20,
    serves_old: false,
    serves_old_on_error: false,
    coalesces: true,
    stale_on_timeout: false,
    refreshed_after: None,
    ahead: None,
    varies: false,
    on_invalidate: "",
    rule: "jitter: 0",
};

pub(crate) const PAGES: [Page; 14] = [
    PLAIN,
    Page {
        path: "/named",
        by_rule: &[],
        by_answer: &[0, 1],
        ..PLAIN
    },
    Page {
        path: "/counted",
        by_rule: &[],
        by_answer: &[0, COUNTED],
        ..PLAIN
    },
    Page {
        path: "/stale",
        by_rule: &[1],
        by_answer: &[0],
        serves_old: true,
        on_invalidate: "mode: stale, ",
        ..PLAIN
    },
    Page {
        path: "/refresh",
        by_answer: &[2],
        serves_old: true,
        refreshed_after: Some(2),
        max_stale: 60,
        on_invalidate: "mode: refresh, delay: 2s, ",
        ..PLAIN
    },
    Page {
        path: "/soft",
        by_rule: &[2],
        soft_ttl: Some(10),
        rule: "soft_ttl: 10s",
        ..PLAIN
    },
    Page {
        path: "/sync",
        by_rule: &[2],
        by_answer: &[1],
        soft_ttl: Some(10),
        rule: "soft_ttl: 10s\n    revalidate: sync",
        ..PLAIN
    },
    Page {
        path: "/while-revalidate",
        by_rule: &[],
        by_answer: &[1],
        ttl: 10,
        while_revalidate: 20,
        rule: "stale_while_revalidate: 20s",
        ..PLAIN
    },
    Page {
        path: "/if-error",
        by_answer: &[1],
        ttl: 10,
        if_error: Some(60),
        serves_old_on_error: true,
        on_invalidate: "if_error: stale, ",
        rule: "stale_if_error: 60s",
        ..PLAIN
    },
    Page {
        path: "/alone",
        by_rule: &[],
        by_answer: &[0],
        coalesces: false,
        rule: "coalesce: none",
        ..PLAIN
    },
    Page {
        path: "/impatient",
        by_rule: &[1],
        ttl: 10,
        stale_on_timeout: true,
        rule: "coalesce: { wait: 5s, on_timeout: stale }",
        ..PLAIN
    },
    Page {
        path: "/refusing",
        by_answer: &[COUNTED],
        rule: "coalesce: { wait: 5s, on_timeout: 503 }",
        ..PLAIN
    },
    Page {
        path: "/ahead",
        by_answer: &[1],
        ttl: 20,
        ahead: Some(10),
        rule: "refresh_ahead: { every: 10s, min_hits: 1 }",
        ..PLAIN
    },
    Page {
        path: "/varied",
        by_answer: &[2],
        varies: true,
        ..PLAIN
    },
];

impl Page {
    /// The rules of all pages, as a file.
    pub(crate) fn rules() -> String {
        let mut file = "rules:\n".to_owned();
        for page in &PAGES {
            let tags = page.by_rule.iter().map(|&tag| TAGS[tag]);
            let tags = tags.collect::<Vec<_>>().join(", ");
            let Page {
                path,
                ttl,
                max_stale,
                on_invalidate,
                rule,
                ..
            } = page;
            let id = &path[1..];
            let text = format!(
                "  - id: {id}
    match: {{ path: {path} }}
    tags: [{tags}]
    ttl: {ttl}s
    on_invalidate: {{ {on_invalidate}max_stale: {max_stale}s }}
    {rule}
"
            );
            file.push_str(&text);
        }
        file
    }

    /// All tags that an answer for it may depend on.
    pub(crate) fn tags(&self) -> impl Iterator<Item = usize> {
        self.by_rule.iter().chain(self.by_answer).copied()
    }
}

/// What a client may ask for: a page, in a form where the page has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Which {
    pub(crate) page: usize,
    /// One of [`FORMS`]; zero where there is no choice.
    pub(crate) form: usize,
}

/// The field of a request by which answers may differ, and its values; the first: it is not there.
pub(crate) const FORM: &str = "x-form";
pub(crate) const FORMS: [&str; 3] = ["", "a", "b"];

/// A body that the app made, and what it was made from.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) of: Which,
    /// The version of the data behind each tag it depends on.
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
    pub(crate) fn read(&mut self, of: Which, asked: &Asked, rng: &mut Rng) -> Draft {
        let mut draft = self.made_of(of, asked, rng);
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

    fn made_of(&mut self, of: Which, asked: &Asked, rng: &mut Rng) -> Draft {
        let kind = rng.u8(..100);
        if kind < 8 {
            return self.error(of, rng);
        }
        let Page {
            path,
            by_rule,
            by_answer,
            varies,
            ..
        } = PAGES[of.page];
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

    fn error(&mut self, of: Which, rng: &mut Rng) -> Draft {
        let Page {
            by_rule, varies, ..
        } = PAGES[of.page];
        let id = self.made.len();
        let text: Bytes = format!("{id} an error").into();
        self.made.push(Made {
            of,
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
