//! `Surrogate-Control` (Edge Architecture Specification 1.0, §2.2 and §2.3): a list like `Cache-Control`, whose members
//! may be meant for one device, `max-age=60;tagalong`.

use http::{HeaderMap, HeaderName};

use crate::policy::directives::Directives;
use crate::policy::directives::keep_first;
use crate::policy::members::Argument;
use crate::policy::members::Member;
use crate::policy::members::is_token;
use crate::policy::members::members_with_parameters;
use crate::policy::members::seconds;

/// The name by which an app may address us.
const DEVICE: &str = "tagalong";
/// `Surrogate-Capability`, which tells the app that name: we read `Surrogate-Control`.
pub const CAPABILITY: &str = "tagalong=\"Surrogate/1.0\"";

/// What the field says to us: members for another device are passed over, and a number for us alone wins over one for
/// everyone. What everyone is forbidden is forbidden to us.
pub(super) fn directives(headers: &HeaderMap, name: &HeaderName) -> Directives {
    let mut everyone = Directives::default();
    let mut ours = Directives::default();
    let mut clear = true;
    for member in members_with_parameters(headers, name) {
        clear &= member.argument != Argument::Unbalanced;
        match member.parameter {
            None => add(&mut everyone, &member),
            Some(device) if device.eq_ignore_ascii_case(DEVICE.as_bytes()) => {
                add(&mut ours, &member);
            }
            Some(device) if is_token(device) => {}
            // No device: whoever is meant, it is not written right.
            Some(_) => {
                let argument = Argument::Malformed;
                add(&mut everyone, &Member { argument, ..member });
            }
        }
    }
    let mut said = for_us(everyone, ours);
    if !clear {
        said.forbid_all();
    }
    said
}

/// Adds a member. `max-age=60+30` is fresh for the first number of seconds, and may then be served stale for the second
/// (§2.2.3). `no-store-remote` is for caches far from the app (§2.2.2); nothing says how far we are, so it counts.
fn add(said: &mut Directives, member: &Member) {
    if let Some((fresh, stale)) = extended(member) {
        let both = seconds(fresh).zip(seconds(stale));
        if said.max_age.is_none() {
            keep_first(&mut said.stale_while_revalidate, both.map(|both| both.1));
        }
        keep_first(&mut said.max_age, both.map(|both| both.0));
        said.malformed |= both.is_none();
    } else if member.is("no-store-remote") {
        said.no_store = true;
    } else {
        said.add(member);
    }
}

/// What stands before and after the plus of a `max-age=60+30`.
fn extended<'a>(member: &Member<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let Argument::Token(text) = member.argument else {
        return None;
    };
    let plus = text.iter().position(|byte| *byte == b'+')?;
    let (fresh, stale) = text.split_at(plus);
    member
        .is("max-age")
        .then_some((fresh, stale.get(1..).unwrap_or_default()))
}

/// What is said to everyone, with what is said to us put over it.
fn for_us(everyone: Directives, ours: Directives) -> Directives {
    let inherited = everyone
        .stale_while_revalidate
        .filter(|_| ours.max_age.is_none()); // `60+30`: the 30 goes with its 60
    let mut said = Directives {
        public: everyone.public || ours.public,
        excuses_no_store: everyone.excuses_no_store || ours.excuses_no_store,
        max_age: ours.max_age.or(everyone.max_age),
        s_maxage: ours.s_maxage.or(everyone.s_maxage),
        stale_while_revalidate: ours.stale_while_revalidate.or(inherited),
        stale_if_error: ours.stale_if_error.or(everyone.stale_if_error),
        ..Directives::default()
    };
    said.restrict_like(everyone);
    said.restrict_like(ours);
    said
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::policy::directives::Scope;
    use http::HeaderValue;

    fn read(lines: &[&str]) -> Directives {
        let name = HeaderName::from_static("surrogate-control");
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&name, HeaderValue::from_str(line).unwrap());
        }
        directives(&headers, &name)
    }

    #[test]
    fn the_name_we_listen_to_is_the_one_we_tell() {
        assert_eq!(CAPABILITY.split('=').next(), Some(DEVICE));
    }

    #[test]
    fn edge_architecture_2_2_3_lifetimes_and_whose_they_are() {
        let (own, other) = ("max-age=10;tagalong", "max-age=5;other");
        for (name, lines, max_age, stale) in [
            ("for everyone", &["max-age=60"][..], Some(60), None),
            ("§2.3 for us", &[own], Some(10), None),
            ("§2.3 any case", &["max-age=10;Tagalong"], Some(10), None),
            ("§2.3 blanks", &["max-age=10 ; tagalong"], Some(10), None),
            ("§2.3 for another", &[other], None, None),
            (
                "§2.3 ours wins, after",
                &["max-age=60, max-age=10;tagalong"],
                Some(10),
                None,
            ),
            (
                "§2.3 ours wins, before",
                &[own, "max-age=60"],
                Some(10),
                None,
            ),
            (
                "§2.3 another's is passed over",
                &[other, "max-age=60"],
                Some(60),
                None,
            ),
            ("§2.3 no device", &["max-age=60;"], Some(0), None),
            ("§2.3 no token", &["max-age=60;a b"], Some(0), None),
            ("§2.3 two", &["max-age=60;other;tagalong"], Some(0), None),
            (
                "§2.2.3 and then stale",
                &["max-age=60+30"],
                Some(60),
                Some(30),
            ),
            (
                "§2.2.3 for us",
                &["max-age=60+30;tagalong"],
                Some(60),
                Some(30),
            ),
            (
                "§2.2.3 the 30 goes with its 60",
                &["max-age=60+30", own],
                Some(10),
                None,
            ),
            ("§2.2.3 nothing more", &["max-age=60+"], Some(0), Some(0)),
            (
                "§2.2.3 more, but no number",
                &["max-age=60+x"],
                Some(0),
                Some(0),
            ),
            ("§2.2.3 no number", &["max-age=x+30"], Some(0), Some(0)),
            ("§2.2.3 two more", &["max-age=1+2+3"], Some(0), Some(0)),
            (
                "a second one does not lengthen",
                &["max-age=5, max-age=60+30"],
                Some(5),
                None,
            ),
            (
                "content for us",
                &["content=\"ESI/1.0, x\";tagalong, max-age=9"],
                Some(9),
                None,
            ),
        ] {
            let said = read(lines);
            assert_eq!(said.malformed, max_age == Some(0), "{name}");
            let seconds = |seconds: Option<u64>| seconds.map(Duration::from_secs);
            assert_eq!(
                (said.max_age, said.stale_while_revalidate),
                (seconds(max_age), seconds(stale)),
                "{name}"
            );
        }
    }

    #[test]
    fn edge_architecture_2_3_what_is_not_written_right_is_known() {
        for (name, line, expected) in [
            ("right", "no-store;tagalong, content=\"x\"", false),
            ("unbalanced quote", "content=\"x, max-age=9", true),
            ("no device", "no-store;a b", true),
            ("for another", "max-age=x;other", false),
        ] {
            assert_eq!(read(&[line]).malformed, expected, "{name}");
        }
    }

    #[test]
    fn edge_architecture_2_2_restrictions() {
        for (name, line, no_store, private) in [
            ("§2.2.1", "no-store", true, false),
            ("§2.2.1 for us", "no-store;tagalong", true, false),
            (
                "§2.3 for another",
                "no-store;other, private;x",
                false,
                false,
            ),
            ("§2.3 for nobody", "no-store;a b, private;", true, true),
            ("§2.2.2", "no-store-remote", true, false),
            ("§2.2.2 for another", "no-store-remote;other", false, false),
            ("§2.2.2 for nobody", "no-store-remote;a b", true, false),
            (
                "a quote without its partner hides what it hides",
                "max-age=\"9, private, ext=\", public, s-maxage=5, z=\"",
                true,
                false,
            ),
            (
                "and is excused by nothing",
                "no-store-remote=\", must-understand, max-age=9",
                true,
                false,
            ),
            (
                "everyone's holds beside what is ours",
                "no-store, max-age=60;tagalong",
                true,
                false,
            ),
        ] {
            let said = read(&[line]);
            let no_store_counts = said.no_store && !said.excuses_no_store;
            let got = (no_store_counts, said.private == Scope::Everywhere);
            assert_eq!(got, (no_store, private), "{name}");
        }
    }
}
