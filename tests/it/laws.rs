//! The laws of design.md §2 as far as one sidecar with a memory store can break them; each test fails when its law does.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tagalong::model::time::Timestamp;

use crate::support::Origin;
use crate::support::Reply;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::ask;
use crate::support::get;
use crate::support::post;
use crate::support::reply;

const ROWS: &str = r#"
  - { id: rows, match: { path: '/row/(?P<id>\d+)' }, tags: ["Row:{id}"], ttl: 60s }
"#;

fn row(body: &str) -> Reply {
    reply(body)
        .header("Cache-Control", "max-age=60")
        .header("Cache-Tag", "Row:1")
}

#[tokio::test]
async fn l01_an_increment_during_the_fetch_of_a_rules_tag_forbids_storing() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ROWS).await;
    let client = sidecar.client();
    app.answer("/row/1", reply("new"));
    let hold = app.hold("/row/1");
    let first = client.begin(get("/row/1")).await;
    let held = hold.arrived().await;
    sidecar.inc("Row:1").await;
    held.release(reply("old")).await;
    first.answer().await.is_unstored("raced").has_body("old");
    client.get("/row/1").await.is_miss().has_body("new");
}

#[tokio::test]
async fn l01_an_increment_during_the_fetch_of_a_tag_only_the_response_names_forbids_storing() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/row/1", row("new"));
    let hold = app.hold("/row/1");
    let first = client.begin(get("/row/1")).await;
    let held = hold.arrived().await;
    sidecar.inc("Row:1").await;
    held.release(row("old")).await;
    first.answer().await.is_unstored("raced").has_body("old");
    client.get("/row/1").await.is_miss().has_body("new");
}

#[tokio::test]
async fn l01_an_increment_while_the_body_still_comes_forbids_storing() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/row/1", row("new"));
    let hold = app.hold("/row/1");
    let first = client.begin(get("/row/1")).await;
    let mut body = hold.arrived().await.begin(row("ol")).await;
    sidecar.settle().await;
    sidecar.inc("Row:1").await;
    body.send(b"d").await;
    body.end().await;
    first.answer().await.is_not_hit().has_body("old");
    client.get("/row/1").await.is_not_hit().has_body("new");
    client.get("/row/1").await.is_hit().has_body("new");
}

#[tokio::test]
async fn l01_a_follower_after_the_increment_is_not_answered_from_before_it() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/row/1", row("new"));
    let hold = app.hold("/row/1");
    let leader = client.begin(get("/row/1")).await;
    let held = hold.arrived().await;
    let before = client.begin(get("/row/1")).await;
    sidecar.settle().await;
    sidecar.inc("Row:1").await;
    let after = client.begin_many(3, &get("/row/1")).await;
    sidecar.settle().await;
    held.release(row("old")).await;

    leader.answer().await.is_not_stored().has_body("old");
    // It came before the increment: either is right.
    let body = before.answer().await.text();
    assert!(body == "old" || body == "new", "{body}");
    for after in after {
        after.answer().await.has_status(200).has_body("new");
    }
    client.get("/row/1").await.has_body("new");
}

#[tokio::test]
async fn l01_a_follower_after_the_writers_answer_is_not_answered_from_before_it_by_a_rules_tag() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ROWS).await;
    let client = sidecar.client();
    app.answer("/row/1", reply("new"));
    let hold = app.hold("/row/1");
    let leader = client.begin(get("/row/1")).await;
    let held = hold.arrived().await;
    sidecar.inc("Row:1").await;
    let after = client.begin(get("/row/1")).await;
    sidecar.settle().await;
    held.release(reply("old")).await;
    leader.answer().await.has_body("old");
    after.answer().await.has_body("new");
}

#[tokio::test]
async fn l01_a_client_after_the_increment_does_not_wait_for_a_fetch_from_before_it() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ROWS).await;
    let client = sidecar.client();
    app.answer("/row/1", reply("new"));
    let hold = app.hold("/row/1");
    let leader = client.begin(get("/row/1")).await;
    let held = hold.arrived().await;
    sidecar.inc("Row:1").await;
    client.get("/row/1").await.is_miss().has_body("new");
    held.release(reply("old")).await;
    leader.answer().await.is_unstored("raced").has_body("old");
    client.get("/row/1").await.is_hit().has_body("new");
}

#[tokio::test]
async fn l01_a_client_after_the_increment_gets_a_fill_of_its_own_while_an_older_body_still_comes() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/row/1", row("new"));
    let hold = app.hold("/row/1");
    let leader = client.begin(get("/row/1")).await;
    let mut body = hold.arrived().await.begin(row("ol")).await;
    let mut open = leader.head().await;
    assert_eq!(open.some().await.as_deref(), Some(&b"ol"[..]));
    sidecar.inc("Row:1").await;
    client.get("/row/1").await.is_miss().has_body("new");
    body.send(b"d").await;
    body.end().await;
    open.rest().await.has_body("d");
    client.get("/row/1").await.is_hit().has_body("new");
}

#[tokio::test]
async fn l01_an_increment_of_another_tag_forbids_nothing() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ROWS).await;
    let client = sidecar.client();
    let hold = app.hold("/row/1");
    let first = client.begin(get("/row/1")).await;
    let held = hold.arrived().await;
    sidecar.inc("Row:2").await;
    held.release(reply("one")).await;
    first.answer().await.is_miss();
    client.get("/row/1").await.is_hit().has_body("one");
}

#[tokio::test]
async fn l01_an_increment_before_the_fetch_forbids_nothing() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ROWS).await;
    let client = sidecar.client();
    app.answer("/row/1", reply("one"));
    sidecar.inc("Row:1").await;
    client.get("/row/1").await.is_miss();
    client.get("/row/1").await.is_hit();
}

#[tokio::test]
async fn l01_a_write_to_the_same_uri_during_the_fetch_forbids_storing() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/a", reply("new").header("Cache-Control", "max-age=60"));
    let hold = app.hold("/a");
    let first = client.begin(get("/a")).await;
    let held = hold.arrived().await;
    client.post("/a").await.is_method();
    held.release(reply("old").header("Cache-Control", "max-age=60"))
        .await;
    first.answer().await.is_unstored("raced").has_body("old");
    client.get("/a").await.is_miss().has_body("new");
}

#[tokio::test]
async fn l01_a_write_to_another_spelling_of_the_uri_during_the_fetch_forbids_storing() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/a", reply("new").header("Cache-Control", "max-age=60"));
    let hold = app.hold("/a");
    let first = client.begin(get("/a?y=1&x=1")).await;
    let held = hold.arrived().await;
    client.post("/a?x=1&y=1").await.is_method();
    let after = client.begin(get("/a?y=1&x=1")).await;
    after.answer().await.is_miss().has_body("new");
    held.release(reply("old").header("Cache-Control", "max-age=60"))
        .await;
    first.answer().await.is_unstored("raced").has_body("old");
    client.get("/a?x=1&y=1").await.is_hit().has_body("new");
}

#[tokio::test]
async fn l02_increments_at_one_instant_all_count() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ROWS).await;
    let client = sidecar.client();
    app.on("/row/1", |call| reply(call.n.to_string()));
    client.get("/row/1").await.is_miss();
    // The clock stands still: only the sequence can tell the versions apart.
    for _ in 0..50 {
        sidecar.inc("Row:1").await;
        client.get("/row/1").await.is_invalidated();
        client.get("/row/1").await.is_hit();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l02_concurrent_writers_each_read_their_own_write() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ROWS).await;
    let state = Arc::new(AtomicUsize::new(0));
    let read = Arc::clone(&state);
    app.on("/row/1", move |_| {
        reply(read.load(Ordering::SeqCst).to_string())
    });

    let mut writers = Vec::new();
    for _ in 0..8 {
        let client = sidecar.client();
        let incs: Vec<_> = (0..25).map(|_| sidecar.inc("Row:1")).collect();
        let state = Arc::clone(&state);
        writers.push(tokio::spawn(async move {
            for inc in incs {
                let written = state.fetch_add(1, Ordering::SeqCst) + 1;
                inc.await;
                let answer = client.get("/row/1").await;
                let seen: usize = answer.text().parse().unwrap();
                assert!(seen >= written, "wrote {written}, then read {seen}");
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    sidecar.client().get("/row/1").await.has_body("200");
}

#[tokio::test]
async fn l03_a_clock_set_back_revives_nothing() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ROWS).await;
    let client = sidecar.client();
    app.answer("/row/1", reply("a"));
    client.get("/row/1").await.is_miss();
    let yesterday = sidecar.clock.now() - Duration::from_secs(86_400);
    sidecar.clock.set(yesterday);
    sidecar.inc("Row:1").await;
    app.answer("/row/1", reply("b"));
    client.get("/row/1").await.is_not_hit().has_body("b");
    sidecar.clock.set(Timestamp::from_secs(0));
    sidecar.inc("Row:1").await;
    app.answer("/row/1", reply("c"));
    client.get("/row/1").await.is_not_hit().has_body("c");
}

#[tokio::test]
async fn l04_an_increment_counts_though_its_client_has_gone() {
    for (name, resets) in [("FIN", false), ("RST", true)] {
        let app = Origin::start().await;
        let sidecar = Sidecar::with_rules(&app, ROWS).await;
        let client = sidecar.client();
        app.answer("/row/1", reply("a"));
        client.get("/row/1").await.is_miss();
        let hold = app.hold("/touch");
        let writer = client.begin(post("/touch")).await;
        let held = hold.arrived().await;
        if resets {
            writer.connection.wire.reset();
        } else {
            writer.leave();
        }
        sidecar.settle().await;
        held.release(reply("").header("Cache-Tag-Increment", "Row:1"))
            .await;
        sidecar.settle().await;
        let answer = client.get("/row/1").await;
        assert!(
            answer.cache_status().unwrap().contains_key("detail"),
            "{name}:\n{answer}"
        );
        answer.is_invalidated();
    }
}

#[tokio::test]
async fn l04_an_increment_counts_before_its_body_has_come() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ROWS).await;
    let client = sidecar.client();
    app.answer("/row/1", reply("a"));
    client.get("/row/1").await.is_miss();
    let hold = app.hold("/touch");
    let writer = client.begin(post("/touch")).await;
    let head = reply("").header("Cache-Tag-Increment", "Row:1");
    let body = hold.arrived().await.begin(head).await;
    let open = writer.head().await;
    client.get("/row/1").await.is_invalidated();
    body.end().await;
    open.rest().await.is_whole();
}

#[tokio::test]
async fn l04_an_increment_counts_whatever_the_way_of_the_request() {
    let app = Origin::start().await;
    let rules = format!("{ROWS}  - {{ id: never, match: {{ path: /bypass }}, cache: false }}\n");
    let sidecar = Sidecar::with_rules(&app, &rules).await;
    let client = sidecar.client();
    app.answer("/row/1", reply("a"));
    let increments = |answer: Reply| answer.header("Cache-Tag-Increment", "Row:1");
    app.answer("/bypass", increments(reply("")));
    app.answer(
        "/fill",
        increments(reply("").header("Cache-Control", "max-age=60")),
    );
    app.answer(
        "/unstored",
        increments(reply("").header("Cache-Control", "no-store")),
    );
    app.answer("/error", increments(reply("").status(503)));
    app.answer("/cut", increments(reply("cut")).cut());
    app.answer("/post", increments(reply("")));

    for request in [
        get("/bypass"),
        get("/fill"),
        get("/unstored"),
        get("/error"),
        get("/cut"),
        post("/post"),
        get("/post").body("with a body"),
        get("/post").with("Authorization", "t"),
    ] {
        client.get("/row/1").await;
        client.get("/row/1").await.is_hit();
        let what = format!("{request:?}");
        client.ask(request).await;
        let answer = client.get("/row/1").await;
        let said = answer.cache_status().unwrap();
        assert_eq!(
            said.get("detail").map(String::as_str),
            Some("invalidated"),
            "{what}"
        );
    }
}

#[tokio::test]
async fn l04_an_abandoned_read_still_increments_and_is_then_given_up() {
    // F10, second half.
    let app = Origin::start().await;
    let rules = format!("{ROWS}  - {{ id: never, match: {{ path: /bypass }}, cache: false }}\n");
    let sidecar = Sidecar::with_rules(&app, &rules).await;
    let client = sidecar.client();
    app.answer("/row/1", reply("a"));
    client.get("/row/1").await.is_miss();

    let hold = app.hold("/bypass");
    let reader = client.begin(get("/bypass")).await;
    let held = hold.arrived().await;
    reader.leave();
    sidecar.settle().await;
    let head = reply("").header("Cache-Tag-Increment", "Row:1");
    let body = held.begin(head).await;
    body.closed().await;
    client.get("/row/1").await.is_invalidated();
}

#[tokio::test]
async fn l01_a_follower_after_an_increment_is_not_answered_by_a_304_from_before_it() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/row/1", row("old").header("ETag", "\"v1\""));
    client.get("/row/1").await.is_miss();
    sidecar.clock.advance(Duration::from_secs(61));
    let hold = app.hold("/row/1");
    let first = client.begin(get("/row/1")).await;
    let held = hold.arrived().await;
    assert!(held.call.field("if-none-match").is_some());
    let before = client.begin(get("/row/1")).await;
    sidecar.settle().await;
    sidecar.inc("Row:1").await;
    app.answer("/row/1", row("new").header("ETag", "\"v2\""));
    let after = client.begin_many(3, &get("/row/1")).await;
    sidecar.settle().await;
    held.release(row("").status(304)).await;

    first.answer().await.is_not_stored().has_body("old");
    let body = before.answer().await.text();
    assert!(body == "old" || body == "new", "{body}");
    for after in after {
        after.answer().await.has_status(200).has_body("new");
    }
    client.get("/row/1").await.is_hit().has_body("new");
    assert_eq!(app.last("/row/1").field("if-none-match"), None);
}

#[tokio::test]
async fn l01_a_304_from_before_an_increment_makes_nothing_fresh() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/row/1", row("old").header("ETag", "\"v1\""));
    client.get("/row/1").await.is_miss();
    sidecar.clock.advance(Duration::from_secs(61));
    // One that names no tag: those of what is stored count.
    let hold = app.hold("/row/1");
    let first = client.begin(get("/row/1")).await;
    let held = hold.arrived().await;
    sidecar.inc("Row:1").await;
    let not_modified = reply("").status(304);
    held.release(not_modified.header("Cache-Control", "max-age=60"))
        .await;
    first.answer().await.is_not_stored().has_body("old");
    app.answer("/row/1", row("new"));
    client.get("/row/1").await.is_invalidated().has_body("new");
    assert_eq!(app.last("/row/1").field("if-none-match"), None);
}

#[tokio::test]
async fn l04_the_increments_of_a_revalidation_count_before_its_answer() {
    let etag = |answer: Reply| answer.header("ETag", "\"v1\"");
    let life = "max-age=60, stale-if-error=60";
    let stored = || etag(reply("stored").header("Cache-Control", life));
    let increments = |answer: Reply| answer.header("Cache-Tag-Increment", "Row:1");
    let part = reply("st")
        .status(206)
        .header("Content-Range", "bytes 0-1/6");
    for (name, request, answer, stored_before) in [
        ("a 304", get("/a"), reply("").status(304), true),
        (
            "a 304 to a range",
            get("/a").with("Range", "bytes=1-2"),
            reply("").status(304),
            true,
        ),
        ("a HEAD's", ask("HEAD", "/a"), etag(reply("stored")), true),
        (
            "a HEAD's of another",
            ask("HEAD", "/a"),
            reply("other").header("ETag", "\"v2\""),
            true,
        ),
        ("an error replaced", get("/a"), reply("").status(503), true),
        (
            "a part",
            get("/a").with("Range", "bytes=0-1"),
            part.header("Cache-Control", life),
            false,
        ),
        (
            "an unsatisfiable range",
            get("/a").with("Range", "bytes=9-"),
            reply("").status(416),
            false,
        ),
    ] {
        let app = Origin::start().await;
        let sidecar = Sidecar::plain(&app).await;
        let client = sidecar.client();
        app.answer("/a", stored());
        if stored_before {
            client.get("/a").await.is_miss();
            sidecar.clock.advance(Duration::from_secs(61));
        }
        app.answer("/row/1", row("row"));
        client.get("/row/1").await.is_miss();
        app.answer("/a", increments(answer));
        let head = client.begin(request).await.head().await;
        let row = client.get("/row/1").await;
        let said = row.cache_status().unwrap();
        let detail = said.get("detail").map(String::as_str);
        assert_eq!(detail, Some("invalidated"), "{name}:\n{row}");
        head.rest().await.is_whole();
    }
}

#[tokio::test]
async fn l04_the_increments_of_a_rest_that_is_not_used_count() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/row/1", row("row"));
    let part = |body: &str, etag: &str, place: &str| {
        let answer = reply(body).status(206).header("Content-Range", place);
        answer
            .header("Cache-Control", "max-age=60")
            .header("ETag", etag)
    };
    app.answer("/a", part("01", "\"v1\"", "bytes 0-1/4"));
    client.get_with("/a", "Range", "bytes=0-1").await.is_miss();
    client.get("/row/1").await.is_miss();
    let hold = app.hold("/a");
    let whole = client.begin(get("/a")).await;
    let unfit = part("CD", "\"v2\"", "bytes 2-3/4");
    app.answer("/a", reply("ABCD"));
    let unfit = unfit.header("Cache-Tag-Increment", "Row:1");
    hold.arrived().await.release(unfit).await;
    whole.answer().await.has_body("ABCD");
    client.get("/row/1").await.is_invalidated();
}

#[tokio::test]
async fn l05_an_invalidated_entry_with_a_validator_is_fetched_whole_until_that_succeeds() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/row/1", row("old").header("ETag", "\"v1\""));
    client.get("/row/1").await.is_miss();
    sidecar.inc("Row:1").await;
    for status in [500, 503, 404] {
        app.answer("/row/1", reply("broken").status(status));
        let answer = client.get("/row/1").await;
        answer.has_status(status).has_body("broken").is_not_hit();
        assert_eq!(app.last("/row/1").field("if-none-match"), None);
    }
    app.answer("/row/1", row("new"));
    client.get("/row/1").await.is_invalidated().has_body("new");
}

#[tokio::test]
async fn l07_values_that_glue_to_one_text_are_two_keys() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r"
  - id: k
    match: { path: '/k/(?P<x>[^/]+)/(?P<y>[^/]+)' }
    vary_on: { captures: [x, y], query: { mode: allow, params: [{ name: p }, { name: q }] }, headers: [X-A, X-B], cookies: [c] }
    ttl: 60s
",
    )
    .await;
    let client = sidecar.client();
    app.otherwise(|call| reply(call.raw.clone()));
    let requests = [
        get("/k/a/b_c"),
        get("/k/a_b/c"),
        get("/k/a/b"),
        get("/k/a%2Fb/c"),
        get("/k/a/b%2Fc"),
        get("/k/a/b?p=1&q=2"),
        get("/k/a/b?p=1%26q=2"),
        get("/k/a/b?p=1"),
        get("/k/a/b?q=1"),
        get("/k/a/b?p="),
        get("/k/a/b?p=0"),
        get("/k/a/b?p=null"),
        get("/k/a/b").with("X-A", "1"),
        get("/k/a/b").with("X-B", "1"),
        get("/k/a/b").with("X-A", "1").with("X-B", "1"),
        get("/k/a/b").with("X-A", ""),
        get("/k/a/b").with("Cookie", "c=1"),
        get("/k/a/b").with("Cookie", "c="),
    ];
    for request in &requests {
        let answer = client.ask(request.clone()).await;
        assert!(
            answer.cache_status().unwrap().contains_key("stored"),
            "{request:?}\n{answer}"
        );
    }
    for request in &requests {
        client.ask(request.clone()).await.is_hit();
    }
    assert_eq!(app.seen("/k/a/b").len(), 14);
}

#[tokio::test]
async fn l07_tags_of_odd_characters_stay_apart() {
    // X11.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r#"
  - { id: t, match: { path: '/t/(?P<x>[^/]+)' }, tags: ["T:{x}"], ttl: 60s }
"#,
    )
    .await;
    let client = sidecar.client();
    app.otherwise(|call| reply(call.target.clone()));
    // Captures are decoded once; in an instance `, ; " % @` and white space are encoded again.
    let instances = [
        "a", "b", "a%2Cb", "a%252Cb", "a%22b", "a%3Bb", "a%20b", "a:b", "A",
    ];
    for instance in instances {
        client.get(&format!("/t/{instance}")).await.is_miss();
    }
    for (tag, hit) in [
        ("T:a%2Cb", "a%2Cb"),
        ("T:a%252Cb", "a%252Cb"),
        ("T:a%22b", "a%22b"),
        ("T:a", "a"),
    ] {
        sidecar.inc(tag).await;
        for instance in instances {
            let answer = client.get(&format!("/t/{instance}")).await;
            if instance == hit {
                answer.is_invalidated();
            } else {
                answer.is_hit();
            }
        }
    }
}

#[tokio::test]
async fn l08_an_empty_answer_is_stored_and_invalidated_like_any_other() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ROWS).await;
    let client = sidecar.client();
    for empty in [reply(""), reply("").status(204), reply("").chunked()] {
        app.answer("/row/1", empty.clone());
        sidecar.inc("Row:1").await;
        client.get("/row/1").await.is_not_hit().has_body("");
        client
            .get("/row/1")
            .await
            .is_hit()
            .has_status(empty.status)
            .has_body("");
    }
    assert_eq!(app.calls("/row/1"), 3);
}

#[tokio::test]
async fn l09_a_follower_is_not_kept_by_an_app_that_never_answers() {
    let app = Origin::start().await;
    let sidecar = Setup::new(&app)
        .rules(ROWS)
        .upstream("read_timeout: 200ms")
        .start()
        .await;
    let client = sidecar.client();
    app.answer("/row/1", Reply::silent());
    for pending in client.begin_many(4, &get("/row/1")).await {
        pending.answer().await.is_problem(504);
    }
    assert!(app.calls("/row/1") <= 4);
    app.answer("/row/1", reply("well"));
    client.get("/row/1").await.is_miss();
}

#[tokio::test]
async fn l09_a_revalidation_that_breaks_tells_all_who_wait_at_once() {
    for said in [
        "max-age=60, must-revalidate",
        "max-age=60, stale-if-error=0",
    ] {
        let app = Origin::start().await;
        let sidecar = Setup::new(&app).upstream("retries: 0").start().await;
        let client = sidecar.client();
        let old = reply("old").header("Cache-Control", said);
        app.answer("/a", old.header("ETag", "\"v1\"").until_close());
        client.get("/a").await.is_miss();
        sidecar.clock.advance(Duration::from_secs(61));
        let hold = app.hold("/a");
        let first = client.begin(get("/a")).await;
        let held = hold.arrived().await;
        let others = client.begin_many(8, &get("/a")).await;
        let ranged = get("/a").with("Range", "bytes=0-0");
        let ranged = client.begin_many(8, &ranged).await;
        sidecar.settle().await;
        drop(held);
        let status = first.answer().await.status;
        assert!(status == 502 || status == 504, "{status}");
        for other in others.into_iter().chain(ranged) {
            other.answer().await.is_problem(status);
        }
        assert_eq!(app.calls("/a"), 2, "{said}");
    }
}

#[tokio::test]
async fn l09_a_revalidation_that_is_cut_is_cut_for_all_and_not_tried_by_each() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/row/1", row("old").header("ETag", "\"v1\""));
    client.get("/row/1").await.is_miss();
    sidecar.clock.advance(Duration::from_secs(61));
    let hold = app.hold("/row/1");
    let first = client.begin(get("/row/1")).await;
    let held = hold.arrived().await;
    let others = client.begin_many(8, &get("/row/1")).await;
    sidecar.settle().await;
    held.begin(row("ne").header("Content-Length", "9"))
        .await
        .cut();
    first.answer().await.is_cut();
    for other in others {
        other.answer().await.is_cut();
    }
    assert_eq!(app.calls("/row/1"), 2);
    app.answer("/row/1", row("new"));
    client.get("/row/1").await.is_expired().has_body("new");
}

#[tokio::test]
async fn l09_one_304_is_for_all_who_wait() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/row/1", row("old").header("ETag", "\"v1\""));
    client.get("/row/1").await.is_miss();
    sidecar.clock.advance(Duration::from_secs(61));
    let hold = app.hold("/row/1");
    let first = client.begin(get("/row/1")).await;
    let held = hold.arrived().await;
    let others = client.begin_many(8, &get("/row/1")).await;
    let range = get("/row/1").with("Range", "bytes=1-1");
    let ranged = client.begin(range).await;
    sidecar.settle().await;
    held.release(row("").status(304)).await;
    first.answer().await.is_revalidated().has_body("old");
    for other in others {
        let expected = [("fwd", "stale"), ("collapsed", "")];
        other
            .answer()
            .await
            .says("SHARED", &expected)
            .has_body("old");
    }
    ranged.answer().await.has_status(206).has_body("l");
    assert_eq!(app.calls("/row/1"), 2);
}

#[tokio::test]
async fn l12_what_is_private_is_not_stored_though_a_rule_gives_it_a_life() {
    let rule = "  - { id: a, match: { path: '/.*' }, ttl: 60s }\n";
    for (name, request, answer) in [
        (
            "credentials",
            get("/a").with("Authorization", "t"),
            reply(""),
        ),
        ("cookie", get("/a").with("Cookie", "sid=1"), reply("")),
        (
            "set-cookie",
            get("/a"),
            reply("").header("Set-Cookie", "sid=1"),
        ),
        (
            "private",
            get("/a"),
            reply("").header("Cache-Control", "private"),
        ),
        (
            "no-store",
            get("/a"),
            reply("").header("Cache-Control", "no-store"),
        ),
        (
            "request no-store",
            get("/a").with("Cache-Control", "no-store"),
            reply(""),
        ),
    ] {
        let app = Origin::start().await;
        let sidecar = Sidecar::with_rules(&app, rule).await;
        let client = sidecar.client();
        app.answer("/a", answer);
        client.ask(request.clone()).await.is_not_stored();
        client.ask(request).await.is_not_stored();
        assert_eq!(app.calls("/a"), 2, "{name}");
        app.answer("/a", reply("for all"));
        client.get("/a").await.is_miss().has_body("for all");
    }
}

#[tokio::test]
async fn l13_the_app_answers_though_nothing_fits_into_the_store() {
    let app = Origin::start().await;
    let sidecar = Setup::new(&app)
        .rules(ROWS)
        .config("store: { memory: { max_bytes: 1 } }")
        .start()
        .await;
    let client = sidecar.client();
    app.answer("/row/1", reply("a"));
    for _ in 0..3 {
        client
            .get("/row/1")
            .await
            .has_status(200)
            .is_not_hit()
            .has_body("a");
    }
    sidecar.inc("Row:1").await;
}

#[tokio::test]
async fn l13_the_apps_errors_are_the_apps() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ROWS).await;
    let client = sidecar.client();
    for status in [400, 401, 403, 429, 500, 502, 503, 504] {
        app.answer(
            "/row/1",
            reply("the app's own").status(status).header("X-Mine", "1"),
        );
        let answer = client.get("/row/1").await;
        answer
            .has_status(status)
            .has_body("the app's own")
            .has_field("x-mine", "1")
            .is_not_stored();
    }
}

#[tokio::test]
async fn l13_headers_no_dialect_can_read_harm_no_answer() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    for (field, value) in [
        ("Cache-Tag", ",,;;v=x, \"\", User:42;v=-"),
        ("Cache-Groups", "not a list ((("),
        ("Cache-Tag-Increment", ";again=never, ~all"),
        ("Cache-Group-Invalidation", "\"open"),
        ("X-LiteSpeed-Purge", "=,tag=,*x"),
        ("Cache-Tag-Change", "r;old.attr="),
        ("CDN-Cache-Control", "max-age=\"x"),
        ("Cache-Control", "max-age=-1, =, \"\""),
        ("Vary", ",,(,"),
        ("Age", "minus one"),
        ("Expires", "0"),
        ("Date", "yesterday"),
    ] {
        app.answer("/a", reply("a").header(field, value));
        let answer = client.get("/a").await;
        assert_eq!(answer.status, 200, "{field}:\n{answer}");
        answer.has_body("a");
        client.post("/a").await.has_status(200);
    }
}

#[tokio::test]
async fn l15_two_sidecars_of_one_process_share_nothing() {
    let app = Origin::start().await;
    let one = Sidecar::with_rules(&app, ROWS).await;
    let rows_for_longer = ROWS.replace("60s", "90s");
    let two = Setup::new(&app)
        .rules(&rows_for_longer)
        .config("namespace: other")
        .start()
        .await;
    app.answer("/row/1", reply("a"));

    one.client().get("/row/1").await.is_miss();
    two.client().get("/row/1").await.is_miss();
    one.inc("Row:1").await;
    assert_eq!(two.client().get("/row/1").await.is_hit().ttl(), 90);
    one.client().get("/row/1").await.is_invalidated();
    one.clock.advance(Duration::from_secs(30));
    assert_eq!(one.client().get("/row/1").await.is_hit().ttl(), 30);
    assert_eq!(two.client().get("/row/1").await.is_hit().ttl(), 90);
    one.shutdown().await;
    two.client().get("/row/1").await.is_hit();
}

#[tokio::test]
async fn l15_one_request_does_not_influence_another() {
    // Two rules that could collide, and a request's fields that must not stay.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r"
  - { id: a, match: { path: '/a/(?P<x>.*)' }, vary_on: { captures: [x] }, ttl: 60s }
  - { id: b, match: { path: '/b/(?P<x>.*)' }, vary_on: { captures: [x] }, ttl: 10s }
",
    )
    .await;
    let client = sidecar.client();
    app.otherwise(|call| reply(call.target.clone()));
    client.get("/a/1").await.is_miss().has_body("/a/1");
    client.get("/b/1").await.is_miss().has_body("/b/1");
    sidecar.clock.advance(Duration::from_secs(10));
    client.get("/b/1").await.is_expired();
    client.get("/a/1").await.is_hit();

    let mut connection = client.connect().await;
    connection
        .ask(get("/c").with("X-Mine", "1"))
        .await
        .has_status(200);
    connection.ask(get("/d")).await.has_status(200);
    assert_eq!(app.last("/d").field("x-mine"), None);
}
