//! Conditions, as written to as decided.

use http::HeaderName;

use crate::model::mistake::Place;
use crate::rules::compile::Compiler;
use crate::rules::condition::{Condition, Subject, Test};
use crate::rules::pattern;
use crate::rules::source::{self, OneOrMore};
use crate::rules::statuses::StatusSet;
use crate::yaml::{Spanned, shown};

const SUBJECTS: &str = "`header`, `query`, `cookie`, `response_header` or `response_status`";

impl Compiler<'_> {
    pub(super) fn conditions(&mut self, written: &[Spanned<source::Condition>]) -> Vec<Condition> {
        written.iter().filter_map(|it| self.condition(it)).collect()
    }

    /// What must hold besides; `{}` is nothing.
    pub(super) fn when(
        &mut self,
        written: Option<&Spanned<source::Condition>>,
    ) -> Option<Condition> {
        written
            .filter(|it| !it.is_empty())
            .and_then(|it| self.condition(it))
    }

    /// One condition: of one thing, with one test.
    pub(super) fn condition(&mut self, written: &Spanned<source::Condition>) -> Option<Condition> {
        let subjects = [
            written
                .header
                .as_ref()
                .map(|it| self.header(it).map(Subject::Header)),
            written
                .query
                .as_ref()
                .map(|it| self.of_name(it).map(Subject::Query)),
            written
                .cookie
                .as_ref()
                .map(|it| Some(Subject::Cookie(self.cookie(it)?.name))),
            written
                .response_header
                .as_ref()
                .map(|it| self.header(it).map(Subject::ResponseHeader)),
            written
                .response_status
                .as_ref()
                .map(|it| self.status(it).map(Subject::ResponseStatus)),
        ];
        let mut subjects = subjects.into_iter().flatten();
        let (first, second) = (subjects.next(), subjects.next());
        let test = self.test(written);
        let Some(of) = first else {
            if !self.tainted {
                let message = format!("expected what the condition is about: {SUBJECTS}");
                self.wrong(written.place, message);
            }
            return None;
        };
        if second.is_some() {
            let message =
                format!("expected one of {SUBJECTS}, found several: write a condition for each");
            self.wrong(written.place, message);
        }
        Some(Condition {
            of: of?,
            test: test?,
        })
    }

    fn test(&mut self, written: &source::Condition) -> Option<Test> {
        let extra = |it: &Spanned<String>, with: &str| {
            let found = shown(it);
            (it.place, format!("{with}, found also {found}"))
        };
        let both: Option<(Place, String)> = match (&written.equals, &written.matches) {
            (Some(_), Some(matches)) => Some(extra(matches, "expected `equals` or `matches`")),
            (Some(it), None) | (None, Some(it)) if written.response_status.is_some() => {
                Some(extra(it, "`response_status` says itself which"))
            }
            _ => None,
        };
        if let Some((place, message)) = both {
            self.wrong(place, message);
        }
        match (&written.equals, &written.matches) {
            (Some(text), _) => Some(Test::Equals(text.as_str().into())),
            (None, Some(text)) => {
                let regex = self.checked(text.place, pattern::anchored(text));
                regex.map(Test::Matches)
            }
            (None, None) => Some(Test::Present),
        }
    }

    pub(super) fn header(&mut self, written: &Spanned<String>) -> Option<HeaderName> {
        let name = written.parse();
        let message = || format!("expected the name of a header, found {}", shown(written));
        self.checked(written.place, name.map_err(|_| message()))
    }

    fn of_name(&mut self, written: &Spanned<String>) -> Option<Box<str>> {
        let message = || "expected the name of a parameter, found nothing".to_owned();
        let named = !written.is_empty();
        let name = named.then(|| written.as_str().into()).ok_or_else(message);
        self.checked(written.place, name)
    }

    fn status(&mut self, written: &Spanned<OneOrMore>) -> Option<StatusSet> {
        let texts = match &written.value {
            OneOrMore::One(text) => vec![(written.place, text)],
            OneOrMore::More(texts) => texts.iter().map(|it| (it.place, &it.value)).collect(),
        };
        if texts.is_empty() {
            let message = "expected a status at least, found an empty list";
            self.wrong(written.place, message);
        }
        let mut set = StatusSet::default();
        for (place, text) in texts {
            if !set.add(text) {
                let found = shown(text);
                let message = format!("expected a status such as `2xx` or `404`, found {found}");
                self.wrong(place, message);
            }
        }
        Some(set)
    }
}
