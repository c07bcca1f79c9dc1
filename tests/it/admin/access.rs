//! Who may call.

use serde_json::json;

use super::*;

const NAMED: &str = "admin: { listen: '127.0.0.1:0', token_file: token, tokens: [{ name: deploy, token_file: other }] }";

/// As `stage`, with two tokens: `sesame`, and `simsim` of `deploy`.
async fn with_tokens() -> (Origin, Sidecar, Client) {
    let app = Origin::start().await;
    let setup = Setup::new(&app).config(NAMED).rules(RULES);
    let setup = setup.file("token", "sesame\n").file("other", "simsim\n");
    let sidecar = setup.start().await;
    let admin = sidecar.admin();
    (app, sidecar, admin)
}

#[tokio::test]
async fn a_page_that_has_its_name_point_here_reads_nothing() {
    let (_app, _sidecar, admin) = stage(RULES).await;
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/nothing",
        "/v1/stats",
        "/",
        "/openapi.json",
    ] {
        let rebound = get(path).with("host", "evil.example");
        let answer = admin.ask(rebound).await;
        answer.is_problem(403).has_no_field("www-authenticate");
        assert!(!answer.text().contains("tagalong_"), "{answer}");
    }
    admin
        .ask(get("/readyz").with("host", "localhost:9080"))
        .await
        .has_status(200);
}

#[tokio::test]
async fn a_token_opens_it_under_any_name_and_a_wrong_one_does_not() {
    let (_app, _sidecar, admin) = with_tokens().await;
    admin.get("/readyz").await.has_status(200);
    admin.get("/metrics").await.has_status(200);
    admin.get("/v1/stats").await.is_problem(401);
    let asked = get("/v1/stats").with("host", "sidecar.example");
    for right in ["Bearer sesame", "bearer simsim"] {
        let right = asked.clone().with("authorization", right);
        admin.ask(right).await.has_status(200);
    }
    for wrong in [
        "Bearer sesam",
        "Bearer sesamesimsim",
        "Basic sesame",
        "Bearer ",
    ] {
        let wrong = asked.clone().with("authorization", wrong);
        let answer = admin.ask(wrong).await;
        answer
            .is_problem(401)
            .has_field("www-authenticate", "Bearer realm=\"tagalong\"");
        assert!(!answer.to_string().contains("sesam"), "{answer}");
    }
}

#[tokio::test]
async fn without_a_token_nothing_is_told_and_nothing_changes() {
    let (app, sidecar, admin) = with_tokens().await;
    app.answer("/page/1", reply("one"));
    let client = sidecar.client();
    client.get("/page/1").await.is_miss();
    for (method, path, body) in [
        ("POST", "/v1/purge", json!({ "all": true })),
        ("POST", "/v1/tags/increment", json!({ "tags": ["Page"] })),
        ("POST", "/v1/change", json!({ "rule": "page" })),
        ("POST", "/v1/reload", json!({})),
        ("PUT", "/v1/epoch", json!({ "epoch": 9 })),
        ("DELETE", "/v1/objects/a", json!({})),
    ] {
        for asked in [
            with_json(method, path, &body),
            with_json(method, path, &body).with("authorization", "Bearer simsin"),
        ] {
            let answer = admin.ask(asked).await;
            answer.is_problem(401);
            assert!(!answer.text().contains("page"), "{answer}");
        }
    }
    client.get("/page/1").await.is_hit();
    // The dashboard and the description hold no data.
    for path in ["/", "/assets/app.js", "/openapi.json"] {
        admin.get(path).await.has_status(200);
    }
}

#[tokio::test]
async fn where_others_reach_it_a_probe_learns_a_word_and_nothing_more() {
    let app = Origin::start().await;
    let config = "admin: { listen: '0.0.0.0:0', token_file: token }";
    let setup = Setup::new(&app).config(config).file("token", "sesame");
    let sidecar = setup.start().await;
    let admin = sidecar.admin();
    for path in ["/healthz", "/readyz"] {
        let probe = get(path).with("host", "10.0.0.7:9080");
        admin
            .ask(probe)
            .await
            .has_status(200)
            .has_body(r#"{"status":"ok"}"#);
    }
    for path in [
        "/metrics",
        "/nothing",
        "/v1/stats",
        "/v1/rules",
        "/v1/events",
    ] {
        admin.get(path).await.is_problem(401);
        let host = get(path).with("host", "localhost");
        admin.ask(host).await.is_problem(401);
    }
    for path in ["/metrics", "/v1/stats"] {
        let right = get(path).with("authorization", "Bearer sesame");
        admin.ask(right).await.has_status(200);
    }
    let right = get("/readyz").with("authorization", "Bearer sesame");
    let answer = admin.ask(right).await;
    answer.has_body(r#"{"status":"ok","reasons":[]}"#);
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing_though_it_has_the_token() {
    let (app, sidecar, admin) = with_tokens().await;
    app.answer("/page/1", reply("one"));
    let client = sidecar.client();
    client.get("/page/1").await.is_miss();
    let purge = || {
        with_json("POST", "/v1/purge", &json!({ "all": true }))
            .with("authorization", "Bearer sesame")
    };
    for foreign in [
        purge().with("origin", "https://evil.example"),
        purge().with("origin", "null"),
        purge().with("origin", "http://localhost:1"),
        purge().with("sec-fetch-site", "cross-site"),
        purge().with("sec-fetch-site", "same-site"),
    ] {
        let answer = admin.ask(foreign).await;
        answer.is_problem(403);
    }
    client.get("/page/1").await.is_hit();
    let ours = purge()
        .with("origin", "http://localhost")
        .with("sec-fetch-site", "same-origin");
    admin.ask(ours).await.has_status(200);
    client.get("/page/1").await.is_invalidated();
}

#[tokio::test]
async fn a_page_is_told_to_keep_to_itself() {
    let (_app, _sidecar, admin) = stage(RULES).await;
    for path in ["/", "/assets/style.css", "/v1/stats", "/nothing"] {
        let answer = admin.get(path).await;
        answer
            .has_field("x-content-type-options", "nosniff")
            .has_field("referrer-policy", "no-referrer")
            .has_field("cross-origin-resource-policy", "same-origin")
            .has_no_field("access-control-allow-origin")
            .has_no_field("set-cookie");
        let policy = answer.field("content-security-policy").expect("a policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
    }
    let page = admin.get("/").await;
    page.has_field("content-type", "text/html; charset=utf-8")
        .has_field("cache-control", "no-cache");
    let tag = page.field("etag").expect("a tag");
    let again = admin.ask(get("/").with("if-none-match", &tag)).await;
    again.has_status(304).has_body("");
    let other = admin.ask(get("/").with("if-none-match", "\"other\"")).await;
    other.has_status(200);
}

#[test]
fn tokens_have_names_of_their_own_and_are_told_apart() {
    let origin = "http://127.0.0.1:1";
    for (tokens, expected) in [
        (
            "[{ name: deploy }]",
            "expected `token_env` or `token_file` beside the name of a token",
        ),
        ("[{ name: admin, token_file: other }]", "`admin` is taken"),
        ("[{ name: local, token_file: other }]", "`local` is taken"),
        (
            "[{ name: 'a b', token_file: other }]",
            "as the name of a token, found `a b`",
        ),
        (
            "[{ name: a, token_file: token }]",
            "expected a token of its own, found that of `admin`",
        ),
        (
            "[{ name: a, token_file: other }, { name: a, token_file: third }]",
            "`a` is given twice",
        ),
        ("[{ name: a, token: sesame }]", "unknown field `token`"),
    ] {
        let config = format!("admin: {{ token_file: token, tokens: {tokens} }}");
        let setup = Setup::in_front_of(origin).config(&config);
        let setup = setup.file("token", "sesame").file("other", "simsim");
        let mistakes = setup.file("third", "third").mistakes();
        assert!(mistakes.contains(expected), "{tokens}: {mistakes}");
        assert!(!mistakes.contains("simsim"), "{mistakes}");
    }
}
