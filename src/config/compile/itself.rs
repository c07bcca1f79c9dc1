//! Nobody is their own app: each request would come back until something runs out. What can be told without asking for the
//! address of a name is told here; of names only `localhost` is known.

use std::net::SocketAddr;

use crate::config::Config;
use crate::config::Listen;
use crate::config::Target;
use crate::config::compile::Compiler;
use crate::config::compile::admin;
use crate::config::source;
use crate::config::source::ListenItem;
use crate::model::mistake::Place;
use crate::yaml::shown;

/// What is said where one of both is only as always.
const UNLESS: &str = ", unless the command line says otherwise";

/// Where we are reached.
struct Own {
    listen: Listen,
    /// The field or option that says so.
    by: &'static str,
    /// Nothing says so: it is as always.
    by_default: bool,
    /// Where that stands; `None`: in no file.
    place: Option<Place>,
}

impl Own {
    fn is_at(&self, target: &Target) -> bool {
        match &self.listen {
            Listen::Tcp(address) | Listen::Tls(address, _) => target.leads_to(*address),
            Listen::Unix(path) => target.is_socket(path),
        }
    }

    /// `default`: what is to be said of an address that nobody has given.
    fn is_the_app(&self, target: &Target, default: &str) -> String {
        let (target, by) = (shown(&target.to_string()), self.by);
        format!(
            "the app's address {target}{default} is where this sidecar listens itself, by `{by}`"
        )
    }
}

impl Compiler<'_> {
    /// `base`: what holds where nothing is written.
    pub(super) fn itself(&mut self, written: &source::Config, base: &Config) {
        let mut own = self.clients(written, &base.listen);
        own.extend(self.operators(written));
        let at = |target: &Target| own.iter().find(|own| own.is_at(target));
        if let Some(target) = &self.instead.upstream {
            if let Some(own) = at(target) {
                self.wrong_arguments(own.is_the_app(target, ""));
            }
            return;
        }
        let source::Upstream { url, urls, .. } = &written.upstream;
        let urls = urls.iter().flat_map(|urls| &urls.value);
        for url in url.iter().chain(urls) {
            if let Ok(target) = url.parse::<Target>()
                && let Some(own) = at(&target)
            {
                let message = own.is_the_app(&target, "");
                match own.by_default && !self.instead.complete {
                    true => self.warn(url.place, format!("{message}{UNLESS}")),
                    false => self.wrong(url.place, message),
                }
            }
        }
        if written.upstream.url.is_some() || written.upstream.urls.is_some() || self.tainted {
            return;
        }
        for target in base.upstream.targets.iter() {
            if let Some(own) = at(target) {
                let message = own.is_the_app(target, ", which holds where none is given,");
                match own.place {
                    Some(place) if self.instead.complete => self.wrong(place, message),
                    Some(place) => self.warn(place, format!("{message}{UNLESS}")),
                    None => self.wrong_arguments(message),
                }
            }
        }
    }

    fn clients(&self, written: &source::Config, default: &[Listen]) -> Vec<Own> {
        let nowhere = |by, by_default| {
            move |listen: &Listen| Own {
                listen: listen.clone(),
                by,
                by_default,
                place: None,
            }
        };
        let instead = &self.instead.listen;
        if !instead.is_empty() {
            return instead.iter().map(nowhere("--listen", false)).collect();
        }
        let Some(items) = &written.listen else {
            // Where something cannot be read, it may be just this.
            let default = if self.tainted { &[] } else { default };
            return default.iter().map(nowhere("listen", true)).collect();
        };
        let own = items.iter().filter_map(|item| {
            let (text, place) = match &item.value {
                ListenItem::Plain(text) => (text, item.place),
                ListenItem::Tls(it) => (&it.addr.value, it.addr.place),
            };
            Some(Own {
                listen: text.parse().ok()?,
                by: "listen",
                by_default: false,
                place: Some(place),
            })
        });
        own.collect()
    }

    fn operators(&self, written: &source::Config) -> Option<Own> {
        if let Some(address) = self.instead.admin_listen {
            return Some(Own {
                listen: Listen::Tcp(address),
                by: "--admin-listen",
                by_default: false,
                place: None,
            });
        }
        let listen = written.admin.as_ref()?.listen.as_ref();
        let address = match listen {
            Some(text) => text.parse::<SocketAddr>().ok()?,
            None if self.tainted => return None,
            None => admin::LISTEN,
        };
        Some(Own {
            listen: Listen::Tcp(address),
            by: "admin.listen",
            by_default: listen.is_none(),
            place: listen.map(|text| text.place),
        })
    }
}
