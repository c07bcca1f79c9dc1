//! Which rules are worth trying for a request: an index over what requests must hold for a rule to match, so that a
//! thousand rules cost about what one costs.
//!
//! Each rule stands under one thing that every request it matches must have, whichever the fewest other rules ask for: its
//! exact path, one of its exact hosts, or a text that occurs in its path. All such texts are looked for in one pass
//! (Aho-Corasick). What is found is a candidate, tried as a whole; rules without any such thing are candidates for every
//! request. So the index only ever leaves out rules that cannot match, and the first that matches still wins.
//!
//! Not a `RegexSet`: its automaton is built while it runs, out of the paths that clients choose, and needs a cache for each
//! thread that such paths can fill. This one is built when the files are read, and stays as it is.

pub(super) mod literals;

use std::collections::HashMap;

use aho_corasick::AhoCorasick;

use crate::rules::index::literals::Clause;
use crate::rules::pattern::{HostGlob, PathPattern, Pattern, without_port};

/// Rules by what a request must have for them to match. Rules are numbers here: their place in the order.
#[derive(Debug, Default)]
pub(super) struct Index {
    paths: HashMap<Box<str>, Vec<usize>>,
    /// Those with a port stand under host and port.
    hosts: HashMap<Box<str>, Vec<usize>>,
    /// Finds the texts of `by_text`; `None`: there are none.
    texts: Option<AhoCorasick>,
    by_text: Vec<Vec<usize>>,
    /// Rules without anything that could be looked up.
    always: Vec<usize>,
}

/// What a rule may stand under.
enum Entry {
    Path(Box<str>),
    Hosts(Vec<Box<str>>),
    Texts(Clause),
}

/// How many rules could stand under what.
#[derive(Default)]
struct Demand<'e> {
    paths: HashMap<&'e str, usize>,
    hosts: HashMap<&'e str, usize>,
    texts: HashMap<&'e str, usize>,
}

impl Index {
    /// An index over rules with these patterns, in their order.
    pub(super) fn new<'p>(patterns: impl IntoIterator<Item = &'p Pattern>) -> Index {
        let offers: Vec<Vec<Entry>> = patterns.into_iter().map(offers).collect();
        let demand = Demand::of(&offers);
        let mut index = Index::default();
        let mut texts: HashMap<&str, usize> = HashMap::new();
        for (rule, offers) in offers.iter().enumerate() {
            // The first of the rarest: an exact path costs less than a text.
            match offers.iter().min_by_key(|entry| demand.most(entry)) {
                None => index.always.push(rule),
                Some(Entry::Path(path)) => {
                    index.paths.entry(path.clone()).or_default().push(rule);
                }
                Some(Entry::Hosts(hosts)) => {
                    for host in hosts {
                        index.hosts.entry(host.clone()).or_default().push(rule);
                    }
                }
                Some(Entry::Texts(clause)) => {
                    for text in clause {
                        let next = texts.len();
                        let number = *texts.entry(text).or_insert(next);
                        if number == next {
                            index.by_text.push(Vec::new());
                        }
                        if let Some(rules) = index.by_text.get_mut(number) {
                            rules.push(rule);
                        }
                    }
                }
            }
        }
        let mut texts: Vec<(usize, &str)> = texts.into_iter().map(|(text, n)| (n, text)).collect();
        texts.sort_unstable();
        if !texts.is_empty() {
            match AhoCorasick::new(texts.iter().map(|(_, text)| text)) {
                Ok(found) => index.texts = Some(found),
                // More text than the automaton can number: what it would have left out is tried instead.
                Err(_) => {
                    index
                        .always
                        .extend(std::mem::take(&mut index.by_text).concat());
                    index.always.sort_unstable();
                    index.always.dedup();
                }
            }
        }
        index
    }

    /// The first rule that `matches`, of a request for this host and normalised path.
    pub(super) fn first(
        &self,
        host: &str,
        path: &str,
        matches: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let mut first = usize::MAX;
        let mut try_all = |rules: &[usize]| {
            // They are in order: what comes after the best so far cannot be better.
            let better = rules.iter().take_while(|rule| **rule < first);
            if let Some(rule) = better.copied().find(|rule| matches(*rule)) {
                first = rule;
            }
        };
        try_all(&self.always);
        if let Some(rules) = self.paths.get(path) {
            try_all(rules);
        }
        if !self.hosts.is_empty() {
            let name = without_port(host);
            for host in [Some(name), (name != host).then_some(host)] {
                if let Some(rules) = host.and_then(|host| self.hosts.get(host)) {
                    try_all(rules);
                }
            }
        }
        if let Some(texts) = &self.texts {
            let mut seen = Seen::new(self.by_text.len());
            for found in texts.find_overlapping_iter(path) {
                let text = found.pattern().as_usize();
                if let Some(rules) = self.by_text.get(text)
                    && seen.is_new(text)
                {
                    try_all(rules);
                }
            }
        }
        (first != usize::MAX).then_some(first)
    }
}

/// The texts that were found already: a path that repeats one must not have its rules tried each time.
struct Seen {
    /// For as many as most sets of rules have, without an allocation.
    few: [u64; 32],
    many: Vec<u64>,
}

impl Seen {
    fn new(texts: usize) -> Seen {
        let few = [0; 32];
        let words = texts.div_ceil(64);
        let many = match words > few.len() {
            true => vec![0; words],
            false => Vec::new(),
        };
        Seen { few, many }
    }

    fn is_new(&mut self, text: usize) -> bool {
        let words = match self.many.is_empty() {
            true => self.few.as_mut_slice(),
            false => &mut self.many,
        };
        let Some(word) = words.get_mut(text / 64) else {
            return true;
        };
        let before = *word;
        *word |= 1 << (text % 64);
        *word != before
    }
}

/// What every request must have that this pattern matches; each by itself.
fn offers(pattern: &Pattern) -> Vec<Entry> {
    let mut offers = Vec::new();
    if let Some(path) = &pattern.path {
        match path.exact() {
            Some(exact) => offers.push(Entry::Path(exact)),
            None => offers.extend(texts(path).into_iter().map(Entry::Texts)),
        }
    }
    if let Some(hosts) = &pattern.hosts {
        let exact: Option<Vec<_>> = hosts.iter().map(HostGlob::exact).collect();
        offers.extend(exact.map(Entry::Hosts));
    }
    offers
}

fn texts(path: &PathPattern) -> Vec<Clause> {
    match path {
        PathPattern::Glob(glob) => literals::of_glob(glob),
        PathPattern::Regex(regex) => literals::of_regex(regex.as_str()),
    }
}

impl<'e> Demand<'e> {
    fn of(offers: &'e [Vec<Entry>]) -> Demand<'e> {
        let mut demand = Demand::default();
        for entry in offers.iter().flatten() {
            match entry {
                Entry::Path(path) => *demand.paths.entry(path).or_default() += 1,
                Entry::Hosts(hosts) => {
                    for host in hosts {
                        *demand.hosts.entry(host).or_default() += 1;
                    }
                }
                Entry::Texts(clause) => {
                    for text in clause {
                        *demand.texts.entry(text).or_default() += 1;
                    }
                }
            }
        }
        demand
    }

    /// How many rules, at worst, are candidates where this is found; of equals the one with the longest text is rarest.
    fn most(&self, entry: &Entry) -> (usize, usize) {
        let most = |rules: &HashMap<&str, usize>, texts: &[Box<str>]| {
            let many = texts.iter().filter_map(|text| rules.get(&**text)).max();
            many.copied().unwrap_or_default()
        };
        match entry {
            Entry::Path(path) => (self.paths.get(&**path).copied().unwrap_or_default(), 0),
            Entry::Hosts(hosts) => (most(&self.hosts, hosts), 0),
            Entry::Texts(clause) => {
                let shortest = clause.iter().map(|text| text.len()).min();
                let length = usize::MAX - shortest.unwrap_or_default();
                (most(&self.texts, clause), length)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::rules::path::normalised;

    fn pattern(path: Option<&str>, hosts: &[&str]) -> Pattern {
        Pattern {
            path: path.map(|path| PathPattern::parse(path).unwrap()),
            hosts: (!hosts.is_empty()).then(|| {
                hosts
                    .iter()
                    .map(|it| HostGlob::parse(it).unwrap())
                    .collect()
            }),
            ..Pattern::default()
        }
    }

    fn fits(pattern: &Pattern, host: &str, path: &str) -> bool {
        let hosts = pattern.hosts.as_ref();
        hosts.is_none_or(|hosts| hosts.iter().any(|it| it.matches(host)))
            && pattern.path.as_ref().is_none_or(|it| it.matches(path))
    }

    /// How many rules are tried for a request that none of them matches.
    fn tried(index: &Index, host: &str, path: &str) -> usize {
        let tried = std::cell::Cell::new(0);
        let first = index.first(host, path, |_| {
            tried.set(tried.get() + 1);
            false
        });
        assert_eq!(first, None);
        tried.get()
    }

    #[test]
    fn few_of_many_rules_are_tried() {
        type Each = fn(usize) -> Pattern;
        let sets: [(&str, Each); 7] = [
            ("exact paths", |n| pattern(Some(&format!("/p{n:04}")), &[])),
            ("prefixes", |n| pattern(Some(&format!("/p{n:04}/*")), &[])),
            ("suffixes", |n| {
                pattern(Some(&format!("/shop/*/p{n:04}")), &[])
            }),
            ("captures", |n| {
                pattern(Some(&format!(r"/shop/p{n:04}/(?P<id>[0-9]+)")), &[])
            }),
            ("behind a capture", |n| {
                pattern(Some(&format!(r"/(?P<lang>[a-z]+)/p{n:04}(/.*)?")), &[])
            }),
            ("alternatives", |n| {
                pattern(Some(&format!("/(p{n:04}|q{n:04})/[a-z]+")), &[])
            }),
            ("hosts", |n| {
                pattern(Some("/products/*"), &[&format!("p{n:04}.shop.example")])
            }),
        ];
        for (name, each) in sets {
            let patterns: Vec<Pattern> = (475..525).map(each).collect();
            let index = Index::new(&patterns);
            for path in [
                "/p0500",
                "/shop/x/p0500",
                "/en/p0500/7",
                "/shop/p0500/42",
                "/",
            ] {
                let tried = tried(&index, "p0500.shop.example:81", path);
                assert!(tried <= 1, "{name}: {tried} for {path}");
            }
        }
    }

    #[test]
    fn a_path_that_repeats_a_text_has_its_rules_tried_once() {
        for (texts, many) in [(10, "few"), (2_100, "many")] {
            let named = (1..texts).map(|n| pattern(Some(&format!("/*/b{n}/*")), &[]));
            let repeated = pattern(Some("/*/a/b*c"), &[]);
            let patterns: Vec<Pattern> = named.chain([repeated]).collect();
            let path = "/a/b".repeat(1_000);
            assert_eq!(tried(&Index::new(&patterns), "", &path), 1, "{many} texts");
        }
    }

    #[test]
    fn rules_without_anything_to_look_up_are_always_tried() {
        let patterns = [
            pattern(None, &[]),
            pattern(Some("*"), &[]),
            pattern(Some(r"/\w+"), &[]),
            pattern(Some("(?i)/about"), &[]),
            pattern(Some("/a|/(b|c.*)"), &["*.example"]),
        ];
        assert_eq!(tried(&Index::new(&patterns), "", ""), 5);
    }

    /// Paths, and patterns that match some of them.
    fn path() -> impl Strategy<Value = String> {
        "(/(a|ab|b|ba|c|1|22|é|%61|\\.|\\.\\.)){0,4}/?".prop_map(|path| match path.as_str() {
            "" => "/".to_owned(),
            _ => path,
        })
    }

    fn path_pattern() -> impl Strategy<Value = Option<PathPattern>> {
        let regexes = [
            r"/(a|ab|b|ba)?(/(a|b|22))*(/.*)?",
            r"/(?P<x>\d+)(/[ab]+)?",
            r"/(a|b|c)/(?P<x>.+)",
            r"/(ab/a|ba/b)(?P<x>.*)",
            r"(?i)/AB/.*",
            r"/a|/b/a",
            r"/(?:ab){1,2}/?",
            r"/(?:ab)?/b",
            r"(/a){2}.*",
            r"/[é]/(a|é)\z",
            r"/a(/?)b",
            r"/ab\b.*",
        ];
        // Built once: in debug builds that is what takes the time.
        let regexes = regexes.map(|text| PathPattern::parse(text).unwrap());
        let glob = "[/*](a|ab|b|\\*|/|ba|1|é){0,5}".prop_filter_map("a regex", |text| {
            match PathPattern::parse(&text).unwrap() {
                glob @ PathPattern::Glob(_) => Some(glob),
                PathPattern::Regex(_) => None,
            }
        });
        let any = prop_oneof![prop::sample::select(regexes.to_vec()), glob];
        prop::option::weighted(0.9, any)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn the_index_finds_what_trying_all_would(
            rules in prop::collection::vec(
                (path_pattern(), prop::collection::vec("(a|b|\\*\\.a|a:81|\\*|b:80)", 0..3)),
                0..12,
            ),
            requests in prop::collection::vec((path(), "(a|b|c\\.a)(:80|:81)?|"), 1..20),
        ) {
            let patterns: Vec<Pattern> = rules
                .iter()
                .map(|(path, hosts)| {
                    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
                    Pattern { path: path.clone(), ..pattern(None, &hosts) }
                })
                .collect();
            let index = Index::new(&patterns);
            for (path, host) in &requests {
                let path = normalised(path);
                let matches = |n: usize| fits(&patterns[n], host, &path);
                let expected = (0..patterns.len()).find(|n| matches(*n));
                prop_assert_eq!(index.first(host, &path, matches), expected, "{} {}", host, path);
            }
        }
    }
}
