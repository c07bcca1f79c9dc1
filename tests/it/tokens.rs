//! Keys on claims of tokens: who proves to be somebody gets what is stored for that somebody, and nobody else does (K27, L12);
//! and what the response's own `Vary` adds to that.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::Ed25519KeyPair;
use ring::signature::KeyPair;

use crate::support::Ask;
use crate::support::Origin;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::get;
use crate::support::post;
use crate::support::reply;

const JWKS: &str = "rules/jwks.json";

/// What the clock of every sidecar shows at the start of a test.
const START: u64 = 2_000_000_000;

const ME: &str = "
  - id: me
    match: { path: /me }
    vary_on: { jwt: [{ header: Authorization, claim: sub, verify: { jwks_file: jwks.json } }] }
    tags: ['User:{jwt.sub}']
    ttl: 1h
  - id: save
    match: { path: /save, methods: [POST] }
    vary_on: { jwt: [{ claim: sub, verify: { jwks_file: jwks.json } }] }
    increments: [{ tags: ['User:{jwt.sub}'] }]
";

/// An issuer of tokens.
struct Issuer(Ed25519KeyPair);

impl Issuer {
    fn new(seed: u8) -> Issuer {
        Issuer(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("any seed will do"))
    }

    fn jwks(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.0.public_key());
        format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}]}}"#)
    }

    fn token(&self, payload: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let signed = format!("{}.{}", part(r#"{"alg":"EdDSA"}"#), part(payload));
        let mark = self.0.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mark))
    }

    /// A request with a token that says this.
    fn ask(&self, request: Ask, payload: &str) -> Ask {
        let bearer = format!("Bearer {}", self.token(payload));
        request.with("Authorization", &bearer)
    }
}

/// An app that answers each with its own token, and says that it depends on it.
fn mirror(app: &Origin) {
    app.on("/me", |call| {
        let token = call.field("authorization");
        reply(token.unwrap_or("nobody".into())).header("Vary", "Authorization")
    });
}

async fn stage(issuer: &Issuer, rules: &str) -> (Origin, Sidecar) {
    let app = Origin::start().await;
    let setup = Setup::new(&app).rules(rules).file(JWKS, &issuer.jwks());
    (app, setup.start().await)
}

#[tokio::test]
async fn k27_two_tokens_of_one_subject_share_and_one_that_fails_is_never_a_hit() {
    let issuer = Issuer::new(1);
    let (app, sidecar) = stage(&issuer, ME).await;
    let client = sidecar.client();
    mirror(&app);
    let of_subject = |more: &str| issuer.ask(get("/me"), &format!(r#"{{"sub":"42"{more}}}"#));

    let first = client.ask(of_subject("")).await;
    first.is_miss();
    // Another token altogether, of the same person.
    let second = client.ask(of_subject(&format!(r#","iat":{START}"#))).await;
    second.is_hit().has_body(first.text());
    assert_eq!(app.calls("/me"), 1);

    let expired = of_subject(&format!(r#","exp":{}"#, START - 60));
    let early = of_subject(&format!(r#","nbf":{}"#, START + 61));
    let stranger = Issuer::new(2).ask(get("/me"), r#"{"sub":"42"}"#);
    let unsigned = format!(
        "Bearer {}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
        URL_SAFE_NO_PAD.encode(r#"{"sub":"42"}"#)
    );
    let refused = [
        ("expired", expired),
        ("early", early),
        ("by another key", stranger),
        ("unsigned", get("/me").with("Authorization", &unsigned)),
        ("no sub", issuer.ask(get("/me"), "{}")),
        ("no token", get("/me").with("Authorization", "Basic YTpi")),
    ];
    for (n, (name, ask)) in refused.into_iter().enumerate() {
        let answer = client.ask(ask).await;
        assert_eq!(answer.detail(), "token", "{name}: {answer}");
        assert!(!answer.hits() && answer.text() != first.text(), "{name}");
        assert_eq!(app.calls("/me"), n + 2, "{name}");
    }
    // And nothing of that was stored for anybody.
    client
        .ask(of_subject(""))
        .await
        .is_hit()
        .has_body(first.text());
    let nobody = client.get("/me").await;
    nobody.is_unstored("missing-tag-value").has_body("nobody");
}

#[tokio::test]
async fn l12_two_people_never_share_and_those_without_a_token_have_their_own() {
    let issuer = Issuer::new(1);
    let rules = "
  - id: me
    match: { path: /me }
    vary_on: { jwt: [{ claim: sub, verify: { jwks_file: jwks.json } }] }
    ttl: 1h
";
    let (app, sidecar) = stage(&issuer, rules).await;
    let client = sidecar.client();
    mirror(&app);
    let subjects = [r#""1""#, "1", r#""2""#, "null", "true", r#"["1"]"#, r#""""#];
    let asks = || {
        let of = |it: &&str| issuer.ask(get("/me"), &format!(r#"{{"sub":{it}}}"#));
        subjects.iter().map(of).chain([get("/me")])
    };

    let mut own = Vec::new();
    for ask in asks() {
        let answer = client.ask(ask).await;
        answer.is_miss();
        assert!(!own.contains(&answer.text()), "{answer}");
        own.push(answer.text());
    }
    for (ask, own) in asks().zip(&own) {
        client.ask(ask).await.is_hit().has_body(own);
    }
    assert_eq!(app.calls("/me"), subjects.len() + 1);
}

/// The private key of RFC 8037, appendix A.1, whose public key is the one in `rules/jwks.json`.
const RFC8037_A1_D: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";

#[tokio::test]
async fn the_examples_do_what_they_say() {
    let seed = URL_SAFE_NO_PAD.decode(RFC8037_A1_D).expect("base64url");
    let issuer = Issuer(Ed25519KeyPair::from_seed_unchecked(&seed).expect("a seed"));
    let rules = include_str!("../../rules/08-tokens.yaml");
    let (_, items) = rules.split_once("\nrules:\n").expect("it has rules");
    let app = Origin::start().await;
    let setup = Setup::new(&app).rules(items);
    let setup = setup.file(JWKS, include_str!("../../rules/jwks.json"));
    let sidecar = setup.start().await;
    let client = sidecar.client();
    app.answer("/my/orders", reply("x").header("Vary", "Authorization"));
    app.answer("/my/orders/new", reply("x"));
    app.answer("/team", reply("x").header("Vary", "Cookie"));
    let payload = |subject: &str| {
        format!(r#"{{"iss":"https://login.example","aud":["shop"],"sub":"{subject}"}}"#)
    };

    let orders = |subject: &str| issuer.ask(get("/my/orders"), &payload(subject));
    for subject in ["1", "2"] {
        client.ask(orders(subject)).await.is_miss();
        client.ask(orders(subject)).await.is_hit();
    }
    let order = issuer.ask(post("/my/orders/new"), &payload("1"));
    client.ask(order).await.has_status(200);
    client.ask(orders("1")).await.is_invalidated();
    client.ask(orders("2")).await.is_hit();

    let team = |of: u8, role: &str, more: &str| {
        let says = format!(r#"{{"aud":"shop","team":{{"id":{of}}},"role":"{role}"{more}}}"#);
        let cookie = format!("session={}", issuer.token(&says));
        get("/team").with("Cookie", &cookie)
    };
    client.ask(team(7, "member", "")).await.is_miss();
    client
        .ask(team(7, "member", r#","sub":"2""#))
        .await
        .is_hit();
    client.ask(team(7, "admin", "")).await.is_miss();
    client.ask(team(8, "member", "")).await.is_miss();
}

#[tokio::test]
async fn a_persons_own_change_forgets_what_is_stored_for_that_person() {
    let issuer = Issuer::new(1);
    let (app, sidecar) = stage(&issuer, ME).await;
    let client = sidecar.client();
    mirror(&app);
    app.answer("/save", reply("saved"));
    let read = |subject: &str| issuer.ask(get("/me"), &format!(r#"{{"sub":"{subject}"}}"#));

    client.ask(read("1")).await.is_miss();
    client.ask(read("2")).await.is_miss();
    client
        .ask(issuer.ask(post("/save"), r#"{"sub":"1"}"#))
        .await;
    assert_eq!(client.ask(read("1")).await.detail(), "invalidated");
    client.ask(read("2")).await.is_hit();
    // Nobody speaks for somebody else.
    let forged = Issuer::new(2).ask(post("/save"), r#"{"sub":"2"}"#);
    client.ask(forged).await.has_status(200);
    client.ask(read("2")).await.is_hit();
}

#[tokio::test]
async fn one_fill_is_for_all_who_prove_to_be_the_same_person() {
    let issuer = Issuer::new(1);
    let (app, sidecar) = stage(&issuer, ME).await;
    let client = sidecar.client();
    let hold = app.hold("/me");
    let ask = |n: u32| issuer.ask(get("/me"), &format!(r#"{{"sub":"1","n":{n}}}"#));

    let first = client.begin(ask(1)).await;
    let held = hold.arrived().await;
    let second = client.begin(ask(2)).await;
    sidecar.settle().await;
    let own = reply("x").header("Vary", "Authorization");
    held.release(own).await;
    first.answer().await.is_miss();
    second.answer().await.is_shared().has_body("x");
    assert_eq!(app.calls("/me"), 1);
}

#[tokio::test]
async fn a_token_that_expires_is_no_longer_answered_from_the_store() {
    let issuer = Issuer::new(1);
    let (app, sidecar) = stage(&issuer, ME).await;
    let client = sidecar.client();
    mirror(&app);
    let ask = || {
        issuer.ask(
            get("/me"),
            &format!(r#"{{"sub":"1","exp":{}}}"#, START + 10),
        )
    };

    client.ask(ask()).await.is_miss();
    sidecar.wait(69); // and the leeway of 60 s
    client.ask(ask()).await.is_hit();
    sidecar.wait(1);
    assert_eq!(client.ask(ask()).await.detail(), "token");
    assert_eq!(app.calls("/me"), 2);
}

#[tokio::test]
async fn new_keys_come_into_force_and_broken_ones_do_not() {
    let (old, new) = (Issuer::new(1), Issuer::new(2));
    let (app, sidecar) = stage(&old, ME).await;
    let client = sidecar.client();
    mirror(&app);
    let ask = |issuer: &Issuer| issuer.ask(get("/me"), r#"{"sub":"1"}"#);

    client.ask(ask(&old)).await.is_miss();
    assert_eq!(client.ask(ask(&new)).await.detail(), "token");
    sidecar.write(JWKS, "{}");
    for _ in 0..4 {
        sidecar.wait(1);
        sidecar.settle().await;
        client.ask(ask(&old)).await.is_hit();
    }
    sidecar.write(JWKS, &new.jwks());
    let refused = async || client.ask(ask(&old)).await.detail() == "token";
    sidecar.until("the new keys", refused).await;
    client.ask(ask(&new)).await.is_hit();
}

#[tokio::test]
async fn a_token_in_a_cookie_shares_among_cookies_that_agree_in_it() {
    let issuer = Issuer::new(1);
    let rules = "
  - id: me
    match: { path: /me }
    vary_on: { jwt: [{ cookie: session, claim: sub, verify: { jwks_file: jwks.json } }] }
    ttl: 1h
";
    let (app, sidecar) = stage(&issuer, rules).await;
    let client = sidecar.client();
    app.answer("/me", reply("x"));
    let ask = |payload: &str, more: &str| {
        let cookie = format!("session={}{more}", issuer.token(payload));
        get("/me").with("Cookie", &cookie)
    };

    client.ask(ask(r#"{"sub":"1"}"#, "")).await.is_miss();
    client
        .ask(ask(r#"{"sub":"1","n":2}"#, "; theme=dark"))
        .await
        .is_hit();
    client.ask(ask(r#"{"sub":"2"}"#, "")).await.is_miss();
    let two = ask(r#"{"sub":"2"}"#, "; session=x");
    assert_eq!(client.ask(two).await.detail(), "token");
    client.get("/me").await.is_miss();
    let credentials = ask(r#"{"sub":"1"}"#, "").with("Authorization", "t1");
    assert_eq!(client.ask(credentials).await.detail(), "authorization");
}

#[tokio::test]
async fn with_response_vary_off_nothing_is_selected_and_vary_any_is_not_stored() {
    let app = Origin::start().await;
    let rules = "
  - { id: a, match: { path: '/a/.*' }, ttl: 60s, vary_on: { response_vary: false } }
  - { id: b, match: { path: '/b/.*' }, ttl: 60s }
";
    let sidecar = Sidecar::with_rules(&app, rules).await;
    let client = sidecar.client();
    for (path, vary) in [
        ("1", "X-Theme"),
        ("2", "*"),
        ("3", "X-Theme, *"),
        ("4", "X-Forwarded-For"),
    ] {
        for rule in ["a", "b"] {
            app.answer(&format!("/{rule}/{path}"), reply("x").header("Vary", vary));
        }
    }
    let ask = |path: &str, theme: &str| get(path).with("X-Theme", theme);

    client.ask(ask("/a/1", "dark")).await.is_miss();
    client
        .ask(ask("/a/1", "light"))
        .await
        .is_hit()
        .has_field("vary", "X-Theme");
    client.ask(ask("/b/1", "dark")).await.is_miss();
    assert!(!client.ask(ask("/b/1", "light")).await.hits());
    client.get("/a/4").await.is_miss();
    for path in ["/a/2", "/a/3", "/b/2", "/b/4"] {
        client.get(path).await.is_unstored("vary-any");
    }
}

#[tokio::test]
async fn a_client_cannot_fill_the_store_with_variants_of_one_page() {
    let app = Origin::start().await;
    let setup = Setup::new(&app).config("limits: { max_variants: 3 }");
    let sidecar = setup.start().await;
    let client = sidecar.client();
    app.on("/p", |call| {
        let theme = call.field("x-theme").unwrap_or_default();
        reply(theme).header("Vary", "X-Theme").control("max-age=60")
    });
    let ask = |theme: usize| get("/p").with("X-Theme", &theme.to_string());

    for theme in 0..3 {
        client.ask(ask(theme)).await.has_body(theme.to_string());
        client.ask(ask(theme)).await.is_hit();
    }
    for theme in 3..20 {
        let answer = client.ask(ask(theme)).await;
        assert_eq!(answer.detail(), "too-many-variants", "{theme}: {answer}");
        answer.has_body(theme.to_string());
    }
    for theme in 0..3 {
        client.ask(ask(theme)).await.is_hit();
    }
    sidecar.wait(61);
    for theme in 20..23 {
        client.ask(ask(theme)).await;
        client.ask(ask(theme)).await.is_hit();
    }
}
