//! The slot: a place for one task, which its owner fills and any thread may empty.
//!
//! # Protocol
//!
//! One atomic word says what the cell contains: `EMPTY`, `FULL`, or `TAKEN` while a task is being moved out.
//!
//! 1. Only the owner changes the state from `EMPTY`, and only to `FULL`, after it has written the cell. So it needs no
//!    read-modify-write to fill an empty slot.
//! 2. A thread that changes the state from `FULL` to `TAKEN`, by an exchange, has exclusive access to the cell until it changes the
//!    state again.
//! 3. A thread that takes the task changes `TAKEN` to `EMPTY` after it has read the task. The owner may instead change it to
//!    `FULL`, after it has put another task in the place of the first.
//! 4. `TAKEN` lasts as long as one move of a task. No thread waits for its end: another taker has lost the race, and the owner
//!    keeps its task and queues it elsewhere.
//!
//! So a task in the slot is handed out once (rule 2), an idle owner pays one load to see that the slot is empty, and the task can
//! be of any size.

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
    /// Contains a task exactly while `state` is `FULL`.
    cell: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: By rules 1 and 2 only one thread at a time accesses the cell. So tasks move between threads, which `T: Send` allows, and
// are never shared.
unsafe impl<T: Send> Sync for SlotCell<T> {}
// SAFETY: As above. A slot that is sent to another thread takes its task with it, which `T: Send` allows.
unsafe impl<T: Send> Send for SlotCell<T> {}

/// The right to fill a slot. Each slot has one such owner, and filling the slot requires `&mut`.
pub(crate) struct SlotOwner<T>(Arc<CachePadded<SlotCell<T>>>);

/// The right to empty a slot.
pub(crate) struct SlotThief<T>(Arc<CachePadded<SlotCell<T>>>);

/// What has become of a task that was to be put into a slot.
#[must_use = "a task may have come back"]
pub(crate) enum Put<T> {
    /// It is in the slot.
    Stored,
    /// It is in the slot, from which it has displaced this one.
    Displaced(T),
    /// Another thread was just taking the last task. Here is the new one back.
    Refused(T),
}

/// Creates an empty slot.
pub(crate) fn slot<T>() -> (SlotOwner<T>, SlotThief<T>) {
    let shared = Arc::new(CachePadded::new(SlotCell {
        state: AtomicU8::new(EMPTY),
        cell: UnsafeCell::new(MaybeUninit::uninit()),
    }));
    (SlotOwner(Arc::clone(&shared)), SlotThief(shared))
}

impl<T> SlotOwner<T> {
    /// Puts a task into the slot, in the place of another if there is one.
    #[inline]
    pub(crate) fn put(&mut self, task: T) -> Put<T> {
        let shared = &self.0;
        // Ordering: Acquire pairs with the Release store of `EMPTY` in `take`: the previous task is out of the cell.
        match shared.state.load(Ordering::Acquire) {
            EMPTY => {
                shared.cell.with_mut(|cell| {
                    // SAFETY: The state is `EMPTY`, and stays so until we change it (rule 1, with `&mut` on the only owner), and no
                    // other thread accesses the cell of an empty slot. There is no task in it that would be overwritten.
                    unsafe { cell.write(MaybeUninit::new(task)) };
                });
                // Ordering: Release pairs with the Acquire exchange in `claim`: the task is in the cell.
                shared.state.store(FULL, Ordering::Release);
                Put::Stored
            }
            FULL if shared.claim() => {
                let old = shared.cell.with_mut(|cell| {
                    // SAFETY: `claim` gave us the cell (rule 2). It contains a task, which is moved out here.
                    let old = unsafe { cell.read() };
                    // SAFETY: The cell is still ours, and the task that it contained has been moved out.
                    unsafe { cell.write(MaybeUninit::new(task)) };
                    // SAFETY: The slot was `FULL`, so what was read is a task.
                    unsafe { old.assume_init() }
                });
                // Ordering: Release pairs with the Acquire exchange in `claim`: the new task is in the cell.
                shared.state.store(FULL, Ordering::Release);
                Put::Displaced(old)
            }
            // The task is queued elsewhere (rule 4).
            _ => Put::Refused(task),
        }
    }

    /// Puts a task into the slot if it is empty, and returns the task otherwise.
    #[inline]
    pub(crate) fn put_if_empty(&mut self, task: T) -> Result<(), T> {
        // Ordering: Relaxed, because `put` acquires.
        if self.0.state.load(Ordering::Relaxed) != EMPTY {
            return Err(task);
        }
        match self.put(task) {
            Put::Stored => Ok(()),
            Put::Displaced(task) | Put::Refused(task) => Err(task),
        }
    }

    /// Takes the task out of the slot, if there is one.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<T> {
        self.0.take()
    }

    /// Returns `true` if there is a task in the slot.
    pub(crate) fn is_full(&self) -> bool {
        self.0.is_full()
    }
}

impl<T> SlotThief<T> {
    /// Takes the task out of the slot, if there is one.
    pub(crate) fn take(&self) -> Option<T> {
        self.0.take()
    }

    /// Returns `true` if there is a task in the slot.
    pub(crate) fn is_full(&self) -> bool {
        self.0.is_full()
    }
}

impl<T> SlotCell<T> {
    fn is_full(&self) -> bool {
        // Ordering: Relaxed, because this is a hint or part of a count, and nothing is read on the strength of it.
        self.state.load(Ordering::Relaxed) == FULL
    }

    /// Changes the state from `FULL` to `TAKEN`. If this returns `true`, the cell is the caller's (rule 2).
    #[inline]
    fn claim(&self) -> bool {
        // Ordering: Acquire pairs with the Release stores of `FULL` in `put`: the task is in the cell. If the exchange fails,
        // nothing is read.
        self.state.compare_exchange(FULL, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[inline]
    fn take(&self) -> Option<T> {
        // Ordering: Relaxed, because this only spares an empty slot the exchange, which is what acquires.
        if self.state.load(Ordering::Relaxed) != FULL || !self.claim() {
            return None;
        }
        let task = self.cell.with_mut(|cell| {
            // SAFETY: `claim` gave us the cell (rule 2).
            let task = unsafe { cell.read() };
            // SAFETY: The slot was `FULL`, so what was read is a task, and by rule 3 the owner treats the cell as empty from here
            // on.
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
