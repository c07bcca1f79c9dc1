//! Which patterns leave nothing for later ones: a rule behind one that matches all it matches is never asked.

use http::Method;
use regex_syntax::hir::{Hir, HirKind, Repetition};

use crate::model::glob::Glob;
use crate::rules::index::literals;
use crate::rules::index::literals::Shape;
use crate::rules::pattern::{HeaderPattern, HostGlob, PathPattern, Pattern};

/// A pattern, and what can be told of its paths; made once, compared with many.
#[derive(Debug)]
pub(super) struct Outline<'p> {
    pattern: &'p Pattern,
    path: Paths<'p>,
}

/// Which paths a pattern matches.
#[derive(Debug)]
enum Paths<'p> {
    Any,
    Glob(Glob),
    /// Those of a regex, all of which begin so.
    Regex(&'p str, Box<str>, Option<Hir>),
}

impl<'p> Outline<'p> {
    pub(super) fn of(pattern: &'p Pattern) -> Outline<'p> {
        let path = match &pattern.path {
            None => Paths::Any,
            Some(PathPattern::Glob(glob)) => Paths::Glob(glob.clone()),
            Some(PathPattern::Regex(regex)) => match literals::shape(regex.as_str()) {
                Shape {
                    glob: Some(glob), ..
                } => Paths::Glob(glob),
                Shape { prefix, .. } => {
                    Paths::Regex(regex.as_str(), prefix, uncaptured(regex.as_str()))
                }
            },
        };
        Outline { pattern, path }
    }

    /// Whether every request that `other` matches surely matches this too. It may say no where that is so all the same.
    pub(super) fn covers(&self, other: &Outline<'_>) -> bool {
        let (one, two) = (self.pattern, other.pattern);
        let covers = |method: &Method| one.methods.contains(method);
        two.methods.iter().all(covers)
            && self.paths_cover(other)
            && hosts_cover(one.hosts.as_deref(), two.hosts.as_deref())
            && headers_cover(&one.headers, &two.headers)
    }

    fn paths_cover(&self, other: &Outline<'_>) -> bool {
        match (&self.path, &other.path) {
            (Paths::Any, _) => true,
            (Paths::Glob(one), Paths::Any) => one.covers(&Glob::new("*")),
            (Paths::Glob(one), Paths::Glob(two)) => one.covers(two),
            (Paths::Glob(one), Paths::Regex(_, begins, _)) => {
                let rest = Glob::of_parts(vec![begins.clone(), "".into()]);
                one.covers(&rest)
            }
            (Paths::Regex(..), Paths::Any) => false,
            (Paths::Regex(..), Paths::Glob(two)) => {
                let path = self.pattern.path.as_ref();
                let exact = two.exact();
                exact.is_some_and(|exact| path.is_some_and(|path| path.matches(exact)))
            }
            (Paths::Regex(one, _, plain), Paths::Regex(two, _, other)) => {
                one == two || (plain.is_some() && plain == other)
            }
        }
    }
}

/// A regex without its captures, whose names change nothing of what it matches.
fn uncaptured(regex: &str) -> Option<Hir> {
    regex_syntax::parse(regex).ok().map(without_captures)
}

fn without_captures(hir: Hir) -> Hir {
    match hir.into_kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(class) => Hir::class(class),
        HirKind::Look(look) => Hir::look(look),
        HirKind::Capture(capture) => without_captures(*capture.sub),
        HirKind::Repetition(it) => Hir::repetition(Repetition {
            sub: Box::new(without_captures(*it.sub)),
            ..it
        }),
        HirKind::Concat(all) => Hir::concat(all.into_iter().map(without_captures).collect()),
        HirKind::Alternation(all) => {
            Hir::alternation(all.into_iter().map(without_captures).collect())
        }
    }
}

fn hosts_cover(one: Option<&[HostGlob]>, two: Option<&[HostGlob]>) -> bool {
    match (one, two) {
        (None, _) => true,
        (Some(one), None) => one.iter().any(HostGlob::is_any),
        (Some(one), Some(two)) => two.iter().all(|it| one.iter().any(|host| host.covers(it))),
    }
}

fn headers_cover(one: &[HeaderPattern], two: &[HeaderPattern]) -> bool {
    one.iter()
        .all(|it| two.iter().any(|given| it.covers(given)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;
    use http::Request;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    use crate::model::request::Head;
    use crate::rules::path::normalised;

    fn path(text: &str) -> Pattern {
        Pattern {
            path: Some(PathPattern::parse(text).unwrap()),
            ..Pattern::default()
        }
    }

    fn covers(one: &Pattern, two: &Pattern) -> bool {
        Outline::of(one).covers(&Outline::of(two))
    }

    #[test]
    fn a_path_covers_what_it_surely_matches() {
        for (one, two, expected) in [
            ("/a/*", "/a/b", true),
            ("/a/*", "/a/*/c", true),
            ("/a/*", "/a", false),
            ("/a/b", "/a/*", false),
            ("/a/*", r"/a/(?P<id>\d+)", true),
            ("/a/*", r"/a(/\d+)?", false),
            ("/a/.*", r"/a/(?P<id>\d+)", true),
            ("/a/.*", "/a/b", true),
            ("/a/.+", "/a/b", true),
            ("/a/.+", "/a/*", false), // and `/a/` is what it leaves
            ("/.*", "/a", true),
            (r"/a/\d+", "/a/7", true),
            (r"/a/\d+", "/a/x", false),
            (r"/a/\d+", r"/a/\d+", true),
            (r"/a/\d+", r"/a/[0-9]+", false),
            (r"/a/(?P<id>\d+)", r"/a/(?P<user>\d+)", true),
            (r"/a/(?P<id>\d+)(/b)?", r"/a/\d+(?:/b)?", true),
            (r"/a/(?P<id>\d+)", r"/a/(?P<id>\w+)", false),
            ("/a|/b", "/b", true),
            (".*", "*", true),
            ("/*", "*", false), // `OPTIONS *`
        ] {
            assert_eq!(covers(&path(one), &path(two)), expected, "{one} / {two}");
        }
    }

    #[test]
    fn all_that_is_asked_for_must_be_covered() {
        let any = Pattern::default();
        let header = |name: &'static str, value: Option<&str>| {
            let name = HeaderName::from_static(name);
            let header = match value {
                None => HeaderPattern::any(name),
                Some(value) => HeaderPattern::parse(name, value).unwrap(),
            };
            Pattern {
                headers: vec![header],
                ..Pattern::default()
            }
        };
        let hosts = |hosts: &[&str]| Pattern {
            hosts: Some(
                hosts
                    .iter()
                    .map(|it| HostGlob::parse(it).unwrap())
                    .collect(),
            ),
            ..Pattern::default()
        };
        let methods = |methods: &[Method]| Pattern {
            methods: methods.to_vec(),
            ..Pattern::default()
        };
        for (name, one, two, expected) in [
            ("any, any", &any, &any, true),
            ("a path", &path("/a"), &any, false),
            ("all paths", &path("*"), &any, true),
            ("fewer methods", &methods(&[Method::GET]), &any, false),
            ("more methods", &any, &methods(&[Method::GET]), true),
            ("other methods", &any, &methods(&[Method::POST]), false),
            ("any host", &any, &hosts(&["a"]), true),
            ("a host", &hosts(&["a"]), &any, false),
            ("`*`", &hosts(&["*"]), &any, true),
            (
                "its host",
                &hosts(&["b", "*.a"]),
                &hosts(&["x.a", "y.a"]),
                true,
            ),
            (
                "some of its hosts",
                &hosts(&["*.a"]),
                &hosts(&["x.a", "b"]),
                false,
            ),
            ("its port", &hosts(&["a:81"]), &hosts(&["a:81"]), true),
            ("one of its ports", &hosts(&["a:81"]), &hosts(&["a"]), false),
            ("a header", &header("x", None), &any, false),
            (
                "less of it",
                &header("x", None),
                &header("x", Some("1")),
                true,
            ),
            (
                "more of it",
                &header("x", Some("1")),
                &header("x", None),
                false,
            ),
            (
                "the same",
                &header("x", Some("1")),
                &header("x", Some("1")),
                true,
            ),
            ("another", &header("x", None), &header("y", None), false),
        ] {
            assert_eq!(covers(one, two), expected, "{name}");
        }
    }

    /// Patterns that often cover each other; built once, which is what takes the time.
    static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
        let paths = [
            "*",
            "/*",
            ".*",
            "/.*",
            "/a",
            "/a/*",
            "/a/.*",
            "/a/.+",
            "/a*",
            "/*/b",
            "/a/*/b",
            "/*a*",
            r"/a/(?P<id>\d+)",
            r"/a/\d+",
            r"/a(/.*)?",
            "/(a|b)",
            "/(a|b)/.*",
            "(?i)/A/.*",
            r"/\w+",
            "/a/b",
            "/a/1",
            "^/a/.*$",
            r"/a\b.*",
            "/a/{1}.*",
            "/a[/].*",
        ];
        let hosts: [&[&str]; 5] = [&[], &["a"], &["*.a", "a"], &["a:81"], &["*"]];
        let paths = paths.iter().map(|text| PathPattern::parse(text).unwrap());
        let methods = [vec![Method::GET], vec![Method::GET, Method::OPTIONS]];
        let mut all = Vec::new();
        for path in paths.map(Some).chain([None]) {
            for hosts in hosts {
                let hosts = (!hosts.is_empty()).then(|| {
                    hosts
                        .iter()
                        .map(|it| HostGlob::parse(it).unwrap())
                        .collect()
                });
                for methods in &methods {
                    all.push(Pattern {
                        methods: methods.clone(),
                        hosts: hosts.clone(),
                        path: path.clone(),
                        headers: Vec::new(),
                    });
                }
            }
        }
        all
    });

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn what_is_covered_is_matched(
            target in "(/(a|b|A|1|12|é|x)?){1,3}|\\*",
            host in "(a|b|x\\.a)(:80|:81)?",
            options in any::<bool>(),
        ) {
            let method = if options { Method::OPTIONS } else { Method::GET };
            let uri: String = percent_encoding::utf8_percent_encode(&target, percent_encoding::CONTROLS).collect();
            let request = Request::builder().method(method.clone()).uri(uri).header("host", host);
            let head = Head::new(request.body(()).unwrap().into_parts().0, "http").unwrap();
            let path = normalised(head.path());
            let outlines: Vec<Outline<'_>> = PATTERNS.iter().map(Outline::of).collect();
            let matches = |it: &Outline<'_>| it.pattern.matches(&method, &head, &path);
            let (matching, others): (Vec<_>, Vec<_>) = outlines.iter().partition(|it| matches(it));
            for two in &matching {
                for one in &others {
                    prop_assert!(!one.covers(two), "{:?} {:?} {}", one.pattern, two.pattern, target);
                }
            }
        }
    }
}
