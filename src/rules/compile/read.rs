//! Reads that come with a body: what the key holds of it, and what goes with that.

use http::Method;

use crate::rules::Rule;
use crate::rules::compile::Compiler;
use crate::rules::pointer::Pointer;
use crate::rules::read::{BodyFields, MOST_OF_BODY};
use crate::rules::source;
use crate::yaml::Spanned;

const MAX: usize = 64 << 10;
/// Each is looked for in every body.
const MOST_POINTERS: usize = 16;

impl Compiler<'_> {
    /// What the key holds of bodies.
    pub(super) fn body(&mut self, written: &source::Rule) -> Option<BodyFields> {
        let body = written.vary_on.body.as_ref()?;
        let pointers = body.json.iter().flat_map(|json| &json.value);
        let json = pointers.filter_map(|text| {
            let pointer = self.checked(text.place, Pointer::parse(text, false))?;
            Some((pointer, format!("body.{}", text.value).into()))
        });
        let json = json.collect();
        if let Some(json) = &body.json {
            self.some("a place", json);
            if let Some(one_more) = json.get(MOST_POINTERS) {
                let message = format!("expected at most {MOST_POINTERS} places, found more");
                self.wrong(one_more.place, message);
            }
        }
        let max = body.max.as_ref();
        if let Some(max) = max.filter(|max| !(1..=MOST_OF_BODY).contains(&max.value.0)) {
            self.wrong(
                max.place,
                "expected a size of at least 1 and at most `1MiB`",
            );
        }
        Some(BodyFields {
            json,
            max: max.map_or(MAX, |max| max.value.0),
        })
    }

    /// What goes with a body in the key, and with requests that change nothing.
    pub(super) fn reads(&mut self, written: &Spanned<source::Rule>, rule: &Rule) {
        if self.tainted {
            return;
        }
        let has_body = |method: &&Method| !matches!(**method, Method::GET | Method::HEAD);
        let with_body = rule.pattern.methods.iter().find(has_body);
        if let Some(body) = &written.vary_on.body {
            if !rule.safe {
                let message = "a body in the key needs `safe: true`: a request that changes something must reach the app";
                self.wrong(body.place, message);
            }
            if with_body.is_none() {
                let message =
                    "requests of this rule have no body: say `match: { methods: [POST] }`";
                self.wrong(body.place, message);
            }
            if rule.refill.refreshes() {
                let message = "`refresh` and `refresh_ahead` fetch again without a request, and bodies of requests are not kept";
                self.wrong(body.place, message);
            }
        }
        if let Some(safe) = &written.safe
            && safe.value
            && !(written.increments.is_empty() && written.changes.is_empty())
        {
            let message = "`safe: true` says that requests of this rule change nothing, but it declares `increments` or `changes`";
            self.wrong(safe.place, message);
        }
    }
}
