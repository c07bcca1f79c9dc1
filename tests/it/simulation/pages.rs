//! The pages of the app and the rules of the sidecar for them, in several editions: a reload puts one in the place of another.
//!
//! What an edition changes is what the rule says of keys, tags and lives. How a page is fetched again for no request is the
//! same in all of them, but where another key ends that.

use std::fmt::Write;
use std::sync::LazyLock;

use crate::simulation::app::{COUNTED, TAGS};

/// A page, and what its rule says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    pub(crate) host: &'static str,
    pub(crate) path: &'static str,
    /// Which key its rule makes: what is stored under another is not found. [`Page::rule`] says how.
    pub(crate) key: u8,
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
    /// Whether its answers differ by the field that asks for a form.
    pub(crate) varies: bool,
    /// What its rule says in `on_invalidate` besides `max_stale`, as it is written.
    pub(crate) on_invalidate: &'static str,
    /// What else its rule says, as it is written.
    pub(crate) rule: &'static str,
}

const PLAIN: Page = Page {
    host: "shop.example",
    path: "/plain",
    key: 0,
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

/// Those with rules of their own, as the first edition has them.
const OWN: [Page; 14] = [
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

/// How many editions of the rules there are.
pub(crate) const EDITIONS: usize = 3;

/// Pages of which most fall under one rule, for all of their host: their places, and one more than the last.
pub(crate) const MANY: std::ops::Range<usize> = OWN.len()..OWN.len() + 2 * MANY_PATHS.len();

const MANY_PATHS: [&str; 8] = [
    "/many/1", "/many/2", "/many/3", "/many/4", "/many/5", "/many/6", "/many/7", "/many/8",
];
/// The tag of each of them, `T:<n>`.
static NUMBERED: [[usize; 1]; MANY_PATHS.len()] = [[4], [5], [6], [7], [8], [9], [10], [11]];
const MANY_HOSTS: [&str; 2] = ["shop.example", "other.example"];

/// Those of the first host that have rules of their own before that one, but for one edition.
const EXACT: [&str; 2] = ["/many/4", "/many/8"];

static ALL: LazyLock<[Vec<Page>; EDITIONS]> = LazyLock::new(|| std::array::from_fn(in_edition));

/// All pages, as an edition of the rules has them; a page has the same place in each.
pub(crate) fn pages(edition: usize) -> &'static [Page] {
    &ALL[edition]
}

/// What all editions say alike of a page: where it is, and how it is fetched again for no request.
pub(crate) fn anyhow(page: usize) -> &'static Page {
    &ALL[0][page]
}

fn in_edition(edition: usize) -> Vec<Page> {
    let own = OWN.iter().map(|page| match edition {
        0 => *page,
        1 => with_other_tags(*page),
        _ => with_other_keys(*page),
    });
    own.chain(many(edition)).collect()
}

/// Other tags and lives under the same keys, but for what was told apart by `Vary` alone.
fn with_other_tags(page: Page) -> Page {
    match page.path {
        "/plain" => Page {
            by_rule: &[0, 1],
            ttl: 15,
            ..page
        },
        "/named" => Page {
            by_rule: &[2],
            ..page
        },
        "/stale" => Page {
            by_rule: &[2],
            max_stale: 5,
            ..page
        },
        "/refresh" => Page {
            by_rule: &[1],
            ttl: 30,
            ..page
        },
        "/soft" => Page {
            soft_ttl: None,
            rule: "jitter: 0",
            ..page
        },
        "/while-revalidate" => Page {
            while_revalidate: 5,
            rule: "stale_while_revalidate: 5s",
            ..page
        },
        "/ahead" => Page {
            by_rule: &[2],
            ..page
        },
        "/varied" => Page {
            key: 1,
            rule: "vary_on: { headers: [X-Form] }",
            ..page
        },
        _ => page,
    }
}

/// Other keys, and old data served no longer.
fn with_other_keys(page: Page) -> Page {
    match page.path {
        "/plain" | "/varied" => Page {
            key: 2,
            rule: "version: v2",
            ..page
        },
        "/refresh" => Page {
            key: 2,
            rule: "version: v2\n    jitter: 0",
            ..page
        },
        "/ahead" => Page {
            key: 2,
            rule: "version: v2\n    refresh_ahead: { every: 10s, min_hits: 1 }",
            ..page
        },
        "/stale" => Page {
            serves_old: false,
            on_invalidate: "",
            ..page
        },
        "/counted" => Page {
            by_rule: &[1],
            ttl: 20,
            ..page
        },
        _ => page,
    }
}

fn many(edition: usize) -> impl Iterator<Item = Page> {
    let paths = || MANY_PATHS.into_iter().zip(&NUMBERED);
    let all = MANY_HOSTS
        .into_iter()
        .flat_map(move |host| paths().map(move |(path, tag)| (host, path, tag)));
    all.map(move |(host, path, tag)| {
        let page = Page {
            host,
            path,
            ..PLAIN
        };
        let is_exact = edition != 1 && EXACT.contains(&path);
        match host {
            "shop.example" if is_exact => Page { ttl: 20, ..page },
            "shop.example" => Page {
                by_rule: tag,
                ttl: 40,
                ..page
            },
            _ => Page {
                by_rule: &[1],
                by_answer: &[2],
                key: if edition == 2 { 2 } else { 0 },
                ttl: 30,
                ..page
            },
        }
    })
}

/// The rules of an edition, as a file: tens of them, and before and after those that the pages fall under others that are
/// much like them.
pub(crate) fn rules(edition: usize) -> String {
    let mut file = String::from("rules:\n");
    let pages = pages(edition);
    let (own, many) = pages.split_at(MANY.start);
    for page in own {
        decoys(page.path, &mut file);
    }
    let mut of_their_own: Vec<_> = own.iter().collect();
    if edition == 2 {
        of_their_own.reverse(); // none of them takes anything from another
    }
    for page in of_their_own {
        let id = &page.path[1..];
        let matches = format!("{{ path: {} }}", page.path);
        rule(id, &matches, page, page.rule, &mut file);
    }
    if edition != 1 {
        for page in many.iter().filter(|it| EXACT.contains(&it.path)) {
            if page.host == MANY_HOSTS[0] {
                let matches = format!("{{ hosts: [{}], path: {} }}", page.host, page.path);
                let id = page.path.replace('/', "-");
                rule(&id, &matches, page, "key_name: many", &mut file);
            }
        }
    }
    let of_all = [
        (
            "many",
            "shop.example",
            r"'/many/(?P<n>\d+)'",
            "[\"T:{n}\"]",
            40,
            "",
        ),
        (
            "many-others",
            "*.example",
            "/many/*",
            "[B]",
            30,
            if edition == 2 {
                "version: v2"
            } else {
                "jitter: 0"
            },
        ),
    ];
    for (id, host, path, tags, ttl, more) in of_all {
        let max_stale = PLAIN.max_stale;
        writeln!(
            file,
            "  - id: {id}
    match: {{ hosts: ['{host}'], path: {path} }}
    key_name: many
    tags: {tags}
    ttl: {ttl}s
    on_invalidate: {{ max_stale: {max_stale}s }}
    {more}"
        )
        .expect("text has room");
    }
    file.push_str("  - { id: whatever, match: { path: '/.*' }, ttl: 1d }\n");
    file
}

/// Rules that none of the requests for a page falls under, though they come first: they would let it live for a day, and
/// whatever changes.
fn decoys(path: &str, file: &mut String) {
    let id = &path[1..];
    for (n, matches) in [
        format!("{{ hosts: [nobody.example], path: {path} }}"),
        format!("{{ path: {path}, headers: [{{ name: X-Decoy }}] }}"),
        format!("{{ path: '{path}/.+' }}"),
    ]
    .into_iter()
    .enumerate()
    {
        writeln!(file, "  - {{ id: {id}-{n}, match: {matches}, ttl: 1d }}").expect("text has room");
    }
}

fn rule(id: &str, matches: &str, page: &Page, more: &str, file: &mut String) {
    let tags = page.by_rule.iter().map(|&tag| TAGS[tag]);
    let tags = tags.collect::<Vec<_>>().join(", ");
    let Page {
        ttl,
        max_stale,
        on_invalidate,
        ..
    } = page;
    writeln!(
        file,
        "  - id: {id}
    match: {matches}
    tags: [{tags}]
    ttl: {ttl}s
    on_invalidate: {{ {on_invalidate}max_stale: {max_stale}s }}
    {more}"
    )
    .expect("text has room");
}

impl Page {
    /// All tags that an answer for it may depend on.
    pub(crate) fn tags(&self) -> impl Iterator<Item = usize> {
        self.by_rule.iter().chain(self.by_answer).copied()
    }
}
