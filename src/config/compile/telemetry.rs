//! The section `telemetry`: who collects traces.

use http::HeaderMap;

use super::Compiler;
use crate::config::Telemetry;
use crate::config::source;
use crate::model::hook::{HookUrl, NotAHookUrl};
use crate::yaml::{Spanned, shown};

/// Where a collector takes spans (OTLP/HTTP), below what it is named by.
const PATH: &str = "/v1/traces";

const SERVICE_NAME: &str = "tagalong";

impl Compiler<'_> {
    pub(super) fn telemetry(&mut self, written: &source::Telemetry) -> Option<Telemetry> {
        let mut headers = HeaderMap::new();
        self.secret_fields(&written.header_env, &mut headers, Self::variable);
        self.secret_fields(&written.header_file, &mut headers, Self::content);
        let service_name = self.service_name(&written.service_name);
        let endpoint = written.otlp_endpoint.as_ref()?;
        Some(Telemetry {
            endpoint: self.collector(endpoint)?,
            headers,
            sample: written.sample.map_or(1.0, |it| it.0),
            service_name,
        })
    }

    /// Not shown where it is wrong: it may hold a secret.
    fn collector(&mut self, written: &Spanned<String>) -> Option<HookUrl> {
        let base = written.trim_end_matches('/');
        let url = match base.ends_with(PATH) {
            true => base.parse(),
            false => format!("{base}{PATH}").parse(),
        };
        let wrong = |why: NotAHookUrl| self.wrong(written.place, why.to_string());
        let url: HookUrl = url.map_err(wrong).ok()?;
        if url.target().query().is_some() {
            self.wrong(written.place, "expected a URL without a query (`?…`)");
        }
        Some(url)
    }

    fn service_name(&mut self, written: &Option<Spanned<String>>) -> String {
        let Some(name) = written else {
            return SERVICE_NAME.to_owned();
        };
        if name.trim().is_empty() {
            let found = shown(name);
            self.wrong(name.place, format!("expected a name, found {found}"));
        }
        name.value.clone()
    }
}
