//! What a response changed that is to be stored itself.

use crate::model::stamp::Stamp;
use crate::tags::cell::Held;

/// What a response changed that is to be stored itself: as to these tags it is as new as its own change.
#[derive(Debug)]
pub struct Own {
    /// `None`: one of them had been changed by others since the app was asked.
    pub(super) stamp: Option<Stamp>,
    pub(super) cells: Vec<Held>,
}

impl Own {
    pub(super) fn changed(&self, cell: &Held) -> bool {
        self.cells.iter().any(|own| Held::ptr_eq(own, cell))
    }
}
