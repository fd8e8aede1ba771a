//! A thread's own fork-join work: the list of the jobs in its stack frames, and the frame that it is in.

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

/// The fork-join work of one thread on one executor.
pub(crate) struct LocalJobs {
    /// The frame that the thread is in; null outside of fork-join work.
    frame: CurrentFrame,
    /// The newest job in the thread's stack frames, or the sentinel if there is none.
    newest: Cell<*const JobHeader>,
    /// The newest job that is not private, or the sentinel. No job older than it is private (rule 5).
    newest_public: Cell<*const JobHeader>,
    sentinel: JobHeader,
    /// Whether the thread counts as an external thread (rule 7).
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

    /// Links the list to its own sentinel. From here on it must not move.
    pub(crate) fn pin_in_place(&self) {
        self.newest.set(&raw const self.sentinel);
        self.newest_public.set(&raw const self.sentinel);
    }

    /// The frame that the thread is in.
    #[inline]
    pub(crate) const fn frame(&self) -> &CurrentFrame {
        &self.frame
    }

    /// Calls `f` from outside of fork-join work, in the frame of that call. `is_external` says that the thread holds no core.
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

    /// Calls both closures, perhaps in parallel, and returns both results. The thread must be inside of fork-join work.
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
        // The pointer is made from the whole job, and not from its header, because the thread that runs it needs the rest as well.
        self.push((&raw const job).cast());
        if host.shared_jobs().wants_jobs() || !self.has_public() {
            self.publish(host);
        }
        // From the push to the recovery nothing unwinds (rule 4).
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

    /// Ends a `join` in the rare cases: the second closure ran elsewhere, or the first has panicked.
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
            // SAFETY: `recover` has seen that the job is done, and this is the only place that takes its result.
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

    /// Appends a job of the calling frame to the list.
    #[inline]
    fn push(&self, job: *const JobHeader) {
        let newest = self.newest.get();
        // SAFETY: the job is in the calling frame.
        unsafe { &*job }.prev().set(newest);
        // SAFETY: the list holds its own sentinel, and jobs of frames that are still on the stack.
        unsafe { &*newest }.next().set(job);
        self.newest.set(job);
    }

    /// Returns whether one of the thread's jobs is in the shared jobs.
    #[inline]
    fn has_public(&self) -> bool {
        // SAFETY: as in `push`. Thieves take the oldest first, so if the newest public job was taken, all were.
        unsafe { &*self.newest_public.get() }.is_public()
    }

    /// Removes the newest job from the list. Returns `true` if the caller must run it, and `false` if another thread has run it.
    #[inline]
    fn recover(&self, host: &impl Host, job: &JobHeader) -> bool {
        debug_assert!(ptr::eq(self.newest.get(), job), "jobs are taken back in reverse order");
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

    /// Publishes private jobs, oldest first, until the shared jobs have enough (rule 5).
    #[cold]
    #[inline(never)]
    fn publish(&self, host: &impl Host) {
        let at_least = usize::from(!self.has_public());
        let invites = host.shared_jobs().publish(host.idle(), at_least, || {
            let newest_public = self.newest_public.get();
            if ptr::eq(newest_public, self.newest.get()) {
                return None;
            }
            // SAFETY: as in `push`. The job is not the newest, so there is a newer one.
            let job = unsafe { &*newest_public }.next().get();
            self.newest_public.set(job);
            Some(job)
        });
        if host.simulated_choice(2) == Some(1) {
            // Runs the second closure first, as if a thief had come at once. That is safe here: nothing of the first has run, and
            // the caller waits for both.
            // SAFETY: the newest job is in the calling frame.
            let newest = unsafe { &*self.newest.get() };
            if let Some(stolen) = host.shared_jobs().take_job(newest, host.idle()) {
                stolen.run(&self.frame, host.shared_jobs(), || host.idle());
            }
        } else if invites {
            host.invite();
        }
    }

    /// Waits for a job that another thread has taken (rule 6).
    fn wait(&self, host: &impl Host, job: &JobHeader) {
        let mut wait = WaitState::new();
        while !job.is_done() {
            self.wait_step(host, job, job.identity(), &mut wait);
        }
    }

    /// Takes one step of a wait for `latch`, which is not set: runs a descendant of what is waited for as `below`, or yields, or
    /// sleeps.
    pub(crate) fn wait_step(
        &self,
        host: &impl Host,
        latch: &impl Latch,
        below: *const (),
        wait: &mut WaitState,
    ) {
        if let Some(stolen) = host.shared_jobs().take_descendant(below, host.idle(), &mut wait.seen)
        {
            stolen.run(&self.frame, host.shared_jobs(), || host.idle());
            *wait = WaitState::new();
        } else if wait.keeps_spinning() {
            thread::yield_now();
        } else if wait.hand_off {
            // A thread that sleeps uses no processor, so it no longer counts as one that works.
            let is_external = self.is_external.get();
            if is_external {
                host.shared_jobs().remove_external_thread();
                // The processor that it used is free for a worker that was not invited because of it.
                if host.shared_jobs().has_more_for(host.idle()) {
                    host.invite();
                }
            }
            host.hand_off_and_park(latch);
            if is_external {
                host.shared_jobs().add_external_thread();
            }
        } else {
            // There may be new work, some of it a descendant, so the next step looks again.
            wait.hand_off = !host.park_on_core(latch);
            wait.seen = None;
        }
    }

    /// Runs a stolen job on a thread that has nothing else to do.
    pub(crate) fn run(&self, stolen: StolenJob, host: &impl Host) {
        stolen.run(&self.frame, host.shared_jobs(), || host.idle());
    }
}
