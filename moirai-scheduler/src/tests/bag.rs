//! The weakest scheduler that keeps the contract, for models of what is built around schedulers.
//!
//! It has no fence and no lock of its own, so the fences around it have to do everything that the contract says they do.

use moirai_core::shim::sync::Arc;
use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};
use moirai_core::{LocalQueue, Priority, QueueReason, Scheduler, Visibility};

/// The number of tokens that fit.
const CAPACITY: usize = if cfg!(moirai_loom) { 3 } else { 64 };

/// Contains the tokens 1 to [`CAPACITY`], each once in its life, in no order.
#[derive(Clone)]
pub(crate) struct Bag(Arc<[AtomicUsize; CAPACITY]>);

impl Bag {
    pub(crate) fn new() -> Self {
        Self(Arc::new(std::array::from_fn(|_| AtomicUsize::new(0))))
    }
}

impl Scheduler<usize> for Bag {
    type Local = Self;

    fn start(&self, workers: usize) -> Vec<Self> {
        vec![self.clone(); workers]
    }

    fn push(&self, token: usize, _: Priority) -> Visibility {
        // Ordering: Release pairs with the Acquire swap in `take`.
        self.0[token - 1].store(token, Ordering::Release);
        Visibility::Shared
    }

    fn take(&self) -> Option<usize> {
        self.0.iter().find_map(|place| {
            // Ordering: Relaxed, and so free to miss a push that no fence orders before it.
            if place.load(Ordering::Relaxed) == 0 {
                return None;
            }
            // Ordering: Acquire pairs with the Release store in `push`.
            match place.swap(0, Ordering::Acquire) {
                0 => None,
                token => Some(token),
            }
        })
    }

    fn len(&self) -> usize {
        let full = |place: &&AtomicUsize| place.load(Ordering::Relaxed) != 0;
        self.0.iter().filter(full).count()
    }
}

impl LocalQueue<usize> for Bag {
    fn push(&mut self, token: usize, priority: Priority, _: QueueReason) -> Visibility {
        Scheduler::push(self, token, priority)
    }

    fn pop(&mut self) -> Option<usize> {
        self.take()
    }
}
