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

/// The name by which an app may address us: the device token that we send in `Surrogate-Capability`.
pub const DEVICE: &str = "tagalong";

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
        said.permit_nothing();
    }
    said
}

/// Adds a member. `max-age=60+30` is fresh for the first number of seconds, and may then be served stale for the second
/// (§2.2.3). `no-store-remote` is for caches far from the app (§2.2.2); nothing says how far we are, so it counts.
fn add(said: &mut Directives, member: &Member) {
    let plus = |text: &[u8]| text.iter().position(|byte| *byte == b'+');
    match member.argument {
        Argument::Token(text) if member.is("max-age") && plus(text).is_some() => {
            let (fresh, stale) = text.split_at(plus(text).unwrap_or_default());
            let fresh = seconds(fresh);
            let stale = seconds(stale.get(1..).unwrap_or_default());
            if said.max_age.is_none() {
                keep_first(&mut said.stale_while_revalidate, fresh.and(stale));
            }
            keep_first(&mut said.max_age, stale.and(fresh));
        }
        _ if member.is("no-store-remote") => said.no_store = true,
        _ => said.add(member),
    }
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
