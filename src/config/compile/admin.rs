//! The section `admin`: where operators reach us, and by which token.

use std::net::{Ipv4Addr, SocketAddr};

use crate::admin;
use crate::config::Listen;
use crate::config::compile::Compiler;
use crate::config::source;
use crate::model::secret::Secret;
use crate::yaml::shown;

use super::headers::NO_SECRET;

/// Where it is if the file does not say.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9080);

impl Compiler<'_> {
    /// `clients`: where they reach us.
    pub(super) fn admin(
        &mut self,
        written: &Option<source::Admin>,
        clients: &[Listen],
    ) -> Option<admin::Config> {
        let written = written.as_ref()?;
        let mistakes = self.mistakes.len();
        let token = self.token(written);
        let token_is_wrong = self.mistakes.len() > mistakes;
        let mut listen = LISTEN;
        if let Some(text) = &written.listen {
            let Ok(address) = text.parse() else {
                let found = shown(text);
                let message =
                    format!("expected an address and a port such as `{LISTEN}`, found {found}");
                self.wrong(text.place, message);
                return None;
            };
            listen = address;
            let taken = clients.iter().any(|it| match it {
                Listen::Tcp(other) | Listen::Tls(other, _) => *other == listen,
                Listen::Unix(_) => false,
            });
            if taken && listen.port() != 0 {
                let message = format!("{} is given twice: clients reach us there", shown(text));
                self.wrong(text.place, message);
            }
        }
        let config = admin::Config { listen, token };
        if let Some(text) = &written.listen
            && !config.is_local()
            && config.token.is_none()
            && !token_is_wrong
        {
            let found = shown(text);
            let message = format!(
                "expected `token_env` or `token_file` beside an address that other machines reach, or a loopback address such as `{LISTEN}`, found {found} alone"
            );
            self.wrong(text.place, message);
        }
        Some(config)
    }

    fn token(&mut self, written: &source::Admin) -> Option<Secret> {
        let (place, text) =
            self.kept_elsewhere("token", &written.token_env, &written.token_file)?;
        let text = text.trim_end();
        let token = Secret::new(text.as_bytes());
        if token.is_none() {
            self.wrong(place, NO_SECRET);
        } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            // It is never shown, not even where it is wrong.
            let message = "expected a token of letters, digits and punctuation marks of ASCII, found other characters";
            self.wrong(place, message);
        }
        token
    }
}
