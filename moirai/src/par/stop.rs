//! How a parallel iterator stops on all threads once its closure has panicked, or its task was asked to stop.

use std::any::Any;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use orx_parallel::ThreadPool;

use super::pool::{Here, Spawner};
use crate::{is_cancelled, join, scope};

/// The pool [`Here`] for one parallel iterator, whose threads stop early together.
#[derive(Debug, Default)]
pub(super) struct StoppingPool(Arc<Stop>);

/// Whether one parallel iterator is to stop, and why.
#[derive(Debug, Default)]
pub(super) struct Stop {
    is_set: AtomicBool,
    /// The payload of the first thread that has unwound.
    payload: Mutex<Option<Box<dyn Any + Send>>>,
}

/// The payload of a thread that stops because of what happened elsewhere. Nobody sees it.
struct Stopped;

impl Stop {
    /// Unwinds if the iterator is to stop. It is called before each chunk.
    pub(super) fn check(&self) {
        // Ordering: Relaxed: a hint. The payload is under a lock.
        if self.is_set.load(Ordering::Relaxed) {
            resume_unwind(Box::new(Stopped));
        }
        if is_cancelled() {
            // It unwinds with what makes the task end as cancelled, unless the work has to go on, as in a destructor.
            join(|| (), || ());
        }
    }

    /// Runs one thread's part of the iterator, and notes how it ends.
    fn run(&self, work: impl FnOnce()) {
        let Err(payload) = catch_unwind(AssertUnwindSafe(work)) else { return };
        if !payload.is::<Stopped>() {
            let mut first = self.payload.lock().unwrap_or_else(PoisonError::into_inner);
            if first.is_none() {
                *first = Some(payload);
            } else {
                drop(first);
                // Its destructor may panic.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(payload))).map_err(std::mem::forget);
            }
        }
        // Ordering: Relaxed: as in `check`.
        self.is_set.store(true, Ordering::Relaxed);
    }

    /// Unwinds if a thread has, when all have ended. The iterator must not go on, because elements are missing.
    fn end(&self) {
        let payload = self.payload.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(payload) = payload {
            resume_unwind(payload);
        }
    }
}

impl StoppingPool {
    pub(super) fn stop(&self) -> Arc<Stop> {
        Arc::clone(&self.0)
    }
}

impl ThreadPool for StoppingPool {
    type ScopeRef<'s, 'env, 'scope>
        = Spawner<'s, 'scope>
    where
        'scope: 's,
        'env: 'scope + 's;

    fn scope<'env, 'scope, F>(&'env self, f: F)
    where
        'env: 'scope,
        for<'s> F: FnOnce(Spawner<'s, 'scope>) + Send,
    {
        let stop: &'env Stop = &self.0;
        scope(|s| f(Spawner(&|work| s.spawn(move |_| stop.run(work)))));
        stop.end();
    }

    fn max_num_threads(&self) -> NonZeroUsize {
        Here.max_num_threads()
    }
}
