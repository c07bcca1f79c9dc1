//! The `upstream` section: where the app is and how it is reached.

use http::uri::PathAndQuery;

use super::Compiler;
use super::count;
use crate::config::source;
use crate::upstream;
use crate::upstream::Health;
use crate::upstream::Target;
use crate::upstream::Targets;
use crate::yaml::{Spanned, shown};

const MOST_RETRIES: u32 = 10;

impl Compiler<'_> {
    pub(super) fn upstream(
        &mut self,
        written: &source::Upstream,
        base: upstream::Config,
        max_head: usize,
    ) -> upstream::Config {
        if let Some(retries) = &written.retries
            && retries.value > MOST_RETRIES
        {
            let found = retries.value;
            self.wrong(
                retries.place,
                format!("expected at most {MOST_RETRIES} retries, found {found}"),
            );
        }
        upstream::Config {
            targets: self.targets(written).unwrap_or(base.targets),
            health: written.health.as_ref().map(|health| self.health(health)),
            connect_timeout: self.wait(&written.connect_timeout, base.connect_timeout),
            read_timeout: self.wait(&written.read_timeout, base.read_timeout),
            retries: written.retries.as_ref().map_or(base.retries, |it| it.value),
            max_head,
            max_concurrent: self.max_concurrent(written, base.max_concurrent),
            queue: written.queue.map_or(base.queue, count),
            queue_timeout: self.wait(&written.queue_timeout, base.queue_timeout),
        }
    }

    fn max_concurrent(&mut self, written: &source::Upstream, default: usize) -> usize {
        let Some(most) = &written.max_concurrent else {
            return default;
        };
        if most.value == 0 {
            self.wrong(most.place, "expected 1 exchange at least, found 0");
        }
        count(most.value)
    }

    /// `None` where none is named, or none that can be used.
    fn targets(&mut self, written: &source::Upstream) -> Option<Targets> {
        let url = written.url.as_ref();
        let alone = url.and_then(|url| self.parsed::<Target>(url));
        let Some(urls) = &written.urls else {
            return alone.map(Targets::from);
        };
        if url.is_some() {
            self.wrong(urls.place, "expected `url` or `urls`, found both");
        }
        if urls.is_empty() {
            self.wrong(
                urls.place,
                "expected an address at least, found an empty list",
            );
        }
        let mut targets: Option<Targets> = None;
        for url in &urls.value {
            let Some(target) = self.parsed::<Target>(url) else {
                continue;
            };
            let added = match &mut targets {
                Some(targets) => targets.add(target),
                None => {
                    targets = Some(target.into());
                    Ok(())
                }
            };
            if let Err(why) = added {
                self.wrong(url.place, format!("{why}, found {}", shown(url)));
            }
        }
        targets
    }

    fn health(&mut self, written: &source::Health) -> Health {
        let base = Health::default();
        Health {
            path: written.path.as_ref().and_then(|path| self.path(path)),
            interval: self.wait(&written.interval, base.interval),
        }
    }

    fn path(&mut self, text: &Spanned<String>) -> Option<PathAndQuery> {
        let plain = text.chars().all(|c| c.is_ascii_graphic() && c != '#');
        let path = if text.starts_with('/') && plain {
            text.parse().ok()
        } else {
            None
        };
        if path.is_none() {
            let found = shown(text);
            self.wrong(
                text.place,
                format!("expected a path such as `/health`, found {found}"),
            );
        }
        path
    }
}
