//! RFC 9111 through real sockets, a test or a named row for each thing it demands of a shared cache. Names begin with the
//! section. Ranges and incomplete responses (§3.3, §3.4) have tests of their own.

use crate::support::Client;
use crate::support::Origin;
use crate::support::Reply;
use crate::support::Setup;
use crate::support::ask;
use crate::support::date;
use crate::support::get;
use crate::support::not_modified;
use crate::support::post;
use crate::support::reply;
use crate::support::stage;

/// Whether a second request finds what the app answered to the first.
async fn is_reused(app: &Origin, client: &Client, path: &str, answer: Reply) -> bool {
    app.answer(path, answer);
    client.get(path).await.is_not_hit();
    let again = client.get(path).await;
    let asked = app.calls(path);
    assert_eq!(again.hits(), asked == 1, "asked {asked} times:\n{again}");
    again.hits()
}

// §3 Storing Responses in Caches

#[tokio::test]
async fn s3_what_is_stored() {
    let (app, _sidecar, client) = stage("").await;
    let cc = |value| ("Cache-Control", value);
    let modified = ("Last-Modified", "Sun, 17 May 2020 00:00:00 GMT");
    let (future, past) = (date(60), date(-60));
    for (n, (name, status, fields, stored)) in [
        ("explicit", 200, &[cc("max-age=60")][..], true),
        ("nothing said", 200, &[], false),
        ("404", 404, &[cc("max-age=60")], true),
        ("500", 500, &[cc("max-age=60")], true),
        ("302", 302, &[cc("max-age=60")], true),
        ("403", 403, &[cc("s-maxage=60")], true),
        ("a status nobody knows", 299, &[cc("max-age=60")], true),
        ("heuristics", 200, &[modified], true),
        ("heuristics, 410", 410, &[modified], true),
        ("heuristics, 302", 302, &[modified], false),
        ("heuristics, 500", 500, &[modified], false),
        (
            "heuristics, 302, public",
            302,
            &[cc("public"), modified],
            true,
        ),
        ("public alone", 200, &[cc("public")], false),
        ("Expires", 200, &[("Expires", &future)], true),
        ("Expires, other status", 418, &[("Expires", &future)], true),
        ("Expires over", 200, &[("Expires", &past)], false),
        ("no-store", 200, &[cc("no-store, max-age=60")], false),
        (
            "no-store, any case",
            200,
            &[cc("No-STORE, max-age=60")],
            false,
        ),
        (
            "no-store, argument",
            200,
            &[cc("no-store=x, max-age=60")],
            false,
        ),
        (
            "no-store, second line",
            200,
            &[cc("max-age=60"), cc("no-store")],
            false,
        ),
        ("private", 200, &[cc("private, max-age=60")], false),
        ("private, shouted", 200, &[cc("PRIVATE, max-age=60")], false),
        (
            "private over public",
            200,
            &[cc("public, private, max-age=60")],
            false,
        ),
        (
            "zero for shared caches",
            200,
            &[cc("max-age=60, s-maxage=0")],
            false,
        ),
        (
            "for shared caches alone",
            200,
            &[cc("max-age=0, s-maxage=60")],
            true,
        ),
        (
            "unknown directive",
            200,
            &[cc("max-age=60, foo=\"no-store\"")],
            true,
        ),
        (
            "s5_2_2_3 understood",
            200,
            &[cc("must-understand, no-store, max-age=60")],
            true,
        ),
        (
            "s5_2_2_3 not understood",
            299,
            &[cc("must-understand, max-age=60")],
            false,
        ),
        (
            "s5_2_2_3 neither",
            299,
            &[cc("must-understand, no-store, max-age=60")],
            false,
        ),
        (
            "s5_2_2_3 not written right",
            200,
            &[cc("must-understand=1, no-store, max-age=60")],
            false,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = reply("x").status(status).headers(fields);
        let reused = is_reused(&app, &client, &format!("/{n}"), answer).await;
        assert_eq!(reused, stored, "{name}");
    }
}

#[tokio::test]
async fn s3_what_answers_another_method_answers_no_get() {
    let (app, _sidecar, client) = stage("").await;
    for (n, method) in [
        "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "POST", "M-SEARCH",
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{n}");
        app.on(&path, |call| {
            reply(call.method.clone()).control("public, max-age=60")
        });
        let asked = ask(method, &path).with("Content-Length", "0");
        client.ask(asked.clone()).await.is_not_stored();
        client.ask(asked).await.is_not_stored();
        client.get(&path).await.is_miss().has_body("GET");
        assert_eq!(app.calls(&path), 3, "{method}");
    }
}

#[tokio::test]
async fn s3_a_request_with_no_store_leaves_nothing_behind() {
    let (app, _sidecar, client) = stage("").await;
    app.answer("/a", reply("x").control("max-age=60"));
    let secret = || client.get_with("/a", "Cache-Control", "no-store");
    secret().await.is_unstored("no-store");
    secret().await.is_unstored("no-store");
    client.get("/a").await.is_miss();
    secret().await.is_hit();
    assert_eq!(app.calls("/a"), 3);
}

#[tokio::test]
async fn s3_1_fields_of_the_connection_are_neither_stored_nor_passed_on() {
    let (app, _sidecar, client) = stage("").await;
    let fields = [
        ("Connection", "X-Hop, x-other"),
        ("Connection", "X-Third"),
        ("X-Hop", "1"),
        ("X-Other", "1"),
        ("X-Third", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Authenticate", "Basic"),
        ("Proxy-Authentication-Info", "x"),
        ("Proxy-Connection", "x"),
        ("TE", "trailers"),
        ("Upgrade", "x"),
    ];
    let kept = [
        ("X-Kept", "1"),
        ("Link", "</a>"),
        ("Link", "</b>"),
        ("Server", "s"),
    ];
    let answer = reply("x").control("max-age=60").headers(&fields);
    app.answer("/a", answer.headers(&kept));
    let (miss, hit) = (client.get("/a").await, client.get("/a").await);
    miss.is_miss();
    hit.is_hit();
    for answer in [&miss, &hit] {
        for (name, _) in &fields[2..] {
            answer.has_no_field(name);
        }
        answer
            .has_field("x-kept", "1")
            .has_field("link", "</a>, </b>");
        answer
            .has_field("server", "s")
            .has_field("cache-control", "max-age=60");
    }
}

#[tokio::test]
async fn s3_what_is_cut_is_not_stored() {
    let (app, _sidecar, client) = stage("").await;
    for (path, cut) in [
        ("/sized", reply("x").control("max-age=60").cut()),
        ("/chunked", reply("x").control("max-age=60").cut_chunked()),
    ] {
        app.answer(path, cut);
        client.get(path).await.is_cut();
        client.get(path).await.is_not_hit().is_cut();
        app.answer(path, reply("whole").control("max-age=60"));
        client.get(path).await.is_not_hit().has_body("whole");
        client.get(path).await.is_hit().has_body("whole");
    }
}

#[tokio::test]
async fn s3_5_what_credentials_get_is_stored_where_the_response_allows_it() {
    let rules = "  - { id: a, match: { path: '/.*' }, authorization: rfc9111 }\n";
    let (app, _sidecar, client) = stage(rules).await;
    for (n, (said, stored)) in [
        ("max-age=60", false),
        ("max-age=60, public", true),
        ("s-maxage=60", true),
        ("max-age=60, must-revalidate", true),
        ("max-age=60, proxy-revalidate", false),
        ("max-age=60, must-revalidate=1", false),
        ("max-age=60, public=1", false),
        ("max-age=60, s-maxage=x", false),
        ("max-age=60, public, private", false),
        ("max-age=60, no-store, public", false),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{n}");
        app.answer(&path, reply("x").control(said));
        let first = client.get_with(&path, "Authorization", "t1").await;
        first.is_not_hit();
        let second = client.get_with(&path, "Authorization", "t2").await;
        assert_eq!(second.hits(), stored, "{said}:\n{second}");
        assert_eq!(client.get(&path).await.hits(), stored, "{said}");
    }
}

// §4 Constructing Responses from Caches

#[tokio::test]
async fn s4_a_hit_is_the_response_as_it_came() {
    let (app, sidecar, client) = stage("").await;
    let stored = reply("gone").status(410).control("max-age=60");
    let stored = stored.header("X-A", "1").header("Date", date(0));
    app.answer("/a?x=1", stored.chunked());
    app.answer("/a", reply("plain").control("max-age=60"));
    client.get("/a?x=1").await.is_miss();
    sidecar.wait(7);
    let hit = client.get("/a?x=1").await;
    hit.is_hit().has_status(410).has_body("gone");
    hit.has_field("x-a", "1").has_field("age", "7");
    hit.has_field("date", &date(0));
    client.get("/a").await.is_miss().has_body("plain");
    let head = client.head("/a").await;
    head.is_hit().has_field("content-length", "5");
}

// §4.1 Calculating Cache Keys with the Vary Header Field

#[tokio::test]
async fn s4_1_which_requests_a_varying_response_answers() {
    let (app, _sidecar, client) = stage("").await;
    for (n, (name, vary, one, other, same)) in [
        (
            "equal",
            "Foo",
            &[("Foo", "1")][..],
            &[("Foo", "1")][..],
            true,
        ),
        ("other", "Foo", &[("Foo", "1")], &[("Foo", "2")], false),
        ("omitted", "Foo", &[("Foo", "1")], &[], false),
        ("added", "Foo", &[], &[("Foo", "1")], false),
        ("absent from both", "Foo", &[], &[], true),
        ("empty is not absent", "Foo", &[("Foo", "")], &[], false),
        (
            "a field it does not name",
            "Foo",
            &[("Bar", "1")],
            &[("Bar", "2")],
            true,
        ),
        (
            "names in any case",
            "fOO",
            &[("FOO", "1")],
            &[("foo", "1")],
            true,
        ),
        (
            "values have a case",
            "Foo",
            &[("Foo", "a")],
            &[("Foo", "A")],
            false,
        ),
        (
            "two names",
            "Foo, Bar",
            &[("Foo", "1"), ("Bar", "2")],
            &[("Bar", "2"), ("Foo", "1")],
            true,
        ),
        (
            "two names, one differs",
            "Foo, Bar",
            &[("Foo", "1"), ("Bar", "2")],
            &[("Foo", "1"), ("Bar", "3")],
            false,
        ),
        (
            "swapped between two names",
            "Foo, Bar",
            &[("Foo", "1"), ("Bar", "2")],
            &[("Foo", "2"), ("Bar", "1")],
            false,
        ),
        (
            "lines of a list",
            "Foo",
            &[("Foo", "1, 2")],
            &[("Foo", "1"), ("Foo", "2")],
            true,
        ),
        (
            "order of a list",
            "Foo",
            &[("Foo", "1, 2")],
            &[("Foo", "2, 1")],
            false,
        ),
        (
            "blanks of a list",
            "Foo",
            &[("Foo", "1,2")],
            &[("Foo", "1 , 2")],
            true,
        ),
        (
            "order of wishes",
            "Accept-Language",
            &[("Accept-Language", "en, de;q=0.5")],
            &[("Accept-Language", "de;q=0.5,en")],
            true,
        ),
        (
            "case of wishes",
            "Accept-Encoding",
            &[("Accept-Encoding", "GZIP")],
            &[("Accept-Encoding", "gzip")],
            true,
        ),
        (
            "weights of wishes",
            "Accept",
            &[("Accept", "a/b;q=0.50")],
            &[("Accept", "a/b; q=0.5")],
            true,
        ),
        (
            "other weights",
            "Accept",
            &[("Accept", "a/b;q=0.5")],
            &[("Accept", "a/b;q=0.6")],
            false,
        ),
        ("any", "*", &[], &[], false),
        (
            "any among others",
            "Foo, *",
            &[("Foo", "1")],
            &[("Foo", "1")],
            false,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{n}");
        app.answer(&path, reply("x").control("max-age=60").header("Vary", vary));
        let asking = |fields: &[(&str, &str)]| {
            let plain = get(&path);
            fields
                .iter()
                .fold(plain, |ask, (name, value)| ask.with(name, value))
        };
        client.ask(asking(one)).await.is_not_hit();
        let answer = client.ask(asking(other)).await;
        assert_eq!(answer.hits(), same, "{name}:\n{answer}");
        assert_eq!(app.calls(&path), if same { 1 } else { 2 }, "{name}");
    }
}

#[tokio::test]
async fn s4_1_vary_on_several_lines_is_one_list() {
    let (app, _sidecar, client) = stage("").await;
    let varying = reply("x").control("max-age=60").header("Vary", "Foo");
    app.answer("/a", varying.header("Vary", "Bar"));
    let asked = |foo: &str, bar: &str| client.ask(get("/a").with("Foo", foo).with("Bar", bar));
    asked("1", "1").await.is_miss();
    asked("1", "2").await.is_vary_miss();
    asked("2", "1").await.is_vary_miss();
    asked("1", "1").await.is_hit();
    asked("1", "2").await.is_hit();
}

/// Answers in the language asked for, each with an entity tag of its own, and 304 to whoever has that.
fn varies_by_language(app: &Origin) {
    app.on("/a", |call| {
        let language = call.field("accept-language").unwrap_or_default();
        let tag = format!("\"{language}\"");
        let answer = if call.field("if-none-match").as_ref() == Some(&tag) {
            not_modified()
        } else {
            reply(language)
        };
        answer
            .control("max-age=60")
            .etag(&tag)
            .header("Vary", "Accept-Language")
    });
}

#[tokio::test]
async fn s4_1_variants_live_side_by_side_and_are_revalidated_each_by_its_own_validator() {
    let (app, sidecar, client) = stage("").await;
    varies_by_language(&app);
    let asked = |language| client.get_with("/a", "Accept-Language", language);
    asked("en").await.is_miss();
    sidecar.wait(10);
    asked("de").await.is_vary_miss().has_body("de");
    asked("en").await.is_hit().has_body("en");
    sidecar.wait(51);
    asked("en").await.is_revalidated().has_body("en");
    asked("de")
        .await
        .is_hit()
        .has_body("de")
        .has_field("age", "51");
    sidecar.wait(10);
    asked("de").await.is_revalidated().has_body("de");
    assert_eq!(
        app.last("/a").field("if-none-match").as_deref(),
        Some("\"de\"")
    );
    asked("en")
        .await
        .is_hit()
        .has_field("age", "10")
        .has_body("en");
    asked("fr").await.is_vary_miss().has_body("fr");
    assert_eq!(app.last("/a").field("if-none-match"), None);
    assert_eq!(app.calls("/a"), 5);
}

#[tokio::test]
async fn s4_1_a_response_in_the_language_that_is_wanted_most_will_do() {
    let (app, sidecar, client) = stage("").await;
    app.on("/a", |call| {
        let wanted = call.field("accept-language").unwrap_or_default();
        let language = if wanted.starts_with("de") { "de" } else { "en" };
        let tag = format!("\"{language}\"");
        let known = call.field("if-none-match").as_ref() == Some(&tag);
        let answer = if known {
            not_modified()
        } else {
            reply(language)
        };
        answer
            .control("max-age=60")
            .etag(&tag)
            .header("Vary", "Accept-Language")
            .header("Content-Language", language)
    });
    let asked = |language| client.get_with("/a", "Accept-Language", language);
    asked("en, de;q=0.5").await.is_miss().has_body("en");
    asked("en").await.is_hit().has_body("en");
    asked("EN;q=0.9, fr;q=0.1").await.is_hit().has_body("en");
    asked("de, en;q=0.5").await.is_vary_miss().has_body("de");
    asked("de").await.is_hit().has_body("de");
    asked("en, de").await.is_vary_miss(); // wanted alike: the app chooses
    assert_eq!(app.calls("/a"), 3);

    // Once it is stale, the app chooses anew for each spelling.
    sidecar.wait(61);
    asked("de;q=0.7").await.is_vary_miss().has_body("de");
    asked("de").await.is_hit().has_body("de");
    asked("en").await.is_vary_miss().has_body("en");
    asked("en;q=0.3").await.is_hit().has_body("en");
}

#[tokio::test]
async fn s4_1_what_a_304_says_of_vary_selects_from_then_on() {
    let (app, sidecar, client) = stage("").await;
    app.answer("/a", reply("1").control("max-age=60").etag("\"1\""));
    client.get_with("/a", "Foo", "1").await.is_miss();
    client.get_with("/a", "Foo", "2").await.is_hit();
    sidecar.wait(60);
    app.answer("/a", not_modified().etag("\"1\"").header("Vary", "Foo"));
    client.get_with("/a", "Foo", "1").await.is_revalidated();
    client
        .get_with("/a", "Foo", "1")
        .await
        .is_hit()
        .has_field("vary", "Foo");
    app.answer("/a", reply("2").control("max-age=60").header("Vary", "Foo"));
    client
        .get_with("/a", "Foo", "2")
        .await
        .is_vary_miss()
        .has_body("2");
    client
        .get_with("/a", "Foo", "1")
        .await
        .is_hit()
        .has_body("1");
}

// §4.2 Freshness

/// How long a second request may find it, in seconds; zero if it does not.
async fn lives(app: &Origin, client: &Client, path: &str, answer: Reply) -> i64 {
    if is_reused(app, client, path, answer).await {
        client.get(path).await.ttl()
    } else {
        0
    }
}

#[tokio::test]
async fn s4_2_1_where_the_lifetime_comes_from() {
    let (app, _sidecar, client) = stage("").await;
    let cc = |value| ("Cache-Control", value);
    let (now, later, earlier) = (date(0), date(100), date(-1_000));
    for (n, (name, fields, expected)) in [
        (
            "s-maxage",
            &[cc("max-age=5, s-maxage=9"), ("Expires", &*later)][..],
            9,
        ),
        ("max-age", &[cc("max-age=5"), ("Expires", &later)], 5),
        ("max-age, any case", &[cc("Max-Age=5")], 5),
        ("max-age, quoted", &[cc("max-age=\"5\"")], 5),
        (
            "Expires less Date",
            &[("Expires", &later), ("Date", &now)],
            100,
        ),
        ("Expires, no Date", &[("Expires", &later)], 100),
        ("Expires is Date", &[("Expires", &now), ("Date", &now)], 0),
        (
            "Expires 0",
            &[("Expires", "0"), ("Last-Modified", &earlier)],
            0,
        ),
        (
            "two Expires that differ",
            &[("Expires", &later), ("Expires", &now)],
            0,
        ),
        ("the first of two", &[cc("max-age=5, max-age=9")], 5),
        ("malformed", &[cc("max-age=x"), ("Expires", &later)], 0),
        ("negative", &[cc("max-age=-5")], 0),
        ("a fraction", &[cc("max-age=5.5")], 0),
        ("a blank before the number", &[cc("max-age= 5")], 0),
        (
            "too large to count",
            &[cc("max-age=99999999999999999999")],
            604_800,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = reply("x").headers(fields);
        let path = format!("/{n}");
        assert_eq!(
            lives(&app, &client, &path, answer).await,
            expected,
            "{name}"
        );
    }
}

#[tokio::test]
async fn s4_2_1_a_date_has_three_forms() {
    let (app, _sidecar, client) = stage("").await;
    for (n, (expires, expected)) in [
        ("Wed, 18 May 2033 03:34:20 GMT", 60),
        ("Wednesday, 18-May-33 03:34:20 GMT", 60),
        ("Wed May 18 03:34:20 2033", 60),
        ("Wed, 18 May 2033 03:34:20 UTC+1", 0),
        ("2033-05-18T03:34:20Z", 0),
        ("", 0),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = reply("x").header("Expires", expires);
        let path = format!("/{n}");
        assert_eq!(
            lives(&app, &client, &path, answer).await,
            expected,
            "{expires}"
        );
    }
}

#[tokio::test]
async fn s4_2_2_heuristics_only_where_nothing_is_said() {
    let (app, _sidecar, client) = stage("").await;
    let modified = date(-1_000);
    let modified = ("Last-Modified", &*modified);
    let cc = |value| ("Cache-Control", value);
    for (n, (name, status, fields, expected)) in [
        ("a tenth", 200, &[modified][..], 100),
        ("a tenth, 404", 404, &[modified], 100),
        ("explicit", 200, &[modified, cc("max-age=7")], 7),
        ("explicit zero", 200, &[modified, cc("max-age=0")], 0),
        ("other status", 201, &[modified], 0),
        ("public", 201, &[modified, cc("public")], 100),
        (
            "public, not written right",
            201,
            &[modified, cc("public=1")],
            0,
        ),
        (
            "in the future",
            200,
            &[("Last-Modified", "Sun, 18 May 2042 00:00:00 GMT")],
            0,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = reply("x").status(status).headers(fields);
        let path = format!("/{n}");
        assert_eq!(
            lives(&app, &client, &path, answer).await,
            expected,
            "{name}"
        );
    }
}

#[tokio::test]
async fn s4_2_3_the_age_is_that_of_date_or_age_whichever_is_more() {
    let (app, sidecar, client) = stage("").await;
    let (now, earlier) = (date(0), date(-30));
    for (n, (name, fields, age)) in [
        ("nothing said", &[][..], "0"),
        ("Age", &[("Age", "20"), ("Date", &*now)], "20"),
        ("Date", &[("Date", &*earlier)], "30"),
        ("Date is more", &[("Age", "20"), ("Date", &earlier)], "30"),
        ("Age is more", &[("Age", "40"), ("Date", &earlier)], "40"),
        (
            "Date in the future",
            &[("Date", "Wed, 18 May 2033 04:00:00 GMT")],
            "0",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{n}");
        app.answer(&path, reply("x").control("max-age=60").headers(fields));
        client.get(&path).await.is_miss();
        let hit = client.get(&path).await;
        assert_eq!(hit.is_hit().field("age").as_deref(), Some(age), "{name}");
    }

    app.answer("/old", reply("x").control("max-age=60").header("Age", "60"));
    client.get("/old").await.is_unstored("already-expired");

    // The time that the exchange took counts for the age it says.
    let hold = app.hold("/slow");
    let asked = client.begin(get("/slow")).await;
    let held = hold.arrived().await;
    sidecar.wait(8);
    let slow = reply("x").control("max-age=60").header("Age", "10");
    held.release(slow.header("Date", date(8))).await;
    asked.answer().await.is_miss();
    client.get("/slow").await.is_hit().has_field("age", "18");
}

#[tokio::test]
async fn s4_2_4_what_forbids_stale_responses() {
    // Without a connection, RFC 9111 lets a cache serve what is stale, unless it is told not to.
    let (app, sidecar, client) = stage("").await;
    let mut rows = Vec::new();
    for (n, (said, allowed)) in [
        ("max-age=60", true),
        ("max-age=60, must-revalidate", false),
        ("max-age=60, proxy-revalidate", false),
        ("max-age=60, must-revalidate=1", false),
        ("s-maxage=60", false),
        ("max-age=60, stale-if-error=60, must-revalidate", false),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{n}");
        app.answer(&path, reply("x").control(said).etag("\"1\""));
        client.get(&path).await.is_miss();
        app.answer(&path, Reply::hang_up());
        rows.push((path, said, allowed));
    }
    sidecar.wait(61);
    for (path, said, allowed) in rows {
        let answer = client.get(&path).await;
        if allowed {
            answer.is_stale("disconnected").has_body("x");
        } else {
            assert_eq!(answer.status, 504, "{said}:\n{answer}");
        }
        let wish = "max-stale=100";
        let wished = client.get_with(&path, "Cache-Control", wish).await;
        assert_eq!(wished.hits(), allowed, "{said}:\n{wished}");
    }
}

// §4.3 Validation

#[tokio::test]
async fn s4_3_1_the_app_is_asked_with_the_validators_it_gave() {
    let (app, sidecar, client) = stage("").await;
    let modified = date(-1_000);
    let modified = ("Last-Modified", &*modified);
    let etag = |value| ("ETag", value);
    let mut rows = Vec::new();
    for (n, (name, fields, if_none_match, since)) in [
        ("strong", &[etag("\"1\"")][..], Some("\"1\""), false),
        ("weak", &[etag("W/\"1\"")], Some("W/\"1\""), false),
        ("unquoted", &[etag("1")], Some("1"), false),
        ("a date", &[modified], None, true),
        ("both", &[etag("\"1\""), modified], Some("\"1\""), true),
        ("neither", &[], None, false),
        ("any", &[etag("*")], None, false),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{n}");
        app.answer(&path, reply("x").control("max-age=60").headers(fields));
        client.get(&path).await.is_miss();
        rows.push((path, name, if_none_match, since));
    }
    sidecar.wait(61);
    for (path, name, if_none_match, since) in rows {
        let asked = get(&path)
            .with("If-Match", "\"9\"")
            .with("If-None-Match", "\"8\"");
        client.ask(asked).await.has_status(200).is_expired();
        let call = app.last(&path);
        assert_eq!(
            call.field("if-none-match").as_deref(),
            if_none_match,
            "{name}"
        );
        assert_eq!(call.field("if-modified-since").is_some(), since, "{name}");
        assert_eq!(call.field("if-match"), None, "{name}");
    }
}

/// Stores `old` with the entity tag "1" and these fields under `/a` for a minute, and lets it expire.
async fn expired(app: &Origin, sidecar: &crate::support::Sidecar, fields: &[(&str, &str)]) {
    app.answer(
        "/a",
        reply("old")
            .control("max-age=60")
            .etag("\"1\"")
            .headers(fields),
    );
    sidecar.client().get("/a").await.is_miss();
    sidecar.wait(60);
}

#[tokio::test]
async fn s4_3_4_a_304_makes_the_stored_response_fresh() {
    let (app, sidecar, client) = stage("").await;
    expired(&app, &sidecar, &[("X-A", "1"), ("Age", "10")]).await;
    app.answer("/a", not_modified().etag("\"1\"").header("X-B", "2"));
    let answer = client.get("/a").await;
    answer.is_revalidated().has_status(200).has_body("old");
    answer.has_field("x-a", "1").has_field("x-b", "2");
    let hit = client.get("/a").await;
    hit.is_hit().has_body("old").has_field("age", "0");
    hit.has_field("x-a", "1")
        .has_field("x-b", "2")
        .has_field("date", &date(60));
    assert_eq!(hit.ttl(), 60);
    sidecar.wait(60);
    client.get("/a").await.is_revalidated();
    assert_eq!(app.calls("/a"), 3);
}

#[tokio::test]
async fn s4_3_4_a_304_updates_every_field_but_those_that_describe_the_bytes() {
    let (app, sidecar, client) = stage("").await;
    let bytes = [
        ("Content-Encoding", "x"),
        ("Content-Type", "a/b"),
        ("X-List", "1"),
        ("X-List", "2"),
    ];
    expired(&app, &sidecar, &bytes).await;
    let new = [
        ("Content-Encoding", "y"),
        ("Content-Range", "bytes 0-0/9"),
        ("Content-Type", "c/d"),
        ("X-List", "3"),
        ("Set-Thing", "1"),
        ("Connection", "x-hop"),
        ("X-Hop", "1"),
        ("ETag", "\"2\""),
        ("Cache-Control", "max-age=90"),
    ];
    app.answer("/a", not_modified().headers(&new));
    let revalidated = client.get("/a").await;
    revalidated.is_revalidated();
    let hit = client.get("/a").await;
    hit.is_hit();
    for answer in [&revalidated, &hit] {
        answer.has_body("old").has_field("content-length", "3");
        answer
            .has_field("content-encoding", "x")
            .has_no_field("content-range");
        answer
            .has_field("content-type", "c/d")
            .has_field("x-list", "3");
        answer.has_field("set-thing", "1").has_no_field("x-hop");
        answer
            .has_field("etag", "\"1\"")
            .has_field("cache-control", "max-age=90");
    }
    assert_eq!(hit.ttl(), 90);
}

#[tokio::test]
async fn s4_3_4_the_age_of_a_304_is_the_age_from_then_on() {
    let (app, sidecar, client) = stage("").await;
    expired(&app, &sidecar, &[]).await;
    app.answer("/a", not_modified().header("Age", "20"));
    client.get("/a").await.is_revalidated();
    sidecar.wait(5);
    client.get("/a").await.is_hit().has_field("age", "25");
}

#[tokio::test]
async fn s4_3_3_a_full_response_replaces() {
    let (app, sidecar, client) = stage("").await;
    expired(&app, &sidecar, &[("X-A", "1")]).await;
    app.answer("/a", reply("new").control("max-age=60").etag("\"2\""));
    client.get("/a").await.is_expired().has_body("new");
    let hit = client.get("/a").await;
    hit.is_hit().has_body("new").has_no_field("x-a");
    sidecar.wait(60);
    client.get("/a").await.is_expired();
    assert_eq!(
        app.last("/a").field("if-none-match").as_deref(),
        Some("\"2\"")
    );
}

#[tokio::test]
async fn s4_3_4_a_304_that_must_not_be_stored_refreshes_nothing() {
    for (name, fields, reason) in [
        ("no-store", ("Cache-Control", "no-store"), "no-store"),
        ("private", ("Cache-Control", "private"), "private"),
        ("a cookie", ("Set-Cookie", "sid=1"), "set-cookie"),
        ("any", ("Vary", "*"), "vary-any"),
    ] {
        let (app, sidecar, client) = stage("").await;
        expired(&app, &sidecar, &[]).await;
        app.answer("/a", not_modified().headers(&[fields]));
        for _ in 0..2 {
            let answer = client.get("/a").await;
            answer
                .has_status(200)
                .has_body("old")
                .has_field(fields.0, fields.1);
            let said = format!("tagalong; fwd=stale; fwd-status=304; detail={reason}");
            answer.has_field("cache-status", &said);
            sidecar.forget_hit_for_miss();
        }
        assert_eq!(app.calls("/a"), 3, "{name}");
        app.answer("/a", not_modified());
        let back = client.get("/a").await;
        back.is_revalidated().has_no_field("set-cookie");
        back.has_field("cache-control", "max-age=60");
        client.get("/a").await.is_hit();
    }
}

#[tokio::test]
async fn s4_3_an_invalidated_response_is_not_asked_about_but_fetched_anew() {
    let (app, sidecar, client) = stage("").await;
    let tagged = |body: &str| {
        reply(body)
            .control("max-age=60")
            .etag("\"1\"")
            .header("Cache-Tag", "A")
    };
    for expires in [false, true] {
        app.answer("/a", tagged("old"));
        client.get("/a").await.is_not_hit();
        sidecar.inc("A").await;
        sidecar.wait(if expires { 61 } else { 0 });
        app.answer("/a", tagged("new"));
        client.get("/a").await.is_invalidated().has_body("new");
        assert_eq!(app.last("/a").field("if-none-match"), None);
        client.get("/a").await.is_hit().has_body("new");
        sidecar.inc("A").await;
    }
}

#[tokio::test]
async fn s4_3_an_increment_during_the_revalidation_keeps_the_old_one_from_coming_back() {
    // L1, L5.
    let (app, sidecar, client) = stage("").await;
    expired(&app, &sidecar, &[("Cache-Tag", "A")]).await;
    let hold = app.hold("/a");
    let asked = client.begin(get("/a")).await;
    let held = hold.arrived().await;
    sidecar.inc("A").await;
    held.release(not_modified().etag("\"1\"")).await;
    let said = "tagalong; fwd=stale; fwd-status=304; detail=raced";
    asked
        .answer()
        .await
        .has_field("cache-status", said)
        .has_body("old");
    app.answer(
        "/a",
        reply("new").control("max-age=60").header("Cache-Tag", "A"),
    );
    client.get("/a").await.is_invalidated().has_body("new");
    assert_eq!(app.last("/a").field("if-none-match"), None);
}

#[tokio::test]
async fn s4_3_who_comes_after_an_increment_does_not_follow_a_revalidation_from_before() {
    // L1.
    let (app, sidecar, client) = stage("").await;
    expired(&app, &sidecar, &[("Cache-Tag", "A")]).await;
    let hold = app.hold("/a");
    let before = client.begin(get("/a")).await;
    let held = hold.arrived().await;
    sidecar.inc("A").await;
    app.answer(
        "/a",
        reply("new").control("max-age=60").header("Cache-Tag", "A"),
    );
    let after = client.begin(get("/a")).await;
    sidecar.settle().await;
    held.release(not_modified()).await;
    before.answer().await.has_body("old");
    after.answer().await.has_body("new");
    client.get("/a").await.is_hit().has_body("new");
}

#[tokio::test]
async fn s4_3_4_the_tags_of_a_304() {
    for (name, said, still, gone) in [
        ("none named: the old ones", &[][..], "B", "A"),
        ("named: these alone", &[("Cache-Tag", "B")], "A", "B"),
        ("an empty field names none", &[("Cache-Tag", "")], "B", "A"),
    ] {
        let (app, sidecar, client) = stage("").await;
        expired(&app, &sidecar, &[("Cache-Tag", "A")]).await;
        app.answer("/a", not_modified().headers(said));
        client.get("/a").await.is_revalidated();
        sidecar.inc(still).await;
        let hit = client.get("/a").await;
        assert!(hit.hits(), "{name}:\n{hit}");
        sidecar.inc(gone).await;
        app.answer("/a", reply("new").control("max-age=60"));
        let answer = client.get("/a").await;
        assert_eq!(answer.text(), "new", "{name}:\n{answer}");
        answer.is_invalidated();
    }
}

#[tokio::test]
async fn s5_2_2_4_no_cache_asks_each_time() {
    let (app, _sidecar, client) = stage("").await;
    let fields = [("Cache-Control", "no-cache, max-age=60"), ("ETag", "\"1\"")];
    app.on("/a", move |call| {
        let known = call.field("if-none-match").is_some();
        let answer = if known { not_modified() } else { reply("x") };
        answer.headers(&fields)
    });
    client.get("/a").await.is_miss();
    for n in 2..5 {
        client.get("/a").await.is_revalidated().has_body("x");
        assert_eq!(app.calls("/a"), n);
    }
    app.answer("/a", Reply::hang_up());
    client.get("/a").await.is_problem(504);
}

#[tokio::test]
async fn s4_3_what_is_never_fresh_is_asked_about_each_time() {
    let (app, _sidecar, client) = stage("").await;
    let etag = ("ETag", "\"1\"");
    let cc = |value| ("Cache-Control", value);
    let modified = date(-1_000);
    for (n, (name, status, fields, asks)) in [
        ("nothing said", 200, &[etag][..], true),
        ("zero", 200, &[etag, cc("max-age=0")], true),
        (
            "zero for us",
            200,
            &[etag, cc("max-age=60, s-maxage=0")],
            true,
        ),
        (
            "Expires 0",
            200,
            &[("Last-Modified", &*modified), ("Expires", "0")],
            true,
        ),
        (
            "arrives too old",
            200,
            &[etag, cc("max-age=60"), ("Age", "60")],
            true,
        ),
        (
            "an Age that says nothing",
            200,
            &[etag, cc("max-age=60"), ("Age", "x")],
            true,
        ),
        ("a status that must say so", 302, &[etag], false),
        ("nothing to ask by", 200, &[cc("max-age=0")], false),
        ("no-store", 200, &[etag, cc("no-store")], false),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{n}");
        let stored = reply("x").status(status).headers(fields);
        let known = not_modified().headers(fields);
        app.on(&path, move |call| {
            let names = ["if-none-match", "if-modified-since"];
            let asked = names.iter().any(|name| call.field(name).is_some());
            if asked { known.clone() } else { stored.clone() }
        });
        client.get(&path).await.is_not_hit().has_body("x");
        for _ in 0..2 {
            let answer = client.get(&path).await;
            answer.is_not_hit().has_status(status).has_body("x");
            let said = answer.cache_status().unwrap();
            assert_eq!(said.contains_key("fwd-status"), asks, "{name}:\n{answer}");
        }
    }
}

#[tokio::test]
async fn s5_2_2_4_no_cache_asks_for_everyone_at_once() {
    let (app, sidecar, client) = stage("").await;
    let plain = reply("x").control("no-cache").etag("\"1\"");
    app.answer("/a", plain);
    client.get("/a").await.is_miss();
    let holds: Vec<_> = (0..5).map(|_| app.hold("/a")).collect();
    let asked = client.begin_many(5, &get("/a")).await;
    let mut held = Vec::new();
    for hold in holds {
        held.push(hold.arrived().await); // each arrives while the others wait
    }
    for held in held.into_iter().rev() {
        held.release(not_modified()).await;
    }
    for asked in asked {
        asked.answer().await.is_revalidated().has_body("x");
    }
    sidecar.settle().await;
    assert_eq!(app.calls("/a"), 6);
}

#[tokio::test]
async fn s5_2_2_4_no_cache_with_nothing_to_ask_by_is_not_stored() {
    let (app, sidecar, client) = stage("").await;
    let said = "no-cache, max-age=60";
    assert!(!is_reused(&app, &client, "/a", reply("x").control(said)).await);
    sidecar.forget_hit_for_miss();
    client.get("/a").await.is_unstored("already-expired");
}

#[tokio::test]
async fn s5_2_1_4_a_client_that_wants_it_fresh_is_answered_by_a_304() {
    for wish in ["no-cache", "max-age=0"] {
        let (app, sidecar, client) = stage("").await;
        app.answer("/a", reply("x").control("max-age=60").etag("\"1\""));
        client.get("/a").await.is_miss();
        sidecar.wait(10);
        app.answer("/a", not_modified());
        let answer = client.get_with("/a", "Cache-Control", wish).await;
        let said = "tagalong; fwd=request; fwd-status=304; detail=revalidated";
        answer.has_field("cache-status", said).has_body("x");
        assert_eq!(
            app.last("/a").field("if-none-match").as_deref(),
            Some("\"1\"")
        );
        client.get("/a").await.is_hit().has_field("age", "0");
        assert_eq!(app.calls("/a"), 2, "{wish}");
    }
}

#[tokio::test]
async fn s4_3_2_the_clients_own_conditions_meet_what_the_app_confirms() {
    let (app, sidecar, client) = stage("").await;
    let modified = date(-1_000);
    expired(&app, &sidecar, &[("Last-Modified", &modified)]).await;
    for (name, field, value, status) in [
        ("its tag", "If-None-Match", "\"1\"", 304),
        ("weakly", "If-None-Match", "W/\"1\"", 304),
        ("any", "If-None-Match", "*", 304),
        ("another tag", "If-None-Match", "\"0\"", 200),
        ("its date", "If-Modified-Since", &modified, 304),
        ("an older date", "If-Modified-Since", &date(-2_000), 200),
    ] {
        app.answer("/a", not_modified().etag("\"1\""));
        let calls = app.calls("/a");
        let answer = client.get_with("/a", field, value).await;
        assert_eq!(answer.status, status, "{name}:\n{answer}");
        answer.has_body(if status == 304 { "" } else { "old" });
        assert_eq!(
            app.last("/a").field("if-none-match").as_deref(),
            Some("\"1\"")
        );
        let hit = client.get_with("/a", field, value).await;
        hit.is_hit().has_status(status);
        assert_eq!(app.calls("/a"), calls + 1, "{name}");
        sidecar.wait(60);
    }
    // What replaces it has another tag: the client's condition is about that.
    app.answer("/a", reply("new").control("max-age=60").etag("\"2\""));
    let answer = client.get_with("/a", "If-None-Match", "\"1\"").await;
    answer.is_expired().has_status(200).has_body("new");
    sidecar.wait(60);
    app.answer("/a", reply("newer").control("max-age=60").etag("\"3\""));
    client
        .get_with("/a", "If-None-Match", "\"3\"")
        .await
        .has_status(304);
    client.get("/a").await.is_hit().has_body("newer");
}

#[tokio::test]
async fn s4_3_who_waits_for_a_revalidation_gets_what_it_confirms() {
    let (app, sidecar, client) = stage("").await;
    expired(&app, &sidecar, &[]).await;
    let hold = app.hold("/a");
    let first = client.begin(get("/a")).await;
    let held = hold.arrived().await;
    let others = client.begin_many(3, &get("/a")).await;
    let knowing = client.begin(get("/a").with("If-None-Match", "\"1\"")).await;
    sidecar.settle().await;
    held.release(not_modified().header("X-B", "2")).await;
    first.answer().await.is_revalidated().has_body("old");
    for other in others {
        let answer = other.answer().await;
        answer.has_body("old").has_field("x-b", "2");
        answer.has_field("cache-status", "tagalong; fwd=stale; collapsed");
    }
    knowing.answer().await.has_status(304).has_body("");
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn s4_3_a_revalidation_that_fails_leaves_what_is_stored_as_it_was() {
    let (app, sidecar, client) = stage("").await;
    expired(&app, &sidecar, &[("X-A", "1")]).await;
    for (name, failing) in [
        ("502", reply("bad").status(502).header("X-A", "2")),
        ("404 unsaid", reply("bad").status(404)),
        ("no-store", reply("bad").control("no-store")),
        ("cut", reply("bad").control("max-age=60").cut()),
        (
            "cut in chunks",
            reply("bad").control("max-age=60").cut_chunked(),
        ),
    ] {
        app.answer("/a", failing);
        let answer = client.get("/a").await;
        answer.is_not_hit();
        assert_eq!(answer.text(), "bad", "{name}");
        assert_eq!(
            app.last("/a").field("if-none-match").as_deref(),
            Some("\"1\""),
            "{name}"
        );
    }
    app.answer("/a", not_modified());
    let back = client.get("/a").await;
    back.is_revalidated().has_body("old").has_field("x-a", "1");
}

#[tokio::test]
async fn s4_3_4_status_and_an_empty_body_are_kept() {
    for (status, body) in [(404, "none"), (200, ""), (301, "moved"), (204, "")] {
        let (app, sidecar, client) = stage("").await;
        let stored = reply(body).status(status).control("max-age=60");
        app.answer("/a", stored.etag("\"1\""));
        client.get("/a").await.is_miss();
        sidecar.wait(60);
        let hold = app.hold("/a");
        let first = client.begin(get("/a")).await;
        let held = hold.arrived().await;
        let second = client.begin(get("/a")).await;
        sidecar.settle().await;
        held.release(not_modified()).await;
        let first = first.answer().await;
        first.is_revalidated().has_status(status).has_body(body);
        second.answer().await.has_status(status).has_body(body);
        let hit = client.get("/a").await;
        hit.is_hit().has_status(status).has_body(body);
        assert_eq!(app.calls("/a"), 2);
    }
}

#[tokio::test]
async fn s4_3_4_a_304_may_bring_a_no_cache() {
    let (app, sidecar, client) = stage("").await;
    expired(&app, &sidecar, &[]).await;
    app.answer("/a", not_modified().control("no-cache"));
    client.get("/a").await.is_revalidated();
    client.get("/a").await.is_revalidated();
    app.answer("/a", not_modified().control("max-age=60"));
    client.get("/a").await.is_revalidated();
    client.get("/a").await.is_hit().has_body("old");
}

#[tokio::test]
async fn s4_3_4_a_cookie_on_a_304_that_the_rule_strips_is_one_clients_own() {
    let rules = "  - { id: a, match: { path: /a }, set_cookie: strip }\n";
    let (app, sidecar, client) = stage(rules).await;
    expired(&app, &sidecar, &[]).await;
    let hold = app.hold("/a");
    let first = client.begin(get("/a")).await;
    let held = hold.arrived().await;
    let second = client.begin(get("/a")).await;
    let knowing = client.begin(get("/a").with("If-None-Match", "\"1\"")).await;
    sidecar.settle().await;
    held.release(not_modified().header("Set-Cookie", "sid=1"))
        .await;
    let first = first.answer().await;
    first.is_revalidated().has_field("set-cookie", "sid=1");
    second
        .answer()
        .await
        .has_body("old")
        .has_no_field("set-cookie");
    knowing
        .answer()
        .await
        .has_status(304)
        .has_no_field("set-cookie");
    client.get("/a").await.is_hit().has_no_field("set-cookie");
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn s4_3_4_who_waits_for_a_304_that_must_not_be_stored_asks_for_itself() {
    let (app, sidecar, client) = stage("").await;
    expired(&app, &sidecar, &[]).await;
    let hold = app.hold("/a");
    let first = client.begin(get("/a")).await;
    let held = hold.arrived().await;
    let second = client.begin(get("/a")).await;
    sidecar.settle().await;
    app.answer("/a", reply("second's").control("private"));
    held.release(not_modified().control("private").header("X-Own", "1"))
        .await;
    first.answer().await.has_body("old").has_field("x-own", "1");
    second
        .answer()
        .await
        .has_body("second's")
        .has_no_field("x-own");
}

#[tokio::test]
async fn s4_2_4_what_is_served_stale_is_revalidated_behind() {
    // RFC 5861 §3.
    for method in ["GET", "HEAD"] {
        let (app, sidecar, client) = stage("").await;
        let stale = ("Cache-Control", "max-age=60, stale-while-revalidate=60");
        app.answer("/a", reply("old").headers(&[stale]).etag("\"1\""));
        client.get("/a").await.is_miss();
        sidecar.wait(61);
        let hold = app.hold("/a");
        app.answer("/a", reply("unconditional"));
        let answer = client.ask(ask(method, "/a")).await;
        answer.is_stale("stale-while-revalidate");
        let held = hold.arrived().await;
        assert_eq!(held.call.method, "GET");
        assert_eq!(held.call.field("if-none-match").as_deref(), Some("\"1\""));
        client
            .get("/a")
            .await
            .is_stale("stale-while-revalidate")
            .has_body("old");
        held.release(not_modified()).await;
        sidecar.settle().await;
        client
            .get("/a")
            .await
            .is_hit()
            .has_body("old")
            .has_field("age", "0");
        assert_eq!(app.calls("/a"), 2);
    }
}

#[tokio::test]
async fn s4_3_an_increment_during_the_revalidation_behind_ends_it() {
    // L1, L5.
    let (app, sidecar, client) = stage("").await;
    let stale = ("Cache-Control", "max-age=60, stale-while-revalidate=60");
    let fields = [stale, ("ETag", "\"1\""), ("Cache-Tag", "A")];
    app.answer("/a", reply("old").headers(&fields));
    client.get("/a").await.is_miss();
    sidecar.wait(61);
    let hold = app.hold("/a");
    client.get("/a").await.is_stale("stale-while-revalidate");
    let held = hold.arrived().await;
    sidecar.inc("A").await;
    app.answer("/a", reply("new").headers(&fields));
    let after = client.begin(get("/a")).await;
    sidecar.settle().await;
    held.release(not_modified()).await;
    after.answer().await.is_invalidated().has_body("new");
    client.get("/a").await.is_hit().has_body("new");
}

#[tokio::test]
async fn s4_3_1_who_must_not_see_what_is_stored_is_not_asked_for_with_its_validators() {
    // L12: a page for each visitor may have the date of the one for everybody.
    let (app, sidecar, client) = stage("").await;
    app.on("/a", |call| {
        let body = match (call.field("cookie"), call.field("if-modified-since")) {
            (_, Some(_)) => return not_modified(),
            (Some(_), None) => "mine",
            (None, None) => "everybody's",
        };
        let answer = reply(body).control("max-age=60");
        answer.header("Last-Modified", date(-1_000))
    });
    client.get("/a").await.is_miss().has_body("everybody's");
    let mine = || client.get_with("/a", "Cookie", "sid=1");
    mine().await.is_bypass(Some("cookie")).has_body("mine");
    sidecar.wait(60);
    mine().await.is_not_stored().has_body("mine");
    let again = get("/a").with("Cookie", "sid=1");
    let again = again.with("Cache-Control", "no-cache");
    client.ask(again).await.is_not_stored().has_body("mine");
    client
        .get("/a")
        .await
        .is_revalidated()
        .has_body("everybody's");
}

#[tokio::test]
async fn s4_3_5_a_head_with_a_cookie_says_nothing_of_a_response_for_those_without() {
    let (app, _sidecar, client) = stage("").await;
    app.answer("/a", reply("x").control("max-age=60").etag("\"1\""));
    client.get("/a").await.is_miss();
    app.answer("/a", reply("mine").control("max-age=60").etag("\"2\""));
    let head = ask("HEAD", "/a").with("Cookie", "sid=1");
    let head = head.with("Cache-Control", "no-cache");
    client.ask(head).await.is_not_stored();
    client.get("/a").await.is_hit().has_body("x");
}

#[tokio::test]
async fn s4_3_4_a_304_that_comes_late_does_not_bring_back_what_was_replaced() {
    let (app, sidecar, client) = stage("").await;
    expired(&app, &sidecar, &[]).await;
    let hold = app.hold("/a");
    let slow = client.begin(get("/a")).await;
    let held = hold.arrived().await;
    sidecar.wait(1);
    app.answer("/a", reply("new").control("max-age=60").etag("\"2\""));
    client
        .get_with("/a", "Cache-Control", "no-cache")
        .await
        .has_body("new");
    held.release(not_modified()).await;
    slow.answer().await.has_body("old");
    client
        .get("/a")
        .await
        .is_hit()
        .has_body("new")
        .has_field("etag", "\"2\"");
    assert_eq!(app.calls("/a"), 3);
}

#[tokio::test]
async fn s4_3_4_a_304_answers_with_the_body_that_is_there_though_the_entry_is_gone() {
    let (app, sidecar, client) = stage("").await;
    expired(&app, &sidecar, &[]).await;
    let hold = app.hold("/a");
    let slow = client.begin(get("/a")).await;
    let held = hold.arrived().await;
    client.post("/a").await.is_method(); // forgets it
    held.release(not_modified()).await;
    let slow = slow.answer().await;
    slow.has_status(200).has_body("old");
    slow.has_field(
        "cache-status",
        "tagalong; fwd=stale; fwd-status=304; detail=raced",
    );
    app.answer("/a", reply("new").control("max-age=60"));
    client.get("/a").await.is_invalidated().has_body("new");
}

// §4.3.5 Freshening Responses with HEAD

#[tokio::test]
async fn s4_3_5_a_head_that_agrees_makes_it_fresh() {
    let (app, sidecar, client) = stage("").await;
    expired(&app, &sidecar, &[("X-A", "1")]).await;
    app.answer(
        "/a",
        reply("old")
            .control("max-age=90")
            .etag("\"1\"")
            .header("X-B", "2"),
    );
    client
        .head("/a")
        .await
        .has_status(200)
        .has_body("")
        .is_not_hit();
    let hit = client.get("/a").await;
    hit.is_hit().has_body("old").has_field("age", "0");
    hit.has_field("x-a", "1").has_field("x-b", "2");
    assert_eq!(hit.ttl(), 90);
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn s4_3_5_a_head_that_disagrees_makes_it_stale() {
    let modified = date(-1_000);
    for (name, fields) in [
        ("tag", &[("ETag", "\"2\"")][..]),
        (
            "date",
            &[("ETag", "\"1\""), ("Last-Modified", &*date(-900))],
        ),
        ("length", &[("ETag", "\"1\""), ("Content-Length", "4")]),
    ] {
        let (app, _sidecar, client) = stage("").await;
        let old = reply("old").control("max-age=60, stale-while-revalidate=60");
        app.answer("/a", old.etag("\"1\"").header("Last-Modified", &*modified));
        client.get("/a").await.is_miss();
        client.get("/a").await.is_hit();
        let head = ask("HEAD", "/a").with("Cache-Control", "no-cache");
        app.answer("/a", reply("xyz").control("max-age=60").headers(fields));
        client.ask(head).await.has_body("");
        app.answer("/a", reply("new").control("max-age=60"));
        let answer = client.get("/a").await;
        assert_eq!(answer.text(), "new", "{name}:\n{answer}");
        answer.is_expired();
        assert_eq!(
            app.last("/a").field("if-none-match").as_deref(),
            Some("\"1\"")
        );
    }
}

#[tokio::test]
async fn s4_3_5_what_a_head_does_not_change() {
    for (name, answer) in [
        ("an error", reply("").status(500).etag("\"2\"")),
        ("not found", reply("").status(404).etag("\"2\"")),
        ("not modified", not_modified().etag("\"2\"")),
        ("no-store", reply("old").control("no-store").etag("\"1\"")),
        (
            "private",
            reply("old").control("private, max-age=60").etag("\"1\""),
        ),
    ] {
        let (app, sidecar, client) = stage("").await;
        expired(&app, &sidecar, &[]).await;
        app.answer("/a", answer);
        client.head("/a").await.is_not_stored();
        app.answer("/a", not_modified());
        let back = client.get("/a").await;
        assert_eq!(back.text(), "old", "{name}");
        back.is_revalidated()
            .has_field("cache-control", "max-age=60");
    }
}

#[tokio::test]
async fn s4_3_5_the_tags_of_a_head() {
    for (name, said, still, gone) in [
        ("none named: the old ones", &[][..], "B", "A"),
        ("named: these alone", &[("Cache-Tag", "B")], "A", "B"),
    ] {
        let (app, sidecar, client) = stage("").await;
        expired(&app, &sidecar, &[("Cache-Tag", "A")]).await;
        app.answer(
            "/a",
            reply("old")
                .control("max-age=60")
                .etag("\"1\"")
                .headers(said),
        );
        client.head("/a").await.has_status(200);
        sidecar.inc(still).await;
        let hit = client.get("/a").await;
        assert!(hit.hits(), "{name}:\n{hit}");
        sidecar.inc(gone).await;
        app.answer("/a", reply("new").control("max-age=60"));
        client.get("/a").await.is_invalidated().has_body("new");
    }
}

#[tokio::test]
async fn s4_3_5_an_increment_meanwhile_keeps_a_head_from_renewing() {
    // L1.
    let (app, sidecar, client) = stage("").await;
    expired(&app, &sidecar, &[("Cache-Tag", "A")]).await;
    let hold = app.hold("/a");
    let head = client.begin(ask("HEAD", "/a")).await;
    let held = hold.arrived().await;
    sidecar.inc("A").await;
    held.release(reply("old").control("max-age=60").etag("\"1\""))
        .await;
    head.answer().await.has_status(200);
    app.answer("/a", reply("new").control("max-age=60"));
    client.get("/a").await.is_invalidated().has_body("new");
}

#[tokio::test]
async fn s4_3_5_a_head_that_says_of_other_selecting_fields_renews_nothing_for_others() {
    // §4.1 holds for the freshened response too.
    for (name, before) in [("none before", None), ("others before", Some("Foo"))] {
        let (app, sidecar, client) = stage("").await;
        let vary: Vec<_> = before.map(|vary| ("Vary", vary)).into_iter().collect();
        expired(&app, &sidecar, &vary).await;
        app.answer(
            "/a",
            reply("old")
                .control("max-age=60")
                .etag("\"1\"")
                .header("Vary", "Bar"),
        );
        client
            .ask(ask("HEAD", "/a").with("Bar", "1"))
            .await
            .has_status(200);
        app.answer(
            "/a",
            reply("new").control("max-age=60").header("Vary", "Bar"),
        );
        let other = client.get_with("/a", "Bar", "2").await;
        assert_eq!(other.text(), "new", "{name}:\n{other}");
        // It is stale, not lost: the app may say that it is this one's too.
        let asked = app.last("/a").field("if-none-match");
        assert_eq!(asked.as_deref(), Some("\"1\""), "{name}");
    }
}

// §4.4 Invalidating Stored Responses

#[tokio::test]
async fn s4_4_which_requests_forget_their_own_uri() {
    let (app, _sidecar, client) = stage("").await;
    for (n, (method, status, forgets)) in [
        ("POST", 200, true),
        ("PUT", 201, true),
        ("DELETE", 204, true),
        ("PATCH", 200, true),
        ("M-SEARCH", 200, true),
        ("FOO", 200, true),
        ("POST", 303, true),
        ("POST", 400, false),
        ("PUT", 404, false),
        ("DELETE", 500, false),
        ("M-SEARCH", 503, false),
        ("OPTIONS", 200, false),
        ("HEAD", 200, false),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{n}?x=1");
        app.on(&path, move |call| match &*call.method {
            "GET" => reply("x").control("max-age=60"),
            _ => reply("").status(status),
        });
        client.get(&path).await.is_miss();
        let unsafe_one = ask(method, &path).with("Content-Length", "0");
        client.ask(unsafe_one).await;
        let answer = client.get(&path).await;
        assert_eq!(!answer.hits(), forgets, "{method} {status}:\n{answer}");
        if forgets {
            answer.is_invalidated();
        }
    }
}

#[tokio::test]
async fn s4_4_location_and_content_location_of_the_same_origin_are_forgotten_too() {
    let (app, _sidecar, client) = stage("").await;
    for (n, (name, field, value, status, forgets)) in [
        ("absolute path", "Location", "/n", 201, true),
        ("absolute", "Location", "http://shop.example/n", 303, true),
        ("relative", "Content-Location", "n", 200, true),
        ("with dots", "Content-Location", "./x/../n", 200, true),
        (
            "without a scheme",
            "Content-Location",
            "//shop.example/n",
            200,
            true,
        ),
        (
            "another host",
            "Location",
            "http://other.example/n",
            201,
            false,
        ),
        (
            "another port",
            "Content-Location",
            "http://shop.example:81/n",
            200,
            false,
        ),
        (
            "another scheme",
            "Content-Location",
            "https://shop.example/n",
            200,
            false,
        ),
        ("an error", "Content-Location", "/n", 400, false),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/n{n}");
        let value = value.strip_suffix('n').map(|start| format!("{start}n{n}"));
        let value = value.unwrap_or_default();
        app.answer(&path, reply("x").control("max-age=60"));
        app.answer("/post", reply("").status(status).header(field, value));
        client.get(&path).await.is_miss();
        client.post("/post").await.has_status(status);
        let answer = client.get(&path).await;
        assert_eq!(!answer.hits(), forgets, "{name}:\n{answer}");
    }
}

/// What a POST to `/a` answers so that it stands for `/a` itself.
fn posted(body: &str) -> Reply {
    reply(body)
        .control("max-age=60")
        .header("Content-Location", "/a")
}

#[tokio::test]
async fn s4_4_what_a_post_says_of_its_own_uri_answers_later_gets() {
    // RFC 9110 §9.3.3.
    let (app, sidecar, client) = stage("").await;
    app.on("/a", |call| {
        let body = format!("{} {}", call.method, call.n);
        reply(&*body)
            .control("max-age=60")
            .header("Content-Location", "/a")
    });
    let said = "tagalong; fwd=method; stored";
    let answer = client.post("/a").await;
    answer.has_field("cache-status", said).has_body("POST 1");
    client.get("/a").await.is_hit().has_body("POST 1");
    client.head("/a").await.is_hit();
    let answer = client.post("/a").await;
    answer.has_field("cache-status", said).has_body("POST 2");
    client.get("/a").await.is_hit().has_body("POST 2");
    assert_eq!(app.calls("/a"), 2);

    app.answer("/a", reply("done"));
    client.post("/a").await.is_not_stored();
    app.answer("/a", reply("new").control("max-age=60"));
    client.get("/a").await.is_invalidated().has_body("new");
    sidecar.settle().await;
}

#[tokio::test]
async fn s4_4_which_answers_to_a_post_are_not_stored() {
    let setup = |app: &Origin| Setup::new(app).config("limits: { max_object: 1KiB }");
    let app = Origin::start().await;
    let sidecar = setup(&app).start().await;
    let client = sidecar.client();
    let large = "x".repeat(2_000);
    let own = ("Content-Location", "/a");
    let fresh = ("Cache-Control", "max-age=60");
    for (name, answer) in [
        ("no freshness", reply("x").headers(&[own])),
        (
            "a guess",
            reply("x").headers(&[own, ("Last-Modified", "Sun, 17 May 2020 00:00:00 GMT")]),
        ),
        ("none left", reply("x").headers(&[own]).control("max-age=0")),
        ("no Content-Location", reply("x").headers(&[fresh])),
        (
            "another's",
            reply("x").headers(&[fresh, ("Content-Location", "/b")]),
        ),
        (
            "another origin's",
            reply("x").headers(&[fresh, ("Content-Location", "http://other.example/a")]),
        ),
        ("two of them", reply("x").headers(&[fresh, own, own])),
        ("an error", reply("x").status(404).headers(&[own, fresh])),
        (
            "a redirection",
            reply("x").status(303).headers(&[own, fresh]),
        ),
        ("private", posted("x").control("private")),
        ("no-store", posted("x").control("no-store")),
        ("a cookie", posted("x").header("Set-Cookie", "sid=1")),
        ("cut", posted("x").cut()),
        ("too large", posted(&large)),
        ("too large, in chunks", posted(&large).chunked()),
    ] {
        let status = answer.status;
        app.answer("/a", answer);
        client.post("/a").await.has_status(status);
        app.answer("/a", reply("got").control("no-store"));
        let got = client.get("/a").await;
        assert_eq!(got.text(), "got", "{name}:\n{got}");
    }
}

#[tokio::test]
async fn s4_4_somebody_elses_increment_keeps_the_answer_to_a_post_out() {
    // L1; its own increments do not.
    let (app, sidecar, client) = stage("").await;
    let own = posted("own")
        .header("Cache-Tag", "A")
        .header("Cache-Tag-Increment", "A");
    app.answer("/a", own.clone());
    client.post("/a").await;
    client.get("/a").await.is_hit().has_body("own");

    let hold = app.hold("/a");
    let asked = client.begin(post("/a")).await;
    let held = hold.arrived().await;
    sidecar.inc("A").await;
    held.release(own).await;
    asked.answer().await.is_method().has_body("own");
    app.answer("/a", reply("new").control("max-age=60"));
    client.get("/a").await.is_invalidated().has_body("new");
}

#[tokio::test]
async fn s4_4_of_two_posts_at_once_neither_answers_gets() {
    let (app, _sidecar, client) = stage("").await;
    let (hold, other) = (app.hold("/a"), app.hold("/a"));
    let first = client.begin(post("/a")).await;
    let held = hold.arrived().await;
    let second = client.begin(post("/a")).await;
    other.arrived().await.release(posted("second")).await;
    let second = second.answer().await;
    second.has_body("second");
    client.get("/a").await; // whatever it is told, it is no word on what comes
    held.release(posted("first")).await;
    first.answer().await.is_method().has_body("first");
    app.answer("/a", reply("got").control("max-age=60"));
    client.get("/a").await.is_invalidated().has_body("got");
}

#[tokio::test]
async fn s4_4_what_a_post_got_varies_like_any_other() {
    let (app, _sidecar, client) = stage("").await;
    app.answer("/a", posted("1").header("Vary", "Foo"));
    client.ask(post("/a").with("Foo", "1")).await.has_body("1");
    app.answer("/a", reply("2").control("max-age=60").header("Vary", "Foo"));
    client
        .get_with("/a", "Foo", "2")
        .await
        .is_vary_miss()
        .has_body("2");
    client
        .get_with("/a", "Foo", "1")
        .await
        .is_hit()
        .has_body("1");
    client
        .ask(
            post("/a")
                .with("Foo", "1")
                .with("Cache-Control", "no-store"),
        )
        .await
        .is_not_stored();
    client.get_with("/a", "Foo", "1").await.is_invalidated();
    client.get_with("/a", "Foo", "2").await.is_invalidated();
}

#[tokio::test]
async fn s4_4_a_get_under_way_does_not_outlive_the_write() {
    // L1: the page may have been made before it.
    let (app, _sidecar, client) = stage("").await;
    for (n, method) in ["POST", "DELETE", "M-SEARCH"].into_iter().enumerate() {
        let path = format!("/{n}");
        let hold = app.hold(&path);
        let asked = client.begin(get(&path)).await;
        let held = hold.arrived().await;
        app.answer(&path, reply("after").control("max-age=60"));
        let write = ask(method, &path).with("Content-Length", "0");
        client.ask(write).await.has_status(200);
        client.get(&path).await.has_body("after"); // does not wait for the one before
        held.release(reply("before").control("max-age=60")).await;
        asked.answer().await.is_unstored("raced").has_body("before");
        client.get(&path).await.is_hit().has_body("after");
    }
}

#[tokio::test]
async fn s4_4_what_a_post_with_credentials_got_is_not_shared_unless_it_says_so() {
    let rules = "  - { id: b, match: { path: /a }, authorization: rfc9111 }\n";
    for (rules, said, shared) in [
        ("", "public, max-age=60", false),
        (rules, "max-age=60", false),
        (rules, "public, max-age=60", true),
    ] {
        let (app, _sidecar, client) = stage(rules).await;
        let own = reply("posted").header("Content-Location", "/a");
        app.answer("/a", own.control(said));
        client
            .ask(post("/a").with("Authorization", "t1"))
            .await
            .has_body("posted");
        assert_eq!(client.get("/a").await.hits(), shared, "{rules} {said}");
    }
}

#[tokio::test]
async fn s4_4_what_a_post_got_is_stored_as_the_rule_of_its_gets_says() {
    let rules = "  - { id: a, match: { path: '/(?P<id>a)' }, tags: ['Page:{id}'], max_ttl: 10s }\n";
    let (app, sidecar, client) = stage(rules).await;
    app.answer("/a", posted("posted"));
    client.post("/a").await.has_body("posted");
    assert_eq!(client.get("/a").await.is_hit().ttl(), 10);
    sidecar.inc("Page:a").await;
    client.get("/a").await.is_invalidated();
}

#[tokio::test]
async fn s4_4_what_a_post_got_is_not_stored_where_the_rule_of_its_gets_stores_nothing() {
    let rules = "  - { id: a, match: { path: /a }, cache: false }\n";
    let (app, _sidecar, client) = stage(rules).await;
    app.answer("/a", posted("posted"));
    client.post("/a").await.is_not_stored().has_body("posted");
}

#[tokio::test]
async fn s4_4_what_the_rule_of_a_post_increments_does_not_keep_its_own_answer_out() {
    let rules = r"
  - { id: get, match: { path: /a }, tags: [Page] }
  - { id: post, match: { path: /a, methods: [POST] }, increments: [{ tags: [Page] }] }
  - { id: never, match: { path: /never }, cache: false }
";
    let (app, sidecar, client) = stage(rules).await;
    app.answer(
        "/other",
        reply("x").control("max-age=60").header("Cache-Tag", "Page"),
    );
    client.get("/other").await.is_miss();
    app.answer("/a", posted("posted"));
    client.post("/a").await.has_body("posted");
    client.get("/other").await.is_invalidated();
    client.get("/a").await.is_hit().has_body("posted");
    sidecar.inc("Page").await;
    client.get("/a").await.is_invalidated();

    app.answer("/never", posted("x").header("Content-Location", "/never"));
    client.post("/never").await.is_not_stored();
    client.get("/never").await.is_bypass(Some("rule"));
}

#[tokio::test]
async fn s4_4_what_a_post_without_a_cookie_got_is_for_everyone_where_cookies_do_not_matter() {
    let rules = "  - { id: a, match: { path: /a }, cookies: ignore }\n";
    let (app, _sidecar, client) = stage(rules).await;
    app.answer("/a", posted("all").header("Vary", "Cookie"));
    client.post("/a").await.has_body("all");
    client.get("/a").await.is_hit().has_body("all");
    client.get_with("/a", "Cookie", "sid=1").await.is_hit();
}

#[tokio::test]
async fn s4_4_what_a_post_with_a_cookie_got_is_not_shared() {
    // L12: such a rule keeps cookies from the app only where it asks for the store.
    let rules = "  - { id: a, match: { path: /a }, cookies: ignore }\n";
    let (app, _sidecar, client) = stage(rules).await;
    app.answer("/a", posted("mine"));
    let with_cookie = post("/a").with("Cookie", "sid=1");
    client.ask(with_cookie).await.is_not_stored();
    assert_eq!(app.last("/a").field("cookie").as_deref(), Some("sid=1"));
    app.answer("/a", reply("all").control("max-age=60"));
    client.get("/a").await.is_miss().has_body("all");
}

// §5.2.1 Request Directives, §5.4 Pragma

#[tokio::test]
async fn s5_2_1_what_a_client_asks_of_a_stored_response() {
    // Fresh for 60 s; asked for at the age of 20 and of 70.
    let (app, sidecar, client) = stage("").await;
    let mut rows = Vec::new();
    for (n, (field, wish, fresh, stale)) in [
        ("Cache-Control", "max-age=20", true, false),
        ("Cache-Control", "max-age=19", false, false),
        ("Cache-Control", "max-age=x", false, false),
        ("Cache-Control", "max-stale", true, true),
        ("Cache-Control", "max-stale=10", true, true),
        ("Cache-Control", "max-stale=9", true, false),
        ("Cache-Control", "max-stale=x", true, false),
        ("Cache-Control", "max-stale=10, max-age=70", true, true),
        ("Cache-Control", "max-stale=10, max-age=69", true, false),
        ("Cache-Control", "min-fresh=40", true, false),
        ("Cache-Control", "min-fresh=41", false, false),
        ("Cache-Control", "no-cache", false, false),
        ("Cache-Control", "No-Cache", false, false),
        ("Cache-Control", "no-store", true, false),
        ("Cache-Control", "only-if-cached", true, false),
        ("Cache-Control", "no-transform", true, false),
        ("Cache-Control", "foo", true, false),
        ("Pragma", "no-cache", false, false),
        ("Pragma", "foo", true, false),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{n}");
        app.answer(&path, reply("x").control("max-age=60"));
        client.get(&path).await.is_miss();
        rows.push((path, field, wish, fresh, stale));
    }
    for (seconds, at_70) in [(20, false), (50, true)] {
        sidecar.wait(seconds);
        for (path, field, wish, fresh, stale) in &rows {
            let expected = if at_70 { *stale } else { *fresh };
            if at_70 && !fresh {
                continue; // it has been fetched anew
            }
            let answer = client.get_with(path, field, wish).await;
            assert_eq!(answer.hits(), expected, "{wish}:\n{answer}");
            if at_70 && expected {
                answer.is_stale("max-stale");
            }
        }
    }
}

#[tokio::test]
async fn s5_4_pragma_counts_for_nothing_beside_cache_control() {
    let (app, _sidecar, client) = stage("").await;
    app.answer(
        "/a",
        reply("x")
            .control("max-age=60")
            .header("Pragma", "no-cache"),
    );
    client.get("/a").await.is_miss(); // that of a response says nothing
    let both = get("/a").with("Pragma", "no-cache");
    client
        .ask(both.clone().with("Cache-Control", "max-age=60"))
        .await
        .is_hit();
    client.ask(both).await.is_on_request();
}

#[tokio::test]
async fn s5_2_1_7_only_if_cached() {
    let (app, sidecar, client) = stage("").await;
    app.answer("/a", reply("x").control("max-age=60").etag("\"1\""));
    let only = || client.get_with("/a", "Cache-Control", "only-if-cached");
    only().await.is_problem(504);
    client.get("/a").await.is_miss();
    only().await.is_hit();
    let both = "only-if-cached, no-cache";
    client
        .get_with("/a", "Cache-Control", both)
        .await
        .is_problem(504);
    sidecar.wait(60);
    only().await.is_problem(504);
    let stale = "only-if-cached, max-stale=5";
    client
        .get_with("/a", "Cache-Control", stale)
        .await
        .is_stale("max-stale");
    assert_eq!(app.calls("/a"), 1);
}

// §5.2.2 Response Directives

#[tokio::test]
async fn s5_2_2_4_and_7_named_fields_are_the_first_clients_alone() {
    for said in ["no-cache", "private"] {
        for body in ["x", ""] {
            let (app, sidecar, client) = stage("").await;
            let answer = || {
                let said = format!("max-age=60, {said}=\"X-Own, x-other\"");
                let fields = [("X-Own", "1"), ("X-Other", "2"), ("X-All", "3")];
                reply(body).control(&said).headers(&fields).etag("\"1\"")
            };
            let hold = app.hold("/a");
            let first = client.begin(get("/a")).await;
            let held = hold.arrived().await;
            let second = client.begin(get("/a")).await;
            sidecar.settle().await;
            held.release(answer()).await;
            let first = first.answer().await;
            first
                .is_miss()
                .has_field("x-own", "1")
                .has_field("x-other", "2");
            let second = second.answer().await;
            second.is_shared();
            let third = client.get("/a").await;
            third.is_hit();
            sidecar.wait(60);
            app.answer("/a", not_modified().header("X-Own", "9"));
            client
                .get("/a")
                .await
                .is_revalidated()
                .has_field("x-own", "9");
            let fourth = client.get("/a").await;
            fourth.is_hit();
            for other in [&second, &third, &fourth] {
                other.has_no_field("x-own").has_no_field("x-other");
                other.has_field("x-all", "3").has_body(body);
            }
            assert_eq!(app.calls("/a"), 2, "{said}");
        }
    }
}

#[tokio::test]
async fn s5_2_2_named_fields_that_are_not_written_right_mean_the_whole() {
    let (app, _sidecar, client) = stage("").await;
    for (n, said) in [
        "private=\"\"",
        "private=x-a",
        "private=\"a b\"",
        "no-cache=x-a",
        "no-cache=\"\"",
    ]
    .into_iter()
    .enumerate()
    {
        let answer = reply("x").control(&format!("max-age=60, {said}"));
        assert!(
            !is_reused(&app, &client, &format!("/{n}"), answer).await,
            "{said}"
        );
    }
}
