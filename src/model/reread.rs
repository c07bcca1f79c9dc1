//! Files that can be read again while the sidecar runs.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::model::mistake::Mistake;
use crate::model::time::Timestamp;

/// How it went with reading the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reread {
    /// When.
    pub at: Timestamp,
    /// What is wrong with them; nothing: what they say is in force.
    pub mistakes: Arc<[Mistake]>,
}

/// Who reads the files.
pub trait Files: fmt::Debug + Send + Sync {
    /// How it went the last time. Waits for nothing.
    fn last(&self) -> Reread;

    /// Reads them now, whether or not they have changed. `None`: it is being stopped.
    fn reread(&self) -> Pin<Box<dyn Future<Output = Option<Reread>> + Send>>;
}
