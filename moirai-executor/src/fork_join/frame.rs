//! Frames: where fork-join work comes from.

use std::cell::Cell;
use std::iter;
use std::ptr::{self, NonNull};
use std::thread;

use crate::panics::{self, cancelled};
use crate::task::TaskPtr;

/// One origin of fork-join work, on the stack of the thread that runs it: a call from outside of fork-join work, the run of a
/// stolen job, or a scope.
pub(crate) struct Frame {
    /// The frame in which this one was forked; null for a call from outside.
    parent: *const Frame,
    /// The address of the job or scope for which the work of this frame is waited. It is only compared.
    waited_as: *const (),
    /// The task that called, if a task of this executor did.
    task: Option<TaskPtr>,
    stops_with: StopsWith,
    /// In a model, in which loom reports a thread that reads the frame and does not happen before its end.
    #[cfg(moirai_loom)]
    life: moirai_core::shim::cell::UnsafeCell<()>,
}

/// Whose cancellation stops the work of a frame.
#[derive(Clone, Copy)]
struct StopsWith {
    /// That of this task. There is none if the work goes on although its task was asked to stop.
    task: Option<TaskPtr>,
    /// Where there is none: that of the work in this frame, which waits for this work as a part of its own, and that of the task that runs
    /// this work.
    waiting: Option<WaitingFrame>,
}

impl StopsWith {
    const NOBODY: Self = Self::task(None);

    const fn task(task: Option<TaskPtr>) -> Self {
        Self { task, waiting: None }
    }

    const fn waiting(waiting: WaitingFrame) -> Self {
        Self { task: None, waiting: Some(waiting) }
    }
}

#[cfg(moirai_loom)]
impl Drop for Frame {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.life.with_mut(|_| ());
        }
    }
}

impl Frame {
    /// Creates the frame of a call from outside of fork-join work.
    pub(crate) fn root(task: Option<TaskPtr>) -> Self {
        Self::new(ptr::null(), ptr::null(), task, StopsWith::task(task))
    }

    /// Creates the frame of a call from outside of fork-join work, by a destructor. If its task was cancelled, the work goes on.
    pub(crate) fn of_destructor(task: Option<TaskPtr>) -> Self {
        Self::new(ptr::null(), ptr::null(), task, StopsWith::NOBODY)
    }

    /// Creates the frame of a call from outside of fork-join work, inside of a task of another executor.
    pub(crate) fn inside(task: TaskPtr) -> Self {
        Self::new(ptr::null(), ptr::null(), None, StopsWith::task(Some(task)))
    }

    /// Creates the frame of a call from outside of this executor's fork-join work, inside of another executor's work in `waiting`.
    pub(crate) fn part_of(waiting: WaitingFrame) -> Self {
        Self::new(ptr::null(), ptr::null(), None, StopsWith::waiting(waiting))
    }

    #[inline]
    fn new(
        parent: *const Frame,
        waited_as: *const (),
        task: Option<TaskPtr>,
        stops_with: StopsWith,
    ) -> Self {
        Self {
            parent,
            waited_as,
            task,
            stops_with,
            #[cfg(moirai_loom)]
            life: moirai_core::shim::cell::UnsafeCell::new(()),
        }
    }

    /// Notes in a model that the calling thread reads the frame.
    #[inline]
    fn read(&self) {
        #[cfg(moirai_loom)]
        self.life.with(|_| ());
    }

    /// Creates the frame of work that is forked in `parent`, and waited for as `waited_as`.
    ///
    /// # Safety
    ///
    /// `parent` points to a frame that outlives this one.
    pub(crate) unsafe fn child_of(parent: *const Frame, waited_as: *const ()) -> Self {
        // SAFETY: promised by the caller.
        let read = unsafe { &*parent };
        read.read();
        Self::new(parent, waited_as, read.task, read.stops_with)
    }

    /// Creates the frame in which the caller, whose frame is `parent`, waits as `waited_as` for work on other threads.
    ///
    /// # Safety
    ///
    /// As for [`child_of`](Self::child_of).
    pub(crate) unsafe fn waiting(parent: *const Frame, waited_as: *const ()) -> Self {
        // SAFETY: promised by the caller.
        let mut frame = unsafe { Self::child_of(parent, waited_as) };
        if thread::panicking() {
            // A destructor calls. If its task was cancelled, the work would unwind, and then the destructor, too.
            frame.stops_with = StopsWith::NOBODY;
        }
        frame
    }

    /// Creates the frame of work in `parent` that goes on although its task was asked to stop.
    ///
    /// # Safety
    ///
    /// `parent` points to a frame that outlives this one.
    pub(crate) unsafe fn without_task(parent: *const Frame) -> Self {
        Self::new(parent, ptr::null(), None, StopsWith::NOBODY)
    }

    /// Sets the address as which the work of this frame is waited for.
    pub(crate) const fn wait_as(&mut self, identity: *const ()) {
        self.waited_as = identity;
    }

    /// Returns whether the task that called was asked to stop, or one that waits for a part of its own work here.
    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        self.read();
        match self.stops_with {
            // SAFETY: the frame was made inside of the task, which its thread does not leave until its fork-join work is done, so the cell
            // is alive.
            StopsWith { task: Some(task), .. } => unsafe { task.is_cancelled() },
            StopsWith { waiting: Some(waiting), .. } => self.is_cancelled_with(waiting),
            StopsWith { .. } => false,
        }
    }

    /// Returns whether the task that called was asked to stop, or that of the frame that waits for this work.
    #[cold]
    fn is_cancelled_with(&self, waiting: WaitingFrame) -> bool {
        // SAFETY: as above.
        self.task.is_some_and(|task| unsafe { task.is_cancelled() })
            // SAFETY: it outlives the frames that hold the reference, as was promised to `WaitingFrame::new`.
            || unsafe { &*waiting.0.as_ptr() }.is_cancelled()
    }

    /// Returns whether the work of this frame goes on whoever is asked to stop.
    const fn goes_on(&self) -> bool {
        matches!(self.stops_with, StopsWith { task: None, waiting: None })
    }

    /// Returns whether this frame, or one of its ancestors, is waited for as `identity`.
    pub(crate) fn is_descendant_of(&self, identity: *const ()) -> bool {
        self.waited_as().any(|waited_as| ptr::eq(waited_as, identity))
    }

    /// As what this frame and its ancestors are waited for, where they are, beginning with this one.
    #[inline]
    pub(crate) fn waited_as(&self) -> impl Iterator<Item = *const ()> {
        let mut frame: *const Frame = self;
        iter::from_fn(move || {
            // SAFETY: a frame's parent outlives it, because what was forked in the parent is waited for there.
            let this = unsafe { frame.as_ref() }?;
            this.read();
            frame = this.parent;
            Some(this.waited_as)
        })
        .filter(|waited_as| !waited_as.is_null())
    }

    /// Returns whether the call came from outside of fork-join work.
    #[inline]
    pub(crate) const fn is_root(&self) -> bool {
        self.parent.is_null()
    }

    /// The task that called, if a task did.
    #[inline]
    pub(crate) fn task(&self) -> Option<TaskPtr> {
        self.read();
        self.task
    }

    /// Returns whether `task` is the one that called.
    pub(crate) fn is_of(&self, task: TaskPtr) -> bool {
        self.read();
        self.task == Some(task)
    }
}

/// A reference to the frame of a thread that waits, which outlives whatever holds this.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitingFrame(NonNull<Frame>);

// SAFETY: a frame that is waited in is not written, and is only read through this.
unsafe impl Send for WaitingFrame {}
// SAFETY: as above.
unsafe impl Sync for WaitingFrame {}

impl WaitingFrame {
    /// Refers to a frame.
    ///
    /// # Safety
    ///
    /// The pointer is one to a frame, which outlives everything that holds the reference.
    pub(crate) const unsafe fn new(frame: *const Frame) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { NonNull::new_unchecked(frame.cast_mut()) })
    }

    /// Calls `f`, the work of `task`, in a frame of its own below this one, on a thread whose current frame is `current`.
    pub(crate) fn within<R>(
        self,
        current: &CurrentFrame,
        task: Option<TaskPtr>,
        f: impl FnOnce() -> R,
    ) -> R {
        self.call_below(current, task, StopsWith::task(task), f)
    }

    /// Calls `f` in the same way, as a part of what the work of this frame waits for: the cancellation of that stops `f`, too.
    pub(crate) fn within_as_part<R>(
        self,
        current: &CurrentFrame,
        task: Option<TaskPtr>,
        f: impl FnOnce() -> R,
    ) -> R {
        self.call_below(current, task, StopsWith::waiting(self), f)
    }

    fn call_below<R>(
        self,
        current: &CurrentFrame,
        task: Option<TaskPtr>,
        stops_with: StopsWith,
        f: impl FnOnce() -> R,
    ) -> R {
        // The parent outlives the call, as was promised to `new`.
        let frame = Frame::new(self.0.as_ptr(), ptr::null(), task, stops_with);
        current.within(&frame, f)
    }
}

/// The frame that a thread is in; null outside of fork-join work.
pub(crate) struct CurrentFrame(Cell<*const Frame>);

impl CurrentFrame {
    pub(crate) const fn none() -> Self {
        Self(Cell::new(ptr::null()))
    }

    /// Returns whether the thread is inside of fork-join work.
    #[inline]
    pub(crate) fn is_some(&self) -> bool {
        !self.0.get().is_null()
    }

    #[inline]
    pub(crate) fn get(&self) -> *const Frame {
        self.0.get()
    }

    /// Returns whether the thread is inside of work that is waited for as `identity`.
    pub(crate) fn is_below(&self, identity: *const ()) -> bool {
        // SAFETY: the current frame belongs to a caller further up on this thread's stack, so it is alive.
        unsafe { self.0.get().as_ref() }.is_some_and(|frame| frame.is_descendant_of(identity))
    }

    /// Returns whether the thread is inside of fork-join work of `task`.
    pub(crate) fn is_of(&self, task: TaskPtr) -> bool {
        // SAFETY: the frame belongs to a caller further up on this thread's stack, so it is alive.
        unsafe { self.0.get().as_ref() }.is_some_and(|frame| frame.is_of(task))
    }

    /// Returns the task of the fork-join work that the thread is inside of, if it belongs to one.
    pub(crate) fn task(&self) -> Option<TaskPtr> {
        let mut next = self.0.get();
        // SAFETY: the current frame belongs to a caller further up on this thread's stack, and a frame's parent outlives it.
        while let Some(frame) = unsafe { next.as_ref() } {
            // A frame in which work goes on despite a cancellation has no task, but its ancestors have.
            if let Some(task) = frame.task() {
                return Some(task);
            }
            next = frame.parent;
        }
        None
    }

    /// Returns whether the thread is inside of fork-join work of a task.
    pub(crate) fn is_of_any_task(&self) -> bool {
        self.task().is_some()
    }

    /// Returns whether the task that called was asked to stop. The thread must be inside of fork-join work.
    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        debug_assert!(self.is_some(), "the thread is inside of fork-join work");
        // SAFETY: the frame belongs to a caller further up on this thread's stack, so it is alive.
        unsafe { &*self.0.get() }.is_cancelled()
    }

    /// Returns whether the work of this thread goes on whoever is asked to stop. The thread must be inside of fork-join work.
    pub(crate) fn goes_on(&self) -> bool {
        debug_assert!(self.is_some(), "the thread is inside of fork-join work");
        // SAFETY: as in `is_cancelled`.
        unsafe { &*self.0.get() }.goes_on()
    }

    /// Returns whether new work must not begin here as a part of the task's: the task was asked to stop, or the thread unwinds, so that
    /// a destructor calls, and the task may yet be asked (rule 9). The thread must be inside of fork-join work.
    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        self.is_cancelled() || (thread::panicking() && !self.goes_on())
    }

    /// Calls `f` with `frame` as the current frame, and restores the former one afterwards, also if `f` unwinds.
    #[inline]
    pub(crate) fn within<R>(&self, frame: *const Frame, f: impl FnOnce() -> R) -> R {
        struct RestoreFrame<'a>(&'a Cell<*const Frame>, *const Frame);
        impl Drop for RestoreFrame<'_> {
            fn drop(&mut self) {
                self.0.set(self.1);
            }
        }
        let _back = RestoreFrame(&self.0, self.0.replace(frame));
        f()
    }

    /// Calls `f` outside of the fork-join work that the thread may be in.
    pub(crate) fn suspended<R>(&self, f: impl FnOnce() -> R) -> R {
        self.within(ptr::null(), f)
    }

    /// Unwinds because the task was cancelled (rule 9).
    ///
    /// A thread that is unwinding already, and runs fork-join work in a destructor, must not unwind a second time. There it calls
    /// `f` in a frame without a task, which is never cancelled, whatever thread the work is run on.
    #[cold]
    #[inline(never)]
    pub(crate) fn run_despite_cancel<R>(&self, f: impl FnOnce() -> R) -> R {
        if !thread::panicking() {
            cancelled::unwind_cancelled();
        }
        self.within_going_on(f)
    }

    /// Drops what is left of work that has stopped, outside of unwinding. What its destructor begins goes on although the task may have
    /// been cancelled; if it panics, that is contained.
    #[cold]
    #[inline(never)]
    pub(crate) fn drop_left<T>(&self, left: T) {
        let drop_it = || panics::contain(|| drop(left));
        let _ = if self.is_some() { self.within_going_on(drop_it) } else { drop_it() };
    }

    /// Calls `f` in a frame in which work goes on although its task was asked to stop. The thread must be inside of fork-join work.
    fn within_going_on<R>(&self, f: impl FnOnce() -> R) -> R {
        // SAFETY: the current frame belongs to a caller further up on this thread's stack, so it outlives this call.
        let frame = unsafe { Frame::without_task(self.0.get()) };
        self.within(&frame, f)
    }
}
