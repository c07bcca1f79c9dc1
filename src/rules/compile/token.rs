//! What a rule says of tokens, as written to as used.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, header};

use crate::model::mistake::Place;
use crate::model::units;
use crate::rules::compile::Compiler;
use crate::rules::compile::headers::header_name;
use crate::rules::fields::Fields;
use crate::rules::source::{self, ClaimOn, TagItem};
use crate::rules::template::Template;
use crate::rules::terms::Authorization;
use crate::rules::token::{Carrier, Claim, Keys, Token, Verify};
use crate::yaml::{Spanned, shown};

const LEEWAY: Duration = Duration::from_secs(60);
/// What has expired is not for long what is valid.
const LONGEST_LEEWAY: Duration = Duration::from_secs(3_600);

const MOST_CLAIMS: usize = 16;
const LONGEST_NAME: usize = 200;

impl Compiler<'_> {
    /// The tokens and their claims; each token is verified once, however many claims of it are named.
    pub(super) fn tokens(&mut self, written: &[Spanned<ClaimOn>]) -> Arc<[Token]> {
        let mut tokens: Vec<(Option<&source::Verify>, Token)> = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for item in written {
            let claim = self.claim(&item.claim);
            if names.contains(&item.claim.as_str()) {
                let found = shown(&item.claim);
                self.wrong(item.claim.place, format!("{found} is named twice"));
                continue;
            }
            names.push(&item.claim);
            let from = self.from(item);
            let verify = item.verify.as_ref().map(|it| &it.value);
            if verify.is_none() && !self.tainted {
                let message = "a claim needs `verify: { jwks_file: … }`: without it anyone could write a token";
                self.wrong(item.place, message);
            }
            let (Some(claim), Some(from), Some(written)) = (claim, from, verify) else {
                continue;
            };
            let same = tokens.iter_mut().find(|(other, token)| {
                token.from == from && other.is_some_and(|other| is_same(other, written))
            });
            if let Some((_, token)) = same {
                token.claims.push(claim);
            } else if let Some(verify) = self.verify(written) {
                let verify = Arc::new(verify);
                let claims = vec![claim];
                let token = Token {
                    from,
                    verify,
                    claims,
                };
                tokens.push((Some(written), token));
            }
        }
        if let Some(one_more) = written.get(MOST_CLAIMS) {
            let message = format!("expected at most {MOST_CLAIMS} claims, found more");
            self.wrong(one_more.place, message);
        }
        tokens.into_iter().map(|(_, token)| token).collect()
    }

    /// A token in `Authorization` is never looked at where requests with that header pass by.
    pub(super) fn token_passed_by(&mut self, written: &source::Rule, fields: &Fields) {
        let Some(jwt) = &written.vary_on.jwt else {
            return;
        };
        let mut tokens = fields.tokens.iter();
        let header = Carrier::Header(header::AUTHORIZATION);
        if written.authorization == Some(Authorization::Bypass)
            && tokens.any(|token| token.from == header)
        {
            let message = "`authorization: bypass` sends requests with that header to the app, so their tokens would never be looked at: leave it out";
            self.wrong(jwt.place, message);
        }
    }

    fn claim(&mut self, name: &Spanned<String>) -> Option<Claim> {
        let odd = |c: char| c.is_control() || c == '{' || c == '}';
        let mut tildes = name.split('~').skip(1);
        let is_pointer = tildes.all(|rest| rest.starts_with(['0', '1']));
        let fits = !name.is_empty() && name.len() <= LONGEST_NAME && !name.contains(odd);
        if !fits || (name.starts_with('/') && !is_pointer) {
            let found = shown(name);
            let message = format!(
                "expected the name of a claim such as `sub`, or a JSON pointer such as `/realm/id`, found {found}"
            );
            self.wrong(name.place, message);
            return None;
        }
        Some(Claim::new(name))
    }

    fn from(&mut self, item: &Spanned<ClaimOn>) -> Option<Carrier> {
        match (&item.header, &item.cookie) {
            (Some(_), Some(cookie)) => {
                self.wrong(
                    cookie.place,
                    "a token is in a header or in a cookie: name one of them",
                );
                None
            }
            (None, Some(name)) => {
                let cookie = self.cookie(name)?;
                Some(Carrier::Cookie(cookie.name))
            }
            (None, None) => Some(Carrier::Header(header::AUTHORIZATION)),
            (Some(name), None) => {
                let found = self.checked(name.place, header_name(name))?;
                if [header::COOKIE, header::HOST].contains(&found) {
                    let found = shown(name);
                    let message = format!("expected a header that holds a token, found {found}");
                    self.wrong(name.place, message);
                    return None;
                }
                Some(Carrier::Header(found))
            }
        }
    }

    fn verify(&mut self, written: &source::Verify) -> Option<Verify> {
        let leeway = match &written.leeway {
            Some(span) if span.value.0 > LONGEST_LEEWAY => {
                let found = units::Written(span.value.0);
                let message = format!("expected a duration of at most `1h`, found `{found}`");
                self.wrong(span.place, message);
                LEEWAY
            }
            Some(span) => span.value.0,
            None => LEEWAY,
        };
        let file = &written.jwks_file;
        let text = self.texts.read(&self.file, file);
        let keys = text.and_then(|text| Keys::parse(&text));
        let named = keys.map_err(|message| format!("{}: {message}", shown(file)));
        Some(Verify {
            keys: self.checked(file.place, named)?,
            issuer: written.issuer.as_deref().map(Box::from),
            audience: written.audience.as_deref().map(Box::from),
            leeway,
        })
    }

    /// The key must hold what a template names of tokens: else nobody would have verified it.
    pub(super) fn claimed(
        &mut self,
        place: Place,
        text: &str,
        template: Result<&Template, &String>,
    ) {
        let Ok(template) = template else {
            return; // which is a mistake of its own
        };
        let named = template.claims().find(|name| !self.claims.names(name));
        if let Some(name) = named.filter(|_| !self.tainted) {
            let message = format!(
                "{}: name `{name}` in `vary_on.jwt` first: `{{jwt.{name}}}` is what a verified token says",
                shown(text)
            );
            self.wrong(place, message);
        }
    }

    /// A template that may name claims; `None` if it is wrong.
    pub(super) fn template(
        &mut self,
        place: Place,
        text: &str,
        template: Result<Template, String>,
    ) -> Option<Template> {
        self.claimed(place, text, template.as_ref());
        self.checked(place, template)
    }

    /// What `defaults` name of tokens must be in the key of a rule that names others in it.
    pub(super) fn claimed_by_defaults<'x>(
        &mut self,
        written: &source::Rule,
        templates: impl Iterator<Item = &'x Template>,
    ) {
        let Some(own) = &written.vary_on.jwt else {
            return;
        };
        let by_rule = written.group.iter().map(|it| &it.value);
        let by_rule = by_rule.chain(written.tags.iter().flatten().filter_map(
            |it| match &it.value {
                TagItem::Template(text) => Some(text),
                TagItem::Constant(_) => None,
            },
        ));
        let by_rule: Vec<&String> = by_rule.collect();
        let inherited = templates.filter(|it| by_rule.iter().all(|text| **text != it.as_str()));
        let named = inherited.flat_map(|it| it.claims());
        let missing: Vec<_> = named.filter(|name| !self.claims.names(name)).collect();
        if let Some(name) = missing.first().filter(|_| !self.tainted) {
            let message = format!(
                "`defaults` make a tag or the group of `{{jwt.{name}}}`: name `{name}` here, too"
            );
            self.wrong(own.place, message);
        }
    }
}

/// The claims that the key of the rule at hand holds.
#[derive(Debug, Default)]
pub(super) struct Named(Vec<Box<str>>);

impl Named {
    pub(super) fn of(written: &source::Rule, fields: &Fields) -> Named {
        // One that could not be compiled has its own mistake.
        let here = written.vary_on.jwt.iter().flat_map(|it| &it.value);
        let here = here.map(|it| it.claim.as_str().into());
        let tokens = fields.tokens.iter();
        let compiled = tokens.flat_map(|it| it.claims.iter().map(|claim| claim.name.clone()));
        Named(here.chain(compiled).collect())
    }

    fn names(&self, claim: &str) -> bool {
        self.0.iter().any(|name| **name == *claim)
    }
}

fn is_same(one: &source::Verify, other: &source::Verify) -> bool {
    let leeway = |it: &source::Verify| it.leeway.as_ref().map(|span| span.value.0);
    *one.jwks_file == *other.jwks_file
        && one.issuer == other.issuer
        && one.audience == other.audience
        && leeway(one) == leeway(other)
}

/// The headers with a token.
pub(super) fn claimed_headers(fields: &Fields) -> Arc<[HeaderName]> {
    let tokens = fields.tokens.iter();
    let headers = tokens.filter_map(|token| match &token.from {
        Carrier::Header(name) => Some(name.clone()),
        Carrier::Cookie(_) => None,
    });
    headers.collect()
}
