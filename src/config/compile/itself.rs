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

/// Where we are reached.
struct Own {
    listen: Listen,
    /// The field or option that says so.
    by: &'static str,
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
                self.wrong(url.place, own.is_the_app(&target, ""));
            }
        }
        if written.upstream.url.is_some() || written.upstream.urls.is_some() || self.tainted {
            return;
        }
        for target in base.upstream.targets.iter() {
            if let Some(own) = at(target) {
                let message = own.is_the_app(target, ", which holds where none is given,");
                match own.place {
                    Some(place) => self.wrong(place, message),
                    None => self.wrong_arguments(message),
                }
            }
        }
    }

    fn clients(&self, written: &source::Config, default: &[Listen]) -> Vec<Own> {
        let nowhere = |by| {
            move |listen: &Listen| Own {
                listen: listen.clone(),
                by,
                place: None,
            }
        };
        if !self.instead.listen.is_empty() {
            return self
                .instead
                .listen
                .iter()
                .map(nowhere("--listen"))
                .collect();
        }
        let Some(items) = &written.listen else {
            return default.iter().map(nowhere("listen")).collect();
        };
        let own = items.iter().filter_map(|item| {
            let (text, place) = match &item.value {
                ListenItem::Plain(text) => (text, item.place),
                ListenItem::Tls(it) => (&it.addr.value, it.addr.place),
            };
            Some(Own {
                listen: text.parse().ok()?,
                by: "listen",
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
                place: None,
            });
        }
        let listen = written.admin.as_ref()?.listen.as_ref();
        let address = match listen {
            Some(text) => text.parse::<SocketAddr>().ok()?,
            None => admin::LISTEN,
        };
        Some(Own {
            listen: Listen::Tcp(address),
            by: "admin.listen",
            place: listen.map(|text| text.place),
        })
    }
}
