//! What is told as it happens.

use serde_json::json;

use super::*;
use crate::support::Open;
use crate::support::soon;

/// One who listens.
struct Listening {
    open: Open,
    text: String,
    /// What came while another was waited for: what comes together is told in an order of its own.
    passed_over: Vec<(String, Value)>,
}

impl Listening {
    async fn begin(admin: &Client) -> Listening {
        let open = admin.begin(get("/v1/events")).await.head().await;
        open.answer
            .has_status(200)
            .has_field("content-type", "text/event-stream");
        Listening {
            open,
            text: String::new(),
            passed_over: Vec::new(),
        }
    }

    /// The next event of this name, whatever comes before it; `None`: there is none more.
    async fn next(&mut self, name: &str) -> Option<Value> {
        if let Some(place) = self.passed_over.iter().position(|(it, _)| it == name) {
            return Some(self.passed_over.remove(place).1);
        }
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let event = event.strip_prefix("event: ");
                let Some((kind, data)) = event.and_then(|it| it.split_once("\ndata: ")) else {
                    continue; // a sign of life
                };
                let data = serde_json::from_str(data).expect("JSON");
                if kind == name {
                    return Some(data);
                }
                self.passed_over.push((kind.to_owned(), data));
            }
            let some = soon("an event", self.open.some()).await?;
            self.text.push_str(&String::from_utf8(some).expect("UTF-8"));
        }
    }
}

#[tokio::test]
async fn numbers_come_at_once_and_then_every_second_and_are_those_of_stats() {
    let (app, sidecar, admin) = stage(RULES).await;
    app.answer("/page/1", reply("one"));
    let mut listening = Listening::begin(&admin).await;
    let first = listening.next("stats").await.expect("numbers");
    assert_eq!(first["totals"]["requests"], 0);
    sidecar.client().get("/page/1").await.is_miss();
    let counted = async {
        loop {
            let numbers = listening.next("stats").await.expect("numbers");
            if numbers["totals"]["requests"] == 1 {
                break numbers;
            }
        }
    };
    let mut numbers = soon("the request to be counted", counted).await;
    let mut stats = told(&admin, "/v1/stats").await;
    for it in [&mut numbers, &mut stats] {
        it["now"].take();
    }
    assert_eq!(numbers, stats);
}

#[tokio::test]
async fn an_increment_is_told_to_everybody_who_listens() {
    let (_app, sidecar, admin) = stage(RULES).await;
    let mut each = [
        Listening::begin(&admin).await,
        Listening::begin(&admin).await,
    ];
    sidecar.inc("Page").await;
    done(&admin, "/v1/purge", json!({ "rule": "page", "soft": true })).await;
    for listening in &mut each {
        let first = listening.next("increment").await.expect("an increment");
        assert_eq!(
            (&first["source"], &first["by"]),
            (&json!("response"), &json!("POST /inc"))
        );
        let second = listening.next("increment").await.expect("another");
        assert_eq!(second["tags"], json!(["~rule:page"]));
        assert_eq!(second["by"], "POST /v1/purge (local)");
        assert_eq!(second["soft"], true);
        let record = listening.next("audit").await.expect("a record");
        assert_eq!(
            (&record["what"], &record["status"]),
            (&json!("purge"), &json!(200))
        );
    }
}

#[tokio::test]
async fn a_stream_ends_when_the_sidecar_does() {
    let (_app, sidecar, admin) = stage(RULES).await;
    let mut listening = Listening::begin(&admin).await;
    listening.next("stats").await.expect("numbers");
    sidecar.shutdown().await;
    let ended = async { while listening.next("stats").await.is_some() {} };
    soon("the stream to end", ended).await;
}

#[tokio::test]
async fn so_many_listen_at_once_and_one_that_leaves_makes_room() {
    let (_app, _sidecar, admin) = stage(RULES).await;
    let mut listening = Vec::new();
    for _ in 0..16 {
        listening.push(Listening::begin(&admin).await);
    }
    let full = admin.get("/v1/events").await;
    full.is_problem(503).has_field("retry-after", "1");
    let gauge = metrics(&admin).await["tagalong_event_streams"];
    assert_eq!(gauge, 16.0);
    admin.get("/v1/stats").await.has_status(200);
    drop(listening);
    let free = async {
        loop {
            let answer = admin.begin(get("/v1/events")).await.head().await;
            if answer.answer.status == 200 {
                break;
            }
        }
    };
    soon("a place to be free", free).await;
}

#[tokio::test]
async fn one_that_reads_nothing_holds_up_nobody() {
    let (_app, _sidecar, admin) = stage(RULES).await;
    let silent = admin.begin(get("/v1/events")).await.head().await;
    let mut reading = Listening::begin(&admin).await;
    // What is on its way to it fills all that is in between; then it falls behind.
    let large: Vec<String> = (0..100)
        .map(|n| format!("{}:{n}", "T".repeat(4_000)))
        .collect();
    let each = std::iter::repeat_n(json!(large), 20).chain(std::iter::repeat_n(json!(["T"]), 300));
    for tags in each {
        done(&admin, "/v1/tags/increment", json!({ "tags": tags })).await;
        let told = reading.next("increment").await.expect("an increment");
        assert_eq!(
            told["tags"].as_array().map(Vec::len),
            tags.as_array().map(Vec::len)
        );
    }
    // It has missed some, and is told so when it reads.
    let mut late = Listening {
        open: silent,
        text: String::new(),
        passed_over: Vec::new(),
    };
    let lagged = late.next("lagged").await;
    let missed = lagged.expect("it is told")["missed"].as_u64();
    assert!(missed.is_some_and(|missed| missed > 0), "{missed:?}");
}
