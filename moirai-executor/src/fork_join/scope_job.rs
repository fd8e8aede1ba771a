//! The jobs of a scope, and where the shared_jobs finds it. Rule 10 of the [module](super).

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};

use super::frame::{CurrentFrame, Frame};
use crate::panics;

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send>;

/// The number of a scope that is not on the shared_jobs.
pub(crate) const NONE: usize = usize::MAX;

/// What is spawned in a scope. It is called with the scope's scope_ref.
pub(crate) struct HeapJob(pub(crate) Box<dyn FnOnce(ScopeRef) + Send>);

/// The part of a scope that the shared_jobs knows.
pub(crate) struct ScopeHeader {
    pub(crate) frame: Frame,
    /// Where the shared_jobs has it. Written under the shared_jobs's lock.
    pub(crate) number: AtomicUsize,
    /// How many of its jobs are on the shared_jobs. Written under the shared_jobs's lock.
    pub(crate) public: AtomicUsize,
}

/// Where a scope is, on the stack of its own thread.
#[derive(Clone, Copy)]
pub(crate) struct ScopeRef(pub(crate) *const ScopeHeader);

// SAFETY: it leads to a scope's header, which is `Sync`, and which is there until the scope's jobs have finished.
unsafe impl Send for ScopeRef {}

impl ScopeRef {
    /// The scope's frame.
    pub(crate) const fn frame(self) -> *const Frame {
        // SAFETY: who has a scope_ref has it for a job that has not finished, or is the scope's own thread.
        unsafe { &raw const (*self.0).frame }
    }

    /// What waits for the jobs.
    pub(crate) const fn identity(self) -> *const () {
        self.0.cast()
    }

    /// The scope's number on the shared_jobs, if it has one.
    pub(crate) fn number(self) -> Option<usize> {
        // SAFETY: as in `frame`.
        let number = unsafe { &(*self.0).number };
        // Ordering: Relaxed: under the lock; or asked by the scope's own thread when its closure has returned: a thread that has set
        // it since then ran a job that was public, so it was set before.
        Some(number.load(Ordering::Relaxed)).filter(|number| *number != NONE)
    }

    /// The shared_jobs has entered the scope. Under the lock.
    pub(crate) fn set_number(self, number: usize) {
        // SAFETY: as in `frame`.
        let scope_ref = unsafe { &(*self.0).number };
        // Ordering: Relaxed: see `number`.
        scope_ref.store(number, Ordering::Relaxed);
    }

    /// Says how many of the scope's jobs are on the shared_jobs. Under the lock.
    pub(crate) fn set_public(self, jobs: usize) {
        // SAFETY: as in `frame`.
        let public = unsafe { &(*self.0).public };
        // Ordering: Relaxed: a hint.
        public.store(jobs, Ordering::Relaxed);
    }

    /// Runs a job, or drops it if the task that called was cancelled. What its panic carried.
    pub(crate) fn run(self, at: &CurrentFrame, job: HeapJob) -> Option<Payload> {
        let frame = self.frame();
        // SAFETY: as in `frame`.
        if unsafe { &*frame }.is_cancelled() {
            let _ = panics::contain(|| drop(job));
            return None;
        }
        at.within(frame, || catch_unwind(AssertUnwindSafe(|| (job.0)(self)))).err()
    }
}

pub(crate) fn keep_first(first: &mut Option<Payload>, payload: Option<Payload>) {
    if first.is_none() {
        *first = payload;
    } else {
        forget_payload(payload);
    }
}

/// Drops what another panic carried, whose destructor may panic too.
pub(crate) fn forget_payload(payload: Option<Payload>) {
    let _ = panics::contain(|| drop(payload));
}
