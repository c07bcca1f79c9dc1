//! What the shared store holds besides responses, of any bytes: records of the log, the state of a tag, the sequence, the epoch, what
//! operators have done, places in scans; and the tokens that come back from apps. What is not written as it should be is nothing, and
//! what is understood says all that is written.
//!
//! The input is lines: of a record, its fields and values in turn. Each of the others is the whole input.

use serde_json::Value;
use tagalong::audit;
use tagalong::cache::Token;
use tagalong::model::stamp::Stamp;
use tagalong::model::tag::Tag;
use tagalong::shared::Change;
use tagalong::shared::HIGHEST_EPOCH;
use tagalong::shared::Record;
use tagalong::shared::Scan;
use tagalong::shared::TagState;
use tagalong::shared::What;
use tagalong::shared::epoch;
use tagalong::shared::sequence;

type Fields = Vec<Vec<u8>>;

/// Fails if something does not hold that must hold for any input.
pub fn check(input: &[u8]) {
    a_record_of_the_log(&lines(input));
    what_is_known_of_tags(input);
    what_was_done(input);
    what_comes_back(&String::from_utf8_lossy(input));
}

/// Whether an input is a record that is understood, or one of the others.
pub fn is_read(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    Record::read(&lines(input)).is_some_and(|record| record.what.is_some())
        || TagState::parse(input).is_some()
        || sequence(input).is_some()
        || epoch(Some(input)) > 0
        || audit::Record::read(input).is_some()
        || text.parse::<Token>().is_ok()
        || Scan::parse(&text).is_some()
}

fn lines(input: &[u8]) -> Fields {
    let lines = input.split(|byte| *byte == b'\n');
    lines.map(<[u8]>::to_vec).collect()
}

fn a_record_of_the_log(fields: &Fields) {
    let Some(record) = Record::read(fields) else {
        return;
    };
    assert_ne!(record.stamp, Stamp::NEVER);
    assert!(
        record.by.len() <= 200 && !record.by.contains(char::is_control),
        "{record:?}"
    );
    let Some(what) = &record.what else {
        return;
    };
    let written = written(&record, what);
    assert_eq!(Record::read(&written).as_ref(), Some(&record));
    assert_eq!(
        told(fields),
        told(&written),
        "something of it was lost: {record:?}"
    );
    if let What::Changed(changes) = what {
        assert!(!changes.is_empty());
        for (tag, _) in changes {
            assert_eq!(Tag::from_stored(tag.as_str()).as_ref(), Ok(tag));
        }
    }
    // Whatever a newer version adds may stand for a change that cannot be made here.
    for more in [
        &["z", ""][..],
        &["z"],
        &["m", "*"],
        &["g", "0"],
        &["a", "7"],
    ] {
        let more = more.iter().map(|it| it.as_bytes().to_vec());
        let fields: Fields = fields.iter().cloned().chain(more).collect();
        assert!(!is_understood(&fields), "{record:?} with more");
    }
    if let Some((_, cut)) = fields.split_last() {
        assert!(!is_understood(&cut.to_vec()), "{record:?}, cut");
    }
}

fn is_understood(fields: &Fields) -> bool {
    Record::read(fields).is_some_and(|record| record.what.is_some())
}

/// As our scripts write it.
fn written(record: &Record, what: &What) -> Fields {
    let (stamp, previous) = (record.stamp.to_string(), record.previous.to_string());
    let mut fields = vec!["n", &stamp, "p", &previous, "b", &record.by];
    let mut versions = Vec::new();
    let changes = match what {
        What::Changed(changes) => &changes[..],
        What::Purged(pattern) => {
            fields.extend(["m", pattern]);
            &[]
        }
        What::Ended(flight) => {
            fields.extend(["d", flight]);
            &[]
        }
        What::Begun => {
            fields.extend(["g", "0"]);
            &[]
        }
    };
    for (_, change) in changes {
        if let Change::Version(version) = change {
            versions.push(version.to_string());
        }
    }
    let mut versions = versions.iter();
    for (tag, change) in changes {
        match change {
            Change::Hard => fields.extend(["h", tag.as_str()]),
            Change::Soft => fields.extend(["s", tag.as_str()]),
            Change::Version(_) => {
                let version = versions.next().expect("one for each");
                fields.extend(["a", version, "v", tag.as_str()]);
            }
        }
    }
    fields.iter().map(|it| it.as_bytes().to_vec()).collect()
}

/// What fields say besides who and when; numbers as numbers, and whose generation begins is its link's business.
fn told(fields: &Fields) -> Vec<(&[u8], Vec<u8>)> {
    let (pairs, _) = fields.as_chunks::<2>();
    let said = pairs
        .iter()
        .filter(|[name, _]| !matches!(&name[..], b"n" | b"p" | b"b"));
    let mut told: Vec<(&[u8], Vec<u8>)> = said
        .map(|[name, value]| {
            let value = match &name[..] {
                b"a" => number(value).to_string().into_bytes(),
                b"g" => Vec::new(),
                _ => value.clone(),
            };
            (&name[..], value)
        })
        .collect();
    told.sort();
    told
}

fn number(text: &[u8]) -> i64 {
    let text = str::from_utf8(text).expect("a record is text");
    text.parse().expect("a version that was understood")
}

fn what_is_known_of_tags(input: &[u8]) {
    if let Some(state) = TagState::parse(input) {
        let TagState {
            current,
            incremented,
            hard,
            app,
        } = state;
        let app = app.map_or("-".to_owned(), |app| app.to_string());
        let text = format!("{current} {incremented} {hard} {app}");
        assert_eq!(TagState::parse(text.as_bytes()), Some(state));
        let more = [input, b" 1"].concat();
        assert_eq!(TagState::parse(&more), None, "it says more");
    }
    if let Some((last, logged)) = sequence(input) {
        let text = format!("{last} {logged} 0");
        assert_eq!(sequence(text.as_bytes()), Some((last, logged)));
    }
    let highest = epoch(Some(input));
    assert!(highest <= HIGHEST_EPOCH);
    assert_eq!(epoch(Some(highest.to_string().as_bytes())), highest);
}

fn what_was_done(input: &[u8]) {
    let Some(record) = audit::Record::read(input) else {
        return;
    };
    let text = record.written();
    let again = audit::Record::read(text.as_bytes()).expect("what was written");
    if !has_fractions(&record.target) && !has_fractions(&record.effect) {
        assert_eq!(again, record);
    }
}

/// Whether there are numbers that may be another by their last digit when they are written.
fn has_fractions(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(values) => values.iter().any(has_fractions),
        Value::Object(members) => members.values().any(has_fractions),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

fn what_comes_back(text: &str) {
    if let Ok(token) = text.parse::<Token>() {
        assert_eq!(token.to_string().parse().as_ref(), Ok(&token));
        assert!(token.to_string().len() <= 64 + 2 * 21, "{token}");
    }
    if let Some(scan) = Scan::parse(text) {
        assert_eq!(Scan::parse(&scan.to_string()), Some(scan));
    }
}
