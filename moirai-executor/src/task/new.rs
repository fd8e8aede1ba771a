//! Making a task's cell.

use std::ptr::NonNull;

use moirai_core::shim::cell::UnsafeCell;
use moirai_core::shim::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use moirai_core::{Priority, TaskId, TaskKind};

use super::cell::{Cell, Stage, drop_output, take_output};
use super::header::{Header, RawRunnable, Schedule, VTable};
use super::join::JoinHandle;
use super::run;
use super::state::State;
use super::work::Work;
use crate::panics;

/// A task in the books: the right to run it, and its handle.
pub(crate) type Spawned<T, S> = (RawRunnable<S>, JoinHandle<T, S>);

/// A cell whose task has no id yet. The registry lists a task by its cell's address from the moment it has an id, so the
/// cell comes first, ready to be cancelled.
pub(crate) struct NewTask<W: Work + 'static, S: Schedule>(Box<Cell<W, S>>);

impl<W: Work + 'static, S: Schedule> NewTask<W, S> {
    /// Allocates a cell.
    ///
    /// # Safety
    ///
    /// The executor outlives the cell; it is told by `cell_freed` if the cell was published.
    pub(crate) unsafe fn new(
        executor: NonNull<S>,
        kind: TaskKind,
        priority: Priority,
        work: W,
    ) -> Self {
        let vtable = const {
            &VTable {
                run: run::run::<W, S>,
                drop_unrun: run::drop_unrun::<W, S>,
                take_output: take_output::<W, S>,
                drop_output: drop_output::<W, S>,
                free: free::<W, S>,
            }
        };
        Self(Box::new(Cell {
            header: Header {
                state: State::new(),
                vtable,
                executor,
                record: UnsafeCell::new(None),
                join_waker: UnsafeCell::new(None),
                id: AtomicU64::new(0),
                kind,
                priority,
                started: UnsafeCell::new(false),
                final_status: AtomicU8::new(0),
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

    /// Gives the task its record in the books. `register` gets the cell's address to publish it; from then on the cell may be
    /// cancelled by id. Without an record the cell is dropped, and the work with it.
    pub(crate) fn publish(
        self,
        register: impl FnOnce(NonNull<Header<S>>) -> Option<(TaskId, S::Record)>,
    ) -> Option<Spawned<W::Output, S>> {
        // From here on the cell is reached through this pointer alone, so that those to come are not invalidated.
        let cell = NonNull::from(Box::leak(self.0));
        let header = cell.cast::<Header<S>>();
        let Some((id, record)) = register(header) else {
            // SAFETY: the pointer is the box's, and nobody else was given it.
            Self(unsafe { Box::from_raw(cell.as_ptr()) }).refuse();
            return None;
        };
        // SAFETY: the cell is alive: the task's own reference goes when it completes, and it has not run.
        let published = unsafe { header.as_ref() };
        // Ordering: Relaxed: who reads it has the `Runnable` or the handle from here.
        published.id.store(id.get(), Ordering::Relaxed);
        published.record.with_mut(|place| {
            // SAFETY: the runner's field, and there is no other `Runnable` yet.
            unsafe { *place = Some(record) };
        });
        // SAFETY: the task is born ACTIVE, and this is its one `Runnable`.
        let runnable = unsafe { RawRunnable::from_raw(header) };
        // SAFETY: the task is born with HANDLE and a reference for the handle, and its output is `W::Output`.
        let handle = unsafe { JoinHandle::from_raw(header) };
        Some((runnable, handle))
    }
}

/// See [`VTable::free`].
unsafe fn free<W: Work, S: Schedule>(header: NonNull<Header<S>>) {
    let cell = header.cast::<Cell<W, S>>();
    // SAFETY: the caller had the last reference, so nobody else uses the cell. `NewTask::new` made it as a
    // `Box` of this type.
    let cell = unsafe { Box::from_raw(cell.as_ptr()) };
    let executor = cell.header.executor;
    // A model sees by these that all uses of the cell come before its end; otherwise they are nothing.
    cell.stage.with_mut(|_| ());
    cell.header.join_waker.with_mut(|_| ());
    // Nothing of the user's is left in it: the stage is empty, and the handle's waker gone (rules 5 and 6).
    drop(cell);
    // SAFETY: the cell was published, or nobody could have had a reference, and this is its end.
    unsafe { S::cell_freed(executor) };
}
