//! What a rule says once the app has answered: increments, changes and tags made of the response.

use super::*;
use crate::model::outcome::NoStore;

#[test]
fn increments_are_made_of_the_response_and_skipped_where_it_lacks_a_value() {
    let rules = rules(&[
        r"{ id: w, match: { methods: [POST], path: '/(?P<kind>\w+)' }, increments: [{ tags: ['{kind}:{resp.json:/id}', 'L:{resp.header.X-List}', 'S:{resp.status}'] }] }",
    ]);
    let post = head("POST", "/users", &[]);
    let matched = rules.plan(&post, NOW).matched(&post);
    let list = [("x-list", "a,b"), ("x-list", "c")];
    for (name, fields, body, found, skipped) in [
        (
            "all",
            &list[..],
            Some(r#"{"id": 7}"#),
            &["L:a%2Cb", "S:201", "users:7"][..],
            0,
        ),
        (
            "no header",
            &[],
            Some(r#"{"id": "x y"}"#),
            &["S:201", "users:x%20y"],
            1,
        ),
        ("no id", &[], Some("{}"), &["S:201"], 2),
        ("null", &[], Some(r#"{"id": null}"#), &["S:201"], 2),
        ("no body that can be read", &[], None, &["S:201"], 2),
        (
            "reserved",
            &[("x-list", "")],
            Some(r#"{"id": 7}"#),
            &["L:", "S:201", "users:7"],
            0,
        ),
    ] {
        let (increments, missing) = after(&matched, &post, &answer(201, fields), body);
        assert_eq!(increments, found, "{name}");
        assert_eq!(missing.len(), skipped, "{name}: {missing:?}");
    }
    let (_, missing) = after(&matched, &post, &answer(201, &[]), Some("{}"));
    assert_eq!(
        missing[1],
        "`{resp.json:/id}` of `{kind}:{resp.json:/id}` has no value in this response"
    );
    assert!(
        matched
            .wanted_to_change(&post, &answer(500, &[]))
            .is_empty(),
        "nothing applies: nothing is read"
    );
}

#[test]
fn increments_apply_only_when_their_rule_says_so() {
    let rules = rules(&[
        "{ id: w, match: { methods: [POST] }, increments: [{ tags: [A], when: { response_header: X-Changed } }, { tags: [B], when: { query: b, equals: '1' } }, { tags: [C], when: {} }] }",
    ]);
    for (target, fields, expected) in [
        ("/", &[][..], &["C"][..]),
        ("/?b=1", &[], &["B", "C"]),
        ("/?b=2", &[("x-changed", "")], &["A", "C"]),
    ] {
        let post = head("POST", target, &[]);
        let matched = rules.plan(&post, NOW).matched(&post);
        let found = after(&matched, &post, &answer(200, fields), None).0;
        assert_eq!(found, expected, "{target}");
    }
}

#[test]
fn changes_are_made_of_both_and_are_of_the_whole_rule_where_they_are_unclear() {
    let rules = rules(&[
        "{ id: foos, match: { path: /foos }, dimensions: { attrs: { a: '{query.a}', b: '{query.b}' } } }",
        "{ id: w, match: { path: /w, methods: [POST] }, changes: [{ rule: foos, old: { a: '{resp.header.X-Old}', b: '{query.b}' }, new: { a: '{resp.json:/a}' }, on_status: ['2xx'] }] }",
        "{ id: all, match: { path: /all, methods: [POST] }, changes: [{ rule: foos, when: { response_header: X-All } }] }",
    ]);
    let changes = |target: &str, status, fields: &[(&str, &str)], body: Option<&str>| {
        let post = head("POST", target, &[]);
        let matched = rules.plan(&post, NOW).matched(&post);
        let parts = answer(status, fields);
        let wanted = matched.wanted_to_change(&post, &parts);
        let body = body.map(|text| Picked::read(wanted, text.as_bytes()).unwrap());
        let read = body.as_ref().map_or(Content::Unreadable, Content::Picked);
        let (mut changes, mut misfits) = (Vec::new(), Vec::new());
        for body in [Content::Ahead, read] {
            let answer = Answer {
                parts: &parts,
                body,
            };
            let (more, unclear) = matched.changes_after(&post, &answer);
            changes.extend(more);
            misfits.extend(unclear);
        }
        let shown = changes.iter().map(|change| {
            let attributes = change.attributes.iter();
            let attributes = attributes.map(|it| format!("{} {:?} {:?}", it.name, it.old, it.new));
            format!(
                "{}: {}",
                change.rule,
                attributes.collect::<Vec<_>>().join(", ")
            )
        });
        (shown.collect::<Vec<_>>().join("; "), misfits.len())
    };
    let old = [("x-old", "1")];
    for (name, got, expected) in [
        (
            "both",
            changes("/w?b=x", 200, &old, Some(r#"{"a": 2}"#)),
            (r#"foos: a Some("1") Some("2"), b Some("x") None"#, 0),
        ),
        (
            "absent",
            changes("/w", 200, &[], Some(r#"{"a": null}"#)),
            ("foos: a None None, b None None", 0),
        ),
        (
            "missing",
            changes("/w", 200, &old, Some("{}")),
            (r#"foos: a Some("1") None, b None None"#, 0),
        ),
        (
            "no text",
            changes("/w", 200, &old, Some(r#"{"a": [1]}"#)),
            ("foos: ", 1),
        ),
        (
            "given twice",
            changes("/w", 200, &old, Some(r#"{"a": 1, "a": 2}"#)),
            ("foos: ", 1),
        ),
        ("not read", changes("/w", 200, &old, None), ("foos: ", 1)),
        (
            "two lines",
            changes(
                "/w",
                200,
                &[("x-old", "1"), ("x-old", "2")],
                Some(r#"{"a": 2}"#),
            ),
            ("foos: ", 1),
        ),
        (
            "two parameters",
            changes("/w?b=1&b=2", 200, &old, Some(r#"{"a": 2}"#)),
            ("foos: ", 1),
        ),
        ("another status", changes("/w", 302, &old, None), ("", 0)),
        (
            "all",
            changes("/all", 302, &[("x-all", "")], None),
            ("foos: ", 0),
        ),
        ("all, without", changes("/all", 302, &[], None), ("", 0)),
    ] {
        assert_eq!((got.0.as_str(), got.1), expected, "{name}");
    }
}

#[test]
fn i10_tags_of_the_body_are_all_there_or_the_response_is_not_stored() {
    let rules = rules(&[
        "{ id: list, match: { path: /list }, tags_from_body: [{ json: '/items/*/id', tag: 'Item:{query.k}:{value}', max: 3 }, { json: /owner, tag: 'User:{value}' }] }",
    ]);
    let tags = |target: &str, status, body: &str| {
        let get = get(target);
        let matched = rules.plan(&get, NOW).matched(&get);
        let parts = answer(status, &[]);
        let wanted = matched.wanted_to_store(&parts);
        let body = match wanted.is_empty() {
            true => Ok(Picked::default()),
            false => Picked::read(wanted, body.as_bytes()).map_err(|_| NoStore::UnreadableBody),
        };
        let tags = matched.tags_in(&parts, &body)?;
        Ok(tags
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" "))
    };
    for (target, status, body, expected) in [
        (
            "/list?k=a",
            200,
            r#"{"items": [{"id": 1}, {"id": "b,c"}], "owner": 7}"#,
            Ok("Item:a:1 Item:a:b%2Cc User:7"),
        ),
        ("/list?k=a", 200, r#"{"items": [], "owner": null}"#, Ok("")),
        (
            "/list?k=a",
            200,
            r#"{"items": [{"id": 1}, {}], "owner": 1}"#,
            Err(NoStore::MissingTagValue),
        ),
        (
            "/list?k=a",
            200,
            r#"{"items": [{"id": [1]}], "owner": 1}"#,
            Err(NoStore::MissingTagValue),
        ),
        (
            "/list?k=a",
            200,
            r#"{"owner": 1}"#,
            Err(NoStore::MissingTagValue),
        ),
        (
            "/list",
            200,
            r#"{"items": [{"id": 1}], "owner": 1}"#,
            Err(NoStore::MissingTagValue),
        ),
        (
            "/list?k=a",
            200,
            r#"{"items": [{"id": 1}, {"id": 2}, {"id": 3}, {"id": 4}], "owner": 1}"#,
            Err(NoStore::TooManyTags),
        ),
        ("/list?k=a", 200, "<html>", Err(NoStore::UnreadableBody)),
        ("/list?k=a", 404, "<html>", Ok("")),
    ] {
        let found = tags(target, status, body);
        assert_eq!(found.as_deref(), expected.as_ref().map(|it| *it), "{body}");
    }
}
