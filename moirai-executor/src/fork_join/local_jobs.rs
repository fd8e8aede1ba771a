//! A thread's own fork-join work: the list of the jobs in its stack frames, and the frame that it is in.

use std::cell::Cell;
use std::ptr;

use super::frame::{CurrentFrame, Frame};
use super::host::{Host, Invitation};
use super::job_slot::Ticket;
use super::shared_jobs::{SharedJobs, StolenJob};
use super::stack_job::JobHeader;
use super::waking::leave_external;

/// The number of jobs that a thread publishes although it has a public one, until this is restored (rule 5). The models are about
/// private jobs, so there it is none.
const EXTRA: u32 = if cfg!(moirai_loom) { 0 } else { 4 };

/// The fork-join work of one thread on one executor.
pub(crate) struct LocalJobs {
    /// The frame that the thread is in; null outside of fork-join work.
    frame: CurrentFrame,
    /// The newest job in the thread's stack frames, or the sentinel if there is none.
    newest: Cell<*const JobHeader>,
    /// The newest job that is not private, or the sentinel. No job older than it is private (rule 5).
    newest_public: Cell<*const JobHeader>,
    /// The job that must be in the shared jobs, or the thread publishes one of its own accord: the newest public one, or while `extra`
    /// is not zero the sentinel, which never is. So a `join` looks at one job only.
    must_be_public: Cell<*const JobHeader>,
    /// The number of jobs that the thread may still publish although it has a public one (rule 5).
    extra: Cell<u32>,
    /// When `extra` was last restored, in ticks of the executor's clock.
    restored_at: Cell<u64>,
    sentinel: JobHeader,
    /// The slot that the thread has claimed (rule 13).
    slot: Cell<Option<usize>>,
    /// The job that the thread has last put into its slot, if the job is still in the thread's list; null if it is not.
    in_slot: Cell<*const JobHeader>,
    /// The ticket of that job.
    ticket: Cell<Ticket>,
    /// Whether the thread counts as an external thread (rule 7).
    is_external: Cell<bool>,
}

impl LocalJobs {
    pub(crate) fn new() -> Self {
        Self {
            frame: CurrentFrame::none(),
            newest: Cell::new(ptr::null()),
            newest_public: Cell::new(ptr::null()),
            must_be_public: Cell::new(ptr::null()),
            extra: Cell::new(EXTRA),
            restored_at: Cell::new(0),
            sentinel: JobHeader::sentinel(),
            slot: Cell::new(None),
            in_slot: Cell::new(ptr::null()),
            ticket: Cell::new(Ticket::NONE),
            is_external: Cell::new(false),
        }
    }

    /// Links the list to its own sentinel. From here on it must not move.
    pub(crate) fn pin_in_place(&self) {
        #[cfg(debug_assertions)]
        assert!(self.has_no_jobs(), "the list has moved, or has jobs");
        self.newest.set(&raw const self.sentinel);
        self.set_newest_public(&raw const self.sentinel);
    }

    /// The frame that the thread is in.
    #[inline]
    pub(crate) const fn frame(&self) -> &CurrentFrame {
        &self.frame
    }

    /// Returns whether the thread has claimed a slot.
    #[inline]
    pub(crate) fn has_slot(&self) -> bool {
        self.slot.get().is_some()
    }

    /// Claims the slot of the worker whose core the thread holds, or another that is free (rule 13). The thread has none.
    #[inline(never)]
    pub(crate) fn claim_slot(&self, worker: Option<usize>, shared_jobs: &SharedJobs) {
        debug_assert!(!self.has_slot(), "a thread has one slot");
        self.slot.set(shared_jobs.claim_slot(worker));
    }

    /// Gives the thread's slot up, if it has one, because the thread no longer runs a worker's tasks, or its call is over.
    pub(crate) fn release_slot(&self, shared_jobs: &SharedJobs) {
        if let Some(slot) = self.slot.take() {
            debug_assert!(
                self.in_slot.get().is_null(),
                "a thread gives up a slot with a job of its own"
            );
            shared_jobs.slot(slot).release();
        }
    }

    /// Publishes the oldest private job in the thread's slot, if that is free (rule 13). Returns whether it did; then the caller must
    /// invite a worker.
    #[inline]
    pub(super) fn put_in_slot(&self, host: &impl Host) -> bool {
        let Some(worker) = self.slot.get() else {
            return false;
        };
        let slot = host.shared_jobs().slot(worker);
        let Some(ticket) = slot.next_ticket() else {
            return false;
        };
        let Some(oldest) = self.oldest_private_is_public() else {
            return false;
        };
        // SAFETY: the list holds jobs of frames that are still on the stack.
        let job = unsafe { &*oldest };
        // SAFETY: the job was forked in its frame, which is still on the stack.
        let frame = unsafe { &*job.frame() };
        job.put_in_slot();
        host.shared_jobs().publishes_in_slot(|| host.idle());
        slot.put(ticket, oldest, frame);
        self.in_slot.set(oldest);
        self.ticket.set(ticket);
        true
    }

    /// Takes a job out of the thread's slot. `None` if it is not the one that the thread has last put there, `Some(false)` if a thief has
    /// taken it.
    #[inline]
    pub(super) fn take_back_from_slot(&self, job: &JobHeader, host: &impl Host) -> Option<bool> {
        if !ptr::eq(self.in_slot.get(), job) {
            return None;
        }
        self.in_slot.set(ptr::null());
        Some(host.shared_jobs().slot(self.slot.get()?).take_back(self.ticket.get()))
    }

    /// Calls `f` from outside of fork-join work, in the frame of that call, on a thread that holds no core.
    #[inline(never)]
    pub(crate) fn enter_external<R>(
        &self,
        host: &impl Host,
        frame: &Frame,
        f: impl FnOnce() -> R,
    ) -> R {
        struct LeaveRoot<'a, H: Host> {
            local_jobs: &'a LocalJobs,
            host: &'a H,
            claimed: bool,
        }
        impl<H: Host> Drop for LeaveRoot<'_, H> {
            fn drop(&mut self) {
                if self.claimed {
                    self.local_jobs.release_slot(self.host.shared_jobs());
                }
                self.local_jobs.is_external.set(false);
                leave_external(self.host);
            }
        }
        let _leave = (!self.is_external.get()).then(|| {
            // In a simulation, nobody takes jobs. And if there are jobs of frames further out, one of them could be put into the slot,
            // and would be there when this frame ends.
            let claimed = !self.has_slot() && self.has_no_jobs() && !host.is_simulated();
            if claimed {
                self.claim_slot(None, host.shared_jobs());
            }
            self.count_as_external(host);
            LeaveRoot { local_jobs: self, host, claimed }
        });
        self.frame.within(frame, f)
    }

    /// Appends a job of the calling frame to the list.
    ///
    /// # Safety
    ///
    /// `job` points to the header of a whole job. The caller removes it from the list before the job's frame ends, also if it
    /// unwinds, and removes the jobs of a list in the reverse order of their coming.
    #[inline]
    pub(super) unsafe fn push(&self, job: *const JobHeader) {
        let newest = self.newest.get();
        debug_assert!(!newest.is_null(), "the list is linked to its sentinel");
        // SAFETY: promised by the caller: the job is alive.
        unsafe { &*job }.prev().set(newest);
        // SAFETY: the list holds its own sentinel, and jobs of frames that are still on the stack.
        unsafe { &*newest }.next().set(job);
        self.newest.set(job);
    }

    /// Returns whether the thread should publish a job of its own accord (rule 5).
    #[inline]
    pub(super) fn has_too_few_public(&self) -> bool {
        // SAFETY: as in `push`. Thieves mostly take the oldest first, so if the newest public job was taken, all were. If it was taken
        // out of the slot, and older ones are in the list, then one more than needed is published.
        !unsafe { &*self.must_be_public.get() }.is_public()
    }

    /// Notes that the thread publishes a job of its own accord.
    pub(super) fn spend_extra(&self) {
        self.set_extra(self.extra.get().saturating_sub(1));
    }

    fn set_extra(&self, extra: u32) {
        self.extra.set(extra);
        self.set_newest_public(self.newest_public.get());
    }

    fn set_newest_public(&self, job: *const JobHeader) {
        self.newest_public.set(job);
        self.must_be_public.set(if self.extra.get() > 0 { &raw const self.sentinel } else { job });
    }

    /// Notes that a task begins fork-join work, or that a job of the thread was stolen, at this time, in ticks of the executor's clock
    /// (rule 5).
    pub(crate) fn begin(&self, now: u64, long: u64) {
        if now.saturating_sub(self.restored_at.get()) >= long {
            self.restored_at.set(now);
            self.set_extra(EXTRA);
        }
    }

    /// Returns whether the list is empty, and names no job that was removed from it.
    #[cfg(all(test, moirai_loom))]
    pub(super) fn is_empty(&self) -> bool {
        let sentinel = &raw const self.sentinel;
        ptr::eq(self.newest.get(), sentinel) && ptr::eq(self.newest_public.get(), sentinel)
    }

    /// Returns the newest job.
    #[inline]
    pub(super) fn newest(&self) -> *const JobHeader {
        self.newest.get()
    }

    /// Removes the newest job from the list. The job must be private.
    #[inline]
    pub(super) fn remove_private(&self, job: &JobHeader) {
        self.newest.set(job.prev().get());
    }

    /// Removes the newest job from the list. The job was published, and so were all older ones.
    pub(super) fn remove_public(&self, job: &JobHeader) {
        self.newest.set(job.prev().get());
        self.set_newest_public(job.prev().get());
    }

    /// Counts the oldest private job as public, and returns it; `None` if there is none.
    pub(super) fn oldest_private_is_public(&self) -> Option<*const JobHeader> {
        let newest_public = self.newest_public.get();
        if ptr::eq(newest_public, self.newest.get()) {
            return None;
        }
        // SAFETY: as in `push`. The job is not the newest, so there is a newer one.
        let job = unsafe { &*newest_public }.next().get();
        self.set_newest_public(job);
        Some(job)
    }

    /// Publishes all private jobs, because the thread is about to sleep, and nothing of them would run meanwhile (rule 12).
    pub(super) fn publish_all(&self, host: &impl Host) {
        if self.has_no_jobs() {
            return;
        }
        if !ptr::eq(self.newest_public.get(), self.newest.get()) {
            let next = || self.oldest_private_is_public();
            let _ = host.shared_jobs().publish(host.idle(), usize::MAX, next);
        }
        // Also for those that were public before, for which nobody was woken if there was no processor.
        host.invite(Invitation::Anyway);
    }

    /// Notes that the thread is about to block: publishes its private jobs, and ends its count as an external thread, because it uses
    /// no processor (rule 12). Returns whether it counted as one; then the caller must call
    /// [`count_as_external`](Self::count_as_external) when it no longer blocks.
    pub(crate) fn blocks(&self, host: &impl Host) -> bool {
        self.publish_all(host);
        let was_external = self.is_external.replace(false);
        if was_external {
            leave_external(host);
        }
        was_external
    }

    /// Counts the thread as an external thread (rule 7).
    pub(crate) fn count_as_external(&self, host: &impl Host) {
        self.is_external.set(true);
        host.shared_jobs().add_external_thread();
    }

    /// Returns whether the list is empty, as it is before it is linked to its sentinel.
    fn has_no_jobs(&self) -> bool {
        let newest = self.newest.get();
        newest.is_null() || ptr::eq(newest, &raw const self.sentinel)
    }

    /// Runs a stolen job on this thread.
    pub(crate) fn run(&self, stolen: StolenJob, host: &impl Host) {
        host.record_job(stolen.task(), || {
            stolen.run(&self.frame, host.shared_jobs(), || host.idle());
        });
    }
}

/// Checks in debug builds that no job is left in a list that ends (rule 4).
#[cfg(debug_assertions)]
impl Drop for LocalJobs {
    fn drop(&mut self) {
        assert!(self.has_no_jobs() || std::thread::panicking(), "a list ends before its jobs");
    }
}

#[cfg(all(test, debug_assertions, not(moirai_loom)))]
mod tests {
    use super::super::latch::Latch;
    use super::super::stack_job::StackJob;
    use super::*;

    /// Nobody takes jobs here, and nobody waits.
    struct Alone(SharedJobs);

    impl Host for Alone {
        fn shared_jobs(&self) -> &SharedJobs {
            &self.0
        }

        fn idle(&self) -> usize {
            0
        }

        fn invite(&self, _: Invitation) {}

        fn notify(&self) {}

        fn park_on_core(&self, _: &impl Latch) -> bool {
            unreachable!("nobody waits")
        }

        fn hand_off_and_park(&self, _: &impl Latch, _: *const ()) {
            unreachable!("nobody waits")
        }
    }

    #[test]
    fn a_call_claims_a_slot_unless_there_are_jobs_further_out_that_it_could_put_there() {
        let host = Alone(SharedJobs::new(1));
        let local_jobs = Box::new(LocalJobs::new());
        local_jobs.pin_in_place();
        let frame = Frame::root(None);
        local_jobs.enter_external(&host, &frame, || assert!(local_jobs.has_slot()));
        assert!(!local_jobs.has_slot(), "the call is over");
        let job = StackJob::new(&raw const frame, || ());
        // SAFETY: the job is removed below.
        unsafe { local_jobs.push((&raw const job).cast()) };
        local_jobs.enter_external(&host, &frame, || assert!(!local_jobs.has_slot()));
        local_jobs.remove_private(job.header());
    }

    #[test]
    #[should_panic(expected = "a list ends before its jobs")]
    fn a_job_that_is_left_in_a_list_is_noticed_in_debug_builds() {
        let frame = Frame::root(None);
        let job = StackJob::new(&raw const frame, || ());
        let local_jobs = Box::new(LocalJobs::new());
        local_jobs.pin_in_place();
        // SAFETY: the job lives longer than the list, which notices that the job is not removed.
        unsafe { local_jobs.push((&raw const job).cast()) };
        drop(local_jobs);
    }

    #[test]
    #[should_panic(expected = "the list has moved, or has jobs")]
    fn a_list_that_moves_is_noticed_in_debug_builds() {
        let mut lists = [LocalJobs::new(), LocalJobs::new()];
        lists[0].pin_in_place();
        lists.swap(0, 1);
        lists[1].pin_in_place();
    }
}
