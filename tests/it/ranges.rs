//! Ranges out of what is stored, and parts that are stored (RFC 9110 §14, RFC 9111 §3.3, §3.4).

use std::time::Duration;

use crate::support::Answer;
use crate::support::Client;
use crate::support::Origin;
use crate::support::Reply;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::ask;
use crate::support::get;
use crate::support::reply;

/// What the app has: 36 bytes, none twice.
const CONTENT: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

const TAG: &str = "\"v1\"";

/// The content, fresh for a minute, with a strong entity tag.
fn whole() -> Reply {
    fields(reply(CONTENT), TAG)
}

fn fields(answer: Reply, etag: &str) -> Reply {
    let answer = answer.header("Cache-Control", "max-age=60");
    answer.header("ETag", etag)
}

/// A 206 with these positions of the content, the last included.
fn part(first: usize, last: usize) -> Reply {
    part_of(CONTENT, TAG, first, last)
}

fn part_of(content: &str, etag: &str, first: usize, last: usize) -> Reply {
    let length = content.len();
    fields(reply(&content[first..=last]), etag)
        .status(206)
        .header("Content-Range", format!("bytes {first}-{last}/{length}"))
}

/// Serves ranges as an app that knows them does: one range, `If-Range` with its tag.
fn serves_ranges(app: &Origin, path: &str) {
    app.on(path, |call| {
        let unchanged = call.field("if-range").is_none_or(|tag| tag == TAG);
        let range = call.field("range").filter(|_| unchanged);
        let Some(range) = range
            .as_deref()
            .and_then(|range| range.strip_prefix("bytes="))
        else {
            return whole();
        };
        let end = CONTENT.len();
        let (first, last) = match range.split_once('-').expect("a range") {
            ("", length) => (end - length.parse::<usize>().expect("a length"), end - 1),
            (first, "") => (first.parse().expect("a position"), end - 1),
            (first, last) => {
                let last: usize = last.parse().expect("a position");
                (first.parse().expect("a position"), last.min(end - 1))
            }
        };
        if first >= end {
            let answer = reply("").status(416);
            return answer.header("Content-Range", format!("bytes */{end}"));
        }
        part(first, last)
    });
}

async fn range(client: &Client, range: &str) -> Answer {
    client.get_with("/a", "Range", range).await
}

/// A 206 with this one range of the content, and nothing else.
#[track_caller]
fn is_slice(answer: &Answer, first: usize, last: usize) -> &Answer {
    let length = CONTENT.len();
    answer
        .has_status(206)
        .has_field("content-range", &format!("bytes {first}-{last}/{length}"))
        .has_field("content-length", &(last - first + 1).to_string())
        .has_body(&CONTENT[first..=last])
}

/// The parts of `multipart/byteranges`: what each says of itself, and its bytes (RFC 9110 §14.6).
fn byteranges(answer: &Answer) -> Vec<(String, String)> {
    let content_type = answer.field("content-type").unwrap_or_default();
    let boundary = content_type
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap_or_else(|| panic!("expected multipart/byteranges:\n{answer}"));
    let text = answer.text();
    let text = text
        .strip_suffix(&format!("--{boundary}--\r\n"))
        .unwrap_or_else(|| panic!("expected a last boundary:\n{answer}"));
    let separator = format!("--{boundary}\r\n");
    let parts = text.split(&separator).skip(1);
    parts
        .map(|part| {
            let (head, body) = part.split_once("\r\n\r\n").expect("a head");
            let body = body.strip_suffix("\r\n").expect("a line's end");
            (head.to_owned(), body.to_owned())
        })
        .collect()
}

/// A sidecar that has the whole of `/a`.
async fn with_a_whole(answer: Reply) -> (Origin, Sidecar, Client) {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/a", answer);
    client.get("/a").await.is_miss();
    (app, sidecar, client)
}

/// A sidecar that has nothing, before an app that knows ranges.
async fn cold() -> (Origin, Sidecar, Client) {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    serves_ranges(&app, "/a");
    (app, sidecar, client)
}

#[tokio::test]
async fn rfc9110_14_2_one_range_of_a_stored_whole() {
    let plain = whole().header("Content-Type", "text/plain");
    let (app, sidecar, client) = with_a_whole(plain).await;
    sidecar.clock.advance(Duration::from_secs(7));
    for (asked, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=0-35", 0, 35),
        ("bytes=10-15", 10, 15),
        ("bytes=10-", 10, 35),
        ("bytes=30-99", 30, 35),
        ("bytes=30-99999999999999999999999", 30, 35),
        ("bytes=-1", 35, 35),
        ("bytes=-99", 0, 35),
        ("BYTES=1-2", 1, 2),
        ("bytes= 1-2 ,, ", 1, 2),
        ("bytes=1-2,99-100", 1, 2),
        ("bytes=1-2,3-4", 1, 4),
        ("bytes=1-5,3-8", 1, 8),
    ] {
        let answer = range(&client, asked).await;
        assert_eq!(answer.is_hit().ttl(), 53, "{asked}");
        is_slice(&answer, first, last)
            .has_field("age", "7")
            .has_field("etag", TAG)
            .has_field("cache-control", "max-age=60")
            .has_field("content-type", "text/plain");
    }
    assert_eq!(app.calls("/a"), 1);
}

#[tokio::test]
async fn rfc9110_15_3_7_2_several_ranges_of_a_stored_whole() {
    let (app, _sidecar, client) = with_a_whole(whole().header("Content-Type", "text/plain")).await;
    for (asked, expected) in [
        ("bytes=0-1,-2", vec![(0, 1), (34, 35)]),
        ("bytes=20-,0-3", vec![(20, 35), (0, 3)]),
        ("bytes=5-6, 0-1, 9-9", vec![(5, 6), (0, 1), (9, 9)]),
        ("bytes=0-1,99-,9-9", vec![(0, 1), (9, 9)]),
    ] {
        let answer = range(&client, asked).await;
        answer
            .is_hit()
            .has_status(206)
            .has_no_field("content-range")
            .has_field("content-length", &answer.body.len().to_string());
        let expected: Vec<(String, String)> = expected
            .into_iter()
            .map(|(first, last)| {
                let head =
                    format!("Content-Type: text/plain\r\nContent-Range: bytes {first}-{last}/36");
                (head, CONTENT[first..=last].to_owned())
            })
            .collect();
        assert_eq!(byteranges(&answer), expected, "{asked}\n{answer}");
    }
    assert_eq!(app.calls("/a"), 1);
}

#[tokio::test]
async fn rfc9110_15_5_17_what_lies_beyond_the_end_is_unsatisfiable() {
    let (app, _sidecar, client) = with_a_whole(whole()).await;
    for asked in [
        "bytes=36-",
        "bytes=36-40",
        "bytes=-0",
        "bytes=40-,99-",
        "bytes=99999999999999999999999-",
    ] {
        let answer = range(&client, asked).await;
        answer
            .is_problem(416)
            .has_field("content-range", "bytes */36")
            .has_no_field("etag")
            .is_hit();
    }
    range(&client, "bytes=35-").await.has_status(206);
    assert_eq!(app.calls("/a"), 1);
}

#[tokio::test]
async fn rfc9110_14_2_what_is_no_range_is_ignored() {
    let (app, _sidecar, client) = with_a_whole(whole()).await;
    let many: Vec<String> = (0..17).map(|n| format!("{n}-{n}")).collect();
    let many = format!("bytes={}", many.join(","));
    for asked in [
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=5-1",
        "bytes=1-2,x",
        "bytes=1-2;3",
        "bytes=+1-2",
        "bytes=0x1-2",
        "bytes 1-2",
        "lines=1-2",
        "1-2",
        "bytes=0-,0-,0-",
        &many,
    ] {
        let answer = range(&client, asked).await;
        answer.is_hit().has_status(200).has_body(CONTENT);
        answer.has_no_field("content-range");
    }
    let twice = get("/a")
        .with("Range", "bytes=0-1")
        .with("Range", "bytes=2-3");
    client.ask(twice).await.is_hit().has_status(200);
    assert_eq!(app.calls("/a"), 1);
}

#[tokio::test]
async fn rfc9110_14_2_only_get_has_ranges() {
    let (app, _sidecar, client) = with_a_whole(whole()).await;
    let head = ask("HEAD", "/a").with("Range", "bytes=0-1");
    let answer = client.ask(head).await;
    answer.is_hit().has_status(200).has_body("");
    answer
        .has_field("content-length", "36")
        .has_no_field("content-range");
    assert_eq!(app.calls("/a"), 1);
}

#[tokio::test]
async fn rfc9110_14_2_only_what_would_be_200_has_ranges() {
    for status in [404, 410, 301, 203] {
        let (_app, _sidecar, client) = with_a_whole(whole().status(status)).await;
        let answer = range(&client, "bytes=0-1").await;
        answer.is_hit().has_status(status).has_body(CONTENT);
        answer.has_no_field("content-range");
    }
}

#[tokio::test]
async fn rfc9110_13_1_5_if_range_of_a_hit() {
    let modified = "Tue, 17 May 2033 00:00:00 GMT";
    let dated = |etag: &str| {
        let answer = reply(CONTENT)
            .header("Cache-Control", "max-age=60")
            .header("Last-Modified", modified);
        match etag {
            "" => answer,
            etag => answer.header("ETag", etag),
        }
    };
    for (name, stored, if_range, is_part) in [
        ("its tag", dated(TAG), TAG, true),
        ("another tag", dated(TAG), "\"v2\"", false),
        ("its tag, weakly", dated(TAG), "W/\"v1\"", false),
        ("a weak tag", dated("W/\"v1\""), "W/\"v1\"", false),
        ("a weak tag, strongly", dated("W/\"v1\""), "\"v1\"", false),
        ("a list of tags", dated(TAG), "\"v1\", \"v2\"", false),
        ("no tag there", dated(""), TAG, false),
        ("its date", dated(""), modified, true),
        (
            "a later date",
            dated(""),
            "Wed, 18 May 2033 00:00:00 GMT",
            false,
        ),
        (
            "an earlier date",
            dated(""),
            "Mon, 16 May 2033 00:00:00 GMT",
            false,
        ),
        ("no date", dated(""), "yesterday", false),
        (
            "a date in the second of the response",
            reply(CONTENT)
                .header("Cache-Control", "max-age=60")
                .header("Date", modified)
                .header("Last-Modified", modified)
                .header("Tagalong-Cache-Control", "max-age=9999999"),
            modified,
            false,
        ),
    ] {
        let (app, _sidecar, client) = with_a_whole(stored).await;
        let asked = get("/a")
            .with("Range", "bytes=3-5")
            .with("If-Range", if_range);
        let answer = client.ask(asked).await;
        assert_eq!(
            answer.status,
            if is_part { 206 } else { 200 },
            "{name}:\n{answer}"
        );
        answer.is_hit();
        if is_part {
            is_slice(&answer, 3, 5);
        } else {
            answer.has_body(CONTENT);
        }
        assert_eq!(app.calls("/a"), 1, "{name}");
    }
}

#[tokio::test]
async fn rfc9110_13_2_2_other_conditions_come_before_the_range() {
    let (app, _sidecar, client) = with_a_whole(whole()).await;
    let asked = |etag: &str| {
        get("/a")
            .with("Range", "bytes=3-5")
            .with("If-None-Match", etag)
    };
    let known = client.ask(asked(TAG)).await;
    known
        .is_hit()
        .has_status(304)
        .has_body("")
        .has_no_field("content-range");
    is_slice(&client.ask(asked("\"v0\"")).await, 3, 5).is_hit();
    let beyond = get("/a")
        .with("Range", "bytes=99-")
        .with("If-None-Match", TAG);
    client.ask(beyond).await.is_hit().has_status(304);
    let if_range_alone = get("/a").with("If-Range", TAG);
    client.ask(if_range_alone).await.is_hit().has_status(200);
    assert_eq!(app.calls("/a"), 1);
}

#[tokio::test]
async fn l08_ranges_of_nothing() {
    let (_app, _sidecar, client) = with_a_whole(fields(reply(""), TAG)).await;
    for asked in ["bytes=0-", "bytes=0-1"] {
        let answer = range(&client, asked).await;
        answer
            .is_hit()
            .has_status(416)
            .has_field("content-range", "bytes */0");
    }
    let last = range(&client, "bytes=-5").await;
    last.is_hit()
        .has_status(200)
        .has_body("")
        .has_no_field("content-range");
}

#[tokio::test]
async fn rfc9110_14_ranges_of_a_coded_hit_are_of_the_coded_bytes() {
    let coded = whole()
        .header("Content-Encoding", "gzip")
        .header("Vary", "Accept-Encoding");
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/a", coded);
    let gzip = || get("/a").with("Accept-Encoding", "gzip");
    client.ask(gzip()).await.is_miss();
    let slice = client.ask(gzip().with("Range", "bytes=3-5")).await;
    is_slice(&slice, 3, 5)
        .is_hit()
        .has_field("content-encoding", "gzip");
}

#[tokio::test]
async fn rfc9110_14_2_ranges_of_what_came_in_chunks() {
    let (_app, _sidecar, client) = with_a_whole(whole().chunked()).await;
    is_slice(&range(&client, "bytes=-3").await, 33, 35).is_hit();
}

#[tokio::test]
async fn rfc9111_3_3_a_part_is_stored_and_answers_what_lies_inside() {
    let (app, sidecar, client) = cold().await;
    let first = range(&client, "bytes=10-19").await;
    is_slice(&first, 10, 19).is_miss();
    let asked = app.last("/a");
    assert_eq!(asked.field("range").as_deref(), Some("bytes=10-19"));
    sidecar.clock.advance(Duration::from_secs(5));
    for (asked, first, last) in [
        ("bytes=10-19", 10, 19),
        ("bytes=12-13", 12, 13),
        ("bytes=19-19", 19, 19),
    ] {
        let answer = range(&client, asked).await;
        assert_eq!(is_slice(&answer, first, last).is_hit().ttl(), 55);
        answer.has_field("age", "5").has_field("etag", TAG);
    }
    let several = range(&client, "bytes=10-11,15-16").await;
    several.is_hit().has_status(206);
    assert_eq!(byteranges(&several).len(), 2);
    let known = get("/a")
        .with("Range", "bytes=11-12")
        .with("If-None-Match", TAG);
    client.ask(known).await.is_hit().has_status(304);
    assert_eq!(app.calls("/a"), 1);

    is_slice(&range(&client, "bytes=9-12").await, 9, 12).is_partial();
    is_slice(&range(&client, "bytes=30-").await, 30, 35).is_partial();
    assert_eq!(app.calls("/a"), 3);
}

#[tokio::test]
async fn rfc9111_3_3_a_part_never_answers_for_the_whole() {
    for (name, ask) in [
        ("GET", get("/a")),
        ("HEAD", ask("HEAD", "/a")),
        ("a malformed range", get("/a").with("Range", "bytes=x")),
        (
            "If-Range with another tag",
            get("/a")
                .with("Range", "bytes=0-1")
                .with("If-Range", "\"v0\""),
        ),
    ] {
        let (app, _sidecar, client) = cold().await;
        range(&client, "bytes=0-9").await.is_miss();
        let answer = client.ask(ask).await;
        assert_eq!(answer.status, 200, "{name}:\n{answer}");
        assert_eq!(
            answer.field("content-length").as_deref(),
            Some("36"),
            "{name}"
        );
        let said = answer.cache_status().unwrap();
        assert_eq!(
            said.get("fwd").map(String::as_str),
            Some("partial"),
            "{name}:\n{answer}"
        );
        assert_eq!(app.calls("/a"), 2, "{name}");
    }
}

#[tokio::test]
async fn rfc9111_3_3_the_rest_of_a_stored_beginning_is_fetched_alone() {
    let (app, _sidecar, client) = cold().await;
    range(&client, "bytes=0-9").await.is_miss();
    let answer = client.get("/a").await;
    answer
        .is_completed()
        .has_status(200)
        .has_body(CONTENT)
        .has_field("content-length", "36")
        .has_no_field("content-range")
        .has_field("etag", TAG);
    let asked = app.last("/a");
    assert_eq!(asked.field("range").as_deref(), Some("bytes=10-"));
    assert_eq!(asked.field("if-range").as_deref(), Some(TAG));
    client
        .get("/a")
        .await
        .is_hit()
        .has_status(200)
        .has_body(CONTENT);
    is_slice(&range(&client, "bytes=8-12").await, 8, 12).is_hit();
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn rfc9111_3_3_the_rest_may_be_vouched_for_by_a_date() {
    let (app, _sidecar, client) = cold().await;
    let modified = "Tue, 17 May 2033 00:00:00 GMT";
    let dated = |mut answer: Reply| {
        answer.fields.retain(|(name, _)| name != "ETag");
        let answer = answer.header("Date", "Wed, 18 May 2033 03:33:20 GMT");
        answer.header("Last-Modified", modified)
    };
    app.answer("/a", dated(part(0, 9)));
    range(&client, "bytes=0-9").await.is_miss();
    app.answer("/a", dated(part(10, 35)));
    client.get("/a").await.is_completed().has_body(CONTENT);
    assert_eq!(app.last("/a").field("if-range").as_deref(), Some(modified));
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn rfc9111_3_3_with_a_weak_validator_the_whole_is_fetched_at_once() {
    for etag in ["W/\"v1\"", "unquoted"] {
        let (app, _sidecar, client) = cold().await;
        app.answer("/a", part_of(CONTENT, etag, 0, 9));
        range(&client, "bytes=0-9").await.is_miss();
        app.answer("/a", fields(reply(CONTENT), etag));
        client
            .get("/a")
            .await
            .is_partial()
            .has_status(200)
            .has_body(CONTENT);
        let asked = app.last("/a");
        assert_eq!(asked.field("range"), None, "{etag}");
        assert_eq!(asked.field("if-range"), None, "{etag}");
        assert_eq!(app.calls("/a"), 2, "{etag}");
    }
}

#[tokio::test]
async fn rfc9111_3_3_without_any_validator_a_rest_joins_nothing() {
    let bare = |first: usize, last: usize| {
        let mut answer = part(first, last);
        answer.fields.retain(|(name, _)| name != "ETag");
        answer
    };
    for (name, knows_ranges, calls) in [("the whole", false, 2), ("a rest", true, 3)] {
        let (app, _sidecar, client) = cold().await;
        app.answer("/a", bare(0, 9));
        range(&client, "bytes=0-9").await.is_miss();
        let whole = || reply(CONTENT).header("Cache-Control", "max-age=60");
        app.on("/a", move |call| match call.field("range").as_deref() {
            Some("bytes=10-") if knows_ranges => bare(10, 35),
            _ => whole(),
        });
        let answer = client.get("/a").await;
        answer.is_partial().has_status(200).has_body(CONTENT);
        let seen = app.seen("/a");
        assert_eq!(
            seen[1].field("range").as_deref(),
            Some("bytes=10-"),
            "{name}"
        );
        assert_eq!(seen[1].field("if-range"), None, "{name}");
        assert_eq!(seen.len(), calls, "{name}");
        client.get("/a").await.is_hit().has_body(CONTENT);
    }
}

#[tokio::test]
async fn rfc9111_3_4_a_rest_that_does_not_fit_is_not_used() {
    let other = CONTENT.to_uppercase();
    let longer = format!("{CONTENT}!");
    let chunked = part(10, 35).chunked();
    let untold = fields(reply(&CONTENT[10..]), TAG).status(206);
    for (name, rest) in [
        (
            "416",
            reply("").status(416).header("Content-Range", "bytes */36"),
        ),
        ("another tag", part_of(&other, "\"v2\"", 10, 35)),
        ("the tag, weakly", part_of(CONTENT, "W/\"v1\"", 10, 35)),
        ("no tag", part_of(CONTENT, "", 10, 35)),
        ("another length", part_of(&longer, TAG, 10, 36)),
        (
            "to the end of another length",
            fields(reply(&CONTENT[10..]), TAG)
                .status(206)
                .header("Content-Range", "bytes 10-35/99"),
        ),
        ("another position", part(12, 35)),
        ("overlapping", part(5, 35)),
        ("not to the end", part(10, 30)),
        ("of unknown length", chunked),
        ("without its place", untold),
        (
            "more than it says",
            part(10, 35).header("Content-Length", "27").cut(),
        ),
        (
            "several parts",
            part(10, 35).header("Content-Range", "bytes 10-35/36"),
        ),
    ] {
        let (app, _sidecar, client) = cold().await;
        range(&client, "bytes=0-9").await.is_miss();
        let hold = app.hold("/a");
        app.answer("/a", fields(reply(other.clone()), "\"v2\""));
        let pending = client.begin(get("/a")).await;
        hold.arrived().await.release(rest).await;
        let answer = pending.answer().await;
        assert_eq!(answer.text(), other, "{name}");
        answer
            .is_partial()
            .has_status(200)
            .has_field("etag", "\"v2\"");
        assert_eq!(app.calls("/a"), 3, "{name}");
        let again = app.last("/a");
        assert_eq!(again.field("range"), None, "{name}");
        assert_eq!(again.field("if-range"), None, "{name}");
        client.get("/a").await.is_hit().has_body(&other);
    }
}

#[tokio::test]
async fn rfc9110_13_1_5_the_whole_in_place_of_the_rest_is_used() {
    let (app, _sidecar, client) = cold().await;
    range(&client, "bytes=0-9").await.is_miss();
    let other = CONTENT.to_uppercase();
    app.answer("/a", fields(reply(other.clone()), "\"v2\""));
    client
        .get("/a")
        .await
        .is_partial()
        .has_status(200)
        .has_body(&other);
    assert_eq!(app.last("/a").field("if-range").as_deref(), Some(TAG));
    client.get("/a").await.is_hit().has_body(&other);
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn a_rest_that_is_cut_short_is_cut_short_for_the_client_and_not_stored() {
    let (app, _sidecar, client) = cold().await;
    range(&client, "bytes=0-9").await.is_miss();
    let hold = app.hold("/a");
    let pending = client.begin(get("/a")).await;
    let head = part(10, 35).header("Content-Length", "26");
    let body = hold
        .arrived()
        .await
        .begin(Reply {
            body: b"abc".to_vec(),
            ..head
        })
        .await;
    let mut open = pending.head().await;
    assert!(
        open.some().await.is_some(),
        "the beginning is there at once"
    );
    body.cut();
    open.rest().await.is_cut();
    is_slice(&range(&client, "bytes=0-9").await, 0, 9).is_hit();
    client.get("/a").await.is_completed().has_body(CONTENT);
}

#[tokio::test]
async fn an_error_in_place_of_the_rest_is_the_apps() {
    let (app, _sidecar, client) = cold().await;
    range(&client, "bytes=0-9").await.is_miss();
    app.answer("/a", reply("broken").status(500));
    client
        .get("/a")
        .await
        .has_status(500)
        .has_body("broken")
        .is_not_stored();
    assert_eq!(app.calls("/a"), 2);
    is_slice(&range(&client, "bytes=0-9").await, 0, 9).is_hit();
}

#[tokio::test]
async fn rfc9111_3_4_parts_that_touch_or_overlap_become_one() {
    for (name, parts, inside) in [
        ("touching", ["bytes=5-9", "bytes=10-19"], Some((7, 12))),
        (
            "the later first",
            ["bytes=10-19", "bytes=5-9"],
            Some((7, 12)),
        ),
        ("overlapping", ["bytes=5-12", "bytes=10-19"], Some((5, 19))),
        ("to the end", ["bytes=5-19", "bytes=-20"], Some((6, 35))),
        ("apart", ["bytes=5-9", "bytes=11-19"], None),
    ] {
        let (app, _sidecar, client) = cold().await;
        for part in parts {
            range(&client, part).await.has_status(206);
        }
        match inside {
            Some((first, last)) => {
                let answer = range(&client, &format!("bytes={first}-{last}")).await;
                is_slice(&answer, first, last).is_hit();
            }
            None => {
                // The newer one alone is there.
                is_slice(&range(&client, "bytes=11-19").await, 11, 19).is_hit();
                is_slice(&range(&client, "bytes=5-9").await, 5, 9).is_partial();
            }
        }
        assert!(app.calls("/a") >= 2, "{name}");
    }
}

#[tokio::test]
async fn rfc9111_3_4_parts_that_are_all_become_the_whole() {
    let (app, _sidecar, client) = cold().await;
    range(&client, "bytes=20-").await.is_miss();
    range(&client, "bytes=0-21").await.is_partial();
    client
        .get("/a")
        .await
        .is_hit()
        .has_status(200)
        .has_body(CONTENT)
        .has_field("content-length", "36");
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn rfc9111_3_4_parts_of_different_responses_are_not_mixed() {
    let (app, _sidecar, client) = cold().await;
    range(&client, "bytes=0-9").await.is_miss();
    let other = CONTENT.to_uppercase();
    app.answer("/a", part_of(&other, "\"v2\"", 10, 19));
    range(&client, "bytes=10-19")
        .await
        .is_partial()
        .has_field("etag", "\"v2\"");
    let answer = range(&client, "bytes=12-13").await;
    answer.is_hit().has_body("CD").has_field("etag", "\"v2\"");
    serves_ranges(&app, "/a");
    is_slice(&range(&client, "bytes=0-9").await, 0, 9).is_partial();
    client.get("/a").await.is_completed().has_body(CONTENT);
}

#[tokio::test]
async fn rfc9111_3_3_a_part_never_takes_the_place_of_a_fresh_whole() {
    let (app, _sidecar, client) = cold().await;
    let of_part = app.hold("/a");
    let part = client.begin(get("/a").with("Range", "bytes=0-9")).await;
    let of_part = of_part.arrived().await;
    let of_whole = app.hold("/a");
    let all = client.begin(get("/a")).await;
    let of_whole = of_whole.arrived().await;
    assert_eq!(of_whole.call.field("range"), None);

    of_whole.release(whole()).await;
    all.answer().await.is_miss().has_body(CONTENT);
    of_part.release(self::part(0, 9)).await;
    is_slice(&part.answer().await, 0, 9);
    client.get("/a").await.is_hit().has_body(CONTENT);
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn a_whole_takes_the_place_of_a_part_that_was_fetched_beside_it() {
    let (app, _sidecar, client) = cold().await;
    let of_whole = app.hold("/a");
    let all = client.begin(get("/a")).await;
    let of_whole = of_whole.arrived().await;
    is_slice(&range(&client, "bytes=0-9").await, 0, 9).is_miss();
    of_whole.release(whole()).await;
    all.answer().await.is_miss().has_body(CONTENT);
    client.get("/a").await.is_hit().has_body(CONTENT);
    is_slice(&range(&client, "bytes=30-").await, 30, 35).is_hit();
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn parts_of_what_is_too_large_to_be_stored_are_stored() {
    let app = Origin::start().await;
    let limits = "limits: { max_object: 20 }";
    let sidecar = Setup::new(&app).config(limits).start().await;
    let client = sidecar.client();
    serves_ranges(&app, "/a");
    is_slice(&range(&client, "bytes=0-9").await, 0, 9).is_miss();
    is_slice(&range(&client, "bytes=3-5").await, 3, 5).is_hit();
    is_slice(&range(&client, "bytes=8-24").await, 8, 24).is_partial();
    is_slice(&range(&client, "bytes=20-24").await, 20, 24).is_hit();
    is_slice(&range(&client, "bytes=0-9").await, 0, 9).is_partial();

    let all = client.get("/a").await;
    all.has_status(200).has_body(CONTENT).is_not_stored();
    is_slice(&range(&client, "bytes=20-24").await, 20, 24).is_hit(); // the longer part
    let most = range(&client, "bytes=5-34").await;
    is_slice(&most, 5, 34).is_not_stored();
}

#[tokio::test]
async fn rfc9110_14_2_an_app_that_ignores_ranges_fills_the_store_for_them() {
    for (name, answer) in [("sized", whole()), ("of unknown length", whole().chunked())] {
        let (app, _sidecar, client) = cold().await;
        app.answer("/a", answer.clone());
        let first = range(&client, "bytes=3-5").await;
        if name == "sized" {
            is_slice(&first, 3, 5).says(
                name,
                &[("fwd", "uri-miss"), ("fwd-status", "200"), ("stored", "")],
            );
        } else {
            first.is_miss().has_status(200).has_body(CONTENT);
        }
        client.get("/a").await.is_hit().has_body(CONTENT);
        is_slice(&range(&client, "bytes=3-5").await, 3, 5).is_hit();
        assert_eq!(app.calls("/a"), 1, "{name}");
    }
}

#[tokio::test]
async fn l09_the_same_range_is_fetched_once_and_another_by_itself() {
    let (app, sidecar, client) = cold().await;
    let hold = app.hold("/a");
    let same = get("/a").with("Range", "bytes=0-9");
    let first = client.begin(same.clone()).await;
    let held = hold.arrived().await;
    let others = client.begin_many(3, &same).await;
    sidecar.settle().await;
    is_slice(&range(&client, "bytes=20-29").await, 20, 29).is_miss();
    assert_eq!(app.calls("/a"), 2);
    held.release(part(0, 9)).await;
    is_slice(&first.answer().await, 0, 9).has_status(206);
    for other in others {
        is_slice(&other.answer().await, 0, 9).is_shared();
    }
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn a_range_passes_on_its_if_range_and_the_app_decides() {
    let (app, _sidecar, client) = cold().await;
    let stale = get("/a")
        .with("Range", "bytes=0-9")
        .with("If-Range", "\"v0\"");
    client
        .ask(stale)
        .await
        .is_miss()
        .has_status(200)
        .has_body(CONTENT);
    assert_eq!(app.last("/a").field("if-range").as_deref(), Some("\"v0\""));
    client.get("/a").await.is_hit();
}

#[tokio::test]
async fn rfc9110_15_5_17_an_unsatisfiable_range_of_a_cold_url_is_the_apps_to_refuse() {
    let (app, _sidecar, client) = cold().await;
    for _ in 0..2 {
        let answer = range(&client, "bytes=99-").await;
        answer
            .has_status(416)
            .has_field("content-range", "bytes */36")
            .is_not_stored();
    }
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn l01_an_increment_makes_a_stored_part_useless() {
    let (app, sidecar, client) = cold().await;
    app.answer("/a", part(0, 9).header("Cache-Tag", "A"));
    range(&client, "bytes=0-9").await.is_miss();
    range(&client, "bytes=0-9").await.is_hit();
    sidecar.inc("A").await;
    let other = CONTENT.to_uppercase();
    app.answer("/a", part_of(&other, TAG, 0, 9).header("Cache-Tag", "A"));
    range(&client, "bytes=3-5").await.is_invalidated();
    sidecar.inc("A").await;
    app.answer(
        "/a",
        fields(reply(other.clone()), TAG).header("Cache-Tag", "A"),
    );
    client.get("/a").await.is_invalidated().has_body(&other);
    assert_eq!(
        app.last("/a").field("range"),
        None,
        "nothing to be completed"
    );
}

#[tokio::test]
async fn l01_a_part_fetched_before_an_increment_is_not_stored() {
    let (app, sidecar, client) = cold().await;
    let hold = app.hold("/a");
    let first = client.begin(get("/a").with("Range", "bytes=0-9")).await;
    let held = hold.arrived().await;
    sidecar.inc("A").await;
    held.release(part(0, 9).header("Cache-Tag", "A")).await;
    first.answer().await.is_unstored("raced").has_status(206);
    range(&client, "bytes=0-9").await.is_miss();
}

#[tokio::test]
async fn l01_a_rest_fetched_before_an_increment_is_not_joined() {
    let (app, sidecar, client) = cold().await;
    app.answer("/a", part(0, 9).header("Cache-Tag", "A"));
    range(&client, "bytes=0-9").await.is_miss();
    for rest in [part(10, 35), part(10, 35).header("Cache-Tag", "B")] {
        let hold = app.hold("/a");
        let first = client.begin(get("/a")).await;
        let held = hold.arrived().await;
        sidecar.inc("A").await;
        held.release(rest).await;
        first.answer().await.is_not_stored();
        range(&client, "bytes=0-9").await.is_invalidated();
    }
}

#[tokio::test]
async fn l01_what_is_joined_depends_on_the_tags_of_both() {
    for (name, rest) in [
        ("the same tag", part(10, 35).header("Cache-Tag", "A, B")),
        ("another tag", part(10, 35).header("Cache-Tag", "B")),
        ("no tag", part(10, 35)),
    ] {
        for (way, request) in [
            ("a rest", get("/a")),
            ("two parts", get("/a").with("Range", "bytes=10-")),
        ] {
            let (app, sidecar, client) = cold().await;
            app.answer("/a", part(0, 9).header("Cache-Tag", "A"));
            range(&client, "bytes=0-9").await.is_miss();
            app.answer("/a", rest.clone());
            client.ask(request).await;
            client.get("/a").await.is_hit().has_body(CONTENT);
            sidecar.inc("A").await;
            app.answer("/a", whole());
            let answer = client.get("/a").await;
            let said = answer.cache_status().unwrap();
            assert_eq!(
                said.get("detail").map(String::as_str),
                Some("invalidated"),
                "{name}, {way}:\n{answer}"
            );
        }
    }
}

#[tokio::test]
async fn rfc9110_14_2_several_ranges_of_a_cold_url_pass() {
    let (app, _sidecar, client) = cold().await;
    let several = fields(reply("whatever"), TAG)
        .status(206)
        .header("Content-Type", "multipart/byteranges; boundary=x");
    app.answer("/a", several);
    for _ in 0..2 {
        let answer = range(&client, "bytes=0-1,5-6").await;
        answer
            .is_bypass(Some("range"))
            .has_status(206)
            .has_body("whatever");
    }
    assert_eq!(
        app.last("/a").field("range").as_deref(),
        Some("bytes=0-1,5-6")
    );
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn rfc9111_3_3_what_is_no_proper_part_is_not_stored() {
    let wrong = |place: &str| {
        fields(reply("0123456789"), TAG)
            .status(206)
            .header("Content-Range", place)
    };
    for (name, asked, answer) in [
        ("not asked for", None, part(0, 9)),
        ("cut short", Some("bytes=0-9"), part(0, 9).cut()),
        (
            "more than it says",
            Some("bytes=0-9"),
            wrong("bytes 0-8/36"),
        ),
        (
            "less than it says, and no length",
            Some("bytes=0-9"),
            fields(reply("01234"), TAG)
                .status(206)
                .header("Content-Range", "bytes 0-9/36")
                .chunked(),
        ),
        (
            "no place",
            Some("bytes=0-9"),
            fields(reply("0123456789"), TAG).status(206),
        ),
        (
            "two places",
            Some("bytes=0-9"),
            wrong("bytes 0-9/36").header("Content-Range", "bytes 0-9/36"),
        ),
        ("another unit", Some("bytes=0-9"), wrong("lines 0-9/36")),
        ("backwards", Some("bytes=0-9"), wrong("bytes 9-0/36")),
        ("beyond its end", Some("bytes=0-9"), wrong("bytes 0-9/9")),
        (
            "several",
            Some("bytes=0-9"),
            part(0, 9).header("Content-Type", "multipart/byteranges; boundary=x"),
        ),
        (
            "no-store",
            Some("bytes=0-9"),
            part(0, 9).header("Cache-Control", "no-store"),
        ),
        (
            "private",
            Some("bytes=0-9"),
            part(0, 9).header("Cache-Control", "private"),
        ),
        (
            "set-cookie",
            Some("bytes=0-9"),
            part(0, 9).header("Set-Cookie", "a=1"),
        ),
    ] {
        let (app, _sidecar, client) = cold().await;
        app.answer("/a", answer);
        let request = match asked {
            Some(asked) => get("/a").with("Range", asked),
            None => get("/a"),
        };
        let first = client.ask(request.clone()).await;
        assert_eq!(first.status, 206, "{name}:\n{first}");
        let second = client.ask(request).await;
        let said = second.cache_status().unwrap();
        assert!(!said.contains_key("hit"), "{name}:\n{second}");
        assert_eq!(app.calls("/a"), 2, "{name}");
        serves_ranges(&app, "/a");
        client.get("/a").await.is_miss().has_body(CONTENT);
        assert_eq!(app.last("/a").field("range"), None, "{name}");
    }
}

#[tokio::test]
async fn rfc9111_3_3_less_than_a_part_says_is_all_it_answers_for() {
    let (app, _sidecar, client) = cold().await;
    let short = fields(reply("0123"), TAG)
        .status(206)
        .header("Content-Range", "bytes 0-9/36");
    app.answer("/a", short);
    range(&client, "bytes=0-9")
        .await
        .has_status(206)
        .has_body("0123");
    serves_ranges(&app, "/a");
    range(&client, "bytes=1-2")
        .await
        .is_hit()
        .has_status(206)
        .has_body("12");
    is_slice(&range(&client, "bytes=0-9").await, 0, 9).is_partial();
    client.get("/a").await.is_completed().has_body(CONTENT);
}

#[tokio::test]
async fn rfc9111_4_3_a_range_of_an_expired_whole_asks_whether_it_is_still_right() {
    let (app, sidecar, client) = with_a_whole(whole()).await;
    sidecar.clock.advance(Duration::from_secs(61));
    app.answer(
        "/a",
        reply("")
            .status(304)
            .header("ETag", TAG)
            .header("Cache-Control", "max-age=60"),
    );
    let answer = range(&client, "bytes=3-5").await;
    is_slice(&answer, 3, 5).is_revalidated();
    let asked = app.last("/a");
    assert_eq!(asked.field("range"), None);
    assert_eq!(asked.field("if-none-match").as_deref(), Some(TAG));
    assert_eq!(range(&client, "bytes=0-1").await.is_hit().ttl(), 60);
    client.get("/a").await.is_hit().has_body(CONTENT);
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn rfc9110_14_2_a_range_of_what_is_still_arriving() {
    let (app, sidecar, client) = with_a_whole(whole()).await;
    sidecar.clock.advance(Duration::from_secs(61));
    let hold = app.hold("/a");
    let ranged = client.begin(get("/a").with("Range", "bytes=3-5")).await;
    let held = hold.arrived().await;
    let other = CONTENT.to_uppercase();
    let head = fields(reply(&other[..10]), "\"v2\"").header("Content-Length", "36");
    let mut body = held.begin(head).await;
    let all = client.begin(get("/a")).await.head().await;
    let answer = ranged.answer().await;
    answer
        .has_status(206)
        .has_field("content-range", "bytes 3-5/36")
        .has_field("content-length", "3")
        .has_body(&other[3..=5]);
    let last = client.begin(get("/a").with("Range", "bytes=-4")).await;
    body.send(&other.as_bytes()[10..]).await;
    body.end().await;
    all.rest().await.has_body(&other);
    last.answer().await.has_status(206).has_body(&other[32..]);
    client.get("/a").await.is_hit().has_body(&other);
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn a_range_of_an_expired_part_is_fetched_and_joined_with_what_is_there() {
    let (app, sidecar, client) = cold().await;
    range(&client, "bytes=0-9").await.is_miss();
    sidecar.clock.advance(Duration::from_secs(61));
    is_slice(&range(&client, "bytes=0-4").await, 0, 4).is_expired();
    assert_eq!(app.last("/a").field("range").as_deref(), Some("bytes=0-4"));
    assert_eq!(range(&client, "bytes=5-9").await.is_hit().ttl(), 60); // RFC 9111 §3.4: the same tag, so the same bytes
    sidecar.clock.advance(Duration::from_secs(61));
    client.get("/a").await.is_expired().has_body(CONTENT);
    assert_eq!(app.last("/a").field("range"), None);
}

#[tokio::test]
async fn l12_a_part_is_as_private_as_a_whole() {
    let (app, _sidecar, client) = cold().await;
    let with_cookie = get("/a").with("Range", "bytes=0-9").with("Cookie", "sid=1");
    client
        .ask(with_cookie.clone())
        .await
        .is_unstored("cookie")
        .has_status(206);
    range(&client, "bytes=0-9").await.is_miss();
    client
        .ask(with_cookie)
        .await
        .is_bypass(Some("cookie"))
        .has_status(206);
    assert_eq!(app.last("/a").field("range").as_deref(), Some("bytes=0-9"));
}

#[tokio::test]
async fn l12_what_is_joined_is_as_private_as_either() {
    let private = |first, last| part(first, last);
    let public = |first, last| part(first, last).header("Cache-Control", "public");
    for (name, first, second, shared) in [
        ("both for all", public(0, 9), public(10, 19), true),
        ("the old one for some", private(0, 9), public(10, 19), false),
        ("the new one for some", public(0, 9), private(10, 19), false),
    ] {
        let (app, _sidecar, client) = cold().await;
        app.answer("/a", first);
        range(&client, "bytes=0-9").await.is_miss();
        app.answer("/a", second);
        range(&client, "bytes=10-19").await.is_partial();
        serves_ranges(&app, "/a");
        let with_cookie = get("/a").with("Cookie", "sid=1");
        let answer = client.ask(with_cookie.with("Range", "bytes=5-12")).await;
        assert_eq!(is_slice(&answer, 5, 12).hits(), shared, "{name}:\n{answer}");
    }
}

#[tokio::test]
async fn rfc9111_3_4_what_is_joined_lives_no_longer_than_either() {
    let living = |first: usize, last: usize, seconds: u64| {
        let answer = reply(&CONTENT[first..=last]).status(206).etag(TAG);
        answer
            .header("Content-Range", format!("bytes {first}-{last}/36"))
            .control(&format!("max-age={seconds}"))
    };
    for (old, new) in [(60, 600), (600, 60)] {
        let (app, _sidecar, client) = cold().await;
        app.answer("/a", living(0, 9, old));
        range(&client, "bytes=0-9").await.is_miss();
        app.answer("/a", living(10, 19, new));
        range(&client, "bytes=10-19").await.is_partial();
        let answer = range(&client, "bytes=5-12").await;
        assert_eq!(answer.is_hit().ttl(), 60, "{old} and {new}");
    }
}

#[tokio::test]
async fn rfc9213_2_what_a_part_says_to_this_cache_holds_for_what_it_is_joined_to() {
    let (app, _sidecar, client) = cold().await;
    app.answer(
        "/a",
        part(0, 9).header("Tagalong-Cache-Control", "max-age=600"),
    );
    range(&client, "bytes=0-9").await.is_miss();
    serves_ranges(&app, "/a");
    range(&client, "bytes=10-19").await.is_partial();
    client.get("/a").await.is_completed().has_body(CONTENT);
    assert_eq!(client.get("/a").await.is_hit().ttl(), 600);
}

#[tokio::test]
async fn rfc9111_4_3_5_a_head_does_not_make_a_part_the_whole() {
    let (app, _sidecar, client) = cold().await;
    range(&client, "bytes=0-9").await.is_miss();
    app.answer("/a", whole());
    client.head("/a").await.has_status(200);
    serves_ranges(&app, "/a");
    client.get("/a").await.is_completed().has_body(CONTENT);
}

#[tokio::test]
async fn rfc9111_4_1_parts_of_two_variants_stay_apart() {
    let (app, _sidecar, client) = cold().await;
    app.on("/a", |call| {
        let upper = call.field("x-case").as_deref() == Some("upper");
        let content = if upper {
            CONTENT.to_uppercase()
        } else {
            CONTENT.to_owned()
        };
        let (first, last) = if call.field("range").as_deref() == Some("bytes=20-29") {
            (20, 29)
        } else {
            (10, 19)
        };
        part_of(&content, TAG, first, last).header("Vary", "X-Case")
    });
    let ask = |range: &str, case: &str| get("/a").with("Range", range).with("X-Case", case);
    client.ask(ask("bytes=10-19", "lower")).await.is_miss();
    client.ask(ask("bytes=20-29", "upper")).await.is_vary_miss();
    client.ask(ask("bytes=10-19", "upper")).await.is_partial();
    client
        .ask(ask("bytes=10-29", "upper"))
        .await
        .is_hit()
        .has_body(CONTENT[10..=29].to_uppercase());
    is_slice(&client.ask(ask("bytes=12-13", "lower")).await, 12, 13).is_hit();
    assert_eq!(app.calls("/a"), 3);
}

#[tokio::test]
async fn rfc9111_3_3_a_part_that_the_app_was_not_asked_for_is_not_stored() {
    let swr = reply(CONTENT)
        .header("Cache-Control", "max-age=60, stale-while-revalidate=60")
        .header("ETag", TAG);
    for (name, stored, seconds) in [("validated", whole(), 61), ("behind", swr, 61)] {
        let (app, sidecar, client) = with_a_whole(stored).await;
        sidecar.clock.advance(Duration::from_secs(seconds));
        app.answer("/a", part_of(&CONTENT.to_uppercase(), "\"v2\"", 0, 9));
        range(&client, "bytes=0-9").await.has_status(206);
        sidecar.settle().await;
        let second = range(&client, "bytes=3-4").await;
        let said = second.cache_status().unwrap();
        let fresh = said.get("ttl").is_some_and(|ttl| !ttl.starts_with('-'));
        assert!(!fresh, "{name}:\n{second}");
    }
}

#[tokio::test]
async fn rfc9111_3_3_a_part_of_unknown_length_answers_what_lies_inside() {
    let (app, _sidecar, client) = cold().await;
    let unknown = fields(reply("0123456789"), TAG).status(206);
    app.answer("/a", unknown.header("Content-Range", "bytes 0-9/*"));
    range(&client, "bytes=0-9").await.is_miss();
    let inside = range(&client, "bytes=2-3").await;
    inside.is_hit().has_status(206).has_body("23");
    inside.has_field("content-range", "bytes 2-3/*");
    serves_ranges(&app, "/a");
    client.get("/a").await.is_partial().has_body(CONTENT);
    assert_eq!(app.last("/a").field("range"), None);
}

#[tokio::test]
async fn rfc9530_2_a_digest_of_the_content_is_of_that_message_alone() {
    let digested = |answer: Reply| {
        answer
            .header("Content-Digest", "sha-256=:d2hvbGU=:")
            .header("Content-MD5", "d2hvbGU=")
            .header("Repr-Digest", "sha-256=:cmVwcg==:")
    };
    let of_whole = |answer: &Answer| {
        answer.has_field("repr-digest", "sha-256=:cmVwcg==:");
        answer.field("content-digest").is_some() || answer.field("content-md5").is_some()
    };
    let (app, sidecar, client) = with_a_whole(digested(whole())).await;
    assert!(of_whole(&client.get("/a").await));
    assert!(!of_whole(&range(&client, "bytes=1-2").await));
    assert!(!of_whole(&range(&client, "bytes=1-2,5-6").await));
    sidecar.clock.advance(Duration::from_secs(61));
    let while_fetched = range(&client, "bytes=1-2").await;
    assert!(!of_whole(while_fetched.has_status(206)));

    app.answer("/b", digested(part(0, 9)));
    let ask = async |range: &str| client.get_with("/b", "Range", range).await;
    assert!(of_whole(&ask("bytes=0-9").await), "as it came");
    assert!(!of_whole(&ask("bytes=1-2").await));
    app.answer("/b", digested(part(10, 35)));
    assert!(!of_whole(client.get("/b").await.is_completed()));
    assert!(!of_whole(client.get("/b").await.is_hit()));
}

#[tokio::test]
async fn what_a_range_alone_brings_about_is_nobody_elses() {
    for status in [400, 404, 412, 416] {
        let (app, _sidecar, client) = cold().await;
        let refused = move || {
            reply("no")
                .status(status)
                .header("Cache-Control", "max-age=60")
        };
        app.on("/a", move |call| match call.field("range") {
            Some(_) => refused(),
            None => fields(reply(CONTENT), TAG),
        });
        let answer = range(&client, "bytes=5000-").await;
        answer.is_unstored("partial").has_status(status);
        client.get("/a").await.is_miss().has_body(CONTENT);
        range(&client, "bytes=5000-").await.is_hit().has_status(416);
    }
}

#[tokio::test]
async fn what_a_refused_range_brings_leaves_a_stored_part_as_it_is() {
    let (app, _sidecar, client) = cold().await;
    range(&client, "bytes=0-9").await.is_miss();
    for status in [400, 412, 416] {
        app.on("/a", move |call| match call.field("range") {
            Some(_) => reply("no")
                .status(status)
                .header("Cache-Control", "max-age=60"),
            None => fields(reply(CONTENT), TAG),
        });
        range(&client, "bytes=20-30").await.has_status(status);
        is_slice(&range(&client, "bytes=2-5").await, 2, 5).is_hit();
    }
    // Asked for its rest and refused, the app is asked for the whole.
    client.get("/a").await.is_partial().has_body(CONTENT);
    client.get("/a").await.is_hit().has_body(CONTENT);
}

#[tokio::test]
async fn of_two_parts_that_do_not_touch_the_longer_one_stays() {
    let (app, _sidecar, client) = cold().await;
    range(&client, "bytes=0-9").await.is_miss();
    app.answer("/a", part(20, 20));
    range(&client, "bytes=20-20").await.has_status(206);
    is_slice(&range(&client, "bytes=0-9").await, 0, 9).is_hit();
    app.answer("/a", part(20, 35));
    range(&client, "bytes=20-35").await.has_status(206);
    is_slice(&range(&client, "bytes=20-35").await, 20, 35).is_hit();
}

#[tokio::test]
async fn a_completed_whole_is_as_old_as_its_rest() {
    let (app, _sidecar, client) = cold().await;
    app.answer("/a", part(0, 9).header("Age", "50"));
    range(&client, "bytes=0-9").await.is_miss();
    app.answer("/a", part(10, 35));
    let whole = client.get("/a").await;
    whole.is_completed().has_no_field("age").has_body(CONTENT);
    client.get("/a").await.is_hit().has_field("age", "0");
}
