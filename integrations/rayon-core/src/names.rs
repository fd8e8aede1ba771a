//! The names of a pool's threads.

use std::sync::Arc;

use moirai::ThreadKind;

/// Names a worker by its index.
pub(crate) type NameWorker = dyn FnMut(usize) -> String;

/// The names that a program has given to its workers, by index.
#[derive(Clone)]
pub(crate) struct Names(Arc<[String]>);

impl Names {
    pub(crate) fn given_by(name: Box<NameWorker>, workers: usize) -> Self {
        Self((0..workers).map(name).collect())
    }

    /// The name of a thread. One that takes the place of a worker that waits has the name of some worker.
    pub(crate) fn of(&self, kind: ThreadKind, number: usize) -> String {
        let like = match kind {
            ThreadKind::Worker => number,
            _ => number.saturating_sub(1),
        };
        let known = like.checked_rem(self.0.len()).and_then(|like| self.0.get(like));
        known.map_or_else(|| format!("{kind}-{number}"), Clone::clone)
    }
}
