//! `X-LiteSpeed-Purge`: `public, stale, tag=a, /page; private, tag=b`.
//!
//! Semicolons separate parts for the public and the private cache; `public` and `tag=` may be left out; `stale` makes
//! what follows it in its part soft; `*` is everything; what begins with `/` is a URL of the same origin, exactly.
//! Here is one cache for both: what a private part names is forgotten for everyone, which is more than was asked for;
//! only its `*`, which means one client's responses, is passed over.
//!
//! `X-LiteSpeed-Vary`: `cookie=theme, cookie=group`; what else may stand there (`value=mobile`) is the app's own verdict on a
//! request, which cannot be known of the next one.

use crate::dialects::Lines;
use crate::dialects::Said;
use crate::dialects::Why;
use crate::model::tag::Increment;
use crate::model::tag::Tag;

/// Reads all lines of the field.
pub(super) fn purge(lines: Lines, origin: &str, said: &mut Said) {
    for line in lines.iter() {
        for part in line.as_bytes().split(|byte| *byte == b';') {
            purge_part(lines, part, origin, said);
        }
    }
}

/// Reads all lines of the field that says which cookies select the response.
pub(super) fn vary(lines: Lines, said: &mut Said) {
    for line in lines.iter() {
        let items = line.as_bytes().split(|byte| *byte == b',');
        let mut any = false;
        for item in items
            .map(<[u8]>::trim_ascii)
            .filter(|item| !item.is_empty())
        {
            any = true;
            match cookie(item) {
                Some(name) => said.cookies.push(name.into()),
                None => {
                    said.varies = true;
                    said.ignore(lines.name, item, Why::Vary);
                }
            }
        }
        if !any {
            said.varies = true; // it says that it varies, and not by what
            said.ignore(lines.name, line.as_bytes(), Why::Vary);
        }
    }
}

/// The name in `cookie=theme` (RFC 6265 §4.1.1: a token).
fn cookie(item: &[u8]) -> Option<&str> {
    let (key, name) = str::from_utf8(item).ok()?.split_once('=')?;
    let name = name.trim();
    let is_odd = |c: char| !c.is_ascii_graphic() || "()<>@,;:\\\"/[]?={}".contains(c);
    let fits = key.trim().eq_ignore_ascii_case("cookie") && !name.is_empty();
    (fits && !name.contains(is_odd)).then_some(name)
}

fn purge_part(lines: Lines, part: &[u8], origin: &str, said: &mut Said) {
    let (mut private, mut soft) = (false, false);
    for item in part.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        let tag = match item {
            b"" => continue,
            _ if item.eq_ignore_ascii_case(b"public") => continue,
            _ if item.eq_ignore_ascii_case(b"private") => {
                private = true;
                continue;
            }
            _ if item.eq_ignore_ascii_case(b"stale") => {
                soft = true;
                continue;
            }
            b"*" | b"tag=*" if private => {
                said.ignore(lines.name, item, Why::Private);
                continue;
            }
            b"*" | b"tag=*" => Some(Tag::all()),
            // What may stand in a tag may stand in a URL here, and the other way round.
            [b'/', ..] => said
                .tag(lines.name, item)
                .map(|path| Tag::uri(&format!("{origin}{path}"))),
            _ => said.tag(lines.name, item.strip_prefix(b"tag=").unwrap_or(item)),
        };
        said.increments.extend(tag.map(|tag| Increment {
            soft,
            ..Increment::from(tag)
        }));
    }
}
