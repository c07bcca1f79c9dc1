//! Private by default (L12): what only one client should see is not stored.

use http::HeaderMap;
use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE, Entry, SET_COOKIE};

use crate::model::cookies;
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

/// Takes back each cookie of a response that would replace one of the client's own which the app was not shown: it took the
/// client for a new one, and began another session. Of a response that was asked for without the request's cookies.
pub fn spare_hidden_cookies(terms: &Terms, head: &Head, response: &mut HeaderMap) {
    if terms.cookies != Cookies::Ignore
        || terms.set_cookie == SetCookie::Store // everyone is to have it
        || !head.headers().contains_key(COOKIE)
    {
        return;
    }
    let Entry::Occupied(all) = response.entry(SET_COOKIE) else {
        return;
    };
    let (_, set) = all.remove_entry_mult();
    let kept: Vec<_> = set
        .filter(|line| {
            cookies::set_by(line.as_bytes()).is_none_or(|name| !cookies::has(head.headers(), name))
        })
        .collect();
    for line in kept {
        response.append(SET_COOKIE, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
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

    #[test]
    fn a_cookie_that_the_app_was_not_shown_is_not_replaced() {
        let terms = |cookies, set_cookie| Terms {
            cookies,
            set_cookie,
            ..Terms::default()
        };
        let (ignore, strip) = (Cookies::Ignore, SetCookie::Strip);
        let new = "sid=new; Path=/; HttpOnly";
        for (name, cookie, terms, expected) in [
            (
                "the client's own",
                "a=b; sid=old",
                terms(ignore, strip),
                &["lang=de"][..],
            ),
            (
                "never stored",
                "sid=old",
                terms(ignore, SetCookie::NeverStore),
                &["lang=de"],
            ),
            ("all of them", "lang=en; sid=old", terms(ignore, strip), &[]),
            (
                "another's name",
                "sidx=old",
                terms(ignore, strip),
                &[new, "lang=de"],
            ),
            (
                "for everyone",
                "sid=old",
                terms(ignore, SetCookie::Store),
                &[new, "lang=de"],
            ),
            (
                "shown to the app",
                "sid=old",
                terms(Cookies::KeyOrPublic, strip),
                &[new, "lang=de"],
            ),
        ] {
            let request = Request::get("/").header("host", "shop.example");
            let request = request.header(COOKIE, cookie).body(()).unwrap();
            let head = Head::new(request.into_parts().0, "http").unwrap();
            let mut response = HeaderMap::new();
            response.append(SET_COOKIE, HeaderValue::from_static(new));
            response.append(SET_COOKIE, HeaderValue::from_static("lang=de"));
            spare_hidden_cookies(&terms, &head, &mut response);
            let left: Vec<_> = response.get_all(SET_COOKIE).iter().collect();
            assert_eq!(left, expected, "{name}");
        }
    }
}
