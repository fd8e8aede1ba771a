//! The jobs that any worker may take: public stack jobs, in slots and in a list, and public jobs of scopes.

use std::collections::VecDeque;
use std::ptr;

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use moirai_core::shim::sync::{Mutex, MutexGuard, lock_patiently};
use moirai_scheduler::Look;
use slab::Slab;

use super::frame::Frame;
use super::job_slot::{JobSlot, Only};
use super::scope_job::{HeapJob, ScopeRef};
use super::shared_scope::SharedScope;
use super::slot_search::SlotSearch;
use super::stack_job::JobHeader;
use crate::task::TaskPtr;

/// The public jobs of an executor.
///
/// The oldest job that a worker has is in a slot of that worker's thread, the others are in one list with one lock: publishing them is
/// the exception, a few jobs for each idle worker.
pub(crate) struct SharedJobs {
    /// A slot for each worker, and some more (rule 13).
    slots: Box<[CachePadded<JobSlot>]>,
    pub(super) workers: usize,
    /// Whether a `join` should publish a job (rule 5). A `join` of a thread without a slot reads it, and scopes do.
    wants_jobs: AtomicBool,
    /// The number of jobs in the list: a copy of the count in `state`, which is read without the lock.
    public: AtomicUsize,
    /// Counts publications. A thread that has looked for a job without success need not look again while this is the same.
    version: AtomicUsize,
    /// The number of external threads that run fork-join work themselves (rule 7).
    external_threads: AtomicUsize,
    /// On cache lines of its own: workers read what is above without the lock.
    state: CachePadded<Mutex<SharedJobsState>>,
}

#[derive(Default)]
pub(super) struct SharedJobsState {
    /// Oldest first. A scope has one entry here while it has public jobs.
    pub(super) offers: VecDeque<Offer>,
    /// The number of public jobs, counting each job of each scope.
    pub(super) public: usize,
    pub(super) scopes: Slab<SharedScope>,
}

pub(super) enum Offer {
    StackJob(*const JobHeader),
    Scope(usize),
}

/// The number of slots for threads that have no core, or whose worker's slot is another thread's.
fn spare_slots(workers: usize) -> usize {
    if cfg!(moirai_loom) { 0 } else { workers.min(8) }
}

// SAFETY: the pointers lead to stack jobs, whose closures and results are `Send`, and to scopes, which are `Sync`.
unsafe impl Send for SharedJobsState {}

/// A job that was taken out of the shared jobs and must be run.
pub(crate) struct StolenJob(pub(super) Stolen);

pub(super) enum Stolen {
    StackJob(*const JobHeader),
    HeapJob { scope: usize, scope_ref: ScopeRef, job: HeapJob },
}

impl SharedJobs {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            slots: (0..workers + spare_slots(workers))
                .map(|_| CachePadded::new(JobSlot::new()))
                .collect(),
            workers,
            wants_jobs: AtomicBool::new(true),
            public: AtomicUsize::new(0),
            version: AtomicUsize::new(0),
            external_threads: AtomicUsize::new(0),
            state: CachePadded::new(Mutex::new(SharedJobsState::default())),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, SharedJobsState> {
        lock_patiently(&self.state)
    }

    /// Returns whether more jobs should be published.
    #[inline]
    pub(crate) fn wants_jobs(&self) -> bool {
        // Ordering: Relaxed: a hint.
        self.wants_jobs.load(Ordering::Relaxed)
    }

    /// Returns whether there is a job to take. Exact for a caller that asks after its fence of rule 8.
    pub(crate) fn has_jobs(&self) -> bool {
        self.has_listed_jobs() || self.slots.iter().any(|slot| slot.is_full())
    }

    /// Returns whether there is a job in the list. Exact as [`has_jobs`](Self::has_jobs) is.
    #[inline]
    pub(crate) fn has_listed_jobs(&self) -> bool {
        // Ordering: Relaxed: the fence of the asking thread comes before this load, and that of the publisher, in `invite` or
        // `Sleepers::notify`, after the store. A job is only ever taken under the lock.
        self.public.load(Ordering::Relaxed) > 0
    }

    /// Returns whether there are jobs, and idle workers with a processor to run them on.
    pub(crate) fn has_more_for(&self, idle: usize) -> bool {
        self.idle_cores(idle) > 0 && self.has_jobs()
    }

    /// Returns whether there is a job for a worker that searches: one in the list, or one in a slot that [lasts](SlotSearch::look).
    pub(crate) fn has_lasting_job(&self, search: &mut SlotSearch) -> bool {
        search.found = self.look_through(search);
        search.found.is_some() || self.has_listed_jobs()
    }

    fn look_through(&self, search: &mut SlotSearch) -> Option<usize> {
        search.look(self.slots.len(), |slot| self.slots[slot].ticket())
    }

    /// Takes a job, for a worker that has nothing else to do. Asks for jobs if it takes none.
    ///
    /// One in a slot comes before those in the list: it is usually the oldest of its owner, and so larger than what the owner has in the
    /// list. A [partial](Look::Partial) look takes one only if it [lasts](SlotSearch::look), and a full one takes any.
    pub(crate) fn take(
        &self,
        look: Look,
        search: &mut SlotSearch,
        idle: usize,
    ) -> Option<StolenJob> {
        let stolen = match look {
            Look::Partial => {
                let slot = search.found.take().or_else(|| self.look_through(search));
                slot.and_then(|slot| self.take_from(&self.slots[slot], Only::Any))
            }
            Look::Full => {
                let (first, list_first) = search.start_full_look();
                let listed = if list_first { self.take_listed(idle) } else { None };
                listed.or_else(|| self.take_from_slot(Only::Any, first))
            }
        };
        let stolen = stolen.or_else(|| self.take_listed(idle));
        if stolen.is_none() {
            self.request_jobs();
        }
        stolen
    }

    /// Takes the oldest job of the list, for a worker that is outside of all fork-join work.
    pub(crate) fn take_listed(&self, idle: usize) -> Option<StolenJob> {
        if !self.has_listed_jobs() {
            return None;
        }
        let mut state = self.lock();
        let stolen = state.take_at(0);
        self.changed(&state, idle);
        stolen
    }

    /// Takes a job out of a slot, one that the caller may run. The search begins with the slot of this number, modulo their count.
    pub(crate) fn take_from_slot(&self, only: Only, first: usize) -> Option<StolenJob> {
        let (behind, slots) = self.slots.split_at(first.checked_rem(self.slots.len()).unwrap_or(0));
        slots.iter().chain(behind).find_map(|slot| self.take_from(slot, only))
    }

    fn take_from(&self, slot: &JobSlot, only: Only) -> Option<StolenJob> {
        let job = slot.take(only)?;
        // SAFETY: the job was in the slot, and its owner waits for the thief that has taken it out.
        unsafe { &*job }.taken_from_slot();
        Some(StolenJob(Stolen::StackJob(job)))
    }

    /// Claims a slot for the calling thread: that of `worker`, whose core it holds, or else one that is free, and rather one that is no
    /// worker's.
    pub(super) fn claim_slot(&self, worker: Option<usize>) -> Option<usize> {
        let others = (0..self.slots.len()).map(|nth| (self.workers + nth) % self.slots.len());
        // The models claim those of workers.
        let others = others.filter(|_| !cfg!(moirai_loom));
        worker.into_iter().chain(others).find(|&slot| self.slots[slot].claim())
    }

    #[inline]
    pub(super) fn slot(&self, slot: usize) -> &JobSlot {
        &self.slots[slot]
    }

    /// Notes that the calling thread publishes a job in its slot.
    #[inline]
    pub(super) fn publishes_in_slot(&self, idle: impl FnOnce() -> usize) {
        if self.wants_jobs() && self.idle_cores(idle()) <= 1 {
            // Ordering: Relaxed: a hint. A worker that finds no job sets it again.
            self.wants_jobs.store(false, Ordering::Relaxed);
        }
    }

    /// Asks for jobs to be published, because a worker has found none.
    fn request_jobs(&self) {
        if !self.wants_jobs() {
            // Ordering: Relaxed: a hint. A thread that overwrites it at the same time is publishing a job.
            self.wants_jobs.store(true, Ordering::Relaxed);
        }
    }

    /// Takes a job whose frame is a descendant of what is waited for as `of`.
    ///
    /// `seen` holds the version at which the caller last looked through the list without success; at the same version it does not look
    /// again.
    pub(crate) fn take_descendant(
        &self,
        of: *const (),
        idle: usize,
        seen: &mut Option<usize>,
    ) -> Option<StolenJob> {
        if let Some(stolen) = self.take_from_slot(Only::Below(of), 0) {
            return Some(stolen);
        }
        // Ordering: Relaxed: a caller that misses a job looks again later, or leaves it to another worker, which was notified of
        // it.
        let version = self.version.load(Ordering::Relaxed);
        if !self.has_listed_jobs() || *seen == Some(version) {
            return None;
        }
        let stolen = self.take_if(idle, |frame| frame.is_descendant_of(of));
        if stolen.is_none() {
            *seen = Some(version);
        }
        stolen
    }

    /// Takes a job that belongs to the fork-join work of a task.
    pub(crate) fn take_of_task(&self, task: TaskPtr, idle: usize) -> Option<StolenJob> {
        let listed = self.has_listed_jobs();
        let stolen = if listed { self.take_if(idle, |frame| frame.is_of(task)) } else { None };
        stolen.or_else(|| self.take_from_slot(Only::OfTask(task), 0))
    }

    fn take_if(&self, idle: usize, fits: impl Fn(&Frame) -> bool) -> Option<StolenJob> {
        let mut state = self.lock();
        let index = (0..state.offers.len()).find(|&index| fits(state.frame_of(index)))?;
        let stolen = state.take_at(index);
        self.changed(&state, idle);
        stolen
    }

    /// Takes a job back for its owner. Returns whether it was still there; if not, a thief has it.
    pub(crate) fn take_back(&self, job: &JobHeader, idle: usize) -> bool {
        // The owner has put it into the list, and if it sees that it is no longer there, it was taken.
        if !job.is_listed() {
            return false;
        }
        let mut state = self.lock();
        if !job.is_listed() {
            return false;
        }
        // It is usually one of the newest.
        let index = state
            .offers
            .iter()
            .rposition(|offer| matches!(offer, Offer::StackJob(other) if ptr::eq(*other, job)));
        if let Some(index) = index {
            state.offers.remove(index);
            state.public -= 1;
        }
        self.changed(&state, idle);
        index.is_some()
    }

    /// Takes a given job, if it is still there.
    pub(crate) fn take_job(&self, job: &JobHeader, idle: usize) -> Option<StolenJob> {
        let mut state = self.lock();
        let index = state
            .offers
            .iter()
            .rposition(|offer| matches!(offer, Offer::StackJob(other) if ptr::eq(*other, job)))?;
        let stolen = state.take_at(index);
        self.changed(&state, idle);
        stolen
    }

    /// Publishes jobs from `next` until there are as many as idle workers can use, and no fewer than `at_least`. Returns whether
    /// it published any; then the caller must invite a worker.
    pub(crate) fn publish(
        &self,
        idle: usize,
        at_least: usize,
        mut next: impl FnMut() -> Option<*const JobHeader>,
    ) -> bool {
        let mut state = self.lock();
        let mut more = self.idle_cores(idle).saturating_sub(state.public).max(at_least);
        let mut published = 0;
        while more > 0
            && let Some(job) = next()
        {
            // SAFETY: the job is in the list of the calling thread, so its frame is alive.
            unsafe { &*job }.published();
            state.offers.push_back(Offer::StackJob(job));
            state.public += 1;
            published += 1;
            more -= 1;
        }
        self.published(&state, idle);
        published > 0
    }

    pub(crate) fn add_external_thread(&self) {
        // Ordering: Relaxed: a hint.
        self.external_threads.fetch_add(1, Ordering::Relaxed);
    }

    /// Only for [`leave_external`](super::waking::leave_external), which looks for jobs that were left because of this thread.
    pub(super) fn remove_external_thread(&self) {
        // Ordering: Relaxed: the fence of `leave_external` comes after it.
        self.external_threads.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns how many of the idle workers have a processor to run on (rule 7).
    fn idle_cores(&self, idle: usize) -> usize {
        // Ordering: Relaxed: a hint, except in `waking::invite`, whose fence comes before it.
        idle.saturating_sub(self.external_threads.load(Ordering::Relaxed))
    }

    /// Notes a publication. The caller holds the lock.
    pub(super) fn published(&self, state: &MutexGuard<'_, SharedJobsState>, idle: usize) {
        // Ordering: Relaxed: it is written under the lock. See `take_descendant` for reads without it.
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        self.changed(state, idle);
    }

    /// Updates the copies that are read without the lock. The caller holds the lock.
    pub(super) fn changed(&self, state: &MutexGuard<'_, SharedJobsState>, idle: usize) {
        // Ordering: Relaxed for both: see `has_jobs` and `wants_jobs`.
        self.public.store(state.public, Ordering::Relaxed);
        self.wants_jobs.store(state.public < self.idle_cores(idle), Ordering::Relaxed);
    }
}

impl SharedJobsState {
    fn frame_of(&self, index: usize) -> &Frame {
        let frame = match &self.offers[index] {
            // SAFETY: a job in the shared jobs has not been run, so its owner's frame is alive.
            Offer::StackJob(job) => unsafe { &**job }.frame(),
            Offer::Scope(scope) => self.scopes[*scope].scope_ref.frame(),
        };
        // SAFETY: the job or scope has not finished, so the frame in which it was forked is alive.
        unsafe { &*frame }
    }

    /// Takes the offer at an index, if there is one: a job, or one job of a scope.
    fn take_at(&mut self, index: usize) -> Option<StolenJob> {
        let taken = match self.offers.remove(index)? {
            Offer::StackJob(job) => {
                // SAFETY: as in `frame_of`.
                unsafe { &*job }.taken();
                Stolen::StackJob(job)
            }
            Offer::Scope(scope) => {
                let entry = &mut self.scopes[scope];
                let job = entry.jobs.pop_front()?;
                let scope_ref = entry.scope_ref;
                self.public -= 1;
                if self.refill(scope) {
                    self.offers.push_back(Offer::Scope(scope));
                }
                return Some(StolenJob(Stolen::HeapJob { scope, scope_ref, job }));
            }
        };
        self.public -= 1;
        Some(StolenJob(taken))
    }

    /// Publishes private jobs of a scope of which public ones were taken, if none of these is left (rule 11). Returns whether the scope
    /// has public jobs now.
    fn refill(&mut self, scope: usize) -> bool {
        let entry = &mut self.scopes[scope];
        let scope_ref = entry.scope_ref;
        scope_ref.set_public(entry.jobs.len());
        if entry.jobs.is_empty() {
            scope_ref.take_older_half(&mut entry.jobs);
            let published = entry.jobs.len();
            entry.add_unfinished(published);
            self.public += published;
            scope_ref.set_public(published);
        }
        !entry.jobs.is_empty()
    }

    /// Notes that `jobs` public jobs of a scope were taken, at least one, and removes the scope's offer if none is left.
    pub(super) fn took(&mut self, scope: usize, jobs: usize) {
        self.public -= jobs;
        if !self.refill(scope) {
            let is_it = |offer: &Offer| matches!(offer, Offer::Scope(other) if *other == scope);
            if let Some(index) = self.offers.iter().position(is_it) {
                self.offers.remove(index);
            }
        }
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::super::frame::CurrentFrame;
    use super::super::stack_job::StackJob;
    use super::*;

    #[test]
    fn a_search_finds_the_job_in_the_slot_that_it_begins_with_and_otherwise_the_next_one() {
        let jobs = SharedJobs::new(2);
        let frame = Frame::root(None);
        let put = |slot| {
            let job = Box::new(StackJob::new(&raw const frame, || ()));
            job.header().put_in_slot();
            let ticket = jobs.slot(slot).next_ticket().unwrap();
            jobs.slot(slot).put(ticket, job.header(), &frame);
            job
        };
        let _jobs = [put(0), put(1), put(3)];
        let full = || (0..4).filter(|&slot| jobs.slot(slot).is_full()).collect::<Vec<_>>();
        let at = CurrentFrame::none();
        let run = |stolen: StolenJob| stolen.run(&at, &jobs, || 0);
        let takes = |first| jobs.take_from_slot(Only::Any, first).map(run).is_some();
        assert!(takes(4 + 1));
        assert_eq!(full(), [0, 3]);
        assert!(takes(2));
        assert_eq!(full(), [0]);
        assert!(takes(3));
        assert!(full().is_empty() && !takes(7));
    }

    #[test]
    fn a_thread_whose_slot_is_taken_claims_another_one_as_long_as_there_are_some() {
        let jobs = SharedJobs::new(2);
        assert_eq!(jobs.claim_slot(Some(1)), Some(1));
        let spare = [jobs.claim_slot(Some(1)), jobs.claim_slot(None)];
        assert_eq!(spare, [Some(2), Some(3)], "rather than the slot of worker 0");
        assert_eq!(jobs.claim_slot(None), Some(0));
        assert_eq!((jobs.claim_slot(None), jobs.claim_slot(Some(0))), (None, None));
        jobs.slot(3).release();
        assert_eq!(jobs.claim_slot(Some(0)), Some(3));
    }
}
