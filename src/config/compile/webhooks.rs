//! The field `increment_webhooks`: who is told of increments.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::Compiler;
use super::count;
use super::headers::NO_SECRET;
use crate::config::source;
use crate::config::source::Named;
use crate::hooks::Webhook;
use crate::yaml::{Spanned, shown};

const BATCH: Duration = Duration::from_secs(1);

/// What the common CDNs take in one call.
const MAX: usize = 30;

/// What the call itself says: how long it is, what it is, and to whom.
const OURS: [HeaderName; 9] = [
    header::HOST,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
];

impl Compiler<'_> {
    pub(super) fn webhooks(&mut self, written: Vec<Spanned<source::Webhook>>) -> Vec<Webhook> {
        let webhooks = written.iter().filter_map(|it| self.webhook(it));
        webhooks.collect()
    }

    fn webhook(&mut self, written: &source::Webhook) -> Option<Webhook> {
        let url = written.url.parse();
        // Not what was found: it may hold a secret.
        let url = url.map_err(|why: crate::model::hook::NotAHookUrl| {
            self.wrong(written.url.place, why.to_string());
        });
        if let Some(max) = &written.max
            && max.value == 0
        {
            self.wrong(max.place, "expected 1 tag at least, found 0");
        }
        let mut headers = HeaderMap::new();
        self.secret_fields(&written.header_env, &mut headers, Self::variable);
        self.secret_fields(&written.header_file, &mut headers, Self::content);
        Some(Webhook {
            url: url.ok()?,
            batch: written.batch.map_or(BATCH, |it| it.0),
            max: written.max.as_ref().map_or(MAX, |it| count(it.value)),
            headers,
        })
    }

    /// The value of an environment variable. What can be the name of none is not shown: it may be the secret itself.
    pub(super) fn variable(&self, name: &str) -> Result<String, String> {
        let odd = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || name.contains(odd) {
            return Err("expected the name of an environment variable, made of letters, digits and `_`; the value stands in the variable".to_owned());
        }
        self.outside.variable(name)
    }

    pub(super) fn content(&self, path: &str) -> Result<String, String> {
        self.outside.file(path)
    }

    /// Fields whose values are kept elsewhere, `read` from there.
    pub(super) fn secret_fields(
        &mut self,
        written: &Named<String>,
        headers: &mut HeaderMap,
        read: impl Fn(&Self, &str) -> Result<String, String>,
    ) {
        for (name, from) in &written.0 {
            let value = read(self, from).and_then(|text| field_value(&text));
            let value = value.map_err(|message| self.wrong(from.place, message));
            let Some(field) = self.header(name.place, name) else {
                continue;
            };
            if OURS.contains(&field) {
                let found = shown(name);
                let message =
                    format!("expected a header that a call does not have anyway, found {found}");
                self.wrong(name.place, message);
            } else if headers.contains_key(&field) {
                self.wrong(name.place, format!("{} is given twice", shown(name)));
            } else if let Ok(value) = value {
                headers.insert(field, value);
            }
        }
    }
}

/// A secret as the value of a header, never shown.
fn field_value(text: &str) -> Result<HeaderValue, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(NO_SECRET.to_owned());
    }
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| "expected the value of a header, found control characters".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
