//! The executors of the process, for dumps of all of them.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::runtime::shared::Shared;

static EXECUTORS: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

/// Notes an executor that has started. It is not kept alive.
pub(crate) fn add(shared: &Arc<Shared>) {
    let mut executors = EXECUTORS.lock();
    executors.retain(|executor| executor.strong_count() > 0);
    executors.push(Arc::downgrade(shared));
}

/// Returns the executors that there are, in the order of their starts.
pub(crate) fn all() -> Vec<Arc<Shared>> {
    EXECUTORS.lock().iter().filter_map(Weak::upgrade).collect()
}
