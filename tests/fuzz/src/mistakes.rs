//! What is said of files that are wrong.

use tagalong::model::mistake::Mistake;

/// A mistake is one line, and stands where there is text.
#[track_caller]
pub(super) fn right(mistake: &Mistake, name: &str, text: &str) {
    let Mistake {
        file,
        place,
        message,
    } = mistake;
    assert_eq!(&**file, name);
    assert!(
        !message.is_empty() && !message.contains(['\n', '\r']),
        "{message:?}"
    );
    let place = place.expect("a place");
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let line = text.split('\n').nth(place.line.wrapping_sub(1));
    let longest = line.map(|line| line.chars().count() + 1);
    assert!(
        longest.is_some_and(|longest| (1..=longest).contains(&place.column)),
        "{mistake} is outside of {text:?}"
    );
}
