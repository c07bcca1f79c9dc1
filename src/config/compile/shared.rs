//! The sections `store.redis` and `tags`: where the shared store is, and when what others say there counts.

use std::time::Duration;

use super::Compiler;
use super::count;
use crate::config::source;
use crate::config::{Redis, Tags};
use crate::model::mistake::Place;
use crate::model::units;
use crate::rules::SharedStore;
use crate::shared;
use crate::shared::{Authorities, Endpoint, Topology};
use crate::yaml::{Spanned, shown};

const TIMEOUT: Duration = Duration::from_millis(50);
/// What is heard of the log with every beat takes its time to come.
const SHORTEST_LAG: Duration = Duration::from_millis(100);

impl Compiler<'_> {
    /// `None` where there is none, or a mistake leaves nothing of it.
    pub(super) fn redis(&mut self, written: &Option<Spanned<source::Redis>>) -> Option<Redis> {
        let written = written.as_ref()?;
        let timeout = self.wait(&written.timeout, TIMEOUT);
        let authorities = written.ca_file.as_ref();
        let authorities = authorities.and_then(|path| self.authorities(path));
        let mut endpoint = self.endpoint(written)?;
        if let Some(path) = &written.ca_file {
            match &mut endpoint.tls {
                Some(tls) => tls.ca = authorities,
                None => self.wrong(
                    path.place,
                    "`ca_file` is for TLS, which this URL does not ask for: expected `rediss://` there",
                ),
            }
        }
        Some(Redis {
            shared: shared::Config { endpoint, timeout },
            bodies: has_bodies(written),
            compress: written.compress.unwrap_or_default(),
        })
    }

    /// What rules may rely on. Where it could not be read, everything: it is not they who are wrong.
    pub(super) fn shared_store(&self, written: &Option<Spanned<source::Redis>>) -> SharedStore {
        match written {
            Some(redis) if has_bodies(redis) => SharedStore::Bodies,
            Some(_) => SharedStore::Tags,
            None if self.tainted => SharedStore::Bodies,
            None => SharedStore::None,
        }
    }

    fn endpoint(&mut self, written: &Spanned<source::Redis>) -> Option<Endpoint> {
        let all = [&written.url, &written.url_env, &written.url_file];
        let mut given = all.into_iter().flatten();
        if given.next().is_none() && !self.tainted {
            self.wrong(written.place, "expected `url`, `url_env` or `url_file`");
        }
        if let Some(more) = given.next() {
            let message = "expected one of `url`, `url_env` and `url_file`, found several";
            self.wrong(more.place, message);
            return None;
        }
        let (place, text) = match (&written.url, &written.url_env, &written.url_file) {
            (Some(url), _, _) => (url.place, Ok(url.value.clone())),
            (None, Some(name), _) => (name.place, self.variable(name)),
            (None, None, Some(path)) => (path.place, self.outside.file(path)),
            (None, None, None) => return None,
        };
        // Not what was found: there may be a password in it.
        let endpoint = text.and_then(|text| {
            let endpoint = text.trim().parse::<Endpoint>();
            endpoint.map_err(|why| why.to_string())
        });
        let endpoint = self.noted(place, endpoint)?;
        if let Some(url) = &written.url
            && has_password(&endpoint)
        {
            let message = "there is a password in this URL: keep it out of the file, and say by `url_env` or `url_file` where the URL stands";
            self.warn(url.place, message);
        }
        Some(endpoint)
    }

    fn authorities(&mut self, path: &Spanned<String>) -> Option<Authorities> {
        let read = self.outside.file(path).and_then(|text| {
            let read = text.parse::<Authorities>();
            read.map_err(|why| format!("{why}, in {}", shown(path)))
        });
        self.noted(path.place, read)
    }

    /// The value, or the mistake noted.
    fn noted<T>(&mut self, place: Place, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.wrong(place, message)).ok()
    }

    pub(super) fn tags(&mut self, written: &source::Tags) -> Tags {
        let base = Tags::default();
        let lag = written.max_lag.as_ref();
        if let Some(lag) = lag.filter(|lag| lag.0 < SHORTEST_LAG) {
            let found = units::Written(lag.0);
            let message = format!("expected a duration of at least `100ms`, found `{found}`");
            self.wrong(lag.place, message);
        }
        let max = written.outbox.max.as_ref();
        if let Some(max) = max.filter(|max| max.value == 0) {
            self.wrong(max.place, "expected 1 tag at least, found 0");
        }
        Tags {
            consistency: written.consistency.unwrap_or(base.consistency),
            max_lag: lag.map_or(base.max_lag, |lag| lag.0),
            outbox_max: max.map_or(base.outbox_max, |max| count(max.value)),
        }
    }
}

fn has_bodies(written: &source::Redis) -> bool {
    written.bodies.unwrap_or(true)
}

/// Whether it names a password of servers or sentinels.
fn has_password(endpoint: &Endpoint) -> bool {
    let of_sentinels = match &endpoint.topology {
        Topology::Sentinel { password, .. } => password.is_some(),
        Topology::Single(_) | Topology::Cluster(_) => false,
    };
    endpoint.password.is_some() || of_sentinels
}
