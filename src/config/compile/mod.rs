//! `tagalong.yaml` as written to [`Config`], every mistake at once, those of the rule files among them.

pub(super) mod admin;
pub(super) mod headers;
mod itself;
mod listen;
mod purge;
mod shared;
mod telemetry;
mod upstream;
mod webhooks;

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::files::of_arguments;
use crate::config::source;
use crate::config::{Certificate, Config, Instead, Limits, Log, Store};
use crate::model::mistake::{Mistake, Place};
use crate::model::tag::TagLimits;
use crate::rules::{Context, Defaults, RuleSet, Sharing, TagLists, Texts};
use crate::shared::HIGHEST_EPOCH;
use crate::yaml::units::{Size, Span};
use crate::yaml::{self, Spanned, shown};

/// What a configuration refers to besides itself.
pub trait Outside {
    /// The value of an environment variable.
    ///
    /// # Errors
    ///
    /// Says why there is none.
    fn variable(&self, name: &str) -> Result<String, String>;

    /// The text of a file.
    ///
    /// # Errors
    ///
    /// Says why it cannot be read.
    fn file(&self, path: &str) -> Result<String, String>;

    /// The text of a file that a rule names; a relative path is relative to the file `from`, which names it.
    ///
    /// # Errors
    ///
    /// Says why it cannot be read.
    fn beside(&self, from: &str, path: &str) -> Result<String, String>;

    /// The rule files of a folder that can be read, name and text, in name order, `None` if there is no such folder; and a
    /// mistake for each that cannot.
    fn rules(&self, folder: &str) -> (Option<Vec<(String, String)>>, Vec<Mistake>);
}

/// The folder of rules where none is named.
const RULES: &str = "./rules";
/// The app where none is named.
const APP: &str = "http://127.0.0.1:8000";
/// hyper's parser takes no smaller buffer.
const SMALLEST_HEAD: usize = 8 << 10;

/// Builds the configuration in `text`, called `file` in messages.
///
/// # Errors
///
/// Every mistake in it and in the rule files, in order.
pub fn compile(file: &str, text: &str, outside: &dyn Outside) -> Result<Config, Vec<Mistake>> {
    compile_with(file, text, outside, &Instead::default())
}

/// As [`compile`], for a process whose command line says `instead`; what it says is not in the configuration yet.
pub(super) fn compile_with(
    file: &str,
    text: &str,
    outside: &dyn Outside,
    instead: &Instead,
) -> Result<Config, Vec<Mistake>> {
    let reading = yaml::read::<source::Config>(file, text, &source::is_later);
    let mut compiler = Compiler {
        file: file.into(),
        tainted: !reading.mistakes.is_empty(),
        mistakes: reading.mistakes,
        warnings: Vec::new(),
        certificates: Vec::new(),
        outside,
        instead,
    };
    let config = reading.value.and_then(|written| compiler.config(written));
    match config {
        Some(config) if compiler.mistakes.is_empty() => {
            let mut warnings = compiler.warnings;
            warnings.sort();
            let certificates = compiler.certificates;
            Ok(Config {
                warnings,
                certificates,
                ..config
            })
        }
        Some(_) | None => {
            let Compiler {
                file, mut mistakes, ..
            } = compiler;
            // Its own in the order of the text, then those of the rule files as they come.
            mistakes.sort_by_key(|it| (it.file != file, it.place.filter(|_| it.file == file)));
            Err(mistakes)
        }
    }
}

struct Compiler<'o> {
    file: Arc<str>,
    mistakes: Vec<Mistake>,
    /// What is allowed and surely not meant.
    warnings: Vec<Mistake>,
    /// What clients are shown.
    certificates: Vec<Certificate>,
    /// A part of the file could not be read, so that what seems to be missing may only have been left out.
    tainted: bool,
    outside: &'o dyn Outside,
    /// What the command line says in place of the file.
    instead: &'o Instead,
}

/// What an address begins with that is no secret, where its scheme may be missing: nothing where it names a user, else all before its
/// query. (What follows a scheme is [`shown`]'s to leave out.)
fn public(text: &str) -> Cow<'_, str> {
    let secret = match text.find(['@', '?', '#']) {
        Some(_) if text.contains('@') => Some(0),
        first => first,
    };
    match secret.and_then(|at| text.get(..at)) {
        Some(public) if !text.contains("://") => format!("{public}…").into(),
        Some(_) | None => text.into(),
    }
}

impl Compiler<'_> {
    fn wrong(&mut self, place: Place, message: impl Into<String>) {
        let mistake = self.told(place, message);
        self.mistakes.push(mistake);
    }

    fn wrong_arguments(&mut self, message: String) {
        self.mistakes.push(of_arguments(message));
    }

    fn warn(&mut self, place: Place, message: impl Into<String>) {
        let warning = self.told(place, message);
        self.warnings.push(warning);
    }

    fn told(&self, place: Place, message: impl Into<String>) -> Mistake {
        Mistake {
            file: Arc::clone(&self.file),
            place: Some(place),
            message: message.into(),
        }
    }

    /// The configuration; `None` only where a mistake leaves nothing to put in a field's place.
    fn config(&mut self, written: source::Config) -> Option<Config> {
        let base = Config::default_for(APP.parse().ok()?);
        self.itself(&written, &base);
        let namespace = self.namespace(written.namespace, base.namespace);
        let limits = self.limits(&written.limits);
        let upstream = self.upstream(&written.upstream, base.upstream, limits.max_head);
        let listen = match written.listen {
            Some(listen) => self.listen(&listen),
            None => base.listen,
        };
        let admin = self.admin(&written.admin, &listen);
        let debug = self.debug(&written.headers.debug);
        let cache_status = written.headers.cache_status;
        let headers = self.headers(written.headers);
        let outside = self.outside;
        let beside = |from: &str, path: &str| outside.beside(from, path);
        let texts = Texts::new(&beside);
        let tags = self.tags(&written.tags);
        let sharing = Sharing {
            store: self.shared_store(&written.store.redis),
            consistency: tags.consistency,
        };
        let (defaults, mistakes) =
            Defaults::compile(&self.file, written.defaults, texts, sharing, self.tainted);
        self.mistakes.extend(mistakes);
        self.warnings.extend_from_slice(defaults.warnings());
        let (templates, mistakes) = TagLists::compile(&self.file, written.templates.0);
        self.mistakes.extend(mistakes);
        let context = Context {
            epoch: self.epoch(&written.epoch),
            unmatched: written.unmatched.unwrap_or_default(),
            defaults,
            templates,
            texts,
            sharing,
            ..Context::new(&namespace)
        };
        let rules = self.rules(written.rules, &context);
        Some(Config {
            rules: rules.unwrap_or_else(|| RuleSet::none(&context)),
            namespace,
            listen,
            admin,
            upstream,
            dialects: headers,
            cache_status: cache_status.unwrap_or(base.cache_status),
            debug,
            store: Store {
                max_bytes: bytes(written.store.memory.max_bytes, base.store.max_bytes),
                redis: self.redis(&written.store.redis),
            },
            tags,
            limits,
            increment_webhooks: self.webhooks(written.increment_webhooks),
            drain: written.drain.map_or(base.drain, |drain| drain.0),
            fast_path: written.fast_path.unwrap_or(base.fast_path),
            log: Log {
                format: written.log.format.unwrap_or(base.log.format),
                access: written.log.access.unwrap_or(base.log.access),
            },
            telemetry: self.telemetry(&written.telemetry),
            purge_groups: self.purge_groups(written.purge_groups),
            origin: None,
            warnings: Vec::new(), // they are not all there yet
            certificates: Vec::new(),
        })
    }

    fn parsed<T: FromStr<Err: Display>>(&mut self, text: &Spanned<String>) -> Option<T> {
        let result = text.parse();
        result
            .map_err(|error| {
                let found = shown(&public(text));
                self.wrong(text.place, format!("{error}, found {found}"));
            })
            .ok()
    }

    fn namespace(&mut self, written: Option<Spanned<String>>, default: String) -> String {
        const MOST: usize = 64;
        let Some(text) = written else { return default };
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        if text.is_empty() || text.len() > MOST || !text.chars().all(fits) {
            let found = shown(&text);
            self.wrong(
                text.place,
                format!(
                    "expected 1 to {MOST} letters, digits, `-`, `_`, `.` or `:`, found {found}"
                ),
            );
        }
        text.value
    }

    /// A time-out: zero would refuse everything.
    fn wait(&mut self, written: &Option<Spanned<Span>>, default: Duration) -> Duration {
        let Some(span) = written else { return default };
        if span.0.is_zero() {
            self.wrong(span.place, "expected a time longer than 0");
        }
        span.0
    }

    fn limits(&mut self, written: &source::Limits) -> Limits {
        let base = Limits::default();
        if let Some(size) = &written.max_head
            && size.0 < SMALLEST_HEAD
        {
            self.wrong(
                size.place,
                format!("expected `8KiB` at least, found {} bytes", size.0),
            );
        }
        Limits {
            max_object: bytes(written.max_object, base.max_object),
            tags: TagLimits {
                max_tags: written.max_tags.map_or(base.tags.max_tags, count),
                max_tag_bytes: bytes(written.max_tag_bytes, base.tags.max_tag_bytes),
            },
            max_variants: self.max_variants(&written.max_variants, base.max_variants),
            max_head: written
                .max_head
                .as_ref()
                .map_or(base.max_head, |size| size.0),
            client_header_timeout: self
                .wait(&written.client_header_timeout, base.client_header_timeout),
            client_body_timeout: self.wait(&written.client_body_timeout, base.client_body_timeout),
            client_idle_timeout: self.wait(&written.client_idle_timeout, base.client_idle_timeout),
        }
    }

    fn epoch(&mut self, written: &Option<Spanned<u64>>) -> u64 {
        let Some(number) = written else { return 1 };
        if number.value > HIGHEST_EPOCH {
            let found = number.value;
            self.wrong(
                number.place,
                format!("expected a number from 0 to {HIGHEST_EPOCH}, found {found}"),
            );
        }
        number.value
    }

    /// All of one key are looked through where one more comes.
    fn max_variants(&mut self, written: &Option<Spanned<u32>>, default: usize) -> usize {
        const MOST: u32 = 4_096;
        let Some(number) = written else {
            return default;
        };
        if !(1..=MOST).contains(&number.value) {
            let found = number.value;
            self.wrong(
                number.place,
                format!("expected a number from 1 to {MOST}, found {found}"),
            );
        }
        count(number.value)
    }

    fn rules(
        &mut self,
        written: Option<Spanned<String>>,
        context: &Context<'_>,
    ) -> Option<RuleSet> {
        let folder = written.as_ref().map_or(RULES, |folder| folder);
        let (files, unread) = self.outside.rules(folder);
        let all_read = unread.is_empty();
        self.mistakes.extend(unread);
        let Some(files) = files else {
            if let Some(folder) = &written
                && all_read
            {
                let found = shown(folder);
                self.wrong(
                    folder.place,
                    format!("expected a folder, found nothing at {found}"),
                );
            }
            return None;
        };
        RuleSet::compile(&files, context)
            .map_err(|mistakes| self.mistakes.extend(mistakes))
            .ok()
    }
}

fn count(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn bytes(written: Option<Size>, default: usize) -> usize {
    written.map_or(default, |size| size.0)
}
