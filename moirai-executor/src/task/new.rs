//! Allocating a task's cell, publishing it and freeing it.

use std::ptr::NonNull;

use moirai_core::shim::cell::UnsafeCell;
use moirai_core::shim::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use moirai_core::{Priority, TaskId, TaskKind};

use super::cell::{Cell, Stage, drop_output, take_output};
use super::header::{Header, RawRunnable, Schedule, VTable};
use super::join_handle::JoinHandle;
use super::state::State;
use super::work::Work;
use super::{end, run};
use crate::panics::{self, log};

/// A task that has a record: the right to run it, and its handle.
pub(crate) type Spawned<T, S> = (RawRunnable<S>, JoinHandle<T, S>);

/// A cell whose task has no id yet.
///
/// From the moment a task has an id the registry lists it by the address of its cell. So the cell is made first, and is ready to be
/// cancelled by then.
pub(crate) struct NewTask<W: Work + 'static, S: Schedule>(Box<Cell<W, S>>);

impl<W: Work + 'static, S: Schedule> NewTask<W, S> {
    /// Allocates a cell.
    ///
    /// # Safety
    ///
    /// The executor must outlive the cell. It learns by `cell_freed` that a cell which was published is freed.
    pub(crate) unsafe fn new(
        executor: NonNull<S>,
        kind: TaskKind,
        priority: Priority,
        work: W,
    ) -> Self {
        const { assert!(align_of::<Header<S>>() >= 2, "the registry locks it by the low bit") };
        let vtable = const {
            &VTable {
                run: run::run::<W, S>,
                drop_unrun: end::drop_unrun::<W, S>,
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

    /// Drops the cell and the work in it. A panic of the work's destructor is logged, and does not reach the spawner.
    pub(crate) fn refuse(self) {
        if let Some(message) = panics::contain(|| drop(self.0)) {
            log!(error, panic = &*message, "the destructor of a refused task panicked");
        }
    }

    /// Gives the task its record in the registry.
    ///
    /// `register` is called with the cell's address, to list it; from then on the task may be cancelled by id. If it returns
    /// `None`, the cell and the work in it are dropped.
    pub(crate) fn publish(
        self,
        register: impl FnOnce(NonNull<Header<S>>) -> Option<(TaskId, S::Record)>,
    ) -> Option<Spawned<W::Output, S>> {
        // From here on the cell is reached only through this pointer, so that no pointer derived from it is invalidated.
        let cell = NonNull::from(Box::leak(self.0));
        let header = cell.cast::<Header<S>>();
        let Some((id, record)) = register(header) else {
            // SAFETY: the pointer is that of the box leaked above, and `register` has passed it to no other thread.
            Self(unsafe { Box::from_raw(cell.as_ptr()) }).refuse();
            return None;
        };
        // SAFETY: the cell is alive, because the task's own reference is dropped only when it completes, and it has not run yet.
        let published = unsafe { header.as_ref() };
        // Ordering: Relaxed: a thread that reads the id has the `RawRunnable` or the handle, which are made below.
        published.id.store(id.get(), Ordering::Relaxed);
        published.record.with_mut(|place| {
            // SAFETY: the field is the runner's (rule 1), and there is no `RawRunnable` yet.
            unsafe { *place = Some(record) };
        });
        // SAFETY: the task was created ACTIVE, and this is its one `RawRunnable`.
        let runnable = unsafe { RawRunnable::from_raw(header) };
        // SAFETY: the task was created with HANDLE set and a reference for the handle; this is its only handle; and its output is
        // `W::Output`.
        let handle = unsafe { JoinHandle::from_raw(header) };
        Some((runnable, handle))
    }
}

/// Frees a cell; see [`VTable::free`].
unsafe fn free<W: Work, S: Schedule>(header: NonNull<Header<S>>) {
    let cell = header.cast::<Cell<W, S>>();
    // SAFETY: the caller had the last reference, so no other thread uses the cell. `NewTask::new` made it as a `Box` of this type.
    #[cfg_attr(not(moirai_loom), expect(unused_mut, reason = "only a model changes it"))]
    let mut cell = unsafe { Box::from_raw(cell.as_ptr()) };
    let executor = cell.header.executor;
    // These accesses let a loom model check that all uses of the cell happen before it is freed. Otherwise they do nothing.
    cell.stage.with_mut(|_| ());
    cell.header.join_waker.with_mut(|_| ());
    #[cfg(moirai_loom)]
    cell.header.state.retire();
    // No user code runs here: the stage is empty, and the handle's waker has been dropped (rules 5 and 6).
    drop(cell);
    // SAFETY: the cell was published, since otherwise there would be no references to it, and it was freed just now, which happens
    // once.
    unsafe { S::cell_freed(executor) };
}
