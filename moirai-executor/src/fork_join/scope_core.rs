//! A scope without its lifetimes, on any host (rule 10 of the [module](super)).

use std::collections::VecDeque;
use std::mem::offset_of;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::thread;

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::Mutex;
use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};
use moirai_sync::Unparker;

use super::frame::Frame;
use super::host::{Host, Invitation};
use super::latch::Latch;
use super::local_jobs::LocalJobs;
use super::scope_job::{HeapJob, NONE, Payload, ScopeHeader, ScopeRef, keep_first};
use super::scope_work::Progress;
use super::shared_jobs::SharedJobs;
use super::wait::{WaitState, wait_step};
use crate::panics::{AbortOnUnwind, cancelled};

/// A scope, apart from its lifetimes.
// The header comes first, so that a pointer to the scope is a pointer to its header and back.
#[repr(C)]
pub(crate) struct ScopeCore<H> {
    pub(crate) header: ScopeHeader,
    /// The jobs of the scope's own thread. The pointer is only compared.
    local_jobs: *const LocalJobs,
    /// The host that was given to [`run`]. The caller of `run` keeps it alive until the scope has ended.
    host: *const H,
}

// SAFETY: `local_jobs` is only compared; `host` points to a value that is `Sync`; the header consists of atomics, a queue behind a
// lock whose jobs are `Send`, and a frame that is not written any more.
unsafe impl<H: Sync> Sync for ScopeCore<H> {}

impl<H: Host> ScopeCore<H> {
    fn new(local_jobs: &LocalJobs, host: &H) -> Self {
        // A scope is waited for as its own address, which it does not have yet: see `pin_in_place`.
        // SAFETY: the thread's frame belongs to a caller further up on its stack, so it is alive.
        let frame = unsafe { Frame::child_of(local_jobs.frame().get(), ptr::null()) };
        Self {
            header: ScopeHeader {
                frame,
                number: AtomicUsize::new(NONE),
                public: AtomicUsize::new(0),
                unfinished: AtomicUsize::new(0),
                own: CachePadded::new(Mutex::new(VecDeque::new())),
            },
            local_jobs,
            host,
        }
    }

    /// Sets the address as which the scope is waited for. From here on it must not move.
    fn pin_in_place(&mut self) {
        let identity = ScopeRef(&raw const self.header).identity();
        self.header.frame.wait_as(identity);
    }

    fn scope_ref(&self) -> ScopeRef {
        const { assert!(offset_of!(Self, header) == 0, "the header comes first") };
        ScopeRef(ptr::from_ref(self).cast())
    }

    /// The host that the scope runs on.
    pub(crate) const fn host(&self) -> &H {
        // SAFETY: the host outlives the scope, as the field says.
        unsafe { &*self.host }
    }

    /// Queues a job, and returns whether the task that called was asked to stop. Then the job will be dropped instead of being run.
    ///
    /// # Safety
    ///
    /// The job may cast the reference that it is called with to no other type than this one, and what it borrows must live until
    /// the scope has ended.
    pub(crate) unsafe fn spawn(&self, local_jobs: *const LocalJobs, job: HeapJob) -> bool {
        let host = self.host();
        if ptr::eq(local_jobs, self.local_jobs) {
            self.header.own.lock().push_back(job);
            // After the lock was released (rule 11).
            if self.is_to_publish() {
                self.publish();
            }
        } else {
            let _ = host.shared_jobs().publish_jobs(self.scope_ref(), host.idle(), [job]);
            // No owner is sure to come back to it (rule 8).
            host.notify();
        }
        self.header.frame.is_cancelled()
    }

    /// Returns whether jobs should be published (rule 5).
    fn is_to_publish(&self) -> bool {
        self.host().shared_jobs().wants_jobs() || self.has_no_public()
    }

    fn has_no_public(&self) -> bool {
        // Ordering: Relaxed: a hint. That it is zero is ordered by the lock of the scope's own queue (rule 11).
        self.header.public.load(Ordering::Relaxed) == 0
    }

    /// Publishes the older half of the private jobs, and wakes a worker for them. Only for the scope's own thread.
    fn publish(&self) {
        let host = self.host();
        if host.simulated_choice(1).is_some() {
            // No other worker would take them in a simulation; `finish` draws the order instead.
            return;
        }
        let had_none = self.has_no_public();
        // Not under the lock of the queue, which is never held when that of the shared jobs is taken.
        let (scope, mut own) = (self.scope_ref(), self.header.own.lock());
        let published = if own.len() <= 2 {
            let oldest = own.pop_front();
            drop(own);
            host.shared_jobs().publish_jobs(scope, host.idle(), oldest)
        } else {
            drop(own);
            let mut older = VecDeque::new();
            scope.take_older_half(&mut older);
            host.shared_jobs().publish_jobs(scope, host.idle(), older)
        };
        if !published {
            return;
        }
        host.invite(if had_none { Invitation::Anyway } else { Invitation::IfFree });
    }

    /// Returns whether other threads run what is left of the scope's jobs, as far as can be seen without the lock.
    fn only_waits(&self) -> bool {
        // Ordering: Relaxed: a hint. Whoever sleeps looks under the lock before.
        self.has_no_public() && self.header.unfinished.load(Ordering::Relaxed) > 0
    }

    /// Takes the newest private job, and returns whether others are left.
    fn take_private(&self) -> Option<(HeapJob, bool)> {
        let mut own = self.header.own.lock();
        let job = match self.host().simulated_choice(own.len()) {
            Some(drawn) => own.swap_remove_back(drawn)?,
            None => own.pop_back()?,
        };
        Some((job, !own.is_empty()))
    }

    /// Runs the jobs that are left, waits for those that others run, and returns the payload of the first panic.
    fn finish(&self, local_jobs: &LocalJobs) -> Option<Payload> {
        let host = self.host();
        let mut first = None;
        let mut wait = WaitState::new();
        loop {
            while let Some((job, left)) = self.take_private() {
                if left && self.is_to_publish() {
                    self.publish();
                }
                let at = local_jobs.frame();
                keep_first(at, &mut first, self.scope_ref().run(at, job));
            }
            let Some(number) = self.scope_ref().number() else {
                return first;
            };
            if !self.only_waits() {
                match host.shared_jobs().look_at_scope(number, host.idle()) {
                    Progress::TakenBack(mut back) => {
                        self.header.own.lock().append(&mut back);
                        continue;
                    }
                    Progress::Finished(panic) => {
                        keep_first(local_jobs.frame(), &mut first, panic);
                        return first;
                    }
                    Progress::Unfinished => {}
                }
            }
            let latch = JobsFinished { shared_jobs: host.shared_jobs(), number };
            let identity = self.scope_ref().identity();
            wait_step(local_jobs, host, &latch, identity, &mut wait);
        }
    }
}

/// The latch that is set when all public jobs of a scope have finished.
struct JobsFinished<'a> {
    shared_jobs: &'a SharedJobs,
    number: usize,
}

impl Latch for JobsFinished<'_> {
    fn is_set(&self) -> bool {
        self.shared_jobs.is_finished(self.number)
    }

    fn set_waker(&self, unparker: Unparker) {
        self.shared_jobs.set_waker(self.number, Some(unparker));
    }

    fn clear_waker(&self) {
        self.shared_jobs.set_waker(self.number, None);
    }
}

/// Calls `f` with a scope, and returns when all jobs that were spawned in it have finished.
pub(crate) fn run<H: Host, R>(
    local_jobs: &LocalJobs,
    host: &H,
    f: impl FnOnce(&ScopeCore<H>) -> R,
) -> R {
    if local_jobs.frame().is_stopping() {
        return local_jobs.frame().run_despite_cancel(|| run(local_jobs, host, f));
    }
    let mut core = ScopeCore::new(local_jobs, host);
    core.pin_in_place();
    // From here on the scope stays where it is.
    let core = &core;
    // Nothing unwinds until all jobs have finished, because they may refer to this frame (rule 4).
    let guard = AbortOnUnwind;
    let result: thread::Result<R> = local_jobs.frame().within(core.scope_ref().frame(), || {
        let result = catch_unwind(AssertUnwindSafe(|| f(core)));
        match (result, core.finish(local_jobs)) {
            (result, None) => result,
            (Ok(value), Some(payload)) => {
                local_jobs.frame().drop_left(value);
                Err(payload)
            }
            (Err(payload), rest) => {
                local_jobs.frame().drop_left(rest);
                Err(payload)
            }
        }
    });
    guard.disarm();
    match result {
        Ok(value) => {
            // The jobs that were still queued were dropped without being run, so there is no result to return.
            if core.header.frame.is_cancelled() && !thread::panicking() {
                local_jobs.frame().drop_left(value);
                cancelled::unwind_cancelled();
            }
            value
        }
        Err(payload) => resume_unwind(payload),
    }
}

/// Scopes for the models, which have no executor.
#[cfg(all(test, moirai_loom))]
pub(crate) mod models {
    use super::{HeapJob, Host, LocalJobs, ScopeCore, ScopeRef};

    /// A scope in which a model spawns jobs.
    pub(crate) struct Spawner<'a, H>(&'a ScopeCore<H>);

    impl<H: Host + 'static> Spawner<'_, H> {
        pub(crate) fn spawn(
            &self,
            local_jobs: *const LocalJobs,
            f: impl FnOnce(Spawner<'_, H>) + Send + 'static,
        ) {
            let job = move |scope_ref: ScopeRef| {
                // SAFETY: the reference is to a core of this host, which is alive until this job has finished.
                f(Spawner(unsafe { &*scope_ref.0.cast::<ScopeCore<H>>() }));
            };
            // SAFETY: the job casts to this type, and borrows nothing.
            let _ = unsafe { self.0.spawn(local_jobs, HeapJob(Box::new(job))) };
        }
    }

    pub(crate) fn scope<H: Host, R>(
        local_jobs: &LocalJobs,
        host: &H,
        f: impl FnOnce(Spawner<'_, H>) -> R,
    ) -> R {
        super::run(local_jobs, host, |core| f(Spawner(core)))
    }
}
