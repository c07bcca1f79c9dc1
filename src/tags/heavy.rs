//! Which tags are named most often, of more than can be counted: Space-Saving (Metwally, Agrawal, El Abbadi 2005).
//!
//! A tag that is not among the counted takes the place of the least counted, and its count too. So a tag that is really
//! named often is always among them; its count may be too high, by no more than what the least counted has.

use std::collections::{BTreeMap, HashMap};

use crate::model::tag::Tag;

/// How many tags are counted.
const COUNTED: usize = 256;

/// The tags that are named most often, with how often.
#[derive(Debug, Default)]
pub(super) struct Heaviest {
    counts: HashMap<Tag, Place>,
    /// By their counts, the longest unnamed first.
    order: BTreeMap<Place, Tag>,
    named: u64,
}

/// A count, and when its tag was named last.
type Place = (u64, u64);

impl Heaviest {
    /// The tag is named once more.
    pub(super) fn note(&mut self, tag: &Tag) {
        self.named += 1;
        let count = match self.counts.get(tag) {
            Some(place) => {
                self.order.remove(place);
                place.0
            }
            None if self.counts.len() < COUNTED => 0,
            None => self.leave(),
        };
        let place = (count + 1, self.named);
        self.counts.insert(tag.clone(), place);
        self.order.insert(place, tag.clone());
    }

    /// The least counted leaves; its count.
    fn leave(&mut self) -> u64 {
        let Some(((count, _), tag)) = self.order.pop_first() else {
            return 0;
        };
        self.counts.remove(&tag);
        count
    }

    /// The tags with their counts, the most named first.
    pub(super) fn all(&self) -> Vec<(Tag, u64)> {
        let all = self.order.iter().rev();
        all.map(|((count, _), tag)| (tag.clone(), *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(n: usize) -> Tag {
        Tag::parse(&format!("T:{n}")).unwrap()
    }

    #[test]
    fn few_are_counted_exactly() {
        let mut heaviest = Heaviest::default();
        for n in [1, 2, 1, 3, 1, 2] {
            heaviest.note(&tag(n));
        }
        assert_eq!(heaviest.all(), [(tag(1), 3), (tag(2), 2), (tag(3), 1)]);
    }

    #[test]
    fn what_is_named_often_is_found_among_any_number_of_others() {
        let mut heaviest = Heaviest::default();
        let (often, others) = (1_000, 50_000);
        for n in 0..others {
            heaviest.note(&tag(n + 1));
            if n % (others / often) == 0 {
                heaviest.note(&tag(0));
            }
        }
        let all = heaviest.all();
        assert_eq!(
            (all.len(), heaviest.counts.len()),
            (COUNTED, COUNTED),
            "bounded"
        );
        let (first, count) = &all[0];
        assert_eq!(*first, tag(0));
        // No more than its share of all is too much.
        let too_many = (others + often) / COUNTED;
        let (least, most) = (often as u64, (often + too_many) as u64);
        assert!((least..=most).contains(count), "{count}");
    }
}
