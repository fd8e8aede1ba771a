//! Wakers: references to a cell that can make its task ready.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::header::{Header, Schedule};
use super::reference::TaskRef;

/// A vtable for the wakers of a executor's tasks. One for all of them, so `Waker::will_wake` tells tasks apart by their cells.
struct Table<S>(std::marker::PhantomData<S>);

impl<S: Schedule> Table<S> {
    const VTABLE: &'static RawWakerVTable =
        &RawWakerVTable::new(clone::<S>, wake::<S>, wake_by_ref::<S>, drop_waker::<S>);
}

/// A waker for the duration of a poll. It borrows: it has no reference of its own.
///
/// # Safety
///
/// The cell is alive as long as the waker is used; clones of the waker have references of their own.
pub(super) unsafe fn borrowed<S: Schedule>(header: NonNull<Header<S>>) -> ManuallyDrop<Waker> {
    let raw = RawWaker::new(header.as_ptr().cast(), Table::<S>::VTABLE);
    // SAFETY: the functions of the vtable keep the contract of `RawWaker`: each works on a reference that the waker has
    // or, here, borrows; all are thread-safe, since `TaskRef` is `Send` and `Sync`.
    ManuallyDrop::new(unsafe { Waker::from_raw(raw) })
}

/// The reference that a waker's data pointer stands for, borrowed.
///
/// # Safety
///
/// `data` is that of a waker made by `borrowed` or a clone of it, which is alive.
unsafe fn reference<S: Schedule>(data: *const ()) -> ManuallyDrop<TaskRef<S>> {
    // SAFETY: `borrowed` made the pointer from a `NonNull`.
    let header = unsafe { NonNull::new_unchecked(data.cast_mut().cast::<Header<S>>()) };
    // SAFETY: the waker's reference is only borrowed: it is not dropped here.
    ManuallyDrop::new(unsafe { TaskRef::adopt(header) })
}

unsafe fn clone<S: Schedule>(data: *const ()) -> RawWaker {
    // SAFETY: called by a waker with its data.
    let task = unsafe { reference::<S>(data) };
    std::mem::forget(TaskRef::clone(&task));
    RawWaker::new(data, Table::<S>::VTABLE)
}

unsafe fn wake<S: Schedule>(data: *const ()) {
    // SAFETY: called by a waker with its data.
    let task = unsafe { reference::<S>(data) };
    // The waker is given up, and its reference with it.
    ManuallyDrop::into_inner(task).wake();
}

unsafe fn wake_by_ref<S: Schedule>(data: *const ()) {
    // SAFETY: called by a waker with its data.
    let task = unsafe { reference::<S>(data) };
    task.wake();
}

unsafe fn drop_waker<S: Schedule>(data: *const ()) {
    // SAFETY: called by a waker with its data.
    let task = unsafe { reference::<S>(data) };
    drop(ManuallyDrop::into_inner(task));
}
