//! The addresses of one app: one at least, all different, all spoken to in the same way.

use std::fmt;
use std::iter;

use thiserror::Error;

use super::target::{Protocol, Target};

/// Where an app is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    first: Target,
    others: Vec<Target>,
}

/// Why an address does not go with the others.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotTogether {
    /// A request is put into the words of a protocol before it is known which address it goes to. `unix` is a scheme of its
    /// own.
    #[error("expected the scheme of the first address, `{0}`")]
    Scheme(&'static str),
    /// It would get twice its share, and be asked twice where it fails.
    #[error("expected an address that is not given before")]
    Twice,
}

impl Targets {
    /// One more address.
    ///
    /// # Errors
    ///
    /// See [`NotTogether`]; the addresses stay as they were.
    pub fn add(&mut self, target: Target) -> Result<(), NotTogether> {
        if target.scheme() != self.first.scheme() {
            return Err(NotTogether::Scheme(self.first.scheme()));
        }
        if self.iter().any(|given| *given == target) {
            return Err(NotTogether::Twice);
        }
        self.others.push(target);
        Ok(())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Target> {
        iter::once(&self.first).chain(&self.others)
    }

    pub(super) fn are_several(&self) -> bool {
        !self.others.is_empty()
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.first.protocol()
    }
}

impl From<Target> for Targets {
    fn from(first: Target) -> Targets {
        Targets {
            first,
            others: Vec::new(),
        }
    }
}

/// For people: all of them, with commas between.
impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        self.others
            .iter()
            .try_for_each(|other| write!(f, ", {other}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_app_differ_in_the_place_alone() {
        for (name, first, other, expected) in [
            ("port", "http://a:1", "http://a:2", Ok(())),
            ("host", "https://a", "https://b", Ok(())),
            ("socket", "unix:/a", "unix:/b", Ok(())),
            ("same", "http://a", "http://A:80", Err(NotTogether::Twice)),
            ("TLS", "http://a", "https://b", scheme("http")),
            ("HTTP/2", "h2c://a", "http://b", scheme("h2c")),
            ("a socket too", "http://a", "unix:/b", scheme("http")),
        ] {
            let mut targets = Targets::from(first.parse::<Target>().unwrap());
            let added = targets.add(other.parse().unwrap());
            assert_eq!(added, expected, "{name}");
            assert_eq!(targets.are_several(), added.is_ok(), "{name}");
        }
    }

    fn scheme(scheme: &'static str) -> Result<(), NotTogether> {
        Err(NotTogether::Scheme(scheme))
    }
}
