//! The cell: one allocation for a task's header, its work, and later its output.

use std::ptr::NonNull;
use std::sync::Arc;

use moirai_core::TaskError;
use moirai_core::shim::cell::UnsafeCell;

use super::header::{Header, Schedule};
use super::work::Work;
use crate::panics;

/// What the stage holds; see the table in the [module](super).
pub(super) enum Stage<W: Work> {
    Work(W),
    Output(Result<W::Output, TaskError>),
    Empty,
}

/// The cell. The header comes first, so that a pointer to the cell is one to the header.
#[repr(C)]
pub(super) struct Cell<W: Work, S: Schedule> {
    pub(super) header: Header<S>,
    pub(super) stage: UnsafeCell<Stage<W>>,
}

/// The cell around a header.
///
/// # Safety
///
/// The header is that of a `Cell<W, S>`, and alive for `'a`.
pub(super) unsafe fn cell_of<'a, W: Work, S: Schedule>(
    header: NonNull<Header<S>>,
) -> &'a Cell<W, S> {
    // SAFETY: the header is the first field of a `#[repr(C)]` struct, and the pointer is that of the allocation.
    unsafe { header.cast().as_ref() }
}

/// See [`VTable::take_output`].
pub(super) unsafe fn take_output<W: Work, S: Schedule>(header: NonNull<Header<S>>, place: *mut ()) {
    // SAFETY: the vtable is the cell's own, and the caller's reference keeps it.
    let cell = unsafe { cell_of::<W, S>(header) };
    let output = cell.stage.with_mut(|stage| {
        // SAFETY: the output is the caller's (rule 5), and with it the stage. Outputs are not pinned.
        match unsafe { std::ptr::replace(stage, Stage::Empty) } {
            Stage::Output(output) => Some(output),
            Stage::Work(_) | Stage::Empty => None,
        }
    });
    // SAFETY: the caller's place is an `Option` of this type.
    unsafe { place.cast::<Option<Result<W::Output, TaskError>>>().write(output) };
}

/// See [`VTable::drop_output`].
pub(super) unsafe fn drop_output<W: Work, S: Schedule>(
    header: NonNull<Header<S>>,
) -> Option<Arc<str>> {
    let mut output: Option<Result<W::Output, TaskError>> = None;
    // SAFETY: the caller's duties are the same, and the place is of the right type.
    unsafe { take_output::<W, S>(header, (&raw mut output).cast()) };
    panics::contain(|| drop(output))
}
