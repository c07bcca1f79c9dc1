//! Signed tokens in their compact form, `header.payload.signature` (RFC 7515 §7.1). The algorithm is one that the key is for;
//! what the token says of it only chooses among those.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::rules::token::TokenError;
use crate::rules::token::jwks::{Algorithm, Keys};

/// Heads may be larger, and each byte is hashed.
const MOST_BYTES: usize = 8 << 10;

/// How many keys are tried: a token without `kid` may be for any.
const MOST_TRIED: usize = 8;

/// What a token says, if one of the keys made it. Of its times and of who it is for nothing is known then.
pub(super) fn payload(keys: &Keys, token: &[u8]) -> Result<Map<String, Value>, TokenError> {
    if token.len() > MOST_BYTES {
        return Err(TokenError::TooLong);
    }
    let mut dots = token.iter().enumerate().filter(|(_, byte)| **byte == b'.');
    let (Some((first, _)), Some((second, _)), None) = (dots.next(), dots.next(), dots.next())
    else {
        return Err(TokenError::Malformed);
    };
    let part = |from: usize, to: usize| token.get(from..to).ok_or(TokenError::Malformed);
    let signed = part(0, second)?;
    let header = object(part(0, first)?)?;
    if header.contains_key("crit") {
        return Err(TokenError::Critical);
    }
    let algorithm = header.get("alg").and_then(Value::as_str);
    let algorithm = Algorithm::named(algorithm.ok_or(TokenError::Malformed)?);
    let algorithm = algorithm.ok_or(TokenError::NoKey)?;
    let id = match header.get("kid") {
        None => None,
        Some(Value::String(id)) => Some(id.as_str()),
        Some(_) => return Err(TokenError::Malformed),
    };
    let payload = part(first + 1, second)?;
    let signature = decoded(part(second + 1, token.len())?)?;

    let mut candidates = keys.candidates(algorithm, id).take(MOST_TRIED).peekable();
    if candidates.peek().is_none() {
        return Err(TokenError::NoKey);
    }
    if !candidates.any(|key| key.verifies(algorithm, signed, &signature)) {
        return Err(TokenError::Signature);
    }
    object(payload) // read only now that it is known whose words they are
}

fn decoded(text: &[u8]) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| TokenError::Malformed)
}

fn object(text: &[u8]) -> Result<Map<String, Value>, TokenError> {
    serde_json::from_slice(&decoded(text)?).map_err(|_| TokenError::Malformed)
}
