//! The job of a [`join`](super::join::join): its second closure, in the stack frame of its owner (rules 1 to 4 of the
//! [module](super)).

use std::cell::Cell;
use std::mem::{ManuallyDrop, MaybeUninit, offset_of};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::thread;

use moirai_core::shim::cell::UnsafeCell;
use moirai_core::shim::hint;
use moirai_core::shim::sync::atomic::{AtomicU8, Ordering};
use moirai_sync::Unparker;

use super::frame::{CurrentFrame, Frame};
use super::latch::Latch;

/// In the list of its owner, and known to no other thread.
const PRIVATE: u8 = 0;
/// In the list of the shared jobs, where any worker may take it.
const PUBLIC: u8 = 1;
/// In the slot of its owner's thread, where any worker may take it, or just taken from there (rule 13).
const IN_SLOT: u8 = 6;
/// Taken by a thief.
const TAKEN: u8 = 2;
/// As [`TAKEN`], and the owner sleeps.
const WAITED: u8 = 3;
/// As [`WAITED`], and the thief has begun to wake the owner.
const WAKING: u8 = 4;
/// The closure has run, and its result is there.
const DONE: u8 = 5;

/// The part of a [`StackJob`] that does not depend on the types of its closure and result.
pub(crate) struct JobHeader {
    /// The next older job in the owner's list.
    prev: Cell<*const JobHeader>,
    /// The next newer one.
    next: Cell<*const JobHeader>,
    frame: *const Frame,
    state: AtomicU8,
    /// The unparker of the owner; initialized from `WAITED` on (rule 3).
    sleeper: UnsafeCell<MaybeUninit<Unparker>>,
    run: unsafe fn(*const JobHeader, &CurrentFrame),
}

/// The second closure of a `join`, with its state and the place for its result.
// The header comes first, so that a pointer to the job is a pointer to its header and back.
#[repr(C)]
pub(crate) struct StackJob<F, R> {
    header: JobHeader,
    content: UnsafeCell<ClosureOrResult<F, R>>,
}

/// The closure until it is called, then its result (rule 2).
union ClosureOrResult<F, R> {
    closure: ManuallyDrop<F>,
    result: ManuallyDrop<thread::Result<R>>,
}

impl JobHeader {
    #[inline]
    fn new(frame: *const Frame, run: unsafe fn(*const JobHeader, &CurrentFrame)) -> Self {
        Self {
            prev: Cell::new(ptr::null()),
            next: Cell::new(ptr::null()),
            frame,
            state: AtomicU8::new(PRIVATE),
            sleeper: UnsafeCell::new(MaybeUninit::uninit()),
            run,
        }
    }

    /// Creates the sentinel of a list, which is never run.
    pub(crate) fn sentinel() -> Self {
        unsafe fn never(_: *const JobHeader, _: &CurrentFrame) {
            unreachable!("the sentinel of a list is not a job")
        }
        Self::new(ptr::null(), never)
    }

    #[inline]
    pub(crate) const fn prev(&self) -> &Cell<*const JobHeader> {
        &self.prev
    }

    #[inline]
    pub(crate) const fn next(&self) -> &Cell<*const JobHeader> {
        &self.next
    }

    /// The frame in which the job was forked.
    pub(crate) const fn frame(&self) -> *const Frame {
        self.frame
    }

    /// What the frame of this job's closure is waited for as.
    pub(crate) const fn identity(&self) -> *const () {
        ptr::from_ref(self).cast()
    }

    /// Returns whether only the owner knows of the job. Only the owner may ask.
    #[inline]
    pub(crate) fn is_private(&self) -> bool {
        // Ordering: Relaxed: only the owner leaves PRIVATE.
        self.state.load(Ordering::Relaxed) == PRIVATE
    }

    /// Marks the job as public. The caller holds the lock of the shared jobs.
    pub(crate) fn published(&self) {
        // Ordering: Relaxed: the lock orders it.
        self.state.store(PUBLIC, Ordering::Relaxed);
    }

    /// Returns whether the job is in the list of the shared jobs. Only a caller that holds their lock can rely on it; but a job that its
    /// owner has put there, and that is no longer there, was taken.
    pub(crate) fn is_listed(&self) -> bool {
        // Ordering: Relaxed: the lock orders the accesses, and an owner that concludes that the job was taken waits for DONE.
        self.state.load(Ordering::Relaxed) == PUBLIC
    }

    /// Returns whether any worker may take the job, as far as its owner knows, who learns a little later that it was taken.
    #[inline]
    pub(crate) fn is_public(&self) -> bool {
        // Ordering: Relaxed: the caller concludes nothing from the answer.
        matches!(self.state.load(Ordering::Relaxed), PUBLIC | IN_SLOT)
    }

    /// Marks the job as one that its owner is about to put into its slot.
    #[inline]
    pub(crate) fn put_in_slot(&self) {
        // Ordering: Relaxed: `JobSlot::put` publishes it.
        self.state.store(IN_SLOT, Ordering::Relaxed);
    }

    /// Marks the job as taken, by the thief that took it out of its owner's slot.
    pub(crate) fn taken_from_slot(&self) {
        // The owner may know it already, and sleep. Then the state is WAITED, or TAKEN again.
        // Ordering: Relaxed for both: the thief has acquired the job with the slot's ticket, and `finish` looks at the state again.
        let _ = self.state.compare_exchange(IN_SLOT, TAKEN, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Marks the job as taken by a thief. The caller holds the lock of the shared jobs.
    pub(crate) fn taken(&self) {
        // Ordering: Relaxed: the lock orders this store, and the accesses to the content, before the owner's next look under the
        // lock. An owner that does not look under the lock waits for DONE.
        self.state.store(TAKEN, Ordering::Relaxed);
    }

    /// Returns whether the closure has run and its result is there.
    pub(crate) fn is_done(&self) -> bool {
        // Ordering: Acquire pairs with the Release of the stores of DONE in `finish`: the result is visible, and the content is the
        // owner's again.
        self.state.load(Ordering::Acquire) == DONE
    }

    /// Ends the job's life in a model: its frame is gone from here on, and loom reports every later access as an error.
    #[cfg(moirai_loom)]
    pub(crate) fn retire(&self) {
        self.sleeper.with_mut(|_| ());
        // SAFETY: no other thread may know of the job any more; if one does, loom reports it.
        let _ = unsafe { self.state.unsync_load() };
    }

    /// Runs the closure, on the thread that took the job.
    ///
    /// # Safety
    ///
    /// The caller has taken the job out of the shared jobs, and calls this once.
    pub(crate) unsafe fn run(this: *const JobHeader, at: &CurrentFrame) {
        // SAFETY: the owner keeps the job until it is done.
        let run = unsafe { (*this).run };
        // SAFETY: promised by the caller; `run` is the function for the type of this job.
        unsafe { run(this, at) };
    }

    /// Publishes the result, and wakes the owner if it sleeps (rule 3).
    ///
    /// # Safety
    ///
    /// The caller is the thief that ran the job. The result has been written, and the caller does not touch the job again.
    unsafe fn finish(this: *const JobHeader) {
        // SAFETY: the owner keeps the job until DONE is stored. (A `&JobHeader` as an argument would have to be valid until the
        // return.)
        let state = unsafe { &(*this).state };
        loop {
            // Ordering: Release pairs with the Acquire of `is_done`: the result is visible to the owner.
            let done = state.compare_exchange(TAKEN, DONE, Ordering::Release, Ordering::Relaxed);
            if done.is_ok() {
                return;
            }
            // Ordering: Acquire pairs with the Release of `set_waker`: the unparker is visible.
            let claimed =
                state.compare_exchange(WAITED, WAKING, Ordering::Acquire, Ordering::Relaxed);
            if claimed.is_ok() {
                break;
            }
            // The owner has just woken up for another reason, and taken its unparker back.
        }
        // SAFETY: as above: DONE is not stored yet.
        let sleeper = unsafe { &(*this).sleeper }.with_mut(|sleeper| {
            // SAFETY: in WAKING the field is the thief's.
            let sleeper = unsafe { &*sleeper };
            // SAFETY: the owner wrote it before it stored WAITED, and it is moved out only here, once.
            unsafe { sleeper.assume_init_read() }
        });
        // Ordering: Release pairs with the Acquire of `is_done`, as above. This is the last access to the job.
        state.store(DONE, Ordering::Release);
        sleeper.unpark();
    }
}

/// Checks in debug builds that the frame of a job does not end while a thief uses the job (rule 3).
#[cfg(all(debug_assertions, not(moirai_loom)))]
impl Drop for JobHeader {
    fn drop(&mut self) {
        let state = *self.state.get_mut();
        let is_used = matches!(state, TAKEN | WAITED | WAKING);
        assert!(!is_used || thread::panicking(), "the frame of a job ends while a thief uses it");
    }
}

impl Latch for JobHeader {
    fn is_set(&self) -> bool {
        self.is_done()
    }

    fn set_waker(&self, unparker: Unparker) {
        // Ordering: Relaxed: only the owner changes TAKEN or IN_SLOT to a state in which the unparker's field is the thief's.
        let mut state = self.state.load(Ordering::Relaxed);
        if !matches!(state, TAKEN | IN_SLOT) {
            // The job is done, or its thief is about to wake the unparker that it found in an earlier wait.
            while !self.is_done() {
                hint::spin_loop();
            }
            return;
        }
        self.sleeper.with_mut(|sleeper| {
            // SAFETY: in TAKEN and IN_SLOT the field is the owner's, and a thief that leaves them does not touch the field.
            unsafe { (*sleeper).write(unparker) };
        });
        // Ordering: Release pairs with the Acquire in `finish`: it hands the field to the thief.
        while let Err(now) =
            self.state.compare_exchange(state, WAITED, Ordering::Release, Ordering::Relaxed)
        {
            if now != TAKEN {
                self.drop_sleeper();
                return;
            }
            // The thief has come from IN_SLOT to TAKEN.
            state = now;
        }
    }

    fn clear_waker(&self) {
        // Ordering: Relaxed: the field holds what this thread itself wrote there.
        let back = self.state.compare_exchange(WAITED, TAKEN, Ordering::Relaxed, Ordering::Relaxed);
        if back.is_ok() {
            self.drop_sleeper();
        }
    }
}

impl JobHeader {
    /// Drops the unparker, which the thief has not seen.
    fn drop_sleeper(&self) {
        self.sleeper.with_mut(|sleeper| {
            // SAFETY: the thief did not claim the field, so it is the owner's.
            let sleeper = unsafe { &mut *sleeper };
            // SAFETY: `set_waker` has written it.
            unsafe { sleeper.assume_init_drop() };
        });
    }
}

impl<F, R> StackJob<F, R>
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    #[inline]
    pub(crate) fn new(frame: *const Frame, closure: F) -> Self {
        let closure = ManuallyDrop::new(closure);
        Self {
            header: JobHeader::new(frame, Self::run),
            content: UnsafeCell::new(ClosureOrResult { closure }),
        }
    }

    #[inline]
    pub(crate) const fn header(&self) -> &JobHeader {
        &self.header
    }

    /// Runs the closure of the job at `job`, and stores its result.
    ///
    /// # Safety
    ///
    /// `job` is the header of a `StackJob<F, R>`. The caller has taken the job out of the shared jobs, and calls this once.
    unsafe fn run(job: *const JobHeader, at: &CurrentFrame) {
        const { assert!(offset_of!(Self, header) == 0, "the header comes first") };
        let this = job.cast::<Self>();
        // SAFETY: the header is the first field of a `StackJob`, and the owner keeps the job until it is done.
        let content = unsafe { &(*this).content };
        // SAFETY: as above.
        let parent = unsafe { (*job).frame };
        // SAFETY: the job is not done, so the frame in which it was forked is still there.
        let frame = unsafe { Frame::child_of(parent, job.cast()) };
        let closure = content.with_mut(|content| {
            // SAFETY: the job was taken, so the content is the thief's, and holds the closure.
            unsafe { take_closure(content) }
        });
        let result = at.within(&frame, || catch_unwind(AssertUnwindSafe(closure)));
        content.with_mut(|content| {
            let result = ManuallyDrop::new(result);
            // SAFETY: the content is the thief's, and the closure was moved out of it.
            unsafe { ptr::write(content, ClosureOrResult { result }) };
        });
        // SAFETY: this is the thread that took the job, the result is written, and this is its last access.
        unsafe { JobHeader::finish(job) };
    }

    /// Takes the closure out of a job that the owner has got back.
    ///
    /// # Safety
    ///
    /// The job was private, or the caller took it out of the shared jobs; and neither this nor `run` has been called.
    #[inline]
    pub(crate) unsafe fn take_closure(&self) -> F {
        self.content.with_mut(|content| {
            // SAFETY: promised by the caller: the content is this thread's, and holds the closure.
            unsafe { take_closure(content) }
        })
    }

    /// Takes the result out of a job that is done.
    ///
    /// # Safety
    ///
    /// [`JobHeader::is_done`] has returned `true`, and this is called once.
    pub(crate) unsafe fn take_result(&self) -> thread::Result<R> {
        self.content.with_mut(|content| {
            // SAFETY: promised by the caller: the content is the owner's again.
            let content = unsafe { &mut *content };
            // SAFETY: a job that is done holds its result.
            let result = unsafe { &mut content.result };
            // SAFETY: promised by the caller: it is taken once.
            unsafe { ManuallyDrop::take(result) }
        })
    }
}

/// Moves the closure out of the content of a job.
///
/// # Safety
///
/// The content is the caller's, and holds the closure, which is moved out once.
#[inline]
unsafe fn take_closure<F, R>(content: *mut ClosureOrResult<F, R>) -> F {
    // SAFETY: promised by the caller: no other thread has access.
    let content = unsafe { &mut *content };
    // SAFETY: it holds the closure.
    let closure = unsafe { &mut content.closure };
    // SAFETY: promised by the caller: it is moved out once.
    unsafe { ManuallyDrop::take(closure) }
}

#[cfg(all(test, debug_assertions, not(moirai_loom)))]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "the frame of a job ends while a thief uses it")]
    fn a_frame_that_ends_before_its_stolen_job_is_noticed_in_debug_builds() {
        let frame = Frame::root(None);
        let job = StackJob::new(&raw const frame, || ());
        job.header().taken();
    }
}
