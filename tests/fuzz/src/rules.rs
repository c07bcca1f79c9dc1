//! Rule files, of any text, and what must hold of what is said of them.

use http::Request;
use tagalong::model::request::Head;
use tagalong::model::time::Timestamp;
use tagalong::rules::Context;
use tagalong::rules::RuleSet;

use super::mistakes::right;

const FILE: &str = "rules.yaml";

/// None of the tokens here is verified by the time.
const NOW: Timestamp = Timestamp::from_secs(2_000_000_000);

/// Fails if something does not hold that must hold for any input.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input).into_owned();
    let files = [(FILE.to_owned(), text.clone())];
    let read = || RuleSet::compile(&files, &Context::new("fuzz"));
    match read() {
        Err(mistakes) => {
            assert!(!mistakes.is_empty(), "refused, and nothing is wrong");
            mistakes
                .iter()
                .for_each(|mistake| right(mistake, FILE, &text));
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
                .for_each(|warning| right(warning, FILE, &text));
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

fn plans(rules: &RuleSet, target: &str) {
    let request = Request::builder()
        .uri(target)
        .header("host", "shop.example");
    let request = request.body(()).expect("a request");
    let head = Head::new(request.into_parts().0, "http").expect("it is for a host");
    let plan = rules.plan(&head, NOW);
    assert!(!plan.explain(&head).to_string().is_empty());
}
