//! What the models share. In place of what a thread does before it releases another, it makes a relaxed store, which the other must
//! then see by a relaxed load: loom returns the old value wherever the orderings allow it. A wake-up that is lost becomes a
//! deadlock, which loom reports.

use moirai_core::shim::sync::Arc;
use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Explores a scenario with at most three preemptions, unless `LOOM_MAX_PREEMPTIONS` sets another number.
pub(crate) fn explore(scenario: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(scenario);
}

/// What a thread does before it releases another, and what must be visible to the other.
#[derive(Clone)]
pub(crate) struct Work(Arc<AtomicUsize>);

impl Work {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(0)))
    }

    pub(crate) fn done(&self) {
        self.0.store(1, Ordering::Relaxed);
    }

    pub(crate) fn is_done(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 1
    }
}

/// Polls a future once, with a waker that does nothing.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}
