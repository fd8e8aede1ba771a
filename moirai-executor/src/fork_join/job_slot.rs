//! Job slots: where a thread publishes its oldest private job without a lock (rule 13 of the [module](super)).

use std::ptr;

use moirai_core::shim::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use super::frame::Frame;
use super::stack_job::JobHeader;
use crate::task::TaskPtr;

/// The bit of a [`Ticket`] that says that the job is in the slot.
const FULL: u64 = 1;

/// One publication in a slot: its number, twice, plus [`FULL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

impl Ticket {
    /// The ticket of no publication.
    pub(super) const NONE: Self = Self(0);

    /// Returns the ticket of some publication.
    #[cfg(all(test, not(moirai_loom)))]
    pub(super) const fn of(publication: u64) -> Self {
        Self(publication << 1 | FULL)
    }
}

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
    /// As what the nearest ancestors of the job are waited for. Behind the last of them is a null.
    waited_as: [AtomicPtr<()>; ANCESTORS],
}

/// How many of its ancestors a slot names. A thread that waits for one further up does not find the job here, and leaves it to an idle
/// worker.
const ANCESTORS: usize = 4;

impl JobSlot {
    pub(super) fn new() -> Self {
        Self {
            claimed: AtomicBool::new(false),
            state: AtomicU64::new(0),
            job: AtomicPtr::new(ptr::null_mut()),
            task: AtomicPtr::new(ptr::null_mut()),
            waited_as: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
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

    /// Returns the ticket of the next publication of the calling thread, which has claimed the slot. `None` if the last job is still
    /// there.
    #[inline]
    pub(super) fn next_ticket(&self) -> Option<Ticket> {
        // Ordering: Acquire pairs with the Release in `take`: the thief has read what the next publication overwrites. Only the owner
        // changes the number, and `claim` has acquired that of the former owner.
        let state = self.state.load(Ordering::Acquire);
        (state & FULL == 0).then(|| Ticket((state | FULL).wrapping_add(2)))
    }

    /// Puts a job that was forked in `frame` into the slot, which the caller has claimed. The ticket is the [next](Self::next_ticket).
    #[inline]
    pub(super) fn put(&self, ticket: Ticket, job: *const JobHeader, frame: &Frame) {
        // Ordering: Relaxed for all: the store at the end publishes them.
        self.job.store(job.cast_mut(), Ordering::Relaxed);
        self.task.store(address_of(frame.task()), Ordering::Relaxed);
        if frame.is_root() {
            self.waited_as[0].store(ptr::null_mut(), Ordering::Relaxed);
        } else {
            self.name_ancestors(frame);
        }
        // Ordering: Release pairs with the Acquire in `take`: the job is visible, and everything that it borrows.
        self.state.store(ticket.0, Ordering::Release);
    }

    fn name_ancestors(&self, frame: &Frame) {
        let mut ancestors = frame.waited_as();
        for place in &self.waited_as {
            let ancestor = ancestors.next().unwrap_or(ptr::null());
            // Ordering: Relaxed: see `put`.
            place.store(ancestor.cast_mut(), Ordering::Relaxed);
            if ancestor.is_null() {
                break;
            }
        }
    }

    /// Takes the job of a publication of the caller's back. Returns whether it was still there; if not, a thief has it.
    #[inline]
    pub(super) fn take_back(&self, ticket: Ticket) -> bool {
        // Ordering: Relaxed: the job is as the caller has put it there; one that was stolen is waited for with an Acquire.
        self.state
            .compare_exchange(ticket.0, ticket.0 & !FULL, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Returns the ticket of the job in the slot, if there is one.
    #[inline]
    pub(super) fn ticket(&self) -> Option<Ticket> {
        // Ordering: Relaxed: as in `SharedJobs::has_jobs`. Who takes the job reads the ticket again.
        Some(self.state.load(Ordering::Relaxed)).filter(|state| state & FULL != 0).map(Ticket)
    }

    /// Returns whether there is a job in the slot.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.ticket().is_some()
    }

    /// Takes the job out, if the caller may run it.
    pub(super) fn take(&self, only: Only) -> Option<*const JobHeader> {
        // Ordering: Acquire pairs with the Release in `put`: the job of this publication is visible.
        let ticket = self.state.load(Ordering::Acquire);
        if ticket & FULL == 0 {
            return None;
        }
        // Ordering: Relaxed for these and in `fits`: they were stored before the ticket was. Later publications overwrite them, but
        // have other tickets: if the exchange below succeeds, there was none, and these are the job and its ancestors of this one.
        let job = self.job.load(Ordering::Relaxed);
        if !self.fits(only) {
            return None;
        }
        // Ordering: Release pairs with the Acquire in `next_ticket`: the loads above come before the owner's next stores. The load of the
        // ticket has acquired the job.
        self.state
            .compare_exchange(ticket, ticket & !FULL, Ordering::Release, Ordering::Relaxed)
            .ok()?;
        Some(job)
    }

    fn fits(&self, only: Only) -> bool {
        match only {
            Only::Any => true,
            // Ordering: Relaxed for both: see `take`.
            Only::OfTask(task) => self.task.load(Ordering::Relaxed) == task.address(),
            Only::Below(wait) => self
                .waited_as
                .iter()
                .map(|place| place.load(Ordering::Relaxed).cast_const())
                .take_while(|ancestor| !ancestor.is_null())
                .any(|ancestor| ptr::eq(ancestor, wait)),
        }
    }
}

/// Which jobs a thread may take out of a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Only {
    Any,
    /// Those of this task's fork-join work.
    OfTask(TaskPtr),
    /// Those below what is waited for at this address.
    Below(*const ()),
}

fn address_of(task: Option<TaskPtr>) -> *mut () {
    task.map_or(ptr::null_mut(), TaskPtr::address)
}
