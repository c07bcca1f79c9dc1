//! Changes of what lists are filtered by: dimensions, and what reports a change (stories 18 to 21, I11, I12).

use crate::support::Answer;
use crate::support::Client;
use crate::support::Setup;
use crate::support::get;
use crate::support::post;
use crate::support::reply;
use crate::support::stage;

const FOOS: &str = r#"
  - id: foos
    match: { path: /foos }
    ttl: 60s
    vary_on: { query: { mode: allow, params: [{ name: attr1 }, { name: attr2 }, { name: attr3 }] } }
    dimensions: { mode: exact, attrs: { attr1: "{query.attr1}", attr2: "{query.attr2}", attr3: "{query.attr3}" } }
  - { id: bars, match: { path: /bars }, ttl: 60s }
"#;

/// `CHG x` of the stories: a POST whose answer reports this change, waited for.
async fn chg(client: &Client, change: &str) {
    let answer = client.ask(post("/touch").with("X-Change", change)).await;
    answer
        .has_status(200)
        .is_method()
        .has_no_field("cache-tag-change");
}

fn reports(app: &crate::support::Origin) {
    app.on("/touch", |call| {
        reply("").header(
            "Cache-Tag-Change",
            call.field("x-change").unwrap_or_default(),
        )
    });
}

async fn fill(client: &Client, targets: &[&str]) {
    for target in targets {
        client.get(target).await.is_miss();
    }
}

fn invalidated(answer: &Answer) {
    answer.is_invalidated();
}

fn hit(answer: &Answer) {
    answer.is_hit();
}

/// A path, and what its next answer is.
type Expected = (&'static str, fn(&Answer));

async fn then(client: &Client, expected: &[Expected]) {
    for (target, assert) in expected {
        assert(&client.get(target).await);
    }
}

#[tokio::test]
async fn old_and_new_values_select_what_shows_or_should_show_the_object() {
    // 18.
    let (app, _sidecar, client) = stage(FOOS).await;
    reports(&app);
    let [a, b, c, d] = [
        "/foos?attr1=1&attr2=t1",
        "/foos?attr1=2&attr2=t2",
        "/foos?attr1=3&attr2=t3",
        "/foos?attr1=1&attr2=t9",
    ];
    fill(&client, &[a, b, c, d]).await;
    chg(
        &client,
        r#"foos;old.attr1="1";new.attr1="2";old.attr2="t1";new.attr2="t2""#,
    )
    .await;
    then(
        &client,
        &[(a, invalidated), (b, invalidated), (c, hit), (d, hit)],
    )
    .await;
}

#[tokio::test]
async fn a_value_that_was_absent_selects_lists_without_the_attribute() {
    // 19.
    let (app, _sidecar, client) = stage(FOOS).await;
    reports(&app);
    let [p, q, r] = [
        "/foos?attr1=3&attr2=t3",
        "/foos?attr1=2&attr2=t&attr3=2.2",
        "/foos?attr1=2&attr2=t&attr3=1.1",
    ];
    fill(&client, &[p, q, r]).await;
    chg(&client, r#"foos;new.attr3="2.2""#).await;
    then(&client, &[(p, invalidated), (q, invalidated), (r, hit)]).await;
    chg(&client, r#"foos;old.attr1="3";new.attr1="3""#).await;
    then(&client, &[(p, hit), (q, hit), (r, hit)]).await;
}

#[tokio::test]
async fn a_created_object_selects_lists_that_should_show_it() {
    // 20.
    let (app, _sidecar, client) = stage(FOOS).await;
    reports(&app);
    let [one, two, all] = ["/foos?attr1=1", "/foos?attr1=2", "/foos"];
    fill(&client, &[one, two, all]).await;
    chg(&client, r#"foos;new.attr1="1""#).await;
    then(
        &client,
        &[(one, invalidated), (all, invalidated), (two, hit)],
    )
    .await;
}

#[tokio::test]
async fn a_change_without_attributes_is_one_of_the_whole_rule() {
    // 21.
    let (app, _sidecar, client) = stage(FOOS).await;
    reports(&app);
    fill(&client, &["/foos?attr1=1", "/foos", "/bars"]).await;
    chg(&client, "foos").await;
    let expected: [Expected; 3] = [
        ("/foos?attr1=1", invalidated),
        ("/foos", invalidated),
        ("/bars", hit),
    ];
    then(&client, &expected).await;
}

#[tokio::test]
async fn a_change_that_does_not_fit_forgets_too_much_rather_than_too_little() {
    let (app, _sidecar, client) = stage(FOOS).await;
    reports(&app);
    let all = ["/foos?attr1=1", "/bars"];
    for (change, foos, bars) in [
        (r#"foos;old.colour="red";new.colour="blue""#, true, false), // none of its attributes
        (r#"foos;old.attr1="7";when=1"#, true, false),               // more than is understood
        ("bars;old.attr1=1", false, true),                           // a rule without dimensions
        ("nobody;old.attr1=1", false, false),
        (r#"foos;old.attr1="1"#, false, false), // malformed
    ] {
        for target in all {
            client.get(target).await;
            client.get(target).await.is_hit();
        }
        chg(&client, change).await;
        for (target, forgotten) in all.into_iter().zip([foos, bars]) {
            let answer = client.get(target).await;
            assert_eq!(!answer.hits(), forgotten, "{change}: {target}");
        }
    }
}

#[tokio::test]
async fn a_list_whose_attribute_apps_may_read_in_two_ways_is_forgotten_by_every_change() {
    let (app, _sidecar, client) = stage(FOOS).await;
    reports(&app);
    for target in [
        "/foos?attr1=1&attr1=2",
        "/foos?attr1=%ff",
        "/foos?attr1=1;2",
    ] {
        fill(&client, &[target]).await;
        chg(&client, r#"foos;old.attr1="3""#).await;
        client.get(target).await.is_invalidated();
        chg(&client, r#"foos;old.attr1="3";new.attr1="3""#).await;
        client.get(target).await.is_hit();
    }
}

#[tokio::test]
async fn with_any_one_attribute_that_fits_is_enough() {
    let rules = FOOS.replace("mode: exact", "mode: any");
    let (app, _sidecar, client) = stage(&rules).await;
    reports(&app);
    let [both, one, neither] = [
        "/foos?attr1=1&attr2=t1&attr3=x",
        "/foos?attr1=1&attr2=t9&attr3=x",
        "/foos?attr1=3&attr2=t3&attr3=x",
    ];
    fill(&client, &[both, one, neither]).await;
    chg(
        &client,
        r#"foos;old.attr1="1";old.attr2="t1";new.attr2="t2""#,
    )
    .await;
    then(
        &client,
        &[(both, invalidated), (one, invalidated), (neither, hit)],
    )
    .await;
}

#[tokio::test]
async fn a_change_counts_on_any_method_and_status_and_is_not_replayed() {
    let (app, _sidecar, client) = stage(FOOS).await;
    for (status, method) in [(500, "POST"), (404, "GET"), (200, "GET")] {
        let target = format!("/reports/{status}");
        let report = reply("").control("max-age=60").status(status);
        app.answer(&target, report.header("Cache-Tag-Change", "foos"));
        client.get("/foos").await;
        client.get("/foos").await.is_hit();
        let ask = crate::support::ask(method, &target);
        client.ask(ask).await.has_no_field("cache-tag-change");
        client.get("/foos").await.is_invalidated();
    }
    let stored = client.get("/reports/200").await;
    stored.is_hit().has_no_field("cache-tag-change");
    client.get("/foos").await.is_hit();
}

#[tokio::test]
async fn an_exposed_change_that_is_stored_is_not_replayed_either() {
    let app = crate::support::Origin::start().await;
    let setup = Setup::new(&app).rules(FOOS);
    let sidecar = setup.config("headers: { expose: true }").start().await;
    let client = sidecar.client();
    app.answer(
        "/report",
        reply("")
            .control("max-age=60")
            .header("Cache-Tag-Change", "foos"),
    );
    client.get("/foos").await.is_miss();
    let told = client.get("/report").await;
    told.is_miss().has_field("cache-tag-change", "foos");
    client.get("/foos").await.is_invalidated();
    client.get("/report").await.is_hit();
    client.get("/foos").await.is_hit();
}

#[tokio::test]
async fn what_a_client_says_of_changes_never_counts() {
    // 27.1.
    let (app, _sidecar, client) = stage(FOOS).await;
    client.get("/foos").await.is_miss();
    client.ask(get("/z").with("Cache-Tag-Change", "foos")).await;
    assert_eq!(app.last("/z").field("cache-tag-change"), None);
    client.get("/foos").await.is_hit();
}
