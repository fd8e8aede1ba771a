//! A place for one task, which its owner fills and anyone may empty.
//!
//! # Protocol
//!
//! One word says what the cell holds: `EMPTY`, `FULL`, or `TAKEN` while a task is on its way out.
//!
//! 1. Only the owner leaves `EMPTY`, and only to `FULL`, after it wrote the cell. So it needs no read-modify-write to
//!    fill an empty slot.
//! 2. Whoever goes from `FULL` to `TAKEN`, by an exchange, has the cell to itself until it leaves `TAKEN`.
//! 3. A taker leaves `TAKEN` for `EMPTY` after it read the task. The owner may leave it for `FULL`, after it put
//!    another task in the first one's place.
//! 4. `TAKEN` lasts for one move of a task. Nobody waits for its end: a taker has lost the race, and the owner keeps
//!    its task and queues it elsewhere.
//!
//! So a task in the slot is handed out once (rule 2), it costs an idle owner a load to see that the slot is empty, and
//! the task can be of any size.

use std::mem::MaybeUninit;

use crossbeam_utils::CachePadded;
use moirai_core::shim::cell::UnsafeCell;
use moirai_core::shim::sync::Arc;
use moirai_core::shim::sync::atomic::{AtomicU8, Ordering};

const EMPTY: u8 = 0;
const FULL: u8 = 1;
const TAKEN: u8 = 2;

struct SlotCell<T> {
    state: AtomicU8,
    /// Holds a task exactly while `state` is `FULL`.
    cell: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: by rules 1 and 2 one thread at a time touches the cell, so tasks move between threads, which `T: Send`
// allows, and are never shared.
unsafe impl<T: Send> Sync for SlotCell<T> {}
// SAFETY: as above; a slot that steals takes its task with it.
unsafe impl<T: Send> Send for SlotCell<T> {}

/// The right to fill a slot. There is one for each, and filling it asks for `&mut`.
pub(crate) struct SlotOwner<T>(Arc<CachePadded<SlotCell<T>>>);

/// The right to empty a slot.
pub(crate) struct SlotThief<T>(Arc<CachePadded<SlotCell<T>>>);

/// What became of a task that was put into a slot.
#[must_use = "a task may have come back"]
pub(crate) enum Put<T> {
    /// It is there.
    Stored,
    /// It is there, and this one had to leave.
    Displaced(T),
    /// Somebody was just taking the last one. Here it is back.
    Refused(T),
}

/// An empty slot.
pub(crate) fn slot<T>() -> (SlotOwner<T>, SlotThief<T>) {
    let cell_ref = Arc::new(CachePadded::new(SlotCell {
        state: AtomicU8::new(EMPTY),
        cell: UnsafeCell::new(MaybeUninit::uninit()),
    }));
    (SlotOwner(Arc::clone(&cell_ref)), SlotThief(cell_ref))
}

impl<T> SlotOwner<T> {
    /// Fills the slot.
    #[inline]
    pub(crate) fn put(&mut self, task: T) -> Put<T> {
        let cell_ref = &self.0;
        // Ordering: Acquire pairs with the Release store of `EMPTY` in `take`: the last task is out of the cell.
        match cell_ref.state.load(Ordering::Acquire) {
            EMPTY => {
                cell_ref.cell.with_mut(|cell| {
                    // SAFETY: the state is `EMPTY` and stays so until we change it (rule 1: `&mut` on the only owner),
                    // and nobody else touches an empty slot's cell. There is no task in it that would be overwritten.
                    unsafe { cell.write(MaybeUninit::new(task)) };
                });
                // Ordering: Release pairs with the Acquire exchange in `claim`: the task is in the cell.
                cell_ref.state.store(FULL, Ordering::Release);
                Put::Stored
            }
            FULL if cell_ref.claim() => {
                let old = cell_ref.cell.with_mut(|cell| {
                    // SAFETY: `claim` gave us the cell (rule 2), and it holds a task, which steals out here.
                    let old = unsafe { cell.read() };
                    // SAFETY: the cell is still ours, and what it held has moved out.
                    unsafe { cell.write(MaybeUninit::new(task)) };
                    // SAFETY: the slot was `FULL`, so what was read is a task.
                    unsafe { old.assume_init() }
                });
                // Ordering: Release pairs with the Acquire exchange in `claim`: the new task is in the cell.
                cell_ref.state.store(FULL, Ordering::Release);
                Put::Displaced(old)
            }
            // Rule 4.
            _ => Put::Refused(task),
        }
    }

    /// Fills the slot if it is empty.
    #[inline]
    pub(crate) fn put_if_empty(&mut self, task: T) -> Result<(), T> {
        // Ordering: Relaxed, `put` acquires.
        if self.0.state.load(Ordering::Relaxed) != EMPTY {
            return Err(task);
        }
        match self.put(task) {
            Put::Stored => Ok(()),
            Put::Displaced(task) | Put::Refused(task) => Err(task),
        }
    }

    /// Empties the slot.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<T> {
        self.0.take()
    }

    /// Whether there is a task in it.
    pub(crate) fn is_full(&self) -> bool {
        self.0.is_full()
    }
}

impl<T> SlotThief<T> {
    /// Empties the slot.
    pub(crate) fn take(&self) -> Option<T> {
        self.0.take()
    }

    /// Whether there is a task in it.
    pub(crate) fn is_full(&self) -> bool {
        self.0.is_full()
    }
}

impl<T> SlotCell<T> {
    fn is_full(&self) -> bool {
        // Ordering: Relaxed: a hint, or a count's part; nothing is read by it.
        self.state.load(Ordering::Relaxed) == FULL
    }

    /// From `FULL` to `TAKEN`: the cell is the caller's if this says so (rule 2).
    #[inline]
    fn claim(&self) -> bool {
        // Ordering: Acquire pairs with the Release stores of `FULL` in `put`: the task is in the cell. Losing reads
        // nothing.
        self.state.compare_exchange(FULL, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[inline]
    fn take(&self) -> Option<T> {
        // Ordering: Relaxed, only to spare an empty slot the exchange, which is what acquires.
        if self.state.load(Ordering::Relaxed) != FULL || !self.claim() {
            return None;
        }
        let task = self.cell.with_mut(|cell| {
            // SAFETY: `claim` gave us the cell (rule 2).
            let task = unsafe { cell.read() };
            // SAFETY: the slot was `FULL`, so it is a task, and by rule 3 the owner takes the cell for empty from here.
            unsafe { task.assume_init() }
        });
        // Ordering: Release pairs with the Acquire load in `put`: the task is out of the cell.
        self.state.store(EMPTY, Ordering::Release);
        Some(task)
    }
}

impl<T> Drop for SlotCell<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}
