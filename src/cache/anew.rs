//! What an operator wants fetched again now, fresh or not. What is stored stays of use until it is replaced, and failing to replace
//! it makes nothing fresh (L5). Nobody's credentials or fields are kept, so what depends on them is left to requests (L12).

use std::sync::Arc;

use http::Request;
use tokio::sync::oneshot;

use crate::cache::Cache;
use crate::cache::Fill;
use crate::cache::ListError;
use crate::cache::MOST_LISTED;
use crate::cache::Spare;
use crate::cache::Stored;
use crate::cache::errand::Aim;
use crate::cache::errand::Errand;
use crate::cache::recipe::for_nobody;
use crate::cache::stored::Slot;
use crate::cache::variants::Found;
use crate::model::key::BaseKey;
use crate::model::key::Variant;
use crate::model::outcome::Forward;
use crate::model::request::Head;
use crate::model::tag::Tag;
use crate::rules::Matched;
use crate::rules::Plan;
use crate::rules::RuleSet;

/// The right to fetch a response again now.
#[derive(Debug)]
pub struct Anew {
    cache: Cache,
    base: BaseKey,
    /// Where it lies, or would, as far as is known.
    variant: Variant,
    matched: Matched,
    head: Arc<Head>,
}

/// What is to be fetched again.
#[derive(Debug, Default)]
pub struct AllAnew {
    /// Each of it.
    pub anew: Vec<Anew>,
    /// How many cannot be fetched without somebody's credentials or fields, or are not stored by the rules in force.
    pub skipped: usize,
    /// Where to go on, if there is more.
    pub cursor: Option<String>,
}

impl Cache {
    /// What a request with this head is answered with, whether or not it is stored.
    pub fn anew(&self, rules: &RuleSet, head: Head) -> AllAnew {
        let anew = self.planned(rules, head);
        AllAnew {
            skipped: usize::from(anew.is_none()),
            anew: anew.into_iter().collect(),
            cursor: None,
        }
    }

    /// What memory has that carries one of these tags, `limit` responses at most, by the rules in force.
    ///
    /// # Errors
    ///
    /// [`ListError::Cursor`].
    pub async fn anew_with(
        &self,
        rules: &RuleSet,
        tags: Vec<Tag>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<AllAnew, ListError> {
        let after = match cursor {
            Some(text) => Some(Variant::from_hex(text).ok_or(ListError::Cursor)?),
            None => None,
        };
        let limit = limit.clamp(1, MOST_LISTED);
        let carries = move |stored: &Stored| stored.tags().any(|(tag, _)| tags.contains(tag));
        let (some, more) = self.some_here(after, limit, carries).await;
        let last = some.last().map(|stored| stored.variant.to_string());
        let mut all = AllAnew {
            cursor: last.filter(|_| more),
            ..AllAnew::default()
        };
        for stored in some {
            match self.anew_of(rules, &stored) {
                Some(anew) => all.anew.push(anew),
                None => all.skipped += 1,
            }
        }
        Ok(all)
    }

    fn anew_of(&self, rules: &RuleSet, stored: &Arc<Stored>) -> Option<Anew> {
        if let Some(recipe) = stored.recipe() {
            return Some(Anew {
                cache: self.clone(),
                base: recipe.base,
                variant: stored.variant,
                matched: recipe.matched_by(rules, self.now())?,
                head: Arc::clone(&recipe.head),
            });
        }
        // A bare GET, if this is where its answer lies.
        let uri = stored.tags().find_map(|(tag, _)| tag.whole_uri())?;
        let anew = self.planned(rules, bare(uri)?);
        anew.filter(|anew| anew.variant == stored.variant) // which holds the key
    }

    /// What a request with this head is answered with; `None` if it is not looked up.
    fn planned(&self, rules: &RuleSet, head: Head) -> Option<Anew> {
        let Plan::Lookup(query) = rules.plan(&head, self.now()) else {
            return None;
        };
        let matched = for_nobody(query.matched(&head));
        matched.tags.as_ref().ok()?; // what came would not be stored
        let variant = match self.look(query.base, &head) {
            Found::Nothing(variant)
            | Found::OtherVariants(variant)
            | Found::Stored(variant, _)
            | Found::InLanguage(variant, _) => variant,
        };
        Some(Anew {
            cache: self.clone(),
            base: query.base,
            variant,
            matched,
            head: Arc::new(head),
        })
    }
}

impl Anew {
    /// The fill that brings it, joined to nobody's: one that is under way may have asked the app before. And who is told when what
    /// it has brought is in the store.
    pub fn begin(self) -> (Box<Fill>, oneshot::Receiver<()>) {
        let Anew {
            cache,
            base,
            variant,
            matched,
            head,
        } = self;
        let there = cache.0.store.peek(&variant);
        let there = there.as_ref().and_then(Slot::entry);
        let spare = there.map(|stored| Spare::of(&matched.rule, Arc::clone(stored)));
        let errand = match spare {
            Some(spare) => Errand::again(variant, spare),
            None => Errand {
                variant,
                why: Forward::Request,
                aim: Aim::Whole,
                stored: None,
                spare: None,
                shadowed: None,
            },
        };
        let mut flights = cache.0.fills.lock();
        let (mut fill, _nobody) = Fill::begin(&cache, base, matched, &head, errand);
        fill.insist();
        let admitted = fill.tell_when_admitted();
        fill.take_off(&mut flights);
        drop(flights);
        (fill, admitted)
    }
}

/// A GET of an absolute URI that says nothing else.
fn bare(uri: &str) -> Option<Head> {
    let (scheme, rest) = uri.split_once("://")?;
    let scheme = match scheme {
        "http" => "http",
        "https" => "https",
        _ => return None,
    };
    let host = rest.split(['/', '?']).next()?;
    let target = rest.strip_prefix(host)?;
    let request = Request::get(target).header(http::header::HOST, host);
    Head::new(request.body(()).ok()?.into_parts().0, scheme).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_get_is_of_the_uri_that_it_was_made_of() {
        for uri in [
            "http://shop.example/a?x=1&x=",
            "https://shop.example:8443/a%2Fb/../c",
            "http://[::1]:80/",
        ] {
            let head = bare(uri).expect(uri);
            let expected = uri.replace(":80/", "/");
            assert_eq!(head.absolute_uri(), expected);
            assert_eq!(head.headers().len(), 1, "its host alone");
        }
        for uri in ["", "/a", "ftp://a/b", "http://a b/c", "http://"] {
            assert!(bare(uri).is_none(), "{uri}");
        }
    }
}
