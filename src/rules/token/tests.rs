use std::fmt::Write;

use http::Request;
use proptest::prelude::*;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
};
use serde_json::json;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use super::*;
use crate::model::outcome::{Bypass, Forward};
use crate::rules::{Context, Plan, RuleSet, Texts};

const NOW: u64 = 1_000_000;

/// RFC 7515, appendix A: what all of its examples say.
const RFC7515_PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const RFC7515_A1_K: &str =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
const RFC7515_A2_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const RFC7515_A2_SIGNATURE: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

/// Made once by `openssl genrsa 2048` and `openssl dgst -sha256 -sign -sigopt rsa_padding_mode:pss`; the key is gone.
const PS256_N: &str = "1pfQJ-347-HemsTDikntNOY6Ep8Hh3dZ-VA11G_Fi3AdZosHVAwrF3pGsp1_ngytictlQF_6kjLPFz_7KavivGY8wlUxPFsm0JZ8wraVUBiIWz1qolhyp94cVd5X4zXh9DxAEMO0pbyUUpGPjE48taIZwumtOYlWHTD4yGzBahxcgUhFGBvaIgR-5dcUAXkervJwDCOBZeqhSgezkfz7C7891YVGG2carv13pBJ9DyoD0MA8wHZqk04jEpt0dGxfV84YQCYUYuZaQuVD9zav11Q3YrNip6tfaIcFdgxqyhh4CjAuDnuI9V0t6FsQczljrfOFT03wIwWY-Mdw9Db5yw";
const PS256: &str = "eyJhbGciOiJQUzI1NiJ9.eyJzdWIiOiI0MiJ9.TAyeBFUceHXzrx7mBXTir6o9CgvAS__uR4P8GnJfUhqZ3WpyDqcEKz_oNgwvVd57AQcFKlrxMs_hoE6ab7Vwjc03iV1FxW0lmFvR1pzrdJ99JucqdzjeeshlJCWYxrDrpPk46WY_LzyIiTw7xMUA-or9PT5WAKTSOEmRyv0-q-WX_9S7RFuKxPdr1d35YgPH8Hy8TnwcFyZKEY0F30T--NvuRmC7dkuoufE0YqxH7L5LnC7pHYbv_J9UGY3KgUm_yd-wqpc_8TIfNpw7pfNkEsJyqtMBgu2Uv38XxSW1CtIli_bsDr4LANff0gpO0Y0PAUzJ_FYhy3g25SM9_HGt1g";
const WEAK_N: &str = "19zdsxu2cBD5ChtHxTEdB76BqC0g9IDdgwu9e5p7DkHzS3g50TX1__KrvTHXNIe6v2zv62xqmxad-LGkYcaYoXZvsJAUJvkrTZGi5Jfrh1PWbwdekQejZxsV8U2VDhl3UdmiHCHFRoeF2wWdfA1G_1lsCimQr5Ctqr3E2pb-er8";

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn set(keys: &[Value]) -> Keys {
    Keys::parse(&json!({ "keys": keys }).to_string()).unwrap()
}

fn refused(keys: &[Value]) -> String {
    Keys::parse(&json!({ "keys": keys }).to_string()).unwrap_err()
}

/// A secret, as a key, and what it signs.
struct Secret {
    bytes: Vec<u8>,
}

impl Secret {
    fn new(first: u8) -> Secret {
        Secret {
            bytes: (first..).take(64).collect(),
        }
    }

    fn jwk(&self) -> Value {
        json!({ "kty": "oct", "alg": "HS256", "k": b64(&self.bytes) })
    }

    fn sign(&self, header: &Value, payload: impl AsRef<[u8]>) -> String {
        self.sign_text(&b64(header.to_string()), &b64(payload))
    }

    fn sign_text(&self, header: &str, payload: &str) -> String {
        let signed = format!("{header}.{payload}");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.bytes);
        let mark = hmac::sign(&key, signed.as_bytes());
        format!("{signed}.{}", b64(mark))
    }

    fn token(&self, payload: &Value) -> String {
        self.sign(&json!({ "alg": "HS256" }), payload.to_string())
    }
}

fn verify(keys: Keys) -> Verify {
    Verify {
        keys,
        issuer: None,
        audience: None,
        leeway: Duration::ZERO,
    }
}

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

#[test]
fn rfc7515_appendix_a_and_others() {
    let rfc7515 = |header: &str, mark: &str| format!("{header}.{RFC7515_PAYLOAD}.{mark}");
    let ec_a3 = json!({ "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
    for (name, key, token, exp) in [
        (
            "A.1 HS256",
            json!({ "kty": "oct", "k": RFC7515_A1_K }),
            rfc7515(
                "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
                "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            ),
            1_300_819_380,
        ),
        (
            "A.2 RS256",
            json!({ "kty": "RSA", "n": RFC7515_A2_N, "e": "AQAB" }),
            rfc7515("eyJhbGciOiJSUzI1NiJ9", RFC7515_A2_SIGNATURE),
            1_300_819_380,
        ),
        (
            "A.3 ES256",
            ec_a3,
            rfc7515(
                "eyJhbGciOiJFUzI1NiJ9",
                "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
            ),
            1_300_819_380,
        ),
        (
            "PS256",
            json!({ "kty": "RSA", "n": PS256_N, "e": "AQAB" }),
            PS256.to_owned(),
            u64::MAX,
        ),
    ] {
        let verify = verify(set(&[key]));
        let before = verify.payload(token.as_bytes(), at(exp.min(2_000_000_000) - 1));
        assert!(before.is_ok(), "{name}: {before:?}");
        if exp < u64::MAX {
            let over = verify.payload(token.as_bytes(), at(exp));
            assert_eq!(over, Err(TokenError::Expired), "{name}");
        }
        // Any byte of what is signed, and of the signature, counts.
        for at_byte in (0..token.len()).step_by(7) {
            let mut bytes = token.clone().into_bytes();
            bytes[at_byte] = if bytes[at_byte] == b'A' { b'B' } else { b'A' };
            assert!(verify.payload(&bytes, at(1)).is_err(), "{name}, {at_byte}");
        }
    }
}

/// A new key of a curve, as a key and as what signs.
fn curve(algorithm: &'static EcdsaSigningAlgorithm, name: &str) -> (Value, EcdsaKeyPair) {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let jwk = json!({ "kty": "EC", "crv": name, "x": b64(x), "y": b64(y) });
    (jwk, pair)
}

#[test]
fn keys_of_curves_verify_what_they_sign_and_nothing_else() {
    let random = SystemRandom::new();
    let text = |alg: &str| {
        let header = json!({ "alg": alg }).to_string();
        format!("{}.{}", b64(header), b64(r#"{"sub":"42"}"#))
    };
    let (p256, p256_pair) = curve(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256");
    let (p384, p384_pair) = curve(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384");
    let ed = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let okp = json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(ed.public_key()) });
    let with = |alg: &str, mark: &[u8]| format!("{}.{}", text(alg), b64(mark));
    let es = |pair: &EcdsaKeyPair, alg: &str| {
        let mark = pair.sign(&random, text(alg).as_bytes()).unwrap();
        with(alg, mark.as_ref())
    };
    let tokens = [
        ("ES256", es(&p256_pair, "ES256")),
        ("ES384", es(&p384_pair, "ES384")),
        (
            "EdDSA",
            with("EdDSA", ed.sign(text("EdDSA").as_bytes()).as_ref()),
        ),
        (
            "Ed25519",
            with("Ed25519", ed.sign(text("Ed25519").as_bytes()).as_ref()),
        ),
    ];
    for (name, key) in [("ES256", p256), ("ES384", p384), ("Ed", okp)] {
        let verify = verify(set(&[key]));
        for (other, token) in &tokens {
            let trusted = verify.payload(token.as_bytes(), at(NOW));
            assert_eq!(
                trusted.is_ok(),
                other.starts_with(name),
                "{name} and {other}"
            );
        }
    }
}

#[test]
fn the_algorithm_is_the_keys_and_never_the_tokens_alone() {
    let secret = Secret::new(1);
    let payload = json!({ "sub": "42" });
    // The public key as a secret: what RS256 verifies by, HS256 must not.
    let public = Secret {
        bytes: URL_SAFE_NO_PAD.decode(RFC7515_A2_N).unwrap(),
    };
    let rsa = json!({ "kty": "RSA", "n": RFC7515_A2_N, "e": "AQAB" });
    let with = |header: Value| secret.sign(&header, payload.to_string());
    let hs512_only = json!({ "kty": "oct", "alg": "HS512", "k": b64(&secret.bytes) });
    for (name, key, token, expected) in [
        (
            "right",
            secret.jwk(),
            with(json!({ "alg": "HS256" })),
            Ok(()),
        ),
        (
            "a public key as secret",
            rsa,
            public.token(&payload),
            Err(TokenError::NoKey),
        ),
        (
            "a key for another one",
            hs512_only,
            with(json!({ "alg": "HS256" })),
            Err(TokenError::NoKey),
        ),
        (
            "none",
            secret.jwk(),
            with(json!({ "alg": "none" })),
            Err(TokenError::NoKey),
        ),
        (
            "None",
            secret.jwk(),
            with(json!({ "alg": "None" })),
            Err(TokenError::NoKey),
        ),
        (
            "another case",
            secret.jwk(),
            with(json!({ "alg": "hs256" })),
            Err(TokenError::NoKey),
        ),
        (
            "no alg",
            secret.jwk(),
            with(json!({})),
            Err(TokenError::Malformed),
        ),
        (
            "a list",
            secret.jwk(),
            with(json!({ "alg": ["HS256"] })),
            Err(TokenError::Malformed),
        ),
        (
            "§4.1.11 crit",
            secret.jwk(),
            with(json!({ "alg": "HS256", "crit": ["b64"], "b64": false })),
            Err(TokenError::Critical),
        ),
        (
            "an empty crit",
            secret.jwk(),
            with(json!({ "alg": "HS256", "crit": [] })),
            Err(TokenError::Critical),
        ),
        (
            "a key of its own",
            secret.jwk(),
            Secret::new(9).sign(
                &json!({ "alg": "HS256", "jwk": Secret::new(9).jwk() }),
                payload.to_string(),
            ),
            Err(TokenError::Signature),
        ),
        (
            "no signature",
            secret.jwk(),
            format!(
                "{}.{}.",
                b64(r#"{"alg":"HS256"}"#),
                b64(payload.to_string())
            ),
            Err(TokenError::Signature),
        ),
        (
            "none, and no signature",
            secret.jwk(),
            format!("{}.{}.", b64(r#"{"alg":"none"}"#), b64(payload.to_string())),
            Err(TokenError::NoKey),
        ),
    ] {
        let found = verify(set(&[key])).payload(token.as_bytes(), at(NOW));
        assert_eq!(found.map(|_| ()), expected, "{name}");
    }
}

#[test]
fn a_key_id_selects_among_the_keys() {
    let keys = [Secret::new(1), Secret::new(2), Secret::new(3)];
    let named = |key: &Secret, id: &str| {
        let mut jwk = key.jwk();
        jwk["kid"] = id.into();
        jwk
    };
    let set_of = set(&[
        named(&keys[0], "one"),
        named(&keys[1], "two"),
        keys[2].jwk(),
    ]);
    let verify = verify(set_of);
    for (name, key, id, expected) in [
        ("its own", &keys[0], json!("one"), Ok(())),
        (
            "the other's",
            &keys[0],
            json!("two"),
            Err(TokenError::Signature),
        ),
        ("none", &keys[1], json!(null), Err(TokenError::Malformed)),
        ("of a key without", &keys[2], json!("three"), Ok(())),
        (
            "unknown",
            &keys[0],
            json!("three"),
            Err(TokenError::Signature),
        ),
        ("a number", &keys[0], json!(1), Err(TokenError::Malformed)),
    ] {
        let header = json!({ "alg": "HS256", "kid": id });
        let token = key.sign(&header, "{}");
        let found = verify.payload(token.as_bytes(), at(NOW));
        assert_eq!(found.map(|_| ()), expected, "{name}");
    }
    for key in &keys {
        let token = key.token(&json!({}));
        assert!(
            verify.payload(token.as_bytes(), at(NOW)).is_ok(),
            "each is tried"
        );
    }
}

#[test]
fn only_so_many_keys_are_tried() {
    let keys: Vec<_> = (0..9).map(Secret::new).collect();
    let jwks: Vec<_> = keys.iter().map(Secret::jwk).collect();
    let verify = verify(set(&jwks));
    for (n, key) in keys.iter().enumerate() {
        let found = verify.payload(key.token(&json!({})).as_bytes(), at(NOW));
        assert_eq!(found.is_ok(), n < 8, "{n}");
    }
}

#[test]
fn times_issuer_and_audience() {
    let secret = Secret::new(1);
    let leeway = Duration::from_secs(60);
    for (name, issuer, audience, payload, expected) in [
        ("nothing said", None, None, json!({}), Ok(())),
        (
            "exp to come",
            None,
            None,
            json!({ "exp": NOW - 59 }),
            Ok(()),
        ),
        (
            "exp now",
            None,
            None,
            json!({ "exp": NOW - 60 }),
            Err(TokenError::Expired),
        ),
        (
            "a fraction",
            None,
            None,
            json!({ "exp": NOW as f64 - 59.5 }),
            Ok(()),
        ),
        (
            "a negative one",
            None,
            None,
            json!({ "exp": -1 }),
            Err(TokenError::Expired),
        ),
        (
            "a text",
            None,
            None,
            json!({ "exp": "never" }),
            Err(TokenError::Malformed),
        ),
        (
            "null",
            None,
            None,
            json!({ "exp": null }),
            Err(TokenError::Malformed),
        ),
        ("never", None, None, json!({ "exp": u64::MAX }), Ok(())),
        ("nbf now", None, None, json!({ "nbf": NOW + 60 }), Ok(())),
        (
            "nbf to come",
            None,
            None,
            json!({ "nbf": NOW + 61 }),
            Err(TokenError::TooEarly),
        ),
        ("issuer", Some("a"), None, json!({ "iss": "a" }), Ok(())),
        (
            "another",
            Some("a"),
            None,
            json!({ "iss": "b" }),
            Err(TokenError::Issuer),
        ),
        (
            "no issuer",
            Some("a"),
            None,
            json!({}),
            Err(TokenError::Issuer),
        ),
        (
            "issuers",
            Some("a"),
            None,
            json!({ "iss": ["a"] }),
            Err(TokenError::Issuer),
        ),
        ("audience", None, Some("me"), json!({ "aud": "me" }), Ok(())),
        (
            "among others",
            None,
            Some("me"),
            json!({ "aud": ["you", "me"] }),
            Ok(()),
        ),
        (
            "others",
            None,
            Some("me"),
            json!({ "aud": ["you"] }),
            Err(TokenError::Audience),
        ),
        (
            "no audience",
            None,
            Some("me"),
            json!({}),
            Err(TokenError::Audience),
        ),
        (
            "an odd one",
            None,
            Some("me"),
            json!({ "aud": 1 }),
            Err(TokenError::Audience),
        ),
        (
            "§4.1.3 none named",
            None,
            None,
            json!({ "aud": "you" }),
            Err(TokenError::Audience),
        ),
    ] {
        let verify = Verify {
            issuer: issuer.map(Box::from),
            audience: audience.map(Box::from),
            leeway,
            ..verify(set(&[secret.jwk()]))
        };
        let found = verify.payload(secret.token(&payload).as_bytes(), at(NOW));
        assert_eq!(found.map(|_| ()), expected, "{name}");
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let secret = Secret::new(1);
    let verify = verify(set(&[secret.jwk()]));
    let good = secret.token(&json!({}));
    let deep = "[".repeat(2_000);
    let header = json!({ "alg": "HS256" });
    for (name, token, expected) in [
        ("nothing", String::new(), TokenError::Malformed),
        ("dots", "..".into(), TokenError::Malformed),
        ("two parts", "a.b".into(), TokenError::Malformed),
        (
            "five parts, encrypted",
            format!("{good}.a.b"),
            TokenError::Malformed,
        ),
        ("padding", format!("{good}="), TokenError::Malformed),
        ("a blank", format!(" {good}"), TokenError::Malformed),
        (
            "another alphabet",
            good.replace('.', "+.+"),
            TokenError::Malformed,
        ),
        (
            "no JSON",
            secret.sign(&header, "sub"),
            TokenError::Malformed,
        ),
        (
            "no object",
            secret.sign(&header, "[]"),
            TokenError::Malformed,
        ),
        (
            "more than one",
            secret.sign(&header, "{}{}"),
            TokenError::Malformed,
        ),
        (
            "no UTF-8",
            secret.sign(&header, b"{\"a\":\"\xff\"}"),
            TokenError::Malformed,
        ),
        (
            "deep",
            secret.sign(&header, format!("{{\"a\":{deep}")),
            TokenError::Malformed,
        ),
        (
            "8 KiB and more",
            secret.token(&json!({ "a": "x".repeat(8 << 10) })),
            TokenError::TooLong,
        ),
    ] {
        let found = verify.payload(token.as_bytes(), at(NOW));
        assert_eq!(found, Err(expected), "{name}");
    }
    assert!(verify.payload(good.as_bytes(), at(NOW)).is_ok());
}

#[test]
fn sets_of_keys() {
    let k = b64([1; 32]);
    let ed = b64([1; 32]);
    for (name, key, expected) in [
        ("no kty", json!({}), "key 1 has no `kty`"),
        ("no object", json!("x"), "key 1 has no `kty`"),
        ("no secret", json!({ "kty": "oct" }), "key 1 has no `k`"),
        (
            "a short secret",
            json!({ "kty": "oct", "k": b64([1; 31]) }),
            "key 1 is shorter than 256 bits",
        ),
        (
            "too short for its use",
            json!({ "kty": "oct", "alg": "HS512", "k": k }),
            "key 1 is of a kind or length that its `alg` (HS512) is not for",
        ),
        (
            "an alg of others",
            json!({ "kty": "oct", "alg": "RS256", "k": k }),
            "is not for",
        ),
        (
            "padding",
            json!({ "kty": "oct", "k": format!("{k}=") }),
            "key 1 has a `k` that is not base64url",
        ),
        (
            "weak RSA",
            json!({ "kty": "RSA", "n": WEAK_N, "e": "AQAB" }),
            "key 1 is an RSA key of 1024 bits, expected 2048 to 8192",
        ),
        (
            "weak RSA with zeros before it",
            json!({ "kty": "RSA", "n": b64([vec![0; 128], URL_SAFE_NO_PAD.decode(WEAK_N).unwrap()].concat()), "e": "AQAB" }),
            "of 1024 bits",
        ),
        (
            "an exponent of 1",
            json!({ "kty": "RSA", "n": RFC7515_A2_N, "e": "AQ" }),
            "key 1 is no RSA key",
        ),
        (
            "an even exponent",
            json!({ "kty": "RSA", "n": RFC7515_A2_N, "e": "Ag" }),
            "key 1 is no RSA key",
        ),
        (
            "half a point",
            json!({ "kty": "EC", "crv": "P-256", "x": ed }),
            "key 1 has no `y`",
        ),
        (
            "a short point",
            json!({ "kty": "OKP", "crv": "Ed25519", "x": "AQAB" }),
            "key 1 has a `x` of 3 bytes, expected 32",
        ),
        (
            "no curve",
            json!({ "kty": "EC", "x": ed, "y": ed }),
            "key 1 has no `crv`",
        ),
        (
            "another curve",
            json!({ "kty": "EC", "crv": "P-521", "x": ed, "y": ed }),
            "found key 1 is of a curve other than",
        ),
        (
            "another kind",
            json!({ "kty": "AKP" }),
            "found key 1 is of a `kty`",
        ),
        (
            "for encryption",
            json!({ "kty": "oct", "use": "enc", "k": k }),
            "found key 1 is for another `use`",
        ),
        (
            "for signing",
            json!({ "kty": "oct", "key_ops": ["sign"], "k": k }),
            "found key 1 has no `verify`",
        ),
        (
            "an alg that is not supported",
            json!({ "kty": "RSA", "alg": "RSA-OAEP", "n": RFC7515_A2_N, "e": "AQAB" }),
            "found key 1 is for an `alg`",
        ),
    ] {
        let found = refused(&[key]);
        assert!(found.contains(expected), "{name}: {found}");
        assert!(!found.contains(&k), "{name}: {found}");
    }
    assert!(refused(&[]).contains("found no key"));
    let many: Vec<_> = (0..65).map(|_| json!({ "kty": "oct", "k": k })).collect();
    assert!(refused(&many).contains("at most 64 keys, found 65"));
    // What is for others does not matter where there is one for us.
    let usable = json!({ "kty": "oct", "k": k, "use": "sig", "key_ops": ["verify"], "x5t": "x" });
    let debug = format!("{:?}", set(&[json!({ "kty": "AKP" }), usable]));
    assert!(!debug.contains(&k) && !debug.contains("1, 1"), "{debug}");
    for text in ["", "x", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":["#] {
        let found = Keys::parse(text).unwrap_err();
        assert!(found.starts_with("expected a JWK Set"), "{found}");
    }
    let secret = Keys::parse(r#"{"keys":"hunter2"}"#).unwrap_err();
    assert!(!secret.contains("hunter2"), "{secret}");
}

/// Rules whose tokens are signed by [`Secret::new`] of 1, or of 2 in the second file.
fn compiled(text: &str) -> Result<RuleSet, Vec<String>> {
    let beside = |from: &str, path: &str| match path {
        "one.json" => Ok(json!({ "keys": [Secret::new(1).jwk()] }).to_string()),
        "two.json" => Ok(json!({ "keys": [Secret::new(2).jwk()] }).to_string()),
        _ => Err(format!("nothing is beside {from}")),
    };
    let context = Context {
        texts: Texts::new(&beside),
        ..Context::new("test")
    };
    let files = [("rules.yaml".to_owned(), text.to_owned())];
    RuleSet::compile(&files, &context)
        .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
}

fn rules(vary_on: &str, more: &str) -> RuleSet {
    compiled(&format!(
        "rules: [{{ id: a, vary_on: {{ jwt: [{vary_on}] }}, {more} }}]"
    ))
    .unwrap()
}

const SUB: &str = "{ claim: sub, verify: { jwks_file: one.json } }";

fn head(fields: &[(&str, &str)]) -> Head {
    let mut request = Request::get("/").header("host", "shop.example");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    Head::new(request.body(()).unwrap().into_parts().0, "http").unwrap()
}

/// The fields of the key that are of tokens, or why there is no key.
fn planned(rules: &RuleSet, fields: &[(&str, &str)]) -> Result<String, TokenError> {
    match rules.plan(&head(fields), at(NOW)) {
        Plan::Lookup(query) => {
            let mut shown = String::new();
            for (name, value) in query
                .key
                .iter()
                .filter(|(name, _)| name.starts_with("jwt."))
            {
                let value = value
                    .map(String::from_utf8_lossy)
                    .unwrap_or("absent".into());
                write!(shown, "{name}={value};").unwrap();
            }
            Ok(shown)
        }
        Plan::Pass(pass) => {
            assert_eq!(pass.why, Forward::Bypass(Bypass::Token));
            Err(pass.claims.unwrap_err())
        }
    }
}

#[test]
fn tokens_are_found_where_the_rule_says() {
    let token = Secret::new(1).token(&json!({ "sub": "42" }));
    let bearer = format!("Bearer {token}");
    let lower = format!("bearer   {token} ");
    let cookie = format!("a=b; sid={token}");
    let both = format!("sid={token}; sid={token}");
    let quoted = format!("a=\"; sid={token}");
    let glued = format!("Bearer{token}");
    let by_header = rules(SUB, "");
    let by_own = rules(
        "{ header: X-Token, claim: sub, verify: { jwks_file: one.json } }",
        "",
    );
    let by_cookie = rules(
        "{ cookie: sid, claim: sub, verify: { jwks_file: one.json } }",
        "",
    );
    let found = Ok(r#"jwt.sub="42";"#);
    let absent = Ok("jwt.sub=absent;");
    for (name, rules, fields, expected) in [
        (
            "Bearer",
            &by_header,
            &[("authorization", &*bearer)][..],
            found,
        ),
        (
            "in any case",
            &by_header,
            &[("authorization", &lower)],
            found,
        ),
        ("none", &by_header, &[], absent),
        (
            "another scheme",
            &by_header,
            &[("authorization", "Basic YTpi")],
            Err(TokenError::NotBearer),
        ),
        (
            "glued",
            &by_header,
            &[("authorization", &glued)],
            Err(TokenError::NotBearer),
        ),
        (
            "the token alone",
            &by_header,
            &[("authorization", &token)],
            Err(TokenError::NotBearer),
        ),
        (
            "no token",
            &by_header,
            &[("authorization", "Bearer ")],
            Err(TokenError::NotBearer),
        ),
        (
            "empty",
            &by_header,
            &[("authorization", "")],
            Err(TokenError::NotBearer),
        ),
        (
            "twice",
            &by_header,
            &[("authorization", &bearer), ("authorization", &bearer)],
            Err(TokenError::Several),
        ),
        ("a header", &by_own, &[("x-token", &token)], found),
        (
            "with a scheme",
            &by_own,
            &[("x-token", &bearer)],
            Err(TokenError::Malformed),
        ),
        (
            "an empty header",
            &by_own,
            &[("x-token", "")],
            Err(TokenError::Malformed),
        ),
        (
            "another spelling too",
            &by_own,
            &[("x-token", &token), ("x_token", "other")],
            Err(TokenError::Several),
        ),
        (
            "another spelling",
            &by_own,
            &[("x_token", "other")],
            Err(TokenError::Several),
        ),
        ("a cookie", &by_cookie, &[("cookie", &cookie)], found),
        ("other cookies", &by_cookie, &[("cookie", "a=b")], absent),
        (
            "two cookies",
            &by_cookie,
            &[("cookie", &both)],
            Err(TokenError::Several),
        ),
        (
            "who knows",
            &by_cookie,
            &[("cookie", &quoted)],
            Err(TokenError::Several),
        ),
        (
            "an empty cookie",
            &by_cookie,
            &[("cookie", "sid=")],
            Err(TokenError::Malformed),
        ),
    ] {
        let planned = planned(rules, fields);
        assert_eq!(planned.as_deref(), expected.as_ref().copied(), "{name}");
    }
}

#[test]
fn l07_claims_differ_by_type_and_value() {
    let secret = Secret::new(1);
    let rules = rules(SUB, "");
    let mut keys = Vec::new();
    let said = [
        json!("1"),
        json!(1),
        json!("null"),
        json!(null),
        json!(true),
        json!("true"),
        json!(""),
        json!([]),
        json!(["1"]),
        json!([1]),
        json!({}),
        json!({ "a": 1 }),
        json!("[]"),
        json!("\"1\""),
        json!(u64::MAX),
        json!(u64::MAX - 1),
        json!(i64::MIN),
    ];
    for claim in &said {
        let bearer = format!("Bearer {}", secret.token(&json!({ "sub": claim })));
        let Plan::Lookup(query) = rules.plan(&head(&[("authorization", &bearer)]), at(NOW)) else {
            panic!("it is trusted: {claim}");
        };
        keys.push(query.base);
    }
    let Plan::Lookup(without) = rules.plan(&head(&[]), at(NOW)) else {
        panic!("no token is no reason");
    };
    keys.push(without.base);
    for (n, key) in keys.iter().enumerate() {
        assert!(!keys[..n].contains(key), "{n}: {said:?}");
    }
    // Two people's numbers that a double cannot tell apart.
    for number in [
        "18446744073709551617",
        "18446744073709551616",
        "1.5",
        "1e3",
        "[1.0]",
        "-0",
    ] {
        let payload = format!("{{\"sub\":{number}}}");
        let token = secret.sign(&json!({ "alg": "HS256" }), payload);
        let bearer = format!("Bearer {token}");
        let planned = planned(&rules, &[("authorization", &bearer)]);
        assert_eq!(planned, Err(TokenError::Inexact), "{number}");
    }
}

#[test]
fn claims_are_named_or_pointed_to() {
    let verify = "verify: { jwks_file: one.json }";
    let claims: Vec<_> = [
        "'https://a.example/t'",
        "/realm/id",
        "/realm/roles/0",
        "/a~1b/c~0d",
    ]
    .map(|name| format!("{{ claim: {name}, {verify} }}"))
    .into();
    let rules = rules(&claims.join(", "), "");
    let say = |payload: Value| {
        let bearer = format!("Bearer {}", Secret::new(1).token(&payload));
        planned(&rules, &[("authorization", &bearer)])
    };
    let all = json!({
        "https://a.example/t": 7,
        "realm": { "id": "r", "roles": ["x", "y"] },
        "a/b": { "c~d": null },
    });
    assert_eq!(
        say(all.clone()).unwrap(),
        r#"jwt.https://a.example/t=7;jwt./realm/id="r";jwt./realm/roles/0="x";jwt./a~1b/c~0d=null;"#
    );
    for lacking in ["https://a.example/t", "realm", "a/b"] {
        let mut payload = all.clone();
        payload.as_object_mut().unwrap().remove(lacking);
        assert_eq!(say(payload), Err(TokenError::Lacks), "{lacking}");
    }
}

#[test]
fn names_are_an_issuers_own() {
    let by = |issuer: &str| {
        let claim =
            format!("{{ claim: sub, verify: {{ jwks_file: one.json, issuer: {issuer} }} }}");
        let rules = rules(&claim, "");
        let payload = json!({ "sub": "42", "iss": issuer });
        let bearer = format!("Bearer {}", Secret::new(1).token(&payload));
        match rules.plan(&head(&[("authorization", &bearer)]), at(NOW)) {
            Plan::Lookup(query) => query.base,
            Plan::Pass(pass) => panic!("{:?}", pass.claims),
        }
    };
    assert_ne!(by("a"), by("b"));
}

#[test]
fn several_tokens_must_all_be_trusted() {
    let rules = rules(
        "{ claim: sub, verify: { jwks_file: one.json } }, \
         { claim: tenant, verify: { jwks_file: one.json } }, \
         { cookie: sid, claim: device, verify: { jwks_file: two.json } }",
        "",
    );
    assert_eq!(
        rules.rules()[0].fields.tokens.len(),
        2,
        "each is verified once"
    );
    let person = Secret::new(1).token(&json!({ "sub": "42", "tenant": "t" }));
    let person = ("authorization", &*format!("Bearer {person}"));
    let device = |key: u8| format!("sid={}", Secret::new(key).token(&json!({ "device": 1 })));
    assert_eq!(
        planned(&rules, &[person, ("cookie", &device(2))]).unwrap(),
        r#"jwt.sub="42";jwt.tenant="t";jwt.device=1;"#
    );
    assert_eq!(
        planned(&rules, &[person]).unwrap(),
        r#"jwt.sub="42";jwt.tenant="t";jwt.device=absent;"#
    );
    assert_eq!(
        planned(&rules, &[person, ("cookie", &device(1))]),
        Err(TokenError::Signature)
    );
}

#[test]
fn tags_and_increments_are_made_of_verified_claims_alone() {
    let text = r#"
rules:
  - id: me
    vary_on: { jwt: [{ claim: sub, verify: { jwks_file: one.json } }] }
    tags: ["User:{jwt.sub}"]
  - id: writes
    match: { methods: [POST] }
    vary_on: { jwt: [{ claim: sub, verify: { jwks_file: one.json } }] }
    increments: [{ tags: ["User:{jwt.sub}"] }]
"#;
    let rules = compiled(text).unwrap();
    let bearer = |key: u8, claim: Value| {
        format!(
            "Bearer {}",
            Secret::new(key).token(&json!({ "sub": claim }))
        )
    };
    for (name, key, claim, expected) in [
        ("a text", 1, json!("4,2"), Some("User:4%2C2")),
        ("a number", 1, json!(42), Some("User:42")),
        ("a truth", 1, json!(true), Some("User:true")),
        ("a list", 1, json!(["42"]), None),
        ("null", 1, json!(null), None),
        ("another's", 2, json!("42"), None),
    ] {
        let mut head = head(&[("authorization", &bearer(key, claim))]);
        let tags = rules.plan(&head, at(NOW)).matched(&head).tags;
        let tags = tags.ok().map(|tags| tags[0].to_string());
        assert_eq!(tags.as_deref(), expected, "{name}");
        head.parts.method = http::Method::POST;
        let plan = rules.plan(&head, at(NOW));
        let increments = plan.matched(&head).increments;
        let increment = increments[0].tags().next().unwrap().ok();
        assert_eq!(increment.as_deref(), expected, "{name}");
        let Plan::Pass(pass) = plan else {
            panic!("a POST passes");
        };
        // What it answers is nobody's where nobody is known.
        assert_eq!(pass.changes.is_some(), key == 1, "{name}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_token_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let verify = verify(set(&[Secret::new(1).jwk()]));
        prop_assert!(verify.payload(&bytes, at(NOW)).is_err());
    }

    #[test]
    fn any_signed_parts_are_read_or_refused(header in "[ -~]{0,40}", payload in any::<Vec<u8>>()) {
        let secret = Secret::new(1);
        let verify = verify(set(&[secret.jwk()]));
        for header in [b64(&header), header, b64(r#"{"alg":"HS256"}"#)] {
            let token = secret.sign_text(&header, &b64(&payload));
            if let Ok(claims) = verify.payload(token.as_bytes(), at(NOW)) {
                prop_assert_eq!(serde_json::from_slice::<Map<_, _>>(&payload).unwrap(), claims);
            }
        }
    }

    #[test]
    fn any_set_of_keys_is_read_or_refused(kty in "oct|RSA|EC|OKP", crv in "P-256|Ed25519|", text in "[A-Za-z0-9_-]{0,100}") {
        let key = json!({ "kty": kty, "crv": crv, "k": text, "n": text, "e": "AQAB", "x": text, "y": text });
        let parsed = Keys::parse(&json!({ "keys": [key] }).to_string());
        if let Err(message) = parsed {
            prop_assert!(text.len() < 8 || !message.contains(&text));
        }
    }

    #[test]
    fn l07_other_claims_have_other_keys(
        one in "[\"0-9a-z\\\\]{0,5}|[ü{}]{0,3}",
        other in "[\"0-9a-z\\\\]{0,5}|[ü{}]{0,3}",
    ) {
        let rules = rules(SUB, "");
        let key = |claim: &str| {
            let token = Secret::new(1).token(&json!({ "sub": claim }));
            let bearer = format!("Bearer {token}");
            match rules.plan(&head(&[("authorization", &bearer)]), at(NOW)) {
                Plan::Lookup(query) => query.base,
                Plan::Pass(pass) => panic!("{:?}", pass.claims),
            }
        };
        prop_assert_eq!(key(&one) == key(&other), one == other);
    }
}

#[test]
fn l10_claims_weigh_what_they_take() {
    let weight = |text: &str| {
        let value: Value = serde_json::from_str(text).unwrap();
        Claims(vec![("a".into(), Some(value))]).weight()
    };
    let none = Claims(vec![("a".into(), None)]).weight();
    assert!(none > 1, "its place too");
    assert_eq!(weight("7"), none);
    let text = weight(&format!("\"{}\"", "x".repeat(100)));
    assert!((none + 100..none + 150).contains(&text), "{text}");
    // A few bytes of text each, and each is a tree of its own.
    let small = vec![r#"{"":0}"#; 100].join(",");
    let tree = 11 * size_of::<(String, Value)>();
    assert!(weight(&format!("[{small}]")) > 100 * (size_of::<Value>() + tree));
    let member = |n: usize| format!("\"{n}\":0");
    let members: Vec<String> = (0..100).map(member).collect();
    assert!(weight(&format!("{{{}}}", members.join(","))) > 9 * tree);
}
