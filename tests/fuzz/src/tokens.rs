//! Tokens, of any bytes, and what must hold of who is looked up with them.
//!
//! The input is what a token says, on three lines: its header, its payload, and then a value of `Authorization`, which may be
//! anything. Header and payload are also signed with the key that the rule trusts, so that the fuzzer gets past that.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use http::Request;
use http::header;
use ring::hmac;
use serde_json::Map;
use serde_json::Value;
use tagalong::model::key::BaseKey;
use tagalong::model::request::Head;
use tagalong::model::time::Timestamp;
use tagalong::rules::Context;
use tagalong::rules::Plan;
use tagalong::rules::RuleSet;
use tagalong::rules::Texts;

const NOW: u64 = 2_000_000_000;
const LEEWAY: f64 = 60.0;
const SECRET: &[u8; 32] = b"a secret that the fuzzer knows..";

const RULES: &str = "
rules:
  - { id: me, vary_on: { jwt: [{ claim: sub, verify: { jwks_file: jwks.json } }] }, tags: ['User:{jwt.sub}'] }
";

/// Fails if something does not hold that must hold for any input.
pub fn check(input: &[u8]) {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let [said, payload, anything] = [(); 3].map(|()| lines.next().unwrap_or_default());

    let signed = format!("{}.{}", encoded(said), encoded(payload));
    let token = format!("{signed}.{}", encoded(mark(signed.as_bytes()).as_ref()));
    let value = format!("Bearer {token}");
    if let Some(base) = looked_up(value.as_bytes()) {
        trusted(said, payload);
        assert_eq!(looked_up(value.as_bytes()), Some(base));
        for at in (7..value.len()).step_by(5) {
            let mut other = value.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(looked_up(&other), None, "byte {at} is another");
        }
    }
    if looked_up(anything).is_some() {
        is_signed(anything);
    }
}

/// Compiled once: what a plan is made of does not change it.
static SET: LazyLock<RuleSet> = LazyLock::new(|| {
    let jwks = format!(
        r#"{{"keys":[{{"kty":"oct","alg":"HS256","k":"{}"}}]}}"#,
        encoded(SECRET)
    );
    let beside = move |_: &str, _: &str| Ok(jwks.clone());
    let context = Context {
        texts: Texts::new(&beside),
        ..Context::new("fuzz")
    };
    let files = [("rules.yaml".to_owned(), RULES.to_owned())];
    RuleSet::compile(&files, &context).expect("the rules are right")
});

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn mark(signed: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), signed)
}

/// The key of a request with this `Authorization`, if there is one.
fn looked_up(value: &[u8]) -> Option<BaseKey> {
    let value = HeaderValue::from_bytes(value).ok()?;
    let request = Request::get("/").header(header::HOST, "shop.example");
    let request = request.header(header::AUTHORIZATION, value).body(());
    let parts = request.expect("it is valid").into_parts().0;
    let head = Head::new(parts, "http").expect("it has a host");
    let plan = SET.plan(&head, Timestamp::from_secs(NOW));
    let shown = plan.explain(&head).to_string();
    assert!(!shown.is_empty());
    match plan {
        Plan::Lookup(query) => Some(query.base),
        Plan::Pass(_) => None,
    }
}

/// Whether what was said lets somebody be looked up.
#[track_caller]
fn trusted(said: &[u8], payload: &[u8]) {
    let read = |text| serde_json::from_slice::<Map<String, Value>>(text).expect("an object");
    let (said, payload) = (read(said), read(payload));
    assert_eq!(said.get("alg").and_then(Value::as_str), Some("HS256"));
    assert!(!said.contains_key("crit"));
    assert!(payload.contains_key("sub") && !payload.contains_key("aud"));
    let time = |name: &str| {
        payload
            .get(name)
            .map(|time| time.as_f64().expect("a number"))
    };
    assert!(time("exp").is_none_or(|exp| exp + LEEWAY > NOW as f64));
    assert!(time("nbf").is_none_or(|nbf| nbf - LEEWAY <= NOW as f64));
}

/// What else is looked up has a signature of its own.
#[track_caller]
fn is_signed(value: &[u8]) {
    let token = value.trim_ascii().get(6..).expect("a scheme").trim_ascii();
    let dot = token.iter().rposition(|byte| *byte == b'.').expect("a dot");
    let (signed, signature) = token.split_at(dot);
    assert_eq!(&signature[1..], encoded(mark(signed).as_ref()).as_bytes());
}
