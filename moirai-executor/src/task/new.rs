//! Allocating a task's cell, publishing it and freeing it.

use std::any::TypeId;
use std::ptr::NonNull;

use moirai_core::shim::cell::UnsafeCell;
use moirai_core::shim::sync::atomic::AtomicU8;
use moirai_core::{Priority, TaskId, TaskKind};

use super::cell::{Cell, Stage, drop_output, free, take_output};
use super::header::{Header, RawRunnable, Schedule, VTable};
use super::join_handle::JoinHandle;
use super::state::State;
use super::work::Work;
use super::{end, memory, run};
use crate::panics::{self, log};

/// A task that has a record: the right to run it, and its handle.
pub(super) type Spawned<T, S> = (RawRunnable<S>, JoinHandle<T, S>);

/// A cell whose task has no id yet.
///
/// From the moment a task has an id the registry lists it by the address of its cell. So the cell is made first, and is ready to be
/// cancelled by then.
///
/// The cell is reached only through this pointer and those that are made from it. If this is dropped without
/// [`refuse`](Self::refuse) or [`publish`](Self::publish), the cell is leaked.
#[must_use = "the cell is leaked if it is neither published nor refused"]
pub(crate) struct NewTask<W: Work + 'static, S: Schedule>(NonNull<Cell<W, S>>);

impl<W: Work + 'static, S: Schedule> NewTask<W, S> {
    const VTABLE: &'static VTable<S> = &VTable {
        work: TypeId::of::<W>(),
        type_name: std::any::type_name::<W>,
        run: run::run::<W, S>,
        drop_unrun: end::drop_unrun::<W, S>,
        take_output: take_output::<W, S>,
        drop_output: drop_output::<W, S>,
        free: free::<W, S>,
    };

    /// Allocates a cell and moves the work into it.
    ///
    /// # Safety
    ///
    /// The executor must outlive the cell. It learns by `cell_freed` that a cell which was published is freed.
    #[inline(always)]
    pub(crate) unsafe fn new(
        executor: NonNull<S>,
        kind: TaskKind,
        priority: Priority,
        work: W,
    ) -> Self {
        // SAFETY: the caller has the same obligations.
        unsafe { Self::with_state(State::new(), executor, kind, priority, work) }
    }

    /// Allocates a cell whose task has no handle, and moves the work into it.
    ///
    /// # Safety
    ///
    /// As for [`new`](Self::new). The task must not be given a handle.
    #[inline(always)]
    pub(crate) unsafe fn detached(
        executor: NonNull<S>,
        kind: TaskKind,
        priority: Priority,
        work: W,
    ) -> Self {
        // SAFETY: the caller has the same obligations.
        unsafe { Self::with_state(State::detached(), executor, kind, priority, work) }
    }

    /// # Safety
    ///
    /// As for [`new`](Self::new).
    #[inline(always)]
    unsafe fn with_state(
        state: State,
        executor: NonNull<S>,
        kind: TaskKind,
        priority: Priority,
        work: W,
    ) -> Self {
        const { assert!(align_of::<Header<S>>() >= 2, "the registry locks it by the low bit") };
        let cell = memory::allocate::<Cell<W, S>>();
        let place = cell.as_ptr();
        // Field by field, in place: a cell that is built elsewhere is copied, and the work with it once more.
        // SAFETY: the memory is that of a cell.
        let header = unsafe { &raw mut (*place).header };
        // SAFETY: the memory is uninitialized, and this function's own.
        unsafe {
            header.write(Header {
                state,
                vtable: Self::VTABLE,
                executor,
                record: UnsafeCell::new(None),
                join_waker: UnsafeCell::new(None),
                kind,
                priority,
                runs: UnsafeCell::new(0),
                yields: UnsafeCell::new(false),
                final_status: AtomicU8::new(0),
            });
        }
        // SAFETY: as for the header.
        let stage = unsafe { &raw mut (*place).stage };
        // SAFETY: as for the header.
        unsafe { stage.write(UnsafeCell::new(Stage::Work(work))) };
        Self(cell)
    }

    /// Returns the cell's header, by which the registry lists the task.
    #[inline]
    pub(crate) fn header(&self) -> NonNull<Header<S>> {
        self.0.cast()
    }

    /// Drops the cell and the work in it. A panic of the work's destructor is logged, and does not reach the spawner.
    pub(crate) fn refuse(self) {
        // SAFETY: no other thread was given the pointer, and the cell is dropped only here.
        let dropped = panics::contain(|| unsafe { self.0.drop_in_place() });
        if let Some(message) = dropped {
            log!(error, panic = &*message, "the destructor of a refused task panicked");
        }
        // SAFETY: `new` allocated it, and it is not used again.
        unsafe { memory::free(self.0) };
    }

    /// Gives the task its record in the registry.
    ///
    /// The cell must be made by [`new`](Self::new). `register` is called with the cell's address, to list it; from then on the task
    /// may be cancelled by id. If it returns `None`, the cell and the work in it are dropped.
    pub(crate) fn publish(
        self,
        register: impl FnOnce(NonNull<Header<S>>) -> Option<(TaskId, S::Record)>,
    ) -> Option<Spawned<W::Output, S>> {
        let header = self.header();
        let Some((id, record)) = register(header) else {
            self.refuse();
            return None;
        };
        // SAFETY: the cell is new, and this is the only call for it.
        let runnable = unsafe { published(header, id, record) };
        // SAFETY: the cell was published just now, and the callers have made it by `new`.
        Some((runnable, unsafe { self.into_handle() }))
    }

    /// Returns the handle of a task that was published.
    ///
    /// # Safety
    ///
    /// The cell was made by [`new`](Self::new), and the caller has called [`published`] for it.
    #[inline]
    pub(crate) unsafe fn into_handle(self) -> JoinHandle<W::Output, S> {
        // SAFETY: the task was created with HANDLE set and a reference for the handle; this is its only handle, because `self` is
        // consumed; and its output is `W::Output`.
        unsafe { JoinHandle::from_raw(self.header()) }
    }
}

/// Completes a cell whose task the registry lists now, and returns the right to run the task.
///
/// # Safety
///
/// The cell must be one of a [`NewTask`], and this must be the only call for it.
#[inline]
pub(crate) unsafe fn published<S: Schedule>(
    header: NonNull<Header<S>>,
    id: TaskId,
    record: S::Record,
) -> RawRunnable<S> {
    // SAFETY: the cell is alive, because the task's own reference is dropped only when it completes, and it has not run yet.
    let published = unsafe { header.as_ref() };
    published.state.set_id(id);
    published.record.with_mut(|place| {
        // SAFETY: the field is the runner's (rule 1), and there is no `RawRunnable` yet. It is `None`, which needs no drop.
        unsafe { place.write(Some(record)) };
    });
    // SAFETY: the task was created ACTIVE, and this is its one `RawRunnable`.
    unsafe { RawRunnable::from_raw(header) }
}
