//! Text from elsewhere on a terminal: a tag or a key may hold what a terminal obeys, or what makes it show something else than
//! there is. Here it becomes visible, and harmless.

use std::borrow::Cow;
use std::fmt::Write;

/// For people: what a terminal obeys or does not show stands as `\u{1b}`, line breaks too.
pub fn printable(text: &str) -> Cow<'_, str> {
    replaced(text, |shown, c| write!(shown, "{}", c.escape_unicode()))
}

/// JSON that says the same, and that a terminal only shows. Outside of its texts, JSON holds no such character but line breaks.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    replaced(json, |shown, c| match c {
        '\n' | '\r' | '\t' => shown.write_char(c),
        _ => {
            let mut units = [0; 2];
            let mut units = c.encode_utf16(&mut units).iter();
            units.try_for_each(|unit| write!(shown, "\\u{unit:04x}"))
        }
    })
}

fn replaced(text: &str, replace: impl Fn(&mut String, char) -> std::fmt::Result) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        let written = match is_hidden(c) {
            true => replace(&mut shown, c),
            false => shown.write_char(c),
        };
        written.expect("a text grows as long as there is memory");
    }
    Cow::Owned(shown)
}

/// Control characters, and those that have no shape of their own: they reorder, join, or mark.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown() {
        for (text, expected) in [
            ("User:42", "User:42"),
            ("Größe:é\u{301}", "Größe:é\u{301}"),
            ("\u{1b}[2J", r"\u{1b}[2J"),
            ("\u{9b}31m", r"\u{9b}31m"),
            ("a\nb\tc\r", r"a\u{a}b\u{9}c\u{d}"),
            ("\u{7f}\0", r"\u{7f}\u{0}"),
            ("admin\u{202e}nimda", r"admin\u{202e}nimda"),
            ("a\u{200b}b\u{2028}", r"a\u{200b}b\u{2028}"),
            ("\u{e0041}", r"\u{e0041}"),
        ] {
            assert_eq!(printable(text), expected, "{text:?}");
        }
    }

    #[test]
    fn json_says_the_same_afterwards() {
        let value =
            serde_json::json!({ "tag": "\u{1b}[2J\u{9b}31m\u{202e}\u{e0041}ü\n\"", "n": 1 });
        for json in [
            serde_json::to_string(&value).unwrap(),
            serde_json::to_string_pretty(&value).unwrap(),
        ] {
            let shown = printable_json(&json);
            let hidden = |c: char| is_hidden(c) && c != '\n';
            assert!(!shown.contains(hidden), "{shown:?}");
            let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
            assert_eq!(read, value);
        }
    }
}
