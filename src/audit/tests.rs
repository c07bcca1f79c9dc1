//! Alone: what is kept, in which order, and for how long.

use futures_util::FutureExt;
use serde_json::json;

use super::*;
use crate::model::time::Timestamp;

fn audit() -> Audit {
    let clock = Clock::manual(Timestamp::from_secs(1_000));
    Audit::new(clock, "pod-1", None)
}

fn act(n: usize) -> Act {
    Act {
        who: "deploy".into(),
        what: What::Purge,
        target: json!({ "n": n }),
        effect: json!({ "purged": null }),
        status: 200,
    }
}

fn record(audit: &Audit, n: usize) -> Arc<Record> {
    audit.0.clock.advance(std::time::Duration::from_millis(1));
    audit.record(act(n)).now_or_never().unwrap()
}

fn page(audit: &Audit, cursor: Option<&str>, limit: usize) -> (Vec<u64>, Option<String>) {
    let page = audit.page(cursor, limit).now_or_never().unwrap().unwrap();
    let number = |it: &Arc<Record>| it.target["n"].as_u64().unwrap();
    (page.records.iter().map(number).collect(), page.cursor)
}

#[test]
fn pages_go_back_to_the_first_and_repeat_nothing() {
    let audit = audit();
    for n in 0..5 {
        record(&audit, n);
    }
    let (first, cursor) = page(&audit, None, 2);
    assert_eq!(first, [4, 3]);
    record(&audit, 5); // comes before them
    let (second, cursor) = page(&audit, cursor.as_deref(), 2);
    assert_eq!(second, [2, 1]);
    let (third, cursor) = page(&audit, cursor.as_deref(), 2);
    assert_eq!((third, cursor), (vec![0], None));
    // A page of the store that has left since: by its time.
    let (rest, _) = page(&audit, Some("1000003-0"), 9);
    assert_eq!(rest, [1, 0]);
    for cursor in ["", "x", "1", "1-", "-1", "1-x"] {
        let bad = audit.page(Some(cursor), 9).now_or_never().unwrap();
        assert_eq!(bad, Err(BadCursor), "{cursor}");
    }
}

#[test]
fn l10_the_last_thousand_are_kept() {
    let audit = audit();
    let first = record(&audit, 0);
    for n in 1..=1_000 {
        record(&audit, n);
    }
    let (all, cursor) = page(&audit, None, usize::MAX);
    assert_eq!((all.len(), all.last(), cursor), (1_000, Some(&1), None));
    let gone = format!("m{}", first.id);
    assert_eq!(page(&audit, Some(&gone), 9), (vec![], None));
}

#[test]
fn what_leaves_before_the_store_has_it_is_counted_once() {
    let clock = Clock::manual(Timestamp::from_secs(1_000));
    let audit = Audit::new(clock, "pod-1", Some(Arc::new(|| None)));
    for n in 0..1_003 {
        record(&audit, n);
    }
    let lost = || audit.kept().take_lost();
    assert_eq!((lost(), lost()), (3, 0));
    assert_eq!(audit.kept().waiting(), 1_000);
}

#[test]
fn what_is_long_is_cut_and_what_is_written_is_read() {
    let audit = audit();
    let long = Act {
        target: json!({ "tags": ["é".repeat(5_000)] }),
        ..act(1)
    };
    let record = audit.record(long).now_or_never().unwrap();
    let cut = record.target["cut"].as_str().unwrap();
    assert!(
        cut.starts_with("{\"tags\":[\"éé") && cut.len() <= 1 << 10,
        "{cut}"
    );
    assert_eq!(record.effect, json!({ "purged": null }));
    assert_eq!(
        (&*record.who, &*record.sidecar, &*record.what),
        ("deploy", "pod-1", "purge")
    );
    let written = record.written();
    assert_eq!(Record::read(written.as_bytes()).as_ref(), Some(&*record));
    for text in ["", "{}", &written[1..], &" ".repeat(20 << 10)] {
        assert_eq!(Record::read(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn who_watches_is_told() {
    let audit = audit();
    let mut watched = audit.watch();
    let one = record(&audit, 1);
    assert_eq!(watched.try_recv(), Ok(one));
}
