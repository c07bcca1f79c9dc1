//! The sections of a rule, each by itself: what it matches, what its key holds, its tags and increments.

use std::sync::Arc;
use std::time::Duration;

use http::Method;

use crate::model::glob::Glob;
use crate::model::tag::LONGEST_AGAIN;
use crate::model::units;
use crate::rules::after::After;
use crate::rules::compile::Compiler;
use crate::rules::compile::warnings::Incremented;
use crate::rules::fields::Fields;
use crate::rules::increments::Increments;
use crate::rules::named::Named;
use crate::rules::pattern::HostGlob;
use crate::rules::query::{Param, QueryFields};
use crate::rules::source::{self, QueryMode};
use crate::rules::statuses::StatusSet;
use crate::rules::template::{Beyond, Known, Template};
use crate::yaml::units::Span;
use crate::yaml::{Spanned, shown};

impl Compiler<'_> {
    pub(super) fn methods(&mut self, written: &Spanned<Vec<Spanned<String>>>) -> Vec<Method> {
        self.some("a method", written);
        let mut methods = Vec::new();
        for text in &written.value {
            match Method::from_bytes(text.as_bytes()) {
                Ok(method) if !text.contains(|c: char| c.is_ascii_lowercase()) => {
                    methods.push(method)
                }
                Ok(_) | Err(_) => {
                    let found = shown(text);
                    self.wrong(
                        text.place,
                        format!("expected a method such as `GET`, found {found}"),
                    );
                }
            }
        }
        methods
    }

    pub(super) fn hosts(&mut self, written: &Spanned<Vec<Spanned<String>>>) -> Vec<HostGlob> {
        self.some("a host", written);
        let mut hosts = Vec::new();
        for text in &written.value {
            let host = HostGlob::parse(text).ok_or_else(|| {
                let found = shown(text);
                format!("expected a host such as `shop.example` or `*.shop.example`, found {found}")
            });
            hosts.extend(self.checked(text.place, host));
        }
        hosts
    }

    pub(super) fn some<T>(&mut self, what: &str, list: &Spanned<Vec<T>>) {
        if list.is_empty() {
            self.wrong(
                list.place,
                format!("expected {what} at least, found an empty list"),
            );
        }
    }

    pub(super) fn captures(
        &mut self,
        written: &Spanned<Vec<Spanned<String>>>,
        known: Known<'_>,
    ) -> Vec<Named<Box<str>>> {
        self.some("a capture", written);
        if let Known::Captures(known) = known {
            for text in &written.value {
                if !known.iter().any(|name| **name == **text) {
                    let found = shown(text);
                    let names = known.join("`, `");
                    let expected = match known {
                        [] => "the path has no named capture".to_owned(),
                        _ => format!("expected a capture of the path: `{names}`"),
                    };
                    self.wrong(text.place, format!("{expected}, found {found}"));
                }
            }
        }
        written.iter().map(|name| Named::capture(name)).collect()
    }

    pub(super) fn fields(&mut self, written: &source::VaryOn, base: &Fields) -> Fields {
        let (headers, normalized) = match &written.headers {
            None => (base.headers.clone(), Arc::clone(&base.normalized)),
            Some(headers) => self.headers(headers),
        };
        Fields {
            host: written.host.unwrap_or(base.host),
            captures: None,
            query: self.query(&written.query, &base.query),
            headers,
            normalized,
            cookies: match &written.cookies {
                None => base.cookies.clone(),
                Some(cookies) => cookies
                    .iter()
                    .filter_map(|cookie| self.cookie(cookie))
                    .collect(),
            },
            tokens: match &written.jwt {
                None => Arc::clone(&base.tokens),
                Some(claims) => self.tokens(claims),
            },
        }
    }

    pub(super) fn cookie(&mut self, name: &Spanned<String>) -> Option<Named<Box<str>>> {
        let odd = |c: char| c.is_whitespace() || c.is_control() || "=;,\"".contains(c);
        if name.is_empty() || name.contains(odd) {
            let found = shown(name);
            self.wrong(
                name.place,
                format!("expected the name of a cookie, found {found}"),
            );
            return None;
        }
        Some(Named::cookie(name))
    }

    pub(super) fn query(&mut self, written: &source::QueryOn, base: &QueryFields) -> QueryFields {
        let mode = written.mode.unwrap_or(base.mode);
        for param in written.params.iter().flatten() {
            if !matches!(mode, QueryMode::Ignore | QueryMode::None) {
                continue;
            }
            for (name, given) in [
                ("default", param.default.is_some()),
                ("multi", param.multi.is_some()),
                ("normalize", param.normalize.is_some()),
            ] {
                if given {
                    let message = format!(
                        "a `{name}` means nothing where the key does not hold the parameter"
                    );
                    self.wrong(param.place, message);
                }
            }
        }
        let param = |it: &Spanned<source::Param>| {
            let multi = it.multi.unwrap_or_default();
            Param::new(&it.name, it.default.as_deref(), multi, it.normalize)
        };
        QueryFields {
            mode,
            sort: written.sort.unwrap_or(base.sort),
            params: match &written.params {
                Some(params) => params.iter().map(param).collect(),
                None => base.params.clone(),
            },
            drop: match &written.drop {
                Some(globs) => globs.iter().map(|glob| Glob::new(glob)).collect(),
                None => base.drop.clone(),
            },
        }
    }

    /// After how long tags are incremented again, if not later than anything may be put off.
    fn again(&mut self, written: &Spanned<Span>) -> Option<Duration> {
        let again = written.value.0;
        if again.is_zero() || again > LONGEST_AGAIN {
            let found = units::Written(again);
            let message =
                format!("expected a duration above zero and at most `1d`, found `{found}`");
            self.wrong(written.place, message);
            return None;
        }
        Some(again)
    }

    pub(super) fn increments(
        &mut self,
        written: &source::Increments,
        known: Known<'_>,
    ) -> Increments {
        if !self.tainted {
            self.some("a tag", &written.tags);
        }
        let tags = written.tags.iter();
        let plain = tags.clone().filter(|tag| !tag.contains(['{', '}']));
        self.incremented.extend(plain.map(|tag| Incremented {
            tag: tag.clone(),
            file: Arc::clone(&self.file),
        }));
        let tag = |tag: &Spanned<String>| Template::parse_tag(tag, known, Beyond::Response);
        Increments {
            tags: tags
                .filter_map(|it| self.template(it.place, it, tag(it)))
                .collect(),
            after: self.after(written.on_status.as_ref(), written.when.as_ref()),
            again: written.again.as_ref().and_then(|it| self.again(it)),
        }
    }

    /// The responses after which something applies.
    pub(super) fn after(
        &mut self,
        on_status: Option<&Spanned<Vec<Spanned<String>>>>,
        when: Option<&Spanned<source::Condition>>,
    ) -> After {
        After {
            on_status: self.on_status(on_status),
            when: self.when(when),
        }
    }

    fn on_status(&mut self, written: Option<&Spanned<Vec<Spanned<String>>>>) -> StatusSet {
        let Some(statuses) = written else {
            return StatusSet::success();
        };
        self.some("a status", statuses);
        let mut set = StatusSet::default();
        for text in &statuses.value {
            if !set.add(text) {
                let found = shown(text);
                let message = format!("expected a status such as `2xx` or `404`, found {found}");
                self.wrong(text.place, message);
            }
        }
        set
    }
}
