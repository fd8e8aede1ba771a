//! The names of a pool's threads.

use std::sync::Arc;

use moirai::ThreadKind;
use parking_lot::Mutex;

/// Names a worker by its index.
pub(crate) type NameWorker = dyn FnMut(usize) -> String;

/// What names the workers, and the names that it has given.
pub(crate) struct Names {
    name: Option<Box<NameWorker>>,
    given: Given,
}

/// Names that were given, by worker.
#[derive(Clone, Default)]
pub(crate) struct Given(Arc<Mutex<Vec<String>>>);

impl Names {
    pub(crate) fn new(name: Option<Box<NameWorker>>) -> Self {
        Self { name, given: Given::default() }
    }

    /// Whether anything names the workers.
    pub(crate) fn are_given(&self) -> bool {
        self.name.is_some()
    }

    /// The names that were given, and those that will be.
    pub(crate) fn given(&self) -> Given {
        self.given.clone()
    }

    /// Names a worker. It is called once for each, in order.
    pub(crate) fn name(&mut self, worker: usize) -> Option<String> {
        let name = self.name.as_mut()?(worker);
        self.given.0.lock().push(name.clone());
        Some(name)
    }
}

impl Given {
    /// The name of a thread. One that takes the place of a worker that waits has the name of some worker.
    pub(crate) fn of(&self, kind: ThreadKind, number: usize) -> String {
        let given = self.0.lock();
        let like = match kind {
            ThreadKind::Worker => number,
            _ => number.saturating_sub(1),
        };
        let known = like.checked_rem(given.len()).and_then(|like| given.get(like));
        known.map_or_else(|| format!("{kind}-{number}"), Clone::clone)
    }
}
