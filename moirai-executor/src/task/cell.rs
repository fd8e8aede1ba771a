//! The cell: one allocation for a task's header, its work, and later its output.

use std::mem::offset_of;
use std::ptr::NonNull;
use std::sync::Arc;

use moirai_core::TaskError;
use moirai_core::shim::cell::UnsafeCell;

use super::header::{Header, Schedule};
use super::memory;
use super::work::Work;
use crate::panics;

/// The contents of the stage; see the table in the [parent module](super).
pub(super) enum Stage<W: Work> {
    Work(W),
    Output(Result<W::Output, TaskError>),
    Empty,
}

/// The cell. The header comes first, so that a pointer to the cell is also a pointer to the header.
#[repr(C)]
pub(super) struct Cell<W: Work, S: Schedule> {
    pub(super) header: Header<S>,
    pub(super) stage: UnsafeCell<Stage<W>>,
}

/// Returns the cell of which `header` is a part.
///
/// # Safety
///
/// The header must be that of a `Cell<W, S>`, which must be alive for `'a`.
pub(super) unsafe fn cell_of<'a, W: Work, S: Schedule>(
    header: NonNull<Header<S>>,
) -> &'a Cell<W, S> {
    const { assert!(offset_of!(Cell<W, S>, header) == 0, "the header comes first") };
    // SAFETY: the header is the first field of a `#[repr(C)]` struct, the pointer is that of the whole allocation, and the caller
    // guarantees the type and that the cell is alive.
    unsafe { header.cast().as_ref() }
}

/// Implements [`VTable::take_output`](super::header::VTable::take_output), and has the same obligations.
pub(super) unsafe fn take_output<W: Work, S: Schedule>(header: NonNull<Header<S>>, place: *mut ()) {
    // SAFETY: this function is called through the cell's own vtable, so the types are right, and the caller's reference keeps the
    // cell alive.
    let cell = unsafe { cell_of::<W, S>(header) };
    let output = cell.stage.with_mut(|stage| {
        // SAFETY: the output is the caller's (rule 5), and with it the stage. The output may be moved, because outputs are not
        // pinned.
        match unsafe { std::ptr::replace(stage, Stage::Empty) } {
            Stage::Output(output) => Some(output),
            Stage::Work(_) | Stage::Empty => None,
        }
    });
    // SAFETY: the caller guarantees that `place` points to an `Option` of this type.
    unsafe { place.cast::<Option<Result<W::Output, TaskError>>>().write(output) };
}

/// Implements [`VTable::drop_output`](super::header::VTable::drop_output), and has the same obligations.
pub(super) unsafe fn drop_output<W: Work, S: Schedule>(
    header: NonNull<Header<S>>,
) -> Option<Arc<str>> {
    let mut output: Option<Result<W::Output, TaskError>> = None;
    // SAFETY: this function's caller has the same obligations, and the place is of the right type.
    unsafe { take_output::<W, S>(header, (&raw mut output).cast()) };
    panics::contain(|| drop(output))
}

/// Frees a cell; see [`VTable::free`](super::header::VTable::free).
pub(super) unsafe fn free<W: Work, S: Schedule>(header: NonNull<Header<S>>) {
    // SAFETY: the caller had the last reference, and gives it up.
    let executor = unsafe { deallocate::<W, S>(header) };
    // SAFETY: the cell was published, since otherwise there would be no references to it, and it was freed just now, which happens
    // once.
    unsafe { S::cell_freed(executor) };
}

/// Frees a cell's memory, and returns its executor, which the caller must tell.
///
/// # Safety
///
/// The caller must have dropped the last reference to a `Cell<W, S>` whose stage is empty and whose join waker was dropped.
#[inline]
pub(super) unsafe fn deallocate<W: Work, S: Schedule>(header: NonNull<Header<S>>) -> NonNull<S> {
    // SAFETY: no other thread uses the cell, because the caller had the last reference.
    let cell = unsafe { cell_of::<W, S>(header) };
    let executor = cell.header.executor;
    // These accesses let a loom model check that all uses of the cell happen before it is freed. Otherwise they do nothing.
    cell.stage.with_mut(|_| ());
    cell.header.join_waker.with_mut(|_| ());
    debug_assert!(
        cell.stage.with(|stage| {
            // SAFETY: as above.
            matches!(unsafe { &*stage }, Stage::Empty)
        }),
        "the stage is emptied where a panic of user code is contained"
    );
    let cell = header.cast::<Cell<W, S>>();
    #[cfg(moirai_loom)]
    {
        // SAFETY: no other thread uses the cell.
        unsafe { &mut *cell.as_ptr() }.header.state.retire();
        // SAFETY: as above. Loom's cells are dropped.
        unsafe { cell.drop_in_place() };
    }
    // Otherwise nothing in the cell needs a drop: the stage is empty, the record was taken, and the handle's waker was dropped
    // (rules 5 and 6).
    // SAFETY: `NewTask::new` allocated it, and the caller gives it up.
    unsafe { memory::free(cell) };
    executor
}
