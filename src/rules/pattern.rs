//! Which requests a rule is for: method, host, path, headers (rules.md §2 `match`). The first rule that matches wins.

use http::{HeaderMap, HeaderName, Method};
use regex::bytes::{Regex as BytesRegex, RegexBuilder as BytesRegexBuilder};
use regex::{Captures, Regex, RegexBuilder};

use crate::model::glob::Glob;
use crate::model::request::Head;
use crate::rules::index::literals;
use crate::yaml::shown;

/// What a request must be for its rule to match; everything given must hold.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) methods: Vec<Method>,
    pub(super) hosts: Option<Vec<HostGlob>>,
    pub(super) path: Option<PathPattern>,
    pub(super) headers: Vec<HeaderPattern>,
}

impl Default for Pattern {
    fn default() -> Pattern {
        Pattern {
            methods: vec![Method::GET, Method::HEAD],
            hosts: None,
            path: None,
            headers: Vec::new(),
        }
    }
}

impl Pattern {
    /// Whether the request, made with this method, is one of these. `path` is normalised.
    pub(super) fn matches(&self, method: &Method, head: &Head, path: &str) -> bool {
        self.methods.contains(method)
            && self
                .hosts
                .as_ref()
                .is_none_or(|hosts| hosts.iter().any(|host| host.matches(&head.host)))
            && self
                .path
                .as_ref()
                .is_none_or(|pattern| pattern.matches(path))
            && self
                .headers
                .iter()
                .all(|header| header.matches(head.headers()))
    }

    /// The named parts of the path, if the pattern has any.
    pub(super) fn captures<'p>(&self, path: &'p str) -> Option<Captures<'p>> {
        match &self.path {
            Some(PathPattern::Regex(regex)) => regex.captures(path),
            Some(PathPattern::Glob(_)) | None => None,
        }
    }
}

/// A host with `*` for any run of characters. Without a port it stands for every port.
#[derive(Clone, Debug)]
pub(super) struct HostGlob {
    pub(super) glob: Glob,
    with_port: bool,
}

impl HostGlob {
    /// Whether every host that `other` matches surely matches this too.
    pub(super) fn covers(&self, other: &HostGlob) -> bool {
        self.is_any() || (self.with_port == other.with_port && self.glob.covers(&other.glob))
    }

    /// Whether it is `*`.
    pub(super) fn is_any(&self) -> bool {
        self.glob == Glob::new("*")
    }

    /// Reads a host pattern; `None` if the text can be no host's.
    pub(super) fn parse(text: &str) -> Option<HostGlob> {
        let odd = |c: char| c.is_whitespace() || c.is_control() || "/@?#,{}()|\\^$+".contains(c);
        if text.is_empty() || text.contains(odd) {
            return None;
        }
        Some(HostGlob {
            glob: Glob::new(&text.to_ascii_lowercase()),
            with_port: without_port(text) != text,
        })
    }

    /// The one host that matches, on every port if it is without one.
    pub(super) fn exact(&self) -> Option<Box<str>> {
        self.glob.exact().map(Into::into)
    }

    pub(super) fn matches(&self, host: &str) -> bool {
        self.glob.matches(if self.with_port {
            host
        } else {
            without_port(host)
        })
    }
}

/// The host without its port; the colons of an IPv6 address stand inside brackets.
pub(super) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

/// A pattern for the whole path, as a glob or a regex.
#[derive(Clone, Debug)]
pub(super) enum PathPattern {
    /// Characters stand for themselves, `*` for any run of them, `/` included.
    Glob(Glob),
    /// Anchored at both ends; named groups are captures.
    Regex(Regex),
}

/// No regex that a person wrote compiles to more.
const MOST_REGEX_BYTES: usize = 1 << 20;

impl PathPattern {
    /// Reads a path pattern: a regex if it holds one of ``\ ( ) [ ] { } | + ? ^ $`` or a `.*`, else a glob. So
    /// `/users/42`, `/favicon.ico` and `/users/*/profile` are globs, `/e/.*` and `/users/(?P<id>\d+)` are regexes.
    ///
    /// # Errors
    ///
    /// What is wrong with the regex, in one line; or that no path can be like this.
    pub(super) fn parse(text: &str) -> Result<PathPattern, String> {
        if text.is_empty() || text.starts_with(char::is_alphanumeric) {
            return Err(format!(
                "expected a path that begins with `/`, found {}",
                shown(text)
            ));
        }
        let is_regex = text.contains(".*") || text.contains(|c| r"\()[]{}|+?^$".contains(c));
        if !is_regex {
            return Ok(PathPattern::Glob(Glob::new(text)));
        }
        anchored(text).map(PathPattern::Regex)
    }

    /// The one path that matches, if there is but one.
    pub(super) fn exact(&self) -> Option<Box<str>> {
        match self {
            PathPattern::Glob(glob) => glob.exact().map(Into::into),
            PathPattern::Regex(regex) => literals::exact(regex.as_str()),
        }
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        match self {
            PathPattern::Glob(glob) => glob.matches(path),
            PathPattern::Regex(regex) => regex.is_match(path),
        }
    }

    /// The names of its captures.
    pub(super) fn capture_names(&self) -> Vec<Box<str>> {
        match self {
            PathPattern::Glob(_) => Vec::new(),
            PathPattern::Regex(regex) => regex.capture_names().flatten().map(Into::into).collect(),
        }
    }
}

/// A request header that must be there, and what it must say.
#[derive(Clone, Debug)]
pub(super) struct HeaderPattern {
    pub(super) name: HeaderName,
    /// Anchored at both ends; `None`: anything.
    pub(super) value: Option<BytesRegex>,
}

impl HeaderPattern {
    pub(super) fn any(name: HeaderName) -> HeaderPattern {
        HeaderPattern { name, value: None }
    }

    /// Reads a pattern for the whole value.
    ///
    /// # Errors
    ///
    /// What is wrong with the regex, in one line.
    pub(super) fn parse(name: HeaderName, text: &str) -> Result<HeaderPattern, String> {
        anchored(text)?; // headers may be no text, but the regex is written as for one
        let value = BytesRegexBuilder::new(&whole(text))
            .size_limit(MOST_REGEX_BYTES)
            .build();
        let value = value.map_err(|error| why_none(text, &error))?;
        Ok(HeaderPattern {
            name,
            value: Some(value),
        })
    }

    /// Whether a request that is as `other` says surely is as this says.
    pub(super) fn covers(&self, other: &HeaderPattern) -> bool {
        let text = |it: &HeaderPattern| it.value.as_ref().map(|value| value.as_str().to_owned());
        self.name == other.name && (self.value.is_none() || text(self) == text(other))
    }

    fn matches(&self, headers: &HeaderMap) -> bool {
        let mut lines = headers.get_all(&self.name).into_iter();
        let (first, second) = (lines.next(), lines.next());
        let (Some(first), Some(value)) = (first, &self.value) else {
            return first.is_some();
        };
        if second.is_none() {
            return value.is_match(first.as_bytes());
        }
        let lines = headers.get_all(&self.name).into_iter();
        let lines: Vec<&[u8]> = lines.map(|line| line.as_bytes()).collect();
        value.is_match(&lines.join(&b", "[..]))
    }
}

/// A regex for the whole of a text.
///
/// # Errors
///
/// What is wrong with it, in one line.
pub(super) fn anchored(text: &str) -> Result<Regex, String> {
    // By itself first: what it lacks must not be found in the anchors around it.
    compile(text).and_then(|_| compile(&whole(text)))
}

/// The text of an anchored regex, as it was written.
pub(super) fn inner(regex: &str) -> &str {
    let inner = regex.strip_prefix(r"\A(?:");
    let inner = inner.and_then(|it| it.strip_suffix(r")\z"));
    inner.unwrap_or(regex)
}

fn whole(text: &str) -> String {
    format!(r"\A(?:{text})\z")
}

fn compile(text: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(text).size_limit(MOST_REGEX_BYTES).build();
    built.map_err(|error| why_none(text, &error))
}

fn why_none(text: &str, error: &regex::Error) -> String {
    if let regex::Error::CompiledTooBig(_) = error {
        return format!(
            "the regex {} becomes larger than {MOST_REGEX_BYTES} bytes",
            shown(text)
        );
    }
    // The last line of the regex crate's drawing says what is wrong.
    let drawn = error.to_string();
    let why = drawn.lines().last().unwrap_or_default();
    let why = why.trim().trim_start_matches("error: ");
    format!("{} is not a regex: {why}", shown(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k29_hosts_are_globs() {
        for (pattern, host, expected) in [
            ("shop.example", "shop.example", true),
            ("shop.example", "shop.example:8080", true),
            ("shop.example:8080", "shop.example:8080", true),
            ("shop.example:8080", "shop.example", false),
            ("Shop.Example", "shop.example", true),
            ("*.shop.example", "a.shop.example", true),
            ("*.shop.example", "a.b.shop.example", true),
            ("*.shop.example", "evilshop.example", false),
            ("*.shop.example", "shop.example", false),
            ("[::1]", "[::1]:8080", true),
            ("[::1]", "[::2]", false),
            ("*", "", true),
        ] {
            let glob = HostGlob::parse(pattern).unwrap();
            assert_eq!(glob.matches(host), expected, "{pattern} / {host}");
        }
        for odd in ["", "http://a", "a b", "a/b", "a,b"] {
            assert!(HostGlob::parse(odd).is_none(), "{odd}");
        }
    }

    #[test]
    fn paths_are_globs_or_anchored_regexes() {
        for (pattern, path, expected) in [
            ("/slow", "/slow", true),
            ("/slow", "/slow/", false),
            ("/slow", "/slower", false),
            ("/users/42", "/users/42", true),
            ("/favicon.ico", "/favicon.ico", true),
            ("/favicon.ico", "/faviconxico", false),
            ("/users/*/profile", "/users/42/profile", true),
            ("/users/*/profile", "/users/profile", false),
            ("/static/*", "/static/css/a.css", true),
            ("/v1.0/*.css", "/v1.0/a.css", true),
            ("*", "*", true),
            ("/e/.*", "/e/1", true),
            ("/e/.*", "/e/", true),
            ("/e/.*", "/x/e/1", false),
            (r"/users/(?P<id>\d+)", "/users/42", true),
            (r"/users/(?P<id>\d+)", "/users/42/x", false),
            (r"/users/(?P<id>\d+)", "/x/users/42", false),
            ("/a|/b", "/b", true),
            ("/a|/b", "/bc", false),
            ("/a[0-9]", "/a7", true),
            ("(?i)/about", "/ABOUT", true),
            ("/a(?P<r>.*)", "/a\n", false),
        ] {
            let parsed = PathPattern::parse(pattern).unwrap();
            assert_eq!(parsed.matches(path), expected, "{pattern} / {path}");
        }
    }

    #[test]
    fn a_pattern_that_is_none_says_why() {
        for (pattern, expected) in [
            ("", "expected a path that begins with `/`, found ``"),
            (
                "users",
                "expected a path that begins with `/`, found `users`",
            ),
            ("/a(", "`/a(` is not a regex: unclosed group"),
            ("/a)(?:b", "`/a)(?:b` is not a regex: unopened group"),
            (
                r"/a\",
                r"`/a\` is not a regex: incomplete escape sequence, reached end of pattern prematurely",
            ),
            (
                "/a{1000}{1000}{1000}",
                "the regex `/a{1000}{1000}{1000}` becomes larger than 1048576 bytes",
            ),
        ] {
            assert_eq!(PathPattern::parse(pattern).err().as_deref(), Some(expected));
        }
    }
}
