//! Rule files, of any text, and what must hold of what is said of them.

use http::Request;
use tagalong::model::mistake::Mistake;
use tagalong::model::request::Head;
use tagalong::model::time::Timestamp;
use tagalong::rules::Context;
use tagalong::rules::RuleSet;

/// None of the tokens here is verified by the time.
const NOW: Timestamp = Timestamp::from_secs(2_000_000_000);

/// Fails if something does not hold that must hold for any input.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input).into_owned();
    let files = [("rules.yaml".to_owned(), text.clone())];
    let read = || RuleSet::compile(&files, &Context::new("fuzz"));
    match read() {
        Err(mistakes) => {
            assert!(!mistakes.is_empty(), "refused, and nothing is wrong");
            mistakes.iter().for_each(|mistake| right(mistake, &text));
            assert_eq!(
                read().err(),
                Some(mistakes),
                "the same text, other mistakes"
            );
        }
        Ok(rules) => {
            rules
                .warnings()
                .iter()
                .for_each(|warning| right(warning, &text));
            for rule in rules.rules() {
                assert!(rule.id.is_some());
                assert!(!rule.brief().methods.is_empty());
            }
            for target in ["/", "/a/b?a=1&b=2", "/users/42", "*"] {
                plans(&rules, target);
            }
        }
    }
}

/// A mistake is one line, and stands where there is text.
#[track_caller]
fn right(mistake: &Mistake, text: &str) {
    let Mistake {
        file,
        place,
        message,
    } = mistake;
    assert_eq!(&**file, "rules.yaml");
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

fn plans(rules: &RuleSet, target: &str) {
    let request = Request::builder()
        .uri(target)
        .header("host", "shop.example");
    let request = request.body(()).expect("a request");
    let head = Head::new(request.into_parts().0, "http").expect("it is for a host");
    let plan = rules.plan(&head, NOW);
    assert!(!plan.explain(&head).to_string().is_empty());
}
