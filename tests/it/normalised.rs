//! Keys that hold less than requests say: the app sees no more than that of what is stored for others.

use crate::support::Origin;
use crate::support::Sidecar;
use crate::support::ask;
use crate::support::get;
use crate::support::post;
use crate::support::reply;

const PAGES: &str = r"
  - id: page
    match: { path: /page }
    ttl: 60s
    vary_on:
      headers:
        - { name: Accept-Language, normalize: primary_lang, of: [en, de] }
        - { name: Accept-Encoding, normalize: encoding }
        - { name: X-Theme, normalize: lower_trim }
";

#[tokio::test]
async fn clients_that_prefer_the_same_of_what_there_is_share_a_response() {
    // K26, K27.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, PAGES).await;
    let client = sidecar.client();
    app.on("/page", |call| {
        let said = |name| call.field(name).unwrap_or("none".to_owned());
        let said = ["accept-language", "accept-encoding", "x-theme"].map(said);
        reply(said.join(" ")).header("Vary", "Accept-Language, Accept-Encoding, X-Theme")
    });

    let german = |language: &str| {
        get("/page")
            .with("Accept-Language", language)
            .with("Accept-Encoding", "gzip;q=0.9, br")
            .with("X-Theme", " Dark ")
    };
    let first = client.ask(german("de-AT, en;q=0.5")).await;
    first.is_miss().has_body("de br dark");
    let other = get("/page")
        .with("Accept-Language", "fr, de;q=0.1")
        .with("Accept-Encoding", "br,gzip")
        .with("X-Theme", "DARK");
    client.ask(other).await.is_hit().has_body("de br dark");
    let english = client.ask(german("en, de")).await;
    english.is_miss().has_body("en br dark");
    let neither = client.ask(german("fr, it")).await;
    neither.is_miss().has_body("none br dark");
    let silent = get("/page")
        .with("Accept-Encoding", "br")
        .with("X-Theme", "dark");
    client.ask(silent).await.is_hit().has_body("none br dark");
    let plain = client.get("/page").await;
    plain.is_miss().has_body("none identity none");
    let deflate = get("/page").with("Accept-Encoding", "deflate");
    client.ask(deflate).await.is_hit();
    assert_eq!(app.calls("/page"), 4);
}

#[tokio::test]
async fn the_app_sees_no_other_spelling_of_what_the_key_does_not_hold() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, PAGES).await;
    let client = sidecar.client();
    app.answer("/page", reply("x"));

    let odd = get("/page")
        .with("Accept_Language", "fr")
        .with("accept-language", "fr");
    client.ask(odd).await.is_miss();
    let seen = app.last("/page");
    assert_eq!(seen.field("accept_language"), None);
    assert_eq!(seen.field("accept-language"), None);
}

#[tokio::test]
async fn what_only_passes_keeps_its_headers_and_answers_others_only_if_they_say_the_same() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, PAGES).await;
    let client = sidecar.client();
    app.on("/page", |call| {
        reply(call.field("accept-language").unwrap_or_default())
            .header("Content-Location", "/page")
            .control("max-age=60")
    });

    let write = |language: &str| {
        post("/page")
            .with("Accept-Language", language)
            .with("Accept-Encoding", "br")
    };
    let read = || {
        get("/page")
            .with("Accept-Language", "de")
            .with("Accept-Encoding", "br")
    };
    client.ask(write("de-AT")).await.has_body("de-AT");
    client.ask(read()).await.is_miss().has_body("de");
    client.ask(write("de")).await.has_body("de");
    client.ask(read()).await.is_hit().has_body("de");

    // A HEAD says what a GET would bring, so it asks as that would.
    let head = ask("HEAD", "/page").with("Accept-Language", "en-GB, de;q=0.5");
    client.ask(head).await;
    assert_eq!(
        app.last("/page").field("accept-language").as_deref(),
        Some("en")
    );
}

#[tokio::test]
async fn a_rule_is_for_requests_whose_headers_match() {
    // K29.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r#"
  - id: versioned
    match: { path: /api, headers: [{ name: X-Api, matches: "v\\d+" }] }
    ttl: 60s
"#,
    )
    .await;
    let client = sidecar.client();
    app.answer("/api", reply("x"));

    client.get_with("/api", "X-Api", "v1").await.is_miss();
    client.get_with("/api", "X-Api", "v22").await.is_hit();
    let unstored = client.get_with("/api", "X-Api", "beta").await;
    unstored.is_unstored("no-freshness");
    client.get("/api").await.is_not_stored();
}
