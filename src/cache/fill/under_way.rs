//! How many fills run, and how long each has taken.

use crate::cache::Cache;
use crate::clock::Anchor;
use crate::metrics::Held;
use crate::metrics::Timing;

/// A fill that has begun. Dropped, it has ended: whoever learns of its end finds it counted if it is dropped before that.
#[derive(Debug)]
pub(super) struct UnderWay {
    began: Anchor,
    took: Timing,
    _one: Held,
}

impl UnderWay {
    pub(super) fn begin(cache: &Cache) -> UnderWay {
        let metrics = &cache.0.metrics;
        UnderWay {
            began: cache.anchor(),
            took: metrics.fill_duration.clone(),
            _one: metrics.fills_in_flight.hold(),
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.took.add(self.began.elapsed());
    }
}
