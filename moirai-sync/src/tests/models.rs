//! The models. What a thread did before it released another is stood for by a relaxed store, which the other must then see
//! by a relaxed load: loom shows it the old value wherever the orderings allow that. A lost wake-up is a deadlock.

use moirai_core::shim::sync::Arc;
use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Explores a scenario with at most three preemptions, unless `LOOM_MAX_PREEMPTIONS` says otherwise.
pub(crate) fn explore(scenario: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(scenario);
}

/// What was done before a release, and must be visible after it.
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

/// Polls once, for nobody.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}
