//! The wakers of tasks: references to a cell in the form of a [`Waker`].

use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::header::{Header, Schedule};
use super::reference::TaskRef;

/// The vtable for the wakers of an executor's tasks. It is the same for all of them, so [`Waker::will_wake`] distinguishes tasks by
/// their cells.
struct Table<S>(std::marker::PhantomData<S>);

impl<S: Schedule> Table<S> {
    const VTABLE: &'static RawWakerVTable =
        &RawWakerVTable::new(clone::<S>, wake::<S>, wake_by_ref::<S>, drop_waker::<S>);
}

/// Returns a waker for the duration of a poll. It has no reference of its own, so its destructor must not run.
///
/// # Safety
///
/// The cell must be alive as long as the waker is used. Clones of the waker have references of their own.
pub(super) unsafe fn borrowed<S: Schedule>(header: NonNull<Header<S>>) -> ManuallyDrop<Waker> {
    let raw = RawWaker::new(header.as_ptr().cast(), Table::<S>::VTABLE);
    // SAFETY: the functions of the vtable keep the contract of `RawWaker`. Each works on a reference that the waker has or, in the
    // case of this one, borrows from the caller. All are thread-safe, since `TaskRef` is `Send` and `Sync`.
    ManuallyDrop::new(unsafe { Waker::from_raw(raw) })
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
    RawWaker::new(data, Table::<S>::VTABLE)
}

unsafe fn wake<S: Schedule>(data: *const ()) {
    // SAFETY: a live waker calls this with its data.
    let task = unsafe { reference::<S>(data) };
    // The waker is consumed, and its reference is dropped with it.
    ManuallyDrop::into_inner(task).wake();
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
