//! `X-LiteSpeed-Purge`: `public, stale, tag=a, /page; private, tag=b`.
//!
//! Semicolons separate parts for the public and the private cache; `public` and `tag=` may be left out; `stale` makes
//! what follows it in its part soft; `*` is everything; what begins with `/` is a URL of the same origin, exactly.
//! Here is one cache for both: what a private part names is forgotten for everyone, which is more than was asked for;
//! only its `*`, which means one client's responses, is passed over.

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
