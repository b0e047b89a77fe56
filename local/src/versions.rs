//! The count of changes.

use tokio::sync::watch;

/// Numbers what changes, so that whoever follows the stand-in is told only what is new. Clones share one count.
#[derive(Clone, Debug)]
pub(crate) struct Versions(watch::Sender<u64>);

impl Default for Versions {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Versions {
    /// The version of a change that happens now.
    pub(crate) fn next(&self) -> u64 {
        self.0.send_modify(|version| *version += 1);
        *self.0.borrow()
    }

    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}
