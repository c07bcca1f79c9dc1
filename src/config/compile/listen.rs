//! The field `listen`: where clients reach us, and the certificates they are shown.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use crate::config::Certificate;
use crate::config::Listen;
use crate::config::compile::Compiler;
use crate::config::source;
use crate::config::source::ListenItem;
use crate::model::mistake::Location;
use crate::proxy::Certificates;
use crate::proxy::PrivateKey;
use crate::proxy::Tls;
use crate::yaml::{Spanned, shown};

impl Compiler<'_> {
    pub(super) fn listen(&mut self, written: &Spanned<Vec<Spanned<ListenItem>>>) -> Vec<Listen> {
        if written.is_empty() {
            self.wrong(
                written.place,
                "expected an address at least, found an empty list",
            );
        }
        let mut listen = Vec::new();
        let mut taken = Vec::new();
        for item in &written.value {
            let (text, tls) = match &item.value {
                ListenItem::Plain(text) => {
                    let (value, place) = (text.clone(), item.place);
                    (Spanned { value, place }, None)
                }
                ListenItem::Tls(it) => (it.addr.clone(), Some(self.tls(&it.tls))),
            };
            let Some(place) = self.parsed::<Listen>(&text) else {
                continue;
            };
            let any_port = matches!(&place, Listen::Tcp(address) if address.port() == 0);
            let name = place.to_string();
            if !any_port && taken.contains(&name) {
                self.wrong(text.place, format!("{} is given twice", shown(&text)));
            }
            taken.push(name);
            match (place, tls) {
                (place, None) => listen.push(place),
                (Listen::Tcp(address), Some(tls)) => {
                    listen.extend(tls.map(|tls| Listen::Tls(address, tls)));
                }
                (Listen::Unix(_) | Listen::Tls(..), Some(_)) => {
                    let found = shown(&text);
                    let message = format!("TLS needs an address and a port, found {found}");
                    self.wrong(text.place, message);
                }
            }
        }
        listen
    }

    fn tls(&mut self, written: &source::Tls) -> Option<Tls> {
        let certificates = self.pem::<Certificates>(&written.cert_file);
        let key = self.pem::<PrivateKey>(&written.key_file);
        if let Some(life) = certificates.as_ref().and_then(Certificates::life) {
            self.certificates.push(Certificate {
                at: Location {
                    file: Arc::clone(&self.file),
                    place: written.cert_file.place,
                },
                path: written.cert_file.value.clone(),
                life,
            });
        }
        let tls = Tls::new(certificates?, key?);
        tls.map_err(|error| self.wrong_pem(&written.key_file, error))
            .ok()
    }

    fn pem<T: FromStr<Err: Display>>(&mut self, path: &Spanned<String>) -> Option<T> {
        match self.outside.file(path) {
            Ok(text) => {
                let read = text.parse();
                read.map_err(|error| self.wrong_pem(path, error)).ok()
            }
            Err(message) => {
                self.wrong(path.place, message);
                None
            }
        }
    }

    fn wrong_pem(&mut self, path: &Spanned<String>, error: impl Display) {
        let message = format!("{error} in {}", shown(path));
        self.wrong(path.place, message);
    }
}
