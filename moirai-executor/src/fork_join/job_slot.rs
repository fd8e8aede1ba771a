//! Job slots: where a worker publishes its outermost job without a lock (rule 13 of the [module](super)).

use std::ptr;

use moirai_core::shim::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use super::stack_job::JobHeader;
use crate::task::TaskPtr;

/// The bit of a [`Ticket`] that says that the job is in the slot.
const FULL: u64 = 1;

/// One publication in a slot: its number, twice, plus [`FULL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// A place for one public job of one thread.
///
/// A thread that wants to publish in it claims it first. From then on only that thread puts jobs into it. Any thread may take the
/// job out, once.
pub(super) struct JobSlot {
    claimed: AtomicBool,
    /// The ticket of the latest publication, without [`FULL`] once the job is out. Whoever removes `FULL` has the job.
    state: AtomicU64,
    /// The job of the latest publication.
    job: AtomicPtr<JobHeader>,
    /// The address of the task whose fork-join work that job belongs to; null if it belongs to none.
    task: AtomicPtr<()>,
}

impl JobSlot {
    pub(super) fn new() -> Self {
        Self {
            claimed: AtomicBool::new(false),
            state: AtomicU64::new(0),
            job: AtomicPtr::new(ptr::null_mut()),
            task: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Claims the slot for the calling thread. Returns whether it was free.
    pub(super) fn claim(&self) -> bool {
        // Ordering: Relaxed: most calls that fail should not write. Acquire pairs with the Release in `release`: the stores of the
        // former owner come before those of the caller, and `put` reads its own thread's latest ticket or the former owner's.
        !self.claimed.load(Ordering::Relaxed) && !self.claimed.swap(true, Ordering::Acquire)
    }

    /// Gives a claimed slot up. No job of the caller is in it.
    pub(super) fn release(&self) {
        // Ordering: Release pairs with the Acquire in `claim`.
        self.claimed.store(false, Ordering::Release);
    }

    /// Puts a job into the slot, which the caller has claimed, and in which it has no job.
    #[inline]
    pub(super) fn put(&self, job: *const JobHeader, task: Option<TaskPtr>) -> Ticket {
        // Ordering: Relaxed: the last job was taken out by the caller, or by a thief for whose end the caller has waited, or the
        // former owner did so. That comes before this.
        let ticket = Ticket((self.state.load(Ordering::Relaxed) | FULL).wrapping_add(2));
        // Ordering: Relaxed for both: the store below publishes them.
        self.job.store(job.cast_mut(), Ordering::Relaxed);
        self.task.store(address_of(task), Ordering::Relaxed);
        // Ordering: Release pairs with the Acquire in `take`: the job is visible, and everything that it borrows.
        self.state.store(ticket.0, Ordering::Release);
        ticket
    }

    /// Takes the job of a publication of the caller's back. Returns whether it was still there; if not, a thief has it.
    #[inline]
    pub(super) fn take_back(&self, ticket: Ticket) -> bool {
        // Ordering: Relaxed: the job is as the caller has put it there; one that was stolen is waited for with an Acquire.
        self.state
            .compare_exchange(ticket.0, ticket.0 & !FULL, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Returns whether there is a job in the slot.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        // Ordering: Relaxed: as in `SharedJobs::has_jobs`.
        self.state.load(Ordering::Relaxed) & FULL != 0
    }

    /// Takes the job out; with `only_of`, if it belongs to the fork-join work of that task.
    pub(super) fn take(&self, only_of: Option<TaskPtr>) -> Option<*const JobHeader> {
        // Ordering: Acquire pairs with the Release in `put`: the job of this publication is visible.
        let ticket = self.state.load(Ordering::Acquire);
        if ticket & FULL == 0 {
            return None;
        }
        // Ordering: Relaxed for both: they were stored before the ticket was. Later publications overwrite them, but have other
        // tickets: if the exchange below succeeds, there was none, and these are the job and the task of this one.
        let job = self.job.load(Ordering::Relaxed);
        if only_of.is_some() && self.task.load(Ordering::Relaxed) != address_of(only_of) {
            return None;
        }
        // Ordering: Relaxed: the load above has acquired the job. The owner puts nothing into the slot before it has waited for the
        // end of the job, so its next stores come after the loads above.
        self.state
            .compare_exchange(ticket, ticket & !FULL, Ordering::Relaxed, Ordering::Relaxed)
            .ok()?;
        Some(job)
    }
}

fn address_of(task: Option<TaskPtr>) -> *mut () {
    task.map_or(ptr::null_mut(), TaskPtr::address)
}
