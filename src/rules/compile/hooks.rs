//! What a rule says of telling others, as written to as told.

use std::sync::Arc;

use crate::model::hook::{Hook, Hooks, Level};
use crate::rules::compile::Compiler;
use crate::rules::source::{self, LogLevel, OrNone};
use crate::yaml::Spanned;

impl Compiler<'_> {
    pub(super) fn hooks(&mut self, written: &source::Hooks, base: &Hooks) -> Hooks {
        Hooks {
            on_hit: self.hook(&written.on_hit, &base.on_hit),
            on_miss: self.hook(&written.on_miss, &base.on_miss),
        }
    }

    fn hook(
        &mut self,
        written: &Option<Spanned<OrNone<source::Hook>>>,
        base: &Option<Arc<Hook>>,
    ) -> Option<Arc<Hook>> {
        let Some(written) = written else {
            return base.clone();
        };
        let OrNone::Some(hook) = &written.value else {
            return None;
        };
        if hook.webhook.is_none() && hook.log.is_none() && !self.tainted {
            let message = "expected `webhook`, `log` or both, found neither";
            self.wrong(written.place, message);
        }
        let webhook = hook.webhook.as_ref().and_then(|url| {
            let parsed = url.parse().map_err(|why| format!("{why}"));
            self.checked(url.place, parsed)
        });
        let log = hook.log.map(|level| match level {
            LogLevel::Debug => Level::Debug,
            LogLevel::Info => Level::Info,
            LogLevel::Warn => Level::Warn,
        });
        Some(Arc::new(Hook { webhook, log }))
    }
}
