//! What a thread has of its fork-join work: the halves in its frames, and where it is.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::thread;

use super::frame::{CurrentFrame, Frame};
use super::host::Host;
use super::latch::{Latch, WaitState};
use super::shared_jobs::{SharedJobs, StolenJob};
use super::stack_job::{JobHeader, StackJob};
use crate::panics;

/// A thread's part of the fork-join work of one executor.
pub(crate) struct LocalJobs {
    /// Where the thread is; null outside of fork-join work.
    frame: CurrentFrame,
    /// The newest job in its frames. The sentinel of the list, if there is none.
    newest: Cell<*const JobHeader>,
    /// The newest job that is not private, which has no private one before it (rule 5); or the sentinel of the list.
    newest_public: Cell<*const JobHeader>,
    sentinel: JobHeader,
    /// Whether the thread counts as a is_external (rule 7).
    is_external: Cell<bool>,
}

impl LocalJobs {
    pub(crate) fn new() -> Self {
        Self {
            frame: CurrentFrame::none(),
            newest: Cell::new(ptr::null()),
            newest_public: Cell::new(ptr::null()),
            sentinel: JobHeader::sentinel(),
            is_external: Cell::new(false),
        }
    }

    /// Makes it ready; from here on it must not move.
    pub(crate) fn pin_in_place(&self) {
        self.newest.set(&raw const self.sentinel);
        self.newest_public.set(&raw const self.sentinel);
    }

    /// Where the thread is.
    #[inline]
    pub(crate) const fn frame(&self) -> &CurrentFrame {
        &self.frame
    }

    /// Calls `f`, which is called from outside of fork-join work. `is_external`: the thread has no seat.
    pub(crate) fn enter_root<R>(
        &self,
        shared_jobs: &SharedJobs,
        frame: &Frame,
        is_external: bool,
        f: impl FnOnce() -> R,
    ) -> R {
        struct LeaveRoot<'a>(&'a LocalJobs, &'a SharedJobs);
        impl Drop for LeaveRoot<'_> {
            fn drop(&mut self) {
                self.0.is_external.set(false);
                self.1.remove_external_thread();
            }
        }
        let _leave = (is_external && !self.is_external.replace(true)).then(|| {
            shared_jobs.add_external_thread();
            LeaveRoot(self, shared_jobs)
        });
        self.frame.within(frame, f)
    }

    /// Both results; the closures may run in parallel. The thread is inside of fork-join work.
    #[inline]
    pub(crate) fn join<A, B, RA, RB>(&self, host: &impl Host, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA,
        B: FnOnce() -> RB + Send,
        RB: Send,
    {
        if self.frame.is_cancelled() {
            return self.frame.run_despite_cancel(|| self.join(host, a, b));
        }
        let job = StackJob::new(self.frame.get(), b);
        let header = job.header();
        // From the whole, and not from the job alone: who runs it needs the rest as well.
        self.push((&raw const job).cast());
        if host.shared_jobs().wants_jobs() || !self.has_public() {
            self.publish(host);
        }
        // Rule 4: from the push to the recovery nothing unwinds.
        let first = catch_unwind(AssertUnwindSafe(a));
        let back = self.recover(host, header);
        match first {
            Ok(ra) if back => {
                // SAFETY: the job is the owner's again, and was not run.
                let b = unsafe { job.take_closure() };
                (ra, b())
            }
            first => Self::finish_slow(first, &job, back),
        }
    }

    /// The ends of a `join` that are rare: the job closure ran elsewhere, or the first has panicked.
    #[cold]
    fn finish_slow<B, RA, RB>(
        first: thread::Result<RA>,
        job: &StackJob<B, RB>,
        back: bool,
    ) -> (RA, RB)
    where
        B: FnOnce() -> RB + Send,
        RB: Send,
    {
        let result = if back {
            // SAFETY: the job is the owner's again, and was not run.
            let b = unsafe { job.take_closure() };
            catch_unwind(AssertUnwindSafe(b))
        } else {
            // SAFETY: `recover` has seen that it is done.
            unsafe { job.take_result() }
        };
        match (first, result) {
            (Ok(ra), Ok(rb)) => (ra, rb),
            (Ok(ra), Err(payload)) => {
                let _ = panics::contain(|| drop(ra));
                resume_unwind(payload)
            }
            (Err(payload), rest) => {
                let _ = panics::contain(|| drop(rest));
                resume_unwind(payload)
            }
        }
    }

    /// Enters a job of the calling frame into the list.
    #[inline]
    fn push(&self, job: *const JobHeader) {
        let newest = self.newest.get();
        // SAFETY: it is in the calling frame.
        unsafe { &*job }.prev().set(newest);
        // SAFETY: the list holds halves of frames that are still there, and its own sentinel.
        unsafe { &*newest }.next().set(job);
        self.newest.set(job);
    }

    /// Whether one of its halves is on the shared_jobs.
    #[inline]
    fn has_public(&self) -> bool {
        // SAFETY: as in `push`. The prev ones are taken first.
        unsafe { &*self.newest_public.get() }.is_public()
    }

    /// Takes the newest job off the list; says whether the caller is to run it. Otherwise it is done.
    #[inline]
    fn recover(&self, host: &impl Host, job: &JobHeader) -> bool {
        debug_assert!(ptr::eq(self.newest.get(), job), "halves come back in reverse order");
        if job.is_private() {
            self.newest.set(job.prev().get());
            return true;
        }
        self.recover_public(host, job)
    }

    #[cold]
    #[inline(never)]
    fn recover_public(&self, host: &impl Host, job: &JobHeader) -> bool {
        let back = host.shared_jobs().take_back(job, host.idle());
        if !back {
            self.wait(host, job);
        }
        self.newest.set(job.prev().get());
        self.newest_public.set(job.prev().get());
        #[cfg(moirai_loom)]
        job.retire();
        back
    }

    /// Makes private halves public, oldest first, until the shared_jobs has enough. Rule 5.
    #[cold]
    #[inline(never)]
    fn publish(&self, host: &impl Host) {
        let at_least = usize::from(!self.has_public());
        let invites = host.shared_jobs().publish(host.idle(), at_least, || {
            let newest_public = self.newest_public.get();
            if ptr::eq(newest_public, self.newest.get()) {
                return None;
            }
            // SAFETY: as in `push`. It is not the newest, so there is a next one.
            let job = unsafe { &*newest_public }.next().get();
            self.newest_public.set(job);
            Some(job)
        });
        if host.simulated_choice(2) == Some(1) {
            // The job closure goes first, as if a thief had come at once. It is safe to run here: nothing of the first has run, and
            // the caller waits for both.
            // SAFETY: the newest job is in the calling frame.
            let newest = unsafe { &*self.newest.get() };
            if let Some(piece) = host.shared_jobs().take_job(newest, host.idle()) {
                piece.run(&self.frame, host.shared_jobs(), || host.idle());
            }
        } else if invites {
            host.invite();
        }
    }

    /// Waits for a job that was taken. Rule 6.
    fn wait(&self, host: &impl Host, job: &JobHeader) {
        let mut wait = WaitState::new();
        while !job.is_done() {
            self.wait_step(host, job, job.identity(), &mut wait);
        }
    }

    /// Does what a wait does as long as the latch has not is_set: runs a piece below what is waited for, or looks again in a
    /// moment, or sleeps.
    pub(crate) fn wait_step(
        &self,
        host: &impl Host,
        latch: &impl Latch,
        below: *const (),
        wait: &mut WaitState,
    ) {
        if let Some(piece) = host.shared_jobs().take_descendant(below, host.idle(), &mut wait.seen)
        {
            piece.run(&self.frame, host.shared_jobs(), || host.idle());
            *wait = WaitState::new();
        } else if wait.keeps_spinning() {
            thread::yield_now();
        } else if wait.hand_off {
            // A is_external that sleeps does not count.
            let is_external = self.is_external.get();
            if is_external {
                host.shared_jobs().remove_external_thread();
                // Its core is free now for a worker that was not invited because of it.
                if host.shared_jobs().has_more_for(host.idle()) {
                    host.invite();
                }
            }
            host.hand_off_and_park(latch);
            if is_external {
                host.shared_jobs().add_external_thread();
            }
        } else {
            // If there is work it may be below: once more, then.
            wait.hand_off = !host.park_on_core(latch);
            wait.seen = None;
        }
    }

    /// Runs a piece for whoever has nothing else to do.
    pub(crate) fn run(&self, piece: StolenJob, host: &impl Host) {
        piece.run(&self.frame, host.shared_jobs(), || host.idle());
    }
}
