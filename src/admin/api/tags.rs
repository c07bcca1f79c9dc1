//! Tags: which ones an operator may name, and giving them new versions.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::admin::Admin;
use crate::admin::problem::Problem;
use crate::model::stamp::Stamp;
use crate::model::tag::Increment;
use crate::model::tag::Tag;

/// The most tags of one call.
const MOST: usize = 10_000;

/// The longest tag, in bytes.
const LONGEST: usize = 4_096;

/// The kinds of the cache's own tags, which operators may name though apps may not.
const OWN: [&str; 6] = ["~rule:", "~uri:", "~base:", "~key:", "~group:", "~dim:"];

/// The tag with this name, one of the cache's own too.
///
/// # Errors
///
/// Why it is none.
pub(super) fn named(text: &str) -> Result<Tag, String> {
    if text.len() > LONGEST {
        let found = text.len();
        return Err(format!(
            "a tag has at most {LONGEST} bytes, and this one has {found}"
        ));
    }
    let is_own = *text == *Tag::all().as_str() || OWN.iter().any(|kind| text.starts_with(kind));
    let tag = match is_own && !text.contains(char::is_control) {
        true => Tag::from_stored(text),
        false => Tag::parse(text),
    };
    tag.map_err(|error| error.to_string())
}

/// The tags with these names, each once.
///
/// # Errors
///
/// There are none, too many, or one is none.
pub(super) fn all_named(texts: &[String]) -> Result<Vec<Tag>, Problem> {
    if texts.is_empty() || texts.len() > MOST {
        let found = texts.len();
        let detail = format!("`tags`: 1 to {MOST} tags are expected, and {found} were found.");
        return Err(Problem::Wrong(detail));
    }
    let tag = |(n, text): (usize, &String)| {
        named(text).map_err(|why| Problem::Wrong(format!("`tags[{n}]`: {why}.")))
    };
    let tags = texts.iter().enumerate().map(tag);
    let tags: BTreeSet<Tag> = tags.collect::<Result<_, Problem>>()?;
    Ok(tags.into_iter().collect())
}

impl Admin {
    /// Gives these tags new versions: the same for all.
    ///
    /// # Errors
    ///
    /// The shared store has not taken them, and they wait for it.
    pub(super) async fn increment(
        &self,
        increments: &[Increment],
        by: &Arc<str>,
    ) -> Result<Stamp, Problem> {
        let stamp = self
            .parts()
            .cache
            .increment_by_operator(increments, by)
            .await;
        stamp.ok_or(Problem::Deferred(
            "The shared store has not taken it in time: it counts here, and waits for the store.",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_name_the_tags_of_apps_and_those_of_the_cache() {
        let long = "a".repeat(LONGEST + 1);
        for (text, expected) in [
            ("User:42", Ok(())),
            ("<img src=x onerror=alert(1)>", Err("white space")),
            ("\u{202e}gnp.exe", Ok(())),
            ("~all", Ok(())),
            ("~key:Book:1", Ok(())),
            ("~uri:http://a/?b=1,2;3", Ok(())),
            ("~rule:a\nb", Err("belong to the cache")),
            ("~nothing", Err("belong to the cache")),
            ("~", Err("belong to the cache")),
            ("", Err("needs a name")),
            ("a b", Err("white space")),
            ("a,b", Err("percent-encoded")),
            ("a\0", Err("control characters")),
            (&*long, Err("at most 4096 bytes")),
        ] {
            let found = named(text);
            match (found, expected) {
                (Ok(tag), Ok(())) => assert_eq!(tag.as_str(), text),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{text}: {found}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }
}
