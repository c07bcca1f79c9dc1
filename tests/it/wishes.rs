//! What clients may ask of the cache (`client_control`), and how long responses are fresh whatever they say (`ttl.force`).

use crate::support::get;
use crate::support::reply;
use crate::support::stage;

#[tokio::test]
async fn a_client_gets_a_fresher_one_only_if_what_is_stored_is_old_enough() {
    // S18.
    let rules = "  - { id: k, match: { path: /k }, ttl: 60s, client_control: { min_age: 5s } }\n";
    let (app, sidecar, client) = stage(rules).await;
    app.answer("/k", reply("a"));
    client.get("/k").await.is_miss();
    let wishes = [
        ("Cache-Control", "no-cache"),
        ("Cache-Control", "max-age=0"),
        ("Cache-Control", "min-fresh=600"),
        ("Pragma", "no-cache"),
    ];
    for (name, value) in wishes {
        sidecar.wait(2);
        let young = client.get_with("/k", name, value).await;
        young.is_hit().has_field("age", "2");
        sidecar.wait(4);
        client.get_with("/k", name, value).await.is_on_request();
        client.get_with("/k", name, value).await.is_hit();
    }
}

#[tokio::test]
async fn what_comes_is_younger_than_that_so_clients_wait_for_it_together() {
    let rules = "  - { id: k, match: { path: /k }, ttl: 60s, client_control: { min_age: 5s } }\n";
    let (app, sidecar, client) = stage(rules).await;
    let call = app.hold("/k");
    let first = client.begin(get("/k")).await;
    let call = call.arrived().await;
    let anew = get("/k").with("Cache-Control", "no-cache");
    let second = client.begin(anew).await;
    sidecar.settle().await;
    call.release(reply("a")).await;
    first.answer().await.is_miss().has_body("a");
    second.answer().await.is_shared().has_body("a");
    assert_eq!(app.calls("/k"), 1);
}

#[tokio::test]
async fn without_control_clients_get_what_is_stored() {
    let rules = "  - { id: k, match: { path: /k }, ttl: 60s, client_control: { honor: false } }\n";
    let (app, sidecar, client) = stage(rules).await;
    app.answer("/k", reply("a"));
    let only = || get("/k").with("Cache-Control", "only-if-cached");
    client.ask(only()).await.is_miss();
    for value in ["no-cache", "max-age=0", "min-fresh=600", "no-store"] {
        let answer = client.get_with("/k", "Cache-Control", value).await;
        answer.is_hit();
    }
    sidecar.wait(61);
    let stale = client.get_with("/k", "Cache-Control", "max-stale").await;
    stale.is_expired();
    assert_eq!(app.calls("/k"), 2);
}

#[tokio::test]
async fn a_response_to_no_store_is_not_stored_whatever_the_rule_says() {
    // L12.
    let rules = "
  - { id: k, match: { path: '/k.*' }, ttl: 60s, client_control: { honor: false } }
  - { id: m, match: { path: '/m.*' }, ttl: 60s, client_control: { min_age: 1h } }
";
    let (app, _sidecar, client) = stage(rules).await;
    for path in ["/k", "/m"] {
        app.answer(path, reply("a"));
        let private = client.get_with(path, "Cache-Control", "no-store").await;
        private.is_not_stored();
        client.get(path).await.is_miss();
    }
}

#[tokio::test]
async fn in_bypass_only_if_cached_counts_where_it_is_honoured() {
    let rules = "
  - { id: k, match: { path: /k }, mode: bypass }
  - { id: m, match: { path: /m }, mode: bypass, client_control: { honor: false } }
";
    let (app, _sidecar, client) = stage(rules).await;
    app.answer("/m", reply("a"));
    let only = |path| get(path).with("Cache-Control", "only-if-cached");
    client.ask(only("/k")).await.has_status(504);
    client.ask(only("/m")).await.is_bypass(Some("rule"));
}

#[tokio::test]
async fn a_forced_life_wins_over_what_the_response_says_of_its_freshness() {
    // S3, S4.
    let rules = "  - { id: k, match: { path: '/k.*' }, ttl: { force: 1h } }\n";
    let (app, sidecar, client) = stage(rules).await;
    for (path, field, value) in [
        ("/k/short", "Cache-Control", "max-age=1"),
        ("/k/zero", "Cache-Control", "max-age=0, must-revalidate"),
        ("/k/each-time", "Cache-Control", "no-cache"),
        ("/k/targeted", "Tagalong-Cache-Control", "max-age=1"),
        ("/k/long", "Cache-Control", "s-maxage=86400"),
        ("/k/expired", "Expires", "0"),
        ("/k/old", "Age", "7200"),
        ("/k/silent", "X-Nothing", "said"),
    ] {
        app.answer(path, reply("a").header(field, value));
        client.get(path).await.is_miss();
        assert_eq!(client.get(path).await.is_hit().ttl(), 3_600, "{path}");
    }
    sidecar.wait(3_600);
    client.get("/k/long").await.is_expired();
}

#[tokio::test]
async fn a_forced_life_stores_nothing_that_is_somebodys_own_or_an_error() {
    // L12.
    let rules = "  - { id: k, match: { path: '/k.*' }, ttl: { force: 1h } }\n";
    let (app, _sidecar, client) = stage(rules).await;
    for (path, answer, reason) in [
        ("/k/private", reply("a").control("private"), "private"),
        ("/k/no-store", reply("a").control("no-store"), "no-store"),
        (
            "/k/cookie",
            reply("a").header("Set-Cookie", "a=1"),
            "set-cookie",
        ),
        ("/k/any", reply("a").header("Vary", "*"), "vary-any"),
        ("/k/error", reply("a").status(500), "no-freshness"),
    ] {
        app.answer(path, answer);
        client.get(path).await.is_unstored(reason);
    }
    app.answer("/k/mine", reply("a"));
    let mine = client.get_with("/k/mine", "Cookie", "a=1").await;
    mine.is_unstored("cookie");
    let mine = client.get_with("/k/mine", "Authorization", "a").await;
    mine.is_bypass(Some("authorization"));
}

#[tokio::test]
async fn a_status_with_a_time_of_its_own_is_not_forced() {
    let rules = "  - { id: k, match: { path: '/k.*' }, ttl: { force: 1h }, statuses: { 404: 10s, 302: inherit } }\n";
    let (app, _sidecar, client) = stage(rules).await;
    for (path, status, ttl) in [
        ("/k/404", 404, 10),
        ("/k/302", 302, 3_600),
        ("/k/410", 410, 3_600),
    ] {
        app.answer(path, reply("a").status(status));
        client.get(path).await.is_miss();
        assert_eq!(client.get(path).await.is_hit().ttl(), ttl, "{status}");
    }
}
