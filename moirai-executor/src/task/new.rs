//! Making a task's cell.

use std::ptr::NonNull;

use moirai_core::shim::cell::UnsafeCell;
use moirai_core::shim::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use moirai_core::{Priority, TaskId, TaskKind};

use super::cell::{Cell, Stage, drop_output, take_output};
use super::header::{Header, Host, RawRunnable, VTable};
use super::join::JoinHandle;
use super::run;
use super::state::State;
use super::work::Work;
use crate::panics;

/// A task in the books: the right to run it, and its handle.
pub(crate) type Listed<T, H> = (RawRunnable<H>, JoinHandle<T, H>);

/// A cell whose task has no id yet. The registry lists a task by its cell's address from the moment it has an id, so the
/// cell comes first, ready to be cancelled.
pub(crate) struct Unlisted<W: Work + 'static, H: Host>(Box<Cell<W, H>>);

impl<W: Work + 'static, H: Host> Unlisted<W, H> {
    /// Allocates a cell.
    ///
    /// # Safety
    ///
    /// The host outlives the cell; it is told by `cell_freed` if the cell was listed.
    pub(crate) unsafe fn new(
        host: NonNull<H>,
        kind: TaskKind,
        priority: Priority,
        work: W,
    ) -> Self {
        let vtable = const {
            &VTable {
                run: run::run::<W, H>,
                abandon: run::abandon::<W, H>,
                take_output: take_output::<W, H>,
                drop_output: drop_output::<W, H>,
                free: free::<W, H>,
            }
        };
        Self(Box::new(Cell {
            header: Header {
                state: State::new(),
                vtable,
                host,
                entry: UnsafeCell::new(None),
                join_waker: UnsafeCell::new(None),
                id: AtomicU64::new(0),
                kind,
                priority,
                started: UnsafeCell::new(false),
                verdict: AtomicU8::new(0),
            },
            stage: UnsafeCell::new(Stage::Work(work)),
        }))
    }

    /// Drops the cell, and the work with it, whose destructor is not the spawner's problem.
    pub(crate) fn refuse(self) {
        if let Some(message) = panics::contain(|| drop(self.0)) {
            tracing::error!(target: "moirai", panic = &*message, "the destructor of a refused task panicked");
        }
    }

    /// Gives the task its entry in the books. `enter` gets the cell's address to list it; from then on the cell may be
    /// cancelled by id. Without an entry the cell is dropped, and the work with it.
    pub(crate) fn list(
        self,
        enter: impl FnOnce(NonNull<Header<H>>) -> Option<(TaskId, H::Entry)>,
    ) -> Option<Listed<W::Output, H>> {
        // From here on the cell is reached through this pointer alone, so that those to come are not invalidated.
        let cell = NonNull::from(Box::leak(self.0));
        let header = cell.cast::<Header<H>>();
        let Some((id, entry)) = enter(header) else {
            // SAFETY: the pointer is the box's, and nobody else was given it.
            Self(unsafe { Box::from_raw(cell.as_ptr()) }).refuse();
            return None;
        };
        // SAFETY: the cell is alive: the task's own reference goes when it completes, and it has not run.
        let listed = unsafe { header.as_ref() };
        // Ordering: Relaxed: who reads it has the `Runnable` or the handle from here.
        listed.id.store(id.get(), Ordering::Relaxed);
        listed.entry.with_mut(|place| {
            // SAFETY: the runner's field, and there is no other `Runnable` yet.
            unsafe { *place = Some(entry) };
        });
        // SAFETY: the task is born ACTIVE, and this is its one `Runnable`.
        let runnable = unsafe { RawRunnable::from_raw(header) };
        // SAFETY: the task is born with HANDLE and a reference for the handle, and its output is `W::Output`.
        let handle = unsafe { JoinHandle::from_raw(header) };
        Some((runnable, handle))
    }
}

/// See [`VTable::free`].
unsafe fn free<W: Work, H: Host>(header: NonNull<Header<H>>) {
    let cell = header.cast::<Cell<W, H>>();
    // SAFETY: the caller had the last reference, so nobody else uses the cell. `Unlisted::new` made it as a
    // `Box` of this type.
    let cell = unsafe { Box::from_raw(cell.as_ptr()) };
    let host = cell.header.host;
    // A model sees by these that all uses of the cell come before its end; otherwise they are nothing.
    cell.stage.with_mut(|_| ());
    cell.header.join_waker.with_mut(|_| ());
    // Nothing of the user's is left in it: the stage is empty, and the handle's waker gone (rules 5 and 6).
    drop(cell);
    // SAFETY: the cell was listed, or nobody could have had a reference, and this is its end.
    unsafe { H::cell_freed(host) };
}
