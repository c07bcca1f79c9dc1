//! Private by default (L12): what only one client should see is not stored.

use http::HeaderMap;
use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};

use crate::model::outcome::NoStore;
use crate::model::request::Head;
use crate::policy::directives::Control;
use crate::policy::directives::Scope;
use crate::rules::Authorization;
use crate::rules::Cookies;
use crate::rules::SetCookie;
use crate::rules::Terms;

/// Says why the response is one client's own, if it is.
pub(super) fn check(
    terms: &Terms,
    head: &Head,
    response: &HeaderMap,
    control: &Control,
) -> Result<(), NoStore> {
    let request = head.headers();
    if control.directives.private == Scope::Everywhere {
        Err(NoStore::Private)
    } else if response.contains_key(SET_COOKIE) && terms.set_cookie == SetCookie::NeverStore {
        Err(NoStore::SetCookie)
    } else if request.contains_key(AUTHORIZATION) && !stores_of_credentials(terms, control) {
        Err(NoStore::Authorization)
    } else if request.contains_key(COOKIE) && !shares_with_cookies(terms, head, control) {
        Err(NoStore::Cookie)
    } else {
        Ok(())
    }
}

/// Whether a response may be stored that the app gave to credentials. `bypass` is stricter than RFC 9111 §3.5, which lets
/// the response allow it.
fn stores_of_credentials(terms: &Terms, control: &Control) -> bool {
    match terms.authorization {
        Authorization::Bypass => false,
        Authorization::Key => true,
        Authorization::Rfc9111 => control.allows_credentials(),
    }
}

/// Whether requests with a cookie may be answered with the response: it says so itself, or its rule does.
pub(super) fn shares_with_cookies(terms: &Terms, head: &Head, control: &Control) -> bool {
    control.shares() || terms.keys_on_cookie || asked_without_cookies(terms, head)
}

/// Whether the app saw none of the request's cookies, where its rule ignores them. Only for the store is it asked without:
/// a request of another method than GET merely passes, and brings those it has.
pub(super) fn asked_without_cookies(terms: &Terms, head: &Head) -> bool {
    let saw = !head.brings_content() && head.headers().contains_key(COOKIE);
    terms.cookies == Cookies::Ignore && !saw
}

/// Whether no other answer can come for another value of this field: the app saw none, or only what the key holds of it, or
/// the rule says that what the key holds is what matters.
pub(super) fn selects_nothing(terms: &Terms, head: &Head, name: &HeaderName) -> bool {
    let mut keyed = terms.asked_as.iter();
    !terms.response_vary
        || (*name == COOKIE && asked_without_cookies(terms, head))
        || keyed.any(|it| it.name == *name)
        || terms.claimed.contains(name)
}

/// Whether the app saw of each field what the key holds of it, where that is less than requests say. Only for the store is
/// it asked so: a request of another method merely passes, with what it says itself.
pub(super) fn asked_as_keyed(terms: &Terms, head: &Head) -> bool {
    let mut fields = terms.asked_as.iter();
    head.brings_content() || fields.all(|field| field.is_said_by(head.headers()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;
    use http::Request;

    #[test]
    fn ignored_cookies_are_no_reason_only_where_the_app_was_asked_without() {
        let ignoring = Terms {
            cookies: Cookies::Ignore,
            ..Terms::default()
        };
        let plain = Control::of(&HeaderMap::new(), &[]);
        for (method, terms, expected) in [
            (Method::GET, &ignoring, Ok(())),
            (Method::POST, &ignoring, Err(NoStore::Cookie)),
            (Method::GET, &Terms::default(), Err(NoStore::Cookie)),
        ] {
            let request = Request::builder().method(&method).uri("/");
            let request = request.header("host", "shop.example").header(COOKIE, "a=1");
            let head = Head::new(request.body(()).unwrap().into_parts().0, "http").unwrap();
            let found = check(terms, &head, &HeaderMap::new(), &plain);
            assert_eq!(found, expected, "{method}");
        }
    }
}
