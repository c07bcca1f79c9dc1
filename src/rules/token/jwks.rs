//! The keys that tokens are verified by, as a JWK Set (RFC 7517) has them. A key that is for something else is left out, as
//! §5 wants it; one that is wrong or weak is a mistake.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::signature::{
    self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use serde_json::Value;

/// More than anybody rotates through.
const MOST_KEYS: usize = 64;

/// The keys of a set that tokens can be verified by.
#[derive(Debug)]
pub(in crate::rules) struct Keys(Vec<Key>);

/// One of them.
pub(super) struct Key {
    id: Option<Box<str>>,
    material: Material,
    /// What it may be used for.
    algorithms: Vec<Algorithm>,
}

enum Material {
    Secret(Vec<u8>),
    /// Modulus and exponent, without leading zeros.
    Rsa(Vec<u8>, Vec<u8>),
    /// A point of a curve, as its algorithm reads it.
    Point(Vec<u8>),
}

/// A way to sign (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

use Algorithm::*;

/// All of them by their names; Ed25519 has two (RFC 9864 §2.2).
const NAMES: [(&str, Algorithm); 13] = [
    ("HS256", Hs256),
    ("HS384", Hs384),
    ("HS512", Hs512),
    ("RS256", Rs256),
    ("RS384", Rs384),
    ("RS512", Rs512),
    ("PS256", Ps256),
    ("PS384", Ps384),
    ("PS512", Ps512),
    ("ES256", Es256),
    ("ES384", Es384),
    ("EdDSA", EdDsa),
    ("Ed25519", EdDsa),
];

/// With the least bytes of their secret (RFC 7518 §3.2).
const HMACS: [(Algorithm, usize); 3] = [(Hs256, 32), (Hs384, 48), (Hs512, 64)];
const RSAS: [Algorithm; 6] = [Rs256, Rs384, Rs512, Ps256, Ps384, Ps512];

/// Shorter ones can be broken, longer ones take too long.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// A key as written. Private parts are not looked at.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    k: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// Why a key is not one of those.
enum Unfit {
    /// It is for something else, or of a kind that is not known here.
    Foreign(String),
    /// It should have been one.
    Wrong(String),
}

impl Keys {
    /// Reads the text of a JWK Set.
    ///
    /// # Errors
    ///
    /// What is wrong with it; nothing of a key is told.
    pub(in crate::rules) fn parse(text: &str) -> Result<Keys, String> {
        // Where serde stops is told, what it found there is not: it may be a secret.
        let set: Set = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!(
                "expected a JWK Set, `{{\"keys\": [...]}}`, found something else at line {line}, column {column}"
            )
        })?;
        let (mut keys, mut foreign) = (Vec::new(), Vec::new());
        for (jwk, n) in set.keys.into_iter().zip(1..) {
            match Key::read(jwk) {
                Ok(key) => keys.push(key),
                Err(Unfit::Foreign(why)) => foreign.push(format!("key {n} {why}")),
                Err(Unfit::Wrong(why)) => return Err(format!("key {n} {why}")),
            }
        }
        if keys.is_empty() {
            let found = match foreign.is_empty() {
                true => "no key".to_owned(),
                false => foreign.join(", "),
            };
            return Err(format!("expected a key to verify tokens by, found {found}"));
        }
        if keys.len() > MOST_KEYS {
            let found = keys.len();
            return Err(format!("expected at most {MOST_KEYS} keys, found {found}"));
        }
        Ok(Keys(keys))
    }

    /// Those that a token of this algorithm may be made by. A key without a name may be the one that is named.
    pub(super) fn candidates(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
    ) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(move |key| {
            let named = match (id, &key.id) {
                (Some(id), Some(own)) => **own == *id,
                (None, _) | (_, None) => true,
            };
            named && key.algorithms.contains(&algorithm)
        })
    }
}

impl Key {
    fn read(jwk: Value) -> Result<Key, Unfit> {
        let jwk: Jwk = serde_json::from_value(jwk)
            .map_err(|_| Unfit::Wrong("has no `kty`, or a field that is no text".to_owned()))?;
        if jwk.usage.as_ref().is_some_and(|usage| usage != "sig") {
            return Err(Unfit::Foreign("is for another `use` than `sig`".to_owned()));
        }
        let verifies = |ops: &Vec<String>| ops.iter().any(|op| op == "verify");
        if jwk.key_ops.as_ref().is_some_and(|ops| !verifies(ops)) {
            return Err(Unfit::Foreign("has no `verify` in `key_ops`".to_owned()));
        }
        let (material, mut algorithms) = jwk.material()?;
        if let Some(name) = &jwk.alg {
            let Some(algorithm) = Algorithm::named(name) else {
                return Err(Unfit::Foreign(
                    "is for an `alg` that is not supported".to_owned(),
                ));
            };
            if !algorithms.contains(&algorithm) {
                let why = format!("is of a kind or length that its `alg` ({name}) is not for");
                return Err(Unfit::Wrong(why));
            }
            algorithms = vec![algorithm];
        }
        Ok(Key {
            id: jwk.kid.map(Into::into),
            material,
            algorithms,
        })
    }

    /// Whether it made this signature of this text. The algorithm is one of its own.
    pub(super) fn verifies(&self, algorithm: Algorithm, signed: &[u8], mark: &[u8]) -> bool {
        match &self.material {
            Material::Secret(secret) => hmac_of(algorithm).is_some_and(|of| {
                hmac::verify(&hmac::Key::new(of, secret), signed, mark).is_ok() // in constant time
            }),
            Material::Rsa(n, e) => rsa_of(algorithm).is_some_and(|of| {
                RsaPublicKeyComponents { n, e }
                    .verify(of, signed, mark)
                    .is_ok()
            }),
            Material::Point(point) => curve_of(algorithm).is_some_and(|of| {
                UnparsedPublicKey::new(of, point)
                    .verify(signed, mark)
                    .is_ok()
            }),
        }
    }
}

impl Jwk {
    /// The key itself, and what a key of its kind and length may be used for.
    fn material(&self) -> Result<(Material, Vec<Algorithm>), Unfit> {
        let curve = self.crv.as_deref();
        match (self.kty.as_str(), curve) {
            ("oct", _) => {
                let secret = bytes("k", &self.k)?;
                let fits = HMACS.iter().filter(|(_, least)| secret.len() >= *least);
                let fits: Vec<_> = fits.map(|(algorithm, _)| *algorithm).collect();
                if fits.is_empty() {
                    return Err(wrong("is shorter than 256 bits: it could be guessed"));
                }
                Ok((Material::Secret(secret), fits))
            }
            ("RSA", _) => self.rsa(),
            ("EC", Some("P-256")) => Ok((self.point(32)?, vec![Es256])),
            ("EC", Some("P-384")) => Ok((self.point(48)?, vec![Es384])),
            ("OKP", Some("Ed25519")) => {
                let point = coordinate("x", &self.x, 32)?;
                Ok((Material::Point(point), vec![EdDsa]))
            }
            ("EC" | "OKP", None) => Err(wrong("has no `crv`")),
            ("EC" | "OKP", Some(_)) => {
                let why = "is of a curve other than P-256, P-384 and Ed25519";
                Err(Unfit::Foreign(why.to_owned()))
            }
            _ => Err(Unfit::Foreign(
                "is of a `kty` other than `RSA`, `EC`, `OKP` and `oct`".to_owned(),
            )),
        }
    }

    fn rsa(&self) -> Result<(Material, Vec<Algorithm>), Unfit> {
        let trimmed = |bytes: Vec<u8>| -> Vec<u8> {
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            bytes.into_iter().skip(zeros).collect()
        };
        let (n, e) = (trimmed(bytes("n", &self.n)?), trimmed(bytes("e", &self.e)?));
        let spare = n.first().map_or(0, |first| first.leading_zeros() as usize);
        let bits = (n.len() * 8).saturating_sub(spare);
        if !RSA_BITS.contains(&bits) {
            let (least, most) = (RSA_BITS.start(), RSA_BITS.end());
            let why = format!("is an RSA key of {bits} bits, expected {least} to {most}");
            return Err(Unfit::Wrong(why));
        }
        let is_odd = |bytes: &[u8]| bytes.last().is_some_and(|last| last % 2 == 1);
        let small = e.len() == 1 && e.first() == Some(&1);
        if !is_odd(&n) || !is_odd(&e) || small || e.len() > 4 {
            return Err(wrong("is no RSA key: `n` or `e` cannot be right"));
        }
        Ok((Material::Rsa(n, e), RSAS.to_vec()))
    }

    /// Uncompressed, as ring reads it: a 4 and both coordinates.
    fn point(&self, len: usize) -> Result<Material, Unfit> {
        let x = coordinate("x", &self.x, len)?;
        let y = coordinate("y", &self.y, len)?;
        Ok(Material::Point([vec![4], x, y].concat()))
    }
}

fn wrong(why: &str) -> Unfit {
    Unfit::Wrong(why.to_owned())
}

fn bytes(name: &str, written: &Option<String>) -> Result<Vec<u8>, Unfit> {
    let Some(text) = written else {
        return Err(Unfit::Wrong(format!("has no `{name}`")));
    };
    URL_SAFE_NO_PAD.decode(text).map_err(|_| {
        Unfit::Wrong(format!(
            "has a `{name}` that is not base64url without padding"
        ))
    })
}

fn coordinate(name: &str, written: &Option<String>, len: usize) -> Result<Vec<u8>, Unfit> {
    let bytes = bytes(name, written)?;
    if bytes.len() != len {
        let found = bytes.len();
        let why = format!("has a `{name}` of {found} bytes, expected {len}");
        return Err(Unfit::Wrong(why));
    }
    Ok(bytes)
}

impl Algorithm {
    /// By its name, to the letter; `none` is none.
    pub(super) fn named(name: &str) -> Option<Algorithm> {
        let found = NAMES.iter().find(|(other, _)| *other == name);
        found.map(|(_, algorithm)| *algorithm)
    }
}

fn hmac_of(algorithm: Algorithm) -> Option<hmac::Algorithm> {
    match algorithm {
        Hs256 => Some(hmac::HMAC_SHA256),
        Hs384 => Some(hmac::HMAC_SHA384),
        Hs512 => Some(hmac::HMAC_SHA512),
        Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512 | Es256 | Es384 | EdDsa => None,
    }
}

fn rsa_of(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        Hs256 | Hs384 | Hs512 | Es256 | Es384 | EdDsa => None,
    }
}

fn curve_of(algorithm: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    match algorithm {
        Es256 => Some(&signature::ECDSA_P256_SHA256_FIXED),
        Es384 => Some(&signature::ECDSA_P384_SHA384_FIXED),
        EdDsa => Some(&signature::ED25519),
        Hs256 | Hs384 | Hs512 | Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512 => None,
    }
}

impl fmt::Debug for Key {
    /// Its name and uses: what it is made of may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}
