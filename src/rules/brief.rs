//! A rule in short: what `tagalong check` says of each.

use std::fmt;

use http::Method;

use crate::model::units::Written;
use crate::rules::pattern::{HeaderPattern, HostGlob, PathPattern, inner};
use crate::rules::source::QueryMode;
use crate::rules::template::Template;
use crate::rules::{Mode, Rule, RuleSet};

/// What a rule says, in words that stand in its file or that `explain` uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    /// Its methods.
    pub methods: Vec<String>,
    /// Its hosts; `None`: any.
    pub hosts: Option<Vec<String>>,
    /// Its path as written; `None`: any.
    pub path: Option<String>,
    /// The headers it asks for: a name, or `name=regex`.
    pub headers: Vec<String>,
    /// `live`, `shadow` or `bypass`.
    pub mode: &'static str,
    /// The fields of its key besides those that every key has.
    pub key: Vec<String>,
    /// The templates of its tags.
    pub tags: Vec<String>,
    /// The attributes its responses are filtered by.
    pub dimensions: Vec<String>,
    /// Places in the body, each with the template of its tags.
    pub tags_from_body: Vec<String>,
    /// The templates of what its requests increment.
    pub increments: Vec<String>,
    /// The rules whose attributes its requests change.
    pub changes: Vec<String>,
    /// Whether its requests change nothing, whatever their method.
    pub safe: bool,
    /// Whether responses to its requests may be stored: those to GET, or those that are keyed by a body.
    pub is_stored: bool,
}

impl Brief {
    /// Hosts, path and headers, as far as they are given.
    pub fn matches(&self) -> String {
        let hosts = self.hosts.as_ref().map(|hosts| hosts.join("|"));
        let headers = self.headers.iter().map(|header| format!("[{header}]"));
        let parts: Vec<String> = hosts
            .into_iter()
            .chain(self.path.clone())
            .chain(headers)
            .collect();
        match parts.is_empty() {
            true => "any".to_owned(),
            false => parts.join(" "),
        }
    }
}

impl Rule {
    /// What is said of how long it is fresh; where nothing is, the response alone says it.
    pub fn life(&self) -> String {
        let terms = &self.terms;
        let first = match (terms.forced_ttl, terms.ttl) {
            (Some(forced), _) => format!("{} forced", Written(forced)),
            (None, Some(ttl)) => Written(ttl).to_string(),
            (None, None) => "as it says".to_owned(),
        };
        let further = [
            ("soft", terms.soft_ttl),
            ("swr", terms.stale_while_revalidate),
            ("sie", terms.stale_if_error),
        ];
        let further = further
            .iter()
            .filter_map(|(name, time)| Some((name, (*time)?)));
        let further = further.map(|(name, time)| format!("{name} {}", Written(time)));
        let all: Vec<String> = [first].into_iter().chain(further).collect();
        all.join(", ")
    }

    /// What it says, in short.
    pub fn brief(&self) -> Brief {
        let pattern = &self.pattern;
        let all = |templates: &[Template]| -> Vec<String> {
            templates.iter().map(|it| it.as_str().to_owned()).collect()
        };
        let increments = self.increments.iter().flat_map(|it| all(&it.tags));
        let dimensions = self.dimensions.iter().flat_map(|it| it.attrs.keys());
        Brief {
            methods: pattern.methods.iter().map(ToString::to_string).collect(),
            hosts: (pattern.hosts.as_ref())
                .map(|hosts| hosts.iter().map(ToString::to_string).collect()),
            path: pattern.path.as_ref().map(ToString::to_string),
            headers: pattern.headers.iter().map(ToString::to_string).collect(),
            mode: match self.mode {
                Mode::Live => "live",
                Mode::Shadow(_) => "shadow",
                Mode::Bypass => "bypass",
            },
            key: self.key_in_short(),
            tags: self.tags_in_short(),
            tags_from_body: self.body_tags.iter().map(|it| it.in_short()).collect(),
            dimensions: dimensions.map(ToString::to_string).collect(),
            increments: increments.collect(),
            changes: self.changes.iter().map(|it| it.rule.to_string()).collect(),
            safe: self.safe,
            is_stored: self.stores()
                && (self.reads_bodies() || pattern.methods.iter().any(is_of_get)),
        }
    }

    fn tags_in_short(&self) -> Vec<String> {
        let templates = self.tags.iter().map(|it| it.as_str().to_owned());
        let constants = self.constants.iter();
        let constants = constants.map(|it| format!("{}={}", it.tag, it.version));
        templates.chain(constants).collect()
    }

    fn key_in_short(&self) -> Vec<String> {
        let fields = &self.fields;
        let mut key = Vec::new();
        let mut add = |field: String| key.push(field);
        // The key's name is the id unless something else is said.
        if let Some(name) = (self.key_name.as_deref()).filter(|it| Some(*it) != self.id.as_deref())
        {
            add(format!("name={name}"));
        }
        if let Some(version) = &self.version {
            add(format!("version={version}"));
        }
        if let Some(group) = &self.group {
            add(format!("group={}", group.as_str()));
        }
        if let Some(named) = &self.key {
            add(named.template.as_str().to_owned());
        }
        if fields.host {
            add("host".to_owned());
        }
        match &fields.captures {
            None => add("path".to_owned()),
            Some(captures) => captures.iter().for_each(|it| add(it.field.to_string())),
        }
        let params: Vec<&str> = fields.query.params.iter().map(|it| &*it.name).collect();
        let params = params.join(",");
        match fields.query.mode {
            QueryMode::All => add("query".to_owned()),
            QueryMode::Allow => add(format!("query({params})")),
            QueryMode::Ignore => add(format!("query(not {params})")),
            QueryMode::None => {}
        }
        fields
            .headers
            .iter()
            .for_each(|it| add(it.field.to_string()));
        for header in &*fields.normalized {
            add(format!("header.{}", header.name));
        }
        fields
            .cookies
            .iter()
            .for_each(|it| add(it.field.to_string()));
        let claims = fields.tokens.iter().flat_map(|it| &it.claims);
        claims.for_each(|it| add(it.field.to_string()));
        if let Some(body) = self.body.as_ref().filter(|_| self.safe) {
            match &*body.json {
                [] => add("body".to_owned()),
                places => places.iter().for_each(|(_, field)| add(field.to_string())),
            }
        }
        key
    }
}

fn is_of_get(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

impl RuleSet {
    /// Whether requests that no rule matches are stored as RFC 9111 says.
    pub fn stores_unmatched(&self) -> bool {
        self.unmatched.cache
    }
}

impl fmt::Display for HostGlob {
    /// As written, in lower case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.glob.fmt(f)
    }
}

impl fmt::Display for PathPattern {
    /// As written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathPattern::Glob(glob) => glob.fmt(f),
            PathPattern::Regex(regex) => f.write_str(inner(regex.as_str())),
        }
    }
}

impl fmt::Display for HeaderPattern {
    /// Its name, or `name=regex`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_str())?;
        match &self.value {
            None => Ok(()),
            Some(value) => write!(f, "={}", inner(value.as_str())),
        }
    }
}
