//! Private by default (L12): what only one client should see is not stored.

use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};

use crate::model::outcome::NoStore;
use crate::model::request::Head;
use crate::policy::directives::Control;
use crate::policy::directives::Scope;
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
    } else if response.contains_key(SET_COOKIE) {
        Err(NoStore::SetCookie)
    } else if request.contains_key(AUTHORIZATION) && !terms.keys_on_authorization {
        // Stricter than RFC 9111 §3.5, which lets the response lift this.
        Err(NoStore::Private)
    } else if request.contains_key(COOKIE) && !terms.keys_on_cookie && !control.shares() {
        Err(NoStore::Cookie)
    } else {
        Ok(())
    }
}
