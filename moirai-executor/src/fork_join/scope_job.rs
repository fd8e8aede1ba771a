//! The jobs of a scope, and the part of a scope that the shared jobs know (rule 10 of the [module](super)).

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::Mutex;
use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};

use super::frame::{CurrentFrame, Frame};

/// The payload of a panic.
pub(crate) type Payload = Box<dyn Any + Send>;

/// The number of a scope that is not entered in the shared jobs.
pub(crate) const NONE: usize = usize::MAX;

/// A closure that was spawned in a scope. It is called with a reference to its scope.
pub(crate) struct HeapJob(pub(crate) Box<dyn FnOnce(ScopeRef) + Send>);

/// The part of a scope that the shared jobs know.
pub(crate) struct ScopeHeader {
    pub(crate) frame: Frame,
    /// The scope's index in the shared jobs, or [`NONE`]. Written under their lock.
    pub(crate) number: AtomicUsize,
    /// The number of its jobs in the shared jobs. Written under their lock.
    pub(crate) public: AtomicUsize,
    /// The number of its jobs that were made public and have not finished. Written under their lock.
    pub(crate) unfinished: AtomicUsize,
    /// The private jobs, oldest first (rule 11). On cache lines of its own: the scope's thread writes to it for every job, and thieves
    /// use the rest of the header for every job.
    pub(crate) own: CachePadded<Mutex<VecDeque<HeapJob>>>,
}

/// Checks in debug builds that a scope does not end before its jobs (rule 10).
#[cfg(all(debug_assertions, not(moirai_loom)))]
impl Drop for ScopeHeader {
    fn drop(&mut self) {
        let left = *self.public.get_mut() + self.own.get_mut().len();
        assert!(left == 0 || std::thread::panicking(), "a scope ends before its jobs");
    }
}

/// A pointer to a scope, on the stack of the scope's own thread.
#[derive(Clone, Copy)]
pub(crate) struct ScopeRef(pub(crate) *const ScopeHeader);

// SAFETY: it leads to a scope's header, which is `Sync`, and which stays there until the scope's jobs have finished.
unsafe impl Send for ScopeRef {}

impl ScopeRef {
    /// The scope's frame.
    pub(crate) const fn frame(self) -> *const Frame {
        // SAFETY: a `ScopeRef` is held by a job that has not finished, or by the scope's own thread, so the scope is alive.
        unsafe { &raw const (*self.0).frame }
    }

    /// What the scope's jobs are waited for as.
    pub(crate) const fn identity(self) -> *const () {
        self.0.cast()
    }

    /// The scope's index in the shared jobs, if it has been entered there.
    pub(crate) fn number(self) -> Option<usize> {
        // SAFETY: the scope is alive, as in `frame`.
        let number = unsafe { &(*self.0).number };
        // Ordering: Relaxed: either the caller holds the lock, or it is the scope's own thread after its closure has returned.
        // Other threads set the number only in work that the closure waited for, or in a public job, and no job is public before
        // the number is set.
        Some(number.load(Ordering::Relaxed)).filter(|number| *number != NONE)
    }

    /// Notes that the scope is entered in the shared jobs. The caller holds their lock.
    pub(crate) fn set_number(self, number: usize) {
        // SAFETY: the scope is alive, as in `frame`.
        let scope_ref = unsafe { &(*self.0).number };
        // Ordering: Relaxed: see `number`.
        scope_ref.store(number, Ordering::Relaxed);
    }

    /// Sets the number of the scope's jobs in the shared jobs. The caller holds their lock, and calls
    /// [`take_older_half`](Self::take_older_half) after it has set zero (rule 11).
    pub(crate) fn set_public(self, jobs: usize) {
        // SAFETY: the scope is alive, as in `frame`.
        let public = unsafe { &(*self.0).public };
        // Ordering: Relaxed: a hint. That it is zero is ordered by the lock of the scope's own queue (rule 11).
        public.store(jobs, Ordering::Relaxed);
    }

    /// Sets the number of the scope's jobs that were made public and have not finished. The caller holds the lock of the shared jobs.
    pub(crate) fn set_unfinished(self, jobs: usize) {
        // SAFETY: the scope is alive, as in `frame`: its thread has to take the lock before it may leave.
        let unfinished = unsafe { &(*self.0).unfinished };
        // Ordering: Relaxed: a hint. That all have finished is read under the lock.
        unfinished.store(jobs, Ordering::Relaxed);
    }

    /// Moves the older half of the private jobs to `public` (rule 11). The caller holds the lock of the shared jobs.
    pub(crate) fn take_older_half(self, public: &mut VecDeque<HeapJob>) {
        // SAFETY: the scope is alive, as in `frame`.
        let own = unsafe { &(*self.0).own };
        let mut own = own.lock();
        let older = own.len().div_ceil(2);
        public.extend(own.drain(..older));
    }

    /// Runs a job, or drops it if the task that called was cancelled. Returns the payload of its panic.
    pub(crate) fn run(self, at: &CurrentFrame, job: HeapJob) -> Option<Payload> {
        let frame = self.frame();
        // SAFETY: the scope is alive, as in `frame`.
        if unsafe { &*frame }.is_cancelled() {
            at.within(frame, || at.drop_left(job));
            return None;
        }
        at.within(frame, || catch_unwind(AssertUnwindSafe(|| (job.0)(self)))).err()
    }
}

/// Stores `payload` if it is the first, and drops it otherwise.
pub(crate) fn keep_first(at: &CurrentFrame, first: &mut Option<Payload>, payload: Option<Payload>) {
    if first.is_none() {
        *first = payload;
    } else if payload.is_some() {
        at.drop_left(payload);
    }
}
