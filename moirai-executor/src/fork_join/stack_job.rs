//! The job closure of a `join`, in the frame of its owner. Rules 1 to 4 of the [module](super).

use std::cell::Cell;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::thread;

use moirai_core::shim::cell::UnsafeCell;
use moirai_core::shim::hint;
use moirai_core::shim::sync::atomic::{AtomicU8, Ordering};
use moirai_sync::Unparker;

use super::frame::{CurrentFrame, Frame};
use super::latch::Latch;

/// In its owner's list, and nobody else knows it.
const PRIVATE: u8 = 0;
/// On the shared_jobs.
const PUBLIC: u8 = 1;
/// Taken off the shared_jobs by a thief.
const TAKEN: u8 = 2;
/// As `TAKEN`, and the owner sleeps.
const WAITED: u8 = 3;
/// As `WAITED`, and the thief has begun to wake the owner.
const WAKING: u8 = 4;
/// The result is there.
const DONE: u8 = 5;

/// A job, whatever it calls.
pub(crate) struct JobHeader {
    /// The next prev one of its owner's list.
    prev: Cell<*const JobHeader>,
    /// The next next one.
    next: Cell<*const JobHeader>,
    frame: *const Frame,
    state: AtomicU8,
    /// Who sleeps; there from `WAITED` on (rule 3).
    sleeper: UnsafeCell<MaybeUninit<Unparker>>,
    run: unsafe fn(*const JobHeader, &CurrentFrame),
}

/// A job with what it calls.
// The job comes first: a pointer to the whole is one to it.
#[repr(C)]
pub(crate) struct StackJob<F, R> {
    header: JobHeader,
    content: UnsafeCell<ClosureOrResult<F, R>>,
}

/// Rule 2.
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

    /// The sentinel of a list, which is never run.
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

    /// The frame in which it was forked.
    pub(crate) const fn frame(&self) -> *const Frame {
        self.frame
    }

    /// What waits for it.
    pub(crate) const fn identity(&self) -> *const () {
        ptr::from_ref(self).cast()
    }

    /// Whether nobody but its owner knows it. Asked by its owner.
    #[inline]
    pub(crate) fn is_private(&self) -> bool {
        // Ordering: Relaxed: only the owner leaves PRIVATE.
        self.state.load(Ordering::Relaxed) == PRIVATE
    }

    /// It is on the shared_jobs now. Under the lock.
    pub(crate) fn published(&self) {
        // Ordering: Relaxed: the lock orders it.
        self.state.store(PUBLIC, Ordering::Relaxed);
    }

    /// Whether it is on the shared_jobs. Exact under the lock; its owner may ask without, and learn a little late that it was taken.
    #[inline]
    pub(crate) fn is_public(&self) -> bool {
        // Ordering: Relaxed: the lock orders it, or nothing is concluded from it.
        self.state.load(Ordering::Relaxed) == PUBLIC
    }

    /// A thief has taken it off the shared_jobs. Under the lock.
    pub(crate) fn taken(&self) {
        // Ordering: Relaxed: the lock orders it, and with it the content, before the owner's next look under the lock; an owner that does
        // not look under the lock waits for DONE.
        self.state.store(TAKEN, Ordering::Relaxed);
    }

    /// Whether the result is there.
    pub(crate) fn is_done(&self) -> bool {
        // Ordering: Acquire pairs with the Release of `finish`: the result, and the content, are the owner's again.
        self.state.load(Ordering::Acquire) == DONE
    }

    /// For models: the frame is gone from here on, and whatever happens to it now is an error.
    #[cfg(moirai_loom)]
    pub(crate) fn retire(&self) {
        self.sleeper.with_mut(|_| ());
        // SAFETY: nobody else knows it any more; or so the model finds out.
        let _ = unsafe { self.state.unsync_load() };
    }

    /// Runs it, for a thief.
    ///
    /// # Safety
    ///
    /// The caller has taken it off the shared_jobs, and calls this once.
    pub(crate) unsafe fn run(this: *const JobHeader, at: &CurrentFrame) {
        // SAFETY: the owner waits until it is done.
        let run = unsafe { (*this).run };
        // SAFETY: promised by the caller; `run` was made for this job's type.
        unsafe { run(this, at) };
    }

    /// The result is in its content. Rule 3.
    ///
    /// # Safety
    ///
    /// The caller is its thief, and never touches it again.
    unsafe fn finish(this: *const JobHeader) {
        // SAFETY: the owner waits until DONE is stored. (A `&JobHeader` as an argument would have to be good until the return.)
        let state = unsafe { &(*this).state };
        loop {
            // Ordering: Release pairs with the Acquire of `is_done`: the result.
            let done = state.compare_exchange(TAKEN, DONE, Ordering::Release, Ordering::Relaxed);
            if done.is_ok() {
                return;
            }
            // Ordering: Acquire pairs with the Release of `set_waker`: the unparker is there.
            let claimed =
                state.compare_exchange(WAITED, WAKING, Ordering::Acquire, Ordering::Relaxed);
            if claimed.is_ok() {
                break;
            }
            // The owner has just woken for another reason.
        }
        // SAFETY: as above.
        let sleeper = unsafe { &(*this).sleeper }.with_mut(|sleeper| {
            // SAFETY: in WAKING the place is the thief's.
            let sleeper = unsafe { &*sleeper };
            // SAFETY: the owner has written it before WAITED, and this is the only time that it is taken.
            unsafe { sleeper.assume_init_read() }
        });
        // Ordering: Release, as above. This is the last access.
        state.store(DONE, Ordering::Release);
        sleeper.unpark();
    }
}

impl Latch for JobHeader {
    fn is_set(&self) -> bool {
        self.is_done()
    }

    fn set_waker(&self, unparker: Unparker) {
        // Ordering: Relaxed: only the owner leaves TAKEN for a state in which the place is the thief's.
        if self.state.load(Ordering::Relaxed) != TAKEN {
            // The thief is waking whom it found here before, or is done.
            while !self.is_done() {
                hint::spin_loop();
            }
            return;
        }
        self.sleeper.with_mut(|sleeper| {
            // SAFETY: in TAKEN the place is the owner's, and if the thief leaves TAKEN, then for DONE.
            unsafe { (*sleeper).write(unparker) };
        });
        // Ordering: Release hands the place to the thief (its Acquire in `finish`).
        let armed =
            self.state.compare_exchange(TAKEN, WAITED, Ordering::Release, Ordering::Relaxed);
        if armed.is_err() {
            self.drop_sleeper();
        }
    }

    fn clear_waker(&self) {
        // Ordering: Relaxed: what comes back with the place is what the owner itself has left there.
        let back = self.state.compare_exchange(WAITED, TAKEN, Ordering::Relaxed, Ordering::Relaxed);
        if back.is_ok() {
            self.drop_sleeper();
        }
    }
}

impl JobHeader {
    /// Drops the unparker, which nobody else has seen.
    fn drop_sleeper(&self) {
        self.sleeper.with_mut(|sleeper| {
            // SAFETY: the thief did not claim the place, so it is the owner's.
            let sleeper = unsafe { &mut *sleeper };
            // SAFETY: it was written.
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

    /// # Safety
    ///
    /// The caller has taken the job off the shared_jobs, and calls this once.
    unsafe fn run(job: *const JobHeader, at: &CurrentFrame) {
        let this = job.cast::<Self>();
        // SAFETY: the job is the first field of a `StackJob`, whose owner waits until it is done.
        let content = unsafe { &(*this).content };
        // SAFETY: as above.
        let parent = unsafe { (*job).frame };
        // SAFETY: the job is not done, so the frame in which it was forked is still there.
        let frame = unsafe { Frame::child_of(parent, job.cast()) };
        let closure = content.with_mut(|content| {
            // SAFETY: the content is the thief's.
            unsafe { take_closure(content) }
        });
        let result = at.within(&frame, || catch_unwind(AssertUnwindSafe(closure)));
        content.with_mut(|content| {
            let result = ManuallyDrop::new(result);
            // SAFETY: the content is the thief's; the closure was moved out.
            unsafe { ptr::write(content, ClosureOrResult { result }) };
        });
        // SAFETY: this is the thief's last access.
        unsafe { JobHeader::finish(job) };
    }

    /// The closure, for the owner who has got the job back.
    ///
    /// # Safety
    ///
    /// The job was private, or the caller took it off the shared_jobs; and this is called once.
    #[inline]
    pub(crate) unsafe fn take_closure(&self) -> F {
        self.content.with_mut(|content| {
            // SAFETY: promised by the caller.
            unsafe { take_closure(content) }
        })
    }

    /// The result, for the owner of a job that is done.
    ///
    /// # Safety
    ///
    /// The job is done, and this is called once.
    pub(crate) unsafe fn take_result(&self) -> thread::Result<R> {
        self.content.with_mut(|content| {
            // SAFETY: promised by the caller.
            let content = unsafe { &mut *content };
            // SAFETY: it holds the result.
            let result = unsafe { &mut content.result };
            // SAFETY: promised by the caller.
            unsafe { ManuallyDrop::take(result) }
        })
    }
}

/// # Safety
///
/// The content is the caller's, and holds the closure; this is called once.
#[inline]
unsafe fn take_closure<F, R>(content: *mut ClosureOrResult<F, R>) -> F {
    // SAFETY: promised by the caller.
    let content = unsafe { &mut *content };
    // SAFETY: it holds the closure.
    let closure = unsafe { &mut content.closure };
    // SAFETY: promised by the caller.
    unsafe { ManuallyDrop::take(closure) }
}
