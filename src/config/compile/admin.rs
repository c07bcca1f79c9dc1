//! The section `admin`: where operators reach us, and by which tokens.

use std::net::{Ipv4Addr, SocketAddr};

use crate::admin;
use crate::admin::Token;
use crate::config::Listen;
use crate::config::compile::Compiler;
use crate::config::source;
use crate::model::mistake::Place;
use crate::model::secret::Secret;
use crate::yaml::{Spanned, shown};

use super::headers::NO_SECRET;

/// Where it is if the file does not say.
pub(in crate::config) const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9080);

/// What is wrong with a token that no header field can hold. It is never shown, not even where it is wrong.
pub(in crate::config) const UNFIT: &str =
    "expected a token of letters, digits and punctuation marks of ASCII, found other characters";

/// Whether a header field can hold this token.
pub(in crate::config) fn is_fit(token: &[u8]) -> bool {
    token.iter().all(u8::is_ascii_graphic)
}

/// Whether clients reach us there.
pub(in crate::config) fn is_taken(address: SocketAddr, clients: &[Listen]) -> bool {
    clients.iter().any(|it| match it {
        Listen::Tcp(other) | Listen::Tls(other, _) => *other == address,
        Listen::Unix(_) => false,
    })
}

impl Compiler<'_> {
    /// `clients`: where they reach us.
    pub(super) fn admin(
        &mut self,
        written: &Option<source::Admin>,
        clients: &[Listen],
    ) -> Option<admin::Config> {
        let written = written.as_ref()?;
        let mistakes = self.mistakes.len();
        let tokens = self.tokens(written);
        let tokens_are_wrong = self.mistakes.len() > mistakes;
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
            if listen.port() != 0 && is_taken(listen, clients) {
                let message = format!("{} is given twice: clients reach us there", shown(text));
                self.wrong(text.place, message);
            }
        }
        let config = admin::Config { listen, tokens };
        if let Some(text) = &written.listen
            && !config.is_local()
            && config.tokens.is_empty()
            && !tokens_are_wrong
        {
            let found = shown(text);
            let message = format!(
                "expected `token_env`, `token_file` or `tokens` beside an address that other machines reach, or a loopback address such as `{LISTEN}`, found {found} alone"
            );
            self.wrong(text.place, message);
        }
        Some(config)
    }

    fn tokens(&mut self, written: &source::Admin) -> Vec<Token> {
        let mut tokens: Vec<Token> = Vec::new();
        if let Some((_, secret)) = self.token(&written.token_env, &written.token_file) {
            tokens.push(Token::new(Token::FIRST, secret));
        }
        for it in &written.tokens {
            let name = &it.name;
            self.token_name(name, &tokens);
            let Some((place, secret)) = self.token(&it.token_env, &it.token_file) else {
                if it.token_env.is_none() && it.token_file.is_none() {
                    let message = "expected `token_env` or `token_file` beside the name of a token";
                    self.wrong(name.place, message);
                }
                continue;
            };
            // Nobody could say who has called.
            if let Some(other) = tokens.iter().find(|other| other.secret == secret) {
                let message = format!(
                    "expected a token of its own, found that of `{}`",
                    other.name
                );
                self.wrong(place, message);
            }
            tokens.push(Token::new(name, secret));
        }
        tokens
    }

    fn token_name(&mut self, name: &Spanned<String>, before: &[Token]) {
        const MOST: usize = 100;
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let found = shown(name);
        if name.is_empty() || name.len() > MOST || !name.chars().all(fits) {
            self.wrong(
                name.place,
                format!("expected 1 to {MOST} letters, digits, `_`, `-` or `.` as the name of a token, found {found}"),
            );
        } else if [Token::FIRST, Token::NONE].contains(&name.as_str()) {
            let message = format!("expected another name of a token: {found} is taken");
            self.wrong(name.place, message);
        } else if before.iter().any(|token| *token.name == *name.value) {
            self.wrong(name.place, format!("{found} is given twice"));
        }
    }

    fn token(
        &mut self,
        env: &Option<Spanned<String>>,
        file: &Option<Spanned<String>>,
    ) -> Option<(Place, Secret)> {
        let (place, text) = self.kept_elsewhere("token", env, file)?;
        let text = text.trim_end();
        let token = Secret::new(text.as_bytes());
        if token.is_none() {
            self.wrong(place, NO_SECRET);
        } else if !is_fit(text.as_bytes()) {
            self.wrong(place, UNFIT);
        }
        Some((place, token?))
    }
}
