//! What only its owner may read.

use std::fmt;

/// A secret: never printed, and compared in constant time.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// A secret of these bytes; `None` if there are none, which anybody could present.
    pub fn new(bytes: &[u8]) -> Option<Secret> {
        (!bytes.is_empty()).then(|| Secret(bytes.into()))
    }

    /// What it is, for whoever must present it.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }

    /// Whether somebody presents it. Hashes are compared, in constant time, so that neither length nor content leaks.
    pub fn is(&self, presented: &[u8]) -> bool {
        blake3::hash(&self.0) == blake3::hash(presented)
    }
}

/// In constant time too.
impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.is(&other.0)
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_knows_itself_and_shows_nothing() {
        let secret = Secret::new(b"open sesame").unwrap();
        assert!(secret.is(b"open sesame"));
        assert!(!secret.is(b"open sesam"));
        assert!(!secret.is(b""));
        assert_eq!(secret.reveal(), b"open sesame");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert!(Secret::new(b"").is_none());
    }
}
