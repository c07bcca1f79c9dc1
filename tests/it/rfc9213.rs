//! RFC 9213, targeted cache control fields, through real sockets. Names begin with the section.

use crate::support::date;
use crate::support::not_modified;
use crate::support::reply;
use crate::support::stage;

#[tokio::test]
async fn s2_2_which_field_counts() {
    let (app, _sidecar, client) = stage("").await;
    let cc = |value| ("Cache-Control", value);
    let cdn = |value| ("CDN-Cache-Control", value);
    let surrogate = |value| ("Surrogate-Control", value);
    let own = |value| ("Tagalong-Cache-Control", value);
    let expires = date(500);
    let expires = ("Expires", &*expires);
    for (n, (name, fields, ttl)) in [
        (
            "ours",
            &[
                cc("max-age=5"),
                surrogate("max-age=6"),
                cdn("max-age=7"),
                own("max-age=8"),
            ][..],
            8,
        ),
        (
            "the CDN's",
            &[cc("max-age=5"), surrogate("max-age=6"), cdn("max-age=7")],
            7,
        ),
        (
            "the surrogate's",
            &[cc("max-age=5"), surrogate("max-age=6")],
            6,
        ),
        ("everyone's", &[cc("max-age=5"), expires], 5),
        ("over a no-store", &[cc("no-store"), cdn("max-age=7")], 7),
        ("over a private", &[cc("private"), own("max-age=8")], 8),
        ("over s-maxage", &[cc("s-maxage=5"), cdn("max-age=7")], 7),
        ("over Expires", &[expires, cdn("max-age=7")], 7),
        ("a ban", &[cc("public, max-age=5"), cdn("no-store")], 0),
        (
            "ours permits what the CDN's bans",
            &[cdn("no-store"), own("max-age=8")],
            8,
        ),
        (
            "ours bans what the CDN's permits",
            &[cdn("max-age=7"), own("no-store")],
            0,
        ),
        ("zero", &[cc("max-age=5"), cdn("max-age=0")], 0),
        (
            "without a lifetime, Expires does not count",
            &[expires, cdn("must-revalidate")],
            0,
        ),
        (
            "without a lifetime, Cache-Control does not count",
            &[cc("max-age=5"), cdn("public")],
            0,
        ),
        (
            "s2_1 no dictionary",
            &[cc("max-age=5"), cdn("max-age=7, &")],
            5,
        ),
        (
            "s2_1 no dictionary, the next one",
            &[cc("max-age=5"), cdn("max-age=7"), own("(")],
            7,
        ),
        (
            "s2_1 upper case is no key",
            &[cc("max-age=5"), cdn("Max-Age=7")],
            5,
        ),
        ("s2_1 empty", &[cc("max-age=5"), cdn("")], 5),
        ("s2_1 empty, ours", &[cdn("max-age=7"), own("")], 7),
        ("s2_1 two lines", &[cdn("public"), cdn("max-age=7")], 7),
        ("s2_1 the last of two", &[cdn("max-age=9, max-age=7")], 7),
        ("s2_1 parameters", &[cdn("max-age=7;foo=1")], 7),
        ("s2_1 unknown directive", &[cdn("max-age=7, foo=(1 2)")], 7),
        (
            "s2_1 a wrong type permits nothing",
            &[cc("max-age=5"), cdn("max-age=\"7\"")],
            0,
        ),
        (
            "s2_1 a negative number permits nothing",
            &[cc("max-age=5"), cdn("max-age=-7")],
            0,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{n}");
        app.answer(&path, reply("x").headers(fields));
        client.get(&path).await.is_not_hit();
        let again = client.get(&path).await;
        let lives = if again.hits() { again.ttl() } else { 0 };
        assert_eq!(lives, ttl, "{name}:\n{again}");
    }
}

#[tokio::test]
async fn s2_2_fields_for_others_go_on_untouched_and_ours_does_not() {
    let (app, _sidecar, client) = stage("").await;
    let expires = date(9);
    let fields = [
        ("cache-control", "private , MAX-AGE=5"),
        ("cdn-cache-control", "max-age=7 , foo"),
        ("expires", &*expires),
    ];
    let answer = reply("x").headers(&fields);
    app.answer("/a", answer.header("Tagalong-Cache-Control", "max-age=60"));
    let (miss, hit) = (client.get("/a").await, client.get("/a").await);
    miss.is_miss();
    hit.is_hit();
    let passed = client.post("/a").await;
    for answer in [&miss, &hit, &passed] {
        for (name, value) in fields {
            answer.has_field(name, value);
        }
        answer.has_no_field("tagalong-cache-control");
    }
}

#[tokio::test]
async fn s2_2_a_304_that_leaves_a_targeted_field_out_leaves_it_in_force() {
    let (app, sidecar, client) = stage("").await;
    for (name, said, ttl) in [
        (
            "Tagalong-Cache-Control",
            &[("Cache-Control", "max-age=5")][..],
            60,
        ),
        ("CDN-Cache-Control", &[("Cache-Control", "max-age=5")], 60),
        (
            "Tagalong-Cache-Control",
            &[("Tagalong-Cache-Control", "max-age=90")],
            90,
        ),
        (
            "CDN-Cache-Control",
            &[("CDN-Cache-Control", "max-age=90")],
            90,
        ),
        (
            "CDN-Cache-Control",
            &[("Tagalong-Cache-Control", "max-age=9")],
            9,
        ),
    ] {
        let path = format!("/{name}/{ttl}");
        let first = reply("x").control("no-store").header(name, "max-age=60");
        app.answer(&path, first.etag("\"1\""));
        client.get(&path).await.is_miss();
        app.answer(&path, not_modified().headers(said));
        for _ in 0..2 {
            sidecar.wait(91);
            client.get(&path).await.is_revalidated();
            let hit = client.get(&path).await;
            assert_eq!(hit.is_hit().ttl(), ttl, "{name}");
            hit.has_no_field("tagalong-cache-control");
        }
    }
}

#[tokio::test]
async fn s2_2_a_targeted_no_cache_asks_each_time() {
    let (app, _sidecar, client) = stage("").await;
    let first = reply("x").control("max-age=60").etag("\"1\"");
    app.answer("/a", first.header("CDN-Cache-Control", "no-cache"));
    client.get("/a").await.is_miss();
    app.answer("/a", not_modified());
    client.get("/a").await.is_revalidated();
    client.get("/a").await.is_revalidated().has_body("x");
}
