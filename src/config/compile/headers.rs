//! The section `headers`: which fields are read, and who sees what.

use http::HeaderName;

use crate::config::compile::Compiler;
use crate::config::source::{self, HeaderItem};
use crate::dialects;
use crate::dialects::{Field, Groups, Separator};
use crate::model::mistake::Place;
use crate::model::secret::Secret;
use crate::proxy::DebugConfig;
use crate::yaml::{Spanned, shown};

/// What is wrong with a secret that anybody could present.
pub(in crate::config) const NO_SECRET: &str = "expected a secret, found an empty text";

impl Compiler<'_> {
    pub(super) fn debug(&mut self, written: &source::Debug) -> DebugConfig {
        let found = self.kept_elsewhere("secret", &written.secret_env, &written.secret_file);
        let secret = found.and_then(|(place, text)| {
            let secret = Secret::new(text.trim_end().as_bytes());
            if secret.is_none() {
                self.wrong(place, NO_SECRET);
            }
            secret
        });
        DebugConfig {
            enabled: written.enabled.unwrap_or(false),
            secret,
        }
    }

    /// The text of `<name>_env` or `<name>_file`, whichever is given, and where that stands.
    pub(super) fn kept_elsewhere(
        &mut self,
        name: &str,
        env: &Option<Spanned<String>>,
        file: &Option<Spanned<String>>,
    ) -> Option<(Place, String)> {
        let (place, text) = match (env, file) {
            (None, None) => return None,
            (Some(_), Some(file)) => {
                let message = format!("expected `{name}_env` or `{name}_file`, found both");
                self.wrong(file.place, message);
                return None;
            }
            (Some(variable), None) => (variable.place, self.variable(variable)),
            (None, Some(path)) => (path.place, self.outside.file(path)),
        };
        let text = text.map_err(|message| self.wrong(place, message));
        Some((place, text.ok()?))
    }

    pub(super) fn headers(&mut self, written: source::Headers) -> dialects::Config {
        let base = dialects::Config::default();
        dialects::Config {
            tags: self.tag_fields(written.tags, base.tags),
            increments: self.tag_fields(written.increments, base.increments),
            changes: self.names(written.changes, base.changes),
            vary: self.names(written.vary, base.vary),
            targeted: self.names(written.targeted, base.targeted),
            groups: match written.groups {
                Some(source::Groups::Shared) => Groups::Shared,
                Some(source::Groups::Origin) | None => Groups::Origin,
            },
            expose: written.expose.unwrap_or(base.expose),
        }
    }

    pub(super) fn tag_fields(
        &mut self,
        written: Option<Vec<Spanned<HeaderItem>>>,
        base: Vec<Field>,
    ) -> Vec<Field> {
        let Some(items) = written else { return base };
        let mut fields = Vec::new();
        for item in items {
            let (name, separator) = match item.value {
                HeaderItem::Name(name) => (name, None),
                HeaderItem::Separated(it) => (it.name, self.separator(item.place, &it.separator)),
            };
            let name = self.header(item.place, &name);
            fields.extend(name.map(|name| Field { name, separator }));
        }
        fields
    }

    pub(super) fn separator(&mut self, place: Place, text: &str) -> Option<Separator> {
        let mut chars = text.chars();
        let only = chars.next().filter(|_| chars.next().is_none());
        let separator = only.and_then(|c| Separator::try_from(c).ok());
        if separator.is_none() {
            let found = shown(text);
            let message =
                format!("expected one punctuation mark or a space as separator, found {found}");
            self.wrong(place, message);
        }
        separator
    }

    pub(super) fn names(
        &mut self,
        written: Option<Vec<Spanned<String>>>,
        base: Vec<HeaderName>,
    ) -> Vec<HeaderName> {
        let Some(names) = written else { return base };
        names
            .iter()
            .filter_map(|name| self.header(name.place, name))
            .collect()
    }

    pub(super) fn header(&mut self, place: Place, name: &str) -> Option<HeaderName> {
        let header = name.parse();
        if header.is_err() {
            let found = shown(name);
            self.wrong(
                place,
                format!("expected the name of a header, found {found}"),
            );
        }
        header.ok()
    }
}
