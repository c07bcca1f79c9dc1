//! What a response changed that is to be stored itself.

use std::sync::Arc;

use crate::model::stamp::Stamp;
use crate::tags::cell::Cell;

/// What a response changed that is to be stored itself: as to these tags it is as new as its own change.
#[derive(Debug)]
pub struct Own {
    /// `None`: one of them had been changed by others since the app was asked.
    pub(super) stamp: Option<Stamp>,
    pub(super) cells: Vec<Arc<Cell>>,
}

impl Own {
    pub(super) fn changed(&self, cell: &Arc<Cell>) -> bool {
        self.cells.iter().any(|own| Arc::ptr_eq(own, cell))
    }
}
