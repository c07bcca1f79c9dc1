//! HTTP Cache Groups (RFC 9875): a test for what each section asks of a cache, named by the section.

use crate::support::Origin;
use crate::support::Reply;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::ask;
use crate::support::get;
use crate::support::post;
use crate::support::reply;

/// Storable, with these lines of `Cache-Groups`.
fn grouped(lines: &[&str]) -> Reply {
    let storable = reply("x").header("Cache-Control", "max-age=60");
    lines
        .iter()
        .fold(storable, |reply, line| reply.header("Cache-Groups", *line))
}

/// An answer with these lines of `Cache-Group-Invalidation`.
fn invalidating(lines: &[&str]) -> Reply {
    lines.iter().fold(reply("done"), |reply, line| {
        reply.header("Cache-Group-Invalidation", *line)
    })
}

/// As many names, each of so many characters, as a list; the last one alone as well.
fn many(count: usize, length: usize) -> (String, String) {
    let name = |n: usize| format!("\"{n:0length$}\"");
    let all: Vec<String> = (0..count).map(name).collect();
    (all.join(", "), name(count - 1))
}

#[tokio::test]
async fn s2_and_s3_who_is_hit_by_which_lists() {
    let (names, last) = many(32, 32);
    let (names, last) = (names.as_str(), last.as_str());
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    for (n, (row, groups, invalidation, hit)) in [
        ("s2 a string", &[r#""a""#][..], &[r#""a""#][..], true),
        ("s2 another string", &[r#""a""#], &[r#""b""#], false),
        (
            "s2 a list, its order means nothing",
            &[r#""a", "b", "c""#],
            &[r#""c""#],
            true,
        ),
        (
            "s2 several lines are one list",
            &[r#""a""#, r#""b""#],
            &[r#""b""#],
            true,
        ),
        (
            "s2 parameters are ignored",
            &[r#""a";x=1;y"#],
            &[r#""a""#],
            true,
        ),
        (
            "s2 at least 32 groups of 32 characters, the last of them",
            &[names],
            &[last],
            true,
        ),
        (
            "s2 opaque: white space counts",
            &[r#""a b""#],
            &[r#""ab""#],
            false,
        ),
        (
            "s2 opaque: white space is allowed",
            &[r#""a b,c""#],
            &[r#""a b,c""#],
            true,
        ),
        (
            "s2 opaque: nothing is decoded",
            &[r#""a%20b""#],
            &[r#""a b""#],
            false,
        ),
        (
            "s2 opaque: quotes and backslashes",
            &[r#""a\"b\\""#],
            &[r#""a\"b\\""#],
            true,
        ),
        (
            "s2 the empty string is a name too",
            &[r#""""#],
            &[r#""""#],
            true,
        ),
        ("s2.1 compared with case", &[r#""a""#], &[r#""A""#], false),
        ("s2.1 compared whole", &[r#""ab""#], &[r#""a""#], false),
        (
            "s3 a list, its order means nothing",
            &[r#""c""#],
            &[r#""a", "b", "c""#],
            true,
        ),
        (
            "s3 several lines are one list",
            &[r#""b""#],
            &[r#""a""#, r#""b""#],
            true,
        ),
        (
            "s3 parameters are ignored",
            &[r#""a""#],
            &[r#""a";soft;x="y""#],
            true,
        ),
        (
            "s3 at least 32 groups of 32 characters, the last of them",
            &[last],
            &[names],
            true,
        ),
        (
            "s3 a group that nobody is in",
            &[r#""a""#],
            &[r#""x""#],
            false,
        ),
        ("s3 a token is no string", &[r#""a""#], &["a"], false),
        (
            "s3 one member that is no string",
            &[r#""a""#],
            &[r#""a", b"#],
            false,
        ),
        ("s3 an inner list", &[r#""a""#], &[r#"("a")"#], false),
        ("s3 a quote too few", &[r#""a""#], &[r#""a", "b"#], false),
        ("s3 a comma too many", &[r#""a""#], &[r#""a","#], false),
        (
            "s3 one malformed line spoils the others (RFC 9651 4.2)",
            &[r#""a""#],
            &[r#""a""#, "?"],
            false,
        ),
        ("s3 empty", &[r#""a""#], &[""], false),
    ]
    .into_iter()
    .enumerate()
    {
        // A resource and an origin for each row: rows do not meet.
        let host = format!("row{n}.example");
        let path = format!("/{n}");
        app.answer(&path, grouped(groups));
        app.answer("/touch", invalidating(invalidation));

        let page = get(&path).with("Host", &host);
        client.ask(page.clone()).await.is_miss();
        let touched = client.ask(post("/touch").with("Host", &host)).await;
        touched
            .is_method()
            .has_body("done")
            .has_no_field("cache-group-invalidation");
        let after = client.ask(page).await;
        after.has_no_field("cache-groups");
        let was_hit = after
            .cache_status()
            .is_some_and(|said| !said.contains_key("hit"));
        assert_eq!(was_hit, hit, "{row}:\n{after}");
    }
}

#[tokio::test]
async fn s2_a_malformed_list_groups_nothing_and_is_not_stored() {
    // Ignoring the field (RFC 9651 §4.2) and storing would keep alive what the app meant to invalidate.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    for (row, lines) in [
        ("a token", &["a"][..]),
        ("a number among strings", &[r#""a", 1"#]),
        ("an inner list", &[r#"("a" "b")"#]),
        ("a quote too few", &[r#""a"#]),
        ("not ASCII", &[r#""é""#]),
        ("one line of two", &[r#""a""#, "("]),
    ] {
        app.answer("/a", grouped(lines));
        let answer = client.get("/a").await;
        let said = answer.cache_status().unwrap();
        assert_eq!(
            said.get("detail").map(String::as_str),
            Some("bad-tag"),
            "{row}:\n{answer}"
        );
        answer.has_body("x").is_not_stored();
        sidecar.forget_hit_for_miss();
    }
}

#[tokio::test]
async fn s2_1_groups_belong_to_the_origin_of_their_request() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    for (n, (row, writer, group, same)) in [
        (
            "the same",
            [("Host", "a.example")].as_slice(),
            r#""g""#,
            true,
        ),
        (
            "a host is compared without case",
            &[("Host", "A.Example")],
            r#""g""#,
            true,
        ),
        (
            "the default port is no other origin",
            &[("Host", "a.example:80")],
            r#""g""#,
            true,
        ),
        ("another host", &[("Host", "b.example")], r#""g""#, false),
        ("a host above it", &[("Host", "example")], r#""g""#, false),
        (
            "a host below it",
            &[("Host", "x.a.example")],
            r#""g""#,
            false,
        ),
        (
            "another port",
            &[("Host", "a.example:8080")],
            r#""g""#,
            false,
        ),
        (
            "another scheme",
            &[("Host", "a.example"), ("X-Forwarded-Proto", "https")],
            r#""g""#,
            false,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{n}");
        app.answer(&path, grouped(&[group]));
        app.answer("/touch", invalidating(&[group]));
        let page = get(&path).with("Host", "a.example");

        client.ask(page.clone()).await.is_miss();
        let touch = writer
            .iter()
            .fold(post("/touch"), |ask, (name, value)| ask.with(name, value));
        client.ask(touch).await.is_method();
        let after = client.ask(page).await;
        let was_hit = after
            .cache_status()
            .is_some_and(|said| !said.contains_key("hit"));
        assert_eq!(was_hit, same, "{row}:\n{after}");
    }
}

#[tokio::test]
async fn s2_1_no_name_of_a_group_reaches_into_another_port() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/a", grouped(&[r#""g""#]));
    app.answer("/touch", invalidating(&[r#""8080:g", ":8080:g""#]));
    let page = get("/a").with("Host", "a.example:8080");

    client.ask(page.clone()).await.is_miss();
    client
        .ask(post("/touch").with("Host", "a.example"))
        .await
        .is_method();
    client.ask(page).await.is_hit();
}

#[tokio::test]
async fn s2_1_a_group_is_no_tag_of_that_name_unless_the_configuration_says_so() {
    let app = Origin::start().await;
    app.answer("/a", grouped(&[r#""User:42""#]));
    for (config, same) in [("", false), ("headers: { groups: shared }", true)] {
        let sidecar = Setup::new(&app).config(config).start().await;
        let client = sidecar.client();
        client.get("/a").await.is_miss();
        sidecar.inc("User:42").await;
        let after = client.get("/a").await;
        if same {
            after.is_invalidated();
        } else {
            after.is_hit();
        }
    }
}

#[tokio::test]
async fn s2_2_1_a_grouped_invalidation_does_not_cascade() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/a", grouped(&[r#""a""#]));
    app.answer("/ab", grouped(&[r#""a", "b""#]));
    app.answer("/b", grouped(&[r#""b""#]));
    app.answer("/touch", invalidating(&[r#""a""#]));
    for path in ["/a", "/ab", "/b"] {
        client.get(path).await.is_miss();
    }

    client.post("/touch").await.is_method();
    client.get("/b").await.is_hit();
    client.get("/ab").await.is_invalidated();
    client.get("/a").await.is_invalidated();
    client.get("/b").await.is_hit();
}

#[tokio::test]
async fn s2_2_1_a_response_that_is_invalidated_alone_leaves_its_group() {
    // The RFC lets a cache take the group along; here an invalidation hits what it names.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.otherwise(|_| grouped(&[r#""g""#]));
    client.get("/a").await.is_miss();
    client.get("/b").await.is_miss();

    client.post("/a").await.is_method();
    client.get("/b").await.is_hit();
    client.get("/a").await.is_invalidated();
}

#[tokio::test]
async fn s3_ignored_on_safe_methods_and_on_these_alone() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/a", grouped(&[r#""g""#]));
    client.get("/a").await.is_miss();
    app.answer("/touch", invalidating(&[r#""g""#]));

    for method in [
        "GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT", "SEARCH", "QUERY",
    ] {
        let answer = client.ask(ask(method, "/touch")).await;
        answer
            .has_status(200)
            .has_no_field("cache-group-invalidation");
        let after = client.get("/a").await;
        assert!(
            after.cache_status().unwrap().contains_key("hit"),
            "{method}:\n{after}"
        );
    }
    for method in [
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
        "PROPPATCH",
        "PURGE",
        "get",
    ] {
        client
            .ask(ask(method, "/touch").body("x"))
            .await
            .has_status(200);
        let after = client.get("/a").await;
        assert!(
            !after.cache_status().unwrap().contains_key("hit"),
            "{method}:\n{after}"
        );
    }
}

#[tokio::test]
async fn s3_counts_whatever_the_status() {
    // Section 3 names methods only; unlike RFC 9111 §4.4, an app that says so even with an error means it.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/a", grouped(&[r#""g""#]));
    client.get("/a").await.is_miss();
    for status in [200, 204, 303, 404, 409, 500, 503] {
        app.answer("/touch", invalidating(&[r#""g""#]).status(status));
        client.post("/touch").await.has_status(status);
        client.get("/a").await.is_invalidated();
    }
}

#[tokio::test]
async fn s3_all_listed_groups_are_invalidated() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    let paths: Vec<String> = (0..32).map(|n| format!("/{n:032}")).collect();
    for path in &paths {
        app.answer(path, grouped(&[&format!("\"{}\"", &path[1..])]));
        client.get(path).await.is_miss();
    }
    app.answer("/touch", invalidating(&[&many(32, 32).0]));

    client.post("/touch").await.is_method();
    for path in &paths {
        client.get(path).await.is_invalidated();
    }
}

#[tokio::test]
async fn s4_clients_can_neither_group_nor_invalidate() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/a", grouped(&[r#""g""#]));
    app.answer("/touch", reply(""));
    client.get("/a").await.is_miss();

    let forged = post("/touch").with("Cache-Group-Invalidation", r#""g""#);
    client
        .ask(forged.with("Cache-Groups", r#""g""#))
        .await
        .is_method();
    let seen = app.last("/touch");
    assert_eq!(seen.field("cache-group-invalidation"), None);
    assert_eq!(seen.field("cache-groups"), None);
    client.get("/a").await.is_hit();
}
