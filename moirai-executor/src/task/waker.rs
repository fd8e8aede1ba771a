//! The wakers of tasks: references to a cell in the form of a [`Waker`].

use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::header::{Header, Schedule};
use super::reference::TaskRef;
use super::state::TaskPtr;

/// Returns the vtable for the wakers of an executor's tasks, of which the executor keeps one in a static, for
/// [`Schedule::waker_table`]. It is the same for all tasks, so [`Waker::will_wake`] distinguishes them by their cells.
pub(crate) const fn waker_table<S: Schedule>() -> RawWakerVTable {
    RawWakerVTable::new(clone::<S>, wake::<S>, wake_by_ref::<S>, drop_waker::<S>)
}

/// Returns a waker for the duration of a poll. It has no reference of its own, so its destructor must not run.
///
/// # Safety
///
/// The cell must be alive as long as the waker is used. Clones of the waker have references of their own.
pub(super) unsafe fn borrowed<S: Schedule>(header: NonNull<Header<S>>) -> ManuallyDrop<Waker> {
    let raw = RawWaker::new(header.as_ptr().cast(), S::waker_table());
    // SAFETY: the functions of the vtable keep the contract of `RawWaker`. Each works on a reference that the waker has or, in the
    // case of this one, borrows from the caller. All are thread-safe, since `TaskRef` is `Send` and `Sync`.
    ManuallyDrop::new(unsafe { Waker::from_raw(raw) })
}

/// Asks for the task that is being polled on the calling thread to be queued again after this poll, if `waker` is its own (rule 10).
/// Returns `false` if it is another waker; then the caller must wake it.
///
/// `is_polling` tells whether a task is the one that the calling thread polls.
#[inline]
pub(crate) fn yield_task<S: Schedule>(
    waker: &Waker,
    is_polling: impl FnOnce(TaskPtr) -> bool,
) -> bool {
    if !std::ptr::eq(waker.vtable(), S::waker_table()) {
        return false;
    }
    // SAFETY: the table is that of `borrowed`, so the data is that of a live waker of this type.
    let task = unsafe { reference::<S>(waker.data()) };
    let header = task.header();
    if !is_polling(TaskPtr::of(&header.state)) {
        return false;
    }
    header.yields.with_mut(|yields| {
        // SAFETY: the thread polls the task, so it is the runner, whose field this is (rule 1).
        unsafe { *yields = true };
    });
    true
}

/// Borrows the reference that a waker's data pointer stands for.
///
/// # Safety
///
/// `data` must be that of a live waker that was made by [`borrowed`] or is a clone of such a one.
unsafe fn reference<S: Schedule>(data: *const ()) -> ManuallyDrop<TaskRef<S>> {
    // SAFETY: the pointer is not null, because `borrowed` made it from a `NonNull`.
    let header = unsafe { NonNull::new_unchecked(data.cast_mut().cast::<Header<S>>()) };
    // SAFETY: the waker's reference is only borrowed, because the result is not dropped by itself.
    ManuallyDrop::new(unsafe { TaskRef::adopt(header) })
}

unsafe fn clone<S: Schedule>(data: *const ()) -> RawWaker {
    // SAFETY: a live waker calls this with its data.
    let task = unsafe { reference::<S>(data) };
    std::mem::forget(TaskRef::clone(&task));
    RawWaker::new(data, S::waker_table())
}

unsafe fn wake<S: Schedule>(data: *const ()) {
    // SAFETY: a live waker calls this with its data.
    let task = unsafe { reference::<S>(data) };
    // The waker is consumed, and its reference with it.
    ManuallyDrop::into_inner(task).wake_and_drop();
}

unsafe fn wake_by_ref<S: Schedule>(data: *const ()) {
    // SAFETY: a live waker calls this with its data.
    let task = unsafe { reference::<S>(data) };
    task.wake();
}

unsafe fn drop_waker<S: Schedule>(data: *const ()) {
    // SAFETY: a live waker calls this with its data.
    let task = unsafe { reference::<S>(data) };
    drop(ManuallyDrop::into_inner(task));
}
